"""Data sets that a program makes, kept in the cache: rendered once, opened at once the next time."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from augface.cache import open_entry, prepare_cache, read_entry, touch, write_entry
from augface.data.dataset import FaceDataset
from augface.data.stored import FILES, read_faces, write_faces
from augface.errors import OutputError
from augface.files import atomic_path, cache_dir

log = logging.getLogger("augface")


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
    if read_entry(folder):
        log.warning(f"The cached faces in {folder} are damaged, and are rendered again.")
    rendered = render()
    try:
        _write(folder, rendered)
    except OutputError:
        if (written_by_another_process := _read(folder)) is None:
            raise
        return written_by_another_process
    return _read(folder) or rendered


def _write(folder: Path, rendered: FaceDataset) -> None:
    prepare_cache()
    with atomic_path(folder) as temporary:
        write_faces(temporary, rendered)
        description = f"{rendered.source.spec}, {len(rendered):,} images of {rendered.size} x {rendered.size}"
        write_entry(temporary, description, files=FILES)


def _read(folder: Path) -> FaceDataset | None:
    """The cached data set; None where there is none or it is damaged."""
    return None if open_entry(folder) is None else read_faces(folder)
