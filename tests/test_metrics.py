"""The measures against slow references, known truths and simulations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import linalg, stats

from augface.errors import DataError
from augface.metrics import (
    frechet_distance,
    jackknife_interval,
    k_nearest,
    kernel_distance,
    kernel_test,
    prdc,
    proportion_interval,
)
from augface.metrics.kernel import kernel_estimate

Matrix = npt.NDArray[np.float64]


def normal(seed: int, rows: int, dimension: int, shift: float = 0.0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


def distances(first: Matrix, second: Matrix) -> Matrix:
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=2))


BAD_PAIRS = {
    "NaN": (np.array([[0.0, np.nan], [1, 2], [3, 4], [5, 6]]), normal(0, 4, 2)),
    "infinity": (normal(0, 4, 2), np.array([[0.0, np.inf], [1, 2], [3, 4], [5, 6]])),
    "one row": (normal(0, 1, 2), normal(1, 4, 2)),
    "other dimension": (normal(0, 4, 2), normal(1, 4, 3)),
    "not a matrix": (np.zeros(4), normal(1, 4, 1)),
}


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, lambda x, y: prdc(x, y, k=2)])
@pytest.mark.parametrize("pair", BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_unusable_features_are_refused(
    measure: Callable[[Matrix, Matrix], object], pair: tuple[Matrix, Matrix]
) -> None:
    with pytest.raises(DataError, match="features"):
        measure(*pair)


class TestFrechet:
    @staticmethod
    def reference(first: Matrix, second: Matrix) -> float:
        """The formula as the paper has it, with a matrix square root."""
        root = linalg.sqrtm(np.cov(first.T) @ np.cov(second.T)).real
        difference = first.mean(axis=0) - second.mean(axis=0)
        return float(difference @ difference + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root))

    def test_it_equals_the_formula_with_more_rows_than_dimensions(self) -> None:
        first, second = normal(0, 300, 12) * np.arange(1, 13), normal(1, 200, 12, shift=0.3) @ normal(2, 12, 12)
        assert frechet_distance(first, second) == pytest.approx(self.reference(first, second), rel=1e-6)

    def test_it_equals_the_formula_with_fewer_rows_than_dimensions(self) -> None:
        """Zero eigenvalues are where `sqrtm` is weakest, so the reference roots a symmetric product instead."""
        first, second = normal(0, 20, 50), normal(1, 30, 50, shift=0.3) * np.arange(1, 51)
        values, vectors = np.linalg.eigh(np.cov(first.T))
        root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
        product = np.linalg.eigvalsh(root @ np.cov(second.T) @ root)
        difference = first.mean(axis=0) - second.mean(axis=0)
        expected = difference @ difference + np.trace(np.cov(first.T) + np.cov(second.T))
        expected -= 2 * np.sqrt(product.clip(min=1e-9) * (product > 1e-9)).sum()
        assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)

    def test_both_ways_of_computing_agree(self) -> None:
        """Zero columns change the ways, not the truth."""
        first, second = normal(0, 40, 10), normal(1, 50, 10, shift=0.5)
        wide = [np.hstack([side, np.zeros((len(side), 100))]) for side in (first, second)]
        assert frechet_distance(*wide) == pytest.approx(frechet_distance(first, second), rel=1e-9)

    def test_singular_covariances_are_no_error(self) -> None:
        first, second = normal(0, 50, 4), normal(1, 60, 4)
        first[:, 1] = first[:, 0]
        first[:, 2] = 7
        first[:, 3] = second[:, 3] = 1
        second[:, 2] = 9
        flat = frechet_distance(first[:, :2], second[:, :2]) + 4
        assert frechet_distance(first, second) == pytest.approx(flat, rel=1e-6)

    @pytest.mark.parametrize("dimension", [8, 200])
    def test_identical_sets_are_at_zero(self, dimension: int) -> None:
        features = normal(0, 100, dimension)
        assert frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9 * dimension)

    def test_it_is_symmetric(self) -> None:
        first, second = normal(0, 60, 5), normal(1, 90, 5, shift=1)
        assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)


class TestKernel:
    @staticmethod
    def reference(first: Matrix, second: Matrix) -> float:
        """The unbiased estimate, a pair at a time."""

        def kernel(a: Matrix, b: Matrix) -> float:
            return float((a @ b / len(a) + 1) ** 3)

        n, m = len(first), len(second)
        within_first = sum(kernel(first[i], first[j]) for i in range(n) for j in range(n) if i != j)
        within_second = sum(kernel(second[i], second[j]) for i in range(m) for j in range(m) if i != j)
        between = sum(kernel(a, b) for a in first for b in second)
        return within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)

    def test_it_equals_the_sum_over_pairs(self) -> None:
        first, second = normal(0, 17, 6), normal(1, 23, 6, shift=0.4)
        assert kernel_distance(first, second) == pytest.approx(self.reference(first, second), rel=1e-10)

    def test_the_error_is_that_of_leaving_rows_out(self) -> None:
        first, second = normal(0, 12, 4), normal(1, 15, 4, shift=0.4)
        without_first = np.array([self.reference(np.delete(first, i, axis=0), second) for i in range(12)])
        without_second = np.array([self.reference(first, np.delete(second, i, axis=0)) for i in range(15)])
        expected = np.sqrt(without_first.var() * 11 + without_second.var() * 14)
        assert kernel_estimate(first, second).standard_error == pytest.approx(expected, rel=1e-9)

    def test_blocks_do_not_change_the_value(self) -> None:
        """More rows than a block holds."""
        first, second = normal(0, 1500, 3), normal(1, 1100, 3)
        pooled = [(a @ b.T / 3 + 1) ** 3 for a, b in ((first, first), (second, second), (first, second))]
        for within in pooled[:2]:
            np.fill_diagonal(within, 0)
        expected = pooled[0].sum() / (1500 * 1499) + pooled[1].sum() / (1100 * 1099) - 2 * pooled[2].mean()
        assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-12)

    def test_it_is_unbiased_for_one_population(self) -> None:
        values = np.array([kernel_distance(normal(2 * i, 40, 8), normal(2 * i + 1, 30, 8)) for i in range(400)])
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean()) < 3 * error

    def test_the_standard_error_is_the_spread(self) -> None:
        repeats = [kernel_estimate(normal(2 * i, 100, 6), normal(2 * i + 1, 80, 6, shift=0.7)) for i in range(400)]
        spread = np.std([repeat.value for repeat in repeats], ddof=1)
        assert np.mean([repeat.standard_error for repeat in repeats]) == pytest.approx(spread, rel=0.15)

    def test_the_test_refuses_as_often_as_it_says_for_one_population(self) -> None:
        p_values = [
            kernel_test(normal(2 * i, 25, 5), normal(2 * i + 1, 20, 5), np.random.default_rng(i), permutations=99)
            for i in range(300)
        ]
        refused = int(np.sum(np.array(p_values) <= 0.1))
        assert stats.binomtest(refused, 300, 0.1).pvalue > 0.001
        assert stats.kstest(p_values, "uniform").pvalue > 0.001

    def test_the_test_always_sees_a_shift(self) -> None:
        for i in range(20):
            first, second = normal(2 * i, 60, 5), normal(2 * i + 1, 60, 5, shift=1)
            assert kernel_test(first, second, np.random.default_rng(i), permutations=99) == 0.01


class TestPrdc:
    @staticmethod
    def reference(real: Matrix, fake: Matrix, k: int) -> dict[str, float]:
        """The definitions, with all distances at once."""
        real_radii = np.sort(distances(real, real), axis=1)[:, k]  # the nearest is the point itself
        fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
        inside = distances(real, fake) <= real_radii[:, None]
        return {
            "precision": inside.any(axis=0).mean(),
            "recall": (distances(real, fake) <= fake_radii).any(axis=1).mean(),
            "density": inside.sum() / (k * len(fake)),
            "coverage": inside.any(axis=1).mean(),
        }

    @pytest.mark.parametrize("k", [1, 3, 5])
    @pytest.mark.parametrize("offset", [0.0, 1e4])
    def test_it_equals_the_definitions(self, k: int, offset: float) -> None:
        real, fake = normal(0, 120, 4), normal(1, 90, 4, shift=0.5)
        assert prdc(real + offset, fake + offset, k=k) == pytest.approx(self.reference(real, fake, k), rel=1e-12)

    def test_it_equals_the_definitions_beyond_one_block(self) -> None:
        real, fake = normal(0, 1100, 3), normal(1, 200, 3, shift=0.5)
        assert prdc(real, fake) == pytest.approx(self.reference(real, fake, 5), rel=1e-12)

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


class TestIntervals:
    @pytest.mark.parametrize(("rate", "trials"), [(0.5, 40), (0.1, 60), (0.97, 50)])
    def test_a_proportion_is_covered(self, rate: float, trials: int) -> None:
        successes = np.arange(trials + 1)
        weights = stats.binom.pmf(successes, trials, rate)
        intervals = [proportion_interval(int(count), trials) for count in successes]
        covered = np.array([interval.low <= rate <= interval.high for interval in intervals])
        assert 0.92 < float(weights @ covered) < 0.99

    def test_no_trials_say_nothing(self) -> None:
        value, low, high = proportion_interval(0, 0)
        assert np.isnan(value)
        assert (low, high) == (0, 1)

    def test_the_jackknife_covers_a_mean(self) -> None:
        covered = 0
        for i in range(400):
            sample = normal(i, 50, 1)[:, 0] ** 2

            def mean(rows: npt.NDArray[np.int64], sample: Matrix = sample) -> float:
                return float(sample[rows].mean())

            interval = jackknife_interval(mean, 50, np.random.default_rng(i))
            covered += interval.low <= 1 <= interval.high
        assert 0.90 < covered / 400 < 0.98

    def test_the_jackknife_covers_a_distance_at_its_n(self) -> None:
        """The target of the interval is the expectation at this n, bias and all."""
        intervals = []
        for i in range(150):
            first, second = normal(2 * i, 100, 5), normal(2 * i + 1, 100, 5, shift=0.5)

            def distance(rows: npt.NDArray[np.int64], first: Matrix = first, second: Matrix = second) -> float:
                return frechet_distance(first[rows], second[rows])

            intervals.append(jackknife_interval(distance, 100, np.random.default_rng(i)))
        target = np.mean([interval.value for interval in intervals])
        covered = np.mean([interval.low <= target <= interval.high for interval in intervals])
        assert 0.88 < covered < 0.99
