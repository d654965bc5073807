"""Features of data sets, each computed once: the cache is keyed by the images' bytes and by the space's protocol."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augface.arrays import Floats32, Strings
from augface.cache import prepare_cache, touch
from augface.checked_arrays import read_arrays, write_arrays
from augface.data.dataset import FaceDataset
from augface.data.images import quiet_decoding
from augface.data.originals import Originals
from augface.data.pixels import ImageRows
from augface.errors import DataError, OutputError
from augface.features.base import Features, FeatureSpace
from augface.files import cache_dir
from augface.processes import spread
from augface.progress import Bar, progress
from augface.text import one_line
from augface.threads import cores, in_order

PART = 1024
"""Faces whose features make one entry of the cache."""
TASK = 128
"""Faces that a process extracts at a time: of several processes each has some, and all spaces get whole batches."""

Prepared = list[Floats32]

log = logging.getLogger("augface")


def features_of(data: FaceDataset, space: FeatureSpace) -> Features:
    """Features of all faces, float32 (N, D), from the cache where they have been computed before."""
    return features_in_spaces(data, [space])[0]


def features_in_spaces(data: FaceDataset, spaces: Sequence[FeatureSpace]) -> list[Features]:
    """Features of all faces in several spaces, float32 (N, D) each. Every image is decoded once for all of them.

    The cache gets them a part of the faces at a time, so that whoever stops and starts again loses little.

    Raises:
        DataError: a file has changed since it was listed, or a network gives NaN or infinity.
    """
    features = [np.empty((len(data), space.dimension), dtype=np.float32) for space in spaces]
    names = one_line(" and ".join(space.name for space in spaces))
    with progress(total=len(data), desc=f"{names} features", unit="img") as bar:
        extraction = _Extraction(data.images, data.originals, data.names, tuple(spaces))
        for task, found in spread(extraction, _tasks(data, spaces, features, bar)):
            for number, values in zip(task.missing, found, strict=True):
                features[number][task.start : task.stop] = values
                if task.stop == task.part.stop:
                    _write(task.paths[number], features[number][task.part], spaces[number], data.source.spec)
            bar.update(task.stop - task.start)
    return features


def cached_features(data: FaceDataset, space: FeatureSpace) -> Features | None:
    """Features of all faces, float32 (N, D), where the cache has all of them; else None, and nothing is extracted."""
    features = np.empty((len(data), space.dimension), dtype=np.float32)
    for part, content in _parts(data):
        found = _read(_cache_path(content, space), part.stop - part.start, space.dimension)
        if found is None:
            return None
        features[part] = found
    return features


def _parts(data: FaceDataset) -> Iterator[tuple[slice, bytes]]:
    """The parts that the cache keeps the faces in, and the digest of each."""
    for start in range(0, len(data), PART):
        part = slice(start, min(start + PART, len(data)))
        yield part, _content_digest(data.select(part))


@dataclass(frozen=True)
class _Task:
    """Faces whose features are missing in some of the spaces."""

    start: int
    stop: int
    part: slice
    """The part of the faces that they are of."""
    missing: tuple[int, ...]
    """The numbers of these spaces."""
    paths: tuple[Path, ...]
    """Where the cache keeps the part in each space."""


def _tasks(
    data: FaceDataset, spaces: Sequence[FeatureSpace], features: Sequence[Features], bar: Bar
) -> Iterator[_Task]:
    """What is to be extracted, a part after another; what is in the cache is put among the features."""
    for part, content in _parts(data):
        paths = tuple(_cache_path(content, space) for space in spaces)
        missing = []
        for number, (path, space) in enumerate(zip(paths, spaces, strict=True)):
            found = _read(path, part.stop - part.start, space.dimension)
            if found is None:
                missing.append(number)
            else:
                features[number][part] = found
        if not missing:
            bar.update(part.stop - part.start)
            continue
        for first in range(part.start, part.stop, TASK):
            yield _Task(first, min(first + TASK, part.stop), part, tuple(missing), paths)


def input_protocol(data: FaceDataset) -> dict[str, str]:
    """What the spaces were shown: the files in their own size, or images that were brought to one size before."""
    shown = f"{data.size} x {data.size} pixels" if data.originals is None else "files in their own size"
    return {"input": shown}


@dataclass(frozen=True)
class _Extraction:
    """Extracts features of some faces; any process of a job can do it."""

    images: ImageRows
    originals: Originals | None
    names: Strings
    spaces: tuple[FeatureSpace, ...]

    def __call__(self, task: _Task) -> tuple[_Task, list[Features]]:
        """The task, and its faces' features in each space where they are missing."""
        rows = range(task.start, task.stop)
        features = _extract(self.images, self.originals, rows, [self.spaces[number] for number in task.missing])
        for number, values in zip(task.missing, features, strict=True):
            if not np.isfinite(values).all():
                row = task.start + int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                space, name = self.spaces[number].name, self.names[row]
                raise DataError(f"The {space} features of {name} hold NaN or infinity: broken weights?")
        return task, features


def _extract(
    images: ImageRows, originals: Originals | None, rows: range, spaces: Sequence[FeatureSpace]
) -> list[Features]:
    """Threads read and prepare images, in order, while the networks run on those before."""
    features = [np.empty((len(rows), space.dimension), dtype=np.float32) for space in spaces]
    waiting: list[Prepared] = [[] for _ in spaces]
    done = [0] * len(spaces)

    def run(number: int) -> None:
        start, count = done[number], len(waiting[number])
        features[number][start : start + count] = spaces[number].extract_prepared(waiting[number])
        done[number] += count
        waiting[number] = []

    def prepare(row: int) -> Prepared:
        if originals is None:
            return [space.prepare(np.array(images[row])) for space in spaces]
        with originals.memory(row):
            picture = originals.picture(row)
            return [space.prepare(picture) for space in spaces]

    with quiet_decoding():
        ahead = 2 * max(space.batch for space in spaces)
        for prepared in in_order(prepare, rows, workers=cores(), ahead=ahead):
            for number, space in enumerate(spaces):
                waiting[number].append(prepared[number])
                if len(waiting[number]) == space.batch:
                    run(number)
        for number in range(len(spaces)):
            if waiting[number]:
                run(number)
    return features


def _content_digest(data: FaceDataset) -> bytes:
    """What the images are known by: the bytes of their files, or their pixels, in order."""
    if data.originals is not None:
        digests = data.originals.digests(cores())
        return hashlib.sha256(b"files" + b"".join(digests)).digest()
    digest = hashlib.sha256(repr(data.images.shape).encode())
    rows = max(1, 6_000_000 // (data.size * data.size * 3))
    for start in range(0, len(data), rows):
        digest.update(np.ascontiguousarray(data.images[start : start + rows]).data)
    return digest.digest()


def _cache_path(content: bytes, space: FeatureSpace) -> Path:
    digest = hashlib.sha256(json.dumps(space.protocol, sort_keys=True).encode())
    digest.update(content)
    return cache_dir() / "features" / f"{space.name}-{digest.hexdigest()[:32]}.safetensors"


def _read(path: Path, count: int, dimension: int) -> Features | None:
    """The cached features; None where there are none, or they are damaged."""
    if not path.is_file():
        return None
    try:
        features: Features = read_arrays(path)["features"]
        if features.shape != (count, dimension) or features.dtype != np.float32:
            raise DataError(f"{path} holds features of another shape.")
    except (DataError, KeyError) as error:
        log.warning(f"{error} The features are extracted again.")
        return None
    touch(path)
    return features


def _write(path: Path, features: Features, space: FeatureSpace, spec: str) -> None:
    about = {
        "protocol": json.dumps(space.protocol, sort_keys=True),
        "description": f"{spec}, {len(features)} faces",
    }
    with suppress(OutputError):  # a full disk costs the cache, not the result
        prepare_cache()
        write_arrays(path, {"features": features}, about)
