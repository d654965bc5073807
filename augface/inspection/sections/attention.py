"""Where the discriminator and the judge look, where their maps pass the test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from augface.errors import require
from augface.inspection.attention import DEPENDS, DRAWS, STEPS, attention
from augface.inspection.inspected import SHOWN, Inspected, Part, heat_maps, inputs
from augface.inspection.units import turned
from augface.results import Section
from augface.seeds import derive_seed

ATTENTION = Section(
    key="attention",
    title="Where classifiers look",
    meaning="Integrated gradients of the discriminator and of the judge, which are shown only where they differ from "
    "those of random weights: else they show the picture's edges and nothing of what was learnt.",
    key_measures=("discriminator_correlation", "judge_correlation"),
)


def look_at_attention(inspected: Inspected) -> Part:
    """Where the discriminator and the judge look, where their maps pass the test."""
    part = Part(ATTENTION)
    codes = inspected.checked.select(np.arange(SHOWN))
    faces = turned(inspected.network, *inputs(codes), inspected.levels, [])
    conditions = torch.from_numpy(codes.conditions)
    classifiers: dict[str, tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]] = {}
    if inspected.discriminator is not None:
        classifiers["the discriminator: real or synthetic"] = (
            inspected.discriminator,
            lambda network, images: network(images, conditions).realness,
        )
    for attribute in inspected.shown[:2]:
        judge = require(inspected.judge)
        output = judge.network.column(attribute)
        classifiers[f"the judge: {attribute}"] = (
            judge.network.module,
            lambda network, images, output=output: network(images)[:, output],
        )
    rows, labels, failed = [faces], ["the faces"], []
    for name, (network, score) in classifiers.items():
        found = attention(network, score, faces, seed=derive_seed(inspected.seed, "inspection", name))
        part.measure(
            "discriminator_correlation" if network is inspected.discriminator else "judge_correlation",
            found.correlation,
            attribute=None if network is inspected.discriminator else name.partition(": ")[2],
            label=f"{name[4].upper()}{name.partition(':')[0][5:]}, beside random weights",
            direction="lower",
            meaning=f"Rank correlation of the maps of {name} with those of the same network with random weights. Maps "
            f"whose interval reaches {DEPENDS} are not shown.",
            n_fake=SHOWN,
            protocol={**inspected.protocol, "steps": STEPS, "draws": DRAWS, "baseline": "the mean face"},
        )
        if found.depends_on_weights:
            rows.append(heat_maps(faces, found.maps))
            labels.append(name)
        else:
            failed.append(name)
    for name in failed:
        part.skip(f"where it looks, of {name}: the maps are too much like those of random weights.")
    if inspected.discriminator is None:
        part.skip("where the discriminator looks: the generator was saved without it.")
    if len(rows) > 1:
        part.show(
            rows,
            name="attention",
            title="What speaks for or against",
            caption="Generated faces, none picked. The more orange, the more a place adds to what a classifier says, "
            "or takes from it, on the way from the mean of these faces.",
            labels=labels,
        )
    return part
