"""Is the region that is wrong named? Real faces, changed on purpose, against other real ones.

python experiments/region_proofs.py --data celeba:FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from augface.arrays import Pixels
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.face_region import face_mask
from augface.errors import require
from augface.evaluators.base import Context
from augface.evaluators.regions import Regions

COLUMNS = [
    f"{region}_{name}"
    for region in ("face", "surroundings")
    for name in ("kernel_distance", "precision", "recall", "coverage")
]


def blurred(images: Pixels, radius: float) -> Pixels:
    """Images under a Gaussian of this many pixels."""
    return np.asarray(gaussian_filter(images, (0, radius, radius, 0)), dtype=np.uint8)


def blended(inside: Pixels, outside: Pixels) -> Pixels:
    """The face of one, the surroundings of the other."""
    mask = face_mask(inside.shape[1])[:, :, None]
    return np.asarray((inside * mask + outside * (1 - mask)).round(), dtype=np.uint8)


def noisy(images: Pixels) -> Pixels:
    """Images with Gaussian noise of 6 grey levels."""
    noise = np.random.default_rng(0).normal(0, 6, images.shape)
    return np.asarray((images + noise).clip(0, 255).round(), dtype=np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "unchanged": lambda images: images,
    "surroundings blurred by 3 px": lambda images: blended(images, blurred(images, 3)),
    "surroundings blurred by 1 px": lambda images: blended(images, blurred(images, 1)),
    "face blurred by 1 px": lambda images: blended(blurred(images, 1), images),
    "face blurred by 2 px": lambda images: blended(blurred(images, 2), images),
    "all blurred by 0.8 px": lambda images: blurred(images, 0.8),
    "face with noise": lambda images: blended(noisy(images), images),
    "surroundings with noise": lambda images: blended(images, noisy(images)),
}


def changed(faces: FaceDataset, change: Callable[[Pixels], Pixels]) -> FaceDataset:
    """The faces with other pixels."""
    return replace(faces, images=FaceDataset.from_arrays(change(np.asarray(faces.images))).images)


def main() -> None:
    """Print one row a change: where the distance is, and both regions' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--faces", type=int, default=600)
    arguments = parser.parse_args()
    data = load_data(arguments.data, size=arguments.size)
    train, reference = data.train, data.valid
    if train is None or reference is None:
        parser.error("the data need splits")
    rows = np.random.default_rng(0).permutation(len(train))
    shown, learnt = train.select(rows[: arguments.faces]), train.select(rows[arguments.faces :])
    print("| change | outside the face | " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "---|" * len(COLUMNS))
    for name, change in CHANGES.items():
        context = Context(reference=reference, samples=changed(shown, change), train=learnt)
        found = {one.name: one for one in Regions().evaluate(context).measurements}
        share = found["surroundings_share"]
        cells = [f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"]
        for column in COLUMNS:
            one = found[column]
            baseline = require(one.baseline)
            cells.append(f"{one.value:.4f} [{baseline.value:.4f}] {one.verdict}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
