"""The control: real faces repeated and flipped. A generator that does not beat it adds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.errors import require
from augface.generators.base import CHUNK, Arrays, Generator, check_images
from augface.seeds import random_generator


class Resample(Generator):
    """Draws training faces that have the wanted attributes, with replacement, half of them mirrored."""

    name: ClassVar[str] = "resample"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "copies"})
    source: ClassVar[str] = "resampled"

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Keep the faces; the budget is not used."""
        self.labels = data.attributes
        self._images = np.asarray(data.images)

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        mirrored = random_generator(seed, "mirror", chunk).random(CHUNK)[: len(labels)] < 0.5
        faces: Pixels = self._images[labels.index.to_numpy()]
        faces[mirrored] = faces[mirrored, :, ::-1]
        return faces

    def _arrays(self) -> Arrays:
        return {"images": self._images}

    def _restore(self, arrays: Arrays) -> None:
        self._images = check_images(arrays["images"], require(self.labels))
