"""Where the faces of a photo are, and the landmarks of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from augface.alignment.networks import MESH_SIZE, networks
from augface.alignment.warp import crop, move
from augface.arrays import Floats64
from augface.tensors import from_pixels

TURNS = (0, 1, 2, 3)
"""Quarter turns of a photo: the detector knows upright faces only."""
LOOKS = ((128, TURNS), (256, TURNS), (512, TURNS[:1]), (512, TURNS[1:]))
"""How faces are looked for until one is found: pixels of the photo's longer side, and turns."""
LOOKS_FOR_ALL = ((128, TURNS), (256, TURNS), (512, TURNS), (1024, TURNS[:1]))
"""The same where all faces are wanted; all ways are tried."""
MOST_ENLARGED = 3
"""How many times a photo is enlarged at most to look at it once more."""
MIN_SCORE = 0.5
"""The probability from which on the detector's faces are looked at."""
MIN_PRESENCE = 0.95
"""The probability, as the mesh gives it, from which on they are faces."""
OVERLAP = 0.3
"""Two boxes that share this part of their joint area or more are of one face."""
MAX_DISAGREEMENT = 0.5
"""How far apart the two networks may see an eye, the nose or the mouth, in distances between the eyes."""
CONTEXT = 1.5
"""How much wider the picture that the mesh takes is than the face."""
PASSES = 2
"""How often the mesh looks, each time where the landmarks were found before."""
POINTS = ((33, 133, 159, 145), (263, 362, 386, 374), (1,), (61,), (291,))
"""The landmarks whose means are the five points."""
CHEEKS = (234, 454)


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was found.

    Attributes:
        landmarks: float64 (468, 3): x and y in pixels of the photo, and depth on the same scale.
        score: the probability that it is a face, from 0 to 1.
    """

    landmarks: Floats64
    score: float

    @cached_property
    def points(self) -> Floats64:
        """Five points, float64 (5, 2): the middles of the right and left eye, the tip of the nose, the corners of the
        mouth; right and left are the person's, so that the right eye is the first from the left in an upright face."""
        return np.array([self.landmarks[list(point), :2].mean(axis=0) for point in POINTS])

    @property
    def yaw(self) -> float:
        """How far the head is turned to a side, in degrees; 0 looks at the camera and 90 is a profile."""
        across = self.landmarks[CHEEKS[1]] - self.landmarks[CHEEKS[0]]
        return float(np.degrees(np.arctan2(abs(across[2]), np.hypot(across[0], across[1]))))

    @property
    def width(self) -> float:
        """The distance of the farthest landmarks along the line between the eyes, in pixels of the photo."""
        right, left = self.points[:2]
        along = self.landmarks[:, :2] @ ((left - right) / np.linalg.norm(left - right))
        return float(np.ptp(along))


def find_faces(photo: Image.Image, *, every: bool = False) -> list[Face]:
    """The faces of an RGB photo of any size, turned in any way, the largest first.

    The detector looks at the photo turned by quarters, at growing sizes, until a face is found; of what it finds the
    mesh says whether it is a face.

    Args:
        photo: the photo.
        every: look for small faces, too, where larger ones were found.
    """
    looks = LOOKS_FOR_ALL if every else LOOKS
    unit = max(1, max(photo.size) // looks[-1][0])
    small = photo.reduce(unit)
    faces: list[Face] = []
    for level, turns in looks:
        if (faces and not every) or (level > looks[0][0] and level > MOST_ENLARGED * max(photo.size)):
            break
        for middle, side, points in _detected(small, level, turns):
            if not any(_holds(face, middle * unit) for face in faces):
                face = _meshed(photo, middle * unit, side * unit, points * unit)
                faces += [] if face is None else [face]
    return sorted(faces, key=lambda face: -face.width)


def _detected(photo: Image.Image, level: int, turns: tuple[int, ...]) -> list[tuple[Floats64, float, Floats64]]:
    """What may be faces, the likeliest first: the middle (2,), the side of the box, and six points (6, 2) of each.

    All are in pixels of the photo. One face may come in several turns, of which the mesh knows the right one.

    Args:
        photo: the photo, at any size.
        level: pixels of its longer side when the detector looks at it.
        turns: the quarter turns in which it does.
    """
    ratio = level / max(photo.size)
    width, height = (max(1, round(side * ratio)) for side in photo.size)
    canvas = Image.new("RGB", (level, level))
    left, top = (level - width) // 2, (level - height) // 2
    canvas.paste(photo.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    upright = np.asarray(canvas)
    turned = np.stack([np.rot90(upright, turn) for turn in turns])
    with torch.inference_mode():
        output = networks()[0](from_pixels(turned))
    logits, pairs = (part.numpy().astype(np.float64) for part in output)
    look, row = np.nonzero(logits > np.log(MIN_SCORE / (1 - MIN_SCORE)))
    logits, pairs = logits[look, row], pairs[look, row]
    sides = pairs[:, 1].max(axis=1)
    points = np.delete(pairs, 1, axis=1)
    for number, turn in enumerate(turns):
        points[look == number] = _turned_back(points[look == number], turn, level)
    found = []
    while len(logits):
        best = np.argmax(logits)
        same = (_joint_share(points[best, 0], sides[best], points[:, 0], sides) >= OVERLAP) & (look == look[best])
        weights = 1 / (1 + np.exp(-logits[same]))
        mean = (np.average(points[same], axis=0, weights=weights) - (left, top)) / ratio
        found.append((mean[0], float(np.average(sides[same], weights=weights)) / ratio, mean[1:]))
        logits, points, sides, look = logits[~same], points[~same], sides[~same], look[~same]
    return found


def _turned_back(points: Floats64, turn: int, level: int) -> Floats64:
    """Points (..., 2) of a square that was turned to the left by quarter turns, in the square as it was."""
    x, y = points[..., 0], points[..., 1]
    for _ in range(turn):
        x, y = level - y, x
    return np.stack([x, y], axis=-1)


def _joint_share(middle: Floats64, side: float, middles: Floats64, sides: Floats64) -> Floats64:
    """Intersection over union of a square with others."""
    low = np.maximum(middle - side / 2, middles - sides[:, None] / 2)
    high = np.minimum(middle + side / 2, middles + sides[:, None] / 2)
    both = np.clip(high - low, 0, None).prod(axis=1)
    share: Floats64 = both / (side**2 + sides**2 - both)
    return share


def _holds(face: Face, place: Floats64) -> bool:
    """Whether a face is where another may be: the same one, found again."""
    apart = np.linalg.norm(face.landmarks[:, :2].mean(axis=0) - place)
    return bool(apart < face.width / 2)


def _meshed(photo: Image.Image, middle: Floats64, side: float, points: Floats64) -> Face | None:
    """The face around a place, with its landmarks; None where the mesh sees none, or another than the detector.

    Args:
        photo: the photo.
        middle: of the face, (2,).
        side: of the square around it.
        points: where the detector has its eyes, nose, mouth and ears, (6, 2).
    """
    eyes = points[:2]
    for _ in range(PASSES):
        distance = float(np.linalg.norm(eyes[1] - eyes[0]))
        if distance < 1e-6 or side < 1:
            return None
        along = (eyes[1] - eyes[0]) / distance
        axes = np.stack([along, [-along[1], along[0]]])
        unit = CONTEXT * side / MESH_SIZE
        transform = np.column_stack([unit * axes.T, middle - CONTEXT * side / 2 * axes.sum(axis=0)])
        pixels = crop(photo, transform, MESH_SIZE, outside="constant")
        with torch.inference_mode():
            presence, landmarks = networks()[1](torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255)
        found = landmarks[0].numpy().astype(np.float64)
        face = Face(
            np.column_stack([move(transform, found[:, :2]), found[:, 2] * unit]), 1 / (1 + np.exp(-presence.item()))
        )
        if face.score < MIN_PRESENCE:
            return None
        eyes = face.points[:2]
        places = face.landmarks[:, :2] @ axes.T
        middle = (places.min(axis=0) + places.max(axis=0)) / 2 @ axes
        side = float(np.ptp(places, axis=0).max())
    return face if _disagreement(face, points) < MAX_DISAGREEMENT else None


def _disagreement(face: Face, points: Floats64) -> float:
    """How far the detector's eyes, nose and mouth are at most from the mesh's, in distances between the eyes."""
    mesh = np.vstack([face.points[:3], face.points[3:].mean(axis=0)])
    eyes = max(float(np.linalg.norm(mesh[1] - mesh[0])), 1e-6)
    return float(np.linalg.norm(mesh - points[:4], axis=1).max()) / eyes
