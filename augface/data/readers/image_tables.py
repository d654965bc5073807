"""Images inside tables: Parquet with a column of images, and what `save_to_disk` of Hugging Face writes.

A column of images holds the bytes of their files, as they are or as `bytes` of a structure; paths beside them are names
and nothing else. Sizes that files declare are checked before anything is read, and what is read is checked before it is
used.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from augface.arrays import Strings
from augface.data.readers.columns import read_columns
from augface.data.readers.containers import Folder, UnreadableFile, is_image, refuse_escape, some
from augface.data.readers.labels import resolve_splits, split_word
from augface.data.readers.listing import Listing, agreed, without_unknown_split
from augface.data.readers.matching import NAME_COLUMNS, names_in
from augface.data.readers.metadata import FILES, MAX_BYTES
from augface.data.readers.tables import texts_of_table
from augface.errors import DataError

STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
"""What `save_to_disk` writes beside the tables: of a data set the first two, of one with splits the last."""
MAX_GROUP_BYTES = 2_000_000_000
"""Bytes of images in a row group of Parquet, which may be packed into next to nothing."""
BATCH_ROWS = 16
"""Images that a thread unpacks at a time."""
MAX_BATCH_BYTES = 1_000_000_000
"""Bytes that they may become: each may be as large as all that the row group holds, once, for all its rows."""
BUFFER_BYTES = 1_000_000
"""Bytes of a file that a thread reads at a time."""


def is_image_tables(path: Path) -> bool:
    """Whether a file is Parquet with a column of images, or a folder holds tables with images and no image files."""
    if path.is_file():
        return path.suffix.lower() == ".parquet" and _holds_images(path)
    if (path / SPLITS).is_file() or ((path / STATE).is_file() and (path / INFO).is_file()):
        return True
    tables = lone_files(path, ".parquet") if path.is_dir() else []
    return bool(tables) and _holds_images(tables[0])


def lone_files(folder: Path, suffix: str) -> list[Path]:
    """The files of this kind below a folder; none where there are image files, too: the first ends the search."""
    found = []
    try:
        for place, _, files in os.walk(folder):
            if any(map(is_image, files)):
                return []
            found += [Path(place, name) for name in files if name.lower().endswith(suffix) and name not in FILES]
    except OSError:
        return []
    return sorted(found)


def _holds_images(path: Path) -> bool:
    try:
        return bool(_image_columns(_Parquet(path, str(path)).schema))
    except DataError:
        return False


def read_image_tables(path: Path) -> Listing:
    """List all images in the tables at a path.

    Splits are those of `save_to_disk`, or the words that names of Parquet files begin with, such as
    `train-00000-of-00002.parquet`, or their folders. One split alone is none, if it is `train`: Hugging Face calls so
    what has no split.

    Raises:
        DataError: no such place, no tables, tables that cannot be read or have no column of images or several, or
            labels or splits that cannot be understood.
    """
    container = ImageTables(path)
    members = np.array(list(container.names), dtype=np.str_)
    if not len(members):
        raise DataError(f"{path} holds tables without rows. Give some that hold images.")
    where = f"the tables in {path}"
    names, cells = names_in(container.cells)
    columns = read_columns(cells, members.tolist(), where)
    split, notes = _splits(container.words, where)
    warnings = [*columns.warnings]
    if container.unread:
        warnings.append(f"{path}: the columns {some(container.unread)} are neither labels nor texts, and are left out.")
    listing = Listing(
        spec=f"hf:{path}",
        description=f"{len(members):,} images in {len(container.tables):,} tables in {path}, " + columns.described,
        container=container,
        members=members,
        names=_face_names(names, container.paths),
        attributes=columns.attributes,
        identity=columns.identity,
        split=agreed(split, columns.split, members, where),
        factors=columns.factors,
        crop="centre",
        warnings=warnings,
        notes=notes,
    )
    return without_unknown_split(listing)


def _splits(words: list[str], where: str) -> tuple[Strings | None, list[str]]:
    """The split that the places of the tables say, and what is to be said of it."""
    different = set(words)
    if different == {"train"}:
        return None, [f"All of {where} is called train, which is taken for no split."]
    if not different - {""}:
        return None, []
    splits, said = resolve_splits(np.array(words, dtype=np.str_), where)
    return splits, [said] if said else []


def _face_names(given: list[str] | None, paths: list[str]) -> Strings:
    """What the faces are called: by a column, by the names of their files, or by numbers."""
    if given is None:
        files = [re.split(r"[/\\]", path)[-1] for path in paths]
        given = files if all(map(is_image, files)) and len(set(files)) == len(files) else None
    return np.array(given or [f"{number:06d}.png" for number in range(len(paths))], dtype=np.str_)


# The files


class ImageTables:
    """The rows of tables as files: each is called by its table and its number. See `Container`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: dict[str, list[str]] = {}
        self.names: dict[str, str] = {}
        self.tables: list[_Parquet | _Stream] = []
        self.words: list[str] = []
        """The word for a split that each row's table is called by, or an empty text."""
        self.paths: list[str] = []
        """What each row says its file was called."""
        self.unread: list[str] = []
        self._numbers: dict[str, int] = {}
        """The number of each table by what its rows' names begin with."""
        self._cursor = threading.local()
        cells = []
        for file, word in _files(path):
            where = f"{file.name} in {path}" if file != path else str(path)
            table = (_Parquet if file.suffix.lower() == ".parquet" else _Stream)(file, where)
            column = _image_column(table.schema, where)
            table.image = column
            if not table.rows:
                continue
            prefix = file.relative_to(path).as_posix() if file != path else file.name
            stamp = _stamp(file)
            self.names |= {f"{prefix}/{row:08d}": f"{stamp} {row}" for row in range(table.rows)}
            self._numbers[prefix] = len(self.tables)
            with _understood(where):
                cells.append(table.cells(_flat_columns(table.schema, column)))
                self.paths += table.paths()
            self.words += [word] * table.rows
            self.unread += [name for name in _other_columns(table.schema, column) if name not in self.unread]
            self.tables.append(table)
        self.cells = pd.concat(cells, ignore_index=True).fillna("") if cells else pd.DataFrame()

    def _content(self, name: str) -> bytes:
        prefix, _, row = name.rpartition("/")
        number = self._numbers[prefix]
        known = getattr(self._cursor, "of_thread", None)
        cursor = known[1] if known and known[0] == number else _Cursor(self.tables[number])
        self._cursor.of_thread = None
        try:
            content = cursor.image(int(row))
            self._cursor.of_thread = number, cursor
        except UnreadableFile:
            raise
        except (
            Exception
        ) as error:  # a table that is broken, or was changed meanwhile, makes Arrow raise almost anything
            raise UnreadableFile(f"cannot be read: {str(error).strip().partition(chr(10))[0]}") from error
        if not isinstance(content, bytes):
            raise UnreadableFile("the table holds no image here, or only the path of one")
        return content

    def read(self, name: str, limit: int) -> bytes:
        """See `Container.read`."""
        content = self._content(name)
        if len(content) > limit:
            raise UnreadableFile(f"the image is longer than {limit:,} bytes")
        return content

    def size(self, name: str) -> int:
        """See `Container.size`."""
        return len(self._content(name))

    def open(self, name: str) -> BinaryIO:
        """See `Container.open`."""
        return io.BytesIO(self._content(name))


def _stamp(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """The tables at a path, each with the word for a split that it is called by."""
    if path.is_file():
        yield path, ""
        return
    if not path.exists():
        raise DataError(
            f"There is no folder or Parquet file {path}. A data set of the Hugging Face hub is given by its address, "
            f"hf://datasets/{path}, or by augface.load_data(datasets.load_dataset({str(path)!r}))."
        )
    folder = Folder(path)
    states = sorted(name for name in folder.names if name.rpartition("/")[2] == STATE)
    if SPLITS in folder.names or (STATE in states and INFO in folder.names):
        for state in states:
            place = state.rpartition("/")[0]
            if place.count("/") == 0:
                yield from ((path / name, split_word(place)) for name in _stored_tables(folder, state))
        return
    names = sorted(name for name in folder.names if name.lower().endswith(".parquet") and name not in FILES)
    if not names:
        raise DataError(f"{path} holds neither Parquet files nor what save_to_disk of Hugging Face writes.")
    for name in names:
        parts = name.removesuffix(".parquet").split("/")
        words = [split_word(re.sub(r"-\d+-of-\d+.*$", "", part)) for part in parts]
        yield path / name, next((word for word in reversed(words) if word), "")


def _stored_tables(folder: Folder, state: str) -> list[str]:
    """The files of a data set that `save_to_disk` wrote, as its state names them: beside them may lie caches."""
    where = f"{state} in {folder.path}"
    try:
        content = json.loads(folder.read(state, MAX_BYTES))
        listed = [str(entry["filename"]) for entry in content["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError, UnreadableFile) as error:
        raise DataError(f"Cannot read {where}: {error!r}. Write the data set again by save_to_disk.") from error
    if content.get("_indices_data_files"):
        raise DataError(f"{where} chooses rows by a list of their own. Write the data set again by save_to_disk.")
    place = state.rpartition("/")[0]
    names = []
    for name in listed:
        refuse_escape(name, where)
        names.append(f"{place}/{name}".removeprefix("/"))
    if missing := [name for name in names if name not in folder.names]:
        raise DataError(f"{where} names {some(missing)}, which is not there. Copy the whole folder.")
    return names


@contextmanager
def _understood(where: str) -> Iterator[None]:
    """Whatever Arrow raises on files that are broken, or made to break it, as an error for people."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"Cannot read {where}: {reason}. Write it again, or take it away.") from error


@dataclass(frozen=True)
class _ImageColumn:
    """The column that holds the images."""

    name: str
    in_structure: bool
    """Whether the bytes are a field of a structure."""
    has_path: bool


def _image_columns(schema: Any) -> list[_ImageColumn]:
    """All columns that hold bytes, as they are or in a structure."""
    import pyarrow as arrow

    found = []
    for field in schema:
        parts = {part.name: part.type for part in field.type} if arrow.types.is_struct(field.type) else {}
        if "bytes" in parts and _is_binary(parts["bytes"]):
            found.append(_ImageColumn(field.name, True, "path" in parts))
        elif _is_binary(field.type):
            found.append(_ImageColumn(field.name, False, False))
    return found


def _is_binary(kind: Any) -> bool:
    import pyarrow as arrow

    return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))


def _image_column(schema: Any, where: str) -> _ImageColumn:
    """The one column of images.

    Raises:
        DataError: there is none, or which of several it is cannot be known.
    """
    found = _image_columns(schema)
    declared = {name for name, feature in _features(schema).items() if feature.get("_type") == "Image"}
    for chosen in (
        found,
        [column for column in found if column.name in declared],
        [column for column in found if column.name.lower() in NAME_COLUMNS],
    ):
        if len(chosen) == 1:
            return chosen[0]
    if not found:
        raise DataError(f"{where} has no column of images, only {some(schema.names, 10)}.")
    raise DataError(
        f"{where} has several columns of images ({some(column.name for column in found)}). Call the one of the faces "
        "`image`."
    )


def _flat_columns(schema: Any, image: _ImageColumn) -> list[str]:
    """The columns of numbers, texts and booleans."""
    import pyarrow as arrow

    names = [field.name for field in schema if not arrow.types.is_nested(field.type) and not _is_binary(field.type)]
    if len(set(names)) < len(names):
        raise DataError(f"Columns have the same name: {some(names, 10)}. Give each a name of its own.")
    return [name for name in names if name != image.name]


def _other_columns(schema: Any, image: _ImageColumn) -> list[str]:
    flat = {*_flat_columns(schema, image), image.name}
    return [name for name in schema.names if name not in flat]


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What Hugging Face says of the columns; nothing where it says nothing."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {str(name): feature for name, feature in said.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _cells(table: Any, names: Sequence[str], features: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Columns as texts, numbers of classes as their names."""
    cells = texts_of_table(table.select(names))
    for name in names:
        classes = features.get(name, {}).get("names")
        if isinstance(classes, list):
            meaning = {str(number): str(text) for number, text in enumerate(classes)}
            cells[name] = [meaning.get(text, "") for text in cells[name]]
    return cells.set_axis(pd.RangeIndex(len(cells)), axis=0)


class _Cursor:
    """Where one thread reads a table: forwards, so that each batch of images is unpacked once and then forgotten.

    Threads that share the work of a table go on, each by itself, to where their next images are.
    """

    def __init__(self, table: _Parquet | _Stream) -> None:
        self._table = table
        self._ends = np.cumsum(table.counts)
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = ()
        self._start = self._end = 0

    def image(self, row: int) -> Any:
        """What the column of images holds in a row of the table.

        Raises:
            UnreadableFile: the row is not there.
        """
        group = int(np.searchsorted(self._ends, row, side="right"))
        row -= int(self._ends[group]) - self._table.counts[group]
        if group != self._group or row < self._start:
            self._batches, self._group = self._table.images(group), group
            self._batch, self._start, self._end = (), 0, 0
        while row >= self._end:
            self._batch = ()  # before the next one is unpacked
            self._batch = next(self._batches, None)
            if self._batch is None:
                raise UnreadableFile("the table has fewer rows than it says")
            self._start, self._end = self._end, self._end + len(self._batch)
        return self._batch[row - self._start].as_py()


class _Parquet:
    """A Parquet file, read batch by batch of each row group."""

    image: _ImageColumn

    def __init__(self, path: Path, where: str) -> None:
        import pyarrow.parquet as parquet

        self._path = path
        self._where = where
        with _understood(where):
            with parquet.ParquetFile(path) as file:
                self.schema = file.schema_arrow
                self._metadata = file.metadata
            self.counts = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]
            self.rows = sum(self.counts)
            self._check_sizes(path)

    def _check_sizes(self, path: Path) -> None:
        if min(self.counts, default=0) < 0 or self.rows > path.stat().st_size:
            raise DataError(f"{self._where} says that it has {self.rows:,} rows, more than it has bytes.")
        for number in range(self._metadata.num_row_groups):
            if (size := self._group_bytes(number)) > MAX_GROUP_BYTES:
                raise DataError(
                    f"{self._where} has {size:,} bytes in one row group, more than {MAX_GROUP_BYTES:,}. Write it with "
                    "smaller ones (row_group_size)."
                )

    def _group_bytes(self, number: int) -> int:
        group = self._metadata.row_group(number)
        return sum(max(0, group.column(column).total_uncompressed_size) for column in range(group.num_columns))

    def _open(self) -> Any:
        import pyarrow.parquet as parquet

        # Without a buffer, all that a row group has of a column would be read at once.
        return parquet.ParquetFile(self._path, metadata=self._metadata, buffer_size=BUFFER_BYTES, pre_buffer=False)

    @property
    def _leaf(self) -> str:
        return f"{self.image.name}.bytes" if self.image.in_structure else self.image.name

    def cells(self, names: Sequence[str]) -> pd.DataFrame:
        """These columns as texts."""
        if not names:
            return pd.DataFrame(index=pd.RangeIndex(self.rows))
        with self._open() as file:
            return _cells(file.read(columns=list(names)), names, _features(self.schema))

    def paths(self) -> list[str]:
        """What each row says its file was called."""
        if not self.image.has_path:
            return [""] * self.rows
        with self._open() as file:
            column = file.read(columns=[f"{self.image.name}.path"]).column(0)
        return [str(each or "") for chunk in column.chunks for each in chunk.field("path").to_pylist()]

    def images(self, group: int) -> Iterator[Any]:
        """The bytes of the images of a row group, array after array."""
        rows = max(1, min(BATCH_ROWS, MAX_BATCH_BYTES // max(1, self._group_bytes(group))))
        with self._open() as file:
            for batch in file.iter_batches(rows, row_groups=[group], columns=[self._leaf]):
                yield batch.column(0).field("bytes") if self.image.in_structure else batch.column(0)


class _Stream:
    """A stream of Arrow's record batches in a file, mapped into memory."""

    image: _ImageColumn

    def __init__(self, path: Path, where: str) -> None:
        import pyarrow as arrow

        with _understood(where):
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            reader = arrow.ipc.open_stream(arrow.BufferReader(arrow.py_buffer(self._map)))
            self.schema = reader.schema
            self._batches = list(reader)
            for batch in self._batches:
                batch.validate(full=True)  # offsets that lead out of the file would be followed
                self._forget()
        self.counts = [batch.num_rows for batch in self._batches]
        self.rows = sum(self.counts)
        if self.rows > path.stat().st_size:
            raise DataError(f"{where} says that it has {self.rows:,} rows, more than it has bytes.")

    def cells(self, names: Sequence[str]) -> pd.DataFrame:
        """See `_Parquet.cells`."""
        import pyarrow as arrow

        if not names:
            return pd.DataFrame(index=pd.RangeIndex(self.rows))
        return _cells(arrow.Table.from_batches(self._batches), names, _features(self.schema))

    def paths(self) -> list[str]:
        """See `_Parquet.paths`."""
        if not self.image.has_path:
            return [""] * self.rows
        columns = [batch.column(self.image.name).field("path") for batch in self._batches]
        return [str(each or "") for column in columns for each in column.to_pylist()]

    def images(self, group: int) -> Iterator[Any]:
        """See `_Parquet.images`."""
        self._forget()
        column = self._batches[group].column(self.image.name)
        yield column.field("bytes") if self.image.in_structure else column

    def _forget(self) -> None:
        """Let go of what was read of the file: it is there still, and is read again where it is looked at again."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)
