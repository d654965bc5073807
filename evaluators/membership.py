"""Can it be told from synthetic faces whose photos the generator learnt from? Held-out people say what is chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Floats64, Integers, Strings
from augface.data.dataset import FaceDataset
from augface.data.splits import groups_of
from augface.errors import require
from augface.evaluators.base import Argument, Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.extraction import input_protocol
from augface.metrics import membership
from augface.metrics.classification import auc_interval, roc_at
from augface.metrics.intervals import Interval
from augface.metrics.membership import MembershipTest, face_scores, found_at, membership_test, person_scores
from augface.results import Artifact, Baseline, Measurement, Section
from augface.results.artifacts import series, table
from augface.seeds import random_generator

MINIMUM = {"training": membership.LEAST, "held-out": 50}
"""People of either kind: with fewer held-out ones low false positive rates mean nothing."""
SAMPLES = 50
"""Synthetic faces, below which they show too little of a generator."""
MOST = 2_000
"""Faces of training and of held-out people each, and synthetic ones, whose distances are all looked at."""
ALPHA = 0.05
RATES = (0.01, 0.05)
"""False positive rates at which it is said how many training people are found."""
SHOWN = 20
RECOGNISERS = ("identity", "onnx")
"""Feature spaces beside the first in which people are looked for: recognisers, also those of an ONNX file."""

LABELS: Mapping[str, str] = {
    "nearest": "nearest synthetic face",
    "likelihood": "likelihood ratio",
    "discriminator": "classifier",
    "generator": "the generator's own discriminator",
}


@dataclass(frozen=True)
class People:
    """Training and held-out people, with their faces.

    Attributes:
        parts: the sets that the N faces are of, with the rows that are looked at.
        person: (N,) numbers from 0 of the person on each face.
        member: (P,) who is a training person.
    """

    parts: list[tuple[FaceDataset, Integers]]
    person: Integers
    member: Booleans

    @property
    def names(self) -> Strings:
        """(N,) names of the faces' files."""
        return np.concatenate([data.names[rows] for data, rows in self.parts])

    def images(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """(N, H, W, 3)."""
        return np.concatenate([np.asarray(data.images[rows]) for data, rows in self.parts])


class Membership(Evaluator):
    """Membership inference of people, with an exact test and true positive rates at low false positive rates."""

    section: ClassVar[Section] = Section(
        key="membership",
        title="Who was in the training set?",
        meaning="Whether it can be told from the synthetic faces whose photos the generator learnt from. Held-out "
        "people, drawn as the training people were, say what is chance.",
        key_measures=("membership_auc", "people_found_1"),
        one_each=True,
    )
    needs: ClassVar[frozenset[str]] = frozenset({"train", "no copies on purpose"})

    def evaluate(self, context: Context) -> Findings:
        """Test whether training people score higher than held-out ones, by all scores in all spaces at once."""
        people = _people(context)
        counts = {"training": int(people.member.sum()), "held-out": int((~people.member).sum())}
        if short := [f"{count} {kind}" for kind, count in counts.items() if count < MINIMUM[kind]]:
            needed = " and ".join(f"{least} {kind}" for kind, least in MINIMUM.items())
            reason = f"{' and '.join(short)} people are too few to say what is chance; {needed} ones are needed."
            return Findings(skipped=[self.skip(reason)])
        if len(context.samples) < SAMPLES:
            reason = f"{len(context.samples)} synthetic faces show too little of a generator; {SAMPLES} are needed."
            return Findings(skipped=[self.skip(reason)])
        scores = _scores(context, people)
        random = random_generator(context.seed, "membership")
        test = membership_test(scores, people.member, random)
        findings = Findings([_auc_measurement(context, people, test)])
        for rate in RATES:
            findings.measurements.append(_found_measurement(context, people, test, rate, random))
        findings.measurements.extend(
            _score_measurement(context, people, name, values, test.p_values[name]) for name, values in scores.items()
        )
        findings.artifacts.extend([_roc(people, scores, test), _most_exposed(people, test)])
        return findings

    @classmethod
    def arguments(cls, measurements: Sequence[Measurement]) -> list[Argument]:
        """That training people can be told is a caveat: it is about sharing the faces, not about their use."""
        return [
            Argument(
                "caveat",
                f"It can be told from the synthetic faces who was in the training set (p = {one.p_value:.2g}): do not "
                "share them, or the generator, where that is confidential.",
            )
            for one in _alarms(measurements)
        ]

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """More people, or a shorter training."""
        found = _alarms(measurements)
        if not found:
            return []
        reason = (
            f"Training people score higher than held-out ones: the AUC is {found[0].value:.2f}. More training people, "
            "or a shorter training, leave less to tell them by."
        )
        return [Suggestion(Urgency.WEAK + 4, "Keep the generator and its faces confidential", reason, found)]


def _alarms(measurements: Sequence[Measurement]) -> list[Measurement]:
    return [one for one in measurements if one.name == "membership_auc" and one.alarm and one.value is not None]


def _people(context: Context) -> People:
    """Training people and those of the held-out sets; who is in both is left out."""
    learnt = require(context.train)
    held_out = [context.reference]
    if context.test is not None and context.test is not context.reference:
        held_out.append(context.test)
    known = all(side.identity is not None for side in (learnt, *held_out))
    persons, unused = [], 0
    for side in (learnt, *held_out):
        persons.append(require(side.identity) if known else groups_of(side) + unused)
        unused += int(persons[-1].max(initial=0)) + 1
    trained = np.unique(persons[0])
    outside = np.concatenate(persons[1:])
    random = random_generator(context.seed, "membership faces")
    # whole people, in random order, until there are enough faces
    rows = [
        _whole_people(persons[0], np.setdiff1d(trained, outside), random),
        _whole_people(outside, np.setdiff1d(outside, trained), random),
    ]
    ends = np.cumsum([0, *(len(side) for side in held_out)])
    parts = [(learnt, rows[0])]
    for side, start, end in zip(held_out, ends[:-1], ends[1:], strict=True):
        parts.append((side, rows[1][(rows[1] >= start) & (rows[1] < end)] - start))
    person = np.concatenate(
        [persons[0][rows[0]], *(one[own] for one, (_, own) in zip(persons[1:], parts[1:], strict=True))]
    )
    unique, numbers = np.unique(person, return_inverse=True)
    return People(parts, numbers, np.isin(unique, trained))


def _whole_people(persons: Integers, of: Integers, random: np.random.Generator) -> Integers:
    """Rows of all faces of some of these people, about `MOST` faces at most."""
    unique, counts = np.unique(persons, return_counts=True)
    order = random.permutation(of)
    faces = np.cumsum(counts[np.searchsorted(unique, order)])
    return np.flatnonzero(np.isin(persons, order[faces <= MOST]))


def _scores(context: Context, people: People) -> dict[str, Floats64]:
    """(P,) scores of people by name; those of other spaces than the first have its name too."""
    scores: dict[str, Floats64] = {}
    first = context.spaces[0]
    for space in dict.fromkeys([first, *(name for name in context.spaces if name.partition(":")[0] in RECOGNISERS)]):
        real = np.concatenate([context.features(data, space)[rows] for data, rows in people.parts])
        random = random_generator(context.seed, "membership", space)
        drawn = np.sort(random.permutation(len(context.samples))[:MOST])
        of_faces = face_scores(
            real,
            context.features(context.samples, space)[drawn],
            people.person,
            references=[context.features(side, space)[:MOST] for side in context.references],
            random=random,
        )
        for name, values in of_faces.items():
            scores[name if space == first else f"{name} ({space})"] = person_scores(values, people.person)
    realness = None if context.generator is None else context.generator.realness(people.images())
    if realness is not None:
        scores["generator"] = person_scores(realness, people.person)
    return scores


def _measurement(
    context: Context,
    people: People,
    name: str,
    number: Interval,
    *,
    label: str,
    meaning: str,
    chance: float,
    **more: Any,
) -> Measurement:
    space = context.spaces[0]
    return Measurement(
        evaluator=Membership.name,
        name=name,
        label=label,
        value=number.value,
        low=number.low,
        high=number.high,
        direction="lower",
        meaning=meaning,
        n_real=len(people.person),
        n_fake=min(len(context.samples), MOST),
        space=space,
        baseline=Baseline(value=chance, n=int((~people.member).sum())),
        protocol={
            **context.space(space).protocol,
            **input_protocol(context.samples),
            "components": membership.COMPONENTS,
            "of": "people, each by all of their faces (Fisher)",
            "most": MOST,
            "reference_generators": len(context.references),
            "training_people": int(people.member.sum()),
            "held_out_people": int((~people.member).sum()),
            "seed": context.seed,
        },
        **more,
    )


def _auc_measurement(context: Context, people: People, test: MembershipTest) -> Measurement:
    number, _ = auc_interval(test.joined[~people.member], test.joined[people.member])
    return _measurement(
        context,
        people,
        "membership_auc",
        number,
        label="Training people told from others (AUC)",
        meaning="How often somebody of the training set scores higher than somebody who is not in it; 0.5 is chance. "
        "The p-value is of all scores: that training people score as others do.",
        chance=0.5,
        p_value=test.p_value,
        verdict="warn" if test.p_value < ALPHA else "pass",
        alarm=test.p_value < ALPHA,
    )


def _found_measurement(
    context: Context, people: People, test: MembershipTest, rate: float, random: np.random.Generator
) -> Measurement:
    return _measurement(
        context,
        people,
        f"people_found_{100 * rate:.0f}",
        found_at(rate, test.joined[people.member], test.joined[~people.member], random),
        label=f"Training people found, at {rate:.0%} false positives",
        meaning=f"The share of training people that are found where {rate:.0%} of the others are taken for training "
        f"people too; {rate:.0%} is chance.",
        chance=rate,
        unit="%",
        verdict="info",
    )


def _score_measurement(context: Context, people: People, name: str, values: Floats64, p_value: float) -> Measurement:
    number, _ = auc_interval(values[~people.member], values[people.member])
    return _measurement(
        context,
        people,
        "membership_auc_" + name.partition(" ")[0],
        number,
        label=f"Training people told by {_label(name)} (AUC)",
        meaning=f"The same by one score, {_label(name)}; the p-value is corrected for the number of scores.",
        chance=0.5,
        p_value=p_value,
        verdict="info",
        found={"score": name},
    )


def _label(name: str) -> str:
    kind, _, space = name.partition(" ")
    return f"{LABELS[kind]} {space}".strip()


def _roc(people: People, scores: Mapping[str, Floats64], test: MembershipTest) -> Artifact:
    rates = np.linspace(0, 0.2, 81)
    curves = {"all scores": test.joined, **{_label(name): values for name, values in scores.items()}}
    return series(
        rates,
        {name: roc_at(rates, one[~people.member], one[people.member]) for name, one in curves.items()},
        name="membership-roc",
        title="How many training people are found, and at what price",
        caption="Share of training people that are found over the share of held-out people who are taken for training "
        "people, where that is small. The diagonal is chance.",
        section=Membership.name,
        x_label="share of held-out people taken for training people",
        y_label="share of training people found",
    )


def _most_exposed(people: People, test: MembershipTest) -> Artifact:
    """The training people with the smallest p-values, each by one file."""
    order = np.argsort(np.where(people.member, test.person_p_values, np.inf), kind="stable")
    order = order[: min(SHOWN, int(people.member.sum()))]
    first = np.unique(people.person, return_index=True)[1]
    return table(
        pd.DataFrame(
            {
                "one of their files": people.names[first[order]],
                "faces": np.bincount(people.person)[order],
                "p": test.person_p_values[order].round(4),
            }
        ),
        name="most-exposed",
        title="The training people who are told most easily",
        caption="p is the share of held-out people who score as high; of training people of whom nothing was learnt, "
        "one in twenty has 0.05 or less.",
        section=Membership.name,
    )
