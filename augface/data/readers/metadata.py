"""`metadata.csv` and `metadata.parquet`: one row an image, as Hugging Face's image folders have it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from augface.arrays import Integers, Strings
from augface.data.export.layout import is_probability
from augface.data.readers.containers import Container, UnreadableFile, refuse_escape, some
from augface.data.readers.labels import SPLIT_NAMES, as_booleans, as_identity, as_split
from augface.errors import DataError

FILES = ("metadata.csv", "metadata.parquet")
MAX_BYTES = 1_000_000_000
NOT_LABELS = frozenset({"seed", "number", "source", "index", "row"})
"""Columns that are about how an image came to be, even where they hold only zeros and ones."""


@dataclass(frozen=True, eq=False)
class Metadata:
    """A table of texts, one row an image; the index is the image's name in its container."""

    place: str
    table: pd.DataFrame

    def rows(self, members: Strings) -> pd.DataFrame:
        """The rows of these images, all missing where there is none."""
        return self.table.reindex(members).reset_index(drop=True)

    def attributes_of(self, members: Strings) -> pd.DataFrame:
        """The columns that are true, false or missing everywhere."""
        rows = self.rows(members)
        labels = {name: column for name in self._others() if (column := self._labels(rows, name)) is not None}
        return pd.DataFrame(labels, index=rows.index)

    def factors_of(self, members: Strings) -> pd.DataFrame | None:
        """All other columns, numbers where they are numbers; None where there are none."""
        rows = self.rows(members)
        others = {name: _numbers_or_texts(rows[name]) for name in self._others() if self._labels(rows, name) is None}
        return pd.DataFrame(others, index=rows.index) if others else None

    def split_of(self, members: Strings) -> Strings | None:
        """The column `split`, an empty text where missing; None without such a column."""
        return as_split(self.rows(members)["split"], self.place) if "split" in self.table else None

    def identity_of(self, members: Strings) -> Integers | None:
        """The column `identity`; None without such a column."""
        return as_identity(self.rows(members)["identity"]) if "identity" in self.table else None

    def _others(self) -> list[str]:
        return [name for name in self.table.columns if name not in ("split", "identity")]

    def _labels(self, rows: pd.DataFrame, name: str) -> pd.Series[bool] | None:
        about_image = name.lower() in NOT_LABELS or is_probability(name)
        return None if about_image else as_booleans(rows[name])


def read_metadata(container: Container, folders: tuple[str, ...] = ("",)) -> Metadata | None:
    """The metadata files in these folders of a container (each `""` or ending with `/`), joined; None where none is.

    Raises:
        DataError: a file cannot be read, has no column `file_name`, names an image twice or one outside its folder.
    """
    found = sorted({folder + file for folder in folders for file in FILES} & container.names.keys())
    if not found:
        return None
    parts = [_read_one(container, name) for name in found]
    table = pd.concat(parts)
    if table.index.has_duplicates:
        raise DataError(
            f"{' and '.join(found)} in {container.path} name "
            f"{some(table.index[table.index.duplicated()])} more than once."
        )
    return Metadata(f"{found[0]} in {container.path}", table)


def _read_one(container: Container, name: str) -> pd.DataFrame:
    where = f"{name} in {container.path}"
    try:
        content = container.read(name, MAX_BYTES)
        table = _parquet(content) if name.endswith(".parquet") else _csv(content)
    except (UnreadableFile, ValueError, OSError) as error:  # parser and decoding errors are ValueErrors
        raise DataError(f"Cannot read {where}: {str(error).strip().rstrip('.')}.") from error
    if "file_name" not in table:
        raise DataError(f"{where} has no column file_name; its columns are {some(map(str, table.columns), 10)}.")
    folder = PurePosixPath(name).parent
    file_names = table.pop("file_name").fillna("").astype(str)
    for file_name in file_names:
        refuse_escape(file_name, where)
    table.index = pd.Index([(folder / file_name).as_posix() for file_name in file_names], dtype=object)
    if "split" not in table and folder.name.lower() in SPLIT_NAMES:
        table["split"] = folder.name
    return table


def _csv(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _parquet(content: bytes) -> pd.DataFrame:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    flat = [
        field.name
        for field in file.schema_arrow
        if not arrow.types.is_nested(field.type)
        and not arrow.types.is_binary(field.type)
        and not arrow.types.is_large_binary(field.type)
    ]
    table: pd.DataFrame = file.read(columns=flat).to_pandas()
    return table.reset_index(drop=True).astype("string").astype(object)


def _numbers_or_texts(column: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return pd.to_numeric(column.mask(column == ""))
    except (ValueError, TypeError):
        return column
