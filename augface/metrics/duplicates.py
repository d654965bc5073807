"""Near-duplicates among synthetic faces, and how many different faces a generator that makes so many of them has.

The birthday paradox test (Arora & Zhang 2017, arXiv:1706.08224) with real faces of different people as the measure of
what is near, and as the measure of how often chance puts two faces so near to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.arrays import Booleans, Floats64, Integers
from augface.metrics.intervals import Interval, group_numbers
from augface.metrics.neighbours import Neighbours

NEIGHBOURS = 20
"""Of each face that are looked at for near-duplicates."""
NEAR = 4
"""So many separate pairs of real faces are near-duplicates, more where there are ties: the threshold is the distance of
the last of them."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of near faces of different people, the nearest first.

    Attributes:
        first, second: (P,) rows of the faces.
        distances: (P,).
        separate: (P,) the pair is the nearest that is left of both its people: no face is counted twice, however many
            are alike.
    """

    first: Integers
    second: Integers
    distances: Floats64
    separate: Booleans

    def repeating(self, threshold: float, count: int) -> Booleans:
        """(count,) which of the faces have another within the threshold."""
        near = self.distances <= threshold
        repeating = np.zeros(count, dtype=np.bool_)
        repeating[self.first[near]] = repeating[self.second[near]] = True
        return repeating


@dataclass(frozen=True)
class DuplicateTest:
    """What the near-duplicates say.

    Attributes:
        threshold: distance up to which two faces are near-duplicates.
        pairs: of fakes, the nearest first, within the threshold or not.
        real_pairs: of each real set, likewise.
        separate, real_separate: pairs of near-duplicates with no face in two, among fakes and the mean among as many
            real faces.
        p_value: of the hypothesis that fakes have no more than real faces have.
        support: how many equally frequent faces would give so many pairs; infinite where there is no pair.
        repeating: (M,) the fake has a near-duplicate.
    """

    threshold: float
    pairs: Pairs
    real_pairs: list[Pairs]
    separate: int
    real_separate: float
    p_value: float
    support: Interval
    repeating: Booleans


def duplicate_test(
    fake: npt.ArrayLike,
    real: Sequence[npt.ArrayLike],
    *,
    fake_people: npt.ArrayLike | None = None,
    real_people: Sequence[npt.ArrayLike | None],
) -> DuplicateTest:
    """Test whether there are more near-duplicates among fakes than among as many real faces of different people.

    Separate pairs that are near by chance come as points of a Poisson process along the distance. Up to the distance
    of the k-th pair of S real sets, their number among fakes is then negative binomial, whatever the space.

    Args:
        fake: (M, D) features.
        real: S sets of real faces, (M, D) each, with no person in two of them.
        fake_people: (M,) who is on each fake, where that is known: two faces of one person are no near-duplicates.
        real_people: S times (M,), likewise.
    """
    pairs = near_pairs(fake, fake_people)
    sets = [near_pairs(side, people) for side, people in zip(real, real_people, strict=True)]
    distances = np.sort(np.concatenate([side.distances[side.separate] for side in sets]))
    threshold = float(distances[:NEAR][-1]) if len(distances) else 0.0
    near = pairs.distances <= threshold
    separate, real_separate = int((near & pairs.separate).sum()), int((distances <= threshold).sum())
    chance = len(sets) / (len(sets) + 1)  # that the next pair is one of real faces
    p_value = float(special.betaincc(max(real_separate, 1), separate, chance)) if separate else 1.0
    count = len(np.asarray(fake))
    return DuplicateTest(
        threshold=threshold,
        pairs=pairs,
        real_pairs=sets,
        separate=separate,
        real_separate=real_separate / len(sets),
        p_value=p_value,
        support=support_size(pairs.first[near], pairs.second[near], count),
        repeating=pairs.repeating(threshold, count),
    )


def near_pairs(features: npt.ArrayLike, people: npt.ArrayLike | None = None) -> Pairs:
    """Each face (N, D) with its nearest neighbours of other people; each is someone else where not given."""
    rows = np.asarray(features)
    persons = group_numbers(people, len(rows))
    distances, neighbours = Neighbours(rows).search(rows, min(NEIGHBOURS, len(rows)))
    first, second = np.repeat(np.arange(len(rows)), neighbours.shape[1]), neighbours.ravel()
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, once = np.unique(low * len(rows) + high, return_index=True)
    once = once[persons[low[once]] != persons[high[once]]]
    order = once[np.argsort(distances.ravel()[once], kind="stable")]
    low, high = low[order], high[order]
    taken, separate = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(order), dtype=np.bool_)
    for index, (a, b) in enumerate(zip(persons[low].tolist(), persons[high].tolist(), strict=True)):
        if not taken[a] and not taken[b]:
            taken[a] = taken[b] = separate[index] = True
    return Pairs(low, high, distances.ravel()[order].astype(np.float64), separate)


def support_size(first: Integers, second: Integers, count: int) -> Interval:
    """How many equally frequent faces would give so many pairs of equal ones among `count` draws.

    The estimate is n (n - 1) / 2 over the pairs, which is the reciprocal of the chance that two draws are equal. Its
    interval is the exact one of Poisson counts, for as many independent pairs as have the variance of these: pairs that
    share a face vary together, so that one face generated 50 times is much less evidence than 50 faces generated twice.

    Args:
        first, second: (P,) rows of the near-duplicates; of a crowd of more than `NEIGHBOURS` equal faces only some
            pairs are needed, all faces that hang together count as equal.
        count: n.

    Returns:
        Infinite, with a lower bound, where there is no pair.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(first)), (first, second)), (count, count))
    sizes = np.bincount(connected_components(links, directed=False)[1]).astype(np.float64)
    possible, pairs = count * (count - 1) / 2, float((sizes * (sizes - 1) / 2).sum())
    if not pairs:
        return Interval(float("inf"), possible / float(special.chdtri(2, 0.025) / 2), float("inf"))
    crowding = max(float((sizes * (sizes - 1) * (sizes - 2)).sum()) - 4 * pairs**2 / count, 0.0)
    independent = pairs**2 / (pairs + crowding)
    fewest = float(special.chdtri(2 * independent, 0.975)) / 2
    most = float(special.chdtri(2 * independent + 2, 0.025)) / 2
    high = possible * independent / (pairs * fewest) if fewest else float("inf")
    return Interval(possible / pairs, max(1.0, possible * independent / (pairs * most)), high)
