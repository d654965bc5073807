"""Draws what `scarcity.py` has found: each arm's average precision beyond plain training, beside the ceiling.

python experiments/scarcity_figure.py runs/scarcity docs/images/scarcity.webp
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import seaborn as sns

mpl.use("Agg")
NOT_DRAWN = ("plain", "best against best", "synthetic only")
"""Synthetic faces alone are so much worse that beside them nothing else could be distinguished."""
COLOURS = {"real": "#5f6b7a", "made": "#b4531f", "ceiling": "#1f6f5c"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("image", type=Path)
    arguments = parser.parse_args()
    panels = {}
    for path in sorted(arguments.folder.glob("*.json")):
        data, positives, mode, *_ = path.stem.split("-")
        for name, arms in json.loads(path.read_text(encoding="utf-8")).items():
            panels[f"{name.replace('_', ' ')} in {data}, {positives} positives, {mode}"] = arms
    draw(panels, arguments.image)


def draw(panels: dict[str, dict[str, dict[str, float]]], image: Path) -> None:
    from matplotlib import pyplot as plt

    sns.set_theme(style="whitegrid", font_scale=0.8)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.6 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, arms) in zip(axes.flat, panels.items(), strict=False):
        shown = [(name, arm) for name, arm in arms.items() if name not in NOT_DRAWN]
        for place, (name, arm) in enumerate(reversed(shown)):
            kind = "ceiling" if name == "ceiling" else "made" if name.startswith("synthetic") else "real"
            axis.plot([arm["low"], arm["high"]], [place, place], color=COLOURS[kind], linewidth=2.2, alpha=0.55)
            axis.plot(arm["value"], place, "o", color=COLOURS[kind], markersize=5)
        axis.axvline(0, color="#222222", linewidth=1)
        axis.set_yticks(range(len(shown)), [name for name, _ in reversed(shown)])
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("average precision beyond plain training")
    figure.savefig(image, dpi=110)


if __name__ == "__main__":
    main()
