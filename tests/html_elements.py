"""Reads pages."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def svg_figures(html: str) -> list[str]:
    """The figures for screens; those for phones are left out."""
    html = re.sub(r"<source [^>]*>", "", html)
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)]


def assert_loads_nothing(page: str) -> None:
    """Nothing on the page comes from elsewhere or runs, and its policy forbids both."""
    elements = Elements(page).elements
    for tag, attributes in elements:
        for name, value in attributes.items():
            assert name not in {"style", "srcdoc", "action", "formaction"}, (tag, name)
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "srcset"}:
                assert value is not None
                assert value.startswith(("data:", "#")), (tag, value[:80])
    policies = [
        attributes["content"]
        for tag, attributes in elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    policy = policies[0]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for figure in [*svg_figures(page), *svg_figures(page.replace("<source ", "<img "))]:
        assert not re.search(r"(href|src)=\"(?!#)", figure)
