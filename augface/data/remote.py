"""Data that do not lie on this machine: a copy in the cache, which is read as any other folder or file is.

The copy of an address is a folder, named by the address:

    copy/NAME        the files below the address, or the one file that it names
    progress.jsonl   one line a copied file: what its file system says of it, and what the copy shows of itself
    entry.json       what it is; finished copies can be used without a connection

A file is copied again where its file system says anything else of it than before, and where the copy was changed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import fsspec

from augface.cache import COPY, check_space, open_entry, prepare_cache, touch, write_entry
from augface.data.readers.containers import IMAGE_SUFFIXES, is_hidden, refuse_escape, some
from augface.data.readers.listing import Listing
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError, require
from augface.files import atomic_path, atomic_write, cache_dir, human_bytes, offline, output_errors
from augface.locks import locked
from augface.progress import Bar, progress
from augface.threads import in_order

READ_SUFFIXES = (*IMAGE_SUFFIXES, ".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".arrow", ".tar")
"""How files end that any reader opens. Of others the copy has the name alone, so that readers speak of them."""
READ_ARCHIVE = "img_align_celeba.zip"
"""The only archive that is read in a folder; others are read where the address names them."""
ON_THIS_MACHINE = ("file", "local")
WITHOUT_A_NETWORK = ("memory",)
WEB = ("http", "https")
PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "adl"), "adlfs"),
    **dict.fromkeys(WEB, "aiohttp"),
    **dict.fromkeys(("ssh", "sftp"), "paramiko"),
}
"""The package that a protocol needs, where it is not fsspec itself."""
SECRET = re.compile(
    r"sig|signature|token|key|secret|passw(or)?d|credential|auth|.*(signature|credential|token|keyid)", re.I
)
"""Names of parameters of an address that give access to whoever knows them."""
STATES = frozenset(
    {
        *("etag", "md5hash", "crc32c", "content_md5", "digest", "checksum", "generation", "blob_id", "xet_hash"),
        *("versionid", "mtime", "lastmodified", "last_modified", "updated", "modify", "modified", "created"),
    }
)
"""What file systems call that by which another content is known, in lower case and with `_` for `-`."""

NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

MOST_FILES = 2_000_000
MOST_BYTES = 1_000_000_000_000
DEEPEST = 32
"""Folders one in another, of a web server that lists them by its pages."""
LONGEST_PART, LONGEST_NAME = 255, 1000
"""Bytes of a file's name that file systems take, and of a name with its folders."""
AT_ONCE = 8
"""Files that are copied at the same time."""
ONE_LINE = 300
"""Characters of what a file system says of its failure."""
OUR_FAULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENAMETOOLONG})
"""Errors of this machine while a copy is written."""

log = logging.getLogger("augface")


def check_address(address: str) -> str:
    """The address without a slash at its end.

    Raises:
        UsageError: it holds a password or the like, or is made of several.
        UnknownNameError: fsspec knows no such protocol.
    """
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if "::" in address:
        raise UsageError(
            f"An address is one URL, such as s3://bucket/faces; {address.partition('::')[0]}:: is a chain."
        )
    if at and (":" in user or parts.scheme in WEB):
        raise UsageError(
            f"The address {parts.scheme}://…@{host}{parts.path} holds a password, which would stand in reports and "
            "logs. Leave it out: file systems take theirs from environment variables or their own files."
        )
    if secrets := [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if SECRET.fullmatch(name)]:
        raise UsageError(
            f"The address {parts.scheme}://{host}{parts.path} holds what gives access to it ({some(secrets)}), which "
            "would stand in reports and logs. Copy the data to this machine, or give the address of their storage."
        )
    if parts.scheme not in fsspec.available_protocols():
        raise UnknownNameError("protocol", parts.scheme, fsspec.available_protocols())
    return address.rstrip("/")


def on_this_machine(address: str) -> Path | None:
    """The path of an address such as `file:///data/faces`; None of any other."""
    if urlsplit(address).scheme not in ON_THIS_MACHINE:
        return None
    return Path(fsspec.core.url_to_fs(address)[1])


def read_copy(address: str, path: Path, read: Callable[[Path], Listing]) -> Listing:
    """What a reader finds in the copy of an address, which is called by the address in all that is said of it."""
    with called_by_address(address, path):
        listing = read(path)

    def said(text: str) -> str:
        return text.replace(str(path), address)

    return replace(
        listing,
        spec=said(listing.spec),
        description=said(listing.description),
        warnings=[said(warning) for warning in listing.warnings],
        notes=[said(note) for note in listing.notes],
    )


@contextmanager
def called_by_address(address: str, path: Path) -> Iterator[None]:
    """Let errors of the data name the address, and not its copy."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error).replace(str(path), address)) from error


def local_copy(address: str) -> Path:
    """The folder or file at an address, in the cache: what is new or has changed there is copied first.

    A copy that was interrupted goes on, file by file. Where AUGFACE_OFFLINE is set, a finished copy is taken as it is.

    Raises:
        UsageError: a package is missing that the protocol needs.
        DataError: nothing is there, it may not be read, names lead out of it, it is too much, it changed meanwhile, or
            AUGFACE_OFFLINE is set and there is no finished copy.
        OutputError: the cache cannot be written.
    """
    folder = cache_dir() / "remote" / hashlib.sha256(address.encode()).hexdigest()[:32]
    path = folder / COPY / _local_name(address)
    if offline() and urlsplit(address).scheme not in WITHOUT_A_NETWORK:
        _check_finished(folder, address, path)
        return path
    files = _look(address)
    if open_entry(folder) is None or _missing(folder, path, files) or _left_over(path, files):
        prepare_cache()
        with locked(folder):
            _copy(folder, path, address, files)
    touch(folder)
    return path


# What is there


class _File(NamedTuple):
    """A file at an address."""

    path: str
    """Its name in its file system."""
    size: int | None
    state: str
    """What the file system says of it: another content has another one. Empty where it says nothing."""
    is_read: bool
    """Whether any reader opens it."""


ALONE = ""
"""The name of the one file that an address names."""


def _look(address: str) -> dict[str, _File]:
    """The files at an address by their relative names, or the one file as `ALONE`."""
    with _understood(address):
        system, root = _opened(address)
        system.invalidate_cache()
        if _is_file(system, root, address):
            return {ALONE: _file(system.info(root), root, is_read=True)}
        entries = list(_limited(_entries(system, root, address), address))
        base = root.rstrip("/") + "/"
        named = {_relative(path, base, address): (path, entry) for path, entry in entries if path.rstrip("/") != root}
        for name in named:
            _check_name(name, address)
        files = _described(address, {name: found for name, found in named.items() if not is_hidden(name)})
    if not files:
        raise DataError(f"There is nothing at {address}.")
    _check_size(files, address)
    return files


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, each thread its own, and what the address is called there."""
    system, root = fsspec.core.url_to_fs(address)
    return system, str(root)


def _is_file(system: Any, root: str, address: str) -> bool:
    if urlsplit(address).scheme in WEB:  # whose folders are files, too: pages that list what is in them
        return urlsplit(address).path.lower().endswith((*READ_SUFFIXES, ".zip"))
    return bool(system.info(root)["type"] == "file")


def _entries(system: Any, root: str, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every file below a folder, with what a list of it says."""
    if urlsplit(address).scheme not in WEB:
        yield from system.find(root, detail=True).items()
        return
    folders = [(root.rstrip("/") + "/", 0)]
    while folders:
        folder, depth = folders.pop()
        if depth > DEEPEST:
            raise DataError(f"{address} has more than {DEEPEST} folders one in another.")
        for entry in system.ls(folder, detail=True):
            name = str(entry["name"])
            if "?" in name or "#" in name:  # by which a page sorts its list
                continue
            if entry["type"] == "directory":
                folders.append((name, depth + 1))
            yield name, entry


def _limited(entries: Iterable[tuple[str, dict[str, Any]]], address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files alone, as long as they are not too many."""
    for number, (path, entry) in enumerate(entries):
        if number >= MOST_FILES:
            raise DataError(f"{address} has more than {MOST_FILES:,} files. Name a folder below it.")
        stands_for_a_folder = path.endswith("/") and not entry.get("size")  # as object storages have them
        if entry["type"] == "file" and not stands_for_a_folder:
            yield path, entry


def _relative(path: str, base: str, address: str) -> str:
    if not path.startswith(base):
        raise DataError(f"{address} lists the file {path[:ONE_LINE]!r}, which lies outside of it. Nothing was read.")
    name = path.removeprefix(base)
    return unquote(name) if urlsplit(address).scheme in WEB else name


def _check_name(name: str, address: str) -> None:
    """Refuse what could lead out of a folder, or cannot be a file's name in one.

    Raises:
        DataError: the name is such a one.
    """
    refuse_escape(name, address)
    parts = name.split("/")
    if "" in parts or "." in parts or NOT_IN_NAMES.search(name):
        raise DataError(f"{address} lists the file {name[:ONE_LINE]!r}, whose name no folder can hold. Rename it.")
    if len(name.encode()) > LONGEST_NAME or max(len(part.encode()) for part in parts) > LONGEST_PART:
        raise DataError(f"{address} lists the file {some([name])}, whose name is too long for a folder. Shorten it.")


def _described(address: str, named: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, _File]:
    """The files, without what stands for a folder; of those on the web each is asked for."""
    folders = {name[:end] for name in named for end, sign in enumerate(name) if sign == "/"}

    def described(name: str) -> _File:
        path, entry = named[name]
        is_read = name.lower().endswith(READ_SUFFIXES) or name.rpartition("/")[2].lower() == READ_ARCHIVE
        if is_read and urlsplit(address).scheme in WEB:
            entry = _opened(address)[0].info(path)
        return _file(entry, path, is_read=is_read)

    names = sorted(named.keys() - folders)
    files = dict(zip(names, in_order(described, names, workers=AT_ONCE, ahead=4 * AT_ONCE), strict=True))
    if both := [name for name in named.keys() & folders if named[name][1].get("size")]:
        raise DataError(f"{address}: {some(sorted(both))} is both a file and a folder. Rename one of them.")
    return files


def _file(entry: dict[str, Any], path: str, *, is_read: bool) -> _File:
    size = entry.get("size")
    known = {key.lower().replace("-", "_"): value for key, value in entry.items()}
    states = {key: str(value) for key, value in sorted(known.items()) if key in STATES and value}
    said = {"size": size, **states} if size is not None or states else {}
    return _File(path, None if size is None else int(size), json.dumps(said) if said else "", is_read)


def _check_size(files: dict[str, _File], address: str) -> None:
    size = sum(file.size or 0 for file in files.values() if file.is_read)
    if size > MOST_BYTES:
        raise DataError(
            f"{address} has {human_bytes(size)}, more than {human_bytes(MOST_BYTES)}. Name a folder below it."
        )


# The copy


def _local_name(address: str) -> str:
    """The last part of an address as the name of a folder or file."""
    parts = urlsplit(address)
    path = parts.path if parts.scheme in WEB else address.partition("://")[2]
    last = unquote(path).rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", last)[-100:].strip(".") or "data"


def _place(path: Path, name: str) -> Path:
    return path / name if name else path


def _stamp(path: Path) -> list[int] | None:
    """What a file shows of itself without being read; None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _journal(folder: Path) -> dict[str, dict[str, Any]]:
    """What was copied, by name. A line that was cut short when a process was killed counts for nothing."""
    known = {}
    try:
        lines = (folder / "progress.jsonl").read_bytes().splitlines()
    except OSError:
        return {}
    for line in filter(None, lines):
        try:
            entry = json.loads(line)
            known[str(entry["name"])] = {"state": str(entry["state"]), "stamp": list(entry["stamp"])}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return known


def _line(name: str, file: _File, target: Path) -> bytes:
    return json.dumps({"name": name, "state": file.state, "stamp": _stamp(target)}).encode()


def _missing(folder: Path, path: Path, files: dict[str, _File]) -> list[str]:
    """The files that have no copy, or not one of what they are now."""
    known = _journal(folder)
    return [
        name
        for name, file in files.items()
        if (file.is_read and not file.state)
        or name not in known
        or known[name] != {"state": file.state, "stamp": _stamp(_place(path, name))}
    ]


def _left_over(path: Path, files: dict[str, _File]) -> list[Path]:
    """Files of the copy that are not at the address any more."""
    if not path.is_dir():
        return [path] if ALONE not in files and os.path.lexists(path) else []
    wanted = {str(_place(path, name)) for name in files}
    return [
        Path(place, name)
        for place, _, names in os.walk(path)
        for name in names
        if os.path.join(place, name) not in wanted
    ]


def _check_finished(folder: Path, address: str, path: Path) -> None:
    """Without a connection: whether there is a whole copy.

    Raises:
        DataError: there is none.
    """
    known = _journal(folder)
    if open_entry(folder) is None or any(entry["stamp"] != _stamp(_place(path, name)) for name, entry in known.items()):
        raise DataError(f"{address} has no whole copy here, and AUGFACE_OFFLINE forbids to fetch it. Unset that first.")
    touch(folder)
    log.info(
        f"{address} is read from its copy in the cache, as AUGFACE_OFFLINE forbids to look whether it has changed."
    )


def _copy(folder: Path, path: Path, address: str, files: dict[str, _File]) -> None:
    """Copy what is missing, remove what is gone, and see that nothing changed meanwhile."""
    with output_errors(folder):
        for gone in _left_over(path, files):
            gone.unlink()
        for place, _, _ in os.walk(path, topdown=False):
            if not any(Path(place).iterdir()):
                Path(place).rmdir()
    todo = _missing(folder, path, files)
    size = sum(files[name].size or 0 for name in todo if files[name].is_read)
    check_space(folder, size, f"The copy of {address}")
    write_entry(folder, f"copy of {address}, unfinished")
    log.info(f"{address}: {len(todo):,} of {len(files):,} files are copied into the cache, {human_bytes(size)}.")
    bar = progress(total=size or None, unit="B", unit_scale=True, desc="copying")
    with output_errors(folder), bar, (folder / "progress.jsonl").open("ab", buffering=0) as journal:
        fetching = _Fetching(address, bar)

        def fetched(name: str) -> None:
            target = _place(path, name)
            with fetching.failing_together():
                fetching.fetch(name, files[name], target)
                # The line begins with a line break, so that one that was cut short spoils no other.
                journal.write(b"\n" + _line(name, files[name], target))

        try:
            for _ in in_order(fetched, todo, workers=AT_ONCE, ahead=4 * AT_ONCE, stop=fetching.stop):
                pass
        except _Stopped:
            raise require(fetching.failure) from None
    _check_distinct(path, address, files)
    _check_unchanged(address, files, _look(address))
    lines = [_line(name, file, _place(path, name)) for name, file in files.items()]
    atomic_write(folder / "progress.jsonl", b"\n".join(lines) + b"\n")
    write_entry(folder, f"copy of {address}, {len(files):,} files", files=["progress.jsonl"])


def _check_distinct(path: Path, address: str, files: dict[str, _File]) -> None:
    """Refuse names that differ at the address, and are one on a disk that makes no difference of upper and lower case.

    Raises:
        DataError: there are such names.
    """
    known: dict[str, str] = {}
    for name in files:
        other = known.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name and os.path.samefile(_place(path, other), _place(path, name)):
            raise DataError(f"{address} has files that this machine takes for one: {some([other, name])}. Rename one.")


def _check_unchanged(address: str, before: dict[str, _File], after: dict[str, _File]) -> None:
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise DataError(
            f"{address} changed while it was copied ({some(name or 'the file' for name in changed)}). Run the same "
            "command again when nothing writes there: it copies what has changed."
        )


class _Stopped(Exception):
    """Another file failed, or somebody pressed Ctrl-C."""


class _Fetching:
    """One copy, by several threads: what they share."""

    def __init__(self, address: str, bar: Bar) -> None:
        self.address = address
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._bar = bar
        self._lock = threading.Lock()
        self._bytes = 0

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Stop the other threads where this one fails, however long their files are."""
        try:
            yield
        except _Stopped:
            raise
        except BaseException as error:
            self.failure = self.failure or error
            self.stop.set()
            raise

    def fetch(self, name: str, file: _File, target: Path) -> None:
        """Copy one file, whole or not at all; one that no reader opens stays empty."""
        if self.stop.is_set():
            raise _Stopped
        with atomic_path(target) as temporary:
            if not file.is_read:
                temporary.touch()
                return
            with _understood(self.address, name):
                system, _ = _opened(self.address)
                system.get_file(file.path, str(temporary), callback=_Watch(self, file.size))
            size = temporary.stat().st_size if temporary.is_file() else None
            if size is None or file.size not in (None, size):
                raise _changed(self.address, name)

    def count(self, size: int) -> None:
        """Count some bytes that have come.

        Raises:
            DataError: there are too many, of files of whom that was not known before.
        """
        if self.stop.is_set():
            raise _Stopped
        with self._lock:
            self._bar.update(size)
            self._bytes += size
        if self._bytes > MOST_BYTES:
            raise DataError(f"{self.address} has more than {human_bytes(MOST_BYTES)}. Name a folder below it.")


class _Watch(fsspec.Callback):  # type: ignore[misc]  # fsspec has no types
    """What fsspec tells of each piece of a file."""

    def __init__(self, fetching: _Fetching, size: int | None) -> None:
        super().__init__()
        self._fetching = fetching
        self._left = size

    def relative_update(self, inc: int = 1) -> None:
        """Count a piece; a file that is longer than it said is not copied to its end, if it has one."""
        self._fetching.count(inc)
        if self._left is not None:
            self._left -= inc
            if self._left < 0:
                raise _changed(self._fetching.address, "")


def _changed(address: str, name: str) -> DataError:
    of = f"{some([name])} of " if name else ""
    return DataError(
        f"{of}{address} has another length than its file system says. It changed while it was copied, or was cut "
        "short: run the same command again when nothing writes there."
    )


@contextmanager
def _understood(address: str, name: str = "") -> Iterator[None]:
    """Whatever a file system raises, as one line for people. What was copied before is kept."""
    where = f"{some([name])} of {address}" if name else address
    try:
        yield
    except (AugfaceError, _Stopped):
        raise
    except ImportError as error:
        scheme = urlsplit(address).scheme
        package = PACKAGES.get(scheme)
        what = f"install it by `pip install {package}`" if package else _reason(error)
        raise UsageError(f"{scheme}:// needs a package that is not here: {what}.") from error
    except Exception as error:  # each file system has its own ones
        if isinstance(error, OSError) and error.errno in OUR_FAULT:
            raise
        raise DataError(_explained(error, where)) from error


def _explained(error: BaseException, where: str) -> str:
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:  # that of the web is one for all failures
        return _explained(error.__cause__, where)
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        return f"There is nothing at {where}, or nothing that may be seen without credentials."
    if isinstance(error, PermissionError) or status in (401, 403):
        return (
            f"{where} may not be read ({status or 'no permission'}). Its file system takes credentials from "
            "environment variables or its own files."
        )
    if isinstance(error, TimeoutError):
        return f"{where} does not answer in time. Try again later: what was copied is kept."
    return f"Cannot read {where}: {_reason(error)}. Try again later: what was copied is kept."


def _status(error: BaseException) -> int:
    """The number of HTTP that an error has, by whatever name its library gives it; 0 where it has none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # that of botocore
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for owner, name in ((error, "status"), (response, "status_code"), (error, "code")):
        status = str(getattr(owner, name, ""))
        if status.isdecimal():
            return int(status)
    return 0


def _reason(error: BaseException) -> str:
    """The first line of what an error says, without what may give access."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = re.sub(r"(\w://)[^/\s@]*@", r"\1…@", text)
    return re.sub(r"(\w://[^\s?#'\"]*)[?#][^\s'\"]*", r"\1?…", text)[:ONE_LINE].rstrip(".")
