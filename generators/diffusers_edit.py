"""Edits of real faces by a pretrained pipeline of Hugging Face's diffusers: somebody who wears no glasses gets some."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import Field, ValidationInfo, field_validator

from augface.arrays import Floats32, Pixels
from augface.data.dataset import FaceDataset
from augface.errors import UsageError, require
from augface.generators._external import optional_package
from augface.generators._hosts import ComposingGenerator
from augface.generators._pipelines import EXTRA, PipelineConfig
from augface.generators._pretrained import Pretrained
from augface.generators.base import Arrays, GeneratorConfig, check_images
from augface.seeds import derive_seed

PAINTED = 0.1
"""Where the part weighs more than this it is painted anew; the soft edge of the part blends it into the face."""


class DiffusersEditConfig(PipelineConfig):
    """Settings of edits."""

    edit: Literal["", "inpainting", "image-to-image", "instruction"] = ""
    """What is done with a face: only the part that shows the attribute is painted anew (inpainting), all of it is
    (image-to-image), or an instruction is followed. What the pipeline is for where not given; where it makes faces of
    prompts alone, inpainting."""
    strength: float = Field(default=0.9, gt=0, le=1)
    """How much is changed: the share of the denoising that is done anew. 1 leaves nothing of what was there."""

    @field_validator("strength")
    @classmethod
    def _of_a_step(cls, value: float, info: ValidationInfo) -> float:
        if (steps := info.data.get("steps")) and steps * value < 1:
            raise ValueError(f"{value} of {steps} steps is no step at all; give more steps")
        return value

    def arguments(self, taken: Collection[str]) -> dict[str, Any]:
        """What a pipeline that takes arguments of these names is given of the settings."""
        return {**super().arguments(taken), **({"strength": self.strength} if "strength" in taken else {})}


class DiffusersEdit(ComposingGenerator):
    """Training faces that get an attribute by image-to-image, inpainting or an instruction (SDEdit, Meng et al. 2022).

    What is painted anew in inpainting is the part that the attribute is found to show in; the rest of the face stays
    what it was to the bit.
    """

    name: ClassVar[str] = "diffusers-edit"
    source: ClassVar[str] = "edited"
    Config: ClassVar[type[GeneratorConfig]] = DiffusersEditConfig
    config: DiffusersEditConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        optional_package("diffusers", self.name, EXTRA)

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Keep the faces, and try the pipeline; nothing is learnt.

        Raises:
            DataError: its files are not there, have changed, or make something else than faces.
            UsageError: it cannot edit faces, or not with these settings.
        """
        self._keep(data.attributes, np.asarray(data.images), self.config.balance)
        self._take(Pretrained.read(self.config, data.size, self.name, edits=self.config.edit or "inpainting"))
        if self.config.prompts:
            self._pretrained.prompts.check_attributes(list(map(str, data.attributes)))
        changed = [self._default]
        self._pretrained.try_out(lambda: self._given(data.attributes.iloc[:1], self._images[:1], changed))

    def _take(self, pretrained: Pretrained) -> None:
        taken = pretrained.pipeline.taken
        if self.config.strength != self.Config.model_fields["strength"].default and "strength" not in taken:
            raise UsageError(f"{self.config.path}: its pipeline takes no strength; leave that setting out.")
        self._pretrained = pretrained

    @property
    def conditionable(self) -> frozenset[str]:
        """The attributes that there are words for."""
        if self.labels is None:
            return frozenset()
        return frozenset(self._pretrained.prompts.words) & frozenset(map(str, self.labels.columns))

    @property
    def base(self) -> dict[str, str]:
        """Which pretrained model edits the faces."""
        return self._pretrained.description

    def _without_example(self, name: str, value: bool) -> None:
        """The part is learnt from examples; what changes the whole face needs none."""
        if self._pretrained.pipeline.use == "inpainting":
            super()._without_example(name, value)

    def _given(self, labels: pd.DataFrame, hosts: Pixels, changed: Sequence[str]) -> dict[str, Sequence[Any]]:
        """What the pipeline is given for these rows and their hosts."""
        pipeline, prompts = self._pretrained.pipeline, self._pretrained.prompts
        side = pipeline.side
        given: dict[str, Sequence[Any]] = {
            "prompt": prompts.instructions(labels, changed)
            if pipeline.use == "instruction"
            else prompts.prompts(labels, changed),
            "image": [_resized(host, side) for host in hosts],
        }
        if pipeline.use == "inpainting":
            mask = (self._painted(changed) > PAINTED).astype(np.uint8) * np.uint8(255)
            given["mask_image"] = [_resized(mask, side)] * len(labels)
        if "negative_prompt" in pipeline.taken:
            given["negative_prompt"] = prompts.negatives(labels, changed)
        return given

    def _painted(self, changed: Sequence[str]) -> Floats32:
        """(H, H) weights of the part that shows any of these attributes."""
        return reduce(np.maximum, (self._part(name) for name in changed))

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        hosts = self._images[labels.index.to_numpy()]
        changed = self._changed(labels) or self._balance or [self._default]
        seeds = [derive_seed(seed, "noise", chunk, row) for row in range(len(labels))]
        edited, _ = self._pretrained.faces(seeds, self._given(labels, hosts, changed))
        if self._pretrained.pipeline.use != "inpainting":
            return edited
        part = self._painted(changed)[None, ..., None]
        blended: Pixels = (hosts + part * (edited.astype(np.float32) - hosts)).round().clip(0, 255).astype(np.uint8)
        return blended

    def _arrays(self) -> Arrays:
        return {"images": self._images, **self._pretrained.arrays()}

    def _restore(self, arrays: Arrays) -> None:
        images = check_images(arrays.pop("images"), require(self.labels))
        self._keep(require(self.labels), images, self.config.balance)
        self._take(Pretrained.restored(self.config, arrays, self.name, edits=self.config.edit or "inpainting"))


def _resized(image: Pixels, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
