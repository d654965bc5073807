"""A GAN conditioned on attributes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from augface.arrays import Floats64
from augface.errors import UnknownNameError
from augface.generators._adversarial import AdversarialConfig, AdversarialGenerator
from augface.generators.base import GeneratorConfig


class CGANConfig(AdversarialConfig):
    """Settings of the conditional GAN."""

    balance: tuple[str, ...] = ()
    """Attributes whose rare value is shown more often than it occurs."""
    balance_share: float = Field(default=0.25, gt=0, lt=1)
    """The share of training batches that each rare value is raised to, where it is rarer than that."""


class CGAN(AdversarialGenerator):
    """DCGAN-shaped networks conditioned on the whole attribute vector; missing labels are allowed."""

    name: ClassVar[str] = "cgan"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "trainable", "latent"})
    Config: ClassVar[type[GeneratorConfig]] = CGANConfig
    config: CGANConfig

    def _weights(self, labels: pd.DataFrame) -> Floats64:
        weights = np.ones(len(labels))
        for name in self.config.balance:
            if name not in labels:
                raise UnknownNameError("attribute", name, labels.columns)
            for value in (True, False):
                mask = (labels[name] == value).fillna(False).to_numpy(dtype=np.bool_)
                share = weights[mask].sum() / weights.sum()
                if 0 < share < self.config.balance_share:
                    weights[mask] *= self.config.balance_share * (1 - share) / (share * (1 - self.config.balance_share))
        return weights
