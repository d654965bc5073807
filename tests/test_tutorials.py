"""The tutorials' code runs, in a hurry; `make docs` runs it at full length and shows what it gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from augface.classifiers.attributes import AttributeClassifier
from augface.features.pixels import PixelSpace

DOCS = Path(__file__).parent.parent / "docs"
HURRY = {"FACES": "440", "BUDGET": '"64"'}
"""What the first cell of a tutorial sets, so small that nothing is learnt."""


def cells(path: Path) -> list[str]:
    return re.findall(
        r"^```\{code-cell\} python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def learn_little(*data: Any, learn: Any = AttributeClassifier.train, **options: Any) -> AttributeClassifier:
    classifier: AttributeClassifier = learn(*data, **{**options, "images": 640})
    return classifier


@pytest.mark.parametrize("name", sorted(path.stem for path in (DOCS / "tutorials").glob("*.md")))
def test_a_tutorial_runs_from_top_to_bottom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augface.evaluation.evaluate.DEFAULT_SPACE", "pixels")
    monkeypatch.setattr("augface.evaluators.base.create_feature_space", lambda name="": PixelSpace())
    monkeypatch.setattr("augface.rebalancing.rebalance.EVALUATORS", ("prdc", "adherence"))
    monkeypatch.setattr(AttributeClassifier, "train", learn_little)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings, *rest = cells(DOCS / "tutorials" / f"{name}.md")
    hurried = re.sub(r"^(\w+) = .*$", lambda line: f"{line[1]} = {HURRY[line[1]]}", settings, flags=re.MULTILINE)
    namespace: dict[str, Any] = {}
    for number, code in enumerate([hurried, *rest]):
        exec(compile(code, f"{name}.md, cell {number}", "exec"), namespace)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([\w/]+)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE))
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in [*DOCS.glob("*.md"), *DOCS.glob("*/*.md")]}
    assert {page for page in pages if not page.startswith(("_build", "jupyter_execute"))} == listed | {"index"}
