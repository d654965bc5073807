"""What an experiment is made of, and what each arm learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.data.dataset import ImageRows
from augface.downstream.arms import Arm
from augface.seeds import random_generator

KEPT = 0.8
"""The share of the made faces that each seed draws.

Real faces are all learnt from in each seed: a generator has seen them all, and where an arm without made faces saw
fewer, made faces would help by telling of those that it missed.
"""

Labels = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Faces of one side of the experiment.

    Attributes:
        inputs: (N, D) features, or N images.
        labels: float32 (N, attributes): 1 where present, -1 where absent, 0 where unknown.
        people: (N,) whose face each is.
    """

    inputs: npt.NDArray[Any] | ImageRows
    labels: npt.NDArray[np.float32]
    people: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Part:
        """Some of the faces."""
        inputs = self.inputs.take(rows) if isinstance(self.inputs, ImageRows) else self.inputs[rows]
        return Part(inputs, self.labels[rows], self.people[rows])

    def known(self, attribute: int) -> tuple[npt.NDArray[np.int64], Labels]:
        """The rows whose label of one attribute is known, and these labels."""
        rows = np.flatnonzero(self.labels[:, attribute])
        return rows, self.labels[rows, attribute] > 0


@dataclass(frozen=True)
class Material:
    """One question: do the made faces help to tell the target?

    Attributes:
        attributes: the names of the labels' columns, the target first.
        real: the training faces.
        made: what may be added to them.
        groups: (N,) the group of each training face, for arms that balance groups.
        held_out: real faces of other people: `valid`, to choose on, `test`, to score on, and any others.
    """

    attributes: list[str]
    real: Part
    made: Part
    groups: npt.NDArray[np.int64]
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
        for part in (self.real, self.made, *self.held_out.values()):
            for array in (np.asarray(part.inputs), part.labels, part.people):
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        digest.update(np.ascontiguousarray(self.groups).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class TrainingSet:
    """What one run learns from: all arrays are over the real training faces, then the made ones.

    Attributes:
        shown: how often each face is shown, in proportion.
        later: the same for the later two thirds of the training.
        loss: its weight in the loss.
        refit: how much it counts in a refit of the last layer.
    """

    shown: Weights
    later: Weights
    loss: Weights
    refit: Weights


def training_set(arm: Arm, material: Material, seed: int, master_seed: int) -> TrainingSet:
    """The faces of one arm and seed. For one seed all arms draw the same made faces.

    Args:
        arm: how to train.
        material: the question.
        seed: which draw of made and repeated faces.
        master_seed: of the whole experiment.
    """
    random = random_generator(master_seed, "downstream", seed)
    real, made = material.real, material.made
    order = random.permutation(len(made))
    target = np.concatenate([real.labels[:, 0], made.labels[:, 0]])
    count = len(real)
    drawn = np.zeros(len(target), dtype=np.bool_)
    drawn[:count] = real.labels[:, 0] != 0
    real_drawn = drawn.copy()
    if arm.made and len(made):
        drawn[count + order[: max(1, round(KEPT * arm.made * len(made)))]] = True
        drawn &= target != 0
    if not arm.real:  # of kinds that were made, made faces only
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
        shown = _equalised(_cells(material, real_drawn), len(target))
    if arm.copies:
        for value, kind in zip((1, -1), kinds, strict=True):
            _repeat(shown, kind, round(KEPT * arm.copies * int((made.labels[:, 0] == value).sum())), random)
    return TrainingSet(
        shown,
        real_drawn.astype(np.float64) if arm.made_first else shown,
        loss,
        _equalised(_cells(material, real_drawn), len(target)),
    )


def _cells(material: Material, drawn: Labels) -> list[npt.NDArray[np.int64]]:
    """The rows of each kind in each group, among the drawn real faces."""
    labels = material.real.labels[:, 0]
    on = drawn[: len(labels)]
    cells = [
        np.flatnonzero(on & (labels == value) & (material.groups == group))
        for value in (1, -1)
        for group in np.unique(material.groups)
    ]
    return [cell for cell in cells if len(cell)]


def _equalised(cells: list[npt.NDArray[np.int64]], count: int) -> Weights:
    """Weights with the same sum in each cell, on average 1 in all of them; 0 elsewhere."""
    weights = np.zeros(count)
    whole = sum(len(cell) for cell in cells)
    for cell in cells:
        if len(cell):
            weights[cell] = whole / (len(cells) * len(cell))
    return weights


def _repeat(shown: Weights, rows: npt.NDArray[np.int64], times: int, random: np.random.Generator) -> None:
    """Show some of the rows, chosen at random with replacement, that many times more."""
    if len(rows) and times > 0:
        shown += np.bincount(random.choice(rows, times), minlength=len(shown))
