"""How much of pictures is coarse and how much is fine."""

from __future__ import annotations

import numpy as np

from augface.arrays import Floats64, Pixels

BLOCK = 256
FINE = 0.75
"""The share of the highest frequency from which on detail counts as fine."""
GREY = np.array([0.299, 0.587, 0.114]) / 255


def radial_spectrum(images: Pixels) -> tuple[Floats64, Floats64]:
    """Power of grey pictures by frequency, averaged over all directions and pictures (Durall et al. 2020, section 3.1).

    Args:
        images: (N, H, H, 3), N at least 1.

    Returns:
        (H // 2,) cycles per image, from 1 up; and (H // 2,) the decimal logarithm of the mean power there, of grey
        values from 0 to 1.
    """
    side = images.shape[1]
    frequency = np.fft.fftfreq(side, 1 / side)
    radius = np.rint(np.hypot(frequency[:, None], frequency)).astype(np.int64)
    total = np.zeros((side, side))
    for start in range(0, len(images), BLOCK):
        grey = images[start : start + BLOCK] @ GREY
        total += np.square(np.abs(np.fft.fft2(grey))).sum(axis=0)
    rings = np.bincount(radius.ravel(), (total / len(images)).ravel()) / np.bincount(radius.ravel())
    cycles = np.arange(1, side // 2 + 1)
    return cycles.astype(np.float64), np.log10(np.maximum(rings[cycles], 1e-12))


def fine_detail(images: Pixels) -> Floats64:
    """How much fine detail each picture has: the decimal logarithm of its mean power at the highest frequencies.

    Blur takes it away; noise, and the checkerboard that transposed convolutions leave (Odena et al. 2016), add to it.

    Args:
        images: (N, H, H, 3).

    Returns:
        (N,), of grey values from 0 to 1.
    """
    side = images.shape[1]
    frequency = np.abs(np.fft.fftfreq(side, 1 / side))
    is_fine = np.maximum(frequency[:, None], frequency) >= FINE * (side // 2)
    detail = np.empty(len(images))
    for start in range(0, len(images), BLOCK):
        power = np.square(np.abs(np.fft.fft2(images[start : start + BLOCK] @ GREY)))
        detail[start : start + BLOCK] = np.log10(np.maximum(power[:, is_fine].mean(axis=1), 1e-12))
    return detail
