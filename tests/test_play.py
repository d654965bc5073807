"""The page to play with a generator: its faces, its server, the one file, and all of it in a real Chromium."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from green_faces import planted
from PIL import Image
from starlette.testclient import TestClient

from augface.cli import main
from augface.data.export.png import TYPES, marked_source
from augface.data.toyfaces import load_toyfaces
from augface.errors import OutputError, UnknownNameError, UsageError
from augface.generators import create_generator, load_generator
from augface.generators._calibration import GRID, Calibration, Dose
from augface.generators.base import Generator
from augface.loopback import listening_socket
from augface.play import export
from augface.play.export import Amount, export_page
from augface.play.player import PHOTO, Player, Recipe
from augface.play.server import create_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
ADDRESS = "http://127.0.0.1:8000"
ATTRIBUTES = ("Smiling", "Male")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: a small generator, its calibration with known numbers, and previews, one of which is damaged."""
    folder = tmp_path_factory.mktemp("play")
    generator = create_generator("cgan", channels=4, latent=8, batch_size=8)
    generator.fit(load_toyfaces(80, 16), budget="160", seed=1, run_dir=None)
    generator.save(folder / "generator")
    names = [str(name) for name in generator.labels] if generator.labels is not None else []
    dose = Dose(4.0, [2 * point for point in GRID], list(GRID), -3.0, 2.0, -3.0, 3.0, {}, [])
    Calibration(generator.fingerprint, names, dict.fromkeys(ATTRIBUTES, dose)).save(folder / "steering.json")
    (folder / "config.toml").write_text('data = "toy:80"\nsize = 16\n')
    (folder / "previews").mkdir()
    for seen in (16, 80, 160):
        Image.new("RGB", (256, 16), (seen, 0, 0)).save(folder / "previews" / f"{seen:09d}.png")
    (folder / "previews" / "000000099.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def generator(run: Path) -> Generator:
    loaded = load_generator(run)
    loaded.calibration = Calibration.load(run / "steering.json")
    return loaded


@pytest.fixture(scope="module")
def player(generator: Generator, run: Path) -> Player:
    return Player(generator, previews=run / "previews")


@pytest.fixture(scope="module")
def page(player: Player) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "AMOUNTS", (Amount(3, 3, 5, 3, 4), export.AMOUNTS[-1]))
        return export_page(player, "cgan in <b>run</b>")


@pytest.fixture
def client(player: Player) -> Iterator[TestClient]:
    app = create_app(player, "cgan in <b>run</b>", hosts=["127.0.0.1:8000"])
    with TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS}) as opened:
        yield opened


def picture(address: str) -> bytes:
    return base64.b64decode(address.partition(",")[2])


# The faces


def test_a_recipe_gives_its_face_and_attributes_answer_within_what_is_safe(player: Player) -> None:
    assert player.sliders == [*ATTRIBUTES] or player.sliders == [*reversed(ATTRIBUTES)]
    face = player.show(Recipe(first=3))
    assert np.array_equal(face.pixels, player.show(Recipe(first=3)).pixels)
    assert not np.array_equal(face.pixels, player.show(Recipe(first=4)).pixels)
    # from a condition of -1 or 1 to the ends at -3 and 2; four log-odds are strength 1, two are a unit of condition
    for name in ATTRIBUTES:
        start = 1 if face.requested[name] else -1
        answer = face.answers[name]
        assert (answer.low, answer.high) == pytest.approx(((-3 - start) / 2, (2 - start) / 2))
        assert answer.reached == 0
    moved = player.show(Recipe(first=3, strengths={"Smiling": 9.0}))
    assert moved.answers["Smiling"].reached == pytest.approx(face.answers["Smiling"].high)
    assert not np.array_equal(moved.pixels, face.pixels)


def test_faces_are_mixed_and_a_request_is_flipped_at_the_same_noise(player: Player) -> None:
    first, second = (player.show(Recipe(first=number)).pixels.astype(int) for number in (3, 4))
    assert np.array_equal(player.show(Recipe(first=3, second=4, share=1)).pixels, second)
    between = player.show(Recipe(first=3, second=4, share=0.5)).pixels
    assert np.abs(between - first).mean() > 0
    flips = player.turned(Recipe(first=3))
    assert [one.attribute for one in flips[:2]] == player.sliders
    assert flips[0].value is not player.show(Recipe(first=3)).requested[flips[0].attribute]
    taken = player.show(Recipe(first=3, requests={flips[0].attribute: flips[0].value}))
    assert np.array_equal(taken.pixels, flips[0].pixels)
    assert taken.requested[flips[0].attribute] is flips[0].value


def test_faces_beyond_the_first_chunk_and_of_a_photo(generator: Generator, player: Player) -> None:
    assert not np.array_equal(player.show(Recipe(first=256)).pixels, player.show(Recipe(first=0)).pixels)
    with pytest.raises(UsageError, match="no photo"):
        player.show(Recipe(first=PHOTO))
    toy = load_toyfaces(60, 16)
    scores = generator._scores(toy)  # type: ignore[attr-defined]
    codes = generator.codes(toy.select([int(scores.argmax())]), steps=1)
    with_photo = Player(generator, photo=codes)
    assert with_photo.show(Recipe(first=PHOTO)).of_photo
    assert with_photo.show(Recipe(first=PHOTO, second=1, share=0.5)).of_photo
    assert not with_photo.show(Recipe(first=1)).of_photo


def test_what_cannot_be_played_with_is_refused(generator: Generator) -> None:
    other = create_generator("resample")
    with pytest.raises(UsageError, match="nothing to play with"):
        Player(other)
    with pytest.raises(UnknownNameError, match="Did you mean 'Smiling'"):
        Player(generator, attributes=("Smilling",))
    with pytest.raises(UnknownNameError):
        Player(generator, attributes=("Male",)).show(Recipe(first=0, strengths={"Smiling": 1.0}))


def test_a_generator_without_noise_has_sliders_and_flips_but_mixes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = create_generator("attgan", channels=4, batch_size=8, balance="Green")
    editor.fit(planted(), budget="160", seed=1)
    dose = Dose(4.0, [2 * point for point in GRID], list(GRID), -3.0, 2.0, -3.0, 3.0, {}, [])
    editor.calibration = Calibration(editor.fingerprint, ["Green", "Bright"], {"Green": dose})
    player = Player(editor)
    assert player.sliders == player.requestable == ["Green"], "Bright is nothing that it changes"
    face = player.show(Recipe(first=1))
    assert not np.array_equal(player.show(Recipe(first=1, strengths={"Green": 1.0})).pixels, face.pixels)
    assert [one.attribute for one in player.turned(Recipe(first=1))] == ["Green"]
    with pytest.raises(UsageError, match="no noise by which faces could be mixed"):
        player.show(Recipe(first=1, second=2, share=0.5))
    monkeypatch.setattr(export, "AMOUNTS", (Amount(3, 3, 5, 3, 4), export.AMOUNTS[-1]))
    page = export_page(player, "attgan")
    assert '"ways": {}' in page
    assert 'aria-labelledby="mix-title" hidden' in page
    assert "Faces that it learnt from, changed" in page


def test_previews_are_shown_and_a_damaged_one_is_left_out(player: Player) -> None:
    assert [seen for seen, _ in player.previews] == [16, 80, 99, 160]
    assert player.frame(2) is None
    frame = player.frame(0)
    assert frame is not None
    assert frame.shape == (32, 64, 3)
    assert frame[:, :, 0].min() == 16


# The server


def test_a_face_comes_with_its_mark_and_its_recipe(client: TestClient) -> None:
    reply = client.post("/api/face", json={"first": 3, "strengths": {"Smiling": 0.25}})
    assert reply.status_code == 200
    content = picture(reply.json()["image"])
    assert marked_source(content) == "synthetic"
    assert b'"strengths":{"Smiling":0.25}' in content
    flips = client.post("/api/turned", json={"first": 3}).json()
    assert all(TYPES["synthetic"].encode() in picture(one["image"]) for one in flips)
    assert marked_source(picture(client.get("/api/frames/0").json()["image"])) == "synthetic"


def test_only_its_own_page_is_answered(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example:8000"}).status_code == 421
    other = {"Origin": "http://evil.example"}
    assert client.post("/api/face", json={"first": 1}, headers=other).status_code == 403
    assert client.get("/static/..%2fplayer.py").status_code == 404
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<b>run" not in client.get("/").text


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"first": "x"},
        {"first": -2},
        {"first": 0, "share": 2},
        {"first": 0, "strengths": {"Smiling": 1e9}},
        {"first": 0, "strengths": {"Nothing": 1}},
        {"first": 0, "requests": {"Nothing": True}},
        {"first": 0, "path": "/etc/passwd"},
        {"first": PHOTO},
    ],
)
def test_wrong_recipes_are_refused_in_one_line(content: dict[str, Any], client: TestClient) -> None:
    reply = client.post("/api/face", json=content)
    assert reply.status_code == 400
    assert reply.text
    assert "\n" not in reply.text


def test_frames_that_are_not_there(client: TestClient) -> None:
    for number in (2, 4, 10**20):
        assert client.get(f"/api/frames/{number}").status_code == 404


# The file


def test_one_file_holds_marked_faces_and_a_closed_policy(page: str) -> None:
    assert len(page.encode()) < 2_000_000
    addresses = re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]+", page)
    assert len(addresses) > 40
    assert {marked_source(picture(address)) for address in addresses} == {"synthetic"}
    assert "connect-src" not in page
    assert "default-src 'none'" in unescape(page)
    assert "http" not in re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+|<meta[^>]*>", "", page)


def test_less_is_made_where_faces_are_large(player: Player, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = export.AMOUNTS[-1]
    monkeypatch.setattr(export, "MOST_BYTES", len(page.encode()) - 1)
    monkeypatch.setattr(export, "AMOUNTS", (Amount(3, 3, 5, 3, 4), few))
    assert len(export_page(player, "cgan").encode()) < len(page.encode())
    monkeypatch.setattr(export, "MOST_BYTES", 1000)
    monkeypatch.setattr(export, "AMOUNTS", (few,))
    with pytest.raises(OutputError, match="however few"):
        export_page(player, "cgan")


# The command


def test_export_by_the_command_and_only_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "AMOUNTS", export.AMOUNTS[-1:])
    words = ["play", str(run), "--attr", "smiling", "--export", str(tmp_path / "page.html")]
    assert main(words) == 0
    assert '"Smiling"' in (tmp_path / "page.html").read_text()
    assert main(words) == 4


def test_without_a_calibration_the_rest_of_the_page_is_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "AMOUNTS", export.AMOUNTS[-1:])
    assert main(["play", str(run / "generator"), "--export", str(tmp_path / "page.html")]) == 0
    assert "does not say what the generator learnt from" in capsys.readouterr().err
    text = (tmp_path / "page.html").read_text()
    assert "There are no sliders of attributes" in text
    assert 'id="share"' in text


def test_bad_input_gets_one_clear_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = create_generator("resample")
    other.fit(load_toyfaces(10, 16))
    other.save(tmp_path / "generator")
    Image.new("RGB", (40, 40), "grey").save(tmp_path / "flat.png")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for words, code, said in (
            ([str(tmp_path)], 2, "nothing to play with"),
            ([str(tmp_path / "nowhere")], 3, "holds no generator"),
            ([str(run), "--port", str(taken.getsockname()[1])], 4, "cannot be used"),
            ([str(run), "--port", "0"], 2, "--port is from 1 to 65535"),
            ([str(run), "--attr", "Smilling"], 2, "Did you mean 'Smiling'"),
            ([str(run), str(tmp_path / "flat.png")], 3, "flat.png is no face"),
            ([str(run), "--export", str(tmp_path / "flat.png")], 4, "is there already"),
        ):
            assert main(["play", *words]) == code
            lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
            assert len(lines) == 1
            assert said in lines[0]


def test_interrupting_ends_it_well(run: Path) -> None:
    with listening_socket(0, lan=False) as listener:
        port = listener.getsockname()[1]
    code = "import sys; from augface.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "play", str(run), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
            break
        except OSError:
            time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert said.rstrip().endswith("Ended.")
    assert "Traceback" not in complained


# In a browser


class Opened:
    """A page that a browser shows, and what it has said and asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def face(self) -> str:
        return str(self.page.locator("#face").get_attribute("src"))

    def caption(self, text: str) -> None:
        """Wait until the caption says this."""
        self.page.locator("#said").filter(has_text=re.compile(f"^{text}$")).wait_for()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(player: Player) -> Iterator[str]:
    listener = listening_socket(0, lan=False)
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(player, "cgan in <b>run</b>", hosts=[place])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://{place}/"
    server.should_exit = server.force_exit = True
    thread.join()


def opened(browser: Any, where: str, **options: Any) -> Opened:
    shown = Opened(browser.new_context(**options).new_page())
    shown.page.goto(where)
    shown.page.locator("#turned img").first.wait_for()
    return shown


@needs_chromium
def test_everything_on_the_served_page_moves_the_face(browser: Any, address: str) -> None:
    shown = opened(browser, address)
    page, faces = shown.page, []
    shown.caption("Face 0")
    faces.append(shown.face())
    slider = page.get_by_label("Smiling", exact=True)
    slider.press("PageUp")
    shown.caption(r"Face 0 · Smiling \+0\.25")
    faces.append(shown.face())
    slider.press("End")
    wanted = float(slider.get_attribute("max"))
    assert float(slider.input_value()) == pytest.approx(wanted, abs=0.01)
    page.get_by_role("button", name="Reset").click()
    shown.caption("Face 0")
    page.locator("#share").press("End")
    shown.caption("Face 0, 100 % of face 1")
    faces.append(shown.face())
    page.get_by_role("button", name="New face").click()
    shown.caption("Face 2")
    faces.append(shown.face())
    page.get_by_role("button", name=re.compile("Smiling")).click()
    shown.caption("Face 2 · with(out)? Smiling")
    faces.append(shown.face())
    page.get_by_role("button", name="Back").click()
    shown.caption("Face 2")
    assert shown.face() == faces[3]
    assert len(set(faces)) == len(faces)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "face-2.png"
    assert marked_source(Path(download.value.path()).read_bytes()) == "synthetic"
    assert shown.said == []
    assert all(url.startswith((address, "data:")) for url in shown.asked)


@needs_chromium
def test_the_address_brings_a_face_back_and_the_training_plays(browser: Any, address: str) -> None:
    shown = opened(browser, f"{address}#first=5&strength.Male=-0.2&request.Smiling=1&strength.Nothing=1")
    shown.caption(r"Face 5 · with Smiling · Male −0\.20")
    page = shown.page
    assert page.locator("#frame-value").inner_text() == "160"
    page.locator("#frame-number").press("Home")
    page.wait_for_function("document.getElementById('frame').src.length > 100")
    assert page.locator("#frame-value").inner_text() == "16"
    page.get_by_role("button", name="Play", exact=True).click()
    page.locator("#alert").filter(has_text="There is no such preview").wait_for()  # the damaged one


@needs_chromium
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_and_nothing_is_too_wide(scheme: Any, width: int, browser: Any, address: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    page = opened(browser, address, **options).page
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    assert (sum(map(int, colours)) < 150) is (scheme == "dark")


@needs_chromium
def test_the_file_works_without_any_server(browser: Any, page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    place = (tmp_path / "page.html").as_uri()
    shown = opened(browser, place, viewport={"width": 390, "height": 844})
    shown.caption("Face 0")
    faces = [shown.face()]
    slider = shown.page.get_by_label("Smiling", exact=True)
    slider.press("ArrowRight")
    shown.page.locator("#said").filter(has_text="Smiling").wait_for()
    faces.append(shown.face())
    shown.page.locator("#share").press("End")
    shown.page.locator("#said").filter(has_text="100 %").wait_for()
    faces.append(shown.face())
    assert float(slider.input_value()) == 0
    shown.page.get_by_role("button", name="New face").click()
    shown.caption("Face 1")
    faces.append(shown.face())
    shown.page.get_by_role("button", name=re.compile("Smiling")).click()
    shown.page.locator("#said").filter(has_text="Smiling").wait_for()
    faces.append(shown.face())
    assert len(set(faces)) == len(faces)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith("data:")] == [place]
    assert json.loads(shown.page.locator("#config").text_content())["prepared"]
