"""The measures against slow references, known truths and simulations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import linalg, stats

from augface.errors import DataError
from augface.metrics import (
    TooFewRowsWarning,
    clustered_variance,
    corrected_frechet,
    frechet_distance,
    frechet_distance_of_moments,
    frechet_estimate,
    inception_score,
    kernel_distance,
    kernel_distance_of_subsets,
    kernel_estimate,
    kernel_test,
    prdc,
    proportion_interval,
    squared_interval,
)
from augface.metrics.frechet import raw_frechet_distance

Matrix = npt.NDArray[np.float64]


def normal(seed: int, rows: int, dimension: int, shift: float = 0.0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


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
        with pytest.warns(TooFewRowsWarning, match="20 rows are fewer than 2 x 50 dimensions"):
            assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)

    def test_both_ways_of_computing_agree(self) -> None:
        """Zero columns change the ways, not the truth."""
        first, second = normal(0, 40, 10), normal(1, 50, 10, shift=0.5)
        wide = [np.hstack([side, np.zeros((len(side), 100))]) for side in (first, second)]
        assert raw_frechet_distance(*wide) == pytest.approx(frechet_distance(first, second), rel=1e-7)
        assert raw_frechet_distance(wide[0], np.tile(wide[1], (4, 1))) == pytest.approx(
            frechet_distance(first, np.tile(second, (4, 1))), rel=1e-7
        )

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
        assert raw_frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9 * dimension)

    def test_it_is_symmetric(self) -> None:
        first, second = normal(0, 60, 5), normal(1, 90, 5, shift=1)
        assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)

    def test_real_features_with_fewer_rows_than_dimensions(self, real_data: Path) -> None:
        """Near-singular and non-negative, against a reference with every root taken of a symmetric product."""
        first, second = (np.load(path)["features"] for path in sorted((real_data / "inception-features").glob("*.npz")))
        assert len(first) < first.shape[1]
        covariances = [np.cov(side.astype(np.float64).T) for side in (first, second)]
        values, vectors = np.linalg.eigh(covariances[0])
        root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
        product = np.linalg.eigvalsh(root @ covariances[1] @ root)
        largest = product[-1] * 1e-14
        difference = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
        expected = difference @ difference + np.trace(covariances[0] + covariances[1])
        expected -= 2 * np.sqrt(product[product > largest]).sum()
        with pytest.warns(TooFewRowsWarning, match="mostly bias"):
            assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)

    def test_moments_that_do_not_fit_are_refused(self) -> None:
        mean, covariance = np.zeros(3), np.eye(3)
        with pytest.raises(DataError, match="both sides of one D"):
            frechet_distance_of_moments(mean, covariance, np.zeros(2), np.eye(2))
        with pytest.raises(DataError, match="both sides of one D"):
            frechet_distance_of_moments(mean, covariance, mean, np.ones((3, 4)))
        with pytest.raises(DataError, match="NaN"):
            frechet_distance_of_moments(mean, covariance * np.nan, mean, covariance)

    def test_the_estimate_is_the_distance(self) -> None:
        first, second = normal(0, 300, 12) * np.arange(1, 13), normal(1, 200, 12, shift=0.3) @ normal(2, 12, 12)
        estimate = frechet_estimate(first, second)
        assert estimate.value == pytest.approx(frechet_distance(first, second), rel=1e-9)
        assert abs(estimate.x_influence.mean()) < 1e-9 * np.abs(estimate.x_influence).max()

    def test_influence_is_what_leaving_a_row_out_changes(self) -> None:
        first, second = normal(0, 400, 4) * np.arange(1, 5), normal(1, 500, 4, shift=0.5)
        estimate = frechet_estimate(first, second)
        for row in range(0, 400, 80):
            change = frechet_distance(first, second) - frechet_distance(np.delete(first, row, axis=0), second)
            assert estimate.x_influence[row] / 400 == pytest.approx(change, abs=0.003)
        for row in range(0, 500, 100):
            change = frechet_distance(first, second) - frechet_distance(first, np.delete(second, row, axis=0))
            assert estimate.y_influence[row] / 500 == pytest.approx(change, abs=0.003)

    @pytest.mark.parametrize("constant", ["first", "second", "both"])
    def test_constant_features_are_at_the_distance_of_their_means(self, constant: str) -> None:
        first, second = normal(0, 50, 4), normal(1, 60, 4)
        first = np.ones_like(first) if constant != "second" else first
        second = np.full_like(second, 2) if constant != "first" else second
        expected = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
        expected += first.var(axis=0, ddof=1).sum() + second.var(axis=0, ddof=1).sum()
        assert frechet_distance(first, second) == pytest.approx(expected)
        estimate = frechet_estimate(first, second)
        assert estimate.value == pytest.approx(expected)
        assert np.isfinite(estimate.standard_error())

    def test_influence_without_variance_in_some_directions(self) -> None:
        first, second = normal(0, 200, 3), normal(1, 250, 3, shift=0.5)
        flat = frechet_estimate(*(np.hstack([side, np.ones((len(side), 2)), side[:, :1]]) for side in (first, second)))
        assert np.isfinite(flat.x_influence).all()
        assert flat.standard_error() > 0

    def test_the_standard_error_is_the_spread(self) -> None:
        repeats = [frechet_estimate(normal(2 * i, 300, 3), normal(2 * i + 1, 240, 3, shift=0.7)) for i in range(300)]
        spread = np.std([repeat.value for repeat in repeats], ddof=1)
        assert np.mean([repeat.standard_error() for repeat in repeats]) == pytest.approx(spread, rel=0.15)

    def test_rows_of_one_person_count_as_one(self) -> None:
        """Each row twice says no more than once."""
        first, second = normal(0, 200, 3), normal(1, 200, 3, shift=0.7)
        once = frechet_estimate(first, second).standard_error()
        twice = frechet_estimate(np.repeat(first, 2, axis=0), np.repeat(second, 2, axis=0))
        people = np.repeat(np.arange(200), 2)
        assert twice.standard_error(people, people) == pytest.approx(once, rel=0.02)
        assert twice.standard_error() < 0.75 * once

    def test_correction_takes_the_bias_away(self) -> None:
        dimension, repeats = 20, 60
        truth = 0.5**2 * dimension
        raw, corrected = [], []
        for i in range(repeats):
            first, second = normal(2 * i, 4 * dimension, dimension), normal(2 * i + 1, 4 * dimension, dimension, 0.5)
            raw.append(frechet_distance(first, second))
            corrected.append(corrected_frechet(first, second, np.random.default_rng(i)))
        error = np.std(corrected) / np.sqrt(repeats)
        assert np.mean(raw) > truth + 20 * error
        assert np.mean(corrected) == pytest.approx(truth, abs=4 * error)


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

    def test_float32_is_multiplied_as_float32_and_is_right(self) -> None:
        """Far from the origin, where an uncentred product would lose all digits."""
        first, second = (side.astype(np.float32) for side in (normal(0, 400, 50) + 30, normal(1, 300, 50) + 30.02))
        exact = kernel_estimate(first.astype(np.float64), second.astype(np.float64))
        fast = kernel_estimate(first, second)
        assert fast.value == pytest.approx(exact.value, rel=1e-3)
        assert fast.standard_error == pytest.approx(exact.standard_error, rel=1e-3)

    def test_people_are_left_out_whole(self) -> None:
        first, second = normal(0, 30, 4), normal(1, 15, 4, shift=0.4)
        people = np.random.default_rng(0).integers(0, 9, 30)
        without = np.array([self.reference(first[people != person], second) for person in range(9)])
        without_second = np.array([self.reference(first, np.delete(second, i, axis=0)) for i in range(15)])
        expected = np.sqrt(without.var() * 8 + without_second.var() * 14)
        assert kernel_estimate(first, second, people).standard_error == pytest.approx(expected, rel=1e-9)

    def test_the_witness_finds_what_does_not_belong(self) -> None:
        first, second = normal(0, 100, 6), normal(1, 120, 6)
        first[17] += 4
        second[[3, 5]] -= 4
        estimate = kernel_estimate(first, second)
        assert np.argmax(estimate.x_witness) == 17
        assert set(np.argsort(estimate.y_witness)[-2:]) == {3, 5}

    def test_subsets_are_means_of_the_distance(self) -> None:
        first, second = normal(0, 40, 4), normal(1, 30, 4, shift=0.5)
        mean, deviation = kernel_distance_of_subsets(first, second, np.random.default_rng(0), subsets=400, size=20)
        assert mean == pytest.approx(kernel_distance(first, second), abs=4 * deviation / np.sqrt(400))
        whole = kernel_distance_of_subsets(first[:30], second, np.random.default_rng(0), subsets=2, size=1000)
        assert whole == pytest.approx((kernel_distance(first[:30], second), 0), abs=1e-12)

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

    def test_the_interval_of_a_square_is_that_of_its_root(self) -> None:
        value, low, high = squared_interval(4.0, 0.4)
        assert value == 4
        assert (np.sqrt(low), np.sqrt(high)) == (
            pytest.approx(2 - 1.96 * 0.1, rel=1e-5),
            pytest.approx(2.196, rel=1e-5),
        )
        assert high - value > value - low > 0

    def test_whether_zero_lies_inside_is_as_for_the_symmetric_one(self) -> None:
        assert squared_interval(1.97, 1.0).low > 0
        assert squared_interval(1.95, 1.0).low < 0

    def test_clusters_widen_an_interval_as_they_should(self) -> None:
        """Rows in families of five that are all alike are one fifth of the evidence."""
        values = np.repeat(normal(0, 200, 1)[:, 0], 5)
        values -= values.mean()
        alone, together = clustered_variance(values), clustered_variance(values, np.repeat(np.arange(200), 5))
        assert together == pytest.approx(5 * alone, rel=0.01)

    def test_one_cluster_says_nothing(self) -> None:
        assert np.isnan(clustered_variance(np.array([0.5, -0.5]), [1, 1]))


class TestInceptionScore:
    def test_it_is_the_formula(self) -> None:
        logits = normal(0, 200, 7) * 2
        rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = np.exp((rows * (np.log(rows) - np.log(rows.mean(axis=0)))).sum(axis=1).mean())
        mean, deviation = inception_score(rows, splits=1)
        assert mean == pytest.approx(expected)
        assert deviation == 0

    def test_sure_and_varied_is_the_number_of_classes(self) -> None:
        assert inception_score(np.tile(np.eye(8), (10, 1)), splits=2)[0] == pytest.approx(8)

    def test_all_alike_is_one(self) -> None:
        assert inception_score(np.tile([0.2, 0.8], (10, 1)), splits=2)[0] == pytest.approx(1)

    def test_rows_that_are_no_probabilities_are_refused(self) -> None:
        with pytest.raises(DataError, match="add up to 1"):
            inception_score(normal(0, 20, 3))
        with pytest.raises(DataError, match="at least 10"):
            inception_score(np.eye(8))
