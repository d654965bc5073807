"""What every measure asks of its input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.arrays import Floats, Floats64
from augface.errors import DataError


def float_matrix(values: npt.ArrayLike, name: str, minimum: int = 2) -> Floats:
    """`values` as (N, D) of float32 or float64, as they are where they are that already, checked.

    Raises:
        DataError: it is not two-dimensional, has fewer than `minimum` rows, or holds NaN or infinity.
    """
    matrix = np.asarray(values)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2:
        raise DataError(f"The {name} features must be (N, D), not of shape {matrix.shape}.")
    if len(matrix) < minimum:
        raise DataError(f"{len(matrix)} {name} features are too few; at least {minimum} are needed.")
    if not np.isfinite(matrix).all():
        raise DataError(f"The {name} features hold NaN or infinity.")
    return matrix


def float_pair(real: npt.ArrayLike, fake: npt.ArrayLike, minimum: int = 2) -> tuple[Floats, Floats]:
    """Both sides as (N, D) and (M, D) of float32 or float64, checked."""
    first, second = float_matrix(real, "real", minimum), float_matrix(fake, "fake", minimum)
    if first.shape[1] != second.shape[1]:
        raise DataError(f"Real features have {first.shape[1]} dimensions, fake ones {second.shape[1]}: two spaces?")
    return first, second


def feature_matrix(values: npt.ArrayLike, name: str, minimum: int = 2) -> Floats64:
    """`values` as float64 (N, D), checked as `float_matrix` does."""
    return float_matrix(values, name, minimum).astype(np.float64, copy=False)
