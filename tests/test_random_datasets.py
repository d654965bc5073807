"""Three hundred random data sets of known truth: each is read to it or refused in words, and none differs silently."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from random_datasets import Case, make

from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import DataError

SEEDS = range(300)
INPUTS = Path(__file__).resolve().parent.parent / "docs" / "inputs.md"
SCREEN = 24
"""Lines of 120 characters that all warnings of a data set fit into."""


def differences(data: FaceDataset, case: Case) -> list[str]:
    """How what was read differs from what is true."""
    found = [int(image[0, 0, 0]) for image in np.asarray(data.images)]
    truth = {picture.number: picture for picture in case.pictures}
    if sorted(found) != sorted(truth):
        return [f"pictures {sorted(found)}, not {sorted(truth)}"]
    pictures = [truth[number] for number in found]
    wrong = []
    names = {name for picture in pictures for name in picture.attributes}
    if set(data.attributes) != names:
        return [f"attributes {sorted(map(str, data.attributes))}, not {sorted(names)}"]
    for name in sorted(names):
        column = [None if pd.isna(value) else bool(value) for value in data.attributes[name]]
        if column != (expected := [picture.attributes[name] for picture in pictures]):
            wrong.append(f"{name} {column}, not {expected}")
    split = [None] * len(found) if data.split is None else data.split.tolist()
    if split != (splits := [picture.split for picture in pictures]):
        wrong.append(f"split {split}, not {splits}")
    people = [picture.person for picture in pictures]
    identity = None if data.identity is None else data.identity.tolist()
    if (identity is None) != (None in people) or (identity and _groups(identity) != _groups(people)):
        wrong.append(f"identity {identity}, not {people}")
    return wrong


def _groups(people: list[Any]) -> list[int]:
    return [people.index(person) for person in people]


def _load(spec: str) -> tuple[FaceDataset | None, str]:
    """The data, or why there are none."""
    try:
        return load_data(spec, size=8), ""
    except DataError as error:
        return None, str(error)


def outcome(case: Case, log: pytest.LogCaptureFixture) -> str:
    """`read`, `read and told of` or `refused`; fails where anything is silently otherwise."""
    log.clear()
    data, error = _load(case.spec)
    if data is None:
        assert not case.readable, f"refused: {error}"
        assert case.file in error, f"does not name {case.file}: {error}"
        assert re.search(r"[.?)] [A-Z]", error), f"names no remedy: {error}"
        return "refused"
    assert not (wrong := differences(data, case)), wrong
    warnings = [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]
    for said in case.said:
        assert any(said in warning for warning in warnings), f"{said} is not said in {warnings}"
    assert len(set(warnings)) == len(warnings), f"said twice: {warnings}"
    assert sum(len(warning) // 120 + 1 for warning in warnings) <= SCREEN, warnings
    return "read and told of" if case.said else "read"


def test_each_is_read_to_the_truth_or_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    counts: dict[str, int] = {}
    failures = []
    for seed in SEEDS:
        (tmp_path / str(seed)).mkdir()
        case = make(seed, tmp_path / str(seed))
        try:
            found = outcome(case, caplog)
        except AssertionError as error:
            failures.append(f"{seed} ({'; '.join(case.about)}): {error}".split("\nassert")[0])
            continue
        counts[found] = counts.get(found, 0) + 1
    assert not failures, "\n\n".join([f"{len(failures)} of {len(SEEDS)}", *failures])
    said = (
        f"{counts['read']} are read to the truth, {counts['read and told of']} are read with a warning of what is "
        f"lost, and {counts['refused']} are refused"
    )
    assert said in " ".join(INPUTS.read_text(encoding="utf-8").split())
