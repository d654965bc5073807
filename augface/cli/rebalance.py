"""`augface rebalance`: the main job."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from augface.cli.console import (
    check_output,
    check_registered,
    parse_settings,
    print_paths,
    run_name,
    say,
    shown,
    split_names,
    when_interrupted,
)
from augface.devices import use_device
from augface.generators import DEFAULT_GENERATOR

log = logging.getLogger("augface")


def rebalance(
    *,
    attr: list[str],
    data: str = "toy",
    generator: str = DEFAULT_GENERATOR,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    ratio: float | None = None,
    within: list[str] | None = None,
    budget: str = "5m",
    out: Path | None = None,
    resume: bool = False,
    size: int = 64,
    seed: int = 0,
    downstream: Literal["frozen", "full", "off"] = "frozen",
    downstream_arms: Literal["default", "all"] = "default",
    network: str = "small",
    external_test: str | None = None,
    allow_identity_overlap: Annotated[bool, Parameter(negative="")] = False,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
    anyway: bool = False,
    logger: list[str] | None = None,
    device: str | None = None,
    dry_run: bool = False,
    headroom: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Balance a face data set with synthetic faces, measure them, and say whether they help.

    Trains a generator on the train split, makes the missing minority faces, throws out those that are wrong, copied or
    poor, writes the balanced data set, measures it against held-out real faces, and writes one report whose first line
    is the verdict.

    Args:
        attr: The attribute to balance, such as Eyeglasses. Repeat it, or put commas between, for several.
        data: The data set: toy, celeba:DIR, folder:DIR, or a folder, file or address (such as s3://…).
        generator: What makes the faces; `augface list generators` names them.
        settings: A setting of the generator, such as latent=128. Repeat it for several.
        ratio: Minority over majority after rebalancing, such as 0.5; equal shares where not given.
        within: Balance inside the groups of these attributes, such as Male.
        budget: The generator's training only: a time such as 90s, 10m or 2h, or a number of images such as 200k.
        out: The run folder; runs/rebalance-ATTR where not given.
        resume: Go on with the run that is in the run folder.
        size: Height and width of the faces, in pixels.
        seed: The same seed and number of images give the same faces on the same machine, with as many threads
            (OMP_NUM_THREADS).
        downstream: How to train classifiers with and without the synthetic faces: a linear head on features (frozen,
            two minutes), a network on pixels (full, half an hour; --resume goes on), or not at all, which leaves the
            verdict open (off).
        downstream_arms: The training methods to compare: default, or all, with more that need no synthetic faces.
        network: For --downstream full: small, or the name of a timm model.
        external_test: Another data set to score these classifiers on too, to see what holds for another source.
        allow_identity_overlap: Go on although some people are in more than one split.
        real_images: Show real faces in the report.
        anyway: Write the data set even if the generator turns out not to be trained.
        logger: Also log curves, previews and final measurements to tensorboard, wandb, mlflow or trackio. Repeat it, or
            put commas between.
        device: Where networks compute: cpu, cuda or cuda:1. A GPU where there is one, if not given.
        dry_run: Say what would be done and what it would cost, and stop.
        headroom: With --dry-run, look at the images too, and say what could be gained: minutes the first time. Without
            it every run says so before it trains anything.
    """
    from augface.generators import GENERATORS, create_generator
    from augface.training.budget import parse_budget
    from augface.training.loggers import check_loggers

    use_device(device)
    parse_budget(budget)
    loggers = check_loggers(split_names(logger or []))
    attributes, groups = split_names(attr), split_names(within or [])
    check_registered(GENERATORS, [generator])
    chosen = parse_settings(settings or [])
    details = [*attributes, *(["within", *groups] if groups else [])]
    run_dir = check_output(out or Path("runs") / run_name("rebalance", *details), resume=resume)

    create_generator(generator, **chosen)  # what is wrong with its settings is said before the data are read

    from augface.data import load_data, preview_data
    from augface.data.sources import crop_difference
    from augface.data.splits import with_splits
    from augface.rebalancing.outlook import in_words
    from augface.rebalancing.rebalance import carry_out, plan_rebalance
    from augface.report import terminal_summary

    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        if dry_run and not headroom and "clusters" not in chosen:  # which are found in the images
            faces = with_splits(preview_data(data, size=size), seed, look=False)
            external = preview_data(external_test, size=size) if external_test else None
        else:
            faces = load_data(data, size=size)
            external = load_data(external_test, size=size, beside=faces.source.crop) if external_test else None
    if external is not None and (difference := crop_difference(faces, external)):
        log.warning(difference)
    plan = plan_rebalance(
        faces,
        attr=attributes,
        generator=generator,
        generator_settings=chosen,
        sampling_strategy="auto" if ratio is None else ratio,
        within=groups or None,
        budget=budget,
        seed=seed,
        downstream=downstream,
        downstream_arms=downstream_arms,
        network=network,
        external_test=external,
        allow_identity_overlap=allow_identity_overlap,
    )
    say(plan.describe(with_costs=not (resume and run_dir.exists())))
    if dry_run:
        for target, room in plan.headroom().items() if headroom else ():
            say(in_words(target, room))
        return
    with when_interrupted(
        f"what is done is kept in {shown(run_dir)}; the same command with --resume goes on from there."
    ):
        outcome = carry_out(plan, run_dir, resume=resume, real_images=real_images, anyway=anyway, loggers=loggers)
    say(f"\n{terminal_summary(outcome.evaluation)}\n")
    written = {} if outcome.dataset_dir is None else {"data set": outcome.dataset_dir}
    print_paths(
        {
            **written,
            "results": outcome.run_dir / "results.json",
            "report": outcome.run_dir / "report.html",
        }
    )
