"""A pipeline of Hugging Face's diffusers, in a folder: unconditional ones, such as DDPM and DDIM.

Only its JSON and safetensors files are read, and the classes that they name must be those of diffusers itself, so that
nothing is downloaded, unpickled, or run that is not installed.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from augface.errors import DataError, UsageError
from augface.generators._external import ExternalNetwork, ExternalNetworkConfig, last_line, optional_package
from augface.generators.base import GeneratorConfig
from augface.seeds import derive_seed

INDEX = "model_index.json"
PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}


class DiffusersConfig(ExternalNetworkConfig):
    """Settings of a diffusers pipeline."""

    steps: int = Field(default=0, ge=0)
    """Denoising steps; as many as the pipeline takes by itself where 0."""

    @classmethod
    def files(cls, path: Path) -> dict[str, Path]:
        """The JSON and safetensors files of the pipeline in this folder.

        Raises:
            DataError: it is no such folder, or its weights are pickles.
        """
        if not (path / INDEX).is_file():
            raise DataError(
                f"{path} is no folder with a {INDEX}, as pipeline.save_pretrained writes it. Names on the Hugging Face "
                "hub are not taken; download one by: hf download NAME --local-dir FOLDER"
            )
        parts = [place for place in sorted(path.iterdir()) if place.is_dir() and not place.name.startswith(".")]
        found = {INDEX: path / INDEX}
        for part in parts:
            files = [file for file in sorted(part.iterdir()) if file.is_file()]
            kept = [file for file in files if file.suffix in (".json", ".safetensors")]
            pickles = [file.name for file in files if file.suffix in PICKLES]
            if pickles and not any(file.suffix == ".safetensors" for file in kept):
                raise DataError(
                    f"The weights in {part} are a pickle ({pickles[0]}), which runs any program when it is opened. "
                    "Save them by pipeline.save_pretrained(folder, safe_serialization=True)."
                )
            found |= {f"{part.name}/{file.name}": file for file in kept}
        return found


class Diffusers(ExternalNetwork):
    """An unconditional pipeline that `save_pretrained` wrote."""

    name: ClassVar[str] = "diffusers"
    Config: ClassVar[type[GeneratorConfig]] = DiffusersConfig
    config: DiffusersConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._package = optional_package("diffusers", self.name, "diffusers")

    def _open(self, files: dict[str, bytes]) -> None:
        kind = self._kind(files[INDEX])
        progress = self._package.utils.logging
        shown = progress.is_progress_bar_enabled()
        progress.disable_progress_bar()
        try:
            # In a folder of its own the pipeline finds nothing but the files that were chosen and checked.
            with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
                for name, content in files.items():
                    (Path(folder) / name).parent.mkdir(exist_ok=True)
                    (Path(folder) / name).write_bytes(content)
                self._pipeline: Any = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except Exception as error:  # whatever diffusers raises on files that are damaged or of another version
            raise DataError(f"{self.config.path} cannot be opened as a pipeline: {last_line(error)}") from error
        finally:
            if shown:
                progress.enable_progress_bar()
        self._pipeline.set_progress_bar_config(disable=True)

    def _kind(self, index: bytes) -> Any:
        """The pipeline's class, where it and its parts are diffusers' own and no prompt is needed."""
        try:
            named = {str(key): value for key, value in json.loads(index).items()}
        except (ValueError, AttributeError) as error:
            raise DataError(f"{self.config.path}/{INDEX} is not that of a pipeline: {error}.") from error
        for key, value in named.items():
            if isinstance(value, list) and value[0] not in ("diffusers", None):
                raise DataError(
                    f"{self.config.path}: its {key} is of {value[0]}, and not of diffusers itself. Unconditional "
                    "pipelines without code of their own are taken, such as DDPM and DDIM."
                )
        name = named.get("_class_name")
        kind = getattr(self._package, name, None) if isinstance(name, str) else None
        if not (inspect.isclass(kind) and issubclass(kind, self._package.DiffusionPipeline)):
            raise DataError(
                f"{self.config.path}: there is no pipeline {name} in diffusers {self._package.__version__}."
            )
        if "batch_size" not in inspect.signature(kind.__call__).parameters:
            raise UsageError(f"{self.config.path}: {name} needs more than noise. DDPM and DDIM pipelines are taken.")
        return kind

    def _batch(self, labels: pd.DataFrame, seed: int, *stream: int) -> Tensor:
        random = torch.Generator().manual_seed(derive_seed(seed, "noise", *stream))
        steps = {"num_inference_steps": self.config.steps} if self.config.steps else {}
        try:
            images = self._pipeline(batch_size=self.config.batch, generator=random, output_type="np", **steps).images
        except Exception as error:  # whatever a pipeline raises
            raise UsageError(f"The pipeline {self.config.path} fails: {last_line(error)}") from error
        return torch.from_numpy(images).permute(0, 3, 1, 2)
