"""The training of one generator as a run of its own, as `augface train` does it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from augface.data.dataset import FaceDataset
from augface.files import RUN_GENERATOR
from augface.processes import together
from augface.runs import RunSettings, open_run
from augface.training.loggers import Loggers

if TYPE_CHECKING:
    from augface.generators.base import Generator


def train_run(
    generator: Generator,
    data: FaceDataset,
    folder: Path,
    *,
    budget: str = "5m",
    seed: int = 0,
    resume: bool = False,
    loggers: Sequence[str] = (),
) -> Path:
    """Fit a generator, with a run folder for its settings, logs and checkpoints; return where it was saved.

    Of several processes all take part in the training, and the main one alone has the files.

    Args:
        generator: what to fit.
        data: the faces to learn from.
        folder: the run folder.
        budget: how long: time or images.
        seed: of the whole training.
        resume: go on with what is there. A generator that is finished is kept as it is.
        loggers: where curves and previews go, too: `tensorboard`, `wandb`, `mlflow`, `trackio`.

    Raises:
        AugfaceError: the folder is in use or of another run, or the training fails; see `open_run` and `Generator.fit`.
    """
    config = json.loads(generator.config.model_dump_json(exclude_none=True))  # now, as fitting may find out more
    settings = RunSettings(
        data=data.source.spec,
        data_hash=data.source.content_hash,
        size=data.size,
        generator={"name": generator.name, **config},
        budget=budget,
        seed=seed,
    )
    with open_run(folder, settings, resume=resume) as run, Loggers(loggers, folder, settings.to_dict()):

        def fit(place: Path) -> None:
            fit_together(generator, data, budget=budget, run_dir=folder, resume=run.resumed, seed=seed)
            generator.save(place)

        return run.stage(RUN_GENERATOR, "training the generator", fit)


def fit_together(
    generator: Generator, data: FaceDataset, *, budget: str, run_dir: Path, resume: bool, seed: int
) -> None:
    """Fit a generator, in all processes of the job where its training can be shared among them.

    Raises:
        AugfaceError: see `Generator.fit`.
    """
    fit = partial(generator.fit, data, budget=budget, run_dir=run_dir, resume=resume, seed=seed)
    if "trainable" in generator.capabilities:
        together(fit)
    else:
        fit()
