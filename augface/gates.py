"""The three gates that every made face must pass: what was asked for, no copy, plausible.

They learn from the train split alone, with an inner fold of other people for their thresholds, and use neither the
feature space nor the classifier of the evaluators that judge the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from augface.classifier import AttributeClassifier
from augface.copies import CopyFinder
from augface.data.dataset import FaceDataset
from augface.data.splits import groups_of, inner_fold
from augface.errors import DataError
from augface.metrics.neighbours import Neighbours

INNER_SHARE = 0.2
STRANGERS_REFUSED = 0.01
"""The share of real faces of other people that each of the copy and plausibility gates would refuse."""
NEIGHBOUR = 5
"""The neighbour whose distance tells how plausible a face is."""

MINIMUM = 2
"""Faces to learn from, and faces to choose thresholds on, without which there are no gates."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Passed:
    """(N,) which faces passed each gate, and what was seen."""

    attribute: Mask
    copy: Mask
    plausible: Mask
    probabilities: dict[str, npt.NDArray[np.float32]]
    """Of each attribute asked for, as the classifier sees it."""
    nearest: npt.NDArray[np.int64]
    """Row of the nearest training face."""
    copies_allowed: bool
    """Whether the copy gate only tells, and refuses nothing."""

    @property
    def all(self) -> Mask:
        """Which faces passed all gates."""
        passed: Mask = self.attribute & (self.copy | self.copies_allowed) & self.plausible
        return passed


class Gates:
    """The gates, learnt from a train split; a `DataError` where it is too small for that.

    Attributes:
        classifier: tells attributes; trained without the inner fold.
        smallest_isolation: a face that is more isolated beside one training face counts as a copy; see `copies`.
        largest_distance: beyond this distance to its neighbours a face is not plausible.
    """

    def __init__(self, train: FaceDataset, *, seed: int = 0) -> None:
        held_out = inner_fold(train, INNER_SHARE, seed)
        if min(held_out.sum(), (~held_out).sum()) < MINIMUM:
            raise DataError(
                f"The {len(train)} training faces are of too few people to judge made faces by: of one part the gates "
                "learn, on the other they are tried out."
            )
        self.classifier = AttributeClassifier.train(train, held_out, seed=seed)
        people = groups_of(train)
        self._copies = CopyFinder(train.images, people)
        strangers = self._copies.search(train.select(held_out).images, people[held_out])
        self.smallest_isolation = float(np.quantile(strangers.isolation, STRANGERS_REFUSED))
        features = self.classifier.features(train.images)
        self._features = Neighbours(features[~held_out])
        self.largest_distance = float(np.quantile(self._distances(features[held_out]), 1 - STRANGERS_REFUSED))

    def check(self, faces: FaceDataset, where: Mapping[str, bool], *, copies_allowed: bool = False) -> Passed:
        """Which of these faces pass, asked for with `where`."""
        probabilities = self.classifier.probabilities(faces.images)
        attribute = np.ones(len(faces), dtype=np.bool_)
        for name, value in where.items():
            attribute &= (probabilities[:, self.classifier.column(name)] >= self.classifier.threshold(name)) == value
        likeness = self._copies.search(faces.images)
        return Passed(
            attribute=attribute,
            copy=likeness.isolation >= self.smallest_isolation,
            plausible=self._distances(self.classifier.features(faces.images)) <= self.largest_distance,
            probabilities={name: probabilities[:, self.classifier.column(name)] for name in where},
            nearest=likeness.nearest,
            copies_allowed=copies_allowed,
        )

    def _distances(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Mean distance to the nearest training faces in what the classifier sees."""
        distances, _ = self._features.search(features, min(NEIGHBOUR, len(self._features)))
        means: npt.NDArray[np.float32] = distances.mean(axis=1)
        return means
