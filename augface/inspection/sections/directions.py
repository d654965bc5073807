"""What the strongest directions of the noise change, and how stable they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Floats64, Integers
from augface.errors import require
from augface.inspection.directions import (
    Effects,
    effects,
    ganspace,
    map_products,
    moved,
    sefa,
    similarity,
    subspace_overlap,
)
from augface.inspection.inspected import CHECKED, RANDOM, Inspected, Part, baseline_of, mean_interval
from augface.results import Baseline, Section
from augface.seeds import random_generator

DIRECTIONS, RANDOM_DIRECTIONS = 5, 10
SAMPLES = 512
"""Faces of which GANSpace takes the components."""
SPLITS = 8
"""Times that weights or faces are halved."""

DIRECTIONS_FOUND = Section(
    key="directions",
    title="Directions of the noise",
    meaning="Directions that change faces most, found without labels, named by the attribute that the judge sees "
    "change most, and whether halves of the weights or of the faces give the same ones.",
    key_measures=("sefa_effect", "ganspace_effect", "sefa_overlap", "ganspace_overlap"),
    baseline=RANDOM,
)


def look_at_directions(inspected: Inspected) -> Part:
    """What the strongest directions of the noise change, and how stable they are."""
    part = Part(DIRECTIONS_FOUND)
    network, codes = inspected.network, inspected.checked
    latent = codes.noise.shape[1]
    count = min(DIRECTIONS, latent // 2)
    many = inspected.codes(SAMPLES, "components")
    products = map_products(network, many.noise, many.conditions)

    def by_components(rows: Integers | None) -> Floats64:
        chosen = slice(None) if rows is None else rows
        return ganspace(products[chosen][:, chosen], many.noise[chosen], count)

    methods: dict[str, Callable[[Integers | None], Floats64]] = {
        "SeFa": lambda rows: sefa(network, latent, count, rows),
        "GANSpace": by_components,
    }
    sizes = {"SeFa": network.stem.out_features, "GANSpace": SAMPLES}
    random = random_generator(inspected.seed, "inspection", "random directions")
    drawn = random.standard_normal((RANDOM_DIRECTIONS, latent))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    by_chance = _seen(inspected, drawn)
    table_rows, strips, strip_labels = [], [], []
    for method, find in methods.items():
        directions = find(None)
        halves = [
            (find(order[: len(order) // 2]), find(order[len(order) // 2 :]))
            for split in range(SPLITS)
            for order in [random_generator(inspected.seed, "inspection", method, split).permutation(sizes[method])]
        ]
        overlaps = np.array([subspace_overlap(*pair) for pair in halves])
        stable = np.mean([similarity(directions, one) for pair in halves for one in pair], axis=0)
        part.measure(
            f"{method.lower()}_overlap",
            mean_interval(overlaps),
            label=f"{method}: overlap between halves",
            unit="%",
            meaning=f"How much of the subspace of the {count} strongest directions by {method} is the same from either "
            f"half of the {'first weights' if method == 'SeFa' else 'faces'}: mean squared cosines of principal angles."
            " The baseline is that of random subspaces.",
            baseline=Baseline(value=count / latent, n=SPLITS),
            protocol={**inspected.protocol, "directions": count, "splits": SPLITS},
        )
        seen = _seen(inspected, directions)
        if seen is not None and by_chance is not None:
            part.measure(
                f"{method.lower()}_effect",
                mean_interval(np.abs(seen.means).max(axis=1)),
                label=f"{method}: largest change of an attribute",
                meaning=f"What one standard deviation to either side along a direction by {method} changes of the "
                "attribute that it changes most, in units of what separates real faces; the mean of the directions. "
                "The baseline is random directions.",
                n_fake=CHECKED,
                baseline=baseline_of(mean_interval(np.abs(by_chance.means).max(axis=1)), RANDOM_DIRECTIONS),
                protocol={**inspected.judged, "directions": count},
            )
        for row, direction in enumerate(directions):
            name, about = _named(inspected, seen, row)
            table_rows.append({"direction": f"{method} {row + 1}", **about, "same in halves": round(stable[row], 2)})
            steps = [
                moved(network, codes.noise[:2], codes.conditions[:2], direction, step) for step in (-2.0, 0.0, 2.0)
            ]
            strips.append(np.stack(steps, axis=1).reshape(-1, *steps[0].shape[1:]))
            strip_labels.append(f"{method} {row + 1}: {name}")
    part.tabulate(
        pd.DataFrame(table_rows),
        name="directions",
        title="What each direction changes",
        caption="The attribute that changes most from one standard deviation below the mean to one above, with an "
        "interval for all directions and attributes together; and the largest cosine with any direction found in half "
        "of the weights or faces (1 is the same, mean of all halves).",
    )
    part.show(
        strips,
        name="directions",
        title="Along each direction",
        caption="Two generated faces, none picked, at −2, 0 and 2 standard deviations along each direction. A "
        "name is that of the attribute that the judge sees change most, where that is certain.",
        labels=strip_labels,
    )
    return part


def _seen(inspected: Inspected, directions: Floats64) -> Effects | None:
    if inspected.judge is None:
        return None
    codes = inspected.checked
    return effects(inspected.network, codes.noise, codes.conditions, directions, inspected.judge)


def _named(inspected: Inspected, seen: Effects | None, row: int) -> tuple[str, dict[str, Any]]:
    """A name for a direction, and what its table says of it."""
    number = None if seen is None else seen.name(row)
    if seen is None or number is None:
        return "no name", {"attribute": "none for certain", "change": None, "95 %": "–"}
    attribute = require(inspected.judge).readout.attributes[number]
    value, low, high = (float(each[row, number]) for each in (seen.means, seen.lows, seen.highs))
    text = f"{low:.2f} to {high:.2f}".replace("-", "−")
    return f"{'more' if value > 0 else 'less'} {attribute}", {
        "attribute": attribute,
        "change": round(value, 2),
        "95 %": text,
    }
