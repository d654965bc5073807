"""What is looked into, and what a section of the results holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset
from augface.data.images import resize_faces
from augface.errors import require
from augface.generators._codes import Codes
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork
from augface.generators.base import Generator
from augface.inspection.judge import DIMENSIONS, Judge, Readout
from augface.inspection.units import Swings, UnitEffects, on_levels, swing_units, unit_effects
from augface.metrics.intervals import Interval, t_quantile
from augface.results import Artifact, Baseline, Measurement, Section, Skipped
from augface.results.artifacts import image_grid, table
from augface.seeds import derive_seed

NAME = "inspect"
"""What measurements of an inspection have in the place of an evaluator's name."""
RANDOM = "at random"
"""What baselines are: the same of random units or directions."""
REFERENCE = 256
"""Faces that say how active units are."""
SWUNG = 24
"""Faces in which every unit is turned off and on."""
CHECKED = 32
"""Other faces, in which what was found is looked at again, and labels and directions are turned."""
MOST_ATTRIBUTES = 4
"""Attributes that are looked at, where none was named: those that the judge reads best."""
SHOWN, TILE = 6, 64
"""Faces in a row, and pixels that larger ones are reduced to."""
COLOUR = np.array([213, 94, 0], dtype=np.float32)
"""Of heat maps."""


@dataclass
class Part:
    """What was found in one section."""

    section: Section
    measurements: list[Measurement] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, reason: str) -> None:
        """Note that something was not looked at, and why."""
        self.skipped.append(Skipped(evaluator=self.section.key, reason=reason))

    def measure(self, name: str, value: Interval | float, **more: Any) -> None:
        """Add a measurement, perhaps with an interval."""
        ends = value if isinstance(value, Interval) else (value, None, None)
        about = {"evaluator": NAME, "section": self.section.key, "name": name, "direction": "higher", **more}
        self.measurements.append(Measurement.model_validate({**about, **dict(zip(ENDS, ends, strict=True))}))

    def show(self, rows: Sequence[Pixels], *, name: str, title: str, caption: str, labels: Sequence[str] = ()) -> None:
        """Add rows of faces."""
        tiles = [resize_faces(row, min(TILE, row.shape[1])) for row in rows]
        grid = image_grid(tiles, name=name, title=title, caption=caption, section=self.section.key, row_labels=labels)
        self.artifacts.append(grid)

    def tabulate(self, frame: pd.DataFrame, *, name: str, title: str, caption: str, heat: bool = False) -> None:
        """Add a table, perhaps drawn as a map of shares."""
        found = table(frame, name=name, title=title, caption=caption, section=self.section.key)
        self.artifacts.append(found.model_copy(update={"figure": "shares"}) if heat else found)


ENDS = ("value", "low", "high")


@dataclass(frozen=True)
class Inspected:
    """What is looked into.

    Attributes:
        generator: one with networks.
        data: faces that it learnt from, with their labels.
        judge: of changes; None where there are no labels that can be read.
        wanted: attributes to look at, all of them read by the judge; empty for those that it reads best.
        seed: of all random draws.
    """

    generator: Generator
    data: FaceDataset
    judge: Judge | None
    wanted: tuple[str, ...]
    seed: int

    @cached_property
    def network(self) -> GeneratorNetwork:
        """That of the generator."""
        return self.generator.networks().generator

    @cached_property
    def discriminator(self) -> DiscriminatorNetwork | None:
        """That which the generator was trained against, where it was saved."""
        return self.generator.networks().discriminator

    def codes(self, count: int, purpose: str) -> Codes:
        """Of so many generated faces, other ones for each purpose."""
        return self.generator.codes(self.generator.sample(count, seed=derive_seed(self.seed, "inspection", purpose)))

    @cached_property
    def checked(self) -> Codes:
        """The codes of the faces that most is shown on."""
        return self.codes(CHECKED, "checked")

    @cached_property
    def levels(self) -> list[Tensor]:
        """How active the units of each layer are when turned on."""
        return on_levels(self.network, *inputs(self.codes(REFERENCE, "reference")))

    @cached_property
    def swings(self) -> Swings:
        """Of all units."""
        codes = self.codes(SWUNG, "swung")
        return swing_units(self.network, *inputs(codes), self.levels, require(self.judge))

    @cached_property
    def shown(self) -> list[str]:
        """The attributes that are looked at."""
        if self.judge is None:
            return []
        return list(self.wanted) or self.judge.clearest(MOST_ATTRIBUTES)

    @cached_property
    def readout(self) -> Readout:
        """Of the attributes that are looked at."""
        return require(self.judge).readout.select(self.shown)

    @cached_property
    def unit_effects(self) -> UnitEffects:
        """Which units are for which of these attributes."""
        return unit_effects(self.swings, self.readout)

    def responses(self, faces: Pixels) -> Floats64:
        """(N, A) of faces, to the attributes that are looked at."""
        return self.readout.responses(require(self.judge).coordinates(faces))

    @property
    def protocol(self) -> dict[str, Any]:
        """What changes all numbers."""
        return {"generator": self.generator.fingerprint[:16], "seed": self.seed}

    @property
    def judged(self) -> dict[str, Any]:
        """The protocol of what the judge says."""
        judge = {"learnt_from": "70 % of the training people", "read_out_on": "the others", "components": DIMENSIONS}
        return {**self.protocol, "judge": judge}


def inputs(codes: Codes) -> tuple[Tensor, Tensor]:
    """Noise and conditions as a network takes them."""
    return torch.from_numpy(codes.noise), torch.from_numpy(codes.conditions)


def heat_maps(faces: Pixels, maps: Floats32) -> Pixels:
    """Faces (N, H, W, 3) in grey, with maps (N, H, W) from 0 up laid over them in orange."""
    grey = 0.35 * 255 + 0.5 * faces.mean(axis=-1, keepdims=True, dtype=np.float32)
    most = np.quantile(maps, 0.99, axis=(1, 2), keepdims=True)
    share = np.clip(maps / np.maximum(most, 1e-12), 0, 1)[..., None] ** 1.5 * 0.9
    blended: Pixels = (grey * (1 - share) + COLOUR * share).clip(0, 255).astype(np.uint8)
    return blended


def mean_interval(values: Floats64) -> Interval:
    """The mean of some values with its interval, by t."""
    value, error = float(values.mean()), float(values.std(ddof=1)) / np.sqrt(len(values))
    reach = t_quantile(len(values) - 1) * error
    return Interval(value, value - reach, value + reach)


def baseline_of(interval: Interval, n: int) -> Baseline:
    """What is had at random, from so many draws."""
    return Baseline(value=interval.value, low=interval.low, high=interval.high, n=n)
