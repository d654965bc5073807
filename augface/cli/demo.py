"""`augface demo`: the main job on the built-in drawn faces."""

from __future__ import annotations

from pathlib import Path

from augface.cli.rebalance import rebalance

OUT = Path("runs") / "demo"


def demo(*, out: Path = OUT, budget: str = "3m") -> None:
    """Try the main job in a few minutes: balance Eyeglasses in drawn faces of people who do not exist.

    It needs no data and no network. A demo that was interrupted goes on; one that is finished shows its results again.

    Args:
        out: The run folder; another one starts anew.
        budget: The generator's training: a time such as 90s, or a number of images such as 20k.
    """
    rebalance(attr=["Eyeglasses"], data="toy", budget=budget, out=out, resume=True)
