"""Which square of a picture is the face."""

from __future__ import annotations

from typing import Literal, cast

from augface.errors import DataError, UsageError

Crop = Literal["centre", "celeba"] | tuple[int, int, int, int]
"""`centre`: the largest square in the middle. `celeba`: the square around the face of CelebA's aligned pictures. A box:
left, top, right and bottom in pixels of the upright picture."""

CELEBA_FRAME = (89, 109)
CELEBA_SIDE = 77
CELEBA_MIDDLE = 57.5


def parse_crop(crop: str | tuple[int, int, int, int]) -> Crop:
    """What a user means by a crop: a name, four numbers, or their text `left,top,right,bottom`.

    Raises:
        UsageError: an unknown name, or a box that is empty or not square.
    """
    if crop in ("centre", "center"):
        return "centre"
    if crop == "celeba":
        return "celeba"
    try:
        numbers = tuple(int(part) for part in (crop.split(",") if isinstance(crop, str) else crop))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise UsageError(f"A crop is `centre`, `celeba` or four pixel numbers left,top,right,bottom, not {crop!r}.")
    left, top, right, bottom = numbers
    if left < 0 or top < 0 or right <= left or right - left != bottom - top:
        raise UsageError(f"The crop {left},{top},{right},{bottom} is not a square of left,top,right,bottom.")
    return cast(Crop, numbers)


def has_celeba_shape(width: int, height: int) -> bool:
    """Whether a picture is as tall for its width as CelebA's aligned pictures, of whatever size."""
    return abs(width / height / (CELEBA_FRAME[0] / CELEBA_FRAME[1]) - 1) < 0.01


def crop_name(crop: Crop, width: int, height: int) -> str:
    """Which part of a picture of this size a crop keeps: `whole` where it is square anyway.

    >>> crop_name("celeba", 178, 218), crop_name("celeba", 64, 64), crop_name((0, 0, 9, 9), 64, 64)
    ('celeba', 'whole', '0,0,9,9')
    """
    if isinstance(crop, tuple):
        return ",".join(map(str, crop))
    return "whole" if width == height else crop


def crop_side(crop: Crop, width: int, height: int) -> int:
    """How many pixels a side a crop has in a picture of this size."""
    left, _, right, _ = crop if isinstance(crop, tuple) else crop_box(crop, width, height)
    return round(right - left)


def crop_box(crop: Crop, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the crop in a picture of this size, in pixels and their fractions.

    The CelebA crop is the square of 77 pixels that keeps 6 off each side and lies 3 below the middle of a half-size
    picture, 89 x 109; pictures of any other size get the same share of themselves. A picture that is square already
    was cropped before and is taken whole.

    Raises:
        DataError: the box does not lie in the picture.
    """
    if isinstance(crop, tuple):
        if crop[2] > width or crop[3] > height:
            raise DataError(f"the crop {crop} does not lie in its {width} x {height} pixels")
        return crop
    if crop == "centre" or width == height:
        side: float = min(width, height)
        middle = height / 2
    else:
        side = CELEBA_SIDE * min(width / CELEBA_FRAME[0], height / CELEBA_FRAME[1])
        middle = height * CELEBA_MIDDLE / CELEBA_FRAME[1]
    left, top = (width - side) / 2, middle - side / 2
    return left, top, left + side, top + side
