"""Inpainting: what is around the face is the host's, the face is new, and labels are those of the host or requested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from green_faces import SIZE, greenness, planted

from augface import create_generator
from augface.data.dataset import FaceDataset
from augface.data.face_region import face_mask
from augface.errors import UsageError
from augface.generators import load_generator
from augface.generators.base import check_generator
from augface.generators.inpaint import HIDDEN, Inpaint, _Hosts

SETTINGS = {"channels": 9, "latent": 4, "batch_size": 8}


@pytest.fixture(scope="module")
def real() -> FaceDataset:
    return planted()


@pytest.fixture(scope="module")
def generator(real: FaceDataset) -> Inpaint:
    generator = create_generator("inpaint", **SETTINGS, learning_rate=3e-3, discriminator_learning_rate=3e-3)
    assert isinstance(generator, Inpaint)
    generator.fit(real, budget="2400", seed=1)
    return generator


def test_the_contract_holds(real: FaceDataset) -> None:
    check_generator(Inpaint, real, SETTINGS)


def test_faces_without_labels_get_new_ones_too(real: FaceDataset, tmp_path: Path) -> None:
    unlabelled = FaceDataset.from_arrays(np.asarray(real.images))
    generator = create_generator("inpaint", **SETTINGS)
    generator.fit(unlabelled, budget="64", seed=1)
    generator.save(tmp_path / "generator")
    made = load_generator(tmp_path / "generator").sample(20, seed=2)
    assert made.factors is not None
    hosts = np.asarray(real.images)[made.factors["host"].to_numpy()]
    assert np.array_equal(np.asarray(made.images), np.asarray(generator.sample(20, seed=2).images))
    assert not np.array_equal(np.asarray(made.images), hosts)
    with pytest.raises(UsageError, match="learnt from faces without labels"):
        generator.sample(5, where={"Green": True}, seed=2)


def test_surroundings_are_the_hosts_and_the_face_is_not(generator: Inpaint, real: FaceDataset) -> None:
    made = generator.sample(60, seed=2)
    assert made.factors is not None
    hosts = np.asarray(real.images)[made.factors["host"].to_numpy()]
    images = np.asarray(made.images)
    mirrored = np.array([not np.array_equal(one[0], host[0]) for one, host in zip(images, hosts, strict=True)])
    assert 0.2 < mirrored.mean() < 0.8
    hosts[mirrored] = hosts[mirrored, :, ::-1]
    seen = face_mask(SIZE) <= HIDDEN
    assert np.array_equal(images[:, seen], hosts[:, seen])
    assert (np.abs(images.astype(int) - hosts)[:, 6:11, 5:11].max(axis=(1, 2, 3)) > 0).all()
    own = generator.labels
    assert own is not None
    assert made.attributes.reset_index(drop=True).equals(own.iloc[made.factors["host"]].reset_index(drop=True))


def test_it_knows_only_what_is_around(generator: Inpaint, real: FaceDataset) -> None:
    """Other faces in the same surroundings are painted over alike; other surroundings change what is painted."""
    network = generator._network
    pictures = torch.from_numpy(np.asarray(real.images[:8])).permute(0, 3, 1, 2) / 127.5 - 1
    noise, condition = torch.zeros(8, 4), torch.ones(8, 2)
    hidden = torch.from_numpy(face_mask(SIZE) > 0.99)
    with torch.no_grad():
        before = network(noise, condition, pictures)
        others = torch.where(hidden, -pictures, pictures)
        assert torch.equal(network(noise, condition, others)[..., hidden], before[..., hidden])
        moved = torch.where(hidden, pictures, -pictures)
        assert not torch.allclose(network(noise, condition, moved)[..., hidden], before[..., hidden], atol=0.05)


def test_it_learns_what_is_requested_and_to_fit_in(generator: Inpaint) -> None:
    green, plain = (generator.sample(80, where={"Green": value}, seed=3) for value in (True, False))
    assert green.matching({"Green": True}).all()
    assert greenness(np.asarray(green.images)).mean() > greenness(np.asarray(plain.images)).mean() + 20
    middle = np.asarray(plain.images)[:, 6:11, 5:11].mean(axis=(1, 2, 3))
    bright = plain.matching({"Bright": True})
    assert middle[bright].mean() > middle[~bright].mean() + 60


def test_generated_faces_of_a_step_are_mostly_requested_what_their_hosts_show(real: FaceDataset) -> None:
    conditions = np.repeat(np.eye(2, 8, dtype=np.float32) * 2 - 1, 120, axis=0)
    hosts = torch.zeros(160, 3, SIZE, SIZE)
    own = torch.from_numpy(conditions[40:200])
    requested, pictures = _Hosts(real.images, conditions, np.ones(240)).requested(hosts, own, np.random.default_rng(1))
    changed = (requested != own).any(dim=1).float().mean()
    assert pictures is hosts
    assert 0.02 < changed < 0.4, "half of them may change, and then not by much"


def test_a_stopped_training_goes_on_bit_for_bit(
    real: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augface.training import loop

    whole = Inpaint.from_config(SETTINGS)
    whole.fit(real, budget="640", seed=4)
    step, steps = loop._step, 0

    def interrupted(*arguments: object) -> loop.Step:
        nonlocal steps
        steps += 1
        if steps == 50:
            raise KeyboardInterrupt
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Inpaint.from_config(SETTINGS).fit(real, budget="640", run_dir=tmp_path, seed=4)
    parts = Inpaint.from_config(SETTINGS)
    parts.fit(real, budget="640", run_dir=tmp_path, resume=True, seed=4)
    assert 50 < steps < 90, "it went on from a checkpoint"
    assert parts.fingerprint == whole.fingerprint


def test_what_cannot_be_done_is_refused(real: FaceDataset) -> None:
    generator = Inpaint.from_config({})
    with pytest.raises(UsageError, match="16, 32, 64"):
        generator.fit(FaceDataset.from_arrays(np.zeros((4, 24, 24, 3), np.uint8), real.attributes[:4]))
