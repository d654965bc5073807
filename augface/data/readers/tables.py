"""The one reader of tables: text with commas, semicolons, tabs or blanks between, JSON lines, and Parquet.

Columns are never shifted: a row has as many cells as the header has names, or the file is refused. What goes without
saying is allowed: a byte order mark, blank lines, comments, quotes, commas at ends of rows, a column of row numbers.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from augface.data.readers.containers import some
from augface.errors import DataError

DELIMITERS = ("\t", ";", ",", "|")
BLANK = " "
COMMENT = "#"
NUMBERED = re.compile(r"(unnamed: ?\d+)?", re.IGNORECASE)
"""What a column of row numbers is called: nothing, or what pandas makes of nothing."""


@dataclass(frozen=True)
class Rows:
    """The rows of a text, without blank lines and comments: `lines` are their numbers in the file."""

    where: str
    cells: list[list[str]]
    lines: list[int]
    delimiter: str

    def __len__(self) -> int:
        return len(self.cells)

    def drop(self, count: int) -> Rows:
        """The rows after the first `count`."""
        return Rows(self.where, self.cells[count:], self.lines[count:], self.delimiter)


def parse_rows(content: bytes, where: str) -> Rows:
    """The rows of a text file, whatever stands between its cells; blank ends of rows are kept.

    Raises:
        DataError: it is empty, is not UTF-8 (or UTF-16 with a byte order mark), or has a quote that does not end.
    """
    text = _decoded(content, where)
    lines = list(io.StringIO(text, newline=""))  # ends of lines are kept, as quoted cells may hold some
    first = next((number for number, line in enumerate(lines) if not _is_nothing(line)), None)
    if first is None:
        raise DataError(f"Cannot read {where}: it is empty. Fill it, or take it away.")
    declared = re.fullmatch(r"sep=(.)\s*", lines[first], re.IGNORECASE)  # what spreadsheets put above a table
    start = first + 1 if declared else first
    delimiter = declared[1] if declared else _delimiter(lines[start : start + 3])
    seen: dict[str, str] = {}  # one text for each of the few values of a large table
    cells: list[list[str]] = []
    numbers: list[int] = []
    for number, row in _split(lines[start:], delimiter, where, start + 1):
        texts = [seen.get(cell) or seen.setdefault(cell, cell.strip()) for cell in row]
        if any(texts) and not texts[0].startswith(COMMENT):
            cells.append(texts)
            numbers.append(number)
    return Rows(where, cells, numbers, delimiter)


def _split(lines: list[str], delimiter: str, where: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row with the number of its line; `first` is that of the first one."""
    if delimiter == BLANK:
        if not any('"' in line for line in lines):
            yield from enumerate((line.split() for line in lines), first)
            return
        lines = [line.replace("\t", BLANK).strip() for line in lines]
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    number = first
    try:
        for row in reader:
            yield number, row
            number = first + reader.line_num
    except csv.Error as error:
        raise DataError(f'Cannot read {where}: line {number}: {error}. Is a quote (") left open there?') from error


def _is_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(COMMENT)


def _decoded(content: bytes, where: str) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot read {where}: it is not UTF-8 text ({error}). Save it as UTF-8.") from error


def _delimiter(lines: Sequence[str]) -> str:
    """What stands between the cells, by the first lines, of which one may hold a number only."""
    for line in lines:
        unquoted = re.sub(r'"[^"]*"', "", line.strip())
        if found := [mark for mark in DELIMITERS if mark in unquoted]:
            return max(found, key=unquoted.count)
    return BLANK if any(BLANK in line.strip() for line in lines) else ","


def as_table(rows: Rows, header: Sequence[str]) -> pd.DataFrame:
    """Rows under their header: texts, an empty one where there is nothing. The index is the number of the line.

    Raises:
        DataError: a row has not as many cells as the header has names, or a name comes twice.
    """
    names = [name.strip() for name in header]
    width = len(names)
    cells = rows.cells
    if any(len(row) != width for row in cells):
        cells = [
            row if len(row) == width else _fitted(row, width, line, rows.where)
            for row, line in zip(cells, rows.lines, strict=True)
        ]
    table = pd.DataFrame(cells, index=pd.Index(rows.lines), columns=range(width), dtype=object)
    return _named(table, names, rows.where)


def _fitted(row: list[str], width: int, line: int, where: str) -> list[str]:
    """A row without the empty cells that delimiters at its end make."""
    if len(row) > width and not any(row[width:]):
        return row[:width]
    raise DataError(
        f"{where}: line {line} has {len(row)} cells, and the header names {width} columns. Which is whose cannot be "
        "known. Give every column a name, and every row a cell for each."
    )


def _named(table: pd.DataFrame, names: Sequence[str], where: str) -> pd.DataFrame:
    """The columns under their names, without those that are row numbers or empty and have none."""
    kept = [
        number
        for number, name in enumerate(names)
        if not (NUMBERED.fullmatch(name) and _is_counted_or_empty(table[number].tolist()))
    ]
    table = table[kept].set_axis([names[number] for number in kept], axis=1)
    if table.columns.has_duplicates:
        again = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{where} has the column {again!r} more than once. Give each column a name of its own.")
    return table


def _is_counted_or_empty(cells: list[str]) -> bool:
    return not any(cells) or cells in ([str(n) for n in range(start, len(cells) + start)] for start in (0, 1))


def read_table(content: bytes, name: str, where: str) -> pd.DataFrame:
    """A table with a header, by the end of the file's name: `.parquet`, `.jsonl`, or else text.

    Returns:
        Texts, an empty one where there is nothing.

    Raises:
        DataError: it cannot be read, or its header does not fit.
    """
    suffix = name.lower().rpartition(".")[2]
    if suffix == "parquet":
        return _parquet(content, where)
    if suffix == "jsonl":
        return _json_lines(content, where)
    rows = parse_rows(content, where)
    return as_table(rows.drop(1), rows.cells[0])


def _json_lines(content: bytes, where: str) -> pd.DataFrame:
    records, numbers = [], []
    for number, line in enumerate(_decoded(content, where).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"Cannot read {where}: line {number} is not JSON ({error}). Repair it.") from error
        if not isinstance(record, dict):
            raise DataError(f'Cannot read {where}: line {number} is no JSON object, such as {{"file_name": …}}.')
        records.append(
            {key.strip(): _text(value) for key, value in record.items() if not isinstance(value, dict | list)}
        )
        numbers.append(number)
    if not records:
        raise DataError(f"Cannot read {where}: it is empty. Fill it, or take it away.")
    return pd.DataFrame(records, index=pd.Index(numbers), dtype=object).fillna("")


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _parquet(content: bytes, where: str) -> pd.DataFrame:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        flat = [
            field.name
            for field in file.schema_arrow
            if not arrow.types.is_nested(field.type)
            and not arrow.types.is_binary(field.type)
            and not arrow.types.is_large_binary(field.type)
        ]
        if len(set(flat)) < len(flat):
            raise DataError(f"{where} has columns of the same name: {some(flat, 10)}. Give each a name of its own.")
        return texts_of_table(file.read(columns=flat))
    except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors and OSErrors
        reason = str(error).strip().rstrip(".")
        raise DataError(f"Cannot read {where}: {reason}. Write it again, or take it away.") from error


def texts_of_table(table: Any) -> pd.DataFrame:
    """A table of Arrow as texts, an empty one where there is nothing. The index counts rows from 1."""
    cells: pd.DataFrame = table.to_pandas().reset_index(drop=True).astype("string").fillna("").astype(object)
    return cells.set_axis(pd.RangeIndex(1, len(cells) + 1))
