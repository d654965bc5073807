"""The same numbers as other people's packages give, on the same features."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from augface.metrics import frechet_distance, inception_score, kernel_distance, kernel_distance_of_subsets, prdc
from augface.metrics.frechet import raw_frechet_distance

Features = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def sides() -> tuple[Features, Features]:
    """Non-negative, skewed and correlated, as pooled activations are; ten rows a dimension."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(64, 64)) * np.exp(-np.arange(64) / 15)
    first, second = (np.maximum(random.normal(size=(640, 64)) @ mixing.T / 4 + shift, 0) for shift in (0.3, 0.4))
    return first.astype(np.float32), second.astype(np.float32)


def test_frechet_distance_is_that_of_clean_fid(sides: tuple[Features, Features]) -> None:
    with warnings.catch_warnings():  # it calls what SciPy has deprecated
        warnings.simplefilter("ignore")
        from cleanfid.fid import fid_from_feats

        expected = fid_from_feats(*(side.astype(np.float64) for side in sides))
    assert frechet_distance(*sides) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_that_of_torch_fidelity(sides: tuple[Features, Features]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        statistics = [fid_features_to_statistics(torch.from_numpy(side).double()) for side in sides]
        expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(*sides) == pytest.approx(expected, rel=1e-6)


def test_precision_and_recall_are_those_of_torch_fidelity(sides: tuple[Features, Features]) -> None:
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    real, fake = _double(sides)
    expected = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), neighborhood=3)
    found = prdc(real, fake, k=3)
    assert (found["precision"], found["recall"]) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_that_of_torchmetrics(sides: tuple[Features, Features]) -> None:
    from torchmetrics.image.fid import _compute_fid

    moments = [(torch.from_numpy(side.mean(axis=0)), torch.from_numpy(np.cov(side.T))) for side in _double(sides)]
    expected = float(_compute_fid(*moments[0], *moments[1]))
    assert frechet_distance(*sides) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_real_features_is_that_of_torchmetrics(real_data: Path) -> None:
    """Singular covariances, where matrix square roots go astray: its eigenvalues lose three digits more than ours."""
    from torchmetrics.image.fid import _compute_fid

    sides = [np.load(path)["features"] for path in sorted((real_data / "inception-features").glob("*.npz"))]
    moments = [(torch.from_numpy(side.mean(axis=0)), torch.from_numpy(np.cov(side.T))) for side in _double(sides)]
    expected = float(_compute_fid(*moments[0], *moments[1]))
    assert raw_frechet_distance(sides[0], sides[1]) == pytest.approx(expected, rel=1e-4)


def test_kernel_distance_of_subsets_is_that_of_torch_fidelity(sides: tuple[Features, Features]) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    expected = kid_features_to_metric(
        *map(torch.from_numpy, sides), kid_subsets=20, kid_subset_size=100, rng_seed=7, verbose=False
    )
    mean, deviation = kernel_distance_of_subsets(*sides, np.random.RandomState(7), subsets=20, size=100)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)
    assert deviation == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-4)


def test_kernel_distance_is_that_of_torch_fidelity_and_clean_fid(sides: tuple[Features, Features]) -> None:
    from cleanfid.fid import kernel_distance as clean_kernel_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    expected = kid_features_to_metric(
        *map(torch.from_numpy, _double(sides)), kid_subsets=1, kid_subset_size=640, verbose=False
    )
    assert kernel_distance(*sides) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)
    clean = clean_kernel_distance(*_double(sides), num_subsets=1, max_subset_size=640)
    assert kernel_distance(*sides) == pytest.approx(clean, rel=1e-4)


def test_inception_score_is_that_of_torch_fidelity() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 40)) * 2)
    expected = isc_features_to_metric(logits, splits=10, shuffle=False)
    mean, deviation = inception_score(logits.softmax(dim=1).numpy(), splits=10)
    assert mean == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert deviation == pytest.approx(expected["inception_score_std"], rel=1e-9)


def _double(sides: Any) -> list[npt.NDArray[np.float64]]:
    return [side.astype(np.float64) for side in sides]
