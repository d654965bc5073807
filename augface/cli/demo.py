"""`augface demo`: the main job on the built-in drawn faces."""

from __future__ import annotations

from pathlib import Path

from augface.cli.rebalance import rebalance
from augface.generators import DEMO_GENERATOR

OUT = Path("runs") / "demo"
DATA = "toy:6000"
"""Few enough for a look of minutes; with as many wearers of eyeglasses as this, more real ones would help."""


def demo(*, out: Path = OUT, generator: str = DEMO_GENERATOR, budget: str = "5m") -> None:
    """Try the main job in a few minutes: balance Eyeglasses in drawn faces of people who do not exist.

    It needs no data and no network. A demo that was interrupted goes on; one that is finished shows its results again.

    Args:
        out: The run folder; another one starts anew.
        generator: Which one makes the missing faces; see `augface list generators`. The first needs no training.
        budget: The training of one that is trained: a time such as 10m, or a number of images such as 100k.
    """
    rebalance(attr=["Eyeglasses"], data=DATA, generator=generator, budget=budget, out=out, resume=True)
