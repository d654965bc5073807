"""A network that somebody exported to ONNX, run by onnxruntime on the processor; see `augface.onnx_files`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from augface.errors import DataError, UsageError
from augface.generators._external import LatentNetwork, LatentNetworkConfig, last_line, optional_package
from augface.generators.base import GeneratorConfig
from augface.onnx_files import open_onnx

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


class OnnxConfig(LatentNetworkConfig):
    """Settings of an ONNX network. The latent shape and a fixed batch are read from the file where it has them."""

    threads: int = Field(default=1, ge=1)
    """Cores to use. The number may change the last digits, and so single grey levels."""


class Onnx(LatentNetwork):
    """A network in one ONNX file; its inputs are noise and, where it takes any, attributes; its first output images."""

    name: ClassVar[str] = "onnx"
    Config: ClassVar[type[GeneratorConfig]] = OnnxConfig
    config: OnnxConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self._runtime = optional_package("onnxruntime", self.name, "onnx")

    def _open(self, files: dict[str, bytes]) -> None:
        (content,) = files.values()
        try:
            self._session: Any = open_onnx(content, self._runtime, self.config.threads)
        except Exception as error:  # onnxruntime's own errors share no base class
            raise DataError(
                f"{self.config.path} cannot be opened as ONNX: {last_line(error)} A model whose weights are in a file "
                "beside it must be saved as one file."
            ) from error
        inputs = self._session.get_inputs()
        wanted = 2 if self.config.attributes else 1
        if len(inputs) != wanted:
            names = ", ".join(each.name for each in inputs)
            raise UsageError(
                f"{self.config.path} takes {len(inputs)} inputs ({names}), not {wanted}. The first is noise; the "
                "second, where there is one, is of the attributes that the setting attributes names."
            )
        if unknown := [each.type for each in inputs if each.type not in TYPES]:
            raise DataError(f"{self.config.path} takes {', '.join(unknown)}; noise and attributes are real numbers.")
        batch, *latent = inputs[0].shape
        self._declare(batch, latent)

    def _declare(self, batch: int | str | None, latent: list[int | str | None]) -> None:
        """Take the shapes that the file gives, and refuse settings that contradict them."""
        known = tuple(length for length in latent if isinstance(length, int))
        whole = known if len(known) == len(latent) else ()
        if not (whole or self.config.latent):
            raise UsageError(f"{self.config.path} does not give the shape of its noise: give it by the setting latent.")
        if whole and self.config.latent and whole != self.config.latent:
            raise UsageError(f"{self.config.path} takes noise of the shape {whole}, not {self.config.latent} (latent).")
        declared = {"latent": whole or self.config.latent, "batch": batch if isinstance(batch, int) else None}
        self.config = self.config.model_copy(update={key: value for key, value in declared.items() if value})

    def _run(self, inputs: list[Tensor]) -> Tensor:
        declared = self._session.get_inputs()
        arrays = {
            each.name: array.numpy().astype(TYPES[each.type]) for each, array in zip(declared, inputs, strict=True)
        }
        images = self._session.run(None, arrays)[0]
        return torch.from_numpy(np.asarray(images, dtype=np.float32))
