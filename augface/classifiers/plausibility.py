"""Tells whether a face could be a real one from how its picture is made up: learnt from real faces and from damage.

Real faces are damaged in the ways in which generators fail, and a classifier learns to tell the damaged ones from the
others. It never sees a generator's faces, and uses neither the space nor the classifier that measure the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from augface.arrays import Floats32, Floats64, Pixels
from augface.data.pixels import reduced
from augface.metrics.texture import texture
from augface.seeds import random_generator

MOST = 2000
"""Real faces to learn from."""
BATCH = 50
"""Faces that get the same damage."""
PASSES = 2
"""How often each real face is damaged."""
SMALL = 32
"""Pixels a side at which faces are held against the principal components of real ones."""
COMPONENTS = (10, 40, 100, 200)
UNITS = (64, 64)
EPOCHS = 40

Damage = Callable[[Floats32, Floats32, np.random.Generator], npt.NDArray[Any]]


class PlausibilityClassifier:
    """A small network on what `texture` sees, and on how far a face is from principal components of real ones.

    Attributes:
        arrays: all that was learnt, by name.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.arrays = dict(arrays)

    @property
    def highest_score(self) -> float:
        """Beyond it a face is not plausible."""
        return float(self.arrays["highest_score"].item())

    @classmethod
    def fit(
        cls, real: Pixels, held_out: Pixels, *, refused: float, seed: int = 0, kinds: Sequence[str] = ()
    ) -> PlausibilityClassifier:
        """Learn from real faces, and choose the highest score that is plausible.

        Args:
            real: (N, H, H, 3) faces to learn from.
            held_out: (M, H, H, 3) faces of other people.
            refused: the share of these whose score is higher than the highest plausible one.
            seed: of the damage and the network.
            kinds: of damage to learn from, of `DAMAGES`; all where none is given.
        """
        random = random_generator(seed, "damage")
        real = real[random.permutation(len(real))[:MOST]]
        small = _small(real)
        with threadpool_limits(1):  # threads would wait for each other longer than such small products take
            components = PCA(min(COMPONENTS[-1], *small.shape), svd_solver="randomized", random_state=0).fit(small)
        fitted = cls(
            {
                "mean_face": components.mean_,
                "components": components.components_,
                "spreads": np.sqrt(components.explained_variance_) + 1e-3,
            }
        )
        shown = [real, real[:, :, ::-1], *(damaged(real, random, kinds) for _ in range(PASSES))]
        numbers = np.concatenate([fitted._describe(faces) for faces in shown])
        is_damaged = np.repeat([False, False, *PASSES * [True]], len(real))
        fitted.arrays |= {"centre": numbers.mean(axis=0), "scale": numbers.std(axis=0) + 1e-6}
        network = MLPClassifier(
            UNITS, alpha=0.01, batch_size=min(128, len(numbers)), max_iter=EPOCHS, random_state=seed % 2**32
        )
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # it stops early on purpose
            network.fit(fitted._scaled(numbers), is_damaged)
        for layer, (weights, biases) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
            fitted.arrays |= {f"weights_{layer}": weights, f"biases_{layer}": biases}
        fitted.arrays["highest_score"] = np.asarray(np.quantile(fitted.scores(held_out), 1 - refused))
        return fitted

    def scores(self, images: Pixels) -> Floats64:
        """(N,) log-odds that each face is damaged."""
        values = self._scaled(self._describe(images))
        for layer in range(len(UNITS) + 1):
            if layer:
                values = np.maximum(values, 0)
            values = values @ self.arrays[f"weights_{layer}"] + self.arrays[f"biases_{layer}"]
        return values[:, 0]

    def _scaled(self, numbers: Floats32) -> Floats64:
        scaled: Floats64 = (numbers.astype(np.float64) - self.arrays["centre"]) / self.arrays["scale"]
        return scaled

    def _describe(self, images: Pixels) -> Floats32:
        """Texture, and how far the face is from what a few principal components of real faces can show."""
        deviations = _small(images) - self.arrays["mean_face"]
        codes = deviations @ self.arrays["components"].T
        total = np.square(deviations).sum(axis=1, keepdims=True)
        explained = np.cumsum(np.square(codes), axis=1)
        kept = [min(count, codes.shape[1]) - 1 for count in COMPONENTS]
        rest = np.log(np.maximum(total - explained[:, kept], 0) + 1e-6)
        whitened = np.square(codes / self.arrays["spreads"])
        first = COMPONENTS[1]
        unusual = [whitened[:, :first].mean(axis=1), np.log(whitened[:, first:].sum(axis=1) + 1e-6)]
        return np.concatenate([texture(images), rest, np.stack(unusual, axis=1)], axis=1).astype(np.float32)


def _small(images: Pixels) -> Floats32:
    """(N, D) the faces at a small size, in [0, 1]."""
    small: Floats32 = reduced(images, min(SMALL, images.shape[1])).reshape(len(images), -1) / np.float32(255)
    return small


def damaged(images: Pixels, random: np.random.Generator, kinds: Sequence[str] = ()) -> Pixels:
    """Real faces damaged in the ways in which generators fail, each batch of them in one way.

    Args:
        images: (N, H, H, 3).
        random: where kinds, strengths and partners come from.
        kinds: of `DAMAGES`; all where none is given.
    """
    chosen = [DAMAGES[kind] for kind in kinds or DAMAGES]
    result = np.empty_like(images)
    partners = random.permutation(len(images))
    for number, start in enumerate(range(0, len(images), BATCH)):
        rows = slice(start, start + BATCH)
        faces, others = (np.divide(images[part], 255, dtype=np.float32) for part in (rows, partners[rows]))
        changed = chosen[number % len(chosen)](faces, others, random)
        result[rows] = np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8)
    return result


def _blurred(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    return _smoothed(faces, random.uniform(0.7, 3))


def _partly_blurred(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    soft = 1 / (1 + np.exp(-4 * _clouds(faces.shape, 4, 1, random)))
    mixed: npt.NDArray[Any] = soft * _smoothed(faces, random.uniform(1, 3)) + (1 - soft) * faces
    return mixed


def _smoothed(faces: Floats32, pixels: float) -> npt.NDArray[Any]:
    smoothed: npt.NDArray[Any] = ndimage.gaussian_filter(faces, (0, pixels, pixels, 0))
    return smoothed


def _noisy(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    return faces + random.uniform(0.02, 0.15) * random.standard_normal(faces.shape)


def _blotched(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    cells = faces.shape[1] // int(random.choice([2, 4, 8]))
    return faces + random.uniform(0.04, 0.15) * _clouds(faces.shape, cells, 3, random)


def _chequered(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    places = np.arange(faces.shape[1]) % random.integers(2, 5) == 0
    board = np.where(places[:, None] ^ places, 1.0, -1.0)[..., None]
    return faces + random.uniform(0.02, 0.12, (len(faces), 1, 1, 1)) * board


def _coarse(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    side = faces.shape[1]
    small = reduced(faces, int(side * random.choice([0.125, 0.25, 0.375, 0.5])))  # type: ignore[arg-type]
    return _enlarged(small, side, order=int(random.choice([1, 3])))


def _halved(faces: Floats32, others: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    side = faces.shape[1]
    first = np.arange(side) < side * random.uniform(0.3, 0.7)
    mask = first[:, None, None] if random.random() < 0.5 else first[:, None]
    return np.where(mask, faces, others)


def _swapped(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    """Two parts of each face in each other's place."""
    part = faces.shape[1] // 4
    one, other = (divmod(int(place), 4) for place in random.permutation(16)[:2])
    changed = faces.copy()
    for (row, column), (from_row, from_column) in ((one, other), (other, one)):
        changed[:, row * part : (row + 1) * part, column * part : (column + 1) * part] = faces[
            :, from_row * part : (from_row + 1) * part, from_column * part : (from_column + 1) * part
        ]
    return changed


def _overlaid(faces: Floats32, others: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    weight = random.uniform(0.3, 0.5, (len(faces), 1, 1, 1))
    return weight * others + (1 - weight) * faces


def _warped(faces: Floats32, _: Floats32, random: np.random.Generator) -> npt.NDArray[Any]:
    side = faces.shape[1]
    shifts = random.uniform(0.03, 0.06) * side * _clouds(faces.shape, int(random.integers(4, 9)), 2, random)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    changed = np.empty_like(faces)
    for face, shift, result in zip(faces, shifts, changed, strict=True):
        places = [rows + shift[..., 0], columns + shift[..., 1]]
        for channel in range(face.shape[-1]):
            result[..., channel] = ndimage.map_coordinates(face[..., channel], places, order=1, mode="reflect")
    return changed


def _clouds(shape: tuple[int, ...], cells: int, channels: int, random: np.random.Generator) -> npt.NDArray[Any]:
    """(N, H, H, channels) smooth noise of about unit variance, with `cells` independent values along each side."""
    cells = max(2, cells)
    coarse = random.standard_normal((shape[0], cells, cells, channels)).astype(np.float32)
    return _enlarged(coarse, shape[1], order=1)


def _enlarged(planes: Floats32, side: int, order: int) -> npt.NDArray[Any]:
    """(N, side, side, channels) planes (N, h, h, channels), interpolated by splines of an order."""
    weights = _interpolation(planes.shape[1], side, order)
    along_rows = np.tensordot(planes, weights, axes=(1, 1))  # (N, w, channels, side)
    enlarged: npt.NDArray[Any] = np.tensordot(along_rows, weights, axes=(1, 1)).transpose(0, 2, 3, 1)
    return enlarged


@cache
def _interpolation(count: int, side: int, order: int) -> Floats32:
    """(side, count) what each of `side` places takes of each of `count` values on the same line."""
    zoom: Any = ndimage.zoom
    weights: Floats32 = zoom(np.eye(count), (side / count, 1), order=order, grid_mode=True, mode="nearest").astype(
        np.float32
    )
    return weights


DAMAGES: dict[str, Damage] = {
    "blur": _blurred,
    "partial blur": _partly_blurred,
    "noise": _noisy,
    "blotches": _blotched,
    "checkerboard": _chequered,
    "coarse pixels": _coarse,
    "mixed halves": _halved,
    "swapped parts": _swapped,
    "overlaid faces": _overlaid,
    "warping": _warped,
}
"""What is done to faces (N, H, H, 3) in [0, 1], with other faces for what mixes two; the result may leave the range."""
