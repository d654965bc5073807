"""The design of a study: what is asked of whom, in which order. All of it is fixed before the first answer.

Faces are dealt so that each is judged about equally often in each task, and so that a rater meets the same face in two
tasks only where there are not faces enough. Everything follows from the seed and the number of the rater.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from augface.metrics.staircase import EXPOSURES, Staircase
from augface.seeds import random_generator

Task = Literal["flash", "untimed", "pairs", "rating"]
Block = Literal["flash", "untimed", "pairs-real", "pairs-better", "rating"]
Role = Literal["practice", "test", "control", "check", "repeat"]

TASKS: tuple[Task, ...] = ("flash", "untimed", "pairs", "rating")
"""In the order in which a rater meets them: what needs unseen faces first."""
BLOCKS: dict[Task, tuple[Block, ...]] = {
    "flash": ("flash",),
    "untimed": ("untimed",),
    "pairs": ("pairs-real", "pairs-better"),
    "rating": ("rating",),
}
DECIDING: tuple[Task, ...] = ("untimed", "pairs", "flash")
"""The first of them that is asked decides whether people can distinguish the faces from real ones; ratings do not."""
SECONDS: dict[Block, float] = {"flash": 3.5, "untimed": 4.0, "pairs-real": 5.5, "pairs-better": 5.5, "rating": 4.5}
"""What a trial takes, about."""
SECONDS_TO_START = 75.0
SECONDS_TO_EXPLAIN = 20.0

PRACTICE = 3
"""Trials before `flash`, with faces that are not under test, from long exposures to shorter ones."""
PRACTICE_EXPOSURES = (1000.0, 500.0, 250.0)
CHECKS = 4
"""Distorted faces in each task, which attentive raters see through."""
REPEATS = 3
"""Faces that come a second time in a task; in each question about pairs one less."""
STAIRCASES = (Staircase(start=11), Staircase(start=13))
"""Two for each generator, which take turns at random, so that the next exposure tells little about the last answer."""
CONSTANT_EXPOSURES = EXPOSURES[0:16:2]
"""Where no server runs that knows the truth, these are shown equally often instead."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rules(_Record):
    """Which answers do not count. Fixed before the first one."""

    late_frames: int = 1
    """A brief exposure that was longer or shorter than asked for by more frames than this does not count."""
    fastest_milliseconds: float = 100.0
    """Nobody has looked at a face before answering faster than this."""
    checks_passed: float = 0.75
    """Who sees through a smaller share of the distorted faces does not count."""
    answered: float = 0.5
    """Nor does a task of which a rater answered a smaller share."""


class Kind(_Record):
    """The real faces, or those of one generator."""

    name: str
    spec: str
    """Where they come from."""
    content_hash: str
    """SHA-256 over the pixels under test."""
    people: bool
    """Whether they show real people."""


class Picture(_Record):
    """One face as raters see it, in `images/NUMBER.jpg`."""

    kind: int
    """0 for real; a distorted face has the number of the kind that it was made of."""
    role: Literal["test", "reserve", "distorted"]
    source: str
    """Its name where it comes from."""


class Plan(_Record):
    """Everything that determines a study, without its pictures: the content of `study.json`."""

    format: Literal[1] = 1
    id: str
    title: str
    contact: str
    created: str
    augface: str
    command: list[str]
    seed: int
    tasks: tuple[Task, ...]
    raters: int
    """How many are planned; more may come."""
    faces: int
    """Under test of each generator."""
    trials: int
    """Faces of each generator that a rater judges in a task."""
    size: int
    """Height and width of all pictures in pixels."""
    margin: float
    """Faces are called indistinguishable where people are shown to be right in less than 50 % plus this, and more than
    50 % minus this, of their answers."""
    rules: Rules = Rules()
    kinds: tuple[Kind, ...]
    """The real faces first."""
    pictures: tuple[Picture, ...]
    masks: int
    terms: Literal["", "celeba"] = ""
    """Data sets that may not be passed on."""
    warnings: tuple[str, ...] = ()
    power: dict[str, dict[str, float]] = {}
    """What the planned study can see, by task."""

    @property
    def generators(self) -> tuple[str, ...]:
        """The names of the generators."""
        return tuple(kind.name for kind in self.kinds[1:])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The parts of a session, in their order."""
        return tuple(block for task in TASKS if task in self.tasks for block in BLOCKS[task])

    @property
    def deciding(self) -> Task | None:
        """The task that answers whether people can distinguish the faces from real ones."""
        return next((task for task in DECIDING if task in self.tasks), None)

    def numbers(self, kind: int, role: str = "test") -> npt.NDArray[np.int64]:
        """The numbers of the pictures of a kind that have this role."""
        return np.array(
            [number for number, one in enumerate(self.pictures) if one.kind == kind and one.role == role],
            dtype=np.int64,
        )


@dataclass(frozen=True)
class Trial:
    """One question to one rater, with its truth: it never leaves the server as it is.

    Attributes:
        number: its place in the session.
        block: what is asked.
        role: whether it counts, and as what.
        images: numbers of the pictures, from left to right.
        item: what answers are alike over: the picture, or for pairs the set of faces that both are of.
        generator: the number of the generator that it is about; 0 for none.
        staircase: which of the generator's staircases sets its exposure; None where `exposure` says it.
        exposure: ms, where it does not follow from answers.
        repeats: the number of the trial that it repeats.
    """

    number: int
    block: Block
    role: Role
    images: tuple[int, ...]
    item: int
    generator: int = 0
    staircase: int | None = None
    exposure: float | None = None
    repeats: int | None = None


def task_of(block: Block) -> Task:
    """The task that a part of the session belongs to."""
    return next(task for task, blocks in BLOCKS.items() if block in blocks)


class Schedule:
    """The trials of each rater, by number from 0: the same plan gives the same ones, however they are asked for.

    Args:
        plan: the study.
        constant: whether exposures are constant, for pages that run without a server.
    """

    def __init__(self, plan: Plan, *, constant: bool = False) -> None:
        self.plan = plan
        self.constant = constant
        self._dealt: list[tuple[Trial, ...]] = []
        self._lock = threading.Lock()
        self._numbers = [plan.numbers(kind) for kind in range(len(plan.kinds))]
        self._distorted = plan.numbers(0, "distorted")
        self._reserve = plan.numbers(0, "reserve")
        self._counts = {
            (block, kind): np.zeros(len(numbers), dtype=np.int64)
            for block in plan.blocks
            for kind, numbers in enumerate(self._numbers)
        }

    def trials(self, rater: int) -> tuple[Trial, ...]:
        """All trials of a rater, in order."""
        with self._lock:
            while len(self._dealt) <= rater:
                self._dealt.append(tuple(self._deal(len(self._dealt))))
            return self._dealt[rater]

    def seconds(self) -> float:
        """What a session takes, about."""
        trials = self.trials(0)
        return (
            SECONDS_TO_START
            + SECONDS_TO_EXPLAIN * len(self.plan.blocks)
            + sum(SECONDS[trial.block] for trial in trials)
        )

    def _deal(self, rater: int) -> Iterator[Trial]:
        random = random_generator(self.plan.seed, "rater", rater)
        used = [np.zeros(len(numbers), dtype=np.int64) for numbers in self._numbers]
        number = 0
        for block in self.plan.blocks:
            if block.startswith("pairs"):
                tests = self._pairs(block, rater, used, random)
            elif block == "rating":
                tests = self._ratings(used, random)
            else:
                tests = self._detections(block, rater, used, random)
            for trial in _ordered(self._practice(block), tests, self._checks(block, random), random):
                repeats = None if trial.repeats is None else trial.repeats + number
                yield replace(trial, number=trial.number + number, repeats=repeats)
            number += self._length(block)

    def _length(self, block: Block) -> int:
        """How many trials a part has: the same for every rater."""
        plan, generators = self.plan, len(self.plan.generators)
        practice = PRACTICE if block == "flash" else 0
        if block.startswith("pairs"):
            return self._comparisons() + self._controls() + CHECKS // 2 + REPEATS - 1
        if block == "rating":
            return plan.trials * (generators + 1) + CHECKS + REPEATS
        return practice + 2 * plan.trials * generators + CHECKS + (REPEATS if block == "untimed" else 0)

    def _comparisons(self) -> int:
        return min(self.plan.trials * len(self.plan.generators), self.plan.faces)

    def _controls(self) -> int:
        """Pairs of two real faces."""
        return min(max(2, self.plan.trials // 5), len(self._numbers[0]) // 2)

    def _choose(
        self,
        block: Block,
        kind: int,
        count: int,
        used: Sequence[npt.NDArray[np.int64]],
        random: np.random.Generator,
    ) -> npt.NDArray[np.int64]:
        """Faces of a kind, marked as used: see `_least_shown`."""
        counts = self._counts[block, kind]
        order = _least_shown(counts, used[kind], random)[:count]
        counts[order] += 1
        used[kind][order] += 1
        return random.permutation(self._numbers[kind][order])

    def _detections(
        self, block: Block, rater: int, used: Sequence[npt.NDArray[np.int64]], random: np.random.Generator
    ) -> list[Trial]:
        """As many real faces as generated ones, of each generator equally many."""
        each = self.plan.trials
        generators = range(1, len(self.plan.kinds))
        real = self._choose(block, 0, each * len(generators), used, random)
        trials = []
        for generator in generators:
            own = self._choose(block, generator, each, used, random)
            for numbers in (own, real[each * (generator - 1) : each * generator]):
                exposures = [CONSTANT_EXPOSURES[(place + rater) % len(CONSTANT_EXPOSURES)] for place in range(each)]
                for place, image in enumerate(numbers):
                    trial = Trial(0, block, "test", (int(image),), int(image), generator)
                    if block == "flash" and self.constant:
                        trial = replace(trial, exposure=exposures[place])
                    elif block == "flash":
                        trial = replace(trial, staircase=place % len(STAIRCASES))
                    trials.append(trial)
        return trials

    def _pairs(
        self, block: Block, rater: int, used: Sequence[npt.NDArray[np.int64]], random: np.random.Generator
    ) -> list[Trial]:
        """Faces of two kinds out of one set, which holds one face of each kind; and some pairs of two real faces."""
        plan, count = self.plan, self._comparisons()
        kinds = len(plan.kinds)
        both = [(one, other) for one in range(kinds) for other in range(one + 1, kinds)]
        counts = self._counts[block, 0][: plan.faces]
        met = np.sum([numbers[: plan.faces] for numbers in used], axis=0)
        sets = _least_shown(counts, met, random)[:count]
        counts[sets] += 1
        trials = []
        for place, chosen in enumerate(random.permutation(sets)):
            pair = both[(place + rater * count) % len(both)]
            images = [int(self._numbers[kind][chosen]) for kind in pair]
            for kind in pair:
                used[kind][chosen] += 1
            if random.random() < 0.5:
                images.reverse()
            trials.append(Trial(0, block, "test", (images[0], images[1]), int(chosen), max(pair)))
        couples = len(self._numbers[0]) // 2
        for couple in random.choice(couples, self._controls(), replace=False):
            left, right = random.permutation(self._numbers[0][2 * couple : 2 * couple + 2])
            trials.append(Trial(0, block, "control", (int(left), int(right)), -1 - int(couple)))
        return trials

    def _ratings(self, used: Sequence[npt.NDArray[np.int64]], random: np.random.Generator) -> list[Trial]:
        return [
            Trial(0, "rating", "test", (int(image),), int(image), kind)
            for kind in range(len(self.plan.kinds))
            for image in self._choose("rating", kind, self.plan.trials, used, random)
        ]

    def _checks(self, block: Block, random: np.random.Generator) -> list[Trial]:
        """Distorted faces, in pairs beside a real face that is not under test."""
        if block.startswith("pairs"):
            checks = []
            for place in random.choice(len(self._distorted), CHECKS // 2, replace=False):
                other = random.choice(np.delete(self._reserve, place % len(self._reserve)))
                pair = [int(self._distorted[place]), int(other)]
                if random.random() < 0.5:
                    pair.reverse()
                checks.append(Trial(0, block, "check", (pair[0], pair[1]), -1))
            return checks
        exposure = EXPOSURES[-1] if block == "flash" else None
        chosen = random.choice(self._distorted, CHECKS, replace=len(self._distorted) < CHECKS)
        return [Trial(0, block, "check", (int(image),), -1, exposure=exposure) for image in chosen]

    def _practice(self, block: Block) -> list[Trial]:
        if block != "flash":
            return []
        faces = [self._reserve[0], self._distorted[1], self._reserve[2]]
        return [
            Trial(0, block, "practice", (int(face),), -1, exposure=exposure)
            for face, exposure in zip(faces, PRACTICE_EXPOSURES, strict=True)
        ]


def _least_shown(
    counts: npt.NDArray[np.int64], met: npt.NDArray[np.int64], random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Places in the order of use: none that was shown twice more than others; of the rest those not met before."""
    return np.lexsort((random.random(len(counts)), counts, met, counts > counts.min() + 1))


def _ordered(
    practice: list[Trial], tests: list[Trial], checks: list[Trial], random: np.random.Generator
) -> list[Trial]:
    """Practice first; checks anywhere but at the start; repeats of faces of the first half towards the end."""
    shuffled = [tests[place] for place in random.permutation(len(tests))]
    count = len(shuffled)
    places: list[tuple[float, Trial, int | None]] = [
        (float(place), trial, None) for place, trial in enumerate(shuffled)
    ]
    places += [(float(random.uniform(1, count)), check, None) for check in checks]
    block = (shuffled or checks)[0].block
    repeats = {"flash": 0, "pairs-real": REPEATS - 1, "pairs-better": REPEATS - 1}.get(block, REPEATS)
    early = [place for place, trial in enumerate(shuffled[: count // 2]) if trial.role == "test"]
    for place in random.choice(early, repeats, replace=False):
        again = replace(shuffled[place], role="repeat", images=shuffled[place].images[::-1])
        places.append((float(random.uniform(0.7 * count, count)), again, int(place)))
    places.sort(key=lambda one: one[0])
    final = {
        int(key): number
        for number, (key, trial, original) in enumerate(places, start=len(practice))
        if original is None and trial.role in ("test", "control")
    }
    ordered = [replace(trial, number=number) for number, trial in enumerate(practice)]
    for number, (_, trial, original) in enumerate(places, start=len(practice)):
        ordered.append(replace(trial, number=number, repeats=None if original is None else final[original]))
    return ordered
