"""The pictures that raters see, all encoded alike, so that only the face tells what it is; masks; distorted faces."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from augface.arrays import Pixels

QUALITY = 90
TWIST = 3.0
"""Radians by which the middle of a distorted face is turned."""
MASK_BLOCKS = 16
"""Squares along the side of a mask."""


def encode(face: Pixels) -> bytes:
    """A face as JPEG: the same quality and full colour for all, baseline, with no metadata at all.

    Args:
        face: uint8 (H, H, 3).
    """
    file = io.BytesIO()
    Image.fromarray(face).save(file, format="JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()


def encode_alike(faces: Sequence[Pixels]) -> list[bytes]:
    """Faces as JPEG files of one length: a blurred face takes fewer bytes, which would tell it to who looks at those.

    What follows the end of a picture is ignored by whoever shows it.
    """
    contents = [encode(face) for face in faces]
    longest = max(map(len, contents))
    return [content.ljust(longest, b"\0") for content in contents]


def distorted(face: Pixels) -> Pixels:
    """A picture that nobody who looks takes for a real face: its middle twisted, its red and blue exchanged.

    Args:
        face: uint8 (H, H, 3).
    """
    side = face.shape[0]
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(row, column) / (side / 2)
    angle = TWIST * np.clip(1 - distance, 0, 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    places = np.stack([cosine * row - sine * column, sine * row + cosine * column]) + (side - 1) / 2
    twisted = [
        ndimage.map_coordinates(face[..., channel].astype(np.float64), places, order=1, mode="nearest")
        for channel in (2, 1, 0)
    ]
    return np.round(np.stack(twisted, axis=-1)).astype(np.uint8)


def mask(faces: Pixels, random: np.random.Generator) -> Pixels:
    """Small squares from all places of all faces, mixed: what is shown after a face to end its sight.

    Args:
        faces: uint8 (N, H, H, 3), real and generated ones.
        random: draws the squares.
    """
    side = faces.shape[1]
    block = max(2, side // MASK_BLOCKS)
    count = -(-side // block)
    corners = random.integers(0, side - block + 1, (count, count, 2))
    rows = random.integers(0, len(faces), (count, count))
    squares: list[list[npt.NDArray[np.uint8]]] = [
        [
            faces[rows[i, j], corners[i, j, 0] : corners[i, j, 0] + block, corners[i, j, 1] : corners[i, j, 1] + block]
            for j in range(count)
        ]
        for i in range(count)
    ]
    return np.concatenate([np.concatenate(line, axis=1) for line in squares])[:side, :side]
