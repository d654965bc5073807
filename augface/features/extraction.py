"""Features of data sets, each computed once: the cache is keyed by the pixels and by the space's protocol."""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from augface.data.dataset import FaceDataset
from augface.errors import OutputError
from augface.features.base import Features, FeatureSpace
from augface.files import atomic_path, cache_dir

CHUNK = 256


def features_of(data: FaceDataset, space: FeatureSpace) -> Features:
    """Features of all faces, float32 (N, D), from the cache where they have been computed before."""
    from safetensors.numpy import save

    path = _cache_path(data, space)
    cached = _read(path, len(data), space.dimension)
    if cached is not None:
        return cached
    features = np.empty((len(data), space.dimension), dtype=np.float32)
    with tqdm(total=len(data), desc=f"{space.name} features", unit="img", disable=not sys.stderr.isatty()) as progress:
        for start in range(0, len(data), CHUNK):
            chunk = data.images[start : start + CHUNK]
            features[start : start + len(chunk)] = space.extract(chunk)
            progress.update(len(chunk))
    metadata = {
        "protocol": json.dumps(space.protocol, sort_keys=True),
        "description": f"{data.source.spec}, {len(data)} faces",
    }
    with suppress(OutputError), atomic_path(path) as temporary:  # a full disk costs the cache, not the result
        temporary.write_bytes(save({"features": features}, metadata=metadata))
    return features


def _cache_path(data: FaceDataset, space: FeatureSpace) -> Path:
    digest = hashlib.sha256(json.dumps(space.protocol, sort_keys=True).encode())
    digest.update(repr(data.images.shape).encode())
    for start in range(0, len(data), CHUNK):
        digest.update(np.ascontiguousarray(data.images[start : start + CHUNK]).data)
    return cache_dir() / "features" / f"{space.name}-{digest.hexdigest()[:32]}.safetensors"


def _read(path: Path, count: int, dimension: int) -> Features | None:
    """The cached features, or None where there are none or the file was cut short."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        features: Features = load_file(path)["features"]
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    return features if features.shape == (count, dimension) else None
