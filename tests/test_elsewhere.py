"""Generators of faces, and with networks, that were made elsewhere: the contract, and what is not accepted."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

import augface
from augface.classifiers.attributes import AttributeClassifier
from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.export.writer import write_dataset
from augface.data.groups import Subgroup
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UnknownNameError, UsageError
from augface.features.pixels import PixelSpace
from augface.files import sha256_of_file
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators.base import CHUNK, Generator, check_generator
from augface.rebalancing import rebalance as rebalancing
from augface.rebalancing.drawing import draw_accepted
from augface.rebalancing.filters import Filters
from augface.rebalancing.generator import generator_for
from augface.rebalancing.strategy import SubgroupPlan

SIZE, LATENT = 32, 8
ATTRIBUTES = "Smiling,Male"


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


NETWORKS = [
    "torchscript",
    pytest.param("onnx", marks=[needs("onnxruntime"), needs("onnx")]),
    pytest.param("diffusers", marks=needs("diffusers")),
]


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    data = load_toyfaces(60, SIZE)
    assert data.attributes["Male"].nunique() == 2
    return data


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


# What people have


class Painter(nn.Module):
    """Noise to square colour images in -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.layer = nn.Linear(LATENT, 3 * 16 * 16)

    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


def scripted(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is (deprecated|not supported)")
        torch.jit.script(network).save(str(path))  # type: ignore[no-untyped-call]
    return path


def onnx_model(path: Path, latent: list[int | str], batch: int | str = "batch", conditions: int = 0) -> Path:
    """Noise (and conditions, added to its first numbers) times weights, as images of 16 pixels in 0 to 1."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(LATENT, 3 * 16 * 16)).astype(np.float32)
    known = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([-1, 3, 16, 16]), "shape")]
    inputs = [helper.make_tensor_value_info("noise", TensorProto.FLOAT, [batch, *latent])]
    nodes, noise = [], "noise"
    if conditions:
        inputs.append(helper.make_tensor_value_info("conditions", TensorProto.FLOAT, [batch, conditions]))
        known.append(numpy_helper.from_array(np.eye(conditions, LATENT, dtype=np.float32), "wide"))
        nodes = [
            helper.make_node("MatMul", ["conditions", "wide"], ["more"]),
            helper.make_node("Add", ["noise", "more"], ["both"]),
        ]
        noise = "both"
    nodes += [
        helper.make_node("MatMul", [noise, "weights"], ["sums"]),
        helper.make_node("Sigmoid", ["sums"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["images"]),
    ]
    outputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 16, 16])]
    graph = helper.make_graph(nodes, "painter", inputs, outputs, known)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def pipeline(folder: Path, channels: int = 3, kind: str = "DDIM") -> Path:
    diffusers = pytest.importorskip("diffusers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = diffusers.UNet2DModel(
            sample_size=16,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=1,
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
        )
    scheduler = getattr(diffusers, f"{kind}Scheduler")(num_train_timesteps=10)
    getattr(diffusers, f"{kind}Pipeline")(unet=network, scheduler=scheduler).save_pretrained(folder)
    return folder


def image_folder(folder: Path, faces: FaceDataset, labels: pd.DataFrame | None = None) -> Path:
    folder.mkdir(parents=True)
    names = [f"{number:04d}.png" for number in range(len(faces))]
    for name, face in zip(names, pixels(faces), strict=True):
        Image.fromarray(face).save(folder / name)
    if labels is not None:
        labels.astype("Int8").assign(file_name=names).to_csv(folder / "metadata.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def made_elsewhere() -> FaceDataset:
    return load_toyfaces(300, 24, seed=9)


@pytest.fixture
def settings(tmp_path: Path, made_elsewhere: FaceDataset) -> Callable[[str], dict[str, Any]]:
    """Files of the right kind for each generator, and the settings that it takes them by, as the command line does."""

    def of(name: str) -> dict[str, Any]:
        if name == "torchscript":
            return {"path": str(scripted(Painter(), tmp_path / "network.pt")), "latent": str(LATENT)}
        if name == "onnx":
            return {"path": str(onnx_model(tmp_path / "network.onnx", [LATENT]))}
        if name == "diffusers":
            return {"path": str(pipeline(tmp_path / "pipeline")), "steps": "2", "batch": "8"}
        labels = made_elsewhere.attributes[ATTRIBUTES.split(",")]
        return {"path": str(image_folder(tmp_path / "images", made_elsewhere, labels))}

    return of


Settings = Callable[[str], dict[str, Any]]


def fitted(name: str, faces: FaceDataset, **settings: Any) -> Generator:
    generator = create_generator(name, **settings)
    generator.fit(faces)
    return generator


def change(path: Path) -> None:
    """Another file at the same place."""
    if path.is_dir():
        path = next(iter(sorted(path.rglob("*.safetensors")) or sorted(path.rglob("*.png"))))
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("name", [*NETWORKS, "images"])
class TestEveryOne:
    def test_the_contract_holds(self, name: str, faces: FaceDataset, settings: Settings) -> None:
        check_generator(GENERATORS.get(name), faces, settings(name))

    def test_the_registry_tells_its_capabilities(self, name: str) -> None:
        assert GENERATORS.entries()[name].capabilities == GENERATORS.get(name).capabilities
        assert GENERATORS.get(name).name == name

    def test_the_global_random_state_is_left_alone(self, name: str, faces: FaceDataset, settings: Settings) -> None:
        chosen = settings(name)
        before = torch.random.get_rng_state()
        fitted(name, faces, **chosen).sample(2)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_what_was_saved_needs_no_other_file(
        self, name: str, faces: FaceDataset, settings: Settings, tmp_path: Path
    ) -> None:
        chosen = settings(name)
        generator = fitted(name, faces, **chosen)
        generator.save(tmp_path / "saved")
        shutil.move(chosen["path"], tmp_path / "elsewhere")
        assert np.array_equal(pixels(load_generator(tmp_path / "saved").sample(3)), pixels(generator.sample(3)))

    def test_a_file_that_changed_since_is_refused(self, name: str, faces: FaceDataset, settings: Settings) -> None:
        chosen = settings(name)
        generator = create_generator(name, **chosen)
        change(Path(chosen["path"]))
        with pytest.raises(DataError, match="has changed: its SHA-256 is"):
            generator.fit(faces)
        assert create_generator(name, **chosen).config != generator.config

    def test_another_file_than_the_one_named_is_refused(
        self, name: str, faces: FaceDataset, settings: Settings
    ) -> None:
        with pytest.raises(DataError, match=r"has changed: .*, not 0123"):
            fitted(name, faces, **settings(name), sha256="0123")

    def test_a_place_where_nothing_is_is_told_at_once(self, name: str) -> None:
        with pytest.raises(DataError, match="no-such"):
            create_generator(name, path="no-such/thing", **({"latent": 8} if name == "torchscript" else {}))
        with pytest.raises(UsageError, match=f"Setting path of the {name} generator: Field required"):
            create_generator(name)

    def test_damaged_weights_are_refused(
        self, name: str, faces: FaceDataset, settings: Settings, tmp_path: Path
    ) -> None:
        fitted(name, faces, **settings(name)).save(tmp_path / "saved")
        weights = tmp_path / "saved" / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        with pytest.raises(DataError, match="cannot be read"):
            load_generator(tmp_path / "saved")

    def test_data_without_labels_do(self, name: str, faces: FaceDataset, settings: Settings) -> None:
        bare = FaceDataset.from_arrays(pixels(faces))
        assert fitted(name, bare, **settings(name)).sample(3).attributes.shape == (3, 0)

    def test_no_training_is_announced(
        self, name: str, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["train", "--generator", name, "--data", "toy:60", "--size", str(SIZE), "--out", str(tmp_path / "run")]
        for key, value in settings(name).items():
            words += ["--set", f"{key}={value}"]
        assert main(words) == 0
        assert "no training" in capsys.readouterr().out
        assert main(["sample", str(tmp_path / "run"), "-n", "5", "--out", str(tmp_path / "made")]) == 0
        assert len(list((tmp_path / "made").glob("*.png"))) == 5


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryNetwork:
    def test_long_runs_begin_with_the_faces_of_short_ones(
        self, name: str, faces: FaceDataset, settings: Settings
    ) -> None:
        generator = fitted(name, faces, **settings(name))
        long = pixels(generator.sample(CHUNK + 3, seed=2))
        assert np.array_equal(long[:7], pixels(generator.sample(7, seed=2)))
        assert len({face.tobytes() for face in long}) == CHUNK + 3

    def test_a_file_that_is_changed_inside_the_saved_folder_is_refused(
        self, name: str, faces: FaceDataset, settings: Settings, tmp_path: Path
    ) -> None:
        fitted(name, faces, **settings(name)).save(tmp_path / "saved")
        place = tmp_path / "saved" / "weights.safetensors"
        arrays = load_file(place)
        largest = max((key for key in arrays if "file" in key), key=lambda key: arrays[key].size)
        arrays[largest][-1] ^= 1
        save_file(arrays, place)
        with pytest.raises(DataError, match=r"What was kept of .* has changed"):
            load_generator(tmp_path / "saved")

    def test_a_file_that_is_cut_short_is_refused(self, name: str, faces: FaceDataset, settings: Settings) -> None:
        chosen = settings(name)
        path = Path(chosen["path"])
        largest = max(
            (file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size, default=path
        )
        largest.write_bytes(largest.read_bytes()[:-200])
        with pytest.raises(DataError, match=path.name):
            fitted(name, faces, **chosen)

    def test_faces_are_resized_and_it_is_said(
        self, name: str, faces: FaceDataset, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="augface"):
            made = fitted(name, faces, **settings(name)).sample(2)
        assert made.size == SIZE
        assert "makes faces of 16 pixels, which are resized to 32" in caplog.text
        small = fitted(name, load_toyfaces(20, 16), **settings(name)) if name != "diffusers" else None
        if small is not None:
            assert small.sample(2).size == 16


# TorchScript


class Marker:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_and_not_opened(zipped: bool, faces: FaceDataset, tmp_path: Path) -> None:
    path, marker = tmp_path / "model.pt", tmp_path / "marker"
    if zipped:
        torch.save({"network": Marker(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(DataError, match=r"pickle, which runs any program when it is opened\. Save the network by"):
        fitted("torchscript", faces, path=str(path), latent=LATENT)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04"])
def test_what_is_no_torchscript_is_refused(content: bytes, faces: FaceDataset, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"is no TorchScript.*Save the network by"):
        fitted("torchscript", faces, path=str(tmp_path / "model.pt"), latent=LATENT)


class Writing(Painter):
    """TorchScript can write files."""

    def forward(self, noise: Tensor) -> Tensor:
        torch.save(noise, "written.bin")
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


def test_a_program_that_touches_files_is_not_run(
    faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scripted(Writing(), tmp_path / "model.pt")
    with pytest.raises(DataError, match="it uses aten::save"):
        fitted("torchscript", faces, path="model.pt", latent=LATENT)
    assert not (tmp_path / "written.bin").exists()


class Grey(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise))[:, :256].view(-1, 1, 16, 16)


class Oblong(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise)).view(-1, 3, 8, 32)


class ChannelsLast(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise)).view(-1, 16, 16, 3)


class Single(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)[:1]


class NotNumbers(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        return torch.sqrt(self.layer(noise)).view(-1, 3, 16, 16)


class Huge(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        images: Tensor = 1000 * self.layer(noise).view(-1, 3, 16, 16)
        return images


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Grey, r"makes an array \(32, 1, 16, 16\); what is needed is \(32, 3, height, width\)"),
        (Oblong, r"\(32, 3, 8, 32\).*equal height and width"),
        (ChannelsLast, r"\(32, 16, 16, 3\)"),
        (Single, r"\(1, 3, 16, 16\).*setting batch"),
        (NotNumbers, r"pixels that are not numbers"),
        (Huge, r"far beyond -1\.\.1"),
    ],
)
def test_what_makes_no_faces_is_refused(network: type[Painter], said: str, faces: FaceDataset, tmp_path: Path) -> None:
    path = scripted(network(), tmp_path / "network.pt")
    with pytest.raises(DataError, match=said):
        fitted("torchscript", faces, path=str(path), latent=LATENT)


class Pair(nn.Module):
    def forward(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        return noise, noise


def test_an_output_that_is_no_array_is_refused(faces: FaceDataset, tmp_path: Path) -> None:
    path = scripted(Pair(), tmp_path / "network.pt")
    with pytest.raises(DataError, match="gives a tuple, not an array of images"):
        fitted("torchscript", faces, path=str(path), latent=LATENT)


def test_a_wrong_latent_is_told(faces: FaceDataset, tmp_path: Path) -> None:
    path = scripted(Painter(), tmp_path / "network.pt")
    with pytest.raises(UsageError, match=r"does not take inputs of the shape \(32, 9\): .*setting latent") as caught:
        fitted("torchscript", faces, path=str(path), latent=9)
    assert "\n" not in str(caught.value)
    for wrong in (0, "8,0", "many", ""):
        with pytest.raises(UsageError, match="Setting latent of the torchscript generator"):
            create_generator("torchscript", path=str(path), latent=wrong)
    with pytest.raises(UnknownNameError, match="Did you mean 'latent'"):
        create_generator("torchscript", path=str(path), latnet=8)


class Convolutional(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        assert noise.dim() == 4
        return torch.tanh(self.layer(noise[:, :, 0, 0])).view(-1, 3, 16, 16)


def test_noise_may_have_the_shape_of_an_image(faces: FaceDataset, tmp_path: Path) -> None:
    path = scripted(Convolutional(), tmp_path / "network.pt")
    assert fitted("torchscript", faces, path=str(path), latent="8,1,1").config.model_dump()["latent"] == (8, 1, 1)


class Scaled(Painter):
    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, noise: Tensor) -> Tensor:
        share = (torch.tanh(self.layer(noise)) + 1) / 2
        return (self.low + (self.high - self.low) * share).view(-1, 3, 16, 16)


@pytest.mark.parametrize(("low", "high", "found"), [(-1, 1, "-1..1"), (0, 1, "0..1"), (0, 255, "0..255")])
def test_the_range_of_the_output_is_found_and_said(
    low: float, high: float, found: str, faces: FaceDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(scripted(Scaled(low, high), tmp_path / "network.pt"))
    with caplog.at_level(logging.INFO, logger="augface"):
        generator = fitted("torchscript", faces, path=path, latent=LATENT)
    assert f"which is taken for {found}" in caplog.text
    reference = fitted("torchscript", faces, path=str(scripted(Painter(), tmp_path / "other.pt")), latent=LATENT)
    difference = pixels(generator.sample(4)).astype(int) - pixels(reference.sample(4))
    assert abs(difference).max() <= 1
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="augface"):
        declared = fitted("torchscript", faces, path=path, latent=LATENT, output_range=found)
    assert "taken for" not in caplog.text
    assert np.array_equal(pixels(declared.sample(4)), pixels(generator.sample(4)))


def test_a_declared_range_that_cannot_be_is_refused(faces: FaceDataset, tmp_path: Path) -> None:
    path = str(scripted(Painter(), tmp_path / "network.pt"))
    with pytest.raises(DataError, match=r"far beyond 0\.\.1"):
        fitted("torchscript", faces, path=path, latent=LATENT, output_range="0..1")
    with pytest.raises(UsageError, match="Setting output_range"):
        create_generator("torchscript", path=path, latent=LATENT, output_range="0..2")


class Own(Painter):
    """Draws noise of its own, as StyleGAN does."""

    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise) + torch.randn(noise.shape[0], 768)).view(-1, 3, 16, 16)


def test_a_network_that_draws_noise_of_its_own_follows_the_seed(faces: FaceDataset, tmp_path: Path) -> None:
    path = scripted(Own(), tmp_path / "network.pt")
    check_generator(GENERATORS.get("torchscript"), faces, {"path": str(path), "latent": LATENT})
    generator = fitted("torchscript", faces, path=str(path), latent=LATENT)
    made = pixels(generator.sample(4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        assert np.array_equal(pixels(generator.sample(4)), made)


class Told(nn.Module):
    """Red is the first attribute, green the second."""

    def forward(self, noise: Tensor, attributes: Tensor) -> Tensor:
        colours = torch.cat([attributes, torch.tanh(noise[:, :1])], dim=1)
        return colours[:, :, None, None].expand(-1, 3, 16, 16)


@pytest.mark.parametrize("absent", ["-1", "0"])
def test_attributes_are_given_in_the_order_of_the_network(absent: str, faces: FaceDataset, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "path": str(scripted(Told(), tmp_path / "network.pt")), "latent": LATENT, "attributes": ATTRIBUTES,
        "absent": absent, "output_range": "-1..1",
    }  # fmt: skip
    check_generator(GENERATORS.get("torchscript"), faces, settings)
    generator = fitted("torchscript", faces, **settings)
    asked = generator.sample(3, where={"Smiling": True, "Male": False})
    assert asked.attributes["Smiling"].all()
    assert not asked.attributes["Male"].any()
    assert asked.attributes.drop(columns=["Smiling", "Male"]).isna().all(axis=None), "the network was not told of these"
    assert (pixels(asked)[..., 0] == 255).all()
    assert (pixels(asked)[..., 1] == (0 if absent == "-1" else 128)).all()
    holes = FaceDataset.from_arrays(pixels(faces), faces.attributes.assign(Male=None))
    unknown = fitted("torchscript", holes, **settings).sample(3)
    assert (pixels(unknown)[..., 1] == (128 if absent == "-1" else 191)).all()


def test_what_the_network_does_not_take_cannot_be_asked_for(faces: FaceDataset, tmp_path: Path) -> None:
    path = str(scripted(Told(), tmp_path / "network.pt"))
    generator = fitted("torchscript", faces, path=path, latent=LATENT, attributes=ATTRIBUTES)
    with pytest.raises(UsageError, match="cannot be asked for Bangs, only for Male, Smiling"):
        generator.sample(1, where={"Bangs": True})
    with pytest.raises(UnknownNameError, match="Did you mean 'Bangs'"):
        generator.sample(1, where={"Bang": True})
    with pytest.raises(UnknownNameError, match=r"attribute named 'Simling'\. Did you mean 'Smiling'"):
        fitted("torchscript", faces, path=path, latent=LATENT, attributes="Simling,Male")
    with pytest.raises(UsageError, match=r"inputs of the shape \(32, 8\)"):
        fitted("torchscript", faces, path=path, latent=LATENT)


def test_rebalancing_asks_only_for_what_can_be_asked(faces: FaceDataset, tmp_path: Path) -> None:
    """The filters see to the rest."""
    path = str(scripted(Told(), tmp_path / "network.pt"))
    generator = fitted("torchscript", faces, path=path, latent=LATENT, attributes=ATTRIBUTES)
    made = draw_accepted(
        generator,
        cast(Filters, AllPass()),
        SubgroupPlan(Subgroup({"Smiling": True, "Bangs": False}), 1, 3),
        seed=0,
        max_draws=2,
    )
    assert made.count == 3


# ONNX


@needs("onnxruntime")
@needs("onnx")
class TestOnnx:
    def test_shapes_are_read_from_the_file(self, faces: FaceDataset, tmp_path: Path) -> None:
        fixed = fitted("onnx", faces, path=str(onnx_model(tmp_path / "fixed.onnx", [LATENT], batch=10)))
        assert fixed.config.model_dump() | {"batch": 10, "latent": (LATENT,)} == fixed.config.model_dump()
        free = fitted("onnx", faces, path=str(onnx_model(tmp_path / "free.onnx", [LATENT])), batch=10)
        assert np.array_equal(pixels(fixed.sample(23)), pixels(free.sample(23)))

    def test_a_latent_must_be_known_and_agree(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = str(onnx_model(tmp_path / "network.onnx", [LATENT]))
        with pytest.raises(UsageError, match=r"takes noise of the shape \(8,\), not \(9,\)"):
            fitted("onnx", faces, path=path, latent=9)
        open_model = str(onnx_model(tmp_path / "open.onnx", ["width"]))
        with pytest.raises(UsageError, match="does not give the shape of its noise"):
            fitted("onnx", faces, path=open_model)
        assert len(fitted("onnx", faces, path=open_model, latent=LATENT).sample(2)) == 2
        with pytest.raises(UsageError, match=r"does not take inputs of the shape \(32, 9\)"):
            fitted("onnx", faces, path=open_model, latent=9)

    def test_it_may_take_attributes(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = str(onnx_model(tmp_path / "network.onnx", [LATENT], conditions=2))
        check_generator(GENERATORS.get("onnx"), faces, {"path": path, "attributes": ATTRIBUTES})
        generator = fitted("onnx", faces, path=path, attributes=ATTRIBUTES)
        smiling, serious = (pixels(generator.sample(2, where={"Smiling": value})) for value in (True, False))
        assert not np.array_equal(smiling, serious)
        with pytest.raises(UsageError, match=r"takes 2 inputs \(noise, conditions\), not 1"):
            fitted("onnx", faces, path=path)

    def test_weights_in_another_file_are_refused(
        self, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import onnx

        monkeypatch.chdir(tmp_path)
        model = onnx.load(onnx_model(tmp_path / "whole.onnx", [LATENT]))
        onnx.save(model, "parts.onnx", save_as_external_data=True, location="weights.bin", size_threshold=1000)
        with pytest.raises(DataError, match="must be saved as one file"):
            fitted("onnx", faces, path="parts.onnx")

    def test_random_numbers_that_no_seed_reaches_are_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        import onnx

        model = onnx.load(onnx_model(tmp_path / "network.onnx", [LATENT]))
        (product,) = [node for node in model.graph.node if node.op_type == "MatMul"]
        product.input[0] = "other"
        model.graph.node.insert(0, onnx.helper.make_node("RandomNormalLike", ["noise"], ["other"]))
        onnx.save(model, tmp_path / "random.onnx")
        with pytest.raises(DataError, match="random numbers that no seed reaches"):
            fitted("onnx", faces, path=str(tmp_path / "random.onnx"))

    def test_what_is_no_onnx_is_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        (tmp_path / "network.onnx").write_bytes(b"nothing of the kind")
        with pytest.raises(DataError, match="cannot be opened as ONNX"):
            fitted("onnx", faces, path=str(tmp_path / "network.onnx"))


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("diffusers", "diffusers")])
def test_a_missing_package_is_told_with_what_to_do(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "model_index.json").write_text("{}")
    path = tmp_path if name == "diffusers" else tmp_path / "model_index.json"
    with pytest.raises(UsageError, match=rf"needs {package} .*pip install 'augface\[{name}\]'"):
        create_generator(name, path=str(path))


# diffusers


@needs("diffusers")
class TestDiffusers:
    def test_pipelines_that_draw_noise_in_every_step_follow_the_seed(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = pipeline(tmp_path / "ddpm", kind="DDPM")
        check_generator(GENERATORS.get("diffusers"), faces, {"path": str(path), "steps": 3, "batch": 4})

    def test_names_on_the_hub_are_refused(self) -> None:
        with pytest.raises(
            DataError, match=r"google/ddpm-celebahq-256 is no folder with a model_index\.json.*download"
        ):
            create_generator("diffusers", path="google/ddpm-celebahq-256")

    def test_weights_that_are_pickles_are_refused(self, tmp_path: Path) -> None:
        path = pipeline(tmp_path / "pipeline")
        (weights,) = (path / "unet").glob("*.safetensors")
        weights.rename(path / "unet" / "diffusion_pytorch_model.bin")
        with pytest.raises(DataError, match=r"unet are a pickle \(diffusion_pytorch_model\.bin\)"):
            create_generator("diffusers", path=str(path))

    def test_code_in_the_folder_is_not_run(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = pipeline(tmp_path / "pipeline")
        marker = tmp_path / "marker"
        for place in (path / "pipeline.py", path / "unet" / "mine.py"):
            place.write_text(f"from pathlib import Path; Path({str(marker)!r}).touch()")
        index = path / "model_index.json"
        content = json.loads(index.read_text())
        for wrong in ({"unet": ["mine", "Mine"]}, {"_class_name": ["pipeline", "Mine"]}):
            index.write_text(json.dumps(content | wrong))
            with pytest.raises(DataError, match="and not of diffusers itself"):
                fitted("diffusers", faces, path=str(path), steps=2)
        index.write_text(json.dumps(content))
        kept = fitted("diffusers", faces, path=str(path), steps=2)._arrays()
        assert {Path(name).suffix for name in kept if name.startswith("file.")} == {".json", ".safetensors"}
        assert not marker.exists()

    def test_pipelines_of_other_kinds_are_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = pipeline(tmp_path / "pipeline")
        index = path / "model_index.json"
        content = json.loads(index.read_text())
        for kind, said in (
            ("NoSuchPipeline", "there is no pipeline NoSuchPipeline"),
            ("UNet2DModel", "there is no pipeline UNet2DModel"),
            ("DiTPipeline", "cannot be opened as a pipeline"),
            ("LDMSuperResolutionPipeline", "LDMSuperResolutionPipeline takes images of another kind"),
            ("DanceDiffusionPipeline", "takes audio_length_in_s"),
        ):
            index.write_text(json.dumps(content | {"_class_name": kind}))
            with pytest.raises((DataError, UsageError), match=said):
                fitted("diffusers", faces, path=str(path))
        index.write_text("[")
        with pytest.raises(DataError, match="is not that of a pipeline"):
            fitted("diffusers", faces, path=str(path))

    def test_grey_images_are_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"\(1, 1, 16, 16\)"):
            fitted("diffusers", faces, path=str(pipeline(tmp_path / "grey", channels=1)), steps=1, batch=4)

    def test_more_steps_than_there_are_is_told(self, faces: FaceDataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="fails: "):
            fitted("diffusers", faces, path=str(pipeline(tmp_path / "pipeline")), steps=99)


# Images


class TestImages:
    def test_each_is_given_once_with_its_labels(
        self, faces: FaceDataset, made_elsewhere: FaceDataset, settings: Settings
    ) -> None:
        same_size = load_toyfaces(60, SIZE, seed=9)
        path = image_folder(Path(settings("images")["path"]).parent / "more", same_size, same_size.attributes)
        generator = fitted("images", faces, path=str(path))
        men = pixels(same_size)[same_size.matching({"Male": True})]
        assert generator.available({"Male": True}) == len(men)
        given = generator.sample(len(men), where={"Male": True}, seed=3)
        assert {face.tobytes() for face in pixels(given)} == {face.tobytes() for face in men}
        assert given.attributes["Male"].all()
        everything = generator.sample(60, seed=1)
        real = {face.tobytes(): row for row, face in enumerate(pixels(same_size))}
        rows = [real[face.tobytes()] for face in pixels(everything)]
        pd.testing.assert_frame_equal(
            everything.attributes, same_size.attributes.iloc[rows].reset_index(drop=True), check_dtype=False
        )

    def test_more_than_there_are_cannot_be_asked_for(self, faces: FaceDataset, settings: Settings) -> None:
        generator = fitted("images", faces, **settings("images"))
        assert generator.available() == 300
        assert len(generator.sample(300)) == 300
        with pytest.raises(UsageError, match=r"301 images are requested, but .*images holds 300, .* Ask for fewer"):
            generator.sample(301)
        with pytest.raises(UsageError, match="images with Male=1 are requested"):
            generator.sample(300, where={"Male": True})

    def test_labels_that_some_attributes_lack(self, faces: FaceDataset, settings: Settings) -> None:
        generator = fitted("images", faces, **settings("images"))
        assert generator.conditionable == {"Male", "Smiling"}
        with pytest.raises(UsageError, match="cannot be asked for Bangs"):
            generator.sample(1, where={"Bangs": True})
        with pytest.raises(UnknownNameError, match="Did you mean 'Bangs'"):
            generator.sample(1, where={"Bang": True})

    def test_without_labels_nothing_can_be_asked_for(self, faces: FaceDataset, tmp_path: Path) -> None:
        path = image_folder(tmp_path / "bare", faces)
        check_generator(GENERATORS.get("images"), faces, {"path": str(path)})
        with pytest.raises(UsageError, match="attributes cannot be requested"):
            fitted("images", faces, path=str(path)).sample(1, where={"Male": True})

    def test_class_folders_are_labels(
        self, faces: FaceDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        image_folder(tmp_path / "classes" / "Bangs", faces.select(slice(0, 20)))
        image_folder(tmp_path / "classes" / "none", faces.select(slice(20, 60)))
        generator = fitted("images", faces, path=str(tmp_path / "classes"))
        assert "the data have no attributes none" in caplog.text
        assert (generator.available({"Bangs": True}), generator.available({"Bangs": False})) == (20, 40)

    def test_a_broken_image_is_skipped_with_a_warning(
        self, faces: FaceDataset, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        chosen = settings("images")
        (Path(chosen["path"]) / "0007.png").write_bytes(b"\x89PNG and no more")
        generator = fitted("images", faces, **chosen)
        assert "1 of 300 images cannot be used and are skipped: 0007.png" in caplog.text
        assert generator.available() == 299

    def test_a_folder_without_images_is_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="holds no images"):
            fitted("images", faces, path=str(tmp_path / "empty"))

    def test_of_a_data_set_of_augface_the_made_faces_count(
        self, faces: FaceDataset, made_elsewhere: FaceDataset, tmp_path: Path
    ) -> None:
        real = dataclasses.replace(load_toyfaces(60, 24), split=np.array(["train"] * 60))
        made = made_elsewhere.select(slice(0, 25))
        known = pd.DataFrame({"seed": 0, "number": np.arange(25)})
        write_dataset(
            tmp_path / "dataset", real, dataclasses.replace(made, factors=known), target=["Male"], generator="x",
            generator_hash="y", seed=0,
        )  # fmt: skip
        generator = fitted("images", faces, path=str(tmp_path / "dataset" / "celeba"))
        assert generator.available() == 25


class AllPass:
    """Filters that let everything through."""

    def check(self, faces: FaceDataset, where: Any, *, copies_allowed: bool) -> Any:
        every = np.ones(len(faces), dtype=np.bool_)
        return dataclasses.make_dataclass(
            "Passed", ["all", "attribute", "copy", "plausible", "nearest", "probabilities"]
        )(every, every, every, every, np.zeros(len(faces), dtype=np.int64), {})


@pytest.mark.parametrize("labelled", [True, False])
def test_making_stops_where_the_images_end(
    labelled: bool, faces: FaceDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = image_folder(tmp_path / "images", faces, faces.attributes if labelled else None)
    generator = fitted("images", faces, path=str(path))
    there = int(faces.attributes["Bangs"].sum()) if labelled else len(faces)
    made = draw_accepted(
        generator, cast(Filters, AllPass()), SubgroupPlan(Subgroup({"Bangs": True}), 1, 100), seed=0, max_draws=10
    )
    assert made.count == made.drawn == there
    assert (
        f"{there} of 100 wanted faces passed the filters in {there} draws, and there are no more to draw" in caplog.text
    )
    assert made.faces is not None
    assert len({face.tobytes() for face in pixels(made.faces)}) == there


# From end to end


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = AttributeClassifier.train

    def learn_little(*data: Any, **options: Any) -> AttributeClassifier:
        return learn(*data, **{**options, "images": 1280})

    monkeypatch.setattr(AttributeClassifier, "train", learn_little)
    monkeypatch.setattr(rebalancing, "EVALUATORS", ())
    monkeypatch.setattr("augface.evaluators.base.create_feature_space", lambda name="": PixelSpace())


@pytest.mark.usefixtures("quick")
class TestRebalancing:
    @pytest.fixture
    def words(self, tmp_path: Path) -> list[str]:
        made = load_toyfaces(400, SIZE, seed=9)
        path = image_folder(tmp_path / "images", made, made.attributes[["Bangs", "Male"]])
        words = f"rebalance --attr Bangs --data toy:400 --size {SIZE} --downstream off --generator images --set"
        return [*words.split(), f"path={path}", "--out", str(tmp_path / "run")]

    def test_images_become_a_data_set_and_the_command_makes_it_again(self, words: list[str], tmp_path: Path) -> None:
        assert main(words) == 0
        table = pd.read_parquet(tmp_path / "run" / "dataset" / "celeba" / "metadata.parquet")
        made = table[table["source"] == "synthetic"]
        assert 0 < len(made) <= load_toyfaces(400, SIZE, seed=9).attributes["Bangs"].sum()
        assert made["Bangs"].all()
        command = augface.Evaluation.from_json(tmp_path / "run" / "results.json").provenance["command"]
        assert f"--generator images --set path={tmp_path / 'images'} --set sha256=" in command
        assert main([*shlex.split(command)[1:], "--out", str(tmp_path / "again")]) == 0
        again = pd.read_parquet(tmp_path / "again" / "dataset" / "celeba" / "metadata.parquet")
        pd.testing.assert_frame_equal(table, again)
        assert (
            main(["sample", str(tmp_path / "run"), "-n", "4", "--where", "Bangs=1", "--out", str(tmp_path / "a")]) == 0
        )
        labels = pd.read_csv(tmp_path / "a" / "metadata.csv")
        assert (labels["Bangs"] == 1).all()

    def test_a_changed_folder_is_not_gone_on_with(
        self, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(rebalancing, "describe_dataset", None)
            assert main(words) == 1
        change(tmp_path / "images")
        assert main([*words, "--resume"]) == 2
        assert "generator.sha256 changed since" in capsys.readouterr().err
        first = tmp_path / "images" / "0000.png"
        first.write_bytes(first.read_bytes()[:-1])  # as it was
        assert main([*words, "--resume"]) == 0

    def test_a_network_is_called_as_it_was_given(self, tmp_path: Path) -> None:
        """The range of its output is found while fitting, and is no part of the command."""
        path = scripted(Painter(), tmp_path / "network.pt")
        run = tmp_path / "run"
        rebalance = f"rebalance --attr Bangs --data toy:400 --size {SIZE} --downstream off --generator torchscript"
        words = [*rebalance.split(), "--set", f"path={path}", "--set", "latent=8", "--out", str(run)]
        assert main(words) == 0
        assert load_generator(run / "generator").config.model_dump()["output_range"] == "-1..1"
        results = (run / "results.json").read_bytes()
        command = augface.Evaluation.from_json(run / "results.json").provenance["command"]
        digest = sha256_of_file(path)
        assert command.endswith(f"--generator torchscript --set path={path} --set sha256={digest} --set latent=8")
        assert main([*words, "--resume"]) == 0
        assert (run / "results.json").read_bytes() == results

    def test_settings_are_checked_before_the_data_are_read(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*words, "--set", "paht=x"]) == 2
        assert "Did you mean 'path'" in capsys.readouterr().err


def test_a_generator_with_settings_of_its_own_takes_no_others(faces: FaceDataset, tmp_path: Path) -> None:
    generator = create_generator("resample")
    with pytest.raises(UsageError, match="has its own already"):
        generator_for(generator, [], {"balance": "Male"})


def test_settings_in_lists_may_be_texts() -> None:
    for value in ("Male, Young", ["Male", "Young"]):
        assert create_generator("cgan", balance=value).config.model_dump()["balance"] == ("Male", "Young")
    assert create_generator("cgan", balance="Male").config.model_dump()["balance"] == ("Male",)


def test_the_sha256_of_one_file_is_its_own(tmp_path: Path) -> None:
    path = scripted(Painter(), tmp_path / "network.pt")
    config = create_generator("torchscript", path=str(path), latent=LATENT).config.model_dump()
    assert config["sha256"] == sha256_of_file(path)
