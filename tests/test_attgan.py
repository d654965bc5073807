"""Edits of real faces: what is requested changes, in proportion to the strength; the rest is the host's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from green_faces import greenness, planted
from PIL import Image

from augface import create_generator
from augface.cli import main
from augface.data.dataset import FaceDataset, signed_labels
from augface.errors import UnknownNameError, UsageError
from augface.generators import load_generator
from augface.generators._codes import Codes
from augface.generators.attgan import AttGAN, AttGANConfig, EditingNetwork, _Edits
from augface.generators.base import check_generator

SETTINGS = {"channels": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def real() -> FaceDataset:
    return planted()


@pytest.fixture(scope="module")
def generator(real: FaceDataset) -> AttGAN:
    rates = {"learning_rate": 3e-3, "discriminator_learning_rate": 3e-3}
    generator = create_generator("attgan", **SETTINGS, **rates, balance="Green")
    assert isinstance(generator, AttGAN)
    generator.fit(real, budget="1600", seed=1)
    return generator


class Greenness:
    """A classifier that knows what green is."""

    def log_odds(self, images: np.ndarray) -> np.ndarray:
        return np.stack([greenness(np.asarray(images)) / 10, np.zeros(len(images))], axis=1)

    def column(self, attribute: str) -> int:
        return ["Green", "Bright"].index(attribute)


def hosts_of(faces: FaceDataset, real: FaceDataset) -> np.ndarray:
    assert faces.factors is not None
    hosts: np.ndarray = np.asarray(real.images)[faces.factors["host"].to_numpy()]
    return hosts


def test_the_contract_holds(real: FaceDataset) -> None:
    check_generator(AttGAN, real, SETTINGS)


@pytest.mark.parametrize("value", [True, False])
def test_hosts_get_what_is_requested_and_keep_the_rest(generator: AttGAN, real: FaceDataset, value: bool) -> None:
    made = generator.sample(60, where={"Green": value}, seed=3)
    hosts = hosts_of(made, real)
    assert made.matching({"Green": value}).all()
    moved = greenness(np.asarray(made.images)) - greenness(hosts)
    assert (moved.mean() > 40) if value else (moved.mean() < -40)
    brightness = np.asarray(made.images)[:, :, :, 2].mean(axis=(1, 2)) - hosts[:, :, :, 2].mean(axis=(1, 2))
    assert np.abs(brightness).mean() < 20, "blue is no part of green"


def test_a_face_that_has_what_is_requested_stays_as_it_is(generator: AttGAN, real: FaceDataset) -> None:
    made = generator.sample(20, seed=4)
    images, hosts = np.asarray(made.images), hosts_of(made, real)
    same = [
        np.array_equal(one, host) or np.array_equal(one, host[:, ::-1]) for one, host in zip(images, hosts, strict=True)
    ]
    assert all(same)


def test_the_change_is_in_proportion_to_the_strength(generator: AttGAN, real: FaceDataset) -> None:
    pictures = torch.from_numpy(np.asarray(real.images[:6])).permute(0, 3, 1, 2) / 127.5 - 1
    nothing, full = torch.zeros(6, 0), torch.ones(6, 1)
    with torch.no_grad():
        once, half, none = (
            generator._network(nothing, nothing, pictures, full * amount) - pictures for amount in (1, 0.5, 0)
        )
    torch.testing.assert_close(half, once / 2, atol=1e-5, rtol=0)
    assert torch.count_nonzero(none) == 0
    assert once.abs().mean() > 0.01


def test_photos_are_edited_by_a_calibrated_strength(generator: AttGAN, real: FaceDataset, tmp_path: Path) -> None:
    photos = FaceDataset.from_arrays(np.asarray(real.images)[:8])
    plain = np.flatnonzero(~real.matching({"Green": True}))[:6]
    codes = generator.codes(FaceDataset.from_arrays(np.asarray(real.images)[plain]))
    assert np.array_equal(np.asarray(generator.render(codes).images), np.asarray(real.images)[plain])
    asked = generator.render(generator.request(codes, {"Green": True}))
    assert greenness(np.asarray(asked.images)).mean() > greenness(np.asarray(real.images)[plain]).mean() + 20
    with pytest.raises(UsageError, match="not calibrated"):
        generator.edit(codes, {"Green": 0.5})
    generator.calibrate(real, attributes=["Green"], classifier=Greenness(), seed=1)  # type: ignore[arg-type]
    amounts = [greenness(np.asarray(generator.render(generator.edit(codes, {"Green": by})).images)) for by in (0.3, 1)]
    assert greenness(np.asarray(real.images)[plain]).mean() < amounts[0].mean() < amounts[1].mean()
    generator.calibration = None
    codes = generator.codes(photos)
    codes.save(tmp_path / "with", weights=True)
    codes.save(tmp_path / "without")
    again = generator.render(Codes.load(tmp_path / "with"))
    assert np.array_equal(np.asarray(again.images), np.asarray(photos.images))
    with pytest.raises(UsageError, match="without their pictures"):
        generator.render(Codes.load(tmp_path / "without"))


def test_what_it_saved_edits_alike(generator: AttGAN, real: FaceDataset, tmp_path: Path) -> None:
    generator.save(tmp_path / "generator")
    again = load_generator(tmp_path / "generator")
    assert again.editable == {"Green"}
    photos = FaceDataset.from_arrays(np.asarray(real.images)[:4])
    one, other = (each.render(each.request(each.codes(photos), {"Green": True})) for each in (generator, again))
    assert np.array_equal(np.asarray(one.images), np.asarray(other.images))


def test_it_has_no_variations_and_a_plan_says_so(
    generator: AttGAN, real: FaceDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator.save(tmp_path / "generator")
    Image.fromarray(np.asarray(real.images)[0]).save(tmp_path / "face.png")
    words = ["vary", str(tmp_path / "generator"), str(tmp_path / "face.png"), "-n", "2", "--out", str(tmp_path / "out")]
    for dry_run in (["--dry-run"], []):
        assert main([*words, *dry_run]) == 2
        assert "no noise to vary" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_it_did_not_learn_is_refused(generator: AttGAN, real: FaceDataset) -> None:
    codes = generator.codes(generator.sample(3, seed=1))
    with pytest.raises(UsageError, match="learnt to change Green alone"):
        generator.request(codes, {"Bright": True})
    with pytest.raises(UsageError, match="no noise to vary"):
        codes.vary(0.4, 2)
    with pytest.raises(UnknownNameError):
        create_generator("attgan", balance="Gren").fit(real, budget="64")
    alike = FaceDataset.from_arrays(np.asarray(real.images), real.attributes.assign(Green=True).astype("boolean"))
    with pytest.raises(UsageError, match="alike in Green"):
        create_generator("attgan", balance="Green").fit(alike, budget="64")
    bright = generator.sample(20, where={"Bright": True}, seed=1)
    assert bright.matching({"Bright": True}).all()
    assert bright.factors is not None
    assert real.matching({"Bright": True})[bright.factors["host"]].all(), "what it cannot give, hosts have"
    both = generator.sample(20, where={"Bright": True, "Green": True}, seed=1)
    assert both.factors is not None
    assert real.matching({"Bright": True, "Green": False})[both.factors["host"]].all()


def test_as_many_faces_get_an_attribute_in_training_as_lose_it(real: FaceDataset) -> None:
    conditions = signed_labels(real.attributes)
    conditions[:120, 1] = 0  # not known
    batches = _Edits(real.images, conditions, np.array([0, 1]), AttGANConfig())
    random = np.random.default_rng(2)
    pictures, own = batches.real(4000, random)
    wanted, same, difference = batches.requested(pictures, own, random)
    assert same is pictures
    gained, lost = (difference == 1).float().mean(dim=0), (difference == -1).float().mean(dim=0)
    torch.testing.assert_close(gained, lost, atol=0.03, rtol=0)
    changed = (difference != 0).sum(dim=1)
    assert set(changed.tolist()) == {1, 2}
    assert 0.02 < (changed == 2).float().mean() < 0.25
    assert torch.equal(wanted, torch.where(difference == 0, own, -own))
    assert not difference[own == 0].any(), "what is not known is not changed"
    weights = batches.attribute_weights(wanted, same, difference)
    assert set(weights[difference != 0].tolist()) == {20.0}
    assert set(weights[difference == 0].tolist()) == {1.0}


def test_the_network_makes_any_size() -> None:
    network = EditingNetwork(32, 4, 3)
    nothing = torch.zeros(2, 0)
    assert network(nothing, nothing, torch.zeros(2, 3, 32, 32), torch.ones(2, 3)).shape == (2, 3, 32, 32)
