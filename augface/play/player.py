"""What the page shows: faces by recipe, the same face with one request turned over, and how the training went."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from augface.arrays import Pixels
from augface.data.images import MAX_PIXELS, quiet_decoding
from augface.errors import UnknownNameError, UsageError, require
from augface.generators._codes import Codes, concatenate_codes
from augface.generators.base import CHUNK
from augface.seeds import derive_seed

if TYPE_CHECKING:
    from augface.generators.base import Generator

PHOTO = -1
"""The number of the face that was made from a photo."""
MOST = 1_000_000
"""Faces that can be drawn."""
TURNED = 12
"""Requests that are turned over, one picture each."""
FRAMES = 48
"""Previews of a training that are shown, at most: the first, the last and some between."""
FRAME = (2, 4)
"""Rows and columns of faces of each."""

log = logging.getLogger("augface")


class Recipe(BaseModel):
    """What one face is made of; the same recipe gives the same face."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(ge=PHOTO, lt=MOST)
    """The number of the face."""
    second: int = Field(default=0, ge=PHOTO, lt=MOST)
    """That of the face that it is mixed with."""
    share: float = Field(default=0.0, ge=0, le=1)
    """How far it is on the way to the second."""
    requests: dict[str, bool] = Field(default={}, max_length=1000)
    """Attributes that are requested otherwise than as they were drawn, at the same noise."""
    strengths: dict[str, Annotated[float, Field(ge=-10, le=10)]] = Field(default={}, max_length=1000)
    """How much of each attribute is added; see `Generator.edit`."""


@dataclass(frozen=True)
class Answer:
    """How one attribute of a face answers."""

    low: float
    """The least strength that is safe for this face."""
    high: float
    """The greatest."""
    reached: float
    """That which the face has."""


@dataclass(frozen=True)
class Shown:
    """A face, and what can be done with it."""

    pixels: Pixels
    """Uint8 (H, W, 3)."""
    of_photo: bool
    answers: dict[str, Answer]
    """Of each attribute that has a slider."""
    requested: dict[str, bool]
    """Of each attribute that can be requested: whether it is, as far as it is known."""


@dataclass(frozen=True)
class Turned:
    """A face with one request turned over."""

    attribute: str
    value: bool
    pixels: Pixels


class Player:
    """The faces of one generator.

    Attributes:
        generator: one that edits faces; with a calibration where attributes are to have sliders.
        mixes: whether it makes faces of noise, so that two can be mixed.
        sliders: the attributes that can be edited by strength, those that answer most first.
        requestable: the attributes that can be requested, those with sliders first.
        previews: of its training, each with how many images it had seen, oldest first.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        seed: int = 0,
        attributes: tuple[str, ...] = (),
        photo: Codes | None = None,
        previews: Path | None = None,
    ) -> None:
        """Look at what the generator can do.

        Args:
            generator: one that edits faces.
            seed: of the faces.
            attributes: those to show first; the others are left out. All where none is given.
            photo: the codes of one photo, which is the face number `PHOTO`.
            previews: the folder of a training's previews.

        Raises:
            UsageError: see `check_playable`.
            UnknownNameError: it does not know an attribute.
        """
        check_playable(generator)
        self.generator, self.seed, self.photo = generator, seed, photo
        self.mixes = "latent" in generator.capabilities
        doses = {} if generator.calibration is None else generator.calibration.doses
        known = [*sorted(doses, key=lambda name: -doses[name].reach), *sorted(generator.editable - set(doses))]
        for name in attributes:
            if name not in known:
                raise UnknownNameError("attribute", name, known)
        shown = list(attributes) or known
        self.sliders = [name for name in shown if name in doses]
        self.requestable = [name for name in shown if name in generator.editable]
        found = _numbered_previews(previews)
        self.previews = [found[row] for row in evenly(len(found), FRAMES)]
        self._drawn = lru_cache(maxsize=8)(self._draw)

    @property
    def size(self) -> int:
        """Height and width of the faces, in pixels."""
        return int(self._pixels(self._codes(0)).shape[1])

    def show(self, recipe: Recipe) -> Shown:
        """The face of a recipe.

        Raises:
            UsageError: there is no photo, or an attribute cannot be requested.
            UnknownNameError: an attribute has no slider.
        """
        base = self._base(recipe)
        codes, reached = self._edited(base, recipe)
        answers = {}
        if self.generator.calibration is not None:
            for name in self.sliders:
                low, high = self.generator.calibration.ends(base, name)[0].tolist()
                answers[name] = Answer(low, high, reached.get(name, 0.0))
        return Shown(self._pixels(codes)[0], bool(codes.is_of_photo[0]), answers, self._requested(base))

    def pictures(self, recipes: Sequence[Recipe]) -> Pixels:
        """Uint8 (N, H, W, 3): the faces of several recipes, and nothing else of them."""
        return self._pixels(concatenate_codes([self._edited(self._base(one), one)[0] for one in recipes]))

    def turned(self, recipe: Recipe) -> list[Turned]:
        """The same noise with one request turned over each: nothing else is changed, strengths are left out."""
        codes = self._base(recipe)
        requested = self._requested(codes)
        names = [name for name in self.requestable if name in requested][:TURNED]
        if not names:
            return []
        others = concatenate_codes([self.generator.request(codes, {name: not requested[name]}) for name in names])
        pictures = zip(names, self._pixels(others), strict=True)
        return [Turned(name, not requested[name], pixels) for name, pixels in pictures]

    def frame(self, number: int) -> Pixels | None:
        """A preview of the training as a picture of `FRAME` faces; None where its file is none."""
        try:
            with quiet_decoding(), Image.open(self.previews[number][1]) as image:
                if image.width * image.height > MAX_PIXELS or image.width % image.height:
                    return None
                strip = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
        side, (rows, columns) = len(strip), FRAME
        faces = strip.reshape(side, -1, side, 3).swapaxes(0, 1)[: rows * columns]
        sheet = np.zeros((rows * columns, side, side, 3), np.uint8)
        sheet[: len(faces)] = faces
        return sheet.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)

    def note(self, recipe: Recipe) -> dict[str, object]:
        """What the file of a face says of how it was made."""
        changed = recipe.model_dump(exclude_defaults=True)
        return {"generator": self.generator.name, "seed": self.seed, **changed}

    def _base(self, recipe: Recipe) -> Codes:
        """The codes of a recipe without its strengths."""
        codes = self._codes(recipe.first)
        if recipe.share:
            if not self.mixes:
                raise UsageError(f"The {self.generator.name} generator has no noise by which faces could be mixed.")
            codes = codes.towards(self._codes(recipe.second), recipe.share)
        return self.generator.request(codes, recipe.requests) if recipe.requests else codes

    def _edited(self, codes: Codes, recipe: Recipe) -> tuple[Codes, dict[str, float]]:
        """The codes with a recipe's strengths, and those that are reached within what is safe."""
        reached = {}
        for name, strength in recipe.strengths.items():
            if name not in self.sliders:
                raise UnknownNameError("attribute", name, self.sliders)
            codes, found = require(self.generator.calibration).edit(codes, name, strength)
            reached[name] = float(found[0])
        return codes, reached

    def _codes(self, number: int) -> Codes:
        if number == PHOTO:
            if self.photo is None:
                raise UsageError("There is no photo.")
            return self.photo
        return self._drawn(number // CHUNK).select([number % CHUNK])

    def _draw(self, chunk: int) -> Codes:
        seed = self.seed if chunk == 0 else derive_seed(self.seed, "play", chunk)
        return self.generator.codes(self.generator.sample(CHUNK, seed=seed))

    def _requested(self, codes: Codes) -> dict[str, bool]:
        columns = list(require(self.generator.labels).columns)
        seen = {name: float(codes.conditions[0, columns.index(name)]) for name in self.requestable}
        return {name: value > 0 for name, value in seen.items() if value}

    def _pixels(self, codes: Codes) -> Pixels:
        pixels: Pixels = np.asarray(self.generator.render(codes).images)
        return pixels


def check_playable(generator: Generator) -> None:
    """Refuse a generator that has nothing to move.

    Raises:
        UsageError: it cannot edit faces.
    """
    if not generator.capabilities & {"latent", "edits"}:
        raise UsageError(
            f"The {generator.name} generator cannot edit faces, so there is nothing to play with. Those that can are "
            "called latent or edits by `augface list generators`."
        )


def _numbered_previews(folder: Path | None) -> list[tuple[int, Path]]:
    """The pictures that a training left, by the images that it had seen."""
    if folder is None or not folder.is_dir():
        return []
    return sorted((int(path.stem), path) for path in folder.glob("*.png") if re.fullmatch(r"[0-9]{1,15}", path.stem))


def evenly(count: int, most: int) -> list[int]:
    """The numbers of so many things at most: the first, the last, and evenly between.

    >>> evenly(10, 4)
    [0, 3, 6, 9]
    """
    rows: list[int] = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()
    return rows
