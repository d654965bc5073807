"""The figures, as SVG: one style, labelled axes, colours that people tell apart, light and dark in one file.

Each figure is drawn in the light palette; a style sheet inside the SVG swaps the colours where the page is dark.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import seaborn
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from augface.results import Measurement, Series, Table

INK, MUTED, RULE = "#1b2430", "#5a6675", "#d4dae2"
# Okabe and Ito's palette, whose colours stay apart for every common colour blindness; yellow left out as too pale.
REAL, MADE = "#0072b2", "#d55e00"
LINES = (REAL, MADE, "#009e73", "#a8487c", "#3d8fbc", "#b07c00")
DARK = {
    INK: "#e6eaf0",
    MUTED: "#a3adba",
    RULE: "#3a4451",
    REAL: "#58b0e8",
    MADE: "#f28a3c",
    "#009e73": "#2cc79b",
    "#a8487c": "#dd8ab8",
    "#3d8fbc": "#9ad1f0",
    "#b07c00": "#e0b040",
}
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MOST_BARS = 24
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


def balance_figure(table: Table) -> str | None:
    """Faces a class, with those that were made on top of the real ones; None where the table has no such columns."""
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
            axes.barh(places, np.maximum(after - before, 0), left=before, height=0.56, color=MADE, label="made")
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
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1, handleheight=1)

    return _svg(draw, height=0.95 + 0.36 * len(classes))


def arms_figure(measurements: Sequence[Measurement], tables: Sequence[Table]) -> str | None:
    """Each arm's score with its interval and every seed; None without arms."""
    with_arm = [
        measurement
        for measurement in measurements
        if "arm" in measurement.protocol and not measurement.group and measurement.value is not None
    ]
    if not with_arm:
        return None
    names = [measurement.name for measurement in with_arm]
    score = "average_precision" if "average_precision" in names else names[0]
    arms = [measurement for measurement in with_arm if measurement.name == score][: 2 * MOST_BARS]
    seeds = _seed_scores(tables, score)

    def draw(axes: Axes) -> None:
        places = np.arange(len(arms))[::-1]
        real_only = [arm.value for arm in arms if not _uses_made_faces(arm) and arm.value is not None]
        if real_only and len(real_only) < len(arms):
            axes.axvline(max(real_only), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        for place, arm in zip(places, arms, strict=True):
            colour = MADE if _uses_made_faces(arm) else REAL
            if arm.low is not None and arm.high is not None:
                axes.plot([arm.low, arm.high], [place, place], color=colour, linewidth=2.4, solid_capstyle="round")
            axes.plot([arm.value or 0.0], [place], "o", color=colour, markersize=7.5, zorder=4)
            own = seeds.get(str(arm.protocol["arm"]), [])
            if own:
                seaborn.stripplot(
                    x=own, y=[place - 0.27] * len(own), orient="h", native_scale=True, jitter=False,
                    size=3.6, color=colour, alpha=0.6, ax=axes,
                )  # fmt: skip
        _categories(axes, places, [str(arm.protocol["arm"]) for arm in arms])
        axes.set_ylim(-0.65, len(arms) - 0.45)
        axes.set_ylabel("")
        axes.set_xlabel(f"{_text(score.replace('_', ' '))}" + (f" ({_text(arms[0].unit)})" if arms[0].unit else ""))
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        for colour, text in ((REAL, "real faces only"), (MADE, "with made faces")):
            if any((MADE if _uses_made_faces(arm) else REAL) == colour for arm in arms):
                axes.plot([], [], "o", color=colour, markersize=6, label=text)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handletextpad=0.2)

    return _svg(draw, height=0.95 + 0.42 * len(arms))


def series_figure(series: Series) -> str | None:
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
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, handlelength=1.4)

    return _svg(draw, height=2.9)


def _uses_made_faces(arm: Measurement) -> bool:
    return "synthetic" in str(arm.protocol["arm"]).lower() or bool(arm.n_fake)


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


def _text(text: str, most: int = 40) -> str:
    """Someone's name as one line that can be drawn: no control characters, and not too long."""
    clean = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return (clean if len(clean) <= most else clean[: most - 1] + "…") or "(no name)"


def _categories(axes: Axes, places: Sequence[float] | np.ndarray, names: Sequence[str]) -> None:
    axes.set_yticks(places, [_text(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _svg(draw: Callable[[Axes], None], *, height: float, width: float = 8.6) -> str:
    """What `draw` puts on a pair of axes, as the text of an SVG file; sizes in inches."""
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


def data_uri(svg: str) -> str:
    """The SVG as the address of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode()
