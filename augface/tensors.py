"""Noise, and images as networks take and give them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from augface.arrays import Pixels
from augface.seeds import derive_seed


def normal_noise(shape: tuple[int, ...], seed: int, *names: str | int) -> Tensor:
    """Float32 noise of this shape, standard normal, from the stream of the seed that `names` describe."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(derive_seed(seed, "noise", *names)))


def from_pixels(images: Pixels) -> Tensor:
    """Uint8 (N, H, W, 3) as networks take them: (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(images: Tensor, low: float = -1.0, high: float = 1.0) -> Pixels:
    """Images (N, 3, H, W), `low` black and `high` white, as uint8 (N, H, W, 3); what lies beyond is clipped."""
    scaled = ((images - low) * (255 / (high - low))).round().clamp(0, 255).byte()
    pixels: Pixels = scaled.permute(0, 2, 3, 1).cpu().contiguous().numpy()
    return pixels
