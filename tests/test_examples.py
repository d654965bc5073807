"""The examples in the docstrings of public names run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_results import realistic_evaluation
from PIL import Image

import augface
from augface.data.toyfaces import load_toyfaces

ELSEWHERE = {"FaceDataset", "load_data"}
"""These are in Python's own form, and run by its own means."""
OTHERS = {"__version__", "metrics"}
"""No functions and no classes."""


def examples(text: str) -> list[str]:
    """The blocks of code after `Example::` in a docstring."""
    blocks = re.findall(r"^ *Example::\n\n((?: +.*\n|\n)+)", text + "\n", flags=re.MULTILINE)
    return [re.sub(r"^ {8}|^ {4}", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: two folders of faces, a photo, and a run."""
    place = tmp_path_factory.mktemp("examples")
    faces = load_toyfaces(120, 32)
    for number, image in enumerate(np.asarray(faces.images)):
        side = place / ("real" if number < 60 else "synthetic")
        side.mkdir(exist_ok=True)
        Image.fromarray(image).save(side / f"{number}.png")
    Image.fromarray(np.asarray(load_toyfaces(10, 128).images)[0]).save(place / "photo.png")
    generator = augface.create_generator("resample")
    generator.fit(faces)
    (place / "run").mkdir()
    generator.save(place / "run" / "generator")
    realistic_evaluation().to_json(place / "run" / "results.json")
    return place


def test_every_public_name_has_an_example() -> None:
    for name in set(augface.__all__) - OTHERS:
        text = getattr(augface, name).__doc__
        assert ">>>" in text if name in ELSEWHERE else len(examples(text)) == 1, name


@pytest.mark.parametrize(
    "name",
    ["AugfaceError", "Evaluation", "Measurement", "align", "create_generator", "evaluate", "load_generator"],
)
def test_an_example_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    (example,) = examples(getattr(augface, name).__doc__)
    exec(example, {"augface": augface})
    assert capsys.readouterr().out


def test_the_example_of_the_sampler_runs(capsys: Any) -> None:
    faces = load_toyfaces(60, 32)
    (example,) = examples(str(augface.FaceOverSampler.__doc__))
    labels = faces.attributes["Male"].to_numpy(dtype=bool)
    exec(example, {"augface": augface, "images": np.asarray(faces.images), "labels": labels})
    assert capsys.readouterr().out
