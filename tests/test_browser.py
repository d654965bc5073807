"""The pages in a real Chromium: quiet, sealed, usable without scripts, in the dark, on a phone, on paper, by ear."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from example_results import HOSTILE, hostile_evaluation, realistic_evaluation

from augface.report import render, render_comparison
from augface.results import Evaluation
from augface.results.comparison import compare

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Pages = Callable[..., "Opened"]
OPEN_ALL = "for (const details of document.querySelectorAll('details')) details.open = true"


@dataclass
class Opened:
    """A page that a browser shows, and what it has said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Pages]:
    """Opens the text of a page from disk; options are those of a browser context."""
    contexts: list[Any] = []

    def opened(html: str, **options: Any) -> Opened:
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**options)
        contexts.append(context)
        shown = Opened(context.new_page())
        shown.page.on("console", lambda message: shown.said.append(message.text))
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        shown.page.on("dialog", lambda dialog: shown.said.append(dialog.message))
        shown.page.on("request", lambda request: shown.asked.append(request.url))
        shown.page.goto(file.as_uri())
        return shown

    yield opened
    for context in contexts:
        context.close()


def comparison(*evaluations: Evaluation) -> str:
    runs = {f"run {HOSTILE if index else 'one'}": evaluation for index, evaluation in enumerate(evaluations)}
    return render_comparison(compare(runs), runs)


PAGES = {
    "report": lambda: render(realistic_evaluation()),
    "hostile report": lambda: render(hostile_evaluation()),
    "comparison": lambda: comparison(realistic_evaluation(), realistic_evaluation(decision="use")),
    "hostile comparison": lambda: comparison(hostile_evaluation(), realistic_evaluation()),
}


@pytest.fixture(scope="module")
def html() -> str:
    return PAGES["report"]()


@pytest.mark.parametrize("kind", PAGES)
def test_opens_from_disk_without_a_message_or_a_request(kind: str, show: Pages) -> None:
    opened = show(PAGES[kind]())
    opened.page.evaluate(OPEN_ALL)
    opened.page.wait_for_timeout(100)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [opened.page.url]
    broken = "[...document.images].filter(image => !image.complete || image.naturalWidth === 0).length"
    assert opened.page.evaluate(broken) == 0


def test_what_the_policy_forbids_is_refused(html: str, show: Pages) -> None:
    opened = show(html.replace("</main>", "<script>document.title = 'let in'</script></main>"))
    assert any("Content Security Policy" in message for message in opened.said)
    assert opened.page.title() != "let in"


def test_readable_without_scripts(html: str, show: Pages) -> None:
    page = show(html, java_script_enabled=False).page
    assert page.locator("h1").inner_text() == "No evidence that these faces help."
    details = page.locator("details:not(.chapter)", has_text="Every number").first
    assert not details.locator("table").first.is_visible()
    details.locator("summary").click()
    assert details.locator("table").first.is_visible()
    assert page.locator("button").count() == 0


@pytest.mark.parametrize("kind", ["report", "comparison"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(kind: str, scheme: str, width: int, show: Pages) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # only the checker's own script needs to pass the policy
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    page = show(PAGES[kind](), **options).page
    page.evaluate(OPEN_ALL)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


def test_axe_would_find_a_picture_without_words(html: str, show: Pages) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show(html.replace(' alt="', ' data-alt="'), bypass_csp=True).page
    assert "image-alt" in [
        one["id"] for one in Axe().run(page, options={"runOnly": ["image-alt"]}).response["violations"]
    ]


def test_dark_where_the_reader_wants_it(html: str, show: Pages) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    colours = [
        sum(map(int, show(html, color_scheme=scheme).page.evaluate(f"{background}.match(/\\d+/g)")))
        for scheme in ("light", "dark")
    ]
    assert colours[0] > 600
    assert colours[1] < 150


@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_wider_than_a_phone(kind: str, show: Pages) -> None:
    page = show(PAGES[kind](), viewport={"width": 390, "height": 844}).page
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_paper_shows_the_answers_and_what_a_reader_opened(html: str, show: Pages) -> None:
    page = show(html).page
    chapters = page.locator("details.chapter")
    table = page.locator("#fidelity table").first
    page.emulate_media(media="print")
    assert page.locator("h1").is_visible()
    assert page.locator(".advice").is_visible()
    assert not table.is_visible()
    assert not page.locator("nav").is_visible()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Open all parts").click()
    assert all(chapters.evaluate_all("all => all.map(one => one.open)"))
    page.emulate_media(media="print")
    assert table.is_visible()
    assert table.bounding_box()["height"] > 50
    assert page.pdf().startswith(b"%PDF")


def test_columns_sort_and_pictures_grow(html: str, show: Pages) -> None:
    page = show(html, viewport={"width": 1280, "height": 900}).page
    page.evaluate(OPEN_ALL)
    header = page.locator("#downstream table.sortable th button").nth(1)
    numbers = page.locator("#downstream table.sortable").first.locator("tbody tr td:nth-child(2) data")
    for order in (sorted, lambda found: sorted(found, reverse=True)):
        header.click()
        found = numbers.evaluate_all("all => all.map(one => Number(one.value))")
        assert len(found) > 2
        assert found == order(found)
    figure = page.locator(".chapter figure.faces", has=page.locator(".zoom")).first
    widths = [figure.locator("img").bounding_box()["width"]]
    for size in ("true", "large"):
        figure.locator(f"input.{size}").check()
        widths.append(figure.locator("img").bounding_box()["width"])
    assert widths[1] == figure.locator("img").evaluate("image => image.naturalWidth")
    assert widths[2] > widths[1]


def test_all_can_be_reached_by_keyboard(html: str, show: Pages) -> None:
    page = show(html).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    reached = set()
    for _ in range(300):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
        if page.evaluate("document.activeElement === document.body"):
            break
    assert {"A", "SUMMARY", "BUTTON", "INPUT"} <= reached
