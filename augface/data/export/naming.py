"""Names that every file system, label file and table accepts, and the class folders made of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from augface.arrays import Strings
from augface.data.export.layout import PROBABILITY

UNLABELLED = "unlabelled"
"""The class of faces of which a target attribute is not known."""

LONGEST = 60
"""Bytes of a name; a folder's may have 255, and a class joins several names."""

DEVICES = {"con", "prn", "aux", "nul"}
"""Words that Windows keeps for itself."""


def safe_names(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """For each name one of letters, digits, `_`, `.`, `-` and `+`, different from all others whatever the case.

    Args:
        names: what attributes are called.
        taken: names that are used already.

    >>> safe_names(["Eyeglasses", "wears a hat", "../../etc", "wears_a_hat"])
    {'Eyeglasses': 'Eyeglasses', 'wears a hat': 'wears_a_hat', '../../etc': 'etc', 'wears_a_hat': 'wears_a_hat_2'}
    """
    used = {name.casefold() for name in taken}
    safe = {}
    for name in names:
        base = candidate = _safe_name(name)
        number = 2
        while candidate.casefold() in used:
            candidate, number = f"{base}_{number}", number + 1
        used.add(candidate.casefold())
        safe[name] = candidate
    return safe


def _safe_name(name: str) -> str:
    text = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFKC", name))
    text = text.encode()[:LONGEST].decode(errors="ignore").strip("._+-") or "attribute"
    lower = text.casefold()
    return f"is_{text}" if f"{lower}_".startswith(PROBABILITY) or lower in {UNLABELLED, *DEVICES} else text


def class_names(attributes: pd.DataFrame, target: Sequence[str], safe: Mapping[str, str]) -> Strings:
    """(N,) the class folder of each face: `Eyeglasses`, `no_Eyeglasses_Male`, or `unlabelled` where any is missing.

    Args:
        attributes: N rows of nullable booleans.
        target: the attributes that make the classes, in the order of the name's parts.
        safe: what to call each of them, from `safe_names`.
    """
    words = {name: safe[name] for name in target}
    for name, word in words.items():
        if f"{word}_".casefold().startswith("no_"):  # `No_Beard` would read as "not Beard"
            words[name] = f"is_{word}"
    parts = [
        np.where(attributes[name].fillna(False).to_numpy(dtype=np.bool_), words[name], f"no_{words[name]}")
        for name in target
    ]
    joined = np.array(["_".join(row) for row in zip(*parts, strict=True)], dtype=object)
    joined[attributes[list(target)].isna().any(axis=1).to_numpy(dtype=np.bool_)] = UNLABELLED
    return joined.astype(np.str_)
