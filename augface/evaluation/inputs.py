"""The sides of an evaluation from whatever people have: data sets, places, arrays, run folders, generators."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augface.arrays import Pixels
from augface.data import DEFAULT_SIZE, load_data, recognise
from augface.data.dataset import FaceDataset
from augface.data.images import resize_faces
from augface.data.sources import REAL, SYNTHETIC, of_source
from augface.errors import DataError
from augface.generators import load_generator
from augface.seeds import derive_seed

Faces = FaceDataset | str | Path | Pixels
"""A data set, a place that `load_data` takes, the folder of a run or of a generator, or uint8 images (N, H, W, 3)."""

MOST_SAMPLES = 50_000

log = logging.getLogger("augface")


class Opened(NamedTuple):
    """Real faces, synthetic ones, and those that the generator learnt from, where they are given by themselves."""

    real: FaceDataset
    synthetic: FaceDataset
    train: FaceDataset | None


def open_faces(
    real: Faces, synthetic: Faces, train: Faces | None = None, *, size: int | None = None, seed: int = 0
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

    Raises:
        AugfaceError: one side cannot be read.
    """
    sides = [side for side in (real, synthetic, train) if side is not None]
    originals = size is None and all(_is_folder(side) for side in sides)
    size = size or next((known for side in sides if (known := _known_size(side))), DEFAULT_SIZE)
    real_faces = _open_real(real, size, originals=originals)
    generated = _open_synthetic(synthetic, size, len(held_out(real_faces)), seed, originals=originals)
    train_faces = None if train is None else _open_real(train, size, originals=originals)
    opened = [faces for faces in (real_faces, generated, train_faces) if faces is not None]
    if any(faces.originals is None for faces in opened):  # files in their own size on one side only are no match
        opened = [replace(faces, originals=None) for faces in opened]
    return Opened(opened[0], opened[1], opened[2] if len(opened) > 2 else None)


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


def _generator_folder(side: Faces) -> Path | None:
    """Where the generator is that a run or generator folder holds."""
    if not isinstance(side, str | Path):
        return None
    folder = Path(side).expanduser()
    return next((place for place in (folder, folder / "generator") if (place / "weights.safetensors").is_file()), None)


def _run_settings(side: Faces) -> tuple[str, int] | None:
    """The data set and the size that a run folder started from."""
    if not isinstance(side, str | Path) or not (config := Path(side).expanduser() / "config.toml").is_file():
        return None
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
        return str(settings["data"]), int(settings["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{config} is not that of a run: {error}.") from error


def _is_folder(side: Faces) -> bool:
    """Whether this is a plain folder or zip of images."""
    is_place = isinstance(side, str | Path) and _generator_folder(side) is None and _run_settings(side) is None
    return is_place and recognise(side).kind == "folder"  # type: ignore[arg-type]


def _known_size(side: Faces) -> int | None:
    """The size that this side has and cannot do without."""
    if isinstance(side, FaceDataset):
        return side.size
    if isinstance(side, np.ndarray):
        return FaceDataset.from_arrays(side[:1]).size
    if (run := _run_settings(side)) is not None:
        return run[1]
    if (folder := _generator_folder(side)) is not None:
        return load_generator(folder).sample(1).size
    return None


def _open_real(side: Faces, size: int, *, originals: bool) -> FaceDataset:
    run = _run_settings(side)
    faces = _open(side if run is None else run[0], size, originals=originals)
    return of_source(faces, REAL)


def _open_synthetic(side: Faces, size: int, count: int, seed: int, *, originals: bool) -> FaceDataset:
    folder = _generator_folder(side)
    if folder is None:
        return of_source(_open(side, size, originals=originals), SYNTHETIC)
    generator = load_generator(folder)
    count = min(count, MOST_SAMPLES, generator.available())
    log.info(f"{folder} holds the generator {generator.name}: {count:,} faces are drawn, unfiltered.")
    return _resized(generator.sample(count, seed=derive_seed(seed, "evaluate")), size)


def _open(side: Faces, size: int, *, originals: bool) -> FaceDataset:
    if isinstance(side, FaceDataset):
        return _resized(side, size)
    if isinstance(side, np.ndarray):
        return _resized(FaceDataset.from_arrays(side), size)
    return load_data(side, size=size, originals=originals)


def _resized(faces: FaceDataset, size: int) -> FaceDataset:
    """The faces at another size, by the Lanczos filter; as they are where they have it."""
    if faces.images.shape[1:3] == (size, size) or faces.originals is not None:
        return faces
    resized = FaceDataset.from_arrays(resize_faces(faces.images, size), spec=faces.source.spec)
    return replace(faces, images=resized.images, source=resized.source)
