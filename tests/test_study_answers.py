"""Answers on disk, and where a rater stands: nothing twice, nothing half, nothing left after withdrawal."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest
from study_example import small_study

from augface.errors import DataError, OutputError
from augface.metrics.staircase import EXPOSURES
from augface.study.answers import Answer, Answers
from augface.study.design import STAIRCASES, Rules
from augface.study.folder import ANSWERS, Study
from augface.study.session import SKIP, Session, check_answer, is_late, is_right


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        return small_study(tmp_path_factory.mktemp("answers"), patch)


@pytest.fixture
def answers(study: Study) -> Answers:
    (study.folder / ANSWERS).unlink(missing_ok=True)
    return Answers(study)


def identifier(number: int) -> str:
    return f"{number:032x}"


# On disk


def test_an_answer_is_kept_once_and_the_first_stays(answers: Answers) -> None:
    rater = answers.join("rater", 0, "rater:0", {})
    assert answers.join("rater", 0, "rater:0", {}) == rater
    assert answers.add(rater, Answer(0, "real", {"rt": 400.0}), identifier(1))
    assert not answers.add(rater, Answer(0, "real", {"rt": 400.0}), identifier(1))
    assert not answers.add(rater, Answer(0, "generated", {}), identifier(2))
    assert answers.of(rater) == [Answer(0, "real", {"rt": 400.0})]
    with pytest.raises(DataError, match="used before"):
        answers.add(rater, Answer(1, "real", {}), identifier(1))


def test_what_was_acknowledged_is_on_disk_for_everybody(answers: Answers) -> None:
    rater = answers.join("rater", 0, "rater:0", {})
    answers.add(rater, Answer(0, "real", {}), identifier(1))
    other = sqlite3.connect(answers.path)  # nothing was closed or flushed by us
    assert other.execute("SELECT answer FROM answers").fetchall() == [("real",)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_withdrawal_leaves_no_trace_of_the_answers(answers: Answers) -> None:
    rater = answers.join("rater", 0, "rater:0", {"frame_ms": 16.7123})
    for trial in range(5):
        answers.add(rater, Answer(trial, "generated", {"rt": 4242.424}), identifier(trial))
    other = answers.join("rater", 1, "rater:1", {})
    answers.add(other, Answer(0, "real", {}), identifier(99))
    assert answers.withdraw("rater:0", "rater", 0) == 5
    assert answers.of(rater) == []
    assert len(answers.of(other)) == 1
    for path in answers.path.parent.glob(f"{ANSWERS}*"):
        assert b"4242.424" not in path.read_bytes()
        assert b"16.7123" not in path.read_bytes()
    with pytest.raises(DataError, match="deleted"):
        answers.add(rater, Answer(0, "real", {}), identifier(7))


def test_several_threads_lose_nothing(answers: Answers) -> None:
    raters = [answers.join("rater", slot, f"rater:{slot}", {}) for slot in range(4)]

    def give(rater: int) -> None:
        for trial in range(40):
            answers.add(rater, Answer(trial, "real", {}), identifier(1000 * rater + trial))

    threads = [threading.Thread(target=give, args=(rater,)) for rater in raters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.counts() == dict.fromkeys(raters, 40)


def test_a_full_disk_is_said_and_loses_nothing(answers: Answers) -> None:
    rater = answers.join("rater", 0, "rater:0", {})
    pages = answers._connection.execute("PRAGMA page_count").fetchone()[0]
    answers._connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for trial in range(10_000):
            answers.add(rater, Answer(trial, "real", {"rt": 1.0}), identifier(trial))

    with pytest.raises(OutputError, match="No space left"):
        fill()
    kept = len(answers.of(rater))
    assert kept > 0
    assert sqlite3.connect(answers.path).execute("SELECT COUNT(*) FROM answers").fetchone() == (kept,)
    answers._connection.execute("PRAGMA max_page_count = 100000")
    assert answers.add(rater, Answer(kept, "real", {}), identifier(kept))


def test_a_session_comes_whole_or_not_at_all(answers: Answers) -> None:
    said = [(identifier(trial), Answer(trial, "real", {})) for trial in range(3)]
    assert answers.add_session("file", 0, "file:a", {}, said)
    assert not answers.add_session("file", 0, "file:a", {}, said)
    with pytest.raises(DataError, match="already"):
        answers.add_session("file", 1, "file:b", {}, [(identifier(50), Answer(0, "real", {})), said[0]])
    assert [rater.slot for rater in answers.raters()] == [0]
    assert answers.counts() == {1: 3}


def test_the_answers_of_another_study_are_refused(study: Study, answers: Answers, tmp_path: Path) -> None:
    answers.close()
    stranger = Study(study.folder, study.plan.model_copy(update={"id": "other"}))
    with pytest.raises(DataError, match="another study"):
        Answers(stranger)
    (study.folder / ANSWERS).write_bytes(b"this is no database at all, but long enough to look like one" * 20)
    with pytest.raises(DataError, match="damaged"):
        Answers(study)
    (study.folder / ANSWERS).unlink()
    with pytest.raises(DataError, match="no answers yet"):
        Answers(study, create=False)


# Where a rater stands


def test_the_page_knows_nothing_of_the_truth(study: Study) -> None:
    session = Session(study, "rater", 0, [])
    names: list[str] = []
    for trial in session.trials:
        shown = session.shown(trial)
        assert set(shown) == {
            "trial", "block", "task", "choices", "images", "exposure", "mask", "practice", "starts", "part",
        }  # fmt: skip
        names += shown["images"]
        text = json.dumps(shown)
        assert "distorted" not in text
        assert study.plan.generators[0] not in text
    assert len(set(names)) == len(names)  # a face that comes again has another name
    assert not set(names) & set(Session(study, "rater", 1, []).names(session.trials[0]))


def test_tests_checks_and_repeats_look_alike(study: Study) -> None:
    session = Session(study, "rater", 0, [])
    shown = {
        role: [
            {
                name: value
                for name, value in session.shown(trial).items()
                if name not in ("trial", "images", "mask", "starts")
            }
            for trial in session.trials
            if trial.block == "untimed" and trial.role == role
        ]
        for role in ("test", "check", "repeat")
    }
    assert shown["check"][0] == shown["test"][0] == shown["repeat"][0]


def test_exposures_follow_the_answers_of_their_own_staircase(study: Study) -> None:
    session = Session(study, "rater", 0, [])
    chain = [trial for trial in session.trials if trial.staircase == 0]
    start = EXPOSURES[STAIRCASES[0].start]
    assert session.exposure(chain[0]) == start

    def answer(place: int, *, right: bool, **detail: object) -> None:
        generated = study.plan.pictures[chain[place].images[0]].kind > 0
        session.add(Answer(chain[place].number, "generated" if generated == right else "real", dict(detail)))

    answer(0, right=True)
    assert session.exposure(chain[1]) == EXPOSURES[STAIRCASES[0].start - 1]
    answer(1, right=False)
    assert session.exposure(chain[2]) == EXPOSURES[STAIRCASES[0].start + 2]
    answer(2, right=False, frames_asked=10, frames_shown=13)  # late: as if it had not been
    assert session.exposure(chain[3]) == EXPOSURES[STAIRCASES[0].start + 2]
    other = next(trial for trial in session.trials if trial.staircase == 1)
    assert session.exposure(other) == EXPOSURES[STAIRCASES[1].start]


def test_a_part_can_be_left_out(study: Study) -> None:
    session = Session(study, "rater", 0, [])
    first = session.next()
    assert first is not None
    assert first.block == "flash"
    session.add(Answer(first.number, SKIP, {}))
    then = session.next()
    assert then is not None
    assert then.block == "untimed"
    flash = sum(trial.block == "flash" for trial in session.trials)
    assert session.progress() == {"done": flash, "of": len(session.trials), "parts": 5}


def test_what_is_right_is_known_for_every_kind_of_question(study: Study) -> None:
    trials = study.schedule.trials(0)
    untimed = next(trial for trial in trials if trial.block == "untimed" and trial.role == "check")
    assert is_right(study.plan, untimed, Answer(0, "generated", {}))
    assert not is_right(study.plan, untimed, Answer(0, "real", {}))
    pair = next(trial for trial in trials if trial.block == "pairs-real" and trial.role == "check")
    sides = ["right", "left"] if study.plan.pictures[pair.images[0]].role == "distorted" else ["left", "right"]
    assert [is_right(study.plan, pair, Answer(0, side, {})) for side in [*sides, "same"]] == [True, False, False]
    rating = next(trial for trial in trials if trial.block == "rating" and trial.role == "check")
    assert [is_right(study.plan, rating, Answer(0, str(points), {})) for points in range(1, 6)] == [True] * 2 + [
        False
    ] * 3


@pytest.mark.parametrize(
    ("detail", "late"),
    [
        ({}, False),
        ({"frames_asked": 3, "frames_shown": 4}, False),
        ({"frames_asked": 3, "frames_shown": 5}, True),
        ({"frames_asked": 3, "frames_shown": 1}, True),
        ({"frames_asked": 3, "frames_shown": 3, "hidden": True}, True),
    ],
)
def test_late_exposures_are_those_of_the_rule(detail: dict[str, object], late: bool) -> None:
    assert is_late(Answer(0, "real", dict(detail)), Rules()) == late


@pytest.mark.parametrize(
    ("choice", "detail"),
    [
        ("perhaps", {}),
        (3, {}),
        (["real"], {}),
        ("left", {}),
        ("real", []),
        ("real", {"rt": "fast"}),
        ("real", {"rt": True}),
        ("real", {"rt": -1}),
        ("real", {"rt": float("nan")}),
        ("real", {"rt": 1e12}),
        ("real", {"name": "Ann"}),
        ("real", {"hidden": 1}),
    ],
)
def test_answers_that_no_page_gives_are_refused(choice: object, detail: object, study: Study) -> None:
    trial = next(trial for trial in study.schedule.trials(0) if trial.block == "untimed")
    with pytest.raises(DataError):
        check_answer(trial, choice, detail)
    assert check_answer(trial, "real", {"rt": 12.34567, "hidden": False}).detail == {"rt": 12.346, "hidden": False}


# Links


def test_links_cannot_be_guessed_or_taken_over(study: Study) -> None:
    token = study.token(3)
    found = study.read_token(token)
    assert found is not None
    assert (found.group, found.slot) == ("rater", 3)
    assert study.read_token(study.token(3, "preview")) != found
    for forged in (
        "",
        "r3-" + "0" * 32,
        token.replace("r3", "r4"),
        token.replace("r3", "p3"),
        token[:-1],
        token + "0",
        "r3-é" * 9,
    ):
        assert study.read_token(forged) is None
    assert study.is_admin(study.admin_token)
    assert not study.is_admin(token)
    assert not study.is_admin("é")
