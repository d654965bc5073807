"""Generators that turn noise into faces: the same face can be generated again, with other attributes, or on a way to
another.

A face's noise follows from its seed and number, which its `factors` give, so that nothing else need be kept of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from augface.arrays import Floats32, Integers, Pixels
from augface.data.dataset import FaceDataset, signed_labels
from augface.errors import UsageError
from augface.generators._codes import along_the_sphere
from augface.generators.base import CHUNK, Generator, Plan


class LatentGenerator(Generator):
    """Makes faces of noise and conditions; its capabilities name `latent`. A subclass fills in `_noise` and `_draw`."""

    @abstractmethod
    def _noise(self, seed: int, chunk: int) -> Floats32:
        """The noise of a chunk, float32 (CHUNK, ...), standard normal, from the chunk's own random stream."""

    @abstractmethod
    def _draw(self, noise: Floats32, conditions: Floats32) -> Pixels:
        """Faces, uint8 (CHUNK, H, W, 3), of noise (CHUNK, ...) and conditions (CHUNK, C), each of its own row alone."""

    def _conditions(self, labels: pd.DataFrame) -> Floats32:
        """Float32 (N, C), from -1 (absent) by 0 (unknown) to 1 (present); none where nothing can be requested."""
        return signed_labels(labels) if "conditional" in self.capabilities else np.zeros((len(labels), 0), np.float32)

    def _plans(
        self, n: int, where: Mapping[str, bool], seed: int, psi: float, like: FaceDataset | None
    ) -> Iterator[Plan]:
        if not 0 <= psi < np.inf:
            raise UsageError(f"psi takes a number from 0 up, not {psi:g}.")
        planned = super()._plans(n, where, seed, 1, None) if like is None else self._again(n, where, like)
        for labels, factors, names in planned:
            yield labels, factors.assign(psi=factors.get("psi", 1.0) * float(psi)), names

    def _make(self, labels: pd.DataFrame, factors: pd.DataFrame) -> Pixels:
        return self._draw_at(self._latents(factors), self._conditions(labels), _places(factors))

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        noise = self._noise(seed, chunk)[: len(labels)]
        return self._draw_at(noise, self._conditions(labels), np.arange(len(labels)))

    def interpolate(self, first: FaceDataset, second: FaceDataset, steps: int) -> FaceDataset:
        """The way from each face to another; see `Generator.interpolate`."""
        if steps < 2:
            raise UsageError(f"A way from one face to another has 2 steps or more, not {steps}.")
        if len(first) != len(second) or not len(first):
            raise UsageError(f"Faces are paired one to one, but there are {len(first)} and {len(second)}.")
        (labels, factors, _), (other_labels, other_factors, _) = (
            next(self._again(len(faces), {}, faces, chunk=len(faces))) for faces in (first, second)
        )
        shares, count = np.linspace(0, 1, steps), len(first)
        noise, other_noise = self._latents(factors), self._latents(other_factors)
        ways = np.stack([along_the_sphere(noise, other_noise, share) for share in shares], axis=1)
        conditions, other_conditions = self._conditions(labels), self._conditions(other_labels)
        mixed = np.stack([(1 - share) * conditions + share * other_conditions for share in shares], axis=1)
        # the two ends stand where they stood when they were first made, those between wherever there is room
        places = np.arange(count * steps).reshape(count, steps) % CHUNK
        places[:, 0], places[:, -1] = _places(factors), _places(other_factors)
        pixels = self._draw_at(
            ways.reshape(count * steps, *noise.shape[1:]),
            mixed.reshape(count * steps, conditions.shape[1]).astype(np.float32),
            places.ravel(),
        )
        shared = labels.where((labels == other_labels).fillna(False).astype(bool))
        which = np.array([0] + [1] * (steps - 2) + [2])
        rows = (which[None, :] * count + np.arange(count)[:, None]).ravel()
        table = pd.concat([factors.add_prefix("from_"), other_factors.add_prefix("to_")], axis=1)
        return self._faces(
            pixels,
            pd.concat([labels, shared, other_labels]).iloc[rows],
            [f"{pair:06d}-{step:03d}.png" for pair in range(count) for step in range(steps)],
            table.loc[table.index.repeat(steps)].assign(share=np.tile(shares, count)),
        )

    def _again(self, n: int, where: Mapping[str, bool], like: FaceDataset, chunk: int = CHUNK) -> Iterator[Plan]:
        """What to make again, with what `where` changes."""
        known = self._check_conditionable(where)
        if like.factors is None or not {"seed", "number"} <= set(like.factors):
            raise UsageError(
                "These faces do not give the seed and number that they were generated from: `like` and `interpolate` "
                "take faces that `sample` gave."
            )
        if list(like.attributes.columns) != list(known.columns):
            raise UsageError(f"These faces have other attributes than the {self.name} generator: another made them.")
        if n > len(like):
            raise UsageError(f"There are {len(like)} faces to make again, not {n}.")
        factors = like.factors.reindex(columns=["seed", "number", "psi"]).fillna({"psi": 1.0})
        for start in range(0, n, chunk):
            part = slice(start, min(start + chunk, n))
            labels = like.attributes.iloc[part].assign(**dict(where)).astype("boolean")
            yield labels, factors.iloc[part].reset_index(drop=True), [str(name) for name in like.names[part]]

    def _latents(self, factors: pd.DataFrame) -> Floats32:
        """The noise (N, ...) of faces of these seeds and numbers, times their psi."""
        chunks, places = factors["number"] // CHUNK, _places(factors)
        origins = list(zip(factors["seed"].tolist(), chunks.tolist(), strict=True))
        streams = {(seed, chunk): self._noise(seed, chunk) for seed, chunk in set(origins)}
        noise = np.stack([streams[origin][place] for origin, place in zip(origins, places, strict=True)])
        psi = factors["psi"].to_numpy(dtype=np.float32).reshape(-1, *[1] * (noise.ndim - 1))
        return np.asarray(noise * psi, dtype=np.float32)

    def _draw_at(self, noise: Floats32, conditions: Floats32, places: Integers) -> Pixels:
        """Faces (N, H, W, 3), each drawn at its place of a whole chunk, so that it never depends on the others.

        Networks may round otherwise with another number of faces at once, or at another place among them.
        """
        faces: dict[int, Pixels] = {}
        # faces of the same place come one after another into the first, second, … chunk
        rounds = pd.Series(places).groupby(places).cumcount().to_numpy()
        for number in range(rounds.max() + 1):
            rows = np.flatnonzero(rounds == number)
            whole_noise = np.zeros((CHUNK, *noise.shape[1:]), np.float32)
            whole_conditions = np.zeros((CHUNK, conditions.shape[1]), np.float32)
            whole_noise[places[rows]], whole_conditions[places[rows]] = noise[rows], conditions[rows]
            drawn = self._draw(whole_noise, whole_conditions)
            faces |= dict(zip(rows.tolist(), drawn[places[rows]], strict=True))
        return np.stack([faces[row] for row in range(len(noise))])


def _places(factors: pd.DataFrame) -> Integers:
    """(N,) where in its chunk each face stands."""
    return (factors["number"] % CHUNK).to_numpy(dtype=np.int64)
