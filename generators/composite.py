"""Composites: a real face with a part of another one, which shows the wanted attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from augface.arrays import Booleans, Floats32, Integers, Pixels
from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup
from augface.errors import UsageError, require
from augface.generators._parts import lay_onto, part_of, surroundings
from augface.generators.base import CHUNK, Arrays, Generator, GeneratorConfig, check_images
from augface.seeds import random_generator

RELATIVES = 20
"""A host is one of so many faces whose labels come nearest to those of a face that has the wanted attributes."""
DONORS = 40
"""So many faces are looked at as donors, and their mirror images."""
BEST = 8
"""One of so many of these twice as many pictures is taken: those whose surroundings of the part fit best."""
COMPARED = 2000
"""Faces with an attribute, and without it, from which its part is learnt."""
EXCLUSIVE = 0.02
"""Of the faces with an attribute, the share that shows another one, up to which the two exclude each other."""
USUAL = 0.05
"""Of the faces without it, the share that shows the other one, from which on that is no accident."""
SAME_PLACE = 0.6
"""The cosine of two attributes' parts from which on they show in the same place."""
SMALL = 16
"""The side in pixels of the images by which donors are chosen."""


class CompositeConfig(GeneratorConfig):
    """Settings of composites."""

    balance: tuple[str, ...] = ()
    """The attributes whose parts are moved; where not given, those that are requested and the host lacks."""


class Composite(Generator):
    """Copy-paste augmentation (Dwibedi et al. 2017; Ghiasi et al. 2021) of attributes in place of objects.

    Where an attribute shows is learnt from the faces with and without it. A host is a training face that lacks what is
    requested and otherwise resembles one that has it; half of the hosts are mirrored. The donor's skin and light around
    the part fit the host's, and its part is laid onto the host without a seam. Nothing else is learnt, so the faces are
    as sharp and as varied as real ones, in no time; and they show real people.
    """

    name: ClassVar[str] = "composite"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "copies", "composes"})
    source: ClassVar[str] = "composed"
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
        self._keep(data.attributes, np.asarray(data.images))

    def _keep(self, labels: pd.DataFrame, images: Pixels) -> None:
        varied = [str(name) for name in labels if labels[name].nunique() == 2]
        if not varied:
            raise UsageError("Composites need an attribute that some of the training faces have and others lack.")
        self.labels = labels
        self._images = images
        self._balance = [name for name in map(str, labels) if name in self.config.balance]
        self._default = min(varied, key=lambda name: labels[name].mean())
        self._part = cache(self._learnt_part)

    def _learnt_part(self, attribute: str) -> Floats32:
        """Where the attribute shows: what faces with it differ in from others whose further labels are alike."""
        stream = random_generator(0, "part", attribute)
        having = stream.permutation(np.flatnonzero(self._has(attribute, True)))[:COMPARED]
        others = _relatives(
            self._codes, np.resize(having, COMPARED), np.flatnonzero(self._has(attribute, False)), stream
        )
        rows = np.concatenate([having, np.unique(others)])
        return part_of(self._images[rows], np.arange(len(rows)) < len(having))

    @cached_property
    def _codes(self) -> Floats32:
        """(N, A) labels as numbers: half for yes, minus half for no, 0 for not known."""
        labels = require(self.labels).astype("Float32").fillna(0.5)
        return labels.to_numpy(dtype=np.float32) - np.float32(0.5)

    def _has(self, attribute: str, value: bool) -> Booleans:
        """Which training faces have this value of the attribute."""
        return (require(self.labels)[attribute] == value).fillna(False).to_numpy(dtype=bool)

    @cached_property
    def _small(self) -> Pixels:
        """The training faces, reduced."""
        parts = [
            functional.adaptive_avg_pool2d(torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float(), SMALL)
            for images in np.split(self._images, range(1024, len(self._images), 1024))
        ]
        small: Pixels = torch.cat([part.round().byte() for part in parts]).permute(0, 2, 3, 1).numpy()
        return small

    def _label_chunks(self, n: int, where: Mapping[str, bool], seed: int) -> Iterator[pd.DataFrame]:
        """Labels of hosts, with what is requested in place of theirs."""
        labels = self._check_conditionable(where)
        moved = [name for name in where if name in self._balance] or list(where)
        for name in moved:
            if not self._has(name, where[name]).any():
                raise UsageError(f"No training face has {Subgroup({name: where[name]}).label}, so there is no donor.")
        kept = self._rows({name: value for name, value in where.items() if name not in moved})
        lacking = np.setdiff1d(kept, self._rows({name: where[name] for name in moved})) if where else kept
        hosts = lacking if len(lacking) else kept
        if not len(hosts):
            raise UsageError(f"No training face can become {Subgroup(where).label}.")
        models = self._rows(where)
        for chunk, start in enumerate(range(0, n, CHUNK)):
            stream = random_generator(seed, "hosts", chunk)
            rows = stream.choice(hosts, CHUNK)
            if where and len(models):
                rows = _relatives(self._codes, stream.choice(models, CHUNK), hosts, stream)
            table = labels.iloc[rows[: min(CHUNK, n - start)]]
            replaced = {other: False for name in moved if where[name] for other in self._excluded(name)} | dict(where)
            yield table.assign(
                **{name: pd.array([value] * len(table), dtype="boolean") for name, value in replaced.items()}
            )

    def _excluded(self, name: str) -> list[str]:
        """Attributes that the laid-on part takes away with what it covers, such as the other colours of hair.

        They show in the same place, and hardly ever together with this one.
        """
        labels = require(self.labels)
        having, lacking = (labels[self._has(name, value)].mean() for value in (True, False))
        rare = [other for other in map(str, labels) if having[other] <= EXCLUSIVE and lacking[other] >= USUAL]
        return [other for other in rare if _cosine(self._part(name), self._part(other)) >= SAME_PLACE]

    def _rows(self, where: Mapping[str, bool]) -> Integers:
        return np.flatnonzero(
            np.all([np.ones(len(self._images), bool), *(self._has(*each) for each in where.items())], 0)
        )

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        hosts = labels.index.to_numpy()
        own = require(self.labels).iloc[hosts]
        changed = [str(name) for name in labels if not labels[name].equals(own[name])]
        stream = random_generator(seed, "donors", chunk)
        faces = self._images[hosts].astype(np.float32)
        small = self._small[hosts]
        mirrored = stream.random(CHUNK)[: len(hosts)] < 0.5
        faces[mirrored], small[mirrored] = faces[mirrored, :, ::-1], small[mirrored, :, ::-1]
        for name in changed or self._balance or [self._default]:
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

    def _faces(self, pixels: Pixels, labels: pd.DataFrame, names: Sequence[str], factors: pd.DataFrame) -> FaceDataset:
        return super()._faces(pixels, labels, names, factors.assign(host=labels.index.to_numpy()))

    def _arrays(self) -> Arrays:
        return {"images": self._images}

    def _restore(self, arrays: Arrays) -> None:
        self._keep(require(self.labels), check_images(arrays["images"], require(self.labels)))


def _relatives(codes: Floats32, models: Integers, hosts: Integers, stream: np.random.Generator) -> Integers:
    """For each model one of the hosts whose labels are nearest to its own; those equally near are equally likely."""
    alike = codes[models] @ codes[hosts].T + stream.random((len(models), len(hosts)), dtype=np.float32) / 8
    count = min(RELATIVES, len(hosts))
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    return hosts[nearest[np.arange(len(models)), stream.integers(0, count, len(models))]]


def _cosine(first: Floats32, second: Floats32) -> float:
    return float((first * second).sum() / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-9))


def _reduced(part: Floats32) -> Floats32:
    reduced: Floats32 = functional.adaptive_avg_pool2d(torch.from_numpy(part)[None], SMALL)[0].numpy()
    return reduced
