"""Where networks compute: on the device that is asked for, else on a GPU where there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from augface.errors import UsageError
from augface.processes import local_rank, world_size

if TYPE_CHECKING:
    import torch

VARIABLE = "AUGFACE_DEVICE"
"""The environment variable that names the device: cpu, cuda or cuda:1."""


def use_device(name: str | None) -> None:
    """Let everything in this process compute on the device of that name; None changes nothing.

    Raises:
        UsageError: there is no such device here.
    """
    if name is not None:
        os.environ[VARIABLE] = name
        compute_device()


def processor_instead_of_gpu() -> bool:
    """Whether the processor was asked for on a machine that has a GPU."""
    import torch

    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return has_gpu and os.environ.get(VARIABLE) == "cpu"


def compute_device() -> torch.device:
    """The device for networks; a GPU that is asked for by its number becomes the current one.

    Of several processes on one host, each has a GPU of its own as far as there are enough.

    Raises:
        UsageError: AUGFACE_DEVICE names none that is here.
    """
    import torch

    name = os.environ.get(VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and world_size() > 1 and torch.cuda.is_available():  # each process on this host has its own
        name = f"cuda:{local_rank() % torch.cuda.device_count()}"
    here = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    numbered = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name not in (*here, *numbered):
        raise UsageError(f"There is no device {name!r} here (--device, {VARIABLE}), only {', '.join(here + numbered)}.")
    device = torch.device(name)
    if device.index is not None:
        torch.cuda.set_device(device)
    return device
