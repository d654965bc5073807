"""What a feature space is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from augface.data.dataset import Pixels

Features = npt.NDArray[np.float32]


class FeatureSpace(ABC):
    """Maps images to vectors with its own preprocessing and weights.

    Two spaces with the same `protocol` give the same features; the cache and every measurement carry it.
    """

    name: ClassVar[str]
    dimension: ClassVar[int]

    @property
    @abstractmethod
    def protocol(self) -> dict[str, str | int | float]:
        """Everything that changes the features: version, weights' SHA-256, preprocessing."""

    @abstractmethod
    def extract(self, images: Pixels) -> Features:
        """Features of a chunk of images, uint8 (N, H, W, 3) of any size: float32 (N, dimension).

        A row depends on its image alone, not on the others in the chunk.
        """

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """Whether the weights are here, with their place or what to do."""
        return True, "needs no weights"
