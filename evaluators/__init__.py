"""Evaluators of synthetic faces, chosen by name. A new one is one file in this folder and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augface.errors import UsageError
from augface.registry import Registry

if TYPE_CHECKING:
    from augface.evaluators.base import Evaluator

EVALUATORS: Registry[type[Evaluator]] = Registry("evaluator", "augface.evaluators")
EVALUATORS.register(
    "fidelity", "augface.evaluators.fidelity:Fidelity", "distance of synthetic faces to held-out real ones"
)
EVALUATORS.register(
    "prdc", "augface.evaluators.prdc:Prdc", "precision, recall, density and coverage: how real, and how varied"
)
EVALUATORS.register(
    "decomposition",
    "augface.evaluators.decomposition:DistanceParts",
    "whether the average, the variance or modes make the distance to real faces",
)
EVALUATORS.register(
    "regions", "augface.evaluators.regions:Regions", "whether the face falls short or what is around it"
)
EVALUATORS.register(
    "modes", "augface.evaluators.modes:Modes", "which kinds of real faces are generated too seldom, and any duplicates"
)
EVALUATORS.register(
    "memorisation", "augface.evaluators.memorisation:Memorisation", "whether the generator repeats its training faces"
)
EVALUATORS.register(
    "membership",
    "augface.evaluators.membership:Membership",
    "whether it can be told who was in the training set",
)
EVALUATORS.register(
    "real_vs_fake",
    "augface.evaluators.real_vs_fake:RealVsFake",
    "how well a classifier distinguishes synthetic faces from real ones",
)
EVALUATORS.register(
    "adherence",
    "augface.evaluators.adherence:Adherence",
    "whether synthetic faces show the requested attributes, and what else changes with the request",
)
EVALUATORS.register(
    "steering",
    "augface.evaluators.steering:Steering",
    "what changes in a face when one attribute of it is turned on, and what else does",
)
EVALUATORS.register(
    "downstream", "augface.evaluators.downstream:Downstream", "whether a classifier gets better with synthetic faces"
)
EVALUATORS.register(
    "inspection",
    "augface.evaluators.inspection:Inspection",
    "what units, layers and directions of the generator do (a minute; runs where it is named)",
    on_request=True,
)


def loaded_evaluators() -> dict[str, type[Evaluator]]:
    """All evaluators by name; one of another package that cannot be loaded has nothing to say and is left out."""
    found = {}
    for name, entry in EVALUATORS.entries().items():
        try:
            found[name] = EVALUATORS.get(name)
        except UsageError:
            if entry.built_in:
                raise
    return found
