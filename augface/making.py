"""Making the wanted faces: draw, let through what passes the gates, and stop when there are enough."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from augface.data.dataset import FaceDataset, concatenate
from augface.gates import Gates
from augface.generators.base import Generator
from augface.sampling import Group
from augface.seeds import derive_seed

log = logging.getLogger("augface")


@dataclass(frozen=True)
class Made:
    """The faces of one group that passed the gates, and how many were drawn and passed each gate on the way."""

    group: Group
    faces: FaceDataset | None
    nearest: list[int]
    drawn: int
    passed: dict[str, int]

    @property
    def accepted(self) -> int:
        """How many faces passed all gates and were kept."""
        return len(self.nearest)


def make_faces(generator: Generator, gates: Gates, group: Group, *, seed: int, max_draws: int) -> Made:
    """Draw faces of one group until enough have passed the gates, or the draws are used up.

    The control that repeats real faces makes copies on purpose, so the copy gate is told but does not refuse them.
    """
    where = {name: value for name, value in group.where.items() if name in generator.askable}
    most = min(group.wanted * max_draws, generator.available(where))
    stream = generator.iter_samples(most, where=where, seed=derive_seed(seed, "made", group.label))
    parts: list[FaceDataset] = []
    nearest: list[int] = []
    counts = dict.fromkeys(("attribute", "copy", "plausible", "all"), 0)
    drawn = accepted = 0
    with tqdm(
        total=group.wanted, desc=f"making {group.label}", unit="face", disable=not sys.stderr.isatty()
    ) as progress:
        for faces in stream:
            passed = gates.check(faces, group.where, copies_allowed="copies" in generator.capabilities)
            rows = np.flatnonzero(passed.all)[: group.wanted - accepted]
            seen = len(faces) if accepted + len(rows) < group.wanted else int(rows[-1]) + 1
            drawn += seen
            for name in counts:
                counts[name] += int(getattr(passed, name)[:seen].sum())
            accepted += len(rows)
            progress.update(len(rows))
            if len(rows):
                parts.append(
                    _labelled(faces.select(rows), group, {n: p[rows] for n, p in passed.probabilities.items()})
                )
                nearest += passed.nearest[rows].tolist()
            if accepted >= group.wanted:
                break
    if accepted < group.wanted:
        log.warning(
            "%s: %d of %d wanted faces passed the gates in %d draws%s; the data set is written with these.",
            group.label, accepted, group.wanted, drawn,
            "" if most == group.wanted * max_draws else ", and there are no more to draw",
        )  # fmt: skip
    return Made(group, concatenate(parts, spec=generator.name) if parts else None, nearest, drawn, counts)


def _labelled(faces: FaceDataset, group: Group, probabilities: Mapping[str, Any]) -> FaceDataset:
    """Faces with what was asked for as their labels, and what the classifier sees of it among their factors."""
    assert faces.factors is not None
    attributes = faces.attributes.assign(
        **{name: pd.array([value] * len(faces), dtype="boolean") for name, value in group.where.items()}
    )
    factors = faces.factors.assign(**{f"verified_{name}": probability for name, probability in probabilities.items()})
    return replace(faces, attributes=attributes, factors=factors)
