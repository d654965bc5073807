"""A pipeline of Hugging Face's diffusers, in a folder: unconditional ones, such as DDPM and DDIM.

Only its JSON and safetensors files are read, and the classes that they name must be those of diffusers itself, so that
nothing is downloaded, unpickled, or run that is not installed.
"""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
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
MEMBER = re.compile(r"\w[\w.+-]*/\w[\w.+-]*\.(json|safetensors)")
"""The other files of a pipeline: each in the folder of its part."""
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
            kept = {f"{part.name}/{file.name}": file for file in files if file.suffix in (".json", ".safetensors")}
            pickles = [file.name for file in files if file.suffix in PICKLES]
            if pickles and not any(name.endswith(".safetensors") for name in kept):
                raise DataError(
                    f"The weights in {part} are a pickle ({pickles[0]}), which runs any program when it is opened. "
                    "Save them by pipeline.save_pretrained(folder, safe_serialization=True)."
                )
            found |= {name: file for name, file in kept.items() if MEMBER.fullmatch(name)}
        _check_links(path, found.values())
        return found


def _check_links(path: Path, files: Iterable[Path]) -> None:
    """Refuse links that lead out of the pipeline, or elsewhere than the hub's cache has the files of its snapshots.

    Raises:
        DataError: one of the files is another one, of which nobody said that it should be read.
    """
    folder = path.resolve()
    roots = [folder, *([folder.parent.parent / "blobs"] if folder.parent.name == "snapshots" else [])]
    for file in files:
        if not any(file.resolve().is_relative_to(root) for root in roots):
            raise DataError(f"{file} is a link that leads out of {path}. Put the file itself there, if you trust it.")


class Diffusers(ExternalNetwork):
    """An unconditional pipeline that `save_pretrained` wrote."""

    name: ClassVar[str] = "diffusers"
    Config: ClassVar[type[GeneratorConfig]] = DiffusersConfig
    config: DiffusersConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._package = optional_package("diffusers", self.name, "diffusers")

    def _open(self, files: dict[str, bytes]) -> None:
        kind = self._kind(self._checked_names(files)[INDEX])
        progress = self._package.utils.logging
        shown = progress.is_progress_bar_enabled()
        progress.disable_progress_bar()
        try:
            # In a folder of its own the pipeline finds nothing but the files that were chosen and checked.
            with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
                for name, content in files.items():
                    place = Path(folder, name)
                    place.parent.mkdir(exist_ok=True)
                    place.write_bytes(content)
                self._pipeline: Any = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except Exception as error:  # whatever diffusers raises on files that are damaged or of another version
            raise DataError(f"{self.config.path} cannot be opened as a pipeline: {last_line(error)}") from error
        finally:
            if shown:
                progress.enable_progress_bar()
        self._pipeline.set_progress_bar_config(disable=True)

    def _checked_names(self, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The files, where each is one of a pipeline and its part, by its name and by what others call it."""
        for name, content in files.items():
            if name != INDEX and not MEMBER.fullmatch(name):
                raise DataError(f"{self.config.path} holds {name!r}, which is no file of a pipeline. Nothing was read.")
            if name.endswith(".index.json"):  # which names the files that weights are spread over
                part = name.partition("/")[0]
                shards = self._json(name, content).get("weight_map")
                if not isinstance(shards, dict) or not {f"{part}/{shard}" for shard in shards.values()} <= files.keys():
                    raise DataError(f"{self.config.path}/{name} names files that are not there.")
        if INDEX not in files:
            raise DataError(f"{self.config.path} holds no {INDEX}.")
        return files

    def _json(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            return {str(key): value for key, value in json.loads(content).items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise DataError(f"{self.config.path}/{name} is not that of a pipeline: {error}.") from error

    def _kind(self, index: bytes) -> Any:
        """The pipeline's class, where it and its parts are diffusers' own and no prompt is needed."""
        named = self._json(INDEX, index)
        for key, value in named.items():
            if isinstance(value, list) and (not value or value[0] not in ("diffusers", None)):
                raise DataError(
                    f"{self.config.path}: its {key} is of {value[0] if value else 'nothing'}, and not of diffusers "
                    "itself. Unconditional pipelines without code of their own are taken, such as DDPM and DDIM."
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
