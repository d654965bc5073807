"""Directions of the noise that change faces most, found without labels, and what the judge sees them change.

SeFa (Shen & Zhou 2021, arXiv:2007.06600) factorises the first weights; GANSpace (Härkönen et al. 2020,
arXiv:2004.02546) takes principal components of a layer's maps, and the noise that goes with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from augface.arrays import Floats32, Floats64, Integers, Pixels
from augface.generators._networks import GeneratorNetwork
from augface.inspection.judge import Judge
from augface.inspection.units import layer_maps
from augface.tensors import to_pixels

LAYER = 1
"""The layer whose maps GANSpace takes: the first of which noise goes through a nonlinearity to another resolution."""


def sefa(network: GeneratorNetwork, latent: int, count: int, rows: Integers | None = None) -> Floats64:
    """(count, latent) unit directions that the first weights enlarge most, the strongest first.

    Args:
        network: of the first weights.
        latent: numbers of noise.
        count: of directions.
        rows: which outputs of the first weights to look at; all where not given.
    """
    weights = network.stem.weight.detach().numpy()[:, :latent].astype(np.float64)
    chosen = weights if rows is None else weights[rows]
    return _signed(np.linalg.eigh(chosen.T @ chosen)[1][:, ::-1][:, :count].T)


@torch.inference_mode()
def map_products(network: GeneratorNetwork, noise: Floats32, conditions: Floats32) -> Floats64:
    """(n, n) the inner products of the maps of faces in layer `LAYER`: what principal components follow from.

    What the conditions make of the maps (linearly), and their mean, is taken out before.

    Args:
        network: in evaluation mode.
        noise: (n, latent).
        conditions: (n, C) of the same faces.
    """
    layer = min(LAYER, len(network.norms) - 1)
    maps = layer_maps(network, torch.from_numpy(noise), torch.from_numpy(conditions))[layer].flatten(1).numpy()
    known = np.column_stack([np.ones(len(noise)), conditions]).astype(np.float32)
    maps = maps - known @ np.linalg.lstsq(known, maps, rcond=None)[0]
    return np.asarray(maps @ maps.T, dtype=np.float64)


def ganspace(products: Floats64, noise: Floats32, count: int) -> Floats64:
    """(count, latent) unit directions of the noise that go with the principal components of a layer's maps.

    Args:
        products: (n, n) from `map_products`.
        noise: (n, latent) of the same faces, standard normal, more rows than directions.
        count: of directions.
    """
    scores = np.linalg.eigh(products)[1][:, ::-1][:, :count]
    directions = scores.T @ noise
    return _signed(directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _signed(directions: Floats64) -> Floats64:
    """The directions with the sign that makes their largest number positive, as theirs is of no matter."""
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return np.asarray(directions * np.sign(largest))


def similarity(first: Floats64, second: Floats64) -> Floats64:
    """(k,) of each of the first unit directions (k, D), the largest absolute cosine with any of the second ones."""
    return np.asarray(np.abs(first @ second.T).max(axis=1))


def subspace_overlap(first: Floats64, second: Floats64) -> float:
    """The mean squared cosine of the principal angles between two subspaces, each spanned by k directions (k, D).

    >>> subspace_overlap(np.eye(4)[:2], np.eye(4)[1:3])
    0.5
    """
    bases = [np.linalg.qr(each.T)[0] for each in (first, second)]
    return float(np.square(bases[0].T @ bases[1]).sum() / len(first))


@dataclass(frozen=True)
class Effects:
    """What D directions change in n faces, from one standard deviation below the mean to one above.

    Attributes:
        means: (D, A) mean responses of the judge: 1 is what separates real faces with an attribute and without.
        lows, highs: (D, A) the ends of 95 % intervals over faces, for all directions and attributes together.
    """

    means: Floats64
    lows: Floats64
    highs: Floats64

    def name(self, direction: int) -> int | None:
        """The attribute that a direction changes most, where that is certain."""
        strongest = int(np.abs(self.means[direction]).argmax())
        certain = self.lows[direction, strongest] > 0 or self.highs[direction, strongest] < 0
        return strongest if certain else None


def effects(
    network: GeneratorNetwork, noise: Floats32, conditions: Floats32, directions: Floats64, judge: Judge
) -> Effects:
    """What the judge sees directions (D, latent) change in faces of noise (n, latent) and conditions (n, C)."""
    seen = []
    for direction in directions:
        ends = [judge.responses(moved(network, noise, conditions, direction, step)) for step in (-1.0, 1.0)]
        seen.append(ends[1] - ends[0])
    changes = np.stack(seen)
    count, tests = len(noise), changes.shape[0] * changes.shape[2]
    means = changes.mean(axis=1)
    reach = stats.t.ppf(1 - 0.025 / tests, count - 1) * changes.std(axis=1, ddof=1) / np.sqrt(count)
    return Effects(means, means - reach, means + reach)


@torch.inference_mode()
def moved(network: GeneratorNetwork, noise: Floats32, conditions: Floats32, direction: Floats64, step: float) -> Pixels:
    """Faces, uint8 (n, H, W, 3), at so many standard deviations along a unit direction, all else of it held."""
    along = (noise @ direction)[:, None] * direction
    there: Tensor = torch.from_numpy((noise - along + step * direction).astype(np.float32))
    return to_pixels(network(there, torch.from_numpy(conditions)))
