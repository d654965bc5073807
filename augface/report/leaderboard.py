"""From a comparison to plain data: what the page of several runs says, in words and texts."""

from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from augface.data.groups import Subgroup
from augface.errors import require
from augface.report.overview import SENTENCES, representatives
from augface.report.rows import Strip
from augface.report.summarise import ProvenanceGroup, summarise
from augface.report.words import Quantity, label, label_of, quantity
from augface.results import REBALANCING, Decision, Evaluation, ImageGrid, Measurement, Section
from augface.results.comparison import Comparison, Key, Row

MOST_REASONS = 3
"""Differences of one measurement that are named before the others are only counted."""
MOST_SUBJECTS = 12
"""Measurements that one remark names before the others are only counted."""
MOST_CELLS = 10_000
"""Numbers in the two folded tables together: a page of all groups of five hundred attributes would be too large."""
PICTURE_CHARACTERS = 2_800_000
"""Of all sheets of faces together, as they are written into the page."""
SAMPLES = "samples"
"""The section of random faces."""
REASON_CHARACTERS = 1200
"""Of the verdicts' reasons together on the first screen; all of each stands further below."""
LONGEST_REASON, SHORTEST_REASON = 280, 80


@dataclass(frozen=True)
class Entry:
    """One run's number within a line."""

    value: Quantity | None
    """None where the run has no such number."""
    rank: str
    """Such as `1`, or `1 =` where it is shared; empty where nothing is ranked."""
    is_best: bool
    strip: Strip | None


@dataclass(frozen=True)
class Line:
    """One measurement in all runs, with an entry for each of them in their order."""

    label: str
    direction: str
    meaning: str
    """Its first sentence; empty where the runs do not say the same."""
    entries: list[Entry]
    reason: str
    """Why it is not ranked."""


@dataclass(frozen=True)
class Lines:
    """A table of lines, which may not hold all there are."""

    title: str
    lines: list[Line]
    count: int


@dataclass(frozen=True)
class Remark:
    """One text about one or more measurements."""

    text: str
    subjects: list[str]
    """The labels of the first of them; empty where it is about all there are."""
    more: int
    """How many are not named."""


@dataclass(frozen=True)
class Entrant:
    """One of the runs."""

    name: str
    decision: Decision
    sentence: str
    reason: str
    short_reason: str
    firsts: str
    """In how many of the key measures it is the best."""
    warnings: list[str]
    skipped: list[tuple[str, str]]
    command: str
    provenance: list[ProvenanceGroup]


@dataclass(frozen=True)
class Sheet:
    """Faces of one run, or of several that hold the very same picture."""

    runs: str
    grid: ImageGrid


@dataclass(frozen=True)
class Gallery:
    """Sheets that show the same of each run."""

    title: str
    caption: str
    """Empty where the runs do not say the same."""
    is_sample: bool
    """Whether it shows random faces, and so is to be seen first."""
    sheets: list[Sheet]
    absent: list[str]
    """Runs whose sheet is not shown, for the size of the page."""


@dataclass(frozen=True)
class ComparisonPage:
    """Everything that the page of several runs says."""

    conclusion: str
    """Which run is the best, or that none is."""
    entrants: list[Entrant]
    leaderboard: list[Line]
    nothing_ranked: str
    """Why, where nothing can be ranked."""
    notes: list[Remark]
    reasons: list[Remark]
    tables: list[Lines]
    galleries: list[Gallery]
    too_large: list[str]
    """Titles of galleries that are not shown at all, for the size of the page."""
    of_one_run: int
    """How many sheets only one run has."""
    shows_real_people: bool
    left_out: list[str]
    """Pictures of real people that are left out on request."""


def summarise_comparison(
    comparison: Comparison, evaluations: Mapping[str, Evaluation], *, real_images: bool = True
) -> ComparisonPage:
    """Everything that the page says about these runs; the same results give the same page."""
    names = labels(comparison.rows)
    key_rows = _key_rows(comparison.rows, comparison.sections)
    ranked = [row for row in comparison.rows if row.ranked]
    galleries, left_out, of_one_run = _galleries(evaluations, real_images=real_images)
    shown = _within_budget(galleries)
    reason_length = max(SHORTEST_REASON, min(LONGEST_REASON, REASON_CHARACTERS // max(1, len(evaluations))))
    return ComparisonPage(
        conclusion=conclusion(comparison, evaluations),
        entrants=[_entrant(run, evaluation, key_rows, reason_length) for run, evaluation in evaluations.items()],
        leaderboard=key_lines(comparison),
        nothing_ranked="" if ranked else first_reason(comparison.rows),
        notes=_remarks(notes(ranked), names, len(ranked)),
        reasons=_remarks(reasons(comparison.rows), names, len(comparison.rows)),
        tables=_tables(comparison, {row.key for row in key_rows}, names),
        galleries=shown,
        too_large=[gallery.title for gallery in galleries[len(shown) :]],
        of_one_run=of_one_run,
        shows_real_people=any(sheet.grid.shows_real_people for gallery in shown for sheet in gallery.sheets),
        left_out=left_out,
    )


def key_lines(comparison: Comparison) -> list[Line]:
    """The key measures that can be ranked, with where each run lies."""
    names = labels(comparison.rows)
    return [_line(row, names, with_strips=True) for row in _key_rows(comparison.rows, comparison.sections)]


# Words that the terminal has too


def labels(rows: Iterable[Row]) -> dict[Key, str]:
    """What each row is about, no longer than it takes to distinguish the rows."""
    names = {row.key: _label(row) for row in rows}
    spaces, attributes, evaluators = defaultdict(set), defaultdict(set), defaultdict(set)
    for key, name in names.items():
        spaces[key.evaluator, key.name].add(key.space)
        attributes[key.evaluator, key.name].add(key.attribute)
        evaluators[name].add(key.evaluator)
    texts = {}
    for key, name in names.items():
        if len(evaluators[name]) > 1:
            name = f"{label(key.evaluator)}: {name[:1].lower()}{name[1:]}"
        details = [
            key.arm,
            key.attribute if len(attributes[key.evaluator, key.name]) > 1 else None,
            key.space if len(spaces[key.evaluator, key.name]) > 1 else None,
            str(Subgroup(dict(key.group))),
            f"number {key.occurrence + 1}" if key.occurrence else None,
        ]
        told = "; ".join(detail for detail in details if detail)
        texts[key] = f"{name} ({told})" if told else name
    return texts


def _label(row: Row) -> str:
    """The measurement's own label, of the first run that has it."""
    return next((label_of(one) for one in row.measurements.values() if one is not None), label(row.key.name))


def conclusion(comparison: Comparison, evaluations: Mapping[str, Evaluation]) -> str:
    """Which run is the best, or that none is: a run wins that no other beats in any key measure, and none equals.

    Args:
        comparison: of these runs.
        evaluations: by the names of the runs, for their verdicts.
    """
    rows = _key_rows(comparison.rows, comparison.sections)
    if not rows:
        return "No winner: no key measure can be ranked."
    every = "the one key measure" if len(rows) == 1 else f"all {len(rows)} key measures"
    firsts = {run: [row for row in rows if row.ranks.get(run) == 1] for run in comparison.runs}
    unbeaten = [run for run, best in firsts.items() if len(best) == len(rows)]
    if len(unbeaten) > 1:
        which = "all runs" if len(unbeaten) == len(firsts) else " and ".join(unbeaten)
        return f"No winner: {which} share the first rank in {every}."
    if not unbeaten:
        counts = ", ".join(f"{run} in {len(best)}" for run, best in firsts.items() if best)
        return f"No winner: of {len(rows)} key measures, {counts} are best or as good as the best."
    (winner,) = unbeaten
    alone = sum(not row.tied(winner) for row in firsts[winner])
    text = f"The winner is {winner}: first in {every}{f', alone in {alone}' if len(rows) > 1 else ''}."
    if evaluations[winner].verdict.decision == "do not use":
        text += " Its own verdict is not to use its faces."
    return text


def better(row: Row) -> str:
    """Which way is better; empty where the runs do not agree on it, as those of a ranked row do."""
    directions = {number.direction for number in row.measurements.values() if number and number.value is not None}
    if len(directions) != 1:
        return ""
    direction = directions.pop()
    return "nearest to baseline is best" if direction == "target" else f"{direction} is better"


def reason(row: Row) -> str:
    """Why a row is not ranked: the first few differences."""
    more = len(row.differences) - MOST_REASONS
    return "; ".join(row.differences[:MOST_REASONS]) + (f"; and {more:,} more" if more > 0 else "")


def first_reason(rows: Sequence[Row]) -> str:
    """Why nothing is ranked, by the first measurement that several runs have, or else by the first."""
    if not rows:
        return "the runs have no measurements of all faces"
    row = max(rows, key=lambda row: sum(number is not None for number in row.measurements.values()))
    return f"{labels(rows)[row.key]}: {reason(row)}"


def notes(ranked: Iterable[Row]) -> dict[str, list[Key]]:
    """What a reader of the ranks should know, each with what it is about."""
    found: dict[str, list[Key]] = {}
    for row in ranked:
        for note in row.notes:
            found.setdefault(note, []).append(row.key)
    return found


def reasons(rows: Iterable[Row]) -> dict[str, list[Key]]:
    """Why rows are not ranked, each reason with what it is about."""
    found: dict[str, list[Key]] = {}
    for row in rows:
        if not row.ranked:
            found.setdefault(reason(row), []).append(row.key)
    return found


# Lines


def _key_rows(rows: Iterable[Row], sections: Sequence[Section]) -> list[Row]:
    """Of what is ranked the key measures of all sections in their order, then one of each other evaluator."""
    ranked = {row.key: row for row in rows if row.ranked and row.key.arm is None}
    by_name: dict[tuple[str, str], list[Key]] = {}
    for key in ranked:
        by_name.setdefault((key.evaluator, key.name), []).append(key)
    chosen = [
        key
        for section in sections
        for name in section.key_measures
        for key in representatives(section, by_name.get((section.key, name), []))
    ]
    told = {REBALANCING, *(section.key for section in sections if section.key_measures)}
    for key in sorted(ranked, key=lambda key: bool(key.group)):
        if key.evaluator not in told:
            told.add(key.evaluator)
            chosen.append(key)
    return [ranked[key] for key in chosen]


def _line(row: Row, names: Mapping[Key, str], *, with_strips: bool = False) -> Line:
    numbers = list(row.measurements.values())
    strips = _strips(row) if with_strips else {}
    meanings = {number.meaning for number in numbers if number}
    return Line(
        label=names[row.key],
        direction=better(row),
        meaning=_first_sentence(meanings.pop()) if len(meanings) == 1 else "",
        entries=[
            Entry(
                value=quantity(number) if number else None,
                rank=_rank(row, run),
                is_best=row.ranks.get(run) == 1,
                strip=strips.get(run),
            )
            for run, number in row.measurements.items()
        ],
        reason=reason(row),
    )


def _first_sentence(text: str) -> str:
    first, stop, _ = text.partition(". ")
    return first + stop.strip()


def _rank(row: Row, run: str) -> str:
    return f"{row.ranks[run]}{' =' if row.tied(run) else ''}" if run in row.ranks else ""


def _strips(row: Row) -> dict[str, Strip]:
    """Where the runs lie on the scale that they have in common, each before the interval of the best one."""
    numbers = {run: number for run, number in row.measurements.items() if run in row.ranks and number}
    ends = [end for number in numbers.values() for end in _ends(number)]
    start, end = min(ends), max(ends)
    width = 1.1 * (end - start)
    if not width < math.inf:
        return {}
    middle_of_all = start + (end - start) / 2

    def place(number: float) -> float:
        return round(50 + (100 * ((number - middle_of_all) / width) if width else 0), 1)

    low, _, high = map(place, _ends(numbers[next(iter(row.ranks))]))
    strips = {}
    for run, number in numbers.items():
        left, middle, right = map(place, _ends(number))
        has_interval = number.low is not None and number.high is not None
        strips[run] = Strip(
            value=middle,
            interval=(left, right) if has_interval else None,
            baseline=(low, high),
            zero=place(0.0) if start <= 0 <= end else 0.0,
        )
    return strips


def _ends(number: Measurement) -> tuple[float, float, float]:
    """Low end, value and high end; the value itself for an end that is missing."""
    value = require(number.value)
    low, high = (value if end is None else end for end in (number.low, number.high))
    return low, value, high


def _tables(comparison: Comparison, shown: set[Key], names: Mapping[Key, str]) -> list[Lines]:
    """The lines that the leaderboard does not hold, as many as there is room for."""
    room = MOST_CELLS // max(1, len(comparison.runs))
    tables = []
    for title, of_groups in (("Other measures of all faces", False), ("Measures of groups of faces", True)):
        others = [row for row in comparison.rows if row.key not in shown and bool(row.key.group) is of_groups]
        others.sort(key=lambda row: not row.ranked)
        lines = [_line(row, names) for row in others[:room]]
        room -= len(lines)
        if others:
            tables.append(Lines(title, lines, len(others)))
    return tables


def _remarks(told: Mapping[str, Sequence[Key]], names: Mapping[Key, str], count: int) -> list[Remark]:
    remarks = []
    for text, keys in told.items():
        named = [] if 1 < count == len(keys) else keys[:MOST_SUBJECTS]
        remarks.append(Remark(text, [names[key] for key in named], len(keys) - len(named) if named else 0))
    return remarks


# Runs


def _entrant(run: str, evaluation: Evaluation, key_rows: Sequence[Row], reason_length: int) -> Entrant:
    # its numbers and pictures stand elsewhere, beside those of the other runs
    page = summarise(evaluation.model_copy(update={"measurements": [], "artifacts": []}))
    return Entrant(
        name=run,
        decision=page.decision,
        sentence=evaluation.verdict.sentence or SENTENCES[page.decision],
        reason=page.reason,
        short_reason=textwrap.shorten(page.reason, reason_length, placeholder=" …"),
        firsts=_firsts(run, key_rows),
        warnings=page.caveats,
        skipped=page.skipped,
        command=page.command,
        provenance=page.provenance,
    )


def _firsts(run: str, key_rows: Sequence[Row]) -> str:
    best = [row for row in key_rows if row.ranks.get(run) == 1]
    shared = sum(row.tied(run) for row in best)
    return f"{len(best)} of {len(key_rows)}" + (f", {shared} shared" if shared else "") if key_rows else ""


# Pictures


def _galleries(evaluations: Mapping[str, Evaluation], *, real_images: bool) -> tuple[list[Gallery], list[str], int]:
    """What runs have in common, samples first; which pictures of people are left out, and how many are of one run."""
    found: dict[tuple[str, str], dict[str, ImageGrid]] = {}
    left_out = []
    for run, evaluation in evaluations.items():
        for grid in evaluation.artifacts:
            if not isinstance(grid, ImageGrid):
                continue
            if grid.shows_real_people and not real_images:
                left_out.append(f"{grid.title} ({run})")
            else:
                found.setdefault((grid.section, grid.name), {})[run] = grid
    in_order = sorted(found.items(), key=lambda item: item[0][0] != SAMPLES)
    galleries = [_gallery(grids) for _, grids in in_order if len(grids) > 1]
    return galleries, left_out, len(found) - len(galleries)


def _gallery(grids: Mapping[str, ImageGrid]) -> Gallery:
    """One sheet a run; runs with the very same picture, such as that of the same real faces, share one."""
    runs: dict[str, list[str]] = {}
    for run, grid in grids.items():
        runs.setdefault(grid.webp, []).append(run)
    captions = {grid.caption for grid in grids.values()}
    return Gallery(
        title=next(iter(grids.values())).title,
        caption=captions.pop() if len(captions) == 1 else "",
        is_sample=any(grid.section == SAMPLES for grid in grids.values()),
        sheets=[Sheet(", ".join(sharing), grids[sharing[0]]) for sharing in runs.values()],
        absent=[],
    )


def _within_budget(galleries: Sequence[Gallery]) -> list[Gallery]:
    """The galleries from the first, up to the sheet that would make the page too large."""
    shown: list[Gallery] = []
    room = PICTURE_CHARACTERS
    for gallery in galleries:
        fitting = []
        for sheet in gallery.sheets:
            room -= len(sheet.grid.webp)
            if room >= 0:
                fitting.append(sheet)
        if not fitting:
            break
        absent = [sheet.runs for sheet in gallery.sheets[len(fitting) :]]
        shown.append(replace(gallery, sheets=fitting, absent=absent))
    return shown
