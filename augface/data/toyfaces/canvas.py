"""What ToyFaces are drawn with: a batch of pictures, the factors that they show, and a few soft shapes.

Everything here works on a batch at once. Numbers that belong to one picture have the shape (B, 1, 1), maps over its
pixels (B, h, w). Head coordinates: x to the right, y down, the middle of the face near (0, 0), the chin near y = 0.62,
the same at every image size. Pixels see only sums, products, quotients and square roots, which are exact in the same
way in every batch, so a picture does not depend on what is drawn beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_any_real_numeric_dtype, is_bool_dtype

from augface.arrays import Booleans, Floats64
from augface.errors import DataError

Map: TypeAlias = npt.NDArray[Any]
"""float32, (B, h, w) or (B, 1, 1)."""
Colour: TypeAlias = Sequence[Any]
"""Red, green and blue in 0..1: three maps or numbers."""

_NECK = 0.75  # the head rolls about the base of the neck, at this y


class Factors:
    """The generating factors of a batch: numbers and flags as (B, 1, 1), kinds by name."""

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._columns = columns
        self._single: dict[str, Map] = {}

    @classmethod
    def of_table(cls, table: pd.DataFrame) -> Factors:
        """All rows of a table: numbers and flags become float64, everything else stays as it is."""
        columns = {}
        for name in table:
            flag_or_number = is_bool_dtype(table[name]) or is_any_real_numeric_dtype(table[name])
            columns[str(name)] = table[name].to_numpy(dtype=np.float64 if flag_or_number else object)
        return cls(columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def take(self, rows: slice | npt.NDArray[Any]) -> Factors:
        """The factors of some pictures."""
        return Factors({name: column[rows] for name, column in self._columns.items()})

    def column(self, name: str) -> npt.NDArray[Any]:
        """One factor, (B,)."""
        if name not in self._columns:
            raise DataError(f"Toy faces cannot be drawn without the factor {name!r}.")
        return self._columns[name]

    def exact(self, name: str) -> Floats64:
        """A number or flag of each picture, in double precision, (B, 1, 1)."""
        return self.column(name)[:, None, None]

    def __call__(self, name: str) -> Map:
        """A number or flag of each picture, (B, 1, 1)."""
        if name not in self._single:
            self._single[name] = self.exact(name).astype(np.float32)
        return self._single[name]

    def kind(self, name: str, kind: str) -> Map:
        """1 for the pictures of this kind, 0 for the others, (B, 1, 1)."""
        return np.asarray(self.column(name) == kind, dtype=np.float32)[:, None, None]

    def rows(self, name: str, *among: str) -> Booleans:
        """(B,) where a flag is set or, with `among`, where a kind is one of these."""
        column = self.column(name)
        return np.isin(column, among) if among else column > 0

    def look_up(self, name: str, values: Mapping[str, Sequence[float]]) -> list[Map]:
        """What a table says of the kind of each picture: one (B, 1, 1) for each number in its rows."""
        numbers = np.array([values[kind] for kind in self.column(name)], dtype=np.float32)
        return [numbers[:, k, None, None] for k in range(numbers.shape[1])]


class Patch:
    """A rectangle of every picture of a batch, with its head coordinates `x` and `y`."""

    def __init__(self, colour: Map, x: Map, y: Map, pixel: Map) -> None:
        self.colour = colour
        self.x = x
        self.y = y
        self.pixel = pixel
        """The width of a pixel in head coordinates, (B, 1, 1)."""

    def cover(self, distance: Map, softness: float | Map = 0.0) -> Map:
        """How much of each pixel lies inside a shape, of the signed distance to its outline (negative inside)."""
        share = distance * (-1 / (self.pixel + softness))
        share += 0.5
        return clip(share)

    def stroke(self, distance: Map, width: float | Map, softness: float | Map = 0.0) -> Map:
        """How much of each pixel a line covers; `distance` is to its middle. Fades when thinner than a pixel."""
        edge = self.pixel + softness
        share = np.abs(distance) * (-1 / edge)
        share += (width / 2) / edge + 0.5
        return clip(share, np.minimum(1.0, width / edge))

    def paint(self, colour: Colour, alpha: Map) -> None:
        """Lay a colour (numbers or maps) over the patch."""
        for channel, value in zip(self.colour, colour, strict=True):
            step = value - channel
            step *= alpha
            channel += step

    def shade(self, colour: Colour, alpha: Map) -> None:
        """Multiply by a colour where `alpha` is 1: shadow, or a glow where the colour is above 1."""
        for channel, value in zip(self.colour, colour, strict=True):
            channel *= 1 + alpha * (value - 1)


class Canvas:
    """A batch of pictures that are being drawn, one patch after another: a new patch ends the one before it.

    A patch is drawn on as a copy, as arithmetic on a compact array is several times faster than on a part of another.
    """

    def __init__(self, factors: Factors, colour: Map) -> None:
        self.factors = factors
        self._colour = colour  # (3, B, size, size)
        self._open: tuple[Map, Map] | None = None  # where the present patch belongs, and its copy
        size = colour.shape[-1]
        self._axis = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
        roll, zoom = factors.exact("roll"), factors.exact("zoom")
        cos, sin = np.cos(roll), np.sin(roll)
        self._forward = [turned.astype(np.float32) for turned in (zoom * cos, zoom * sin, np.abs(zoom * sin))]
        self._back = [turned.astype(np.float32) for turned in (cos / zoom, sin / zoom)]
        self._base = (_NECK * zoom).astype(np.float32)
        self._shift = factors("shift_x"), factors("shift_y")
        self._pixel = (2 / size / zoom).astype(np.float32)

    @property
    def colour(self) -> Map:
        """The pictures, (3, B, size, size), with all patches in place."""
        if self._open is not None:
            place, copy = self._open
            place[...] = copy
            self._open = None
        return self._colour

    def take(self, rows: Booleans) -> Canvas:
        """A copy of some pictures, to be drawn on and put back."""
        return Canvas(self.factors.take(rows), np.ascontiguousarray(self.colour[:, rows]))

    def put(self, rows: Booleans, part: Canvas) -> None:
        """Put back what was taken."""
        self.colour[:, rows] = part.colour

    def patch(self, left: float | Map, right: float | Map, top: float | Map, bottom: float | Map) -> Patch:
        """The rectangle of pixels that holds, in every picture, the given box of head coordinates."""
        x, y = 0.5 * (left + right), 0.5 * (top + bottom) - _NECK
        half_width, half_height = 0.5 * (right - left), 0.5 * (bottom - top)
        cos, sin, slant = self._forward
        columns = self._span(cos * x - sin * y + self._shift[0], cos * half_width + slant * half_height)
        lines = self._span(sin * x + cos * y + self._shift[1] + self._base, slant * half_width + cos * half_height)
        dx = self._axis[None, None, columns] - self._shift[0]
        dy = self._axis[None, lines, None] - (self._shift[1] + self._base)
        cos, sin = self._back
        x, y = cos * dx + sin * dy, (cos * dy + _NECK) - sin * dx
        place = self.colour[:, :, lines, columns]
        self._open = place, place.copy()
        return Patch(self._open[1], x, y, self._pixel)

    def whole(self) -> Patch:
        """All pixels, in picture coordinates: -1 to 1 from left to right and from top to bottom."""
        pixel = np.full((1, 1, 1), 2 / len(self._axis), dtype=np.float32)
        return Patch(self.colour, self._axis[None, None, :], self._axis[None, :, None], pixel)

    def _span(self, middle: Map, reach: Map) -> slice:
        size = len(self._axis)
        first = int(np.floor((float((middle - reach).min()) + 1) * size / 2)) - 1
        last = int(np.ceil((float((middle + reach).max()) + 1) * size / 2)) + 1
        return slice(min(max(first, 0), size - 1), max(min(last, size), 1))


def clip(values: Map, high: float | Map = 1.0) -> Map:
    """Values held within 0 and `high`, in place: for what has just been computed, never for a factor itself."""
    np.maximum(values, 0.0, out=values)
    np.minimum(values, high, out=values)
    return values


def ramp(values: Map, start: float | Map, end: float | Map) -> Map:
    """0 at `start`, 1 at `end`, straight between and flat beyond."""
    slope = 1 / (end - start)
    share = values * slope
    share -= start * slope
    return clip(share)


def smooth(share: Map) -> Map:
    """0..1 to 0..1 with soft ends."""
    bent: Map = share * share * (3 - 2 * share)
    return bent


def ellipse(x: Map, y: Map) -> Map:
    """The signed distance to the outline x² + y² = 1, nearly, in units of the smaller axis."""
    distance: Map = x * x + y * y
    np.sqrt(distance, out=distance)
    distance -= 1
    return distance


def rounded(x: Map, y: Map, square: float | Map) -> Map:
    """The distance to a shape between ellipse (0), rounded rectangle (1) and, below 0, rhombus."""
    x2, y2 = x * x, y * y
    shape: Map = x2 + y2
    shape *= shape
    x2 *= y2
    x2 *= 2 * square
    shape -= x2
    np.maximum(shape, 0.0, out=shape)
    np.sqrt(shape, out=shape)
    np.sqrt(shape, out=shape)
    shape -= 1
    return shape


def blob(x: Map, y: Map) -> Map:
    """A soft spot: 1 in the middle, 0 at x² + y² = 1 and beyond."""
    height = clip((1 - x * x) - y * y)
    height *= height
    return height


def bump(x: Map) -> Map:
    """A soft ridge: 1 at x = 0, 0 at |x| = 1 and beyond."""
    height: Map = x * x
    np.subtract(1.0, height, out=height)
    clip(height)
    height *= height
    return height


def wave(turns: Map) -> Map:
    """Nearly sin(2π turns), made of parabolas."""
    phase = turns - np.rint(turns)
    height: Map = np.abs(phase)
    height *= -16.0
    height += 8.0
    height *= phase
    return height


def mix(first: Colour, second: Colour, share: float | Map) -> Colour:
    """From the first colour (0) to the second (1)."""
    return [a + share * (b - a) for a, b in zip(first, second, strict=True)]


def from_hsv(hue: Map, saturation: float | Map, value: float | Map) -> Colour:
    """Red, green and blue of hue (in turns), saturation and value."""
    chroma = saturation * value
    turned: list[Map] = [(start + hue * 6) % 6 for start in (5.0, 3.0, 1.0)]
    channels: Colour = [value - chroma * clip(np.minimum(turn, 4 - turn)) for turn in turned]
    return channels
