"""Which loss and which learning rate learn fastest an image? Trains the conditional GAN with each and compares.

    python experiments/recipe.py celeba:/data/celeba --images 50k

Prints a table: kernel distance of ungated samples to the valid split (and that of real training faces), images a
second, and how well a classifier trained on real faces tells samples asked with Eyeglasses from samples asked without.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import augface
from augface.classifier import AttributeClassifier
from augface.data.splits import inner_fold
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.metrics import kernel_distance

RECIPES: dict[str, dict[str, Any]] = {
    "relativistic, R1 0.5, lr 1e-3, batch 16 (shipped)": {},
    "relativistic, R1 0.5, lr 2e-3": {"learning_rate": 2e-3, "discriminator_learning_rate": 2e-3},
    "relativistic, R1 0.5, lr 2e-4": {"learning_rate": 2e-4, "discriminator_learning_rate": 2e-4},
    "relativistic, R1 0.5, lr 1e-3, batch 64": {"batch_size": 64},
    "cross-entropy, R1 0.5, lr 1e-3": {"loss": "bce"},
    "hinge, R1 0.5, lr 1e-3": {"loss": "hinge"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", default="50k")
    parser.add_argument("--attr", default="Eyeglasses")
    parser.add_argument("--only", default="", help="only the recipes whose name holds this")
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data)
    train, valid = data.train, data.valid
    if train is None or valid is None:
        raise SystemExit("The data need a train and a valid split.")
    space = create_feature_space()
    reference = features_of(valid, space)
    judge = AttributeClassifier.train(train, inner_fold(train, 0.2, 0))
    column = judge.column(arguments.attr)
    chosen = np.random.default_rng(0).permutation(len(train))[: len(valid)]
    baseline = kernel_distance(features_of(train.select(chosen), space), reference)
    print(f"Kernel distance of as many real training faces: {baseline:.5f}\n")
    print("| recipe | kernel distance | images/s | AUC asked with / without |\n|---|---|---|---|")
    for name, settings in RECIPES.items():
        if arguments.only not in name:
            continue
        generator = augface.create_generator("cgan", balance=(arguments.attr,), **settings)
        started = time.perf_counter()
        generator.fit(train, budget=arguments.images, seed=0)
        seconds = time.perf_counter() - started
        distance = kernel_distance(features_of(generator.sample(len(valid), seed=1), space), reference)
        asked = [generator.sample(500, where={arguments.attr: value}, seed=2) for value in (False, True)]
        seen = np.concatenate([judge.probabilities(faces.images)[:, column] for faces in asked])
        auc = roc_auc_score(np.repeat([0, 1], 500), seen)
        shown = int(float(arguments.images.rstrip("k")) * (1000 if arguments.images.endswith("k") else 1))
        print(f"| {name} | {distance:.4f} | {shown / seconds:.0f} | {auc:.3f} |", flush=True)


if __name__ == "__main__":
    main()
