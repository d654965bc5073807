"""Measurements in words: one row each, with the place of its value on a scale."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from augface.data.groups import Subgroup
from augface.report.words import DIRECTIONS, MISSING, Quantity, format_p_value, label_of, quantity, quantity_of
from augface.results import Measurement

Facts = list[tuple[str, str]]
"""Names with their values, in words."""


@dataclass(frozen=True)
class Strip:
    """Where a value, its interval and its baseline lie on a common scale, in percent of its width."""

    value: float
    interval: tuple[float, float] | None
    baseline: tuple[float, float] | None
    zero: float


@dataclass(frozen=True)
class Row:
    """One measurement in words."""

    label: str
    name: str
    group: str
    meaning: str
    value: Quantity
    unit: str
    baseline: Quantity | None
    verdict: str
    direction: str
    n: str
    p_value: str
    space: str
    protocol: Facts
    found: Facts
    strip: Strip | None


def row_of(measurement: Measurement, *, name_space: bool = False) -> Row:
    """In words; with its feature space where the same is measured in several."""
    baseline = measurement.baseline
    name = label_of(measurement)
    if measurement.arm:
        name = f"{name}: {measurement.arm}"
    elif measurement.attribute and not measurement.group:
        name = f"{name}: {measurement.attribute}"
    if name_space and measurement.space:
        name = f"{name} ({measurement.space})"
    return Row(
        label=name,
        name=f"{measurement.evaluator}.{measurement.name}",
        group=str(Subgroup(measurement.group)),
        meaning=measurement.meaning,
        value=quantity(measurement),
        unit=measurement.unit,
        baseline=quantity_of(baseline, measurement.unit if measurement.unit == "%" else "") if baseline else None,
        verdict=measurement.verdict,
        direction="" if measurement.direction == "target" and not baseline else DIRECTIONS[measurement.direction],
        n=counts_of(measurement),
        p_value=format_p_value(measurement.p_value),
        space=measurement.space or "",
        protocol=facts_of(to_jsonable_python(measurement.protocol, fallback=str)),
        found=facts_of(to_jsonable_python(measurement.found, fallback=str)),
        strip=_strip(measurement),
    )


def counts_of(measurement: Measurement) -> str:
    """How many faces a number is of."""
    sides = ((measurement.n_real, "real"), (measurement.n_fake, "synthetic"))
    return ", ".join(f"{count:,} {side}" for count, side in sides if count is not None)


def _strip(measurement: Measurement) -> Strip | None:
    """Where things lie between zero and the largest of them; for shares, between 0 and 100 %."""
    baseline = measurement.baseline
    value, low, high = measurement.value, measurement.low, measurement.high
    band = (
        (
            (baseline.low if baseline.low is not None else baseline.value),
            (baseline.high if baseline.high is not None else baseline.value),
        )
        if baseline
        else (None, None)
    )
    known = [number for number in (value, low, high, *band) if number is not None]
    has_range = any(number is not None for number in (low, high, *band)) or measurement.unit == "%"
    if value is None or not has_range:
        return None
    start = min(0.0, *known)
    end = max(1.0, *known) if measurement.unit == "%" else max(0.0, *known)
    start, end = (start * 1.08, end) if measurement.unit == "%" else (start * 1.08, end * 1.08)
    if not 0 < end - start < math.inf:
        return None

    def place(number: float) -> float:
        return round(100 * (number - start) / (end - start), 1)

    return Strip(
        value=place(value),
        interval=(place(low), place(high)) if low is not None and high is not None else None,
        baseline=(place(band[0]), place(band[1])) if band[0] is not None and band[1] is not None else None,
        zero=place(0),
    )


def _scalar(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def facts_of(mapping: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Nested settings as pairs of a dotted name and a text; what is deeper than six levels stays JSON."""
    facts: list[tuple[str, str]] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < 6:
            facts += facts_of(value, f"{name}.", depth + 1)
        elif isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
            facts.append((name, ", ".join(_scalar(item) for item in value) or MISSING))
        elif isinstance(value, (dict, list)):
            facts.append((name, json.dumps(value, ensure_ascii=False) if value else MISSING))
        else:
            facts.append((name, _scalar(value)))
    return facts
