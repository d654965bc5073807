"""A detector of several generators: on each when trained on it, and when trained on the others only.

    python experiments/detector.py celeba:/data/celeba-mini --folder runs/detector

Generators that are not in the folder are trained into it, on the train split, but for `inpaint` and `diffusers`, which
take part where the folder has them; the real faces of the detector are those of the other splits. `resample` stands for
generators that are real but for an artefact: its faces are blurred, noisy, or have the checkerboard of a transposed
convolution.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from augface.classifiers.detector_training import DetectorTrial, train_detector
from augface.classifiers.plausibility import damaged
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.features import create_feature_space
from augface.generators import create_generator, load_generator
from augface.metrics import Interval

ARTEFACTS = ("blur", "noise", "checkerboard")


def generated(train: FaceDataset, folder: Path, budget: str, count: int) -> dict[str, FaceDataset]:
    """Faces of each generator, those with artefacts among them."""
    found = {}
    own = [name for name in ("inpaint", "diffusers") if (folder / name).exists()]
    for name in ("dcgan", "cgan", *own, "composite", "resample"):
        if not (folder / name).exists():
            generator = create_generator(name, **({"channels": 8} if name.endswith("gan") else {}))
            generator.fit(train, budget=budget, seed=0)
            generator.save(folder / name)
        found[name] = load_generator(folder / name).sample(count, seed=1)
    repeated, random = found.pop("resample"), np.random.default_rng(0)
    for kind in ARTEFACTS:
        images = damaged(np.asarray(repeated.images), random, (kind,))
        found[f"resample, {kind}"] = FaceDataset.from_arrays(images, repeated.attributes, spec=kind)
    return found


def shown(number: Interval | None) -> str:
    return "" if number is None else f"{number.value:.3f} ({number.low:.3f} to {number.high:.3f})"


def tables(trial: DetectorTrial) -> None:
    print("| generator | AUC, seen | AUC, unseen | drop | accuracy, seen | accuracy, unseen | unsure |")
    print("|---|---|---|---|---|---|---|")
    for name, one in trial.generators.items():
        cells = [one.seen, one.unseen, one.drop, one.seen_accuracy, one.unseen_accuracy, one.flips]
        print(f"| {name} | {' | '.join(map(shown, cells))} |")
    unseen = [one.unseen_accuracy.value for one in trial.generators.values() if one.unseen_accuracy]
    print(f"\nAccuracy on unseen generators, mean: {np.mean(unseen):.3f}. AUC of all: {shown(trial.auc)}.")
    print(f"Calibration error: {shown(trial.calibration_error)}. Real faces unsure: {shown(trial.flips)}.\n")
    print("| side, JPEG quality | answers that flip |")
    print("|---|---|")
    for (side, quality), share in trial.flips_by_variation.items():
        print(f"| {side} pixels, {quality} | {share:.1%} |")
    print("\n| real faces | called synthetic | faces |")
    print("|---|---|---|")
    for name, (alarms, count) in trial.false_alarms.items():
        print(f"| {name} | {shown(alarms)} | {count} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="celeba:DIR or another data set with splits")
    parser.add_argument("--folder", type=Path, required=True, help="where generators are kept")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--budget", default="20k")
    parser.add_argument("--count", type=int, default=800, help="faces of each generator")
    parser.add_argument("--space", default="efficientnet")
    options = parser.parse_args()
    faces = load_data(options.data, size=options.size)
    assert faces.train is not None
    assert faces.split is not None
    synthetic = generated(faces.train, options.folder, options.budget, options.count)
    tables(train_detector(faces.select(faces.split != "train"), synthetic, create_feature_space(options.space)))


if __name__ == "__main__":
    main()
