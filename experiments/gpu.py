"""What augface does on the GPU that is here: one command, without a network, in at most nine minutes.

    python experiments/gpu.py --out gpu-results
    python experiments/gpu.py --small --out gpu-results       # seconds, on a processor

Writes `gpu.json` and `faces.webp`:

- `agreement`: how far features, and what is measured on them, are from those on the processor, with the bounds;
- `speed`: images a second of extraction and of training at 64 and 128 pixels, and seconds of precision and recall;
- `resume`: whether a training that was stopped half-way ends in the very same bits;
- `best`: the kernel distance of what a training of some minutes gives, by images seen, and a picture of its faces.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import augface
from augface.arrays import Floats32
from augface.data.dataset import FaceDataset
from augface.errors import require
from augface.features import create_feature_space
from augface.features.base import FeatureSpace
from augface.features.extraction import features_of
from augface.files import atomic_write, new_directory
from augface.generators import create_generator
from augface.generators.base import Generator
from augface.metrics import frechet_distance, kernel_distance, prdc
from augface.rebalancing.results import training_log
from augface.results.artifacts import image_grid

BOUNDS = {"features": 1e-3, "frechet_distance": 1e-3, "kernel_distance": 1e-3, "precision": 0.01, "recall": 0.01}
"""Largest differences from the processor: of features relative to their standard deviation, of the first two distances
relative to the distance, of precision and recall as they are."""
BATCHES = (16, 64, 256)
"""Images of a training step that are tried: small ones learn faster an image, large ones show more images a second."""
SMALL = "toy:64"
"""The data of the small mode."""


def main() -> None:
    """Measure, print the results as JSON, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="toy:20000")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--minutes", type=float, default=5.0, help="of the training whose faces are shown")
    parser.add_argument("--small", action="store_true", help="a few dozen images of each, to see that all runs")
    arguments = parser.parse_args()
    new_directory(arguments.out)
    small = arguments.small
    data = augface.load_data(SMALL, size=16) if small else augface.load_data(arguments.data)
    train, valid = require(data.train), require(data.valid)
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "processor",
        "torch": torch.__version__,
        "data": data.source.spec,
    }
    steps: dict[str, Callable[[], Any]] = {
        "agreement": lambda: agreement(valid, train.select(slice(len(valid)))),
        "speed": lambda: speed(train, arguments.out, small=small),
        "resume": lambda: resumes(train, arguments.out, images=64 if small else 20_480),
        "best": lambda: best(train, valid, arguments.out, "64" if small else f"{arguments.minutes:g}m"),
    }
    for name, step in steps.items():
        started = time.perf_counter()
        results[name] = {**step(), "seconds": round(time.perf_counter() - started, 1)}
        print(json.dumps({name: results[name]}), flush=True)
        atomic_write(arguments.out / "gpu.json", json.dumps(results, indent=1) + "\n")


def agreement(real: FaceDataset, others: FaceDataset) -> dict[str, Any]:
    """The same numbers from features of both devices, and whether all differences are within their bounds."""
    fast = [_features(faces, create_feature_space()) for faces in (real, others)]
    with _on_processor():
        exact = [_features(faces, create_feature_space()) for faces in (real, others)]
    found = {"features": float(max(np.abs(a - b).max() / b.std() for a, b in zip(fast, exact, strict=True)))}
    for name, distance in (("frechet_distance", frechet_distance), ("kernel_distance", kernel_distance)):
        here, there = float(distance(*fast)), float(distance(*exact))
        found[name] = abs(here - there) / max(abs(there), 1e-12)
    scores, reference = (prdc(one, other) for one, other in (fast, exact))
    found |= {name: abs(scores[name] - reference[name]) for name in ("precision", "recall")}
    return {
        "differences": found,
        "bounds": BOUNDS,
        "holds": all(found[name] <= bound for name, bound in BOUNDS.items()),
    }


def speed(train: FaceDataset, folder: Path, *, small: bool) -> dict[str, Any]:
    """Images a second of extraction and training, and seconds of precision and recall on many rows."""
    space = create_feature_space()
    _features(train.select(slice(64)), space)  # what is loaded once is not counted
    started = time.perf_counter()
    _features(train, space)
    extraction = len(train) / (time.perf_counter() - started)
    training: dict[str, dict[str, float]] = {}
    for size in (16,) if small else (64, 128):
        faces = require(augface.load_data(SMALL if small else "toy:4000", size=size).train)
        training[f"{size} pixels"] = {}
        for batch in BATCHES[:1] if small else BATCHES:
            place = folder / f"speed-{size}-{batch}"
            create_generator("cgan", batch_size=batch).fit(
                faces, budget="64" if small else "15s", run_dir=place, seed=0
            )
            training[f"{size} pixels"][f"batches of {batch}"] = training_log(place)[-1]["images_per_second"]
    rows = 500 if small else 50_000
    random = np.random.default_rng(0)
    x, y = (random.standard_normal((rows, 64 if small else 1280)).astype(np.float32) for _ in range(2))
    started = time.perf_counter()
    prdc(x, y)
    return {
        "extraction": round(extraction, 1),
        "training": training,
        f"prdc of {rows:,}": round(time.perf_counter() - started, 2),
    }


def resumes(train: FaceDataset, folder: Path, *, images: int) -> dict[str, Any]:
    """Train once at a stretch, and once with a stop in the middle."""
    whole = _fitted(train, folder / "whole", images)
    with mock.patch("augface.training.loop.CHECKPOINTS", 4):
        reference = _fitted(train, folder / "reference", images)
        calls = 0

        def stop_late(*given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise KeyboardInterrupt
            return write(*given)

        from augface.training import loop

        write = loop._write
        try:
            with mock.patch.object(loop, "_write", stop_late):
                _fitted(train, folder / "stopped", images)
        except KeyboardInterrupt:
            pass
        resumed = _fitted(train, folder / "stopped", images, resume=True)
    return {"bit_for_bit": _equal(reference, resumed), "twice_the_same": _equal(whole, reference), "images": images}


def best(train: FaceDataset, valid: FaceDataset, folder: Path, budget: str) -> dict[str, Any]:
    """The kernel distance of a longer training's faces to held-out real ones, and a picture of them."""
    batch = 256 if torch.cuda.is_available() else 16
    generator = create_generator("cgan", batch_size=batch)
    generator.fit(train, budget=budget, run_dir=folder / "best", seed=0)
    faces = generator.sample(len(valid), seed=0)
    space = create_feature_space()
    real, synthetic = _features(valid, space), _features(faces, space)
    grid = image_grid(
        [np.asarray(faces.images[row : row + 12]) for row in range(0, min(48, len(faces) - 12), 12)],
        name="faces",
        title="At random",
        caption="",
        section="samples",
    )
    (folder / "faces.webp").write_bytes(base64.b64decode(grid.webp))
    scores = prdc(real, synthetic)
    return {
        "kernel_distance": float(kernel_distance(real, synthetic)),
        "precision": scores["precision"],
        "recall": scores["recall"],
        "images": training_log(folder / "best")[-1]["images"],
        "batch": batch,
    }


def _features(faces: FaceDataset, space: FeatureSpace) -> Floats32:
    """Computed anew, in an empty cache: the usual one knows nothing of devices."""
    with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, AUGFACE_CACHE=cache):
        return features_of(faces, space)


@contextmanager
def _on_processor() -> Iterator[None]:
    with mock.patch("torch.cuda.is_available", return_value=False):
        yield


def _fitted(train: FaceDataset, folder: Path, images: int, *, resume: bool = False) -> Generator:
    generator = create_generator("cgan")
    generator.fit(train, budget=str(images), run_dir=folder, seed=0, resume=resume)
    return generator


def _equal(one: Generator, other: Generator) -> bool:
    ours, theirs = one._arrays(), other._arrays()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


if __name__ == "__main__":
    main()
