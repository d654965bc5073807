"""Learning on frozen features: a linear head, whose strength of regularisation is chosen on valid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from augface.arrays import Floats32
from augface.downstream import linear
from augface.downstream.arms import Arm
from augface.downstream.data import ExperimentData, TrainingSet
from augface.downstream.linear import LAST_LAYER_STRENGTHS, Projection, best_head, fit_path
from augface.downstream.real_only import METHODS, SYNTHETIC, Problem
from augface.threads import workers_within

STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
COPIES = 3
"""How often a run holds its inputs at most: as they are, blended, and the rows that it learns from."""
OTHERS_STRENGTHS = (1e-2,)
"""For attributes that were not requested, which are many."""
MIXING = 0.4
"""Both parameters of the beta distribution from which the share of the second face in a blend is drawn."""


@dataclass(frozen=True)
class Frozen:
    """A linear head on the principal components of features, for each attribute."""

    data: ExperimentData
    mode: ClassVar[str] = "frozen"
    joint: ClassVar[bool] = False
    """Whether all attributes are learnt together."""
    deterministic: ClassVar[bool] = True
    """Whether the same faces give the same classifier, whatever the seed."""

    @staticmethod
    def supports(arm: Arm) -> bool:
        """Whether the arm means anything here."""
        return arm.augmentation is None

    @property
    def workers(self) -> int:
        """As many as there are cores, where the memory is enough: each holds its inputs, and what it makes of them."""
        rows = len(self.data.real) + len(self.data.synthetic)
        return workers_within(COPIES * rows * (linear.DIMENSIONS + 1) * np.dtype(np.float32).itemsize)

    @property
    def protocol(self) -> dict[str, object]:
        """What changes the numbers."""
        return {
            "classifier": "logistic regression on principal components, strength chosen on valid",
            "dimensions": linear.DIMENSIONS,
            "strengths": list(STRENGTHS),
            "others_strengths": list(OTHERS_STRENGTHS),
            "last_layer_strengths": list(LAST_LAYER_STRENGTHS),
            "mixing": MIXING,
        }

    @cached_property
    def _projection(self) -> Projection:
        return Projection.of(np.asarray(self.data.real.inputs))

    @cached_property
    def _learn(self) -> tuple[Floats32, Floats32]:
        parts = [part for part in (self.data.real, self.data.synthetic) if len(part)]
        inputs = np.concatenate([self._projection(np.asarray(part.inputs)) for part in parts])
        return inputs, np.concatenate([part.labels for part in parts])

    @cached_property
    def _held_out(self) -> dict[str, Floats32]:
        return {name: self._projection(np.asarray(part.inputs)) for name, part in self.data.held_out.items()}

    def learn(
        self, arm: Arm, training: TrainingSet, attributes: list[int], random: np.random.Generator
    ) -> dict[str, Floats32]:
        """Log-odds of these attributes for the held-out faces, float32 (N, attributes) each."""
        inputs, labels = self._learn
        weights = training.shown * training.loss
        partner, share = None, np.ones(len(inputs), np.float32)
        if arm.mixup:
            rows = np.flatnonzero(weights)
            partner = np.arange(len(inputs))
            partner[rows] = random.permutation(rows)
            share = random.beta(MIXING, MIXING, len(inputs)).astype(np.float32)
            inputs = share[:, None] * inputs + (1 - share[:, None]) * inputs[partner]
        heads = []
        for attribute in attributes:
            if arm.method and attribute == 0:
                heads.append(self._chosen(METHODS[arm.method](self._problem(arm, training, random)), attribute))
                continue
            targets, known = (labels[:, attribute] + 1) / 2, labels[:, attribute] != 0
            if partner is not None:
                targets, known = share * targets + (1 - share) * targets[partner], known & known[partner]
            strengths = OTHERS_STRENGTHS if attribute else STRENGTHS
            head = self._chosen(fit_path(inputs, targets, weights * known, strengths), attribute)
            again = training.later * known if arm.synthetic_first else training.last_layer
            if arm.synthetic_first or (arm.last_layer and attribute == 0):
                nearer = fit_path(inputs, targets, again, LAST_LAYER_STRENGTHS, prior=head)
                head = self._chosen(nearer if arm.synthetic_first else [head, *nearer], attribute)
            heads.append(head)
        return {name: held_out @ np.stack(heads, axis=1) for name, held_out in self._held_out.items()}

    def _problem(self, arm: Arm, training: TrainingSet, random: np.random.Generator) -> Problem:
        """What the methods of `real_only` learn from; synthetic faces are of no group."""
        inputs, labels = self._learn
        count = len(self.data.real)
        groups = np.append(self.data.groups, np.full(len(labels) - count, SYNTHETIC))
        rows = np.flatnonzero((np.arange(len(labels)) < count) | (arm.uses_synthetic & (training.shown > 0)))
        return Problem(inputs[rows], labels[rows, 0], groups[rows], STRENGTHS, random)

    def _chosen(self, heads: list[Floats32], attribute: int) -> Floats32:
        rows, shown = self.data.valid.known(attribute)
        return best_head(heads, self._held_out["valid"][rows], shown)
