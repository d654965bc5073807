"""Pipelines of Hugging Face's diffusers as they are: of noise alone, of a prompt, or of a class."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from augface.arrays import Pixels
from augface.data.dataset import FaceDataset
from augface.errors import UsageError, require
from augface.generators._external import optional_package
from augface.generators._pipelines import EXTRA, PipelineConfig
from augface.generators._pretrained import Pretrained
from augface.generators.base import Arrays, Generator, GeneratorConfig
from augface.seeds import derive_seed

WITHOUT_FACES = frozenset({"unconditional", "text", "classes"})
"""What a pipeline makes faces of without another face."""

log = logging.getLogger("augface")


class Diffusers(Generator):
    """A pretrained pipeline that `save_pretrained` wrote: unconditional, text-to-image or class-conditional.

    A prompt says of each attribute of a face, in words from a file, whether it is present; the attributes that are not
    requested are those of a training face that has the ones requested.
    """

    name: ClassVar[str] = "diffusers"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional"})
    Config: ClassVar[type[GeneratorConfig]] = PipelineConfig
    config: PipelineConfig

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
        """Take note of the labels and the size of the faces, and try the pipeline; nothing is learnt.

        Raises:
            DataError: its files are not there, have changed, or make something else than faces.
            UsageError: it cannot be used with these settings.
        """
        self.labels = data.attributes
        self._take(Pretrained.read(self.config, data.size, self.name))
        if self.config.prompts:
            self._pretrained.prompts.check_attributes(list(map(str, data.attributes)))
        if not self.conditionable and self._pretrained.pipeline.use != "unconditional":
            log.warning(f"No attribute of the data has words or classes for {self.config.path}, so none is requested.")
        self._pretrained.try_out(lambda: self._given(require(self.labels).iloc[:1]))

    def _take(self, pretrained: Pretrained) -> None:
        pipeline = pretrained.pipeline
        if pipeline.use not in WITHOUT_FACES:
            raise UsageError(
                f"{self.config.path}: {pipeline.kind.__name__} needs more than noise or a prompt: it edits faces. "
                "Give it to a generator that does; see docs/diffusers.md."
            )
        if pipeline.use == "classes" and not pretrained.prompts.classes:
            raise UsageError(
                f"{self.config.path}: {pipeline.kind.__name__} takes numbers of classes. Name them under [classes] in "
                'a file, such as "Eyeglasses=1" = 3, and the file by the setting prompts.'
            )
        self._pretrained = pretrained

    @property
    def conditionable(self) -> frozenset[str]:
        """The attributes that the pipeline has words or classes for."""
        if self.labels is None or (use := self._pretrained.pipeline.use) == "unconditional":
            return frozenset()
        prompts = self._pretrained.prompts
        named = prompts.words if use == "text" else {name for group in prompts.classes for name in group}
        return frozenset(named) & frozenset(map(str, self.labels.columns))

    @property
    def base(self) -> dict[str, str]:
        """Which pretrained model the faces are from."""
        return self._pretrained.description

    def _given(self, labels: pd.DataFrame) -> dict[str, Sequence[Any]]:
        """What the pipeline is given for these rows."""
        pipeline, prompts = self._pretrained.pipeline, self._pretrained.prompts
        if pipeline.use == "unconditional":
            return {}
        if pipeline.use == "classes":
            return {"class_labels": prompts.numbers(labels)}
        given: dict[str, Sequence[Any]] = {"prompt": prompts.prompts(labels, self.config.balance)}
        if "negative_prompt" in pipeline.taken:
            given["negative_prompt"] = prompts.negatives(labels, self.config.balance)
        return given

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        seeds = [derive_seed(seed, "noise", chunk, row) for row in range(len(labels))]
        faces, _ = self._pretrained.faces(seeds, self._given(labels))
        return faces

    def _arrays(self) -> Arrays:
        return self._pretrained.arrays()

    def _restore(self, arrays: Arrays) -> None:
        self._take(Pretrained.restored(self.config, arrays, self.name))
