"""The three filters that every synthetic face must pass: it shows what was requested, is no copy, and is plausible.

They are fitted on the train split alone, with an inner fold of other people for their thresholds, and use neither the
feature space nor the classifier of the evaluators that measure the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from augface.arrays import Booleans, Floats32, Integers
from augface.classifiers.attributes import AttributeClassifier
from augface.classifiers.copies import CopyFinder
from augface.classifiers.plausibility import PlausibilityClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import groups_of, inner_fold
from augface.errors import DataError
from augface.seeds import derive_seed

INNER_SHARE = 0.2
NON_MATES_REFUSED = 0.01
"""The share of real faces of other people that each of the copy and plausibility filters would refuse."""

MINIMUM = 2
"""Faces to fit on, and faces to choose thresholds on, without which there are no filters."""


@dataclass(frozen=True)
class Passed:
    """(N,) which faces passed each filter, and what was seen."""

    attribute: Booleans
    copy: Booleans
    plausible: Booleans
    probabilities: dict[str, Floats32]
    """(N,) of each requested attribute, as the classifier sees it."""
    nearest: Integers
    """(N,) rows of the nearest training faces."""
    copies_allowed: bool
    """Whether the copy filter only reports, and refuses nothing."""

    @property
    def all(self) -> Booleans:
        """Which faces passed all filters."""
        passed: Booleans = self.attribute & (self.copy | self.copies_allowed) & self.plausible
        return passed


class Filters:
    """The filters, fitted on a train split; a `DataError` where it is too small for that.

    Attributes:
        classifier: the classifier of attributes, trained without the inner fold.
        smallest_distance_ratio: a face whose nearest neighbour distance ratio is smaller counts as a copy; see
            `copies`.
        plausibility: the classifier of faces that look damaged.
    """

    def __init__(self, train: FaceDataset, *, seed: int = 0) -> None:
        held_out = inner_fold(train, INNER_SHARE, seed)
        if min(held_out.sum(), (~held_out).sum()) < MINIMUM:
            raise DataError(
                f"The {len(train)} training faces are of too few people to filter synthetic faces by: the filters are "
                "fitted on one part of them, and their thresholds are chosen on the other."
            )
        self.classifier = AttributeClassifier.train(train, held_out, seed=seed)
        people = groups_of(train)
        self._copies = CopyFinder(train.images, people)
        non_mates = self._copies.search(train.select(held_out).images, people[held_out])
        self.smallest_distance_ratio = float(np.quantile(non_mates.distance_ratio, NON_MATES_REFUSED))
        self.plausibility = PlausibilityClassifier.fit(
            np.asarray(train.images[np.flatnonzero(~held_out)]),
            np.asarray(train.images[np.flatnonzero(held_out)]),
            refused=NON_MATES_REFUSED,
            seed=derive_seed(seed, "plausibility"),
        )

    def check(self, faces: FaceDataset, where: Mapping[str, bool], *, copies_allowed: bool = False) -> Passed:
        """Which of these faces pass that were requested with `where`."""
        probabilities = self.classifier.probabilities(faces.images)
        attribute = np.ones(len(faces), dtype=np.bool_)
        for name, value in where.items():
            attribute &= (probabilities[:, self.classifier.column(name)] >= self.classifier.threshold(name)) == value
        likeness = self._copies.search(faces.images)
        return Passed(
            attribute=attribute,
            copy=likeness.distance_ratio >= self.smallest_distance_ratio,
            plausible=self.plausibility.scores(np.asarray(faces.images)) <= self.plausibility.highest_score,
            probabilities={name: probabilities[:, self.classifier.column(name)] for name in where},
            nearest=likeness.nearest,
            copies_allowed=copies_allowed,
        )
