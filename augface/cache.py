"""What the cache holds, for people: each entry is a folder or a file below `cache_dir()/<kind>/`.

An entry's folder has an `entry.json` with a `description`; a `.safetensors` file has it in its header. `last_used` is
when `entry.json`, or the file, was last touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augface.files import atomic_write, cache_dir, output_errors

ENTRY_FILE = "entry.json"
MAX_HEADER = 1_000_000


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache."""

    kind: str
    """`images`, `features`, `weights`, …"""
    key: str
    path: Path
    bytes: int
    description: str
    last_used: float
    """Seconds since 1970."""


def write_entry(folder: Path, description: str, **fields: Any) -> None:
    """Write an entry folder's `entry.json`: its description and whatever else its owner wants to know."""
    atomic_write(folder / ENTRY_FILE, json.dumps({"description": description, **fields}, indent=1) + "\n")


def read_entry(folder: Path) -> dict[str, Any]:
    """An entry folder's `entry.json`; empty where there is none or it is broken."""
    try:
        fields = json.loads((folder / ENTRY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def touch(path: Path) -> None:
    """Remember that an entry was used now. A cache that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError):
        os.utime(path / ENTRY_FILE if path.is_dir() else path)


def entries() -> list[CacheEntry]:
    """Everything in the cache, by kind and key."""
    root = cache_dir()
    found = []
    for kind in _subfolders(root):
        for path in sorted(kind.iterdir()):
            try:
                found.append(_entry(kind.name, path))
            except OSError:  # gone in the meantime
                continue
    return found


def purge(kind: str | None = None, older_than_days: float | None = None) -> int:
    """Delete entries of one kind, or of all, that were not used for so long; return the bytes that this frees.

    Raises:
        OutputError: an entry cannot be deleted.
    """
    before = None if older_than_days is None else time.time() - older_than_days * 86_400
    freed = 0
    for entry in entries():
        if kind not in (None, entry.kind) or (before is not None and entry.last_used > before):
            continue
        with output_errors(entry.path):
            if entry.path.is_dir() and not entry.path.is_symlink():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink(missing_ok=True)
        freed += entry.bytes
    return freed


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink()) if root.is_dir() else []


def _entry(kind: str, path: Path) -> CacheEntry:
    if path.is_symlink() or path.is_file():
        status = path.lstat()
        return CacheEntry(kind, path.name, path, status.st_size, _description_of_file(path), status.st_mtime)
    used = path / ENTRY_FILE
    size = sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
    description = str(read_entry(path).get("description", "unfinished"))
    return CacheEntry(kind, path.name, path, size, description, (used if used.is_file() else path).stat().st_mtime)


def _description_of_file(path: Path) -> str:
    """The `description` in the header of a safetensors file: 8 bytes of length, then JSON."""
    if path.suffix != ".safetensors":
        return ""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MAX_HEADER)))
        return str(header["__metadata__"]["description"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
