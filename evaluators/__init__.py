"""Evaluators of synthetic faces, chosen by name. A new one is one file in this folder and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augface.registry import Registry

if TYPE_CHECKING:
    from augface.evaluators.base import Evaluator

EVALUATORS: Registry[type[Evaluator]] = Registry("evaluator", "augface.evaluators")
EVALUATORS.register(
    "fidelity", "augface.evaluators.fidelity:Fidelity", "distance of the made faces to held-out real ones"
)
EVALUATORS.register(
    "prdc", "augface.evaluators.prdc:Prdc", "how many made faces look real, and how much of real variety they cover"
)
EVALUATORS.register(
    "modes", "augface.evaluators.modes:Modes", "which kinds of real faces are made too seldom, and is any made twice?"
)
EVALUATORS.register(
    "memorisation",
    "augface.evaluators.memorisation:Memorisation",
    "does the generator repeat the faces that it learnt from?",
    ("train",),
)
EVALUATORS.register(
    "real_vs_fake", "augface.evaluators.real_vs_fake:RealVsFake", "can a classifier tell made faces from real ones?"
)
EVALUATORS.register(
    "adherence",
    "augface.evaluators.adherence:Adherence",
    "do the made faces show what was asked for, and what else changes with the request?",
    ("train",),
)
EVALUATORS.register(
    "downstream",
    "augface.evaluators.downstream:Downstream",
    "does a classifier get better with the made faces?",
    ("labels", "train", "valid", "test", "made"),
)
