"""What several layers of a ToyFace need to know: proportions, colours, and where things are on the turned head."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from augface.arrays import Booleans
from augface.data.toyfaces.canvas import Colour, Factors, Map, Patch, clip, mix, rounded

SKIN_TONES = (0.0, 0.12, 0.3, 0.5, 0.72, 1.0)
SKIN = (  # red, green and blue at these tones
    (0.99, 0.965, 0.935, 0.835, 0.64, 0.44),
    (0.925, 0.83, 0.735, 0.60, 0.42, 0.285),
    (0.89, 0.735, 0.59, 0.43, 0.285, 0.205),
)
HAIR = {  # dark side, bright side
    "black": (0.055, 0.05, 0.06, 0.23, 0.215, 0.23),
    "brown": (0.21, 0.115, 0.07, 0.50, 0.31, 0.195),
    "blond": (0.66, 0.47, 0.22, 0.985, 0.86, 0.58),
    "gray": (0.49, 0.50, 0.52, 0.88, 0.88, 0.89),
    "red": (0.46, 0.145, 0.06, 0.80, 0.36, 0.17),
    "sandy": (0.40, 0.28, 0.17, 0.70, 0.53, 0.35),
}
IRIS = {
    "brown": (0.34, 0.19, 0.10),
    "hazel": (0.47, 0.35, 0.16),
    "green": (0.33, 0.50, 0.32),
    "blue": (0.30, 0.50, 0.72),
    "gray": (0.46, 0.53, 0.58),
}
GLASSES = {  # half width, half height, how square, how much lower the outer edge hangs
    "round": (0.145, 0.138, 0.0, 0.0),
    "square": (0.152, 0.118, 0.85, 0.0),
    "wide": (0.162, 0.098, 0.6, -0.12),
    "aviator": (0.160, 0.138, 0.35, 0.16),
    "cat": (0.158, 0.100, 0.45, -0.30),
    "half-moon": (0.135, 0.066, 0.30, 0.10),
}
GLASSES_FRAMES = ("whole", "upper", "lower")
HATS = ("beanie", "cap", "brim")
CLOTHES = ("crew", "neckline", "shirt", "suit")
FACIAL_HAIR = ("none", "short", "full", "goatee", "circle", "mustache")
KINDS: dict[str, Collection[str]] = {
    "hair_colour": HAIR,
    "eye_colour": IRIS,
    "glasses_shape": GLASSES,
    "glasses_frame": GLASSES_FRAMES,
    "hat_shape": HATS,
    "clothes": CLOTHES,
    "facial_hair": FACIAL_HAIR,
}
"""The factors that are names, and what they may be."""

BLACK = (0.07, 0.05, 0.06)
WHITE = (1.0, 1.0, 1.0)


class Portrait:
    """What several layers need to know: proportions, colours and where things are on the turned head."""

    def __init__(self, factors: Factors) -> None:
        f = factors
        yaw, pitch = f.exact("yaw"), f.exact("pitch")
        self.turn = [trig(angle).astype(np.float32) for angle in (yaw, pitch) for trig in (np.cos, np.sin)]
        male, chubby, jaw = f("masculinity"), f("chubbiness"), f("jaw_width")
        self.half_width = 0.435 + 0.03 * f("face_width") + 0.045 * chubby + 0.015 * male
        self.chin = 0.575 + 0.05 * f("face_length") + 0.035 * male
        self.taper = 0.33 - 0.2 * jaw - 0.08 * male - 0.16 * chubby
        self.square = 0.12 + 0.3 * jaw + 0.2 * male + 0.2 * chubby
        self.eye_x = 0.188 + 0.028 * f("eye_spacing")
        self.mouth_y = 0.355 + 0.02 * f("face_length") + 0.012 * f("nose_length")
        tone, warmth = f.exact("skin_tone"), f.exact("skin_warmth")
        skin = [np.interp(tone, SKIN_TONES, channel) for channel in SKIN]
        warmed = skin[0] + 0.008 * warmth, skin[1], skin[2] - 0.025 * warmth
        self.skin: Colour = [channel.astype(np.float32) for channel in warmed]
        self.shadow: Colour = [c * k for c, k in zip(self.skin, (0.72, 0.60, 0.57), strict=True)]
        self.bright: Colour = [c + (1 - c) * k for c, k in zip(self.skin, (0.42, 0.36, 0.30), strict=True)]
        self.line: Colour = [c * k for c, k in zip(self.skin, (0.58, 0.44, 0.42), strict=True)]
        hair = f.look_up("hair_colour", HAIR)
        tint = 0.86 + 0.28 * f("hair_tint")
        self.hair_dark: Colour = [c * tint for c in hair[:3]]
        self.hair_bright: Colour = [c * tint for c in hair[3:]]
        self.hair: Colour = mix(self.hair_dark, self.hair_bright, 0.4)

    def take(self, rows: Booleans) -> Portrait:
        """The same of some pictures."""
        part = Portrait.__new__(Portrait)
        for name, value in vars(self).items():
            taken = [channel[rows] for channel in value] if isinstance(value, list) else value[rows]
            setattr(part, name, taken)
        return part

    def place(self, x: float | Map, y: float | Map, depth: float = 0.46) -> tuple[Map, Map, Map]:
        """Where a point of the face lies when the head is turned, and how far its surroundings narrow."""
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self.turn
        across, down = (1 / 0.54) * x, (1 / 0.78) * y
        front = np.sqrt(np.maximum(1 - across * across - down * down, 0.12))
        narrowing = np.clip(cos_yaw - sin_yaw * across / front * 0.8, 0.55, 1.2)
        return x * cos_yaw + depth * front * sin_yaw, y * cos_pitch + depth * front * sin_pitch, narrowing

    def outline(self, patch: Patch) -> tuple[Map, Map, Map]:
        """The signed distance to the outline of the head, and x and y where the head reaches 1."""
        sin_yaw, sin_pitch = self.turn[1], self.turn[3]
        y = patch.y + 0.02
        low = clip(y * (1 / self.chin))
        middle = low * (sin_yaw * 0.16)
        across = (patch.x - middle) / (self.half_width * (1 - self.taper * (low * low)))
        down = np.where(y > 0, y * (1 / (self.chin + 0.05 + 0.25 * sin_pitch)), y * (1 / 0.63))
        return rounded(across, down, self.square) * 0.5, across, down
