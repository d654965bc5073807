"""How bad a number is: the one rule by which measurements pass, warn or fail."""

from __future__ import annotations

from typing import Literal

import numpy as np

Severity = Literal["pass", "warn", "fail", "info"]

WARN, FAIL = 0.02, 0.5
"""Shares of the way from real faces' number to a useless one."""


def severity(number: tuple[float, float, float], real: tuple[float, float, float], useless: float) -> Severity:
    """Pass, warn or fail, by how far a number certainly is from real faces' own, on the way to a useless one.

    A number whose interval reaches that of real faces passes. Else its better end counts: it fails from half of the
    way on, and warns from a fiftieth on; what is less may be certain and matters to no one.

    >>> severity((0.79, 0.75, 0.83), (0.77, 0.74, 0.80), useless=0)  # precision
    'pass'
    >>> severity((0.02, 0.01, 0.03), (0.75, 0.72, 0.78), useless=0)  # recall
    'fail'
    >>> severity((0.028, 0.026, 0.030), (0.0003, 0.0, 0.001), useless=0.15)  # kernel distance
    'warn'

    Args:
        number: the value and its interval, low and high.
        real: the same of real faces.
        useless: what faces would have that are of no use; that it is above real faces' number says that lower is
            better.

    Returns:
        `info` where a number is not known.
    """
    value, low, high = number
    real_value, real_low, real_high = real
    way = useless - real_value
    if not np.isfinite([value, low, high, real_value, real_low, real_high, way]).all() or way == 0:
        return "info"
    is_worse = low > real_high if way > 0 else high < real_low
    share = ((low if way > 0 else high) - real_value) / way
    if not is_worse or share < WARN:
        return "pass"
    return "fail" if share >= FAIL else "warn"
