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
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.errors import DataError
from augface.features.pixels import PixelSpace
from augface.metrics.neighbours import Neighbours

INNER_SHARE = 0.2
STRANGERS_REFUSED = 0.01
"""The share of real faces of other people that each of the copy and plausibility gates would refuse."""
CROWD = 50
"""Neighbours that tell how near is near, for the copy gate."""
NEIGHBOUR = 5
"""The neighbour whose distance tells how plausible a face is."""

CHUNK = 4096
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
        smallest_ratio: below this ratio of the nearest distance to that of the crowd a face counts as a copy.
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
        pixels = _with_mirrored(train)
        ratios = _copy_ratios(train.select(held_out), Neighbours(pixels[np.tile(~held_out, 2)]))[0]
        self.smallest_ratio = float(np.quantile(ratios, STRANGERS_REFUSED))
        self._pixels, self._count = Neighbours(pixels), len(train)
        features = self.classifier.features(train.images)
        self._features = Neighbours(features[~held_out])
        self.largest_distance = float(np.quantile(self._distances(features[held_out]), 1 - STRANGERS_REFUSED))

    def check(self, faces: FaceDataset, where: Mapping[str, bool], *, copies_allowed: bool = False) -> Passed:
        """Which of these faces pass, asked for with `where`."""
        probabilities = self.classifier.probabilities(faces.images)
        attribute = np.ones(len(faces), dtype=np.bool_)
        for name, value in where.items():
            attribute &= (probabilities[:, self.classifier.column(name)] >= self.classifier.threshold(name)) == value
        ratios, nearest = _copy_ratios(faces, self._pixels)
        return Passed(
            attribute=attribute,
            copy=ratios >= self.smallest_ratio,
            plausible=self._distances(self.classifier.features(faces.images)) <= self.largest_distance,
            probabilities={name: probabilities[:, self.classifier.column(name)] for name in where},
            nearest=nearest % self._count,
            copies_allowed=copies_allowed,
        )

    def _distances(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Mean distance to the nearest training faces in what the classifier sees."""
        distances, _ = self._features.search(features, min(NEIGHBOUR, len(self._features)))
        means: npt.NDArray[np.float32] = distances.mean(axis=1)
        return means


def _copy_ratios(faces: FaceDataset, references: Neighbours) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Distance to the nearest reference over the mean distance to a crowd of near ones, and who is nearest.

    The measure of Carlini et al. 2023 (arXiv:2301.13188, section 4.2): a copy is much nearer to one training image
    than to the rest, while a blurred face is about as near to many.
    """
    distances, rows = references.search(PixelSpace().extract(np.asarray(faces.images)), min(CROWD, len(references)))
    return distances[:, 0] / distances.mean(axis=1).clip(min=1e-6), rows[:, 0]


def _with_mirrored(faces: FaceDataset) -> npt.NDArray[np.float32]:
    """Pixel features of the faces and then of their mirror images, a chunk of images in memory at a time."""
    space = PixelSpace()
    features = np.empty((2, len(faces), space.dimension), dtype=np.float32)
    for start in range(0, len(faces), CHUNK):
        images = faces.images[start : start + CHUNK]
        features[0, start : start + CHUNK] = space.extract(images)
        features[1, start : start + CHUNK] = space.extract(images[:, :, ::-1])
    return features.reshape(-1, space.dimension)
