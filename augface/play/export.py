"""The page as one file: the faces that its sliders can show, made beforehand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from augface.arrays import Pixels
from augface.errors import OutputError
from augface.files import human_bytes
from augface.play.page import whole_page
from augface.play.pictures import webp_address
from augface.play.player import PHOTO, Player, Recipe, Shown, evenly

MOST_BYTES = 2_000_000
"""Of the page."""
SIDE = 128
"""Pixels of the height of a face on the page, at most."""
QUALITY = 82


@dataclass(frozen=True)
class Amount:
    """How much is made beforehand."""

    faces: int
    attributes: int
    stops: int
    """Of each slider."""
    steps: int
    """Between two faces that are mixed."""
    frames: int


AMOUNTS = (
    Amount(8, 8, 9, 7, 24),
    Amount(6, 8, 9, 5, 24),
    Amount(6, 6, 7, 5, 20),
    Amount(5, 5, 7, 3, 16),
    Amount(4, 4, 5, 3, 12),
    Amount(3, 3, 5, 3, 8),
    Amount(2, 2, 3, 1, 6),
)
"""From much to little: the first whose page is small enough is taken."""


def export_page(player: Player, subject: str, *, strengths_note: str = "") -> str:
    """One HTML text that holds everything and asks nothing of anybody, under `MOST_BYTES`.

    Args:
        player: the faces.
        subject: what the page says that it is of.
        strengths_note: why there are no sliders of attributes; empty where there are.

    Raises:
        OutputError: even the fewest faces make it too large.
    """
    one = len(webp_address(player.show(Recipe(first=0)).pixels, QUALITY, side=SIDE))
    for amount in AMOUNTS:
        if one * _pictures(player, amount) > 0.9 * MOST_BYTES and amount is not AMOUNTS[-1]:
            continue
        page = whole_page(player, subject, strengths_note, _prepared(player, amount))
        if len(page.encode()) < MOST_BYTES:
            return page
    raise OutputError(f"The page would be larger than {human_bytes(MOST_BYTES)}, however few faces it held.")


def _pictures(player: Player, amount: Amount) -> int:
    """About how many faces, previews counted as the four faces that their size is of."""
    sliders = min(amount.attributes, len(player.sliders)) * amount.stops
    pairs = amount.faces * (amount.faces - 1) // 2 if player.mixes else 0
    turned = min(amount.attributes, len(player.requestable))
    return amount.faces * (1 + sliders + turned) + pairs * amount.steps + 4 * min(amount.frames, len(player.previews))


def _prepared(player: Player, amount: Amount) -> dict[str, Any]:
    """Everything that the page can show, as JSON can say it."""
    numbers = [*([PHOTO] if player.photo is not None else []), *range(amount.faces)][: amount.faces]
    frames = _frames(player, amount.frames)
    return {
        "numbers": numbers,
        "faces": {str(number): _face(player, number, amount) for number in numbers},
        "ways": {
            f"{first},{second}": _way(player, first, second, amount.steps)
            for first, second in itertools.combinations(numbers if player.mixes else [], 2)
        },
        "frames": frames,
    }


def _face(player: Player, number: int, amount: Amount) -> dict[str, Any]:
    shown = player.show(Recipe(first=number))
    return {
        "image": _webp(shown.pixels, shown.of_photo),
        "requested": shown.requested,
        "sliders": {
            name: _slider(player, number, name, shown, amount.stops) for name in player.sliders[: amount.attributes]
        },
        "turned": [
            {"attribute": one.attribute, "value": one.value, "image": _webp(one.pixels, shown.of_photo)}
            for one in player.turned(Recipe(first=number))[: amount.attributes]
        ],
    }


def _slider(player: Player, number: int, name: str, shown: Shown, stops: int) -> list[dict[str, Any]]:
    """The stops of a slider, evenly from the least to the greatest strength, and 0, which is the face itself."""
    answer = shown.answers[name]
    strengths = sorted({0.0, *np.round(np.linspace(answer.low, answer.high, stops), 2).tolist()})
    pictures = player.pictures([Recipe(first=number, strengths={name: one}) for one in strengths])
    return [
        {"strength": one, "image": _webp(pixels, shown.of_photo) if one else None}
        for one, pixels in zip(strengths, pictures, strict=True)
    ]


def _way(player: Player, first: int, second: int, steps: int) -> list[str]:
    shares = np.linspace(0, 1, steps + 2)[1:-1].tolist()
    pictures = player.pictures([Recipe(first=first, second=second, share=share) for share in shares])
    return [_webp(pixels, PHOTO in (first, second)) for pixels in pictures]


def _frames(player: Player, most: int) -> list[dict[str, Any]]:
    rows = evenly(len(player.previews), most)
    pictures = [(player.previews[row][0], player.frame(row)) for row in rows]
    return [
        {"images": seen, "image": webp_address(one, 75, side=2 * SIDE)} for seen, one in pictures if one is not None
    ]


def _webp(pixels: Pixels, of_photo: bool) -> str:
    return webp_address(pixels, QUALITY, of_photo=of_photo, side=SIDE)
