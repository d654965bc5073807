"""Pseudo-attributes of images without labels: clusters that are found on the train split, balanced and requested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from augface import generators
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.features import clusters
from augface.features.clusters import cluster_names, with_clusters
from augface.features.pixels import PixelSpace
from augface.generators import create_generator
from augface.play.player import Player, Recipe
from augface.rebalancing.rebalance import plan_rebalance
from augface.training.augmentation import mirror
from augface.training.loop import TrainingSettings


@pytest.fixture(autouse=True)
def pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "create_feature_space", PixelSpace)


@pytest.fixture(scope="module")
def kinds() -> FaceDataset:
    """Images of three kinds without labels, 200, 90 and 40 of each, and their split."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 256, (3, 16, 16, 3))
    shown = np.repeat([0, 1, 2], [200, 90, 40])
    images = np.clip(patterns[shown] + random.normal(0, 12, (330, 16, 16, 3)), 0, 255).astype(np.uint8)
    order = random.permutation(330)
    split = random.choice(["train", "valid", "test"], 330, p=[0.7, 0.2, 0.1])
    return FaceDataset.from_arrays(images[order], split=split)


def test_clusters_are_the_kinds_the_largest_first(kinds: FaceDataset) -> None:
    labelled = with_clusters(kinds, 3)
    assert list(labelled.attributes.columns) == ["Cluster_1", "Cluster_2", "Cluster_3"]
    assert labelled.attributes.sum().tolist() == [200, 90, 40]
    assert (labelled.attributes.sum(axis=1) == 1).all()
    assert with_clusters(labelled, 3) is labelled
    assert with_clusters(kinds, 3).attributes.equals(labelled.attributes)


def test_only_the_train_split_is_learnt_from(kinds: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds.split is not None
    other = FaceDataset.from_arrays(
        np.where(kinds.split[:, None, None, None] == "train", np.asarray(kinds.images), 0), split=kinds.split
    )
    ours, theirs = (with_clusters(data, 3).train for data in (kinds, other))
    assert ours is not None
    assert theirs is not None
    assert ours.attributes.equals(theirs.attributes)


def test_too_few_faces_are_refused(kinds: FaceDataset) -> None:
    with pytest.raises(DataError, match="30 clusters take at least 300 training faces"):
        with_clusters(kinds, 30)


def test_images_without_labels_can_be_balanced_and_requested(kinds: FaceDataset, tmp_path: Path) -> None:
    settings = {"clusters": 3, "mirror": "no", "channels": 4, "latent": 4}
    plan = plan_rebalance(kinds, attr="Cluster_3", generator_settings=settings, budget="64", downstream="off")
    have = sorted(each.have for each in plan.subgroups)
    assert plan.wanted == have[1] - have[0] > 0
    generator = create_generator("cgan", **settings)
    assert generator.config.model_dump()["mirror"] is False
    generator.fit(kinds.select(np.arange(300)), budget="64")
    assert generator.conditionable == set(cluster_names(3))
    assert len(generator.sample(4, where={"Cluster_2": True})) == 4
    generator.save(tmp_path / "saved")
    assert generators.load_generator(tmp_path / "saved").conditionable == set(cluster_names(3))


def test_pseudo_attributes_are_edited_by_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"IMAGES": 3000, "GENERATED": 8, "TUNED": 2}.items():
        monkeypatch.setattr(f"augface.generators._calibration.{name}", value)
    monkeypatch.setattr("augface.generators._adversarial.STEPS", 2)
    generator = create_generator("cgan", clusters=2, channels=4, latent=4, batch_size=8)
    learnt = FaceDataset.from_arrays(np.asarray(load_toyfaces(160, 16).images))
    generator.fit(learnt, budget="600")
    generator.calibrate(learnt)
    assert generator.calibration is not None
    assert generator.calibration.doses
    assert set(generator.calibration.doses) <= set(cluster_names(2))
    name = next(iter(generator.calibration.doses))
    codes = generator.request(generator.codes(generator.sample(4)), {name: False})
    before, after = (np.asarray(generator.render(one).images) for one in (codes, generator.edit(codes, {name: 0.5})))
    assert (before != after).any(axis=(1, 2, 3)).all()
    player = Player(generator, attributes=(name,))
    assert player.show(Recipe(first=0)).answers[name].low < player.show(Recipe(first=0)).answers[name].high


def test_a_conditional_generator_needs_no_labels(kinds: FaceDataset) -> None:
    generator = create_generator("cgan", channels=4, latent=4)
    generator.fit(kinds, budget="64")
    assert generator.conditionable == set()
    assert generator.sample(3).images.shape == (3, 16, 16, 3)


def test_nothing_is_mirrored_where_left_is_not_right(kinds: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def counted(images: Tensor, random: torch.Generator) -> Tensor:
        called.append(len(images))
        return mirror(images, random)

    monkeypatch.setattr("augface.training.loop.mirror", counted)
    for mirrored in (False, True):
        create_generator("dcgan", channels=4, latent=4, mirror=mirrored).fit(kinds, budget="32")
        assert bool(called) is mirrored
    assert TrainingSettings().mirror
