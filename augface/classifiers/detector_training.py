"""A detector of several generators' faces, and how much worse it does on a generator that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augface.arrays import Booleans, Floats64, Integers
from augface.classifiers.detector import VARIATIONS, Detector, compression_normalised, varied
from augface.data.dataset import FaceDataset
from augface.data.groups import combinations
from augface.data.splits import groups_of
from augface.errors import DataError
from augface.features.base import Features, FeatureSpace
from augface.features.extraction import features_of
from augface.metrics.calibration import balanced_calibration_error
from augface.metrics.classification import (
    Logistic,
    accuracy_interval,
    auc_drop,
    auc_interval,
    joined_people,
    platt_scaled,
    tuned_logistic,
)
from augface.metrics.intervals import Interval, clustered_variance, proportion_interval
from augface.seeds import random_generator

MOST = 3_000
"""Real faces, and synthetic ones of each generator."""
LEAST = 100
"""Faces of each kind, below which a classifier has too little to learn from."""
LEARN, CALIBRATE, TEST = range(3)
SHARES = (0.5, 0.25, 0.25)
"""Of the people: whom the classifiers learn from, whom they are calibrated on, and whom they are tested on."""
FLIPPED_MOST = 100
"""Tested faces of each kind that are varied, which takes as many features as there are variations."""
GROUP_LEAST = 30
"""Real faces of a subgroup, below which it gets no error of its own."""


@dataclass(frozen=True)
class GeneratorTrial:
    """How well the faces of one generator are distinguished from real ones, on people that no classifier has seen.

    Attributes:
        faces: of the generator that were tested.
        seen: the AUC of the classifier of all generators.
        unseen: the AUC of one that was trained without this generator; None where there is no other.
        drop: how much less that is.
        seen_accuracy: the mean share of both kinds that the first calls right.
        unseen_accuracy: the same of the second; None where there is none.
        flips: the share of faces whose answer depends on size or compression: where the detector is unsure.
    """

    faces: int
    seen: Interval
    unseen: Interval | None
    drop: Interval | None
    seen_accuracy: Interval
    unseen_accuracy: Interval | None
    flips: Interval


@dataclass(frozen=True)
class DetectorTrial:
    """A trained detector and what is known of it.

    Attributes:
        detector: of all generators.
        generators: what is known of each.
        auc: of all generators' faces together against real ones.
        calibration_error: on faces of all generators and real ones.
        flips: of real faces; see `GeneratorTrial`.
        flips_by_variation: of each side and JPEG quality, the share of answers that it flips, of both kinds alike.
        false_alarms: the share of real faces of each subgroup that are called synthetic, with its number of faces; the
            first is of all.
    """

    detector: Detector
    generators: Mapping[str, GeneratorTrial]
    auc: Interval
    calibration_error: Interval
    flips: Interval
    flips_by_variation: Mapping[tuple[int, int], float]
    false_alarms: Mapping[str, tuple[Interval, int]]


@dataclass(frozen=True)
class _Side:
    """Faces of one kind: their features, who is on them and which part each is in."""

    faces: FaceDataset
    features: Features
    people: Integers
    part: Integers

    def of(self, part: int) -> Features:
        """The features of a part."""
        features: Features = self.features[self.part == part]
        return features

    def people_of(self, part: int) -> Integers:
        """Who is on the faces of a part."""
        people: Integers = self.people[self.part == part]
        return people


def train_detector(
    real: FaceDataset, synthetic: Mapping[str, FaceDataset], space: FeatureSpace, *, seed: int = 0
) -> DetectorTrial:
    """Train a linear probe on frozen features against several generators, and try it on each as if it were unseen.

    People are split into those whom it learns from, those whom its probabilities are calibrated on and those whom it is
    tested on. Each generator counts alike, and together as much as the real faces. All see compression-normalised
    pictures; the learning ones also as a random size and JPEG quality leaves them.

    Args:
        real: real faces that no generator learnt from.
        synthetic: of each generator by name, faces of the same size as `real`.
        space: what the probe looks at.
        seed: of the split.

    Raises:
        DataError: a side has fewer than `LEAST` faces, or faces of another size.

    Example::

        trial = train_detector(real, {"dcgan": first, "composite": second}, create_feature_space())
        trial.detector.save(Path("detector"))
    """
    for name, faces in [("real", real), *synthetic.items()]:
        if len(faces) < LEAST:
            raise DataError(f"{len(faces)} faces of {name} are too few to train a detector on; {LEAST} are needed.")
        if faces.size != real.size:
            raise DataError(f"The faces of {name} have {faces.size} pixels a side, the real ones {real.size}.")
    random = random_generator(seed, "detector")
    most = min(MOST, *map(len, synthetic.values()))
    chosen = [_some(real, MOST, random), *(_some(faces, most, random) for faces in synthetic.values())]
    fakes = chosen[1:]
    people = _people(chosen)
    part_of = random.choice(len(SHARES), max(int(one.max()) for one in people) + 1, p=SHARES)
    sides = [
        _Side(faces, _normalised(faces, space), person, part_of[person])
        for faces, person in zip(chosen, people, strict=True)
    ]
    if min(int((side.part == part).sum()) for side in sides for part in range(len(SHARES))) < 2:
        raise DataError("There are too few people to learn from some, to calibrate on some and to test on others.")
    learning = [_learning(side, space, random) for side in sides]
    numbers = range(1, len(fakes) + 1)
    everything = _classifier(sides, learning, list(numbers), random)
    without = {
        number: _classifier(sides, learning, [other for other in numbers if other != number], random)
        for number in numbers
        if len(fakes) > 1
    }
    tested = _together(sides, list(numbers), TEST)
    real_people, all_people = sides[0].people_of(TEST), np.concatenate([side.people_of(TEST) for side in sides[1:]])
    scores = everything.scores(sides[0].of(TEST)), everything.scores(tested)
    auc, _ = auc_interval(*scores, real_people, all_people)
    flips = [_flips(side, everything, space) for side in sides]
    error = balanced_calibration_error(
        1 / (1 + np.exp(-np.concatenate(scores))),
        np.repeat([False, True], [len(side) for side in scores]),
        groups=np.concatenate([real_people, all_people]),
        random=random,
    )
    trials = {
        name: _trial(sides[0], side, everything, without.get(number), flips[number])
        for number, (name, side) in enumerate(zip(synthetic, sides[1:], strict=True), start=1)
    }
    detector = Detector.calibrated(
        everything,
        (sides[0].of(LEARN), _together(sides, list(numbers), LEARN)),
        (sides[0].of(CALIBRATE), _together(sides, list(numbers), CALIBRATE)),
        auc=auc,
        people=min(len(np.unique(side)) for side in (real_people, all_people)),
        space=space,
        size=real.size,
        real_spec=real.source.spec,
        synthetic_spec=", ".join(synthetic),
        unseen={name: trial.unseen for name, trial in trials.items() if trial.unseen is not None},
        calibration_error=error.value,
    )
    by_variation = np.mean([flip.mean(axis=1) for flip in (flips[0], np.concatenate(flips[1:], axis=1))], axis=0)
    return DetectorTrial(
        detector,
        trials,
        auc,
        error,
        _unsure(flips[0], real_people),
        dict(zip(VARIATIONS, map(float, by_variation), strict=True)),
        _false_alarms(sides[0], scores[0] > 0),
    )


def _some(faces: FaceDataset, most: int, random: np.random.Generator) -> FaceDataset:
    return faces if len(faces) <= most else faces.select(np.sort(random.permutation(len(faces))[:most]))


def _people(sides: Sequence[FaceDataset]) -> list[Integers]:
    """Numbers of the people of all sides, where a person on two sides has one number."""
    people = groups_of(sides[0]) if sides[0].identity is None else sides[0].identity
    synthetic = [np.full(len(side), -1) if side.identity is None else side.identity for side in sides[1:]]
    fakes = np.concatenate(synthetic)
    unused = max(int(fakes.max()), int(people.max())) + 1
    fakes = np.where(fakes < 0, unused + np.arange(len(fakes)), fakes)
    first, others = joined_people(len(people), len(fakes), people, fakes)
    return [first, *np.split(others, np.cumsum([len(side) for side in synthetic])[:-1])]


def _normalised(faces: FaceDataset, space: FeatureSpace) -> Features:
    images = compression_normalised(np.asarray(faces.images))
    return features_of(FaceDataset.from_arrays(images, spec="compression-normalised"), space)


def _learning(side: _Side, space: FeatureSpace, random: np.random.Generator) -> Features:
    """The features of the learning part, then those of the same faces, each in another size and JPEG quality."""
    images = np.asarray(side.faces.images[np.flatnonzero(side.part == LEARN)])
    kinds = random.integers(0, len(VARIATIONS), len(images))
    for kind in np.unique(kinds):
        images[kinds == kind] = varied(images[kinds == kind], *VARIATIONS[kind])
    return np.concatenate([side.of(LEARN), _normalised(FaceDataset.from_arrays(images), space)])


def _classifier(
    sides: Sequence[_Side], learning: Sequence[Features], of: Sequence[int], random: np.random.Generator
) -> Logistic:
    """The calibrated classifier of real faces against these generators'."""
    people = [np.tile(side.people_of(LEARN), 2) for side in sides]
    model, _ = tuned_logistic(
        learning[0],
        np.concatenate([learning[number] for number in of]),
        people[0],
        np.concatenate([people[number] for number in of]),
        random=random,
    )
    return platt_scaled(model, sides[0].of(CALIBRATE), _together(sides, of, CALIBRATE))


def _together(sides: Sequence[_Side], of: Sequence[int], part: int) -> Features:
    return np.concatenate([sides[number].of(part) for number in of])


def _trial(real: _Side, fake: _Side, everything: Logistic, without: Logistic | None, flips: Booleans) -> GeneratorTrial:
    people = real.people_of(TEST), fake.people_of(TEST)

    def scores(model: Logistic) -> tuple[Floats64, Floats64]:
        return model.scores(real.of(TEST)), model.scores(fake.of(TEST))

    seen = scores(everything)
    unseen = None if without is None else scores(without)
    return GeneratorTrial(
        faces=len(seen[1]),
        seen=auc_interval(*seen, *people)[0],
        unseen=None if unseen is None else auc_interval(*unseen, *people)[0],
        drop=None if unseen is None else auc_drop((seen[0], unseen[0]), (seen[1], unseen[1]), *people),
        seen_accuracy=accuracy_interval(*seen, *people),
        unseen_accuracy=None if unseen is None else accuracy_interval(*unseen, *people),
        flips=_unsure(flips, people[1]),
    )


def _flips(side: _Side, model: Logistic, space: FeatureSpace) -> Booleans:
    """(V, N) which of the tested faces, `FLIPPED_MOST` at most, change sides in which of the `VARIATIONS`."""
    rows = np.flatnonzero(side.part == TEST)[:FLIPPED_MOST]
    images, before = np.asarray(side.faces.images[rows]), model.scores(side.features[rows]) > 0
    after = [
        model.scores(_normalised(FaceDataset.from_arrays(varied(images, *variation)), space)) > 0
        for variation in VARIATIONS
    ]
    flips: Booleans = np.array(after) != before
    return flips


def _unsure(flips: Booleans, people: Integers) -> Interval:
    """The share of the first faces, (V, n) of those of these people, that any variation flips."""
    flipped: Booleans = np.logical_or.reduce(flips, axis=0)
    return _share(flipped, people[: len(flipped)])


def _share(flags: Booleans, people: Integers) -> Interval:
    """A share of rows with Wilson's interval, for as many independent rows as the people's pictures are worth."""
    share = float(flags.mean())
    variance = clustered_variance((flags - share).astype(np.float64), people)
    trials = min(share * (1 - share) / variance, len(flags)) if variance > 0 else len(np.unique(people))
    return proportion_interval(share * trials, trials)


def _false_alarms(real: _Side, called: Booleans) -> dict[str, tuple[Interval, int]]:
    """Of all tested real faces, and of the subgroups of single attributes."""
    rows = np.flatnonzero(real.part == TEST)
    faces, people = real.faces.select(rows), real.people[rows]
    found = {"all": (_share(called, people), len(rows))}
    for name in map(str, faces.attributes.columns):
        for group in combinations([name]):
            members = faces.matching(group)
            if members.sum() >= GROUP_LEAST:
                found[str(group)] = _share(called[members], people[members]), int(members.sum())
    return found
