"""Numbers and names as texts for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from augface.results import Baseline, Measurement

MISSING = "–"
NOTHING = 1e-9
"""What is smaller is rounding."""
NO_BREAK = "\N{NO-BREAK SPACE}"

DIRECTIONS = {"lower": "Lower is better", "higher": "Higher is better", "target": "Best right at the baseline"}


@dataclass(frozen=True)
class Quantity:
    """A number for people, with the exact one beside it."""

    text: str
    exact: str = ""
    interval: str = ""


def format_number(value: float | None, unit: str = "", *, signed: bool = False, decimals: int | None = None) -> str:
    r"""A number for people, with its unit; `%` takes fractions. Three significant digits, or the given decimals.

    >>> format_number(0.0652, "%")
    '6.5\xa0%'
    >>> format_number(12345, "faces")
    '12,345\xa0faces'
    >>> format_number(0.5), format_number(None), format_number(-0.25, signed=True)
    ('0.500', '–', '−0.250')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    shown = 100 * value if unit == "%" else value
    if abs(shown) < NOTHING:
        shown = 0.0
    if decimals is not None:
        text = f"{shown:z,.{decimals}f}"
    elif unit == "%":
        text = f"{shown:,.1f}" if abs(shown) >= 0.1 or shown == 0 else f"{shown:.2g}"
    elif (shown == round(shown) and abs(shown) < 1e15) or 1000 <= abs(shown) < 1e9:
        text = f"{shown:,.0f}"
    else:
        text = f"{shown:#.3g}".removesuffix(".")
    if signed and value > 0:
        text = "+" + text
    return text.replace("-", "−") + (f"{NO_BREAK}{unit}" if unit else "")


def _decimals(low: float | None, high: float | None, unit: str) -> int | None:
    """Decimals that give half of an interval two digits: as many as a value with that uncertainty deserves."""
    if low is None or high is None or not 0 < high - low < math.inf:
        return None
    half = (high - low) / 2 * (100 if unit == "%" else 1)
    decimals = 1 - math.floor(math.log10(half))
    return max(0, decimals) if decimals <= 6 else None


def quantity_of(number: Measurement | Baseline, unit: str, *, signed: bool = False) -> Quantity:
    """A value with its interval, all to the same decimals."""
    low, high = number.low, number.high
    decimals = _decimals(low, high, unit)
    if decimals is not None and (unit == "%" or number.value == 0):  # a row of zeros says nothing
        decimals = min(decimals, 1 if unit == "%" else 4)
    interval = ""
    if low is not None or high is not None:
        ends = [
            format_number(100 * end if end is not None and unit == "%" else end, signed=signed, decimals=decimals)
            for end in (low, high)
        ]
        interval = " to ".join(ends) + (f"{NO_BREAK}%" if unit == "%" else "")
    return Quantity(
        text=format_number(number.value, unit, signed=signed, decimals=decimals),
        exact="" if number.value is None else repr(number.value),
        interval=interval,
    )


def quantity(measurement: Measurement) -> Quantity:
    """A measurement's value with its interval; a long unit is left to the details."""
    unit = measurement.unit if len(measurement.unit) <= 12 else ""
    return quantity_of(measurement, unit, signed=measurement.signed)


def format_p_value(p_value: float | None) -> str:
    """A p-value for people, or nothing where there is none."""
    if p_value is None:
        return ""
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def label(name: str) -> str:
    """A name for people, of something that has no label of its own.

    >>> label("share_before"), label("worst_group")
    ('Share before', 'Worst group')
    """
    return (name[:1].upper() + name[1:]).replace("_", " ")


def label_of(measurement: Measurement) -> str:
    """A measurement's name for people; results of older formats have no labels."""
    return measurement.label or label(measurement.name)


def format_cell(cell: Any, column: str = "") -> str:
    """A table's cell for people; seeds keep their digits together."""
    if cell is None:
        return MISSING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, (int, float)):
        return str(cell) if column.lower() == "seed" else format_number(cell)
    return str(cell)
