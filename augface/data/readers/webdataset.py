"""WebDataset: tar files in which the files of a sample follow each other, `key.jpg`, `key.json`, `key.cls`, `key.txt`.

Archives are read without unpacking. Names that lead out of them are refused; links, devices and sparse files are left
out; what could run code when it is read (`.pyd`, `.pth`, `.pkl`) is never opened.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from augface.data.readers.columns import read_columns
from augface.data.readers.containers import (
    REPEATED,
    SYSTEM,
    Folder,
    UnreadableFile,
    is_hidden,
    is_image,
    refuse_escape,
    some,
)
from augface.data.readers.image_tables import lone_files
from augface.data.readers.labels import numbered_classes, resolve_splits, split_word
from augface.data.readers.listing import Listing, agreed, left_out, without_unknown_split
from augface.errors import DataError

LINKS = "links, devices and sparse files"
MAX_LABEL_BYTES = 1_000_000
"""Bytes of one file of labels."""
MOST_MEMBERS = 20_000_000
LABEL_FILES = ("json", "cls", "txt")


def is_webdataset(path: Path) -> bool:
    """Whether a file is a tar archive, or a folder holds some and no image files."""
    if path.is_file():
        return path.suffix.lower() == ".tar"
    return bool(path.is_dir() and lone_files(path, ".tar"))


def read_webdataset(path: Path) -> Listing:
    """List the images of all samples in a tar file, or in all those in a folder.

    A sample is what has one key: a name up to its first dot. `json` gives its columns, `cls` the number of a class or a
    word, `txt` a text. Splits are the words that names of tar files begin with, such as `train-0000.tar`, or their
    folders.

    Raises:
        DataError: no such place, no tar files, a broken one, names that lead out of it, samples with several pictures
            of which none is meant, or labels that cannot be understood.
    """
    container = Tars(path)
    samples = _samples(container)
    keys = [key for key, files in samples.items() if any(map(is_image, files.values()))]
    if not keys:
        raise DataError(f"{path} holds tar files without images{_instead(container)}.")
    members = np.array([_picture(samples[key], f"{key} in {path}") for key in keys], dtype=np.str_)
    where = f"the samples in {path}"
    columns = read_columns(_cells(container, [samples[key] for key in keys]), keys, where)
    words = [container.word(member) for member in members.tolist()]
    split, said = resolve_splits(np.array(words, dtype=np.str_), where) if any(words) else (None, "")
    warnings = [*left_out(container), *_unread(container, samples, keys), *columns.warnings, *([said] if said else [])]
    listing = Listing(
        spec=f"wds:{path}",
        description=f"{len(members):,} images in {len(container.words):,} tar files in {path}, " + columns.described,
        container=container,
        members=members,
        names=np.array([container.short_name(member) for member in members.tolist()], dtype=np.str_),
        attributes=columns.attributes,
        identity=columns.identity,
        split=agreed(split, columns.split, members, where),
        factors=columns.factors,
        crop="centre",
        warnings=warnings,
    )
    return without_unknown_split(listing)


def _samples(container: Tars) -> dict[str, dict[str, str]]:
    """Of each key the members by what follows its first dot."""
    samples: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name in container.names:
        folder, slash, file = name.rpartition("/")
        stem, _, extension = file.partition(".")
        samples[f"{folder}{slash}{stem}"][extension.lower()] = name
    return samples


def _picture(files: dict[str, str], where: str) -> str:
    """The member that is the picture of a sample: the one image, or the one that is called by its format alone."""
    images = {extension: name for extension, name in files.items() if is_image(f"x.{extension}")}
    plain = [name for extension, name in images.items() if "." not in extension]
    chosen = plain if len(plain) == 1 else list(images.values())
    if len(chosen) == 1:
        return chosen[0]
    raise DataError(
        f"{where} has several pictures ({some(images)}). Leave one of them, or call the others key.NAME.png."
    )


def _cells(container: Tars, samples: list[dict[str, str]]) -> pd.DataFrame:
    """What the files of labels say of each sample, as texts."""
    rows = [_labels(container, files) for files in samples]
    table = pd.DataFrame(rows, index=pd.RangeIndex(len(samples)), dtype=object).fillna("")
    numbers = table["cls"].tolist() if "cls" in table else []
    if numbers and all(re.fullmatch(r"\d{1,9}", text) for text in numbers) and any(int(text) > 1 for text in numbers):
        return table.drop(columns="cls").assign(**numbered_classes("cls", list(map(int, numbers))))
    return table.rename(columns={"cls": "class"} if numbers and "class" not in table else {})


def _labels(container: Tars, files: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in LABEL_FILES:
        if (name := files.get(kind)) is None:
            continue
        try:
            text = container.read(name, MAX_LABEL_BYTES).decode("utf-8-sig").strip()
            if kind != "json":
                found[kind] = text
                continue
            said = json.loads(text)
        except (ValueError, RecursionError, UnreadableFile) as error:
            raise DataError(f"Cannot read {name} in {container.path}: {error}. Repair it, or take it away.") from error
        if not isinstance(said, dict):
            raise DataError(f'{name} in {container.path} is no JSON object, such as {{"Male": true}}.')
        flat = {str(key).strip(): value for key, value in said.items() if not isinstance(value, dict | list)}
        found |= {key: "" if value is None else str(value).strip() for key, value in flat.items()}
    return found


def _unread(container: Tars, samples: dict[str, dict[str, str]], keys: Iterable[str]) -> list[str]:
    """Warnings of files that are not read."""
    with_picture = set(keys)
    other = [
        name
        for key, files in samples.items()
        for extension, name in files.items()
        if key in with_picture and extension not in LABEL_FILES and not is_image(name)
    ]
    alone = [key for key in samples if key not in with_picture]
    warnings = []
    if other:
        warnings.append(f"{container.path}: {len(other):,} files are neither images nor labels ({some(other)}).")
    if alone:
        warnings.append(f"{container.path}: {len(alone):,} samples have no image and are left out ({some(alone)}).")
    return warnings


def _instead(container: Tars) -> str:
    return f", only {some(container.names)}" if container.names else ""


# The archives


class _Member(NamedTuple):
    """Where the content of a member lies."""

    tar: Path
    archive: str
    offset: int
    size: int


class Tars:
    """The files in tar archives, each called by its archive and its name in it. See `Container`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: dict[str, list[str]] = defaultdict(list)
        self.names: dict[str, str] = {}
        self.words: dict[str, str] = {}
        """Of each archive the word for a split that it is called by, or an empty text."""
        self._members: dict[str, _Member] = {}
        for file, name, word in _archives(path):
            self.words[name] = word
            self._list(file, name)

    def _list(self, file: Path, archive: str) -> None:
        where = f"The archive {file}"
        try:
            status = file.stat()
            with tarfile.open(file, "r:") as tar:
                for info in tar:
                    refuse_escape(info.name, where)
                    name = f"{archive}/{info.name.removeprefix('./')}"
                    if info.isdir():
                        continue
                    if not info.isreg() or info.issparse():
                        self.left_out[LINKS].append(name)
                    elif is_hidden(info.name.removeprefix("./")):
                        self.left_out[SYSTEM].append(name)
                    elif info.offset_data + info.size > status.st_size:
                        raise DataError(f"{where} is cut short in {some([info.name])}. Copy it again.")
                    else:
                        if name in self._members:
                            self.left_out[REPEATED].append(name)
                        self._members[name] = _Member(file, archive, info.offset_data, info.size)
                        stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
                        self.names[name] = f"{info.size} {info.offset_data} {stamp}"
                    if len(self._members) > MOST_MEMBERS:
                        raise DataError(f"{where} has more than {MOST_MEMBERS:,} files.")
                    tar.members = []  # type: ignore[attr-defined]  # which it would keep in memory
                end = tar.offset
            with file.open("rb") as stream:
                stream.seek(end)
                if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # where tarfile just stops
                    raise DataError(
                        f"{where} is cut short or damaged after {len(self._members):,} files. Copy it again."
                    )
        except (OSError, tarfile.TarError, ValueError, EOFError) as error:
            compressed = " It is compressed: unpack it by gunzip first." if _is_compressed(file) else " Copy it again."
            raise DataError(f"Cannot read the archive {file}: {error}.{compressed}") from error

    def word(self, name: str) -> str:
        """The word for a split that the archive of a member is called by, or an empty text."""
        return self.words[self._members[name].archive]

    def short_name(self, name: str) -> str:
        """What to call a member: with its archive where there are several."""
        archive = self._members[name].archive
        within = name.removeprefix(f"{archive}/")
        return f"{archive[: -len('.tar')]}/{within}" if len(self.words) > 1 else within

    def read(self, name: str, limit: int) -> bytes:
        """See `Container.read`."""
        member = self._members[name]
        if member.size > limit:
            raise UnreadableFile(f"the file is longer than {limit:,} bytes")
        try:
            with member.tar.open("rb") as file:
                file.seek(member.offset)
                content = file.read(member.size)
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error
        if len(content) < member.size:
            raise UnreadableFile("the archive is cut short")
        return content

    def size(self, name: str) -> int:
        """See `Container.size`."""
        return self._members[name].size

    def open(self, name: str) -> BinaryIO:
        """See `Container.open`."""
        return io.BytesIO(self.read(name, self._members[name].size))


def _is_compressed(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
    except OSError:
        return False


def _archives(path: Path) -> Iterable[tuple[Path, str, str]]:
    """The tar files at a path: where, how they are called, and the word for a split in their names."""
    if path.is_file():
        yield path, path.name, ""
        return
    if not path.exists():
        raise DataError(f"There is no tar file or folder {path}.")
    names = sorted(name for name in Folder(path).names if name.lower().endswith(".tar"))
    if not names:
        raise DataError(f"{path} holds no tar files.")
    for name in names:
        words = [split_word(re.sub(r"[-_.]?\d+$", "", part)) for part in name[: -len(".tar")].split("/")]
        yield path / name, name, next((word for word in reversed(words) if word), "")
