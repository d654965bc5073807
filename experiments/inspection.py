"""Are the units found that were planted, and none where labels are shuffled?

    python experiments/inspection.py [--faces 3000] [--images 8000] [--networks 3] [--each 4] [--active 0.07]

A network is built whose every unit is known. It shows ToyFaces; some units draw a hat, lipstick, a goatee or
bangs into the pixels of ToyFaces' own masks, and sixty others lay something else over the picture: blobs of colour,
shifts of brightness, textures. Each unit is active in a share of the faces. `augface.inspection.units` is to find the
units of each attribute, and none with labels that were shuffled among the faces. Prints the figures of docs/inspect.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import norm
from torch import Tensor

from augface.arrays import Floats32
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces, render, render_mask, sample_population
from augface.generators._networks import GeneratorNetwork
from augface.generators._parts import part_of
from augface.inspection.inspected import REFERENCE, SWUNG
from augface.inspection.judge import Judge, Readout
from augface.inspection.units import Swings, on_levels, swing_units, unit_effects
from augface.metrics.intervals import proportion_interval
from augface.seeds import random_generator

SIZE = 32
PLANTED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # attribute: the part that has a mask, factors of faces without it, and with it
    "Wearing_Hat": ("hat", {"hat": False}, {"hat": True, "hat_shape": "cap"}),
    "Wearing_Lipstick": ("mouth", {"lipstick": False}, {"lipstick": True}),
    "Goatee": ("beard", {"facial_hair": "none"}, {"facial_hair": "goatee"}),
    "Bangs": ("hair", {"bangs": False}, {"bangs": True, "bald": False}),
}
OTHERS = 60
"""Units that draw something else."""
FAINTER = np.float32(0.5)
"""How strong what the others draw is, beside the mean of what is planted: root of the sum of squares."""
STEEPNESS = 12.0
"""How suddenly a unit becomes active, as its number of the noise grows."""


class PlantedNetwork:
    """A network of one layer with known units, shaped as `GeneratorNetwork` for what units are tested with.

    A face is drawn without any planted attribute; each unit adds its picture, as far as it is active. Which face is
    drawn is the first number of its noise.
    """

    def __init__(self, seed: int, each: int, active: float) -> None:
        self.threshold = float(norm.isf(active))
        random = random_generator(seed, "planted")
        factors, _, _ = sample_population(SWUNG, seed + 1)
        bare = factors.assign(glasses=False, earrings=False)
        for _, without, _ in PLANTED.values():
            bare = bare.assign(**without)
        self.bare = render(bare, SIZE).astype(np.float32) / 127.5 - 1
        pictures, self.attributes = [], []
        for attribute, (part, _, present) in PLANTED.items():
            shown = bare.assign(**present)
            drawn = render(shown, SIZE).astype(np.float32) / 127.5 - 1
            mask = render_mask(shown, SIZE, part)[..., None]
            change = np.where(mask, drawn - self.bare, 0)
            for strength in random.uniform(0.6, 1.4, each):  # no two units alike
                pictures.append(change * np.float32(strength))
                self.attributes.append(attribute)
        energy = np.mean([np.square(picture).sum(axis=(1, 2, 3)).mean() for picture in pictures])
        for number in range(OTHERS):
            picture = KINDS[number % len(KINDS)](random)
            pictures.append(
                np.broadcast_to(picture * np.sqrt(energy / np.square(picture).sum()) * FAINTER, self.bare.shape)
            )
            self.attributes.append("")
        order = random.permutation(len(pictures))
        self.pictures = torch.from_numpy(np.stack([pictures[unit] for unit in order], axis=1))
        self.attributes = [self.attributes[unit] for unit in order]
        self.norms = [None]

    def first(self, noise: Tensor, condition: Tensor) -> Tensor:
        """(n, units + 1, 1, 1): how active each unit is, and in the last channel the number of the face."""
        activity = torch.sigmoid(STEEPNESS * (noise[:, 1:] - self.threshold))
        return torch.cat([activity, noise[:, :1]], dim=1)[:, :, None, None]

    def layer(self, number: int, maps: Tensor, condition: Tensor) -> Tensor:
        """The same: there is one layer."""
        return maps

    def image(self, maps: Tensor) -> Tensor:
        """Faces with what the units add."""
        rows = maps[:, -1, 0, 0].long().clamp(0, SWUNG - 1)
        faces = torch.from_numpy(self.bare)[rows]
        for row in range(SWUNG):
            own = rows == row
            faces[own] += torch.tensordot(maps[own, :-1, 0, 0], self.pictures[row], dims=1)
        return faces.clamp(-1, 1).permute(0, 3, 1, 2)


def _blob(random: np.random.Generator) -> Floats32:
    """A spot of colour anywhere."""
    spot = np.zeros((SIZE, SIZE))
    spot[tuple(random.integers(2, SIZE - 2, 2))] = 1
    soft = gaussian_filter(spot, SIZE / 32 * random.uniform(1, 3))
    return np.asarray(soft[..., None] * random.uniform(-1, 1, 3), dtype=np.float32)


def _shift(random: np.random.Generator) -> Floats32:
    """Another colour all over, more on one side."""
    slope = np.linspace(0.5, 1, SIZE).reshape((SIZE, 1, 1) if random.random() < 0.5 else (1, SIZE, 1))
    return np.asarray(np.broadcast_to(slope, (SIZE, SIZE, 1)) * random.uniform(-1, 1, 3), dtype=np.float32)


def _texture(random: np.random.Generator) -> Floats32:
    """Smooth noise all over."""
    return np.asarray(
        gaussian_filter(random.standard_normal((SIZE, SIZE, 3)), (SIZE / 20, SIZE / 20, 0)), dtype=np.float32
    )


KINDS = (_blob, _shift, _texture)


@dataclass(frozen=True)
class Planted:
    """What the units of a planted network change, and what they are for."""

    swings: Swings
    attributes: list[str]


def swing_planted(judge: Judge, seed: int, each: int, active: float) -> Planted:
    """All units of a planted network turned off and on, in as many faces as `augface inspect` does it in."""
    network = PlantedNetwork(seed, each, active)
    random = random_generator(seed, "planted noise")
    draws = random.standard_normal((REFERENCE + SWUNG, 1 + len(network.attributes))).astype(np.float32)
    reference, noise = torch.from_numpy(draws[:REFERENCE]), torch.from_numpy(draws[REFERENCE:])
    noise[:, 0] = torch.arange(SWUNG)
    shaped = cast(GeneratorNetwork, network)
    levels = on_levels(shaped, reference, reference[:, :0])
    swings = swing_units(shaped, noise, noise[:, :0], levels, judge)
    own = swings.channels < len(network.attributes)  # the last channel is no unit
    kept = Swings(swings.layers[own], swings.channels[own], swings.off[own], swings.on[own], swings.places[own])
    return Planted(kept, network.attributes)


def recall(planted: Planted, readout: Readout) -> pd.DataFrame:
    """Of each attribute how many planted units are found, and how many others."""
    found = unit_effects(planted.swings, readout).found
    own = np.array(planted.attributes)
    rows = []
    for attribute in PLANTED:
        column = found[:, readout.attributes.index(attribute)]
        rows.append(
            {
                "attribute": attribute,
                "planted": int((own == attribute).sum()),
                "found": int(column[own == attribute].sum()),
                "others": int((own != attribute).sum()),
                "others found": int(column[own != attribute].sum()),
            }
        )
    return pd.DataFrame(rows)


def shuffled(readout: Readout, seed: int) -> Readout:
    """A readout of labels that were permuted among the faces, each attribute by itself."""
    random = random_generator(seed, "shuffled labels")
    labels = np.stack([random.permutation(column) for column in readout.labels.T], axis=1)
    return Readout.fit(readout.coordinates, pd.DataFrame(labels, columns=readout.attributes).astype("Float64"))


def overlap(first: Any, second: Any) -> float:
    """Intersection over union of two masks."""
    return float((first & second).sum() / max(1, (first | second).sum()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--each", type=int, default=4, help="units that draw each attribute")
    parser.add_argument("--active", type=float, default=0.07, help="the share of faces in which a unit is active")
    parser.add_argument("--shuffles", type=int, default=200)
    parser.add_argument("--images", type=int, default=8000, help="that the judge is shown in all")
    options = parser.parse_args()
    data = load_toyfaces(2 * options.faces, SIZE)
    train = cast(FaceDataset, data.train)
    judge = Judge.train(train, images=options.images)
    assert judge is not None
    print({name: round(area, 2) for name, area in judge.areas.items()}, flush=True)
    looked_at = judge.readout.select(list(PLANTED))
    every = [swing_planted(judge, seed, options.each, options.active) for seed in range(options.networks)]
    print("## Planted units\n", flush=True)
    total = pd.concat([recall(planted, looked_at) for planted in every]).groupby("attribute", sort=False).sum()
    print(total.to_string())
    planted_units, found = int(total["planted"].sum()), int(total["found"].sum())
    print(f"found: {proportion_interval(found, planted_units)}")
    print(f"other units found: {int(total['others found'].sum())} of {int(total['others'].sum())}")

    print("\n## Shuffled labels\n")
    discoveries, families = 0, 0
    for seed in range(options.shuffles):
        readout = shuffled(looked_at, seed)
        count = int(unit_effects(every[seed % len(every)].swings, readout).found.sum())
        discoveries += count
        families += count > 0
    print(f"inspections with any discovery, all of them false: {proportion_interval(families, options.shuffles)}")
    print(f"false discoveries in all: {discoveries}")

    print("\n## Where\n")
    for attribute, (part, _, _) in PLANTED.items():
        shows = train.matching({attribute: True})
        where = part_of(np.asarray(train.images), shows) > 0.5
        factors = cast(pd.DataFrame, train.factors)[shows].head(200)
        truth = render_mask(factors, SIZE, part).mean(axis=0) > 0.5
        acts = []
        for planted in every:
            own = np.array(planted.attributes) == attribute
            places = planted.swings.places[own].mean(axis=0)
            acts.append(overlap(places > np.quantile(places, 1 - where.mean()), where))
        print(f"{attribute}: real faces against the mask {overlap(where, truth):.2f}, units {np.mean(acts):.2f}")


if __name__ == "__main__":
    main()
