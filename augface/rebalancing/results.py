"""What a rebalancing shows of its own work: counts, yields, faces and curves, as measurements and artifacts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.classifiers.copies import CopyFinder
from augface.data.dataset import FaceDataset
from augface.metrics import proportion_interval
from augface.rebalancing.drawing import Accepted
from augface.rebalancing.filters import NON_MATES_REFUSED, Filters
from augface.rebalancing.strategy import SubgroupPlan
from augface.results import REBALANCING, Artifact, ImageGrid, Measurement, Section
from augface.results.artifacts import image_grid, series, table
from augface.seeds import random_generator

BALANCE = Section(
    key="balance",
    title="Class balance",
    meaning="How many faces there were of each class, and how many there are with the synthetic ones added.",
)
FILTERS = Section(
    key="filters",
    title="Filters",
    meaning="The share of synthetic faces that passed each filter. Low shares mean many draws for a face that is kept.",
)
TRAINING = Section(
    key="training",
    title="Training",
    meaning="How the generator was trained: its losses, and samples of the same noise over time.",
)
FILTER_MEANINGS = {
    "attribute": ("Shows the attribute", "Drawn faces in which the classifier sees what was requested."),
    "copy": ("Is no copy", "Drawn faces that are no copy of a training face."),
    "plausible": ("Looks plausible", "Drawn faces that look no more damaged than 99 in 100 real ones of other people."),
    "all": ("Passed all filters", "Drawn faces that passed all filters."),
}


def balance_measurements(plans: Sequence[SubgroupPlan], accepted: Sequence[Accepted]) -> list[Measurement]:
    """How many faces were added, and the share of each subgroup before and after."""
    before = sum(plan.have for plan in plans)
    after = before + sum(part.count for part in accepted)
    measurements = []
    for part in accepted:
        plan = part.plan
        common: dict[str, Any] = {
            "evaluator": REBALANCING,
            "section": BALANCE.key,
            "direction": "target",
            "group": dict(plan.subgroup),
            "n_real": plan.have,
            "protocol": {"split": "train"},
        }
        measurements += [
            Measurement(
                name="wanted", label="Faces wanted", value=plan.wanted, meaning="Faces to be generated.", **common
            ),
            Measurement(
                name="made",
                label="Faces generated",
                value=part.count,
                verdict="pass" if part.count >= plan.wanted else "warn",
                meaning="Faces that passed all filters and were added.",
                n_fake=part.count,
                **common,
            ),
            Measurement(
                name="share_before",
                label="Share before",
                value=plan.have / before,
                unit="%",
                meaning="Share of the train split before.",
                **common,
            ),
            Measurement(
                name="share_after",
                label="Share after",
                value=(plan.have + part.count) / after,
                unit="%",
                meaning="Share of the train split after.",
                **common,
            ),
        ]
    return measurements


def filter_measurements(accepted: Sequence[Accepted], filters: Filters, *, copies_allowed: bool) -> list[Measurement]:
    """The yield of each filter alone, and of all together."""
    protocol: dict[str, dict[str, Any]] = {
        "attribute": {"threshold": "balanced on real faces of other people"},
        "copy": {**CopyFinder.protocol},
        "plausible": {"classifier": "real faces against damaged ones", "refused": NON_MATES_REFUSED},
        "all": {"filters": "attribute, plausible" if copies_allowed else "attribute, copy, plausible"},
    }
    found: dict[str, dict[str, Any]] = {
        "attribute": {name: filters.classifier.threshold(name) for part in accepted for name in part.subgroup},
        "copy": {"smallest_distance_ratio": filters.smallest_distance_ratio},
        "plausible": {"highest_score": filters.plausibility.highest_score},
        "all": {},
    }
    measurements = []
    for part in accepted:
        for name, (label, meaning) in FILTER_MEANINGS.items():
            value, low, high = proportion_interval(part.passed[name], part.drawn)
            measurements.append(
                Measurement(
                    evaluator=REBALANCING,
                    section=FILTERS.key,
                    name="yield" if name == "all" else f"yield_{name}",
                    label=label,
                    value=value,
                    low=low,
                    high=high,
                    unit="%",
                    direction="higher",
                    meaning=meaning,
                    n_fake=part.drawn,
                    group=dict(part.subgroup),
                    protocol=protocol[name],
                    found=found[name],
                )
            )
    return measurements


def label_measurements(filters: Filters, attributes: Sequence[str]) -> list[Measurement]:
    """How well the attribute filter's classifier does on real faces: what labels are worth."""
    thresholds = filters.classifier.thresholds
    return [
        Measurement(
            evaluator=REBALANCING,
            section=FILTERS.key,
            name="label_accuracy",
            label="Accuracy of the attribute filter",
            attribute=name,
            value=thresholds[name].balanced_accuracy,
            unit="%",
            direction="higher",
            meaning="Balanced accuracy of its classifier on real training people on whom it was not trained; half is "
            "guessing.",
            protocol={"classifier": "attribute classifier", "scored_on": "an inner fold of other people"},
        )
        for name in attributes
        if name in thresholds
    ]


def balance_table(plans: Sequence[SubgroupPlan], accepted: Sequence[Accepted]) -> Artifact:
    """Training faces of each class before and after."""
    added = {part.subgroup: part.count for part in accepted}
    rows = [(plan.subgroup.label, plan.have, plan.have + added.get(plan.subgroup, 0)) for plan in plans]
    return table(
        pd.DataFrame(rows, columns=["class", "before", "after"]),
        name="balance",
        title="Training faces of each class",
        caption="Faces of each class in the train split, before and after the synthetic ones were added.",
        section=BALANCE.key,
        figure="before and after",
    )


def face_grids(
    accepted: Sequence[Accepted], train: FaceDataset, *, section: str, real_images: bool, seed: int
) -> list[ImageGrid]:
    """Real faces of each subgroup, synthetic ones, and the training face nearest to each synthetic one."""
    grids = []
    for part in accepted:
        if part.faces is None:
            continue
        columns = min(12, len(part.faces))
        random = random_generator(seed, "grid", part.subgroup.label)
        shown = np.sort(random.choice(len(part.faces), columns, replace=False))
        rows = {"synthetic": part.faces.images[shown]}
        if real_images:
            minority = np.flatnonzero(train.matching(part.subgroup))
            if len(minority):
                real = np.sort(random.choice(minority, min(columns, len(minority)), replace=False))
                rows = {"real": train.images[real], **rows}
            rows["nearest training face"] = train.images[np.array(part.nearest)[shown]]
        caption = f"Faces with {part.subgroup.label}, chosen at random: {', '.join(rows)}"
        grids.append(
            image_grid(
                list(rows.values()),
                name=f"faces-{part.subgroup.label}",
                title=f"Faces with {part.subgroup.label}",
                caption=caption
                + ("; each nearest training face belongs to the synthetic one above it." if real_images else "."),
                section=section,
                row_labels=list(rows),
                shows_real_people=real_images and train.shows_people,
            )
        )
    return grids


def training_log(run_dir: Path) -> list[dict[str, float]]:
    """The entries of a training's log, where the generator left one."""
    path = run_dir / "log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def training_artifacts(run_dir: Path) -> list[Artifact]:
    """Loss curves and the same noise over training time, where the generator left them."""
    from PIL import Image

    artifacts: list[Artifact] = []
    if logged := training_log(run_dir):
        entries = pd.DataFrame(logged)
        artifacts.append(
            series(
                entries["images"],
                {str(name).removesuffix("_loss"): entries[name] for name in entries if str(name).endswith("_loss")},
                name="losses",
                title="Losses",
                caption="Losses over the images seen.",
                section=TRAINING.key,
                x_label="images seen",
                y_label="loss",
            )
        )
    previews = sorted((run_dir / "previews").glob("*.png"))
    if previews:
        strips = [np.asarray(Image.open(path)) for path in previews]
        side = strips[0].shape[0]
        artifacts.append(
            image_grid(
                [strip.reshape(side, -1, side, 3).swapaxes(0, 1) for strip in strips],
                name="previews",
                title="The same noise over training time",
                caption="Faces of the same noise and the same requests, from the start of training to its end.",
                section=TRAINING.key,
                row_labels=[f"{int(path.stem):,} images" for path in previews],
            )
        )
    return artifacts
