"""Tables beside images: `metadata.csv` and its like, as Hugging Face's image folders have them; StyleGAN's labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Strings
from augface.data.readers.containers import Container, UnreadableFile, some
from augface.data.readers.labels import BOOLEANS, numbered_classes
from augface.data.readers.matching import FILE_NAME, align
from augface.data.readers.tables import read_table
from augface.errors import DataError

FILES = frozenset({"metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet"})
STYLEGAN = "dataset.json"
"""What StyleGAN's dataset_tool writes: `{"labels": [["00000/img00000000.png", 6], …]}`, or null in place of the list. A
label is the number of a class, or a list of numbers, one for each class."""
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Metadata:
    """What the tables of a container say of N images.

    Attributes:
        where: what to call the tables in messages.
        cells: N rows of texts, an empty one where nothing is known.
        given: (N,) whether an image has a row.
        unmatched: the names that mean no image.
        read: the files that were read.
    """

    where: str
    cells: pd.DataFrame
    given: Booleans
    unmatched: list[str]
    read: list[str]

    @property
    def stylegan(self) -> bool:
        """Whether StyleGAN's list is among the files: its folders only spread files."""
        return any(_file(name) == STYLEGAN for name in self.read)

    @property
    def lacking(self) -> Booleans:
        """(N,) the images that have no row, where others have."""
        return ~self.given & self.given.any()


def read_metadata(container: Container, images: Strings) -> Metadata:
    """All metadata files of a container, joined.

    Names in a file are relative to its folder, with more or fewer folders in front if need be.

    Raises:
        DataError: a file cannot be read, none of its names means an image, or two say different things of an image.
    """
    cells = pd.DataFrame(index=pd.RangeIndex(len(images)))
    given = np.zeros(len(images), dtype=np.bool_)
    unmatched: list[str] = []
    read: list[str] = []
    for name in sorted(name for name in container.names if _file(name) in FILES or _file(name) == STYLEGAN):
        where = f"{name} in {container.path}"
        table = _read(container, name, where)
        if table is None:
            continue
        read.append(name)
        if not len(table.columns):
            continue
        folder = f"{name.rpartition('/')[0]}/".removeprefix("/")
        below = np.flatnonzero(np.char.startswith(images, folder))
        rows = below if len(below) else np.arange(len(images))
        part = align(table, [image.removeprefix(folder) for image in images[rows].tolist()], where)
        _join(cells, part.cells.set_axis(rows, axis=0), images, where)
        given[rows[part.lines > 0]] = True
        unmatched += part.unmatched
    more = f" and {len(read) - 1:,} other files" if len(read) > 1 else ""
    where = f"{read[0]}{more} in {container.path}" if read else ""
    return Metadata(where, cells.fillna(""), given, unmatched, read)


def _file(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _join(cells: pd.DataFrame, part: pd.DataFrame, images: Strings, where: str) -> None:
    """Add a part of the rows to what is known already.

    Raises:
        DataError: both know something of an image, and not the same.
    """
    for name in part.columns:
        if name not in cells:
            cells[name] = pd.Series(part[name], dtype=object).reindex(cells.index)
            continue
        known, new = cells[name].fillna("").loc[part.index], part[name]
        for row in part.index[(known != "") & (new != "") & (known != new)]:
            if _meaning(known[row]) != _meaning(new[row]):
                raise DataError(
                    f"{where} says {new[row]!r} of {some([str(images[row])])} in the column {name}, and another file "
                    f"says {known[row]!r}. Leave one of the files, or make them agree."
                )
        cells.loc[part.index, name] = known.mask(known == "", new)


def _meaning(text: str) -> float | str:
    folded = text.lower()
    try:
        return BOOLEANS[folded] if folded in BOOLEANS else float(folded)
    except ValueError:
        return text


def _read(container: Container, name: str, where: str) -> pd.DataFrame | None:
    """The table of a file; without columns where StyleGAN's says that there are no labels; None for other JSON."""
    try:
        content = container.read(name, MAX_BYTES)
    except UnreadableFile as error:
        raise DataError(f"Cannot read {where}: {error}.") from error
    if _file(name) != STYLEGAN:
        return read_table(content, name, where)
    try:
        listed = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"Cannot read {where}: it is not JSON ({error}). Repair it, or take it away.") from error
    if not isinstance(listed, dict) or "labels" not in listed:
        return None
    return _stylegan_labels(listed["labels"], where)


def _stylegan_labels(labels: Any, where: str) -> pd.DataFrame:
    if labels is None:
        return pd.DataFrame()
    if not isinstance(labels, list) or not labels or not all(_is_labelled_name(pair) for pair in labels):
        raise DataError(f"{where}: its labels are not a name and a label for each image. Repair it, or take it away.")
    table = pd.DataFrame({FILE_NAME: [name for name, _ in labels]}, index=range(1, len(labels) + 1), dtype=object)
    vectors = [label for _, label in labels]
    if all(isinstance(label, int) and label >= 0 for label in vectors):
        return table.assign(**numbered_classes("label", vectors))
    lengths = {len(vector) if isinstance(vector, list) else 0 for vector in vectors}
    if len(lengths) > 1 or 0 in lengths:
        raise DataError(f"{where} has labels of several kinds. Give each image one number, or each a list of as many.")
    columns = {f"label_{number}": list(map(str, column)) for number, column in enumerate(zip(*vectors, strict=True))}
    return table.assign(**columns)


def _is_labelled_name(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
