"""From results to plain data: what the page and the terminal say, in words and texts, with nothing of how it looks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from augface.data.groups import Subgroup
from augface.report.overview import QUESTIONS, RANKS, Alert, Answer, alerts, answers, counts, first, scorecard, sentence
from augface.report.rows import Facts, Row, counts_of, facts_of, row_of
from augface.report.words import Quantity, format_number, label, label_of, quantity
from augface.results import (
    REBALANCING,
    Advice,
    Decision,
    Evaluation,
    ImageGrid,
    Measurement,
    Section,
    Series,
    Table,
)
from augface.text import printable

HEADLINE_ROWS = 12
"""Numbers a section shows before its folded details, which show all."""
TABLE_ROWS = 1500
"""Rows of all tables together, for the size of the page; what comes later is left to the results file."""
PROVENANCE_ROWS = 500
PICTURES = 3_000_000
"""Characters of all pictures together; what comes later on the page is left to the results file."""

TOO_LARGE = "to keep the page small; it is in results.json"
GLANCE = "glance"
"""The picture of the first screen."""
SKIPPED = "skipped"
"""The anchor of what was not measured."""
PARTS = frozenset({"main", "verdict", "next", "done", SKIPPED, "caveats", "again"})
"""The other anchors of the page."""

SCORECARD = Section(
    key="scorecard",
    title="Scorecard",
    meaning="The numbers that matter most, each beside what real faces score against other real faces: no generator "
    "can be expected to be nearer than that.",
)
UNKNOWN = "Measured by an evaluator of another package; its own words are beside each number."


@dataclass(frozen=True)
class ArmTable:
    """The arms of an experiment against its scores: `cells[arm][score]`."""

    attribute: str
    """What the arms classify; empty where the results do not say."""
    measurements: list[Measurement]
    scores: list[str]
    arms: list[str]
    cells: list[list[Quantity | None]]
    n: str


@dataclass(frozen=True)
class ShownTable:
    """A table, of which the page has the first rows."""

    table: Table
    rows: list[list[Any]]


@dataclass(frozen=True)
class Chapter:
    """One section of the results as the page shows it."""

    section: Section
    anchor: str
    """Safe in a link."""
    headline: list[Row]
    rows: list[Row]
    """All numbers but those of the table of arms."""
    protocols: list[tuple[str, Facts]]
    """What is the same in all measurements of a name; the rows keep what differs."""
    arms: list[ArmTable]
    """One for each attribute that was requested."""
    measurements: list[Measurement]
    grids: list[ImageGrid]
    tables: list[ShownTable]
    series: list[Series]
    left_out: list[tuple[str, str]]
    """Titles of pictures that are not shown, and why."""
    alerts: list[Alert]
    verdict: str
    """The worst of what it found of all faces."""


@dataclass(frozen=True)
class ProvenanceGroup:
    """Named facts that belong together."""

    title: str
    facts: Facts


@dataclass(frozen=True)
class Page:
    """Everything that the report says."""

    decision: Decision
    eyebrow: str
    """What kind of answer this is."""
    sentence: str
    reason: str
    subject: str
    effects: list[Row]
    """What decides, one for each attribute that was requested."""
    answers: list[Answer]
    faces: ImageGrid | None
    """A first look at synthetic and real faces."""
    advice: list[Advice]
    counts: list[tuple[str, str]]
    """What was done, in numbers."""
    chapters: list[Chapter]
    skipped: list[tuple[str, str]]
    command: str
    provenance: list[ProvenanceGroup]
    caveats: list[str]
    shows_real_people: bool
    left_out: list[str]


def summarise(evaluation: Evaluation, *, real_images: bool = True) -> Page:
    """Everything that the report says about these results; the same results give the same page."""
    left_out = [] if real_images else [grid.title for grid in _grids(evaluation) if grid.shows_real_people]
    chapters = _chapters(evaluation, real_images=real_images)
    anchors = {chapter.section.key: chapter.anchor for chapter in chapters}
    provenance = to_jsonable_python(evaluation.provenance, fallback=str)
    return Page(
        decision=evaluation.verdict.decision,
        eyebrow="Result" if evaluation.verdict.sentence else "Verdict",
        sentence=sentence(evaluation),
        reason=evaluation.verdict.reason,
        subject=_subject(evaluation),
        effects=[row_of(one) for one in _effects(evaluation)],
        answers=[replace(one, section=anchors.get(one.section, SKIPPED)) for one in answers(evaluation)],
        faces=next((grid for grid in _grids(evaluation) if grid.name == GLANCE and _may_show(grid, real_images)), None),
        advice=evaluation.advice,
        counts=counts(evaluation),
        chapters=chapters,
        skipped=[(skipped.evaluator, skipped.reason) for skipped in evaluation.skipped],
        command=_command(provenance.get("command")),
        provenance=_provenance(provenance),
        caveats=_caveats(evaluation, provenance),
        shows_real_people=real_images and any(grid.shows_real_people for grid in _grids(evaluation)),
        left_out=left_out,
    )


def _effects(evaluation: Evaluation) -> list[Measurement]:
    """What decides: the first key measure of a deciding section, one for each attribute that was requested."""
    return [
        one
        for section in evaluation.sections
        if section.decides
        for name in section.key_measures[:1]
        for one in evaluation.select(section.key, name)
        if not one.arm
    ]


# Sections


def _grids(evaluation: Evaluation) -> list[ImageGrid]:
    return [artifact for artifact in evaluation.artifacts if isinstance(artifact, ImageGrid)]


def _chapters(evaluation: Evaluation, *, real_images: bool) -> list[Chapter]:
    measurements: dict[str, list[Measurement]] = {}
    for measurement in evaluation.measurements:
        measurements.setdefault(measurement.section or measurement.evaluator, []).append(measurement)
    artifacts: dict[str, list[ImageGrid | Table | Series]] = {}
    for artifact in evaluation.artifacts:
        artifacts.setdefault(artifact.section, []).append(artifact)

    chapters: list[Chapter] = []
    room, rows_room = PICTURES, TABLE_ROWS
    share = first(evaluation, REBALANCING, "share_after")
    targets = set(share.group) if share else set()
    card = _scorecard_rows(evaluation)
    for section in _in_order(evaluation.sections, [*measurements, *artifacts], with_scorecard=bool(card)):
        key = section.key
        own = measurements.get(key, [])
        in_several = len({measurement.space for measurement in own if measurement.space}) > 1
        rows = [row_of(measurement, name_space=in_several) for measurement in own]
        things = [thing for thing in artifacts.get(key, []) if thing.name != GLANCE]
        grids, left_out = _shown([thing for thing in things if isinstance(thing, ImageGrid)], real_images, room)
        room -= sum(len(grid.webp) for grid in grids)
        protocols, rows = _protocols(rows)
        tables = []
        for table in (thing for thing in things if isinstance(thing, Table)):
            tables.append(ShownTable(table, table.rows[:rows_room]))
            rows_room -= len(tables[-1].rows)
        chapters.append(
            Chapter(
                section=section,
                anchor=_anchor(key, len(chapters)),
                headline=card
                if section is SCORECARD
                else [row_of(measurement, name_space=in_several) for measurement in _headline(section, own, targets)],
                rows=[row for row, one in zip(rows, own, strict=True) if not _in_arm_table(one)],
                protocols=protocols,
                arms=_arms(own),
                measurements=own,
                grids=grids,
                tables=tables,
                series=[thing for thing in things if isinstance(thing, Series)],
                left_out=left_out,
                alerts=alerts(own),
                verdict=_verdict(section, own),
            )
        )
    return chapters


def _verdict(section: Section, measurements: Sequence[Measurement]) -> str:
    """The worst of what answers one of the five questions; where nothing does, of all numbers of all faces."""
    deciding = {name for names in section.lights.values() for name in names}
    found = _of_all(section, measurements)
    found = [one for one in found if one.name in deciding or not deciding]
    return min((one.verdict for one in found if not one.arm), key=RANKS.__getitem__, default="info")


def _anchor(key: str, number: int) -> str:
    """The key itself where it is safe in a link and no other part of the page is called so."""
    if re.fullmatch(r"[a-z0-9_]+", key) and key not in PARTS:
        return key
    return f"more-{number}-{re.sub(r'[^a-z0-9]+', '-', key.lower())[:40]}"


def _in_order(sections: Sequence[Section], present: Iterable[str], *, with_scorecard: bool) -> list[Section]:
    """The sections that hold something, in the order of the five questions; unknown ones come last."""
    declared = {section.key: section for section in sections}
    unknown = [
        Section(key=key, title=label(key), meaning=UNKNOWN) for key in dict.fromkeys(present) if key not in declared
    ]
    held = [section for section in declared.values() if section.key in set(present)]
    questions = list(QUESTIONS)
    held.sort(key=lambda section: min((questions.index(light) for light in section.lights), default=len(questions)))
    deciding = [section for section in held if section.decides]
    others = [section for section in held if not section.decides]
    return [*deciding, *([SCORECARD] if with_scorecard else []), *others, *unknown]


def _may_show(grid: ImageGrid, real_images: bool) -> bool:
    return real_images or not grid.shows_real_people


def _shown(grids: Sequence[ImageGrid], real_images: bool, room: int) -> tuple[list[ImageGrid], list[tuple[str, str]]]:
    """The pictures that are shown, and the titles of the others with the reason."""
    shown: list[ImageGrid] = []
    left_out: list[tuple[str, str]] = []
    for grid in grids:
        if not _may_show(grid, real_images):
            left_out.append((grid.title, "because it shows real people"))
        elif len(grid.webp) > room:
            left_out.append((grid.title, TOO_LARGE))
        else:
            room -= len(grid.webp)
            shown.append(grid)
    return shown, left_out


def _protocols(rows: Sequence[Row]) -> tuple[list[tuple[str, Facts]], list[Row]]:
    """What all rows of a name share, said once by the name, and the rows with the rest."""
    facts = [[("space", row.space), *row.protocol] if row.space else row.protocol for row in rows]
    shared: dict[str, Facts] = {}
    for row, own in zip(rows, facts, strict=True):
        shared[row.name] = [fact for fact in shared.get(row.name, own) if fact in own]
    rest = [
        replace(row, protocol=[fact for fact in own if fact not in shared[row.name]])
        for row, own in zip(rows, facts, strict=True)
    ]
    return list(shared.items()), rest


def _scorecard_rows(evaluation: Evaluation) -> list[Row]:
    """The key numbers, without what their own sections say of them."""
    chosen = scorecard(evaluation)
    in_several = {
        name
        for name in {one.evaluator for one in chosen}
        if len({one.space for one in chosen if one.space and one.evaluator == name}) > 1
    }
    return [replace(row_of(one, name_space=one.evaluator in in_several), meaning="") for one in chosen]


def _of_all(section: Section, measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those of all faces, and of groups where every group counts as all faces do."""
    return [one for one in measurements if section.each_group or not one.group]


def _headline(section: Section, measurements: Sequence[Measurement], targets: set[str]) -> list[Measurement]:
    """The numbers to show first: those of all faces where there are such, what was requested and what is worst first.

    Arms have a table, and groups have an alert and a figure.
    """
    single = [one for one in measurements if not one.arm]
    single = _of_all(section, single) or single
    if len(single) > HEADLINE_ROWS:
        single.sort(key=lambda one: (one.attribute not in targets, RANKS[one.verdict]))
    return single[:HEADLINE_ROWS]


def _arms(measurements: Sequence[Measurement]) -> list[ArmTable]:
    with_arm = [measurement for measurement in measurements if _in_arm_table(measurement)]
    attributes = dict.fromkeys(measurement.attribute or "" for measurement in with_arm)
    return [_arm_table(name, [one for one in with_arm if (one.attribute or "") == name]) for name in attributes]


def _in_arm_table(measurement: Measurement) -> bool:
    return bool(measurement.arm) and not measurement.group


def _arm_table(attribute: str, measurements: list[Measurement]) -> ArmTable:
    arms = list(dict.fromkeys(str(measurement.arm) for measurement in measurements))
    scores = {measurement.name: label_of(measurement) for measurement in measurements}
    found = {(str(one.arm), one.name): quantity(one) for one in measurements}
    return ArmTable(
        attribute=attribute,
        measurements=measurements,
        scores=list(scores.values()),
        arms=arms,
        cells=[[found.get((arm, score)) for score in scores] for arm in arms],
        n=counts_of(measurements[0]),
    )


def _subject(evaluation: Evaluation) -> str:
    title = evaluation.provenance.get("title")
    if title:
        return str(title)
    share = first(evaluation, REBALANCING, "share_after")
    return str(Subgroup(share.group)) if share and share.group else "synthetic faces"


# Provenance and caveats


def _command(command: Any) -> str:
    """The command to copy; what cannot be seen in it, or would turn its text around, is spelled out."""
    text = shlex.join(str(word) for word in command) if isinstance(command, list) else str(command or "")
    return printable(text)


def _provenance(provenance: Mapping[str, Any]) -> list[ProvenanceGroup]:
    """The facts of the run: those that stand alone first, then one group for each nested part."""
    shown = {key: value for key, value in provenance.items() if key not in {"title", "command", "warnings"}}
    alone = {key: value for key, value in shown.items() if not isinstance(value, dict)}
    groups = [ProvenanceGroup("run", facts_of(alone))] if alone else []
    groups += [
        ProvenanceGroup(key, facts_of(value)) for key, value in shown.items() if isinstance(value, dict) and value
    ]
    room = PROVENANCE_ROWS
    fitting = []
    for group in groups:
        facts = group.facts[:room]
        if len(facts) < len(group.facts):
            facts = [*facts, ("…", f"{len(group.facts) - len(facts)} more in results.json")]
        room = max(0, room - len(group.facts))
        fitting.append(ProvenanceGroup(group.title, facts))
    return fitting


def _caveats(evaluation: Evaluation, provenance: Mapping[str, Any]) -> list[str]:
    """What to keep in mind: the run's own warnings first, then what is true of these results, then of all."""
    caveats = [str(warning) for warning in _as_list(provenance.get("warnings"))]
    generated, wanted = (first(evaluation, REBALANCING, name) for name in ("made", "wanted"))
    if generated and wanted and (generated.value or 0) < (wanted.value or 0):
        caveats.append(
            f"Only {format_number(generated.value)} of {format_number(wanted.value)} wanted faces passed the filters, "
            "so the set is not as balanced as was requested."
        )
    spaces = sorted({measurement.space for measurement in evaluation.measurements if measurement.space})
    if spaces:
        caveats.append(
            f"Distances are in the feature space {', '.join(spaces)}. Compare them only with numbers of the same "
            "space, the same protocol and the same n."
        )
    if any(measurement.low is not None for measurement in evaluation.measurements):
        caveats.append(
            "Intervals are 95 % and speak of these data and these settings; other data, or a longer training, "
            "may give another answer."
        )
    no_attributes = {section.key for section in evaluation.sections if section.each_group}
    if any(measurement.group for measurement in evaluation.measurements if measurement.evaluator not in no_attributes):
        caveats.append(
            "Attributes are labels that people gave to pictures: they say how a face was perceived, "
            "not who a person is."
        )
    return caveats


def _as_list(value: Any) -> Iterable[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
