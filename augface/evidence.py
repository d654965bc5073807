"""What a rebalancing shows of its work: counts, yields, faces and curves, as measurements and artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.artifacts import image_grid, series, table
from augface.copies import CopyFinder
from augface.data.dataset import FaceDataset
from augface.gates import Gates
from augface.making import Made
from augface.metrics import proportion_interval
from augface.results import Artifact, ImageGrid, Measurement
from augface.sampling import Group
from augface.seeds import random_generator


def balance_measurements(groups: Sequence[Group], made: Sequence[Made]) -> list[Measurement]:
    """How many faces were made, and the share of each kind that was wanted before and after."""
    before = sum(group.have for group in groups)
    after = before + sum(part.accepted for part in made)
    measurements = []
    for part in made:
        group, count = part.group, part.accepted
        common: dict[str, Any] = {
            "evaluator": "rebalance",
            "direction": "higher",
            "group": group.where,
            "n_real": group.have,
            "protocol": {"split": "train"},
        }
        measurements += [
            Measurement(name="wanted", value=group.wanted, meaning="Faces to be made.", **common),
            Measurement(
                name="made",
                value=count,
                verdict="pass" if count >= group.wanted else "warn",
                meaning="Faces that passed all gates and were added.",
                n_fake=count,
                **common,
            ),
            Measurement(
                name="share_before",
                value=group.have / before,
                unit="%",
                meaning="Share of the train split before.",
                **common,
            ),
            Measurement(
                name="share_after",
                value=(group.have + count) / after,
                unit="%",
                meaning="Share of the train split after.",
                **common,
            ),
        ]
    return measurements


def gate_measurements(made: Sequence[Made], gates: Gates, *, copies_allowed: bool) -> list[Measurement]:
    """The yield of each gate alone, and of all together."""
    gate_meanings = {
        "attribute": "Drawn faces in which the classifier sees what was asked for.",
        "copy": "Drawn faces that are no copy of a training face.",
        "plausible": "Drawn faces that lie as near to real ones as real ones of other people do.",
        "all": "Drawn faces that passed all gates.",
    }
    protocol: dict[str, dict[str, Any]] = {
        "attribute": {name: gates.classifier.threshold(name) for part in made for name in part.group.where},
        "copy": {**CopyFinder.protocol, "smallest_isolation": gates.smallest_isolation},
        "plausible": {"space": "attribute classifier", "largest_distance": gates.largest_distance},
        "all": {"gates": "attribute, plausible" if copies_allowed else "attribute, copy, plausible"},
    }
    measurements = []
    for part in made:
        for gate, meaning in gate_meanings.items():
            value, low, high = proportion_interval(part.passed[gate], part.drawn)
            measurements.append(
                Measurement(
                    evaluator="rebalance",
                    name="yield" if gate == "all" else f"yield_{gate}",
                    value=value,
                    low=low,
                    high=high,
                    unit="%",
                    direction="higher",
                    meaning=meaning,
                    n_fake=part.drawn,
                    group=part.group.where,
                    protocol=protocol[gate],
                )
            )
    return measurements


def balance_table(groups: Sequence[Group], made: Sequence[Made]) -> Artifact:
    """Training faces of each class before and after."""
    accepted = {part.group.label: part.accepted for part in made}
    rows = [(group.label, group.have, group.have + accepted.get(group.label, 0)) for group in groups]
    return table(
        pd.DataFrame(rows, columns=["class", "before", "after"]),
        name="balance",
        title="Training faces of each class",
        caption="Faces of each class in the train split, before and after the made ones were added.",
        section="balance",
    )


def gate_tables(made: Sequence[Made], gates: Gates) -> list[Artifact]:
    """How good the classifier behind the attribute gate is."""
    names = sorted({name for part in made for name in part.group.where})
    rows = [
        (name, gates.classifier.thresholds[name].balanced_accuracy)
        for name in names
        if name in gates.classifier.thresholds
    ]
    if not rows:
        return []
    return [
        table(
            pd.DataFrame(rows, columns=["attribute", "balanced accuracy"]).round(4),
            name="gate-classifier",
            title="How well the attribute gate tells",
            caption="Balanced accuracy of the attribute gate's classifier on real training people whom it did not "
            "learn from.",
            section="gates",
        )
    ]


def face_grids(made: Sequence[Made], train: FaceDataset, *, real_images: bool, seed: int) -> list[ImageGrid]:
    """Real faces of each wanted kind, made ones, and the training face nearest to each made one."""
    grids = []
    for part in made:
        if part.faces is None:
            continue
        columns = min(12, len(part.faces), part.group.have)
        random = random_generator(seed, "grid", part.group.label)
        shown = np.sort(random.choice(len(part.faces), columns, replace=False))
        rows = {"made": part.faces.images[shown]}
        if real_images:
            minority = np.flatnonzero(train.matching(part.group.where))
            real = train.images[np.sort(random.choice(minority, columns, replace=False))]
            nearest = train.images[np.array(part.nearest)[shown]]
            rows = {"real": real, **rows, "nearest training face": nearest}
        caption = f"Faces with {part.group.label}, chosen at random: {', '.join(rows)}"
        grids.append(
            image_grid(
                list(rows.values()),
                name=f"faces-{part.group.label}",
                title=f"Faces with {part.group.label}",
                caption=caption
                + ("; each nearest training face belongs to the made one above it." if real_images else "."),
                section="samples",
                row_labels=list(rows),
                shows_real_people=real_images and train.shows_people,
            )
        )
    return grids


def training_artifacts(run_dir: Path) -> list[Artifact]:
    """Loss curves and the same noise over training time, where the generator left them."""
    from PIL import Image

    artifacts: list[Artifact] = []
    if (run_dir / "log.jsonl").exists():
        entries = pd.read_json(run_dir / "log.jsonl", lines=True)
        artifacts.append(
            series(
                entries["images"],
                {"discriminator": entries["discriminator_loss"], "generator": entries["generator_loss"]},
                name="losses",
                title="Losses",
                caption="Losses of the discriminator and the generator over the images seen.",
                section="training",
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
                caption="Faces made from the same noise and the same requests, from the start of training to its end.",
                section="training",
                row_labels=[f"{int(path.stem):,} images" for path in previews],
            )
        )
    return artifacts
