"""What the rebalancing itself suggests to do next, from its counts, its filters and its training."""

from __future__ import annotations

from collections.abc import Sequence

from augface.data.groups import Subgroup
from augface.errors import require
from augface.evaluators.base import Suggestion, Urgency
from augface.results import Measurement

LABELS_FIT = 0.65
"""Balanced accuracy of the attribute filter's classifier on real faces, below which its labels are doubted."""
MANY_REFUSED = 0.5
REASONS = {
    "yield_attribute": "they do not show what was requested",
    "yield_copy": "they are copies of training faces",
    "yield_plausible": "they do not look like real faces",
}
"""Why faces are refused, by the yield of each filter."""
FILTER_NAMES = ("attribute", "copy", "plausible")


def suggestions(measurements: Sequence[Measurement]) -> list[Suggestion]:
    """Doubts about the labels, and what the filters refuse faces for, most of all.

    Args:
        measurements: those of the rebalancing itself.
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
        filters = [each for each in measurements if each.name in REASONS and each.group == one.group]
        strictest = min(filters, key=lambda each: require(each.value))
        found.append(
            Suggestion(
                Urgency.WEAK + 3,
                f"Train longer: most faces generated for {Subgroup(one.group)} are refused",
                f"{1 - require(one.value):.0%} of them are, most often because {REASONS[strictest.name]} "
                f"({1 - require(strictest.value):.0%}).",
                [one, strictest],
                train_longer=True,
            )
        )
    return found
