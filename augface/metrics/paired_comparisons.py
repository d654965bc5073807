"""Paired comparisons with ties: worths by Davidson's model, and whether the comparisons connect all kinds at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from augface.errors import DataError
from augface.metrics.crossed import CrossedEstimate, crossed_estimate

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

STEPS = 100
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Worths:
    """What comparisons say of each kind.

    Attributes:
        kinds: their names, the reference first.
        worths: log worth of each kind beyond the reference's, with errors over new raters and new faces. The odds that
            a kind is preferred to the reference, where there is no tie, are its exponential.
        tie: Davidson's nu: 0 where nobody ever sees a tie; 2 where two kinds of the same worth tie in half of all
            comparisons.
    """

    kinds: tuple[str, ...]
    worths: dict[str, CrossedEstimate]
    tie: float


def unconnected(first: npt.ArrayLike, second: npt.ArrayLike, outcome: npt.ArrayLike, kinds: Sequence[str]) -> list[str]:
    """The kinds that no chain of preferences (or ties) leads to, or away from: their worths cannot be estimated.

    Ford's condition (1957): in every division into two groups somebody of each is preferred to somebody of the other.

    >>> unconnected([0, 0], [1, 1], [1, 1], ["real", "generated"])
    ['generated']
    >>> unconnected([0, 0], [1, 1], [1, 0], ["real", "generated"])
    []
    """
    one, other, result = np.asarray(first), np.asarray(second), np.asarray(outcome)
    winners = np.concatenate([one[result >= 0], other[result <= 0]])
    losers = np.concatenate([other[result >= 0], one[result <= 0]])
    graph = csr_array((np.ones(len(winners)), (winners, losers)), shape=(len(kinds), len(kinds)))
    _, component = connected_components(graph, directed=True, connection="strong")
    return [kind for kind, number in zip(kinds, component, strict=True) if number != component[0]]


def davidson(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    outcome: npt.ArrayLike,
    kinds: Sequence[str],
    raters: npt.ArrayLike,
    items: npt.ArrayLike,
) -> Worths:
    """Maximum likelihood of Davidson's model (1970), in which ties are the more frequent the more alike two kinds are.

    With log worths a and b and tie parameter nu, the first wins, both tie, or the second wins in proportion to
    exp(a), nu exp((a + b) / 2) and exp(b). Without any tie this is the Bradley-Terry model. Answers of one rater, and
    those to one item, may depend on each other.

    Args:
        first: (T,) number of the kind at one side.
        second: (T,) number of the kind at the other.
        outcome: (T,) 1 where the first is preferred, 0 for a tie, -1 where the second is.
        kinds: names by number; the first is the reference, of log worth 0.
        raters: (T,) whole numbers.
        items: (T,) whole numbers: which faces were compared; faces that meet more than once belong to one item.

    Raises:
        DataError: a kind is not connected with the reference, or is compared with itself.
    """
    one, other, result = np.asarray(first), np.asarray(second), np.asarray(outcome)
    if (one == other).any():
        raise DataError("A kind cannot be compared with itself.")
    if lost := unconnected(one, other, result, kinds):
        raise DataError(
            f"No chain of preferences connects {', '.join(lost)} with {kinds[0]} in both ways (one is always "
            "preferred, or they were never compared), so that their worths cannot be estimated."
        )
    with_ties = bool((result == 0).any())
    count = len(kinds)
    parameters = np.zeros(count + 1)  # log worths, of which the first stays 0, and log nu
    if not with_ties:
        parameters[-1] = -np.inf
    free = np.arange(1, count + int(with_ties))
    for _ in range(STEPS):
        scores, information = _scores(parameters, one, other, result, count)
        step = np.linalg.solve(information[np.ix_(free, free)], scores[:, free].sum(axis=0))
        parameters[free] += np.clip(step, -1, 1)
        if np.abs(step).max() < TOLERANCE:
            break
    scores, information = _scores(parameters, one, other, result, count)
    influence = scores[:, free] @ np.linalg.inv(information[np.ix_(free, free)])
    return Worths(
        kinds=tuple(kinds),
        worths={
            kind: crossed_estimate(parameters[number], influence[:, number - 1], raters, items)
            for number, kind in enumerate(kinds)
            if number > 0
        },
        tie=float(np.exp(parameters[-1])),
    )


def _scores(parameters: Floats, one: Labels, other: Labels, result: Labels, count: int) -> tuple[Floats, Floats]:
    """(T, K + 1) the score of each comparison, and the expected information of all of them, (K + 1, K + 1)."""
    a, b, log_tie = parameters[one], parameters[other], parameters[-1]
    logits = np.stack([a, np.full(len(a), log_tie) + (a + b) / 2, b], axis=1)
    chances = special.softmax(logits, axis=1)
    rows = np.arange(len(a))
    gradients = np.zeros((3, len(a), count + 1))  # of the three logits
    gradients[0, rows, one] = 1
    gradients[1, rows, one] = gradients[1, rows, other] = 0.5
    gradients[1, :, -1] = 1
    gradients[2, rows, other] = 1
    mean = np.einsum("tk,ktp->tp", chances, gradients)
    answered = gradients[1 - result, rows]
    centred = gradients - mean
    information = np.einsum("tk,ktp,ktq->pq", chances, centred, centred)
    return answered - mean, information
