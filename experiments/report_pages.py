"""How much a report asks of its reader, in a real browser: screens, printed pages, words, alerts, bytes, requests.

    python experiments/report_pages.py runs/demo/results.json

Needs Chromium, playwright, and axe-playwright-python. The report is made from the results twice, which must be the same
bytes, and is opened without scripts as well as with them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Request, sync_playwright

from augface.report import render
from augface.results import Evaluation

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
OPEN_ALL = "for (const details of document.querySelectorAll('details')) details.open = true"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    rows = [measured(path) for path in parser.parse_args().results]
    print(f"| | {' | '.join(str(row.pop('report')) for row in rows)} |")
    print(f"|---|{'---|' * len(rows)}")
    for name in rows[0]:
        print(f"| {name} | {' | '.join(str(row[name]) for row in rows)} |")


def measured(path: Path) -> dict[str, Any]:
    """One column of the table."""
    evaluation = Evaluation.from_json(path)
    html = render(evaluation)
    found: dict[str, Any] = {"report": path.parent.name, "bytes": len(html.encode())}
    found["same bytes twice"] = html == render(Evaluation.from_json(path))
    found["measurements"] = len(evaluation.measurements)
    found["warnings in results"] = sum(one.verdict in ("warn", "fail") for one in evaluation.measurements)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page_file = Path(folder) / "report.html"
        page_file.write_text(html, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height) in SCREENS.items():
            for scripts in (True, False):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, java_script_enabled=scripts, color_scheme="light"
                )
                page = context.new_page()
                requests: list[str] = []
                page.on("request", partial(_keep, requests))
                page.goto(page_file.as_uri())
                words = len(page.inner_text("body").split())
                size = page.locator("html").bounding_box()
                assert size is not None
                found[f"screens, {name}{'' if scripts else ', no scripts'}"] = round(size["height"] / height, 1)
                found[f"words, {name}{'' if scripts else ', no scripts'}"] = words
                found["requests"] = max(found.get("requests", 0), len(requests) - 1)
                if scripts:
                    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    found[f"pixels cut off, {name}"] = max(0, wider)
                    found[f"alerts, {name}"] = page.locator(".alerts > li:visible").count()
                    found[f"axe, {name}"] = Axe().run(page).violations_count
                    page.evaluate(OPEN_ALL)
                    opened = page.locator("html").bounding_box()
                    assert opened is not None
                    found[f"screens, {name}, all unfolded"] = round(opened["height"] / height, 1)
                context.close()
        page = browser.new_page()
        page.goto(page_file.as_uri())
        found["printed pages (A4)"] = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
        browser.close()
    return found


def _keep(requests: list[str], request: Request) -> None:
    requests.append(request.url)


if __name__ == "__main__":
    main()
