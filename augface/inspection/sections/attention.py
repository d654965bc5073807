"""Where the discriminator and the judge look, where their maps pass the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from augface.errors import require
from augface.inspection.attention import DEPENDS, DRAWS, STEPS, attention
from augface.inspection.inspected import SHOWN, Inspected, Part, heat_maps, inputs
from augface.inspection.units import turned
from augface.results import Section
from augface.seeds import derive_seed

JUDGED = 2
"""Attributes that the judge is looked at for."""

ATTENTION = Section(
    key="attention",
    title="Where classifiers look",
    meaning="Integrated gradients of the discriminator and of the judge, which are shown only where they differ from "
    "those of random weights: else they show the picture's edges and nothing of what was learnt.",
    key_measures=("discriminator_correlation", "judge_correlation"),
)


@dataclass(frozen=True)
class Classifier:
    """What may look somewhere."""

    name: str
    attribute: str | None
    """What it says of a face; None for whether it is real."""
    network: nn.Module
    score: Callable[[nn.Module, Tensor], Tensor]
    """Of (n, 3, H, W) images by a network: (n,)."""


def look_at_attention(inspected: Inspected) -> Part:
    """Where the discriminator and the judge look, where their maps pass the test."""
    part = Part(ATTENTION)
    codes = inspected.checked.select(np.arange(min(SHOWN, len(inspected.checked))))
    faces = turned(inspected.network, *inputs(codes), inspected.levels, [])
    rows, labels = [faces], ["the faces"]
    for classifier in _classifiers(inspected, torch.from_numpy(codes.conditions)):
        about = classifier.name if classifier.attribute is None else f"{classifier.name}: {classifier.attribute}"
        seed = derive_seed(inspected.seed, "inspection", about)
        found = attention(classifier.network, classifier.score, faces, seed=seed)
        part.measure(
            f"{classifier.name}_correlation",
            found.correlation,
            attribute=classifier.attribute,
            label=f"{classifier.name.capitalize()} beside random weights",
            direction="lower",
            meaning="Rank correlation of its maps with those of the same network with random weights. Maps whose "
            f"interval reaches {DEPENDS} are not shown.",
            n_fake=len(faces),
            protocol={**inspected.protocol, "steps": STEPS, "draws": DRAWS, "from": "the mean face"},
        )
        if found.depends_on_weights:
            rows.append(heat_maps(faces, found.maps))
            labels.append(about)
        else:
            part.skip(
                f"where the {about} looks: its maps do not pass the randomisation test, as they are too much like "
                "those of random weights."
            )
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


def _classifiers(inspected: Inspected, conditions: Tensor) -> Iterator[Classifier]:
    if inspected.discriminator is not None:
        yield Classifier(
            "discriminator", None, inspected.discriminator, lambda network, images: network(images, conditions).realness
        )
    for attribute in inspected.shown[:JUDGED]:
        network = require(inspected.judge).network
        yield Classifier("judge", attribute, network.module, partial(_logits, network.column(attribute)))


def _logits(output: int, network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    return logits[:, output]
