"""Small contrast-normalised pixels: the space where a copy is near its original whatever its brightness."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from augface.arrays import Floats32, Pixels
from augface.features.base import Features, FeatureSpace


class PixelSpace(FeatureSpace):
    """Area-averaged RGB at 16 x 16, each image centred and scaled to unit norm."""

    name: ClassVar[str] = "pixels"
    side: ClassVar[int] = 16
    dimension: ClassVar[int] = 3 * side * side

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version and size."""
        return {"space": self.name, "version": 1, "side": self.side}

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (768,): the features themselves, for there is no network."""
        features: Floats32 = self.extract(image[None])[0]
        return features

    def forward(self, prepared: Floats32) -> Features:
        """What it is given."""
        return prepared

    def extract(self, images: Pixels) -> Features:
        """Float32 (N, 768), rows of unit norm; a constant image is all zeros. At once: filters want it fast."""
        import torch
        from torch.nn import functional

        planes = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
        vectors = functional.adaptive_avg_pool2d(planes, self.side).flatten(1).numpy()
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        features: Features = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-3)
        return features
