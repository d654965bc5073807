"""Do made faces help where real ones are few? Cuts the positives down, trains a generator on what is left, and asks.

python experiments/scarcity.py celeba:/data/celeba --attrs Eyeglasses,Wearing_Hat --positives 50 --out runs/scarcity
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from augface.data.dataset import FaceDataset
from augface.seeds import random_generator

Rows = npt.NDArray[np.int64]


def scarce_rows(faces: FaceDataset, attributes: Sequence[str], positives: int | None, seed: int) -> Rows:
    """Faces of which so many show each attribute; the others that show it are left out, not relabelled.

    Those that are kept show one of the attributes only, so that all counts are met.
    """
    shown = np.stack([faces.matching({name: True}) for name in attributes], axis=1)
    if positives is None:
        return np.arange(len(faces))
    kept = [np.flatnonzero(~shown.any(axis=1))]
    for column, name in enumerate(attributes):
        alone = np.flatnonzero(shown[:, column] & (shown.sum(axis=1) == 1))
        kept.append(random_generator(seed, "scarce", name).choice(alone, positives, replace=False))
    return np.sort(np.concatenate(kept))
