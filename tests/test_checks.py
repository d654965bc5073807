"""`augface check`: conditions are read safely, absent measures never pass, and build servers get a JUnit file."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from example_results import HOSTILE

from augface.cli import main
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError
from augface.report.checks import Check, junit
from augface.results import Evaluation, Measurement, Section, Skipped, Verdict


def measured(name: str, value: float | None, evaluator: str = "prdc", **more: object) -> Measurement:
    return Measurement.model_validate(
        {"evaluator": evaluator, "name": name, "value": value, "direction": "higher", **more}
    )


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        verdict=Verdict(decision="not assessed", reason="A test."),
        measurements=[
            measured("precision", 0.5, space="efficientnet", low=0.4, high=0.6),
            measured("precision", 0.25, space="inception"),
            measured("precision", 0.1, space="inception", group={"Male": False, "Eyeglasses": True}),
            measured("average_precision", 0.8, "downstream", arm="plain", attribute="Eyeglasses"),
            measured("average_precision", 0.6, "downstream", arm="synthetic 0.5", attribute="Eyeglasses"),
            measured("recall", None),
            measured("yield", 0.3, "rebalance", group={"Eyeglasses": True}),
        ],
        sections=[Section(key="memorisation", title="Copies", meaning="Of copies.", key_measures=("copied",))],
        skipped=[Skipped(evaluator="memorisation", reason="needs the training faces.")],
    )


@pytest.mark.parametrize(
    ("expression", "outcomes"),
    [
        ("precision < 0.3", [(0.5, False), (0.25, True)]),
        ("prdc.precision<0.25", [(0.5, False), (0.25, False)]),
        ("precision <= 0.25", [(0.5, False), (0.25, True)]),
        ("precision[space=inception] >= 25e-2", [(0.25, True)]),
        ("precision [ Eyeglasses = yes , Male = 0 ] > 0.2", [(0.1, False)]),
        ("precision.low[space=efficientnet] < 0.45", [(0.4, True)]),
        ("prdc.precision.high[space=efficientnet] < 0.45", [(0.6, False)]),
        ("average_precision[arm=synthetic 0.5,attribute=Eyeglasses] < 0.7", [(0.6, True)]),
        ("yield[Eyeglasses=1] > 0.3", [(0.3, False)]),
    ],
)
def test_what_a_condition_means(expression: str, outcomes: list[tuple[float, bool]], evaluation: Evaluation) -> None:
    found = Check.parse(expression).outcomes(evaluation)
    assert [(outcome.number, outcome.failed) for outcome in found] == outcomes


def test_every_outcome_is_named_as_a_condition_would_name_it(evaluation: Evaluation) -> None:
    for expression in ("precision < 0", "average_precision < 0", "precision.low[space=efficientnet] < 0"):
        for outcome in Check.parse(expression).outcomes(evaluation):
            assert Check.parse(f"{outcome.name} < 0").outcomes(evaluation) == [outcome]


@pytest.mark.parametrize(
    ("expression", "error", "said"),
    [
        ("precison < 0.3", UnknownNameError, "Did you mean 'precision'"),
        ("PRECISION < 0.3", UnknownNameError, "Did you mean 'precision'"),
        ("pdrc.precision < 0.3", UnknownNameError, "Did you mean 'prdc'"),
        ("downstream.precision < 0.3", UnknownNameError, "average_precision"),
        ("precision[space=Inception] < 0.3", UnknownNameError, "Did you mean 'inception'"),
        ("average_precision[arm=plian] < 0.3", UnknownNameError, "Did you mean 'plain'"),
        ("precision[Glasses=1] < 0.3", UnknownNameError, "Did you mean 'Eyeglasses'"),
        ("precision[Eyeglasses=1] < 0.3", DataError, "only as precision.*Male=0,Eyeglasses=1"),
        ("yield < 0.3", DataError, r"not measured of all faces, only as yield\[Eyeglasses=1\]"),
        ("copied > 0.01", DataError, "copied was not measured: needs the training faces"),
        ("memorisation.anything > 0.01", DataError, "needs the training faces"),
        ("recall < 0.3", DataError, "recall has no value"),
        ("precision.low[space=inception] < 0.3", DataError, "has no low"),
        ("precision", UsageError, "is no condition"),
        ("precision = 0.3", UsageError, "is no condition"),
        ("precision < 0.3 or 1 < 2", UsageError, "is no condition"),
        ("precision < nan", UsageError, "no finite number"),
        ("precision < __import__('os')", UsageError, "no finite number"),
        ("a.b.c < 1", UsageError, "is no measure"),
        (".precision < 1", UsageError, "is no measure"),
        ("precision[Male] < 1", UsageError, "NAME=1 or NAME=0"),
    ],
)
def test_what_is_wrong_or_absent_is_an_error_and_never_a_pass(
    expression: str, error: type[AugfaceError], said: str, evaluation: Evaluation
) -> None:
    with pytest.raises(error, match=said):
        Check.parse(expression).outcomes(evaluation)


def test_the_command_fails_with_its_own_code_and_writes_junit(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.to_json(tmp_path / "results.json")
    words = ["check", str(tmp_path), "--fail-if", "precision < 0.3", "--junit", str(tmp_path / "junit.xml")]
    assert main([*words, "--fail-if", "yield[Eyeglasses=1] < 0.3"]) == 5
    said = capsys.readouterr()
    assert "1 of 3 checks failed: precision[space=inception] is 0.25" in said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["ok", "FAIL", "ok", "JUnit"]
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    assert [case.find("failure") is not None for case in suite] == [False, True, False]
    assert main(["check", str(tmp_path / "results.json"), "--fail-if", "precision < 0.2"]) == 0


def test_names_from_strangers_stay_names_in_the_file() -> None:
    hostile = Evaluation(
        verdict=Verdict(decision="not assessed", reason="A test."),
        measurements=[measured("copied", 0.5, arm=HOSTILE, group={HOSTILE + "\x00": True})],
    )
    check = Check.parse("copied > 0.01")
    outcome = check._outcome(hostile.measurements[0])
    (suite,) = ElementTree.fromstring(junit([(check, [outcome])], HOSTILE))
    assert suite.find("testcase/failure") is not None
