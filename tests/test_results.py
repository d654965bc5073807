"""Results survive the way to their file and back, and a file that is none is refused with its reason."""

from __future__ import annotations

import base64
import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from example_results import hostile_evaluation
from pydantic import ValidationError

from augface.errors import DataError
from augface.results import SCHEMA, Baseline, Evaluation, ImageGrid, Measurement, Series, Skipped, Table, Verdict

OLD = Path(__file__).parent / "old_results"
WRITER = Path(__file__).parent.parent / "docs" / "results_schema.py"
PUBLISHED = WRITER.with_name("results.schema.json")


@pytest.fixture
def evaluation() -> Evaluation:
    common: dict[str, Any] = {"title": "T", "caption": "C", "section": "samples"}
    return Evaluation(
        verdict=Verdict(decision="no evidence", reason="An effect below 0.02 could not be seen."),
        measurements=[
            Measurement(
                evaluator="fidelity",
                name="kernel_distance",
                value=0.5,
                low=0.4,
                high=0.6,
                direction="lower",
                baseline=Baseline(value=0.0, low=-0.1, high=0.1, n=500),
                verdict="warn",
                n_real=500,
                n_fake=500,
                space="efficientnet",
                protocol={"degree": 3},
            ),
            Measurement(
                evaluator="fidelity", name="kernel_distance", value=0.7, direction="lower", group={"Male": True}
            ),
            Measurement(evaluator="downstream", name="gain", value=float("nan"), direction="higher"),
        ],
        skipped=[Skipped(evaluator="memorisation", reason="There is no train set.")],
        artifacts=[
            ImageGrid(name="g", tile=16, columns=1, rows=1, webp=base64.b64encode(b"sheet").decode(), **common),
            Table(name="t", columns=["a", "b", "c"], rows=[["x", 1, 0.5], ["y", True, None]], **common),
            Series(name="s", x_label="images", y_label="loss", x=[0, 1], lines={"d": [0.5, float("inf")]}, **common),
        ],
        provenance={"seed": 0, "versions": {"augface": "0"}},
    )


def test_results_come_back_as_they_were_written(evaluation: Evaluation, tmp_path: Path) -> None:
    text = evaluation.to_json(tmp_path / "run/results.json")
    assert (tmp_path / "run/results.json").read_text(encoding="utf-8") == text
    assert Evaluation.from_json(tmp_path / "run/results.json") == evaluation


def test_the_file_has_the_fields_that_outsiders_rely_on(evaluation: Evaluation) -> None:
    content = json.loads(evaluation.to_json())
    assert list(content) == [
        "schema",
        "verdict",
        "advice",
        "measurements",
        "sections",
        "skipped",
        "artifacts",
        "provenance",
    ]
    assert content["schema"] == SCHEMA
    assert content["verdict"]["decision"] == "no evidence"
    fields = "evaluator name value low high p_value direction baseline verdict n_real n_fake space group protocol"
    assert set(fields.split()) <= set(content["measurements"][0])
    assert content["skipped"] == [{"evaluator": "memorisation", "reason": "There is no train set."}]


def test_numbers_that_are_not_finite_are_null_in_strict_json(evaluation: Evaluation) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(evaluation.to_json(), parse_constant=refuse)
    assert content["measurements"][2]["value"] is None
    assert content["artifacts"][2]["lines"]["d"] == [0.5, None]


def test_table_cells_keep_their_kind(evaluation: Evaluation) -> None:
    table = Evaluation.model_validate_json(evaluation.to_json()).artifacts[1]
    assert isinstance(table, Table)
    assert [[type(cell) for cell in row] for row in table.rows] == [[str, int, float], [str, bool, type(None)]]


def test_a_frame_has_one_row_a_measurement(evaluation: Evaluation) -> None:
    frame = evaluation.to_frame()
    assert len(frame) == 3
    assert frame["value"].tolist()[:2] == [0.5, 0.7]
    assert frame["baseline_n"].tolist()[0] == 500
    assert frame["baseline_n"].isna().tolist() == [False, True, True]


def test_measurements_are_selected_by_evaluator_name_and_group(evaluation: Evaluation) -> None:
    assert [m.value for m in evaluation.select("fidelity")] == [0.5, 0.7]
    assert [m.value for m in evaluation.select("fidelity", "kernel_distance", group={})] == [0.5]
    assert [m.value for m in evaluation.select("fidelity", group={"Male": True})] == [0.7]
    assert evaluation.select("fidelity", "gain") == []


def test_a_picture_is_kept_as_its_bytes(evaluation: Evaluation) -> None:
    grid = evaluation.artifacts[0]
    assert isinstance(grid, ImageGrid)
    assert grid.bytes == b"sheet"


def edited(evaluation: Evaluation, **changes: Any) -> str:
    return json.dumps(json.loads(evaluation.to_json()) | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": SCHEMA + 1}, "Install a newer augface"),
        ({"schema": "one"}, "schema"),
        ({"verdict": {"decision": "perhaps", "reason": ""}}, "verdict.decision"),
        ({"measurements": [{"evaluator": "x"}]}, "measurements.0.name"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_file_that_is_no_results_file_is_refused_with_the_place(
    changes: dict[str, Any], said: str, evaluation: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    path.write_text(edited(evaluation, **changes))
    with pytest.raises(DataError, match=said):
        Evaluation.from_json(path)


@pytest.mark.parametrize("content", [b"", b"text", b"[1, 2]", b"null", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_of_anything_else_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"results\.json"):
        Evaluation.from_json(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match="Cannot read the results file"):
            Evaluation.from_json(path)


def test_a_measurement_is_frozen_and_knows_its_fields() -> None:
    measurement = Measurement(evaluator="x", name="y", value=1.0, direction="lower")
    with pytest.raises(ValidationError):
        measurement.value = 2.0
    with pytest.raises(ValidationError):
        Measurement(evaluator="x", name="y", value=1.0, direction="sideways")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.glob("*.json")))
def test_kept_results_of_every_format_are_read_and_fit_the_published_schema(name: str) -> None:
    """Of format 1 what it is brought up to; files of the present format as they are."""
    content = json.loads((OLD / name).read_text(encoding="utf-8"))
    read = Evaluation.from_json(OLD / name)
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    validator.validate(json.loads(read.to_json()))
    if content["schema"] == SCHEMA:
        validator.validate(content)
        content["measurements"][0]["direction"] = "sideways"
        assert not validator.is_valid(content)


def test_the_published_schema_is_that_of_this_version_and_fits_what_it_writes(evaluation: Evaluation) -> None:
    text = PUBLISHED.read_text(encoding="utf-8")
    assert text == runpy.run_path(str(WRITER))["schema_text"](), "write it again: python docs/results_schema.py"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    for written in (evaluation, hostile_evaluation()):
        jsonschema.Draft202012Validator(json.loads(text)).validate(json.loads(written.to_json()))
