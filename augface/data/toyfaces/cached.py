"""Data sets that a program makes, kept in the cache: rendered once, opened at once the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Pixels
from augface.cache import read_entry, touch, write_entry
from augface.data.dataset import FaceDataset, Source
from augface.data.pixels import ImageRows
from augface.errors import OutputError
from augface.files import atomic_path, cache_dir


def load_rendered(kind: str, parameters: dict[str, Any], render: Callable[[], FaceDataset]) -> FaceDataset:
    """The data set that `render` makes, from the cache where it has been rendered before.

    Args:
        kind: what is rendered.
        parameters: JSON values that, with `kind`, determine every pixel and label.
        render: called where the cache does not have it.

    Raises:
        OutputError: the cache cannot be written.
    """
    key = hashlib.sha256(json.dumps([kind, parameters], sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_dir() / "images" / key
    if (cached := _read(folder)) is not None:
        touch(folder)
        return cached
    rendered = render()
    try:
        _write(folder, rendered)
    except OutputError:
        if (written_by_another_process := _read(folder)) is None:
            raise
        return written_by_another_process
    return _read(folder) or rendered


def _write(folder: Path, rendered: FaceDataset) -> None:
    labels = rendered.attributes.add_prefix("attribute:").assign(name=rendered.names)
    if rendered.factors is not None:
        labels = labels.join(rendered.factors.add_prefix("factor:"))
    if rendered.identity is not None:
        labels["identity"] = rendered.identity
    if rendered.split is not None:
        labels["split"] = rendered.split
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        np.save(temporary / "images.npy", np.asarray(rendered.images), allow_pickle=False)
        labels.to_parquet(temporary / "labels.parquet", index=False)
        write_entry(
            temporary,
            f"{rendered.source.spec}, {len(rendered):,} images of {rendered.size} x {rendered.size}",
            spec=rendered.source.spec,
            content_hash=rendered.source.content_hash,
            shows_people=rendered.source.shows_people,
            terms=rendered.source.terms,
        )


def _read(folder: Path) -> FaceDataset | None:
    """The cached data set; None where there is none or it is broken."""
    entry = read_entry(folder)
    try:
        source = Source(entry["spec"], entry["content_hash"], entry["shows_people"], entry["terms"])
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
