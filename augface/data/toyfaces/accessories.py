"""What a ToyFace wears: layers that `toy_renderer` lays over each other."""

from __future__ import annotations

import numpy as np

from augface.data.toyfaces.canvas import (
    Canvas,
    bump,
    ellipse,
    from_hsv,
    mix,
    ramp,
    rounded,
    wave,
)
from augface.data.toyfaces.portrait import GLASSES, WHITE, Portrait


def clothes(canvas: Canvas, portrait: Portrait) -> None:
    """Shoulders and a collar."""
    f = canvas.factors
    patch = canvas.patch(-1.5, 1.5, 0.6, 1.4)
    x = np.abs(patch.x)
    cloth = from_hsv(f("clothes_hue"), 0.5, f("clothes_value"))
    width = 0.80 + 0.1 * f("masculinity") + 0.08 * f("chubbiness")
    slope = x / width
    shoulder = 0.71 - 0.02 * f("masculinity") + 0.26 * slope * slope
    kind = {name: f.kind("clothes", name) for name in ("neckline", "shirt", "suit")}
    depth = 0.80 + 0.16 * kind["neckline"] + 0.1 * (kind["shirt"] + kind["suit"])
    v_shaped = kind["shirt"] + kind["suit"]
    round_neck = ellipse(x / (0.27 + 0.06 * kind["neckline"]), (patch.y - 0.62) / (depth - 0.62)) * 0.2
    v_neck = (patch.y - (depth + 0.05 - 0.95 * x)) * -0.7
    neck = np.where(v_shaped > 0, -v_neck - 0.06, round_neck)
    inside = np.maximum(shoulder - patch.y, -neck)
    alpha = patch.cover(inside * 0.9)
    fold = 0.78 + 0.3 * ramp(patch.x * f("light_x") * -1 + 0.25 * wave(1.3 * x - patch.y), -0.8, 1.0)
    patch.paint([c * fold for c in cloth], alpha)
    collar = patch.stroke(neck + 0.035, 0.05, 0.01) * alpha
    patch.paint(mix(cloth, WHITE, 0.35 + 0.5 * v_shaped), collar * (0.35 + 0.6 * v_shaped))
    lapel = patch.stroke(neck + 0.11, 0.10, 0.01) * alpha * kind["suit"]
    patch.paint([c * 0.6 for c in cloth], lapel)


def earrings(canvas: Canvas, portrait: Portrait) -> None:
    """Golden hoops; one is hidden when the head is turned."""
    cos_yaw, sin_yaw = portrait.turn[:2]
    for side in (-1, 1):
        x = side * (portrait.half_width + 0.012) * cos_yaw - 0.10 * sin_yaw
        patch = canvas.patch(x - 0.1, x + 0.1, 0.12, 0.36)
        away = np.sqrt((patch.x - x) * (patch.x - x) + (patch.y - 0.235) * (patch.y - 0.235))
        hoop = patch.stroke(away - 0.05, 0.024)
        stud = patch.cover(np.sqrt((patch.x - x) * (patch.x - x) + (patch.y - 0.175) * (patch.y - 0.175)) - 0.026)
        shine = 0.82 + 0.18 * wave(6 * (patch.x + patch.y))
        seen = 1 - ramp(side * sin_yaw, 0.06, 0.16)
        patch.paint([shine, shine * 0.86, shine * 0.52], np.maximum(hoop, stud) * seen)


def hat(canvas: Canvas, portrait: Portrait) -> None:
    """A beanie, a cap or a hat with a brim."""
    f = canvas.factors
    patch = canvas.patch(-1.0, 1.0, -1.05, 0.1)
    beanie, cap, brim = (f.kind("hat_shape", kind) for kind in ("beanie", "cap", "brim"))
    colour = from_hsv(f("hat_hue"), 0.5, 0.40 + 0.4 * ((f("hat_hue") * 7) % 1))
    sin_yaw = portrait.turn[1]
    width = portrait.half_width + 0.055 + 0.03 * beanie
    across = patch.x / width
    line = -0.30 - 0.07 * brim + 0.30 * across * across * (0.25 + 0.15 * beanie)
    above = np.minimum(patch.y + 0.28, 0.0) / (0.50 - 0.04 * cap)
    dome = rounded(across, above, 0.35 + 0.25 * brim)
    distance = np.maximum(dome * width, patch.y - line)
    light = 0.74 + 0.22 * f("light_x") * across - 0.16 * f("light_y") - 0.25 * across * across
    knit = 1 + beanie * 0.12 * wave(4.5 * across + 0.2 * wave(3 * patch.y))
    head, _, _ = portrait.outline(patch)
    shadow = patch.cover(patch.y - line - 0.07, 0.1) * patch.cover(head)
    patch.paint(portrait.shadow, shadow * 0.6)
    patch.paint([c * light * knit for c in colour], patch.cover(distance))
    band = patch.cover(np.maximum(distance, line - 0.13 - patch.y))
    patch.paint([c * light * knit * (1.22 * beanie + 0.5 * brim + 0.86 * cap) for c in colour], band)
    # A visor that points where the head does, or a brim all around.
    visor_x = patch.x - 0.30 * sin_yaw
    visor = ellipse(visor_x / 0.42, (patch.y - line + 0.02 - 0.10 * visor_x * visor_x) / 0.085) * 0.1
    wide = ellipse(patch.x / 0.86, (patch.y - line + 0.02 + 0.12 * patch.x * patch.x) / 0.085) * 0.1
    plate = np.where(cap > 0, visor, wide)
    shade = light * (0.70 + 1.6 * ramp(line - patch.y, -0.05, 0.3))
    patch.paint([c * shade for c in colour], patch.cover(plate) * (cap + brim))


def glasses(canvas: Canvas, portrait: Portrait) -> None:
    """Frames, lenses and temples: thick, thin or without a rim, clear, tinted or dark, in place or slid down."""
    f = canvas.factors
    half, height, square, hang = f.look_up("glasses_shape", GLASSES)
    size = f("glasses_size")
    half, height = half * (0.5 + 0.5 * size), height * size
    dark, tint, rim = f("glasses_dark"), f("glasses_tint"), f("glasses_rim")
    metal = f.kind("glasses_shape", "aviator")
    colour = f("glasses_colour")
    plastic = from_hsv(colour * 7.3, 0.2 + 0.6 * colour, 0.05 + 0.85 * colour * colour)
    frame = mix(plastic, (0.58, 0.44, 0.20), 0.85 * metal * (1 - dark))
    metals = mix((0.22, 0.19, 0.17), (0.88, 0.86, 0.82), ramp(colour, 0.45, 0.55))
    frame = mix(metals, frame, ramp(rim, 0.0, 0.4))  # thin frames are of dark or bright metal
    thick = (0.012 + 0.018 * rim) * (1 - 0.25 * metal)
    upper, lower = (f.kind("glasses_frame", kind) for kind in ("upper", "lower"))
    slid = 0.11 * f("glasses_slid")
    patch = canvas.patch(-0.60, 0.60, -0.30, 0.36)
    rims = np.zeros_like(patch.x)
    lenses = np.zeros_like(patch.x)
    glint = np.zeros_like(patch.x)
    inner, outer = [], []
    for side in (-1, 1):
        x, y, narrow = portrait.place(side * (portrait.eye_x + 0.004), -0.022 + slid, 0.5)
        u = (patch.x - x) / (half * narrow)
        v = (patch.y - y - hang * 0.06) / height
        u = u * (1 + 0.9 * np.abs(hang) * ramp(v * np.sign(hang + 1e-6), 0.0, 1.0))
        distance = rounded(u, v, square) * np.minimum(half * narrow, height)
        shown = 1 - upper * ramp(v, -0.15, 0.25) - lower * ramp(-v, -0.15, 0.25)
        rims = np.maximum(rims, patch.stroke(distance, thick) * shown)
        lenses = np.maximum(lenses, patch.cover(distance))
        glint = np.maximum(glint, bump((u + 0.8 * v + 0.55) / 0.3) * patch.cover(distance + 0.03))
        inner.append(x - side * half * narrow)
        outer.append(x + side * half * narrow)
    fade = ramp(patch.y, -0.17, 0.16)
    lens = mix((0.05, 0.05, 0.07), (0.36, 0.30, 0.30), fade)
    tinted = mix((0.80, 0.88, 0.93), from_hsv(0.04 + colour * 0.5, 0.5, 0.55), tint)
    patch.paint(mix(tinted, lens, dark), lenses * (0.03 + 0.25 * tint + 0.82 * dark))
    patch.paint(WHITE, glint * (0.06 + 0.14 * f("glasses_glint") + 0.06 * dark))
    rims = rims * ramp(rim, -0.8, 0.4)  # a lens without a rim has a fine edge
    middle = 0.5 * (inner[0] + inner[1])
    reach = 0.5 * np.abs(inner[1] - inner[0]) + 0.01
    bridge_y = patch.y + 0.055 - slid
    bridge = patch.stroke(bridge_y - 0.6 * (patch.x - middle) * (patch.x - middle) / reach * 0.3, thick)
    rims = np.maximum(rims, bridge * patch.cover(np.abs(patch.x - middle) - reach) * (0.35 + 0.65 * rim))
    distance, _, _ = portrait.outline(patch)
    for side, end in zip((-1, 1), outer, strict=True):
        # temples rise to the ears from where slid glasses end
        rise = 0.9 * slid * ramp((patch.x - end) * side, 0.0, 0.2)
        temple = patch.stroke(patch.y + 0.065 - slid + rise, thick * 0.9) * patch.cover((end - patch.x) * side)
        rims = np.maximum(rims, temple * patch.cover(distance - 0.02) * (0.4 + 0.6 * rim))
    patch.paint(frame, rims * 0.97)
