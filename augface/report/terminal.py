"""The verdict and the key numbers as some fifteen lines of plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from augface.report.summarise import SCORECARD, SENTENCES, first, scorecard
from augface.report.words import Quantity, format_number, group_text, label, quantity, quantity_of
from augface.results import Evaluation, Measurement

WIDTH = 88
MOST_ROWS = 16
HEADER = ("", "value", "95 % interval", "real vs real", "")
# Some terminals and pipes have no more than ASCII.
_PLAIN = str.maketrans({"−": "-", "–": "-", "→": "->", "é": "e", "…": "..."})


def terminal_summary(evaluation: Evaluation, *, reasons: bool = False) -> str:
    """The verdict, the reason and a scorecard, as plain text of at most 88 columns; no newline at the end.

    Args:
        evaluation: what was measured.
        reasons: whether to tell why things were not measured, and not only which.
    """
    sentence, reason = SENTENCES[evaluation.verdict.decision], clean(evaluation.verdict.reason)
    lines = textwrap.wrap(f"{sentence.upper()} {reason}", WIDTH, max_lines=4, placeholder=" ...")
    rows = _scorecard(evaluation)
    if rows:
        lines += ["", *_columns([HEADER, *rows])]
    if reasons:
        for skipped in evaluation.skipped:
            text = f"Not measured: {clean(skipped.evaluator)}: {clean(skipped.reason)}"
            lines += ["", *textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)]
    elif evaluation.skipped:
        names = dict.fromkeys(
            clean(skipped.evaluator) + (" (in part)" if evaluation.select(skipped.evaluator) else "")
            for skipped in evaluation.skipped
        )
        lines.append(_shorten(f"Not measured: {', '.join(names)}. The report says why.", WIDTH))
    if not evaluation.measurements:
        lines.append("Nothing was measured.")
    return "\n".join(lines)


def _scorecard(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The key numbers, then alarms, then one number of each other evaluator, as far as there is room."""
    rows = _rebalance_rows(evaluation)
    share = first(evaluation, "rebalance", "share_after")
    subject = share.group if share else {}
    chosen = scorecard(evaluation)
    alarms = [measurement for measurement in evaluation.measurements if measurement.verdict == "fail"]
    others = {"rebalance", *(evaluator for evaluator, _ in SCORECARD)}
    firsts = []
    for measurement in evaluation.measurements:
        if measurement.evaluator not in others:
            others.add(measurement.evaluator)
            firsts.append(measurement)
    for measurement in [*chosen, *alarms, *firsts]:
        spaces = {one.space for one in chosen if one.space and one.evaluator == measurement.evaluator}
        row = _row(measurement, subject, name_space=len(spaces) > 1)
        if row not in rows and len(rows) < MOST_ROWS:
            rows.append(row)
    return rows


def _rebalance_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    before, after, made, wanted, passed = (
        first(evaluation, "rebalance", name) for name in ("share_before", "share_after", "made", "wanted", "yield")
    )
    rows: list[tuple[str, ...]] = []
    if before and after:
        shown = f"{quantity(before).text} -> {quantity(after).text}"
        rows.append((f"Share of {group_text(after.group) or 'wanted faces'}", shown, "", "", _mark(after)))
    if made:
        of_wanted = f" of {format_number(wanted.value)}" if wanted else ""
        rows.append(("Faces made", f"{format_number(made.value)}{of_wanted}", "", "", _mark(made)))
    if passed:
        shown_yield = quantity(passed)
        rows.append((label("yield"), shown_yield.text, shown_yield.interval, "", _mark(passed)))
    return rows


def _row(measurement: Measurement, subject: Mapping[str, bool], *, name_space: bool) -> tuple[str, ...]:
    name = label(measurement.name)
    if (measurement.evaluator, measurement.name) not in SCORECARD and measurement.evaluator != "rebalance":
        name = f"{label(measurement.evaluator)}: {name.lower()}"
    if name_space and measurement.space:
        name += f", {measurement.space}"
    if measurement.group and measurement.group != subject:
        name += f" ({group_text(measurement.group)})"
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
    lines = []
    for name, *numbers, mark in cells:
        parts = [_shorten(name, widths[0]).ljust(widths[0])]
        parts += [_shorten(number, width).rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join([*parts, mark]).rstrip())
    return lines


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def clean(text: str) -> str:
    """One line without control characters, which could repaint the terminal or turn its text around."""
    plain = " ".join(text.split()).translate(_PLAIN)
    return "".join(character for character in plain if character.isprintable())
