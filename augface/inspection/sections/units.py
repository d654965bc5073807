"""Which units are for which attribute, what they do together, and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Pixels
from augface.generators._parts import part_of
from augface.inspection.inspected import (
    CHECKED,
    RANDOM,
    SHOWN,
    SWUNG,
    Inspected,
    Part,
    baseline_of,
    heat_maps,
    inputs,
    mean_interval,
)
from augface.inspection.units import ACTIVE, LEAST, LOUDER, RATE, layer_name, turned
from augface.results import Section
from augface.seeds import random_generator

MOST_UNITS = 10
"""Units of an attribute that are turned off together, and listed."""
RANDOM_SETS = 8
"""Of as many random units."""
MOST_FACES = 800
"""Training faces that say where an attribute shows."""

UNITS = Section(
    key="units",
    title="Units and attributes",
    meaning="Which channels of the generator are for which attribute: what the judge sees change when one is turned "
    "off and on, beside all other units. 1 is what separates real faces with an attribute from those without.",
    key_measures=("units_effect", "units_found"),
    baseline=RANDOM,
)


def look_at_units(inspected: Inspected) -> Part:
    """Units that are for an attribute, what they do together, and where."""
    part = Part(UNITS)
    if inspected.judge is None:
        part.skip("no attribute of the training faces can be read by the judge.")
        return part
    before = _rendered(inspected, [])
    faces, labels, places = [before[:SHOWN]], ["as generated"], []
    for column, attribute in enumerate(inspected.shown):
        units = inspected.unit_effects.strongest(column, MOST_UNITS)
        away, towards = (_rendered(inspected, _turn(inspected, units, column, towards=way)) for way in (False, True))
        _measure_together(part, inspected, column, units, before, away)
        places.append(_measure_place(part, inspected, column, units, before))
        faces += [away[:SHOWN], towards[:SHOWN]]
        labels += [f"less {attribute}", f"more {attribute}"]
    for column in range(len(inspected.shown)):
        _measure_count(part, inspected, column)
    order = ("units_effect", "units_found", "change_in_part")
    part.measurements.sort(key=lambda one: order.index(one.name))
    _tabulate_layers(part, inspected)
    part.show(
        faces,
        name="units-turned",
        title="The units of an attribute, turned against it and to it",
        caption=f"The same generated faces, none picked, as they are, and with the {MOST_UNITS} units that are the "
        "surest to change an attribute turned so that they take it away or bring it.",
        labels=labels,
    )
    part.show(
        places,
        name="units-places",
        title="Where these units act",
        caption="On the mean generated face. From the left: where real faces with and without the attribute differ, "
        "where its units change pixels, where random units of the same layers do.",
        labels=inspected.shown,
    )
    _list_units(part, inspected)
    return part


def _turn(inspected: Inspected, units: Sequence[int], column: int, *, towards: bool) -> list[tuple[int, int, bool]]:
    """How to turn units to an attribute, or against it: off or on, as each works."""
    swings, effects = inspected.swings, inspected.unit_effects.effects
    return [
        (int(swings.layers[unit]), int(swings.channels[unit]), bool((effects[unit, column] > 0) == towards))
        for unit in units
    ]


def _rendered(inspected: Inspected, units: list[tuple[int, int, bool]]) -> Pixels:
    return turned(inspected.network, *inputs(inspected.checked), inspected.levels, units)


def _alike(inspected: Inspected, units: Sequence[int], draw: int) -> list[int]:
    """As many random units of the same layers, as far as there are others."""
    random = random_generator(inspected.seed, "inspection", "random units", draw)
    layers, chosen = inspected.swings.layers, list[int]()
    for layer, count in zip(*np.unique(layers[list(units)], return_counts=True), strict=True):
        others = np.setdiff1d(np.flatnonzero(layers == layer), units)
        chosen += random.permutation(others)[:count].tolist()
    return chosen


def _measure_together(
    part: Part, inspected: Inspected, column: int, units: Sequence[int], before: Pixels, away: Pixels
) -> None:
    attribute, seen = inspected.shown[column], inspected.responses(before)[:, column]
    at_random = []
    for draw in range(RANDOM_SETS):
        others = _turn(inspected, _alike(inspected, units, draw), column, towards=False)
        at_random.append(float((seen - inspected.responses(_rendered(inspected, others))[:, column]).mean()))
    part.measure(
        "units_effect",
        mean_interval(seen - inspected.responses(away)[:, column]),
        attribute=attribute,
        label="Effect of the surest units together",
        meaning=f"How much less of it the judge sees in other faces when the {len(units)} units that are the surest to "
        "change it are turned against it; beside it, as many other units of the same layers.",
        n_fake=CHECKED,
        baseline=baseline_of(mean_interval(np.array(at_random)), RANDOM_SETS),
        protocol={**inspected.judged, "units": MOST_UNITS, "random_sets": RANDOM_SETS},
    )


def _measure_place(part: Part, inspected: Inspected, column: int, units: Sequence[int], before: Pixels) -> Pixels:
    """How much of the units' change lies where the attribute shows; returns a row of heat maps."""
    attribute, places = inspected.shown[column], inspected.swings.places
    labels = inspected.data.attributes[attribute]
    known = np.flatnonzero(labels.notna())[:MOST_FACES]
    where = part_of(np.asarray(inspected.data.images[known]), labels.iloc[known].to_numpy(dtype=np.bool_))
    inside = (places * where).sum(axis=(1, 2)) / np.maximum(places.sum(axis=(1, 2)), 1e-9)
    others = np.unique(np.concatenate([_alike(inspected, units, draw) for draw in range(RANDOM_SETS)]).astype(np.int64))
    part.measure(
        "change_in_part",
        mean_interval(inside[list(units)]),
        attribute=attribute,
        label="Change within the part",
        unit="%",
        meaning="How much of what they change in pixels lies where real faces with and without the attribute differ "
        "most; beside it, other units of the same layers.",
        n_fake=SWUNG,
        baseline=baseline_of(mean_interval(inside[others]), len(others)) if len(others) > 1 else None,
        protocol={**inspected.protocol, "part": "three quarters of the difference between real faces"},
    )
    maps = [where, *(places[rows].mean(axis=0) for rows in (list(units), others) if len(rows))]
    mean_face = before.mean(axis=0).astype(np.uint8)
    return heat_maps(np.repeat(mean_face[None], len(maps), axis=0), np.stack(maps).astype(np.float32))


def _measure_count(part: Part, inspected: Inspected, column: int) -> None:
    swings, found = inspected.swings, inspected.unit_effects.found[:, column]
    part.measure(
        "units_found",
        float(found.sum()),
        attribute=inspected.shown[column],
        label="Units for the attribute",
        direction="target",
        unit="units",
        meaning=f"Of {len(swings):,}, those that are certain to change it more than twice as much as the median unit "
        f"of their layer; {RATE:.0%} of discoveries are expected to be false.",
        n_fake=SWUNG,
        protocol={**inspected.judged, "active": ACTIVE, "false_discovery_rate": RATE, "least": [LEAST, LOUDER]},
        found={"by layer": {name: int(found[own].sum()) for name, own in _layers(inspected).items()}},
    )


def _layers(inspected: Inspected) -> dict[str, Booleans]:
    """Which units are in which layer, by its resolution."""
    layers = inspected.swings.layers
    return {layer_name(layer): layers == layer for layer in np.unique(layers).tolist()}


def _tabulate_layers(part: Part, inspected: Inspected) -> None:
    layers, found = _layers(inspected), inspected.unit_effects.found
    rows = [
        [attribute, *(float(found[own, column].mean()) for own in layers.values())]
        for column, attribute in enumerate(inspected.shown)
    ]
    names = [f"{name} ({own.sum()} units)" for name, own in layers.items()]
    part.tabulate(
        pd.DataFrame(rows, columns=["attribute", *names]),
        name="units-by-layer",
        title="Units for each attribute, layer by layer",
        caption="The share of each layer's units that are for an attribute.",
        heat=True,
    )


def _list_units(part: Part, inspected: Inspected) -> None:
    swings, result = inspected.swings, inspected.unit_effects
    off, on = (inspected.readout.responses(each.mean(axis=1)) for each in (swings.off, swings.on))
    rows = []
    for column, attribute in enumerate(inspected.shown):
        for unit in result.strongest(column, MOST_UNITS):
            low, high = result.lows[unit, column], result.highs[unit, column]
            rows.append(
                {
                    "attribute": attribute,
                    "layer": layer_name(int(swings.layers[unit])),
                    "unit": int(swings.channels[unit]),
                    "turned off": round(float(off[unit, column]), 3),
                    "turned on": round(float(on[unit, column]), 3),
                    "off to on": round(float(result.effects[unit, column]), 3),
                    "95 %": f"{low:.2f} to {high:.2f}".replace("-", "−"),
                    "adjusted p": float(f"{result.adjusted[unit, column]:.2g}"),
                }
            )
    part.tabulate(
        pd.DataFrame(rows),
        name="units",
        title="The surest units",
        caption="What the judge sees change in a face when a unit is turned off, on, and from off to on; 1 is what "
        f"separates real faces with the attribute from those without. Those with an adjusted p of at most {RATE:g} "
        "count as found.",
    )
