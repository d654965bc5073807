"""Features of data sets, each computed once: the cache is keyed by the images' bytes and by the space's protocol."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from augface.arrays import Floats32
from augface.cache import prepare_cache, touch
from augface.checked_arrays import read_arrays, write_arrays
from augface.data.dataset import FaceDataset
from augface.data.images import quiet_decoding
from augface.errors import DataError, OutputError
from augface.features.base import Features, FeatureSpace
from augface.files import cache_dir
from augface.progress import Bar, progress
from augface.text import one_line
from augface.threads import cores, in_order

PART = 1024
"""Faces whose features make one entry of the cache."""

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
        for start in range(0, len(data), PART):
            rows = slice(start, start + PART)
            for whole, part in zip(features, _features_of_part(data.select(rows), spaces, bar), strict=True):
                whole[rows] = part
    return features


def _features_of_part(data: FaceDataset, spaces: Sequence[FeatureSpace], bar: Bar) -> list[Features]:
    content = _content_digest(data)
    paths = [_cache_path(content, space) for space in spaces]
    found = [_read(path, len(data), space.dimension) for path, space in zip(paths, spaces, strict=True)]
    missing = [space for space, features in zip(spaces, found, strict=True) if features is None]
    if not missing:
        bar.update(len(data))
    computed = iter(_extract(data, missing, bar) if missing else [])
    result = []
    for path, space, cached in zip(paths, spaces, found, strict=True):
        features = next(computed) if cached is None else cached
        if cached is None:
            _write(path, features, space, data)
        result.append(features)
    return result


def input_protocol(data: FaceDataset) -> dict[str, str]:
    """What the spaces were shown: the files in their own size, or images that were brought to one size before."""
    shown = f"{data.size} x {data.size} pixels" if data.originals is None else "files in their own size"
    return {"input": shown}


def _extract(data: FaceDataset, spaces: Sequence[FeatureSpace], bar: Bar) -> list[Features]:
    """Threads read and prepare images, in order, while the networks run on those before."""
    features = [np.empty((len(data), space.dimension), dtype=np.float32) for space in spaces]
    waiting: list[Prepared] = [[] for _ in spaces]
    done = [0] * len(spaces)

    def run(number: int) -> None:
        start, count = done[number], len(waiting[number])
        features[number][start : start + count] = spaces[number].extract_prepared(waiting[number])
        done[number] += count
        waiting[number] = []

    def prepare(row: int) -> Prepared:
        if data.originals is None:
            return [space.prepare(np.array(data.images[row])) for space in spaces]
        with data.originals.memory(row):
            picture = data.originals.picture(row)
            return [space.prepare(picture) for space in spaces]

    with quiet_decoding():
        ahead = 2 * max(space.batch for space in spaces)
        for prepared in in_order(prepare, range(len(data)), workers=cores(), ahead=ahead):
            for number, space in enumerate(spaces):
                waiting[number].append(prepared[number])
                if len(waiting[number]) == space.batch:
                    run(number)
            bar.update()
        for number in range(len(spaces)):
            if waiting[number]:
                run(number)
    for space, values in zip(spaces, features, strict=True):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise DataError(f"The {space.name} features of {data.names[row]} hold NaN or infinity: broken weights?")
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


def _write(path: Path, features: Features, space: FeatureSpace, data: FaceDataset) -> None:
    about = {
        "protocol": json.dumps(space.protocol, sort_keys=True),
        "description": f"{data.source.spec}, {len(data)} faces",
    }
    with suppress(OutputError):  # a full disk costs the cache, not the result
        prepare_cache()
        write_arrays(path, {"features": features}, about)
