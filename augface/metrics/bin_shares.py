"""Whether synthetic faces leave out kinds of real faces: shares of bins, and of groups of attributes, on both sides.

Bins are k-means cells of a third set of faces, which is on neither side of the comparison (Richardson & Weiss 2018,
arXiv:1805.12462, make them of one side, whose proportions they then fit). What chance gives is found by flipping signs
at random: under equality each person's part in a difference of shares is as likely as its opposite (the wild bootstrap
of Wu 1986 with random signs, people as clusters). That is right for any two n, for several pictures a person on either
side, and for all bins of all spaces together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats, Floats64, Integers
from augface.errors import DataError
from augface.metrics.arrays import float_pair
from augface.metrics.intervals import NORMAL, Interval, clustered_variance, normal_interval

RESOLUTIONS = (10, 20, 40, 80)
"""Bins of a clustering: a lost mode is seen best where bins are about its size."""
CLUSTERINGS = 3
"""Of each resolution, as the features are and half whitened: where one cuts through a mode another may not."""
SHOWN_BINS = 40
"""Bins of the clustering that is counted and shown; the largest that there are where faces are too few for it."""
COMPONENTS = 64
"""Principal components that are clustered."""
FACES_A_BIN = 10
"""Least mean number of faces of a bin."""
SIGN_FLIPS = 999
"""Random sign flips of all people, which give the distribution under chance."""
LEAST = 20
"""Faces of each side."""
SUSPECT = 2.0
"""Standard errors from which on a bin counts as under-represented in the half of the people that chooses bins."""


@dataclass(frozen=True)
class Differences:
    """Shares of K bins or groups on both sides.

    Attributes:
        real, fake: (K,) share of the faces.
        error: (K,) standard error of the difference of the shares under equality.
        p_values: (K,) of equality, two-sided, corrected for all K (Westfall & Young 1993, single step).
        missing_p_values: (K,) that the fake share is no smaller, corrected likewise.
    """

    real: Floats64
    fake: Floats64
    error: Floats64
    p_values: Floats64
    missing_p_values: Floats64

    @property
    def z(self) -> Floats64:
        """(K,) the real share beyond the fake one, in standard errors; 0 where all or no faces are of the kind."""
        return np.divide(self.real - self.fake, self.error, out=np.zeros_like(self.real), where=self.error > 0)


@dataclass(frozen=True)
class Chance:
    """A number with what chance gives at these n and people: the mean and the middle 95 %.

    Attributes:
        p_value: that chance gives as much.
    """

    value: float
    null: Interval
    p_value: float


@dataclass(frozen=True)
class SpaceShares:
    """In one space.

    Attributes:
        reference_bins, fake_bins: (N,), (M,) the bin of each face.
        bins: their shares.
        different: how many bins have statistically different shares, each at 5 % (NDB).
        divergence: Jensen-Shannon divergence of the shares in bits, from 0 (equal) to 1 (nothing in common).
        missing: share of the real faces that is missing among fakes, about 0 where nothing is.
    """

    reference_bins: Integers
    fake_bins: Integers
    bins: Differences
    different: Chance
    divergence: Chance
    missing: Interval


@dataclass(frozen=True)
class ShareTest:
    """What the test found.

    Attributes:
        p_value: of the hypothesis that both sides have one distribution, over all bins, groups and spaces.
        spaces: what each shows.
        groups: shares of the groups, or None where none were given.
    """

    p_value: float
    spaces: list[SpaceShares]
    groups: Differences | None


def share_test(
    reference: Sequence[npt.ArrayLike],
    fake: Sequence[npt.ArrayLike],
    other: Sequence[npt.ArrayLike],
    *,
    reference_people: npt.ArrayLike | None = None,
    fake_people: npt.ArrayLike | None = None,
    reference_groups: Booleans | None = None,
    fake_groups: Booleans | None = None,
    random: np.random.Generator,
) -> ShareTest:
    """Test whether fakes fall into the bins of real faces, and into groups, as often as held-out real ones do.

    Three statistics are compared with chance and the least of their p-values with what it is by chance: the largest
    deficit of fakes in any bin (in standard errors), the squared differences of all bins over the others' shares, the
    largest difference of any group.

    Args:
        reference, fake, other: features in each of S spaces, (N, D), (M, D) and (L, D); the bins are clusters of
            `other`, real faces of other people.
        reference_people, fake_people: (N,) and (M,) who is on each face; each is someone else where not given.
        reference_groups, fake_groups: (N, G) and (M, G) which face belongs to which group.
        random: seeds the clusterings, flips signs and halves the people.

    Raises:
        DataError: too few rows (at least `LEAST` on each side), unlike dimensions, NaN or infinity, others all alike.
    """
    count, fake_count = len(np.asarray(reference[0])), len(np.asarray(fake[0]))
    sign_flips = _SignFlips(_people(reference_people, count), _people(fake_people, fake_count), random)
    spaces, deficits, squares = [], [], []
    for real_side, fake_side, other_side in zip(reference, fake, other, strict=True):
        first, second = float_pair(real_side, fake_side, LEAST)
        _, third = float_pair(real_side, other_side, LEAST)
        shares, deficit, square = _space(first, second, third, sign_flips, random)
        spaces.append(shares)
        deficits.append(deficit)
        squares.append(square)
    statistics = [np.max(deficits, axis=0), np.sum(squares, axis=0)]
    groups = None
    if reference_groups is not None and fake_groups is not None and reference_groups.shape[1]:
        group_shares, group_scores = sign_flips.differences(np.concatenate([reference_groups, fake_groups]))
        groups = _corrected(*group_shares, group_scores)
        statistics.append(abs(group_scores).max(axis=1))
    least = np.min([_p_values(statistic) for statistic in statistics], axis=0)
    return ShareTest(float((least <= least[0]).mean()), spaces, groups)


def share_ratio(
    reference: Booleans, fake: Booleans, reference_people: npt.ArrayLike | None, fake_people: npt.ArrayLike | None
) -> Interval:
    """The share of fakes that are of a kind over that of real faces, with pictures of a person kept together.

    The interval is symmetric in the logarithm, half a face added to the counts (Walter 1975) of as many independent
    faces as carry as much information. NaN where no real face is of the kind.

    Args:
        reference, fake: (N,) and (M,) whether each face is of the kind.
        reference_people, fake_people: (N,) and (M,) who is on each.
    """
    logarithms, variance = [], 0.0
    for side, people in ((reference, reference_people), (fake, fake_people)):
        share, scatter = side.mean(), clustered_variance(side - side.mean(), people)
        trials = share * (1 - share) / scatter if scatter > 0 else len(side)
        logarithms.append(np.log((share * trials + 0.5) / (trials + 0.5)))
        variance += 1 / (share * trials + 0.5) - 1 / (trials + 0.5)
    middle, reach = logarithms[1] - logarithms[0], NORMAL * np.sqrt(variance)
    value = float(fake.mean() / reference.mean()) if reference.any() else float("nan")
    ends = float(np.exp(middle - reach)), float(np.exp(middle + reach))
    return Interval(value, float(np.fmin(value, ends[0])), float(np.fmax(value, ends[1])))


class _SignFlips:
    """Differences of shares of two sides, as they are and with the sign of each person's part flipped at random."""

    def __init__(self, reference_people: Integers, fake_people: Integers, random: np.random.Generator) -> None:
        self.people = np.concatenate([reference_people, fake_people + reference_people.max() + 1])
        self.reference_count, self.fake_count = len(reference_people), len(fake_people)
        self._order = np.argsort(self.people, kind="stable")
        self._starts = np.flatnonzero(np.diff(self.people[self._order], prepend=-1))
        signs = random.integers(0, 2, (SIGN_FLIPS + 1, len(self._starts)), dtype=np.int8) * 2 - 1
        signs[0] = 1
        self._signs = signs.astype(np.float32)

    def differences(self, kinds: Booleans) -> tuple[tuple[Floats64, Floats64, Floats64], Floats64]:
        """Of K kinds, (N + M, K): shares of both sides and the error of their difference, (K,) each; its scores.

        Returns:
            The shares and errors; (1 + SIGN_FLIPS, K) differences in standard errors, the first as they are.
        """
        real, fake = kinds[: self.reference_count].mean(axis=0), kinds[self.reference_count :].mean(axis=0)
        parts = kinds - kinds.mean(axis=0, dtype=np.float32)
        parts[: self.reference_count] /= self.reference_count
        parts[self.reference_count :] /= -self.fake_count
        sums = np.add.reduceat(parts[self._order], self._starts, axis=0)
        error = np.sqrt(np.square(sums).sum(axis=0, dtype=np.float64))
        constant = kinds.all(axis=0) | ~kinds.any(axis=0)
        scores = np.where(constant, 0, self._signs @ sums / np.where(constant, 1, error))
        return (real, fake, np.where(constant, 0, error)), scores


def _space(
    reference: Floats, fake: Floats, other: Floats, sign_flips: _SignFlips, random: np.random.Generator
) -> tuple[SpaceShares, Floats64, Floats64]:
    """What one space shows; over its bins the largest deficit and the squared differences, (1 + SIGN_FLIPS,) each.

    Squares are taken over the shares of the others, not over their errors or the shares of the compared: a bin that no
    person of many pictures has happened to fall into shows neither the error nor the share that it has.
    """
    clusterings, weights = _clusterings(reference, fake, other, random)
    shown = int(np.argmin([abs(len(shares) - SHOWN_BINS) for shares in weights]))
    count = sign_flips.reference_count
    deficits, squares = np.full(1 + SIGN_FLIPS, -np.inf), np.zeros(1 + SIGN_FLIPS)
    for number, (bins, expected) in enumerate(zip(clusterings, weights, strict=True)):
        (real, fake_shares, error), scores = sign_flips.differences(bins[:, None] == np.arange(len(expected)))
        deficits = np.maximum(deficits, scores.max(axis=1))
        squares += np.square(scores * error) @ (1 / expected.clip(min=1 / len(other)))
        if number == shown:
            differences, chances = _corrected(real, fake_shares, error, scores), scores
    shares = SpaceShares(
        reference_bins=clusterings[shown][:count],
        fake_bins=clusterings[shown][count:],
        bins=differences,
        different=_chance((abs(chances) > NORMAL).sum(axis=1)),
        divergence=_chance(_divergences(differences, chances, count / len(sign_flips.people))),
        missing=_missing_share(clusterings, sign_flips, random),
    )
    return shares, deficits, squares


def _clusterings(
    reference: Floats, fake: Floats, other: Floats, random: np.random.Generator
) -> tuple[list[Integers], list[Floats64]]:
    """The bin of each reference face and fake, (N + M,), in each clustering of the others; the others' shares."""
    import faiss

    centre = other.mean(axis=0, dtype=np.float64).astype(other.dtype)
    axes, spreads = _principal(other - centre)
    projected = [(side - centre) @ axes for side in (other, np.concatenate([reference, fake]))]
    half_whitening = np.sqrt(spreads)
    clusterings, weights = [], []
    for bins in (size for size in RESOLUTIONS if size == RESOLUTIONS[0] or len(other) >= size * FACES_A_BIN):
        for scale in (np.ones_like(spreads), half_whitening):
            others, compared = (np.ascontiguousarray(side / scale, dtype=np.float32) for side in projected)
            for _ in range(CLUSTERINGS):
                means = faiss.Kmeans(
                    len(spreads), bins, niter=15, seed=int(random.integers(1 << 31)), min_points_per_centroid=1
                )
                means.train(others)
                clusterings.append(means.index.search(compared, 1)[1][:, 0])
                weights.append(np.bincount(means.index.search(others, 1)[1][:, 0], minlength=bins) / len(other))
    return clusterings, weights


def _principal(rows: Floats) -> tuple[Floats, Floats]:
    """Main axes (D, K) of centred rows (N, D), and how far the rows spread along each, (K,)."""
    from scipy.linalg import eigh

    wide = len(rows) < rows.shape[1]
    products = (rows @ rows.T if wide else rows.T @ rows).astype(np.float64)
    size = len(products)
    values, vectors = eigh(products, subset_by_index=[max(0, size - COMPONENTS), size - 1])
    if values[-1] <= 0:
        raise DataError("The faces that are clustered are all alike, so there are no kinds to distinguish.")
    kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1]
    spreads = np.sqrt(values[kept])
    axes = rows.T @ vectors[:, kept] / spreads if wide else vectors[:, kept]
    return axes.astype(rows.dtype), (spreads / np.sqrt(len(rows))).astype(rows.dtype)


def _missing_share(clusterings: list[Integers], sign_flips: _SignFlips, random: np.random.Generator) -> Interval:
    """By how much fakes fall short in the under-represented bins, which are chosen on the other half of the people.

    What chance makes of the bins that one half chooses is the same on both sides of the other half, so that nothing is
    missing on average where nothing is. The mean over clusterings, and over both ways round.
    """
    first = (random.permutation(sign_flips.people.max() + 1) % 2 == 0)[sign_flips.people]
    real = np.arange(len(sign_flips.people)) < sign_flips.reference_count
    suspect = np.zeros(len(sign_flips.people))
    for bins in clusterings:
        for chosen in (first, ~first):
            sides = [bins[chosen & side] for side in (real, ~real)]
            counts = [np.bincount(side, minlength=bins.max() + 1) for side in sides]
            p, q = (count / max(len(side), 1) for count, side in zip(counts, sides, strict=True))
            scatter = np.sqrt(sum(s * (1 - s) / max(len(side), 1) for s, side in zip((p, q), sides, strict=True)))
            suspect[~chosen] += (p - q > SUSPECT * scatter)[bins[~chosen]] / len(clusterings)
    value, error = 0.0, 0.0
    for half in (first, ~first):
        sides = [half & side for side in (real, ~real)]
        if not all(side.any() for side in sides):
            return Interval(float("nan"), float("nan"), float("nan"))
        means = [suspect[side].mean() for side in sides]
        variances = [
            clustered_variance(suspect[side] - mean, sign_flips.people[side])
            for side, mean in zip(sides, means, strict=True)
        ]
        value += (means[0] - means[1]) / 2
        error += float(np.sqrt(sum(variances))) / 2  # added up: either half chooses for the other, so both err together
    return normal_interval(float(value), float(error))


def _divergences(bins: Differences, scores: Floats64, reference_share: float) -> Floats64:
    """Jensen-Shannon divergences in bits (Lin 1991) of the shares as they are, and as they are by chance."""
    pooled = reference_share * bins.real + (1 - reference_share) * bins.fake
    difference = scores * bins.error
    p, q = pooled + (1 - reference_share) * difference, pooled - reference_share * difference
    p, q = (side.clip(min=0) / side.clip(min=0).sum(axis=1, keepdims=True) for side in (p, q))
    return np.asarray(_entropies((p + q) / 2) - (_entropies(p) + _entropies(q)) / 2)


def _entropies(shares: Floats64) -> Floats64:
    return np.asarray(-(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1))


def _corrected(real: Floats64, fake: Floats64, error: Floats64, scores: Floats64) -> Differences:
    """Each observed difference against the largest of all that chance gives."""
    two_sided, missing = ((side.max(axis=1)[:, None] >= side[0]).mean(axis=0) for side in (abs(scores), scores))
    return Differences(real, fake, error, two_sided, missing)


def _chance(values: npt.NDArray[np.floating | np.integer]) -> Chance:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    null = Interval(float(values[1:].mean()), float(low), float(high))
    return Chance(float(values[0]), null, float((values >= values[0]).mean()))


def _p_values(statistic: Floats64) -> Floats64:
    """The share of values that are at least as large, for each."""
    ordered = np.sort(statistic)
    return np.asarray(1 - np.searchsorted(ordered, statistic, side="left") / len(statistic))


def _people(people: npt.ArrayLike | None, count: int) -> Integers:
    """Numbers from 0 for who is on each of `count` faces."""
    if people is None:
        return np.arange(count)
    if np.shape(people) != (count,):
        raise DataError(f"People must be one label for each of {count} faces, not {np.shape(people)}.")
    return np.unique(np.asarray(people), return_inverse=True)[1].astype(np.int64)
