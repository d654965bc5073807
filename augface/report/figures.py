"""The figures, as SVG: one style, labelled axes, colours that people can distinguish, light and dark in one file.

Each figure is drawn in the light palette; a style sheet inside the SVG swaps the colours where the page is dark.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import seaborn
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from augface.data.groups import Subgroup
from augface.errors import require
from augface.report.words import format_number, label_of, quantity, quantity_of
from augface.results import Measurement, Series, Table
from augface.text import one_line

INK, MUTED, RULE = "#1b2430", "#5a6675", "#d4dae2"
# Okabe and Ito's palette, whose colours stay apart for every common colour blindness; yellow left out as too pale.
REAL, SYNTHETIC = "#0072b2", "#d55e00"
LINES = (REAL, SYNTHETIC, "#009e73", "#a8487c", "#3d8fbc", "#b07c00")
DARK = {
    INK: "#e6eaf0",
    MUTED: "#a3adba",
    RULE: "#3a4451",
    REAL: "#58b0e8",
    SYNTHETIC: "#f28a3c",
    "#009e73": "#2cc79b",
    "#a8487c": "#dd8ab8",
    "#3d8fbc": "#9ad1f0",
    "#b07c00": "#e0b040",
}
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
WIDTH, NARROW = 8.6, 4.4
"""Inches of every figure, on a screen and on a phone."""
MOST_BARS = 24
MOST_GROUPS = 12
FEW_GROUPS = 5
"""Fewer of them are left to their table."""
MOST_ASKED = 12
MOST_POINTS = 600

# Text is laid out with the font that comes with matplotlib, so that the bytes do not depend on the machine's fonts.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "augface",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True)
class Drawing:
    """A figure for screens and one for phones, and in words what they show, for those who cannot see it."""

    svg: str
    narrow_svg: str
    description: str

    @classmethod
    def of(cls, draw: Callable[[Axes], None], description: str, *, height: float) -> Drawing:
        """Drawn twice, in so many inches of height."""
        return cls(_svg(draw, height, WIDTH), _svg(draw, height, NARROW), description)

    @property
    def uri(self) -> str:
        """The SVG for screens as the address of an image."""
        return _uri(self.svg)

    @property
    def narrow_uri(self) -> str:
        """The SVG for phones as the address of an image."""
        return _uri(self.narrow_svg)


def _uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode()


def balance_figure(table: Table) -> Drawing | None:
    """Faces a class, synthetic ones on top of real ones; None where the table has no such columns."""
    names = [column.lower() for column in table.columns]
    if "before" not in names or "after" not in names or names.index("before") == 0:
        return None
    before_column, after_column = names.index("before"), names.index("after")
    classes = []
    for row in table.rows:
        if len(row) == len(names):
            before, after = row[before_column], row[after_column]
            if isinstance(before, (int, float)) and isinstance(after, (int, float)):
                classes.append((", ".join(str(cell) for cell in row[:before_column]), float(before), float(after)))
    if not classes:
        return None
    classes = (
        sorted(classes, key=lambda one: -abs(one[2] - one[1]))[:MOST_BARS] if len(classes) > MOST_BARS else classes
    )

    def draw(axes: Axes) -> None:
        places = np.arange(len(classes))[::-1]
        before, after = np.array([one[1] for one in classes]), np.array([one[2] for one in classes])
        axes.barh(places, np.minimum(before, after), height=0.56, color=REAL, label="real")
        if (after > before).any():
            axes.barh(
                places, np.maximum(after - before, 0), left=before, height=0.56, color=SYNTHETIC, label="synthetic"
            )
        if (after < before).any():
            axes.barh(
                places, np.maximum(before - after, 0), left=after, height=0.56, color=RULE, label="real, taken out"
            )
        for place, (_, start, end) in zip(places, classes, strict=True):
            text = f"{start:,.0f} → {end:,.0f}" if start != end else f"{end:,.0f}"
            axes.annotate(text, (max(start, end), place), (5, 0), textcoords="offset points", va="center", color=MUTED)
        _categories(axes, places, [one[0] for one in classes])
        axes.set_xlim(0, max(after.max(), before.max(), 1) * 1.22)
        axes.set_xlabel("faces in the training set")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        _legend(axes, 3, handlelength=1, handleheight=1)

    said = [f"{name}: {start:,.0f} faces before, {end:,.0f} after" for name, start, end in classes]
    return Drawing.of(draw, _list(said), height=0.95 + 0.36 * len(classes))


def groups_figure(measurements: Sequence[Measurement]) -> Drawing | None:
    """A number in groups of faces, beside what real faces have there; the worst first. None for a few groups."""
    groups = [one for one in measurements if one.value is not None]
    if len(groups) < FEW_GROUPS:
        return None
    groups = sorted(groups, key=_badness, reverse=True)[:MOST_GROUPS]
    percent = 100.0 if groups[0].unit == "%" else 1.0

    def draw(axes: Axes) -> None:
        places = np.arange(len(groups))[::-1]
        for place, one in zip(places, groups, strict=True):
            if one.baseline and one.baseline.value is not None:
                low, high = one.baseline.low, one.baseline.high
                if low is not None and high is not None and high > low:
                    axes.plot(
                        [percent * low, percent * high],
                        [place, place],
                        color=REAL,
                        alpha=0.3,
                        linewidth=8,
                        solid_capstyle="butt",
                    )
                axes.plot([percent * one.baseline.value], [place], "|", color=REAL, markersize=11, markeredgewidth=2)
            if one.low is not None and one.high is not None:
                axes.plot(
                    [percent * one.low, percent * one.high],
                    [place, place],
                    color=SYNTHETIC,
                    linewidth=2.4,
                    solid_capstyle="round",
                )
            axes.plot([percent * (one.value or 0.0)], [place], "o", color=SYNTHETIC, markersize=6.5, zorder=4)
        _categories(axes, places, [str(Subgroup(one.group)) for one in groups])
        axes.set_ylim(-0.6, len(groups) - 0.4)
        axes.set_xlabel(_text(label_of(groups[0]).lower()) + (f" ({_text(groups[0].unit)})" if groups[0].unit else ""))
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.plot([], [], "o", color=SYNTHETIC, markersize=6, label="synthetic faces")
        if any(one.baseline for one in groups):
            axes.plot([], [], "|", color=REAL, markersize=10, markeredgewidth=2, label="real against real")
        _legend(axes, 2, handletextpad=0.3)

    said = [
        f"{Subgroup(one.group)}: {quantity(one).text}"
        + (f", real against real {quantity_of(one.baseline, one.unit).text}" if one.baseline else "")
        for one in groups
    ]
    return Drawing.of(draw, _list(said), height=0.95 + 0.3 * len(groups))


def _badness(one: Measurement) -> float:
    """How far a number is on the wrong side of what real faces have there; without that, how bad it is."""
    beyond = require(one.value) - (one.baseline.value if one.baseline and one.baseline.value is not None else 0.0)
    return {"lower": beyond, "higher": -beyond, "target": abs(beyond)}[one.direction]


REQUESTED = "requested; in the fields the share of faces that show what stands at the left (%)"


def matrix_figure(table: Table) -> Drawing | None:
    """Shares of faces that show what was requested, as a map."""
    return shares_figure(table, REQUESTED)


def shares_figure(table: Table, meaning: str = "share (%)") -> Drawing | None:
    """Shares as a map: a row for each line of the table, a column for each of its other columns."""
    asked = table.columns[1 : 1 + MOST_ASKED]
    rows = [
        (str(row[0]), [float(cell) for cell in row[1 : 1 + len(asked)] if isinstance(cell, (int, float))])
        for row in table.rows
        if len(row) == len(table.columns)
    ]
    rows = [row for row in rows if len(row[1]) == len(asked)]
    if not asked or not rows:
        return None
    # those that the request moves most, where there are too many
    kept = sorted(range(len(rows)), key=lambda number: min(rows[number][1]) - max(rows[number][1]))[:MOST_BARS]
    rows = [rows[number] for number in sorted(kept)]
    shares = 100 * np.array([values for _, values in rows])

    def draw(axes: Axes) -> None:
        colours = axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=100, edgecolors="none")
        for (row, column), share in np.ndenumerate(shares):
            red, green, blue, _ = colours.cmap(share / 100)
            colour = "#10151c" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.55 else "#fdfdfe"
            axes.text(column + 0.5, row + 0.5, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=8.5)
        axes.set_yticks(np.arange(len(rows)) + 0.5, [_text(name) for name, _ in rows])
        axes.set_xticks(np.arange(len(asked)) + 0.5, [_text(name, 24) for name in asked])
        axes.xaxis.tick_top()
        if sum(len(_text(name, 24)) for name in asked) > 80:
            axes.tick_params(axis="x", labelrotation=45)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(meaning)

    said = [
        f"{name}: {', '.join(f'{share:.0f} % of {column}' for column, share in zip(asked, each, strict=True))}"
        for (name, _), each in zip(rows, shares, strict=True)
    ]
    return Drawing.of(draw, _list(said), height=1.0 + 0.24 * len(rows))


def arms_figure(measurements: Sequence[Measurement], tables: Sequence[Table]) -> Drawing | None:
    """Each arm's score with its interval and every seed; None without arms."""
    with_arm = [
        measurement
        for measurement in measurements
        if measurement.arm and not measurement.group and measurement.value is not None
    ]
    if not with_arm:
        return None
    names = [measurement.name for measurement in with_arm]
    score = "average_precision" if "average_precision" in names else names[0]
    arms = [measurement for measurement in with_arm if measurement.name == score][: 2 * MOST_BARS]
    seeds = _seed_scores(tables, score)

    def draw(axes: Axes) -> None:
        places = np.arange(len(arms))[::-1]
        start, end = _shown_range(arms)
        real_only = [arm.value for arm in arms if not _uses_synthetic(arm) and arm.value is not None]
        if real_only and len(real_only) < len(arms):
            axes.axvline(max(real_only), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        for place, arm in zip(places, arms, strict=True):
            colour = SYNTHETIC if _uses_synthetic(arm) else REAL
            if (arm.value or 0.0) < start:
                text = f"◂ {format_number(arm.value)}, far below"
                axes.annotate(text, (start, place), (4, 0), textcoords="offset points", va="center", color=colour)
                continue
            if arm.low is not None and arm.high is not None:
                axes.plot([arm.low, arm.high], [place, place], color=colour, linewidth=2.4, solid_capstyle="round")
            axes.plot([arm.value or 0.0], [place], "o", color=colour, markersize=7.5, zorder=4)
            own = seeds.get(str(arm.arm), [])
            if own:
                seaborn.stripplot(
                    x=own,
                    y=[place - 0.27] * len(own),
                    orient="h",
                    native_scale=True,
                    jitter=False,
                    size=3.6,
                    color=colour,
                    alpha=0.6,
                    ax=axes,
                )
        _categories(axes, places, [str(arm.arm) for arm in arms])
        axes.set_ylim(-0.65, len(arms) - 0.45)
        axes.set_xlim(start, end)
        axes.set_ylabel("")
        axes.set_xlabel(_with_unit(score.replace("_", " "), arms[0].unit))
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        for colour, text in ((REAL, "real faces only"), (SYNTHETIC, "with synthetic faces")):
            if any((SYNTHETIC if _uses_synthetic(arm) else REAL) == colour for arm in arms):
                axes.plot([], [], "o", color=colour, markersize=6, label=text)
        _legend(axes, 2, handletextpad=0.2)

    said = [
        f"{arm.arm}: {shown.text}" + (f" ({shown.interval})" if shown.interval else "")
        for arm, shown in ((arm, quantity(arm)) for arm in arms)
    ]
    return Drawing.of(draw, f"{label_of(arms[0])}. {_list(said)}", height=0.95 + 0.42 * len(arms))


def _shown_range(arms: Sequence[Measurement]) -> tuple[float, float]:
    """Where the axis begins and ends: one arm that is far below all others does not squeeze them."""
    lows = [one.value or 0.0 if one.low is None else one.low for one in arms]
    highs = [one.value or 0.0 if one.high is None else one.high for one in arms]
    start, end = float(np.quantile(lows, 0.15)), max(highs)
    near = [low for low in lows if low >= start - 2 * (end - start)]
    margin = 0.06 * (end - min(near)) or 0.01
    return min(near) - margin, end + margin


def series_figure(series: Series) -> Drawing | None:
    """Curves over a common axis; None where there is nothing to draw."""
    curves = {}
    for name, values in series.lines.items():
        points = [(x, y) for x, y in zip(series.x, values, strict=False) if x is not None]
        step = max(1, -(-len(points) // MOST_POINTS))
        if any(y is not None for _, y in points):
            curves[name] = (
                [x for x, _ in points][::step],
                [np.nan if y is None else y for _, y in points][::step],
            )
    if not curves:
        return None

    def draw(axes: Axes) -> None:
        for index, (name, (x, y)) in enumerate(list(curves.items())[: 2 * len(LINES)]):
            axes.plot(
                x,
                y,
                color=LINES[index % len(LINES)],
                linestyle=("-", "--")[index // len(LINES)],
                linewidth=1.5,
                marker="o" if len(x) == 1 else None,
                label=_text(name),
            )
        axes.set_xlabel(_text(series.x_label))
        axes.set_ylabel(_text(series.y_label))
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.tick_params(axis="y", labelcolor=MUTED)
        _legend(axes, 4, handlelength=1.4)

    said = [
        f"{name} from {format_number(float(y[0]))} to {format_number(float(y[-1]))}" for name, (_, y) in curves.items()
    ]
    ends = [ends for x, _ in curves.values() for ends in (x[0], x[-1])]
    over = f"{series.x_label} from {format_number(float(min(ends)))} to {format_number(float(max(ends)))}"
    return Drawing.of(draw, f"{series.y_label} over {over}. {_list(said)}", height=2.9)


def _uses_synthetic(arm: Measurement) -> bool:
    return "synthetic" in str(arm.arm).lower() or bool(arm.n_fake)


def _seed_scores(tables: Sequence[Table], score: str) -> dict[str, list[float]]:
    """Every seed's score of each arm, from the tables that have a column for both."""
    scores: dict[str, list[float]] = {}
    for table in tables:
        names = [column.lower().replace(" ", "_") for column in table.columns]
        if "arm" in names and score in names:
            for row in table.rows:
                value = row[names.index(score)] if len(row) == len(names) else None
                if isinstance(value, (int, float)):
                    scores.setdefault(str(row[names.index("arm")]), []).append(float(value))
    return scores


def _is_narrow(axes: Axes) -> bool:
    return require(axes.get_figure(root=True)).get_figwidth() < WIDTH


def _legend(axes: Axes, columns: int, **options: float) -> None:
    """Above the axes; on a phone in fewer columns."""
    columns = max(1, columns // 2) if _is_narrow(axes) else columns
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, **options)


def _with_unit(text: str, unit: str) -> str:
    return f"{_text(text)} ({_text(unit)})" if unit else _text(text)


def _list(said: Sequence[str]) -> str:
    """Short facts as one text."""
    return "; ".join(" ".join(fact.split()) for fact in said) + "."


def _text(text: str, most: int = 40) -> str:
    """Someone's name as one line that can be drawn: no control characters, and not too long."""
    clean = one_line(" ".join(text.split()))
    return (clean if len(clean) <= most else clean[: most - 1] + "…") or "(no name)"


def _categories(axes: Axes, places: Sequence[float] | np.ndarray, names: Sequence[str]) -> None:
    axes.set_yticks(places, [_text(name, 24 if _is_narrow(axes) else 40) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _svg(draw: Callable[[Axes], None], height: float, width: float) -> str:
    """What `draw` puts on a pair of axes of so many inches, as the text of an SVG file."""
    # `default` makes the figure independent of the user's own settings. Names may hold letters that the font for
    # the layout lacks; the reader's browser has them.
    with style.context(["default", STYLE], after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message=".*[Mm]atplotlib currently does not support")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    return _polish(file.getvalue())


def _polish(svg: str) -> str:
    """The reader's own fonts, colours for dark pages, and nothing that a browser does not need."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("'DejaVu Sans'", FONTS)
    swaps = "".join(
        f"[style*='fill: {light}']{{fill:{dark}!important}}[style*='stroke: {light}']{{stroke:{dark}!important}}"
        for light, dark in DARK.items()
    )
    return svg.replace("</style>", f" @media (prefers-color-scheme: dark){{{swaps}}}</style>", 1)
