"""Generators and networks of people whom nobody knows: no name in them is a path, nothing in them runs unchecked."""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import AugfaceError, DataError
from augface.generators import create_generator, load_generator
from augface.generators._external import combined_sha256
from augface.generators._torchscript import OPERATORS, repacked
from augface.onnx_files import names_other_files

SIZE, LATENT = 16, 8
needs_onnx = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="onnx is not installed"
)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(40, SIZE)


def written_by_others(folder: Path, files: dict[str, bytes], *, name: str = "diffusers", **config: Any) -> Path:
    """A saved generator that holds these files, with the SHA-256 that fits them."""
    import hashlib

    folder.mkdir(parents=True)
    sha256 = combined_sha256({member: hashlib.sha256(content).hexdigest() for member, content in files.items()})
    arrays: dict[str, np.ndarray[Any, Any]] = {"labels": np.zeros((10, 1), np.int8), "model.size": np.array([SIZE])}
    arrays |= {f"model.file.{member}": np.frombuffer(content, np.uint8) for member, content in files.items()}
    save_file(arrays, folder / "weights.safetensors")
    header = {"name": name, "config": {"path": "x", "sha256": sha256, "batch": 4, **config}, "attributes": ["A"]}
    (folder / "config.json").write_text(json.dumps(header))
    return folder


# Names of members


@pytest.fixture
def diffusers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, bytes]]:
    """A stand-in for the package; the list gets the files that it was given to open, by their names."""
    given: list[dict[str, bytes]] = []

    class DiffusionPipeline:
        @classmethod
        def from_pretrained(cls, folder: str, **_: Any) -> None:
            files = (path for path in Path(folder).rglob("*") if path.is_file())
            given.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
            raise ValueError("stand-in")

    class DDPMPipeline(DiffusionPipeline):
        def __call__(self, batch_size: int = 1, generator: Any = None, output_type: str = "pil") -> None: ...

    module: Any = ModuleType("diffusers")
    module.__version__, module.DiffusionPipeline, module.DDPMPipeline = "0", DiffusionPipeline, DDPMPipeline
    module.pipelines = SimpleNamespace()
    module.utils = SimpleNamespace(
        logging=SimpleNamespace(
            get_verbosity=lambda: 0,
            set_verbosity=lambda level: None,
            set_verbosity_error=lambda: None,
            is_progress_bar_enabled=lambda: False,
            disable_progress_bar=lambda: None,
            enable_progress_bar=lambda: None,
        )
    )
    monkeypatch.setitem(sys.modules, "diffusers", module)
    return given


INDEX = {"model_index.json": b'{"_class_name": "DDPMPipeline"}'}


def test_files_of_a_pipeline_are_written_to_its_own_folder(diffusers: list[dict[str, bytes]], tmp_path: Path) -> None:
    files = INDEX | {"unet/config.json": b"{}", "unet/a.safetensors": b"1"}
    with pytest.raises(DataError, match="stand-in"):
        load_generator(written_by_others(tmp_path / "saved", files))
    assert diffusers == [files]


@pytest.mark.parametrize(
    "name",
    [
        "{outside}/marker.json",
        "../marker.json",
        "unet/../../marker.json",
        "..\\marker.json",
        "C:marker.json",
        "unet/a/marker.json",
        "marker.json",
        ".hidden/marker.json",
        "unet/.marker.json",
        "unet/marker.py",
        "unet/marker.json\0",
        "",
    ],
)
def test_names_that_are_no_place_in_a_pipeline_are_refused(
    name: str, diffusers: list[dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = written_by_others(tmp_path / "saved", INDEX | {name.format(outside=tmp_path): b"a stranger's"})
    assert main(["sample", str(saved), "-n", "4", "--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert diffusers == []
    assert not list(tmp_path.rglob("*marker*"))


@pytest.mark.parametrize("shards", ['{"a": "../../secret.safetensors"}', '{"a": 1}', "[]", "null"])
def test_weights_are_spread_over_files_of_the_pipeline_alone(
    shards: str, diffusers: list[dict[str, bytes]], tmp_path: Path
) -> None:
    index = {"unet/w.safetensors.index.json": f'{{"weight_map": {shards}}}'.encode()}
    with pytest.raises(DataError, match="names files that are not there"):
        load_generator(written_by_others(tmp_path / "saved", INDEX | index))
    good = {"unet/w.safetensors.index.json": b'{"weight_map": {"a": "w-1.safetensors"}}', "unet/w-1.safetensors": b""}
    with pytest.raises(DataError, match="stand-in"):
        load_generator(written_by_others(tmp_path / "good", INDEX | good))


@pytest.mark.parametrize("index", [b'{"unet": []}', b"[" * 100_000, b"\xff", b"3"])
def test_an_index_that_is_none_is_refused(index: bytes, diffusers: list[dict[str, bytes]], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model_index\.json|of nothing"):
        load_generator(written_by_others(tmp_path / "saved", {"model_index.json": index}))


def test_links_out_of_a_pipeline_are_not_followed(diffusers: list[dict[str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("secret")
    for place in (tmp_path / "pipeline", tmp_path / "hub" / "snapshots" / "123"):
        (place / "unet").mkdir(parents=True)
        (place / "model_index.json").write_bytes(INDEX["model_index.json"])
        (place / "unet" / "config.json").symlink_to(tmp_path / "secret.json")
        with pytest.raises(DataError, match="is a link that leads out of"):
            create_generator("diffusers", path=str(place))
    blob = tmp_path / "hub" / "blobs" / "456"
    blob.parent.mkdir()
    blob.write_text("{}")
    (place / "unet" / "config.json").unlink()
    (place / "unet" / "config.json").symlink_to(Path("../../../blobs/456"))
    assert create_generator("diffusers", path=str(place)).config.sha256  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["torchscript", "images"])
def test_what_a_saved_generator_calls_its_path_is_not_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a SHA-256 it would be computed from whatever lies there: a device, or everything below `/`."""
    monkeypatch.setattr("augface.generators._external.sha256_of_file", None)
    for missing in ("", "0123"):
        more = {"latent": [LATENT]} if name == "torchscript" else {}
        saved = written_by_others(tmp_path / f"saved{missing}", {"a": b"1"}, name=name, **more)
        header = json.loads((saved / "config.json").read_text())
        if name == "images":
            del header["config"]["batch"]
        header["config"] |= {"sha256": missing, "path": str(tmp_path)}
        (saved / "config.json").write_text(json.dumps(header))
        with pytest.raises(AugfaceError, match="Setting sha256"):
            load_generator(saved)


# Saved generators that are damaged on purpose


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": np.zeros((39, SIZE, SIZE, 3), np.uint8)}, "its images are"),
        ({"images": np.zeros((40, SIZE, SIZE + 1, 3), np.uint8)}, "its images are"),
        ({"images": np.zeros((40, SIZE, SIZE, 3), np.float32)}, "its images are"),
        ({"images": np.full((40, 2), np.nan, np.float32)}, "NaN or infinity"),
        ({"labels": np.full((40, 40), 7, np.int8)}, "cannot be read"),
        ({"labels": np.zeros(40, np.int8)}, "cannot be read"),
    ],
)
def test_arrays_that_cannot_be_are_refused(
    change: dict[str, Any], said: str, faces: FaceDataset, tmp_path: Path
) -> None:
    generator = create_generator("resample")
    generator.fit(faces)
    generator.save(tmp_path / "saved")
    arrays = load_file(tmp_path / "saved" / "weights.safetensors")
    arrays |= {("labels" if key == "labels" else f"model.{key}"): array for key, array in change.items()}
    save_file(arrays, tmp_path / "saved" / "weights.safetensors")
    with pytest.raises(DataError, match=said):
        load_generator(tmp_path / "saved")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"name": "resample", "config": {}, "attributes": ["A", "A"]}', '{"a": 1e999}', "\xff"]
)
def test_headers_that_cannot_be_are_refused(text: str, faces: FaceDataset, tmp_path: Path) -> None:
    generator = create_generator("resample")
    generator.fit(faces)
    generator.save(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"config\.json"):
        load_generator(tmp_path / "saved")


def test_no_saved_generator_takes_all_memory(tmp_path: Path) -> None:
    config = {"latent": 10**12, "channels": 10**9}
    (tmp_path / "config.json").write_text(json.dumps({"name": "cgan", "config": config, "attributes": []}))
    save_file({"labels": np.zeros((1, 0), np.int8)}, tmp_path / "weights.safetensors")
    with pytest.raises(AugfaceError, match="Setting"):
        load_generator(tmp_path)


# TorchScript


class Painter(nn.Module):
    """Noise to square colour images in -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(LATENT, 3 * SIZE * SIZE)

    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


class Printing(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        print("from the network")
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


class Warning_(Painter):
    def forward(self, noise: Tensor) -> Tensor:
        warnings.warn("from the network", stacklevel=1)
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


class Inner(nn.Module):
    def forward(self, noise: Tensor) -> Tensor:
        torch.save(noise, "marker")
        return noise


class Outer(Painter):
    """What its part does counts as well."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, noise: Tensor) -> Tensor:
        if noise.sum() > 1e30:
            noise = self.inner(noise)
        return torch.tanh(self.layer(noise)).view(-1, 3, 16, 16)


class Upsampling(nn.Module):
    """The layers of common decoders, which must be let run."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (LATENT, 1, 1)),
            nn.ConvTranspose2d(LATENT, 8, 4),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.GroupNorm(2, 8),
            nn.SiLU(),
            nn.Conv2d(8, 12, 3, padding=1, padding_mode="reflect"),
            nn.PixelShuffle(2),
            nn.InstanceNorm2d(3),
            nn.Dropout(),
            nn.Tanh(),
        )
        self.attention = nn.MultiheadAttention(LATENT, 2, batch_first=True)

    def forward(self, noise: Tensor) -> Tensor:
        mixed, _ = self.attention(noise[:, None], noise[:, None], noise[:, None])
        images: Tensor = self.layers(torch.nn.functional.normalize(mixed[:, 0] + torch.randn_like(noise)))
        return images


def saved(network: nn.Module, *, traced: bool = False) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.eval()
        script = torch.jit.trace(network, torch.zeros(2, LATENT)) if traced else torch.jit.script(network)  # type: ignore[no-untyped-call]
        torch.jit.save(script, buffer)
    return buffer.getvalue()


def with_code(content: bytes, change: Callable[[str], str]) -> bytes:
    """The archive with the code of its outermost class changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as changed:
        for info in archive.infolist():
            text = archive.read(info)
            if info.filename.endswith("/code/__torch__/test_untrusted.py"):
                before = text.decode()
                text = change(before).encode()
                assert text.decode() != before
            changed.writestr(info.filename, text)
    return out.getvalue()


def fit_network(content: bytes, faces: FaceDataset, folder: Path) -> Any:
    (folder / "network.pt").write_bytes(content)
    generator = create_generator("torchscript", path=str(folder / "network.pt"), latent=LATENT)
    generator.fit(faces)
    return generator


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("network", [Painter, Upsampling])
def test_common_networks_are_let_run(
    network: type[nn.Module], traced: bool, faces: FaceDataset, tmp_path: Path
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        content = saved(network(), traced=traced and network is Painter)
    assert fit_network(content, faces, tmp_path).sample(3).size == SIZE


@pytest.mark.parametrize(("network", "operator"), [(Printing, "prim::Print"), (Outer, "aten::save")])
def test_what_does_more_than_compute_is_refused_and_not_run(
    network: type[nn.Module],
    operator: str,
    faces: FaceDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"does more than compute images: it uses {operator}"):
        fit_network(saved(network()), faces, tmp_path)
    assert not (tmp_path / "marker").exists()
    assert "network" not in "".join(capfd.readouterr())


def test_what_a_network_warns_of_is_not_shown(
    faces: FaceDataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_network(saved(Warning_()), faces, tmp_path).sample(2)
    assert "from the network" not in "".join(capfd.readouterr())


SAVE = 'torch.save(1, "marker")'
WHEN_OPENED = {
    "a default value": lambda code: (
        f"def f(x: int) -> int:\n  {SAVE}\n  return 1\n"
        + code.replace("noise: Tensor)", "noise: Tensor,\n    more: int=__torch__.test_untrusted.f(1))", 1)
    ),
    "a default value that maps a file": lambda code: code.replace(
        "noise: Tensor)", 'noise: Tensor,\n    more: Tensor=torch.from_file("marker", True, 4))', 1
    ),
    "a constant": lambda code: code.replace(
        "  training : bool", '  training : bool\n  k : Final[Tensor] = torch.from_file("marker", True, 4)', 1
    ),
    "a state": lambda code: (
        code
        + "  def __setstate__(self: __torch__.test_untrusted.Painter,\n    x: Dict[str, bool]) -> NoneType:\n"
        + f"    {SAVE}\n    return None\n"
        + "  def __getstate__(self: __torch__.test_untrusted.Painter) -> Dict[str, bool]:\n    return {}\n"
    ),
    "a class of torch": lambda code: code.replace(
        "  training : bool", "  training : bool\n  k : __torch__.torch.classes.quantized.Conv2dPackedParamsBase", 1
    ),
    "what no parser understands": lambda code: code + "\n  (((",
    "what looks like something else": lambda code: code + "\n#\x0c",
}


@pytest.mark.parametrize("way", WHEN_OPENED)
def test_what_would_run_while_a_file_is_opened_is_refused(
    way: str, faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"runs a program when it is opened|cannot be understood"):
        fit_network(with_code(saved(Painter()), WHEN_OPENED[way]), faces, tmp_path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("way", ["a default value", "a constant", "a state"])
def test_these_ways_do_run_where_nothing_is_checked(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would guard against nothing."""
    monkeypatch.chdir(tmp_path)
    content = with_code(saved(Painter()), WHEN_OPENED[way])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]
        except RuntimeError:
            assert way == "a state"  # it is run, and then it is found that it leaves an attribute out
    assert (tmp_path / "marker").exists()


def test_only_what_was_checked_is_opened(tmp_path: Path) -> None:
    content = saved(Painter())
    with zipfile.ZipFile(io.BytesIO(content), "a") as archive:
        before = {info.filename for info in archive.infolist()}
    with zipfile.ZipFile(io.BytesIO(repacked("x", content))) as archive:
        after = {info.filename for info in archive.infolist()}
    root = next(iter(before)).partition("/")[0]
    assert after < {name.replace(root, "archive", 1) for name in before}
    assert not [name for name in after if name.endswith("debug_pkl")]


def test_a_file_that_is_something_else_with_a_harmless_zip_behind_it_is_refused(
    faces: FaceDataset, tmp_path: Path
) -> None:
    harmless = saved(Painter())
    for before in (b"PTMFPTMF" * 8, b"\x08\0\0\0PTMF", b"PK\x03\x04PTMF" + bytes(100)):
        with pytest.raises(DataError, match="does not begin as a zip"):
            fit_network(before + harmless, faces, tmp_path)


def test_an_archive_that_unpacks_to_much_or_holds_things_twice_is_refused(tmp_path: Path) -> None:
    for said, names, compression in (
        ("unpacks to more than", ["m/code/a.py"], zipfile.ZIP_DEFLATED),
        ("twice", ["m/code/a.py", "m/code/a.py"], zipfile.ZIP_STORED),
    ):
        buffer = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
            warnings.simplefilter("ignore")
            for name in names:
                archive.writestr(name, bytes(65_000_000) if compression else b"")
        with pytest.raises(DataError, match=said):
            repacked("x", buffer.getvalue())


def test_no_operator_that_is_let_run_takes_the_name_of_a_file() -> None:
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name in OPERATORS]
    assert len({schema.name for schema in schemas}) > 400
    arguments = {argument.name for schema in schemas for argument in schema.arguments}
    assert not {name for name in arguments if "file" in name or "url" in name}
    assert [schema.name for schema in schemas for argument in schema.arguments if argument.name == "path"] == [
        "aten::einsum"  # whose path is the order of its products
    ]
    for harmful in ("aten::save", "aten::from_file", "aten::load", "prim::Print", "prim::PythonOp", "prim::CallMethod"):
        assert harmful not in OPERATORS


# ONNX


@needs_onnx
class TestOnnx:
    @pytest.mark.parametrize("place", ["initializer", "constant", "sparse", "branch", "function"])
    @pytest.mark.parametrize("said", [True, False], ids=["said", "unsaid"])
    def test_tensors_in_other_files_are_found_wherever_they_stand(self, place: str, said: bool) -> None:
        from onnx import GraphProto, TensorProto, helper

        tensor = TensorProto(name="w", dims=[8], data_type=TensorProto.FLOAT)
        if said:
            tensor.data_location = TensorProto.EXTERNAL
        else:
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "/etc/passwd"
        nodes, initializers, functions = [], [], []
        graph = GraphProto(name="inner")
        if place == "initializer":
            initializers = [tensor]
        elif place == "constant":
            nodes = [helper.make_node("Constant", [], ["w"], value=tensor)]
        elif place == "sparse":
            nodes = [
                helper.make_node("Constant", [], ["w"], sparse_value=helper.make_sparse_tensor(tensor, tensor, [8]))
            ]
        elif place == "branch":
            graph.initializer.append(tensor)
            nodes = [helper.make_node("If", ["x"], ["w"], then_branch=graph, else_branch=graph)]
        else:
            body = [helper.make_node("Constant", [], ["w"], value=tensor)]
            functions = [helper.make_function("d", "F", [], ["w"], body, [helper.make_opsetid("", 17)])]
        model = helper.make_model(helper.make_graph(nodes, "g", [], [], initializers), functions=functions)
        content = model.SerializeToString()
        assert names_other_files(content)
        tensor_bytes = tensor.SerializeToString()
        assert tensor_bytes in content
        plain = TensorProto(name="w", dims=[8], data_type=TensorProto.FLOAT, raw_data=bytes(len(tensor_bytes)))
        assert not names_other_files(helper.make_model(helper.make_graph([], "g", [], [], [plain])).SerializeToString())

    def test_a_model_that_keeps_its_weights_elsewhere_is_refused(self, faces: FaceDataset, tmp_path: Path) -> None:
        from onnx import TensorProto, helper

        tensor = TensorProto(name="w", dims=[8], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
        (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(DataError, match=r"keeps its weights in other files.*must be saved as one file"):
            create_generator("onnx", path=str(tmp_path / "model.onnx")).fit(faces)

    @pytest.mark.parametrize(
        "content",
        [b"", b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x80" * 20, b"\x38\x01", b"\x08\0\0\0ORTM" + bytes(100), b"\x3d"],
    )
    def test_bytes_that_are_no_model_are_refused(self, content: bytes, faces: FaceDataset, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(DataError, match="cannot be opened as ONNX"):
            create_generator("onnx", path=str(tmp_path / "model.onnx")).fit(faces)

    def test_messages_in_messages_do_not_end_the_program(self) -> None:
        graph = b""
        for _ in range(3000):
            graph = _field(1, _field(5, _field(6, graph)))  # a graph is in an attribute of a node of a graph
        with pytest.raises(ValueError, match="nested too deeply"):
            names_other_files(_field(7, graph))


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes."""
    length = len(content)
    encoded = bytearray()
    while True:
        encoded.append((length & 0x7F) | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + bytes(encoded) + content
