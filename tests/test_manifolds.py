"""What lies in neighbourhoods, against plain float64 definitions, other people's packages and known truths."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from augface.errors import DataError, UsageError
from augface.metrics import distances as bounds
from augface.metrics import k_nearest, manifolds, neighbour_scores, prdc, prdc_intervals
from augface.metrics.manifolds import NeighbourScores

Matrix = npt.NDArray[np.float64]
Pair = tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]


def normal(seed: int, rows: int, dimension: int, shift: float = 0.0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


def activations(seed: int, rows: int, dimension: int = 200, shift: float = 0.0) -> npt.NDArray[np.float32]:
    """Non-negative, correlated and of few directions, as pooled features are."""
    mixing = normal(99, 30, dimension) * np.exp(-np.arange(30) / 10)[:, None]
    return np.maximum(normal(seed, rows, 30, shift) @ mixing, 0).astype(np.float32)


def distances(first: npt.ArrayLike, second: npt.ArrayLike) -> Matrix:
    columns = np.asarray(second, dtype=np.float64)
    return np.array([np.sqrt(np.square(row - columns).sum(axis=1)) for row in np.asarray(first, dtype=np.float64)])


def brute_force(real: npt.ArrayLike, fake: npt.ArrayLike, k: int) -> NeighbourScores:
    """The definitions, with all distances at once."""
    real_radii = np.sort(distances(real, real), axis=1)[:, k]  # the nearest is the point itself
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    between = distances(real, fake)
    inside = between <= real_radii[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(between == 0, np.inf, real_radii[:, None] / between)
    smallest = np.where(inside, real_radii[:, None], np.inf).min(axis=0)
    return NeighbourScores(
        k=k,
        real_radii=real_radii,
        fake_radii=fake_radii,
        fake_balls=inside.sum(axis=0),
        real_recalled=np.asarray((between <= fake_radii).any(axis=1)),
        real_covered=np.asarray(inside.any(axis=1)),
        realism=ratios[real_radii <= np.median(real_radii)].max(axis=0),
        rarity=np.where(np.isinf(smallest), np.nan, smallest),
        nearest_real=between.argmin(axis=0),
        nearest_real_distance=between.min(axis=0),
        nearest_fake=between.argmin(axis=1),
        nearest_fake_distance=between.min(axis=1),
    )


def assert_equal(found: NeighbourScores, expected: NeighbourScores) -> None:
    for field in dataclasses.fields(NeighbourScores):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), err_msg=field.name)


def lattice(seed: int, rows: int) -> Matrix:
    """Few distinct points and few distinct distances: ties everywhere."""
    return np.random.default_rng(seed).integers(0, 3, (rows, 4)).astype(np.float64)


CASES: dict[str, Pair] = {
    "few dimensions": (normal(0, 300, 3), normal(1, 250, 3, shift=0.5)),
    "many dimensions": (normal(0, 150, 500), normal(1, 170, 500)),
    "activations": (activations(0, 500), activations(1, 400, shift=0.1)),
    "far from the origin": (activations(0, 300) + np.float32(1e3), activations(1, 300, shift=0.1) + np.float32(1e3)),
    "very far, in float64": (normal(0, 200, 6) + 1e6, normal(1, 200, 6) + 1e6),
    "an outlier": (np.vstack([normal(0, 200, 4), np.full((1, 4), 1e8)]), normal(1, 150, 4)),
    "minute": (1e-25 * normal(0, 100, 4), 1e-25 * normal(1, 90, 4)),
    "enormous": (1e50 * normal(0, 100, 4), 1e50 * normal(1, 90, 4)),
    "ties": (lattice(0, 300), lattice(1, 200)),
    "repeated reals": (np.repeat(activations(0, 50), 8, axis=0), activations(0, 50)[::-1]),
    "more repeats than are listed": (np.repeat(normal(0, 6, 40), 30, axis=0), np.repeat(normal(1, 5, 40), 20, axis=0)),
    "one fake, again and again": (activations(0, 120), np.repeat(activations(1, 1), 100, axis=0)),
    "nearly one fake": (normal(0, 120, 60), normal(1, 1, 60) + 1e-7 * normal(2, 130, 60)),
    "all one": (np.ones((20, 3)), np.ones((30, 3))),
    "fakes in the midst of all": (normal(0, 300, 200), 0.05 * normal(1, 250, 200)),
    "unlike types": (normal(0, 90, 5).astype(np.float32), normal(1, 80, 5)),
    "as few as can be": (normal(0, 6, 2), normal(1, 6, 2)),
}


class TestExactness:
    @pytest.mark.parametrize("k", [1, 5])
    @pytest.mark.parametrize("pair", CASES.values(), ids=CASES)
    def test_scores_are_those_of_brute_force(self, pair: Pair, k: int) -> None:
        assert_equal(neighbour_scores(*pair, k), brute_force(*pair, k))

    def test_scores_of_many_neighbours_are_those_of_brute_force(self) -> None:
        for pair in (CASES["activations"], CASES["ties"]):
            assert_equal(neighbour_scores(*pair, 60), brute_force(*pair, 60))

    def test_scores_beyond_one_block_are_those_of_brute_force(self) -> None:
        real, fake = activations(0, 2500, 20), activations(1, 2100, 20)
        assert_equal(neighbour_scores(real, fake), brute_force(real, fake, 5))

    @pytest.mark.parametrize("offset", [0, 1000])
    def test_scores_of_real_features_are_those_of_brute_force(self, real_data: Path, offset: float) -> None:
        first, second = (
            np.load(path)["features"] + np.float32(offset)
            for path in sorted((real_data / "inception-features").glob("*.npz"))
        )
        assert_equal(neighbour_scores(first[:400], second[:400]), brute_force(first[:400], second[:400], 5))
        assert_equal(neighbour_scores(first[:400], first[400:]), brute_force(first[:400], first[400:], 5))

    @pytest.mark.parametrize("name", ["activations", "ties", "nearly one fake", "fakes in the midst of all"])
    def test_blocks_change_nothing(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = neighbour_scores(*CASES[name])
        intervals = prdc_intervals(*CASES[name], random=np.random.default_rng(0))
        for module in (bounds, manifolds):
            monkeypatch.setattr(module, "BLOCK", 67)
            monkeypatch.setattr(module, "PIECE", 1000)
        assert_equal(neighbour_scores(*CASES[name]), expected)
        assert prdc_intervals(*CASES[name], random=np.random.default_rng(0)) == intervals

    def test_the_order_of_rows_changes_nothing(self) -> None:
        real, fake = CASES["activations"]
        scores = neighbour_scores(real, fake)
        real_order = np.random.default_rng(0).permutation(len(real))
        fake_order = np.random.default_rng(1).permutation(len(fake))
        shuffled = neighbour_scores(real[real_order], fake[fake_order])
        for name in ("real_radii", "real_recalled", "real_covered", "nearest_fake_distance"):
            np.testing.assert_array_equal(getattr(shuffled, name), getattr(scores, name)[real_order])
        for name in ("fake_radii", "fake_balls", "realism", "rarity", "nearest_real_distance"):
            np.testing.assert_array_equal(getattr(shuffled, name), getattr(scores, name)[fake_order])
        np.testing.assert_array_equal(real_order[shuffled.nearest_real], scores.nearest_real[fake_order])
        np.testing.assert_array_equal(fake_order[shuffled.nearest_fake], scores.nearest_fake[real_order])
        assert shuffled.prdc == scores.prdc

    def test_a_rounding_as_large_as_allowed_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Products that err as much as the bound says: whatever they leave open is decided from the features."""
        real, fake = CASES["activations"]
        expected = neighbour_scores(real, fake)
        random = np.random.default_rng(0)
        exact = bounds.Points.lower_bounds

        def rough(points: Any, factor: Any, columns: slice, buffer: Any) -> Any:
            products = exact(points, factor, columns, buffer)
            allowed = 0.4 * points.slack[columns]  # of about half of the slacks of both sides
            products += (random.uniform(-1, 1, products.shape) * allowed).astype(products.dtype)
            return products

        monkeypatch.setattr(bounds.Points, "lower_bounds", rough)
        assert_equal(neighbour_scores(real, fake), expected)


class TestPrdc:
    @pytest.mark.parametrize("k", [1, 3, 5])
    @pytest.mark.parametrize("pair", [CASES["few dimensions"], CASES["activations"]], ids=["normal", "activations"])
    def test_it_equals_the_prdc_package(self, pair: Pair, k: int) -> None:
        from prdc import compute_prdc

        with contextlib.redirect_stdout(io.StringIO()):
            expected = compute_prdc(*pair, nearest_k=k)
        assert prdc(*pair, k=k) == pytest.approx(expected, rel=1e-12)

    def test_it_is_what_torch_fidelity_gives(self) -> None:
        import torch
        from torch_fidelity.metric_prc import prc_features_to_metric

        real, fake = normal(0, 300, 20), normal(1, 250, 20, shift=0.2)
        expected = prc_features_to_metric(
            torch.from_numpy(fake), torch.from_numpy(real), verbose=False
        )  # synthetic ones first
        measures = prdc(real, fake, k=3)
        assert measures["precision"] == pytest.approx(expected["precision"], abs=1e-6)
        assert measures["recall"] == pytest.approx(expected["recall"], abs=1e-6)

    def test_swapping_the_sides_swaps_precision_and_recall(self) -> None:
        real, fake = normal(0, 100, 4), normal(1, 130, 4, shift=0.7)
        forth, back = prdc(real, fake), prdc(fake, real)
        assert (forth["precision"], forth["recall"]) == (back["recall"], back["precision"])
        assert forth["precision"] != forth["recall"]

    def test_duplicates_among_the_real_do_not_zero_precision(self) -> None:
        """All radii are 0 here, and each fake lies exactly on a real."""
        points = normal(0, 40, 300)
        measures = prdc(np.repeat(points, 6, axis=0), points[::-1])
        assert measures["precision"] == 1
        assert measures["coverage"] == 1

    def test_far_sets_share_nothing(self) -> None:
        measures = prdc(normal(0, 50, 3), normal(1, 50, 3, shift=100))
        assert measures == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


class TestScores:
    @pytest.mark.parametrize("name", ["few dimensions", "activations", "ties"])
    def test_realism_is_at_least_one_just_where_a_small_ball_holds_the_fake(self, name: str) -> None:
        real, fake = CASES[name]
        scores = neighbour_scores(real, fake)
        small = scores.real_radii <= np.median(scores.real_radii)
        held = (distances(real, fake) <= scores.real_radii[:, None])[small].any(axis=0)
        assert np.array_equal(scores.realism >= 1, held)

    def test_a_copy_of_a_real_is_as_real_as_can_be(self) -> None:
        real, fake = normal(0, 50, 3), normal(1, 50, 3)
        real[7] = real[:5].mean(axis=0)
        fake[3] = real[np.argmin(neighbour_scores(real, fake).real_radii)]
        scores = neighbour_scores(real, fake)
        assert scores.realism[3] == math.inf
        assert scores.nearest_real_distance[3] == 0

    def test_rarity_is_there_just_where_a_ball_holds_the_fake(self) -> None:
        scores = neighbour_scores(*CASES["few dimensions"])
        assert 0 < np.isnan(scores.rarity).sum() < len(scores.rarity)
        assert np.array_equal(np.isnan(scores.rarity), scores.fake_balls == 0)

    def test_the_input_stays_as_it_is(self) -> None:
        real, fake = normal(0, 30, 3), normal(1, 30, 3)
        before = real.copy(), fake.copy()
        neighbour_scores(real, fake)
        assert np.array_equal(real, before[0])
        assert np.array_equal(fake, before[1])


class TestIntervals:
    def test_they_are_the_spread_of_halves(self) -> None:
        """Against the measures of each half, computed by themselves."""
        real, fake = normal(0, 120, 6), normal(1, 100, 6, shift=0.4)
        intervals = prdc_intervals(real, fake, 3, random=np.random.default_rng(5))
        random = np.random.default_rng(5)
        points = manifolds._prepare(real, fake, 3)
        kept = [manifolds._halves(side, "any", None, random) for side in points]
        halves = [prdc(real[kept[0][:, half]], fake[kept[1][:, half]], 3) for half in range(manifolds.REPLICATES)]
        for name, interval in intervals.items():
            assert interval.value == prdc(real, fake, 3)[name]
            reach = 2.093 * np.std([half[name] for half in halves], ddof=1)
            highest = np.inf if name == "density" else 1
            assert interval.high == pytest.approx(min(interval.value + reach, highest), rel=1e-3)
            assert interval.low == pytest.approx(max(interval.value - reach, 0), rel=1e-3)

    def test_rows_of_one_person_stay_together(self) -> None:
        people = np.random.default_rng(0).integers(0, 40, 200)
        (points, _) = manifolds._prepare(normal(0, 200, 2), normal(1, 9, 2), 3)
        kept = manifolds._halves(points, "real", people, np.random.default_rng(1))
        for person in np.unique(people):
            assert (kept[people == person] == kept[people == person][0]).all()
        assert np.abs(kept.mean(axis=0) - 0.5).max() < 0.05
        assert len(np.unique(kept, axis=1).T) == manifolds.REPLICATES

    def test_people_widen_intervals(self) -> None:
        """Ten pictures of each of thirty people are the evidence of thirty."""
        random = np.random.default_rng(0)
        real = np.repeat(normal(0, 30, 5), 10, axis=0) + 0.3 * normal(1, 300, 5)
        fake = normal(2, 200, 5)
        people = np.repeat(np.arange(30), 10)
        alone = prdc_intervals(real, fake, random=random)["coverage"]
        together = prdc_intervals(real, fake, real_groups=people, random=random)["coverage"]
        assert together.high - together.low > 1.3 * (alone.high - alone.low)

    def test_duplicates_beyond_the_listed_neighbours(self) -> None:
        """More copies of each row than neighbours are listed, with one label each: whole lists fall out of a half."""
        real = np.repeat(normal(0, 8, 3), 60, axis=0)
        people = np.repeat(np.arange(8), 60)
        intervals = prdc_intervals(real, normal(1, 50, 3), real_groups=people, random=np.random.default_rng(0))
        assert all(np.isfinite(interval).all() for interval in intervals.values())

    def test_the_seed_draws_the_halves(self) -> None:
        real, fake = normal(0, 60, 3), normal(1, 60, 3)
        first, again, other = (prdc_intervals(real, fake, random=np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert first == again
        assert first != other

    def test_labels_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(DataError, match="one label for each of 60 rows"):
            prdc_intervals(normal(0, 60, 3), normal(1, 60, 3), real_groups=[1, 2], random=np.random.default_rng(0))

    @pytest.mark.parametrize(("rows", "people"), [(9, None), (60, np.zeros(60)), (60, np.arange(60) // 58)])
    def test_halves_of_too_few_rows_say_nothing(self, rows: int, people: npt.NDArray[Any] | None) -> None:
        real, fake = normal(0, rows, 3), normal(1, 60, 3)
        intervals = prdc_intervals(real, fake, real_groups=people, random=np.random.default_rng(0))
        assert {name: interval.value for name, interval in intervals.items()} == prdc(real, fake)
        assert all(np.isnan([interval.low, interval.high]).all() for interval in intervals.values())


class TestBadInput:
    @pytest.mark.parametrize("k", [0, -1])
    def test_a_neighbour_before_the_first_is_refused(self, k: int) -> None:
        for measure in (prdc, neighbour_scores):
            with pytest.raises(UsageError, match="at least the first"):
                measure(normal(0, 9, 2), normal(1, 9, 2), k)

    @pytest.mark.parametrize(
        ("real", "fake", "message"),
        [
            (normal(0, 5, 2), normal(1, 9, 2), "5 real features are too few; at least 6"),
            (normal(0, 9, 2), normal(1, 5, 2), "5 fake features are too few; at least 6"),
            (normal(0, 9, 2), normal(1, 9, 3), "2 dimensions, fake ones 3"),
            (np.where(np.eye(9) > 0, np.nan, 0), normal(1, 9, 9), "NaN"),
            (np.zeros(9), normal(1, 9, 9), r"\(N, D\)"),
        ],
    )
    def test_unusable_features_are_refused(self, real: Matrix, fake: Matrix, message: str) -> None:
        with pytest.raises(DataError, match=message):
            neighbour_scores(real, fake)
        with pytest.raises(DataError, match=message):
            prdc_intervals(real, fake, random=np.random.default_rng(0))


class TestNearest:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("offset", [0.0, 1e4])
    def test_it_is_exact(self, offset: float, dtype: type[np.floating[Any]]) -> None:
        references, queries = normal(0, 500, 8), normal(1, 70, 8)
        references, queries = (
            (side + offset).astype(dtype).astype(np.float64) for side in (references, queries)
        )  # as the type can hold them
        expected = distances(queries, references)
        found, rows = k_nearest(queries.astype(dtype), references.astype(dtype), 4, block=32)
        assert np.array_equal(rows, np.argsort(expected, axis=1)[:, :4])
        assert found == pytest.approx(np.sort(expected, axis=1)[:, :4], rel=1e-4)

    def test_more_neighbours_than_there_are_is_refused(self) -> None:
        with pytest.raises(DataError, match="only 3 references"):
            k_nearest(normal(0, 5, 2), normal(1, 3, 2), 4)

    def test_whole_numbers_are_taken(self) -> None:
        assert k_nearest([[0, 0]], [[3, 4], [9, 9]], 1)[0].tolist() == [[5.0]]
