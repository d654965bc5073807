"""Synthetic faces that are there already, in a folder or zip: each is given once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pandas as pd

from augface.arrays import Pixels
from augface.data import load_data, recognise
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup
from augface.data.pixels import ImageRows
from augface.data.readers.containers import open_container, some
from augface.data.sources import SYNTHETIC, of_source
from augface.errors import UsageError, require
from augface.files import sha256_of_file
from augface.generators._external import ExternalConfig, check_unchanged
from augface.generators.base import CHUNK, Arrays, Generator, GeneratorConfig, check_images
from augface.seeds import random_generator

log = logging.getLogger("augface")


class ImagesConfig(ExternalConfig):
    """Settings of images that are there already; `path` is whatever `load_data` takes."""

    @classmethod
    def files(cls, path: Path) -> dict[str, Path]:
        """The zip, or all files below a folder but hidden ones; see `load_data` for what is read of them."""
        place = recognise(path)
        if place.kind == "toy":
            return {}
        path = place.local()
        if path.is_file():
            return {path.name: path}
        return {name: path / name for name in open_container(path).names}


class Images(Generator):
    """Draws images with the wanted labels in an order that the seed shuffles, none of them twice."""

    name: ClassVar[str] = "images"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional"})
    Config: ClassVar[type[GeneratorConfig]] = ImagesConfig
    config: ImagesConfig

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Read the images in the size of the data, with their labels of the data's attributes; nothing is learnt.

        Raises:
            DataError: there are none, too many are broken, or they have changed.
        """
        path = Path(self.config.path).expanduser()
        check_unchanged(self.config, {name: sha256_of_file(file) for name, file in self.config.files(path).items()})
        faces = of_source(load_data(path, size=data.size, beside=data.source.crop), SYNTHETIC)
        if others := [str(name) for name in faces.attributes if name not in data.attributes]:
            log.warning(f"{self.config.path}: the data have no attributes {some(others)}; they are left out.")
        self.labels = faces.attributes.reindex(columns=data.attributes.columns).astype("boolean")
        self._images: ImageRows | Pixels = faces.images

    @property
    def conditionable(self) -> frozenset[str]:
        """The attributes that at least one image has a label of."""
        return frozenset() if self.labels is None else frozenset(self.labels.columns[self.labels.notna().any()])

    def available(self, where: Mapping[str, bool] | None = None) -> int:
        """How many images have these labels."""
        return len(self._matching_labels(where or {}))

    def _label_chunks(self, n: int, where: Mapping[str, bool], seed: int) -> Iterator[pd.DataFrame]:
        """The labels of `n` images that match `where`; their index says which they are."""
        table = self._matching_labels(where)
        if n > len(table):
            those = f"with {Subgroup(where).label} " if where else ""
            raise UsageError(
                f"{n:,} images {those}are requested, but {self.config.path} holds {len(table):,}, and none is given "
                "twice. Ask for fewer, or add more images."
            )
        order = random_generator(seed, "order").permutation(len(table))
        for start in range(0, n, CHUNK):
            yield table.iloc[order[start : min(start + CHUNK, n)]]

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        return self._images[labels.index.to_numpy()]

    def _arrays(self) -> Arrays:
        return {"images": self._images[:]}

    def _restore(self, arrays: Arrays) -> None:
        self._images = check_images(arrays["images"], require(self.labels))
