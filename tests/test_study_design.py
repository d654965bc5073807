"""What each rater is asked: balanced, randomised, the same from the same seed, and nothing that tells the truth."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from study_example import small_study

from augface.study.crowd import Crowd
from augface.study.design import CHECKS, PRACTICE, REPEATS, Block, Plan, Schedule, Trial
from augface.study.folder import Study
from augface.study.power import kinds_of, planned_trials

RATERS = 12


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        return small_study(tmp_path_factory.mktemp("design"), patch, generators=2)


@pytest.fixture(scope="module")
def trials(study: Study) -> list[tuple[Trial, ...]]:
    return [study.schedule.trials(rater) for rater in range(RATERS)]


def of(trials: tuple[Trial, ...], block: Block, *roles: str) -> list[Trial]:
    return [trial for trial in trials if trial.block == block and trial.role in roles]


def kinds(plan: Plan, trial: Trial) -> tuple[int, ...]:
    return tuple(plan.pictures[image].kind for image in trial.images)


def test_trials_are_numbered_in_order_and_tasks_come_one_after_the_other(
    study: Study, trials: list[tuple[Trial, ...]]
) -> None:
    for own in trials:
        assert [trial.number for trial in own] == list(range(len(own)))
        assert [
            block for block, before in pairwise([own[0].block, *(one.block for one in own)]) if block != before
        ] == [*study.plan.blocks[:-1]]


def test_as_many_real_faces_as_generated_ones_and_of_each_generator_equally_many(
    study: Study, trials: list[tuple[Trial, ...]]
) -> None:
    for own in trials:
        for block in ("flash", "untimed"):
            counted = Counter(kinds(study.plan, trial)[0] for trial in of(own, block, "test"))
            assert counted == {0: 16, 1: 8, 2: 8}
        assert Counter(kinds(study.plan, trial)[0] for trial in of(own, "rating", "test")) == {0: 8, 1: 8, 2: 8}


@pytest.mark.parametrize("block", ["flash", "untimed", "rating"])
def test_every_face_is_judged_about_equally_often(block: Block, study: Study, trials: list[tuple[Trial, ...]]) -> None:
    for kind in range(3):
        shown = Counter(
            trial.images[0] for own in trials for trial in of(own, block, "test") if kinds(study.plan, trial)[0] == kind
        )
        assert set(shown) == set(study.plan.numbers(kind).tolist())
        assert max(shown.values()) - min(shown.values()) <= 3


def test_no_rater_sees_a_face_twice_in_a_part_but_for_repeats(trials: list[tuple[Trial, ...]]) -> None:
    for own in trials:
        for block in ("flash", "untimed", "pairs-real", "pairs-better", "rating"):
            faces = [image for trial in of(own, block, "test") for image in trial.images]
            assert len(set(faces)) == len(faces)


def test_pairs_are_of_one_set_and_compare_all_kinds_on_both_sides(
    study: Study, trials: list[tuple[Trial, ...]]
) -> None:
    compared: Counter[tuple[int, ...]] = Counter()
    for own in trials:
        for trial in of(own, "pairs-real", "test"):
            both = kinds(study.plan, trial)
            places = [
                list(study.plan.numbers(kind)).index(image) for kind, image in zip(both, trial.images, strict=True)
            ]
            assert places == [trial.item, trial.item]
            compared[both] += 1
    assert set(compared) == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}
    together = [compared[one, other] + compared[other, one] for one, other in ((0, 1), (0, 2), (1, 2))]
    assert max(together) - min(together) <= RATERS
    controls = [trial for own in trials for trial in of(own, "pairs-real", "control")]
    assert controls
    assert all(kinds(study.plan, trial) == (0, 0) for trial in controls)


def test_distorteds_and_repeats_are_in_every_task(study: Study, trials: list[tuple[Trial, ...]]) -> None:
    tested = {number for kind in range(3) for number in study.plan.numbers(kind).tolist()}
    for own in trials:
        for block, checks, repeats in (
            ("flash", CHECKS, 0),
            ("untimed", CHECKS, REPEATS),
            ("pairs-real", CHECKS // 2, REPEATS - 1),
            ("pairs-better", CHECKS // 2, REPEATS - 1),
            ("rating", CHECKS, REPEATS),
        ):
            checked = of(own, block, "check")  # type: ignore[arg-type]
            assert len(checked) == checks
            assert all(not tested & set(trial.images) for trial in checked)
            assert all(
                any(study.plan.pictures[image].role == "distorted" for image in trial.images) for trial in checked
            )
            again = of(own, block, "repeat")  # type: ignore[arg-type]
            assert len(again) == repeats
            for trial in again:
                assert trial.repeats is not None
                first = own[trial.repeats]
                assert first.role == "test"
                assert first.images == trial.images[::-1]
                assert trial.number - first.number > 3
        assert [trial.role for trial in own[:PRACTICE]] == ["practice"] * PRACTICE


def test_each_generator_has_two_staircases_with_both_kinds_of_faces(
    study: Study, trials: list[tuple[Trial, ...]]
) -> None:
    counted = Counter(
        (trial.generator, trial.staircase, kinds(study.plan, trial)[0] > 0) for trial in of(trials[0], "flash", "test")
    )
    assert set(counted.values()) == {4}
    assert len(counted) == 8
    constant = of(study.constant_schedule.trials(0), "flash", "test")
    assert all(trial.staircase is None and trial.exposure for trial in constant)
    assert len({trial.exposure for trial in constant}) == 8


def test_the_same_seed_asks_the_same_and_raters_are_asked_differently(study: Study) -> None:
    again = Schedule(study.plan)
    assert again.trials(3) == study.schedule.trials(3)
    assert again.trials(3) != again.trials(2)
    assert Schedule(study.plan.model_copy(update={"seed": 1})).trials(3) != again.trials(3)


def test_the_simulated_design_is_the_real_one(study: Study) -> None:
    trials = planned_trials(study.plan, study.schedule, "untimed", 2)
    assert len(trials.raters) == study.plan.raters * (16 + 8)
    assert set(kinds_of(study.plan)[trials.left].tolist()) == {0, 2}
    pairs = planned_trials(study.plan, study.schedule, "pairs-real", 1)
    for left, right in zip(pairs.left, pairs.right, strict=True):
        assert {kinds_of(study.plan)[left], kinds_of(study.plan)[right]} == {0, 1}


def test_a_crowd_is_right_as_often_as_it_says() -> None:
    import numpy as np

    crowd = Crowd(right=(0.6, 0.8))
    random = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 40_000)
    panel = crowd.panel(120_000, kinds, random)
    rows = np.arange(120_000)
    called = random.random(120_000) < panel.chance_generated(rows, rows)
    real, first, second = called.reshape(3, -1).mean(axis=1)
    assert (1 - real + first) / 2 == pytest.approx(0.6, abs=0.005)
    assert (1 - real + second) / 2 == pytest.approx(0.8, abs=0.005)
    brief = panel.chance_generated(rows, rows, np.full(120_000, 17.0)).reshape(3, -1).mean(axis=1)
    assert brief[2] - brief[0] < 0.5 * (second - real)
