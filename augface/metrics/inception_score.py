"""Inception score (Salimans et al. 2016, arXiv:1606.03498): how sure a classifier is of each image, and how varied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.errors import DataError
from augface.metrics.arrays import feature_matrix


def inception_score(probabilities: npt.ArrayLike, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(class | image) || p(class)), from 1 to the number of classes: mean and standard deviation of splits.

    It never looks at a real face, and grows with the number of images in a split: compare only at one n.

    Args:
        probabilities: (N, C), rows that add up to 1.
        splits: parts of consecutive rows; shuffle them before.

    Raises:
        DataError: fewer rows than splits, or rows that are no probabilities.

    >>> inception_score([[1.0, 0.0], [0.0, 1.0]], splits=1)
    (2.0, 0.0)
    """
    rows = feature_matrix(probabilities, "class", minimum=splits)
    if rows.min() < 0 or abs(rows.sum(axis=1) - 1).max() > 1e-4:
        raise DataError("The rows of class probabilities must be at least 0 and add up to 1.")
    scores = []
    for part in np.array_split(rows, splits):
        mean = np.broadcast_to(part.mean(axis=0), part.shape)
        ratio = np.divide(part, mean, out=np.ones_like(part), where=part > 0)
        scores.append(np.exp((part * np.log(ratio)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
