"""Does the generator repeat the faces that it learnt from? Held-out faces of other people show what chance gives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from augface.arrays import Floats, Integers, Strings
from augface.classifiers.copies import CopyFinder
from augface.data.dataset import FaceDataset
from augface.data.pixels import ImageRows, join_images
from augface.data.splits import groups_of
from augface.errors import DataError, require
from augface.evaluators.base import Argument, Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.base import Features
from augface.features.extraction import input_protocol
from augface.metrics.copying import (
    CopyTest,
    Nearest,
    copied_share,
    copy_test,
    copying_score,
    nearest_distance_ratio,
)
from augface.metrics.intervals import Interval, clustered_variance, normal_interval, proportion_interval
from augface.metrics.neighbours import Neighbours
from augface.metrics.verification import identity_leakage
from augface.results import Artifact, Baseline, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.seeds import derive_seed, random_generator

MINIMUM = 100
"""Faces of each kind, below which nothing is tested."""
ALPHA = 0.05
NON_MATES_NEARER = 0.01
"""A synthetic face counts as near where 1 of 100 real faces of other people is as near."""
NON_MATES_MOST = 1_000
CROWD = 50
"""Neighbours in a feature space with which the nearest one is compared."""
CELLS = 10
CELLS_FACES = 10_000
SHOWN = 12
PIXELS, IDENTITY = "pixels", "identity"


@dataclass(frozen=True)
class Real:
    """All real faces that a synthetic one may be near to: those of the train split, then held-out ones."""

    context: Context
    parts: list[tuple[FaceDataset, Integers]]
    """The sets that they are of, with the rows that count."""
    train: int
    """The number of training faces among them."""

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.parts)

    @cached_property
    def images(self) -> ImageRows:
        """(N, H, W, 3)."""
        return join_images([data.select(rows).images for data, rows in self.parts])

    @cached_property
    def names(self) -> Strings:
        """(N,) names of their files."""
        return np.concatenate([data.names[rows] for data, rows in self.parts])

    @cached_property
    def people(self) -> Integers:
        """(N,) the person on each; where that is not known, near-duplicates count as one person."""
        known = [data.identity[rows] for data, rows in self.parts if data.identity is not None]
        if len(known) == len(self.parts):
            return np.concatenate(known)
        attributes = pd.DataFrame(index=pd.RangeIndex(len(self)))
        return groups_of(FaceDataset(self.images, attributes, None, None, self.parts[0][0].source, self.names))

    def features(self, space: str) -> Features:
        """(N, D)."""
        return np.concatenate([self.context.features(data, space)[rows] for data, rows in self.parts])

    @cached_property
    def non_mates(self) -> Integers:
        """Some of the held-out faces, whose nearest faces of other people show what likeness chance gives."""
        random = random_generator(self.context.seed, "strangers")
        held_out = np.arange(self.train, len(self))
        return np.sort(random.choice(held_out, min(len(held_out), NON_MATES_MOST), replace=False))

    @property
    def train_share(self) -> float:
        """Training faces among all."""
        return self.train / len(self)


@dataclass(frozen=True)
class Found:
    """The real face that is nearest to each synthetic one in one space, and what counts as near there."""

    space: str
    rows: Integers
    """(N,) rows of all real faces."""
    nearest: Nearest
    threshold: float
    protocol: Mapping[str, Any]


class Memorisation(Evaluator):
    """The copied share with a calibrated alarm, in pixels and in features; exact copies; C_T and authenticity."""

    section: ClassVar[Section] = Section(
        key="memorisation",
        title="Memorisation",
        meaning="Whether synthetic faces repeat faces that the generator was trained on.",
        key_measures=("copied",),
        one_each=True,
        lights={"copies": ("exact_copies", "copied")},
    )
    needs: ClassVar[frozenset[str]] = frozenset({"train", "no copies on purpose"})
    caveat_if_missing: ClassVar[str] = "Copying was checked by the copy filter alone."

    def evaluate(self, context: Context) -> Findings:
        """Tests whether synthetic faces lie beside training faces more often than beside held-out ones."""
        real, exact = _real(context)
        findings = Findings([_exact_measurement(context, real, exact)])
        counts = {"training": real.train, "held-out": len(real) - real.train, "synthetic": len(context.samples)}
        if short := [f"{count} {kind}" for kind, count in counts.items() if count < MINIMUM]:
            reason = (
                f"{' and '.join(short)} faces are too few to distinguish copies from likeness; {MINIMUM} of each are "
                "needed. Held-out faces are real ones that the generator has not learnt from; without them only faces "
                "that equal a training face in every pixel are known to be copies."
            )
            findings.skipped.append(self.skip(reason))
            return findings
        spaces = dict.fromkeys([context.spaces[0], *(name for name in context.spaces if name == IDENTITY)])
        found = [_in_pixels(context, real), *(_in_space(context, real, name) for name in spaces if name != PIXELS)]
        test = copy_test(
            [each.nearest for each in found], real.train_share, random_generator(context.seed, "copy test")
        )
        for each, p_value in zip(found, test.p_values, strict=True):
            findings.measurements.append(_copied_measurement(context, real, each, p_value, test))
        findings.measurements.extend(_distance_measurements(context, real, next(iter(spaces))))
        if IDENTITY in spaces:
            try:
                findings.measurements.append(_leakage_measurement(context, real))
            except DataError as error:  # too few non-mates
                findings.skipped.append(self.skip(f"identity: {error}"))
        findings.artifacts.extend([*_galleries(context, real, found), _names(context, real, found)])
        return findings

    @classmethod
    def arguments(cls, measurements: Sequence[Measurement]) -> list[Argument]:
        """Copies that can be shown speak against the faces; an alarm without any is a caveat.

        One run in twenty that copies nothing raises the alarm.
        """
        alarms = [one for one in measurements if one.verdict == "fail" and one.value is not None]
        if copied := _shown_copies(measurements):
            return [Argument("against", f"The generator copies training faces: {_in_words(copied)}.")]
        return [
            Argument(
                "caveat",
                "Memorisation raised its alarm"
                + (f" (p = {alarm.p_value:.2g})" if alarm.p_value is not None else "")
                + ", but has no copy to show: look at the most suspicious pairs.",
            )
            for alarm in alarms[:1]
        ]

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """What keeps a generator from copying, where it does."""
        copied = _shown_copies(measurements)
        if not copied:
            return []
        reason = (
            f"{_in_words(copied)[0].upper()}{_in_words(copied)[1:]}. What is copied shows a person who was in the "
            "training set. More training faces, or a shorter training, leave less to copy."
        )
        return [Suggestion(Urgency.HARMFUL - 1, "Do not publish these faces", reason, copied)]


def _shown_copies(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Alarms that have copies to show."""
    alarms = [one for one in measurements if one.verdict == "fail" and one.value is not None]
    return [one for one in alarms if (one.low if one.low is not None else require(one.value)) > 0]


def _in_words(copied: Sequence[Measurement]) -> str:
    """How many synthetic faces equal a training face, and which share repeats one."""
    found = []
    for one in copied[:2]:
        if one.low is None or one.high is None:
            found.append(f"{one.value:,.0f} synthetic faces equal one in every pixel")
        else:
            interval = f"95 % interval {one.low:.1%} to {one.high:.1%}"
            found.append(f"{one.value:.1%} of the synthetic faces repeat one ({interval})")
    return ", ".join(found)


def _real(context: Context) -> tuple[Real, Integers]:
    """All real faces, without held-out ones that are training faces too; rows of samples that equal a training face."""
    learnt = require(context.train)
    train = set(_digests(learnt.images))
    parts = [(learnt, np.arange(len(learnt)))]
    for data in (context.reference, context.test):
        if data is None or data is parts[-1][0]:
            continue
        parts.append((data, np.flatnonzero([digest not in train for digest in _digests(data.images)])))
    exact = np.flatnonzero([digest in train for digest in _digests(context.samples.images)])
    return Real(context, parts, len(learnt)), exact


def _digests(images: ImageRows) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(images[row]).data).digest() for row in range(len(images))]


def _in_pixels(context: Context, real: Real) -> Found:
    """By overlaying pictures, flipped and shifted."""
    finder = CopyFinder(real.images, real.people)
    likeness = finder.search(context.samples.images)
    non_mates = finder.search(real.images.take(real.non_mates), real.people[real.non_mates])
    return _found(real, PIXELS, likeness.nearest, likeness.distance_ratio, non_mates.distance_ratio, finder.protocol)


def _in_space(context: Context, real: Real, space: str) -> Found:
    """By the features of a space."""
    features = real.features(space)
    neighbours = Neighbours(features)
    crowd = min(CROWD, len(real))
    distances, rows = neighbours.search(context.features(context.samples, space), crowd)
    of_non_mates, near_non_mates = neighbours.search(features[real.non_mates], min(2 * crowd, len(real)))
    same = real.people[near_non_mates] == real.people[real.non_mates][:, None]
    non_mates, _ = nearest_distance_ratio(np.sort(np.where(same, np.inf, of_non_mates), axis=1)[:, :crowd])
    return _found(real, space, rows[:, 0], nearest_distance_ratio(distances)[0], non_mates, {"crowd": crowd})


def _found(
    real: Real, space: str, rows: Integers, ratios: Floats, non_mates: Floats, protocol: Mapping[str, Any]
) -> Found:
    _, person = np.unique(real.people, return_inverse=True)
    from_train = rows < real.train
    # a person on both sides counts on each side by themselves
    nearest = Nearest(ratios, 2 * person[rows] + from_train, from_train)
    return Found(space, rows, nearest, float(np.quantile(non_mates, NON_MATES_NEARER)), protocol)


def _measurement(
    context: Context,
    real: Real,
    name: str,
    number: Interval,
    *,
    label: str,
    meaning: str,
    space: str | None,
    protocol: Mapping[str, Any] | None = None,
    **more: Any,
) -> Measurement:
    """A number about synthetic faces beside all real ones; `more` is what else it carries."""
    extraction = {}
    if space is not None and space != PIXELS:
        extraction = {**context.space(space).protocol, **input_protocol(context.samples)}
    return Measurement(
        evaluator=Memorisation.name,
        name=name,
        label=label,
        value=number.value,
        low=number.low,
        high=number.high,
        meaning=meaning,
        n_real=len(real),
        n_fake=len(context.samples),
        space=space,
        protocol={**extraction, **(protocol or {}), "training_faces": real.train, "seed": context.seed},
        **more,
    )


def _exact_measurement(context: Context, real: Real, exact: Integers) -> Measurement:
    return _measurement(
        context,
        real,
        "exact_copies",
        Interval(len(exact), float("nan"), float("nan")),
        label="Equal to a training face",
        meaning="Synthetic faces that equal a training face in every pixel.",
        space=None,
        direction="lower",
        verdict="fail" if len(exact) else "pass",
        protocol={"input": f"{context.samples.size} x {context.samples.size} pixels"},
    )


def _copied_measurement(context: Context, real: Real, found: Found, p_value: float, test: CopyTest) -> Measurement:
    return _measurement(
        context,
        real,
        "copied",
        copied_share(found.nearest, found.threshold, real.train_share),
        label="Copied faces",
        meaning="The share of synthetic faces that repeat a training face, beyond the likeness that chance gives.",
        space=found.space,
        unit="%",
        direction="lower",
        p_value=p_value,
        baseline=Baseline(value=0.0, n=len(real) - real.train),
        verdict="fail" if p_value < ALPHA else "pass",
        alarm=p_value < ALPHA,
        protocol={
            **found.protocol,
            "non_mates_nearer": NON_MATES_NEARER,
            "test": "who is a training person drawn anew; corrected for the number of spaces",
        },
        found={"threshold": found.threshold, "smallest_visible_originals": test.visible},
    )


def _distance_measurements(context: Context, real: Real, space: str) -> list[Measurement]:
    """Authenticity and C_T, which compare distances to training faces with those of held-out faces."""
    features = real.features(space)
    train, held_out = features[: real.train], features[real.train :]
    synthetic = context.features(context.samples, space)
    neighbours = Neighbours(train)
    (distances, rows), (held_out_distances, held_out_rows) = (
        (found[:, 0], nearest[:, 0])
        for found, nearest in (neighbours.search(side, 1) for side in (synthetic, held_out))
    )
    named, place = np.unique(np.concatenate([rows, held_out_rows]), return_inverse=True)
    own = neighbours.search(train[named], 2)[0][place, 1]  # from the nearest training face to its own nearest other
    authentic = np.concatenate([distances, held_out_distances]) > own
    ours, others = authentic[: len(synthetic)], authentic[len(synthetic) :]
    error = clustered_variance(others - others.mean(), real.people[real.train :]) ** 0.5
    baseline = normal_interval(float(others.mean()), error)
    chosen = random_generator(context.seed, "cells").permutation(real.train)[:CELLS_FACES]
    cells = KMeans(CELLS, n_init=1, random_state=derive_seed(context.seed, "cells") % 2**32).fit(train[chosen])
    return [
        _measurement(
            context,
            real,
            "authenticity",
            proportion_interval(int(ours.sum()), len(ours)),
            label="Authentic faces",
            meaning="The share of synthetic faces that are farther from the nearest training face than that is from "
            "other training faces (Alaa et al. 2022). Low where they are copies, and where they are few and blurred.",
            space=space,
            unit="%",
            direction="target",
            baseline=Baseline(value=baseline.value, low=baseline.low, high=baseline.high, n=len(others)),
        ),
        _measurement(
            context,
            real,
            "copying_score",
            copying_score(distances, held_out_distances, cells.predict(synthetic), cells.predict(held_out)),
            label="Copying score C_T",
            meaning="C_T (Meehan et al. 2020): synthetic faces against held-out ones by their distance to training "
            "faces, in standard errors. Below -3 they are nearer than chance allows, above 3 farther.",
            space=space,
            direction="target",
            baseline=Baseline(value=0.0, n=len(others)),
            protocol={"cells": CELLS},
        ),
    ]


def _leakage_measurement(context: Context, real: Real) -> Measurement:
    """How many more synthetic faces than non-mates a face recogniser takes for somebody of the training set."""
    features = real.features(IDENTITY)
    leakage = identity_leakage(
        context.features(context.samples, IDENTITY),
        features[: real.train],
        features[real.train :],
        train_people=real.people[: real.train],
        held_out_people=real.people[real.train :],
        fake_people=context.samples.identity,
    )
    return _measurement(
        context,
        real,
        "identity_excess",
        leakage.excess,
        label="Taken for a training person",
        meaning="The share of synthetic faces that a face recogniser takes for somebody of the training set, beyond "
        f"the {leakage.non_mates_within.value:.1%} of non-mates that it does. It finds "
        f"{leakage.known_within.value:.0%} of those who are there.",
        space=IDENTITY,
        unit="%",
        direction="lower",
        p_value=leakage.p_value,
        baseline=Baseline(value=0.0, n=leakage.n_non_mates),
        verdict="warn" if leakage.excess.low > 0 else "pass",
        found={
            "threshold": leakage.threshold,
            "false_identification_rate": leakage.non_mates_within.value,
            "true_positive_rate": leakage.known_within.value,
        },
    )


def _suspects(real: Real, found: Found) -> Integers:
    """The synthetic faces that lie most isolated beside a training face, the most isolated first."""
    order = np.argsort(found.nearest.distance_ratio, kind="stable")
    return np.asarray(order[found.nearest.from_train[order]][:SHOWN])


def _galleries(context: Context, real: Real, found: list[Found]) -> list[Artifact]:
    """In each space the most suspicious synthetic faces above the training faces that they are near to."""
    grids: list[Artifact] = []
    for each in found:
        suspects = _suspects(real, each)
        if not context.show_real or not len(suspects):
            continue
        nearest = real.images[each.rows[suspects]]
        how = "in pixels" if each.space == PIXELS else f"in {each.space} features"
        grids.append(
            image_grid(
                [context.samples.images[suspects], nearest],
                name=f"suspects-{each.space}",
                title=f"The most suspicious pairs {how}",
                caption=f"From the top: the synthetic faces that lie most isolated beside a training face {how}, the "
                "most suspicious first; that training face. A copy shows the same picture, perhaps flipped or shifted.",
                section=Memorisation.name,
                row_labels=["synthetic", "training face"],
                shows_real_people=context.reference.shows_people,
            )
        )
    return grids


def _names(context: Context, real: Real, found: list[Found]) -> Artifact:
    parts = []
    for each in found:
        suspects = _suspects(real, each)
        parts.append(
            pd.DataFrame(
                {
                    "space": each.space,
                    "synthetic": context.samples.names[suspects],
                    "training face": real.names[each.rows[suspects]],
                    "distance ratio": each.nearest.distance_ratio[suspects].round(4),
                    "nearer than non-mates": each.nearest.distance_ratio[suspects] < each.threshold,
                }
            )
        )
    return table(
        pd.concat(parts),
        name="suspects-names",
        title="The most suspicious pairs, by name",
        caption="The ratio is the distance to the training face over the mean distance to other faces: near 0 for a "
        f"copy. Nearer than non-mates: smaller than that of {1 - NON_MATES_NEARER:.0%} of held-out faces of other "
        "people.",
        section=Memorisation.name,
    )
