"""Does a text-to-image pipeline do what it is told, through augface? A tiny one, trained here on ToyFaces, in parts.

    python experiments/text_to_image.py train --out runs/tiny
    python experiments/text_to_image.py adherence --out runs/tiny
    python experiments/text_to_image.py edit --out runs/tiny
    python experiments/text_to_image.py lora --out runs/tiny
    python experiments/text_to_image.py rebalance --out runs/tiny
    python experiments/text_to_image.py cost --out runs/tiny
    python experiments/text_to_image.py pictures --out runs/tiny

The pipeline (`tests/tiny_pipelines.py`) learns from faces and prompts of a wider population than that of the user's
data, as pretrained models do: half of its faces wear glasses, which are easy to see, half have black hair, and the
people are others. It never sees a hat, nor reads of one.

`adherence` asks for faces with an attribute and without it. `edit` gives an attribute to the user's faces that lack it;
its control takes the same faces and noise and asks for the opposite. `lora` fine-tunes the pipeline on the user's faces
until it knows hats; its control is the pipeline as it was. A classifier judges, which learnt from real faces of the
wider population, with hats, of other people than the pipeline saw. `rebalance` is the whole job with the pipeline as
its generator, `cost` what augface adds to the pipeline's own time and the memory that a batch takes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import augface
from augface.arrays import Booleans
from augface.checked_arrays import about, read_arrays, write_arrays
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.data.toyfaces import label, load_toyfaces, render, sample_population
from augface.errors import require
from augface.generators._prompts import Prompts
from augface.generators.base import Generator
from augface.metrics import proportion_interval
from augface.seeds import random_generator

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_pipelines import tiny_pipeline

SIZE = 32
WIDTHS = (16, 24, 48, 64)
BATCH = 16
RATE = 3e-3
WARM_UP = 100
DROPPED = 0.1
"""The share of faces that are learnt without their prompt, for classifier-free guidance."""
MIDDLE = (slice(10, 27), slice(8, 24))
"""Rows and columns where eyes and mouths are."""
IMPORTANCE = 6.0
"""How much more the loss counts there: glasses are few pixels, and where all count alike 14,000 images teach nothing of
them."""
FACES = 20_000
USERS = 3_000
"""Faces of the user's data, half of which are for training."""
JUDGED = ("Eyeglasses", "Black_Hair", "Male", "Smiling")
HELD_OUT = "Wearing_Hat"
SHOWN = 14
"""Faces in a row of the picture."""
ASKED = 64
"""Faces asked for with an attribute, and as many without it."""
JUDGE_FACES, JUDGE_IMAGES = 6_000, 60_000
"""What the judge learns from: faces, and images of them over and over."""
SETTINGS: dict[str, Any] = {"steps": 20, "guidance": 3.0, "batch": 32}
EDITS: dict[str, dict[str, Any]] = {
    "image-to-image": {"edit": "image-to-image", "strength": 0.6},
    "inpainting": {"edit": "inpainting", "strength": 0.9},
}
LORA: dict[str, Any] = {
    "balance": HELD_OUT,
    "rank": 8,
    "rate": 2e-3,
    "train_batch": 16,
    "targets": "to_q,to_k,to_v,to_out.0,conv1,conv2,time_emb_proj",
}
LORA_BUDGET = "6k"
TOKENS = 14
"""Those of the longest prompt."""
WORDS = {
    "Eyeglasses": ("glasses", "no glasses"),
    "Smiling": ("smiling", "serious"),
    "Male": ("man", "woman"),
    "Black_Hair": ("black hair", "fair hair"),
    HELD_OUT: ("hat", ""),
}


def main() -> None:
    parts: list[Callable[..., None]] = [train, adherence, edit, lora, rebalance, cost, pictures]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[part.__name__ for part in parts])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=36_000, help="that the pipeline learns from, over and over")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    started = time.process_time()
    if arguments.part == "train":
        train(arguments.out, arguments.images)
    else:
        next(part for part in parts[1:] if part.__name__ == arguments.part)(arguments.out)
    print(f"{time.process_time() - started:.0f} s of processor time")


def wide_population(count: int, seed: int, *, hats: bool) -> FaceDataset:
    """Toy faces half of which wear glasses, with rims or dark; half have black hair; half wear a hat, or none does."""
    factors, _, identity = sample_population(count, seed)
    random = random_generator(seed, "wide population")
    factors["glasses"] = random.random(count) < 0.5
    factors["glasses_rim"] = random.uniform(0.5, 1.0, count)
    factors["glasses_dark"] = random.random(count) < 0.5
    others = factors["hair_colour"].where(factors["hair_colour"] != "black", "blond")
    factors["hair_colour"] = np.where(random.random(count) < 0.5, "black", others)
    factors["hat"] = (random.random(count) < 0.5) & hats
    return FaceDataset.from_arrays(render(factors, SIZE), label(factors), identity=identity)


def prompts_file(out: Path, swapped: str = "") -> str:
    """A file of prompts; in one of them an attribute is asked for in the words of its opposite."""
    lines = ['template = "{words}"', 'negative = ""', "[words]"]
    for name, words in WORDS.items():
        present, absent = words[::-1] if name == swapped else words
        lines.append(f'{name} = ["{present}", "{absent}"]')
    path = out / f"prompts{swapped and '-'}{swapped}.toml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def train(out: Path, images: int) -> None:
    faces = wide_population(FACES, seed=5, hats=False)
    prompts = Prompts.read(Path(prompts_file(out)).read_bytes(), "prompts")
    texts = prompts.prompts(faces.attributes)
    pipe = tiny_pipeline([*texts, WORDS[HELD_OUT][0]], size=SIZE, widths=WIDTHS, tokens=TOKENS, pooled=True)
    tokens = pipe.tokenizer(["", *texts], padding="max_length", truncation=True, return_tensors="pt").input_ids
    unet, encoder, scheduler = pipe.unet.train(), pipe.text_encoder.train(), pipe.scheduler
    unet.to(memory_format=torch.channels_last)
    parameters = [*unet.parameters(), *encoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, RATE, betas=(0.9, 0.99), weight_decay=0.01)
    average = [parameter.detach().clone() for parameter in parameters]
    random = torch.Generator().manual_seed(1)
    weights = torch.ones(SIZE, SIZE)
    weights[MIDDLE] = IMPORTANCE
    weights /= weights.mean()
    started, steps, losses = time.process_time(), images // BATCH, []
    for step in range(steps):
        rows = torch.randint(0, len(faces), (BATCH,), generator=random)
        pixels = torch.from_numpy(faces.images[rows.numpy()]).permute(0, 3, 1, 2).float() / 127.5 - 1
        kept = (torch.rand(BATCH, generator=random) >= DROPPED).long()
        with torch.no_grad():
            latents = pipe.vae.encode(pixels).latents * pipe.vae.config.scaling_factor
        noise = torch.randn(latents.shape, generator=random)
        # One time of each sixteenth: the loss of a batch varies less.
        shares = (torch.arange(BATCH) + torch.rand(BATCH, generator=random)) / BATCH
        times = (shares * scheduler.config.num_train_timesteps).long()
        told = encoder(tokens[(rows + 1) * kept])[0]
        predicted = unet(scheduler.add_noise(latents, noise, times), times, told).sample
        loss = (weights * (predicted - scheduler.get_velocity(latents, noise, times)).square()).mean()
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP, 2 * (1 - step / steps))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - min(0.995, step / (step + 20)))
        losses.append(loss.item())
        if (step + 1) % 200 == 0:
            spent = time.process_time() - started
            print(f"{spent:5.0f} s, {(step + 1) * BATCH:,} images, loss {np.mean(losses[-200:]):.4f}", flush=True)
    with torch.no_grad():
        for parameter, mean in zip(parameters, average, strict=True):
            parameter.copy_(mean)
    pipe.save_pretrained(out / "pipeline")


def users_faces() -> FaceDataset:
    """What a user has: the train split of toy faces as they are, of whom 6 in 100 wear glasses or a hat."""
    return require(load_toyfaces(USERS, SIZE).train)


def generator(out: Path, name: str = "diffusers", *, swapped: str = "", **settings: Any) -> Generator:
    """A generator of the trained pipeline, not yet fitted."""
    chosen = {**SETTINGS, "path": str(out / "pipeline"), "prompts": prompts_file(out, swapped), **settings}
    return augface.create_generator(name, **chosen)


class Judge:
    """A classifier that learnt from real faces alone, and says what it sees; it is kept in a file."""

    def __init__(self, out: Path) -> None:
        path = out / "judge.safetensors"
        if not path.exists():
            faces = wide_population(JUDGE_FACES, seed=77, hats=True)
            learnt = AttributeClassifier.train(faces, inner_fold(faces, 0.2, 0), images=JUDGE_IMAGES)
            cuts = {name: threshold.value for name, threshold in learnt.thresholds.items()}
            write_arrays(path, learnt.arrays(), {"attributes": json.dumps(learnt.attributes), "cuts": json.dumps(cuts)})
        texts = about(path.read_bytes())
        self.classifier = AttributeClassifier.of_arrays(json.loads(texts["attributes"]), read_arrays(path), {})
        self.cuts = json.loads(texts["cuts"])

    def sees(self, faces: FaceDataset, name: str) -> Booleans:
        """(N,) whether it sees an attribute in each face."""
        probabilities = self.classifier.probabilities(faces.images)[:, self.classifier.column(name)]
        seen: Booleans = probabilities >= self.cuts[name]
        return seen


def share(right: Booleans) -> str:
    """A share with its interval."""
    found = proportion_interval(int(right.sum()), len(right))
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def obeys(judge: Judge, made: Generator, name: str) -> Booleans:
    """Of faces asked for with an attribute, and of as many without it, which are as requested."""
    return np.concatenate(
        [judge.sees(made.sample(ASKED, where={name: value}), name) == value for value in (True, False)]
    )


def adherence(out: Path) -> None:
    judge, made = Judge(out), generator(out)
    made.fit(users_faces())
    real = wide_population(1_000, seed=99, hats=True)
    print("| attribute | generated faces that are as requested | real faces that the judge gets right |\n|---|---|---|")
    for name in JUDGED:
        right = judge.sees(real, name) == real.attributes[name].to_numpy(dtype=np.bool_)
        print(f"| {name} | {share(obeys(judge, made, name))} | {right.mean():.2f} |", flush=True)


def edit(out: Path) -> None:
    judge, data = Judge(out), users_faces()
    print("| edit | attribute | before | asked for it | asked for the opposite |\n|---|---|---|---|---|")
    for kind, settings in EDITS.items():
        for name in JUDGED:
            edited = []
            for swapped in ("", name):
                made = generator(out, "diffusers-edit", swapped=swapped, balance=name, **settings)
                made.fit(data)
                edited.append(made.sample(ASKED, where={name: True}))
            hosts, others = (require(faces.factors)["host"].to_numpy() for faces in edited)
            assert np.array_equal(hosts, others)
            before, after, control = (judge.sees(faces, name) for faces in (data.select(hosts), *edited))
            print(f"| {kind} | {name} | {before.mean():.2f} | {share(after)} | {share(control)} |", flush=True)


def lora(out: Path) -> None:
    judge, data = Judge(out), users_faces()
    print(f"The user has {int(data.attributes[HELD_OUT].sum())} faces with the attribute, among {len(data):,}.")
    print("| pipeline | hats where asked for | none where not | as requested |\n|---|---|---|---|")
    for kind in ("", "one", "per-group"):
        made = generator(out, "diffusers-lora", lora=kind, **LORA) if kind else generator(out)
        made.fit(data, budget=LORA_BUDGET, run_dir=out / f"lora-{kind}" if kind else None)
        right = obeys(judge, made, HELD_OUT)
        shares = " | ".join(share(part) for part in (right[:ASKED], right[ASKED:], right))
        print(f"| {f'LoRA, {kind}' if kind else 'as it is'} | {shares} |", flush=True)


def rebalance(out: Path) -> None:
    started = time.perf_counter()
    settings = {**SETTINGS, "path": str(out / "pipeline"), "prompts": prompts_file(out), **EDITS["inpainting"]}
    outcome = augface.rebalance(
        load_toyfaces(USERS // 2, SIZE),
        attr="Eyeglasses",
        generator="diffusers-edit",
        generator_settings={**settings, "steps": 10},
        sampling_strategy=0.2,
        max_draws=4,
        run_dir=out / "rebalance",
    )
    verdict = outcome.evaluation.verdict
    print(f"{verdict.decision}: {verdict.reason}")
    print(f"{time.perf_counter() - started:.0f} s of wall time; the report is {out / 'rebalance' / 'report.html'}")


def cost(out: Path) -> None:
    made: Any = generator(out)
    made.fit(users_faces())
    pipe, batch = made._pretrained.pipeline.pipe, SETTINGS["batch"]
    given = made._given(require(made.labels).iloc[:ASKED])

    def alone() -> None:
        for start in range(0, ASKED, batch):
            rows = slice(start, start + batch)
            pipe(
                **{name: list(values[rows]) for name, values in given.items()},
                num_inference_steps=SETTINGS["steps"],
                guidance_scale=SETTINGS["guidance"],
                generator=[torch.Generator().manual_seed(seed) for seed in range(rows.start, rows.stop)],
                output_type="np",
            )

    pipe.set_progress_bar_config(disable=True)
    seconds: list[list[float]] = [[], []]
    for seed in range(6):  # another seed in each round, as faces that took long are kept
        ways: list[Callable[[], Any]] = [alone, partial(made.sample, ASKED, seed=time.time_ns() + seed)]
        for way in (0, 1) if seed % 2 else (1, 0):
            begun = time.process_time()
            ways[way]()
            seconds[way].append(time.process_time() - begun)
    bare, ours = (float(np.median(each[1:])) for each in seconds)  # the first round finds everything loaded
    added = np.median(np.array(seconds[1][1:]) / seconds[0][1:]) - 1
    print(
        f"{ASKED} faces in {SETTINGS['steps']} steps, processor time: the pipeline {bare:.2f} s, augface {ours:.2f} s"
    )
    print(f"augface adds {added:.1%}, the median of {len(seconds[0]) - 1} rounds")
    print("| batch | MB that sampling adds |\n|---|---|")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for size in (8, 32, 128):
            print(f"| {size} | {pool.apply(memory_of_batch, (out, size)):.0f} |", flush=True)


def memory_of_batch(out: Path, batch: int) -> float:
    """Megabytes that a batch takes at its peak, beyond what a process has with the pipeline loaded; on Linux."""
    torch.set_num_threads(1)
    made = generator(out, batch=batch, steps=2)
    made.fit(users_faces())
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    made.sample(batch, seed=time.time_ns())
    return (kilobytes("VmHWM") - before) / 1024


def kilobytes(name: str) -> int:
    """A number of kilobytes that Linux has of this process."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0])


def pictures(out: Path) -> None:
    """Faces as they are asked for, a row for each request; then the user's faces, and what edits make of them."""
    made, data = generator(out), users_faces()
    made.fit(data)
    rows = [
        np.asarray(made.sample(SHOWN, where=where, seed=2).images)
        for where in (
            {"Eyeglasses": False, "Male": True},
            {"Eyeglasses": True, "Male": True},
            {"Eyeglasses": False, "Male": False},
            {"Eyeglasses": True, "Male": False},
        )
    ]
    editor = generator(out, "diffusers-edit", balance="Eyeglasses", **EDITS["image-to-image"])
    editor.fit(data)
    edited = editor.sample(SHOWN, where={"Eyeglasses": True}, seed=2)
    rows += [np.asarray(data.images[require(edited.factors)["host"].to_numpy()]), np.asarray(edited.images)]
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    picture = Image.fromarray(grid).resize((2 * grid.shape[1], 2 * grid.shape[0]), Image.Resampling.NEAREST)
    picture.save(out / "faces.webp", quality=85)


if __name__ == "__main__":
    main()
