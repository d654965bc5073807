"""`augface fid`: one number for two sides."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import print_table, say
from augface.errors import UnknownNameError, UsageError

ANY_SPACE = ("frechet_distance", "kernel_distance", "precision_recall")
"""The measures that are of any feature space."""


def fid(
    real: str,
    fake: str,
    /,
    *,
    metric: str = "fid",
    space: str | None = None,
    size: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """One number for synthetic faces against real ones: FID, or another measure.

    Args:
        real: The real faces: a folder or zip of images, celeba:DIR, toy, or a run folder.
        fake: The synthetic faces, as for the real ones, or the folder of a run or generator, which is drawn from.
        metric: fid, kid, fd_dinov2, cmmd, or with --space frechet_distance, kernel_distance or precision_recall.
        space: The feature space of the last three; `augface list features` names them.
        size: Height and width in pixels that both sides are brought to before anything else.
        as_json: Print JSON for programs: the measurement as in results.json, or a list of two.
    """
    from augface.evaluation.measures import MEASURES

    if metric not in MEASURES:
        raise UnknownNameError("metric", metric, MEASURES)
    if space is not None and metric not in ANY_SPACE:
        raise UsageError(f"{metric} has a feature space of its own; --space is for {', '.join(ANY_SPACE)}.")
    found = MEASURES[metric](real, fake, size=size, **({} if space is None else {"space": space}))
    scores = found if isinstance(found, tuple) else (found,)
    if as_json:
        dumped = [score.measurement.model_dump(mode="json") for score in scores]
        say(json.dumps(dumped if isinstance(found, tuple) else dumped[0], indent=1))
        return
    print_table([score.label, str(score), f"{score.n_real:,} real, {score.n_fake:,} synthetic"] for score in scores)
