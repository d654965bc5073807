"""`augface study` as somebody types it: from two folders to a report, and what is said when something is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from study_example import quick_power, small_study, write_faces

from augface.cli import main
from augface.results import Evaluation
from augface.study.answers import Answers
from augface.study.folder import Study


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    quick_power(monkeypatch)
    return tmp_path


def test_from_two_folders_to_a_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_faces(here / "real", 30, seed=0)
    write_faces(here / "fake", 20, seed=1)
    small = ["--tasks", "untimed,rating", "--raters", "8", "--faces", "16", "--trials", "8"]
    assert main(["study", "new", "real", "fake", "--out", "study", *small]) == 0
    said = capsys.readouterr().out
    for words in (
        "16 of each generator (fake)",
        "about",
        "minutes",
        "8 raters",
        "What such a study sees",
        "augface study serve study",
    ):
        assert words in said
    assert main(["study", "simulate", "study", "--raters", "8", "--right", "0.95"]) == 0
    assert "8 simulated raters" in capsys.readouterr().out
    assert main(["study", "report", "study"]) == 0
    assert capsys.readouterr().out.startswith("YES: SIMULATED RATERS CAN DISTINGUISH THESE FACES FROM REAL ONES.")
    assert Evaluation.from_json("study/results.json").select("untimed", "error_rate")
    assert Path("study/report.html").read_text().startswith("<!doctype html>")
    assert main(["compare", "study", "study"]) == 2  # one run twice; but it is read as a run
    assert main(["report", "study"]) == 0


def test_a_dry_run_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_faces(here / "real", 30, seed=0)
    write_faces(here / "fake", 20, seed=1)
    assert main(["study", "new", "real", "fake", "--out", "study", "--tasks", "untimed", "--dry-run"]) == 0
    assert "What such a study sees" in capsys.readouterr().out
    assert not Path("study").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("new real fake --out study --tasks flush", 2, "Did you mean 'flash'?"),
        ("new real fake --out real", 4, "is not empty"),
        ("new real --out study", 2, "generated faces"),
        ("new real fake --out study --raters 1", 2, "--raters is from 2"),
        ("new real fake --out study --margin 0.6", 2, "--margin"),
        ("new real fake --out study --crop face", 2, "A crop is"),
        ("new real nowhere --out study", 3, "nowhere"),
        ("new real few --out study", 3, "few has 3 usable faces; a study needs 12"),
        ("new real real --out study", 3, "the same as others"),
        ("serve real", 3, "is not the folder of a study"),
        ("serve study --port 0", 2, "--port"),
        ("report nowhere", 3, "is not the folder of a study"),
        ("export real --out pages.zip", 3, "is not the folder of a study"),
        ("import real", 2, "Name the files"),
        ("simulate real --right 2", 2, "--right"),
        ("begin", 2, "study"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: str, code: int, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_faces(here / "real", 30, seed=0)
    write_faces(here / "fake", 16, seed=1)
    write_faces(here / "few", 3, seed=2)
    assert main(["study", *words.split()]) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert said in line
    assert not Path("study").exists()


def test_the_server_needs_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("augface.cli.console.find_spec", lambda name: None)
    assert main(["study", "serve", "study"]) == 2
    assert "pip install augface[study]" in capsys.readouterr().err


def test_pages_go_out_and_answers_come_back(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small_study(here, monkeypatch, tasks=("untimed",))
    assert main(["study", "report", "study"]) == 3
    assert "no answers yet" in capsys.readouterr().err
    assert main(["study", "export", "study", "--out", "pages.zip", "--raters", "2"]) == 0
    assert "index.html#1" in capsys.readouterr().out
    assert main(["study", "export", "study", "--out", "pages.zip"]) == 2
    trials = study.constant_schedule.trials(0)
    answers = [
        {"trial": one.number, "answer": "generated", "detail": {"rt": 400}, "id": f"{one.number:032x}"}
        for one in trials
    ]
    content = {"study": study.plan.id, "number": 1, "session": "0" * 32, "device": {}, "answers": answers}
    Path("answers-1.json").write_text(json.dumps(content))
    Path("answers-2.json").write_text(json.dumps(content | {"study": "another"}))
    assert main(["study", "import", "study", "answers-1.json"]) == 0
    assert main(["study", "import", "study", "answers-1.json"]) == 0
    assert "was read before" in capsys.readouterr().out
    assert main(["study", "import", "study", "answers-2.json"]) == 3
    assert "another study" in capsys.readouterr().err
    opened = Answers(Study.open("study"))
    assert list(opened.counts().values()) == [len(trials)]
    opened.close()


@pytest.mark.parametrize("command", ["new", "serve", "export", "import", "simulate", "report"])
def test_every_command_explains_each_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", command, "--help"]) == 0
    lines = [line.strip("│ \n") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    options = [line.lstrip("* ") for line in lines if line.lstrip("* ").startswith("--") and "--no-" not in line]
    assert all(len(line.split("  ", 1)) > 1 for line in options), options


def test_the_command_is_kept_with_the_study(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_faces(here / "real", 30, seed=0)
    write_faces(here / "fake", 20, seed=1)
    words = ["study", "new", "real", "fake", "--out", "study", "--tasks", "untimed"]
    monkeypatch.setattr(sys, "argv", ["augface", *words])
    assert main() == 0
    assert Study.open("study").plan.command == ["augface", *words]
