"""Does a classifier of the wanted attribute get better with the made faces? Answered against honest alternatives.

Each arm is a linear classifier on frozen features, trained on the real train split or on it and more, and scored on
real test faces of other people. Every seed redraws the training people and the made faces.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from augface.artifacts import table
from augface.data.dataset import FaceDataset
from augface.evaluators.base import Context, Evaluator, Findings
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.base import Features
from augface.metrics.thresholds import balanced_threshold
from augface.results import Measurement, Skipped
from augface.seeds import random_generator

SEEDS = 5
KEPT = 0.8
"""The share of training people, and of made faces, that each seed draws."""
REGULARISATIONS = (1e-4, 1e-3, 1e-2)
"""Inverse strengths, chosen on the valid split for each arm and seed."""
BOOTSTRAPS = 500
SYNTHETIC = "synthetic"

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Features (N, D) with the wanted attribute and whose faces they are."""

    features: Features
    labels: Labels
    people: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Labelled:
        """Some rows, perhaps repeated."""
        return Labelled(self.features[rows], self.labels[rows], self.people[rows])


@dataclass(frozen=True)
class TrainingSet:
    """What an arm trains on."""

    faces: Labelled
    balanced_weights: bool = False


Arm = Callable[[Labelled, Labelled, np.random.Generator], TrainingSet]
"""From real faces, made faces and randomness to a training set."""


def plain(real: Labelled, made: Labelled, random: np.random.Generator) -> TrainingSet:
    """The real faces as they are."""
    return TrainingSet(real)


def class_weighted(real: Labelled, made: Labelled, random: np.random.Generator) -> TrainingSet:
    """The real faces, each class with the same weight in the loss."""
    return TrainingSet(real, balanced_weights=True)


def oversampled(real: Labelled, made: Labelled, random: np.random.Generator) -> TrainingSet:
    """The real faces, with real ones of each label repeated as often as there are made ones of it."""
    rows = [np.arange(len(real.labels))]
    for label in (True, False):
        rows.append(random.choice(np.flatnonzero(real.labels == label), int((made.labels == label).sum())))
    return TrainingSet(real.take(np.concatenate(rows)))


def synthetic(real: Labelled, made: Labelled, random: np.random.Generator) -> TrainingSet:
    """The real faces and the made ones."""
    return TrainingSet(
        Labelled(
            np.concatenate([real.features, made.features]),
            np.concatenate([real.labels, made.labels]),
            np.concatenate([real.people, made.people]),
        )
    )


ARMS: dict[str, Arm] = {
    "plain": plain,
    "class-weighted": class_weighted,
    "oversampled": oversampled,
    SYNTHETIC: synthetic,
}


class Downstream(Evaluator):
    """Trains every arm on frozen features and compares them on real test faces."""

    name: ClassVar[str] = "downstream"
    needs: ClassVar[frozenset[str]] = frozenset({"labels", "train", "valid", "test", "made"})

    def evaluate(self, context: Context) -> Findings:
        """Scores of each arm, and the effect of the made faces, for each attribute that was asked for."""
        parts = [self._evaluate_attribute(context, attribute) for attribute in context.targets]
        return Findings(
            [measurement for part in parts for measurement in part.measurements],
            [artifact for part in parts for artifact in part.artifacts],
            [skipped for part in parts for skipped in part.skipped],
        )

    def _evaluate_attribute(self, context: Context, attribute: str) -> Findings:
        assert context.train is not None
        assert context.valid is not None
        assert context.test is not None
        assert context.made is not None
        sides = {
            name: _labelled(context, data, attribute)
            for name, data in (
                ("train", context.train),
                ("valid", context.valid),
                ("test", context.test),
                ("made", context.made),
            )
        }
        for name in ("train", "valid", "test"):
            if len(np.unique(sides[name].labels)) < 2:
                reason = f"the {name} split has faces of one kind of {attribute} only, so nothing can be scored."
                return Findings([], skipped=[Skipped(evaluator=self.name, reason=reason)])
        if not len(sides["made"].labels):
            reason = f"no made face has a label of {attribute}."
            return Findings([], skipped=[Skipped(evaluator=self.name, reason=reason)])
        runs = pd.DataFrame([_run(arm, seed, sides, context.seed) for seed in range(SEEDS) for arm in ARMS])
        protocol = {
            **create_feature_space().protocol,
            "mode": "frozen",
            "attribute": attribute,
            "seeds": SEEDS,
            "seed": context.seed,
            "kept": KEPT,
            "classifier": "logistic regression on features scaled by the arm's training faces, C chosen on valid",
        }
        measurements = [_effect(runs, sides["test"], protocol, context.seed), *_arm_measurements(runs, sides, protocol)]
        scores = runs[["arm", "seed", "average_precision", "balanced_accuracy", "minority_recall"]]
        every_seed = table(
            scores.round(4),
            name=f"downstream-{attribute}",
            title=f"Every arm and seed: telling {attribute}",
            caption=f"Scores on {len(sides['test'].labels):,} real test faces of each arm for each seed.",
            section=self.name,
        )
        return Findings(measurements, [every_seed])


def _labelled(context: Context, data: FaceDataset, attribute: str) -> Labelled:
    known = data.attribute(attribute).notna().to_numpy()
    people = data.identity if data.identity is not None else np.arange(len(data))
    features = context.features(data) if len(data) else np.zeros((0, create_feature_space().dimension), np.float32)
    return Labelled(features[known], data.attributes[attribute][known].to_numpy(dtype=np.bool_), people[known])


def _run(arm: str, seed: int, sides: dict[str, Labelled], master_seed: int) -> dict[str, object]:
    """Train one arm with one seed; its scores on test, and its choice's score on valid."""
    random = random_generator(master_seed, "downstream", seed)  # the same draws for each arm
    real, made, valid, test = (sides[name] for name in ("train", "made", "valid", "test"))
    people = np.unique(real.people)
    kept = random.choice(people, round(KEPT * len(people)), replace=False)
    real = real.take(np.flatnonzero(np.isin(real.people, kept)))
    made = made.take(random.choice(len(made.labels), max(1, round(KEPT * len(made.labels))), replace=False))
    training = ARMS[arm](real, made, random)
    # by the arm's own training faces: by the real ones alone, made faces could lie thousands of deviations away in
    # features that hardly vary among real faces, and a linear classifier would look at nothing else
    scaler = StandardScaler().fit(training.faces.features)
    learn, choose, score = (scaler.transform(side.features) for side in (training.faces, valid, test))
    best: tuple[float, LogisticRegression] | None = None
    for strength in REGULARISATIONS:
        classifier = LogisticRegression(
            C=strength, class_weight="balanced" if training.balanced_weights else None, max_iter=300, tol=1e-3
        )
        with warnings.catch_warnings():  # the strength that converges too slowly is rarely chosen, and fair to all arms
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(learn, training.faces.labels)
        valid_score = float(average_precision_score(valid.labels, classifier.decision_function(choose)))
        if best is None or valid_score > best[0]:
            best = valid_score, classifier
    assert best is not None
    valid_score, classifier = best
    threshold = balanced_threshold(valid.labels, classifier.decision_function(choose))
    decisions = classifier.decision_function(score)
    predicted = decisions >= threshold
    rare = test.labels.mean() < 0.5
    return {
        "arm": arm,
        "seed": seed,
        "valid_average_precision": valid_score,
        "average_precision": float(average_precision_score(test.labels, decisions)),
        "balanced_accuracy": float(balanced_accuracy_score(test.labels, predicted)),
        "minority_recall": float((predicted == rare)[test.labels == rare].mean()),
        "decisions": decisions,
    }


def _people_weights(people: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(N,) how often each face counts when people are drawn with replacement."""
    _, person = np.unique(people, return_inverse=True)
    count = int(person.max()) + 1
    return np.bincount(random.integers(0, count, count), minlength=count)[person].astype(np.float64)


def _bootstrap(
    statistic: Callable[[npt.NDArray[np.float64]], float], test: Labelled, seed: int
) -> npt.NDArray[np.float64]:
    """Values of a statistic of weighted test faces when the test people are drawn anew."""
    random = random_generator(seed, "test people")
    values: list[float] = []
    while len(values) < BOOTSTRAPS:
        weights = _people_weights(test.people, random)
        if weights[test.labels].sum() and weights[~test.labels].sum():
            values.append(statistic(weights))
    return np.array(values)


def _effect(runs: pd.DataFrame, test: Labelled, protocol: Mapping[str, object], seed: int) -> Measurement:
    """Average precision with the made faces minus that of the best arm without, over seeds and people."""
    means = runs[runs.arm != SYNTHETIC].groupby("arm", sort=False)["valid_average_precision"].mean()
    rival = str(means.idxmax())
    ours = list(runs[runs.arm == SYNTHETIC].sort_values("seed")["decisions"])
    theirs = list(runs[runs.arm == rival].sort_values("seed")["decisions"])

    def difference(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array(
            [
                average_precision_score(test.labels, a, sample_weight=weights)
                - average_precision_score(test.labels, b, sample_weight=weights)
                for a, b in zip(ours, theirs, strict=True)
            ]
        )

    each_seed = difference(np.ones(len(test.labels)))
    over_people = float(_bootstrap(lambda weights: float(difference(weights).mean()), test, seed).std(ddof=1))
    over_seeds = float(each_seed.std(ddof=1)) / SEEDS**0.5
    error = max(float(np.hypot(over_people, over_seeds)), 1e-12)
    people = len(np.unique(test.people))
    # few seeds, many people: the degrees of freedom of their sum (Satterthwaite 1946)
    freedom = error**4 / max(over_seeds**4 / (SEEDS - 1) + over_people**4 / max(people - 1, 1), 1e-60)
    quantile = float(stats.t.ppf(0.975, freedom))
    value = float(each_seed.mean())
    low, high = value - quantile * error, value + quantile * error
    visible = (quantile + float(stats.norm.ppf(0.8))) * error
    return Measurement(
        evaluator="downstream",
        name="effect",
        value=value,
        low=low,
        high=high,
        p_value=float(2 * stats.t.sf(abs(value) / error, freedom)),
        direction="higher",
        verdict="pass" if low > 0 else "fail" if high < 0 else "info",
        meaning=f"Average precision with the made faces minus that of {rival}, the best arm without them on the valid "
        "split.",
        n_real=len(test.labels),
        space=DEFAULT_SPACE,
        protocol={**protocol, "rival": rival, "smallest_visible_effect": float(f"{visible:.3g}"),
                  "interval": "t over seeds and bootstrap over people, degrees of freedom by Satterthwaite"},
    )  # fmt: skip


def _arm_measurements(
    runs: pd.DataFrame, sides: dict[str, Labelled], protocol: Mapping[str, object]
) -> list[Measurement]:
    """Mean scores of each arm; the interval is t over seeds."""
    meanings = {
        "average_precision": "How well the arm ranks test faces by the attribute, from 0 to 1.",
        "balanced_accuracy": "Mean of the shares of either kind told right, at the threshold chosen on valid.",
        "minority_recall": "The share of the rarer kind that is found, at the threshold chosen on valid.",
    }
    measurements = []
    for score, meaning in meanings.items():
        for arm in ARMS:
            values = runs.loc[runs.arm == arm, score].to_numpy(dtype=np.float64)
            reach = float(stats.t.ppf(0.975, SEEDS - 1)) * float(values.std(ddof=1)) / np.sqrt(SEEDS)
            mean = float(values.mean())
            measurements.append(
                Measurement(
                    evaluator="downstream",
                    name=score,
                    value=mean,
                    low=mean - reach,
                    high=mean + reach,
                    direction="higher",
                    meaning=meaning,
                    n_real=len(sides["test"].labels),
                    n_fake=len(sides["made"].labels) if arm == SYNTHETIC else None,
                    space=DEFAULT_SPACE,
                    protocol={**protocol, "arm": arm, "interval": "t over seeds"},
                )
            )
    return measurements
