"""Images as arrays: chosen rows of a stored array, read only where they are requested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats32, Integers, Pixels


class ImageRows:
    """Chosen rows of a stored uint8 array (N, H, W, 3): reads only the rows that are requested.

    `rows[i]` is one image, `rows[a:b]` and `rows[indices]` are arrays, `numpy.asarray(rows)` is all of them.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, stored: Pixels, rows: Integers) -> None:
        self.stored = stored
        self.rows = rows

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""
        height, width, channels = self.stored.shape[1:]
        return len(self.rows), height, width, channels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Pixels:
        return np.asarray(self.stored[self.rows[index]])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, a file that is mapped into memory is named, not copied; of other images the chosen rows go along."""
        stored = self.stored
        if isinstance(stored, np.memmap) and stored.filename is not None:
            return _mapped, (str(stored.filename), stored.offset, stored.shape, self.rows)
        return ImageRows, (np.asarray(self), np.arange(len(self), dtype=np.int64))

    def take(self, rows: Integers) -> ImageRows:
        """Some of the rows, as a view."""
        return ImageRows(self.stored, self.rows[rows])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        images = np.asarray(self.stored[self.rows])
        return images if dtype is None else images.astype(dtype)


def _mapped(file: str, offset: int, shape: tuple[int, ...], rows: Integers) -> ImageRows:
    return ImageRows(np.memmap(file, dtype=np.uint8, mode="r", offset=offset, shape=shape), rows)


def blank_images(count: int, size: int) -> ImageRows:
    """Black images that take no memory, in place of images that nobody will look at."""
    return ImageRows(np.zeros((1, size, size, 3), dtype=np.uint8), np.zeros(count, dtype=np.int64))


def join_images(parts: Sequence[ImageRows]) -> ImageRows:
    """The images of several sets one after another: a view where all are stored together, else copied into memory."""
    if all(part.stored is parts[0].stored for part in parts):
        return ImageRows(parts[0].stored, np.concatenate([part.rows for part in parts]))
    pixels = np.concatenate([np.asarray(part) for part in parts])
    return ImageRows(pixels, np.arange(len(pixels), dtype=np.int64))


def area_averages(size: int, side: int) -> Floats32:
    """(side, size) weights that average pixels over areas, parts of pixels included."""
    edges = np.linspace(0, size, side + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0) * side / size, dtype=np.float32)


def reduced(images: Pixels, side: int) -> Floats32:
    """Float32 (N, side, side, 3): square images (N, H, H, 3) reduced by averages over areas."""
    weights = area_averages(images.shape[1], side)
    small = np.empty((len(images), side, side, 3), dtype=np.float32)
    for place in range(3):
        small[..., place] = weights @ images[..., place].astype(np.float32) @ weights.T
    return small
