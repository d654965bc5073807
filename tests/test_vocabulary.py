"""What people read speaks the language of the field: docs, help texts, a report and a comparison."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from example_results import realistic_evaluation

from augface.cli import main
from augface.cli.app import COMMANDS
from augface.report import render, render_comparison, terminal_summary
from augface.results.comparison import compare

ROOT = Path(__file__).resolve().parent.parent
PRIVATE = re.compile(
    r"\b(made faces?|made ones?|fake faces?|faces from elsewhere|generators from elsewhere|people in common"
    r"|shared[ _-]people|turn(?:ing|ed)? people round|strangers?|isolation|washed|washing|told apart|askable"
    r"|twin arms?|rivals?|refit(?:ted)?|ungated|gates?|setbacks?|kinds of faces|the house|rooms)\b",
    re.IGNORECASE,
)
"""Words of a vocabulary of our own that the field has other words for; see docs/glossary.md."""


def private_words(text: str) -> list[str]:
    return [match[0] for match in PRIVATE.finditer(text)]


def test_the_check_finds_what_it_looks_for() -> None:
    assert private_words("The made faces passed the gates, and washed strangers were told apart.") == [
        "made faces",
        "gates",
        "washed",
        "strangers",
        "told apart",
    ]


@pytest.mark.parametrize(
    "path", ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_docs(path: str) -> None:
    assert private_words((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("command", ["", *COMMANDS, "data", "study"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert "augface" in text
    assert private_words(text) == []


def test_reports() -> None:
    evaluation = realistic_evaluation()
    runs = {"a": evaluation, "b": evaluation}
    for page in (render(evaluation), render_comparison(compare(runs), runs)):
        assert (
            private_words(
                unescape(re.sub(r"<style>.*?</style>|<script>.*?</script>|data:[^\"]+", "", page, flags=re.S))
            )
            == []
        )
    assert private_words(terminal_summary(evaluation, in_full=True)) == []
