"""How objects look: short in a terminal, as HTML in a notebook that leaks nothing and escapes all, as figures; executed
in a real notebook.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import realistic_evaluation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import augface
from augface.data.dataset import Face, FaceDataset
from augface.data.groups import Subgroup
from augface.errors import DataError, UnknownNameError
from augface.rebalancing.rebalance import RebalanceOutcome, plan_rebalance
from augface.results import Evaluation
from augface.results.comparison import compare

NASTY = '<img src=x onerror=alert(1)>"&'
HALF = "\ud800"
"""Half of a surrogate pair, which no file can hold."""


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return augface.load_data("toy:120", size=16)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return realistic_evaluation()


@pytest.fixture(scope="module")
def objects(faces: FaceDataset, evaluation: Evaluation) -> dict[str, Any]:
    """One of each kind of object that a notebook may show."""
    fitted = augface.create_generator("resample")
    fitted.fit(faces)
    return {
        "data": faces,
        "unlabelled": FaceDataset.from_arrays(faces.images[:3]),
        "face": faces[0],
        "plan": plan_rebalance(faces, attr="Male", within="Smiling"),
        "generator": augface.create_generator("cgan", latent=16),
        "fitted": fitted,
        "evaluation": evaluation,
        "comparison": compare({"first": evaluation, "second": evaluation}),
        "outcome": RebalanceOutcome(evaluation, Path("runs/a"), 64, Path("runs/a/dataset")),
    }


def test_short_forms(objects: dict[str, Any], evaluation: Evaluation) -> None:
    shown = {name: repr(one) for name, one in objects.items()}
    assert shown["data"].startswith(
        "FaceDataset(120 faces of 16 x 16 from toy:120; train 60, valid 31, test 29; 24 attri"
    )
    assert shown["plan"].startswith("Plan(16 synthetic faces by cgan to balance Male in toy:120)")
    assert shown["generator"] == "Generator('cgan', latent=16; not fitted)"
    assert shown["fitted"] == "Generator('resample'; fitted to 120 faces)"
    assert shown["outcome"].startswith("RebalanceOutcome(no evidence; data set in runs/a/dataset; report in ")
    assert shown["comparison"] == "Comparison(first, second; 26 measurements, 24 of them ranked)"
    more = [repr(Subgroup({"Male": True})), repr(objects["plan"].settings), *map(repr, evaluation.measurements)]
    more += [str(evaluation), str(evaluation.measurements[0]), *map(repr, evaluation.artifacts[:1])]
    for text in [*shown.values(), *more]:
        assert len(text) < 400
        assert "\n" not in text


class Tags(HTMLParser):
    """What a page holds, and whether its tags close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += attributes
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


KINDS = ("data", "unlabelled", "face", "plan", "generator", "fitted", "evaluation", "comparison", "outcome")


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_whole_and_its_style_applies_to_nothing_else(kind: str, objects: dict[str, Any]) -> None:
    html = objects[kind]._repr_html_()
    tags = Tags(html)
    assert tags.open == []
    assert not any(name.startswith("on") or (value or "").startswith("http") for name, value in tags.attributes)
    assert "<script" not in html
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    depth, outside = 0, ""
    for letter in style[1]:
        depth += (letter == "{") - (letter == "}")
        outside += letter if depth == 0 and letter != "}" else ""
    assert depth == 0
    selectors = [line for line in outside.split("\n") if line.strip()]
    assert len(selectors) == 2
    assert all(
        selector.startswith((".augface-card.augface-card", ".augface-report.augface-report")) for selector in selectors
    )
    assert len(html) < 100_000
    ids = [value for name, value in tags.attributes if name == "id"]
    assert all((value or "").startswith("augface-") for value in ids)


def test_what_cards_say(objects: dict[str, Any], faces: FaceDataset) -> None:
    text = Tags(objects["data"]._repr_html_()).text
    for said in ("120 faces", "train", "60", "Bald", f"{int(faces.attributes['Bald'].sum())} (", "14 more"):
        assert said in text
    assert "16 faces to be generated by cgan" in Tags(objects["plan"]._repr_html_()).text
    assert "Not fitted yet" in Tags(objects["generator"]._repr_html_()).text
    assert "No evidence that these faces help." in Tags(objects["evaluation"]._repr_html_()).text
    assert "Kernel distance" in Tags(objects["comparison"]._repr_html_()).text


def test_names_of_others_are_escaped(evaluation: Evaluation) -> None:
    labels = pd.DataFrame({NASTY: [True, False, None]}, dtype="boolean")
    data = FaceDataset.from_arrays(
        np.zeros((3, 8, 8, 3), np.uint8) + 9, labels, names=[NASTY, "b", "c"], spec=NASTY + HALF
    )
    nasty = evaluation.model_copy(
        update={"verdict": evaluation.verdict.model_copy(update={"reason": NASTY + HALF, "sentence": NASTY})}
    )
    generator = augface.create_generator("resample")
    generator.fit(data)
    for shown in (data, data[0], generator, nasty, compare({NASTY: nasty, "b": nasty})):
        html = shown._repr_html_()
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html
        html.encode()


class TestSelection:
    def test_one_face(self, faces: FaceDataset) -> None:
        face = faces[-1]
        assert isinstance(face, Face)
        assert (face.image == faces.images[119]).all()
        assert face.labels == {name: bool(faces.attributes[name][119]) for name in faces.attributes}
        assert face.to_pil().size == (16, 16)
        assert (face.name, face.split, face.identity) == ("000119.png", faces.split[119], int(faces.identity[119]))  # type: ignore[index]
        with pytest.raises(IndexError):
            faces[120]

    def test_views(self, faces: FaceDataset) -> None:
        for index in (slice(10, 2, -3), [10, 7, 4], np.array([10, 7, 4]), pd.Series([10, 7, 4], index=[5, 6, 7])):
            part = faces[index]
            assert part.names.tolist() == ["000010.png", "000007.png", "000004.png"]
            assert part.images.stored is faces.images.stored
        men = faces[faces.attributes["Male"]]
        assert men.attributes["Male"].all()
        assert len(men) == sum(bool(face.labels["Male"]) for face in faces)

    def test_an_unknown_label_selects_nothing(self) -> None:
        data = FaceDataset.from_arrays(np.zeros((3, 8, 8, 3), np.uint8) + 9, {"Male": [True, None, False]})
        assert data[data.attributes["Male"]].names.tolist() == ["000000.png"]
        assert data[1].labels == {"Male": None}


class TestFigures:
    def test_attributes(self, faces: FaceDataset) -> None:
        axes = faces.plot(["male", "Smiling"])
        assert isinstance(axes, Axes)
        bars = [bar for container in axes.containers for bar in container]
        train = faces.train
        assert train is not None
        share = 100 * float(train.attributes["Smiling"].mean())
        assert any(bar.get_width() == pytest.approx(share) for bar in bars)
        own = Figure().subplots()
        assert faces.plot(["Male"], ax=own) is own
        with pytest.raises(UnknownNameError):
            faces.plot(["Mail"])
        with pytest.raises(DataError, match="no attribute labels"):
            FaceDataset.from_arrays(faces.images[:3]).plot()

    def test_measurements(self, evaluation: Evaluation) -> None:
        axes = evaluation.plot("kernel_distance")
        own = [one for one in evaluation.measurements if one.name == "kernel_distance"]
        points = np.asarray(axes.collections[-1].get_offsets())
        assert {one.value for one in own} <= set(points[:, 0])
        assert axes.get_yticklabels()[0].get_text() == "all faces"
        assert evaluation.plot("Kernel_Distance", ax=Figure().subplots()).get_xlabel() == "Kernel distance"
        with pytest.raises(UnknownNameError, match="kernel_distance"):
            evaluation.plot("kernel_distanse")


CELLS = """
import augface
data = augface.load_data("toy:120", size=16)
data
---
data[0]
---
data.plot(["Male"]);
---
generator = augface.create_generator("cgan", channels=4, latent=8)
generator.fit(data.train, budget="96")
generator
---
from augface.progress import progress
for face in progress(iterable=data[:3], desc="looking"):
    pass
"""


def test_in_a_notebook(tmp_path: Path, cache_folder: Path) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    nbclient: Any = pytest.importorskip("nbclient")
    code = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS.split("---")]
    notebook = nbformat.v4.new_notebook(cells=code)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    root = str(Path(augface.__file__).resolve().parent.parent)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    client.execute(env={**environment, "PYTHONPATH": root})
    outputs = [cell.outputs for cell in notebook.cells]
    for number, text in ((0, "FaceDataset(120 faces"), (1, "Face('000000.png'")):
        assert outputs[number][-1].data["text/plain"].startswith(text)
        assert "augface-card" in outputs[number][-1].data["text/html"]
    assert "image/png" in outputs[2][-1].data
    previews = [one for one in outputs[3] if one.output_type == "display_data"]
    assert len(previews) == 1, "one preview, which is renewed"
    assert "96 images seen" in Tags(previews[0].data["text/html"]).text
    assert "augface-card" in outputs[3][-1].data["text/html"]
    assert "Faces from this generator" in outputs[3][-1].data["text/html"]
    said = "".join(one.text for one in outputs[4] if one.output_type == "stream")
    assert "looking: 100%" in said
    assert "Warning" not in said
    nbformat.validate(notebook)
