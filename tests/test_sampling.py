"""How many faces of which kind are requested; the numbers are written by hand, in imbalanced-learn's meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from augface.data.dataset import FaceDataset
from augface.errors import DataError, UnknownNameError, UsageError
from augface.rebalancing.strategy import plan_subgroups


def faces(**columns: Sequence[bool | None]) -> FaceDataset:
    count = len(next(iter(columns.values())))
    return FaceDataset.from_arrays(np.zeros((count, 8, 8, 3), dtype=np.uint8), columns)


def glasses_and_men(counts: Mapping[tuple[bool, bool], int]) -> FaceDataset:
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    return faces(Eyeglasses=[glasses for glasses, _ in kinds], Male=[male for _, male in kinds])


ONE_RARE = faces(Eyeglasses=[True] * 10 + [False] * 90)
ONE_FREQUENT = faces(Young=[True] * 70 + [False] * 30)
JOINT = glasses_and_men({(True, True): 20, (True, False): 5, (False, True): 40, (False, False): 60})
HOLE = glasses_and_men({(True, True): 20, (False, True): 40, (False, False): 60})


def plan(data: FaceDataset, *arguments: Any, **named: Any) -> dict[str, tuple[int, int]]:
    return {each.subgroup.label: (each.have, each.wanted) for each in plan_subgroups(data, *arguments, **named)}


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [("auto", 80), ("minority", 80), (1.0, 80), (0.5, 35), (0.2, 8), ({"Eyeglasses=1": 25}, 15)],
)
def test_the_rare_value_of_one_attribute(strategy: Any, wanted: int) -> None:
    assert plan(ONE_RARE, ["Eyeglasses"], strategy=strategy) == {"Eyeglasses=1": (10, wanted), "Eyeglasses=0": (90, 0)}


@pytest.mark.parametrize(("strategy", "wanted"), [("auto", 40), ("minority", 40), (0.5, 5)])
def test_the_rare_value_may_be_the_absence(strategy: Any, wanted: int) -> None:
    assert plan(ONE_FREQUENT, ["Young"], strategy=strategy) == {"Young=1": (70, 0), "Young=0": (30, wanted)}


def test_totals_may_raise_any_class() -> None:
    totals = {"Eyeglasses=1": 10, "Eyeglasses=0": 100}
    assert plan(ONE_RARE, ["Eyeglasses"], strategy=totals) == {"Eyeglasses=1": (10, 0), "Eyeglasses=0": (90, 10)}


def test_joint_kinds_are_raised_to_the_largest() -> None:
    assert plan(JOINT, ["Eyeglasses", "Male"]) == {
        "Eyeglasses=1,Male=1": (20, 40),
        "Eyeglasses=1,Male=0": (5, 55),
        "Eyeglasses=0,Male=1": (40, 20),
        "Eyeglasses=0,Male=0": (60, 0),
    }


def test_only_the_smallest_joint_kind_is_the_minority() -> None:
    wanted = {label: wanted for label, (_, wanted) in plan(JOINT, ["Eyeglasses", "Male"], strategy="minority").items()}
    assert wanted == {
        "Eyeglasses=1,Male=1": 0,
        "Eyeglasses=1,Male=0": 55,
        "Eyeglasses=0,Male=1": 0,
        "Eyeglasses=0,Male=0": 0,
    }


def test_within_balances_each_stratum_for_itself() -> None:
    expected = {
        "Eyeglasses=1,Male=1": (20, 20),
        "Eyeglasses=0,Male=1": (40, 0),
        "Eyeglasses=1,Male=0": (5, 55),
        "Eyeglasses=0,Male=0": (60, 0),
    }
    assert plan(JOINT, ["Eyeglasses"], ["Male"]) == expected
    assert plan(JOINT, ["Eyeglasses"], ["Male"], 1.0) == expected
    halves = {label: wanted for label, (_, wanted) in plan(JOINT, ["Eyeglasses"], ["Male"], 0.5).items()}
    assert halves["Eyeglasses=1,Male=0"] == 25
    assert halves["Eyeglasses=1,Male=1"] == 0


def test_totals_name_the_whole_kind_within_strata() -> None:
    planned = plan(JOINT, ["Eyeglasses"], ["Male"], {"Eyeglasses=1,Male=0": 30})
    assert {label: wanted for label, (_, wanted) in planned.items() if wanted} == {"Eyeglasses=1,Male=0": 25}


def test_missing_labels_count_nowhere() -> None:
    data = faces(Eyeglasses=[True, False, False, False, None, None], Male=[True, True, None, False, True, None])
    assert plan(data, ["Eyeglasses"]) == {"Eyeglasses=1": (1, 2), "Eyeglasses=0": (3, 0)}
    within = plan(data, ["Eyeglasses"], ["Male"], {})
    assert [have for have, _ in within.values()] == [1, 1, 0, 1]


def test_kinds_that_nobody_is_of_are_left_alone_unless_asked_for() -> None:
    assert plan(HOLE, ["Eyeglasses", "Male"])["Eyeglasses=1,Male=0"] == (0, 0)
    with pytest.raises(DataError, match="no training face with Eyeglasses=1,Male=0"):
        plan(HOLE, ["Eyeglasses", "Male"], strategy={"Eyeglasses=1,Male=0": 5})


@pytest.mark.parametrize(("strategy", "wanted"), [("auto", 60), ("minority", 60), ({"Eyeglasses=1,Male=0": 5}, 5)])
def test_a_class_without_a_face_can_be_composed(strategy: Any, wanted: int) -> None:
    assert plan(HOLE, ["Eyeglasses", "Male"], strategy=strategy, composed=True)["Eyeglasses=1,Male=0"] == (0, wanted)
    assert plan(HOLE, ["Eyeglasses"], ["Male"], composed=True) == {
        "Eyeglasses=1,Male=1": (20, 20),
        "Eyeglasses=0,Male=1": (40, 0),
        "Eyeglasses=1,Male=0": (0, 60),
        "Eyeglasses=0,Male=0": (60, 0),
    }


def test_plans_name_their_subgroup() -> None:
    plan = plan_subgroups(JOINT, ["Eyeglasses"], ["Male"])[0]
    assert dict(plan.subgroup) == {"Eyeglasses": True, "Male": True}


class TestErrors:
    @pytest.mark.parametrize(("values", "said"), [([True] * 3, "all 3.*Eyeglasses=1"), ([None] * 3, "has no labels")])
    def test_one_value_alone(self, values: list[bool | None], said: str) -> None:
        with pytest.raises(DataError, match=said):
            plan(faces(Eyeglasses=values), ["Eyeglasses"])

    def test_an_unknown_attribute_brings_close_ones(self) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'Eyeglasses'"):
            plan(ONE_RARE, ["eyeglases"])
        with pytest.raises(UnknownNameError, match="Did you mean 'Male'"):
            plan(JOINT, ["Eyeglasses"], ["mal"])

    def test_a_ratio_below_the_present_one(self) -> None:
        with pytest.raises(UsageError, match=r"0\.1 is below the present one, 0\.111"):
            plan(ONE_RARE, ["Eyeglasses"], strategy=0.1)

    @pytest.mark.parametrize("ratio", [0.0, -1.0, 1.5])
    def test_a_ratio_out_of_range(self, ratio: float) -> None:
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            plan(ONE_RARE, ["Eyeglasses"], strategy=ratio)

    def test_a_ratio_for_several_attributes(self) -> None:
        with pytest.raises(UsageError, match="final totals"):
            plan(JOINT, ["Eyeglasses", "Male"], strategy=0.5)

    def test_an_unknown_word(self) -> None:
        with pytest.raises(UsageError, match="'majority' is neither"):
            plan(ONE_RARE, ["Eyeglasses"], strategy="majority")

    def test_unknown_classes_are_named_with_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match=r"'Eyeglases=1'.*Eyeglasses=1, Eyeglasses=0"):
            plan(ONE_RARE, ["Eyeglasses"], strategy={"Eyeglases=1": 50})

    def test_a_total_below_what_there_is(self) -> None:
        with pytest.raises(UsageError, match="5 faces with Eyeglasses=1, but there are 10"):
            plan(ONE_RARE, ["Eyeglasses"], strategy={"Eyeglasses=1": 5})
