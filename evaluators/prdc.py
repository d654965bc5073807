"""How many synthetic faces look real, and how much of real variety they cover, by several pairs of measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from augface.evaluators._compared import Compared, compared_groups, most_of
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.metrics import bounded
from augface.metrics.bounded import bounded_precision_coverage
from augface.metrics.clipped import clipped_coverage, clipped_density
from augface.metrics.intervals import Interval
from augface.metrics.manifolds import REPLICATES, NeighbourScores, neighbour_scores, prdc_intervals
from augface.metrics.neighbourhoods import HALVES, Measure, with_intervals
from augface.metrics.probabilistic import REACH, p_precision, p_recall
from augface.metrics.probabilistic import K as P_K
from augface.metrics.symmetric import symmetric_precision, symmetric_recall
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.seeds import random_generator

K = 5
"""The neighbour whose distance is a ball's radius."""
MINIMUM = 100
"""Faces on each side, below which balls are too large to mean anything."""
MOST = 1_000
"""Faces of each side for the measures of all distances."""
SHOWN = 12

BOUNDED: Mapping[str, str] = {"bounded_precision": "Bounded precision", "bounded_coverage": "Bounded coverage"}
LABELS: Mapping[str, str] = {
    "clipped_density": "Clipped density",
    "clipped_coverage": "Clipped coverage",
    "symmetric_precision": "Symmetric precision",
    "symmetric_recall": "Symmetric recall",
    "p_precision": "P-precision",
    "p_recall": "P-recall",
}
MEASURES: Mapping[str, Measure] = {
    "clipped_density": clipped_density,
    "clipped_coverage": clipped_coverage,
    "symmetric_precision": symmetric_precision,
    "symmetric_recall": symmetric_recall,
    "p_precision": p_precision,
    "p_recall": p_recall,
}
MEANINGS: Mapping[str, str] = {
    "precision": "The share of synthetic faces that lie where real ones do: how many look real.",
    "recall": "The share of real faces that lie where synthetic ones do: how much of real variety is generated.",
    "density": "In how many real neighbourhoods a synthetic face lies, over the number expected: 1 or so for real.",
    "coverage": "The share of real faces that have a synthetic one near them: how much of real variety is generated.",
    "bounded_precision": "The share of synthetic faces that lie among real ones and beyond them in no feature, next "
    "to that of other real faces, which is 1: how many look real.",
    "bounded_coverage": "The share of real faces that have a synthetic one near them and lie beyond synthetic ones in "
    "no feature, next to that with other real faces, which is 1: how much of real variety is generated.",
    "clipped_density": "How real the synthetic faces are: 0.7 says as much as 30 % of useless faces do.",
    "clipped_coverage": "How much of real variety is covered: 0.7 says as much as 30 % of useless faces do.",
    "symmetric_precision": "Precision, asked of real and of synthetic neighbourhoods: the worse answer.",
    "symmetric_recall": "Recall, asked of synthetic and of real neighbourhoods: the worse answer.",
    "p_precision": "The probability that a synthetic face lies among real ones, with neighbourhoods that fade out.",
    "p_recall": "The probability that a real face lies among synthetic ones, with neighbourhoods that fade out.",
}


class Prdc(Evaluator):
    """Bounded precision and coverage, precision and recall and their kin, in each space.

    The bounded ones are the headline: of all measures here they answer the fewest simple questions wrong
    (docs/sanity.md). Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), the
    clipped (Salvy et al. 2025), symmetric and probabilistic ones stand beside them, for comparison with papers.
    """

    section: ClassVar[Section] = Section(
        key="prdc",
        title="Precision and coverage",
        meaning="How many synthetic faces look real, and how much of real variety they cover.",
        key_measures=("bounded_precision", "bounded_coverage", "precision", "recall", "density", "coverage"),
        by_group="coverage",
        lights={"realistic": ("bounded_precision",), "diverse": ("bounded_coverage",)},
        depends_on_n=True,
    )

    def evaluate(self, context: Context) -> Findings:
        """All four at one n, with those of other real faces; the faces at the ends of realism and rarity are shown."""
        match = context.sides.match()
        if len(match) < MINIMUM:
            reason = f"{len(match)} faces on each side are too few for neighbourhoods; at least {MINIMUM} are needed."
            return Findings(skipped=[self.skip(reason)])
        findings = Findings()
        for space in context.spaces:
            everything = Compared(self.name, context, space, match)
            for compared in (everything, *compared_groups(self.name, context, space, least=MINIMUM)):
                findings.measurements.extend(precision_recall_density_coverage(compared))
            few = Compared(self.name, context, space, context.sides.match(most=MOST))
            findings.measurements.extend([*_bounded(few), *_measure_distances(few)])
            if space == context.spaces[0]:
                scores = neighbour_scores(everything.reference, everything.synthetic, K)
                findings.artifacts.extend([*_extremes(everything, scores), *_missed(everything, scores)])
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """More variety, where real faces are recalled much worse than other real faces recall them."""
        found = {one.name: one for one in reversed(measurements) if not one.group and one.baseline is not None}
        recall, precision = found.get("recall"), found.get("precision")
        if recall is None or recall.verdict != "fail" or recall.value is None or recall.baseline is None:
            return []
        reason = (
            f"Synthetic faces have {recall.value:.0%} of the variety of real ones (recall), and other real faces have "
            f"{recall.baseline.value:.0%}."
        )
        if precision is not None and precision.verdict == "pass":
            reason += " Each looks real enough: it is kinds of faces, hair and backgrounds that are missing."
        return [Suggestion(Urgency.WEAK, "Make the faces more varied", reason, [recall], train_longer=True)]


def precision_recall_density_coverage(compared: Compared) -> list[Measurement]:
    """All four, each beside that of other real faces, of any number of faces."""
    numbers, nulls = _beside_real(compared, partial(prdc_intervals, k=K), "prdc groups")
    halves = f"{REPLICATES} random halves of the people where known, else of the faces"
    return [
        _measurement(compared, name, name.capitalize(), number, nulls[name], {"k": K, "interval": halves})
        for name, number in numbers.items()
    ]


def _bounded(compared: Compared) -> list[Measurement]:
    """The headline pair, which is over that of other real faces already."""
    numbers = bounded_precision_coverage(
        compared.reference,
        compared.synthetic,
        compared.other,
        real_groups=compared.reference_people,
        other_groups=compared.other_people,
        random=random_generator(compared.context.seed, "bounded"),
    )
    protocol = {
        "k": bounded.K,
        "balls": bounded.BALLS,
        "within": bounded.WITHIN,
        "most": MOST,
        "interval": f"{HALVES} random halves of the people where known, else of the faces",
    }
    real = Interval(1.0, 1.0, 1.0)
    return [_measurement(compared, name, BOUNDED[name], number, real, protocol) for name, number in numbers.items()]


def _measure_distances(compared: Compared) -> list[Measurement]:
    """The measures that look at all distances at once."""
    numbers, nulls = _beside_real(compared, partial(with_intervals, MEASURES), "neighbourhoods")
    halves = f"{HALVES} random halves of the people where known, else of the faces"
    return [
        _measurement(
            compared,
            name,
            LABELS[name],
            number,
            nulls[name],
            {**({"k": P_K, "reach": REACH} if name.startswith("p_") else {"k": K}), "most": MOST, "interval": halves},
        )
        for name, number in numbers.items()
    ]


def _beside_real(
    compared: Compared, measure: Callable[..., dict[str, Interval]], stream: str
) -> Iterator[dict[str, Interval]]:
    """The measures of the synthetic faces, and of the other real ones; each from the random stream of this name."""
    for side, people in ((compared.synthetic, None), (compared.other, compared.other_people)):
        yield measure(
            compared.reference,
            side,
            real_groups=compared.reference_people,
            fake_groups=people,
            random=random_generator(compared.context.seed, stream),
        )


def _measurement(
    compared: Compared, name: str, label: str, number: Interval, null: Interval, protocol: Mapping[str, object]
) -> Measurement:
    return compared.measurement(
        name,
        number,
        label=label,
        null=null,
        useless=0.0,
        direction="higher",
        protocol=protocol,
        meaning=MEANINGS[name],
    )


def _extremes(compared: Compared, scores: NeighbourScores) -> list[Artifact]:
    """The most and the least realistic synthetic faces and the rarest, as pictures and by name."""
    faces = compared.context.samples
    kinds = {
        "most realistic": (scores.realism, "realism"),
        "least realistic": (-scores.realism, "realism"),
        "rarest": (scores.rarity, "rarity"),
    }
    rows, parts = {}, []
    for kind, (values, score) in kinds.items():
        if len(best := most_of(values, SHOWN)):
            rows[kind] = compared.match.synthetic[best]
            parts.append(pd.DataFrame({"kind": kind, "file": faces.names[rows[kind]], score: abs(values[best])}))
    return [
        image_grid(
            [faces.images[chosen] for chosen in rows.values()],
            name="extremes",
            title="The most and the least realistic synthetic faces",
            caption=f"Synthetic faces, from the top: {', '.join(rows)}. Realism is how deep a face lies among real "
            "ones, rarity how few of them are near; the rarest that lie among real ones at all are shown.",
            section=Prdc.name,
            row_labels=list(rows),
        ),
        table(
            pd.concat(parts).reindex(columns=["kind", "file", "realism", "rarity"]),
            name="extremes-names",
            title="The most and the least realistic synthetic faces, by name",
            caption="Realism (Kynkäänniemi et al. 2019) is above 1 inside the real faces' neighbourhoods. Rarity (Han "
            "et al. 2022) is the radius of the smallest neighbourhood that holds the face.",
            section=Prdc.name,
        ),
    ]


def _missed(compared: Compared, scores: NeighbourScores) -> list[Artifact]:
    """The real faces that are farthest from any synthetic one for their place, with that one below."""
    if not compared.context.show_real:
        return []
    context = compared.context
    missed = most_of(scores.nearest_fake_distance / np.maximum(scores.real_radii, 1e-6), SHOWN)
    nearest = scores.nearest_fake[missed]
    return [
        image_grid(
            [
                context.reference.images[compared.match.reference[missed]],
                context.samples.images[compared.match.synthetic[nearest]],
            ],
            name="missed",
            title="The real faces that are missed most",
            caption="From the top: real faces whose nearest synthetic face is farthest, for how near other real ones "
            "are; that nearest synthetic face.",
            section=Prdc.name,
            row_labels=["real", "nearest synthetic"],
            shows_real_people=context.reference.shows_people,
        )
    ]
