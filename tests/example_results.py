"""Results as `augface rebalance` gives them, with made-up numbers, and the same with hostile names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.evaluation.evaluate import SAMPLES
from augface.evaluators import EVALUATORS
from augface.rebalancing.results import BALANCE, FILTERS, TRAINING
from augface.results import Advice, Baseline, Evaluation, Measurement, Skipped, Table, Verdict, artifacts

HOSTILE = "\"><script>alert(1)</script>'&{{7*7}} 👓 \u202eمرحبا $x^ \x1b[31m"
SECTIONS = [BALANCE, FILTERS, SAMPLES, *(EVALUATORS.get(name).section for name in EVALUATORS), TRAINING]
ARMS = ("plain", "class-weighted", "oversampled", "synthetic 0.5", "synthetic 1.0")


def painted_faces(count: int, seed: int, size: int = 64, glasses: bool = True) -> npt.NDArray[np.uint8]:
    """(count, size, size, 3) simple faces: an oval with eyes on a plain background."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    faces = np.empty((count, size, size, 3))
    for face in faces:
        skin = np.array([0.93, 0.76, 0.64]) * random.uniform(0.5, 1.05)
        centre_x, centre_y = random.normal(0, 0.06, 2)
        light = 1 - 0.25 * (x * random.normal(0, 0.5) + y * 0.4)
        face[:] = random.uniform(0.2, 0.9, 3) * (1 - 0.2 * y[..., None])
        face[((x - centre_x) / 0.72) ** 2 + ((y - centre_y + 0.15) / 0.88) ** 2 < 1] = random.uniform(0.05, 0.5, 3)
        head = ((x - centre_x) / 0.58) ** 2 + ((y - centre_y - 0.05) / 0.76) ** 2 < 1
        face[head] = (skin * light[..., None])[head]
        for side in (-1, 1):
            distance = np.hypot(x - centre_x - side * 0.23, y - centre_y + 0.05)
            face[distance < 0.06] = 0.1
            if glasses:
                face[(distance > 0.15) & (distance < 0.19)] = 0.08
        face[(np.abs(x - centre_x) < 0.2) & (np.abs(y - centre_y - 0.42) < 0.03)] = (0.6, 0.2, 0.25)
    noisy = faces + random.normal(0, 0.015, faces.shape)
    return np.asarray((noisy.clip(0, 1) * 255).round(), dtype=np.uint8)


def realistic_evaluation(*, shows_real_people: bool = True, decision: Any = "no evidence") -> Evaluation:
    """What `augface rebalance --attr Eyeglasses` measures, with made-up numbers."""
    random = np.random.default_rng(0)
    glasses = {"Eyeglasses": True}
    measurements = [
        Measurement(
            evaluator="rebalance",
            section="filters" if name.startswith("yield") else "balance",
            name=name,
            label=label,
            value=value,
            low=low,
            high=high,
            direction="target" if name.startswith("share") else "higher",
            unit=unit,
            meaning=meaning,
            group=glasses,
            n_fake=n_fake,
        )
        for name, label, value, low, high, unit, meaning, n_fake in (
            (
                "share_before",
                "Share before",
                0.0652,
                None,
                None,
                "%",
                "Faces with Eyeglasses among the training faces.",
                None,
            ),
            ("share_after", "Share after", 0.4879, None, None, "%", "The same, with the synthetic faces added.", None),
            ("made", "Faces generated", 4950.0, None, None, "", "Synthetic faces that passed every filter.", None),
            ("wanted", "Faces wanted", 5218.0, None, None, "", "Synthetic faces that a full balance takes.", None),
            (
                "yield_attribute",
                "Shows the attribute",
                0.713,
                0.706,
                0.72,
                "%",
                "A classifier sees the glasses.",
                17400,
            ),
            (
                "yield_copy",
                "Is no copy",
                0.998,
                0.997,
                0.999,
                "%",
                "No training face is closer than real faces are.",
                12406,
            ),
            ("yield_plausible", "Looks plausible", 0.4, 0.391, 0.409, "%", "As typical as 99 % of real faces.", 12381),
            ("yield", "Passed all filters", 0.2845, 0.278, 0.291, "%", "Of all draws, the share that was kept.", 17400),
        )
    ]
    protocol = {"resize": "bicubic 224", "weights": "sha256:0a1b2c3d", "seed": 0, "comparison": "held-out real"}
    measurements += [
        Measurement(
            evaluator="fidelity",
            name="frechet_distance",
            label="Fréchet distance",
            value=231.4,
            low=224.9,
            high=238.2,
            p_value=0.001,
            direction="lower",
            baseline=Baseline(value=38.71, low=36.2, high=41.5, n=2560),
            verdict="warn",
            meaning="Distance of the two sets' means and covariances.",
            n_real=2560,
            n_fake=2560,
            space="efficientnet-lite0",
            protocol=protocol,
        ),
        Measurement(
            evaluator="fidelity",
            name="kernel_distance",
            label="Kernel distance",
            value=0.01824,
            low=0.0169,
            high=0.0195,
            p_value=0.001,
            direction="lower",
            baseline=Baseline(value=0.00003, low=-0.0002, high=0.0003, n=2560),
            verdict="warn",
            meaning="Unbiased distance of the two sets, for sets of any size.",
            n_real=2560,
            n_fake=2560,
            space="efficientnet-lite0",
            protocol=protocol | {"kernel": "cubic"},
        ),
        Measurement(
            evaluator="downstream",
            name="effect",
            label="Effect of added faces",
            signed=True,
            value=-0.0041,
            low=-0.0127,
            high=0.0049,
            p_value=0.36,
            direction="higher",
            meaning="Average precision of the best synthetic arm minus the best arm of real faces only.",
            n_real=1509,
            attribute="Eyeglasses",
            found={"control": "oversampled", "treatment": "synthetic 0.5", "smallest_visible_effect": 0.012},
            protocol={
                "score": "average precision",
                "seeds": 5,
                "real_only": "oversampled",
                "synthetic": "synthetic 0.5",
            },
        ),
    ]
    rows = []
    for place, arm in enumerate(ARMS):
        for score, centre in (("average_precision", 0.81), ("balanced_accuracy", 0.86), ("minority_recall", 0.74)):
            mean = centre + (0, 0.012, 0.017, 0.013, 0.004)[place]
            measurements.append(
                Measurement(
                    evaluator="downstream",
                    name=score,
                    label=score.replace("_", " ").capitalize(),
                    arm=arm,
                    attribute="Eyeglasses",
                    value=mean,
                    low=mean - 0.011,
                    high=mean + 0.012,
                    direction="higher",
                    n_real=1509,
                    protocol={"seeds": 5, "features": "efficientnet-lite0", "steps": 2000},
                )
            )
        for seed in range(5):
            scores = np.array([0.81, 0.86, 0.74]) + (0, 0.012, 0.017, 0.013, 0.004)[place]
            rows.append([arm, seed, *(scores + random.normal(0, 0.007, 3)).round(4)])
    steps = np.arange(0, 400_000, 500)
    grids = [
        artifacts.image_grid(
            [painted_faces(6, 6), painted_faces(6, 7)],
            name="glance",
            title="At random",
            caption="Synthetic faces and real ones, none picked for its looks",
            section="samples",
            row_labels=["synthetic", "real"],
            shows_real_people=shows_real_people,
        ),
        artifacts.image_grid(
            [painted_faces(8, 1), painted_faces(8, 2), painted_faces(8, 3)],
            name="samples",
            title="Real, synthetic, and the real face nearest to each synthetic one",
            caption="Three rows of eight random faces with Eyeglasses: real ones, synthetic ones, and for each "
            "synthetic face its nearest training face.",
            section="samples",
            row_labels=["real minority", "synthetic minority", "nearest real neighbour"],
            shows_real_people=shows_real_people,
        ),
        artifacts.image_grid(
            painted_faces(32, 4),
            name="made",
            title="Random synthetic faces",
            caption="Thirty-two synthetic faces before the filters, in the order they were drawn.",
            section="samples",
            columns=8,
        ),
        artifacts.image_grid(
            painted_faces(24, 5),
            name="progress",
            title="The same noise over training time",
            caption="Eight noise vectors drawn after 100,000, 200,000 and 400,000 images.",
            section="training",
            columns=8,
            row_labels=["100k images", "200k images", "400k images"],
        ),
    ]
    return Evaluation(
        verdict=Verdict(
            decision=decision,
            reason="Adding the synthetic faces changed average precision by −0.004 (95 %: −0.013 to +0.005) against "
            "oversampling the real ones. This test could have seen an effect of 0.012.",
        ),
        advice=[
            Advice(
                title="Collect about 2,000 more test faces with labels of Eyeglasses",
                reason="With 1,509 test faces an effect below 0.012 goes unseen.",
                command="augface rebalance --attr Eyeglasses --data 'celeba:/data/my celeba' --budget 1h",
                evidence=["downstream.effect"],
            )
        ],
        measurements=measurements,
        sections=SECTIONS,
        skipped=[
            Skipped(evaluator="adherence", reason="The data have no second labelled attribute."),
            Skipped(evaluator="memorisation", reason="Needs the training faces; give them with --train."),
        ],
        artifacts=[
            *grids,
            Table(
                name="balance",
                title="Faces of each class",
                caption="Training faces with and without Eyeglasses, before and after.",
                section="balance",
                figure="before and after",
                columns=["class", "before", "after"],
                rows=[["Eyeglasses", 389, 5339], ["no Eyeglasses", 5607, 5607]],
            ),
            artifacts.table(
                pd.DataFrame(
                    rows, columns=["arm", "seed", "average_precision", "balanced_accuracy", "minority_recall"]
                ),
                name="seeds",
                title="Every seed of every arm",
                caption="Scores on the test faces.",
                section="downstream",
                figure="seeds",
            ),
            artifacts.series(
                steps,
                {
                    "generator": 0.9 + 0.5 * np.exp(-steps / 9e4) + random.normal(0, 0.05, len(steps)),
                    "discriminator": 1.15 - 0.4 * np.exp(-steps / 5e4) + random.normal(0, 0.05, len(steps)),
                },
                name="losses",
                title="Losses",
                caption="Losses of generator and discriminator over the images seen in training.",
                section="training",
                x_label="images seen",
                y_label="loss (nats)",
            ),
        ],
        provenance={
            "title": "Eyeglasses in celeba-mini, by cgan",
            "command": [
                "augface",
                "rebalance",
                "--attr",
                "Eyeglasses",
                "--data",
                "celeba:/data/my celeba",
                "--seed",
                "0",
            ],
            "warnings": ["The generator trained for 5 minutes; most take hours."],
            "data": {"spec": "celeba:/data/celeba-mini", "sha256": "4f0c" * 16, "size": 64, "train": 5996},
            "versions": {"augface": "0.1.0", "torch": "2.9.0", "numpy": "2.4.6", "python": "3.11.7"},
            "settings": {"generator": {"name": "cgan", "channels": 64}, "ratio": 1.0, "budget": "5m", "within": None},
            "seed": 0,
            "started": "2025-01-01T10:00:00Z",
        },
    )


def hostile_evaluation() -> Evaluation:
    """The realistic results with every name, label and text replaced by a hostile one."""
    content = realistic_evaluation().model_dump(by_alias=True)
    for measurement in content["measurements"]:
        measurement |= {"meaning": HOSTILE, "space": HOSTILE, "unit": HOSTILE, "group": {HOSTILE: True}}
        measurement |= {"label": HOSTILE, "attribute": HOSTILE, "found": {HOSTILE: HOSTILE}}
        measurement["protocol"] |= {HOSTILE: HOSTILE}
        if measurement["arm"]:
            measurement["arm"] += HOSTILE
            measurement["group"] = {}
    for artifact in content["artifacts"]:
        artifact |= {"title": HOSTILE, "caption": HOSTILE, "name": HOSTILE}
        if artifact["kind"] == "images":
            artifact["row_labels"] = [HOSTILE] * artifact["rows"]
        if artifact["kind"] == "table":
            artifact["rows"] = [[f"{row[0]}{HOSTILE}", *row[1:]] for row in artifact["rows"]]
        if artifact["kind"] == "series":
            artifact |= {"x_label": HOSTILE, "y_label": HOSTILE, "lines": {HOSTILE: artifact["lines"]["generator"]}}
    content["measurements"].append(content["measurements"][-1] | {"evaluator": HOSTILE, "name": HOSTILE})
    content["sections"] += [{**content["sections"][0], "key": HOSTILE, "title": HOSTILE, "meaning": HOSTILE}]
    content["skipped"] = [{"evaluator": HOSTILE, "reason": HOSTILE}]
    content["verdict"]["reason"] = HOSTILE
    content["advice"] = [{"title": HOSTILE, "reason": HOSTILE, "command": HOSTILE, "evidence": [HOSTILE]}]
    content["provenance"] = {HOSTILE: HOSTILE, "title": HOSTILE, "command": HOSTILE, "warnings": HOSTILE}
    return Evaluation.model_validate(content)
