"""What the columns of a table of images are: labels, the split, persons, and whatever else is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Integers, Strings
from augface.data.export.layout import COLUMNS, is_probability
from augface.data.readers.containers import some
from augface.data.readers.labels import CELEBA_SPLITS, MAX_CLASSES, Labels, as_identity, as_splits, split_word, texts_of
from augface.errors import DataError

SPLIT_COLUMNS = ("split", "partition", "set", "subset", "usage", "data_split", "dataset_split", "split_name")
"""Names of columns whose words, or CelebA's numbers, are splits."""
CLASS_COLUMNS = ("label", "labels", "class", "classes", "class_name", "category", "target")
"""Names of columns whose words are classes, each an attribute as class folders are."""
IDENTITY_COLUMNS = ("identity", "person", "person_id", "subject", "subject_id", "identity_id", "individual")
NOT_LABELS = frozenset({"seed", "number", "source", "index", "row", "id", "idx"})
"""Columns that are about how an image came to be, even where they hold only zeros and ones."""
OWN = frozenset(COLUMNS) - {"file_name"}


@dataclass(frozen=True, eq=False)
class Columns:
    """What a table says of N images.

    Attributes:
        attributes: N rows of nullable booleans.
        split: (N,) of `train`, `valid`, `test` or an empty text; None without such a column.
        identity: (N,) one number a person; None without such a column.
        factors: all other columns, N rows, numbers where they are numbers; None without any.
        warnings: what was wrong, and what was done about it.
    """

    attributes: pd.DataFrame
    split: Strings | None
    identity: Integers | None
    factors: pd.DataFrame | None
    warnings: list[str]

    @property
    def described(self) -> str:
        """The attributes in a few words."""
        found = some(map(str, self.attributes), 10)
        return f"attributes {found}" if self.attributes.shape[1] else "without labels"


def read_columns(cells: pd.DataFrame, images: Sequence[str], where: str) -> Columns:
    """Tell the columns of a table apart.

    Args:
        cells: one row an image, of texts; an empty one where nothing is known.
        images: what to call the images in messages.
        where: what to call the table in messages.

    Raises:
        DataError: a word that is no split, or two columns that contradict or could be one another.
    """
    warnings: list[str] = []
    columns = [str(name) for name in cells.columns]
    split_columns = [name for name in columns if _is_split(name, cells[name])]
    identity_columns = _identity_columns(columns)
    others = [name for name in columns if name not in (*split_columns, *identity_columns)]
    about_split = [name for name in others if _is_about_split(name)]
    if about_split and not split_columns:
        warnings.append(
            f"{where}: {some(about_split)} may be about a split, and no split is read from it. Add a column split of "
            "train, valid and test."
        )
    about_image = {*about_split, *(name for name in others if is_about_image(name))}
    if set(columns) >= OWN:  # a data set that augface wrote
        about_image |= OWN
    labels = {name: Labels(cells[name]) for name in others if name not in about_image}
    classes = {name: column for name, column in labels.items() if _are_classes(name, column)}
    attributes = {name: column.values for name, column in labels.items() if column.are_labels}
    for name, column in classes.items():
        del labels[name]
        for text in column.different:
            attributes[text if text not in cells and not text.isdecimal() else f"{name}_{text}"] = column.equal(text)
    factors = {name: _numbers_or_texts(cells[name]) for name in others if name not in {*attributes, *classes}}
    warnings += _label_warnings(labels, images, where)
    return Columns(
        attributes=pd.DataFrame(attributes, index=cells.index),
        split=_split(cells[split_columns], images, where, warnings),
        identity=as_identity(cells[identity_columns[0]]) if identity_columns else None,
        factors=pd.DataFrame(factors, index=cells.index) if factors else None,
        warnings=warnings,
    )


def _are_classes(name: str, column: Labels) -> bool:
    """Whether a column says the class of each image in place of yes and no."""
    return _plain(name) in CLASS_COLUMNS and not column.are_labels and 2 <= len(column.different) <= MAX_CLASSES


def is_about_image(column: str) -> bool:
    """Whether a column is by its name about how an image came to be, and no label."""
    return column.lower() in NOT_LABELS or is_probability(column)


def _split(cells: pd.DataFrame, images: Sequence[str], where: str, warnings: list[str]) -> Strings | None:
    """The split that these columns agree on."""
    agreed: Strings | None = None
    for name in map(str, cells.columns):
        splits, said = as_splits(cells[name], images, f"{name} in {where}", explain=_plain(name) != "partition")
        warnings += [said] if said else []
        if agreed is not None and (unlike := np.flatnonzero((splits != agreed) & (splits != "") & (agreed != ""))).size:
            row = unlike[0]
            raise DataError(
                f"{where}: the columns {' and '.join(map(str, cells.columns))} put {images[row]} into two splits, "
                f"{agreed[row]} and {splits[row]}. Leave one of them."
            )
        agreed = splits if agreed is None else np.where(agreed == "", splits, agreed)
    return agreed


def _is_split(name: str, cells: pd.Series[Any]) -> bool:
    """Whether a column says which split an image is of: by its name, or since it holds two words for splits or more."""
    words = {text.lower().removesuffix(".0") for text in set(texts_of(cells))} - {""}
    splits = {split_word(word) for word in words}
    if _plain(name) == "split":
        return bool(words)
    if _plain(name) in SPLIT_COLUMNS:
        return bool(splits - {""}) or (bool(words) and words <= CELEBA_SPLITS.keys())
    return len(splits) > 1 and "" not in splits


def _identity_columns(columns: Sequence[str]) -> list[str]:
    """The column that says who is who, if any: `identity`, or the first other one."""
    found = sorted((name for name in columns if _plain(name) in IDENTITY_COLUMNS), key=lambda name: _rank(name))
    return found[:1]


def _rank(column: str) -> int:
    return IDENTITY_COLUMNS.index(_plain(column))


def _is_about_split(column: str) -> bool:
    """Whether a column says of each image whether it is of one split, such as `is_train`."""
    return bool(split_word(re.sub(r"^(is|in|for)[\W_]+", "", column.casefold())))


def _label_warnings(labels: dict[str, Labels], images: Sequence[str], where: str) -> list[str]:
    warnings = []
    read = {name: column for name, column in labels.items() if column.are_labels}
    wrong = [
        f"{name} of {images[row]} is {column.texts[row]!r}" for name, column in read.items() for row in column.wrong
    ]
    if wrong:
        cells = "1 cell is" if len(wrong) == 1 else f"{len(wrong):,} cells are"
        warnings.append(
            f"{where}: {cells} neither yes nor no and taken for unknown: {some(wrong)}. Write 1, 0 or nothing there."
        )
    if zeros := {name: column.zeros for name, column in read.items() if column.zeros}:
        warnings.append(
            f"{where}: {sum(zeros.values()):,} zeros are taken for unknown, as their columns say no by -1: "
            f"{some(zeros)}. Write -1 where a zero means no."
        )
    unused = [f"{name} ({some(map(repr, column.different))})" for name, column in labels.items() if column.are_words]
    if unused:
        warnings.append(
            f"{where}: neither yes nor no, and so no attribute: {some(unused)}. To use one, call its column label, or "
            "write 1 and 0."
        )
    return warnings


def _plain(column: str) -> str:
    """A column's name without regard to case and to what is between its words."""
    return re.sub(r"[\W_]+", "_", column.casefold()).strip("_")


def _numbers_or_texts(column: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return pd.to_numeric(column.mask(column == ""))
    except (ValueError, TypeError):
        return column
