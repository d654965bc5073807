"""How long to train: in images, or in time that is turned into images once the speed is known."""

from __future__ import annotations

import functools
import logging
import math
import re
from dataclasses import dataclass
from typing import Literal

from augface.errors import UsageError
from augface.progress import in_words

LITTLE = 1_000
"""Images below which a number without a unit is remarked on: minutes may have been meant."""

log = logging.getLogger("augface")

_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000, "s": 1, "m": 60, "h": 3_600}

ENOUGH_IMAGES = 75_000
"""Images that a generator learns from until what it makes is taken for faces; see docs/results.md."""


@dataclass(frozen=True)
class Budget:
    """An amount of training."""

    amount: float
    unit: Literal["images", "seconds"]

    def __str__(self) -> str:
        """As `parse_budget` reads it.

        >>> str(Budget(1200, "seconds")), str(Budget(75_000, "images"))
        ('20m', '75k')
        """
        units = ("h", "m", "s") if self.unit == "seconds" else ("M", "k", "")
        unit = next((unit for unit in units if self.amount >= _FACTORS[unit]), units[-1])
        digits = 1 if self.amount >= 10 * _FACTORS[unit] else 10
        return f"{math.ceil(round(digits * self.amount / _FACTORS[unit], 6)) / digits:g}{unit}"


def parse_budget(text: str) -> Budget:
    """Read `200k` or `64` (images), `30s`, `10m` or `2h` (time).

    Raises:
        UsageError: none of these forms, or nothing at all.

    >>> parse_budget("200k"), parse_budget("10m")
    (Budget(amount=200000.0, unit='images'), Budget(amount=600.0, unit='seconds'))
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMsmh]?)", text.strip())
    if not match or float(match[1]) == 0 or (match[2] == "" and float(match[1]) < 1):
        raise UsageError(f"The budget {text!r} is neither images (64, 200k, 1M) nor time (30s, 10m, 2h).")
    if match[2] == "" and float(match[1]) < LITTLE:
        _remark_on_little(match[1])
    return Budget(float(match[1]) * _FACTORS[match[2]], "seconds" if match[2] in ("s", "m", "h") else "images")


@functools.cache
def _remark_on_little(number: str) -> None:
    """Say once what a small number without a unit is taken for."""
    log.warning(
        f"The budget {number} is taken for {number} images. Say {number}m for minutes, or {number}k for thousands."
    )


def longer_budget(text: str, factor: int = 4, *, least: int = 0, images: int = 0, seconds: float = 0.0) -> str:
    """A budget several times as long, or as long as so many images take, in the same unit or the next larger one.

    Args:
        text: the budget that was too short.
        factor: how many times as long.
        least: images that the longer one should be enough for.
        images: what the short one was enough for.
        seconds: how long that took.

    >>> longer_budget("5m"), longer_budget("30m"), longer_budget("4k"), longer_budget("400k")
    ('20m', '2h', '16k', '1.6M')
    >>> longer_budget("5m", least=75_000, images=1_520, seconds=300)
    '4.2h'
    """
    budget = parse_budget(text)
    needed = least if budget.unit == "images" else least * seconds / max(1, images)
    return str(Budget(max(budget.amount * factor, needed), budget.unit))


def forecast(budget: Budget, images_per_second: float) -> str:
    """What a budget is enough for at this speed, and how long it takes to have enough where it is not.

    >>> forecast(Budget(300, "seconds"), 140)
    '140 images a second: 5m is enough for about 42,000 images; good faces take about 75,000, in 9 minutes.'
    >>> forecast(Budget(200_000, "images"), 140)
    '140 images a second: 200k take about 24 minutes.'
    """
    speed = f"{images_per_second:,.3g} images a second: {budget}"
    if budget.unit == "images":
        return f"{speed} take about {in_words(budget.amount / images_per_second)}."
    images = round(budget.amount * images_per_second, -2 if budget.amount * images_per_second < 10_000 else -3)
    lack = ""
    if images < ENOUGH_IMAGES:
        lack = f"; good faces take about {ENOUGH_IMAGES:,}, in {in_words(ENOUGH_IMAGES / images_per_second)}"
    return f"{speed} is enough for about {images:,.0f} images{lack}."
