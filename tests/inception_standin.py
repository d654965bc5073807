"""Weights for Inception where the official ones are not: of its shape, random, and of a scale that keeps it alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from augface.features.inception import inception_network
from augface.files import sha256_of_file


@dataclass(frozen=True)
class StandIn:
    """A file with the keys of pytorch-fid's."""

    path: Path
    sha256: str


def make_standin(folder: Path, seed: int = 0) -> StandIn:
    """Write a checkpoint that is the same for the same seed. Features are about 1, the classifier's logits too."""
    random = torch.Generator().manual_seed(seed)
    network = inception_network()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=random)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5, generator=random)
            nn.init.normal_(part.bias, generator=random)
        elif isinstance(part, nn.BatchNorm2d):
            for values, mean in ((part.weight, 1.0), (part.bias, 0.0), (part.running_mean, 0.0)):
                assert values is not None
                nn.init.normal_(values, mean, 0.1, generator=random)
            assert part.running_var is not None
            nn.init.uniform_(part.running_var, 0.7, 1.4, generator=random)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "inception-standin.pth"
    torch.save(dict(network.state_dict()), path)
    return StandIn(path, sha256_of_file(path))


@contextmanager
def standin_in_use(standin: StandIn) -> Iterator[StandIn]:
    """The environment in which the space `inception` takes the stand-in, and says so in its protocol."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGFACE_INCEPTION_WEIGHTS", str(standin.path))
        patch.setenv("AUGFACE_INCEPTION_SHA256", standin.sha256)
        yield standin
