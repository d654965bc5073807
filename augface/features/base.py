"""What a feature space is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from augface.arrays import Floats32, Pixels
from augface.features.weights import WeightsFile, find, status

Features = Floats32


class FeatureSpace(ABC):
    """Maps images to vectors with its own preprocessing and weights.

    Two spaces with the same `protocol` give the same features; the cache and every measurement carry it. A subclass
    fills in `prepare`, what becomes of one image on its way to the network, and `forward`, the network.
    """

    name: ClassVar[str]
    dimension: ClassVar[int]
    takes: ClassVar[str] = ""
    """How it is named where the name says which encoder is meant, such as `onnx:FILE`; empty where there is but one."""
    batch: ClassVar[int] = 8
    """Images a forward pass. Every pass has this many, so that a row does not depend on what is beside it."""

    @property
    @abstractmethod
    def protocol(self) -> dict[str, str | int | float]:
        """Everything that changes the features: version, weights' SHA-256, preprocessing."""

    @abstractmethod
    def prepare(self, image: Pixels) -> Floats32:
        """One image, uint8 (H, W, 3) of any size, as `forward` takes it. Called from several threads at once."""

    @abstractmethod
    def forward(self, prepared: Floats32) -> Features:
        """Features of exactly `batch` prepared images, (batch, …): float32 (batch, dimension)."""

    def extract(self, images: Pixels) -> Features:
        """Features of images, uint8 (N, H, W, 3) of any size: float32 (N, dimension)."""
        parts = [
            self.extract_prepared([self.prepare(image) for image in images[start : start + self.batch]])
            for start in range(0, len(images), self.batch)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), dtype=np.float32)

    def extract_prepared(self, prepared: list[Floats32]) -> Features:
        """Features of at most `batch` prepared images: float32 (N, dimension)."""
        count = len(prepared)
        filled = np.zeros((self.batch, *prepared[0].shape), dtype=np.float32)
        filled[:count] = prepared
        return np.asarray(self.forward(filled)[:count], dtype=np.float32)

    @classmethod
    def of(cls, encoder: str) -> FeatureSpace:
        """The space of an encoder of one's own, which a space that `takes` one fills in."""
        raise NotImplementedError(f"{cls.name} takes no encoder, so not {encoder!r}")

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """Whether the weights are here, with their place or what to do."""
        return True, "needs no weights"


class NetworkSpace(FeatureSpace):
    """A space with weights, which are found when it is made: whoever lacks them learns it before any work."""

    weights_file: ClassVar[WeightsFile]

    def __init__(self) -> None:
        """Find the weights, or download them where they have an address.

        Raises:
            DataError: they are not here and cannot be downloaded, or are not the expected ones.
        """
        self.weights = find(self.weights_file)

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """Whether the weights are here, with their place or what to do."""
        return status(cls.weights_file)
