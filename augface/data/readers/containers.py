"""Where files lie: a folder or a zip, read alike. What leads out of either is not followed."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from augface.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


class UnreadableFile(Exception):
    """One file that cannot be read; the text is the reason."""


class Container(Protocol):
    """A tree of files. Names are relative, with `/`."""

    path: Path
    names: dict[str, str]
    """Every file's name and its fingerprint: another content has another one."""
    links_left_out: int
    """How many links were not followed."""

    def read(self, name: str, limit: int) -> bytes:
        """A file's content.

        Raises:
            UnreadableFile: it cannot be read, or is longer than `limit` bytes.
        """


def open_container(path: Path) -> Container:
    """The folder or zip at `path`.

    Raises:
        DataError: it is neither, or the zip is broken or has members that point out of it.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return Zip(path)
    if path.exists():
        raise DataError(f"{path} is neither a folder nor a zip archive.")
    raise DataError(f"There is no folder or zip archive {path}.")


class Folder:
    """The files below a folder. Hidden ones are left out, and so are links to folders and links that lead outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.links_left_out = 0
        self.names: dict[str, str] = {}
        try:
            self._root = path.resolve(strict=True)
            self._scan()
        except OSError as error:
            raise DataError(f"Cannot read the folder {error.filename or path}: {error.strerror}.") from error

    def _scan(self) -> None:
        folders = [(str(self._root), "")]
        while folders:
            folder, prefix = folders.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, f"{prefix}{entry.name}/"))
                    elif entry.is_symlink() and not self._is_file_inside(entry.path):
                        self.links_left_out += 1
                    elif stat.S_ISREG((status := entry.stat()).st_mode):
                        self.names[f"{prefix}{entry.name}"] = f"{status.st_size} {status.st_mtime_ns}"

    def _is_file_inside(self, link: str) -> bool:
        target = Path(os.path.realpath(link))
        return target.is_file() and target.is_relative_to(self._root)

    def read(self, name: str, limit: int) -> bytes:
        """See `Container.read`."""
        try:
            with (self._root / name).open("rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error
        if len(content) > limit:
            raise UnreadableFile(f"the file is longer than {limit:,} bytes")
        return content


class Zip:
    """The files in a zip archive, read without unpacking, by several threads at once if need be."""

    links_left_out = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"Cannot read the archive {path}: {error}.") from error
        self.names: dict[str, str] = {}
        for member in self._archive.infolist():
            name = member.filename
            refuse_escape(name, f"The archive {path}")
            if not member.is_dir() and not is_hidden(name):
                self.names[name] = f"{member.file_size} {member.CRC:08x}"

    def read(self, name: str, limit: int) -> bytes:
        """See `Container.read`."""
        try:
            if self._archive.getinfo(name).file_size > limit:
                raise UnreadableFile(f"the file is longer than {limit:,} bytes")
            return self._archive.read(name)
        except UnreadableFile:
            raise
        except Exception as error:  # a broken archive makes zipfile and its decompressors raise almost anything
            raise UnreadableFile(f"cannot be unpacked: {error}") from error


def refuse_escape(name: str, where: str) -> None:
    """Refuse a relative name that could lead out of its folder, on any operating system.

    Raises:
        DataError: the name is absolute, has a drive, or has a part `..`.
    """
    path = name.replace("\\", "/")
    if path.startswith("/") or ":" in path[:2] or "\0" in path or (".." in path and ".." in path.split("/")):
        raise DataError(f"{where} names the file {name!r}, which leads out of its folder. Nothing was read.")


def is_hidden(name: str) -> bool:
    """Whether any part of the name begins with a dot, or is what macOS adds to archives."""
    return name.startswith((".", "__MACOSX/")) or "/." in name


def image_names(container: Container) -> list[str]:
    """The names that look like images, sorted."""
    return sorted(name for name in container.names if name.lower().endswith(IMAGE_SUFFIXES))


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first few names, for messages.

    >>> some(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    # Non-mates' names may hold what would move the cursor.
    names = [name if name.isprintable() else ascii(name) for name in names]
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")
