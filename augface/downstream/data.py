"""What an experiment is made of, and what each arm learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.arrays import Booleans, Floats32, Floats64, Integers
from augface.data.pixels import ImageRows
from augface.downstream.arms import Arm
from augface.seeds import random_generator

KEPT = 0.8
"""The share of the synthetic faces that each seed draws.

All real faces are trained on in each seed: a generator has seen them all, and where an arm without synthetic faces saw
fewer, synthetic faces would help by conveying those that it missed.
"""


@dataclass(frozen=True)
class Part:
    """Faces of one side of the experiment.

    Attributes:
        inputs: (N, D) features, or N images.
        labels: float32 (N, attributes): 1 where present, -1 where absent, 0 where unknown.
        people: (N,) whose face each is.
    """

    inputs: npt.NDArray[Any] | ImageRows
    labels: Floats32
    people: Integers

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Integers) -> Part:
        """Some of the faces."""
        inputs = self.inputs.take(rows) if isinstance(self.inputs, ImageRows) else self.inputs[rows]
        return Part(inputs, self.labels[rows], self.people[rows])

    def known(self, attribute: int) -> tuple[Integers, Booleans]:
        """The rows whose label of one attribute is known, and these labels."""
        rows = np.flatnonzero(self.labels[:, attribute])
        return rows, self.labels[rows, attribute] > 0


@dataclass(frozen=True)
class ExperimentData:
    """One question: do the synthetic faces help to classify the target?

    Attributes:
        attributes: the names of the labels' columns, the target first.
        real: the training faces.
        synthetic: what may be added to them.
        groups: (N,) the group of each training face, for arms that balance groups.
        held_out: real faces of other people: `valid`, to choose on, `test`, to score on, and any others.
    """

    attributes: list[str]
    real: Part
    synthetic: Part
    groups: Integers
    held_out: Mapping[str, Part]

    @property
    def valid(self) -> Part:
        """Real faces of other people, to choose on."""
        return self.held_out["valid"]

    @property
    def test(self) -> Part:
        """Real faces of yet other people, to score on."""
        return self.held_out["test"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that a run depends on, but for its arm and seed."""
        digest = hashlib.sha256("\n".join(self.attributes).encode())
        for part in (self.real, self.synthetic, *self.held_out.values()):
            for array in (np.asarray(part.inputs), part.labels, part.people):
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        digest.update(np.ascontiguousarray(self.groups).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class TrainingSet:
    """What one run learns from: all arrays are over the real training faces, then the synthetic ones.

    Attributes:
        shown: how often each face is shown, in proportion.
        later: the same for the later two thirds of the training.
        loss: its weight in the loss.
        last_layer: how much it counts in retraining the last layer.
    """

    shown: Floats64
    later: Floats64
    loss: Floats64
    last_layer: Floats64


def training_set(arm: Arm, data: ExperimentData, seed: int, master_seed: int) -> TrainingSet:
    """The faces of one arm and seed. For one seed all arms draw the same synthetic faces.

    Args:
        arm: how to train.
        data: the question.
        seed: which draw of synthetic and repeated faces.
        master_seed: of the whole experiment.
    """
    random = random_generator(master_seed, "downstream", seed)
    real, synthetic = data.real, data.synthetic
    order = random.permutation(len(synthetic))
    target = np.concatenate([real.labels[:, 0], synthetic.labels[:, 0]])
    count = len(real)
    drawn = np.zeros(len(target), dtype=np.bool_)
    drawn[:count] = real.labels[:, 0] != 0
    if arm.minority < 1:
        rare = min((np.flatnonzero(real.labels[:, 0] == value) for value in (1, -1)), key=len)
        kept = random_generator(master_seed, "minority", seed).permutation(rare)[: round(arm.minority * len(rare))]
        drawn[np.setdiff1d(rare, kept)] = False
    real_drawn = drawn.copy()
    if arm.synthetic and len(synthetic):
        drawn[count + order[: max(1, round(KEPT * arm.synthetic * len(synthetic)))]] = True
        drawn &= target != 0
    if not arm.real:  # of classes that were generated, synthetic faces only
        for value in np.unique(target[count:][drawn[count:]]):
            drawn[:count] &= real.labels[:, 0] != value
    shown = drawn.astype(np.float64)
    loss = np.ones(len(target))
    kinds = [np.flatnonzero(drawn & (target == value)) for value in (1, -1)]
    if arm.balance == "loss":
        loss = _equalised(kinds, len(target))
    elif arm.balance == "draws":
        few, many = sorted(kinds, key=len)
        _repeat(shown, few, len(many) - len(few), random)
    elif arm.balance == "groups":
        shown = _equalised(_cells(data, real_drawn), len(target))
    if arm.copies:
        for value, kind in zip((1, -1), kinds, strict=True):
            _repeat(shown, kind, round(KEPT * arm.copies * int((synthetic.labels[:, 0] == value).sum())), random)
    return TrainingSet(
        shown,
        real_drawn.astype(np.float64) if arm.synthetic_first else shown,
        loss,
        _equalised(_cells(data, real_drawn), len(target)),
    )


def _cells(data: ExperimentData, drawn: Booleans) -> list[Integers]:
    """The rows of each kind in each group, among the drawn real faces."""
    labels = data.real.labels[:, 0]
    on = drawn[: len(labels)]
    cells = [
        np.flatnonzero(on & (labels == value) & (data.groups == group))
        for value in (1, -1)
        for group in np.unique(data.groups)
    ]
    return [cell for cell in cells if len(cell)]


def _equalised(cells: list[Integers], count: int) -> Floats64:
    """Weights with the same sum in each cell, on average 1 in all of them; 0 elsewhere."""
    weights = np.zeros(count)
    whole = sum(len(cell) for cell in cells)
    for cell in cells:
        if len(cell):
            weights[cell] = whole / (len(cells) * len(cell))
    return weights


def _repeat(shown: Floats64, rows: Integers, times: int, random: np.random.Generator) -> None:
    """Show some of the rows, chosen at random with replacement, that many times more."""
    if len(rows) and times > 0:
        shown += np.bincount(random.choice(rows, times), minlength=len(shown))
