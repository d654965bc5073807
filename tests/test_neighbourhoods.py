"""Clipped, symmetric and probabilistic measures, against plain definitions and known truths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from augface.errors import DataError, UsageError
from augface.metrics import prdc
from augface.metrics.clipped import clipped_coverage, clipped_density
from augface.metrics.neighbourhoods import Neighbourhoods, with_intervals
from augface.metrics.probabilistic import p_precision, p_recall
from augface.metrics.symmetric import symmetric_precision, symmetric_recall

Matrix = npt.NDArray[np.float64]
K = 5


def normal(seed: int, rows: int = 200, dimension: int = 4, shift: float = 0.0, scale: float = 1.0) -> Matrix:
    return scale * np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


def distance(first: Matrix, second: Matrix) -> float:
    return math.dist(first.tolist(), second.tolist())


def radii(rows: Matrix, k: int) -> list[float]:
    return [sorted(distance(row, other) for other in rows)[k] for row in rows]


@pytest.fixture(scope="module")
def sides() -> tuple[Matrix, Matrix]:
    return normal(0, 60), normal(1, 45, shift=0.5)


def test_clipped_density_is_what_it_is_defined_as(sides: tuple[Matrix, Matrix]) -> None:
    real, fake = sides
    own = radii(real, K)
    own = [min(radius, float(np.median(own))) for radius in own]
    of_fakes = [min(1, sum(distance(x, y) <= radius for x, radius in zip(real, own, strict=True)) / K) for y in fake]
    of_reals = [
        min(1, sum(distance(x, y) <= own[i] * (1 + 1e-9) for i, x in enumerate(real) if i != j) / K)
        for j, y in enumerate(real)
    ]
    expected = min(1.0, float(np.mean(of_fakes) / np.mean(of_reals)))
    assert clipped_density(Neighbourhoods.of(real, fake)) == pytest.approx(expected, abs=1e-9)


def test_clipped_coverage_is_calibrated_by_drawing(sides: tuple[Matrix, Matrix]) -> None:
    """The share of good fakes that would give the same mean, found by drawing the beta-binomial numbers."""
    real, fake = sides
    counts = [sum(distance(x, y) <= radius for y in fake) for x, radius in zip(real, radii(real, K), strict=True)]
    raw = np.minimum(np.array(counts) / K, 1).mean()
    random = np.random.default_rng(2)
    mass = random.beta(K, len(real) - K, 100_000)
    expected = [np.minimum(random.binomial(count, mass) / K, 1).mean() for count in range(len(fake) + 1)]
    share = np.searchsorted(expected, raw) / len(fake)
    assert clipped_coverage(Neighbourhoods.of(real, fake)) == pytest.approx(share, abs=1.01 / len(fake))


@pytest.mark.parametrize("bad", [0.0, 0.3, 0.7, 1.0])
def test_clipped_measures_fall_with_the_share_of_bad_rows(bad: float) -> None:
    real, fake = normal(0, 600), normal(1, 600)
    fake[: round(bad * 600)] += 50
    distances = Neighbourhoods.of(real, fake)
    assert clipped_density(distances) == pytest.approx(1 - bad, abs=0.06)
    assert clipped_coverage(distances) == pytest.approx(1 - bad, abs=0.06)


def test_symmetric_measures_are_the_worse_of_both_questions(sides: tuple[Matrix, Matrix]) -> None:
    real, fake = sides
    there, back = prdc(real, fake, K), prdc(fake, real, K)
    distances = Neighbourhoods.of(real, fake)
    assert symmetric_precision(distances, K) == pytest.approx(min(there["precision"], back["coverage"]))
    assert symmetric_recall(distances, K) == pytest.approx(min(there["recall"], there["coverage"]))


def test_p_precision_is_what_it_is_defined_as(sides: tuple[Matrix, Matrix]) -> None:
    real, fake = sides
    reach = 1.2 * float(np.mean(radii(real, 4)))
    outside = [math.prod(min(1.0, distance(x, y) / reach) for x in real) for y in fake]
    assert p_precision(Neighbourhoods.of(real, fake)) == pytest.approx(1 - np.mean(outside), abs=1e-9)
    assert p_recall(Neighbourhoods.of(real, fake)) == p_precision(Neighbourhoods.of(fake, real))


MEASURES = {
    "clipped_density": clipped_density,
    "clipped_coverage": clipped_coverage,
    "symmetric_precision": symmetric_precision,
    "symmetric_recall": symmetric_recall,
    "p_precision": p_precision,
    "p_recall": p_recall,
}


def test_equal_rows_are_near_in_spite_of_rounding() -> None:
    rows = normal(0, 50, 3, shift=1e4)
    for name, measure in MEASURES.items():
        assert measure(Neighbourhoods.of(rows, rows.copy())) == pytest.approx(1, abs=0.05), name


def test_nothing_in_common_gives_nothing() -> None:
    for name, measure in MEASURES.items():
        assert measure(Neighbourhoods.of(normal(0), normal(1, shift=40))) == 0, name


def test_intervals_hold_the_value_and_shrink_with_rows() -> None:
    few, many = (
        with_intervals(MEASURES, normal(0, rows), normal(1, rows, shift=0.3), random=np.random.default_rng(0))
        for rows in (100, 400)
    )
    for name, number in many.items():
        assert 0 <= number.low < number.value < number.high <= 1, name
    widths = [sum(number.high - number.low for number in found.values()) for found in (few, many)]
    assert widths[1] < 0.85 * widths[0]


def test_pictures_of_one_person_stay_together() -> None:
    people = np.repeat(np.arange(40), 5)
    rows = normal(0, 40)[people] + normal(1, 200, scale=0.05)
    alone, together = (
        with_intervals(
            {"coverage": clipped_coverage}, rows, normal(2), real_groups=groups, random=np.random.default_rng(0)
        )["coverage"]
        for groups in (None, people)
    )
    assert together.value == alone.value
    assert together != alone


def test_pictures_of_one_person_have_no_intervals() -> None:
    found = with_intervals(MEASURES, normal(0), normal(1), real_groups=np.zeros(200), random=np.random.default_rng(0))
    assert all(math.isnan(number.low) and number.value > 0.5 for number in found.values())


def test_errors_are_for_people() -> None:
    distances = Neighbourhoods.of(normal(0, 5), normal(1, 9))
    with pytest.raises(DataError, match="5 features are too few: more than 5"):
        clipped_density(distances)
    with pytest.raises(UsageError, match="at least the first"):
        clipped_density(distances, 0)
    for real, fake in itertools.permutations([normal(0, 9, 2), normal(1, 9, 3)]):
        with pytest.raises(DataError, match="two spaces"):
            Neighbourhoods.of(real, fake)
