"""Which layer's conditional normalisation decides an attribute."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augface.arrays import Floats64, Pixels
from augface.errors import require
from augface.inspection.inspected import CHECKED, SHOWN, Inspected, Part, inputs, mean_interval
from augface.inspection.layers import places, turn_label
from augface.results import Section

LAYERS = Section(
    key="layers",
    title="Where labels act",
    meaning="Which resolution decides an attribute: its label is turned in one layer's conditional normalisation at a "
    "time, and held in all others. The whole change is 100 %.",
    key_measures=("deciding_layer",),
)


def look_at_layers(inspected: Inspected) -> Part:
    """Which layer's conditional normalisation decides an attribute."""
    part = Part(LAYERS)
    labels = [name for name in inspected.shown if name in inspected.generator.conditionable]
    if not labels:
        part.skip("no label of the generator can be requested and read by the judge.")
        return part
    noise, conditions = inputs(inspected.checked)
    columns = list(map(str, require(inspected.generator.labels).columns))
    names = places(inspected.network)
    rows, unanswered = [], []
    for number, attribute in enumerate(labels):
        column = inspected.shown.index(attribute)

        def seen(faces: Pixels, column: int = column) -> Floats64:
            return inspected.responses(faces)[:, column]

        found = turn_label(inspected.network, noise, conditions, columns.index(attribute), seen)
        whole = mean_interval(found.changes[-1])
        part.measure(
            "label_effect",
            whole,
            attribute=attribute,
            label="Effect of the label",
            direction="target",
            meaning="How much more of it the judge sees when its label is turned in all layers: 1 is what separates "
            "real faces.",
            n_fake=CHECKED,
            protocol=inspected.judged,
        )
        if whole.low <= 0:
            unanswered.append(attribute)
            continue
        shares = [found.share(place) for place in range(len(names))]
        deciding = int(np.argmax([share.value for share in shares]))
        part.measure(
            "deciding_layer",
            shares[deciding],
            attribute=attribute,
            label="Share of the deciding layer",
            direction="target",
            unit="%",
            meaning=f"How much of that change comes when the label is turned at {names[deciding]} alone, the place "
            "that changes it most.",
            n_fake=CHECKED,
            protocol=inspected.judged,
            found={"layer": names[deciding]},
        )
        rows.append([attribute, *(round(share.value, 4) for share in shares)])
        if number == 0:
            part.show(
                [faces[:SHOWN] for faces in found.faces],
                name=f"layers-{attribute}",
                title=f"{attribute}, turned in one layer at a time",
                caption=f"The same generated faces, none picked: the label {attribute} absent, present in one layer "
                "alone, and present in all.",
                labels=["absent", *names, "all"],
            )
    if rows:
        part.tabulate(
            pd.DataFrame(rows, columns=["attribute", *names]),
            name="layers",
            title="How much of an attribute each layer decides",
            caption="The share of the whole change that comes when the label is turned in one place alone. The shares "
            "need not add up to 100 %: layers act on each other.",
            heat=True,
        )
    if unanswered:
        part.skip(f"which layer decides {', '.join(unanswered)}: the faces do not answer to the label.")
    part.measurements.sort(key=lambda one: one.name != "deciding_layer")
    return part
