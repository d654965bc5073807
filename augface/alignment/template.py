"""Where the points of a face are to lie in a crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augface.arrays import Floats64

VERSION = "1"
"""Goes up when the same photo would give another crop; part of the key of cached images."""


@dataclass(frozen=True, eq=False)
class Template:
    """Where the points of a face lie in a crop.

    Attributes:
        points: float64 (5, 2), as `Face.points`, in shares of the crop's side, from 0 to 1.
        source: the faces that they are the medians of.
    """

    points: Floats64
    source: str

    @property
    def name(self) -> str:
        """What crops by it are called: `celeba`, or which faces they are like."""
        return self.source if self.source == "celeba" else f"like {self.source}"


CELEBA = Template(
    np.array([[0.3725, 0.4815], [0.628, 0.4831], [0.4935, 0.6571], [0.3962, 0.7446], [0.6008, 0.7454]]), "celeba"
)
"""The medians of CelebA's aligned faces in the crop `celeba` of `augface.data.crops`, as experiments/alignment.py
measures them."""
