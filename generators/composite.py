"""Composites: a real face with a part of another one, which shows the wanted attribute."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from augface.arrays import Booleans, Floats32, Integers, Pixels
from augface.data.dataset import FaceDataset
from augface.errors import require
from augface.generators._hosts import ComposingGenerator
from augface.generators._parts import lay_onto, surroundings
from augface.generators.base import CHUNK, Arrays, GeneratorConfig, check_images
from augface.seeds import random_generator

DONORS = 40
"""So many faces are looked at as donors, and their mirror images."""
BEST = 8
"""One of so many of these twice as many pictures is taken: those whose surroundings of the part fit best."""
SMALL = 16
"""The side in pixels of the images by which donors are chosen."""


class CompositeConfig(GeneratorConfig):
    """Settings of composites."""

    balance: tuple[str, ...] = ()
    """The attributes whose parts are moved; where not given, those that are requested and the host lacks."""


class Composite(ComposingGenerator):
    """Copy-paste augmentation (Dwibedi et al. 2017; Ghiasi et al. 2021) of attributes in place of objects.

    Where an attribute shows is learnt from the faces with and without it. A host is a training face that lacks what is
    requested and otherwise resembles one that has it; half of the hosts are mirrored. The donor's skin and light around
    the part fit the host's, and its part is laid onto the host without a seam. Nothing else is learnt, so the faces are
    as sharp and as varied as real ones, in no time; and they show real people.
    """

    name: ClassVar[str] = "composite"
    Config: ClassVar[type[GeneratorConfig]] = CompositeConfig
    config: CompositeConfig

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
        self._keep(data.attributes, np.asarray(data.images), self.config.balance)

    @cached_property
    def _small(self) -> Pixels:
        """The training faces, reduced."""
        parts = [
            functional.adaptive_avg_pool2d(torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float(), SMALL)
            for images in np.split(self._images, range(1024, len(self._images), 1024))
        ]
        small: Pixels = torch.cat([part.round().byte() for part in parts]).permute(0, 2, 3, 1).numpy()
        return small

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        hosts = labels.index.to_numpy()
        stream = random_generator(seed, "donors", chunk)
        faces = self._images[hosts].astype(np.float32)
        small = self._small[hosts]
        mirrored = stream.random(CHUNK)[: len(hosts)] < 0.5
        faces[mirrored], small[mirrored] = faces[mirrored, :, ::-1], small[mirrored, :, ::-1]
        for name in self._changed(labels) or self._balance or [self._default]:
            part = self._part(name)
            donors, turned = self._donors(small, labels[name], part, stream)
            others = self._images[donors].astype(np.float32)
            others[turned] = others[turned, :, ::-1]
            faces = lay_onto(faces, others, part)
        pixels: Pixels = faces.round().clip(0, 255).astype(np.uint8)
        return pixels

    def _donors(
        self, hosts: Pixels, values: pd.Series, part: Floats32, stream: np.random.Generator
    ) -> tuple[Integers, Booleans]:
        """A training face with each of the values, whose surroundings of the part fit; and whether it is mirrored."""
        draws = stream.random((CHUNK, DONORS))[: len(hosts)]
        picks = stream.integers(0, BEST, CHUNK)[: len(hosts)]
        candidates = np.empty(draws.shape, dtype=np.int64)
        for value in (True, False):
            pool, asked = (
                np.flatnonzero(self._has(str(values.name), value)),
                (values == value).fillna(False).to_numpy(bool),
            )
            candidates[asked] = pool[(draws[asked] * len(pool)).astype(np.int64)]
        unknown = values.isna().to_numpy()
        candidates[unknown] = (draws[unknown] * len(self._images)).astype(np.int64)
        weights = surroundings(_reduced(part))[None, None, ..., None]
        costs = []
        for turned in (False, True):
            around = self._small[candidates][..., :: -1 if turned else 1, :]
            costs.append((weights * np.square(around - hosts[:, None].astype(np.float32))).sum(axis=(2, 3, 4)))
        order = np.concatenate(costs, axis=1).argsort(axis=1, kind="stable")
        chosen = np.take_along_axis(order, picks[:, None], axis=1)[:, 0]
        return candidates[np.arange(len(hosts)), chosen % DONORS], chosen >= DONORS

    def _arrays(self) -> Arrays:
        return {"images": self._images}

    def _restore(self, arrays: Arrays) -> None:
        self._keep(require(self.labels), check_images(arrays["images"], require(self.labels)), self.config.balance)


def _reduced(part: Floats32) -> Floats32:
    reduced: Floats32 = functional.adaptive_avg_pool2d(torch.from_numpy(part)[None], SMALL)[0].numpy()
    return reduced
