"""From results to plain data: what the page and the terminal say, in words and texts, with nothing of how it looks."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python

from augface.data.groups import Subgroup
from augface.report.words import (
    DIRECTIONS,
    MISSING,
    Quantity,
    format_number,
    format_p_value,
    label,
    label_of,
    quantity,
    quantity_of,
)
from augface.results import REBALANCING, Decision, Evaluation, ImageGrid, Measurement, Section, Series, Table
from augface.results.comparison import Key

ALARMS = 4
HEADLINE_ROWS = 12
"""Numbers a section shows before its folded details, which show all."""
TABLE_ROWS = 1500
"""Rows of all tables together, for the size of the page; what comes later is left to the results file."""
PROVENANCE_ROWS = 500
PICTURES = 3_000_000
"""Characters of all pictures together; what comes later on the page is left to the results file."""

TOO_LARGE = "to keep the page small; it is in results.json"
SKIPPED = "skipped"
"""The anchor of what was not measured."""
PARTS = frozenset({"main", "verdict", "done", SKIPPED, "caveats", "again"})
"""The other anchors of the page."""

SENTENCES: dict[Decision, str] = {
    "use": "Use these faces.",
    "do not use": "Do not use these faces.",
    "no evidence": "No evidence that these faces help.",
    "not assessed": "Whether these faces help was not assessed.",
}

Grouped = TypeVar("Grouped", Measurement, Key)
Facts = list[tuple[str, str]]
"""Names with their values, in words."""

SCORECARD = Section(
    key="scorecard",
    title="Scorecard",
    meaning="The numbers that matter most, each beside what real faces score against other real faces: no generator "
    "can be expected to be nearer than that.",
)
UNKNOWN = "Measured by an evaluator of another package; its own words are beside each number."


@dataclass(frozen=True)
class Strip:
    """Where a value, its interval and its baseline lie on a common scale, in percent of its width."""

    value: float
    interval: tuple[float, float] | None
    baseline: tuple[float, float] | None
    zero: float


@dataclass(frozen=True)
class Row:
    """One measurement in words."""

    label: str
    name: str
    group: str
    meaning: str
    value: Quantity
    unit: str
    baseline: Quantity | None
    verdict: str
    direction: str
    n: str
    p_value: str
    space: str
    protocol: Facts
    found: Facts
    strip: Strip | None


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


@dataclass(frozen=True)
class Card:
    """One key number beside the verdict."""

    label: str
    value: str
    note: str
    section: str
    verdict: str = "info"


@dataclass(frozen=True)
class ProvenanceGroup:
    """Named facts that belong together."""

    title: str
    facts: Facts


@dataclass(frozen=True)
class Page:
    """Everything that the report says."""

    decision: Decision
    sentence: str
    reason: str
    subject: str
    cards: list[Card]
    alarms: list[Row]
    """The first alarms and warnings, those of all faces before those of groups."""
    more_alarms: list[tuple[str, str, int]]
    """Section, anchor and number of the others."""
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
    alarms, more_alarms = _alarms(chapters)
    provenance = to_jsonable_python(evaluation.provenance, fallback=str)
    return Page(
        decision=evaluation.verdict.decision,
        sentence=SENTENCES[evaluation.verdict.decision],
        reason=evaluation.verdict.reason,
        subject=_subject(evaluation),
        cards=_cards(evaluation),
        alarms=alarms,
        more_alarms=more_alarms,
        chapters=chapters,
        skipped=[(skipped.evaluator, skipped.reason) for skipped in evaluation.skipped],
        command=_command(provenance.get("command")),
        provenance=_provenance(provenance),
        caveats=_caveats(evaluation, provenance),
        shows_real_people=real_images and any(grid.shows_real_people for grid in _grids(evaluation)),
        left_out=left_out,
    )


# Rows


def _row(measurement: Measurement, *, name_space: bool = False) -> Row:
    """In words; with its feature space where the same is measured in several."""
    baseline = measurement.baseline
    name = label_of(measurement)
    if measurement.arm:
        name = f"{name}: {measurement.arm}"
    elif measurement.attribute and not measurement.group:
        name = f"{name}: {measurement.attribute}"
    if name_space and measurement.space:
        name = f"{name} ({measurement.space})"
    return Row(
        label=name,
        name=f"{measurement.evaluator}.{measurement.name}",
        group=str(Subgroup(measurement.group)),
        meaning=measurement.meaning,
        value=quantity(measurement),
        unit=measurement.unit,
        baseline=quantity_of(baseline, measurement.unit if measurement.unit == "%" else "") if baseline else None,
        verdict=measurement.verdict,
        direction="" if measurement.direction == "target" and not baseline else DIRECTIONS[measurement.direction],
        n=_counts(measurement),
        p_value=format_p_value(measurement.p_value),
        space=measurement.space or "",
        protocol=_facts(to_jsonable_python(measurement.protocol, fallback=str)),
        found=_facts(to_jsonable_python(measurement.found, fallback=str)),
        strip=_strip(measurement),
    )


def _counts(measurement: Measurement) -> str:
    sides = ((measurement.n_real, "real"), (measurement.n_fake, "synthetic"))
    return ", ".join(f"{count:,} {side}" for count, side in sides if count is not None)


def _strip(measurement: Measurement) -> Strip | None:
    """Where things lie between zero and the largest of them; for shares, between 0 and 100 %."""
    baseline = measurement.baseline
    value, low, high = measurement.value, measurement.low, measurement.high
    band = (
        (
            (baseline.low if baseline.low is not None else baseline.value),
            (baseline.high if baseline.high is not None else baseline.value),
        )
        if baseline
        else (None, None)
    )
    known = [number for number in (value, low, high, *band) if number is not None]
    has_range = any(number is not None for number in (low, high, *band)) or measurement.unit == "%"
    if value is None or not has_range:
        return None
    start = min(0.0, *known)
    end = max(1.0, *known) if measurement.unit == "%" else max(0.0, *known)
    start, end = (start * 1.08, end) if measurement.unit == "%" else (start * 1.08, end * 1.08)
    if not 0 < end - start < math.inf:
        return None

    def place(number: float) -> float:
        return round(100 * (number - start) / (end - start), 1)

    return Strip(
        value=place(value),
        interval=(place(low), place(high)) if low is not None and high is not None else None,
        baseline=(place(band[0]), place(band[1])) if band[0] is not None and band[1] is not None else None,
        zero=place(0),
    )


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
        rows = [_row(measurement, name_space=in_several) for measurement in own]
        things = artifacts.get(key, [])
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
                else [_row(measurement, name_space=in_several) for measurement in _headline(own, targets)],
                rows=[row for row, one in zip(rows, own, strict=True) if not _in_arm_table(one)],
                protocols=protocols,
                arms=_arms(own),
                measurements=own,
                grids=grids,
                tables=tables,
                series=[thing for thing in things if isinstance(thing, Series)],
                left_out=left_out,
            )
        )
    return chapters


def _anchor(key: str, number: int) -> str:
    """The key itself where it is safe in a link and no other part of the page is called so."""
    if re.fullmatch(r"[a-z0-9_]+", key) and key not in PARTS:
        return key
    return f"more-{number}-{re.sub(r'[^a-z0-9]+', '-', key.lower())[:40]}"


def _in_order(sections: Sequence[Section], present: Iterable[str], *, with_scorecard: bool) -> list[Section]:
    """The sections that hold something, in the order of the results, after the scorecard; unknown ones come last."""
    declared = {section.key: section for section in sections}
    unknown = [
        Section(key=key, title=label(key), meaning=UNKNOWN) for key in dict.fromkeys(present) if key not in declared
    ]
    held = [section for section in declared.values() if section.key in set(present)]
    return [*([SCORECARD] if with_scorecard else []), *held, *unknown]


def _shown(grids: Sequence[ImageGrid], real_images: bool, room: int) -> tuple[list[ImageGrid], list[tuple[str, str]]]:
    """The pictures that are shown, and the titles of the others with the reason."""
    shown: list[ImageGrid] = []
    left_out: list[tuple[str, str]] = []
    for grid in grids:
        if grid.shows_real_people and not real_images:
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
    return [replace(_row(one, name_space=one.evaluator in in_several), meaning="") for one in chosen]


def _headline(measurements: Sequence[Measurement], targets: set[str]) -> list[Measurement]:
    """The numbers to show first: those of all faces and of groups, or, of many, those of all faces and the alarms.

    What was requested comes first. Arms have a table, and many groups have a figure.
    """
    ranks = {"fail": 0, "warn": 1}
    single = [measurement for measurement in measurements if not measurement.arm]
    if len(single) > HEADLINE_ROWS:
        if any(not one.group for one in single):
            single = [one for one in single if not one.group or one.verdict == "fail"]
        single.sort(
            key=lambda one: (
                one.attribute not in targets,
                ranks.get(one.verdict, 2),
                bool(one.group),
            )
        )
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
        n=_counts(measurements[0]),
    )


# Verdict


def _alarms(chapters: Sequence[Chapter]) -> tuple[list[Row], list[tuple[str, str, int]]]:
    """The first few, alarms before warnings and all faces before groups; how many more there are in each section."""
    raised = [(chapter, row) for chapter in chapters for row in chapter.rows if row.verdict in ("fail", "warn")]
    raised.sort(key=lambda one: (one[1].verdict == "warn", bool(one[1].group)))
    more = Counter((chapter.section.title, chapter.anchor) for chapter, _ in raised[ALARMS:])
    return [row for _, row in raised[:ALARMS]], [(title, anchor, count) for (title, anchor), count in more.items()]


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
    return found[:1] if section.one_each else [one for one in found if not one.group] or found[:1]


def first(evaluation: Evaluation, evaluator: str, name: str) -> Measurement | None:
    """The first measurement of this name, one of all faces before one of a group."""
    found = [measurement for measurement in evaluation.select(evaluator, name) if not measurement.arm]
    return min(found, key=lambda measurement: bool(measurement.group), default=None)


def _subject(evaluation: Evaluation) -> str:
    title = evaluation.provenance.get("title")
    if title:
        return str(title)
    share = first(evaluation, REBALANCING, "share_after")
    return str(Subgroup(share.group)) if share and share.group else "synthetic faces"


def _cards(evaluation: Evaluation) -> list[Card]:
    cards = []
    before, after = first(evaluation, REBALANCING, "share_before"), first(evaluation, REBALANCING, "share_after")
    if before and after:
        cards.append(
            Card(
                label=f"Faces with {Subgroup(after.group)}" if after.group else "Share of the wanted faces",
                value=f"{quantity(before).text} → {quantity(after).text}",
                note="of the training faces, before and after",
                section="balance",
                verdict=after.verdict,
            )
        )
    generated, wanted = first(evaluation, REBALANCING, "made"), first(evaluation, REBALANCING, "wanted")
    if generated:
        passed = first(evaluation, REBALANCING, "yield")
        of_wanted = f" of {format_number(wanted.value)}" if wanted else ""
        cards.append(
            Card(
                label="Faces generated",
                value=f"{format_number(generated.value)}{of_wanted}",
                note=f"{format_number(passed.value, '%')} of all draws passed the filters" if passed else "",
                section="balance",
                verdict=generated.verdict,
            )
        )
    # what decides comes first
    for section in sorted(evaluation.sections, key=lambda section: not section.decides):
        for alternatives in section.headline:
            cards += _headline_card(evaluation, section, alternatives)
    return cards


def _headline_card(evaluation: Evaluation, section: Section, alternatives: Sequence[str]) -> list[Card]:
    """The first of some measurements that there is, beside what real faces have; or why there is none."""
    for name in alternatives:
        found = [one for one in evaluation.select(section.key, name) if not one.arm and one.value is not None]
        if not found:
            continue
        # of several attributes the one that decides
        alarming = [one for verdict in ("fail", "pass") for one in found if one.verdict == verdict]
        all_faces = [one for one in found if not one.group]
        one = (alarming if section.decides else all_faces) or found
        shown, baseline = quantity(one[0]), one[0].baseline
        note = f"95 %: {shown.interval}" if shown.interval else "no interval"
        if baseline is not None and not section.decides and baseline.low is not None:
            note = f"real against real: {quantity_of(baseline, one[0].unit if one[0].unit == '%' else '').text}"
        return [Card(label_of(one[0]), shown.text, note, section.key, one[0].verdict)]
    reasons = [skipped.reason.split(";")[0] for skipped in evaluation.skipped if skipped.evaluator == section.key]
    return [Card(section.title, "not measured", reasons[0], SKIPPED)] if reasons else []


# Provenance and caveats


def _command(command: Any) -> str:
    """The command to copy; what cannot be seen in it, or would turn its text around, is spelled out."""
    text = shlex.join(str(word) for word in command) if isinstance(command, list) else str(command or "")
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def _scalar(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _facts(mapping: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Nested settings as pairs of a dotted name and a text; what is deeper than six levels stays JSON."""
    facts: list[tuple[str, str]] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < 6:
            facts += _facts(value, f"{name}.", depth + 1)
        elif isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
            facts.append((name, ", ".join(_scalar(item) for item in value) or MISSING))
        elif isinstance(value, (dict, list)):
            facts.append((name, json.dumps(value, ensure_ascii=False) if value else MISSING))
        else:
            facts.append((name, _scalar(value)))
    return facts


def _provenance(provenance: Mapping[str, Any]) -> list[ProvenanceGroup]:
    """The facts of the run: those that stand alone first, then one group for each nested part."""
    shown = {key: value for key, value in provenance.items() if key not in {"title", "command", "warnings"}}
    alone = {key: value for key, value in shown.items() if not isinstance(value, dict)}
    groups = [ProvenanceGroup("run", _facts(alone))] if alone else []
    groups += [ProvenanceGroup(key, _facts(value)) for key, value in shown.items() if isinstance(value, dict) and value]
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
    if any(measurement.group for measurement in evaluation.measurements):
        caveats.append(
            "Attributes are labels that people gave to pictures: they say how a face was perceived, "
            "not who a person is."
        )
    return caveats


def _as_list(value: Any) -> Iterable[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
