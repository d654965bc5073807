"""Measurements as a figure of seaborn, for those who work in Python: axes of matplotlib that can be changed further."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from augface.data.groups import Subgroup
from augface.errors import DataError
from augface.report.figures import REAL, SYNTHETIC
from augface.report.words import label_of
from augface.results import Baseline, Measurement

SIDES = {"synthetic faces": SYNTHETIC, "real against real": REAL}


def plot_measurements(measurements: Sequence[Measurement], ax: Axes | None = None) -> Axes:
    """Measurements of one name below each other, each with its interval, and below it what real faces have.

    Args:
        measurements: of one name, at least one of them with a value.
        ax: where to draw; a new figure where not given.

    Raises:
        DataError: none of them has a value.
    """
    shown = [one for one in measurements if one.value is not None]
    if not shown:
        raise DataError("There is no value to plot: none was computed.")
    percent = 100.0 if shown[0].unit == "%" else 1.0
    names = _names(shown)
    rows = []
    for place, one in enumerate(shown):
        sides: list[tuple[str, Measurement | Baseline]] = [("synthetic faces", one)]
        sides += [("real against real", one.baseline)] if one.baseline and one.baseline.value is not None else []
        for side, number in sides:
            ends = [percent * end if end is not None else None for end in (number.value, number.low, number.high)]
            rows.append([place + (0.22 if side == "real against real" else 0), side, *ends])
    table = pd.DataFrame(rows, columns=["place", "side", "value", "low", "high"])
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.2 + 0.42 * len(shown)), layout="constrained")
    for name, colour in SIDES.items():
        part = table[table["side"] == name].dropna(subset=["low", "high"])
        ax.hlines(part["place"], part["low"], part["high"], color=colour, linewidth=2)
    seaborn.scatterplot(table, x="value", y="place", hue="side", palette=SIDES, s=45, zorder=3, ax=ax)
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    unit = f" ({shown[0].unit})" if shown[0].unit else ""
    ax.set(xlabel=f"{label_of(shown[0])}{unit}", ylabel="")
    ax.legend(title=None, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    seaborn.despine(ax=ax)
    return ax


def _names(measurements: Sequence[Measurement]) -> list[str]:
    """What each number is of, as far as they differ."""
    in_several = len({one.space for one in measurements}) > 1
    names = []
    for one in measurements:
        parts = [str(Subgroup(one.group)) if one.group else "", one.arm or "", one.attribute or ""]
        parts.append(one.space or "" if in_several else "")
        names.append(", ".join(part for part in parts if part) or "all faces")
    return names
