"""`augface train`: one generator on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import (
    check_output,
    check_registered,
    parse_settings,
    print_paths,
    say,
    shown,
    split_names,
    when_interrupted,
)
from augface.devices import use_device


def train(
    *,
    generator: str,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    out: Path,
    data: str = "toy",
    budget: str = "5m",
    size: int = 64,
    seed: int = 0,
    logger: list[str] | None = None,
    resume: bool = False,
    device: str | None = None,
    allow_photo_based: bool = False,
    dry_run: bool = False,
) -> None:
    """Train a generator on the train split of a data set, for `augface sample` to make faces with.

    Args:
        generator: What to train; `augface list generators` names them.
        settings: A setting of the generator, such as latent=128. Repeat it for several.
        out: The run folder; the trained generator comes into its folder generator.
        data: The data set: toy, celeba:DIR, folder:DIR, or a folder, file or address (such as s3://…).
        budget: A time such as 90s, 10m or 2h, or a number of images such as 200k.
        size: Height and width of the faces, in pixels.
        seed: The same seed and number of images give the same generator on the same machine, with as many threads
            (OMP_NUM_THREADS).
        logger: Also log curves and previews to tensorboard, wandb, mlflow or trackio. Repeat it, or put commas between.
        resume: Go on with the run that is in the run folder.
        device: Where networks compute: cpu, cuda or cuda:1. A GPU where there is one, if not given.
        allow_photo_based: Learn from faces, too, that `augface vary` or `edit` made from photos of people.
        dry_run: Say what would be done and what it would cost, and stop.
    """
    from augface.generators import GENERATORS
    from augface.training.budget import parse_budget
    from augface.training.loggers import check_loggers

    check_registered(GENERATORS, [generator])
    check_output(out, resume=resume)
    use_device(device)
    parse_budget(budget)
    loggers = check_loggers(split_names(logger or []))
    chosen = parse_settings(settings or [])

    from augface.data import load_data, preview_data
    from augface.data.sources import refuse_photo_based
    from augface.generators import create_generator
    from augface.training.run import train_run

    model = create_generator(generator, **chosen)
    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        faces = preview_data(data, size=size) if dry_run else load_data(data, size=size)
    if not allow_photo_based:
        refuse_photo_based(faces)
    learnt = faces.train if faces.train is not None else faces
    say(f"Train {generator} on {len(learnt):,} faces of {faces.source.spec}, {faces.size} x {faces.size} pixels.")
    cost = f"{budget} of training" if "trainable" in model.capabilities else "no training, some seconds"
    say(f"Estimated: {cost}; less than 1 GB in {shown(out)}.")
    if dry_run:
        return
    with when_interrupted(
        f"checkpoints are kept in {shown(out)}; the same command with --resume goes on from the last one."
    ):
        place = train_run(model, learnt, out, budget=budget, seed=seed, resume=resume, loggers=loggers)
    print_paths({"generator": place})
