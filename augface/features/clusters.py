"""Pseudo-attributes for faces without labels: which cluster of a feature space each is in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize

from augface.data.dataset import FaceDataset
from augface.errors import DataError
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.seeds import derive_seed

STARTS = 4
"""How often k-means begins anew; the best clustering is taken."""


def cluster_names(count: int) -> list[str]:
    """`Cluster_1` and so on."""
    return [f"Cluster_{number}" for number in range(1, count + 1)]


def with_clusters(data: FaceDataset, count: int, *, seed: int = 0) -> FaceDataset:
    """The data with one attribute a cluster: found by k-means in the default space, on the train split alone.

    Clusters are numbered by their size in the train split, the largest first. Data that have these attributes already
    are given back as they are.

    Args:
        data: faces; all of them are learnt from where there is no train split.
        count: how many clusters, from 2 up.
        seed: of where k-means begins.

    Raises:
        DataError: there are fewer than ten training faces a cluster.
    """
    names = cluster_names(count)
    if set(names) <= set(data.attributes.columns):
        return data
    features = normalize(features_of(data, create_feature_space()))
    learns = np.ones(len(data), dtype=np.bool_) if data.split is None else data.split == "train"
    if learns.sum() < 10 * count:
        raise DataError(f"{count} clusters take at least {10 * count} training faces, and there are {learns.sum()}.")
    found = KMeans(count, n_init=STARTS, random_state=derive_seed(seed, "clusters") % 2**32).fit(features[learns])
    numbers = found.predict(features)
    by_size = np.argsort(-np.bincount(numbers[learns], minlength=count), kind="stable")
    added = {name: pd.array(numbers == cluster, dtype="boolean") for name, cluster in zip(names, by_size, strict=True)}
    attributes = pd.concat([data.attributes, pd.DataFrame(added, index=data.attributes.index)], axis=1)
    return dataclasses.replace(data, attributes=attributes)
