"""Faces on the way from one to another."""

from __future__ import annotations

import numpy as np

from augface.inspection.inspected import Inspected, Part
from augface.results import Section
from augface.seeds import derive_seed

WALKS = Section(
    key="walks",
    title="Latent walks",
    meaning="From one generated face to another in equal steps of noise and labels: a generator that learnt faces, and "
    "did not store some, shows a face at every step.",
)


def look_at_walks(inspected: Inspected, walks: int = 3, steps: int = 8) -> Part:
    """Faces on the way from one to another."""
    part = Part(WALKS)
    faces = inspected.generator.sample(2 * walks, seed=derive_seed(inspected.seed, "inspection", "walks"))
    first, second = faces.select(np.arange(walks)), faces.select(np.arange(walks, 2 * walks))
    way = np.asarray(inspected.generator.interpolate(first, second, steps).images)
    part.show(
        list(way.reshape(walks, steps, *way.shape[1:])),
        name="walks",
        title="From one face to another",
        caption=f"{walks} pairs of generated faces, none picked, and {steps - 2} steps between them.",
    )
    return part
