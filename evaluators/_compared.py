"""One comparison in one feature space, of all faces or of a subgroup: its rows, and what each number carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from augface.arrays import Integers
from augface.data.groups import Subgroup
from augface.evaluators._sides import Match
from augface.evaluators.base import Context
from augface.features.base import Features
from augface.features.extraction import input_protocol
from augface.metrics.intervals import Interval
from augface.results import Baseline, Measurement, Severity
from augface.results.severity import severity

GROUP_MINIMUM = 50
"""Faces on each side, below which a subgroup gets no numbers of its own."""
GROUP_MOST = 1_000
"""Faces of each side that a subgroup is measured by: enough for useful intervals, and quick for forty attributes."""


@dataclass(frozen=True)
class Compared:
    """Matched rows: synthetic faces and other real ones, each compared with the reference."""

    evaluator: str
    """The name of the evaluator whose measurements they will be."""
    context: Context
    space: str
    match: Match
    group: Subgroup = field(default_factory=Subgroup)

    def __len__(self) -> int:
        return len(self.match)

    @property
    def dimension(self) -> int:
        """D of the space."""
        return self.context.space(self.space).dimension

    @property
    def reference(self) -> Features:
        """(n, D) features of the held-out real faces."""
        return self.context.features(self.context.reference, self.space)[self.match.reference]

    @property
    def synthetic(self) -> Features:
        """(n, D) features of the synthetic faces."""
        return self.context.features(self.context.samples, self.space)[self.match.synthetic]

    @property
    def other(self) -> Features:
        """(n, D) features of the other real faces."""
        return self.context.features(self.context.sides.other, self.space)[self.match.other]

    @property
    def reference_people(self) -> Integers | None:
        """(n,) who is on the held-out real faces, where that is known: their rows are not independent."""
        persons = self.context.reference.identity
        return None if persons is None else persons[self.match.reference]

    @property
    def other_people(self) -> Integers | None:
        """(n,) who is on the other real faces, where that is known."""
        persons = self.context.sides.other.identity
        return None if persons is None else persons[self.match.other]

    def measurement(
        self,
        name: str,
        number: Interval,
        *,
        label: str,
        meaning: str,
        protocol: Mapping[str, Any],
        direction: Literal["lower", "higher", "target"] = "lower",
        null: Interval | None = None,
        useless: float | None = None,
        verdict: Severity | None = None,
        alarm: bool | None = None,
        p_value: float | None = None,
        unit: str = "",
        group: Mapping[str, bool] | None = None,
        found: Mapping[str, Any] | None = None,
        sizes: tuple[int, int] | None = None,
    ) -> Measurement:
        """A number with its baseline `null`.

        Args:
            name: the measurement's name.
            number: its value and interval.
            label: its name for people.
            meaning: what it says, in a sentence.
            protocol: what changes it besides the space, its input and the seed.
            direction: which way is better.
            null: the same of the other real faces.
            useless: what faces of no use would have, by which the verdict is given where there is none; see
                `augface.results.severity`.
            verdict: where neither this nor `useless` is given, `info`.
            alarm: whether a calibrated test found something wrong.
            p_value: the p-value of the hypothesis that nothing is wrong.
            unit: the unit of the number; `%` for shares.
            group: the faces that it is about; the compared subgroup where not given.
            found: what was found together with the number.
            sizes: the numbers of real and synthetic faces, where they are not the matched ones.
        """
        baseline = None if null is None else Baseline(value=null.value, low=null.low, high=null.high, n=len(self))
        if verdict is None:
            verdict = "info" if null is None or useless is None else severity(number, null, useless)
        real_count, synthetic_count = sizes or (len(self), len(self))
        return Measurement(
            evaluator=self.evaluator,
            name=name,
            label=label,
            value=number.value,
            low=number.low,
            high=number.high,
            p_value=p_value,
            direction=direction,
            baseline=baseline,
            verdict=verdict,
            alarm=alarm,
            unit=unit,
            meaning=meaning,
            n_real=real_count,
            n_fake=synthetic_count,
            space=self.space,
            group=dict(self.group if group is None else group),
            protocol={
                **self.context.space(self.space).protocol,
                **input_protocol(self.context.reference),
                "seed": self.context.seed,
                "comparison": "all images"
                if sizes
                else "synthetic and other real faces against held-out real ones, same n",
                **protocol,
            },
            found=dict(found or {}),
        )


def compared_groups(
    evaluator: str, context: Context, space: str, least: int = GROUP_MINIMUM, most: int = GROUP_MOST
) -> Iterator[Compared]:
    """The comparisons of each subgroup that has at least `least` faces on all sides, by at most `most` faces a side."""
    for group in context.sides.groups(context.by):
        match = context.sides.match(group, most)
        if len(match) >= least:
            yield Compared(evaluator, context, space, match, group)


def small_groups(context: Context) -> list[str]:
    """The subgroups that have too few faces for numbers of their own, in words."""
    return [
        str(group)
        for group in context.sides.groups(context.by)
        if len(context.sides.match(group, GROUP_MINIMUM)) < GROUP_MINIMUM
    ]


def most_of(scores: np.ndarray[Any, np.dtype[np.floating[Any]]], count: int) -> Integers:
    """Positions of the `count` largest scores, the largest first; NaN never counts."""
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-ranked, kind="stable")[:count]
    return order[np.isfinite(ranked[order])]
