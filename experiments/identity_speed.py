"""The identity space beside dlib itself: faces a second, agreement, and how well it tells people apart.

    python experiments/identity_speed.py celeba:FOLDER

Needs dlib and the extras `identity` and `fast`. In each round every way sees the same faces, one after another, so that
a busy machine slows all of them; the fastest round of each counts, in seconds and in processor seconds of all threads.
dlib is given faces that are cropped and resized already; augface crops and resizes them itself, and the time for that
is in its figures. Where others use the machine, set OMP_NUM_THREADS=1: torch's threads wait for each other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from augface.data import load_data
from augface.features.extraction import features_of
from augface.features.identity import MEAN, IdentitySpace
from augface.features.identity_network import identity_network
from augface.features.network import network_function
from augface.metrics.verification import same_person_auc
from augface.seeds import random_generator
from augface.threads import cores

Pixels = npt.NDArray[np.uint8]
Way = Callable[[], npt.NDArray[Any]]


def as_dlib_takes_it(image: Pixels) -> Pixels:
    planes = IdentitySpace().prepare(image) * 256 + np.array(MEAN)[:, None, None]
    return np.ascontiguousarray(np.rint(planes).astype(np.uint8).transpose(1, 2, 0))


def augface(images: Pixels, openvino: bool) -> Way:
    space = IdentitySpace()
    with nullcontext() if openvino else patch("augface.features.network.find_spec", return_value=None):
        network = network_function(
            identity_network(space.weights.path), (space.batch, 3, space.resolution, space.resolution)
        )

    def features() -> npt.NDArray[Any]:
        parts = np.split(images, range(space.batch, len(images), space.batch))
        return np.concatenate([network(np.stack([space.prepare(image) for image in part])) for part in parts])

    return features


def measure_speed(images: Pixels, rounds: int) -> None:
    model = import_module("dlib").face_recognition_model_v1(str(IdentitySpace().weights.path))
    chips = [as_dlib_takes_it(image) for image in images]
    ways: dict[str, Way] = {
        "dlib, one by one": lambda: np.array([model.compute_face_descriptor(chip) for chip in chips]),
        "dlib, all in one call": lambda: np.array(model.compute_face_descriptor(chips)),
        "augface, torch": augface(images, openvino=False),
        "augface, OpenVINO": augface(images, openvino=True),
    }
    rounds_of: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    found = {name: way() for name, way in ways.items()}  # the first time warms up
    for _ in range(rounds):
        for name, way in ways.items():
            start, processor = time.perf_counter(), time.process_time()
            way()
            rounds_of[name].append((time.perf_counter() - start, time.process_time() - processor))
    speeds = {name: len(images) / np.min(each, axis=0) for name, each in rounds_of.items()}
    wanted, slow = found["dlib, one by one"], speeds["dlib, one by one"]
    print(f"{len(images)} faces, {cores()} cores, best of {rounds} rounds\n")
    print("| way | faces/s | times dlib | faces/processor s | times dlib | lowest cosine to dlib |")
    print("|---|---|---|---|---|---|")
    for name, features in found.items():
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(wanted, axis=1)
        cosine = ((features * wanted).sum(axis=1) / lengths).min()
        figures = [f"{each:.1f}" for pair in zip(speeds[name], speeds[name] / slow, strict=True) for each in pair]
        print(f"| {name} | {' | '.join(figures)} | {cosine:.8f} |")


def measure_auc(spec: str) -> None:
    print("\n| pixels | faces | people | AUC | 95 % over people |\n|---|---|---|---|---|")
    for size in (64, 128):
        data = load_data(spec, size=size)
        if data.identity is not None:
            found = same_person_auc(features_of(data, IdentitySpace()), data.identity, random_generator(0, "pairs"))
            people = len(np.unique(data.identity))
            print(f"| {size} | {len(data)} | {people} | {found.value:.4f} | {found.low:.4f} to {found.high:.4f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="faces aligned as CelebA's: a specification such as celeba:FOLDER")
    parser.add_argument("--count", type=int, default=64, help="faces to time, a multiple of 8")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    measure_speed(np.asarray(load_data(arguments.data, size=64).images[: arguments.count]), arguments.rounds)
    measure_auc(arguments.data)
