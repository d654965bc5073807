"""What the rebalancing itself suggests to do next, from its counts, its filters and its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from augface.data.groups import Subgroup
from augface.errors import require
from augface.evaluators.base import Suggestion, Urgency
from augface.results import Measurement

LABELS_FIT = 0.65
"""Balanced accuracy of the attribute filter's classifier on real faces, below which its labels are doubted."""
MANY_REFUSED = 0.5
REASONS = {
    "attribute": "they do not show what was requested",
    "copy": "they are copies of training faces",
    "plausible": "they do not look like real faces",
}
"""Why faces are refused, by the filter."""


def strictest_filter(passed: Mapping[str, float], *, copies_allowed: bool) -> str:
    """The name of the filter that refuses most faces.

    Args:
        passed: the share of faces that passed each filter alone.
        copies_allowed: whether the copy filter only reports, and refuses nothing.
    """
    return min(
        (name for name in REASONS if name in passed and not (name == "copy" and copies_allowed)),
        key=lambda name: passed[name],
    )


def main_reason(passed: Mapping[str, float], *, copies_allowed: bool) -> str:
    """Why most faces are refused, and what share of them that filter refuses."""
    strictest = strictest_filter(passed, copies_allowed=copies_allowed)
    return f"most often because {REASONS[strictest]} ({1 - passed[strictest]:.0%})"


def without_training(name: str, summary: str) -> Suggestion:
    """To use another generator where one is not trained enough to be used.

    Args:
        name: a generator that needs no training.
        summary: what it makes.
    """
    reason = f"It makes {summary}. They are ready at once and as sharp as real ones; and they show real people."
    title = f"Or take a generator that needs no training, {name}"
    return Suggestion(Urgency.USELESS + 1, title, reason, [], options={"--generator": name})


def suggestions(measurements: Sequence[Measurement], *, copies_allowed: bool = False) -> list[Suggestion]:
    """Doubts about the labels, and what the filters refuse faces for, most of all.

    Args:
        measurements: those of the rebalancing itself.
        copies_allowed: whether the copy filter only reports, and refuses nothing.
    """
    found = []
    doubtful = [one for one in measurements if one.name == "label_accuracy" and require(one.value) < LABELS_FIT]
    for one in doubtful[:1]:
        found.append(
            Suggestion(
                Urgency.INPUT,
                f"Check the labels of {one.attribute}: a classifier can hardly learn them from the pictures",
                f"On real faces of other people it is right in {require(one.value):.0%} of either class, and guessing "
                "is right in half.",
                [one],
            )
        )
    refused = [one for one in measurements if one.name == "yield" and require(one.value) < MANY_REFUSED]
    for one in sorted(refused, key=lambda one: require(one.value))[:1]:
        own = {each.name.removeprefix("yield_"): each for each in measurements if each.group == one.group}
        passed = {name: require(own[name].value) for name in REASONS if name in own}
        found.append(
            Suggestion(
                Urgency.WEAK + 3,
                f"Train longer: most faces generated for {Subgroup(one.group)} are refused",
                f"{1 - require(one.value):.0%} of them are, {main_reason(passed, copies_allowed=copies_allowed)}.",
                [one, own[strictest_filter(passed, copies_allowed=copies_allowed)]],
                train_longer=True,
            )
        )
    return found
