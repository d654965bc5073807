"""The names of array types: one word for each kind of number, used everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""RGB images, (N, H, W, 3) or one (H, W, 3)."""
Integers = npt.NDArray[np.int64]
"""Row numbers, counts, people."""
Booleans = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]
Floats = npt.NDArray[np.floating[Any]]
"""Of either precision, where a function takes both."""
Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
