"""The calibration of a run's generator: that which the run folder keeps, or one that is measured now and kept."""

from __future__ import annotations

import logging
from pathlib import Path

from augface.data import load_data
from augface.errors import UsageError
from augface.files import RUN_CONFIG
from augface.generators._calibration import Calibration
from augface.generators.base import Generator
from augface.runs import data_of_run

CALIBRATION = "steering.json"

log = logging.getLogger("augface")


def calibrate_run(generator: Generator, run: Path, *, data: str | None = None, size: int, seed: int = 0) -> None:
    """Give a generator its calibration, which strengths of edits need; it takes some minutes where it is measured.

    Args:
        generator: a `latent` one.
        run: the folder of its run, which keeps the calibration, or that of the generator alone.
        data: the faces that it learnt from, where the run folder does not name them.
        size: of its faces, in pixels.
        seed: of the measuring.

    Raises:
        UsageError: nothing says what it learnt from, or there is no attribute to measure.
        DataError: the faces that it learnt from cannot be read.
    """
    place = run / CALIBRATION
    if place.is_file() and data is None:
        generator.calibration = Calibration.load(place)
        if generator.calibration.generator == generator.fingerprint:
            return
    if data is None:
        started_from = data_of_run(run)
        if started_from is None:
            raise UsageError(
                f"{run} does not say what the generator learnt from, and strengths are measured on those faces: "
                "give them as --data, or the run folder."
            )
        data = started_from[0]
    faces = load_data(data, size=size)
    log.info("Measuring what edits take, once for this generator …")
    generator.calibrate(faces.train if faces.train is not None else faces, seed=seed)
    if generator.calibration is not None and (run / RUN_CONFIG).is_file():
        generator.calibration.save(place)
