"""Running all arms and seeds, and what their decisions are worth. What is finished is kept, and not done again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from augface.arrays import Booleans, Floats32, Floats64, Integers
from augface.checked_arrays import read_arrays, write_arrays
from augface.downstream.arms import Arm
from augface.downstream.data import KEPT, ExperimentData, Part, TrainingSet, training_set
from augface.errors import DataError, require
from augface.metrics.effects import BOOTSTRAPS, Effect, paired_effect, people_weights
from augface.metrics.scores import average_precisions
from augface.processes import is_main_process, spread, world_size
from augface.progress import progress
from augface.seeds import random_generator
from augface.threads import in_order
from augface.version import __version__

SEEDS = 5

log = logging.getLogger("augface")


class Learner(Protocol):
    """A way of learning: `Frozen` or `Full`."""

    mode: ClassVar[str]
    joint: ClassVar[bool]
    deterministic: ClassVar[bool]

    @property
    def data(self) -> ExperimentData:
        """What it learns from and is held against."""
        ...

    @property
    def protocol(self) -> dict[str, object]:
        """What changes the numbers."""
        ...

    @property
    def workers(self) -> int:
        """How many runs may be under way at a time."""
        ...

    @staticmethod
    def supports(arm: Arm) -> bool:
        """Whether the arm means anything here."""
        ...

    def learn(
        self, arm: Arm, training: TrainingSet, attributes: list[int], random: np.random.Generator
    ) -> dict[str, Floats32]:
        """Log-odds of attributes for the held-out faces, float32 (N, attributes) each."""
        ...


@dataclass(frozen=True)
class Experiment:
    """Arms against each other on one data.

    Attributes:
        learner: how they learn.
        seed: of all draws.
        seeds: how many times each arm is run.
        folder: where finished runs are kept; None where they are not.
    """

    learner: Learner
    seed: int = 0
    seeds: int = SEEDS
    folder: Path | None = None

    @property
    def data(self) -> ExperimentData:
        """What it is about."""
        return self.learner.data

    def run(self, arms: Sequence[Arm], attributes: Sequence[int] = (0,)) -> dict[str, list[dict[str, Floats32]]]:
        """The decisions of every arm, one `{"valid": …, "test": …}` a seed; finished runs are read again."""
        # seed by seed: a stop in the middle leaves whole seeds of all arms
        jobs = list(dict.fromkeys((arm, self._draw(arm, seed)) for seed in range(self.seeds) for arm in arms))
        found = {job: self._kept(*job, list(attributes)) for job in jobs}
        missing = [job for job in jobs if found[job] is None]
        run, workers = _Run(self.learner, self.seed, list(attributes)), self.learner.workers
        with (
            progress(total=len(missing), desc=f"downstream, {self.learner.mode}", unit="runs") as bar,
            nullcontext() if self.learner.joint else threadpool_limits(1),
        ):
            one_process = world_size() == 1
            done = in_order(run, missing, workers=workers, ahead=2 * workers) if one_process else spread(run, missing)
            for job, decisions in zip(missing, done, strict=True):
                found[job] = decisions
                if (path := self._path(*job, list(attributes))) is not None:
                    write_arrays(path, decisions)
                bar.update()
        return {arm.name: [require(found[arm, self._draw(arm, seed)]) for seed in range(self.seeds)] for arm in arms}

    def _draw(self, arm: Arm, seed: int) -> int:
        """The seed of the run that is that of this one: the first of all, where a seed changes nothing."""
        return seed if arm.draws or not self.learner.deterministic else 0

    def _kept(self, arm: Arm, seed: int, attributes: list[int]) -> dict[str, Floats32] | None:
        """What a finished run gave; None where it is to be done."""
        path = self._path(arm, seed, attributes)
        if path is not None and path.is_file():
            try:
                return read_arrays(path)
            except DataError as error:
                log.warning(f"{error} It is done again.")
        return None

    def _path(self, arm: Arm, seed: int, attributes: list[int]) -> Path | None:
        if self.folder is None:
            return None
        identity = f"{self._fingerprint}{arm}{seed}{attributes}"
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.safetensors"

    @cached_property
    def _fingerprint(self) -> str:
        return f"{__version__}{self.data.fingerprint}{self.learner.mode}{self.learner.protocol}{KEPT}{self.seed}"


@dataclass(frozen=True)
class _Run:
    """Runs one arm with one seed; any process of a job can do it."""

    learner: Learner
    seed: int
    attributes: list[int]

    def __call__(self, job: tuple[Arm, int]) -> dict[str, Floats32]:
        """The decisions of the arm with the seed."""
        arm, seed = job
        training = training_set(arm, self.learner.data, seed, self.seed)
        # the same weights and order for each arm
        random = random_generator(self.seed, "head", seed)
        with nullcontext() if is_main_process() or self.learner.joint else threadpool_limits(1):  # as in the main one
            return self.learner.learn(arm, training, self.attributes, random)


def valid_score(valid: Part, decisions: Sequence[dict[str, Floats32]]) -> float:
    """How well an arm ranks valid by the target, in average precision, on the mean over its seeds."""
    rows, shown = valid.known(0)
    return float(np.mean([average_precisions(shown, each["valid"][rows, 0])[0] for each in decisions]))


def best_arm(valid: Part, decisions: Mapping[str, Sequence[dict[str, Floats32]]], names: Sequence[str]) -> str:
    """The one of these arms that is best on valid; the first of them where several are."""
    return max(names, key=lambda name: valid_score(valid, decisions[name]))


def effect(
    shown: Booleans,
    people: Integers,
    treatment: Sequence[Floats32],
    control: Sequence[Floats32],
    *,
    seed: int = 0,
    draws: int = BOOTSTRAPS,
) -> Effect:
    """Average precision of one arm minus that of another, over seeds and test people.

    Args:
        shown: (N,) whether each test face shows the attribute.
        people: (N,) whose face each is.
        treatment: (N,) decisions of one arm, one array a seed.
        control: those of the other, of the same seeds.
        seed: of the bootstrap over people.
        draws: of it.
    """
    found = precisions(shown, people, [*treatment, *control], seed, draws)
    differences = found[: len(treatment)] - found[len(treatment) :]
    return paired_effect(differences[:, 0], differences[:, 1:], len(np.unique(people)))


def precisions(
    shown: Booleans,
    people: Integers,
    decisions: Sequence[Floats32],
    seed: int = 0,
    draws: int = BOOTSTRAPS,
) -> Floats64:
    """(S, 1 + B) average precision of each seed: on all faces, then on the people of each draw, alike for all arms."""
    weights = people_weights(people, random_generator(seed, "test people"), draws).T
    weights = np.concatenate([np.ones((len(people), 1), dtype=np.float32), weights], axis=1)
    weights = weights[:, weights[shown].any(axis=0)].T
    return np.array([average_precisions(shown, each, weights) for each in decisions])
