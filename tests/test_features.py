"""Feature spaces: the same numbers as the peers', whatever computes them, from weights that were checked."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from inception_standin import StandIn, make_standin, standin_in_use
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

import augface
from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, concatenate
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.features import create_feature_space, efficientnet, inception, network, weights_status
from augface.features.base import Features, FeatureSpace
from augface.features.efficientnet import EfficientNetSpace
from augface.features.extraction import features_of
from augface.features.inception import InceptionSpace
from augface.features.pixels import PixelSpace
from augface.features.timm_spaces import ClipSpace, DinoSpace, LargeClipSpace, TimmSpace
from augface.features.weights import Weights, WeightsFile, download, find, locate, read_weights, status
from augface.metrics.frechet import TooFewRowsWarning

SIZE = 32
OFFICIAL = inception.InceptionSpace.weights_file


def pixels(faces: FaceDataset) -> Pixels:
    return np.asarray(faces.images)


def noise(*shape: int) -> Pixels:
    """Smooth at first and rough on top, so that every frequency is there."""
    random = np.random.default_rng(sum(shape))
    waves = np.cumsum(random.normal(0, 6, shape), axis=1) + random.normal(128, 30, shape)
    return np.asarray(waves.clip(0, 255), dtype=np.uint8)


def error(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """The largest relative distance of a row."""
    distances = np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    return float(distances.max())


def clean_fid(name: str) -> Any:
    """A module of clean-fid, whose imports and calls warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(f"cleanfid.{name}")


@pytest.fixture(autouse=True)
def nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's weights nor the network; local servers without a proxy."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("AUGFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUGFACE_OFFLINE", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def few() -> FaceDataset:
    return load_toyfaces(40, SIZE, seed=3)


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with standin_in_use(make_standin(tmp_path_factory.mktemp("inception"))) as made:
        yield made


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Of several shapes, smaller and larger than what the networks take."""
    shapes = [(218, 178, 3), (109, 89, 3), (299, 299, 3), (64, 64, 3), (400, 333, 3)]
    return [noise(*shape) for shape in shapes]


@pytest.fixture(scope="module")
def inception_features(standin: StandIn, pictures: list[Pixels]) -> Features:
    space = create_feature_space("inception")
    return space.extract_prepared([space.prepare(picture) for picture in pictures])


class NarrowInception(InceptionSpace):
    """The first features of Inception: clean-fid's matrix square root of all takes minutes."""

    dimension: ClassVar[int] = 4

    def forward(self, prepared: npt.NDArray[np.float32]) -> Features:
        return super().forward(prepared)[:, : self.dimension]


class TestInception:
    def test_what_the_network_is_shown_is_what_clean_fid_shows_it(
        self, standin: StandIn, pictures: list[Pixels]
    ) -> None:
        resize = clean_fid("resize").make_resizer("PIL", False, "bicubic", (299, 299))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its use of Pillow is deprecated
            wanted = [(resize(picture).transpose(2, 0, 1) - 128) / 128 for picture in pictures]
        space = InceptionSpace()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(space.prepare, pictures))
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours.dtype == np.float32
            assert np.array_equal(ours, theirs)

    def test_features_are_those_of_clean_fid(
        self, standin: StandIn, pictures: list[Pixels], inception_features: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = clean_fid("inception_pytorch")
        state = read_weights(standin.path)
        monkeypatch.setattr(module, "load_state_dict_from_url", lambda *_, **__: state)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            peer = module.InceptionV3([3], resize_input=False, normalize_input=False).eval()
            resize = clean_fid("resize").make_resizer("PIL", False, "bicubic", (299, 299))
            shown = torch.from_numpy(np.stack([resize(picture) for picture in pictures])).permute(0, 3, 1, 2)
            wanted = peer((shown - 128) / 128)[0].flatten(1).numpy()
        assert inception_features.shape == wanted.shape
        assert error(inception_features, wanted) < 1e-5
        # the pictures differ by far more than that, so that the comparison can fail
        assert error(np.roll(wanted, 1, axis=0), wanted) > 1e-2

    def test_fid_of_folders_is_that_of_clean_fid(
        self, standin: StandIn, few: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fid = clean_fid("fid")
        folders = [str(tmp_path / name) for name in ("real", "synthetic")]
        for folder, images in zip(folders, (pixels(few)[:7], pixels(few)[7:13]), strict=True):
            os.mkdir(folder)
            for number, image in enumerate(images):
                Image.fromarray(image).save(f"{folder}/{number}.jpg", quality=60)
        for module in ("augface.evaluation.measures", "augface.evaluators.base"):
            monkeypatch.setattr(f"{module}.create_feature_space", lambda name: NarrowInception())
        peer = inception.inception_network().eval()
        peer.load_state_dict(read_weights(standin.path))
        peer.fc = torch.nn.Identity()
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # it calls what SciPy has deprecated
            wanted = fid.compute_fid(
                *folders,
                mode="clean",
                custom_feat_extractor=lambda batch: peer((batch - 128) / 128)[:, : NarrowInception.dimension],
                num_workers=0,
                device=torch.device("cpu"),
                verbose=False,
            )
        with pytest.warns(TooFewRowsWarning):
            assert augface.fid(*folders) == pytest.approx(wanted, rel=1e-3)
        assert wanted > 1e-4

    def test_features_and_classes_are_those_of_torch_fidelity(self, standin: StandIn) -> None:
        pytest.importorskip("torch_fidelity")
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        images = noise(3, 299, 299, 3)  # at the network's own size its resizing changes nothing
        peer = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(standin.path)
        )
        with torch.inference_mode():
            wanted, logits = peer(torch.from_numpy(images).permute(0, 3, 1, 2))
        space = InceptionSpace()
        features = space.extract(images)
        assert error(features, wanted.numpy()) < 1e-5
        probabilities = space.class_probabilities(features)
        assert probabilities.dtype == np.float64
        assert probabilities.shape == (3, 1008)
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-12)
        assert np.allclose(probabilities, logits.double().softmax(dim=1).numpy(), rtol=1e-4)

    def test_openvino_and_torch_agree(
        self,
        standin: StandIn,
        pictures: list[Pixels],
        inception_features: Features,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pytest.importorskip("openvino")
        monkeypatch.setattr(network, "find_spec", lambda name: None)
        space = InceptionSpace()
        by_torch = inception._network.__wrapped__(space.weights)
        shown = np.zeros((space.batch, 3, 299, 299), dtype=np.float32)
        shown[: len(pictures)] = [space.prepare(picture) for picture in pictures]
        features = by_torch(shown)
        assert error(features[: len(pictures)], inception_features) < 1e-5
        assert np.array_equal(by_torch(shown[::-1].copy())[::-1], features)

    def test_a_row_is_that_of_its_image_alone(
        self, standin: StandIn, pictures: list[Pixels], inception_features: Features
    ) -> None:
        space = InceptionSpace()
        for rows in ([3], [4, 1, 0, 2, 3]):
            alone = space.extract_prepared([space.prepare(pictures[row]) for row in rows])
            assert np.array_equal(alone, inception_features[rows])

    def test_other_weights_never_pass_for_the_official_ones(
        self, standin: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        protocol = InceptionSpace().protocol
        assert (protocol["weights"], protocol["weights_sha256"]) == ("unofficial", standin.sha256)
        monkeypatch.delenv("AUGFACE_INCEPTION_SHA256")
        with pytest.raises(DataError) as caught:
            InceptionSpace()
        for said in (str(standin.path), standin.sha256, str(OFFICIAL.sha256), "AUGFACE_INCEPTION_SHA256"):
            assert said in str(caught.value)
        assert not weights_status("inception")[0]

    def test_the_official_file_passes_for_what_it_is(self, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inception.InceptionSpace, "weights_file", replace(OFFICIAL, sha256=standin.sha256))
        assert InceptionSpace().protocol["weights"] == "official"
        assert OFFICIAL.sha256 is not None
        assert all(OFFICIAL.sha256[:8] in name for name in (OFFICIAL.name, str(OFFICIAL.url), *OFFICIAL.torch_names))

    def test_weights_of_another_network_are_refused(self, standin: StandIn, tmp_path: Path) -> None:
        state = read_weights(standin.path)
        path = tmp_path / "weights.pth"
        torch.save(state | {"AuxLogits.fc.bias": torch.zeros(3)}, path)  # of the training only: no harm
        inception._network.__wrapped__(Weights(path, "", official=False))
        for changed in ({**state, "more": torch.zeros(1)}, {k: v for k, v in state.items() if k != "fc.bias"}):
            torch.save(changed, path)
            with pytest.raises(DataError, match="another network"):
                inception._network.__wrapped__(Weights(path, "", official=False))


class TestWeights:
    content: ClassVar[bytes] = b"weights" * 1000
    file: ClassVar[WeightsFile] = WeightsFile(
        space="probe",
        name="probe.pth",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        torch_names=("other.pth",),
        repository="timm/probe",
        repository_names=("model.safetensors", "open_clip_model.safetensors"),
    )

    def places(self, folder: Path) -> list[Path]:
        """Where they may lie, the first that counts first."""
        hub = folder / "hub" / "models--timm--probe"
        (hub / "refs").mkdir(parents=True)
        (hub / "refs" / "main").write_text("abc")
        snapshot = hub / "snapshots" / "abc"
        paths = [
            folder / "anywhere.pth",
            folder / "cache" / "weights" / "probe.pth",
            folder / "torch" / "hub" / "checkpoints" / "other.pth",
            snapshot / "model.safetensors",
            snapshot / "open_clip_model.safetensors",
        ]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.content)
        return paths

    def test_places_are_looked_at_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = self.places(tmp_path)
        monkeypatch.setenv("AUGFACE_PROBE_WEIGHTS", str(paths[0]))
        for path in paths:
            assert find(self.file) == Weights(path, str(self.file.sha256), official=True)
            assert status(self.file) == (True, str(path))
            path.unlink()
            if path == paths[0]:
                with pytest.raises(DataError, match="which is not a file"):
                    find(self.file)
                monkeypatch.delenv("AUGFACE_PROBE_WEIGHTS")
        assert locate(self.file) is None
        present, what_to_do = status(self.file)
        assert not present
        for said in ("probe.pth", str(tmp_path / "cache" / "weights"), "AUGFACE_PROBE_WEIGHTS", "timm/probe"):
            assert said in what_to_do

    def test_a_wrong_file_is_refused_wherever_it_lies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = self.places(tmp_path)
        found = hashlib.sha256(b"wrong").hexdigest()
        advices = ("Delete it", "name another file by AUGFACE_PROBE_WEIGHTS")
        for path, advice in zip(paths[1:3], advices, strict=True):
            path.write_bytes(b"wrong")
            with pytest.raises(DataError, match=f"SHA-256 {found}, not {self.file.sha256}.*{advice}"):
                find(self.file)
            assert not status(self.file)[0]
            path.unlink()
        # only a file that is named may be another one, and only if it is said which
        paths[3].write_bytes(b"wrong")
        monkeypatch.setenv("AUGFACE_PROBE_SHA256", found)
        with pytest.raises(DataError, match="not the expected ones"):
            find(self.file)
        monkeypatch.setenv("AUGFACE_PROBE_WEIGHTS", str(paths[3]))
        assert find(self.file) == Weights(paths[3], found, official=False)

    def test_a_file_that_changed_is_looked_at_again(self, tmp_path: Path) -> None:
        path = self.places(tmp_path)[1]
        find(self.file)
        path.write_bytes(self.content[:-1] + b"?")
        os.utime(path, ns=(0, 0))
        with pytest.raises(DataError):
            find(self.file)

    def test_nothing_is_unpickled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
                return os.mkdir, (str(tmp_path / "exploded"),)

        torch.save({"fc.weight": Bomb()}, tmp_path / "bomb.pth")
        (tmp_path / "bomb.pickle").write_bytes(pickle.dumps(Bomb(), protocol=2))
        (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb(), protocol=2))
        torch.save([1], tmp_path / "list.pth")
        (tmp_path / "cut.pth").write_bytes((tmp_path / "list.pth").read_bytes()[:100])
        (tmp_path / "empty.pth").touch()
        for name in ("bomb.pth", "bomb.pickle", "bomb.safetensors", "list.pth", "cut.pth", "empty.pth"):
            with pytest.raises(DataError, match="cannot be read as weights"):
                read_weights(tmp_path / name)
        monkeypatch.setenv("AUGFACE_INCEPTION_WEIGHTS", str(tmp_path / "bomb.pth"))
        digest = hashlib.sha256((tmp_path / "bomb.pth").read_bytes()).hexdigest()
        monkeypatch.setenv("AUGFACE_INCEPTION_SHA256", digest)
        with pytest.raises(DataError, match="cannot be read as weights"):
            create_feature_space("inception").extract(noise(1, 8, 8, 3))
        assert not (tmp_path / "exploded").exists()


class Server:
    """A server of one file, that can be told to misbehave."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.announced = len(content)
        self.code = 200
        self.requested = 0
        self.before_answer: Callable[[], object] = lambda: None
        self.held: set[str] | None = None
        """The paths that there are, as on the Hugging Face hub; None for one file at any path."""
        self.sha256 = ""
        """What it says of the file."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(outer.content)

            def do_HEAD(self) -> None:
                outer.requested += 1
                outer.before_answer()
                held = outer.held is None or self.path in outer.held
                self.send_response(outer.code if held else 404)
                self.send_header("Content-Length", str(outer.announced))
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{outer.sha256}"')
                if not held:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # some clients leave early
        self.url = f"http://127.0.0.1:{self.http.server_port}/probe.pth"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("AUGFACE_OFFLINE")
    served = Server(TestWeights.content * 100)  # several blocks
    thread = threading.Thread(target=served.http.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.http.shutdown()
    served.http.server_close()
    thread.join()


@pytest.fixture
def wanted(server: Server) -> WeightsFile:
    digest = hashlib.sha256(server.content).hexdigest()
    return WeightsFile("probe", "probe.pth", digest, bytes=len(server.content), url=server.url)


class TestDownload:
    def test_what_is_fetched_once_is_kept(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        present, detail = status(wanted)
        assert not present
        assert "Downloaded when first used (700.0 kB)" in detail
        assert server.requested == 0
        for _ in range(2):
            assert find(wanted) == Weights(tmp_path / "cache/weights/probe.pth", str(wanted.sha256), official=True)
        assert server.requested == 1
        assert [path.name for path in (tmp_path / "cache/weights").iterdir()] == ["probe.pth"]

    def refused(self, wanted: WeightsFile, tmp_path: Path, *words: str) -> None:
        with pytest.raises(DataError) as caught:
            find(wanted)
        folder = tmp_path / "cache" / "weights"
        for said in (*words, wanted.name, str(wanted.url), str(folder), "AUGFACE_PROBE_WEIGHTS", "AUGFACE_OFFLINE"):
            assert said in str(caught.value)
        assert not folder.exists() or not list(folder.iterdir())

    def test_less_than_the_file_is_refused(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        server.content = server.content[:400_000]
        self.refused(wanted, tmp_path, "ended after 400000 of 700000 bytes")

    def test_more_than_the_file_is_not_read(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        server.content = server.content + b"!"
        server.announced = len(server.content)
        self.refused(wanted, tmp_path, "more than the 700000 bytes")

    def test_another_file_is_refused(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        server.content = server.content[::-1]
        digest = hashlib.sha256(server.content).hexdigest()
        self.refused(wanted, tmp_path, f"SHA-256 {digest}, not {wanted.sha256}")

    def test_a_refusal_is_told(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        server.code = 404
        self.refused(wanted, tmp_path, "404")

    def test_silence_ends(
        self, server: Server, wanted: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("augface.features.weights.TIMEOUT", 0.2)
        enough = threading.Event()
        server.before_answer = lambda: enough.wait(20)
        self.refused(wanted, tmp_path, "timed out")
        enough.set()

    def test_nobody_there_is_told(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        server.http.socket.close()
        self.refused(replace(wanted, url="http://127.0.0.1:9/probe.pth"), tmp_path, "refused")

    def test_offline_asks_nobody(
        self, server: Server, wanted: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AUGFACE_OFFLINE", "1")
        self.refused(wanted, tmp_path, "forbids")
        assert "Downloaded" not in status(wanted)[1]
        assert server.requested == 0
        monkeypatch.setenv("AUGFACE_OFFLINE", "0")
        find(wanted)

    def test_the_official_weights_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AUGFACE_INCEPTION_WEIGHTS", raising=False)
        with pytest.raises(DataError, match=f"{OFFICIAL.name}.*AUGFACE_INCEPTION_WEIGHTS"):
            create_feature_space("inception")

    def test_two_processes_at_once(self, server: Server, wanted: WeightsFile, tmp_path: Path) -> None:
        both = threading.Barrier(2)
        server.before_answer = lambda: both.wait(60)  # neither is served before the other has asked
        script = f"from augface.features.weights import *; print(find({wanted!r}).path)"
        processes = [
            subprocess.Popen([sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        path = tmp_path / "cache" / "weights" / "probe.pth"
        for process in processes:
            assert process.communicate(timeout=60)[0].strip() == str(path)
            assert process.returncode == 0
        assert server.requested == 2
        assert path.read_bytes() == server.content
        assert list(path.parent.iterdir()) == [path]

    def test_a_cache_that_cannot_be_written_is_another_matter(self, wanted: WeightsFile, tmp_path: Path) -> None:
        from augface.errors import OutputError

        (tmp_path / "cache").write_text("a file")
        with pytest.raises(OutputError, match="Cannot write"):
            download(wanted)


class TestHub:
    """Weights that are published on the Hugging Face hub, of which a local server plays the part."""

    file = WeightsFile("probe", "probe.safetensors", repository="timm/probe", repository_names=("new.bin", "model.bin"))

    @pytest.fixture
    def hub(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
        from huggingface_hub import constants

        endpoint = server.url.rpartition("/")[0]
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        server.held = {"/timm/probe/resolve/main/model.bin"}
        server.sha256 = hashlib.sha256(server.content).hexdigest()
        return server

    def test_what_is_fetched_once_is_kept(self, hub: Server) -> None:
        assert "Downloaded when first used" in status(self.file)[1]
        found = find(self.file)
        assert (found.path.name, found.sha256) == ("model.bin", hub.sha256)
        assert found.path.read_bytes() == hub.content
        requested = hub.requested
        assert find(self.file) == found
        assert status(self.file) == (True, str(found.path))
        assert hub.requested == requested

    def test_another_file_than_the_hub_says_is_refused(self, hub: Server) -> None:
        hub.content = hub.content[::-1]
        digest = hashlib.sha256(hub.content).hexdigest()
        with pytest.raises(DataError, match=f"SHA-256 {digest}, not {hub.sha256}.*Delete it"):
            find(self.file)

    @pytest.mark.parametrize(("held", "code"), [(set(), 200), ({"/timm/probe/resolve/main/new.bin"}, 403)])
    def test_what_goes_wrong_is_told(self, held: set[str], code: int, hub: Server) -> None:
        hub.held, hub.code = held, code
        with pytest.raises(DataError, match=r"cannot be downloaded.*timm/probe.*AUGFACE_PROBE_WEIGHTS"):
            find(self.file)

    def test_offline_asks_nobody(self, hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUGFACE_OFFLINE", "1")
        with pytest.raises(DataError, match="forbids"):
            find(self.file)
        assert "Downloaded" not in status(self.file)[1]
        assert hub.requested == 0


@pytest.fixture(scope="module")
def features(few: FaceDataset) -> Features:
    return create_feature_space("efficientnet").extract(pixels(few))


class TestEfficientNet:
    def test_features_are_those_of_the_plain_network(self, few: FaceDataset, features: Features) -> None:
        """As version 1 of this space has always been: resized by torch, batch norms unfolded."""
        import timm

        model: Any = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
        state = read_weights(EfficientNetSpace().weights.path)
        model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
        model.reset_classifier(0)
        planes = torch.from_numpy(pixels(few)[:8]).permute(0, 3, 1, 2).float()
        resized = functional.interpolate(planes, (224, 224), mode="bicubic", antialias=True)
        with torch.inference_mode():
            wanted = model((resized.clamp(0, 255) - 127) / 128).numpy()
        assert error(features[:8], wanted) < 1e-5

    def test_a_row_is_that_of_its_image_alone(self, few: FaceDataset, features: Features) -> None:
        space = create_feature_space("efficientnet")
        assert features.shape == (40, 1280)
        order = np.random.default_rng(0).permutation(40)[:21]
        assert np.array_equal(space.extract(pixels(few)[order]), features[order])
        assert np.array_equal(space.extract(pixels(few)[7:10]), features[7:10])

    def test_the_cache_gives_the_same(
        self, few: FaceDataset, features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = create_feature_space("efficientnet")
        assert np.array_equal(features_of(few, space), features)
        monkeypatch.setattr(EfficientNetSpace, "forward", None)  # only the cache is left
        assert np.array_equal(features_of(few, space), features)
        doubled = concatenate([few, few], spec="twice").select(slice(40, 80))
        assert np.array_equal(features_of(doubled, space), features)
        (file,) = (tmp_path / "cache" / "features").iterdir()
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(TypeError):  # a file that was cut short is not believed
            features_of(few, space)

    def test_openvino_and_torch_agree(
        self, few: FaceDataset, features: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("openvino")
        monkeypatch.setattr(network, "find_spec", lambda name: None)
        space = EfficientNetSpace()
        by_torch = efficientnet._network.__wrapped__(space.weights)
        shown = np.stack([space.prepare(image) for image in pixels(few)[: space.batch]])
        assert error(by_torch(shown), features[: space.batch]) < 1e-5

    def test_damaged_weights_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "weights.pth").write_bytes(b"something else")
        monkeypatch.setattr("augface.features.weights._places", lambda file: iter([tmp_path / "weights.pth"]))
        with pytest.raises(DataError, match=r"not the expected ones.*Install the package"):
            create_feature_space("efficientnet")
        assert not weights_status("efficientnet")[0]

    def test_missing_weights_are_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        official = efficientnet.EfficientNetSpace.weights_file
        monkeypatch.setattr(
            efficientnet.EfficientNetSpace, "weights_file", replace(official, package="no-such-package")
        )
        with pytest.raises(DataError, match="Install the package"):
            create_feature_space("efficientnet")
        assert not weights_status("efficientnet")[0]


SMALL = {"embed_dim": 64, "depth": 2, "num_heads": 2}


class SmallDino(DinoSpace):
    dimension: ClassVar[int] = 64
    options: ClassVar[dict[str, Any]] = {**DinoSpace.options, **SMALL}


class SmallClip(ClipSpace):
    options: ClassVar[dict[str, Any]] = {**ClipSpace.options, **SMALL}


def save_small(space: type[TimmSpace], path: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """Weights of a small network as timm keeps those of the large one."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(space.architecture, **{**space.options, **changes})
    state = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in model.state_dict().items()}
    save_file(state, path)
    return state


class TestTransformers:
    @pytest.mark.parametrize("space", [DinoSpace, ClipSpace, LargeClipSpace])
    def test_without_weights_it_is_said_what_to_do(self, space: type[TimmSpace], tmp_path: Path) -> None:
        for said in (space.weights_file.name, f"AUGFACE_{space.name.upper()}_WEIGHTS", str(tmp_path / "cache")):
            with pytest.raises(DataError, match=said):
                create_feature_space(space.name)
            assert said in weights_status(space.name)[1]

    def test_dino_is_timm_s_network_on_whole_pictures(
        self, tmp_path: Path, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import timm

        path = tmp_path / "dino.safetensors"
        state = save_small(SmallDino, path)
        monkeypatch.setenv("AUGFACE_DINOV2_WEIGHTS", str(path))
        space = SmallDino()
        assert space.protocol["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        model: Any = timm.create_model(space.architecture, **space.options).eval()
        model.load_state_dict(state)
        resize = clean_fid("resize").make_resizer("PIL", False, "bicubic", (224, 224))
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            shown = torch.from_numpy(np.stack([resize(picture) for picture in pictures])).permute(0, 3, 1, 2) / 255
            mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
            shown = (shown - mean[:, None, None]) / deviation[:, None, None]
            wanted = model.forward_features(shown)[:, 0].numpy()
        found = space.extract_prepared([space.prepare(picture) for picture in pictures])
        assert found.shape == (len(pictures), 64)
        assert error(found, wanted) < 1e-5
        alone = space.extract_prepared([space.prepare(pictures[2])])
        assert np.array_equal(alone, found[2:3])

    def test_dino_s_places_are_made_fewer_as_by_its_makers(self) -> None:
        ramp = torch.arange(37.0)
        down, across = torch.meshgrid(ramp, ramp, indexing="ij")
        places = torch.stack([down, across, (-1) ** down], dim=-1).reshape(1, 37 * 37, 3)
        state = {"pos_embed": torch.cat([torch.full((1, 1, 3), 99.0), places], dim=1)}
        adapted = DinoSpace.adapted(state)["pos_embed"]
        assert adapted.shape == (1, 257, 3)
        assert (adapted[0, 0] == 99).all()
        grid = adapted[0, 1:].reshape(16, 16, 3)
        wanted = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5  # torch's cubic keeps a ramp to 0.06; 37 / 16 is off by 0.2
        assert torch.allclose(grid[1:, 5, 0], wanted[1:], atol=0.06)
        assert torch.allclose(grid[5, 1:, 1], wanted[1:], atol=0.06)
        assert grid[..., 2].std() > 0.5  # stripes: with antialiasing they would be grey
        assert DinoSpace.adapted({"pos_embed": adapted})["pos_embed"] is adapted

    def test_dino_takes_weights_for_large_pictures(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_small(SmallDino, tmp_path / "dino.safetensors", img_size=518)
        monkeypatch.setenv("AUGFACE_DINOV2_WEIGHTS", str(tmp_path / "dino.safetensors"))
        assert np.isfinite(SmallDino().extract(noise(2, 40, 30, 3))).all()
        save_small(SmallDino, tmp_path / "deeper.safetensors", depth=3)
        monkeypatch.setenv("AUGFACE_DINOV2_WEIGHTS", str(tmp_path / "deeper.safetensors"))
        with pytest.raises(DataError, match="another network"):
            SmallDino().extract(noise(2, 40, 30, 3))

    def test_clip_is_openai_s_network(
        self, tmp_path: Path, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Torch-fidelity has OpenAI's own code; clean-fid prepares the pictures."""
        pytest.importorskip("torch_fidelity")
        from torch_fidelity.feature_extractor_clip import VisionTransformer

        torch.manual_seed(0)
        peer = VisionTransformer(224, 32, width=64, layers=2, heads=2, output_dim=512).eval()
        state = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in peer.state_dict().items()}
        peer.load_state_dict(state)
        path = tmp_path / "cache" / "weights" / "vit_base_patch32_clip_224.openai.safetensors"
        path.parent.mkdir(parents=True)
        save_file({f"visual.{name}": tensor for name, tensor in state.items()}, path)
        monkeypatch.setitem(sys.modules, "clip", types.ModuleType("clip"))
        prepare = clean_fid("clip_features").img_preprocess_clip
        mean, deviation = torch.tensor(ClipSpace.mean)[:, None, None], torch.tensor(ClipSpace.deviation)[:, None, None]
        with torch.inference_mode():
            shown = torch.from_numpy(np.stack([prepare(picture) for picture in pictures])).permute(0, 3, 1, 2)
            wanted = peer((shown / 255 - mean) / deviation).numpy()
        space = SmallClip()
        prepared = [space.prepare(picture) for picture in pictures]
        assert np.allclose(np.stack(prepared), ((shown / 255 - mean) / deviation).numpy(), atol=1e-6)
        found = space.extract_prepared(prepared)
        assert found.shape == (len(pictures), 512)
        assert error(found, wanted) < 1e-5

    @pytest.mark.parametrize("shape", [(218, 178), (109, 89), (89, 109), (224, 224), (225, 224), (333, 500), (20, 31)])
    def test_clip_sees_the_middle_as_in_clean_fid(
        self, shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_small(SmallClip, tmp_path / "clip.safetensors")
        monkeypatch.setenv("AUGFACE_CLIP_WEIGHTS", str(tmp_path / "clip.safetensors"))
        monkeypatch.setitem(sys.modules, "clip", types.ModuleType("clip"))
        image = noise(*shape, 3)
        wanted = clean_fid("clip_features").img_preprocess_clip(image).transpose(2, 0, 1)
        assert np.array_equal(SmallClip().fitted(image), wanted)


class TestPixels:
    def test_they_forgive_brightness_and_know_their_image(self) -> None:
        images = pixels(load_toyfaces(20, SIZE))
        features = PixelSpace().extract(images)
        darker = PixelSpace().extract((images * 0.7).astype(np.uint8))
        assert ((darker @ features.T).argmax(axis=1) == np.arange(20)).all()
        assert (darker * features).sum(axis=1).min() > 0.999
        assert not PixelSpace().extract(np.full((1, SIZE, SIZE, 3), 9, dtype=np.uint8)).any()

    @pytest.mark.parametrize("shape", [(32, 32), (218, 178), (7, 50)])
    def test_one_by_one_they_are_the_same(self, shape: tuple[int, int]) -> None:
        images = noise(11, *shape, 3)
        assert np.array_equal(FeatureSpace.extract(PixelSpace(), images), PixelSpace().extract(images))


@pytest.mark.parametrize("name", ["efficientnet", "inception", "pixels"])
def test_every_space_is_as_wide_as_it_says(name: str, standin: StandIn) -> None:
    space = create_feature_space(name)
    found = space.extract(pixels(load_toyfaces(10, SIZE))[:3])
    assert found.shape == (3, space.dimension)
    assert found.dtype == np.float32
    assert space.protocol["space"] == name == space.name
    assert weights_status(name)[0]


def test_to_ask_for_weights_loads_no_torch() -> None:
    script = (
        "import sys; from augface.features import FEATURE_SPACES, weights_status; "
        "[weights_status(name) for name in FEATURE_SPACES]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
