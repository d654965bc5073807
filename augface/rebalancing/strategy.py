"""How many faces of each subgroup a balanced data set needs: imbalanced-learn's `sampling_strategy` for faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augface.data.dataset import FaceDataset
from augface.data.groups import Subgroup, combinations
from augface.errors import DataError, UsageError

Strategy = str | float | Mapping[str, int]
"""`auto` (every class but the largest is raised to the largest), `minority` (only the smallest class is), a number (the
ratio of minority to majority afterwards), or final totals a class, such as `{"Eyeglasses=1": 5000}`."""

FEW_POSITIVES = 50


@dataclass(frozen=True)
class SubgroupPlan:
    """A subgroup of faces: how many there are in the train split, and how many are to be added."""

    subgroup: Subgroup
    have: int
    wanted: int


def plan_subgroups(
    train: FaceDataset,
    attributes: Sequence[str],
    within: Sequence[str] = (),
    strategy: Strategy = "auto",
    *,
    composed: bool = False,
) -> list[SubgroupPlan]:
    """The subgroups of faces in `train` and how many of each to add.

    Args:
        train: the train split; faces that lack one of the labels count nowhere.
        attributes: whose combinations are the classes.
        within: attributes whose combinations are balanced each for itself.
        strategy: how many; see `Strategy`.
        composed: whether classes that no training face is of are made too, from faces that have a part of what is
            wanted each; else none of them is.

    Returns:
        One for each class, those of one stratum together.

    Raises:
        DataError: an attribute has one value only.
        UsageError: the strategy makes no sense for these classes.
    """
    for name in [*attributes, *within]:
        values = set(train.attribute(name).dropna())
        if len(values) < 2:
            found = f"all {len(train)} training faces are {name}={int(values.pop())}" if values else "it has no labels"
            raise DataError(f"{name} cannot be balanced: {found}, so there is nothing to learn the other class from.")
    plans: list[SubgroupPlan] = []
    totals = dict(strategy) if isinstance(strategy, Mapping) else None
    for stratum in combinations(within):
        classes = {subgroup.label: subgroup for subgroup in (each | stratum for each in combinations(attributes))}
        counts = {label: int(train.matching(subgroup).sum()) for label, subgroup in classes.items()}
        if totals is not None:
            wanted = {label: given_total(label, counts[label], totals) for label in counts}
        else:
            wanted = wanted_faces(counts, strategy, composed=composed)
        for label, subgroup in classes.items():
            if counts[label] == 0 and wanted[label] and not composed:
                raise DataError(
                    f"There is no training face with {label}, so there is nothing to learn it from. Generators that "
                    "compose faces (augface list generators) can make it of others."
                )
            plans.append(SubgroupPlan(subgroup, counts[label], wanted[label]))
    if totals:
        known = ", ".join(plan.subgroup.label for plan in plans)
        raise UsageError(f"The sampling strategy names {', '.join(map(repr, totals))}; the classes are {known}.")
    return plans


def given_total(label: Any, have: int, totals: dict[Any, int]) -> int:
    """How many to add to a class for the total that was given, which is taken out of `totals`; 0 where none was.

    Raises:
        UsageError: there are more already.
    """
    total = totals.pop(label, have)
    if total < have:
        raise UsageError(f"The sampling strategy asks for {total} faces with {label}, but there are {have} already.")
    return total - have


def wanted_faces(
    counts: Mapping[Any, int], strategy: str | float | Mapping[str, int], *, composed: bool = False
) -> dict[Any, int]:
    """How many faces of each class to add, by a word or a ratio; to a class without a face only where `composed`.

    Raises:
        UsageError: the strategy makes no sense for these classes.
    """
    present = {label: count for label, count in counts.items() if count or composed}
    largest = max(present.values(), default=0)
    if isinstance(strategy, str):
        if strategy == "auto":
            return {label: largest - count if label in present else 0 for label, count in counts.items()}
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
            f"The ratio {strategy:g} is below the present one, {counts[minority] / largest:.3f}: nothing would be "
            "generated."
        )
    return {label: total - count if label == minority and label in present else 0 for label, count in counts.items()}
