"""The three filters that every synthetic face must pass: it shows what was requested, is no copy, and is plausible.

They are fitted on the train split alone, with an inner fold of other people for their thresholds, and use neither the
feature space nor the classifier of the evaluators that measure the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from augface.arrays import Booleans, Floats32, Integers
from augface.checked_arrays import about, read_arrays, write_arrays
from augface.classifiers.attributes import AttributeClassifier, Threshold
from augface.classifiers.copies import CopyFinder
from augface.classifiers.plausibility import PlausibilityClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import groups_of, inner_fold
from augface.errors import DataError
from augface.seeds import derive_seed

INNER_SHARE = 0.2
NON_MATES_REFUSED = 0.01
"""The share of real faces of other people that each of the copy and plausibility filters would refuse."""

PLAUSIBILITY = "plausibility."
"""What the names of its arrays begin with, in the file of the filters."""
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


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters, fitted on a train split; a `DataError` where it is too small for that.

    Attributes:
        train: these faces.
        classifier: the classifier of attributes, trained without the inner fold.
        smallest_distance_ratio: a face whose nearest neighbour distance ratio is smaller counts as a copy; see
            `copies`.
        plausibility: the classifier of faces that look damaged.
    """

    train: FaceDataset
    classifier: AttributeClassifier
    plausibility: PlausibilityClassifier
    smallest_distance_ratio: float

    @classmethod
    def fit(cls, train: FaceDataset, *, seed: int = 0) -> Filters:
        """Fit the filters on these faces, with an inner fold of other people for their thresholds."""
        held_out = inner_fold(train, INNER_SHARE, seed)
        if min(held_out.sum(), (~held_out).sum()) < MINIMUM:
            raise DataError(
                f"The {len(train)} training faces are of too few people to filter synthetic faces by: the filters are "
                "fitted on one part of them, and their thresholds are chosen on the other."
            )
        classifier = AttributeClassifier.train(train, held_out, seed=seed, kept=True)
        people = groups_of(train)
        non_mates = CopyFinder(train.images, people).search(train.select(held_out).images, people[held_out])
        plausibility = PlausibilityClassifier.fit(
            np.asarray(train.images[np.flatnonzero(~held_out)]),
            np.asarray(train.images[np.flatnonzero(held_out)]),
            refused=NON_MATES_REFUSED,
            seed=derive_seed(seed, "plausibility"),
        )
        smallest = float(np.quantile(non_mates.distance_ratio, NON_MATES_REFUSED))
        return cls(train, classifier, plausibility, smallest)

    def save(self, path: Path) -> None:
        """Write what was fitted to a file; the training faces are not in it."""
        thresholds = {name: asdict(threshold) for name, threshold in self.classifier.thresholds.items()}
        write_arrays(
            path,
            {
                **self.classifier.arrays(),
                **{PLAUSIBILITY + name: array for name, array in self.plausibility.arrays.items()},
                "smallest_distance_ratio": np.array(self.smallest_distance_ratio),
            },
            {"attributes": json.dumps(self.classifier.attributes), "thresholds": json.dumps(thresholds)},
        )

    @classmethod
    def load(cls, path: Path, train: FaceDataset) -> Filters:
        """The filters that `save` wrote, of the same training faces."""
        arrays, texts = read_arrays(path), about(path.read_bytes())
        smallest = arrays.pop("smallest_distance_ratio").item()
        names = [name for name in arrays if name.startswith(PLAUSIBILITY)]
        plausibility = PlausibilityClassifier({name.removeprefix(PLAUSIBILITY): arrays.pop(name) for name in names})
        thresholds = {name: Threshold(**each) for name, each in json.loads(texts["thresholds"]).items()}
        classifier = AttributeClassifier.of_arrays(json.loads(texts["attributes"]), arrays, thresholds)
        return cls(train, classifier, plausibility, smallest)

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

    def __getstate__(self) -> dict[str, object]:
        """Pickled for another process, the filters are what was fitted; the index of copies is made there anew."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _copies(self) -> CopyFinder:
        return CopyFinder(self.train.images)
