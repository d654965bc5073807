"""What the texts of label tables mean: yes and no, splits, persons. One notion of each, for all readers and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Floats, Integers, Strings
from augface.errors import DataError

BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0", "+1", "on", "present", "positive"), 1.0),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0", "off", "absent", "negative"), 0.0),
    **dict.fromkeys(("-1", "-1.0", "−1"), -1.0),
}
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "none", "null", "<na>", "nat"})
MISTAKES = 0.5
"""The largest share of a column's known cells that are taken for mistakes, where the others are yes and no."""

FEW_WORDS = 20
"""The most different words that a column may have that is remarked on, as labels may be meant by it."""
MAX_CLASSES = 100
"""More folders or numbers than this are persons, not classes."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("valid", "validation", "validate", "val", "dev", "development", "publictest"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "privatetest"), "test"),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "eval"),
}
"""`eval` is the test split for some, and for others the valid split; see `resolve_splits`. `publictest` and
`privatetest` are FER2013's."""
SPLIT_FILLERS = frozenset(
    {"set", "data", "dataset", "split", "subset", "partition", "part", "images", "image", "imgs", "img", "pictures"}
    | {"photos", "samples", "faces", "face", "files"}
)
"""Words that do not change what split a name means."""
CELEBA_SPLITS = {"0": "train", "1": "valid", "2": "test"}


def texts_of(values: Iterable[Any]) -> list[str]:
    """Values of any kind as texts without blanks around, an empty one where a value is missing."""
    column = pd.Series(list(values), dtype=object)
    codes, different = pd.factorize(column)
    texts = np.array([_text(value) for value in different] + [""], dtype=object)
    return [str(text) for text in texts[codes]]


def _text(value: Any) -> str:
    text = str(value).strip()
    return "" if text.lower() in MISSING else text


class Labels:
    """What a column of cells says as labels.

    Attributes:
        values: nullable booleans; a cell that is neither yes nor no is missing.
        wrong: the rows of such cells.
        different: the different texts that are not missing, sorted.
        zeros: how many cells are 0 beside -1, which makes them unknown; 0 where there is no -1.
    """

    def __init__(self, cells: Iterable[Any]) -> None:
        self.texts = texts_of(cells)
        codes, texts = pd.factorize(np.array(self.texts, dtype=object))
        numbers = np.array([BOOLEANS.get(text.lower(), np.nan) for text in texts], dtype=np.float64)
        is_known = texts != ""
        column = numbers[codes]
        self.wrong: Integers = np.flatnonzero((is_known & np.isnan(numbers))[codes])
        self.different = sorted(map(str, texts[is_known]))
        self.zeros = int((column == 0).sum()) if (column == -1).any() else 0
        self.values = signs_to_booleans(column)
        self._known = int(is_known[codes].sum())

    @property
    def are_labels(self) -> bool:
        """Whether this is a column of labels, with some mistakes or without."""
        return len(self.wrong) <= MISTAKES * self._known and len(self.wrong) < self._known

    @property
    def are_words(self) -> bool:
        """Whether this is a column of a few words, each of several images."""
        count = len(self.different)
        few = count == 2 or (2 < count <= FEW_WORDS and 2 * count <= self._known)
        return few and not self.are_labels and not all(map(_is_number, self.different))

    def equal(self, text: str) -> pd.Series[bool]:
        """Whether a cell is this text; missing where nothing is known."""
        column = pd.Series(self.texts, dtype=object)
        return (column == text).astype("boolean").mask(column == "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def numbered_classes(name: str, numbers: Sequence[int]) -> dict[str, list[str]]:
    """An attribute for each number of a class, as columns of texts; more than `MAX_CLASSES` are persons.

    >>> numbered_classes("label", [0, 2])
    {'label_0': ['1', '0'], 'label_1': ['0', '0'], 'label_2': ['0', '1']}
    """
    if max(numbers) >= MAX_CLASSES:
        return {"identity": list(map(str, numbers))}
    return {f"{name}_{each}": [str(int(number == each)) for number in numbers] for each in range(1 + max(numbers))}


def signs_to_booleans(numbers: Floats) -> pd.Series[bool]:
    """1 is true; -1 is false; 0 is unknown where -1 occurs, and false otherwise; NaN is unknown."""
    unknown = np.isnan(numbers) | ((numbers == 0) & bool((numbers == -1).any()))
    return pd.Series(pd.array(numbers == 1, dtype="boolean")).mask(unknown)


def split_word(text: str) -> str:
    """The split that a word or a folder's name means: `train`, `valid`, `test` or `eval`; empty where it means none.

    >>> [split_word(name) for name in ("Training Set", "val_images", "test2017", "hold-out", "contest", "train_A")]
    ['train', 'valid', 'test', 'eval', '', '']
    """
    joined = re.sub(r"(?<=hold|held)[\W_]*(?=out)", "", text.casefold())
    words = [word for word in re.findall(r"[^\W\d_]+", joined) if word not in SPLIT_FILLERS]
    if len(words) != 1:
        return ""
    return SPLIT_WORDS.get(words[0], "") or SPLIT_WORDS.get(re.sub(r"(set|data)$", "", words[0]), "")


def resolve_splits(words: Strings, where: str) -> tuple[Strings, str]:
    """`eval` as what is missing among valid and test, or as test.

    Args:
        words: of `train`, `valid`, `test`, `eval`, or empty.
        where: what to call the place in a message.

    Returns:
        Of `train`, `valid`, `test`, or empty; and a sentence where `eval` could be either.

    Raises:
        DataError: there are valid, test and eval.
    """
    present = set(np.unique(words))
    if "eval" not in present:
        return words, ""
    if {"valid", "test"} <= present:
        raise DataError(
            f"{where} has a valid, a test and an evaluation split, and only train, valid and test are known. Rename or "
            "remove one."
        )
    meant = "valid" if "test" in present else "test"
    said = (
        ""
        if present & {"valid", "test"}
        else f"{where}: the evaluation split is taken for test; call it valid or test."
    )
    return np.where(words == "eval", meant, words), said


def as_splits(cells: Iterable[Any], rows: Sequence[str], where: str, *, explain: bool = True) -> tuple[Strings, str]:
    """`train`, `valid`, `test`, or an empty text where missing.

    Args:
        cells: words, or CelebA's numbers 0, 1 and 2.
        rows: what to call the rows in a message.
        where: what to call the column in a message.
        explain: whether it is to be said that numbers are CelebA's.

    Returns:
        The splits; and a sentence where they could mean something else.

    Raises:
        DataError: any other word.
    """
    texts = [text.lower().removesuffix(".0") for text in texts_of(cells)]
    different = set(texts) - {""}
    numbered = different <= CELEBA_SPLITS.keys()
    meanings = CELEBA_SPLITS if numbered else {text: split_word(text) for text in different}
    for row, text in zip(rows, texts, strict=True):
        if text and not meanings[text]:
            raise DataError(
                f"{where} puts {row} into the split {text!r}. Known are train, valid and test, and 0, 1 and 2 for them."
            )
    splits, said = resolve_splits(np.array([meanings.get(text, "") for text in texts], dtype=np.str_), where)
    if numbered and different and explain:
        said = f"{where} is read as CelebA's numbers: 0 is train, 1 valid, 2 test. Write words if it means others."
    return splits, said


def as_identity(cells: Iterable[Any]) -> Integers:
    """One number a person, in the order of their names; whoever has no name is a person alone."""
    texts = np.array(texts_of(cells), dtype=object)
    alone: Booleans = texts == ""
    codes = pd.factorize(texts, sort=True)[0].astype(np.int64)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes
