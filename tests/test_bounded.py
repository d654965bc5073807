"""Bounded precision and coverage, against a plain definition and where the answer is plain."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from augface.errors import DataError
from augface.metrics.bounded import BALLS, WITHIN, Bounded, K, bounded_precision_coverage
from augface.metrics.intervals import Interval, t_quantile
from augface.metrics.neighbourhoods import HALVES, intervals_of_halves

Matrix = npt.NDArray[np.float64]


def normal(seed: int, rows: int = 300, dimension: int = 8, shift: float = 0.0, scale: float = 1.0) -> Matrix:
    return scale * np.random.default_rng(seed).standard_normal((rows, dimension)) + shift


def both(fake: Matrix, real: Matrix | None = None, other: Matrix | None = None) -> tuple[float, float]:
    dimension = fake.shape[1]
    real = normal(0, dimension=dimension) if real is None else real
    found = Bounded.of(real, fake, normal(1, dimension=dimension) if other is None else other)
    return found.precision(), found.coverage()


def distance(first: Matrix, second: Matrix) -> float:
    return math.dist(first.tolist(), second.tolist())


def within(row: Matrix, others: Matrix) -> bool:
    def excess(values: Matrix) -> float:
        columns = [sorted(column) for column in others.T.tolist()]
        beyond = [max(c[1] - v, v - c[-2]) / np.std(c) for v, c in zip(values.tolist(), columns, strict=True)]
        return float(max(beyond))

    return bool(excess(row) <= max(0, np.quantile([excess(own) for own in others], WITHIN)))


def test_both_are_what_they_are_defined_as() -> None:
    real, fake, other = normal(0, 40, 3), normal(1, 30, 3, shift=0.4), normal(2, 35, 3)
    radii = [sorted(distance(row, one) for one in real)[K] for row in real]
    clipped = [min(radius, float(np.median(radii))) for radius in radii]

    def precision(side: Matrix) -> float:
        held = [sum(distance(x, y) <= radius for x, radius in zip(real, clipped, strict=True)) for y in side]
        return float(np.mean([count >= BALLS and within(y, real) for count, y in zip(held, side, strict=True)]))

    def coverage(side: Matrix) -> float:
        near = [any(distance(x, y) <= radius for y in side) for x, radius in zip(real, radii, strict=True)]
        return float(np.mean([one and within(x, side) for one, x in zip(near, real, strict=True)]))

    expected = precision(fake) / precision(other), coverage(fake) / coverage(other)
    assert both(fake, real, other) == pytest.approx(expected)
    assert expected != pytest.approx((1, 1), abs=0.02)


@pytest.mark.parametrize(
    ("fake", "precision", "coverage"),
    [
        (normal(2), 1, 1),
        (normal(2, shift=3), 0, 0),
        (normal(2, scale=0.1), 1, 0),
        (normal(2, dimension=300) + 6 * np.eye(300)[0], 0, 0),  # one of 300 dimensions has nothing in common
    ],
)
def test_plain_cases_have_plain_answers(fake: Matrix, precision: float, coverage: float) -> None:
    found = both(fake)
    assert min(1, found[0]) == pytest.approx(precision, abs=0.07)
    assert min(1, found[1]) == pytest.approx(coverage, abs=0.07)


def test_one_outlier_on_either_side_changes_nothing() -> None:
    fake = normal(2, dimension=64, shift=1)
    assert both(fake)[0] < 0.02
    assert both(fake, np.vstack([normal(0, dimension=64), np.ones(64)]))[0] < 0.02
    assert both(np.vstack([fake, normal(0, dimension=64)[:1]]))[1] < 0.05


@pytest.mark.parametrize("bad", [0.3, 0.7])
def test_precision_falls_with_the_share_of_bad_rows(bad: float) -> None:
    fake = normal(2)
    fake[: round(bad * len(fake))] += 50
    assert both(fake)[0] == pytest.approx(1 - bad, abs=0.06)


def test_intervals_hold_the_value_and_groups_widen_them() -> None:
    """Of 30 kinds of fakes, with ten of each, half are useless."""
    kinds = np.repeat(np.arange(30), 10)
    fake = normal(2) + np.where(kinds % 2, 50, 0)[:, None]
    alone, together = (
        bounded_precision_coverage(normal(0), fake, normal(1), fake_groups=groups, random=np.random.default_rng(0))
        for groups in (None, kinds)
    )
    for number in alone.values():
        assert 0 < number.low < number.value < number.high <= 1
    wide, narrow = together["bounded_precision"], alone["bounded_precision"]
    assert wide.value == narrow.value == pytest.approx(0.5, abs=0.05)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_intervals_hold_the_expectation() -> None:
    """Also where a sample came out low: its interval reaches up as far as those of other samples do."""
    found: dict[str, list[Interval]] = {}
    for seed in range(150):
        random = np.random.default_rng(seed)
        real, fake, other = random.normal(size=(3, 60, 4))
        for name, interval in bounded_precision_coverage(real, 1.2 * fake + 1, other, random=random).items():
            found.setdefault(name, []).append(interval)
    for intervals in found.values():
        target = np.mean([one.value for one in intervals])
        assert 0.91 <= np.mean([one.low <= target <= one.high for one in intervals]) <= 0.995
        low = sorted(intervals)[:75]
        assert np.mean([one.high >= target for one in low]) >= 0.88


def test_intervals_of_ratios_reach_as_far_as_the_logarithms_of_halves_scatter() -> None:
    halves = iter([1.0, 2.0] * (HALVES // 2))
    alone = [np.arange(40)]

    def measure(rows: Matrix) -> float:
        return 0.5 if len(rows) == 40 else next(halves)

    found = intervals_of_halves(
        {"ratio": measure}, normal(0, 40), lambda rows, kept: rows[kept], alone, np.random.default_rng(0), 9.0, True
    )["ratio"]
    reach = t_quantile(HALVES - 1) * math.log(2) / 2 * (HALVES / (HALVES - 1)) ** 0.5
    assert found == pytest.approx((0.5, 0.5 * math.exp(-reach), 0.5 * math.exp(reach)))


def test_dimensions_must_agree() -> None:
    with pytest.raises(DataError, match="different dimensions"):
        Bounded.of(normal(0), normal(1), normal(2, dimension=3))
