"""Precision, recall, density, coverage, realism and rarity against float64 brute force, whatever the input."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from augface.errors import DataError, UsageError
from augface.metrics import distances, k_nearest, manifolds, neighbour_scores, prdc, prdc_intervals

Matrix = npt.NDArray[np.float64]
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def normal(seed: int, rows: int, dimension: int, shift: float = 0.0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


def all_distances(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Matrix:
    differences = (np.subtract(row, second, dtype=np.float64) for row in first)
    return np.sqrt([np.square(difference).sum(axis=1) for difference in differences])


def brute_force(real: npt.NDArray[Any], fake: npt.NDArray[Any], k: int) -> dict[str, npt.NDArray[Any]]:
    """Every definition as it is written, with all distances at once."""
    within_real, within_fake, between = all_distances(real, real), all_distances(fake, fake), all_distances(real, fake)
    for within in (within_real, within_fake):
        np.fill_diagonal(within, np.inf)
    real_radii, fake_radii = (np.sort(within, axis=1)[:, k - 1] for within in (within_real, within_fake))
    inside = between <= real_radii[:, None]
    small = real_radii <= np.median(real_radii)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(between[small] == 0, np.inf, real_radii[small, None] / between[small])
    return {
        "real_radii": real_radii,
        "fake_radii": fake_radii,
        "fake_balls": inside.sum(axis=0),
        "real_recalled": (between <= fake_radii).any(axis=1),
        "real_covered": inside.any(axis=1),
        "realism": ratios.max(axis=0),
        "rarity": np.where(inside.any(axis=0), np.where(inside, real_radii[:, None], np.inf).min(axis=0), np.nan),
        "nearest_real": between.argmin(axis=0),
        "nearest_real_distance": between.min(axis=0),
        "nearest_fake": between.argmin(axis=1),
        "nearest_fake_distance": between.min(axis=1),
    }


def float32(*sides: npt.NDArray[Any]) -> Pair:
    first, second = (side.astype(np.float32) for side in sides)
    return first, second


def grid() -> Pair:
    """Whole numbers: ties everywhere."""
    random = np.random.default_rng(3)
    return float32(random.integers(0, 3, (150, 4)), random.integers(0, 3, (120, 4)))


def with_duplicates() -> Pair:
    real, fake = normal(0, 60, 5), normal(1, 50, 5)
    fake[:10] = real[:10]
    return float32(np.repeat(real, 3, axis=0), np.concatenate([fake, fake[:20]]))


def hugging() -> Pair:
    """Fakes nearer to reals than float32 can tell from nothing."""
    real = normal(0, 80, 30, shift=5)
    return real, real[:70] + 1e-9 * normal(1, 70, 30)


PAIRS: dict[str, Callable[[], Pair]] = {
    "float64": lambda: (normal(0, 120, 4), normal(1, 90, 4, shift=0.5)),
    "float32": lambda: float32(normal(0, 200, 40), normal(1, 170, 40, shift=0.1)),
    "far from the origin": lambda: float32(normal(0, 120, 30) + 1e3, normal(1, 130, 30) + 1e3),
    "very far, float64": lambda: (normal(0, 90, 6) + 1e7, normal(1, 80, 6) + 1e7),
    "tiny": lambda: (1e-20 * normal(0, 90, 6), 1e-20 * normal(1, 80, 6)),
    "large": lambda: (1e20 * normal(0, 90, 6), 1e20 * normal(1, 80, 6)),
    "one dimension": lambda: (normal(0, 90, 1), normal(1, 80, 1)),
    "ties": grid,
    "duplicates": with_duplicates,
    "hugging": hugging,
    "all alike": lambda: (np.ones((30, 4)), np.ones((20, 4))),
    "real alike": lambda: (np.ones((30, 4)), normal(1, 20, 4)),
    "fake alike": lambda: (normal(0, 30, 4), np.zeros((20, 4))),
}


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_everything_equals_brute_force(pair: Callable[[], Pair], k: int) -> None:
    real, fake = pair()
    scores, expected = neighbour_scores(real, fake, k), brute_force(real, fake, k)
    for name in ("fake_balls", "real_recalled", "real_covered", "nearest_real", "nearest_fake"):
        assert np.array_equal(getattr(scores, name), expected[name]), name
    for name in ("real_radii", "fake_radii", "realism", "rarity", "nearest_real_distance", "nearest_fake_distance"):
        assert getattr(scores, name) == pytest.approx(expected[name], rel=1e-9, abs=0, nan_ok=True), name
    assert scores.prdc["precision"] == (expected["fake_balls"] > 0).mean()


def test_real_features_equal_brute_force(real_data: Path) -> None:
    sides = [np.load(path)["features"] for path in sorted((real_data / "inception-features").glob("*.npz"))]
    real, fake = sides[0][:400], np.concatenate([sides[0][400:600], sides[1][:150]])
    scores, expected = neighbour_scores(real, fake), brute_force(real, fake, 5)
    for name in ("fake_balls", "real_recalled", "real_covered", "nearest_real", "nearest_fake"):
        assert np.array_equal(getattr(scores, name), expected[name]), name


@pytest.mark.parametrize("k", [3, 5])
def test_it_is_what_the_prdc_package_gives(k: int) -> None:
    from prdc import compute_prdc

    real, fake = normal(0, 300, 20), normal(1, 250, 20, shift=0.2)
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real, fake, nearest_k=k)
    assert prdc(real, fake, k) == pytest.approx(expected, rel=1e-12)


def test_it_is_what_torch_fidelity_gives() -> None:
    import torch
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = normal(0, 300, 20), normal(1, 250, 20, shift=0.2)
    expected = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)  # made ones first
    measures = prdc(real, fake, k=3)
    assert measures["precision"] == pytest.approx(expected["precision"], abs=1e-6)
    assert measures["recall"] == pytest.approx(expected["recall"], abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = float32(normal(0, 230, 10), normal(1, 180, 10, shift=0.3))
    whole = neighbour_scores(real, fake)
    for block in (64, 100):
        for module in (distances, manifolds):
            monkeypatch.setattr(module, "BLOCK", block)
        parts = neighbour_scores(real, fake)
        for name in vars(whole):
            assert np.array_equal(getattr(parts, name), getattr(whole, name), equal_nan=name == "rarity"), name


def test_the_order_of_rows_changes_nothing() -> None:
    real, fake = float32(normal(0, 150, 10), normal(1, 140, 10, shift=0.3))
    order, other = np.random.default_rng(0).permutation(150), np.random.default_rng(1).permutation(140)
    scores, shuffled = neighbour_scores(real, fake), neighbour_scores(real[order], fake[other])
    assert shuffled.prdc == scores.prdc
    assert np.array_equal(shuffled.fake_balls, scores.fake_balls[other])
    assert shuffled.realism == pytest.approx(scores.realism[other], rel=1e-12)


def test_swapping_the_sides_swaps_precision_and_recall() -> None:
    real, fake = normal(0, 100, 4), normal(1, 130, 4, shift=0.7)
    forth, back = prdc(real, fake), prdc(fake, real)
    assert (forth["precision"], forth["recall"]) == (back["recall"], back["precision"])
    assert forth["precision"] != forth["recall"]


def test_duplicates_among_the_real_do_not_zero_precision() -> None:
    """All radii are 0 here, and each fake lies exactly on a real."""
    points = normal(0, 40, 300)
    measures = prdc(np.repeat(points, 6, axis=0), points[::-1])
    assert measures["precision"] == 1
    assert measures["coverage"] == 1


def test_far_sets_share_nothing() -> None:
    assert set(prdc(normal(0, 50, 3), normal(1, 50, 3, shift=100)).values()) == {0.0}


@pytest.mark.parametrize("k", [0, -1])
def test_a_neighbour_that_does_not_exist_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match="at least the first"):
        prdc(normal(0, 9, 2), normal(1, 9, 2), k)


def test_no_more_neighbours_than_rows() -> None:
    with pytest.raises(DataError, match="5 fake features are too few; at least 6"):
        prdc(normal(0, 9, 2), normal(1, 5, 2))
    assert prdc(normal(0, 6, 2), normal(0, 6, 2))["precision"] == 1


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

    def test_too_few_rows_for_halves_are_refused(self) -> None:
        with pytest.raises(DataError, match="Half of a side"):
            prdc_intervals(normal(0, 9, 3), normal(1, 60, 3), random=np.random.default_rng(0))


class TestNearest:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("offset", [0.0, 1e4])
    def test_it_is_exact(self, offset: float, dtype: type[np.floating[Any]]) -> None:
        references, queries = normal(0, 500, 8), normal(1, 70, 8)
        references, queries = (
            (side + offset).astype(dtype).astype(np.float64) for side in (references, queries)
        )  # as the type can hold them
        expected = all_distances(queries, references)
        found, rows = k_nearest(queries.astype(dtype), references.astype(dtype), 4, block=32)
        assert np.array_equal(rows, np.argsort(expected, axis=1)[:, :4])
        assert found == pytest.approx(np.sort(expected, axis=1)[:, :4], rel=1e-4)

    def test_more_neighbours_than_there_are_is_refused(self) -> None:
        with pytest.raises(DataError, match="only 3 references"):
            k_nearest(normal(0, 5, 2), normal(1, 3, 2), 4)

    def test_whole_numbers_are_taken(self) -> None:
        assert k_nearest([[0, 0]], [[3, 4], [9, 9]], 1)[0].tolist() == [[5.0]]
