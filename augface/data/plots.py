"""Figures of a data set, as axes of matplotlib that can be changed further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from augface.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from augface.data.dataset import FaceDataset

COLOUR = "#0072b2"


def plot_attributes(data: FaceDataset, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """See `FaceDataset.plot`."""
    import matplotlib.pyplot as plt
    import seaborn

    chosen = [str(name) for name in data.attributes] if names is None else [data.attribute_name(name) for name in names]
    if not chosen:
        raise DataError(f"The data set {data.source.spec} has no attribute labels to plot.")
    shares = pd.DataFrame(
        {"attribute": name, "share": 100 * float(column.mean()), "split": split}
        for split, part in _parts(data)
        for name in chosen
        if len(column := part.attribute(name).dropna())
    )
    order = shares.groupby("attribute")["share"].mean().sort_values(ascending=False).index
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.9 + 0.3 * len(chosen) * (1 + 0.4 * (shares["split"].nunique() > 1))))
    hue = "split" if shares["split"].nunique() > 1 else None
    seaborn.barplot(
        shares, x="share", y="attribute", order=order, hue=hue, color=None if hue else COLOUR, ax=ax, errorbar=None
    )
    ax.set(xlabel="faces that show it (%)", ylabel="", title=f"{len(data):,} faces of {data.source.spec}")
    seaborn.despine(ax=ax)
    return ax


def _parts(data: FaceDataset) -> list[tuple[str, FaceDataset]]:
    """The splits with their names, or all faces where there are none."""
    parts = [("train", data.train), ("valid", data.valid), ("test", data.test)]
    return [(name, part) for name, part in parts if part is not None] or [("all", data)]
