"""Entropies of kernel matrices and sliced distances, against their definitions and plain cases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import wasserstein_distance

from augface.errors import DataError, UsageError
from augface.metrics.kernel_entropy import fourier_mode_count, mode_count
from augface.metrics.mind import monge_inception_distance
from augface.metrics.overrepresented import overrepresented_mode
from augface.metrics.variety import novelty, vendi_score

Matrix = npt.NDArray[np.float64]


def normal(seed: int, rows: int = 60, dimension: int = 5) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, dimension))


@pytest.mark.parametrize("rows", [4, 60])
@pytest.mark.parametrize("order", [1.0, 2.0])
def test_vendi_score_is_that_of_the_matrix_of_cosines(rows: int, order: float) -> None:
    features = normal(0, rows)
    unit = features / np.linalg.norm(features, axis=1)[:, None]
    shares = np.linalg.eigvalsh(unit @ unit.T / rows)
    shares = shares[shares > 1e-12]
    entropy = -(shares * np.log(shares)).sum() if order == 1 else np.log((shares**order).sum()) / (1 - order)
    assert vendi_score(features, order) == pytest.approx(np.exp(entropy), rel=1e-9)


def test_vendi_score_counts_modes() -> None:
    modes = np.eye(7)[np.arange(700) % 7] + 0.001 * normal(0, 700, 7)
    assert vendi_score(modes) == pytest.approx(7, rel=0.01)
    with pytest.raises(UsageError):
        vendi_score(np.zeros((3, 2)))


def test_novelty_has_the_eigenvalues_of_the_block_matrix() -> None:
    real, fake = normal(0, 30), normal(1, 40) + 0.5
    width, ratio = 2.0, 1.5

    def kernel(first: Matrix, second: Matrix) -> Matrix:
        squares = np.square(first[:, None] - second).sum(axis=2)
        return np.asarray(np.exp(-squares / (2 * width**2)) / np.sqrt(len(first) * len(second)))

    cross = kernel(fake, real) * np.sqrt(ratio)
    block = np.block([[kernel(fake, fake), cross], [-cross.T, -ratio * kernel(real, real)]])
    values = np.linalg.eigvals(block).real
    values = values[values > 1e-12]
    found = novelty(real, fake, ratio, width)
    assert found.share == pytest.approx(values.sum(), rel=1e-6)
    assert found.score == pytest.approx(-(values * np.log(values / values.sum())).sum(), rel=1e-6)


def test_novelty_names_the_mode_that_there_is_too_much_of() -> None:
    real = np.concatenate([normal(0, 50), normal(1, 50) + 9]) / 5
    fake = np.concatenate([normal(2, 10), normal(3, 90) + 9]) / 5
    found = novelty(real, fake, bandwidth=1.0)
    assert found.mode[10:].min() > found.mode[:10].max()
    assert found.share > 3 * novelty(real, np.concatenate([normal(4, 50), normal(5, 50) + 9]) / 5, bandwidth=1.0).share


def test_sliced_distance_of_unequal_sizes() -> None:
    first, second = normal(0, 30, 1), normal(1, 45, 1) + 2
    repeated = [np.repeat(side, times, axis=0) for side, times in ((first, 3), (second, 2))]
    expected = float(np.square(np.sort(repeated[0], axis=0) - np.sort(repeated[1], axis=0)).mean())
    found = monge_inception_distance(first, second, np.random.default_rng(0), directions=3)
    assert found.value == pytest.approx(3 * expected)
    assert expected >= wasserstein_distance(first[:, 0], second[:, 0]) ** 2


def test_mind_is_that_of_a_peer() -> None:
    ot = pytest.importorskip("ot")
    real, fake = normal(0, 80), normal(1, 60) + 0.3
    directions = np.random.default_rng(3).standard_normal((100, 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = 3 * 5 * ot.sliced_wasserstein_distance(real, fake, projections=directions.T, p=2) ** 2
    found = monge_inception_distance(real, fake, np.random.default_rng(3), directions=100)
    assert found.value == pytest.approx(expected, rel=1e-6)


def test_intervals_of_mind_hold_it() -> None:
    found = []
    for seed in range(100):
        sides = normal(seed, 60), normal(1000 + seed, 80) * 1.3 + 0.4
        found.append(monge_inception_distance(*sides, np.random.default_rng(seed), directions=20))
    truth = np.mean([one.value for one in found])
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.9


def test_unlike_dimensions() -> None:
    with pytest.raises(DataError, match="two spaces"):
        novelty(normal(0), normal(1, 60, 4))


def test_the_number_of_modes_is_the_vendi_score_of_order_2_of_its_kernel() -> None:
    rows = normal(0, 80)
    kernel = np.exp(-np.square(rows[:, None] - rows).sum(axis=2) / (2 * 1.7**2))
    eigenvalues = np.linalg.eigvalsh(kernel / len(rows))
    assert mode_count(rows, 1.7).value == pytest.approx(1 / np.square(eigenvalues).sum(), rel=1e-9)
    with pytest.raises(UsageError, match="above 0"):
        mode_count(rows, 0.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_number_of_modes_is_that_of_a_peer() -> None:
    vendi = pytest.importorskip("vendi_score.vendi")
    rows = normal(0, 80)
    kernel = np.exp(-np.square(rows[:, None] - rows).sum(axis=2) / (2 * 1.7**2))
    assert mode_count(rows, 1.7).value == pytest.approx(vendi.score_K(kernel, q=2), rel=1e-6)
    assert vendi_score(rows) == pytest.approx(vendi.score_dual(rows, normalize=True), rel=1e-6)


@pytest.mark.parametrize("rows", [40, 90])
def test_fourier_features_give_the_number_of_modes(rows: int) -> None:
    features, random = normal(0, rows), np.random.default_rng(1)
    angles = features @ np.random.default_rng(1).standard_normal((5, 30)) / 1.7
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(30)
    shares = np.square(np.linalg.svd(waves / np.sqrt(rows), compute_uv=False))  # as the peers of FKEA have it
    found = fourier_mode_count(features, 1.7, random, frequencies=30)
    assert found.value == pytest.approx(1 / np.square(shares).sum(), rel=1e-6)
    exact = mode_count(features, 1.7)
    many = fourier_mode_count(features, 1.7, random, frequencies=3_000)
    assert many == pytest.approx(exact, rel=0.05)
    with pytest.raises(UsageError, match="above 0"):
        fourier_mode_count(features, 0.0, random)


def test_intervals_of_the_number_of_modes_hold_it() -> None:
    """Rows come in pairs that are alike: intervals that take them for independent ones are too short."""
    found, alone = [], []
    for seed in range(200):
        once = np.random.default_rng(seed).normal(size=(60, 3))
        rows, pairs = np.concatenate([once, once + 1e-3]), np.tile(np.arange(60), 2)
        found.append(mode_count(rows, 1.0, pairs))
        alone.append(mode_count(rows, 1.0))
    truth = np.mean([one.value for one in found])
    assert 0.9 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.99
    assert np.mean([one.low <= truth <= one.high for one in alone]) < 0.9


def test_the_mode_that_is_made_too_often_is_found_and_measured() -> None:
    real, fake = normal(0, 300), normal(1, 300)
    fake[:60] = normal(2, 60) / 30 + 2
    found = overrepresented_mode(real, fake, 1.5, random=np.random.default_rng(0))
    assert found.excess.low < 0.2 < found.excess.high + 0.03
    assert found.excess.low > 0.1
    assert set(np.argsort(-found.belonging)[:50]) <= set(range(60))
    nothing = [
        overrepresented_mode(real, normal(seed, 300), 1.5, random=np.random.default_rng(0)).excess
        for seed in range(3, 9)
    ]
    assert sum(one.low <= 0 <= one.high for one in nothing) >= 5


def test_intervals_of_what_is_made_too_often_hold_it_where_several_modes_are() -> None:
    """Which of four modes is found differs from sample to sample, and adds to what rows scatter."""
    found = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        real, fake = random.normal(size=(2, 60, 3))
        mode = random.integers(10, size=60)
        centres = 2 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]])
        fake[mode < 4] = centres[mode[mode < 4]] + fake[mode < 4] / 10
        found.append(overrepresented_mode(real, fake, 1.5, random=random).excess)
    target = np.mean([one.value for one in found])
    assert np.mean([one.low <= target <= one.high for one in found]) >= 0.95
    assert np.mean([one.low > 0 for one in found]) < 0.6


def test_what_is_made_too_often_by_too_few_people_has_no_interval() -> None:
    found = overrepresented_mode(
        normal(0, 60), normal(1, 60), 1.5, fake_groups=np.repeat([0, 1], [55, 5]), random=np.random.default_rng(0)
    ).excess
    assert np.isfinite(found.value)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
