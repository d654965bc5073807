"""Which units are for which attribute, what they do together, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Integers, Pixels
from augface.errors import require
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
from augface.inspection.units import ACTIVE, LEAST, LOUDER, RATE, turned
from augface.results import Section
from augface.seeds import random_generator

MOST_UNITS = 10
"""Units of an attribute that are turned off together, and listed."""
RANDOM_SETS = 8
"""Of as many random units."""

UNITS = Section(
    key="units",
    title="Units and attributes",
    meaning="Which channels of the generator are for which attribute: what the judge sees change when one is turned "
    "off and on, beside all other units. 1 is what separates real faces with an attribute from those without.",
    key_measures=("found_units_effect", "units_found"),
    baseline=RANDOM,
)


def look_at_units(inspected: Inspected) -> Part:
    """Units that are for an attribute, what they do together, and where."""
    part = Part(UNITS)
    if inspected.judge is None:
        part.skip("no attribute of the training faces can be read by the judge.")
        return part
    swings, found = inspected.swings, inspected.tested.found
    names = inspected.judge.readout.attributes
    _tabulate_layers(part, inspected)
    before = _rendered(inspected, [])
    rows, labels, heats, heat_labels = [], [], [], []
    for attribute in inspected.shown:
        column = inspected.column(attribute)
        own = _strongest(inspected, column)
        count = int(found[:, column].sum())
        part.measure(
            "units_found",
            float(count),
            attribute=attribute,
            label="Units for the attribute",
            direction="target",
            unit="units",
            meaning=f"Of {len(swings):,} units, those that change {attribute} more than twice as much as the median "
            f"unit of their layer; at most {RATE:.0%} of discoveries are expected to be false.",
            n_fake=SWUNG,
            protocol={**inspected.judged, "active": ACTIVE, "false_discovery_rate": RATE, "least": [LEAST, LOUDER]},
            found={"by layer": _by_layer(swings.layers, found[:, column])},
        )
        if not count:
            continue
        away, towards = (_rendered(inspected, _turn(inspected, own, column, towards=way)) for way in (False, True))
        _measure_together(part, inspected, attribute, own, before, away)
        heat = _measure_place(part, inspected, attribute, own)
        heats.append(heat)
        heat_labels.append(attribute)
        rows += [faces[:SHOWN] for faces in (away, before, towards)]
        labels += [f"{attribute}: units turned against it", "as generated", "units turned to it"]
    unfound = [name for name in inspected.shown if not found[:, inspected.column(name)].any()]
    if unfound:
        part.skip(f"what units do for {', '.join(unfound)}: no unit stands out from the others.")
    if rows:
        part.show(
            rows,
            name="units-turned",
            title="The units of an attribute, turned against it and to it",
            caption=f"The same generated faces, none picked, with at most {MOST_UNITS} of the units that were found "
            "for an attribute all turned so that they take it away (first row), as generated (second) and turned so "
            "that they bring it (third).",
            labels=labels,
        )
        part.show(
            heats,
            name="units-places",
            title="Where these units act",
            caption="On the mean generated face. From the left: where real faces with and without the attribute "
            "differ, where its units change pixels, where random units of the same layers do.",
            labels=heat_labels,
        )
    _list_units(part, inspected)
    if len(names) > len(inspected.shown):
        part.measurements.sort(key=lambda one: one.name != "found_units_effect")
    return part


def _by_layer(layers: Integers, found: Any) -> dict[str, int]:
    return {f"{4 * 2**layer} px": int(found[layers == layer].sum()) for layer in np.unique(layers).tolist()}


def _strongest(inspected: Inspected, column: int) -> list[int]:
    """The units of an attribute that change it most."""
    found = np.flatnonzero(inspected.tested.found[:, column])
    return found[np.argsort(-np.abs(inspected.tested.effects[found, column]), kind="stable")][:MOST_UNITS].tolist()


def _turn(inspected: Inspected, units: Sequence[int], column: int, *, towards: bool) -> list[tuple[int, int, bool]]:
    """How to turn units to an attribute, or against it: off or on, as each works."""
    swings, effects = inspected.swings, inspected.tested.effects
    return [
        (int(swings.layers[unit]), int(swings.channels[unit]), bool((effects[unit, column] > 0) == towards))
        for unit in units
    ]


def _rendered(inspected: Inspected, units: list[tuple[int, int, bool]]) -> Pixels:
    return turned(inspected.network, *inputs(inspected.checked), inspected.levels, units)


def _alike(inspected: Inspected, units: Sequence[int], draw: int) -> list[int]:
    """As many random units of the same layers."""
    random = random_generator(inspected.seed, "inspection", "random units", draw)
    layers = inspected.swings.layers
    chosen: list[int] = []
    for layer in np.unique(layers[list(units)]):
        candidates = np.setdiff1d(np.flatnonzero(layers == layer), units)
        wanted = min(int((layers[list(units)] == layer).sum()), len(candidates))
        chosen += random.permutation(candidates)[:wanted].tolist()
    return chosen


def _measure_together(
    part: Part, inspected: Inspected, attribute: str, own: Sequence[int], before: Pixels, away: Pixels
) -> None:
    judge, column = require(inspected.judge), inspected.column(attribute)
    seen = judge.responses(before)[:, column]
    less = seen - judge.responses(away)[:, column]
    random = [
        seen
        - judge.responses(_rendered(inspected, _turn(inspected, _alike(inspected, own, draw), column, towards=False)))[
            :, column
        ]
        for draw in range(RANDOM_SETS)
    ]
    by_set = np.array([one.mean() for one in random])
    part.measure(
        "found_units_effect",
        mean_interval(less),
        attribute=attribute,
        label="Effect of the units together",
        meaning=f"How much less of {attribute} the judge sees in other generated faces when the {len(own)} strongest "
        "of its units are turned against it: 1 is what separates real faces with it from those without. The baseline "
        "is as many random units of the same layers, turned likewise.",
        n_fake=CHECKED,
        baseline=baseline_of(mean_interval(by_set), RANDOM_SETS),
        protocol={**inspected.judged, "units": MOST_UNITS, "random_sets": RANDOM_SETS},
    )


def _measure_place(part: Part, inspected: Inspected, attribute: str, own: Sequence[int]) -> Pixels:
    """How much of the units' change lies where the attribute shows; returns a row of heat maps."""
    swings = inspected.swings
    known = inspected.data.attributes[attribute].notna().to_numpy()
    rows = np.flatnonzero(known)[:2000]
    where = part_of(
        np.asarray(inspected.data.images[rows]),
        inspected.data.attributes[attribute].to_numpy(dtype=np.float64, na_value=0)[rows] > 0,
    )
    inside = (swings.places * where).sum(axis=(1, 2)) / np.maximum(swings.places.sum(axis=(1, 2)), 1e-9)
    random = np.concatenate([_alike(inspected, own, draw) for draw in range(RANDOM_SETS)]).astype(np.int64)
    others = np.unique(random)
    part.measure(
        "change_in_part",
        mean_interval(inside[list(own)]) if len(own) > 1 else float(inside[own[0]]),
        attribute=attribute,
        label="Change within the part",
        unit="%",
        meaning=f"How much of the pixels' change by the units of {attribute} lies where real faces with and without it "
        "differ; the baseline is random units of the same layers.",
        n_fake=SWUNG,
        baseline=baseline_of(mean_interval(inside[others]), len(others)) if len(others) > 1 else None,
        protocol={**inspected.protocol, "part": "three quarters of the difference between real faces"},
    )
    mean_face = _rendered(inspected, []).mean(axis=0).astype(np.uint8)
    maps = [where, swings.places[list(own)].mean(axis=0), swings.places[others].mean(axis=0) if len(others) else where]
    return heat_maps(np.repeat(mean_face[None], 3, axis=0), np.stack(maps).astype(np.float32))


def _tabulate_layers(part: Part, inspected: Inspected) -> None:
    swings, found = inspected.swings, inspected.tested.found
    names = require(inspected.judge).readout.attributes
    rows = []
    for name in [*inspected.shown, *(other for other in names if other not in inspected.shown)]:
        column = found[:, names.index(name)]
        if column.any() or name in inspected.shown:
            shares = [float(column[swings.layers == layer].mean()) for layer in np.unique(swings.layers)]
            rows.append([name, *shares, int(column.sum())])
    layers = [f"{4 * 2**layer} px ({(swings.layers == layer).sum()} units)" for layer in np.unique(swings.layers)]
    part.tabulate(
        pd.DataFrame(rows, columns=["attribute", *layers, "units"]).drop(columns="units"),
        name="units-by-layer",
        title="Units of each attribute, layer by layer",
        caption="The share of each layer's units that are for an attribute.",
        heat=True,
    )


def _list_units(part: Part, inspected: Inspected) -> None:
    swings, result, judge = inspected.swings, inspected.tested, require(inspected.judge)
    off, on = (judge.readout.responses(each.mean(axis=1)) for each in (swings.off, swings.on))
    rows = []
    for attribute in inspected.shown:
        column = inspected.column(attribute)
        for unit in _strongest(inspected, column):
            rows.append(
                {
                    "attribute": attribute,
                    "layer": f"{4 * 2 ** int(swings.layers[unit])} px",
                    "unit": int(swings.channels[unit]),
                    "turned off": round(float(off[unit, column]), 3),
                    "turned on": round(float(on[unit, column]), 3),
                    "off to on": round(float(result.effects[unit, column]), 3),
                    "95 %": f"{result.lows[unit, column]:.2f} to {result.highs[unit, column]:.2f}".replace("-", "−"),
                    "adjusted p": float(f"{result.adjusted[unit, column]:.2g}"),
                }
            )
    if rows:
        part.tabulate(
            pd.DataFrame(rows),
            name="units",
            title="The strongest units",
            caption="What the judge sees change in a face when a unit is turned off, on, and from off to on; 1 is what "
            "separates real faces with the attribute from those without.",
        )
