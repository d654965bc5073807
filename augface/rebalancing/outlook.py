"""What can be said before anything is trained: what is known of data like these, and how much there is to gain."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from augface.data.dataset import FaceDataset
from augface.downstream.analysis import experiment_on
from augface.downstream.headroom import TIMES, Headroom, headroom, lacking
from augface.downstream.settings import DownstreamSettings
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.generators.base import Generator
from augface.rebalancing.strategy import SubgroupPlan

TABLE = "known.csv"
"""What studies found, by `experiments/scarcity.py` (learnt faces, and networks) and `experiments/map.py` (the rest)."""

log = logging.getLogger("augface")


class Known(NamedTuple):
    """What studies of one regime found.

    Attributes:
        learner: the downstream mode.
        faces: `learnt` by a generator that is trained, or `composed` of parts of real faces.
        fewest: training faces of the subgroup, from this number on.
        most: up to this number.
        studies: how many data sets, attributes or cells were tried.
        helped: in how many the faces were shown to help.
        lowest: the smallest effect in average precision, against the best training without synthetic faces.
        highest: the largest effect.
        free: what that training gains on plain training.
        real: what real faces in the place of the synthetic ones add to it; None where that was not measured.
    """

    learner: str
    faces: str
    fewest: int
    most: int
    studies: int
    helped: int
    lowest: float
    highest: float
    free: float
    real: float | None

    def __str__(self) -> str:
        effects = f"{self.lowest:+.3f}" if self.lowest == self.highest else f"{self.lowest:+.3f} to {self.highest:+.3f}"
        real = "" if self.real is None else f"; real faces in their place {self.real:+.3f}"
        return (
            f"{self.faces} faces helped in {self.helped} of {self.studies} studies ({effects} in average precision, "
            f"against the best training without them, which gains {self.free:+.3f} on plain training{real})."
        )


def known_studies() -> list[Known]:
    """The table that the package ships, made from the studies in docs/map.md."""
    text = (files("augface.rebalancing") / TABLE).read_text(encoding="utf-8")
    return [
        Known(
            row["learner"],
            row["faces"],
            fewest=int(row["fewest"]),
            most=int(row["most"]),
            studies=int(row["studies"]),
            helped=int(row["helped"]),
            lowest=float(row["lowest"]),
            highest=float(row["highest"]),
            free=float(row["free"]),
            real=float(row["real"]) if row["real"] else None,
        )
        for row in csv.DictReader(text.splitlines())
    ]


def known_of(subgroups: Sequence[SubgroupPlan], generator: Generator, settings: DownstreamSettings) -> list[str]:
    """What is known of data like these, a sentence for each regime that the subgroups are in.

    Args:
        subgroups: what is to be generated.
        generator: what generates it.
        settings: how classifiers learn.
    """
    composes, trained = (name in generator.capabilities for name in ("composes", "trainable"))
    if composes == trained:  # no study was of such a generator
        return []
    kind = "composed" if composes else "learnt"
    alike = [row for row in known_studies() if (row.learner, row.faces) == (settings.mode, kind)]
    sentences: dict[str, None] = {}
    for each in (plan for plan in subgroups if plan.wanted):
        for row in alike:
            if row.fewest <= each.have <= row.most:
                where = "where a combination is absent" if row.most == 0 else f"at {row.fewest} to {row.most} faces"
                sentences[f"Known of data like these ({where}, {row.learner} downstream): {row}"] = None
    return list(sentences)


def measure_headroom(
    data: FaceDataset,
    attributes: Sequence[str],
    within: Sequence[str],
    settings: DownstreamSettings,
    external_test: FaceDataset | None,
    *,
    seed: int,
    run_dir: Path | None = None,
) -> dict[str, Headroom]:
    """What could be gained for each attribute, where that can be known; the report has the same numbers.

    Args:
        data: with splits.
        attributes: what is to be balanced.
        within: inside the groups of these.
        settings: how classifiers learn; where they do not, nothing is measured.
        external_test: as the experiment will have it.
        seed: of the run.
        run_dir: the run folder, where what is learnt is kept.
    """
    train, valid, test = data.train, data.valid, data.test
    found: dict[str, Headroom] = {}
    if settings.mode == "off" or train is None or valid is None or test is None:
        return found
    held_out = {"valid": valid, "test": test, **({} if external_test is None else {"external test": external_test})}
    groups = [name for name in within if name not in attributes]
    for target in attributes:
        one_class = any(part.attribute(target).nunique() < 2 for part in (train, *held_out.values()))
        if one_class or lacking(train, [target, *groups]):
            continue
        experiment = experiment_on(
            target,
            train,
            train.select(slice(0, 0)),
            held_out,
            settings,
            lambda faces: features_of(faces, create_feature_space()),
            by=groups,
            seed=seed,
            run_dir=run_dir,
        )
        if (room := headroom(experiment)) is not None:
            found[target] = room
    return found


def in_words(target: str, room: Headroom) -> str:
    """What could be gained for an attribute, in a sentence or two, as far as is known before the arms are trained."""
    kind = "Probably nothing to gain" if room.nothing_to_gain else "What could be gained"
    return (
        f"{kind}: {TIMES} times as many real faces of the rarer class would add {room} in average precision to "
        f"{target}. The test is expected to see effects from about {room.visible:.3f} on; how small ones it sees is "
        "known once it is done."
    )
