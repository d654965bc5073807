"""Which mode a generator makes too often: found on one half of the rows, measured on the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.spatial.distance import cdist

from augface.arrays import Floats64, Integers
from augface.metrics.arrays import feature_matrix
from augface.metrics.intervals import Interval, group_numbers, random_part, t_quantile
from augface.metrics.neighbourhoods import FEWEST, HALVES


@dataclass(frozen=True)
class Overrepresented:
    """The mode that fakes have most in excess.

    Attributes:
        excess: the share of fakes that belong to it less that of real rows, from -1 to 1; about 0 where nothing is made
            too often. Of a mode that is not compact it is a part of the share.
        belonging: (M,) how much each fake belongs to it, from 0 to 1, by the half that the fake is not in.
    """

    excess: Interval
    belonging: Floats64


def overrepresented_mode(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    bandwidth: float,
    *,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> Overrepresented:
    """The leading mode of kernel novelty (Zhang, Li & Farnia 2024, arXiv:2402.17287) and its excess, without bias.

    The mode is the leading eigenfunction of the difference of the two covariances in a Gaussian kernel's feature space.
    The largest of many eigenvalues is above 0 by chance alone, so that it is found on a random half of both sides, and
    its mean square is compared on the other half, both ways round.

    Args:
        real, fake: (N, D) and (M, D), a few hundred rows: time grows with their cube.
        bandwidth: of the kernel; see `augface.metrics.kernel_entropy.default_bandwidth`.
        real_groups, fake_groups: which rows belong together.
        random: draws the halves, and those that the 95 % interval is made of, whose ends are NaN where one of these
            has fewer than `FEWEST` rows.

    Raises:
        DataError: fewer than 4 rows, unlike dimensions, NaN or infinity.

    >>> random = np.random.default_rng(0)
    >>> real, fake = random.normal(size=(2, 200, 2))
    >>> fake[:60] = random.normal(size=(60, 2)) / 50 + 9
    >>> round(overrepresented_mode(real, fake, 1.0, random=random).excess.value, 1)
    0.3
    """
    x, y = feature_matrix(real, "real", 4), feature_matrix(fake, "fake", 4)
    groups = [group_numbers(given, len(rows)) for rows, given in ((x, real_groups), (y, fake_groups))]
    excess, belonging = _excess_and_belonging(x, y, bandwidth, groups, random)
    reach = t_quantile(HALVES - 1) * _deviation_of_halves(x, y, bandwidth, groups, random)
    return Overrepresented(Interval(excess, excess - reach, excess + reach), belonging)


def _excess_and_belonging(
    x: Floats64, y: Floats64, bandwidth: float, groups: Sequence[Integers], random: np.random.Generator
) -> tuple[float, Floats64]:
    first, second = (random_part(side, 0.5, random) for side in groups)
    in_real, in_fake = np.empty(len(x)), np.empty(len(y))
    for kept_x, kept_y in ((first, second), (~first, ~second)):
        rows, weights = _leading_mode(x[kept_x], y[kept_y], bandwidth)
        in_real[~kept_x] = np.square(_kernel(x[~kept_x], rows, bandwidth) @ weights)
        in_fake[~kept_y] = np.square(_kernel(y[~kept_y], rows, bandwidth) @ weights)
    return float(in_fake.mean() - in_real.mean()), in_fake


def _deviation_of_halves(
    x: Floats64, y: Floats64, bandwidth: float, groups: Sequence[Integers], random: np.random.Generator
) -> float:
    """The standard deviation of the excess in random halves; NaN where a half has fewer than `FEWEST` rows.

    Each half finds modes of its own: which mode is found depends on the rows as well, and how rows scatter in a given
    one would leave that out.
    """
    kept = [[random_part(side, 0.5, random) for side in groups] for _ in range(HALVES)]
    if min(int(mask.sum()) for masks in kept for mask in masks) < FEWEST:
        return math.nan
    of_halves = [
        _excess_and_belonging(
            x[in_x],
            y[in_y],
            bandwidth,
            [group_numbers(side[mask], int(mask.sum())) for side, mask in zip(groups, (in_x, in_y), strict=True)],
            random,
        )[0]
        for in_x, in_y in kept
    ]
    return float(np.std(of_halves, ddof=1))


def _kernel(first: Floats64, second: Floats64, bandwidth: float) -> Floats64:
    return np.asarray(np.exp(-np.square(cdist(first, second)) / (2 * bandwidth**2)), dtype=np.float64)


def _leading_mode(real: Floats64, fake: Floats64, bandwidth: float) -> tuple[Floats64, Floats64]:
    """Rows and their weights, whose weighted kernels make up a function of norm 1: the leading eigenfunction."""
    rows = np.concatenate([fake, real])
    shares = np.concatenate([np.full(len(fake), 1 / len(fake)), np.full(len(real), 1 / len(real))]) ** 0.5
    values, vectors = linalg.eigh(_kernel(rows, rows, bandwidth) * shares[:, None] * shares)
    kept = values > 1e-10 * values[-1]
    root = np.sqrt(values[kept])
    signs = np.concatenate([np.ones(len(fake)), -np.ones(len(real))])
    scaled = vectors[:, kept] * root
    _, modes = linalg.eigh(scaled.T @ (signs[:, None] * scaled), subset_by_index=[int(kept.sum()) - 1] * 2)
    return rows, shares * ((vectors[:, kept] / root) @ modes[:, 0])
