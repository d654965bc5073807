"""ToyFaces: the built-in data set of drawn faces, whose every factor is known."""

from augface.data.toyfaces.population import ATTRIBUTES, VERSION, label, load_toyfaces, sample_population
from augface.data.toyfaces.renderer import PARTS, render, render_mask

__all__ = [
    "ATTRIBUTES",
    "PARTS",
    "VERSION",
    "label",
    "load_toyfaces",
    "render",
    "render_mask",
    "sample_population",
]
