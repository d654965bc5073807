"""Drawing the wanted faces: sample, keep what passes the filters, and stop when there are enough."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.data.dataset import FaceDataset, concatenate
from augface.data.groups import Subgroup
from augface.data.stored import read_faces, write_faces
from augface.errors import require
from augface.generators.base import Generator
from augface.metrics import proportion_interval
from augface.progress import progress
from augface.rebalancing.filters import Filters
from augface.rebalancing.strategy import SubgroupPlan
from augface.seeds import derive_seed
from augface.text import one_line

COUNTS = "counts.json"

log = logging.getLogger("augface")

FEWEST = 0.1
"""The share of the wanted faces without which there is no data set."""
TRIED = 1000
"""Draws before it is given up on a generator whose faces hardly ever pass."""


@dataclass(frozen=True)
class Accepted:
    """The faces of one subgroup that passed the filters, and how many were drawn and passed each filter on the way."""

    plan: SubgroupPlan
    faces: FaceDataset | None
    """None where none passed."""
    nearest: list[int]
    """The row of the training face that is nearest to each."""
    drawn: int
    passed: dict[str, int]
    """How many of the drawn faces passed each filter alone, and `all` of them."""

    @property
    def subgroup(self) -> Subgroup:
        """The subgroup that was requested."""
        return self.plan.subgroup

    @property
    def count(self) -> int:
        """How many faces passed all filters and were kept."""
        return len(self.nearest)

    def save(self, folder: Path) -> None:
        """Write the faces and the counts to a folder, which is made."""
        folder.mkdir()
        if self.faces is not None:
            write_faces(folder, self.faces)
        counts = {"nearest": self.nearest, "drawn": self.drawn, "passed": self.passed}
        (folder / COUNTS).write_text(json.dumps(counts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, plan: SubgroupPlan) -> Accepted:
        """What `save` wrote of the same subgroup."""
        counts = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
        return cls(plan, read_faces(folder) if counts["nearest"] else None, **counts)


def draw_accepted(generator: Generator, filters: Filters, plan: SubgroupPlan, *, seed: int, max_draws: int) -> Accepted:
    """Draw faces of one subgroup until enough have passed the filters, or the draws are used up.

    A generator that repeats real faces makes copies on purpose, so the copy filter reports but does not refuse them.
    """
    subgroup = plan.subgroup
    where = {name: value for name, value in subgroup.items() if name in generator.conditionable}
    most = min(plan.wanted * max_draws, generator.available(where))
    check = partial(filters.check, where=subgroup, copies_allowed="copies" in generator.capabilities)
    stream = generator.map_samples(check, most, where=where, seed=derive_seed(seed, "made", subgroup.label))
    parts: list[FaceDataset] = []
    nearest: list[int] = []
    counts = dict.fromkeys(("attribute", "copy", "plausible", "all"), 0)
    drawn = accepted = 0
    description = one_line(f"generating {subgroup.label}")
    with progress(total=plan.wanted, desc=description, unit="face") as bar:
        for faces, passed in stream:
            rows = np.flatnonzero(passed.all)[: plan.wanted - accepted]
            seen = len(faces) if accepted + len(rows) < plan.wanted else int(rows[-1]) + 1
            drawn += seen
            for name in counts:
                counts[name] += int(getattr(passed, name)[:seen].sum())
            accepted += len(rows)
            bar.update(len(rows))
            if len(rows):
                seen_in_rows = {name: probabilities[rows] for name, probabilities in passed.probabilities.items()}
                parts.append(_labelled(faces.select(rows), subgroup, seen_in_rows))
                nearest += passed.nearest[rows].tolist()
            if accepted >= plan.wanted or _is_hopeless(accepted, drawn, max_draws):
                break
    if accepted < plan.wanted:
        exhausted = ", and there are no more to draw" if drawn == most < plan.wanted * max_draws else ""
        log.warning(
            f"{subgroup.label}: {accepted} of {plan.wanted} wanted faces passed the filters in {drawn} "
            f"draws{exhausted}; the data set is written with these."
        )
    return Accepted(plan, concatenate(parts, spec=generator.name) if parts else None, nearest, drawn, counts)


def _is_hopeless(accepted: int, drawn: int, max_draws: int) -> bool:
    """Whether so few faces pass that all draws would give hardly any: fewer than `FEWEST` of those wanted."""
    return drawn >= TRIED and proportion_interval(accepted, drawn).high * max_draws < FEWEST


def _labelled(faces: FaceDataset, subgroup: Subgroup, probabilities: Mapping[str, Any]) -> FaceDataset:
    """Faces with what was requested as their labels, and what the classifier sees of it among their factors."""
    attributes = faces.attributes.assign(
        **{name: pd.array([value] * len(faces), dtype="boolean") for name, value in subgroup.items()}
    )
    verified = {f"verified_{name}": probability for name, probability in probabilities.items()}
    return replace(faces, attributes=attributes, factors=require(faces.factors).assign(**verified))
