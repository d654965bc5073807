"""The cache: which folder it is, what it holds, whether that is whole, and how it is emptied.

Each entry is a folder or a file below `cache_dir()/<kind>/`, of a name that only augface gives. An entry's folder has
an `entry.json` with a `description` and the SHA-256 of its files; a `.safetensors` file has both in its header.
`last_used` is when `entry.json`, or the file, was last touched. `CACHEDIR.TAG` says that the folder is a cache and
ours, so that backups leave it out, and nothing is deleted in a folder that is somebody else's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augface.checked_arrays import arrays_are_whole
from augface.errors import DataError, OutputError, UnknownNameError
from augface.files import atomic_write, cache_dir, human_bytes, output_errors, sha256_of_file

MARKER = "CACHEDIR.TAG"
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
"""How the tag of a cache begins, whatever program it belongs to (https://bford.info/cachedir/)."""
OURS = f"{SIGNATURE}\n# This folder is the cache of augface. What `augface data` shows of it can be made again.\n"

KINDS = {
    "images": re.compile(r"[0-9a-f]{32}"),
    "features": re.compile(r"[\w.+-]+-[0-9a-f]{32}\.safetensors"),
    "classifiers": re.compile(r"[0-9a-f]{32}\.safetensors"),
    "chunks": re.compile(r"[0-9a-f]{32}\.safetensors"),
    "weights": re.compile(r"[\w.+-]+\.(safetensors|pth|pt|bin|dat)"),
    "remote": re.compile(r"[0-9a-f]{32}"),
}
"""The kinds of entries, and what entries are called."""
UNFINISHED = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}\.partial")
"""What `atomic_path` leaves when its process is killed."""
ENTRY_FILE = "entry.json"
ENTRY_FILES = (ENTRY_FILE, "images.npy", "labels.parquet", "source.json", "progress.jsonl", "bad.json")
"""All that an entry's folder holds, but for what is unfinished and `COPY`."""
COPY = "copy"
"""The folder of an entry in which a copy of other people's files lies."""
MAX_HEADER = 1_000_000


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache."""

    kind: str
    """`images`, `features`, `classifiers` (of attributes), `chunks` (synthetic faces that took long), `weights` or
    `remote` (copies of data that lie elsewhere)."""
    key: str
    path: Path
    bytes: int
    description: str
    last_used: float
    """Seconds since 1970."""


# Writing


def prepare_cache() -> None:
    """Make the cache's folder and its tag, before anything is written there.

    Raises:
        OutputError: it cannot be written, or is a folder of other things.
    """
    root = cache_dir()
    if _is_ours(root):
        return
    with output_errors(root):
        if root.is_dir() and (foreign := _foreign(root)):
            raise OutputError(
                f"The cache folder {root} holds {foreign.name!r}, and so is no cache of augface. Set AUGFACE_CACHE to "
                f"a folder that is new or empty, such as {root / 'augface'}."
            )
        atomic_write(root / MARKER, OURS)


def check_space(folder: Path, needed: int, what: str) -> None:
    """Fail before anything is written where a folder of the cache cannot hold so many bytes.

    Raises:
        OutputError: the disk has less; `what` needs them.
    """
    with output_errors(folder):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{what} needs {human_bytes(needed)} in {folder.parent}, and {human_bytes(free)} are free. Free some "
            "(`augface data purge` empties the cache), or set AUGFACE_CACHE to a folder on another disk."
        )


def write_entry(folder: Path, description: str, *, files: Iterable[str] = (), **fields: Any) -> None:
    """Write an entry folder's `entry.json`: its description, whatever else its owner wants to know, and what is needed
    to see later whether these files of it are whole. An entry without files is unfinished.
    """
    checks = {name: {"sha256": sha256_of_file(folder / name), "stamp": _stamp(folder / name)} for name in files}
    _seal(folder, {"description": description, **fields, "files": checks})


def touch(path: Path) -> None:
    """Remember that an entry was used now. A cache that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError):
        os.utime(path / ENTRY_FILE if path.is_dir() else path)


# Reading


def read_entry(folder: Path) -> dict[str, Any]:
    """An entry folder's `entry.json`; empty where there is none or it is damaged."""
    try:
        sealed = json.loads((folder / ENTRY_FILE).read_text(encoding="utf-8"))
        fields = sealed["fields"]
        return dict(fields) if sealed["sha256"] == _digest(fields) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def open_entry(folder: Path, *, fully: bool = False) -> dict[str, Any] | None:
    """An entry folder's `entry.json`, where it is finished and its files are whole; None else.

    Files that have the size and times that they had when they were last looked at are taken for whole, which costs
    nothing; others are read and compared, and so are all where `fully`.
    """
    entry = read_entry(folder)
    files = entry.get("files")
    if not files:
        return None
    try:
        changed = [name for name, known in files.items() if fully or known["stamp"] != _stamp(folder / name)]
        if any(sha256_of_file(folder / name) != files[name]["sha256"] for name in changed):
            return None
        if changed:
            with contextlib.suppress(OSError, OutputError):  # a cache that cannot be written
                for name in changed:
                    files[name]["stamp"] = _stamp(folder / name)
                _seal(folder, entry)
    except OSError:  # gone
        return None
    return entry


def entries() -> list[CacheEntry]:
    """Everything in the cache that is ours, by kind and key."""
    root = cache_dir()
    found = []
    for kind in KINDS:
        if not (root / kind).is_dir() or (root / kind).is_symlink():
            continue
        for path in sorted((root / kind).iterdir()):
            with contextlib.suppress(OSError):  # gone in the meantime
                if _is_entry(kind, path):
                    found.append(_entry(kind, path))
    return found


def damaged_entries() -> Iterator[tuple[CacheEntry, bool]]:
    """Every finished entry, read to its end, and whether it is damaged. Damaged ones are made again when next needed.

    Weights are not looked at here: they are compared with what their makers published whenever they are read. Nor are
    copies of data that lie elsewhere: what was changed in them is copied again whenever they are read.
    """
    for entry in entries():
        if entry.kind == "images" and read_entry(entry.path).get("files"):
            damaged = open_entry(entry.path, fully=True) is None
            if damaged:
                _forget_stamps(entry.path)
            yield entry, damaged
        elif entry.kind == "images" and (entry.path / ENTRY_FILE).exists() and not read_entry(entry.path):
            yield entry, True
        elif entry.kind in ("features", "classifiers") and not UNFINISHED.fullmatch(entry.key):
            yield entry, not arrays_are_whole(entry.path)


# Emptying


def purge(kind: str | None = None, older_than_days: float | None = None) -> int:
    """Delete entries of one kind, or of all, that were not used for so long; return the bytes that this frees.

    Raises:
        UnknownNameError: there are no entries of such a kind.
        DataError: the folder does not say that it is a cache of augface.
        OutputError: an entry cannot be deleted.
    """
    freed = 0
    for entry in purgeable(kind, older_than_days):
        with output_errors(entry.path):
            _delete(entry)
        freed += entry.bytes
    return freed


def purgeable(kind: str | None = None, older_than_days: float | None = None) -> list[CacheEntry]:
    """What `purge` would delete; raises as it does."""
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind of cache entry", kind, KINDS)
    root = cache_dir()
    if not _is_ours(root) and root.is_dir() and any(root.iterdir()):
        raise DataError(
            f"{root} has no {MARKER} of augface, so that what it holds may be somebody else's. Nothing was deleted. "
            "AUGFACE_CACHE says which folder is the cache."
        )
    before = None if older_than_days is None else time.time() - older_than_days * 86_400
    return [
        entry for entry in entries() if kind in (None, entry.kind) and (before is None or entry.last_used <= before)
    ]


def _delete(entry: CacheEntry) -> None:
    """Delete what is ours of an entry; whatever else somebody put into its folder stays."""
    path = entry.path
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    elif UNFINISHED.fullmatch(path.name):
        shutil.rmtree(path)
    else:
        for inner in path.iterdir():
            is_ours = UNFINISHED.fullmatch(inner.name) or (entry.kind == "remote" and inner.name == COPY)
            if is_ours and inner.is_dir() and not inner.is_symlink():
                shutil.rmtree(inner)
            elif inner.name in ENTRY_FILES:
                inner.unlink()
        if not any(path.iterdir()):
            path.rmdir()


# The parts


def _is_ours(root: Path) -> bool:
    try:
        tag = (root / MARKER).read_bytes()[:1000].decode(errors="replace")
    except OSError:
        return False
    return tag.startswith(SIGNATURE) and "augface" in tag


def _foreign(root: Path) -> Path | None:
    """Something in a folder without a tag that is not of a cache of an earlier version."""
    for kind in root.iterdir():
        if kind.name not in KINDS or kind.is_symlink() or not kind.is_dir():
            if not UNFINISHED.fullmatch(kind.name):
                return kind
            continue
        for path in kind.iterdir():
            if not _is_entry(kind.name, path):
                return path
    return None


def _is_entry(kind: str, path: Path) -> bool:
    unfinished = UNFINISHED.fullmatch(path.name)
    return bool(KINDS[kind].fullmatch(unfinished["name"] if unfinished else path.name))


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
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _stamp(path: Path) -> list[int]:
    """What a file shows of itself without being read; the last cannot be set at will."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _seal(folder: Path, fields: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(fields))  # as they will be read
    atomic_write(folder / ENTRY_FILE, json.dumps({"fields": plain, "sha256": _digest(plain)}, indent=1) + "\n")


def _forget_stamps(folder: Path) -> None:
    """Let files be read, and not taken for whole, when they are next needed."""
    entry = read_entry(folder)
    for known in entry["files"].values():
        known["stamp"] = None
    with contextlib.suppress(OSError, OutputError):
        _seal(folder, entry)


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
