"""The pages: plain data into HTML, under a content policy that lets nothing in from elsewhere."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from augface.notebooks import scoped
from augface.pages import inline_policy, templates
from augface.report.leaderboard import first_reason, key_lines, summarise_comparison
from augface.report.summarise import TOO_LARGE, Chapter, summarise
from augface.report.words import format_cell, label_of
from augface.results import Evaluation, ImageGrid
from augface.results.comparison import Comparison

if TYPE_CHECKING:
    from augface.report.figures import Drawing

log = logging.getLogger("augface")

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_TILE = 128
"""CSS pixels, about, of a face's side on the page: small faces are enlarged by a whole factor up to this."""
MOST_GRID_LINES = 400
LIGHT_THEMES = ':is([data-jp-theme-light="true"], .vscode-light, [theme="light"])'
DARK_THEMES = ':is([data-jp-theme-light="false"], .vscode-dark, [theme="dark"])'
"""How pages of notebooks (Jupyter, Visual Studio Code, Colab) say which theme they have."""
ARM_FIGURES = 6
"""Attributes whose arms are drawn; the others have their tables."""


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
    if too_large := [title for chapter in page.chapters for title, reason in chapter.left_out if reason == TOO_LARGE]:
        log.warning(f"{len(too_large)} pictures are left out to keep the page small; results.json has them.")
    figures = {chapter.anchor: list(_figures(chapter)) for chapter in page.chapters}
    return _page("report.html.j2", page=page, figures=figures, key="", is_page=True)


def first_screen(evaluation: Evaluation) -> str:
    """The first screen of the report as a part of a page, for a cell of a notebook."""
    page = summarise(evaluation)
    key = hashlib.sha256(f"{page.subject} {page.reason}".encode("utf-8", "replace")).hexdigest()[:12]
    return _cell(page=page, key=f"augface-{key}-", is_page=False)


def leaderboard(comparison: Comparison) -> str:
    """The key measures of several runs as a part of a page, for a cell of a notebook."""
    ranked = any(row.ranked for row in comparison.rows)
    return _cell(
        page=None,
        runs=comparison.runs,
        lines=key_lines(comparison),
        rows=len(comparison.rows),
        nothing_ranked="" if ranked else first_reason(comparison.rows),
    )


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
    return _rendered(
        template, **content, style=Markup(style), script=Markup(script), policy=inline_policy(style, [script])
    )


def _cell(**content: Any) -> str:
    return _rendered("cell.html.j2", **content, style=Markup(_cell_style(_asset("style.css"))))


def _rendered(template: str, **content: Any) -> str:
    html = _environment().get_template(template).render(**content)
    # Names out of a stranger's JSON may hold half of a surrogate pair, which no file can hold.
    return html.encode("utf-8", "replace").decode()


@cache
def _environment() -> Environment:
    """The templates with what they call, made once: compiling them takes longer than filling them in."""
    environment = templates(TEMPLATES)
    environment.keep_trailing_newline = True
    environment.filters["cell"] = format_cell
    environment.globals |= {"enlargement": _enlargement, "grid_lines": _grid_lines}
    return environment


def _cell_style(style: str) -> str:
    """The page's style sheet for one element of a page of somebody else's.

    It applies within that element alone, by its width in place of the window's, and in the colours of the notebook's
    own theme where this is known.
    """
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    style = re.sub(r"(@media screen and [^{]*\{\s*)?:root \{.*?\}(?(1)\s*\})", "", style, flags=re.DOTALL)
    style = re.sub(r"@media print \{.*?\n\}", "", style, flags=re.DOTALL)
    style = re.sub(r"^(html|body) \{", "& {", style, flags=re.MULTILINE)
    style = re.sub(r"@media (?=\(m)", "@container ", style)
    style = re.sub(r"(\d[\d.]*)rem\b", lambda size: f"{16 * float(size[1]):g}px", style)
    own = "& { container-type: inline-size; border-radius: 14px; overflow: hidden; }"
    own += " .beside td { white-space: nowrap; }"
    own += " .more { margin: 0; padding: 10px 18px; font-size: 13px; color: var(--muted); }"
    themes = (
        f"& {{{light}}} @media screen and (prefers-color-scheme: dark) {{ & {{{dark}}} }}"
        f" {LIGHT_THEMES} & {{{light}}} {DARK_THEMES} & {{{dark}}}"
    )
    return scoped("augface-report", f"{themes}\n{style}\n{own}")


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _figures(chapter: Chapter) -> Iterator[Picture]:
    """What can be drawn of a section's numbers, tables and curves."""
    groups = [one for one in chapter.measurements if one.name == chapter.section.by_group and one.group]
    tables = [shown.table for shown in chapter.tables]
    if not (groups or chapter.arms or chapter.series or any(table.figure for table in tables)):
        return
    from augface.report import figures

    drawings = {
        "before and after": figures.balance_figure,
        "matrix": figures.matrix_figure,
        "shares": figures.shares_figure,
    }
    for table in tables:
        if table.figure in drawings and (drawing := drawings[table.figure](table)):
            yield Picture(table.title, table.caption, drawing)
    if drawing := figures.groups_figure(groups):
        caption = "Dots and lines: the synthetic faces, with 95 % intervals."
        if any(one.baseline for one in groups):
            caption += " Bars: real faces against other real ones."
        if len(groups) > figures.MOST_GROUPS:
            caption += f" The worst {figures.MOST_GROUPS} of {len(groups)}."
        yield Picture(f"{label_of(groups[0])}, group by group", caption, drawing)
    for arms in chapter.arms[:ARM_FIGURES]:
        seeds = [table for table in tables if table.figure == "seeds" and (table.attribute or "") == arms.attribute]
        if drawing := figures.arms_figure(arms.measurements, seeds):
            yield Picture(
                f"Arms compared, for {arms.attribute}" if arms.attribute else "Arms compared",
                "Large dots: the mean of each arm, with its 95 % interval. Small dots: every seed. Dashed line: the "
                "best arm that has real faces only.",
                drawing,
            )
    for series in chapter.series:
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
