"""The hair of a ToyFace, on head and face: layers that `toy_renderer` lays over each other."""

from __future__ import annotations

import numpy as np

from augface.data.toyfaces.canvas import (
    Canvas,
    Factors,
    Map,
    Patch,
    blob,
    bump,
    clip,
    ellipse,
    mix,
    ramp,
    rounded,
    smooth,
    wave,
)
from augface.data.toyfaces.portrait import WHITE, Portrait


def hair_behind(canvas: Canvas, portrait: Portrait) -> None:
    """What falls behind the neck."""
    patch = canvas.patch(-0.7, 0.7, 0.1, 1.3)  # what is above lies behind the head
    colour = mix(portrait.hair_dark, portrait.hair_bright, 0.12 + 0.08 * wave(5 * patch.x))
    shape = np.maximum(_hair_shape(patch, portrait, canvas.factors), 0.16 - patch.y)
    patch.paint([c * 0.72 for c in colour], patch.cover(shape, 0.015))


def hair(canvas: Canvas, portrait: Portrait) -> None:
    """All hair outside the opening for the face."""
    f = canvas.factors
    wide = 0.64 + 0.3 * canvas.factors("hair_length")
    patch = canvas.patch(-wide, wide, -0.92, 0.1 + 1.3 * canvas.factors("hair_length"))
    outer = _hair_shape(patch, portrait, canvas.factors)
    length, part, male = f("hair_length"), f("hair_part"), f("masculinity")
    long = ramp(length, 0.2, 0.45)
    # The opening for the face: an arch, pinched towards a parting in long hair, square in short hair.
    x = patch.x - portrait.turn[1] * 0.10
    top = -0.415 - 0.17 * f("hairline") + 0.03 * long
    middle = 0.08
    height = middle - top
    rise = clip((middle - patch.y) / height)
    inner = portrait.half_width * (0.965 - 0.075 * long) - 0.03 * male * (1 - long)
    lean = part * (0.16 + 0.06 * long) * rise
    recede = f("hairline") * bump((np.abs(x) - 0.24) / 0.16) * 0.10 * (1 - long)
    above = np.minimum((patch.y - middle - recede) / height, 0.0)
    opening = rounded((x - lean) / inner, above, 0.55 - 1.1 * long)
    below = ramp(patch.y, 0.35, 0.9)
    opening = (opening - 0.14 * below * long) * 0.36
    alpha = patch.cover(np.maximum(outer, -opening), 0.012)
    strands = _strands(patch, f)
    gloss = bump((outer + 0.10 + 0.03 * strands) / 0.07) * ramp(patch.y, -0.2, -0.6) * 0.34
    side_light = 0.22 * f("light_x") * patch.x + 0.1 * f("light_y") * (patch.y + 0.4)
    tone = clip(0.85 * strands + gloss + side_light - 0.06)
    # Hair casts a soft shadow on the face.
    fallen = patch.cover(np.maximum(outer + 0.06, 0.045 - opening), 0.08)
    patch.paint(portrait.shadow, fallen * 0.35)
    patch.paint(mix(portrait.hair_dark, portrait.hair_bright, tone), alpha)


def bangs(canvas: Canvas, portrait: Portrait) -> None:
    """A fringe over the forehead."""
    f = canvas.factors
    patch = canvas.patch(-0.56, 0.56, -0.75, 0.05)
    x = patch.x - portrait.turn[1] * 0.16
    u = x / portrait.half_width
    part = f("hair_part")
    run = 3.4 * (u + 0.35 * part * (patch.y + 0.5))
    jag = 0.022 * wave(run) + 0.016 * wave(2.3 * run + 0.3)
    edge = -0.215 + 0.13 * u * u + 0.05 * part * u + jag
    distance, _, _ = portrait.outline(patch)
    within = patch.cover(distance - 0.03) * ramp(patch.y, -0.66, -0.5)
    shadow = patch.cover(patch.y - edge - 0.03, 0.06) * within * 0.4
    patch.paint(portrait.shadow, shadow)
    tone = 0.46 + 0.15 * wave(run * 1.15 + 0.2) + 0.1 * wave(run * 2.6) + 0.24 * bump((patch.y + 0.42) / 0.13)
    tone = clip(tone + 0.15 * f("light_x") * patch.x)
    patch.paint(mix(portrait.hair_dark, portrait.hair_bright, tone), patch.cover(patch.y - edge, 0.012) * within)


def bald_shine(canvas: Canvas, portrait: Portrait) -> None:
    """The shine of a bald head, and the rim of hair that is left."""
    f = canvas.factors
    patch = canvas.patch(-0.56, 0.56, -0.7, 0.2)
    x = patch.x - 0.16 * f("light_x") - 0.1 * portrait.turn[1]
    patch.paint(WHITE, blob(x / 0.2, (patch.y + 0.47) / 0.11) * 0.38)
    # What is left: a short rim above the ears, more of it with age.
    distance, across, _ = portrait.outline(patch)
    rim = smooth(ramp(np.abs(across), 0.86, 1.0)) * bump((patch.y + 0.1) / 0.22) * patch.cover(distance - 0.012)
    patch.paint(portrait.hair, rim * (0.3 + 0.6 * f("age")))


def beard(canvas: Canvas, portrait: Portrait) -> None:
    """Hair on jaw and chin."""
    f = canvas.factors
    x, y, narrow = portrait.place(0.0, portrait.mouth_y)
    patch = canvas.patch(-0.64, 0.64, -0.25, 0.9)
    distance, across, _ = portrait.outline(patch)
    u, v = (patch.x - x) / (0.15 * narrow), patch.y - y
    short, full, goatee, circle = (f.kind("facial_hair", kind) for kind in ("short", "full", "goatee", "circle"))
    texture = wave(4.5 * u + 0.4 * wave(2.2 * patch.y)) * 0.5 + wave(9 * patch.y + 2 * u) * 0.35
    # Jaw: from the sideburns down, below the cheeks; the chin alone for a goatee; around the mouth for a circle.
    cheek_line = 0.34 - 0.36 * across * across
    jaw = smooth(ramp(patch.y - cheek_line, -0.02, 0.07))
    jaw *= np.maximum(ramp(np.abs(u), 0.75, 1.05), ramp(v, 0.02, 0.1))
    upper_lip = bump(u / 1.15) * bump((v + 0.075) / 0.05)
    grown = (full * jaw + short * np.maximum(jaw, upper_lip)) * patch.cover(distance - 0.035 * full, 0.03)
    low = portrait.chin - y
    chin = 1 - smooth(ramp(ellipse(u / 0.78, (v - 0.78 * low) / (0.42 * low + 0.02)), -0.25, 0.12))
    sides = bump((np.abs(u) - 1.14) / 0.36) * ramp(v, -0.09, -0.03) * (1 - ramp(v, 0.12, 0.22))
    around = np.maximum((goatee + circle) * chin, circle * sides)
    colour = mix(portrait.hair_dark, portrait.hair_bright, clip(0.25 + 0.22 * texture))
    alpha = clip(np.maximum(grown * (0.9 - 0.42 * short), 0.9 * around))
    patch.paint(mix(colour, portrait.line, 0.45 * short), alpha)


def mustache(canvas: Canvas, portrait: Portrait) -> None:
    """Hair above the upper lip."""
    x, y, narrow = portrait.place(0.0, portrait.mouth_y - 0.062, 0.48)
    half = 0.165 * narrow
    patch = canvas.patch(x - 0.22, x + 0.22, y - 0.08, y + 0.11)
    u = (patch.x - x) / half
    droop = patch.y - y - 0.042 * u * u - 0.006
    width = 0.040 * np.sqrt(np.maximum(1 - u * u, 0.0)) * (1 - 0.25 * bump(u / 0.2))
    texture = wave(3.2 * u) * wave(6 * patch.y + u)
    colour = mix(portrait.hair_dark, portrait.hair_bright, clip(0.25 + 0.25 * texture))
    patch.paint(colour, patch.cover(np.maximum(np.abs(droop) - width, (np.abs(u) - 1) * half), 0.018) * 0.94)


def _strands(patch: Patch, f: Factors) -> Map:
    """Light and dark along the hair: 0.5 on average."""
    waviness = f("hair_wave")
    fall = patch.y + 0.95
    ripple = wave(1.7 * patch.y + 0.5 * np.abs(patch.x))
    run = (patch.x - 0.14 * f("hair_part")) / (0.28 + 0.75 * clip(fall)) + (0.09 * waviness) * ripple
    broad = wave(2.3 * run + f("hair_tint"))
    curls = wave(4.2 * patch.x + 0.5 * ripple) * wave(4.4 * patch.y + 0.5 * broad)
    curls *= 0.30 * ramp(waviness, 0.4, 1.0)
    curls += 0.13 * broad
    curls += 0.12 * wave(5.1 * run + 0.2 * ripple)
    curls += (0.10 * ramp(patch.pixel, 0.06, 0.02)) * wave(11.7 * run)
    curls += 0.5
    return curls


def _hair_shape(patch: Patch, portrait: Portrait, f: Factors) -> Map:
    """The signed distance to the outer outline of the hair."""
    length, volume, waviness = f("hair_length"), f("hair_volume"), f("hair_wave")
    hat = f("hat")
    long = ramp(length, 0.2, 0.45)
    volume = volume * (1 - 0.85 * hat)
    x = patch.x + 0.05 * portrait.turn[1]
    width = portrait.half_width + 0.012 + 0.035 * volume + long * (0.022 + 0.06 * volume)
    tall = 0.56 + 0.03 * long + 0.12 * volume
    end = -0.05 + 0.02 * f("hair_tint") + 1.15 * length + 0.08 * long
    y = patch.y + 0.13
    up = np.minimum(y, 0.0) / tall
    down = clip(y / (end + 0.13))
    bulge = 1 + down * (0.27 * long - 0.30 * long * down)
    ripple = waviness * (0.012 + 0.03 * long)
    edge = ripple * (wave(1.9 * patch.y + 0.15) + 0.8 * wave(4.1 * patch.y + 2.6 * patch.x))
    sides = rounded(x / (width * bulge), up, 0.22) * (width * 0.97)
    return np.maximum(sides, (patch.y - end + 0.08 * wave(2.6 * patch.x) * long) * 0.8) - edge
