"""Raters elsewhere: a page that holds everything but the truth, and files that are checked before they count."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from study_example import small_study

from augface.errors import DataError, UsageError
from augface.study.answers import Answers
from augface.study.exchange import MOST_BYTES, export_pages, import_answers
from augface.study.folder import ANSWERS, Study
from augface.study.records import collect


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        return small_study(tmp_path_factory.mktemp("exchange"), patch)


@pytest.fixture
def answers(study: Study) -> Answers:
    for path in study.folder.glob(f"{ANSWERS}*"):
        path.unlink()
    return Answers(study)


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    with zipfile.ZipFile(io.BytesIO(export_pages(study, 3))) as archive:
        assert sorted(archive.namelist()) == ["README.txt", "index.html"]
        return archive.read("index.html").decode()


def config_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="config">(.*?)</script>', page, re.S)
    config: dict[str, Any] = json.loads(text)
    return config


def file_of(study: Study, number: int = 1, **changes: Any) -> dict[str, Any]:
    """What a page saves when everything was answered."""
    trials = study.constant_schedule.trials(number - 1)
    choices = {
        "flash": "generated",
        "untimed": "generated",
        "pairs-real": "left",
        "pairs-better": "same",
        "rating": "2",
    }
    said = [
        {
            "trial": one.number,
            "answer": choices[one.block],
            "detail": {"rt": 500},
            "id": f"{number:016x}{one.number:016x}",
        }
        for one in trials
    ]
    content = {"study": study.plan.id, "number": number, "session": f"{number:032x}", "device": {"frame_ms": 16.7}}
    return content | {"answers": said} | changes


def saved(folder: Path, content: object) -> Path:
    path = folder / "answers.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_page_holds_all_pictures_and_none_of_the_truth(page: str, study: Study) -> None:
    config = config_of(page)
    assert list(config["sessions"]) == ["1", "2", "3"]
    shown = {name for trials in config["sessions"].values() for trial in trials for name in trial["images"]}
    assert shown == set(config["pictures"])
    held = {base64.b64decode(address.split(",")[1]) for address in config["pictures"].values()}
    assert held <= {study.picture_path(number).read_bytes() for number in range(len(study.plan.pictures))}
    for secret in (study.plan.generators[0], "distorted", "000.png", study.admin_token, study.token(0)[3:]):
        assert secret not in page
    assert list(config["pictures"]) == sorted(config["pictures"])


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0]
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?!data:)', page.split("<script type")[0])


def test_exposures_on_the_page_are_constant(page: str) -> None:
    exposures = [
        trial["exposure"]
        for trial in config_of(page)["sessions"]["1"]
        if trial["task"] == "flash" and not trial["practice"]
    ]
    assert None not in exposures
    assert len(set(exposures)) >= 8


def test_celeba_is_not_passed_on_without_saying_so(study: Study) -> None:
    celeba = Study(study.folder, study.plan.model_copy(update={"terms": "celeba"}))
    with pytest.raises(UsageError, match="--redistribute-celeba"):
        export_pages(celeba, 1)
    assert export_pages(celeba, 1, celeba=True)
    with pytest.raises(UsageError, match="1 to 200"):
        export_pages(study, 0)


def test_a_file_is_taken_once(study: Study, answers: Answers, tmp_path: Path) -> None:
    path = saved(tmp_path, file_of(study))
    assert import_answers(study, answers, path).answers == len(study.constant_schedule.trials(0))
    assert import_answers(study, answers, path).answers == 0
    assert len(answers.raters()) == 1
    records = collect(study, answers)
    assert set(records.raters["group"]) == {"file"}


def test_the_exposures_of_a_file_are_those_of_the_plan(study: Study, answers: Answers, tmp_path: Path) -> None:
    content = file_of(study)
    content["answers"][5]["detail"] = {"rt": 500, "exposure": 1.0}
    import_answers(study, answers, saved(tmp_path, content))
    assert answers.of(1)[5].detail["exposure"] == study.constant_schedule.trials(0)[5].exposure


def change(content: dict[str, Any], place: int, **fields: Any) -> dict[str, Any]:
    said = [dict(one) for one in content["answers"]]
    said[place] |= fields
    return content | {"answers": said}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda content: content | {"study": "another"}, "another study"),
        (lambda content: content | {"number": 0}, "which rater"),
        (lambda content: content | {"number": True}, "which rater"),
        (lambda content: content | {"session": "x"}, "which session"),
        (lambda content: content | {"answers": []}, "no answers"),
        (lambda content: change(content, 3, trial=9999), "was not asked"),
        (lambda content: change(content, 3, trial=4), "twice"),
        (lambda content: change(content, 3, answer="perhaps"), "cannot be answered so"),
        (lambda content: change(content, 3, detail={"rt": "x"}), "not what this study asks"),
        (lambda content: change(content, 3, id="short"), "no id"),
        (lambda content: change(content, 3, id=content["answers"][4]["id"]), "already"),
        (lambda content: content | {"answers": [3]}, "was not asked"),
        (lambda content: [content], "no file with answers"),
        (lambda content: "{", "not JSON"),
        (lambda content: "[" * 100_000, "not JSON"),
        (lambda content: " " * (MOST_BYTES + 1), "larger than"),
    ],
)
def test_what_the_page_could_not_have_written_is_refused_and_nothing_kept(
    make: Any, said: str, study: Study, answers: Answers, tmp_path: Path
) -> None:
    path = saved(tmp_path, make(file_of(study)))
    with pytest.raises(DataError, match=said) as refused:
        import_answers(study, answers, path)
    assert "\n" not in str(refused.value)
    assert answers.raters() == []


def test_a_file_that_is_not_there_is_said(study: Study, answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        import_answers(study, answers, tmp_path / "nowhere.json")
