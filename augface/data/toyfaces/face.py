"""The neck and the face of a ToyFace: layers that `toy_renderer` lays over each other."""

from __future__ import annotations

import numpy as np

from augface.data.toyfaces.canvas import (
    Canvas,
    blob,
    bump,
    clip,
    ellipse,
    from_hsv,
    mix,
    ramp,
    smooth,
    wave,
)
from augface.data.toyfaces.portrait import BLACK, IRIS, WHITE, Portrait


def neck(canvas: Canvas, portrait: Portrait) -> None:
    """The neck, in the shadow of the chin."""
    f = canvas.factors
    patch = canvas.patch(-0.7, 0.7, 0.25, 1.3)
    width = 0.19 + 0.07 * f("masculinity") + 0.04 * f("chubbiness")
    flare = ramp(patch.y, 0.62, 1.0)
    inside = patch.cover(np.maximum(np.abs(patch.x) - width - 0.35 * flare * flare, 0.35 - patch.y))
    light = clip(0.42 + 0.55 * flare + 0.2 * f("light_x") * patch.x / width)
    under_chin = 1 - ramp(patch.y, portrait.chin + 0.02, portrait.chin + 0.2)
    light *= 1 - 0.75 * under_chin
    patch.paint(mix(portrait.shadow, portrait.skin, light), inside)


def ears(canvas: Canvas, portrait: Portrait) -> None:
    """Both ears; the head covers the one that it is turned to."""
    cos_yaw, sin_yaw = portrait.turn[:2]
    for side in (-1, 1):
        x = side * (portrait.half_width + 0.005) * cos_yaw - 0.10 * sin_yaw
        patch = canvas.patch(x - 0.1, x + 0.1, -0.12, 0.2)
        across, down = (patch.x - x) / 0.062, (patch.y - 0.03 + 0.15 * side * (patch.x - x)) / 0.125
        inside = patch.cover(ellipse(across, down) * 0.065)
        patch.paint(mix(portrait.skin, portrait.shadow, 0.25), inside)
        patch.paint(portrait.shadow, blob(across / 0.75, down / 0.8) * 0.75)


def head(canvas: Canvas, portrait: Portrait) -> None:
    """The head and the light that falls on it."""
    f = canvas.factors
    patch = canvas.patch(-0.55, 0.55, -0.68, 0.74)
    distance, across, down = portrait.outline(patch)
    light = across * (0.26 * f("light_x") - 0.24 * across)
    light += down * (0.26 * f("light_y") - 0.13 * down)
    light += 0.66
    patch.paint(mix(portrait.shadow, portrait.bright, clip(light)), patch.cover(distance))


def relief(canvas: Canvas, portrait: Portrait) -> None:
    """What stands out from the head or lies deep: forehead, chin, sockets of the eyes, and cheeks with their colour."""
    f = canvas.factors
    for height, width, length, strength in ((-0.33, 0.24, 0.2, 0.28), (portrait.chin - 0.09, 0.15, 0.08, 0.24)):
        x, y, _ = portrait.place(0.0, height)
        patch = canvas.patch(x - width, x + width, y - length, y + length)
        patch.paint(portrait.bright, blob((patch.x - x) / width, (patch.y - y) / length) * strength)
    rose = mix(portrait.skin, (0.93, 0.30, 0.33), 0.6)
    glow = 0.22 + 0.2 * np.maximum(f("smile"), 0.0) + 0.15 * f("chubbiness")
    for side in (-1, 1):
        x, y, narrow = portrait.place(side * portrait.eye_x, -0.05)
        patch = canvas.patch(x - 0.18, x + 0.18, y - 0.14, y + 0.14)
        patch.paint(portrait.shadow, blob((patch.x - x) / (0.17 * narrow), (patch.y - y) / 0.13) * 0.32)
        x, y, narrow = portrait.place(side * 0.25, 0.18)
        patch = canvas.patch(x - 0.22, x + 0.22, y - 0.2, y + 0.16)
        u, v = (patch.x - x) / (0.18 * narrow), (patch.y - y) / 0.145
        patch.paint(portrait.bright, blob(u, v + 0.2 * f("smile")) * glow)
        patch.paint(rose, blob(u, v) * (0.12 + 0.68 * f("blush")))


def double_chin(canvas: Canvas, portrait: Portrait) -> None:
    """A crease above the chin."""
    patch = canvas.patch(-0.4, 0.4, portrait.chin - 0.2, portrait.chin + 0.05)
    x = patch.x - portrait.turn[1] * 0.12
    below = portrait.chin - 0.058 - 0.28 * (x * x)
    crease = bump((patch.y - below) / 0.032) * bump(x / 0.3)
    patch.paint(portrait.line, crease * (0.6 * canvas.factors("chubbiness")))


def wrinkles(canvas: Canvas, portrait: Portrait) -> None:
    """Lines of the forehead, below the eyes, at their corners and from the nose down; hollow cheeks."""
    depth = 0.8 * canvas.factors("age") - 0.1
    x, y, _ = portrait.place(0.0, -0.34)
    patch = canvas.patch(x - 0.3, x + 0.3, y - 0.14, y + 0.14)
    lines = np.zeros_like(patch.y)
    for k in (-1, 0, 1):
        curve = y + 0.055 * k - 0.18 * (patch.x - x) * (patch.x - x) * (1 - 0.5 * k)
        lines += patch.stroke(patch.y - curve, 0.016, 0.016)
    patch.paint(portrait.line, lines * bump((patch.x - x) / 0.28) * depth * 0.8)
    for side in (-1, 1):
        x, y, _ = portrait.place(side * portrait.eye_x, 0.065)
        patch = canvas.patch(x - 0.14, x + 0.14, y - 0.05, y + 0.09)
        u = (patch.x - x) / 0.115
        bag = patch.stroke(patch.y - y - 0.04 * (1 - u * u), 0.018, 0.022) * bump(u)
        patch.paint(portrait.line, bag * depth)
        x, y, _ = portrait.place(side * 0.335, -0.02)
        patch = canvas.patch(x - 0.07, x + 0.07, y - 0.08, y + 0.08)
        feet = np.zeros_like(patch.y)
        for k in (-1, 0, 1):
            feet += patch.stroke(patch.y - y - k * (0.02 + 0.35 * side * (patch.x - x)), 0.012, 0.012)
        patch.paint(portrait.line, feet * bump((patch.x - x) / 0.06) * depth * 0.8)
        x, y, narrow = portrait.place(side * 0.175, 0.30)
        patch = canvas.patch(x - 0.2, x + 0.2, y - 0.13, y + 0.2)
        fold = side * (patch.x - x) / narrow - 0.20 * (patch.y - y)
        line = patch.stroke(fold, 0.022, 0.026) * bump((patch.y - y) / 0.12)
        hollow = blob((fold - 0.09) / 0.09, (patch.y - y - 0.03) / 0.15)
        patch.paint(portrait.line, line * depth * 0.9)
        patch.paint(portrait.shadow, hollow * depth * 0.45)


def freckles(canvas: Canvas, portrait: Portrait) -> None:
    """Specks across nose and cheeks."""
    x, y, _ = portrait.place(0.0, 0.14)
    patch = canvas.patch(x - 0.34, x + 0.34, y - 0.13, y + 0.13)
    u, v = patch.x - x, patch.y - y
    specks = clip(wave(9 * u + 0.35 * wave(5 * v)) * wave(10 * v + 0.4 * wave(4 * u + 0.3)) * 2 - 0.9)
    patch.paint(portrait.line, specks * blob(u / 0.34, v / 0.14) * (0.75 * canvas.factors("freckles")))


def nose(canvas: Canvas, portrait: Portrait) -> None:
    """A lit ridge with a side in shadow, the ball and the nostrils."""
    f = canvas.factors
    length = 0.205 + 0.035 * f("nose_length")
    wing = 0.062 + 0.03 * f("nose_width") + 0.01 * f("masculinity")
    root_x, _, _ = portrait.place(0.0, -0.04, 0.48)
    x, y, _ = portrait.place(0.0, length, 0.56)
    patch = canvas.patch(np.minimum(x, root_x) - 0.24, np.maximum(x, root_x) + 0.24, -0.12, y + 0.1)
    along = ramp(patch.y, -0.06, y)
    middle = root_x + along * (x - root_x)
    u = (patch.x - middle) / (0.045 + 0.055 * along)
    fade = smooth(ramp(patch.y, -0.1, 0.02)) * (1 - smooth(ramp(patch.y, y - 0.01, y + 0.05)))
    # The side away from the light, or from the turn of the head, lies in shadow.
    towards = np.clip(f("light_x") * 1.4 - 2.2 * portrait.turn[1], -1, 1)
    patch.paint(portrait.shadow, bump((u + 1.1 * towards) / 1.15) * fade * (0.22 + 0.3 * np.abs(towards)))
    patch.paint(portrait.bright, bump(u / 0.62) * fade * 0.42)
    low = patch.y - y
    ball = (patch.x - x) / wing
    patch.paint(portrait.shadow, blob(ball / 1.35, (low - 0.03) / 0.05) * 0.6)
    patch.paint(mix(portrait.skin, portrait.bright, 0.5), blob(ball / 0.95, (low + 0.012) / 0.06) * 0.6)
    for side in (-1, 1):
        patch.paint(portrait.shadow, blob((ball - side * 1.0) / 0.42, low / 0.045) * 0.55)
        patch.paint(portrait.line, blob((ball - side * 0.52) / 0.40, (low - 0.026) / 0.022) * 0.85)


def mouth(canvas: Canvas, portrait: Portrait) -> None:
    """Lips between two arcs that a smile bends and an open mouth parts; teeth and tongue between them."""
    f = canvas.factors
    smile, lipstick = f("smile"), f("lipstick")
    happy = np.maximum(f("smile"), 0.0)
    gap = f("mouth_open") * (0.072 - 0.012 * happy)
    x, y, narrow = portrait.place(0.0, portrait.mouth_y)
    half = (0.125 + 0.022 * f("mouth_width") + 0.052 * happy) * narrow
    patch = canvas.patch(x - half - 0.14, x + half + 0.14, y - 0.18, y + 0.19)
    u = (patch.x - x) / half
    arc = np.maximum(1 - u * u, 0.0)
    v = patch.y - y - 0.068 * smile * (arc - 0.45)
    full = 0.65 + 0.45 * f("lip_fullness") + 0.15 * lipstick - 0.14 * f("masculinity")
    bow = 1 - 0.30 * bump(u / 0.28) + 0.1 * bump((np.abs(u) - 0.3) / 0.3)
    upper_edge, lower_edge = 0.046 * full * arc * bow, 0.066 * full * arc
    upper_gap, lower_gap = 0.35 * gap * arc, gap * arc
    ends = (np.abs(u) - 1) * half
    lips = patch.cover(np.maximum(np.maximum(-v - upper_gap - upper_edge, v - lower_gap - lower_edge), ends))
    # The creases from the nose to the corners of the mouth, and the shadow under the lower lip.
    crease = patch.stroke(np.abs(u) - 1.14 - 0.20 * ramp(v, -0.12, 0.03), 0.10, 0.14)
    crease *= bump((v + 0.05) / 0.1) * (0.34 * happy + 0.45 * clip(f("age") - 0.5))
    patch.paint(portrait.line, crease)
    patch.paint(portrait.shadow, blob(u / 0.75, (v - gap - 0.066 * full - 0.028) / 0.035) * 0.5)
    natural = mix(portrait.skin, (0.70, 0.22, 0.24), 0.36 - 0.14 * f("masculinity"))
    natural = [c * 0.95 for c in natural]
    worn = from_hsv(0.925 + 0.085 * f("lipstick_hue"), 0.78, 0.80 - 0.14 * f("skin_tone"))
    colour = mix(natural, worn, 0.88 * lipstick)
    shade = np.where(v < 0, 0.86, 1.02)
    patch.paint([c * shade for c in colour], lips)
    gloss = blob(u / 0.42, (v - gap - 0.028 * full) / (0.020 * full)) * (0.22 + 0.28 * lipstick)
    patch.paint(WHITE, gloss * lips)
    inside = patch.cover(np.maximum(np.maximum(-v - upper_gap, v - lower_gap), ends)) * ramp(gap, 0.0, 0.012)
    patch.paint((0.27, 0.07, 0.08), inside)
    tongue = blob(u / 0.6, (v - gap) / (0.55 * gap + 0.004)) * inside
    patch.paint((0.78, 0.36, 0.36), tongue * 0.8)
    teeth = patch.cover(v - (0.25 + 0.45 * happy) * gap * arc, 0.004) * inside
    patch.paint([c * (1 - 0.18 * u * u) for c in (0.98, 0.96, 0.93)], teeth)
    closed = patch.stroke(v, 0.017, 0.004) * clip(1.06 - u * u) * (1 - ramp(gap, 0.0, 0.012))
    patch.paint([c * 0.42 for c in colour], closed * 0.9)
    corner = blob((np.abs(u) - 1.0) / 0.16, (v + 0.004) / 0.026)
    patch.paint(portrait.line, corner * 0.7)


def eyes(canvas: Canvas, portrait: Portrait) -> None:
    """Both eyes with their lids and lashes."""
    for side in (-1, 1):
        _eye(canvas, portrait, side)


def brows(canvas: Canvas, portrait: Portrait) -> None:
    """Both eyebrows."""
    for side in (-1, 1):
        _brow(canvas, portrait, side)


def _eye(canvas: Canvas, portrait: Portrait, side: int) -> None:
    f = canvas.factors
    size, openness, makeup, age = f("eye_size"), f("eye_openness"), f("makeup"), f("age")
    smile = np.maximum(f("smile"), 0.0)
    x, y, narrow = portrait.place(side * portrait.eye_x, -0.03)
    half = (0.098 + 0.014 * size) * narrow
    height = (0.030 + 0.012 * size) * (0.30 + 0.75 * openness) * (1 - 0.05 * smile)
    patch = canvas.patch(x - half - 0.07, x + half + 0.07, y - 0.15, y + 0.09)
    u = (patch.x - x) / half
    tilt = 0.012 * f("eye_tilt") + 0.006 * (1 - f("masculinity"))
    v = patch.y - y + side * tilt * u
    arc = np.maximum(1 - u * u, 0.0)
    arc = arc * (0.72 + 0.28 * arc)
    top, bottom = -1.25 * height * arc, (0.95 - 0.22 * smile) * height * arc
    ends = (np.abs(u) - 1) * half
    # Eye shadow and the crease of the lid.
    tint = from_hsv(0.70 + 0.32 * f("makeup_hue"), 0.45, 0.56 - 0.14 * f("skin_tone"))
    lid = blob(u / 1.25, (v + 0.045) / 0.075)
    patch.paint(tint, lid * (0.95 * makeup))
    crease = patch.stroke(v + 0.028 + 1.25 * height * (0.35 + 0.65 * arc), 0.010, 0.014) * clip(1.15 - u * u)
    patch.paint(portrait.line, crease * (0.5 - 0.2 * makeup + 0.15 * age))
    inside = patch.cover(np.maximum(np.maximum(top - v, v - bottom), ends))
    white = 0.80 + 0.17 * ramp(v - top, 0.0, 0.035)
    patch.paint([white, white * 0.985, white * 0.975], inside)
    # The iris looks where the eyes do, a little towards the viewer when the head is turned away.
    gaze_x = x + (0.028 * f("gaze") - 0.03 * portrait.turn[1]) * narrow
    gaze_v = v - -0.006 - 0.15 * height * (1 - openness)
    radius = 0.046 + 0.006 * size
    iris_x = patch.x - gaze_x
    away = np.sqrt((iris_x / narrow) * (iris_x / narrow) + gaze_v * gaze_v)
    iris = f.look_up("eye_colour", IRIS)
    depth = (0.50 + 0.75 * ramp(gaze_v, -0.8 * radius, radius)) * (1 - 0.5 * ramp(away, 0.74 * radius, radius))
    patch.paint([c * depth for c in iris], patch.cover(away - radius) * inside)
    patch.paint(BLACK, patch.cover(away - 0.46 * radius) * inside)
    glint = patch.cover(np.sqrt((iris_x + 0.016) * (iris_x + 0.016) + (gaze_v + 0.018) * (gaze_v + 0.018)) - 0.0135)
    patch.paint(WHITE, glint * ramp(openness, 0.0, 0.4) * inside * 0.95)
    # Lashes: a line that grows towards the outer corner, longer with make-up.
    outer = side * u
    thick = 0.013 + 0.006 * (1 - f("masculinity")) + 0.010 * makeup
    lash = patch.stroke(v - top + 0.3 * thick, thick * (0.75 + 0.25 * outer), 0.002) * patch.cover(ends - 0.008)
    patch.paint(mix(portrait.line, BLACK, 0.55 + 0.35 * makeup), lash * 0.95)
    wing = patch.stroke(v + 0.25 * (np.abs(u) - 0.9) * half * 2, 0.014) * bump((outer - 1.05) / 0.28)
    patch.paint(BLACK, wing * makeup)
    lower = patch.stroke(v - bottom - 0.003, 0.009, 0.006) * clip(1 - u * u)
    patch.paint(portrait.line, lower * (0.45 + 0.35 * makeup))


def _brow(canvas: Canvas, portrait: Portrait, side: int) -> None:
    f = canvas.factors
    thickness, arch = f("brow_thickness"), f("brow_arch")
    x, y, narrow = portrait.place(side * (portrait.eye_x + 0.005), -0.165 + 0.012 * f("masculinity"))
    half = (0.122 + 0.014 * thickness) * narrow
    patch = canvas.patch(x - half - 0.03, x + half + 0.03, y - 0.08, y + 0.08)
    u = side * (patch.x - x) / half
    curve = y - 0.012 - 0.042 * arch * (1 - (u - 0.25) * (u - 0.25)) - 0.007 * u
    taper = 0.42 + 0.58 * (1 - ramp(u, -0.35, 1.0))
    width = (0.020 + 0.048 * thickness * thickness + 0.012 * thickness) * taper
    brow = patch.stroke(patch.y - curve, width, 0.012) * clip(6 * (1.02 - np.abs(u)))
    gray = f.kind("hair_colour", "gray")
    blond = f.kind("hair_colour", "blond")
    dark = [c * (0.85 - 0.25 * blond - 0.3 * gray) for c in portrait.hair_dark]
    colour = mix(dark, portrait.line, 0.15 + 0.1 * blond)
    patch.paint(colour, brow * (0.74 + 0.22 * thickness))
