"""Pictures with two attributes that can be measured: all of it is bright or dark, and the middle is green or not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augface.data.dataset import FaceDataset

SIZE = 16


def planted(n: int = 240) -> FaceDataset:
    """Noise pictures, dark or bright as a whole, a third of which are green in the middle."""
    stream = np.random.default_rng(0)
    bright, green = stream.random(n) < 0.5, stream.random(n) < 1 / 3
    images = stream.normal(np.where(bright, 190, 70)[:, None, None, None], 10, (n, SIZE, SIZE, 3))
    images[green, 6:11, 5:11, 1] += 60
    images[green, 6:11, 5:11, 0] -= 60
    labels = pd.DataFrame({"Green": green, "Bright": bright}).astype("boolean")
    return FaceDataset.from_arrays(images.clip(0, 255).astype(np.uint8), labels)


def greenness(images: np.ndarray) -> np.ndarray:
    middle = images[:, 6:11, 5:11].astype(float).mean(axis=(1, 2))
    return np.asarray(middle[:, 1] - middle[:, 0])
