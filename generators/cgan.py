"""A GAN conditioned on attributes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from augface.arrays import Floats64
from augface.data.dataset import FaceDataset, rows_with
from augface.errors import UnknownNameError
from augface.generators._adversarial import AdversarialConfig, AdversarialGenerator
from augface.generators.base import GeneratorConfig


class CGANConfig(AdversarialConfig):
    """Settings of the conditional GAN."""

    balance: tuple[str, ...] = ()
    """Attributes whose rare value is shown more often than it occurs."""
    balance_share: float = Field(default=0.25, gt=0, lt=1)
    """The share of training batches that each rare value is raised to, where it is rarer than that."""
    clusters: int = Field(default=0, ge=0, le=1000)
    """For images without labels: how many pseudo-attributes they get, `Cluster_1` and so on, by k-means in the default
    space.
    """


class CGAN(AdversarialGenerator):
    """DCGAN-shaped networks conditioned on the whole attribute vector; missing labels are allowed."""

    name: ClassVar[str] = "cgan"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "trainable", "latent"})
    Config: ClassVar[type[GeneratorConfig]] = CGANConfig
    config: CGANConfig

    def prepared(self, data: FaceDataset) -> FaceDataset:
        """The data with the clusters that the settings ask for."""
        if not self.config.clusters:
            return data
        from augface.features.clusters import with_clusters

        return with_clusters(data, self.config.clusters)

    def _weights(self, labels: pd.DataFrame) -> Floats64:
        weights = np.ones(len(labels))
        for name in self.config.balance:
            if name not in labels:
                raise UnknownNameError("attribute", name, labels.columns)
            for value in (True, False):
                mask = rows_with(labels, [(name, value)])
                share = weights[mask].sum() / weights.sum()
                if 0 < share < self.config.balance_share:
                    weights[mask] *= self.config.balance_share * (1 - share) / (share * (1 - self.config.balance_share))
        return weights
