"""How alike pictures are when one may be shifted against the other."""

from __future__ import annotations

import itertools

import numpy as np

from augface.arrays import Floats32, Floats64


def registered_distances(pictures: Floats32, others: Floats32, reach: int) -> Floats32:
    """Distances of pictures to others, each shifted by up to `reach` pixels to where it is nearest.

    The inner part of a picture is laid over every part of the other that has its size. Both are brought to mean 0 and
    length 1, so that neither brightness nor contrast count, and d² = 2 - 2 r with r their correlation.

    Args:
        pictures: (P, S, S), grey.
        others: (K, S, S), grey.
        reach: pixels in either direction.

    Returns:
        (P, K) from 0 for equal over √2 for unrelated pictures to 2. What is of one colour is unrelated to all.
    """
    size = pictures.shape[1]
    side, shifts = size - 2 * reach, range(2 * reach + 1)
    inner = pictures[:, reach : reach + side, reach : reach + side]
    inner = inner - inner.mean(axis=(1, 2), keepdims=True)
    inner /= np.linalg.norm(inner, axis=(1, 2), keepdims=True).clip(min=1)
    # the inner part at every place where it may lie, and nothing around it: one product of matrices does all shifts
    placed = np.zeros((len(inner), len(shifts), len(shifts), size, size), dtype=np.float32)
    for down, across in itertools.product(shifts, shifts):
        placed[:, down, across, down : down + side, across : across + side] = inner
    products = placed.reshape(-1, size * size) @ others.reshape(len(others), -1).T
    products = np.moveaxis(products.reshape(*placed.shape[:3], len(others)), -1, 1)
    energies = window_sums(np.square(others), side) - window_sums(others, side) ** 2 / side**2
    best = (products / np.sqrt(energies.clip(min=1))).max(axis=(2, 3))
    return np.asarray(np.sqrt((2 - 2 * best).clip(min=0)), dtype=np.float32)


def window_sums(pictures: Floats32, side: int) -> Floats64:
    """Sums over all square windows of pictures (K, S, S): (K, S - side + 1, S - side + 1).

    >>> window_sums(np.ones((1, 3, 3), np.float32), 2)
    array([[[4., 4.],
            [4., 4.]]])
    """
    places, starts = np.arange(pictures.shape[1])[:, None], np.arange(pictures.shape[1] - side + 1)
    within = ((places >= starts) & (places < starts + side)).astype(np.float64)
    return np.asarray(within.T @ (pictures @ within))
