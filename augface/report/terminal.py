"""The verdict and the key numbers as a dozen lines of plain text, or as some twenty."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from io import StringIO

from augface.data.groups import Subgroup
from augface.report.overview import first, scorecard, sentence
from augface.report.words import Quantity, format_number, label, label_of, quantity, quantity_of
from augface.results import REBALANCING, Evaluation, Measurement
from augface.text import one_line

WIDTH = 88
LINES = 12
MOST_ROWS = 16
"""Of the scorecard, where all of it is wanted."""
HEADER = ("", "value", "95 % interval", "real vs real", "")
# Some terminals and pipes have no more than ASCII.
_PLAIN = str.maketrans({"−": "-", "–": "-", "→": "->", "é": "e", "…": "..."})


def terminal_summary(evaluation: Evaluation, *, in_full: bool = False) -> str:
    """The verdict, the reason and a scorecard, as plain text of at most 88 columns; no newline at the end.

    Args:
        evaluation: what was measured.
        in_full: False gives twelve lines, with the effect and the alarms before other numbers, and the first thing to
            do next; True all key numbers, all advice, and why others were not measured.
    """
    reason = clean(evaluation.verdict.reason)
    verdict = textwrap.wrap(f"{clean(sentence(evaluation).upper())} {reason}", WIDTH, max_lines=5, placeholder=" ...")
    after = [*_next(evaluation, most=None if in_full else 1), *_not_measured(evaluation, in_full=in_full)]
    if not evaluation.measurements:
        after.append("Nothing was measured.")
    rows = _scorecard(evaluation, worst_first=not in_full)
    rows = rows[: MOST_ROWS if in_full else LINES - len(verdict) - len(after) - 1]
    table = _columns([HEADER, *rows]) if rows else []
    return "\n".join([*verdict, *([""] if in_full and table else []), *table, *after])


def _next(evaluation: Evaluation, most: int | None) -> list[str]:
    """What to do next, each with its command on a line of its own, to be copied."""
    lines = []
    for advice in evaluation.advice[:most]:
        lines.append(_shorten(f"Next: {clean(advice.title)}.", WIDTH))
        if advice.command:
            lines.append(f"  {clean(advice.command)}")
    return lines


def _not_measured(evaluation: Evaluation, *, in_full: bool) -> list[str]:
    if in_full:
        lines = []
        for skipped in evaluation.skipped:
            text = f"Not measured: {clean(skipped.evaluator)}: {clean(skipped.reason)}"
            lines += ["", *textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)]
        return lines
    names = dict.fromkeys(
        clean(skipped.evaluator) + (" (in part)" if evaluation.select(skipped.evaluator) else "")
        for skipped in evaluation.skipped
    )
    return [_shorten(f"Not measured: {', '.join(names)}. The report says why.", WIDTH)] if names else []


def _scorecard(evaluation: Evaluation, *, worst_first: bool) -> list[tuple[str, ...]]:
    """The key numbers, then alarms, then one number of each other evaluator."""
    share = first(evaluation, REBALANCING, "share_after")
    subject = share.group if share else {}
    chosen = scorecard(evaluation)
    alarms = [measurement for measurement in evaluation.measurements if measurement.verdict == "fail"]
    key_measures = {(section.key, name) for section in evaluation.sections for name in section.key_measures}
    others = {REBALANCING, *(section.key for section in evaluation.sections if section.key_measures)}
    firsts = []
    for measurement in evaluation.measurements:
        if measurement.evaluator not in others:
            others.add(measurement.evaluator)
            firsts.append(measurement)
    shown = [*chosen, *alarms, *firsts]
    if worst_first:
        ranks = {"fail": 1, "warn": 2}
        deciding = {section.key for section in evaluation.sections if section.decides}
        shown.sort(key=lambda one: 0 if one.evaluator in deciding else ranks.get(one.verdict, 3))
    rows = _rebalance_rows(evaluation)
    for measurement in shown:
        spaces = {one.space for one in chosen if one.space and one.evaluator == measurement.evaluator}
        rows.append(
            _row(
                measurement,
                subject,
                name_space=len(spaces) > 1,
                name_evaluator=(measurement.evaluator, measurement.name) not in key_measures,
            )
        )
    return list(dict.fromkeys(rows))


def _rebalance_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    before, after, generated, wanted = (
        first(evaluation, REBALANCING, name) for name in ("share_before", "share_after", "made", "wanted")
    )
    rows: list[tuple[str, ...]] = []
    if before and after:
        shown = f"{quantity(before).text} -> {quantity(after).text}"
        rows.append((f"Share of {str(Subgroup(after.group)) or 'wanted faces'}", shown, "", "", _mark(after)))
    if generated:
        of_wanted = f" of {format_number(wanted.value)}" if wanted else ""
        rows.append((label_of(generated), f"{format_number(generated.value)}{of_wanted}", "", "", _mark(generated)))
    return rows


def _row(
    measurement: Measurement, subject: Mapping[str, bool], *, name_space: bool, name_evaluator: bool
) -> tuple[str, ...]:
    name = label_of(measurement)
    if name_evaluator and measurement.evaluator != REBALANCING:
        name = f"{label(measurement.evaluator)}: {name.lower()}"
    if name_space and measurement.space:
        name += f", {measurement.space}"
    if measurement.group and measurement.group != subject:
        name += f" ({Subgroup(measurement.group)})"
    shown: Quantity = quantity(measurement)
    baseline = quantity_of(measurement.baseline, measurement.unit).text if measurement.baseline else ""
    return name, shown.text, shown.interval, baseline, _mark(measurement)


def _mark(measurement: Measurement) -> str:
    return "" if measurement.verdict == "info" else measurement.verdict.upper()


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as aligned columns: the name at the left, numbers at the right, the verdict last."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [min(max(len(row[column]) for row in cells), 24) for column in range(len(cells[0]))]
    widths[0] = max(12, min(max(len(row[0]) for row in cells), WIDTH - sum(widths[1:]) - 2 * len(widths)))
    shortened = [[_shorten(cell, width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return side_by_side(shortened, "l" + "r" * (len(widths) - 2) + "l")


def side_by_side(rows: Sequence[Sequence[str]], justified: str, widths: Sequence[int] = ()) -> list[str]:
    """Cells of one or more lines as lines of text, with two spaces between the cells.

    Args:
        rows: as many cells each as `justified` has letters.
        justified: for each column, whether its text stands at the left (`l`) or at the right (`r`).
        widths: the least width of each column.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for column, letter in enumerate(justified):
        table.add_column(
            justify="right" if letter == "r" else "left", no_wrap=True, min_width=widths[column] if widths else None
        )
    for row in rows:
        table.add_row(*row)
    console = Console(file=StringIO(), width=1000, color_system=None, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def clean(text: str) -> str:
    """One line without control characters, which could repaint the terminal or turn its text around."""
    return one_line(" ".join(text.split()).translate(_PLAIN))
