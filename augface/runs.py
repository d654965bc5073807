"""A run: a folder that one process holds at a time, the settings that it was begun with, and its finished stages.

A run goes through its stages in order. Each leaves its output at a place of its own, whole or not at all, and a record
in `checkpoints/stages.json`: the hash of its inputs (the settings and the outputs of the stages before), the version of
augface, and the hash of its output. The record is written before the output gets its name, so that every output has
one. A resumption goes through the same stages: an output that is as it was written, and of the same inputs, is kept;
one that is not there is made; one that somebody else put there, or changed, is refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from augface.errors import DataError, OutputError, UsageError
from augface.files import (
    RUN_CONFIG,
    atomic_path,
    atomic_write,
    content_hash,
    human_bytes,
    new_directory,
    remove_leftovers,
)
from augface.locks import locked
from augface.threads import adopt_threads, computing_threads, threads_are_fixed
from augface.version import __version__

CHECKPOINTS = "checkpoints"
STAGES = f"{CHECKPOINTS}/stages.json"
LONGEST = 40
"""Letters of a setting's value that a message quotes."""

log = logging.getLogger("augface")


class RunSettings(BaseModel):
    """Everything that determines what a run gives: what a resumption compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """Where the faces come from, as `load_data` takes it."""
    data_hash: str
    """What the content of the data is known by."""
    size: int
    """Height and width of the faces, in pixels."""
    generator: dict[str, Any]
    """The generator's `name`, and all its settings."""
    budget: str = "5m"
    """The generator's training: time or images."""
    seed: int = 0
    threads: int = Field(default_factory=computing_threads)
    """Threads that torch computes with: sums over another number of them are rounded otherwise."""
    augface: str = __version__
    """The version that the run was begun with."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON and TOML have them; what is not set is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The content of `config.toml`."""
        return tomli_w.dumps(self.to_dict())

    def changes(self, before: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The settings that differ from those of a `config.toml`, by their dotted names: what they were, and are."""
        old, new = dict(_leaves(before)), dict(_leaves(self.to_dict()))
        changed = [name for name in old | new if old.get(name) != new.get(name)]
        if "generator.name" in changed:  # another generator has other settings, which go without saying
            changed = [name for name in changed if name == "generator.name" or not name.startswith("generator.")]
        return {name: (old.get(name), new.get(name)) for name in changed}


@dataclass
class Run:
    """A run folder that is held by this process."""

    folder: Path
    settings: RunSettings
    resumed: bool
    """Whether something of it was there before."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage took, when it was made."""
    _inputs: str = ""
    """The hash of the settings and of all outputs so far."""

    def __post_init__(self) -> None:
        self._inputs = self._inputs or _hash(json.dumps(self.settings.to_dict(), sort_keys=True))

    def stage(self, place: str, what: str, write: Callable[[Path], object], *, changing: Collection[str] = ()) -> Path:
        """Make one stage, or leave it where it is done already; return where its output is.

        Args:
            place: where, relative to the run folder: the stage is known by it.
            what: what is done, for people.
            write: makes the output, a file or a folder, at the path that it is given.
            changing: names of files in the output that later stages may change.

        Raises:
            DataError: something is there that this run did not make, or that was changed since.
        """
        output = self.folder / place
        if not self.has(place, changing=changing):
            log.info(f"{what} …")
            if output.exists():  # made of other inputs
                _remove(output)
            started = time.perf_counter()
            with atomic_path(output) as temporary:
                write(temporary)
                record = {
                    "inputs": self._inputs,
                    "augface": self.settings.augface,
                    "output": content_hash(temporary, but=changing),
                    "seconds": round(time.perf_counter() - started, 1),
                }
                atomic_write(self.folder / STAGES, json.dumps({**self._records(), place: record}, indent=1) + "\n")
        done = self._records()[place]
        self.seconds[what] = done["seconds"]
        self._inputs = _hash(self._inputs, place, done["output"])
        return output

    def has(self, place: str, *, whatever_inputs: bool = False, changing: Collection[str] = ()) -> bool:
        """Whether a stage is done, and its output as this run wrote it.

        Args:
            place: of the stage.
            whatever_inputs: whether it does not matter what was put into it, as of a run's last stage.
            changing: as in `stage`.

        Raises:
            DataError: something is there that this run did not make, or that was changed since.
        """
        output, record = self.folder / place, self._records().get(place)
        if not output.exists():
            return False
        again = f"Put back what was there, or move {output} away and --resume makes it again."
        if record is None:
            raise DataError(f"{output} is not of this run. {again}")
        if content_hash(output, but=changing) != record["output"]:
            raise DataError(f"{output} is not what this run wrote there: it was changed, damaged or replaced. {again}")
        return whatever_inputs or bool(record["inputs"] == self._inputs)

    def _records(self) -> dict[str, dict[str, Any]]:
        path = self.folder / STAGES
        if not path.exists():
            return {}
        try:
            records = json.loads(path.read_text(encoding="utf-8"))
            return {str(place): {**record, "seconds": float(record["seconds"])} for place, record in records.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{path} is damaged, so nobody knows what this run has finished: {error}. Start anew in another folder."
            ) from error


@contextmanager
def open_run(folder: Path, settings: RunSettings, *, resume: bool, needed: float = 0) -> Iterator[Run]:
    """Begin a run in a new folder, or go on with the one that is there, and hold the folder meanwhile.

    Args:
        folder: the run folder.
        settings: what determines its results; those of a run that is gone on with must be the same.
        resume: whether to go on with what is there.
        needed: bytes that a new run will need about.

    Raises:
        OutputError: the folder holds something else, is in use, or has too little space.
        UsageError: settings have changed; says which and what to do.
        DataError: the run's files are damaged.
    """
    with locked(folder):
        config = folder / RUN_CONFIG
        resumed = resume and config.exists()
        if resumed:
            before = _config(config)
            if not threads_are_fixed() and isinstance(before.get("threads"), int):
                settings = settings.model_copy(update={"threads": adopt_threads(before["threads"])})
            _refuse_changes(folder, settings.changes(before))
            remove_leftovers(folder, folder / CHECKPOINTS)
        else:
            new_directory(folder)
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise OutputError(
                    f"{folder} needs about {human_bytes(needed)}, but its disk has {human_bytes(free)} left. Use "
                    "another."
                )
            atomic_write(config, settings.to_toml())
        yield Run(folder, settings, resumed)


def data_of_run(folder: Path) -> tuple[str, int] | None:
    """The data set and the size of the faces that a run folder started from; None where it is none.

    Raises:
        DataError: its settings are damaged.
    """
    config = folder / RUN_CONFIG
    if not config.is_file():
        return None
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
        return str(settings["data"]), int(settings["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{config} is not that of a run: {error}.") from error


def _config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}. Start anew in another folder.") from error


def _refuse_changes(folder: Path, changed: Mapping[str, tuple[Any, Any]]) -> None:
    if not changed:
        return
    remedies = ["Change back, or choose another folder."]
    for name, (before, _) in changed.items():
        if name == "augface":
            remedies.insert(0, f"Install augface {before or 'of the version that began it'} to go on with it.")
        if name == "threads":
            remedies.insert(0, f"Set OMP_NUM_THREADS={before} to go on with it.")
    differences = ", ".join(_difference(name, before, now) for name, (before, now) in changed.items())
    raise UsageError(f"Cannot resume {folder}: {differences}. {' '.join(remedies)}")


def _difference(name: str, before: Any, now: Any) -> str:
    quoted = ["not given" if value is None else str(value) for value in (before, now)]
    if max(map(len, quoted)) > LONGEST:
        return f"{name} changed since"
    return f"{name} changed since (was {quoted[0]}, is {quoted[1]})"


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings that are no tables, by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
