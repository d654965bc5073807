"""docs/comparison.md: the lines of every row run, and give what the table says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from augface.arrays import Floats32, Pixels
from augface.data.toyfaces import load_toyfaces
from augface.evaluation import measures
from augface.evaluators import base
from augface.features.base import FeatureSpace
from augface.features.resize import resized

PAGE = (Path(__file__).parent.parent / "docs" / "comparison.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
NEEDED = {
    "Rebalance": "imblearn",
    "KID in a training loop": "torchmetrics",
    "Log to a tracker": "tensorboard",
    "Load from Hugging Face": "datasets",
}
"""Packages besides those that augface needs itself, clean-fid among them."""
SIDE, COUNT = 24, 48


class SmallInception(FeatureSpace):
    """Mean colours of the quarters of what Inception would be shown, in its place."""

    name: ClassVar[str] = "inception"
    dimension: ClassVar[int] = 12

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"space": self.name}

    def prepare(self, image: Pixels) -> Floats32:
        return resized(image, 299)

    def forward(self, prepared: Floats32) -> Floats32:
        quarters = prepared[:, :, :298, :298].reshape(len(prepared), 3, 2, 149, 2, 149)
        return np.asarray(quarters.mean(axis=(3, 5)).reshape(len(prepared), 12) / 255, dtype=np.float32)

    def class_probabilities(self, features: Floats32) -> Any:
        return np.full((len(features), 2), 0.5)


class ForTorchmetrics(torch.nn.Module):
    """The same under torchmetrics' metric."""

    num_features = 12

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(SmallInception().extract(images.permute(0, 2, 3, 1).numpy()))


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The folders that the lines name, the stand-ins, and the variables that they take for given."""
    monkeypatch.chdir(tmp_path)
    faces = np.asarray(load_toyfaces(2 * COUNT, SIDE, seed=6).images)
    real, synthetic = faces[:COUNT], (faces[COUNT:] // 2 + 50).astype(np.uint8)
    for side, images in (("real", real), ("synthetic", synthetic)):
        for number, image in enumerate(images):
            folder = Path(side, "glasses" if number % 2 else "plain")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number}.png")
    small = SmallInception()
    for module in (base, measures):
        monkeypatch.setattr(module, "create_feature_space", lambda name: SmallInception())
    monkeypatch.setattr("augface.evaluation.evaluate.create_feature_space", lambda name: SmallInception())
    monkeypatch.setattr("augface.evaluators.fidelity.InceptionSpace", SmallInception)
    monkeypatch.setattr(
        "cleanfid.fid.build_feature_extractor",
        lambda *_, **__: lambda batch: torch.from_numpy(small.forward(batch.numpy())),
    )
    real_images, synthetic_images = (torch.from_numpy(side[:40]).permute(0, 3, 1, 2) for side in (real, synthetic))
    return {
        "real_images": real_images,
        "synthetic_images": synthetic_images,
        "images": real,
        "labels": np.array(["plain", "glasses", "plain", "plain"] * (COUNT // 4)),
        "pictures": [Image.fromarray(image) for image in real],
    }


@pytest.mark.parametrize("title", SECTIONS)
def test_the_lines_of_a_row_run_and_agree(
    title: str, prepared: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = re.findall(r"```python\n(.*?)```", SECTIONS[title], flags=re.DOTALL)
    if title in NEEDED:
        pytest.importorskip(NEEDED[title], reason=f"{NEEDED[title]} is not installed")
    if title == "KID in a training loop":
        monkeypatch.setattr("torchmetrics.image.kid.NoTrainInceptionV3", ForTorchmetrics)
        monkeypatch.setattr("augface.torchmetrics.create_feature_space", lambda name: SmallInception())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers call what their own requirements have deprecated
        exec(theirs, prepared)
    exec(ours, prepared)
    found, expected = prepared["ours"], prepared["theirs"]
    if title == "Browse":
        assert expected == 8
        assert "<img" in found
    elif isinstance(expected, bool):
        assert found is expected is True
    else:
        assert expected
        assert found == pytest.approx(expected, rel=1e-3)


def test_the_table_lists_the_sections() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert rows == list(SECTIONS)
