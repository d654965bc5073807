"""Faces in the context of a photo: at a chosen distance from it, of the same person or of another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from augface.arrays import Floats64
from augface.data.dataset import FaceDataset, concatenate
from augface.errors import DataError, UsageError
from augface.features import create_feature_space

if TYPE_CHECKING:
    from augface.generators._codes import Codes
    from augface.generators.base import Generator

Person = Literal["any", "same", "other"]
SAME_PERSON = 0.6
"""The distance in the identity space up to which two faces count as of one person: dlib's own threshold."""
ROUNDS = 20
"""How many times as many variations as wanted are drawn before it is given up."""


def vary(
    generator: Generator,
    photo: FaceDataset,
    codes: Codes,
    n: int,
    *,
    distance: float = 0.4,
    person: Person = "any",
    where: Mapping[str, bool] | None = None,
    seed: int = 0,
) -> FaceDataset:
    """Variations of one photo.

    Args:
        generator: of the codes.
        photo: the one face.
        codes: of the photo.
        n: how many.
        distance: of the noise, from 0 (the same face) to 1 (any face with these attributes); see `Codes.vary`.
        person: `same` and `other` keep the variations that a face recognition network takes for the person of the
            photo, or does not.
        where: attributes requested of all of them; the others are as they were found in the photo.
        seed: the same seed gives the same faces.

    Returns:
        The faces; `factors` give the distance and, where `person` is not `any`, the `identity_distance` to the photo.

    Raises:
        UsageError: a value out of range, or attributes that cannot be requested.
        DataError: too few variations are of the wanted person.
    """
    if len(codes) != 1 or len(photo) != 1:
        raise UsageError(f"Variations are of one photo, not of {len(codes)}.")
    wanted = generator.request(codes, where or {})
    if person == "any":
        faces = generator.render(wanted.vary(distance, n, seed=seed))
        return _with_factors(faces, distance, None)
    space = create_feature_space("identity")
    own = space.extract(np.asarray(photo.images))
    parts: list[FaceDataset] = []
    for start in range(0, ROUNDS * n, n):
        drawn = wanted.vary(distance, start + n, seed=seed).select(np.arange(start, start + n))
        faces = generator.render(drawn)
        apart = np.linalg.norm(space.extract(np.asarray(faces.images)) - own, axis=1)
        chosen = apart < SAME_PERSON if person == "same" else apart >= SAME_PERSON
        parts.append(_with_factors(faces, distance, apart).select(np.flatnonzero(chosen)))
        if sum(map(len, parts)) >= n:
            return concatenate([part for part in parts if len(part)], spec=generator.name).select(slice(0, n))
        if start >= 3 * n and not any(map(len, parts)):
            break
    found, drawn_in_all = sum(map(len, parts)), len(parts) * n
    way = "smaller" if person == "same" else "greater"
    raise DataError(
        f"Only {found:,} of {drawn_in_all:,} variations at distance {distance:g} look like "
        f"{'the same' if person == 'same' else 'another'} person, and {n:,} are wanted. Choose a {way} --distance."
    )


def _with_factors(faces: FaceDataset, distance: float, apart: Floats64 | None) -> FaceDataset:
    from dataclasses import replace

    import pandas as pd

    factors = pd.DataFrame({"distance": np.full(len(faces), distance)})
    if apart is not None:
        factors["identity_distance"] = np.round(apart, 4)
    return replace(faces, factors=factors)
