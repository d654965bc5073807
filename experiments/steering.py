"""How far faces can be steered: inversion, variations, edits and refusals, on photos of held-out people.

    python experiments/steering.py RUN [--faces 200] [--tuned 60] [--edited 60] [--out grids.webp]

RUN is the folder of a `cgan` training on labelled faces with identities (CelebA). Judges: dlib's identity network
(augface[identity]), and an attribute classifier of the train split, of another seed than the calibration's.
Prints the tables of docs/steering.md. `--out` writes grids of generated faces; no photo of anybody is in them.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from augface.arrays import Booleans, Floats64, Pixels
from augface.classifiers.attributes import AttributeClassifier
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import DataError, require
from augface.features import create_feature_space
from augface.generators import load_generator
from augface.generators._calibration import Calibration
from augface.generators._codes import Codes
from augface.generators.base import Generator
from augface.metrics.intervals import normal_interval, proportion_interval
from augface.seeds import random_generator

ATTRIBUTES = ("Smiling", "Eyeglasses", "Male", "Young")
DISTANCES = (0.2, 0.4, 0.6, 0.8, 1.0)
SAME = 0.6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--tuned", type=int, default=60, help="photos that are varied")
    parser.add_argument("--edited", type=int, default=60, help="photos and generated faces that are edited; 0 for none")
    parser.add_argument("--judge-images", type=int, default=60_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = load_data(tomllib.loads((options.run / "config.toml").read_text())["data"])
    train, held_out = require(data.train), require(data.valid)
    generator = load_generator(options.run / "generator")
    space = create_feature_space("identity")
    rows = random_generator(0, "steering photos").permutation(len(held_out))[: options.faces]
    photos = held_out.select(np.sort(rows))

    def vectors(faces: FaceDataset | Pixels) -> Floats64:
        return space.extract(np.asarray(faces if isinstance(faces, np.ndarray) else faces.images)).astype(np.float64)

    def apart(first: Floats64, second: Floats64) -> Floats64:
        return np.asarray(np.linalg.norm(first - second, axis=1))

    print("## Refusals\n")
    print(f"held-out photos refused: {share(refused(generator, photos))}")
    for name, pictures in no_faces(photos).items():
        print(f"{name} refused: {share(refused(generator, pictures))}", flush=True)
    kept = photos.select(np.flatnonzero(~refused(generator, photos)))
    own = vectors(kept)

    print("\n## Inversion\n")
    others, mates = pairs(kept, held_out)
    mate_apart = apart(vectors(kept.select(others)), vectors(held_out.select(mates)))
    strangers = apart(own, np.roll(own, 1, axis=0))[kept.identity != np.roll(require(kept.identity), 1)]
    print(f"another photo of the person: {distances(mate_apart)}")
    print(f"another person: {distances(strangers)}")
    untuned = apart(vectors(generator.render(generator.codes(kept, steps=0))), own)
    print(f"encoder alone: {distances(untuned)}")
    photos = kept.select(slice(0, options.tuned))
    own = own[: options.tuned]
    started = time.process_time()
    codes = generator.codes(photos)
    seconds = (time.process_time() - started) / len(photos)
    tuned = apart(vectors(generator.render(codes)), own)
    nearer = tuned < np.median(mate_apart)
    print(f"tuning, {seconds:.2f} CPU-s a photo: {distances(tuned)}; nearer than the median pair of one ")
    print(f"person: {share(nearer)}", flush=True)

    print("\n## Distance\n\n| d | identity distance | same person |\n|---|---|---|")
    by_distance = []
    for distance in DISTANCES:
        found = apart(vectors(generator.render(codes.vary(distance, 1))), own)
        by_distance.append(found)
        print(f"| {distance} | {mean(found)} | {share(found < SAME)} |", flush=True)
    ranks = np.argsort(np.argsort(np.stack(by_distance), axis=0), axis=0).mean(axis=1)
    print(f"mean rank of each distance among the five: {np.round(ranks, 2).tolist()}")

    if not options.edited:
        return
    print("\n## Edits\n")
    codes, own = codes.select(np.arange(min(options.edited, len(codes)))), own[: options.edited]
    judge = AttributeClassifier.train(train, seed=7, images=options.judge_images)
    place = options.run / "steering.json"
    if place.exists():
        generator.calibration = Calibration.load(place)
    else:
        started = time.process_time()
        generator.calibrate(train)
        print(f"calibration: {time.process_time() - started:.0f} CPU-s\n")
        require(generator.calibration).save(place)
    generated = generator.codes(generator.sample(options.edited, seed=1))
    print("| attribute | faces | span -0.5 to 0.5 | rises | same person | worst leakage (sd) | cut |")
    print("|---|---|---|---|---|---|---|")
    real = judge.log_odds(held_out.images).astype(np.float64)
    for name in (name for name in ATTRIBUTES if name in require(generator.calibration).doses):
        column, mask = judge.column(name), held_out.matching({name: True})
        natural = real[mask].mean(axis=0) - real[~mask].mean(axis=0)
        for what, these, start in (
            ("generated", generated, vectors(generator.render(generated))),
            ("photos", codes, own),
        ):
            sides = [generator.render(generator.edit(these, {name: by})) for by in (-0.5, 0.5)]
            change = np.subtract(*(judge.log_odds(side.images).astype(np.float64) for side in sides[::-1]))
            span = change[:, column] / natural[column]
            excess = change.mean(axis=0) - change.mean(axis=0).clip(np.minimum(natural, 0), np.maximum(natural, 0))
            excess = np.abs(np.delete(excess / real.std(axis=0), column))
            worst = np.delete(np.array(judge.attributes), column)[excess.argmax()]
            identity = np.concatenate([apart(vectors(side), start) for side in sides])
            reached = np.concatenate(
                [require(generator.calibration).edit(these, name, by)[1] - by for by in (-0.5, 0.5)]
            )
            print(
                f"| {name} | {what} | {mean(span)} | {share(change[:, column] > 0)} | {share(identity < SAME)} | "
                f"{excess.max():.2f} ({worst}) | {(np.abs(reached) > 0.05).mean():.0%} |",
                flush=True,
            )
    if options.out is not None:
        picture(generator, generated.select(np.arange(10)), options.out)


def refused(generator: Generator, faces: FaceDataset | Pixels) -> Booleans:
    """(N,) which pictures are refused as no faces."""
    faces = FaceDataset.from_arrays(faces) if isinstance(faces, np.ndarray) else replace(faces, factors=None)
    found = np.zeros(len(faces), dtype=np.bool_)
    for row in range(len(faces)):
        try:
            generator.codes(faces.select([row]), steps=0)
        except DataError:
            found[row] = True
    return found


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


def distances(values: Floats64) -> str:
    """A mean distance, and the share below dlib's threshold."""
    return f"{mean(values)}, below {SAME}: {share(values < SAME)}"


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
