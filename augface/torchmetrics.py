"""Streaming metrics for training loops, in any feature space: `torchmetrics.Metric`s, synchronised over processes.

They take images batch by batch, on any device, and give what the functions of `augface.metrics` give of all of them.
Needs torchmetrics: `pip install augface[torchmetrics]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from augface.arrays import Floats32, Floats64, Pixels
from augface.errors import DataError, UsageError
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.base import FeatureSpace
from augface.features.timm_spaces import LargeClipSpace
from augface.metrics import cmmd_estimate, frechet_distance_of_moments, kernel_distance, prdc
from augface.metrics.frechet import warn_of_few_rows

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "augface.torchmetrics needs torchmetrics: pip install augface[torchmetrics]", name=error.name
    ) from None

__all__ = ["CMMD", "FrechetDistance", "KernelDistance", "PrecisionRecall"]


class _ImageMetric(Metric):
    """What all have in common: the space, how images come in, and real ones that may be kept for good."""

    is_differentiable = False
    full_state_update = False

    def __init__(
        self, space: str | FeatureSpace = DEFAULT_SPACE, *, reset_real_features: bool = True, **settings: Any
    ) -> None:
        """A metric without images.

        Args:
            space: the name of a feature space (`augface list features`), or one that is ready.
            reset_real_features: whether `reset` forgets the real images too.
            settings: what `torchmetrics.Metric` takes, such as `sync_on_compute`.

        Raises:
            AugfaceError: no such space, or its weights are missing.
        """
        super().__init__(**settings)
        self.space = create_feature_space(space) if isinstance(space, str) else space
        self.reset_real_features = reset_real_features

    def update(self, images: Tensor, real: bool) -> None:
        """Take one batch.

        Args:
            images: uint8 (N, 3, H, W), or floats from 0 to 1; of any size and on any device.
            real: whether these are real images.

        Raises:
            DataError: images of another shape, kind or range.
        """
        self._keep(self.space.extract(_pixels(images)), real)

    def _keep(self, features: Floats32, real: bool) -> None:
        """Add features (N, D) to the state of one side."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the images; the real ones are kept where `reset_real_features` is False."""
        states: dict[str, Any] = {name: getattr(self, name) for name in self._defaults if name.startswith("real")}
        # a list of features is emptied in place
        kept = {name: state.copy() if isinstance(state, list) else state for name, state in states.items()}
        super().reset()
        if not self.reset_real_features:
            for name, value in kept.items():
                setattr(self, name, value)


class FrechetDistance(_ImageMetric):
    """The Fréchet distance of all images so far; in the space `inception` it is FID, in `dinov2` FD-DINOv2.

    The state is mean and covariance, whatever the number of images. `compute` gives a scalar of float64, and a
    `TooFewRowsWarning` below twice the dimension of the space.

    >>> import torch, augface.torchmetrics
    >>> metric = augface.torchmetrics.FrechetDistance("pixels")
    >>> images = torch.rand((1600, 3, 16, 16), generator=torch.manual_seed(0))
    >>> metric.update(images, real=True)
    >>> metric.update(images.flip(-1), real=False)
    >>> bool(metric.compute() > 0)
    True
    """

    higher_is_better = False

    def __init__(
        self, space: str | FeatureSpace = DEFAULT_SPACE, *, reset_real_features: bool = True, **settings: Any
    ) -> None:
        super().__init__(space, reset_real_features=reset_real_features, **settings)
        dimension = self.space.dimension
        for side in ("real", "fake"):
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(dimension, dtype=torch.float64), dist_reduce_fx="sum")
            products = torch.zeros((dimension, dimension), dtype=torch.float64)
            self.add_state(f"{side}_products", products, dist_reduce_fx="sum")

    def _keep(self, features: Floats32, real: bool) -> None:
        side = "real" if real else "fake"
        rows = torch.from_numpy(features).to(self.device, torch.float64)
        for name, more in (("count", float(len(rows))), ("sum", rows.sum(dim=0)), ("products", rows.T @ rows)):
            setattr(self, f"{side}_{name}", getattr(self, f"{side}_{name}") + more)

    def compute(self) -> Tensor:
        """The distance, float64 of shape ().

        Raises:
            DataError: fewer than 2 images on a side.
        """
        (count, *real), (fake_count, *fake) = self._moments("real"), self._moments("fake")
        warn_of_few_rows(min(count, fake_count), self.space.dimension)
        return torch.tensor(frechet_distance_of_moments(*fake, *real), dtype=torch.float64, device=self.device)

    def _moments(self, side: str) -> tuple[int, Floats64, Floats64]:
        """How many images there are, their mean (D,) and their covariance (D, D)."""
        count, total, products = (getattr(self, f"{side}_{name}").cpu() for name in ("count", "sum", "products"))
        if count < 2:
            raise DataError(f"{int(count)} {side} images are too few; at least 2 are needed.")
        mean = total / count
        covariance = (products - count * torch.outer(mean, mean)) / (count - 1)
        return int(count), mean.numpy(), covariance.numpy()


class _FeatureMetric(_ImageMetric):
    """One whose state is the features of all images."""

    def __init__(
        self, space: str | FeatureSpace = DEFAULT_SPACE, *, reset_real_features: bool = True, **settings: Any
    ) -> None:
        super().__init__(space, reset_real_features=reset_real_features, **settings)
        for side in ("real", "fake"):
            self.add_state(f"{side}_features", [], dist_reduce_fx="cat")

    def _keep(self, features: Floats32, real: bool) -> None:
        # in one row: torchmetrics gathers nothing from a process without images as one empty row
        getattr(self, "real_features" if real else "fake_features").append(
            torch.from_numpy(features).flatten().to(self.device)
        )

    def _sides(self) -> tuple[Floats32, Floats32]:
        """Features of the real and of the fake images, (N, D) and (M, D)."""
        sides = []
        for side in ("real", "fake"):
            kept: Any = getattr(self, f"{side}_features")
            flat = dim_zero_cat(kept) if len(kept) else torch.zeros(0)
            sides.append(flat.reshape(-1, self.space.dimension).float().cpu().numpy())
        return sides[0], sides[1]

    def _scalar(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.device)


class KernelDistance(_FeatureMetric):
    """The kernel distance of all images so far, unbiased, from all pairs; in the space `inception` it is KID.

    >>> import torch, augface.torchmetrics
    >>> metric = augface.torchmetrics.KernelDistance("pixels")
    >>> images = torch.rand((40, 3, 16, 16), generator=torch.manual_seed(0))
    >>> metric.update(images, real=True)
    >>> metric.update(images / 2, real=False)
    >>> bool(metric.compute() < 0.1)
    True
    """

    higher_is_better = False

    def compute(self) -> Tensor:
        """The distance, float64 of shape (); it may be negative.

        Raises:
            DataError: fewer than 3 images on a side.
        """
        real, fake = self._sides()
        return self._scalar(kernel_distance(fake, real))


class CMMD(_FeatureMetric):
    """CMMD of all images so far, times 1,000 (Jayasumana et al. 2024, arXiv:2401.09603).

    >>> import torch, augface.torchmetrics
    >>> metric = augface.torchmetrics.CMMD("pixels")  # the number is CMMD in its own space, `clip_large`, alone
    >>> images = torch.rand((40, 3, 16, 16), generator=torch.manual_seed(0))
    >>> metric.update(images, real=True)
    >>> metric.update(images, real=False)
    >>> abs(round(float(metric.compute()), 6))
    0.0
    """

    higher_is_better = False

    def __init__(
        self, space: str | FeatureSpace = LargeClipSpace.name, *, reset_real_features: bool = True, **settings: Any
    ) -> None:
        super().__init__(space, reset_real_features=reset_real_features, **settings)

    def compute(self) -> Tensor:
        """The distance, float64 of shape (), 0 or more.

        Raises:
            DataError: fewer than 3 images on a side.
        """
        real, fake = self._sides()
        return self._scalar(cmmd_estimate(fake, real).value)


class PrecisionRecall(_FeatureMetric):
    """Precision, recall, density and coverage of all images so far.

    >>> import torch, augface.torchmetrics
    >>> metric = augface.torchmetrics.PrecisionRecall("pixels", k=3)
    >>> images = torch.rand((20, 3, 16, 16), generator=torch.manual_seed(0))
    >>> metric.update(images, real=True)
    >>> metric.update(images, real=False)
    >>> {name: float(value) for name, value in metric.compute().items() if name in ("precision", "recall")}
    {'precision': 1.0, 'recall': 1.0}
    """

    higher_is_better = True

    def __init__(
        self,
        space: str | FeatureSpace = DEFAULT_SPACE,
        *,
        k: int = 5,
        reset_real_features: bool = True,
        **settings: Any,
    ) -> None:
        """A metric without images.

        Args:
            space, reset_real_features, settings: as in the others.
            k: the neighbour whose distance is a ball's radius.

        Raises:
            UsageError: `k` is less than 1.
            AugfaceError: no such space, or its weights are missing.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}.")
        super().__init__(space, reset_real_features=reset_real_features, **settings)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """`precision`, `recall`, `density` and `coverage`, float64 of shape ().

        Raises:
            DataError: no more than `k` images on a side.
        """
        return {name: self._scalar(value) for name, value in prdc(*self._sides(), k=self.k).items()}


def _pixels(images: Tensor) -> Pixels:
    """A batch as feature spaces take it, uint8 (N, H, W, 3).

    The range of floats is not guessed: one batch of dark images would be taken for another range than the next.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"Images are (N, 3, H, W), not {tuple(images.shape)}.")
    if images.is_floating_point():
        low, high = (float(end) for end in images.aminmax()) if images.numel() else (0.0, 1.0)
        if not (low >= 0 and high <= 1):
            raise DataError(f"Floating-point images go from 0 to 1, not from {low:g} to {high:g}: bring them there.")
        images = (images.double() * 255).round()
    elif images.dtype != torch.uint8:
        raise DataError(f"Images are uint8, or floats from 0 to 1, not {images.dtype}.")
    return np.ascontiguousarray(images.detach().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
