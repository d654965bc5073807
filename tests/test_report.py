"""The report: complete, the same every time, safe with hostile names, and quiet in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from augface import artifacts
from augface.errors import DataError
from augface.report import render, terminal_summary
from augface.report.words import quantity
from augface.results import Artifact, Baseline, Evaluation, ImageGrid, Measurement, Series, Skipped, Table, Verdict

HOSTILE = "\"><script>alert(1)</script>'&{{7*7}} 👓 \u202eمرحبا $x^ \x1b[31m"
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
            name=name,
            value=value,
            low=low,
            high=high,
            direction="target" if name.startswith("share") else "higher",
            unit=unit,
            meaning=meaning,
            group=glasses,
            n_fake=n_fake,
        )
        for name, value, low, high, unit, meaning, n_fake in (
            ("share_before", 0.0652, None, None, "%", "Faces with Eyeglasses among the training faces.", None),
            ("share_after", 0.4879, None, None, "%", "The same, with the made faces added.", None),
            ("made", 4950.0, None, None, "", "Made faces that passed every gate.", None),
            ("wanted", 5218.0, None, None, "", "Made faces that a full balance takes.", None),
            ("yield_attribute", 0.713, 0.706, 0.72, "%", "A classifier sees the glasses.", 17400),
            ("yield_copy", 0.998, 0.997, 0.999, "%", "No training face is closer than real faces are.", 12406),
            ("yield_plausible", 0.4, 0.391, 0.409, "%", "As typical as 99 % of real faces.", 12381),
            ("yield", 0.2845, 0.278, 0.291, "%", "Of all draws, the share that was kept.", 17400),
        )
    ]
    protocol = {"resize": "bicubic 224", "weights": "sha256:0a1b2c3d", "seed": 0, "comparison": "held-out real"}
    measurements += [
        Measurement(
            evaluator="fidelity",
            name="frechet_distance",
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
            value=-0.0041,
            low=-0.0127,
            high=0.0049,
            p_value=0.36,
            direction="higher",
            meaning="Average precision of the best synthetic arm minus the best arm of real faces only.",
            n_real=1509,
            group=glasses,
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
                    value=mean,
                    low=mean - 0.011,
                    high=mean + 0.012,
                    direction="higher",
                    n_real=1509,
                    protocol={"arm": arm, "seeds": 5, "features": "efficientnet-lite0", "steps": 2000},
                )
            )
        for seed in range(5):
            scores = np.array([0.81, 0.86, 0.74]) + (0, 0.012, 0.017, 0.013, 0.004)[place]
            rows.append([arm, seed, *(scores + random.normal(0, 0.007, 3)).round(4)])
    steps = np.arange(0, 400_000, 500)
    grids = [
        artifacts.image_grid(
            [painted_faces(8, 1), painted_faces(8, 2), painted_faces(8, 3)],
            name="samples",
            title="Real, made, and the real face nearest to each made one",
            caption="Three rows of eight random faces with Eyeglasses: real ones, made ones, and for each made face "
            "its nearest training face.",
            section="samples",
            row_labels=["real minority", "made minority", "nearest real neighbour"],
            shows_real_people=shows_real_people,
        ),
        artifacts.image_grid(
            painted_faces(32, 4),
            name="made",
            title="Random made faces",
            caption="Thirty-two made faces before the gates, in the order they were drawn.",
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
            reason="Adding the made faces changed average precision by −0.004 (95 %: −0.013 to +0.005) against "
            "oversampling the real ones. This test could have seen an effect of 0.012.",
        ),
        measurements=measurements,
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


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return realistic_evaluation()


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render(evaluation)


def hostile_evaluation() -> Evaluation:
    """The realistic results with every name, label and text replaced by a hostile one."""
    content = realistic_evaluation().model_dump(by_alias=True)
    for measurement in content["measurements"]:
        measurement |= {"meaning": HOSTILE, "space": HOSTILE, "unit": HOSTILE, "group": {HOSTILE: True}}
        measurement["protocol"] |= {HOSTILE: HOSTILE}
        if "arm" in measurement["protocol"]:
            measurement["protocol"]["arm"] += HOSTILE
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
    content["skipped"] = [{"evaluator": HOSTILE, "reason": HOSTILE}]
    content["verdict"]["reason"] = HOSTILE
    content["provenance"] = {HOSTILE: HOSTILE, "title": HOSTILE, "command": HOSTILE, "warnings": HOSTILE}
    return Evaluation.model_validate(content)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def svg_figures(html: str) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)]


def test_same_results_give_the_same_bytes(evaluation: Evaluation, page: str, tmp_path: Path) -> None:
    assert render(evaluation) == page
    evaluation.to_json(tmp_path / "results.json")
    assert render(Evaluation.from_json(tmp_path / "results.json")) == page


def test_users_matplotlib_settings_do_not_reach_the_figures(evaluation: Evaluation, page: str) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "axes.grid": False}):
        assert render(evaluation) == page


def test_every_measured_value_is_on_the_page(evaluation: Evaluation, page: str) -> None:
    elements = Elements(page).elements
    exact = {attributes.get("value") for tag, attributes in elements if tag == "data"}
    for measurement in evaluation.measurements:
        assert repr(measurement.value) in exact
        assert quantity(measurement).text in page
        assert measurement.verdict in page
    for expected in ("36.2 to 41.5", "2,560 real, 2,560 made", "lower is better", "bicubic 224", "−0.0127 to +0.0049"):
        assert expected.lower() in page.lower()


def test_verdict_and_key_numbers_come_first(page: str) -> None:
    start = page[page.index("<main") : page.index('id="done"')]
    for expected in (
        "No evidence that these faces help.",
        "This test could have seen",
        "6.5\xa0% → 48.8\xa0%",
        "4,950 of 5,218",
        "−0.0041",
        "real against real: 38.7",
    ):
        assert expected in start


def test_sections_skipped_parts_and_the_command_are_there(page: str) -> None:
    titles = re.findall(r"<h2>(?:<bdi>)?(.*?)<", page)
    assert titles == [
        "What was done",
        "Class balance",
        "Gates",
        "Samples",
        "Fidelity",
        "Does it help?",
        "Training",
        "Not measured",
        "Caveats",
        "How to make it again",
    ]
    text = "".join(Elements(page).text)
    assert "augface rebalance --attr Eyeglasses --data 'celeba:/data/my celeba' --seed 0" in text
    assert "Needs the training faces; give them with --train." in text
    assert "4f0c" * 16 in text
    assert "Only 4,950 of 5,218 wanted faces passed the gates" in text
    assert "most take hours" in text


def test_page_loads_nothing_and_its_policy_forbids_it(page: str) -> None:
    elements = Elements(page).elements
    for tag, attributes in elements:
        for name, value in attributes.items():
            assert name not in {"style", "srcset", "srcdoc", "action", "formaction"}, (tag, name)
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href"}:
                assert value is not None
                assert value.startswith(("data:", "#")), (tag, value[:80])
    policies = [
        attributes["content"]
        for tag, attributes in elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    policy = policies[0]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for figure in svg_figures(page):
        assert not re.search(r"(href|src)=\"(?!#)", figure)


def test_default_report_is_small(page: str) -> None:
    assert len(page.encode()) < 2_000_000


def test_hostile_texts_stay_text() -> None:
    page = render(hostile_evaluation())
    assert "<script>alert" not in page
    parsed = Elements(page)
    assert sum(tag == "script" for tag, _ in parsed.elements) == 1
    assert "alert(1)</script>" in "".join(parsed.text)
    assert "{{7*7}}" in "".join(parsed.text)
    assert all(not name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    figures = svg_figures(page)
    assert len(figures) == 4
    for figure in figures:
        assert "<script" not in figure
        ElementTree.fromstring(figure)


def test_hostile_texts_cannot_reach_the_terminal() -> None:
    text = terminal_summary(hostile_evaluation())
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_half_a_surrogate_pair_can_be_written() -> None:
    evaluation = Evaluation(
        verdict=Verdict(decision="not assessed", reason="-"),
        measurements=[],
        provenance={"name": json.loads('"\\ud800"')},
    )
    render(evaluation).encode()


def test_banner_says_that_real_people_are_shown(page: str) -> None:
    assert "This page shows real people." in page
    toys = render(realistic_evaluation(shows_real_people=False))
    assert "real people" not in toys.lower()


def test_real_images_are_left_out_on_request(evaluation: Evaluation) -> None:
    page = render(evaluation, real_images=False)
    grids = [artifact for artifact in evaluation.artifacts if isinstance(artifact, ImageGrid)]
    for grid in grids:
        assert (grid.webp in page) is not grid.shows_real_people
    assert "Pictures of real people were left out" in page
    assert "Left out, because it shows real people: <bdi>Real, made, and the real face nearest" in page
    assert "This page shows real people" not in page


def test_pictures_have_the_caption_as_their_alternative_text(evaluation: Evaluation, page: str) -> None:
    alternatives = [attributes.get("alt") for tag, attributes in Elements(page).elements if tag == "img"]
    assert all(alternatives)
    for artifact in evaluation.artifacts:
        if not isinstance(artifact, Table):
            assert any(artifact.caption in (alternative or "") for alternative in alternatives), artifact.name


def test_tables_have_captions_and_headers(page: str) -> None:
    assert page.count("<table") == page.count("<caption")
    assert page.count("<table") >= 8
    for attributes in (attributes for tag, attributes in Elements(page).elements if tag == "th"):
        assert attributes.get("scope") in {"col", "row", "rowgroup"}


def test_missing_numbers_are_dashes_and_nothing_measured_is_said() -> None:
    lost = Measurement(evaluator="fidelity", name="frechet_distance", value=float("nan"), direction="lower")
    lost_share = Measurement(evaluator="rebalance", name="share_after", value=None, direction="target", unit="%")
    evaluation = Evaluation(
        verdict=Verdict(decision="not assessed", reason="Too few."), measurements=[lost, lost_share]
    )
    page = render(evaluation)
    assert '<data value="">–</data>' in page
    assert "nan" not in "".join(Elements(page).text).lower().split()
    empty = Evaluation(verdict=Verdict(decision="not assessed", reason="No evaluator ran."), measurements=[])
    assert "Nothing was measured." in render(empty)
    assert "Nothing was measured." in terminal_summary(empty)


def test_five_hundred_attributes_are_folded_with_alarms_first() -> None:
    measurements = [
        Measurement(
            evaluator="adherence",
            name="recall",
            value=index / 500,
            direction="higher",
            group={f"Attribute_{index}": True},
            verdict="fail" if index == 321 else "pass",
        )
        for index in range(500)
    ]
    balance = Table(
        name="balance",
        title="Classes",
        caption="Counts.",
        section="balance",
        columns=["class", "before", "after"],
        rows=[[f"Attribute_{index}", index, 2 * index] for index in range(500)],
    )
    evaluation = Evaluation(
        verdict=Verdict(decision="do not use", reason="-"), measurements=measurements, artifacts=[balance]
    )
    page = render(evaluation)
    headline = page[page.index('class="headline"') : page.index("<details>", page.index('class="headline"'))]
    assert headline.count("<tr>") == 13
    assert "Attribute_321" in headline.split("</tr>")[1]
    assert "The first 12 of 500 numbers" in headline
    assert all(f"Attribute_{index}<" in page for index in range(500))
    assert len(page) < 2_000_000
    assert len(terminal_summary(evaluation).splitlines()) <= 15


def test_evaluators_from_outside_get_a_section() -> None:
    measurement = Measurement(
        evaluator="skin_tone", name="worst_gap", value=0.25, direction="lower", meaning="The largest gap of two tones."
    )
    page = render(Evaluation(verdict=Verdict(decision="not assessed", reason="-"), measurements=[measurement]))
    assert "<h2><bdi>Skin tone</bdi></h2>" in page
    assert "The largest gap of two tones." in page


def test_broken_artifacts_do_not_break_the_page() -> None:
    texts: dict[str, Any] = {"title": "t", "caption": "c", "section": "balance"}
    sheet: dict[str, Any] = {"name": "g", "webp": "not base64!"}
    broken: list[Artifact] = [
        ImageGrid(**texts, **sheet, tile=0, columns=10**9, rows=10**9),
        ImageGrid(**texts, **sheet, tile=-5, columns=-1, rows=0),
        Table(**texts, name="a", columns=["class", "before", "after"], rows=[["x"], ["y", None, 3], ["z", 1, 2, 3, 4]]),
        Table(**texts, name="b", columns=[], rows=[]),
        Series(
            **texts, name="s", x_label="x", y_label="y", x=[1, None, 2], lines={"a": [None], "b": [1.0, 2.0, 3.0, 4.0]}
        ),
        Series(**texts, name="e", x_label="x", y_label="y", x=[], lines={}),
    ]
    render(Evaluation(verdict=Verdict(decision="use", reason="-"), measurements=[], artifacts=broken))


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ("use", "USE THESE FACES."),
        ("do not use", "DO NOT USE THESE FACES."),
        ("no evidence", "NO EVIDENCE THAT THESE FACES HELP."),
        ("not assessed", "WHETHER THESE FACES HELP WAS NOT ASSESSED."),
    ],
)
def test_terminal_begins_with_the_verdict(decision: str, sentence: str) -> None:
    assert terminal_summary(realistic_evaluation(decision=decision)).startswith(sentence)


def test_terminal_summary_fits_a_small_terminal(evaluation: Evaluation) -> None:
    text = terminal_summary(evaluation)
    lines = text.splitlines()
    assert 8 <= len(lines) <= 15
    assert max(map(len, lines)) <= 88
    assert text.isascii()
    for expected in (
        "6.5 % -> 48.8 %",
        "4,950 of 5,218",
        "231.4",
        "38.7",
        "0.00003",
        "-0.0127 to +0.0049",
        "WARN",
        "memorisation",
    ):
        assert expected in text


def test_image_grid_holds_the_pixels_in_order() -> None:
    faces = np.repeat(np.arange(6, dtype=np.uint8) * 40, 16 * 16 * 3).reshape(6, 16, 16, 3)
    grid = artifacts.image_grid(faces, name="g", title="t", caption="c", section="samples", columns=3)
    assert (grid.columns, grid.rows, grid.tile) == (3, 2, 16)
    pixels = np.asarray(Image.open(BytesIO(grid.bytes)).convert("RGB"), dtype=int)
    assert pixels.shape == (32, 48, 3)
    assert np.abs(pixels[8::16, 8::16, 0] - [[0, 40, 80], [120, 160, 200]]).max() <= 4
    again = artifacts.image_grid(faces, name="g", title="t", caption="c", section="samples", columns=3)
    assert again == grid


def test_image_grid_leaves_the_rest_of_a_short_row_transparent() -> None:
    face = np.full((1, 16, 16, 3), 200, dtype=np.uint8)
    grid = artifacts.image_grid([face.repeat(2, 0), face], name="g", title="t", caption="c", section="samples")
    alpha = np.asarray(Image.open(BytesIO(grid.bytes)))[..., 3]
    assert (alpha[8::16, 8::16] == [[255, 255], [255, 0]]).all()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), {}, "has no images"),
        ([], {}, "has no images"),
        (np.zeros((2, 8, 8, 3)), {}, "uint8"),
        (np.zeros((2, 8, 9, 3), np.uint8), {}, "square"),
        ([np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 9, 9, 3), np.uint8)], {}, "one size"),
        (np.zeros((4, 8, 8, 3), np.uint8), {"columns": 2, "row_labels": ["only one"]}, "2 rows but 1 row labels"),
        ([np.zeros((4, 8, 8, 3), np.uint8)], {"columns": 2}, "more than its 2 columns"),
        (np.zeros((200, 128, 128, 3), np.uint8), {"columns": 200}, "show fewer"),
    ],
)
def test_image_grid_refuses_what_it_cannot_show(images: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        artifacts.image_grid(images, name="g", title="t", caption="c", section="samples", **options)


def test_series_is_shortened_and_keeps_gaps() -> None:
    y = np.ones(1000)
    y[:100] = np.nan
    curve = artifacts.series(
        np.arange(1000),
        {"a": y},
        name="s",
        title="t",
        caption="c",
        section="training",
        x_label="x",
        y_label="y",
        points=10,
    )
    assert curve.x[0] == 49.5
    assert curve.lines["a"] == [None] + [1.0] * 9


def test_table_takes_a_frame_with_missing_values() -> None:
    frame = pd.DataFrame(
        {
            "count": pd.array([1, None], dtype="Int64"),
            "share": np.array([0.5, np.nan], np.float32),
            "kept": [True, False],
        }
    )
    made = artifacts.table(frame, name="t", title="t", caption="c", section="balance")
    assert made.rows == [[1, 0.5, True], [None, None, False]]
    assert [type(cell) for cell in made.rows[0]] == [int, float, bool]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def in_chromium(file: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a file in headless Chromium that may talk to nobody."""
    assert CHROMIUM is not None
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --v=0"
    )
    return subprocess.run(
        [CHROMIUM, *quiet.split(), f"--user-data-dir={profile}", *options, file.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@needs_chromium
def test_page_opens_in_chromium_without_a_console_message(page: str, tmp_path: Path) -> None:
    for name, html in {"usual": page, "hostile": render(hostile_evaluation())}.items():
        file = tmp_path / f"{name}.html"
        file.write_text(html, encoding="utf-8")
        done = in_chromium(file, tmp_path / "profile", "--dump-dom")
        assert "CONSOLE" not in done.stderr
        assert ">Copy</button>" in done.stdout, "the page's own script did not run"


@needs_chromium
def test_chromium_reports_what_the_policy_forbids(page: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.html"
    file.write_text(page.replace("</main>", "<script>1</script></main>"), encoding="utf-8")
    assert "CONSOLE" in in_chromium(file, tmp_path / "profile", "--dump-dom").stderr
