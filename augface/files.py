"""Writing that never leaves half a file, and folders that are never overwritten by surprise."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import platformdirs

from augface.errors import OutputError
from augface.threads import cores, in_order

LOCK = ".lock"
"""The file of `augface.locks` in a folder, which counts for nothing."""
RUN_CONFIG = "config.toml"
"""The settings of a run, in its folder; without it a folder is no run."""
RUN_GENERATOR = "generator"
"""Where a run folder holds its generator."""


def cache_dir() -> Path:
    """The folder of all caches: `$AUGFACE_CACHE`, or the platform's own place for caches."""
    return Path(os.environ.get("AUGFACE_CACHE") or platformdirs.user_cache_dir("augface"))


def offline() -> bool:
    """Whether AUGFACE_OFFLINE forbids to try a download."""
    return os.environ.get("AUGFACE_OFFLINE", "0") not in ("", "0")


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(path: Path, *, but: Collection[str] = ()) -> str:
    """SHA-256 over a file, or over the names and contents of all files below a folder.

    Args:
        path: the file or folder.
        but: names in the folder, relative to it, that do not count.
    """
    if not path.is_dir():
        return sha256_of_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    names = [file.relative_to(path).as_posix() for file in files]
    counted = [(name, file) for name, file in zip(names, files, strict=True) if name not in but]
    digests = in_order(lambda each: sha256_of_file(each[1]), counted, workers=cores(), ahead=64)
    lines = (f"{digest}  {name}\n" for (name, _), digest in zip(counted, digests, strict=True))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into an `OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(
                f"No space left on the disk that holds {path}. Free some, or choose another place."
            ) from error
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to `path` when the block ends well and removed when it does not.

    It serves files and folders alike; an existing folder at `path` is replaced.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        temporary = workspace / path.name
        try:
            yield temporary
            if temporary.is_dir() and path.is_dir():
                path.rename(workspace / "replaced")
            temporary.replace(path)
        finally:
            shutil.rmtree(workspace, ignore_errors=True)


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a whole file or nothing, and make sure that it is on the disk before the name points to it."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def remove_leftovers(*folders: Path) -> None:
    """Remove what `atomic_path` leaves in these folders when its process is killed. No other may be writing there."""
    for folder in folders:
        for leftover in folder.glob(".*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)


def new_directory(path: Path) -> Path:
    """Make `path` a folder that is empty, but perhaps for a lock, and writable.

    Raises:
        OutputError: it is a file, holds something already, or cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; the output needs a folder.")
    if path.is_dir() and not is_vacant(path):
        raise OutputError(f"The output folder {path} is not empty. Choose another, or empty it first.")
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    return path


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing, or nothing but a lock."""
    return all(path.name == LOCK for path in folder.iterdir())


def human_bytes(count: float) -> str:
    """A size for people.

    >>> human_bytes(1_400_000)
    '1.4 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
