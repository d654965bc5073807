"""What the distance between real and synthetic features is made of: shift of the mean, scale, composition and shape.

Real features are described as a Gaussian mixture with one covariance for all components. The synthetic ones are fitted
by the same mixture with components that have other shares and have all been shifted and scaled together. The three
changes are fitted jointly, by maximum likelihood, since each alone can imitate the others: where some modes are
missing, the mean moves too. Each change is then undone, alone and together with the others, and what the energy
distance (Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018) falls by is divided among the three by Shapley values
(Shapley 1953), so that no order comes first. What is left when all are undone is shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from augface.arrays import Floats32, Floats64, Integers
from augface.errors import DataError
from augface.metrics.arrays import feature_matrix
from augface.metrics.intervals import (
    NORMAL,
    Interval,
    clustered_variance,
    group_numbers,
    normal_interval,
    random_part,
    t_quantile,
)

PARTS = ("shift", "scale", "composition", "shape")
COMPONENTS = 32
"""Principal components that the mixture is fitted in."""
CLUSTERS = 20
"""Components of the mixture."""
FACES_A_CLUSTER = 15
"""Least mean number of faces of a component: with fewer faces there are fewer components."""
STEPS = 60
"""Most steps of expectation and maximisation."""
NULLS = 6
"""Random splits of real faces, whose mean distances are subtracted: what is fitted always takes some distance away."""
HALVES = 12
"""Random halves of both sides that intervals are made of."""
LEAST = 60
"""Rows of each side."""
FEWEST_GROUPS = 20
"""People on each side, with fewer of whom halves say nothing of each other."""

Change = tuple[bool, bool, bool]
"""Whether the shift, the scale and the shares of the modes are undone."""
CHANGES: Sequence[Change] = tuple(itertools.product((False, True), (False, True), (False, True)))


@dataclass(frozen=True)
class Decomposition:
    """What the distance is made of.

    Attributes:
        distance: the energy distance beyond that of real faces among themselves, in mean distances of two real faces.
        shares: of each of `PARTS` the share of the distance, from 0 to 1; together 1. All are NaN, with ends 0 and 1,
            where the distance is not certainly above 0: there is nothing to divide.
    """

    distance: Interval
    shares: Mapping[str, Interval]

    @property
    def largest(self) -> str:
        """The part with the largest share; empty where there is nothing to divide."""
        known = {part: share.value for part, share in self.shares.items() if not math.isnan(share.value)}
        return max(known, key=known.__getitem__) if known else ""


def decompose(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    other: npt.ArrayLike,
    *,
    real_groups: npt.ArrayLike | None = None,
    other_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
    random: np.random.Generator,
) -> Decomposition:
    """Divide the energy distance between real and synthetic features.

    Args:
        real, fake, other: (N, D), (M, D) and (L, D); `other` are real faces of other people, from which the mixture
            is made, and which say with `real` what is chance.
        real_groups, other_groups, fake_groups: which rows belong together, such as pictures of one person.
        random: draws the splits and the halves, and seeds the clustering.

    Raises:
        DataError: fewer than `LEAST` rows or `FEWEST_GROUPS` groups on a side, unlike dimensions, NaN or infinity.
    """
    sides = [feature_matrix(rows, name, LEAST) for rows, name in ((real, "real"), (fake, "fake"), (other, "other"))]
    x, y, z = sides
    x_groups, y_groups, z_groups = (
        group_numbers(groups, len(rows))
        for groups, rows in zip((real_groups, fake_groups, other_groups), (x, y, z), strict=True)
    )
    if min(int(groups.max()) + 1 for groups in (x_groups, y_groups, z_groups)) < FEWEST_GROUPS:
        raise DataError(f"Pictures of fewer than {FEWEST_GROUPS} people on a side do not say what is chance.")
    pool = np.concatenate([x, z])
    pool_groups = np.concatenate([x_groups, z_groups + x_groups.max() + 1])
    rows = Rows.of(pool, y, Mixture.fit(z, int(random.integers(2**31))))
    of_pool, of_y = np.arange(len(pool)), len(pool) + np.arange(len(y))
    of_x = of_pool[: len(x)]
    nulls = []
    for _ in range(NULLS):
        kept = random_part(pool_groups, len(x) / len(pool), random)
        nulls.append(rows.distances(of_pool[kept], of_pool[~kept][: len(y)]))
    chance = np.mean(nulls, axis=0)
    parts = _parts(rows.distances(of_x, of_y) - chance)
    replicates = []
    for _ in range(HALVES):
        half, other_half = random_part(x_groups, 0.5, random), random_part(y_groups, 0.5, random)
        replicates.append(_parts(rows.distances(of_x[half], of_y[other_half]) - chance))
    return _divided(parts, np.array(replicates))


def mean_shift(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
) -> Interval:
    """How far the means are apart, in standard deviations of the real features: the root of their total variance.

    The squared distance of the means is estimated without bias and its error has two parts, of which one is left where
    the means are equal; the ends of the interval are roots of those of the square.

    Args:
        real, fake: (N, D) and (M, D).
        real_groups, fake_groups: which rows belong together.

    >>> mean_shift([[0.0], [2.0]], [[10.0], [12.0]]).value.__round__(2)
    7.0
    """
    x, y = feature_matrix(real, "real"), feature_matrix(fake, "fake")
    difference = y.mean(axis=0) - x.mean(axis=0)
    sides = [_group_means(rows, groups) for rows, groups in ((x, real_groups), (y, fake_groups))]
    squared, linear = float(difference @ difference), 0.0
    noise = sum(float(np.square(side).sum()) for side in sides)
    for side in sides:
        linear += 4 * float(np.square(side @ difference).sum())
    # the trace of the squared covariance of the difference, from products of rows: smaller than D x D
    joined = np.concatenate(sides)
    products = joined @ joined.T
    quadratic = 2 * float(np.square(products).sum() - np.square(np.diagonal(products)).sum())
    error = math.sqrt(linear + quadratic)
    spread = math.sqrt(float(np.square(x - x.mean(axis=0)).sum()) / (len(x) - 1))
    value = squared - noise
    ends = normal_interval(value, error)
    if value > NORMAL * error:
        root, reach = math.sqrt(value), NORMAL * error / (2 * math.sqrt(value))
        return Interval(*(number / spread for number in (root, max(0.0, root - reach), root + reach)))
    return Interval(*(math.sqrt(max(0.0, number)) / spread for number in ends))


def variance_ratio(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    real_groups: npt.ArrayLike | None = None,
    fake_groups: npt.ArrayLike | None = None,
) -> Interval:
    """The total variance of the fake features over that of the real ones; the interval is symmetric in the logarithm.

    Args:
        real, fake: (N, D) and (M, D).
        real_groups, fake_groups: which rows belong together.

    >>> variance_ratio([[0.0], [2.0], [4.0]], [[0.0], [1.0], [2.0]]).value
    0.25
    """
    logarithm, variance = 0.0, 0.0
    for sign, rows, groups in ((-1, real, real_groups), (1, fake, fake_groups)):
        matrix = feature_matrix(rows, "real" if sign < 0 else "fake")
        squares = np.square(matrix - matrix.mean(axis=0)).sum(axis=1)
        total = float(squares.sum()) / (len(matrix) - 1)
        if total == 0:
            return Interval(0.0 if sign > 0 else math.nan, math.nan, math.nan)
        logarithm += sign * math.log(total)
        variance += clustered_variance(squares / squares.mean() - 1, groups)
    reach = NORMAL * math.sqrt(variance)
    return Interval(*(math.exp(logarithm + step) for step in (0.0, -reach, reach)))


def explained_shift(shift: npt.ArrayLike, directions: npt.ArrayLike, noise: float = 0.0) -> Floats64:
    """How much of a shift is a mixture of known directions: the share of its squared length that each explains.

    The directions get weights that are not negative, those of least squares. Where two are alike the one that fits
    better gets most.

    Args:
        shift: (D,).
        directions: (K, D), in which known changes move features.
        noise: what the squared length is larger by because means are of finitely many rows.

    Returns:
        (K,) shares, 0 or more, at most 1 together.

    >>> explained_shift([3.0, 4.0], [[1.0, 0.0], [0.0, -1.0]]).round(2).tolist()
    [0.36, 0.0]
    """
    vector = np.asarray(shift, dtype=np.float64)
    known = np.asarray(directions, dtype=np.float64)
    length = max(float(vector @ vector) - noise, 0.0)
    if length == 0:
        return np.zeros(len(known))
    weights, _ = nnls(known.T, vector)
    parts = weights * (known @ vector)  # they sum up to the squared length of the projection
    parts = np.maximum(parts, 0)
    return parts / max(length, float(parts.sum()))


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture of real features with one covariance, in whitened coordinates.

    Attributes:
        mean, axes: (D,) and (D, C) what takes features to the coordinates.
        centres: (K, C).
    """

    mean: Floats64
    axes: Floats64
    centres: Floats64

    @classmethod
    def fit(cls, rows: Floats64, seed: int) -> Mixture:
        """k-means clusters of the principal components, with the variance that is within clusters as the unit."""
        pca = PCA(min(COMPONENTS, len(rows) - 1, rows.shape[1]), svd_solver="randomized", random_state=seed)
        reduced = pca.fit_transform(rows)
        clusters = max(2, min(CLUSTERS, len(rows) // FACES_A_CLUSTER))
        found = KMeans(clusters, n_init=2, random_state=seed).fit(reduced)
        within = np.square(reduced - found.cluster_centers_[found.labels_]).mean(axis=0)
        unit = np.sqrt(within + 1e-9 * within.max() + 1e-30)
        return cls(pca.mean_, pca.components_.T / unit, found.cluster_centers_ / unit)

    def coordinates(self, rows: Floats64) -> Floats64:
        """(N, C) whitened coordinates of features (N, D)."""
        coordinates: Floats64 = (rows - self.mean) @ self.axes
        return coordinates

    def shares(self, points: Floats64, *, changed: bool) -> tuple[Floats64, Floats64]:
        """The shares of the components among points, and the probability of each component for each point.

        Args:
            points: (N, C) coordinates.
            changed: whether the points may have been shifted and scaled; the likelihood is then climbed from no shift
                and from that of the means, and the higher end counts.

        Returns:
            (K,) and (N, K).
        """
        middle = points.mean(axis=0) - self.centres.mean(axis=0)
        starts = (np.zeros(len(middle)), middle) if changed else (np.zeros(len(middle)),)
        fits = [self._climb(points, start, changed) for start in starts]
        return max(fits, key=lambda fit: fit[0])[1:]

    def _climb(self, points: Floats64, shift: Floats64, changed: bool) -> tuple[float, Floats64, Floats64]:
        """Expectation and maximisation: the mean log-likelihood, the shares and the probabilities."""
        count, dimension = points.shape
        shares = np.full(len(self.centres), 1 / len(self.centres))
        lengths = np.square(self.centres).sum(axis=1)
        scale, best = 1.0, -math.inf
        probabilities = np.zeros((count, len(shares)))
        for _ in range(STEPS):
            moved = points - shift
            squares = np.square(moved).sum(axis=1)[:, None] + scale**2 * lengths - 2 * scale * moved @ self.centres.T
            logits = np.log(np.maximum(shares, 1e-12)) - squares / (2 * scale**2) - dimension * math.log(scale)
            highest = logits.max(axis=1, keepdims=True)
            probabilities = np.exp(logits - highest)
            totals = probabilities.sum(axis=1, keepdims=True)
            probabilities /= totals
            likelihood = float((highest + np.log(totals)).mean())
            shares = probabilities.mean(axis=0)
            if likelihood - best < 1e-6:
                break
            best = likelihood
            if changed:
                shift = points.mean(axis=0) - scale * shares @ self.centres
                moved = points - shift
                length = float(np.square(moved).sum()) / count
                product = float((probabilities * (moved @ self.centres.T)).sum()) / count
                # where the derivative of the likelihood by the scale is 0
                scale = (math.sqrt(product**2 + 4 * dimension * length) - product) / (2 * dimension)
        return likelihood, shares, probabilities


@dataclass(frozen=True)
class Rows:
    """Real and synthetic rows, with all that distances of some of them are made of.

    Attributes:
        mixture: of real rows.
        points: (N, C) coordinates in the mixture.
        products: (N, N) inner products of the features, enough for distances as they are centred.
    """

    mixture: Mixture
    points: Floats64
    products: Floats32

    @classmethod
    def of(cls, real: Floats64, fake: Floats64, mixture: Mixture) -> Rows:
        """All real rows, then all fake ones."""
        rows = np.concatenate([real, fake])
        centred = (rows - real.mean(axis=0)).astype(np.float32)
        return cls(mixture, mixture.coordinates(rows), centred @ centred.T)

    def distances(self, x: Integers, y: Integers) -> Floats64:
        """(8,) energy distances between two sets of rows with each of `CHANGES` undone in y.

        They are in mean distances of two rows of x.
        """
        x_shares, probabilities = self.mixture.shares(self.points[x], changed=False)
        y_shares, _ = self.mixture.shares(self.points[y], changed=True)
        weights = probabilities @ (y_shares / np.maximum(x_shares, 1e-6))
        weights /= weights.sum()
        within_x, within_y, between = (self.products[np.ix_(*sides)] for sides in ((x, x), (y, y), (x, y)))
        x_squares, y_squares = (np.diagonal(products).astype(np.float64) for products in (within_x, within_y))
        # products with the mean of y, and with the mean that it would have if its modes were the only change
        x_mean, y_mean = (products.mean(axis=1, dtype=np.float64) for products in (between, within_y))
        x_target, y_target = (weights @ products for products in (within_x, between))
        target_variance = (weights @ x_squares - weights @ x_target) / (1 - weights @ weights)
        variance = (y_squares.mean() - y_mean.mean()) * len(y) / (len(y) - 1)
        undone = math.sqrt(target_variance / variance) if variance > 0 else 1.0
        each = np.stack([np.full(len(x), 1 / len(x)), weights])
        mean_within_x = (each * (each.astype(np.float32) @ _roots(x_squares, x_squares, within_x))).sum(axis=1)
        mean_within_x /= 1 - np.square(each).sum(axis=1)
        mean_within_y = _roots(y_squares, y_squares, within_y).sum(dtype=np.float64) / (len(y) * (len(y) - 1))
        distances = []
        for shift, scale in itertools.product((0.0, 1.0), (False, True)):
            factor = undone if scale else 1.0
            rest = 1 - factor - shift  # y is moved by `shift` times the target and `rest` times its own mean
            x_offset, y_offset = shift * x_target + rest * x_mean, shift * y_target + rest * y_mean
            length = shift * (weights @ x_offset) + rest * y_offset.mean()
            roots = _roots(
                x_squares - 2 * x_offset + length, factor * (factor * y_squares + 2 * y_offset), between, factor
            )
            distances.extend(2 * each @ roots.mean(axis=1, dtype=np.float64) - mean_within_x - factor * mean_within_y)
        relative: Floats64 = np.array(distances) / mean_within_x[0]
        return relative


def _roots(first: Floats64, second: Floats64, products: Floats32, factor: float = 1.0) -> Floats32:
    """(N, M) distances from squared lengths (N,) and (M,) and what the products are to be multiplied by."""
    squares = products * np.float32(-2 * factor)
    squares += first.astype(np.float32)[:, None]
    squares += second.astype(np.float32)
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _parts(distances: Floats64) -> Floats64:
    """(5,) the whole distance and what each of `PARTS` has of it.

    A change has no more of it than undoing it alone takes away. Else two changes that are not there could explain each
    other, where synthetic faces have another shape than the mixture can show.
    """
    left = dict(zip(CHANGES, distances, strict=True))
    parts = np.zeros(3)
    orders = list(itertools.permutations(range(3)))
    for order in orders:
        undone = [False, False, False]
        for part in order:
            before = left[undone[0], undone[1], undone[2]]
            undone[part] = True
            parts[part] += (before - left[undone[0], undone[1], undone[2]]) / len(orders)
    alone = [distances[0] - left[True, False, False], distances[0] - left[False, True, False]]
    parts = np.minimum(parts, [*alone, distances[0] - left[False, False, True]])
    parts = np.maximum(parts, 0)
    return np.array([distances[0], *parts, distances[0] - parts.sum()])


def _divided(parts: Floats64, replicates: Floats64) -> Decomposition:
    """Shares of the parts that are above 0, where the whole certainly is."""
    quantile = t_quantile(HALVES - 1)
    reach = quantile * float(replicates[:, 0].std(ddof=1))
    distance = Interval(float(parts[0]), float(parts[0]) - reach, float(parts[0]) + reach)
    if distance.low <= 0:
        return Decomposition(distance, dict.fromkeys(PARTS, Interval(math.nan, 0.0, 1.0)))
    shares = {}
    of_halves = np.maximum(replicates[:, 1:], 0)
    of_halves = of_halves / np.maximum(of_halves.sum(axis=1, keepdims=True), 1e-12)
    above = np.maximum(parts[1:], 0)
    for number, part in enumerate(PARTS):
        share = float(above[number] / above.sum())
        reach = quantile * float(of_halves[:, number].std(ddof=1))
        shares[part] = Interval(share, max(0.0, share - reach), min(1.0, share + reach))
    return Decomposition(distance, shares)


def _group_means(rows: Floats64, groups: npt.ArrayLike | None) -> Floats64:
    """(G, D) what each group adds to the error of the mean, so that their squares sum up to its variance."""
    centred = (rows - rows.mean(axis=0)) / len(rows)
    numbers = group_numbers(groups, len(rows))
    count = int(numbers.max()) + 1
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, numbers, centred)
    return sums * math.sqrt(count / (count - 1)) if count > 1 else sums * math.nan
