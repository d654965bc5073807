"""Experiment trackers: curves and previews of a training and final measurements, where people look at their runs.

accelerate's trackers write; here stands what of a run they are given. A service that fails is warned of once and left
out from then on: it costs no training.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, ClassVar

from augface.arrays import Pixels
from augface.errors import UnknownNameError, UsageError
from augface.files import atomic_write
from augface.results import Evaluation, Measurement

PROJECT = "augface"
"""The project or experiment to which runs belong, where the service's own environment variables name no other."""
IDENTITIES = "checkpoints/loggers.json"
"""The file of a run that says by which identity each service knows it, so that a resumed run goes on there."""

log = logging.getLogger("augface")


class Tracker:
    """One service, through accelerate's tracker of it.

    Args:
        folder: the run folder.
        identity: by which the service knows the run; empty for a new one.
        images_seen: where the training begins or goes on; None where it is over.
    """

    module: ClassVar[str]
    """What cannot be imported where the service's package is not installed."""

    def __init__(self, folder: Path, identity: str, images_seen: int | None) -> None:
        self.folder = folder
        self.identity = identity
        self.tracker = self.start(images_seen)

    def start(self, images_seen: int | None) -> Any:
        """A started tracker of accelerate; sets `identity` where the service gives it."""
        raise NotImplementedError

    def settings(self, settings: Mapping[str, Any]) -> None:
        """What the run was begun with."""
        self.tracker.store_init_configuration(dict(settings))

    def numbers(self, values: Mapping[str, float], images_seen: int) -> None:
        """Numbers by name."""
        self.tracker.log(dict(values), step=images_seen)

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        raise NotImplementedError

    def go_on_from(self, images_seen: int) -> None:
        """Take back what was written beyond so many images, where the service can."""


class TensorBoard(Tracker):
    """Files in the folder `tensorboard` of a run."""

    module = "torch.utils.tensorboard"

    def start(self, images_seen: int | None) -> Any:
        """A writer; what was written beyond so many images is no longer shown."""
        from accelerate.tracking import TensorBoardTracker

        tracker = TensorBoardTracker("tensorboard", self.folder, purge_step=images_seen)
        tracker.start()
        return tracker

    def settings(self, settings: Mapping[str, Any]) -> None:
        """As text: what TensorBoard calls hyperparameters would be a run of its own."""
        rows = "\n".join(f"    {name} = {value}" for name, value in settings.items())
        self.tracker.log({"settings": rows}, step=0)

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        self.tracker.log_images({"faces": pixels[None]}, step=images_seen, dataformats="NHWC")

    def go_on_from(self, images_seen: int) -> None:
        """Take back what was written beyond so many images."""
        self.tracker.finish()
        self.tracker = self.start(images_seen)


class WeightsAndBiases(Tracker):
    """A run of Weights & Biases; WANDB_MODE=offline keeps it in the run folder."""

    module = "wandb"

    def start(self, images_seen: int | None) -> Any:
        """The run, gone on with where it is known."""
        from accelerate.tracking import WandBTracker

        self.identity = self.identity or uuid.uuid4().hex[:8]
        tracker = WandBTracker(
            PROJECT, id=self.identity, name=self.folder.name, dir=str(self.folder.resolve()), resume="allow"
        )
        tracker.start()
        # steps of W&B only grow, and a training that is rolled back goes on from an earlier image
        tracker.tracker.define_metric("*", step_metric="images")
        return tracker

    def numbers(self, values: Mapping[str, float], images_seen: int) -> None:
        """Numbers by name, over images."""
        self.tracker.log({**values, "images": images_seen})

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        import wandb

        self.tracker.log({"faces": wandb.Image(pixels), "images": images_seen})


class MLflow(Tracker):
    """A run of MLflow, where MLFLOW_TRACKING_URI says."""

    module = "mlflow"

    def start(self, images_seen: int | None) -> Any:
        """The run, gone on with where it is known."""
        from accelerate.tracking import MLflowTracker

        tracker = MLflowTracker(PROJECT, run_id=self.identity or None, run_name=self.folder.name)
        tracker.start()
        self.identity = tracker.tracker.info.run_id
        return tracker

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        import mlflow

        mlflow.log_image(pixels, key="faces", step=images_seen)


class Trackio(Tracker):
    """A run of Trackio, in its own folder of the user."""

    module = "trackio"

    def start(self, images_seen: int | None) -> Any:
        """The run, gone on with where it is known."""
        from accelerate.tracking import TrackioTracker

        self.identity = self.identity or f"{self.folder.name}-{uuid.uuid4().hex[:8]}"
        tracker = TrackioTracker(PROJECT, name=self.identity, resume="allow")
        tracker.start()
        return tracker

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        import trackio

        self.tracker.log({"faces": trackio.Image(pixels)}, step=images_seen)


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "trackio": Trackio,
}


class Loggers:
    """The services that a run is logged to. Within its `with` block, trainings find it by `active_loggers`.

    Args:
        names: of the services.
        folder: the run folder; nothing is logged without one.
        settings: what the run was begun with, for the services to show.

    Raises:
        UnknownNameError: there is no such service.
        UsageError: its package is not installed.
    """

    def __init__(
        self, names: Iterable[str] = (), folder: Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.names = check_loggers(names) if folder else ()
        self._folder = folder or Path()
        self._settings = settings or {}
        self._trackers: dict[str, Tracker] | None = None
        self._images_seen = 0
        self._token: Token[Loggers] | None = None

    def __enter__(self) -> Loggers:
        self._token = _ACTIVE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _ACTIVE.reset(self._token)
        self._each("finish", lambda tracker: tracker.tracker.finish())

    def start(self, images_seen: int | None) -> None:
        """Open the run at each service, or go on with it.

        Args:
            images_seen: where the training begins or goes on; None where it is over.

        Raises:
            UsageError: a service refuses, as one that knows no login.
        """
        self._images_seen = images_seen or 0
        self._trackers = {}
        path = self._folder / IDENTITIES
        identities: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            identities = json.loads(path.read_text(encoding="utf-8"))
        for name in self.names:
            try:
                tracker = TRACKERS[name](self._folder, str(identities.get(name, "")), images_seen)
                if name not in identities:
                    tracker.settings(self._settings)
            except Exception as error:  # each service has its own errors
                raise UsageError(f"The logger {name} cannot be started: {_reason(error)}") from error
            self._trackers[name] = tracker
            identities[name] = tracker.identity
        if self.names:
            atomic_write(path, json.dumps(identities, indent=1) + "\n")

    def go_on_from(self, images_seen: int) -> None:
        """Take back what was written beyond so many images, where a service can."""
        self._each("rollback", lambda tracker: tracker.go_on_from(images_seen))

    def numbers(self, entry: Mapping[str, float]) -> None:
        """The curves' values of one log entry of a training."""
        self._images_seen = int(entry["images"])
        values = {f"training/{name}": value for name, value in entry.items() if name not in ("images", "seconds")}
        self._each("numbers", lambda tracker: tracker.numbers(values, self._images_seen))

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview of a training, uint8 (H, W, 3)."""
        self._each("pictures", lambda tracker: tracker.picture(pixels, images_seen))

    def measurements(self, evaluation: Evaluation) -> None:
        """The final measurements, each under the name of its evaluator."""
        values = {
            metric_name(measurement): measurement.value
            for measurement in evaluation.measurements
            if measurement.value is not None
        }
        if self._trackers is None and self.names:
            try:
                self.start(None)
            except UsageError as error:
                log.warning(str(error))
        self._each("measurements", lambda tracker: tracker.numbers(values, self._images_seen))

    def _each(self, what: str, do: Callable[[Tracker], object]) -> None:
        for name, tracker in list((self._trackers or {}).items()):
            try:
                do(tracker)
            except Exception as error:  # of a network, a disk, a service: none is worth a training
                log.warning(f"The logger {name} takes no {what} and is left out from now on: {_reason(error)}")
                (self._trackers or {}).pop(name)


_ACTIVE: ContextVar[Loggers] = ContextVar("loggers")


def active_loggers() -> Loggers:
    """The loggers of the `with` block around; outside of one, some that log nowhere."""
    return _ACTIVE.get(None) or Loggers()


def check_loggers(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        UnknownNameError: there is no such service.
        UsageError: its package is not installed.
    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in TRACKERS:
            raise UnknownNameError("logger", name, TRACKERS)
        try:
            importlib.import_module(TRACKERS[name].module)
        except ImportError as error:
            raise UsageError(
                f"The logger {name} needs a package that is not installed ({error}). "
                f"Install it by: pip install 'augface[{name}]'"
            ) from error
    return chosen


def metric_name(measurement: Measurement) -> str:
    """The name of a measurement that every service takes: words, with slashes between.

    >>> measurement = Measurement(
    ...     evaluator="prdc", name="precision", value=0.5, direction="higher", space="inception", group={"Male": False}
    ... )
    >>> metric_name(measurement)
    'prdc/precision/inception/Male 0'
    """
    group = [f"{name} {int(value)}" for name, value in measurement.group.items()]
    parts = [measurement.evaluator, measurement.name, measurement.space, measurement.arm, measurement.attribute, *group]
    return "/".join(re.sub(r"[^\w. -]", "_", part, flags=re.ASCII) for part in parts if part)[:250]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
