"""Lost modes, collapse and duplicates are found where they were planted, and nothing is found where nothing was."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluators import base
from augface.evaluators.base import Context, check_evaluator
from augface.evaluators.modes import Modes
from augface.features.pixels import PixelSpace
from augface.metrics.bin_shares import ShareTest, share_ratio, share_test
from augface.metrics.duplicates import duplicate_test, near_pairs, support_size
from augface.metrics.multiple_testing import weighted_bonferroni
from augface.results import ImageGrid, Measurement, Table

Floats = npt.NDArray[np.float64]


def crowd(random: np.random.Generator, count: int, *, lost: int | None = None) -> Floats:
    """Rows of a population of 20 equally frequent modes in 8 dimensions, perhaps without one of them."""
    centres = np.random.default_rng(99).normal(size=(20, 8)) * 3
    kinds = random.permutation([kind for kind in range(20) if kind != lost])
    return np.asarray(centres[random.choice(kinds, count)] + random.normal(size=(count, 8)))


def compared(fake: Floats, seed: int = 0, count: int = 800, **options: Any) -> ShareTest:
    random = np.random.default_rng(seed)
    return share_test([crowd(random, count)], [fake], [crowd(random, count)], random=random, **options)


class TestModeTest:
    def test_the_level_is_kept(self) -> None:
        random = np.random.default_rng(5)
        p_values = []
        for seed in range(80):
            sides = [crowd(random, count) for count in (150, 200, 150)]
            p_values.append(share_test(*([side] for side in sides), random=np.random.default_rng(seed)).p_value)
        assert 1 <= sum(p < 0.1 for p in p_values) <= 16  # binomial, 0.1: beyond in 3 of 1,000

    def test_people_with_many_pictures_make_no_alarm(self) -> None:
        people = np.repeat(np.arange(30), 8)
        p_values, careless = [], []
        for seed in range(30):
            random = np.random.default_rng(seed)
            reference = crowd(random, 30)[people] + random.normal(size=(240, 8)) * 0.1
            sides = [reference], [crowd(random, 240)], [crowd(random, 240)]
            p_values.append(share_test(*sides, reference_people=people, random=random).p_value)
            careless.append(share_test(*sides, random=random).p_value)
        assert sum(p < 0.1 for p in p_values) <= 8  # binomial, 0.1: beyond in 1 of 500
        assert sum(p < 0.1 for p in careless) >= 25

    def test_a_lost_mode_is_found_and_its_share_told(self) -> None:
        found = compared(crowd(np.random.default_rng(1), 800, lost=7), count=800)
        assert found.p_value < 0.01
        (space,) = found.spaces
        assert space.missing.low > 0
        assert 0.02 < space.missing.value < 0.08
        assert space.bins.missing_p_values.min() < 0.01
        assert space.different.value > space.different.null.value

    def test_nothing_is_missing_among_equals(self) -> None:
        values = []
        for seed in range(20):
            (space,) = compared(crowd(np.random.default_rng(100 + seed), 300), seed, count=300).spaces
            values.append(space.missing.value)
        assert abs(np.mean(values)) < 0.01

    def test_the_missing_share_grows_with_the_dose(self) -> None:
        random = np.random.default_rng(3)
        full, partly = crowd(random, 800), crowd(random, 800, lost=3)
        doses = [
            compared(np.concatenate([partly[:kept], full[kept:]])).spaces[0].missing.value for kept in (0, 400, 800)
        ]
        worse = compared(full[full[:, 0] > 0][:300]).spaces[0].missing.value
        assert abs(doses[0]) < 0.02
        assert max(doses[:2]) < doses[2] < worse

    def test_collapse_is_found(self) -> None:
        random = np.random.default_rng(4)
        found = compared(crowd(random, 40)[random.integers(0, 40, 800)])
        assert found.p_value < 0.01
        assert found.spaces[0].divergence.p_value < 0.01

    def test_one_single_fake_face(self) -> None:
        assert compared(np.repeat(crowd(np.random.default_rng(6), 1), 200, axis=0)).p_value < 0.01

    def test_a_group_of_attributes_that_vanished_is_found(self) -> None:
        random = np.random.default_rng(8)
        reference, fake = random.random((800, 3)) < 0.05, random.random((800, 3)) < 0.05
        fake[:, 1] = False
        found = compared(crowd(random, 800), reference_groups=reference, fake_groups=fake)
        assert found.groups is not None
        assert found.p_value < 0.01
        assert found.groups.p_values[1] < 0.01
        assert min(found.groups.p_values[[0, 2]]) > 0.05

    def test_others_that_are_all_alike_are_refused(self) -> None:
        random = np.random.default_rng(0)
        with pytest.raises(DataError, match="all alike"):
            share_test([crowd(random, 50)], [crowd(random, 50)], [np.ones((50, 8))], random=random)

    def test_both_parts_of_the_alarm_share_the_level(self) -> None:
        assert (
            weighted_bonferroni((0.044, 0.9), (1.0, 0.1))[0] < 0.05 < weighted_bonferroni((0.046, 0.9), (1.0, 0.1))[0]
        )
        assert (
            weighted_bonferroni((1.0, 0.9), (0.004, 0.1))[1] < 0.05 < weighted_bonferroni((1.0, 0.9), (0.006, 0.1))[1]
        )


def test_a_ratio_of_shares_holds_the_truth() -> None:
    random = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        ratio = share_ratio(random.random(400) < 0.1, random.random(400) < 0.05, None, None)
        held += ratio.low <= 0.5 <= ratio.high
    assert 0.92 < held / 300 < 0.99


class TestDuplicates:
    def test_the_level_is_kept(self) -> None:
        random = np.random.default_rng(0)
        p_values = [
            duplicate_test(
                random.normal(size=(200, 5)),
                [random.normal(size=(200, 5)) for _ in range(2)],
                real_people=[None, None],
            ).p_value
            for _ in range(200)
        ]
        assert 8 <= sum(p < 0.1 for p in p_values) <= 34

    def test_repeated_faces_are_found_and_counted(self) -> None:
        random = np.random.default_rng(1)
        real = [random.normal(size=(400, 16)) for _ in range(2)]
        fake = random.normal(size=(400, 16))
        fake[380:] = fake[:20] + random.normal(size=(20, 16)) * 0.01
        found = duplicate_test(fake, real, real_people=[None, None])
        assert found.p_value < 0.001
        assert found.separate >= 20
        assert found.repeating[:20].all()
        assert set(found.pairs.first[:20]) == set(range(20))

    def test_pictures_of_one_person_are_no_duplicates(self) -> None:
        rows = np.random.default_rng(2).normal(size=(50, 4))
        doubled, people = np.concatenate([rows, rows]), np.tile(np.arange(50), 2)
        assert near_pairs(doubled).distances[:50].max() < 1e-2
        assert near_pairs(doubled, people).distances.min() > 1e-2

    @pytest.mark.parametrize("support", [50, 500])
    def test_the_support_lies_in_its_interval(self, support: int) -> None:
        random = np.random.default_rng(3)
        held = 0
        for _ in range(40):
            draws = random.integers(0, support, 300)
            first, second = np.nonzero(np.triu(draws[:, None] == draws, 1))
            size = support_size(first, second, 300)
            held += size.low <= support <= size.high
        assert held >= 34

    def test_one_crowd_tells_little_and_no_pair_gives_a_bound(self) -> None:
        first, second = np.nonzero(np.triu(np.ones((10, 10)), 1))
        crowded = support_size(first, second, 500)
        apart = support_size(np.arange(0, 90, 2), np.arange(1, 90, 2), 500)
        assert crowded.value == apart.value
        assert crowded.high / crowded.low > 3 * apart.high / apart.low
        none = support_size(np.zeros(0, int), np.zeros(0, int), 500)
        assert none.value == np.inf
        assert 30_000 < none.low < 40_000


SIZE = 32


def perfect_judge(context: Context, data: FaceDataset) -> pd.DataFrame | None:
    """The labels themselves, none where there are none: to train a judge takes seconds."""
    if context.train is None or not context.train.attributes.shape[1]:
        return None
    return data.attributes.reindex(columns=context.train.attributes.columns).astype(np.float32).fillna(0)


@pytest.fixture(scope="module", autouse=True)
def quick_space() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "create_feature_space", lambda name="": PixelSpace())
        patch.setattr(Context, "judged", perfect_judge)
        yield


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(800, SIZE)


@pytest.fixture(scope="module")
def context(faces: FaceDataset) -> Context:
    """What a perfect generator makes."""
    fresh = load_toyfaces(200, SIZE, seed=10)
    train, valid = faces.train, faces.valid
    assert train is not None
    assert valid is not None
    made = FaceDataset.from_arrays(fresh.images, fresh.attributes, identity=fresh.identity, spec="perfect")
    return Context(reference=valid, samples=made, train=train, by=("Male", "Smiling"), spaces=("pixels",), seed=2)


def with_fakes(context: Context, images: npt.NDArray[np.uint8]) -> Context:
    return dataclasses.replace(context, samples=FaceDataset.from_arrays(images))


def alarms(measurements: list[Measurement]) -> set[str]:
    return {measurement.name for measurement in measurements if measurement.alarm}


class TestEvaluator:
    def test_the_contract_holds(self, context: Context) -> None:
        check_evaluator(Modes, context)

    def test_a_perfect_generator_raises_no_alarm(self, context: Context) -> None:
        findings = Modes().evaluate(dataclasses.replace(context))
        assert not alarms(findings.measurements)
        assert {artifact.name for artifact in findings.artifacts} == {"bins", "groups", "nearest-pairs"}
        groups = [each for each in findings.measurements if each.name == "group_ratio"]
        assert {tuple(each.group) for each in groups} == {("Male", "Smiling")}

    def test_few_different_faces_raise_both_alarms(self, context: Context) -> None:
        images = np.asarray(context.samples.images)[np.arange(200) % 20]
        findings = Modes().evaluate(with_fakes(context, images))
        assert alarms(findings.measurements) == {"missing_share", "duplicate_share"}
        (support,) = [each for each in findings.measurements if each.name == "support_size"]
        assert support.value is not None
        assert 15 < support.value < 25
        assert support.baseline is not None
        assert support.baseline.value is None or support.baseline.value > 1_000

    def test_what_vanished_is_shown(self, context: Context) -> None:
        features = context.features(context.samples, "pixels")
        centred = features - features.mean(axis=0)
        keep = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0  # half of the faces, on one main axis
        made = context.samples.select(np.resize(np.flatnonzero(keep), 200))
        without = dataclasses.replace(context, samples=dataclasses.replace(made, identity=None))
        findings = Modes().evaluate(without)
        assert "missing_share" in alarms(findings.measurements)
        (grid,) = [each for each in findings.artifacts if each.name == "vanished"]
        assert isinstance(grid, ImageGrid)
        assert grid.rows % 2 == 0
        (groups,) = [each for each in findings.artifacts if each.name == "groups"]
        assert isinstance(groups, Table)
        hidden = Modes().evaluate(dataclasses.replace(without, show_real=False))
        assert "vanished" not in {each.name for each in hidden.artifacts}

    def test_the_training_set_itself_lacks_nothing(self, context: Context) -> None:
        assert context.train is not None
        assert not alarms(Modes().evaluate(dataclasses.replace(context, samples=context.train)).measurements)

    def test_one_face_again_and_again(self, context: Context) -> None:
        images = np.repeat(np.asarray(context.samples.images)[:1], 200, axis=0)
        assert alarms(Modes().evaluate(with_fakes(context, images)).measurements) == {
            "missing_share",
            "duplicate_share",
        }

    @pytest.mark.parametrize("count", [0, 99])
    def test_too_few_faces_are_told(self, count: int, context: Context) -> None:
        few = dataclasses.replace(context, samples=context.samples.select(np.arange(count)))
        findings = Modes().evaluate(few)
        assert not findings.measurements
        assert f"{count} faces on each side" in findings.skipped[0].reason

    def test_without_labels_only_the_groups_are_missing(self, context: Context) -> None:
        assert context.train is not None
        bare = FaceDataset.from_arrays(np.asarray(context.train.images))
        findings = Modes().evaluate(dataclasses.replace(context, train=bare))
        assert {each.name for each in findings.measurements}.isdisjoint({"group_ratio"})
        assert "labels" in findings.skipped[0].reason
