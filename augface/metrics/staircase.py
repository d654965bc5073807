"""Exposures that follow a person's answers: the weighted up-down staircase (Kaernbach 1991)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from augface.errors import DataError

Floats = npt.NDArray[np.float64]

FRAME = 1000 / 60
"""Milliseconds of a frame of the most common displays."""
EXPOSURES = tuple(round(frames * FRAME, 1) for frames in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30, 40, 48, 60))
"""Milliseconds: whole frames at 60 Hz, about evenly spaced in their logarithm."""


@dataclass(frozen=True)
class Staircase:
    """A rule for the next exposure.

    Attributes:
        levels: exposures in ms, from short to long.
        start: the number of the first level.
        down: levels towards shorter ones after a right answer.
        up: levels towards longer ones after a wrong answer. On an endless scale of even steps the staircase settles
            where up / (up + down) of the answers are right.
    """

    levels: tuple[float, ...] = EXPOSURES
    start: int = 11
    down: int = 1
    up: int = 3

    def __post_init__(self) -> None:
        if not (0 <= self.start < len(self.levels) and self.down > 0 and self.up > 0):
            raise DataError("A staircase needs a start among its levels, and steps above 0.")
        if list(self.levels) != sorted(set(self.levels)):
            raise DataError("The levels of a staircase go from short to long.")

    def exposure(self, right: Sequence[bool]) -> float:
        """The next exposure in ms, after answers that were right or wrong, in their order.

        >>> rule = Staircase(levels=(10.0, 20.0, 30.0, 40.0, 50.0), start=2)
        >>> rule.exposure([]), rule.exposure([True]), rule.exposure([True, False]), rule.exposure([True] * 9)
        (30.0, 20.0, 50.0, 10.0)
        """
        level = self.start
        for answer in right:
            level = min(max(level - self.down if answer else level + self.up, 0), len(self.levels) - 1)
        return self.levels[level]


def simulated_share_right(
    rule: Staircase,
    threshold: float,
    slope: float,
    *,
    answers: int,
    random: np.random.Generator,
    lapses: float = 0.02,
    people: int = 4000,
) -> float:
    """The share of right answers that a staircase really settles at, in its second half, found by simulation.

    Args:
        rule: the staircase.
        threshold: ms at which simulated people are right in 75 % of answers.
        slope: of their cumulative normal psychometric function, per doubling of the exposure.
        answers: how many each gives.
        random: draws.
        lapses: share of answers that are wrong however long the exposure is.
        people: how many are simulated.
    """
    centre = np.log2(threshold) - special.ndtri(0.25 / (0.5 - lapses)) / slope
    chance = 0.5 + (0.5 - lapses) * special.ndtr(slope * (np.log2(rule.levels) - centre))
    level = np.full(people, rule.start)
    right = np.empty((answers, people), dtype=np.bool_)
    for number in range(answers):
        right[number] = random.random(people) < chance[level]
        level = np.clip(np.where(right[number], level - rule.down, level + rule.up), 0, len(rule.levels) - 1)
    return float(right[answers // 2 :].mean())
