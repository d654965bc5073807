"""One photo to its faces, cropped so that eyes and mouth lie where those of a template do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from augface.alignment.faces import Face, find_faces
from augface.alignment.template import CELEBA, Template
from augface.alignment.warp import crop, fit_similarity, scale, share_inside
from augface.arrays import Floats64, Pixels
from augface.errors import DataError, UsageError

FITTED = (0, 1, 3, 4)
"""The points that a crop is fitted to. The tip of the nose is not among them: it moves as the head turns."""
MAX_YAW = 50.0
"""Degrees that a head may be turned to a side."""
MIN_DETAIL = 0.5
"""Pixels of the photo that a pixel of the crop must have, at the least."""
MIN_INSIDE = 0.5
"""The share of a crop that must lie in its photo; the rest is reflected."""


class FaceRefused(DataError):
    """A photo without a face that can be used; the text is the reason."""


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """One face of a photo.

    Attributes:
        pixels: the crop, uint8 (size, size, 3), RGB.
        points: five points in pixels of the photo, float64 (5, 2), as `Face.points`.
        transform: from the crop to the photo, float64 (2, 3); see `augface.alignment.warp`.
        score: the probability that it is a face; 1 where somebody said where it is.
        others: how many more faces were found in the photo, where they were not asked for.
    """

    pixels: Pixels
    points: Floats64
    transform: Floats64
    score: float
    others: int = 0


def align_photo(photo: Pixels | Image.Image, template: Template = CELEBA, size: int = 64) -> AlignedFace:
    """The largest face of a photo that can be used.

    Args:
        photo: an upright RGB photo of any size, uint8 (H, W, 3).
        template: where its eyes and mouth are to lie.
        size: height and width of the crop in pixels.

    Raises:
        FaceRefused: no face is found, or all are in profile, too small, or cut off at the edge of the photo.
    """
    picture = _picture(photo)
    usable, reasons = _usable(picture, find_faces(picture), template, size)
    if not usable:
        raise FaceRefused(reasons[0] if reasons else "no face is found")
    face = usable[0]
    return AlignedFace(face.pixels, face.points, face.transform, face.score, len(usable) + len(reasons) - 1)


def align_all(photo: Pixels | Image.Image, template: Template = CELEBA, size: int = 64) -> list[AlignedFace]:
    """All faces of a photo that can be used, the largest first; otherwise as `align_photo`."""
    picture = _picture(photo)
    usable, reasons = _usable(picture, find_faces(picture, every=True), template, size)
    if not usable:
        raise FaceRefused(reasons[0] if reasons else "no face is found")
    return usable


def align_points(
    photo: Pixels | Image.Image, points: Sequence[float], template: Template = CELEBA, size: int = 64
) -> AlignedFace:
    """The face whose points somebody says; otherwise as `align_photo`.

    Args:
        photo: as in `align_photo`.
        points: x and y, ten numbers in pixels of the photo, of the eye, the other eye, the tip of the nose and the two
            corners of the mouth; of eyes and corners, the one that is on the left in an upright face comes first.
        template: as in `align_photo`.
        size: as in `align_photo`.

    Raises:
        UsageError: these are not ten numbers, or points that lie on one spot.
        FaceRefused: the face is too small, or most of it lies outside the photo.
    """
    picture = _picture(photo)
    if len(points) != 10 or not all(map(math.isfinite, points)):
        raise UsageError(f"The points of a face are ten numbers, x and y of five points, not {len(points)}.")
    given = np.array(points, dtype=np.float64).reshape(5, 2)
    if np.ptp(given[list(FITTED)], axis=0).max() < 1:
        raise UsageError("The points of a face are less than a pixel apart.")
    return _cropped(picture, given, 1.0, template, size)


def _picture(photo: Pixels | Image.Image) -> Image.Image:
    return photo if isinstance(photo, Image.Image) else Image.fromarray(photo)


def _usable(
    photo: Image.Image, faces: list[Face], template: Template, size: int
) -> tuple[list[AlignedFace], list[str]]:
    """The faces that can be used, and why the others cannot."""
    usable, reasons = [], []
    for face in faces:
        try:
            if face.yaw > MAX_YAW:
                raise FaceRefused(f"the face is in profile: turned by {face.yaw:.0f}°, more than {MAX_YAW:.0f}°")
            usable.append(_cropped(photo, face.points, face.score, template, size))
        except FaceRefused as refusal:
            reasons.append(str(refusal))
    return usable, reasons


def _cropped(photo: Image.Image, points: Floats64, score: float, template: Template, size: int) -> AlignedFace:
    fitted = list(FITTED)
    transform = fit_similarity(template.points[fitted] * size, points[fitted])
    side = scale(transform) * size
    if side < MIN_DETAIL * size:
        raise FaceRefused(f"the face is too small: its crop has {side:.0f} pixels a side, less than half of {size}")
    inside = share_inside(transform, size, photo.width, photo.height)
    if inside < MIN_INSIDE:
        raise FaceRefused(f"the face is cut off: {inside:.0%} of its crop lie in the photo")
    return AlignedFace(crop(photo, transform, size), points, transform, score)
