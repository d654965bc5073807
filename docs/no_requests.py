"""Fails where a page of the built documentation would load anything from elsewhere: no_requests.py FOLDER."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADING = {"src", "srcset", "data", "poster", "action"}
"""Attributes whose address a browser loads by itself, for any element; of `link` it is `href` too."""
ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class Page(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """One element."""
        relation = dict(attributes).get("rel") or ""
        for name, value in attributes:
            loads = name in LOADING or (tag == "link" and name == "href" and relation not in ("canonical", "license"))
            if value and loads and ELSEWHERE.match(value):
                self.loaded.append(f"<{tag} {name}={value}>")
            self.loaded += IN_STYLES.findall(value or "") if name == "style" else []


def requests_elsewhere(folder: Path) -> list[str]:
    """What the pages and style sheets in a folder load from elsewhere, each with its file."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        found += [f"{path}: {each}" for each in page.loaded]
    for path in sorted(folder.rglob("*.css")):
        found += [f"{path}: {each}" for each in IN_STYLES.findall(path.read_text(encoding="utf-8"))]
    return found


if __name__ == "__main__":
    sys.exit("\n".join(requests_elsewhere(Path(sys.argv[1]))) or 0)
