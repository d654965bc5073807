"""The pages: plain data into HTML, under a content policy that lets nothing in from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augface.comparison import Comparison
from augface.report.leaderboard import summarise_comparison
from augface.report.summarise import TOO_LARGE, Section, summarise
from augface.report.words import format_cell, label
from augface.results import Evaluation, ImageGrid

if TYPE_CHECKING:
    from augface.report.figures import Drawing

log = logging.getLogger("augface")

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_TILE = 128
"""CSS pixels, about, of a face's side on the page: small faces are enlarged by a whole factor up to this."""
MOST_GRID_LINES = 400
ARM_FIGURES = 6
"""Attributes whose arms are drawn; the others have their tables."""
GROUPS = {
    "fidelity": "kernel_distance",
    "prdc": "coverage",
    "modes": "group_ratio",
    "adherence": "adherence",
    "downstream": "group_effect",
}
"""The number of each section that is drawn for groups of faces."""


@dataclass(frozen=True)
class Picture:
    """A figure ready to be embedded."""

    title: str
    caption: str
    drawing: Drawing


def render(evaluation: Evaluation, *, real_images: bool = True) -> str:
    """The report as one HTML text: the same results give the same bytes.

    Args:
        evaluation: what was measured.
        real_images: False leaves out every picture that shows real people, and says so.
    """
    page = summarise(evaluation, real_images=real_images)
    if too_large := [title for section in page.sections for title, reason in section.left_out if reason == TOO_LARGE]:
        log.warning("%d pictures are left out to keep the page small; results.json has them.", len(too_large))
    figures = {section.anchor: list(_figures(section)) for section in page.sections}
    return _page("report.html.j2", page=page, figures=figures)


def render_comparison(
    comparison: Comparison, evaluations: Mapping[str, Evaluation], *, real_images: bool = True
) -> str:
    """Several runs beside each other as one HTML text: the same results give the same bytes.

    Args:
        comparison: the runs, compared.
        evaluations: the same runs, by their names.
        real_images: False leaves out every picture that shows real people, and says so.
    """
    return _page("comparison.html.j2", page=summarise_comparison(comparison, evaluations, real_images=real_images))


def _page(template: str, **content: Any) -> str:
    style, script = _asset("style.css"), _asset("script.js")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = format_cell
    environment.globals |= {"enlargement": _enlargement, "grid_lines": _grid_lines}
    html = environment.get_template(template).render(
        **content, style=Markup(style), script=Markup(script), policy=_policy(style, script)
    )
    # Names out of a stranger's JSON may hold half of a surrogate pair, which no file can hold.
    return html.encode("utf-8", "replace").decode()


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Pictures from inside the page, this style sheet and this script; nothing else, and nothing from elsewhere."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _figures(section: Section) -> Iterator[Picture]:
    """What can be drawn of a section's numbers, tables and curves."""
    groups = [one for one in section.measurements if one.name == GROUPS.get(section.key) and one.group]
    if not (section.key in {"balance", "adherence"} or groups or section.arms or section.series):
        return
    from augface.report import figures

    for table in (shown.table for shown in section.tables):
        drawing = None
        if section.key == "balance":
            drawing = figures.balance_figure(table)
        elif table.name == "adherence-matrix":
            drawing = figures.matrix_figure(table)
        if drawing:
            yield Picture(table.title, table.caption, drawing)
    if drawing := figures.groups_figure(groups):
        caption = "Dots and lines: the made faces, with 95 % intervals."
        if any(one.baseline for one in groups):
            caption += " Bars: real faces against other real ones."
        if len(groups) > figures.MOST_GROUPS:
            caption += f" The worst {figures.MOST_GROUPS} of {len(groups)}."
        yield Picture(f"{label(groups[0].name)}, group by group", caption, drawing)
    for arms in section.arms[:ARM_FIGURES]:
        named = f"{section.key}-{arms.attribute}"
        tables = [shown.table for shown in section.tables if not arms.attribute or shown.table.name == named]
        if drawing := figures.arms_figure(arms.measurements, tables):
            yield Picture(
                f"Arms compared: telling {arms.attribute}" if arms.attribute else "Arms compared",
                "Large dots: the mean of each arm, with its 95 % interval. Small dots: every seed. Dashed line: the "
                "best arm that has real faces only.",
                drawing,
            )
    for series in section.series:
        if drawing := figures.series_figure(series):
            yield Picture(series.title, series.caption, drawing)


def _enlargement(grid: ImageGrid) -> int:
    """By which whole factor to enlarge small faces; huge and broken sizes stay as they are."""
    return max(1, min(4, SHOWN_TILE // grid.tile)) if 0 < grid.tile <= SHOWN_TILE else 1


def _grid_lines(grid: ImageGrid) -> str:
    """An SVG path of the lines between the faces of a sheet."""
    if not (0 < grid.columns <= MOST_GRID_LINES and 0 < grid.rows <= MOST_GRID_LINES):
        return ""
    down = "".join(f"M{column * grid.tile} 0V{grid.rows * grid.tile}" for column in range(1, grid.columns))
    across = "".join(f"M0 {row * grid.tile}H{grid.columns * grid.tile}" for row in range(1, grid.rows))
    return down + across
