"""Similarity transforms between photos and crops: fitted to points, and applied to pixels.

Coordinates are x and y in pixels from the top left corner of the picture, so that the middle of its first pixel is at
0.5, 0.5. A transform is float64 (2, 3): a point p of the crop lies at `transform[:, :2] @ p + transform[:, 2]` in the
photo.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from augface.arrays import Floats64, Pixels

Outside = Literal["symmetric", "constant"]
"""What a crop shows where it leaves the photo: the photo reflected at its edge, or black."""
MARGIN = 4
"""Pixels around a crop that its interpolation may reach."""


def fit_similarity(points: Floats64, targets: Floats64) -> Floats64:
    """The rotation, scale and shift that takes `points` nearest to `targets`, both (K, 2), K from 2 up.

    The least-squares solution of Umeyama (1991, doi:10.1109/34.88573), in complex numbers; it never mirrors.

    >>> fit_similarity(np.array([[0, 0], [1, 0]]), np.array([[5, 5], [5, 7]]))
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    p, q = points @ np.array([1, 1j]), targets @ np.array([1, 1j])
    centred = p - p.mean()
    factor = (np.conj(centred) @ q) / (np.conj(centred) @ centred).real
    shift = q.mean() - factor * p.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def scale(transform: Floats64) -> float:
    """Pixels of the photo to one of the crop."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def move(transform: Floats64, points: Floats64) -> Floats64:
    """Points (..., 2) of the crop, in the photo."""
    moved: Floats64 = points @ transform[:, :2].T + transform[:, 2]
    return moved


def share_inside(transform: Floats64, size: int, width: int, height: int) -> float:
    """Which share of a crop of size x size pixels lies in a photo of this width and height."""
    places = (np.arange(32) + 0.5) / 32 * size
    x, y = move(transform, np.stack(np.meshgrid(places, places), axis=-1)).reshape(-1, 2).T
    return float(np.mean((x >= 0) & (x < width) & (y >= 0) & (y < height)))


def crop(photo: Image.Image, transform: Floats64, size: int, *, outside: Outside = "symmetric") -> Pixels:
    """The crop, uint8 (size, size, 3), of an RGB photo, without aliasing.

    The photo is first averaged over blocks, down to 2 to 4 pixels for each of the crop; from there on bicubic
    interpolation at that finer pitch turns and shifts it, and the Lanczos filter of `images.decode_face` ends it.
    """
    corners = move(transform, size * np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    factor = max(1, int(scale(transform) // 2))
    margin = MARGIN * factor
    left, top = np.floor(corners.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + margin
    part = _part(photo, int(left), int(top), int(right), int(bottom), outside)
    if factor > 1:
        part = part.reduce(factor)
    finer = max(1, int(np.ceil(scale(transform) / factor)))
    relative = (transform - np.array([[0, 0, left], [0, 0, top]])) / factor
    relative[:, :2] /= finer
    side = finer * size
    turned = part.transform(
        (side, side), Image.Transform.AFFINE, tuple(relative.ravel().tolist()), Image.Resampling.BICUBIC
    )
    return np.asarray(turned.resize((size, size), Image.Resampling.LANCZOS) if finer > 1 else turned)


def _part(photo: Image.Image, left: int, top: int, right: int, bottom: int, outside: Outside) -> Image.Image:
    """A rectangle that may reach beyond the photo."""
    width, height = photo.size
    inner = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if inner == (left, top, right, bottom):
        return photo.crop(inner)
    if inner[0] >= inner[2] or inner[1] >= inner[3]:
        return Image.new("RGB", (right - left, bottom - top))
    borders = ((inner[1] - top, bottom - inner[3]), (inner[0] - left, right - inner[2]), (0, 0))
    return Image.fromarray(np.pad(np.asarray(photo.crop(inner)), borders, mode=outside))
