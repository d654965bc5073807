"""`--device` and AUGFACE_DEVICE: where networks compute, and what is said where there is no such place."""

from __future__ import annotations

import os

import pytest
import torch

from augface.devices import VARIABLE, compute_device, processor_instead_of_gpu, use_device
from augface.errors import UsageError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    current: list[torch.device] = []
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


def test_a_gpu_is_used_where_there_is_one_unless_another_device_is_asked_for(two_gpus: list[torch.device]) -> None:
    use_device(None)
    assert compute_device() == torch.device("cuda")
    assert not processor_instead_of_gpu()
    use_device("cuda:1")
    assert compute_device() == torch.device("cuda:1")
    assert set(two_gpus) == {torch.device("cuda:1")}
    use_device("cpu")
    assert compute_device() == torch.device("cpu")
    assert processor_instead_of_gpu()


@pytest.mark.parametrize("name", ["cuda:2", "gpu", "CPU", "mps"])
def test_another_name_is_refused_with_those_that_are_here(name: str, two_gpus: list[torch.device]) -> None:
    with pytest.raises(UsageError, match=rf"no device '{name}' here.*only cpu, cuda, cuda:0, cuda:1"):
        use_device(name)
    os.environ[VARIABLE] = ""
