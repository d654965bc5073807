"""`augface compare`: runs beside each other."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from augface.cli.console import print_paths, say, shown
from augface.errors import DataError, OutputError, UsageError

if TYPE_CHECKING:
    from augface.results import Evaluation
    from augface.results.comparison import Comparison, Key, Row

WIDTH = 100
MOST_COLUMNS = 6
"""Runs that stand side by side; more of them are listed below each other."""
NARROWEST_LABEL = 28
"""Characters for the names of measurements. Where less is left, the runs are listed below each other too."""
NARROWEST_NAME = 16
LONGEST_NAME = 44
"""Characters of a run's name in one line, side by side and in the list; longer names take more lines."""
LONGEST_NUMBER = 22
PAGE = ".html"
LEGEND = "* best   = shares the rank: not significantly worse than the best of that rank (95 %)"


def compare(
    *runs: Path,
    out: Path | None = None,
    show_groups: Annotated[bool, Parameter(name="--all")] = False,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
) -> None:
    """Rank runs by each measurement, and say which numbers cannot be compared and why.

    Numbers are ranked only where they were measured alike: by the same protocol, against the same real faces and, where
    it matters, on as many faces. A difference that could be chance is a tie.

    Args:
        runs: Two or more results.json files, or run folders that hold one.
        out: Also write a page with the runs beside each other, FILE.html; or all numbers and ranks as a table, FILE.csv
            or FILE.json.
        show_groups: Show the measurements of groups of faces too, such as those with Eyeglasses. The page always does.
        real_images: Show real faces on the page.
    """
    if len(runs) < 2:
        raise UsageError("compare takes two or more runs: results.json files, or folders that hold one.")
    sources = [run / "results.json" if run.is_dir() else run for run in runs]
    places = [os.path.abspath(source) for source in sources]
    if repeated := [source for place, source in zip(places, sources, strict=True) if places.count(place) > 1]:
        raise UsageError(f"{shown(repeated[0])} is named more than once.")
    if out is not None:
        _check_out(out, places)
    if not real_images and (out is None or out.suffix.lower() != PAGE):
        raise UsageError("--no-real-images is about the page, and needs --out FILE.html.")

    from augface.report.leaderboard import conclusion, first_reason
    from augface.report.terminal import clean
    from augface.results import Evaluation
    from augface.results.comparison import compare as compare_runs

    names = run_names(sources)
    evaluations = {name: Evaluation.from_json(source) for name, source in zip(names, sources, strict=True)}
    comparison = compare_runs(evaluations)
    rows = [row for row in comparison.rows if show_groups or not row.key.group]
    say("\n".join(textwrap.wrap(clean(conclusion(comparison, evaluations)), WIDTH)) + "\n")
    say(describe(comparison, rows))
    if hidden := len(comparison.rows) - len(rows):
        say(f"\n{hidden:,} more of groups of faces: --all shows them.")
    if out is not None:
        _write(comparison, evaluations, out, real_images=real_images)
        say()
        print_paths({"page" if out.suffix.lower() == PAGE else "table": out})
    if not any(row.ranked for row in rows):
        grouped = " Groups of faces can: add --all." if any(row.ranked for row in comparison.rows) else ""
        raise DataError(f"nothing can be ranked: {first_reason(rows)}.{grouped}")


def _check_out(out: Path, places: Sequence[str]) -> None:
    if out.suffix.lower() not in (PAGE, ".csv", ".json"):
        raise UsageError(f"--out takes a file that ends with .html, .csv or .json, not {shown(out)}.")
    if out.is_dir():
        raise OutputError(f"{shown(out)} is a folder; --out takes the file to write.")
    if os.path.abspath(out) in places:
        raise OutputError(f"{shown(out)} is one of the runs; --out takes another file.")


def _write(comparison: Comparison, evaluations: Mapping[str, Evaluation], out: Path, *, real_images: bool) -> None:
    from augface.files import atomic_write
    from augface.report import render_comparison
    from augface.text import csv_text

    suffix = out.suffix.lower()
    if suffix == PAGE:
        text = render_comparison(comparison, evaluations, real_images=real_images)
    elif suffix == ".csv":
        text = csv_text(comparison.to_frame())
    else:
        text = comparison.to_frame().to_json(orient="records", indent=1, force_ascii=False) + "\n"
    atomic_write(out, text)


def run_names(sources: Sequence[Path]) -> list[str]:
    """A short name for each results file: its folder's, or its own where it is not called results.json.

    Names that are the same take more of the path in front, or numbers where that does not help.

    >>> run_names([Path("/runs/first/results.json"), Path("/runs/second/results.json"), Path("/other.json")])
    ['first', 'second', 'other']
    >>> run_names([Path("/a/run/results.json"), Path("/b/run/results.json")])
    ['a/run', 'b/run']
    """
    from augface.report.terminal import clean

    parts = []
    for source in sources:
        path = Path(os.path.abspath(source))
        path = path.parent if path.name == "results.json" else path.with_suffix("")
        parts.append([clean(part) for part in path.parts[1:]] or ["/"])
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]) or "run" for each in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{each[-1] or 'run'} ({number})" for number, each in enumerate(parts, start=1)]


# What is printed


def describe(comparison: Comparison, rows: Sequence[Row]) -> str:
    """The table of `rows`, notes to it, and what is not ranked: plain text of at most 100 columns."""
    from augface.report.leaderboard import labels, notes, reasons
    from augface.report.terminal import clean

    names = {key: clean(text) for key, text in labels(comparison.rows).items()}
    ranked = [row for row in rows if row.ranked]
    lines: list[str] = []
    if ranked:
        lines += _columns(comparison.runs, ranked, names) or _list(ranked, names)
        lines += ["", LEGEND]
    for title, told, count in (("To note", notes(ranked), len(ranked)), ("Not ranked", reasons(rows), len(rows))):
        if told:
            lines += ["", title]
        for text, concerned in told.items():
            subject = "All" if 1 < count == len(concerned) else ", ".join(names[key] for key in concerned)
            lines += _wrapped(f"{subject}: {text}")
    return "\n".join(lines).lstrip("\n")


def _columns(runs: Sequence[str], rows: Sequence[Row], labels: Mapping[Key, str]) -> list[str]:
    """A column for each run, values above their intervals; nothing where the runs are too many or too wide."""
    if len(runs) > MOST_COLUMNS:
        return []
    from augface.report.leaderboard import better
    from augface.report.terminal import side_by_side

    indent = " " * (_mark_width(rows) + 1)
    names = [(labels[row.key], f"  {better(row)}") for row in rows]
    cells = [
        [_mark(row, run).ljust(len(indent)) + f"\n{indent}".join(_number(row, run)) for run in runs] for row in rows
    ]
    widths = [
        max(len(indent) + min(len(run), NARROWEST_NAME), *(len(line) for cell in column for line in cell.split("\n")))
        for run, column in zip(runs, zip(*cells, strict=True), strict=True)
    ]
    wanted = max(len(line) for name in names for line in name)
    label_width = min(wanted, WIDTH - sum(widths) - 2 * len(runs))
    if label_width < min(wanted, NARROWEST_LABEL):
        return []
    headers = [textwrap.fill(run, width - len(indent)) for run, width in zip(runs, widths, strict=True)]
    table = [["", *(textwrap.indent(header, indent) for header in headers)]]
    for (label, direction), numbers in zip(names, cells, strict=True):
        table.append([f"{textwrap.fill(label, label_width)}\n{direction}", *numbers])
    return side_by_side(table, "l" * len(table[0]), widths=[label_width, *widths])


def _list(rows: Sequence[Row], labels: Mapping[Key, str]) -> list[str]:
    """The runs below each other, the best first."""
    from augface.report.leaderboard import better
    from augface.report.terminal import side_by_side

    mark_width = _mark_width(rows)
    name_width = min(max(len(run) for row in rows for run in row.ranks), LONGEST_NAME)
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        lines += textwrap.wrap(f"{labels[row.key]}, {better(row)}", WIDTH)
        for run in row.ranks:
            value, interval = _number(row, run)
            number = f"{value} ({interval})" if interval else value
            cells = [_mark(row, run), textwrap.fill(run, name_width), number]
            lines += side_by_side([cells], "lll", widths=[mark_width, name_width, 0])
    return lines


def _mark_width(rows: Sequence[Row]) -> int:
    return max(len(_mark(row, run)) for row in rows for run in row.ranks)


def _mark(row: Row, run: str) -> str:
    """The rank, with a star for the best and `=` for those that share it."""
    if run not in row.ranks:
        return ""
    rank = row.ranks[run]
    return f"{'*' if rank == 1 else ' '}{rank}{'=' if row.tied(run) else ''}"


def _number(row: Row, run: str) -> tuple[str, str]:
    """A value and its interval."""
    from augface.report.terminal import clean
    from augface.report.words import MISSING, quantity

    measurement = row.measurements[run]
    if measurement is None:
        return clean(MISSING), ""
    number = quantity(measurement)
    value, interval = (
        textwrap.shorten(clean(text), LONGEST_NUMBER, placeholder="...") for text in (number.text, number.interval)
    )
    return value, interval


def _wrapped(text: str) -> list[str]:
    from augface.report.terminal import clean

    return textwrap.wrap(clean(text), WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
