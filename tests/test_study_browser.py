"""The study in a real Chromium: whole sessions, by jsPsych's own simulation and by keys and touch, for everybody."""

from __future__ import annotations

import io
import re
import shutil
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from study_example import small_study

from augface.loopback import listening_socket
from augface.study.answers import Answers
from augface.study.exchange import export_pages, import_answers
from augface.study.folder import ANSWERS, Study
from augface.study.server import create_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Open = Callable[..., "Opened"]


class Opened:
    """A page that a browser shows, what it has said and what it asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def choose(self, choice: str) -> None:
        self.page.locator(f"[data-choice={choice}]:enabled").click()

    def begin(self) -> None:
        """Agree, and come to the first explanation."""
        self.choose("go_on")
        self.choose("agree")
        self.page.wait_for_selector("[data-choice=start]")

    def counted(self, answers: int) -> None:
        """Wait until so many answers are behind the rater."""
        self.page.locator("#count").filter(has_text=re.compile(rf"^{answers} ")).wait_for()

    def title(self) -> str:
        return str(self.page.locator("h1").inner_text())


class Served:
    """A study behind a real server, in a thread."""

    def __init__(self, study: Study) -> None:
        self.study = study
        for path in study.folder.glob(f"{ANSWERS}*"):
            path.unlink()
        self.answers = Answers(study)
        self.port = 0
        self.start()

    def start(self) -> None:
        listener = listening_socket(self.port, lan=False)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        app = create_app(self.study, self.answers, address=self.url, hosts=[f"127.0.0.1:{self.port}"])
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join()

    def link(self, slot: int = 0, group: str = "rater") -> str:
        return f"{self.url}/#{self.study.token(slot, group)}"  # type: ignore[arg-type]

    def kept(self) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.study.folder / ANSWERS)
        rows = connection.execute("SELECT trial, answer, detail FROM answers ORDER BY trial").fetchall()
        connection.close()
        return rows


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        served = Served(small_study(folder, patch, **settings))
    yield served
    served.stop()
    served.answers.close()


@pytest.fixture(scope="module")
def all_tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("browser")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Open]:
    contexts: list[Any] = []

    def opened(url: str, **options: Any) -> Opened:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        shown = Opened(context.new_page())
        shown.page.set_default_timeout(20_000)
        shown.page.goto(url)
        return shown

    yield opened
    for context in contexts:
        context.close()


def finished(opened: Opened, milliseconds: int = 60_000) -> None:
    opened.page.wait_for_selector("html[data-state=finished]", state="attached", timeout=milliseconds)


# Whole sessions


def test_jspsych_simulates_a_whole_session_of_all_tasks(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(0, "preview") + "&simulate=data-only")
    finished(opened)
    trials = all_tasks.study.schedule.trials(0)
    rater = next(one for one in all_tasks.answers.raters() if one.group == "preview")
    assert len(all_tasks.answers.of(rater.number)) == len(trials)
    assert rater.device["frame_ms"] == pytest.approx(16.7, abs=1)
    assert opened.said == []
    assert all(url.startswith((all_tasks.url, "data:")) for url in opened.asked)


def test_jspsych_clicks_through_what_has_no_time_limit(tmp_path: Path, show: Open) -> None:
    with serving(tmp_path, tasks=("pairs", "rating")) as served:
        opened = show(served.link(0, "preview") + "&simulate=visual")
        finished(opened)
        assert opened.title() == "Thank you!"
        assert [trial for trial, _, _ in served.kept()] == list(range(len(served.study.schedule.trials(0))))
        assert opened.said == []


def test_raters_are_never_simulated(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(5) + "&simulate=data-only")
    opened.page.wait_for_selector("[data-choice=go_on]")
    opened.page.wait_for_timeout(300)
    assert opened.page.locator("[data-choice=go_on]").is_visible()


def test_brief_exposures_last_as_many_frames_as_asked_for(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(1))
    opened.begin()
    opened.choose("start")
    trials = 6
    for count, key in enumerate(("f", "j") * (trials // 2), start=1):
        opened.page.wait_for_selector(".choice:enabled")
        opened.page.keyboard.press(key)
        opened.counted(count)
    rater = next(one for one in all_tasks.answers.raters() if one.slot == 1)
    details = [one.detail for one in all_tasks.answers.of(rater.number)]
    assert len(details) == trials
    assert {detail["frames_asked"] for detail in details} >= {60, 30, 15}
    off = [abs(detail["frames_shown"] - detail["frames_asked"]) for detail in details]
    assert sum(frames <= 1 for frames in off) >= trials - 1  # a busy machine may drop some in one of them
    assert opened.said == []


def test_the_face_is_covered_when_its_time_is_over(all_tasks: Served, show: Open) -> None:
    """What the canvas shows in each frame, as another callback of the same frames sees it."""
    opened = show(all_tasks.link(2))
    opened.begin()
    opened.page.evaluate("""() => {
        window.seen = [];
        const look = now => {
            const canvas = document.querySelector('canvas');
            if (canvas) {
                const { data } = canvas.getContext('2d').getImageData(0, 0, 40, 40);
                const grey = data.every((value, place) => place % 4 === 3 || value === 128);
                const kind = grey ? 'blank' : data.slice(0, 1600).join();
                if (window.seen.at(-1)?.[0] !== kind) window.seen.push([kind, now]);
            }
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }""")
    opened.choose("start")
    opened.page.wait_for_selector(".choice:enabled")
    seen = [("blank" if kind == "blank" else "picture", now) for kind, now in opened.page.evaluate("window.seen")]
    assert [kind for kind, _ in seen[:4]] == ["blank", "picture", "picture", "blank"]  # cross, face, mask, nothing
    since = [now for _, now in seen[:4]]
    assert since[2] - since[1] == pytest.approx(1000, abs=60)  # the first practice trial lasts a second
    assert since[3] - since[2] == pytest.approx(300, abs=80)


# Reading, pausing, stopping


def walk(opened: Opened) -> Iterator[str]:
    """Every kind of screen, one after the other."""
    opened.page.wait_for_selector("[data-choice=go_on]")
    yield "welcome"
    opened.choose("go_on")
    opened.page.wait_for_selector("[data-choice=agree]")
    yield "consent"
    opened.choose("agree")
    for part in range(5):
        opened.page.wait_for_selector("[data-choice=start]")
        yield f"explanation {part}"
        opened.choose("start")
        opened.page.wait_for_selector(".choice:enabled")
        yield f"question {part}"
        if part == 1:
            opened.page.click("#pause")
            yield "paused"
            opened.page.click("#stop")
            yield "sure"
            opened.page.click("#stop-no")
            opened.page.click("#go-on")
        opened.page.reload()
        opened.choose("go_on")
        opened.choose("skip")
    finished(opened)
    yield "finished"


SCREENS = [
    "welcome",
    "consent",
    "explanation 0",
    "question 0",
    "question 2",
    "question 4",
    "paused",
    "sure",
    "finished",
]
"""One of each kind."""


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(("slot", "checked", "options"), [(10, SCREENS[3:6], {}), (11, SCREENS, PHONE)])
def test_axe_finds_nothing_and_everything_fits(
    slot: int, checked: list[str], options: dict[str, Any], all_tasks: Served, show: Open
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened = show(all_tasks.link(slot), bypass_csp=True, **options)  # only the checker's own script needs that
    width = options.get("viewport", {"width": 1280})["width"]
    height = options.get("viewport", {"height": 800})["height"]
    screens = 0
    for screen in walk(opened):
        screens += 1
        if screen in checked:
            found = Axe().run(opened.page).response["violations"]
            problems = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
            assert problems == [], screen
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, screen
        if screen.startswith("question"):
            boxes = opened.page.locator(".choice, canvas").evaluate_all(
                "all => all.map(one => one.getBoundingClientRect()).map(box => [box.top, box.bottom, box.height])"
            )
            assert all(top >= 0 and bottom <= height for top, bottom, _ in boxes), screen
            assert all(high >= 44 for _, _, high in boxes), screen  # large enough for a finger
    assert screens == 15


def test_everybody_sees_faces_on_the_same_ground(all_tasks: Served, show: Open) -> None:
    grounds = {
        show(all_tasks.link(12), color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"rgb(243, 244, 245)"}


def test_a_reload_goes_on_with_the_same_question(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(20))
    opened.begin()
    opened.choose("skip")
    opened.choose("start")
    opened.choose("real")
    opened.counted(24)
    opened.page.reload()
    opened.choose("go_on")
    assert opened.page.locator("#count").inner_text().startswith("24 ")
    opened.page.wait_for_selector("[data-choice=start]")
    assert opened.title() == "Take your time"


def test_while_paused_nothing_is_answered_and_the_face_is_out_of_sight(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(21))
    opened.begin()
    opened.choose("skip")
    opened.choose("start")
    opened.page.wait_for_selector(".choice:enabled")
    opened.page.keyboard.press("Escape")
    assert opened.page.locator("#paused").is_visible()
    box = opened.page.locator("canvas").bounding_box()
    seen = f"document.elementFromPoint({box['x'] + 5}, {box['y'] + 5}).tagName"
    assert opened.page.evaluate(seen) == "DIALOG"
    opened.page.keyboard.press("f")
    opened.page.wait_for_timeout(200)
    assert opened.page.locator("#count").inner_text().startswith("23 ")
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("f")
    opened.counted(24)


def test_stopping_deletes_everything(tmp_path: Path, show: Open) -> None:
    with serving(tmp_path, tasks=("untimed",)) as served:
        opened = show(served.link())
        opened.begin()
        opened.choose("start")
        opened.choose("real")
        opened.counted(1)
        opened.page.click("#pause")
        opened.page.click("#stop")
        opened.page.click("#stop-yes")
        opened.page.wait_for_selector("text=Your answers are deleted")
        assert served.kept() == []
        opened.page.reload()
        opened.page.wait_for_selector("text=Your answers are deleted")


def test_declining_keeps_nothing(all_tasks: Served, show: Open) -> None:
    opened = show(all_tasks.link(22))
    opened.choose("go_on")
    assert not any("/api/pictures" in url for url in opened.asked)  # no face before agreeing
    opened.choose("decline")
    opened.page.wait_for_selector("text=That is fine")
    assert all(one.slot != 22 for one in all_tasks.answers.raters())


def test_when_the_server_is_away_the_answer_waits(tmp_path: Path, show: Open) -> None:
    with serving(tmp_path, tasks=("untimed",)) as served:
        opened = show(served.link())
        opened.begin()
        opened.choose("start")
        opened.page.wait_for_selector(".choice:enabled")
        served.stop()
        opened.choose("generated")
        opened.page.wait_for_selector("text=Not saved yet")
        served.start()
        opened.page.click("#try-again")
        opened.counted(1)
        assert [answer for _, answer, _ in served.kept()] == ["generated"]


def test_wrong_links_and_missing_scripts_are_explained(all_tasks: Served, show: Open) -> None:
    opened = show(f"{all_tasks.url}/#r0-{'0' * 32}")
    opened.page.wait_for_selector("text=This link does not work")
    plain = show(all_tasks.link(23), java_script_enabled=False)
    assert "needs JavaScript" in plain.page.locator("noscript").inner_text()


# The organiser, and raters elsewhere


def test_the_organiser_sees_progress_and_deletes(tmp_path: Path, show: Open) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with serving(tmp_path, tasks=("untimed",)) as served:
        rater = show(served.link(1))
        rater.begin()
        rater.choose("start")
        rater.choose("real")
        rater.counted(1)
        opened = show(f"{served.url}/admin#{served.study.admin_token}", bypass_csp=True)
        row = opened.page.locator("#raters tr").nth(1)
        row.wait_for()
        assert "1 of" in row.inner_text()
        assert opened.page.locator("#raters input").first.input_value() == served.link(0)
        assert Axe().run(opened.page).response["violations"] == []
        row.locator("button").click()
        opened.page.click("#yes")
        row.get_by_text("withdrawn").wait_for()
        assert served.kept() == []
        assert opened.said == []


def test_a_page_from_disk_gives_a_file_that_is_taken_in(
    tmp_path: Path, show: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path, monkeypatch, tasks=("flash", "untimed"))
    with zipfile.ZipFile(io.BytesIO(export_pages(study, 2))) as archive:
        archive.extract("index.html", tmp_path)
    page = (tmp_path / "index.html").as_uri()
    show(page).page.wait_for_selector("text=Which number were you given?")
    opened = show(f"{page}#2")
    opened.begin()
    opened.choose("start")
    for count in range(1, 4):
        opened.page.wait_for_selector(".choice:enabled")
        opened.page.keyboard.press("j")
        opened.counted(count)
    opened.page.reload()
    opened.choose("go_on")
    opened.choose("skip")
    opened.choose("start")
    total = len(study.constant_schedule.trials(1))
    flash = sum(trial.block == "flash" for trial in study.constant_schedule.trials(1))
    for count in range(flash + 1, total + 1):
        opened.page.wait_for_selector(".choice:enabled")
        opened.page.keyboard.press("f")
        if count < total:
            opened.counted(count)
    finished(opened)
    assert opened.title() == "One more step"
    with opened.page.expect_download() as download:
        opened.page.click("text=Save my answers")
    download.value.save_as(tmp_path / "answers.json")
    answers = Answers(study)
    assert import_answers(study, answers, tmp_path / "answers.json").answers == total - flash + 4
    answers.close()
    assert [url for url in opened.asked if not url.startswith(("data:", "blob:", page.split("#")[0]))] == []
    assert opened.said == []
