"""Data sets that a program makes, kept in the cache: rendered once, opened at once the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.cache import read_entry, touch, write_entry
from augface.data.dataset import FaceDataset, ImageRows, Pixels, Source
from augface.errors import OutputError
from augface.files import atomic_path, cache_dir


def load_made(kind: str, parameters: dict[str, Any], make: Callable[[], FaceDataset]) -> FaceDataset:
    """The data set that `make` makes, from the cache where it has been made before.

    Args:
        kind: what is made.
        parameters: JSON values that, with `kind`, determine every pixel and label.
        make: called where the cache does not have it.

    Raises:
        OutputError: the cache cannot be written.
    """
    key = hashlib.sha256(json.dumps([kind, parameters], sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_dir() / "images" / key
    if (cached := _read(folder)) is not None:
        touch(folder)
        return cached
    made = make()
    try:
        _write(folder, made)
    except OutputError:
        if (written_by_another_process := _read(folder)) is None:
            raise
        return written_by_another_process
    return _read(folder) or made


def _write(folder: Path, made: FaceDataset) -> None:
    labels = made.attributes.add_prefix("attribute:").assign(name=made.names)
    if made.factors is not None:
        labels = labels.join(made.factors.add_prefix("factor:"))
    if made.identity is not None:
        labels["identity"] = made.identity
    if made.split is not None:
        labels["split"] = made.split
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        np.save(temporary / "images.npy", np.asarray(made.images), allow_pickle=False)
        labels.to_parquet(temporary / "labels.parquet", index=False)
        write_entry(
            temporary,
            f"{made.source.spec}, {len(made):,} images of {made.size} x {made.size}",
            spec=made.source.spec,
            content_hash=made.source.content_hash,
        )


def _read(folder: Path) -> FaceDataset | None:
    """The cached data set; None where there is none or it is broken."""
    entry = read_entry(folder)
    try:
        source = Source(entry["spec"], entry["content_hash"])
        stored: Pixels = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = pd.read_parquet(folder / "labels.parquet")
    except (OSError, ValueError, KeyError):
        return None
    if len(stored) != len(labels):
        return None
    factors = _prefixed(labels, "factor:")
    return FaceDataset(
        images=ImageRows(stored, np.arange(len(stored), dtype=np.int64)),
        attributes=_prefixed(labels, "attribute:").astype("boolean"),
        identity=labels["identity"].to_numpy(dtype=np.int64) if "identity" in labels else None,
        split=labels["split"].to_numpy(dtype=np.str_) if "split" in labels else None,
        source=source,
        names=labels["name"].to_numpy(dtype=np.str_),
        factors=factors if factors.shape[1] else None,
    )


def _prefixed(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    chosen = table[[name for name in table.columns if name.startswith(prefix)]]
    return chosen.rename(columns=lambda name: name.removeprefix(prefix))
