"""Where the face is in an aligned image."""

from __future__ import annotations

import numpy as np

from augface.arrays import Floats64

CENTRE, RADII, EDGE = (0.5, 0.53), (0.30, 0.42), 0.06
"""The ellipse of the face of an aligned image, across and down, and the width of its soft edge, in image sizes."""


def face_mask(size: int) -> Floats64:
    """How much of each pixel of an aligned image belongs to the face: (size, size), 0 to 1.

    >>> face_mask(64)[34, 32].round(2), face_mask(64)[0, 0].round(2)
    (np.float64(1.0), np.float64(0.0))
    """
    places = (np.arange(size) + 0.5) / size
    across, down = (places - CENTRE[0]) / RADII[0], (places - CENTRE[1]) / RADII[1]
    beyond = np.hypot(across[None, :], down[:, None]) - 1
    return np.asarray(1 / (1 + np.exp(4 * beyond * min(RADII) / EDGE)))
