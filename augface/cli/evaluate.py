"""`augface evaluate`: synthetic faces against real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import check_output, check_registered, print_paths, shown, split_names, when_interrupted

IMAGES_PER_MINUTE = 3000
"""Feature extraction on one slow core; what an estimate is made of."""


def evaluate(
    real: str,
    fake: str,
    /,
    *,
    out: Path,
    train: str | None = None,
    attr: list[str] | None = None,
    evaluators: list[str] | None = None,
    size: int = 64,
    seed: int = 0,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
    dry_run: bool = False,
) -> None:
    """Measure synthetic faces against real ones, beside real against real.

    Args:
        real: The real faces: toy, celeba:DIR, folder:DIR, or a folder.
        fake: The synthetic faces, as for the real ones.
        out: The folder for results.json and report.html.
        train: The faces that the generator learnt from, where they are not the train split of the real ones.
        attr: The attribute that the faces are to help with: trains classifiers with and without them. Both sides need
            its labels, and the real ones splits.
        evaluators: Only these, with commas between; `augface list evaluators` names them.
        size: Height and width in pixels that both sides are brought to.
        seed: The same seed gives the same numbers.
        real_images: Show real faces in the report.
        dry_run: Say what would be done and what it would cost, and stop.
    """
    from augface.evaluators import EVALUATORS

    chosen = split_names(evaluators or ["all"])
    if chosen != ["all"]:
        check_registered(EVALUATORS, chosen)
    check_output(out)

    from augface.data import load_data
    from augface.evaluation import evaluate as run_evaluators
    from augface.files import new_directory
    from augface.report import terminal_summary

    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        real_faces = load_data(real, size=size)
        fake_faces = load_data(fake, size=size)
        learnt_faces = None if train is None else load_data(train, size=size)
    sets = [real_faces, fake_faces, *([] if learnt_faces is None else [learnt_faces])]
    minutes = max(1, round(sum(map(len, sets)) / IMAGES_PER_MINUTE))
    print(f"Measure {len(fake_faces):,} synthetic against {len(real_faces):,} real faces of {size} pixels.")
    print(f"Estimated: about {minutes} min on a CPU, then kept in the cache; under 20 MB in {shown(out)}.", flush=True)
    if dry_run:
        return
    new_directory(out)
    with when_interrupted(
        "no results were written; features so far are kept in the cache, so the same command is faster."
    ):
        evaluation = run_evaluators(
            real_faces,
            fake_faces,
            train=learnt_faces,
            attr=split_names(attr or []),
            evaluators="all" if chosen == ["all"] else chosen,
            seed=seed,
            real_images=real_images,
        )
        evaluation.to_json(out / "results.json")
        evaluation.to_html(out / "report.html", real_images=real_images)
    print(f"\n{terminal_summary(evaluation)}\n")
    print_paths({"results": out / "results.json", "report": out / "report.html"})
