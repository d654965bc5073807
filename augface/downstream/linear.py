"""The frozen learner: logistic regression on features that real faces vary in most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, special
from sklearn.decomposition import PCA

from augface.arrays import Booleans, Floats32
from augface.features.base import Features
from augface.metrics.scores import average_precisions

DIMENSIONS = 256
"""Principal components kept: as good as all 1,280 features of the default space, at a twentieth of the time, and a
foreign style in features that hardly vary among real faces is left out."""
LAST_LAYER_STRENGTHS = (10.0, 1.0, 1e-1, 1e-2)
"""Regularisation in last-layer retraining: from hardly any change of a head to one that nearly forgets it."""
ITERATIONS = 30
BLOCK = 1 << 16
"""Rows that are weighted at a time, so that no second copy of all is needed."""
TOLERANCE = 1e-6
"""Largest gradient of the mean loss at which the minimum counts as found."""


@dataclass(frozen=True)
class Projection:
    """Features to the principal components of real training faces, at one common scale, and a constant 1."""

    _components: PCA
    _scale: float

    @classmethod
    def of(cls, features: Features) -> Projection:
        """The directions in which these (N, D) features vary most, at most `DIMENSIONS` of them."""
        count, dimension = features.shape
        components = PCA(
            min(DIMENSIONS, count, dimension), svd_solver="covariance_eigh" if count >= dimension else "full"
        ).fit(features)
        return cls(components, max(float(components.explained_variance_.mean()), 1e-12) ** 0.5)

    def __call__(self, features: Features) -> Floats32:
        """(N, D) features to float32 (N, components + 1)."""
        projected = self._components.transform(features) / self._scale
        return np.concatenate([projected, np.ones((len(features), 1), np.float32)], axis=1, dtype=np.float32)


def fit_logistic(
    inputs: Floats32,
    targets: npt.ArrayLike,
    weights: npt.ArrayLike,
    strength: float,
    *,
    prior: Floats32 | None = None,
    start: Floats32 | None = None,
    offset: npt.ArrayLike = 0.0,
) -> Floats32:
    """Logistic regression to its minimum, by Newton's method.

    Minimises the weighted mean of the cross-entropy plus `strength` / 2 times the squared distance of the coefficients
    from `prior`: the harder to leave the better known it is.

    Args:
        inputs: (N, D), the last column constant; its coefficient is free.
        targets: (N,) from 0 to 1.
        weights: (N,) how much each row counts, 0 or more.
        strength: above 0.
        prior: (D,) what to stay near; zeros where not given.
        start: (D,) where to begin, such as the minimum for another strength: sooner done; the prior where not given.
        offset: (N,) what is added to the log-odds of each row while fitting, and not afterwards.

    Returns:
        (D,) coefficients.
    """
    rows = np.flatnonzero(weights)
    targets = np.asarray(targets, np.float32)
    inputs, wanted = inputs[rows], targets[rows]
    counts = np.asarray(weights, np.float32)[rows]
    counts /= counts.sum()
    added = np.broadcast_to(np.asarray(offset, np.float32), len(targets))[rows]
    centre = np.zeros(inputs.shape[1], np.float32) if prior is None else prior
    penalty = np.full(inputs.shape[1], strength, np.float32)
    penalty[-1] = 1e-6

    def loss(coefficients: Floats32) -> float:
        logits = inputs @ coefficients + added
        cross_entropy = np.logaddexp(0, logits) - wanted * logits
        return float(counts @ cross_entropy + (penalty * (coefficients - centre) ** 2).sum() / 2)

    coefficients = centre.copy() if start is None else start
    lowest = loss(coefficients)
    for _ in range(ITERATIONS):
        probabilities = special.expit(inputs @ coefficients + added)
        gradient = inputs.T @ (counts * (probabilities - wanted)) + penalty * (coefficients - centre)
        if np.abs(gradient).max() < TOLERANCE:
            break
        curvature = np.sqrt(counts * probabilities * (1 - probabilities))
        hessian = np.diag(penalty)
        for first in range(0, len(inputs), BLOCK):
            block = inputs[first : first + BLOCK] * curvature[first : first + BLOCK, None]
            hessian += block.T @ block  # symmetric, so that half of the products will do
        step = linalg.solve(hessian.astype(np.float64), gradient, assume_a="pos")
        size = 1.0
        while (reached := loss((coefficients - size * step).astype(np.float32))) > lowest and size > 1e-3:
            size /= 2
        if reached >= lowest:  # no lower in single precision
            break
        coefficients, lowest = (coefficients - size * step).astype(np.float32), reached
    return coefficients


def fit_path(
    inputs: Floats32,
    targets: npt.ArrayLike,
    weights: npt.ArrayLike,
    strengths: Sequence[float],
    *,
    prior: Floats32 | None = None,
) -> list[Floats32]:
    """`fit_logistic` for each strength, each from where the one before ended."""
    heads: list[Floats32] = []
    for strength in strengths:
        start = heads[-1] if heads else None
        heads.append(fit_logistic(inputs, targets, weights, strength, prior=prior, start=start))
    return heads


def best_head(heads: Sequence[Floats32], inputs: Floats32, shown: Booleans) -> Floats32:
    """The coefficients that rank (N, D) inputs best by whether they show the attribute; the first of equals."""
    scores = [average_precisions(shown, inputs @ head)[0] for head in heads]
    return heads[int(np.nanargmax(scores))]
