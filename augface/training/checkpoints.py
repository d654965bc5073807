"""Training state as the bytes of one safetensors file, which is read without unpickling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load, save
from torch import Tensor, nn

from augface.checked_arrays import CHECKSUM, about, checksum
from augface.errors import AugfaceError, DataError, UsageError
from augface.threads import adopt_threads, threads_are_fixed

FORMAT = 4
"""Goes up when checkpoints of before can no longer be gone on from."""


@dataclass
class TrainingState:
    """All that a training is at one moment: what a checkpoint holds."""

    generator: nn.Module
    average: nn.Module
    """Exponential moving average of the generator's weights: what makes the faces in the end."""
    discriminator: nn.Module
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    settings: dict[str, Any]
    """Everything that must not change between a start and its resumption."""
    images_seen: int = 0
    total_images: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    rollbacks: list[str] = field(default_factory=list)
    """What went wrong, each time that the training was rolled back; see `augface.training.instability`."""

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "average": self.average, "discriminator": self.discriminator}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.generator_optimiser, "discriminator": self.discriminator_optimiser}

    def restore(self, path: Path) -> None:
        """Take back the packed state in a file.

        Raises:
            UsageError: the settings have changed since; says which.
            DataError: the file is damaged, or of another version of augface.
        """
        try:
            self.unpack(path.read_bytes())
        except AugfaceError:
            raise
        except Exception as error:  # a damaged file raises what it likes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
            raise DataError(f"The checkpoint {path} cannot be read: {reason}. Remove it to start anew.") from error

    def pack(self) -> bytes:
        """The state as the bytes of a safetensors file."""
        tensors: dict[str, Tensor] = {}
        for name, module in self._modules().items():
            tensors |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
        for name, optimiser in self._optimisers().items():
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"{name}_optimiser.{index}.{key}": value for key, value in moments.items()}
        progress = {
            "format": FORMAT,
            "settings": self.settings,
            "images_seen": self.images_seen,
            "total_images": self.total_images,
            "seconds": self.seconds,
            "history": self.history,
            "rollbacks": self.rollbacks,
        }
        arrays = {key: tensor.detach().cpu().contiguous().numpy() for key, tensor in tensors.items()}
        return save(arrays, metadata={"progress": json.dumps(progress), CHECKSUM: checksum(arrays)})

    def unpack(self, content: bytes) -> None:
        """Take back what `pack` gave.

        Raises:
            UsageError: the settings have changed since; says which.
            ValueError: the bytes are of another version of augface, or damaged; those may raise others, too.
        """
        texts = about(content)
        progress = json.loads(texts["progress"])
        if progress.get("format") != FORMAT:
            raise ValueError(
                f"it is of another version of augface (format {progress.get('format', 1)}; this one reads {FORMAT})"
            )
        arrays = load(content)
        if texts.get(CHECKSUM) != checksum(arrays):
            raise ValueError("it is damaged: it does not have the checksum that it was written with")
        tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
        if "threads" in self.settings and not threads_are_fixed():
            self.settings["threads"] = adopt_threads(progress["settings"].get("threads", 0))
        _refuse_changes(progress["settings"], self.settings)
        for name, module in self._modules().items():
            module.load_state_dict(_below(tensors, f"{name}."))
        for name, optimiser in self._optimisers().items():
            states: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _below(tensors, f"{name}_optimiser.").items():
                index, _, moment = key.partition(".")
                states.setdefault(int(index), {})[moment] = tensor
            optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
            _lay_out_as_parameters(optimiser)
        self.images_seen = progress["images_seen"]
        self.total_images = progress["total_images"]
        self.seconds = progress["seconds"]
        self.history = progress["history"]
        self.rollbacks = progress["rollbacks"]


def _lay_out_as_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory format of their parameters, as a fused optimiser takes for granted without a check."""
    for parameter, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(moment)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        differences = ", ".join(f"{key} (was {before.get(key)}, is {now.get(key)})" for key in changed)
        threads = f" OMP_NUM_THREADS={before.get('threads')} sets the threads." if "threads" in changed else ""
        raise UsageError(
            f"Cannot resume: these settings have changed: {differences}. Change them back, or start anew.{threads}"
        )
