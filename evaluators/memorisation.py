"""Does the generator repeat the faces that it learnt from? Held-out faces of other people tell what chance gives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans

from augface.artifacts import image_grid, table
from augface.copies import CopyFinder
from augface.data.dataset import FaceDataset, ImageRows, join_images
from augface.data.splits import groups_of
from augface.errors import DataError
from augface.evaluators.base import Context, Evaluator, Findings
from augface.features.base import Features
from augface.features.extraction import input_protocol
from augface.metrics.intervals import Interval, clustered_variance, normal_interval, proportion_interval
from augface.metrics.memorisation import CopyTest, Nearest, copied_share, copy_test, copying_score, isolation
from augface.metrics.neighbours import Neighbours
from augface.metrics.verification import identity_leakage
from augface.results import Artifact, Baseline, Measurement, Skipped
from augface.seeds import derive_seed, random_generator

MINIMUM = 100
"""Faces of each kind, below which nothing is tested."""
ALPHA = 0.05
STRANGERS = 0.01
"""A made face counts as near from where on 1 of 100 real faces of other people do."""
STRANGERS_MOST = 1_000
CROWD = 50
"""Neighbours in a feature space that tell how isolated the nearest one is."""
CELLS = 10
CELLS_FACES = 10_000
SHOWN = 12
PIXELS, IDENTITY = "pixels", "identity"

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Real:
    """All real faces that a made one may be near to: those of the train split, then held-out ones.

    Attributes:
        parts: the sets that they are of, with the rows that count.
        train: how many of them are training faces.
    """

    context: Context
    parts: list[tuple[FaceDataset, Rows]]
    train: int

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.parts)

    @cached_property
    def images(self) -> ImageRows:
        """(N, H, W, 3)."""
        return join_images([data.select(rows).images for data, rows in self.parts])

    @cached_property
    def names(self) -> npt.NDArray[np.str_]:
        """(N,) of their files."""
        return np.concatenate([data.names[rows] for data, rows in self.parts])

    @cached_property
    def people(self) -> Rows:
        """(N,) who is on each, or else which pictures are nearly the same."""
        known = [data.identity[rows] for data, rows in self.parts if data.identity is not None]
        if len(known) == len(self.parts):
            return np.concatenate(known)
        attributes = pd.DataFrame(index=pd.RangeIndex(len(self)))
        return groups_of(FaceDataset(self.images, attributes, None, None, self.parts[0][0].source, self.names))

    def features(self, space: str) -> Features:
        """(N, D)."""
        return np.concatenate([self.context.features(data, space)[rows] for data, rows in self.parts])

    @cached_property
    def strangers(self) -> Rows:
        """Some of the held-out faces, which show what likeness there is between people who have nothing in common."""
        random = random_generator(self.context.seed, "strangers")
        held_out = np.arange(self.train, len(self))
        return np.sort(random.choice(held_out, min(len(held_out), STRANGERS_MOST), replace=False))

    @property
    def train_share(self) -> float:
        """Training faces among all."""
        return self.train / len(self)


@dataclass(frozen=True)
class Found:
    """In one space: the real face that is nearest to each made one (row of all real faces), and what is near."""

    space: str
    rows: Rows
    nearest: Nearest
    threshold: float
    protocol: Mapping[str, Any]


class Memorisation(Evaluator):
    """The copied share with a calibrated alarm, in pixels and in features; exact copies; C_T and authenticity."""

    name: ClassVar[str] = "memorisation"
    needs: ClassVar[frozenset[str]] = frozenset({"train"})

    def evaluate(self, context: Context) -> Findings:
        """Tests whether made faces lie beside training faces more often than beside held-out ones."""
        real, exact = _real(context)
        findings = Findings([_exact_measurement(context, real, exact)])
        counts = {"training": real.train, "held-out": len(real) - real.train, "made": len(context.synthetic)}
        if short := [f"{count} {kind}" for kind, count in counts.items() if count < MINIMUM]:
            reason = (
                f"{' and '.join(short)} faces are too few to tell copies from likeness; {MINIMUM} of each are needed. "
                "Held-out faces are real ones that the generator has not learnt from; without them only faces that "
                "equal a training face in every pixel are known to be copies."
            )
            findings.skipped.append(Skipped(evaluator=self.name, reason=reason))
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
            except DataError as error:  # too few strangers
                findings.skipped.append(Skipped(evaluator=self.name, reason=f"identity: {error}"))
        findings.artifacts.extend([*_galleries(context, real, found), _names(context, real, found)])
        return findings


def _real(context: Context) -> tuple[Real, Rows]:
    """All real faces, without held-out ones that are training faces too; and the made faces that equal one of those."""
    assert context.train is not None
    train = set(_digests(context.train.images))
    parts = [(context.train, np.arange(len(context.train)))]
    held_out = [context.reference] if context.test in (None, context.reference) else [context.reference, context.test]
    for data in held_out:
        assert data is not None
        parts.append((data, np.flatnonzero([digest not in train for digest in _digests(data.images)])))
    exact = np.flatnonzero([digest in train for digest in _digests(context.synthetic.images)])
    return Real(context, parts, len(context.train)), exact


def _digests(images: ImageRows) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(images[row]).data).digest() for row in range(len(images))]


def _in_pixels(context: Context, real: Real) -> Found:
    """By overlaying pictures, flipped and shifted."""
    finder = CopyFinder(real.images, real.people)
    likeness = finder.search(context.synthetic.images)
    strangers = finder.search(real.images.take(real.strangers), real.people[real.strangers])
    return _found(real, PIXELS, likeness.nearest, likeness.isolation, strangers.isolation, finder.protocol)


def _in_space(context: Context, real: Real, space: str) -> Found:
    """By the features of a space."""
    features = real.features(space)
    neighbours = Neighbours(features)
    crowd = min(CROWD, len(real))
    distances, rows = neighbours.search(context.features(context.synthetic, space), crowd)
    of_strangers, near_strangers = neighbours.search(features[real.strangers], min(2 * crowd, len(real)))
    same = real.people[near_strangers] == real.people[real.strangers][:, None]
    strangers, _ = isolation(np.sort(np.where(same, np.inf, of_strangers), axis=1)[:, :crowd])
    return _found(real, space, rows[:, 0], isolation(distances)[0], strangers, {"crowd": crowd})


def _found(real: Real, space: str, rows: Rows, scores: Scores, strangers: Scores, protocol: Mapping[str, Any]) -> Found:
    _, person = np.unique(real.people, return_inverse=True)
    from_train = rows < real.train
    # a person on both sides counts on each side by themselves
    nearest = Nearest(scores, 2 * person[rows] + from_train, from_train)
    return Found(space, rows, nearest, float(np.quantile(strangers, STRANGERS)), protocol)


def _measurement(
    context: Context, real: Real, name: str, number: Interval, *, meaning: str, space: str | None, **more: Any
) -> Measurement:
    """A number about made faces beside all real ones; `more` is what else it carries."""
    protocol = more.pop("protocol", {})
    if space is not None and space != PIXELS:
        protocol = {**context.space(space).protocol, **input_protocol(context.synthetic), **protocol}
    return Measurement(
        evaluator=Memorisation.name,
        name=name,
        value=number.value,
        low=number.low,
        high=number.high,
        meaning=meaning,
        n_real=len(real),
        n_fake=len(context.synthetic),
        space=space,
        protocol={**protocol, "training_faces": real.train, "seed": context.seed},
        **more,
    )


def _exact_measurement(context: Context, real: Real, exact: Rows) -> Measurement:
    return _measurement(
        context,
        real,
        "exact_copies",
        Interval(len(exact), float("nan"), float("nan")),
        meaning="Made faces that equal a training face in every pixel.",
        space=None,
        direction="lower",
        verdict="fail" if len(exact) else "pass",
        protocol={"input": f"{context.synthetic.size} x {context.synthetic.size} pixels"},
    )


def _copied_measurement(context: Context, real: Real, found: Found, p_value: float, test: CopyTest) -> Measurement:
    return _measurement(
        context,
        real,
        "copied",
        copied_share(found.nearest, found.threshold, real.train_share),
        meaning="The share of made faces that repeat a training face, beyond the likeness that strangers have.",
        space=found.space,
        unit="%",
        direction="lower",
        p_value=p_value,
        baseline=Baseline(value=0.0, n=len(real) - real.train),
        verdict="fail" if p_value < ALPHA else "pass",
        protocol={
            **found.protocol,
            "threshold": found.threshold,
            "strangers_nearer": STRANGERS,
            "test": "who is a training person drawn anew; corrected for the number of spaces",
            "smallest_visible_originals": test.visible,
        },
    )


def _distance_measurements(context: Context, real: Real, space: str) -> list[Measurement]:
    """Authenticity and C_T, which compare distances to training faces with those of held-out faces."""
    features = real.features(space)
    train, held_out = features[: real.train], features[real.train :]
    fake = context.features(context.synthetic, space)
    neighbours = Neighbours(train)
    (fake_distances, fake_rows), (held_out_distances, held_out_rows) = (
        (distances[:, 0], rows[:, 0]) for distances, rows in (neighbours.search(side, 1) for side in (fake, held_out))
    )
    named, place = np.unique(np.concatenate([fake_rows, held_out_rows]), return_inverse=True)
    own = neighbours.search(train[named], 2)[0][place, 1]  # from the nearest training face to its own nearest other
    authentic = np.concatenate([fake_distances, held_out_distances]) > own
    made, others = authentic[: len(fake)], authentic[len(fake) :]
    error = clustered_variance(others - others.mean(), real.people[real.train :]) ** 0.5
    baseline = normal_interval(float(others.mean()), error)
    chosen = random_generator(context.seed, "cells").permutation(real.train)[:CELLS_FACES]
    cells = KMeans(CELLS, n_init=1, random_state=derive_seed(context.seed, "cells") % 2**32).fit(train[chosen])
    return [
        _measurement(
            context,
            real,
            "authenticity",
            proportion_interval(int(made.sum()), len(made)),
            meaning="The share of made faces that are farther from the nearest training face than that is from other "
            "training faces (Alaa et al. 2022). Low where they are copies, and where they are few and blurred.",
            space=space,
            unit="%",
            direction="target",
            baseline=Baseline(value=baseline.value, low=baseline.low, high=baseline.high, n=len(others)),
        ),
        _measurement(
            context,
            real,
            "copying_score",
            copying_score(fake_distances, held_out_distances, cells.predict(fake), cells.predict(held_out)),
            meaning="C_T (Meehan et al. 2020): made faces against held-out ones by their distance to training faces, "
            "in standard errors. Below -3 they are nearer than chance allows, above 3 farther.",
            space=space,
            direction="target",
            baseline=Baseline(value=0.0, n=len(others)),
            protocol={"cells": CELLS},
        ),
    ]


def _leakage_measurement(context: Context, real: Real) -> Measurement:
    """How many more made faces than strangers a face recogniser takes for somebody of the training set."""
    features = real.features(IDENTITY)
    leakage = identity_leakage(
        context.features(context.synthetic, IDENTITY),
        features[: real.train],
        features[real.train :],
        train_people=real.people[: real.train],
        held_out_people=real.people[real.train :],
        fake_people=context.synthetic.identity,
    )
    return _measurement(
        context,
        real,
        "identity_excess",
        leakage.excess,
        meaning="The share of made faces that a face recogniser takes for somebody of the training set, beyond the "
        f"{leakage.strangers_within.value:.1%} of strangers that it does. It finds {leakage.known_within.value:.0%} of "
        "those who are there.",
        space=IDENTITY,
        unit="%",
        direction="lower",
        p_value=leakage.p_value,
        baseline=Baseline(value=0.0, n=leakage.n_strangers),
        verdict="warn" if leakage.excess.low > 0 else "pass",
        protocol={
            "threshold": leakage.threshold,
            "false_identification_rate": leakage.strangers_within.value,
            "true_positive_rate": leakage.known_within.value,
        },
    )


def _suspects(real: Real, found: Found) -> Rows:
    """The made faces that lie most isolated beside a training face, the most isolated first."""
    order = np.argsort(found.nearest.isolation, kind="stable")
    return np.asarray(order[found.nearest.from_train[order]][:SHOWN])


def _galleries(context: Context, real: Real, found: list[Found]) -> list[Artifact]:
    """In each space the most suspicious made faces above the training faces that they are near to."""
    grids: list[Artifact] = []
    for each in found:
        suspects = _suspects(real, each)
        if not context.show_real or not len(suspects):
            continue
        nearest = real.images[each.rows[suspects]]
        how = "in pixels" if each.space == PIXELS else f"in {each.space} features"
        grids.append(
            image_grid(
                [context.synthetic.images[suspects], nearest],
                name=f"suspects-{each.space}",
                title=f"The most suspicious pairs {how}",
                caption=f"From the top: the made faces that lie most isolated beside a training face {how}, the most "
                "suspicious first; that training face. A copy shows the same picture, perhaps flipped or shifted.",
                section=Memorisation.name,
                row_labels=["made", "training face"],
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
                    "made": context.synthetic.names[suspects],
                    "training face": real.names[each.rows[suspects]],
                    "isolation": each.nearest.isolation[suspects].round(4),
                    "beyond strangers": each.nearest.isolation[suspects] < each.threshold,
                }
            )
        )
    return table(
        pd.concat(parts),
        name="suspects-names",
        title="The most suspicious pairs, by name",
        caption="Isolation is the distance to the training face over that to other faces: near 0 for a copy. Beyond "
        f"strangers: smaller than that of {1 - STRANGERS:.0%} of held-out faces of other people.",
        section=Memorisation.name,
    )
