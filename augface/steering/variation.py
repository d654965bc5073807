"""Faces in the context of a photo: at a chosen distance from it, of the same person or of another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from augface.alignment.faces import find_faces
from augface.arrays import Floats64
from augface.data.dataset import FaceDataset, concatenate
from augface.errors import DataError, UsageError
from augface.features import create_feature_space
from augface.seeds import derive_seed

if TYPE_CHECKING:
    from augface.generators._codes import Codes
    from augface.generators.base import Generator

Person = Literal["any", "same", "other"]
SAME_PERSON = 0.6
"""The distance in the identity space up to which two faces count as of one person: dlib's own threshold."""
DISTANCE = 0.4
"""The distance of variations of whatever person, where none is given."""
PROBES = 16
"""Variations by which the distance for a person is chosen; those that are given are drawn anew."""
HALVINGS = 5
"""How often the range of distances is halved, down to a thirtieth."""
MARGIN = 2.0
"""Standard deviations of the identity distance that are to lie on the wanted side of `SAME_PERSON`: 97.7 % of a normal
distribution."""
ROUNDS = 20
"""How many times as many variations as wanted are drawn before it is given up."""


def vary(
    generator: Generator,
    photo: FaceDataset,
    codes: Codes,
    n: int,
    *,
    distance: float | None = None,
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
        distance: from the photo, from 0 (the same face) to 1 (any face with these attributes); see `Codes.vary`. Where
            not given it is `DISTANCE` or, for a person, the one that `distance_for` chooses.
        person: `same` and `other` keep the variations that a face recognition network takes for the person of the
            photo, or does not.
        where: attributes requested of all of them; the others are as they were found in the photo.
        seed: the same seed gives the same faces.

    Returns:
        The faces; `factors` give the distance and, where `person` is not `any`, the `identity_distance` to the photo.

    Raises:
        UsageError: a value out of range, or attributes that cannot be requested.
        DataError: too few variations are of the wanted person, or no human face is found where one is asked for.
    """
    if len(codes) != 1 or len(photo) != 1:
        raise UsageError(f"Variations are of one photo, not of {len(codes)}.")
    wanted = generator.request(codes, where or {})
    if person == "any":
        distance = DISTANCE if distance is None else distance
        return _with_factors(generator.render(wanted.vary(distance, n, seed=seed)), distance, None)
    identity = Identity(photo)
    if distance is None:
        distance = distance_for(person, generator, wanted, identity, seed=seed)
    parts: list[FaceDataset] = []
    for start in range(0, ROUNDS * n, n):
        drawn = wanted.vary(distance, start + n, seed=seed).select(np.arange(start, start + n))
        faces = generator.render(drawn)
        apart = identity.apart(faces)
        chosen = apart < SAME_PERSON if person == "same" else apart >= SAME_PERSON
        parts.append(_with_factors(faces, distance, apart).select(np.flatnonzero(chosen)))
        if sum(map(len, parts)) >= n:
            return concatenate([part for part in parts if len(part)], spec=generator.name).select(slice(0, n))
        if start >= 3 * n and not any(map(len, parts)):
            break
    found, drawn_in_all = sum(map(len, parts)), len(parts) * n
    remedy = "a smaller --distance, or more --steps" if person == "same" else "a greater --distance"
    raise DataError(
        f"Only {found:,} of {drawn_in_all:,} variations at distance {distance:g} look like "
        f"{'the same' if person == 'same' else 'another'} person, and {n:,} are wanted. Choose {remedy}."
    )


class Identity:
    """How far faces are from that of one photo, for a face recognition network."""

    def __init__(self, photo: FaceDataset) -> None:
        """Look at the one face of `photo`.

        Raises:
            DataError: no human face is found in it, so there is no identity to measure.
        """
        if not find_faces(Image.fromarray(np.asarray(photo.images)[0])):
            raise DataError(
                f"No human face is found in {photo.names[0]}, so nothing says whether variations are of the person "
                "or of another one: leave out --same-person and --other-person, and give --distance."
            )
        self._space = create_feature_space("identity")
        self._own = self._space.extract(np.asarray(photo.images))

    def apart(self, faces: FaceDataset) -> Floats64:
        """(N,) distances in the identity space."""
        vectors = self._space.extract(np.asarray(faces.images)).astype(np.float64)
        return np.asarray(np.linalg.norm(vectors - self._own, axis=1))


def distance_for(
    person: Literal["same", "other"], generator: Generator, codes: Codes, identity: Identity, *, seed: int = 0
) -> float:
    """The greatest distance at which variations still are of the person of a photo, or the least at which they are not.

    It is found by halving, as identity falls with the distance, on a few variations other than those that are given.

    Args:
        person: whether they are to be of the person.
        generator: of the codes.
        codes: of the photo.
        identity: of the photo.
        seed: of the variations looked at.

    Returns:
        From 0 to 1; the end of the range where no distance does.
    """

    def does(distance: float) -> bool:
        apart = identity.apart(generator.render(codes.vary(distance, PROBES, seed=derive_seed(seed, "identity"))))
        margin = MARGIN * float(apart.std(ddof=1))
        if person == "same":
            return bool(apart.mean() + margin < SAME_PERSON)
        return bool(apart.mean() - margin >= SAME_PERSON)

    near, far = 0.0, 1.0
    if does(far if person == "same" else near):
        return far if person == "same" else near
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if does(middle) == (person == "same"):
            near = middle
        else:
            far = middle
    return near if person == "same" else far


def _with_factors(faces: FaceDataset, distance: float, apart: Floats64 | None) -> FaceDataset:
    from dataclasses import replace

    import pandas as pd

    factors = pd.DataFrame({"distance": np.full(len(faces), distance)})
    if apart is not None:
        factors["identity_distance"] = np.round(apart, 4)
    return replace(faces, factors=factors)
