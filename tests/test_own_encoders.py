"""Encoders that people bring, as feature spaces: what they give, what identifies them, what is said of wrong files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from augface.cli import main
from augface.data.toyfaces import load_toyfaces
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError
from augface.features import create_feature_space, weights_status
from augface.features.extraction import features_of
from augface.files import sha256_of_file

needs_onnx = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="onnx and onnxruntime are not installed"
)


def save_encoder(path: Path, shape: tuple[int | str, ...] = ("N", 3, 8, 8), kind: int = 1) -> Path:
    """The mean of each channel, which is the plainest of encoders."""
    from onnx import helper, save

    mean = helper.make_node("GlobalAveragePool", ["images"], ["means"])
    flat = helper.make_node("Flatten", ["means"], ["vectors"])
    inputs = [helper.make_tensor_value_info("images", kind, shape)]
    outputs = [helper.make_tensor_value_info("vectors", kind, None)]
    model = helper.make_model(
        helper.make_graph([mean, flat], "encoder", inputs, outputs), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    save(model, path)
    return path


@needs_onnx
class TestOnnx:
    def test_gives_the_vectors_of_the_network(self, tmp_path: Path) -> None:
        file = save_encoder(tmp_path / "encoder.onnx")
        space = create_feature_space(f"onnx:{file}?normalise=unit")
        images = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)
        assert space.dimension == 3
        assert space.extract(images) == pytest.approx(images.mean(axis=(1, 2)) / 255, abs=1e-5)
        swapped = create_feature_space(f"onnx:{file}?normalise=symmetric&channels=bgr")
        assert swapped.extract(images) == pytest.approx(images.mean(axis=(1, 2))[:, ::-1] / 127.5 - 1, abs=1e-5)

    def test_one_image_at_a_time(self, tmp_path: Path) -> None:
        space = create_feature_space(f"onnx:{save_encoder(tmp_path / 'one.onnx', (1, 3, 8, 8))}")
        assert space.extract(np.zeros((3, 8, 8, 3), dtype=np.uint8)).shape == (3, 3)

    def test_the_protocol_says_which_file_and_what_is_done_to_images(self, tmp_path: Path) -> None:
        file = save_encoder(tmp_path / "encoder.onnx", ("N", 3, "H", "W"))
        protocol = create_feature_space(f"onnx:{file}?size=16").protocol
        assert protocol["weights_sha256"] == sha256_of_file(file)
        assert protocol["resolution"] == 16
        assert protocol["normalise"] == "imagenet"
        assert create_feature_space(f"onnx:{file}").protocol["resolution"] == 224

    def test_is_cached_as_any_space(self, tmp_path: Path, cache_folder: Path) -> None:
        file = save_encoder(tmp_path / "encoder.onnx")
        faces = load_toyfaces(20, 16)
        first = features_of(faces, create_feature_space(f"onnx:{file}"))
        assert list((cache_folder / "features").glob("onnx-*.safetensors"))
        assert np.array_equal(first, features_of(faces, create_feature_space(f"onnx:{file}")))

    @pytest.mark.parametrize(
        ("shape", "kind", "message"),
        [
            (("N", 8, 8, 3), 1, r"takes tensor\(float\).*An encoder takes a batch"),
            (("N", 3, 8, 8), 11, r"takes tensor\(double\)"),
            (("N", 3, 8, 9), 1, "not square"),
            ((3, 3, 8, 8), 1, "3 images at a time"),
            (("N", 3), 1, "An encoder takes a batch"),
        ],
        ids=["channels last", "double", "not square", "three at a time", "no images"],
    )
    def test_other_inputs_are_refused(
        self, shape: tuple[int | str, ...], kind: int, message: str, tmp_path: Path
    ) -> None:
        from onnx import helper, save

        path = tmp_path / "other.onnx"
        value = [helper.make_tensor_value_info(name, kind, shape) for name in ("images", "vectors")]
        node = helper.make_node("Identity", ["images"], ["vectors"])
        graph = helper.make_graph([node], "other", value[:1], value[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        save(model, path)
        with pytest.raises(DataError, match=message):
            create_feature_space(f"onnx:{path}")

    def test_strange_files_get_one_clear_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        strange = tmp_path / "strange.onnx"
        strange.write_bytes(b"\x80\x04\x95no model\x00" * 9)
        for name in (f"onnx:{strange}", f"onnx:{tmp_path / 'missing.onnx'}"):
            with pytest.raises(DataError) as caught:
                create_feature_space(name)
            assert "\n" not in str(caught.value)
        folder = tmp_path / "faces"
        assert main(["evaluate", "toy:20", "toy:20", "--spaces", f"onnx:{strange}", "--out", str(folder)]) == 3
        said = capsys.readouterr().err.strip()
        assert "cannot be opened as ONNX" in said
        assert "Traceback" not in said

    @pytest.mark.parametrize(
        "query", ["?normalise=zscore", "?channels=grey", "?size=big", "?size=0", "?speed=9", "?size=9999"]
    )
    def test_unknown_settings(self, query: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError):
            create_feature_space(f"onnx:{save_encoder(tmp_path / 'encoder.onnx')}{query}")


class TestTimm:
    NAME = "test_vit.r160_in1k"

    @pytest.fixture
    def weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        import timm

        torch.manual_seed(0)
        network: Any = timm.create_model(self.NAME, pretrained=False)
        path = tmp_path / "weights.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
        monkeypatch.setenv("AUGFACE_TIMM_WEIGHTS", str(path))
        return path

    def test_gives_the_pooled_features_of_the_network(self, weights: Path) -> None:
        import timm

        space = create_feature_space(f"timm:{self.NAME}")
        images = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
        torch.manual_seed(0)
        network: nn.Module = timm.create_model(self.NAME, pretrained=False, num_classes=1000).eval()
        network.reset_classifier(0)  # type: ignore[operator]
        prepared = torch.from_numpy(np.stack([space.prepare(image) for image in images]))
        with torch.no_grad():
            expected = network(prepared).numpy()
        assert space.extract(images) == pytest.approx(expected, abs=1e-4)
        assert space.dimension == expected.shape[1]
        assert space.protocol["weights_sha256"] == sha256_of_file(weights)
        assert space.protocol["resolution"] == 160

    def test_weights_of_another_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
        monkeypatch.setenv("AUGFACE_TIMM_WEIGHTS", str(tmp_path / "other.safetensors"))
        with pytest.raises(DataError):
            create_feature_space(f"timm:{self.NAME}")

    def test_a_name_that_timm_does_not_know(self) -> None:
        with pytest.raises(UnknownNameError, match="resnet18"):
            create_feature_space("timm:resnet_18")


@pytest.mark.parametrize(
    ("name", "message"),
    [("onnx", "give it as onnx:FILE"), ("timm:", "give it as timm:NAME"), ("pixels:small", "give it as pixels")],
)
def test_a_name_says_which_encoder_where_it_must(name: str, message: str) -> None:
    with pytest.raises(AugfaceError, match=message):
        create_feature_space(name)
    assert weights_status(name)[0]
