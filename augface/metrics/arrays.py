"""What every measure asks of its input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from augface.errors import DataError

Matrix = npt.NDArray[np.float64]


def feature_matrix(values: npt.ArrayLike, name: str, minimum: int = 2) -> Matrix:
    """`values` as float64 (N, D), checked.

    Raises:
        DataError: it is not two-dimensional, has fewer than `minimum` rows, or holds NaN or infinity.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise DataError(f"The {name} features must be (N, D), not of shape {matrix.shape}.")
    if len(matrix) < minimum:
        raise DataError(f"{len(matrix)} {name} features are too few; at least {minimum} are needed.")
    if not np.isfinite(matrix).all():
        raise DataError(f"The {name} features hold NaN or infinity.")
    return matrix


def feature_pair(real: npt.ArrayLike, fake: npt.ArrayLike, minimum: int = 2) -> tuple[Matrix, Matrix]:
    """Both sides as float64 (N, D) and (M, D), checked."""
    first, second = feature_matrix(real, "real", minimum), feature_matrix(fake, "fake", minimum)
    if first.shape[1] != second.shape[1]:
        raise DataError(f"Real features have {first.shape[1]} dimensions, fake ones {second.shape[1]}: two spaces?")
    return first, second
