"""The identity space: dlib's numbers from a file that is read without dlib, and what they say about real people."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from augface.arrays import Pixels
from augface.data import load_data
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.features import DEFAULT_SPACE, FEATURE_SPACES, create_feature_space, identity, network, weights_status
from augface.features.base import FeatureSpace
from augface.features.dlib_weights import read_dlib_layers
from augface.features.identity import MEAN, IdentitySpace
from augface.features.identity_network import identity_network
from augface.metrics.verification import (
    clustered_share,
    distances_to_own,
    identity_leakage,
    same_person_auc,
)

Floats = npt.NDArray[np.float64]
NONE = np.zeros((0, 0, 0, 0), dtype=np.float32)


def integer(value: int) -> bytes:
    count = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([count | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(count, "little")


def integers(*values: int) -> bytes:
    return b"".join(map(integer, values))


def name(text: str) -> bytes:
    return integer(len(text)) + text.encode()


def tensor(values: npt.NDArray[np.float32], lengths: tuple[int, ...] | None = None) -> bytes:
    return integers(2, *(values.shape if lengths is None else lengths)) + values.tobytes()


def layer(text: str, *parts: bytes) -> bytes:
    return name(text) + b"".join(parts) + b"110" + 3 * tensor(NONE)


def small_network(convolution: bytes | None = None) -> bytes:
    """A convolution, an affine layer, a rectifier and a full connection, as dlib writes them."""
    weights = np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    versions = integers(2, 1, 2, 1, 2, 3)
    head = integer(1) + name("loss_metric_2") + integers(5, -7, 6, -8) + versions
    entrance = name("input_rgb_image_sized") + integers(*range(6), 150, 150)
    first = convolution or layer("con_4", tensor(weights), integers(2, 1, 1, 1, 1, 0, 0), integers(*range(18)))
    affine = layer("affine_", tensor(weights[:4]), integers(*range(11)))
    last = layer("fc_2", integers(4, 2), tensor(weights), integers(*range(19)))
    return head + entrance + first + integer(1) + affine + layer("relu_") + last


def written(folder: Path, content: bytes) -> Path:
    path = folder / "network.dat"
    path.write_bytes(content)
    return path


def lowest_cosine(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).min())


def by_dlib(space: IdentitySpace, images: Pixels) -> npt.NDArray[np.float64]:
    """dlib's own vectors of what the space shows its network."""
    model = pytest.importorskip("dlib").face_recognition_model_v1(str(space.weights.path))
    planes = np.stack([space.prepare(image) for image in images]) * 256 + np.array(MEAN)[:, None, None]
    chips = np.rint(planes).astype(np.uint8).transpose(0, 2, 3, 1)
    return np.array([model.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips])


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    present, detail = weights_status("identity")
    if not present:
        pytest.skip(detail)
    return create_feature_space("identity")


@pytest.fixture(scope="module")
def few() -> Pixels:
    return np.asarray(load_toyfaces(10, 64, seed=2).images)


class TestFile:
    def test_layers_are_those_that_were_written(self, tmp_path: Path) -> None:
        layers = read_dlib_layers(written(tmp_path, small_network()))
        assert [each.name for each in layers] == ["con_4", "affine_", "relu_", "fc_2"]
        assert [each.settings for each in layers] == [(2, 1, 1, 1, 1, 0, 0), (), (), (4, 2)]
        assert [each.parameters.tolist() for each in layers] == [list(range(8)), [0, 1, 2, 3], [], list(range(8))]

    def test_a_file_cut_short_is_refused_wherever_it_ends(self, tmp_path: Path) -> None:
        content = small_network()
        for length in range(len(content)):
            with pytest.raises(DataError, match=r"network\.dat cannot be read as a network of dlib: it ends too early"):
                read_dlib_layers(written(tmp_path, content[:length]))

    def test_a_file_with_a_wrong_byte_is_read_or_refused_but_never_crashes(self, tmp_path: Path) -> None:
        content = np.frombuffer(small_network(), dtype=np.uint8)
        random = np.random.default_rng(0)
        refused = 0
        for place in range(len(content)):
            changed = content.copy()
            changed[place] = random.integers(256)
            try:
                read_dlib_layers(written(tmp_path, changed.tobytes()))
            except DataError:
                refused += 1
        assert refused > len(content) / 3

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "ends too early"),
            (b"PK\x03\x04" + bytes(100), "no integer"),
            (b"\x80\x04\x95" + bytes(100), "no integer"),
            (integer(1) + name("loss_multiclass_log_"), "no network with a metric loss"),
            (integer(1) + integer(10**9), "a name of 1000000000 letters"),
            (small_network() + b"\x00", "something more than a network"),
            (small_network(layer("con_9")), "the unknown layer 'con_9'"),
            (small_network(layer("con_4", tensor(NONE, (2**40, 2**40, 1, 1)))), "ends too early"),
            (small_network(layer("con_4", tensor(NONE, (0, 1, -1, 1)))), "no tensor"),
            (small_network(layer("con_4", tensor(NONE), integer(2**60))), "no integer|out of range"),
        ],
    )
    def test_what_is_no_such_network_is_refused_with_the_reason(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        with pytest.raises(DataError, match=reason):
            read_dlib_layers(written(tmp_path, content))

    def test_a_file_that_is_not_there_is_told_so(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read: No such file"):
            read_dlib_layers(tmp_path / "none.dat")

    def test_another_network_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds the weights of another network"):
            identity_network(written(tmp_path, small_network()))


class TestSpace:
    def test_vectors_are_those_of_dlib(self, space: IdentitySpace, few: Pixels) -> None:
        wanted, found = by_dlib(space, few), space.extract(few)
        assert found.dtype == np.float32
        assert found.shape == (10, 128)
        assert lowest_cosine(found, wanted) > 0.999999
        assert np.abs(found - wanted).max() < 1e-5
        # the faces differ by far more, so that the comparison can fail
        assert lowest_cosine(np.roll(found, 1, axis=0), wanted) < 0.999

    def test_torch_and_openvino_agree(self, space: IdentitySpace, few: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = space.extract(few[:8])
        monkeypatch.setattr(network, "find_spec", lambda name: None)
        identity._network.cache_clear()
        assert np.abs(space.extract(few[:8]) - wanted).max() < 1e-5
        identity._network.cache_clear()

    def test_whole_pictures_and_their_squares_show_the_same_face(self, space: IdentitySpace) -> None:
        down, across = np.mgrid[:218, :178] / 9.0
        waves = np.stack([np.sin(down), np.cos(across), np.sin(down + across)], axis=2)
        frame = (128 + 100 * waves).astype(np.uint8)
        square = frame[38:192, 12:166]  # what augface.data.crops takes of a CelebA picture
        wanted = space.prepare(frame)
        assert wanted.shape == (3, 150, 150)
        assert wanted.dtype == np.float32
        assert np.abs(space.prepare(square) - wanted).max() < 1.01 / 256  # one step of 8 bits
        assert np.abs(space.prepare(frame[30:200]) - wanted).max() > 0.1
        blank = frame.copy()
        blank[77:189, 33:145] = 0  # 56 pixels around (89, 133)
        middle = space.prepare(blank)[:, 5:-5, 5:-5] * 256 + np.array(MEAN)[:, None, None]
        assert np.abs(middle).max() < 1e-4

    @pytest.mark.parametrize("shape", [(8, 8), (1, 1), (109, 89), (50, 300), (300, 50)])
    def test_pictures_of_any_shape_are_taken(self, space: IdentitySpace, shape: tuple[int, int]) -> None:
        assert space.prepare(np.full((*shape, 3), 128, dtype=np.uint8)).shape == (3, 150, 150)

    def test_without_its_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = replace(IdentitySpace.weights_file, package="no-such-package")
        monkeypatch.setattr(IdentitySpace, "weights_file", missing)
        file = "dlib_face_recognition_resnet_model_v1.dat"
        with pytest.raises(DataError, match=rf"(?s)identity.*pip install augface\[identity\].*{file}"):
            create_feature_space("identity")
        present, detail = weights_status("identity")
        assert not present
        assert "augface[identity]" in detail

    def test_another_file_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUGFACE_IDENTITY_WEIGHTS", str(written(tmp_path, small_network())))
        with pytest.raises(DataError, match="are not the expected ones"):
            create_feature_space("identity")

    def test_it_is_opt_in_and_the_package_is_never_imported(self, space: IdentitySpace) -> None:
        assert DEFAULT_SPACE != "identity"
        assert "identity" in FEATURE_SPACES
        assert "face_recognition_models" not in sys.modules
        assert space.protocol["weights_sha256"] == IdentitySpace.weights_file.sha256

    def test_the_metrics_load_no_torch(self) -> None:
        check = "import sys, augface.metrics.verification; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

    @pytest.mark.real_data
    def test_real_faces_get_dlibs_vectors_which_tell_people_apart(self, space: IdentitySpace, real_data: Path) -> None:
        data = load_data(f"celeba:{real_data / 'celeba-mini'}", size=64)
        assert data.identity is not None
        images = np.asarray(data.images[:16])
        assert lowest_cosine(space.extract(images), by_dlib(space, images)) > 0.999999
        people = np.unique(data.identity)
        chosen = np.isin(data.identity, np.random.default_rng(0).choice(people, 250, replace=False))
        features = space.extract(np.asarray(data.images[np.flatnonzero(chosen)]))
        auc = same_person_auc(features, data.identity[chosen], np.random.default_rng(0), pairs=20_000)
        assert auc.value > 0.97


def crowd(people: int, seed: int, first: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Two or so photos each of people who are spread in space: features and who they are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 12))
    person = np.repeat(np.arange(people), random.integers(1, 4, people))
    return centres[person] + random.normal(scale=0.3, size=(len(person), 12)), person + first


class TestLeakage:
    train, train_people = crowd(600, seed=1)
    held_out, held_out_people = crowd(500, seed=2, first=10_000)
    non_mates, non_mate_people = crowd(400, seed=3, first=20_000)

    def leakage(self, fakes: Floats, people: npt.NDArray[np.int64] | None = None, rate: float = 0.02) -> Any:
        return identity_leakage(
            fakes,
            self.train,
            self.held_out,
            train_people=self.train_people,
            held_out_people=self.held_out_people,
            fake_people=people,
            rate=rate,
        )

    def test_strangers_are_no_leak(self) -> None:
        found = self.leakage(self.non_mates, self.non_mate_people)
        assert found.excess.low < 0 < found.excess.high
        assert found.p_value > 0.05
        assert found.non_mates_within.value == pytest.approx(0.02, abs=1 / found.n_non_mates)
        assert found.expected == pytest.approx(found.non_mates_within.value * len(self.non_mates))
        assert (found.n_fakes, found.n_non_mates) == (len(self.non_mates), len(self.held_out))

    def test_people_of_the_training_set_are_found_as_often_as_the_true_positive_rate_says(self) -> None:
        _, first, photos = np.unique(self.train_people, return_index=True, return_counts=True)
        leaked = first[photos == 3]  # one photo of each becomes a synthetic face, the others stay
        fakes = np.concatenate([self.non_mates, self.train[leaked]])
        found = identity_leakage(
            fakes,
            np.delete(self.train, leaked, axis=0),
            self.held_out,
            train_people=np.delete(self.train_people, leaked),
            held_out_people=self.held_out_people,
            rate=0.02,
        )
        share = len(leaked) / len(fakes)
        assert found.p_value < 0.001
        assert 0.3 < found.known_within.value < 1
        rate = found.known_within.value - found.non_mates_within.value
        assert found.excess.low < share * rate < found.excess.high
        assert found.excess.value / rate == pytest.approx(share, rel=0.25)
        assert found.excess.value == pytest.approx(found.fakes_within.value - found.non_mates_within.value)

    def test_copies_of_the_training_set_are_all_found(self) -> None:
        found = self.leakage(self.train)
        assert found.fakes_within.value == 1
        assert found.excess.low > 0.9
        assert found.p_value < 1e-9

    def test_one_face_over_and_over_is_no_proof(self) -> None:
        found = self.leakage(np.repeat(self.train[:1], 500, axis=0))
        assert found.fakes_within.value == 1
        assert found.p_value > 0.001  # a stranger may be so near
        assert self.leakage(self.train[:500]).p_value < 1e-9

    def test_held_out_faces_of_training_people_are_no_strangers(self) -> None:
        mixed = np.concatenate([self.held_out, self.train[:200]])
        people = np.concatenate([self.held_out_people, self.train_people[:200]])
        found = identity_leakage(
            self.non_mates, self.train, mixed, train_people=self.train_people, held_out_people=people, rate=0.02
        )
        assert found == self.leakage(self.non_mates)

    def test_too_few_strangers_are_told_so(self) -> None:
        with pytest.raises(DataError, match="too few for a false identification rate"):
            self.leakage(self.non_mates, rate=0.0005)
        with pytest.raises(DataError, match="0 fake features are too few"):
            self.leakage(self.non_mates[:0])

    def test_without_second_photos_the_true_positive_rate_is_unknown(self) -> None:
        found = identity_leakage(
            self.non_mates,
            self.train,
            self.held_out,
            train_people=np.arange(len(self.train)),
            held_out_people=self.held_out_people + 10**6,
        )
        assert found.n_known == 0
        assert np.isnan(found.known_within.value)
        assert found.known_within[1:] == (0, 1)

    def test_intervals_and_alarms_are_right_when_strangers_play_the_made_faces(self) -> None:
        features, people = crowd(1200, seed=4)
        held, alarms = [], []
        for seed in range(150):
            part = np.random.default_rng(seed).integers(3, size=1200)[people]
            train, held_out, fakes = (np.flatnonzero(part == number) for number in range(3))
            found = identity_leakage(
                features[fakes],
                features[train],
                features[held_out],
                train_people=people[train],
                held_out_people=people[held_out],
                fake_people=people[fakes],
                rate=0.03,
            )
            held.append(found.excess.low <= 0 <= found.excess.high)
            alarms.append(found.p_value <= 0.05)
        assert np.mean(held) > 0.90
        assert 0 < np.mean(alarms) < 0.10

    def test_faces_of_one_person_count_as_dependent(self) -> None:
        within = np.arange(100) < 20
        alone, count = clustered_share(within)
        together, few = clustered_share(within, np.arange(100) // 5)
        assert count == 100
        assert few == pytest.approx(19, rel=0.05)
        assert together.high - together.low > 2 * (alone.high - alone.low)
        assert clustered_share(np.zeros(100, dtype=bool), np.arange(100) // 5)[1] == 20


class TestPairs:
    def test_the_nearest_other_photo_of_a_person_is_found(self) -> None:
        features, people = crowd(50, seed=0)
        for row, distance in enumerate(distances_to_own(features, people)):
            others = np.flatnonzero((people == people[row]) & (np.arange(len(people)) != row))
            wanted = np.linalg.norm(features[others] - features[row], axis=1).min(initial=np.inf)
            assert distance == pytest.approx(wanted)

    def test_auc_is_that_of_all_pairs(self) -> None:
        from sklearn.metrics import roc_auc_score

        random = np.random.default_rng(0)
        people = np.repeat(np.arange(300), 2)
        features = random.normal(size=(300, 3))[people] + random.normal(scale=0.7, size=(600, 3))
        one, other = np.triu_indices(600, 1)
        distances = np.linalg.norm(features[one] - features[other], axis=1)
        wanted = roc_auc_score(people[one] == people[other], -distances)
        found = same_person_auc(features, people, random, pairs=20_000)
        assert found.value == pytest.approx(wanted, abs=0.01)
        assert found.low < wanted < found.high
        assert 0.01 < found.high - found.low < 0.06

    def test_auc_of_extremes(self) -> None:
        people = np.repeat(np.arange(20), 3)
        random = np.random.default_rng(0)
        assert same_person_auc(people[:, None] * 1.0, people, random, pairs=2000).value == 1
        assert same_person_auc(np.zeros((60, 2)), people, random, pairs=2000).value == 0.5

    def test_auc_needs_two_people_and_two_photos(self) -> None:
        features = np.arange(8.0).reshape(4, 2)
        for people in ([1, 1, 1, 1], [1, 2, 3, 4]):
            with pytest.raises(DataError, match="takes two people"):
                same_person_auc(features, people, np.random.default_rng(0))
