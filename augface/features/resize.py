"""One resizing for all spaces, clean-fid's: how a picture is resized moves every distance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from augface.arrays import Floats32, Pixels


def resized(image: Pixels, side: int) -> Floats32:
    """The whole image, uint8 (H, W, 3), as planes of side x side: float32 (3, side, side) from 0 to 255, not rounded.

    Bicubic, and antialiased where it shrinks: what clean-fid's mode "clean" does (Parmar et al. 2022, "On Aliased
    Resizing and Surprising Subtleties in GAN Evaluation").
    """
    return np.ascontiguousarray(_resizer(side)(image).transpose(2, 0, 1))


@cache
def _resizer(side: int) -> Callable[[Pixels], Floats32]:
    """clean-fid's function, whose images are float32 (side, side, 3)."""
    from cleanfid.resize import make_resizer  # which imports torch

    resizer: Callable[[Pixels], Floats32] = make_resizer("PIL", False, "bicubic", (side, side))
    return resizer
