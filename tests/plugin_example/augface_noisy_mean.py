"""A generator of another package: the mean face of those that have what is requested, with noise on it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.generators.base import CHUNK, Arrays, Generator, GeneratorConfig
from augface.seeds import random_generator


class NoisyMeanConfig(GeneratorConfig):
    """Its only setting."""

    noise: float = Field(default=20.0, gt=0)
    """Standard deviation, in grey levels of 256."""


class NoisyMean(Generator):
    """Adds to the mean of all faces, for each attribute, how those that have it differ from it."""

    name: ClassVar[str] = "noisy-mean"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional"})
    Config: ClassVar[type[GeneratorConfig]] = NoisyMeanConfig
    config: NoisyMeanConfig

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Average; the budget is not used."""
        self.labels = data.attributes
        images = np.asarray(data.images).astype(np.float32)
        self._mean = images.mean(axis=0)
        differences = [
            images[mask].mean(axis=0) - self._mean if (mask := data.matching({name: True})).any() else 0 * self._mean
            for name in map(str, data.attributes.columns)
        ]
        self._differences = np.stack(differences)

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        noise = random_generator(seed, "noise", chunk).standard_normal((CHUNK, *self._mean.shape))[: len(labels)]
        wanted = labels.fillna(False).to_numpy(dtype=np.float32)
        faces = self._mean + np.tensordot(wanted, self._differences, 1) + self.config.noise * noise
        rounded: Pixels = faces.clip(0, 255).astype(np.uint8)
        return rounded

    def _arrays(self) -> Arrays:
        return {"mean": self._mean, "differences": self._differences}

    def _restore(self, arrays: Arrays) -> None:
        self._mean, self._differences = arrays["mean"], arrays["differences"]
