"""Where files lie: a folder or a zip, read alike. What leads out of either is not followed."""

from __future__ import annotations

import os
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from augface.errors import DataError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
SYSTEM_FOLDERS = frozenset({"__macosx", "__pycache__", "lost+found", "system volume information", "recycler"})
"""Folders that operating systems make; those of network drives begin with `@`, `#` or `$`."""

SYSTEM = "hidden, or a system's own"
LEADS_OUT = "links that lead out of it"
TO_FOLDERS = "links to folders"
BROKEN = "links to nothing"
REPEATED = "members whose name comes again"
LONGEST_NAME = 80
"""Characters of a name in a message."""


class UnreadableFile(Exception):
    """One file that cannot be read; the text is the reason."""


class Container(Protocol):
    """A tree of files. Names are relative, with `/`."""

    path: Path
    names: dict[str, str]
    """Every file's name and its fingerprint: another content has another one."""
    left_out: dict[str, list[str]]
    """What was passed over, by the reason, such as `LEADS_OUT`."""

    def read(self, name: str, limit: int) -> bytes:
        """A file's content.

        Raises:
            UnreadableFile: it cannot be read, or is longer than `limit` bytes.
        """

    def size(self, name: str) -> int:
        """Bytes of a file's content, as the folder or archive says, without reading it; `UnreadableFile` as `read`."""

    def open(self, name: str) -> BinaryIO:
        """A file's content as a stream; `UnreadableFile` as `read`."""


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
        self.left_out: dict[str, list[str]] = defaultdict(list)
        self.names: dict[str, str] = {}
        try:
            self._root = path.resolve(strict=True)
            self._links_may_reach = _repository_of_snapshot(self._root) or self._root
            self._scan()
        except OSError as error:
            raise DataError(f"Cannot read the folder {error.filename or path}: {error.strerror}.") from error

    def _scan(self) -> None:
        folders = [(str(self._root), "")]
        while folders:
            folder, prefix = folders.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = f"{prefix}{entry.name}"
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_hidden(f"{entry.name}/" if is_folder else entry.name):
                        self.left_out[SYSTEM].append(f"{name}/" if is_folder else name)
                    elif is_folder:
                        folders.append((entry.path, f"{name}/"))
                    elif entry.is_symlink() and (reason := self._reason_not_to_follow(entry.path)):
                        self.left_out[reason].append(name)
                    elif stat.S_ISREG((status := entry.stat()).st_mode):
                        # Times of change cannot be set, as times of modification can by whoever copies or unpacks.
                        self.names[name] = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    def _reason_not_to_follow(self, link: str) -> str:
        target = Path(os.path.realpath(link))
        if not target.exists():
            return BROKEN
        if not target.is_relative_to(self._links_may_reach):
            return LEADS_OUT
        return "" if target.is_file() else TO_FOLDERS

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

    def size(self, name: str) -> int:
        """See `Container.size`."""
        try:
            return (self._root / name).stat().st_size
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error

    def open(self, name: str) -> BinaryIO:
        """See `Container.open`."""
        try:
            return (self._root / name).open("rb")
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error


def _repository_of_snapshot(folder: Path) -> Path | None:
    """The folder of a repository in the Hugging Face hub's cache, whose snapshots are links into its `blobs/`."""
    snapshots = next((place for place in folder.parents if place.name == "snapshots"), None)
    return snapshots.parent if snapshots is not None and (snapshots.parent / "blobs").is_dir() else None


class Zip:
    """The files in a zip archive, read without unpacking, by several threads at once if need be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: dict[str, list[str]] = defaultdict(list)
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"Cannot read the archive {path}: {error}.") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            refuse_escape(member.filename, f"The archive {path}")
            name = member.filename.replace("\\", "/")  # as some programs for Windows write them, against the standard
            if name.endswith("/"):
                continue
            if is_hidden(name):
                self.left_out[SYSTEM].append(name)
                continue
            if name in self._members:
                self.left_out[REPEATED].append(name)
            self._members[name] = member
        self.names = {name: f"{member.file_size} {member.CRC:08x}" for name, member in self._members.items()}

    def __reduce__(self) -> tuple[type[Zip], tuple[Path]]:
        """Pickled, the archive is named: another process opens it anew."""
        return Zip, (self.path,)

    def read(self, name: str, limit: int) -> bytes:
        """See `Container.read`."""
        try:
            member = self._members[name]
            if member.file_size > limit:
                raise UnreadableFile(f"the file is longer than {limit:,} bytes")
            return self._archive.read(member)
        except UnreadableFile:
            raise
        except Exception as error:  # a broken archive makes zipfile and its decompressors raise almost anything
            raise UnreadableFile(f"cannot be unpacked: {error}") from error

    def size(self, name: str) -> int:
        """See `Container.size`."""
        return self._members[name].file_size

    def open(self, name: str) -> BinaryIO:
        """See `Container.open`."""
        try:
            return cast(BinaryIO, self._archive.open(self._members[name]))
        except Exception as error:  # as in `read`
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
    """Whether any part of the name begins with a dot, or any folder of it is an operating system's own.

    >>> [is_hidden(name) for name in ("a/.b.png", "@eaDir/b.png", "__MACOSX/b.png", "a/#1.png")]
    [True, True, True, False]
    """
    *folders, _ = parts = name.split("/")
    return any(part.startswith(".") for part in parts) or any(
        folder.startswith(("@", "#", "$")) or folder.lower() in SYSTEM_FOLDERS for folder in folders
    )


def is_image(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def image_names(container: Container) -> list[str]:
    """The names that look like images, sorted."""
    return sorted(name for name in container.names if is_image(name))


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first few names, for messages.

    >>> some(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    # Names of strangers' files may hold what would move the cursor.
    printable = [name if name.isprintable() else ascii(name) for name in names]
    cut = [name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}" for name in printable[:shown]]
    return ", ".join(cut) + (", …" if len(printable) > shown else "")
