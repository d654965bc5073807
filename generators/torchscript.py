"""A network that somebody saved as TorchScript.

A TorchScript file is a program, but not in Python: opening it unpickles no objects and imports nothing. What the
program may do is checked before and after it is opened (`_torchscript.py`); it is a guard and no sandbox.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from augface.errors import DataError
from augface.generators._external import LatentNetwork, LatentNetworkConfig, last_line
from augface.generators._torchscript import check_operators, repacked
from augface.generators.base import GeneratorConfig

JIT: Any = torch.jit  # which is typed in part only


class TorchScriptConfig(LatentNetworkConfig):
    """Settings of a TorchScript network."""

    latent: tuple[int, ...] = Field(min_length=1)
    """Shape of the noise of one face, which the file does not give."""


class TorchScript(LatentNetwork):
    """A network saved by `torch.jit.script(network).save(path)` or `torch.jit.trace`."""

    name: ClassVar[str] = "torchscript"
    Config: ClassVar[type[GeneratorConfig]] = TorchScriptConfig
    config: TorchScriptConfig

    def _open(self, files: dict[str, bytes]) -> None:
        (content,) = files.values()
        checked = repacked(self.config.path, content)
        try:
            with _quiet(), torch.random.fork_rng(devices=[]):
                network = JIT.load(io.BytesIO(checked), map_location="cpu")
                check_operators(self.config.path, network)
                self._network = network.eval()
        except DataError:
            raise
        except Exception as error:  # whatever torch raises on a file that is cut short or of another version
            raise DataError(f"{self.config.path} cannot be opened as TorchScript: {last_line(error)}") from error

    def _run(self, inputs: list[Tensor]) -> Tensor:
        with _quiet(), JIT.optimized_execution(False):  # else the third call may round otherwise than the first
            images: Tensor = self._network(*inputs)
        if not isinstance(images, Tensor):
            raise DataError(f"{self.config.path} gives a {type(images).__name__}, not an array of images.")
        return images.float()


@contextmanager
def _quiet() -> Iterator[None]:
    """Let neither torch, which calls torch.jit deprecated, nor the network itself warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
