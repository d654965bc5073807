"""A network that somebody saved as TorchScript.

A TorchScript file is a program, but not in Python: opening it unpickles no objects and imports nothing, and its
language knows tensors, numbers and torch's operators only. Among these are some that read and write files, so a file
that names one is refused before it is opened. That is a guard and no sandbox: use files of people whom you trust.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from augface.errors import DataError
from augface.generators._external import LatentNetwork, LatentNetworkConfig, last_line
from augface.generators.base import GeneratorConfig

JIT: Any = torch.jit  # which is typed in part only
OF_FILES = re.compile(rb"\b(save|from_file|load_tensor|read_file|write_file)\b")
"""Operators of torch and torchvision that read or write files. A name cannot be spelt otherwise in TorchScript."""


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
        _check_archive(self.config.path, content)
        try:
            with _without_deprecation(), torch.random.fork_rng(devices=[]):
                self._network = JIT.load(io.BytesIO(content), map_location="cpu").eval()
        except Exception as error:  # whatever torch raises on a file that is cut short or of another version
            raise DataError(f"{self.config.path} cannot be opened as TorchScript: {last_line(error)}") from error

    def _run(self, inputs: list[Tensor]) -> Tensor:
        with JIT.optimized_execution(False):  # else the third call may round otherwise than the first
            images: Tensor = self._network(*inputs)
        if not isinstance(images, Tensor):
            raise DataError(f"{self.config.path} gives a {type(images).__name__}, not an array of images.")
        return images.float()


def _check_archive(path: str | Path, content: bytes) -> None:
    """Refuse what is not TorchScript, and TorchScript that touches files, before torch opens it."""
    remedy = "Save the network by torch.jit.script(network).save(path), or by torch.jit.trace."
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            code = [archive.read(member) for member in members if "/code/" in f"/{member.filename}"]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if content.startswith(b"\x80"):
            raise DataError(f"{path} is a pickle, which runs any program when it is opened. {remedy}") from error
        raise DataError(f"{path} is no TorchScript: {last_line(error)} {remedy}") from error
    if not code:
        pickles = any(member.filename.endswith(".pkl") for member in members)
        what = "a pickle, which runs any program when it is opened" if pickles else "a zip of something else"
        raise DataError(f"{path} is no TorchScript but {what}. {remedy}")
    if found := OF_FILES.search(b"\n".join(code)):
        raise DataError(f"{path} holds a program that reads or writes files ({found[0].decode()}), and is not opened.")


@contextmanager
def _without_deprecation() -> Iterator[None]:
    """Silence that torch.jit is deprecated: nothing else opens these files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is (deprecated|not supported)")
        yield
