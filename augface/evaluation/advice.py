"""What to do next: the suggestions of evaluators and of the rebalancing, the most urgent first, with commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from augface.evaluators import loaded_evaluators
from augface.evaluators.base import NEXT, Suggestion, Urgency
from augface.results import Advice, Measurement, Verdict

MOST = 5
"""Pieces of advice, beyond which nobody reads on."""


def advise(
    measurements: Sequence[Measurement],
    verdict: Verdict,
    command: str = "",
    *,
    longer: str = "",
    effort: str = "",
    trainable: bool = True,
    suggestions: Sequence[Suggestion] = (),
) -> list[Advice]:
    """At most five things to do, the most urgent first.

    Args:
        measurements: those of all evaluators.
        verdict: what they led to.
        command: the command line that made these results; where it is not known, advice has no commands.
        longer: a budget for a longer training, for suggestions that ask for one; empty where nothing was trained.
        effort: what the longer training takes, in a sentence; added to the first suggestion that asks for one.
        trainable: whether a longer training is possible at all; if not, suggestions that ask for one are left out.
        suggestions: what to consider besides those of the evaluators.
    """
    found = list(suggestions)
    for name, evaluator in loaded_evaluators().items():
        own = [one for one in measurements if one.evaluator == name]
        found.extend(evaluator.suggestions(own) if own else [])
    if verdict.decision == "not assessed":
        title = "Ask whether the faces help: name an attribute (--attr) that both sides have labels of"
        reason = "How good the faces are was measured, and not whether they help a classifier."
        found.append(Suggestion(Urgency.FINE, title, reason))
    found = sorted((one for one in found if trainable or not one.train_longer), key=lambda one: one.urgency)
    advice: list[Advice] = []
    for one in found:
        options = {**one.options, **({"--budget": longer} if one.train_longer and longer else {})}
        known = {advised.command for advised in advice if advised.command}
        again = _again(command, options) if command and options else ""
        reason, effort = (f"{one.reason} {effort}".strip(), "") if one.train_longer else (one.reason, effort)
        advice.append(
            Advice(
                title=one.title,
                reason=reason,
                command="" if again in known else again,
                evidence=list(dict.fromkeys(f"{each.evaluator}.{each.name}" for each in one.evidence)),
            )
        )
    return advice[:MOST]


def _again(command: str, options: Mapping[str, str]) -> str:
    """The command with some options changed."""
    words = shlex.split(command)
    if "--generator" in options:  # the settings of the other one are not its
        words = [word for before, word in zip(["", *words], words, strict=False) if "--set" not in (before, word)]
    for name, value in options.items():
        if name not in words[:-1]:
            words += [name, ""]
        place = words.index(name) + 1
        words[place] = str(int(words[place] or 0) + 1) if value == NEXT else value
    return shlex.join(words)
