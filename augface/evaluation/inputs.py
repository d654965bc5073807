"""The sides of an evaluation from whatever people have: data sets, places, arrays, run folders, generators."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from augface.arrays import Pixels
from augface.data import DEFAULT_SIZE, SizedIndexable, load_data, preview_data, recognise
from augface.data.dataset import FaceDataset, resized
from augface.data.sources import REAL, SYNTHETIC, of_source
from augface.errors import DataError
from augface.generators import find_generator, load_generator
from augface.generators.base import Generator
from augface.runs import data_of_run
from augface.seeds import derive_seed

Faces = FaceDataset | str | Path | Pixels | Iterable[Any] | SizedIndexable
"""A data set, the folder of a run or of a generator, or whatever else `load_data` takes: a place, or what holds faces
in memory, such as an array (N, H, W, 3), a loader of torch or a list of PIL images."""

MOST_SAMPLES = 50_000

log = logging.getLogger("augface")


class Opened(NamedTuple):
    """Real faces, synthetic ones, and those that the generator learnt from, where they are given by themselves."""

    real: FaceDataset
    synthetic: FaceDataset
    train: FaceDataset | None
    generator: Generator | None = None
    """What drew the synthetic faces, where its folder was given."""


def open_faces(
    real: Faces,
    synthetic: Faces,
    train: Faces | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    look: bool = True,
) -> Opened:
    """All sides, ready to be compared.

    Where all are plain folders or zips and no size is given, their files are looked at whole and in their own size, as
    other tools do. Else all are brought to one size: the one given, that of a data set, array or generator among them,
    or 64.

    Args:
        real: the real faces. Of a run folder, the data that it started from; of a data set that augface wrote, the
            real faces in it.
        synthetic: the synthetic faces. Of a run or generator folder, unfiltered samples, as many as there are held-out
            real faces; of a data set that augface wrote, the synthetic faces in it.
        train: as `real`.
        size: height and width in pixels.
        seed: of samples that are drawn.
        look: whether to read the pictures. A plan does without: they are black then, and nothing is cached.

    Raises:
        AugfaceError: one side cannot be read.
    """
    real, synthetic, train = _in_memory(real), _in_memory(synthetic), None if train is None else _in_memory(train)
    sides = [side for side in (real, synthetic, train) if side is not None]
    folder = _generator_folder(synthetic)
    generator = None if folder is None else load_generator(folder)
    known = (_known_size(side, generator if side is synthetic else None) for side in sides)
    opening = _Opening(
        size=size or next(filter(None, known), DEFAULT_SIZE),
        originals=size is None and all(_is_folder(side) for side in sides),
        beside="celeba" if any(_is_celeba(side) for side in sides) else "",
        look=look,
    )
    real_faces = opening.real(real)
    if generator is None:
        generated = opening.synthetic(synthetic)
    else:
        generated = opening.samples(generator, len(held_out(real_faces)), seed)
    opened = [real_faces, generated, *([] if train is None else [opening.real(train)])]
    if any(faces.originals is None for faces in opened):  # files in their own size on one side only are no match
        opened = [replace(faces, originals=None) for faces in opened]
    return Opened(opened[0], opened[1], opened[2] if len(opened) > 2 else None, generator if look else None)


@dataclass(frozen=True)
class _Opening:
    """How all sides are opened; see `load_data`."""

    size: int
    originals: bool
    beside: str
    look: bool

    def real(self, side: _Side) -> FaceDataset:
        """The real faces of a side."""
        run = _run_settings(side)
        return of_source(self._open(side if run is None else run[0]), REAL)

    def synthetic(self, side: _Side) -> FaceDataset:
        """The synthetic faces of a side."""
        return of_source(self._open(side), SYNTHETIC)

    def samples(self, generator: Generator, count: int, seed: int) -> FaceDataset:
        """Faces as they come out of a generator, unfiltered."""
        count = min(count, MOST_SAMPLES, generator.available())
        log.info(f"{count:,} faces are drawn from the generator {generator.name}, unfiltered.")
        samples = generator.sample(count if self.look else 1, seed=derive_seed(seed, "evaluate"))
        return resized(samples if self.look else samples.select(np.zeros(count, dtype=np.int64)), self.size)

    def _open(self, side: _Side) -> FaceDataset:
        if isinstance(side, FaceDataset):
            return resized(side, self.size)
        if not self.look:
            return preview_data(side, size=self.size, originals=self.originals)
        return load_data(side, size=self.size, originals=self.originals, beside=self.beside)


def held_out(real: FaceDataset) -> FaceDataset:
    """The real faces that synthetic ones are held against: the valid split, or the test split, or all without splits.

    Raises:
        DataError: there is a train split and nothing else.
    """
    faces = real.valid or real.test
    if faces is not None:
        return faces
    if real.split is not None:
        raise DataError(
            f"{real.source.spec} has a train split only; held-out real faces are needed to measure against."
        )
    return real


_Side = FaceDataset | str | Path


def _in_memory(side: Faces) -> _Side:
    """A place or a data set as it is; what holds faces in memory as a data set."""
    return side if isinstance(side, _Side) else load_data(side)


def _is_celeba(side: _Side) -> bool:
    """Whether these are CelebA's faces in its own crop."""
    if isinstance(side, FaceDataset):
        return side.source.crop == "celeba"
    if _generator_folder(side) is not None and _run_settings(side) is None:
        return False
    run = _run_settings(side)
    return recognise(side if run is None else run[0]).kind == "celeba"


def _generator_folder(side: _Side) -> Path | None:
    """Where the generator is that a run or generator folder holds."""
    return None if isinstance(side, FaceDataset) else find_generator(side)


def _run_settings(side: _Side) -> tuple[str, int] | None:
    """The data set and the size that a run folder started from."""
    return None if isinstance(side, FaceDataset) else data_of_run(Path(side).expanduser())


def _is_folder(side: _Side) -> bool:
    """Whether this is a plain folder or zip of images."""
    if isinstance(side, FaceDataset) or _generator_folder(side) is not None or _run_settings(side) is not None:
        return False
    return recognise(side).kind == "folder"


def _known_size(side: _Side, generator: Generator | None) -> int | None:
    """The size that this side, or the generator that it holds, has and cannot do without."""
    if isinstance(side, FaceDataset):
        return side.size
    if (run := _run_settings(side)) is not None:
        return run[1]
    return None if generator is None else generator.sample(1).size
