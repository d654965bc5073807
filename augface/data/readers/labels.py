"""From the text of label tables to booleans, splits and persons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augface.arrays import Floats, Integers, Strings
from augface.errors import DataError

BOOLEANS = {"true": 1, "yes": 1, "1": 1, "1.0": 1, "false": 0, "no": 0, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
MISSING = frozenset({"", "na", "nan", "none", "null", "<na>"})
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


def cleaned(column: pd.Series[str]) -> pd.Series[str]:
    """Texts in lower case without blanks around; an empty text where the value is missing."""
    texts = column.astype("string").fillna("").str.strip().str.lower()
    return texts.mask(texts.isin(MISSING), "")


def as_booleans(column: pd.Series[str]) -> pd.Series[bool] | None:
    """Nullable booleans, or None where any value is something else or all are missing.

    True, yes, 1 and False, no, 0, -1 are understood. Where -1 occurs, 0 means unknown, as in tables of -1, 0 and 1.
    """
    texts = cleaned(column)
    known = texts != ""
    numbers = texts.map(BOOLEANS)
    if not known.any() or numbers[known].isna().any():
        return None
    return signs_to_booleans(numbers.astype("float64").to_numpy())


def signs_to_booleans(numbers: Floats, *, signed: bool | None = None) -> pd.Series[bool]:
    """1 is true; -1 is false; 0 is unknown where the numbers are `signed` (contain -1), and false otherwise."""
    if signed is None:
        signed = bool((numbers == -1).any())
    unknown = np.isnan(numbers) | ((numbers == 0) & signed)
    return pd.Series(pd.array(numbers == 1, dtype="boolean")).mask(unknown)


def as_split(column: pd.Series[str], where: str) -> Strings:
    """`train`, `valid`, `test`, or an empty text where missing.

    Raises:
        DataError: any other word.
    """
    texts = cleaned(column)
    splits = texts.map(SPLIT_NAMES).fillna("")
    if (unknown := texts[(texts != "") & (splits == "")].unique()).size:
        raise DataError(f"{where} has the split {unknown[0]!r}; known are {', '.join(SPLIT_NAMES)}.")
    return splits.to_numpy(dtype=np.str_)


def as_identity(column: pd.Series[str]) -> Integers:
    """One number a person, in the order of their names; whoever has no name is a person alone."""
    texts = column.astype("string").fillna("").str.strip()
    alone = (texts == "").to_numpy(dtype=np.bool_)
    codes = pd.factorize(texts, sort=True)[0].astype(np.int64)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes
