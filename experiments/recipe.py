"""Which recipe learns most, an image or in the same time? Trains the conditional GAN with each and compares.

    python experiments/recipe.py celeba:/data/celeba --budget 30k
    python experiments/recipe.py celeba:/data/celeba --budget 5m --size 128 --only channels

Prints a table: kernel distance of unfiltered samples to the valid split (and that of real training faces); how much
faces that are requested with the same labels differ among themselves (the distance of two in feature space, by that of
two real faces); images a second; how well a classifier trained on real faces tells samples asked with Eyeglasses from
samples asked without.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import augface
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.features import create_feature_space
from augface.features.base import Features
from augface.features.extraction import features_of
from augface.metrics import kernel_distance

RECIPES: dict[str, dict[str, Any]] = {
    "shipped": {},
    "learning rate 2e-3": {"learning_rate": 2e-3, "discriminator_learning_rate": 2e-3},
    "learning rate 2e-4": {"learning_rate": 2e-4, "discriminator_learning_rate": 2e-4},
    "batch of 64": {"batch_size": 64},
    "cross-entropy": {"loss": "bce"},
    "hinge": {"loss": "hinge"},
    "hinge, spectral norms, no R1": {"loss": "hinge", "spectral_norm": True, "gradient_penalty_weight": 0.0},
    "R1 and R2 of 2 each": {"gradient_penalty_weight": 2.0, "generated_gradient_penalty_weight": 2.0},
    "noise not looked for": {"noise_weight": 0.0},
    "noise looked for thrice as much": {"noise_weight": 3.0},
    "translated, colours changed": {"augmentations": ("colour", "translate")},
    **{f"{channels} channels": {"channels": channels} for channels in (8, 16, 32, 64)},
}
SAME = 64
"""Kinds of faces of which two are made each, to see how much they differ."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--budget", default="30k")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--attr", default="Eyeglasses")
    parser.add_argument("--only", default="", help="only the recipes whose name holds this")
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data, size=arguments.size)
    train, valid = data.train, data.valid
    if train is None or valid is None:
        raise SystemExit("The data need a train and a valid split.")
    space = create_feature_space()
    reference = features_of(valid, space)
    judge = AttributeClassifier.train(train, inner_fold(train, 0.2, 0))
    chosen = np.random.default_rng(0).permutation(len(train))[: len(valid)]
    real = features_of(train.select(chosen), space)
    print(f"Kernel distance of as many real training faces: {kernel_distance(real, reference):.5f}\n")
    print(
        "| recipe | images | images/s | kernel distance | spread of the same labels | AUC asked with / without |\n"
        "|---|---|---|---|---|---|"
    )
    for name, settings in RECIPES.items():
        if arguments.only not in name:
            continue
        generator = augface.create_generator("cgan", balance=(arguments.attr,), **settings)
        with tempfile.TemporaryDirectory() as folder:
            generator.fit(train, budget=arguments.budget, run_dir=Path(folder), seed=0)
            last = json.loads((Path(folder) / "log.jsonl").read_text().splitlines()[-1])
        distance = kernel_distance(features_of(generator.sample(len(valid), seed=1), space), reference)
        asked = [generator.sample(500, where={arguments.attr: value}, seed=2) for value in (False, True)]
        seen = np.concatenate([judge.probabilities(faces.images)[:, judge.column(arguments.attr)] for faces in asked])
        auc = roc_auc_score(np.repeat([0, 1], 500), seen)
        kinds = [
            {name: bool(value) for name, value in train.attributes.iloc[row].dropna().items()} for row in chosen[:SAME]
        ]
        pairs = np.stack([generator.sample(2, where=kind, seed=3).images[:] for kind in kinds])
        spread = _distance(*(features_of(FaceDataset.from_arrays(side), space) for side in (pairs[:, 0], pairs[:, 1])))
        spread /= _distance(*np.array_split(real[: len(real) // 2 * 2], 2))
        print(
            f"| {name} | {last['images']:,} | {last['images'] / last['seconds']:.0f} | {distance:.4f} | {spread:.2f} "
            f"| {auc:.3f} |",
            flush=True,
        )


def _distance(left: Features, right: Features) -> float:
    """Median Euclidean distance of N pairs of features (N, D)."""
    return float(np.median(np.linalg.norm(left - right, axis=1)))


if __name__ == "__main__":
    main()
