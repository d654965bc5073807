"""What pictures look like up close, in numbers: spectrum, sharpness from place to place, seams and colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from augface.arrays import Floats32, Pixels
from augface.metrics.spectrum import GREY

BLOCK = 256
RINGS = np.linspace(0.02, 0.46, 12)
"""Where rings of the spectrum begin, in cycles per pixel; each is 0.04 wide."""
COLOUR_RINGS = (0.05, 0.15, 0.25, 0.35)
"""The same of the colours' spectrum, each 0.1 wide."""
CELLS = 4
"""Along each side, in which sharpness is measured."""
JUMP = 1.6
"""Times the difference of the pixels around, from which on a difference of two neighbours counts as a jump."""


def texture(images: Pixels) -> Floats32:
    """Numbers that say how each picture is made up, and little of what it shows.

    Blur and noise show in the spectrum and in the sharpness from place to place, checkerboards at single frequencies
    (Odena et al. 2016), and pictures put together from parts in jumps along whole rows or columns.

    Args:
        images: (N, H, W, 3), at least 16 pixels a side.

    Returns:
        (N, F) for F numbers of each picture: powers and sharpnesses as logarithms, the others as they are.
    """
    blocks = [_texture(images[start : start + BLOCK]) for start in range(0, len(images), BLOCK)]
    return np.concatenate(blocks)


def _texture(images: Pixels) -> Floats32:
    planes = np.divide(images.transpose(0, 3, 1, 2), 255, dtype=np.float32, order="C")
    red, green, blue = np.moveaxis(planes, 1, 0)
    of_red, of_green, of_blue = (255 * GREY).astype(np.float32)
    grey = of_red * red + of_green * green + of_blue * blue
    colours = np.stack([red - grey, blue - grey], axis=1)
    across = [_seams(np.abs(np.diff(planes, axis=axis + 1)).mean(axis=1), axis) for axis in (1, 2)]
    numbers = [*_spectrum(grey), *_colour_spectrum(colours), *_sharpness(grey), *across[0], *across[1]]
    numbers += [*planes.mean(axis=(2, 3)).T, *planes.std(axis=(2, 3)).T]
    return np.stack(numbers, axis=1).astype(np.float32)


def _power(planes: Floats32) -> npt.NDArray[Any]:
    """(..., H, W // 2 + 1) squared amplitudes of planes that fade towards their edges."""
    window = np.hanning(planes.shape[-2])[:, None] * np.hanning(planes.shape[-1])
    centred = planes - planes.mean(axis=(-2, -1), keepdims=True)
    power: npt.NDArray[Any] = np.square(np.abs(fft.rfft2(centred * window.astype(np.float32))))
    return power


def _frequencies(height: int, width: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return np.abs(fft.fftfreq(height))[:, None], fft.rfftfreq(width)[None]


def _log(power: npt.NDArray[Any]) -> npt.NDArray[Any]:
    logarithms: npt.NDArray[Any] = np.log10(np.maximum(power, 1e-9))
    return logarithms


def _spectrum(grey: Floats32) -> list[npt.NDArray[Any]]:
    """Power by frequency, and towards both axes and the corner."""
    power = _power(grey)
    down, across = _frequencies(*grey.shape[1:])
    radius = np.hypot(down, across)
    regions = [(radius >= start) & (radius < start + 0.04) for start in RINGS]
    for one, other in ((across, down), (down, across)):
        regions += [(one > 0.25) & (other < 0.1), (one > 0.15) & (one < 0.3) & (other < 0.1)]
    regions.append((across > 0.35) & (down > 0.35))
    return [_log(power[:, region].mean(axis=1)) for region in regions if region.any()]


def _colour_spectrum(colours: Floats32) -> list[npt.NDArray[Any]]:
    power = _power(colours).mean(axis=1)
    radius = np.hypot(*_frequencies(*colours.shape[2:]))
    return [_log(power[:, (radius >= start) & (radius < start + 0.1)].mean(axis=1)) for start in COLOUR_RINGS]


def _sharpness(grey: Floats32) -> list[npt.NDArray[Any]]:
    """How far pixels differ from their surroundings, in coarse cells and as quantiles of finer ones."""
    detail = np.abs(grey - ndimage.uniform_filter(grey, (0, 3, 3)))
    coarse = np.log(_cells(detail, CELLS) + 1e-4)
    fine = np.log(_cells(detail, 2 * CELLS) + 1e-4)
    quantiles = np.quantile(fine, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1)
    return [*coarse.T, coarse.min(axis=1), coarse.max(axis=1), coarse.std(axis=1), *quantiles]


def _cells(planes: Floats32, count: int) -> npt.NDArray[Any]:
    """(N, count * count) means."""
    height, width = (side // count for side in planes.shape[1:])
    cut = planes[:, : height * count, : width * count]
    means: npt.NDArray[Any] = cut.reshape(len(planes), count, height, count, width).mean(axis=(2, 4))
    return means.reshape(len(planes), -1)


def _seams(differences: Floats32, axis: int) -> list[npt.NDArray[Any]]:
    """How much lines of jumps stand out that run through the whole picture.

    Args:
        differences: (N, H, W) between pixels that follow each other along `axis`.
        axis: 1 for seams between rows, 2 for seams between columns.
    """
    along = 3 - axis
    profile = differences.mean(axis=along)
    around = ndimage.uniform_filter1d(profile, 7, axis=1)
    ratio = np.sort((profile + 0.0025) / (around + 0.0025), axis=1)
    edge = profile.shape[1] // 4
    step = (profile - around)[:, edge:-edge].max(axis=1)
    jumps = differences > JUMP * ndimage.uniform_filter1d(differences, 5, axis=axis)
    share = np.sort(jumps.mean(axis=along), axis=1)
    return [ratio[:, -1], ratio[:, -2], profile.max(axis=1) / (profile.mean(axis=1) + 0.005), step, *share[:, -2:].T]
