"""What the processes of one training do together: each has a part of every batch, and all have the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import nn

from augface.devices import compute_device, processor_instead_of_gpu
from augface.processes import are_together, world_size


def on_processor() -> bool:
    """Whether accelerate is told to stay on the processor; without a GPU, processes find each other only then."""
    return processor_instead_of_gpu() or (compute_device().type == "cpu" and world_size() > 1)


def members() -> tuple[int, int]:
    """The number of this process among those that share the training, from 0, and how many these are."""
    if not are_together():
        return 0, 1
    state = PartialState(cpu=on_processor())
    return state.process_index, state.num_processes


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Mean of the gradients over processes; they start alike and so stay alike."""
    if members()[1] == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def average_statistics(networks: Sequence[nn.Module]) -> None:
    """Mean over processes of the running statistics, which each gathers for itself between checkpoints."""
    if members()[1] == 1:
        return
    for network in networks:
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.copy_(reduce(buffer.clone(), reduction="mean"))


def wait_for_all() -> None:
    """Go on once all processes that share the training have come this far."""
    if members()[1] > 1:
        PartialState().wait_for_everyone()


def of_main_process(value: float) -> float:
    """The main process's value, on all processes, so that all decide alike."""
    number, count = members()
    if count == 1:
        return value
    own = torch.tensor(0.0 if number else value, dtype=torch.float64, device=PartialState().device)
    return float(reduce(own, reduction="sum").item())
