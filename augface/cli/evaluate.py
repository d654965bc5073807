"""`augface evaluate`: synthetic faces against real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import check_output, check_registered, print_paths, say, shown, split_names, when_interrupted
from augface.devices import use_device

IMAGES_PER_MINUTE = {"efficientnet": 4_000, "inception": 1_800, "clip": 2_000, "dinov2": 60, "pixels": 60_000}
"""Feature extraction on two slow cores; what an estimate is made of."""


def evaluate(
    real: str,
    fake: str,
    /,
    *,
    out: Path,
    train: str | None = None,
    references: list[str] | None = None,
    attr: list[str] | None = None,
    by: list[str] | None = None,
    evaluators: list[str] | None = None,
    spaces: list[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
    device: str | None = None,
    dry_run: bool = False,
) -> None:
    """Measure synthetic faces against real ones, beside real against real.

    Plain folders and zips are compared file by file in their own size, as other tools do it.

    Args:
        real: The real faces: toy, celeba:DIR, folder:DIR, a folder or zip of images, or a run folder.
        fake: The synthetic faces, as for the real ones, or the folder of a run or generator, which is drawn from.
        out: The folder for results.json, report.html and a detector for `augface detect`.
        train: The faces that the generator learnt from, where they are not the train split of the real ones.
        references: Faces of generators that learnt from other people, beside which it is judged who was in the training
            set; as the synthetic faces.
        attr: The attribute that the faces are to help with: trains classifiers with and without them. Both sides need
            its labels, and the real ones splits.
        by: Attributes whose joint groups are measured too, such as Eyeglasses,Male.
        evaluators: Only these, with commas between; `augface list evaluators` names them.
        spaces: The feature spaces to measure in, with commas between; `augface list features` names them. Where not
            given, efficientnet, and inception where its weights are here or can be downloaded: FID and KID need it.
        size: Height and width in pixels that both sides are brought to before anything else.
        seed: The same seed gives the same numbers; on another machine or with other threads (OMP_NUM_THREADS) up to
            rounding.
        real_images: Show real faces in the report.
        device: Where networks compute: cpu, cuda or cuda:1. A GPU where there is one, if not given.
        dry_run: Say what would be done and what it would cost, and stop.
    """
    from augface.evaluators import EVALUATORS
    from augface.features import FEATURE_SPACES

    use_device(device)
    chosen = split_names(evaluators or ["all"])
    if chosen != ["all"]:
        check_registered(EVALUATORS, chosen)
    wanted_spaces = None if spaces is None else split_names(spaces)
    check_registered(FEATURE_SPACES, [name.partition(":")[0] for name in wanted_spaces or []])
    check_output(out)

    from augface.evaluation.evaluate import choose_spaces
    from augface.evaluation.evaluate import evaluate as run_evaluators
    from augface.evaluation.inputs import open_faces
    from augface.features import DEFAULT_SPACE, weights_status
    from augface.files import new_directory
    from augface.locks import locked
    from augface.report import terminal_summary

    if wanted_spaces is not None and not dry_run:
        choose_spaces(wanted_spaces)  # fails now where weights are missing
    measured_in = wanted_spaces or [DEFAULT_SPACE, *(["inception"] if weights_status("inception")[0] else [])]
    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        real_faces, fake_faces, train_faces, generator = open_faces(
            real, fake, train, size=size, seed=seed, look=not dry_run
        )
    count = len(real_faces) + len(fake_faces) + (0 if train_faces is None else min(len(train_faces), len(real_faces)))
    minutes = max(1, round(sum(count / IMAGES_PER_MINUTE.get(space, 1_000) for space in measured_in)))
    pixels = "in their own size" if real_faces.originals is not None else f"of {real_faces.size} pixels"
    say(f"Measure {len(fake_faces):,} synthetic against {len(real_faces):,} real faces {pixels}.")
    say(f"Feature spaces: {', '.join(measured_in)}.")
    for space in measured_in:
        present, detail = weights_status(space)
        if not present:
            say(f"The weights of {space} are missing: {detail}.")
    say(f"Estimated: about {minutes} min on a CPU, then kept in the cache; under 20 MB in {shown(out)}.")
    if dry_run:
        return
    with (
        when_interrupted("no results were written; features so far are kept in the cache: the same command is faster."),
        locked(out),
    ):
        new_directory(out)
        evaluation = run_evaluators(
            real_faces,
            fake_faces,
            train=train_faces,
            references=references or (),
            attr=split_names(attr or []),
            by=split_names(by or []),
            evaluators="all" if chosen == ["all"] else chosen,
            spaces=wanted_spaces,
            seed=seed,
            real_images=real_images,
            run_dir=out,
            generator=generator,
        )
        evaluation.to_json(out / "results.json")
        evaluation.to_html(out / "report.html", real_images=real_images)
    say(f"\n{terminal_summary(evaluation, in_full=True)}\n")
    paths = {"results": out / "results.json", "report": out / "report.html", "detector": out / "detector"}
    print_paths({label: path for label, path in paths.items() if path.exists()})
