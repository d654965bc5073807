"""Parts of faces: where an attribute shows, and how a part is laid onto another face without a seam."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, sobel

from augface.arrays import Booleans, Floats32, Pixels

UNIT = 32
"""Widths below are in this fraction of the images' size."""
SPREAD = 1.0
"""How far differences are spread before the part is cut out of them, and how soft its edge is."""
ENERGY = 0.75
"""The share of all differences that lies in the part."""
CERTAIN = 4.0
"""A squared difference counts from this multiple of what chance makes of it: two standard errors."""
DEEPEST = 4
"""The side in pixels at which the pyramid of a picture ends."""


def part_of(images: Pixels, shown: Booleans) -> Floats32:
    """Where an attribute shows: the part of the picture in which faces with and without it differ most.

    Colours, edges and fine contrast are compared pixel by pixel: the squared difference of the two means, over the
    variance, as far as it is certain. The part is the smallest area with three quarters of it all, the same on both
    sides of the face.

    Args:
        images: (N, H, H, 3) aligned faces.
        shown: (N,) which of them show the attribute; both kinds are needed.

    Returns:
        (H, H) weights from 0 to 1 with soft edges.
    """
    size = images.shape[1]
    differences = np.sum([_difference(channel, shown) for channel in _channels(images)], axis=0)
    spread = gaussian_filter(differences + np.flip(differences, axis=1), SPREAD * size / UNIT)
    if not spread.any():  # no part shows it more than any other
        spread = np.ones_like(spread)
    descending = np.sort(spread, axis=None)[::-1]
    least = descending[np.searchsorted(np.cumsum(descending), ENERGY * descending.sum())]
    edged: Floats32 = gaussian_filter((spread >= least).astype(np.float32), 0.75 * SPREAD * size / UNIT)
    part: Floats32 = np.minimum(1.3 * edged, 1)
    return part


def _channels(images: Pixels) -> list[Floats32]:
    """Three colours, the strength of edges and the fine contrast, each (N, H, W)."""
    grey = images.mean(axis=-1, dtype=np.float32)
    edges = np.hypot(sobel(grey, axis=1), sobel(grey, axis=2))
    contrast = np.abs(grey - gaussian_filter(grey, (0, 1, 1)))
    colours = np.moveaxis(images.astype(np.float32), -1, 0)
    return [*colours, *(gaussian_filter(each, (0, 1, 1)) for each in (edges, contrast))]


def _difference(channel: Floats32, shown: Booleans) -> Floats32:
    with_it, without = channel[shown], channel[~shown]
    variance = without.var(axis=0)
    chance = with_it.var(axis=0) / len(with_it) + variance / len(without)
    squared = np.square(with_it.mean(axis=0) - without.mean(axis=0))
    difference: Floats32 = np.maximum(squared - CERTAIN * chance, 0) / (variance + 1)
    return difference


def surroundings(part: Floats32) -> Floats32:
    """(H, W) weights of what lies around a part: what has to fit where the part is laid onto another face."""
    near = gaussian_filter((part > 0.5).astype(np.float32), 2 * SPREAD * len(part) / UNIT)
    around: Floats32 = np.minimum(2 * near, 1) * (1 - part)
    return around


def lay_onto(hosts: Floats32, donors: Floats32, part: Floats32) -> Floats32:
    """Lay a part of each donor onto its host: coarse colours mix over a wide seam, fine detail over a narrow one.

    The Laplacian pyramid of Burt and Adelson (1983). The donors' colours are first moved by what separates the
    surroundings of the part on either face, so that the skin has one tone.

    Args:
        hosts: (N, H, W, 3).
        donors: the same.
        part: (H, W) weights of the donors.

    Returns:
        (N, H, W, 3), which may lie a little outside the range of its inputs.
    """
    around = surroundings(part)[None, ..., None]
    differences = donors - hosts
    if around.any():
        differences -= (differences * around).sum(axis=(1, 2), keepdims=True) / around.sum()
    return hosts + _faded(differences, part[None, ..., None])  # all is linear: hosts need no pyramid of their own


def _faded(differences: Floats32, part: Floats32) -> Floats32:
    """Differences within a part, the coarse ones fading out far around it and the fine ones near it."""
    if min(differences.shape[1:3]) < 2 * DEEPEST:
        return part * differences
    coarse = _halved(differences)
    detail = differences - _doubled(coarse, differences.shape)
    return _doubled(_faded(coarse, _halved(part)), differences.shape) + part * detail


def _halved(images: Floats32) -> Floats32:
    halved: Floats32 = gaussian_filter(images, (0, 1, 1, 0))[:, ::2, ::2]
    return halved


def _doubled(images: Floats32, shape: tuple[int, ...]) -> Floats32:
    larger = images.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]]
    doubled: Floats32 = gaussian_filter(larger, (0, 1, 1, 0))
    return doubled
