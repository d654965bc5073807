"""One comparison in one feature space, of all faces or of one kind: its rows, and what each of its numbers carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from augface.evaluators.base import Context
from augface.evaluators.sides import Match, Rows
from augface.features.base import Features
from augface.features.extraction import input_protocol
from augface.metrics.intervals import Interval
from augface.results import Baseline, Measurement

GROUP_MINIMUM = 50
"""Faces on each side, below which a kind of faces gets no numbers of its own."""
GROUP_MOST = 1_000
"""Faces of each side that a kind is measured by: enough for useful intervals, and quick for forty attributes."""


@dataclass(frozen=True)
class Compared:
    """Matched rows: made faces and other real ones, each held against the reference.

    Attributes:
        evaluator: whose measurements they will be.
        reference, fake, other: (n, D) features.
        reference_people, other_people: (n,) who is on the real faces, or None where that is not known.
    """

    evaluator: str
    context: Context
    space: str
    match: Match
    group: Mapping[str, bool] = field(default_factory=dict)

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
    def fake(self) -> Features:
        """(n, D) features of the made faces."""
        return self.context.features(self.context.synthetic, self.space)[self.match.synthetic]

    @property
    def other(self) -> Features:
        """(n, D) features of the other real faces."""
        return self.context.features(self.context.sides.other, self.space)[self.match.other]

    @property
    def reference_people(self) -> Rows | None:
        """(n,) who is on the held-out real faces, where that is known: their rows are not independent."""
        persons = self.context.reference.identity
        return None if persons is None else persons[self.match.reference]

    @property
    def other_people(self) -> Rows | None:
        """(n,) who is on the other real faces, where that is known."""
        persons = self.context.sides.other.identity
        return None if persons is None else persons[self.match.other]

    def measurement(
        self,
        name: str,
        number: Interval,
        *,
        meaning: str,
        protocol: Mapping[str, Any],
        direction: Literal["lower", "higher"] = "lower",
        null: Interval | None = None,
        decides: bool = True,
        p_value: float | None = None,
        sizes: tuple[int, int] | None = None,
    ) -> Measurement:
        """A number with its baseline `null`: `warn` where its whole interval is worse than that of real faces.

        Args:
            name: of the measurement.
            number: its value and interval.
            meaning: what it says, in a sentence.
            protocol: what changes it besides the space, its input and the seed.
            direction: which way is better.
            null: the same of the other real faces.
            decides: whether it passes or warns, where both intervals are known; else its verdict is `info`.
            p_value: of the hypothesis that nothing is wrong.
            sizes: real and made faces that it is of, where they are not the matched ones.
        """
        baseline = None if null is None else Baseline(value=null.value, low=null.low, high=null.high, n=len(self))
        worse = null is not None and (number.low > null.high if direction == "lower" else number.high < null.low)
        known = null is not None and np.isfinite([*number, *null]).all()
        real_count, fake_count = sizes or (len(self), len(self))
        return Measurement(
            evaluator=self.evaluator,
            name=name,
            value=number.value,
            low=number.low,
            high=number.high,
            p_value=p_value,
            direction=direction,
            baseline=baseline,
            verdict="info" if not decides or not known else "warn" if worse else "pass",
            meaning=meaning,
            n_real=real_count,
            n_fake=fake_count,
            space=self.space,
            group=dict(self.group),
            protocol={
                **self.context.space(self.space).protocol,
                **input_protocol(self.context.reference),
                "seed": self.context.seed,
                "comparison": "all images" if sizes else "made and other real faces against held-out real ones, same n",
                **protocol,
            },
        )


def compared_groups(
    evaluator: str, context: Context, space: str, least: int = GROUP_MINIMUM, most: int = GROUP_MOST
) -> Iterator[Compared]:
    """The comparisons of each kind of faces that has at least `least` on all sides, by at most `most` faces a side."""
    for group in context.sides.groups(context.by):
        match = context.sides.match(group, most)
        if len(match) >= least:
            yield Compared(evaluator, context, space, match, group)


def small_groups(context: Context) -> list[str]:
    """The kinds of faces that have too few for numbers of their own, in words."""
    return [
        " and ".join(name if value else f"not {name}" for name, value in group.items())
        for group in context.sides.groups(context.by)
        if len(context.sides.match(group, GROUP_MINIMUM)) < GROUP_MINIMUM
    ]


def most_of(scores: np.ndarray[Any, np.dtype[np.floating[Any]]], count: int) -> Rows:
    """Positions of the `count` largest scores, the largest first; NaN never counts."""
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-ranked, kind="stable")[:count]
    return order[np.isfinite(ranked[order])]
