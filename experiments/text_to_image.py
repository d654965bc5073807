"""Does a text-to-image pipeline do what it is told, through augface? A tiny one, trained here on ToyFaces, in parts.

    python experiments/text_to_image.py train --out runs/tiny --minutes 30
    python experiments/text_to_image.py adherence --out runs/tiny

The pipeline (`tiny_pipelines.py`) learns from 6,000 toy faces of other people than those of the user's data, and from
prompts of eight attributes. Three minutes on a busy core (10,000 images) are too few: faces with eyeglasses and without
are then asked for in vain.

`adherence` asks for faces with an attribute and without it, and has them judged by a classifier that learnt from real
faces alone: the balanced accuracy, which is 0.5 by chance, with its interval over faces, beside that of real faces.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import mse_loss

import augface
from augface.arrays import Booleans
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.data.toyfaces import load_toyfaces
from augface.errors import require
from augface.generators._prompts import Prompts
from augface.generators.base import Generator
from augface.metrics import proportion_interval

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_pipelines import tiny_pipeline

SIZE = 32
BATCH = 32
RATE = 3e-3
DROPPED = 0.15
"""The share of faces that are learnt without their prompt, for classifier-free guidance."""
FACES = 6_000
JUDGED = ("Eyeglasses", "Smiling", "Male")
ASKED = 64
"""Faces asked for with an attribute, and as many without it."""
JUDGE_IMAGES = 60_000
"""What the classifier learns from, images over and over."""
SETTINGS: dict[str, Any] = {"steps": 20, "guidance": 3.0, "batch": 32}
PROMPTS = """
template = "face, {words}"
negative = ""

[words]
Male = ["man", "woman"]
Young = ["young", "old"]
Eyeglasses = ["glasses", "no glasses"]
Smiling = ["smiling", "serious"]
Black_Hair = ["black hair", ""]
Blond_Hair = ["blond hair", ""]
Gray_Hair = ["gray hair", ""]
No_Beard = ["", "beard"]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["train", "adherence"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30, help="of processor time, for the training")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if arguments.part == "train":
        train(arguments.out, 60 * arguments.minutes)
    else:
        adherence(arguments.out)


def train(out: Path, seconds: float) -> None:
    (out / "prompts.toml").write_text(PROMPTS)
    faces = load_toyfaces(FACES, SIZE, seed=5)
    texts = Prompts.read(PROMPTS.encode(), "prompts").prompts(faces.attributes)
    pipe = tiny_pipeline(texts, size=SIZE)
    tokens = pipe.tokenizer(["", *texts], padding="max_length", truncation=True, return_tensors="pt").input_ids
    images = torch.from_numpy(np.asarray(faces.images)).permute(0, 3, 1, 2)
    unet, encoder, scheduler = pipe.unet.train(), pipe.text_encoder.train(), pipe.scheduler
    parameters = [*unet.parameters(), *encoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, RATE, weight_decay=0.01)
    average = [parameter.detach().clone() for parameter in parameters]
    random = torch.Generator().manual_seed(1)
    started, saved, step, losses = time.process_time(), 0.0, 0, []
    while (spent := time.process_time() - started) < seconds:
        rows = torch.randint(0, len(images), (BATCH,), generator=random)
        pixels = images[rows].float() / 127.5 - 1
        kept = (torch.rand(BATCH, generator=random) >= DROPPED).long()
        with torch.no_grad():
            latents = pipe.vae.encode(pixels).latents * pipe.vae.config.scaling_factor
        noise = torch.randn(latents.shape, generator=random)
        times = torch.randint(0, scheduler.config.num_train_timesteps, (BATCH,), generator=random)
        told = encoder(tokens[(rows + 1) * kept])[0]
        wanted = scheduler.get_velocity(latents, noise, times)
        loss = mse_loss(unet(scheduler.add_noise(latents, noise, times), times, told).sample, wanted)
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100, max(0.02, 2 * (1 - spent / seconds)))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        kept_share = min(0.995, step / (step + 20))
        with torch.no_grad():
            for mean, parameter in zip(average, parameters, strict=True):
                mean.lerp_(parameter, 1 - kept_share)
        step += 1
        losses.append(loss.item())
        if spent - saved > 60:
            saved = spent
            save(pipe, parameters, average, out)
            print(
                f"{spent:5.0f} s of processor time, {step * BATCH:,} images, loss {np.mean(losses[-100:]):.4f}",
                flush=True,
            )
    save(pipe, parameters, average, out)
    print(f"{step * BATCH:,} images in {time.process_time() - started:.0f} s of processor time")


def save(pipe: Any, parameters: list[Any], average: list[torch.Tensor], out: Path) -> None:
    """Write the pipeline with the averaged weights."""
    now = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, mean in zip(parameters, average, strict=True):
            parameter.copy_(mean)
        pipe.save_pretrained(out / "pipeline")
        for parameter, value in zip(parameters, now, strict=True):
            parameter.copy_(value)


def generator(out: Path, data: FaceDataset) -> Generator:
    """A generator of the trained pipeline, fitted to the data."""
    chosen = {**SETTINGS, "path": str(out / "pipeline"), "prompts": str(out / "prompts.toml")}
    made = augface.create_generator("diffusers", **chosen)
    made.fit(data)
    return made


def user_data() -> tuple[FaceDataset, AttributeClassifier]:
    """What a user has, and a classifier that learnt from their real faces alone."""
    data = load_toyfaces(3_000, SIZE)
    train = require(data.train)
    return data, AttributeClassifier.train(train, inner_fold(train, 0.2, 0), images=JUDGE_IMAGES)


def seen(judge: AttributeClassifier, faces: FaceDataset, name: str) -> Booleans:
    """Whether the classifier sees an attribute in each face."""
    shown: Booleans = judge.probabilities(faces.images)[:, judge.column(name)] >= judge.threshold(name)
    return shown


def share(right: Booleans) -> str:
    """A share with its interval."""
    found = proportion_interval(int(right.sum()), len(right))
    return f"{right.mean():.2f} ({found.low:.2f} to {found.high:.2f})"


def adherence(out: Path) -> None:
    data, judge = user_data()
    made = generator(out, require(data.train))
    print("| attribute | as requested | of real valid faces |\n|---|---|---|")
    for name in JUDGED:
        right = [seen(judge, made.sample(ASKED, where={name: value}), name) == value for value in (True, False)]
        valid = require(data.valid)
        real = [seen(judge, valid, name)[valid.matching({name: value})] == value for value in (True, False)]
        balanced = np.mean([part.mean() for part in real])
        print(f"| {name} | {share(np.concatenate(right))} | {balanced:.2f} |", flush=True)


if __name__ == "__main__":
    main()
