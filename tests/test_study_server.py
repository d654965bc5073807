"""The server: what it gives to whom, what it refuses, and that nothing is lost when it is killed."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from study_example import small_study

from augface import loopback
from augface.errors import OutputError
from augface.loopback import MOST_BYTES, listening_socket
from augface.study.answers import Answers
from augface.study.folder import ANSWERS, Study
from augface.study.server import create_app, only_server

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        return small_study(tmp_path_factory.mktemp("server"), patch, tasks=("flash", "untimed", "pairs"))


@pytest.fixture
def client(study: Study) -> Iterator[TestClient]:
    for path in study.folder.glob(f"{ANSWERS}*"):
        path.unlink()
    answers = Answers(study)
    with TestClient(app_of(study, answers), base_url=ADDRESS, headers={"Origin": ADDRESS}) as opened:
        yield opened
    answers.close()


def app_of(study: Study, answers: Answers) -> Any:
    return create_app(study, answers, address=ADDRESS, hosts=["127.0.0.1:8000", "localhost:8000"])


def as_rater(study: Study, slot: int = 0) -> dict[str, str]:
    return {"Authorization": f"Bearer {study.token(slot)}"}


def as_admin(study: Study) -> dict[str, str]:
    return {"Authorization": f"Bearer {study.admin_token}"}


def agree(client: TestClient, study: Study, slot: int = 0) -> dict[str, Any]:
    response = client.post("/api/agree", headers=as_rater(study, slot), json={"device": {"frame_ms": 16.7}})
    assert response.status_code == 200
    state: dict[str, Any] = response.json()
    return state


def content_of(state: dict[str, Any], answer: str | None = None) -> dict[str, Any]:
    trial = state["trial"]
    number = trial["trial"]
    return {
        "trial": number,
        "answer": answer or trial["choices"][number % 2],
        "detail": {"rt": 400},
        "id": f"{number:032x}",
    }


# A session


def test_a_whole_session_from_the_first_page_to_the_last(client: TestClient, study: Study) -> None:
    assert client.get("/api/session", headers=as_rater(study)).json() == {"state": "new", "preview": False}
    state = agree(client, study)
    seen = 0
    while state["state"] == "going":
        for name in state["trial"]["images"]:
            picture = client.get(f"/api/pictures/{name}", headers=as_rater(study))
            assert picture.headers["content-type"] == "image/jpeg"
        response = client.post("/api/answers", headers=as_rater(study), json=content_of(state))
        assert response.status_code == 200
        state = response.json()
        seen += 1
    assert seen == len(study.schedule.trials(0))
    assert state["progress"]["done"] == state["progress"]["of"] == seen
    assert client.get("/api/session", headers=as_rater(study)).json()["state"] == "finished"
    status = client.get("/api/admin/status", headers=as_admin(study)).json()
    assert status["finished"] == 1
    assert status["raters"][0]["answers"] == seen


def test_reloading_goes_on_where_it_was_also_after_a_new_start(client: TestClient, study: Study) -> None:
    state = agree(client, study)
    state = client.post("/api/answers", headers=as_rater(study), json=content_of(state)).json()
    assert client.get("/api/session", headers=as_rater(study)).json() == state
    answers = Answers(study)
    with TestClient(app_of(study, answers), base_url=ADDRESS) as another:
        assert another.get("/api/session", headers=as_rater(study)).json() == state
    answers.close()


def test_the_same_answer_twice_and_another_answer_to_the_same_change_nothing(client: TestClient, study: Study) -> None:
    first = agree(client, study)
    content = content_of(first, "real")
    after = client.post("/api/answers", headers=as_rater(study), json=content).json()
    assert client.post("/api/answers", headers=as_rater(study), json=content).json() == after
    other = content | {"answer": "generated", "id": "f" * 32}
    assert client.post("/api/answers", headers=as_rater(study), json=other).json() == after
    assert sqlite3.connect(study.folder / ANSWERS).execute("SELECT answer FROM answers").fetchall() == [("real",)]


def test_nothing_can_be_answered_ahead_or_before_agreeing(client: TestClient, study: Study) -> None:
    early = {"trial": 0, "answer": "real", "detail": {}, "id": "0" * 32}
    assert client.post("/api/answers", headers=as_rater(study), json=early).status_code == 403
    state = agree(client, study)
    ahead = content_of(state) | {"trial": 5}
    assert client.post("/api/answers", headers=as_rater(study), json=ahead).status_code == 409


def test_only_pictures_of_the_question_at_hand_are_given(client: TestClient, study: Study) -> None:
    state = agree(client, study)
    other = study.public_id("rater", 0, 5, 0)
    strangers = study.public_id("rater", 1, 0, 0)
    for name in (other, strangers, "00000.jpg", "..%2f..%2fstudy.json"):
        assert client.get(f"/api/pictures/{name}", headers=as_rater(study)).status_code == 404
    assert client.get(f"/api/pictures/{state['trial']['images'][0]}").status_code == 401
    assert client.get("/api/masks/0", headers=as_rater(study)).status_code == 200
    assert client.get(f"/api/masks/{study.plan.masks}", headers=as_rater(study)).status_code == 404


def test_what_the_page_says_of_the_exposure_is_not_believed(client: TestClient, study: Study) -> None:
    state = agree(client, study)
    content = content_of(state) | {"detail": {"rt": 400, "exposure": 1.0}}
    client.post("/api/answers", headers=as_rater(study), json=content)
    (detail,) = sqlite3.connect(study.folder / ANSWERS).execute("SELECT detail FROM answers").fetchone()
    assert json.loads(detail)["exposure"] == state["trial"]["exposure"] == 1000


def test_withdrawal_deletes_and_closes_the_link(client: TestClient, study: Study) -> None:
    state = agree(client, study)
    client.post("/api/answers", headers=as_rater(study), json=content_of(state))
    assert client.post("/api/withdraw", headers=as_rater(study), json={}).json() == {"state": "withdrawn"}
    assert sqlite3.connect(study.folder / ANSWERS).execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)
    replayed = client.get("/api/session", headers=as_rater(study))
    assert replayed.status_code == 410
    assert "deleted" in replayed.text
    assert client.post("/api/agree", headers=as_rater(study), json={}).status_code == 410


def test_the_organiser_may_delete_a_rater_and_nobody_else_may(client: TestClient, study: Study) -> None:
    client.post("/api/answers", headers=as_rater(study), json=content_of(agree(client, study)))
    for headers in (as_rater(study, 1), {}):
        assert client.get("/api/admin/status", headers=headers).status_code == 401
        assert client.post("/api/admin/withdraw", headers=headers, json={"number": 1}).status_code == 401
    assert client.post("/api/admin/withdraw", headers=as_admin(study), json={"number": 1}).json() == {"deleted": 1}
    assert client.get("/api/session", headers=as_rater(study)).status_code == 410
    assert client.post("/api/admin/withdraw", headers=as_admin(study), json={"number": "1"}).status_code == 400


# What is refused


def test_forged_links_are_refused_and_soon_have_to_wait(client: TestClient, study: Study) -> None:
    token = study.token(0)
    codes = [
        client.get("/api/session", headers={"Authorization": f"Bearer {token[:-1]}{digit}"}).status_code
        for digit in "0123456789abcdef"
        if digit != token[-1]
    ]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert client.get("/api/session", headers=as_rater(study)).status_code == 200  # nobody else suffers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9000", "localhost", ""])
def test_other_names_of_the_server_are_refused(host: str, client: TestClient, study: Study) -> None:
    response = client.get("/", headers={"Host": host})
    assert response.status_code == 421
    assert "\n" not in response.text


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://localhost:8000", ""]
)
def test_other_origins_may_not_send(origin: str, client: TestClient, study: Study) -> None:
    headers = as_rater(study) | {"Origin": origin}
    assert client.post("/api/agree", headers=headers, json={}).status_code == 403


def test_long_and_odd_requests_are_refused(client: TestClient, study: Study) -> None:
    headers = as_rater(study) | {"Content-Type": "application/json"}
    assert client.post("/api/agree", headers=headers, content=b"x" * (MOST_BYTES + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1000

    assert client.post("/api/agree", headers=headers, content=endless()).status_code == 413
    assert client.post("/api/agree", headers=headers, content=b"{").status_code == 400
    assert client.post("/api/agree", headers=headers, content=b"[]").status_code == 400
    assert client.post("/api/agree", headers=headers, content=b"[" * 5000).status_code == 400
    assert client.post("/api/agree", headers=as_rater(study), content=b"{}").status_code == 415
    assert client.put("/api/agree", headers=headers, content=b"{}").status_code == 405
    assert client.get("/static/..%2fserver.py").status_code == 404
    assert client.get("/static/texts.en.json").status_code == 404
    agree(client, study)
    for wrong in ({}, {"trial": True, "id": "0" * 32}, {"trial": 0, "id": "short"}, {"trial": 0, "id": "0" * 32}):
        assert client.post("/api/answers", headers=headers, json=wrong).status_code == 400


def test_too_many_requests_have_to_wait(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "BURST", 5.0)
    monkeypatch.setattr(loopback, "EACH_SECOND", 1e-6)
    answers = Answers(study)
    with TestClient(app_of(study, answers), base_url=ADDRESS) as opened:
        codes = [opened.get("/api/masks/0", headers=as_rater(study, 5)).status_code for _ in range(7)]
        assert codes == [200] * 5 + [429] * 2
        assert opened.get("/api/masks/0", headers=as_rater(study, 6)).status_code == 200
    answers.close()


def test_whoever_waited_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("augface.loopback.time.monotonic", lambda: now)
    buckets = loopback.Buckets(burst=2.0, each_second=0.5)
    assert [buckets.allows("a") for _ in range(3)] == [True, True, False]
    now = 2.0
    assert [buckets.allows("a") for _ in range(2)] == [True, False]


def test_every_reply_is_sealed_and_nothing_is_stored(client: TestClient, study: Study) -> None:
    for path in ("/", "/admin", "/static/study.js", "/api/session", "/nowhere"):
        headers = client.get(path, headers=as_rater(study)).headers
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers
        assert "server" not in headers


def test_the_page_holds_no_secret_and_no_truth(client: TestClient, study: Study) -> None:
    text = client.get("/").text + client.get("/admin").text
    for secret in (study.admin_token, study.token(0)[3:], study.plan.generators[0], "distorted", "000.png"):
        assert secret not in text


def test_a_title_cannot_break_out_of_the_page(study: Study, client: TestClient) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    other = Study(study.folder, study.plan.model_copy(update={"title": hostile, "contact": hostile}))
    answers = Answers(study)
    with TestClient(app_of(other, answers), base_url=ADDRESS) as opened:
        text = opened.get("/").text
    answers.close()
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_a_full_disk_is_a_line_and_the_answer_can_be_given_again(study: Study, client: TestClient) -> None:
    agree(client, study)
    answers = Answers(study)
    with TestClient(app_of(study, answers), base_url=ADDRESS, headers={"Origin": ADDRESS}) as opened:
        state = opened.get("/api/session", headers=as_rater(study)).json()
        limit = answers._connection.execute("PRAGMA page_count").fetchone()[0]
        answers._connection.execute(f"PRAGMA max_page_count = {limit}")
        long = {"rt": 400.125, "frame_ms": 16.125, "frames_asked": 60.0, "frames_shown": 60.0, "hidden": False}
        given = 0
        while True:
            content = content_of(state) | {"detail": long}
            response = opened.post("/api/answers", headers=as_rater(study), json=content)
            if response.status_code != 200:
                break
            state, given = response.json(), given + 1
        assert response.status_code == 507
        assert response.text.startswith("No space left")
        assert "\n" not in response.text
        answers._connection.execute("PRAGMA max_page_count = 100000")
        again = opened.post("/api/answers", headers=as_rater(study), json=content)
        assert again.json()["progress"]["done"] == given + 1
    answers.close()


# The process


def test_two_servers_of_one_study_are_one_too_many(study: Study) -> None:
    with only_server(study), pytest.raises(OutputError, match="served already"), only_server(study):
        pass
    with only_server(study):  # and the lock goes with its holder
        pass
    nowhere = Study(study.folder / "nowhere", study.plan)
    with pytest.raises(OutputError, match="Cannot write"), only_server(nowhere):
        pass


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="--port"):
            listening_socket(taken.getsockname()[1], lan=False)


def test_it_listens_on_this_machine_alone_unless_asked() -> None:
    for lan, address in ((False, "127.0.0.1"), (True, "0.0.0.0")):
        with listening_socket(0, lan=lan) as listener:
            assert listener.getsockname()[0] == address


def start(study: Study, port: int) -> subprocess.Popen[str]:
    code = "import sys; from augface.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "study", "serve", str(study.folder), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(400):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
            return process
        except OSError:
            time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=5))


def send(study: Study, port: int, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}"
    headers = {**as_rater(study), "Origin": url, "Content-Type": "application/json"}
    data = None if content is None else json.dumps(content).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=10) as response:
        result: dict[str, Any] = json.load(response)
        return result


def test_a_killed_server_has_lost_nothing_that_it_acknowledged(study: Study, tmp_path: Path) -> None:
    for path in study.folder.glob(f"{ANSWERS}*"):
        path.unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    acknowledged = 0
    for kill in range(2):
        process = start(study, port)
        state = send(study, port, "/api/agree", {}) if kill == 0 else send(study, port, "/api/session")
        assert state["progress"]["done"] == acknowledged
        for _ in range(3 + kill):
            state = send(study, port, "/api/answers", content_of(state))
            acknowledged += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(study, port)
    assert send(study, port, "/api/session")["progress"]["done"] == acknowledged
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=20)
    assert process.returncode == 0, complained
    assert "Next: augface study report" in said
    assert study.token(0) in said
    assert "this machine only" in said
    assert (study.folder / "links.txt").read_text().count("\n") == study.plan.raters
