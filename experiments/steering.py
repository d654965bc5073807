"""How far faces can be steered: inversion, variations, edits and refusals, on photos of held-out people.

    python experiments/steering.py RUN --work DIR [--faces 200] [--persons 20] [--tables] [--out grids.webp]

RUN is the folder of a `cgan` or `attgan` training on labelled faces with identities (CelebA); an `attgan` makes no
variations, so edits and refusals alone are measured of it. Judges: dlib's identity network
(augface[identity]), and an attribute classifier of the train split. Strengths are calibrated by another classifier, on
one half of the held-out people, and everything is measured on the other half. DIR keeps the classifiers, the
calibration and what was measured of each face: the same command goes on with it after a stop, and prints the tables of
docs/steering.md. `--out` writes grids of generated faces; no photo of anybody is in them.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from augface.arrays import Booleans, Floats64, Pixels
from augface.checked_arrays import read_arrays, write_arrays
from augface.classifiers.attributes import AttributeClassifier
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.errors import require
from augface.features import create_feature_space
from augface.generators import load_generator
from augface.generators._calibration import Calibration
from augface.generators._codes import Codes, concatenate_codes
from augface.generators._steerable import SteerableGenerator
from augface.generators.base import Generator
from augface.metrics.intervals import normal_interval, proportion_interval
from augface.seeds import random_generator
from augface.steering.variation import SAME_PERSON, Identity, distance_for

ATTRIBUTES = ("Smiling", "Eyeglasses", "Male", "Young")
DISTANCES = (0.2, 0.4, 0.6, 0.8, 1.0)
STRENGTHS = (0.5, 1.0)
BATCH = 10
"""Faces that are measured, and kept, at a time."""
FRESH = 6
"""Variations of each photo at the distance that was chosen for a person."""
SEEDS, IMAGES = {"calibrator": 11, "judge": 22}, 60_000
"""Of the two attribute classifiers."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What faces are measured with."""

    generator: Generator
    judge: AttributeClassifier
    space: Any

    def vectors(self, faces: FaceDataset | Pixels) -> Floats64:
        """Identity vectors."""
        images = np.asarray(faces if isinstance(faces, np.ndarray) else faces.images)
        return np.asarray(self.space.extract(images), dtype=np.float64)


def main() -> None:
    """Measure what is not measured yet, and print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="the folder that keeps what was measured")
    parser.add_argument("--faces", type=int, default=200, help="photos, and generated faces")
    parser.add_argument("--persons", type=int, default=20, help="photos that distances for a person are chosen for")
    parser.add_argument("--tables", action="store_true", help="measure nothing, and print what there is")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = load_data(tomllib.loads((options.run / "config.toml").read_text())["data"])
    train, held_out = require(data.train), require(data.valid)
    half = inner_fold(held_out, 0.5, 0)  # of the people
    bench = prepared(options.run, options.work, train, held_out.select(half))
    held_out = held_out.select(~half)
    rows = np.sort(random_generator(0, "steering photos").permutation(len(held_out))[: options.faces])
    photos = replace(held_out.select(rows), factors=None)
    check(bench.generator, photos, options.work / "refusals.json")
    photos = photos.select(np.flatnonzero(~refused(bench.generator, photos)))
    generated = bench.generator.sample(options.faces, seed=1)
    kept = {(one["kind"], one["face"]): one for one in records(options.work / "faces.jsonl")}
    with (options.work / "faces.jsonl").open("a", encoding="utf-8") as file:
        for start in () if options.tables else range(0, options.faces, BATCH):
            for kind, faces in (("photos", photos), ("generated", generated)):
                names = list(map(str, faces.names[start : start + BATCH]))
                if not names or all((kind, name) in kept for name in names):
                    continue
                for one in measured(bench, kind, faces.select(slice(start, start + BATCH)), start < options.persons):
                    kept[kind, one["face"]] = one
                    file.write(json.dumps(one) + "\n")
                file.flush()
                print(f"{kind}: {start + len(names)}", flush=True)
    report(bench, held_out, photos, list(kept.values()))
    if options.out is not None:
        picture(bench.generator, bench.generator.codes(generated.select(np.arange(10))), options.out)


def prepared(run: Path, work: Path, train: FaceDataset, others: FaceDataset) -> Bench:
    """The generator with its calibration on `others`, and the judge; all are kept."""
    generator, attributes = load_generator(run), list(map(str, train.attributes.columns))
    classifiers = {}
    for name, seed in SEEDS.items():
        if not (work / name).exists():
            write_arrays(work / name, AttributeClassifier.train(train, seed=seed, images=IMAGES).arrays())
        classifiers[name] = AttributeClassifier.of_arrays(attributes, read_arrays(work / name), {})
    if not (work / "steering.json").exists():
        started = time.process_time()
        generator.calibrate(others, attributes=ATTRIBUTES, classifier=classifiers["calibrator"])
        print(f"calibration: {time.process_time() - started:.0f} CPU-s", flush=True)
        require(generator.calibration).save(work / "steering.json")
    generator.calibration = Calibration.load(work / "steering.json")
    return Bench(generator, classifiers["judge"], create_feature_space("identity"))


def records(path: Path) -> Iterator[Record]:
    """What was measured before; a line that was cut short is measured again."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def measured(bench: Bench, kind: str, faces: FaceDataset, with_persons: bool) -> list[Record]:
    """All that is measured of some faces."""
    started = time.process_time()
    codes = bench.generator.codes(faces)
    seconds = (time.process_time() - started) / len(faces)
    shown = bench.generator.render(codes)
    own = bench.vectors(faces if kind == "photos" else shown)
    found: list[Record] = [{"kind": kind, "face": str(name)} for name in faces.names]
    if kind == "photos" and "latent" in bench.generator.capabilities:
        tuned = bench.vectors(shown)
        untuned = bench.vectors(bench.generator.render(bench.generator.codes(faces, steps=0)))
        varied = [bench.vectors(bench.generator.render(codes.vary(distance, 1))) for distance in DISTANCES]
        for row, one in enumerate(found):
            one["seconds"], one["tuned"], one["untuned"] = (
                round(value, 4) for value in (seconds, apart(tuned, own)[row], apart(untuned, own)[row])
            )
            one["varied"] = [round(float(apart(each, own)[row]), 4) for each in varied]
            if with_persons:
                one |= persons(bench, faces.select([row]), codes.select([row]))
    for one, edits in zip(found, edited(bench, codes, faces, own), strict=True):
        one["edits"] = edits
    return found


def persons(bench: Bench, photo: FaceDataset, codes: Codes) -> Record:
    """The distances chosen for the same and for another person, and how far fresh variations at them are."""
    identity, found = Identity(photo), {}
    for person in ("same", "other"):
        distance = distance_for(person, bench.generator, codes, identity)
        fresh = bench.generator.render(codes.vary(distance, FRESH, seed=99))
        found[person] = {"distance": distance, "apart": np.round(identity.apart(fresh), 4).tolist()}
    return found


def edited(bench: Bench, codes: Codes, faces: FaceDataset, own: Floats64) -> list[Record]:
    """Of each face its edits: towards having each attribute where it has it not, and away from it where it has."""
    generator, calibration = bench.generator, require(bench.generator.calibration)
    parts, reached, sides = [codes], [], []
    for name in ATTRIBUTES:
        has = faces.matching({name: True})
        side = np.where(has, -1, 1)
        for strength in STRENGTHS:
            pairs = [
                calibration.edit(codes.select([row]), name, float(side[row] * strength)) for row in range(len(codes))
            ]
            parts.append(concatenate_codes([one for one, _ in pairs]))
            reached.append(np.concatenate([amount for _, amount in pairs]))
        sides.append(side)
    pictures = [np.asarray(generator.render(part).images) for part in parts]
    seen = bench.judge.log_odds(np.concatenate(pictures)).reshape(len(parts), len(codes), -1)
    found: list[Record] = [{"before": np.round(seen[0, row], 3).tolist()} for row in range(len(codes))]
    for number, name in enumerate(ATTRIBUTES):
        half, full = 1 + 2 * number, 2 + 2 * number
        identity = apart(bench.vectors(pictures[full]), own)
        column = bench.judge.column(name)
        for row, one in enumerate(found):
            one[name] = {
                "side": int(sides[number][row]),
                "half": round(float(seen[half, row, column]), 3),
                "full": np.round(seen[full, row], 3).tolist(),
                "reached": round(float(reached[full - 1][row]), 3),
                "identity": round(float(identity[row]), 4),
            }
    return found


def check(generator: Generator, photos: FaceDataset, place: Path) -> None:
    """Print which pictures are refused as no faces; measured once."""
    if not place.exists():
        shares = {"held-out photos": share(refused(generator, photos))}
        shares |= {name: share(refused(generator, pictures)) for name, pictures in no_faces(photos).items()}
        place.write_text(json.dumps(shares))
    print("## Refusals\n")
    for name, text in json.loads(place.read_text()).items():
        print(f"{name} refused: {text}", flush=True)


def report(bench: Bench, held_out: FaceDataset, photos: FaceDataset, found: Sequence[Record]) -> None:
    """Print the tables."""
    if "latent" in bench.generator.capabilities:
        report_variations(bench, held_out, photos, [one for one in found if one["kind"] == "photos"])
    print("\n## Edits\n")
    print(
        "| attribute | faces | span at strength 1 | monotone | same person | worst leakage (sd) | cut | span, uncut |"
    )
    print("|---|---|---|---|---|---|---|---|")
    real = bench.judge.log_odds(held_out.images).astype(np.float64)
    for name in ATTRIBUTES:
        for kind in ("generated", "photos"):
            faces = [one["edits"] for one in found if one["kind"] == kind and name in one["edits"]]
            print(edit_row(bench.judge, held_out, real, name, kind, faces))


def report_variations(bench: Bench, held_out: FaceDataset, photos: FaceDataset, of_photos: Sequence[Record]) -> None:
    """Print the tables of inversion and of variations."""
    print("\n## Inversion\n")
    own = bench.vectors(photos)
    others, mates = pairs(photos, held_out)
    mate_apart = apart(bench.vectors(photos.select(others)), bench.vectors(held_out.select(mates)))
    non_mates = apart(own, np.roll(own, 1, axis=0))[photos.identity != np.roll(require(photos.identity), 1)]
    tuned = np.array([one["tuned"] for one in of_photos])
    print(f"another photo of the person: {distances(mate_apart)}")
    print(f"another person: {distances(non_mates)}")
    print(f"encoder alone: {distances(np.array([one['untuned'] for one in of_photos]))}")
    print(f"tuning, {np.mean([one['seconds'] for one in of_photos]):.2f} CPU-s a photo: {distances(tuned)}")
    print(f"nearer than the median pair of one person: {share(tuned < np.median(mate_apart))}")
    print("\n## Distance\n\n| d | identity distance | same person |\n|---|---|---|")
    varied = np.array([one["varied"] for one in of_photos])
    for distance, values in zip(DISTANCES, varied.T, strict=True):
        print(f"| {distance} | {mean(values)} | {share(values < SAME_PERSON)} |")
    ranks = np.argsort(np.argsort(varied, axis=1), axis=1)
    each = np.array([np.corrcoef(row, np.arange(len(DISTANCES)))[0, 1] for row in ranks])
    print(f"rank correlation with d, of each photo's five variations: {mean(each)}")
    print("\n## Persons\n\n| wanted | distance | identity distance | same person |\n|---|---|---|---|")
    for person in ("same", "other"):
        chosen = [one[person] for one in of_photos if person in one]
        values = np.array([one["apart"] for one in chosen])
        print(
            f"| {person} | {mean(np.array([one['distance'] for one in chosen]))} | {mean(values.mean(axis=1))} | "
            f"{photo_share(values < SAME_PERSON)} of {values.size} of {len(chosen)} photos |"
        )


def edit_row(
    judge: AttributeClassifier, held_out: FaceDataset, real: Floats64, name: str, kind: str, faces: Sequence[Record]
) -> str:
    """One attribute of one kind of faces."""
    column, mask = judge.column(name), held_out.matching({name: True})
    natural = real[mask].mean(axis=0) - real[~mask].mean(axis=0)
    side = np.array([one[name]["side"] for one in faces])
    before, full = np.array([one["before"] for one in faces]), np.array([one[name]["full"] for one in faces])
    half = np.array([one[name]["half"] for one in faces])
    change = side[:, None] * (full - before)
    span = change[:, column] / natural[column]
    middle = side * (half - before[:, column])
    monotone = (middle > 0) & (change[:, column] > middle)
    excess = change.mean(axis=0) - change.mean(axis=0).clip(np.minimum(natural, 0), np.maximum(natural, 0))
    leaked = np.abs(np.delete(excess / real.std(axis=0), column))
    worst = np.delete(np.array(judge.attributes), column)[leaked.argmax()]
    identity = np.array([one[name]["identity"] for one in faces])
    cut = np.abs(np.array([one[name]["reached"] for one in faces]) - side) > 0.05
    return (
        f"| {name} | {kind} | {mean(span)} | {share(monotone)} | {share(identity < SAME_PERSON)} | "
        f"{leaked.max():.2f} ({worst}) | {cut.mean():.0%} | {mean(span[~cut]) if (~cut).sum() > 1 else 'none'} |"
    )


def apart(first: Floats64, second: Floats64) -> Floats64:
    """(N,) distances."""
    return np.asarray(np.linalg.norm(first - second, axis=1))


def refused(generator: Generator, faces: FaceDataset | Pixels) -> Booleans:
    """(N,) which pictures are refused as no faces."""
    assert isinstance(generator, SteerableGenerator)
    faces = FaceDataset.from_arrays(faces) if isinstance(faces, np.ndarray) else faces
    return np.asarray(generator._scores(faces) < 0)


def no_faces(photos: FaceDataset) -> dict[str, Pixels]:
    """Pictures that show no face, of kinds that the check did not learn from and of some that it did."""
    random, images = random_generator(0, "no faces"), np.asarray(photos.images)
    size, count = images.shape[1], len(images)
    side = size // 8
    small = images.reshape(count, 8, side, 8, side, 3).swapaxes(2, 3).reshape(count, 64, side, side, 3)
    small = np.stack([squares[random.permutation(64)] for squares in small])
    coarse = random.integers(0, 256, (count, 5, 5, 3)).astype(np.uint8)
    clouds = [np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BICUBIC)) for each in coarse]
    return {
        "64 shuffled squares": small.reshape(count, 8, 8, side, side, 3).swapaxes(2, 3).reshape(images.shape),
        "turned by 90 degrees": np.rot90(images, axes=(1, 2)),
        "coloured clouds": np.stack(clouds),
        "white noise": random.integers(0, 256, images.shape).astype(np.uint8),
        "moved by half": np.roll(images, size // 2, axis=2),
    }


def pairs(faces: FaceDataset, others: FaceDataset) -> tuple[list[int], list[int]]:
    """Rows of faces, and of another photo of the same person each."""
    first, second = [], []
    for row, (person, name) in enumerate(zip(require(faces.identity), faces.names, strict=True)):
        found = np.flatnonzero((require(others.identity) == person) & (others.names != name))
        if len(found):
            first.append(row)
            second.append(int(found[0]))
    return first, second


def mean(values: Floats64) -> str:
    """A mean with its 95 % interval."""
    interval = normal_interval(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def share(values: Sequence[bool] | Booleans) -> str:
    """A share with its 95 % interval."""
    interval = proportion_interval(int(np.sum(values)), len(values))
    return f"{interval.value:.0%} [{interval.low:.0%}, {interval.high:.0%}] of {len(values)}"


def photo_share(found: Booleans) -> str:
    """A share of variations (photos, variations), with a 95 % interval over photos."""
    each = found.mean(axis=1)
    interval = normal_interval(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))
    return f"{interval.value:.0%} [{max(interval.low, 0):.0%}, {min(interval.high, 1):.0%}]"


def distances(values: Floats64) -> str:
    """A mean distance, and the share below dlib's threshold."""
    return f"{mean(values)}, below {SAME_PERSON}: {share(values < SAME_PERSON)}"


def picture(generator: Generator, codes: Codes, path: Path) -> None:
    """A sheet of generated faces: rows of each attribute at -0.5, 0 and 0.5, then distances."""
    rows = []
    for name in ATTRIBUTES:
        if name in require(generator.calibration).doses:
            rows += [generator.render(generator.edit(codes, {name: by})).images for by in (-0.5, 0.0, 0.5)]
    sheet = np.concatenate([np.concatenate(list(np.asarray(row)), axis=1) for row in rows])
    Image.fromarray(sheet).save(path)


if __name__ == "__main__":
    main()
