"""What measures changes in a face: a classifier that the generator never saw, read out on people it did not learn.

A small network learns all attributes on most training faces. On the others its features are whitened, and an attribute
is read out as the direction from the mean face without it to the mean face with it. A response of 0 is that of the
mean real face without the attribute, and 1 that of the mean face with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from augface.arrays import Booleans, Floats64, Pixels
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.seeds import derive_seed, random_generator

IMAGES, PASSES = 20_000, 20
"""Images that the network is shown in all, at most, and how often each face at most."""
HELD_OUT, MOST = 0.3, 2_000
"""The share of training faces that attributes are read out on, and how many at most."""
FEWEST = 15
"""Held-out faces with an attribute, and without, below which it is not read."""
READABLE = 0.75
"""The area under the ROC curve, on faces of yet other people, from which on an attribute counts as read."""
DIMENSIONS = 64
"""Principal components of the features that are kept."""


@dataclass(frozen=True)
class Readout:
    """Attributes as directions in whitened features, with the real faces that they were found on.

    Attributes:
        attributes: A names.
        labels: (N, A) of real faces: 1 present, 0 absent, NaN unknown.
        coordinates: (N, K) whitened features of the same faces.
        directions: (A, K) from the mean face without to the mean face with an attribute.
        lengths: (A,) squared lengths of the directions, less what chance adds to them.
    """

    attributes: list[str]
    labels: Floats64
    coordinates: Floats64
    directions: Floats64
    lengths: Floats64

    @classmethod
    def fit(cls, coordinates: Floats64, labels: pd.DataFrame) -> Readout:
        """The directions of all columns of labels; each needs faces of both kinds."""
        values = labels.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        directions, lengths = [], []
        for column in values.T:
            present, absent = coordinates[column == 1], coordinates[column == 0]
            difference = present.mean(axis=0) - absent.mean(axis=0)
            chance = coordinates.shape[1] * (1 / len(present) + 1 / len(absent))
            directions.append(difference)
            lengths.append(max(float(difference @ difference) - chance, 0.1 * float(difference @ difference)))
        return cls(list(map(str, labels)), values, coordinates, np.array(directions), np.array(lengths))

    def select(self, attributes: Sequence[str]) -> Readout:
        """Of some of the attributes, in their order."""
        columns = [self.attributes.index(name) for name in attributes]
        labels = self.labels[:, columns]
        return Readout(list(attributes), labels, self.coordinates, self.directions[columns], self.lengths[columns])

    def responses(self, coordinates: Floats64) -> Floats64:
        """(..., A) how far coordinates (..., K), or changes of them, lead along each attribute's direction."""
        along: Floats64 = coordinates @ self.directions.T / self.lengths
        return along

    def alignment(self, changes: Floats64) -> Floats64:
        """(U, A) how well each of U changes (U, K) separates real faces with an attribute from those without.

        The statistic is the covariance of the labels with the real faces' scores along the change, in standard
        deviations under permutation of the labels, whose mean (0) and variance are known without drawing any. Its size
        does not depend on that of the change.
        """
        found = []
        for column in self.labels.T:
            known = ~np.isnan(column)
            label = column[known] - column[known].mean()
            scores = self.coordinates[known] @ changes.T
            scores = scores - scores.mean(axis=0)
            variance = np.square(scores).sum(axis=0) * np.square(label).sum() / (known.sum() - 1)
            found.append(label @ scores / np.sqrt(np.maximum(variance, 1e-300)))
        return np.stack(found, axis=1)


@dataclass(frozen=True)
class Judge:
    """A classifier's features, and what is read out of them.

    Attributes:
        network: learnt from other faces than those of the readout.
        readout: of the attributes that the network can see in people it did not learn from.
        areas: of each attribute of the readout, the area under the ROC curve.
        unread: the other attributes, each with the reason.
    """

    network: AttributeClassifier
    centre: Floats64
    axes: Floats64
    readout: Readout
    areas: dict[str, float]
    unread: dict[str, str]

    @classmethod
    def train(cls, data: FaceDataset, *, seed: int = 0, images: int | None = None) -> Judge | None:
        """Learn from labelled training faces, showing so many; None where no attribute can be read."""
        held_out = inner_fold(data, HELD_OUT, derive_seed(seed, "inspection fold"))
        if not held_out.any() or held_out.all():
            return None
        learnt = data.select(~held_out)
        network = AttributeClassifier.train(
            learnt,
            seed=derive_seed(seed, "inspection judge"),
            images=images or min(IMAGES, PASSES * len(learnt)),
            kept=True,
        )
        rows = np.flatnonzero(held_out)
        rows = np.sort(random_generator(seed, "inspection faces").permutation(rows)[:MOST])
        return cls.of_faces(network, data.select(rows), seed=seed)

    @classmethod
    def of_faces(cls, network: AttributeClassifier, faces: FaceDataset, *, seed: int = 0) -> Judge | None:
        """Read out what a network sees in faces that it did not learn from; None where no attribute can be read."""
        features = network.features(faces.images).astype(np.float64)
        centre = features.mean(axis=0)
        kept = min(DIMENSIONS, len(faces) // 8, features.shape[1])
        if kept < 1:
            return None
        _, lengths, axes = np.linalg.svd(features - centre, full_matrices=False)
        scale = lengths[:kept] / np.sqrt(len(faces) - 1)
        axes = axes[:kept].T / np.maximum(scale, 1e-6 * scale[0])
        coordinates = (features - centre) @ axes
        half = inner_fold(faces, 0.5, derive_seed(seed, "inspection halves"))
        areas, unread = {}, {}
        for name in map(str, faces.attributes):
            label = faces.attributes[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
            if min((label == 1).sum(), (label == 0).sum()) < FEWEST:
                unread[name] = f"fewer than {FEWEST} held-out training faces show it or do not"
            elif not (area := _area(coordinates, label, half)) >= READABLE:
                unread[name] = "the judge cannot see it in people that it did not learn from"
            else:
                areas[name] = area
        if not areas:
            return None
        readout = Readout.fit(coordinates, faces.attributes[list(areas)])
        return cls(network, centre, axes, readout, areas, unread)

    def coordinates(self, images: Pixels) -> Floats64:
        """(N, K) whitened features of images, uint8 (N, H, W, 3)."""
        coordinates: Floats64 = (self.network.features(images).astype(np.float64) - self.centre) @ self.axes
        return coordinates

    def responses(self, images: Pixels) -> Floats64:
        """(N, A) of images, uint8 (N, H, W, 3)."""
        return self.readout.responses(self.coordinates(images))

    def clearest(self, count: int) -> list[str]:
        """The attributes that are read best and are no rare ones, the best first."""
        known = np.nanmean(self.readout.labels, axis=0)
        clear = [(self.areas[name] - 0.5) * share * (1 - share) for name, share in zip(self.areas, known, strict=True)]
        return [self.readout.attributes[column] for column in np.argsort(-np.array(clear), kind="stable")[:count]]


def _area(coordinates: Floats64, label: npt.NDArray[Any], half: Booleans) -> float:
    """Each half of the faces scored along the direction that the other gives, by the mean area under the ROC curve."""
    areas = []
    for learnt in (half, ~half):
        kinds = [label[part] == value for part in (learnt, ~learnt) for value in (0, 1)]
        if not all(kind.any() for kind in kinds):
            return float("nan")
        direction = coordinates[learnt & (label == 1)].mean(axis=0) - coordinates[learnt & (label == 0)].mean(axis=0)
        known = ~learnt & ~np.isnan(label)
        areas.append(roc_auc_score(label[known], coordinates[known] @ direction))
    return float(np.mean(areas))
