"""What is said first: the five questions, what is not as with real faces, and which numbers matter most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from augface.data.groups import Subgroup
from augface.report.rows import Row, row_of
from augface.report.words import format_number, quantity, quantity_of
from augface.results import REBALANCING, Decision, Evaluation, Light, Measurement, Section
from augface.results.comparison import Key

QUESTIONS: dict[Light, tuple[str, dict[str, str]]] = {
    "helps": ("Does it help?", {"pass": "Yes", "warn": "Partly", "fail": "It harms", "info": "Not shown"}),
    "realistic": ("Realistic?", {"pass": "As real ones", "warn": "Nearly", "fail": "No", "info": "Not known"}),
    "diverse": ("Diverse?", {"pass": "As real ones", "warn": "Less", "fail": "No", "info": "Not known"}),
    "obeys": ("As requested?", {"pass": "Yes", "warn": "Mostly", "fail": "No", "info": "Not known"}),
    "copies": ("Free of copies?", {"pass": "Yes", "warn": "Mostly", "fail": "No", "info": "Not known"}),
}
"""The five questions that are answered first, each with a word for how it came out."""
RANKS = {"fail": 0, "warn": 1, "pass": 2, "info": 3}
"""Verdicts, the worst first."""
WORST_GROUPS = 2

SENTENCES: dict[Decision, str] = {
    "use": "Use these faces.",
    "do not use": "Do not use these faces.",
    "no evidence": "No evidence that these faces help.",
    "nothing to gain": "Nothing to gain: no faces could be shown to help by this test.",
    "not assessed": "Whether these faces help was not asked.",
}
REALISTIC = {"pass": "As realistic as real faces", "warn": "Nearly realistic", "fail": "Not realistic"}
DIVERSE = {"pass": "as diverse", "warn": "less diverse than real faces", "fail": "not diverse"}

Grouped = TypeVar("Grouped", Measurement, Key)


@dataclass(frozen=True)
class Answer:
    """One of the five questions, with its answer in a word and the number that says so."""

    question: str
    word: str
    verdict: str
    number: str
    """What decides, with what real faces have; or why there is none."""
    section: str
    """The key of the section that has more; empty where there is none."""


@dataclass(frozen=True)
class Alert:
    """What is not as with real faces: one measure, of all faces and of however many groups."""

    verdict: str
    text: str
    is_alarm: bool
    """Whether a test with calibrated false alarms says so."""


def sentence(evaluation: Evaluation) -> str:
    """What came out, in one sentence: that of the results, or of the decision, or else how good the faces are."""
    if evaluation.verdict.sentence:
        return evaluation.verdict.sentence
    if evaluation.verdict.decision == "not assessed":
        verdicts = {one.question: one.verdict for one in answers(evaluation)}
        realistic, diverse = (verdicts.get(QUESTIONS[light][0], "") for light in ("realistic", "diverse"))
        if realistic in REALISTIC and diverse in DIVERSE:
            alike = (realistic == "fail") == (diverse == "fail")
            return f"{REALISTIC[realistic]}, {'and' if alike else 'but'} {DIVERSE[diverse]}."
        if realistic in REALISTIC:
            return f"{REALISTIC[realistic]}."
    return SENTENCES[evaluation.verdict.decision]


def answers(evaluation: Evaluation) -> list[Answer]:
    """The answer to each of the five questions; the worst number decides."""
    found = []
    for light, (question, words) in QUESTIONS.items():
        sections = [section for section in evaluation.sections if light in section.lights]
        numbers = [one for section in sections for one in _deciding(evaluation, section, light)]
        if numbers:
            worst = min(numbers, key=lambda one: RANKS[one.verdict])
            found.append(Answer(question, words[worst.verdict], worst.verdict, _with_baseline(worst), worst.evaluator))
        elif sections:
            keys = [section.key for section in sections]
            reasons = [one.reason for one in evaluation.skipped if one.evaluator in keys]
            found.append(Answer(question, "Not measured", "info", reasons[0].split(";")[0] if reasons else "", ""))
    return found


def _deciding(evaluation: Evaluation, section: Section, light: Light) -> list[Measurement]:
    """What answers a question within a section: measurements of all faces, in the first space of each name."""
    found = []
    for name in section.lights[light]:
        own = [one for one in evaluation.select(section.key, name, group={}) if one.value is not None and not one.arm]
        found += [one for one in own if one.space == own[0].space]
    return found


def _with_baseline(one: Measurement) -> str:
    shown = quantity(one)
    text = f"{row_of(one).label}: {shown.text}"
    if one.baseline is not None and one.baseline.value is not None:
        return f"{text} (real faces: {_baseline(one)})"
    return f"{text} (95 %: {shown.interval})" if shown.interval else text


def _beside_real(one: Measurement) -> str:
    return quantity(one).text + (f", real faces {_baseline(one)}" if one.baseline is not None else "")


def _baseline(one: Measurement) -> str:
    return quantity_of(one.baseline, one.unit if one.unit == "%" else "").text if one.baseline is not None else ""


def alerts(measurements: Sequence[Measurement]) -> list[Alert]:
    """What warns or fails, one for each measure in each space, the worst first; arms are compared, not judged."""
    families: dict[tuple[str, str, str], list[Measurement]] = {}
    for one in measurements:
        if not one.arm:
            families.setdefault((one.name, one.space or "", one.attribute or ""), []).append(one)
    in_several = len({one.space for one in measurements if one.space}) > 1
    found = []
    for family in families.values():
        raised = sorted((one for one in family if one.verdict in ("warn", "fail")), key=_rank)
        if raised:
            text = _in_words(family, raised, name_space=in_several)
            found.append(Alert(raised[0].verdict, text, any(one.alarm for one in raised)))
    return sorted(found, key=lambda alert: (RANKS[alert.verdict], not alert.is_alarm))


def _rank(one: Measurement) -> tuple[int, float]:
    """The worst first: by verdict, then by how far a number is from what real faces have."""
    real = one.baseline.value if one.baseline is not None and one.baseline.value is not None else 0.0
    return RANKS[one.verdict], -abs((one.value or 0.0) - real)


def _in_words(family: Sequence[Measurement], raised: Sequence[Measurement], *, name_space: bool) -> str:
    """One measure's alerts in a sentence: of all faces, and of how many of its groups."""
    row: Row = row_of(raised[0], name_space=name_space)
    whole = [one for one in raised if not one.group]
    groups = [one for one in raised if one.group]
    parts = []
    if whole:
        parts.append(_beside_real(whole[0]))
    if groups:
        total = sum(bool(one.group) for one in family)
        worst = "; ".join(f"{Subgroup(one.group)} {_beside_real(one)}" for one in groups[:WORST_GROUPS])
        many = f"in all {total} groups" if len(groups) == total > 1 else f"in {len(groups)} of {total} groups"
        parts.append(f"{many}, worst: {worst}")
    return f"{row.label}: {'; '.join(parts)}"


def counts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What a rebalancing did, in numbers: shares before and after, and how many faces were generated."""
    found = []
    afters = {str(one.group): one for one in evaluation.select(REBALANCING, "share_after")}
    for before in evaluation.select(REBALANCING, "share_before"):
        if (after := afters.get(str(before.group))) is not None:
            name = f"Training faces: {Subgroup(before.group)}" if before.group else "Share of the wanted faces"
            found.append((name, f"{quantity(before).text} → {quantity(after).text}"))
    generated, wanted, passed = (first(evaluation, REBALANCING, name) for name in ("made", "wanted", "yield"))
    if generated is not None:
        text = format_number(generated.value)
        text += f" of {format_number(wanted.value)} wanted" if wanted is not None else ""
        found.append(("Faces generated", text))
    if passed is not None:
        found.append(("Passed the filters", f"{format_number(passed.value, '%')} of all draws"))
    return found


def scorecard(evaluation: Evaluation) -> list[Measurement]:
    """The key measures of all sections in their order, of all faces where there are such."""
    return [
        one
        for section in evaluation.sections
        for name in section.key_measures
        for one in representatives(section, [one for one in evaluation.select(section.key, name) if not one.arm])
    ]


def representatives(section: Section, found: list[Grouped]) -> list[Grouped]:
    """Of numbers of one name those that a scorecard shows: those of all faces, or the first where one is enough."""
    if section.each_group:
        return found
    return found[:1] if section.one_each else [one for one in found if not one.group] or found[:1]


def first(evaluation: Evaluation, evaluator: str, name: str) -> Measurement | None:
    """The first measurement of this name, one of all faces before one of a group."""
    found = [measurement for measurement in evaluation.select(evaluator, name) if not measurement.arm]
    return min(found, key=lambda measurement: bool(measurement.group), default=None)
