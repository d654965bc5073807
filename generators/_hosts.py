"""Faces made of real ones: which training face is changed, in which part, and what its labels are then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Floats32, Integers, Pixels
from augface.data.dataset import FaceDataset, rows_with
from augface.data.groups import Subgroup
from augface.errors import UsageError, require
from augface.generators._parts import part_of
from augface.generators.base import CHUNK, Generator
from augface.seeds import random_generator

RELATIVES = 20
"""A host is one of so many faces whose labels come nearest to those of a face that has the wanted attributes."""
COMPARED = 2000
"""Faces with an attribute, and without it, from which its part is learnt."""
EXCLUSIVE = 0.02
"""Of the faces with an attribute, the share that shows another one, up to which the two exclude each other."""
USUAL = 0.05
"""Of the faces without it, the share that shows the other one, from which on that is no accident."""
SAME_PLACE = 0.6
"""The cosine of two attributes' parts from which on they show in the same place."""


class ComposingGenerator(Generator):
    """Changes training faces, its hosts: each gets what is requested and otherwise stays who it is.

    A host lacks what is requested and otherwise resembles a face that has it. It is a face of the training split and
    never leaves that, so that nobody comes into a second split; `factors` say which `host` a face was made of.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "copies", "composes"})
    source: ClassVar[str] = "composed"
    needs_attribute: ClassVar[bool] = True
    """Whether nothing can be made of faces without an attribute that some have and others lack."""

    def _keep(self, labels: pd.DataFrame, images: Pixels, balance: Sequence[str]) -> None:
        """Take these faces as hosts; `balance` are the attributes that are changed where they are requested."""
        self._varied = [str(name) for name in labels if labels[name].nunique() == 2]
        if self.needs_attribute and not self._varied:
            raise UsageError(
                f"The {self.name} generator needs an attribute that some of the training faces have and others lack."
            )
        self.labels = labels
        self._images = images
        self._balance = [name for name in map(str, labels) if name in balance]
        self._default = min(self._varied, key=lambda name: labels[name].mean(), default="")
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
        return rows_with(require(self.labels), [(attribute, value)])

    def _label_chunks(self, n: int, where: Mapping[str, bool], seed: int) -> Iterator[pd.DataFrame]:
        """Labels of hosts, with what is requested in place of theirs."""
        labels = self._check_conditionable(where)
        moved = self._moved(where)
        for name in moved:
            if not self._has(name, where[name]).any():
                self._without_example(name, where[name])
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

    def _moved(self, where: Collection[str]) -> list[str]:
        """Those of the requested attributes that hosts are given; the others they have to have."""
        return [name for name in where if name in self._balance] or list(where)

    def _excluded(self, name: str) -> list[str]:
        """Attributes that go with the part of the host that this one replaces, such as the other colours of hair.

        They show in the same place, and hardly ever together with this one.
        """
        labels = require(self.labels)
        having, lacking = (
            labels[self._has(name, value)].mean().to_numpy(dtype=np.float64, na_value=np.nan) for value in (True, False)
        )
        rare = labels.columns[(having <= EXCLUSIVE) & (lacking >= USUAL)]
        return [str(other) for other in rare if _cosine(self._part(name), self._part(str(other))) >= SAME_PLACE]

    def _rows(self, where: Mapping[str, bool]) -> Integers:
        return np.flatnonzero(rows_with(require(self.labels), where.items()))

    def _without_example(self, name: str, value: bool) -> None:
        """No training face has this value of an attribute that is requested: refuse it, unless none is needed."""
        raise UsageError(f"No training face has {Subgroup({name: value}).label}, so there is no donor.")

    def _changed(self, labels: pd.DataFrame) -> list[str]:
        """The attributes in which these rows differ from their hosts, without those that go with another's part."""
        own = require(self.labels).iloc[labels.index.to_numpy()]
        changed = [str(name) for name in labels if not labels[name].equals(own[name])]
        gone = {other for name in changed if labels[name].all() for other in self._excluded(name)}
        return [name for name in changed if name not in gone]

    def _faces(self, pixels: Pixels, labels: pd.DataFrame, names: Sequence[str], factors: pd.DataFrame) -> FaceDataset:
        return super()._faces(pixels, labels, names, factors.assign(host=labels.index.to_numpy()))


def half_mirrored(hosts: Pixels, seed: int, chunk: int) -> Pixels:
    """A chunk's hosts (N, H, W, 3), half of them mirrored by the chunk's own random stream."""
    mirrored = random_generator(seed, "mirrored", chunk).random(CHUNK)[: len(hosts)] < 0.5
    return np.where(mirrored[:, None, None, None], hosts[:, :, ::-1], hosts)


def _relatives(codes: Floats32, models: Integers, hosts: Integers, stream: np.random.Generator) -> Integers:
    """For each model one of the hosts whose labels are nearest to its own; those equally near are equally likely."""
    alike = codes[models] @ codes[hosts].T + stream.random((len(models), len(hosts)), dtype=np.float32) / 8
    count = min(RELATIVES, len(hosts))
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    return hosts[nearest[np.arange(len(models)), stream.integers(0, count, len(models))]]


def _cosine(first: Floats32, second: Floats32) -> float:
    return float((first * second).sum() / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-9))
