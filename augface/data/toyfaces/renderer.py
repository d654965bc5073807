"""How ToyFaces look: from the factors of `toyfaces` to pictures.

A portrait is laid down from back to front, each layer in the smallest box that holds it and only on the pictures that
have it. A turn of the head moves each feature as a point on an ellipsoid would move. `toy_canvas` has the shapes,
`toy_portrait` the proportions and colours, `toy_face`, `toy_hair` and `toy_wear` the layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Integers, Pixels
from augface.data.toyfaces import accessories, face, hair
from augface.data.toyfaces.canvas import Canvas, Factors, blob, clip, from_hsv, mix, ramp, smooth
from augface.data.toyfaces.portrait import KINDS, WHITE, Portrait
from augface.errors import UnknownNameError
from augface.progress import progress
from augface.threads import cores, in_order

_PIXELS_AT_ONCE = 32 * 64 * 64  # a batch of this size stays in the processor's cache

Layer = Callable[[Canvas, Portrait], None]
PARTS: dict[str, tuple[Layer, ...]] = {
    "hair": (hair.hair_behind, hair.hair, hair.bangs),
    "beard": (hair.beard,),
    "mustache": (hair.mustache,),
    "mouth": (face.mouth,),
    "nose": (face.nose,),
    "eyes": (face.eyes,),
    "brows": (face.brows,),
    "glasses": (accessories.glasses,),
    "earrings": (accessories.earrings,),
    "hat": (accessories.hat,),
    "clothes": (accessories.clothes,),
}
"""The parts that have masks, each with the layers that draw it."""
_VISIBLE = 8
"""Of 255: a pixel belongs to a part from this difference on."""


def render(factors: pd.DataFrame, size: int) -> Pixels:
    """The pictures of these factors.

    Args:
        factors: one row a picture, with the columns that `toyfaces.sample_population` gives; change any and draw again.
        size: height and width in pixels. The same faces at every size, only finer.

    Returns:
        RGB, (N, size, size, 3). A picture depends on its own row alone.

    Raises:
        DataError: a factor is missing.
        UnknownNameError: a colour or shape has a name that is not known.
    """
    return _rendered(factors, size)


def render_mask(factors: pd.DataFrame, size: int, part: str) -> Booleans:
    """Where a part of each face is seen: the pixels that would be others if the part were not drawn.

    What covers a part is not part of it; the shadow that it casts is.

    Args:
        factors: as for `render`.
        size: height and width in pixels.
        part: one of `PARTS`.

    Returns:
        (N, size, size).

    Raises:
        DataError: a factor is missing.
        UnknownNameError: there is no such part.

    >>> from augface.data.toyfaces import sample_population
    >>> factors, _, _ = sample_population(20, 0)
    >>> seen = render_mask(factors, 32, "glasses").any(axis=(1, 2))
    >>> bool((seen == factors["glasses"]).all())
    True
    """
    if part not in PARTS:
        raise UnknownNameError("part of a toy face", part, PARTS)
    whole, without = _rendered(factors, size), _rendered(factors, size, frozenset(PARTS[part]))
    difference = np.abs(whole.astype(np.int16) - without).max(axis=-1)
    return np.asarray(difference >= _VISIBLE)


def _rendered(factors: pd.DataFrame, size: int, without: frozenset[Layer] = frozenset()) -> Pixels:
    everything = Factors.of_table(factors)
    for name, known in KINDS.items():
        for kind in set(everything.column(name)) - set(known):
            raise UnknownNameError(name.replace("_", " "), str(kind), known)
    at_once = max(1, _PIXELS_AT_ONCE // (size * size))
    alike = np.argsort(everything.column("yaw"), kind="stable")  # heads turned alike share small boxes
    batches = [alike[start : start + at_once] for start in range(0, len(alike), at_once)]

    def drawn(rows: Integers) -> Pixels:
        batch = everything.take(rows)
        canvas = Canvas(batch, np.zeros((3, len(batch), size, size), dtype=np.float32))
        _draw(canvas, without)
        colour = canvas.colour
        clip(colour)
        colour *= 255
        colour += 0.5
        return np.moveaxis(colour, 0, -1).astype(np.uint8)

    pictures = np.empty((len(factors), size, size, 3), dtype=np.uint8)
    with progress(total=len(factors), desc="drawing faces", unit="face", leave=False) as bar:
        for rows, batch in zip(batches, in_order(drawn, batches, workers=cores(), ahead=2 * cores()), strict=True):
            pictures[rows] = batch
            bar.update(len(rows))
    return pictures


def _draw(canvas: Canvas, without: frozenset[Layer]) -> None:
    factors, portrait = canvas.factors, Portrait(canvas.factors)
    everyone = np.ones(len(factors), dtype=np.bool_)
    haired = ~factors.rows("bald")
    long = factors.column("hair_length") > 0.2
    for layer, rows in (
        (_background, everyone),
        (hair.hair_behind, haired & long),
        (face.neck, everyone),
        (accessories.clothes, everyone),
        (face.ears, everyone),
        (face.head, everyone),
        (face.relief, everyone),
        (face.double_chin, factors.column("chubbiness") > 0.4),
        (face.wrinkles, factors.column("age") > 0.45),
        (face.freckles, factors.column("freckles") > 0),
        (hair.beard, factors.rows("facial_hair", "short", "full", "goatee", "circle")),
        (face.mouth, everyone),
        (hair.mustache, factors.rows("facial_hair", "full", "circle", "mustache")),
        (face.nose, everyone),
        (face.eyes, everyone),
        (face.brows, everyone),
        (accessories.glasses, factors.rows("glasses")),  # under the hair, which may hide much of them
        (hair.hair, haired & long),  # apart from short hair, which needs a smaller box
        (hair.hair, haired & ~long),
        (hair.bangs, haired & factors.rows("bangs")),
        (hair.bald_shine, ~haired),
        (accessories.earrings, factors.rows("earrings")),
        (accessories.hat, factors.rows("hat")),
        (_light, everyone),
    ):
        if layer in without:
            continue
        if rows.all():
            layer(canvas, portrait)
        elif rows.any():
            part = canvas.take(rows)
            layer(part, portrait.take(rows))
            canvas.put(rows, part)


def _background(canvas: Canvas, portrait: Portrait) -> None:
    f, patch = canvas.factors, canvas.whole()
    hue, saturation, value = (f(f"background_{name}") for name in ("hue", "saturation", "value"))
    top, bottom = from_hsv(hue, saturation, value), from_hsv(hue + 0.06, saturation * 1.15, value * 0.72)
    glow = mix(top, WHITE, 0.45)
    seed = f.exact("background_seed")
    lift = smooth(ramp(patch.y + 0.25 * f("light_x") * patch.x, -1.2, 1.3))
    for channel, first, last in zip(patch.colour, top, bottom, strict=True):
        channel[...] = first + lift * (last - first)
    spots = np.zeros_like(lift)
    for k in range(3):
        x, y, radius = (
            ((seed * factor + k * step) % 1).astype(np.float32)
            for factor, step in ((0.754877, 0.41), (0.569840, 0.77), (0.3247179, 0.29))
        )
        spread = 0.3 + 0.45 * radius
        spots = np.maximum(spots, blob((patch.x - (2.4 * x - 1.2)) / spread, (patch.y - (1.9 * y - 1.1)) / spread))
    patch.paint(glow, spots * 0.5)


def _light(canvas: Canvas, portrait: Portrait) -> None:
    """The colour and strength of the light over all, a little darker in the corners."""
    f, patch = canvas.factors, canvas.whole()
    warmth, exposure = f("light_warmth"), f("exposure")
    corner = 1 - 0.11 * (patch.x * patch.x * (patch.y * patch.y)) - 0.05 * (patch.y * patch.y)
    level = corner * exposure
    patch.shade([1 + 0.03 * warmth, np.ones_like(warmth), 1 - 0.05 * warmth], np.ones_like(warmth))
    for channel in patch.colour:
        channel *= level
