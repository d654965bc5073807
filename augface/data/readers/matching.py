"""Which image a name in a label file means. One way for all label files, CelebA's and metadata."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from augface.arrays import Integers
from augface.data.readers.containers import is_image, refuse_escape, some
from augface.data.readers.labels import split_word
from augface.errors import DataError

NONE, SEVERAL = -1, -2
FILE_NAME = "file_name"
NAME_COLUMNS = frozenset(
    {FILE_NAME, "filename", "image_id", "image_name", "image_path", "image", "file", "path", "img"}
)
"""What the column of images' names may be called; other columns are looked at where there is none of these."""
LOOKED_AT = 1_000
"""Rows that are looked at to find the column of names."""


def names_in(cells: pd.DataFrame) -> tuple[list[str] | None, pd.DataFrame]:
    """The names that a table of images gives them, each another, and its other columns; None where it gives none."""
    for name in ("__key__", *sorted(NAME_COLUMNS, key=lambda name: (name != FILE_NAME, name))):
        if name in cells and cells[name].is_unique and (cells[name] != "").all():
            return cells[name].astype(str).tolist(), cells.drop(columns=name)
    return None, cells


def match_names(listed: Sequence[str], images: Sequence[str]) -> Integers:
    """(L,) the number of the image that each listed name means; negative where it means none, or could mean several.

    The very name comes first; then one that differs in case; then one that has another ending of images, or none. Each
    may have more or fewer folders in front, which are counted from the end. An image that is meant by its very name is
    meant by no other, and two different names that could mean one image both mean none.

    >>> match_names(["a/1.png", "2.JPG", "img/3", "4.png"], ["a/1.png", "a/2.jpg", "3.png", "b/4.png", "c/4.png"])
    array([ 0,  1,  2, -1])
    """
    found = np.full(len(listed), NONE, dtype=np.int64)
    exact = {name: number for number, name in enumerate(images)}
    for row, name in enumerate(listed):
        found[row] = exact.get(name, NONE)
    taken = set(found[found >= 0].tolist())
    names = without_common_folder(listed) if len(taken) < len(listed) else []
    for key in (_plain, _any_case, _any_ending):
        todo = np.flatnonzero(found == NONE).tolist()
        if not todo or len(taken) == len(images):
            break
        whole, tails = _index([key(name) for name in images], taken)
        for texts in (listed, names):
            keys = {row: key(texts[row]) for row in todo}
            meant = {row: _meaning(text, whole, tails) for row, text in keys.items()}
            claims: defaultdict[int, set[str]] = defaultdict(set)
            for row, number in meant.items():
                claims[number].add(keys[row])
            free = {number for number, by in claims.items() if number >= 0 and len(by) == 1} - taken
            for row, number in meant.items():
                if number in free:
                    found[row] = number
            taken |= free
            todo = [row for row in todo if found[row] == NONE]
            if not todo:
                break
    return found


def without_common_folder(names: Sequence[str]) -> list[str]:
    """The names without the folder that all are in, unless it says which split they are of."""
    plain = [_plain(name) for name in names]
    folder = posixpath.commonpath([posixpath.dirname(name) for name in plain]) if plain else ""
    if not folder or any(split_word(part) for part in folder.split("/")):
        return plain
    return [name.removeprefix(f"{folder}/") for name in plain]


def _index(keys: Sequence[str], taken: set[int]) -> tuple[dict[str, int], dict[str, int]]:
    """The number of each image by its whole name, and by each end of it that begins with a folder or file."""
    whole: dict[str, int] = {}
    tails: dict[str, int] = {}
    for number, key in enumerate(keys):
        if number in taken:
            continue
        whole[key] = SEVERAL if key in whole else number
        for tail in _tails(key):
            tails[tail] = SEVERAL if tail in tails else number
    return whole, tails


def _meaning(name: str, whole: dict[str, int], tails: dict[str, int]) -> int:
    if name in whole:
        return whole[name]
    candidates = {whole[tail] for tail in _tails(name) if tail in whole}
    if name in tails:
        candidates.add(tails[name])
    return candidates.pop() if len(candidates) == 1 else SEVERAL if candidates else NONE


def _tails(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.partition("/")[2]
        yield name


def _plain(name: str) -> str:
    """A name as any system and program may write it: Unicode composed, `/` between folders, no quotes."""
    text = name.strip().strip("\"'").replace("\\", "/").removeprefix("./")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _any_case(name: str) -> str:
    return _plain(name).casefold()


def _any_ending(name: str) -> str:
    folded = _any_case(name)
    return folded.rpartition(".")[0] if is_image(folded) else folded


@dataclass(frozen=True, eq=False)
class Aligned:
    """A table with one row for each of N images.

    Attributes:
        cells: N rows of texts, empty ones for an image that the table does not have.
        lines: (N,) the number of the line of each, 0 for an image that the table does not have.
        unmatched: the names in the table that mean no image.
    """

    cells: pd.DataFrame
    lines: Integers
    unmatched: list[str]


def align(table: pd.DataFrame, images: Sequence[str], where: str) -> Aligned:
    """The rows of a table by the images that they name.

    Args:
        table: texts; the index has the numbers of lines.
        images: the images' names.
        where: what to call the table in messages.

    Raises:
        DataError: no column of names, no name that means an image, a name that leads out of its folder, or two rows of
            one image that contradict each other.
    """
    column = _column_of_names(table, images, where)
    listed = table[column].tolist()
    for name in listed:
        refuse_escape(name, where)
    found = match_names(listed, images)
    if not (found >= 0).any():
        raise DataError(
            f"{where}: none of its {len(listed):,} names ({some(listed)}) means one of the {len(images):,} images "
            f"({some(images)}). Make the names agree, or take the file away."
        )
    matched = table.drop(columns=column)[found >= 0].set_axis(pd.Index(found[found >= 0], name="image"), axis=0)
    if (again := matched.index.duplicated()).any():
        different = matched[matched.index.duplicated(keep=False)].reset_index().drop_duplicates()["image"]
        if (contradicting := different[different.duplicated()]).size:
            number = int(contradicting.iloc[0])
            where_named = some(map(str, table.index[found == number]))
            raise DataError(
                f"{where} names {some([images[number]])} more than once (lines {where_named}), with different values. "
                "Leave one of them."
            )
        matched = matched[~again]
    lines = np.zeros(len(images), dtype=np.int64)
    lines[found[found >= 0][::-1]] = table.index.to_numpy()[found >= 0][::-1]  # the first line, where there are two
    return Aligned(
        cells=matched.reindex(pd.RangeIndex(len(images))).fillna(""),
        lines=lines,
        unmatched=[listed[row] or f"none in line {table.index[row]}" for row in np.flatnonzero(found < 0).tolist()],
    )


def _column_of_names(table: pd.DataFrame, images: Sequence[str], where: str) -> str:
    """The column whose texts are the images' names: `file_name`, or the one that names most images."""
    columns = [str(name) for name in table.columns]
    if not len(table):
        raise DataError(f"{where} has a header ({some(columns)}) and no rows below. Fill it, or take it away.")
    if named := [name for name in columns if name.casefold() == FILE_NAME]:
        return named[0]
    if first := [name for name in columns if is_image(name)]:
        raise DataError(f"{where} has no header: its first line is about {some(first)}. Put one above, with file_name.")
    sample = table.iloc[:: max(1, len(table) // LOOKED_AT)]
    usual = [name for name in columns if name.casefold() in NAME_COLUMNS]
    by_what_they_hold = [name for name in columns if sample[name].map(is_image).mean() > 0.5]
    for candidates in (usual, by_what_they_hold):
        hits = {name: int((match_names(sample[name].tolist(), images) >= 0).sum()) for name in candidates}
        if any(hits.values()):
            return max(hits, key=lambda name: hits[name])
    raise DataError(
        f"{where} has no column {FILE_NAME}, and no other one names an image such as {some(images[:1])}; its columns "
        f"are {some(columns, 10)}. Name the images in a column {FILE_NAME}."
    )


def mismatch(where: str, unmatched: Sequence[str], lacking: Sequence[str], consequence: str) -> list[str]:
    """A warning of names that mean no image, and of images without a name; none where all fit.

    Args:
        where: what to call the table.
        unmatched: the names that mean no image.
        lacking: the images that no name means.
        consequence: what becomes of these images, such as `are left out`.
    """
    parts = [f"{len(unmatched):,} names mean no image, or several ({some(unmatched)})"] if unmatched else []
    parts += [f"{len(lacking):,} images are not in it and {consequence} ({some(lacking)})"] if lacking else []
    return [f"{where}: {'; '.join(parts)}. Compare the names."] if parts else []
