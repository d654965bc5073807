"""How many faces of which kind a balanced data set needs: imbalanced-learn's `sampling_strategy` for faces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from augface.data.dataset import FaceDataset
from augface.errors import DataError, UsageError

Strategy = str | float | Mapping[str, int]
"""`auto` (every class but the largest is raised to the largest), `minority` (only the smallest class is), a number (the
ratio of minority to majority afterwards), or final totals a class, such as `{"Eyeglasses=1": 5000}`."""

FEW_POSITIVES = 50


@dataclass(frozen=True)
class Group:
    """One kind of face: how many there are, and how many are to be added."""

    where: dict[str, bool]
    have: int
    wanted: int

    @property
    def label(self) -> str:
        """The kind in the form that options take, such as `Eyeglasses=1,Male=0`."""
        return ",".join(f"{name}={int(value)}" for name, value in self.where.items())


def plan_groups(
    train: FaceDataset, attributes: Sequence[str], within: Sequence[str] = (), strategy: Strategy = "auto"
) -> list[Group]:
    """The kinds of faces in `train` and how many of each to add.

    Args:
        train: the train split; faces that lack one of the labels count nowhere.
        attributes: whose combinations are the classes.
        within: attributes whose combinations are balanced each for itself.
        strategy: how many; see `Strategy`.

    Returns:
        All kinds that have faces or are wanted, those of one stratum together.

    Raises:
        DataError: an attribute has one value only.
        UsageError: the strategy makes no sense for these classes.
    """
    for name in [*attributes, *within]:
        values = set(train.attribute(name).dropna())
        if len(values) < 2:
            found = f"all {len(train)} training faces are {name}={int(values.pop())}" if values else "it has no labels"
            raise DataError(f"{name} cannot be balanced: {found}, so there is nothing to learn the other kind from.")
    groups: list[Group] = []
    totals = dict(strategy) if isinstance(strategy, Mapping) else None
    for stratum in combinations(within):
        kinds = {label_of(where): where for where in ({**kind, **stratum} for kind in combinations(attributes))}
        counts = {label: int(train.matching(where).sum()) for label, where in kinds.items()}
        if totals is not None:
            wanted = {label: _given_total(label, counts[label], totals) for label in counts}
        else:
            wanted = _wanted(counts, strategy)
        for label, where in kinds.items():
            if counts[label] == 0 and wanted[label]:
                raise DataError(f"There is no training face with {label}, so there is nothing to learn it from.")
            groups.append(Group(where, counts[label], wanted[label]))
    if totals:
        known = ", ".join(group.label for group in groups)
        raise UsageError(f"The sampling strategy names {', '.join(map(repr, totals))}; the classes are {known}.")
    return groups


def combinations(attributes: Sequence[str]) -> list[dict[str, bool]]:
    """Every joint value of these attributes."""
    return [
        dict(zip(attributes, values, strict=True))
        for values in itertools.product([True, False], repeat=len(attributes))
    ]


def label_of(where: Mapping[str, bool]) -> str:
    """The kind `where` in the form that options take; see `Group.label`."""
    return Group(dict(where), 0, 0).label


def _given_total(label: str, have: int, totals: dict[str, int]) -> int:
    total = totals.pop(label, have)
    if total < have:
        raise UsageError(f"The sampling strategy asks for {total} faces with {label}, but there are {have} already.")
    return total - have


def _wanted(counts: Mapping[str, int], strategy: str | float | Mapping[str, int]) -> dict[str, int]:
    present = {label: count for label, count in counts.items() if count}
    largest = max(present.values(), default=0)
    if isinstance(strategy, str):
        if strategy == "auto":
            return {label: largest - count if count else 0 for label, count in counts.items()}
        if strategy == "minority":
            smallest = min(present, key=lambda label: present[label], default="")
            return {label: largest - count if label == smallest else 0 for label, count in counts.items()}
        raise UsageError(f"The sampling strategy {strategy!r} is neither auto, minority, a ratio nor final totals.")
    assert not isinstance(strategy, Mapping)
    if len(counts) != 2:
        raise UsageError("A ratio needs one attribute; for several, give final totals of each class.")
    if not 0 < strategy <= 1:
        raise UsageError(f"The ratio of minority to majority must be above 0 and at most 1, not {strategy:g}.")
    minority = min(counts, key=lambda label: counts[label])
    total = round(strategy * largest)
    if total < counts[minority]:
        raise UsageError(
            f"The ratio {strategy:g} is below the present one, {counts[minority] / largest:.3f}: nothing would be made."
        )
    return {label: total - count if label == minority and count else 0 for label, count in counts.items()}
