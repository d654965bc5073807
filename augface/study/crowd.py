"""Simulated raters: a population of people and faces with known truth, to plan studies and to prove their analysis.

An answer is a noisy comparison in the mind: the evidence that a face is generated is a normal variable whose mean
depends on the face, on the person, and on what is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Crowd:
    """A population. Spreads are standard deviations, in units of the noise of an answer where nothing else is said.

    Attributes:
        right: for each generator the share of right answers without time pressure, of people and faces on average, as
            many faces being real as generated.
        lean: how much people differ in their leaning to one answer.
        skill: how much they differ in sensitivity (d').
        image: how much faces differ within a kind.
        threshold: ms at which the evidence of a brief exposure is half of that of a long one.
        threshold_spread: between people, in doublings.
        slope: how fast evidence grows, per doubling.
        tie: two faces whose evidence differs by less than this look alike.
        rating: mean rating of real faces.
        rating_loss: points that a generated face loses where people are always right.
        rating_lean, rating_image, rating_noise: spreads of ratings over people, faces and answers, in points.
        lapse: share of answers that are given blindly.
    """

    right: tuple[float, ...]
    lean: float = 0.3
    skill: float = 0.3
    image: float = 0.5
    threshold: float = 100.0
    threshold_spread: float = 0.7
    slope: float = 1.0
    tie: float = 0.3
    rating: float = 3.9
    rating_loss: float = 2.0
    rating_lean: float = 0.4
    rating_image: float = 0.4
    rating_noise: float = 0.7
    lapse: float = 0.0

    @property
    def spread(self) -> float:
        """Of the evidence in answers of random people to random faces."""
        return float(np.sqrt(1 + self.lean**2 + self.skill**2 / 4 + self.image**2))

    def rates(self) -> Floats:
        """(K,) how often faces of each kind are called generated, the real ones first."""
        mean = float(np.mean(self.right))
        rates = np.array([1 - mean, *(2 * right - mean for right in self.right)])
        return np.asarray(np.clip(rates, 0.005, 0.995))

    def panel(self, raters: int, kinds: Sequence[int] | Labels, random: np.random.Generator) -> Panel:
        """People and faces, drawn at random.

        Args:
            raters: how many people.
            kinds: (P,) the kind of each picture, 0 for real; -1 for distorted faces.
            random: draws.
        """
        return Panel(self, raters, np.asarray(kinds), random)


class Panel:
    """Certain people, certain faces. All methods take (T,) numbers of people and pictures, and give (T,)."""

    def __init__(self, crowd: Crowd, raters: int, kinds: Labels, random: np.random.Generator) -> None:
        self.crowd, self.kinds = crowd, kinds
        self._lean = crowd.lean * random.standard_normal(raters)
        self._skill = crowd.skill * random.standard_normal(raters)
        self._threshold = np.log2(crowd.threshold) + crowd.threshold_spread * random.standard_normal(raters)
        self._rating = crowd.rating_lean * random.standard_normal(raters)
        self._image = crowd.image * random.standard_normal(len(kinds))
        self._quality = crowd.rating_image * random.standard_normal(len(kinds))
        means = special.ndtri(crowd.rates()) * crowd.spread
        self._middle = float((means[0] + means[1:].mean()) / 2)
        self._means = np.append(means, 6.0)  # distorted faces, by the number -1

    def chance_generated(self, raters: Labels, pictures: Labels, exposure: Floats | None = None) -> Floats:
        """Of the answer "generated", after a look of so many ms or without a limit."""
        kinds = self.kinds[pictures]
        skill = np.where(kinds == 0, -0.5, 0.5) * self._skill[raters]
        signal = self._means[kinds] - self._middle + skill
        if exposure is not None:
            signal = signal * special.ndtr(self.crowd.slope * (np.log2(exposure) - self._threshold[raters]))
        chance = special.ndtr(self._middle + signal + self._lean[raters] + self._image[pictures])
        return np.asarray(self.crowd.lapse / 2 + (1 - self.crowd.lapse) * chance)

    def preferences(
        self, raters: Labels, left: Labels, right: Labels, random: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """1 where the left one looks more real, -1 where the right one does, 0 where they look alike."""
        evidence = self._means[self.kinds] + self._image
        distinct = self._skill[raters] / 2 * (np.sign(self.kinds[right]) - np.sign(self.kinds[left]))
        difference = evidence[right] - evidence[left] + distinct
        difference = difference + np.sqrt(2) * random.standard_normal(len(raters))
        return np.where(np.abs(difference) < self.crowd.tie, 0, np.sign(difference)).astype(np.int64)

    def ratings(self, raters: Labels, pictures: Labels, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """Points from 1 to 5."""
        crowd, kinds = self.crowd, self.kinds[pictures]
        loss = np.array([0.0, *(crowd.rating_loss * (2 * right - 1) for right in crowd.right), 10.0])
        points = crowd.rating - loss[kinds] + self._rating[raters] + self._quality[pictures]
        points = points + crowd.rating_noise * random.standard_normal(len(raters))
        return np.clip(np.round(points), 1, 5).astype(np.int64)
