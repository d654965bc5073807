"""The report: complete, the same every time, and safe with hostile names."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import SECTIONS, hostile_evaluation, realistic_evaluation
from html_elements import Elements, assert_loads_nothing, svg_figures
from PIL import Image

from augface.errors import DataError
from augface.report import render, terminal_summary
from augface.report.words import quantity
from augface.results import (
    Artifact,
    Baseline,
    Evaluation,
    ImageGrid,
    Measurement,
    Section,
    Series,
    Table,
    Verdict,
    artifacts,
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return realistic_evaluation()


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render(evaluation)


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
    for expected in (
        "36.2 to 41.5",
        "2,560 real, 2,560 synthetic",
        "lower is better",
        "bicubic 224",
        "−0.0127 to +0.0049",
    ):
        assert expected.lower() in page.lower()


def test_verdict_and_key_numbers_come_first(page: str) -> None:
    start = page[page.index("<main") : page.index('class="chapter" open')]
    for expected in (
        "No evidence that these faces help.",
        "This test could have seen",
        "6.5\xa0% → 48.8\xa0%",
        "4,950 of 5,218 wanted",
        "−0.0041",
        "Does it help?",
        "Realistic?",
        "Kernel distance: 0.0182 (real faces: 0.00003)",
        "Not measured",
        "Needs the training faces",
        "Collect about 2,000 more test faces",
        "--budget 1h",
    ):
        assert expected in start, expected


def test_sections_skipped_parts_and_the_command_are_there(page: str) -> None:
    titles = re.findall(r"<h2>(?:<bdi>)?(.*?)<", page)
    assert titles == [
        "What to do next",
        "Does it help?",
        "Scorecard",
        "Fidelity",
        "Class balance",
        "Filters",
        "Samples",
        "Training",
        "Not measured",
        "Caveats",
        "How to make it again",
    ]
    text = "".join(Elements(page).text)
    assert "augface rebalance --attr Eyeglasses --data 'celeba:/data/my celeba' --seed 0" in text
    assert "Needs the training faces; give them with --train." in text
    assert "4f0c" * 16 in text
    assert "Only 4,950 of 5,218 wanted faces passed the filters" in text
    assert "most take hours" in text


def test_page_loads_nothing_and_its_policy_forbids_it(page: str) -> None:
    assert_loads_nothing(page)


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
    assert "Left out, because it shows real people: <bdi>Real, synthetic, and the real face nearest" in page
    assert "This page shows real people" not in page


def test_alternative_texts_say_what_pictures_show(evaluation: Evaluation, page: str) -> None:
    alternatives = [attributes.get("alt") or "" for tag, attributes in Elements(page).elements if tag == "img"]
    assert all(alternatives)
    for artifact in evaluation.artifacts:
        if isinstance(artifact, ImageGrid):
            assert artifact.caption in alternatives
    for shown in (
        "Eyeglasses: 389 faces before, 5,339 after",
        "oversampled: 0.827 (0.816 to 0.839)",
        "loss (nats) over images seen from 500 to 399,250. generator from 1.38 to 0.855",
    ):
        assert any(shown in alternative for alternative in alternatives), shown


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


def test_five_hundred_attributes_are_folded_with_one_alert() -> None:
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
    assert "12 of 500 numbers" in headline
    (alert,) = re.findall(r"<li>(.*?)</li>", page[page.index('class="alerts"') : page.index('class="headline"')])
    assert "Recall: in 1 of 500 groups, worst: Attribute_321 0.642" in alert
    assert all(f"Attribute_{index}<" in page for index in range(500))
    assert len(page) < 2_000_000
    assert len(terminal_summary(evaluation).splitlines()) <= 12


def in_groups(count: int, **more: Any) -> list[Measurement]:
    """One number of all faces and one of each group, the last group being the worst."""
    common: dict[str, Any] = {"evaluator": "fidelity", "name": "kernel_distance", "direction": "lower"} | more
    everything = Measurement(value=0.01, verdict="warn", **common)
    baseline = Baseline(value=0.0, low=-0.01, high=0.01, n=100)
    return [everything] + [
        Measurement(value=index / 100, group={f"Group_{index}": True}, baseline=baseline, verdict="warn", **common)
        for index in range(count)
    ]


def of(measurements: list[Measurement], **more: Any) -> Evaluation:
    return Evaluation(
        verdict=Verdict(decision="not assessed", reason="-"), measurements=measurements, sections=SECTIONS, **more
    )


def test_many_groups_are_a_figure_with_the_worst_first() -> None:
    page = render(of(in_groups(20)))
    headline = page[page.index('id="fidelity"') : page.index("<details>", page.index('id="fidelity"'))]
    assert "1 of 21 numbers" in headline
    alternative = next(
        attributes["alt"] for tag, attributes in Elements(page).elements if tag == "img" and attributes.get("alt")
    )
    assert alternative is not None
    assert "group by group. Group_19: 0.190, real against real 0.0" in alternative
    assert "Group_8:" in alternative
    assert "Group_7:" not in alternative
    assert "The worst 12 of 20." in page
    (figure,) = svg_figures(page)
    assert "Group_19" in figure
    assert svg_figures(render(of(in_groups(4)))) == []


def test_all_groups_of_a_measure_are_one_alert() -> None:
    page = render(of(in_groups(20)))
    (alerts,) = re.findall(r'<ul class="alerts">(.*?)</ul>', page, re.DOTALL)
    found = re.findall(r"<li>(.*?)</li>", alerts, re.DOTALL)
    assert len(found) == 1
    assert "Kernel distance: 0.01" in found[0]
    assert "in all 20 groups, worst: Group_19 0.190, real faces 0.0" in found[0]
    assert "calibrated alarm" not in found[0]


def test_results_of_another_question_say_their_own_sentence() -> None:
    own = "Nobody sees a <b>difference</b>.\x1b[31m"
    number = Measurement(evaluator="raters", name="error_rate", value=0.4, direction="higher", unit="%")
    section = {"key": "raters", "title": "Raters", "meaning": "", "key_measures": ("error_rate",), "decides": True}
    results = Evaluation(
        measurements=[
            number.model_copy(update={"group": {name: True}, "verdict": verdict}) for name, verdict in RATED.items()
        ],
        verdict=Verdict(decision="not assessed", reason="", sentence=own),
        sections=[Section.model_validate(section | {"each_group": True})],
    )
    page = render(results)
    assert "Nobody sees a &lt;b&gt;difference&lt;/b&gt;" in page[page.index("<h1") : page.index("</h1>")]
    assert terminal_summary(results).startswith(r"NOBODY SEES A <B>DIFFERENCE</B>.\x1b[31M")
    scorecard = page[page.index('id="scorecard"') :].partition("</table>")[0]
    assert all(name in scorecard for name in RATED)
    assert "labels that people gave" not in page
    as_groups = render(results.model_copy(update={"sections": [Section.model_validate(section)]}))
    assert "labels that people gave" in as_groups
    assert "second" not in as_groups[as_groups.index('id="scorecard"') :].partition("</table>")[0]


RATED = {"first": "pass", "second": "fail"}
"""Groups that each count as all faces do, with their verdicts."""


def test_a_calibrated_alarm_is_marked() -> None:
    alarm = in_groups(0)[0].model_copy(update={"verdict": "fail", "alarm": True})
    assert "calibrated alarm" in render(of([alarm]))


def test_scorecard_has_each_key_number_once_beside_its_baseline(evaluation: Evaluation, page: str) -> None:
    card = page[page.index('id="scorecard"') : page.index('id="fidelity"')]
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', card) == [
        "Fréchet distance",
        "Kernel distance",
        "Effect of added faces: Eyeglasses",
    ]
    assert "36.2 to 41.5" in card
    assert 'id="scorecard"' not in render(of([]))


def test_a_protocol_is_told_once_and_what_differs_with_each_number() -> None:
    numbers = in_groups(20, protocol={"kernel": "cubic", "seed": 41})
    numbers[3] = numbers[3].model_copy(update={"protocol": {"kernel": "cubic", "seed": 42}})
    text = re.sub(r"<[^>]+>", "", render(of(numbers)))
    assert text.count("kernel: cubic") == 1
    assert text.count("seed: 41") == 20
    assert text.count("seed: 42") == 1


def test_adherence_is_a_map() -> None:
    matrix = Table(
        name="adherence-matrix",
        title="Requested and seen",
        caption="Shares.",
        section="adherence",
        figure="matrix",
        columns=["seen", "Hat", "not Hat"],
        rows=[["Hat", 0.9, 0.1], ["Male", 0.5, None], ["Young", 0.25, 0.75]],
    )
    page = render(of([], artifacts=[matrix]))
    (figure,) = svg_figures(page)
    assert "Hat: 90 % of Hat, 10 % of not Hat; Young: 25 % of Hat, 75 % of not Hat." in page
    assert re.findall(r">(\d\d)</text>", figure) == ["90", "10", "25", "75"]


def test_pictures_that_find_no_room_are_named(caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (36, 128, 128, 3), dtype=np.uint8)
    grids = [
        artifacts.image_grid(noise, name=f"grid-{index}", title=f"Grid {index}", caption="Noise.", section="samples")
        for index in range(12)
    ]
    page = render(of([], artifacts=grids))
    left_out = re.findall(r"Left out, to keep the page small; it is in results.json: <bdi>(.*?)</bdi>", page)
    assert 0 < len(left_out) < 12
    assert left_out[-1] == "Grid 11"
    assert f"{len(left_out)} pictures are left out" in caplog.text
    assert len(page) < 5_000_000


def test_results_of_the_first_format_still_open() -> None:
    page = render(Evaluation.from_json(Path(__file__).parent / "old_results" / "format-1.json"))
    for shown in (
        "No evidence",
        "0.0169 to 0.0195",
        "Four made faces.",
        "389",
        "needs the training faces.",
        "plain",
    ):
        assert shown in page


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
        ("not assessed", "NEARLY REALISTIC."),
    ],
)
def test_terminal_begins_with_the_verdict(decision: str, sentence: str) -> None:
    assert terminal_summary(realistic_evaluation(decision=decision)).startswith(sentence)


def test_terminal_summary_fits_a_small_terminal(evaluation: Evaluation) -> None:
    text = terminal_summary(evaluation)
    lines = text.splitlines()
    assert 8 <= len(lines) <= 12
    assert max(len(line) for line in lines if not line.startswith("  augface ")) <= 88
    assert text.isascii()
    for expected in (
        "6.5 % -> 48.8 %",
        "4,950 of 5,218",
        "231.4",
        "38.7",
        "-0.0127 to +0.0049",
        "WARN",
        "Next: Collect about 2,000 more test faces with labels of Eyeglasses.",
        "--budget 1h",
        "memorisation",
    ):
        assert expected in text


def test_the_terminal_has_a_dozen_lines_with_the_effect_and_alarms_first() -> None:
    effect = realistic_evaluation().select("downstream", "effect")
    evaluation = of([*in_groups(20), *in_groups(3, evaluator="modes", name="missing_share"), *effect])
    alarm = evaluation.measurements[10].model_copy(update={"verdict": "fail"})
    evaluation = evaluation.model_copy(update={"measurements": [*evaluation.measurements, alarm]})
    lines = terminal_summary(evaluation).splitlines()
    assert len(lines) <= 12
    assert [line.split("  ")[0].strip() for line in lines[2:5]] == [
        "Effect of added faces",
        "Kernel distance (Group_9)",
        "Kernel distance",
    ]
    full = terminal_summary(evaluation, in_full=True)
    assert full.index("Kernel distance") < full.index("Effect of added faces")


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
