"""Composites: the part is where the attribute shows, the rest is the host's, and the labels are true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from augface import create_generator
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import UsageError
from augface.generators._parts import lay_onto, part_of
from augface.generators.base import CHUNK

SIZE = 32
BAND = (slice(8, 14), slice(6, 26))
"""Where the planted attribute shows."""
STRIPED = np.abs(np.arange(SIZE) - (SIZE - 1) / 2) % 4 < 2
"""The columns that it makes lighter, the same in the mirror; it makes the others darker."""


def planted(n: int = 300, *, absent: bool = False) -> FaceDataset:
    """Grey noise faces of two tones; a quarter wears a striped band. Where `absent`, none of the light ones does."""
    stream = np.random.default_rng(0)
    light = stream.random(n) < 0.5
    band = (stream.random(n) < 0.25) & ~(light & absent)
    images = stream.normal(np.where(light, 170, 90)[:, None, None, None], 6, (n, SIZE, SIZE, 3))
    stripes = np.where(STRIPED, 60, -60)[None, None, BAND[1], None]
    images[band, *BAND] += stripes
    labels = pd.DataFrame({"Band": band, "Light": light}).astype("boolean")
    return FaceDataset.from_arrays(images.clip(0, 255).astype(np.uint8), labels)


def stripes_in(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How strong the band's stripes are: 60 where they are whole."""
    inside = images[:, 8:14, 6:26].astype(float).mean(axis=(1, 3))
    high = STRIPED[BAND[1]]
    return np.asarray((inside[:, high].mean(axis=1) - inside[:, ~high].mean(axis=1)) / 2)


def test_the_part_is_where_the_attribute_shows() -> None:
    faces = planted()
    part = part_of(np.asarray(faces.images), faces.matching({"Band": True}))
    inside = np.zeros((SIZE, SIZE), dtype=bool)
    inside[BAND] = True
    assert part[9:13, 8:24].mean() > 0.75
    assert part[~inside].mean() < 0.1
    assert part[18:].max() < 0.01
    assert np.allclose(part, part[:, ::-1], atol=1e-5), "a part is the same on both sides of a face"


def test_an_attribute_that_shows_nowhere_gives_a_part_all_the_same() -> None:
    images = np.full((20, SIZE, SIZE, 3), 128, dtype=np.uint8)
    assert np.isfinite(part_of(images, np.arange(20) < 5)).all()


def test_a_part_is_laid_on_without_a_seam() -> None:
    hosts, donors = np.full((1, SIZE, SIZE, 3), 100, np.float32), np.full((1, SIZE, SIZE, 3), 160, np.float32)
    part = np.zeros((SIZE, SIZE), np.float32)
    part[BAND] = 1
    assert np.allclose(lay_onto(hosts, donors, part), 100, atol=0.5), "a donor of another tone takes on the host's"
    itself = lay_onto(hosts, hosts, part)
    assert np.allclose(itself, hosts, atol=1e-3)


@pytest.fixture(scope="module")
def real() -> FaceDataset:
    return planted()


@pytest.fixture(scope="module")
def faces(real: FaceDataset) -> FaceDataset:
    generator = create_generator("composite")
    generator.fit(real)
    return generator.sample(CHUNK + 20, where={"Band": True}, seed=1)


class TestFaces:
    def test_the_attribute_is_there_and_the_rest_is_the_hosts(self, real: FaceDataset, faces: FaceDataset) -> None:
        images, shown = np.asarray(faces.images), stripes_in(np.asarray(faces.images))
        assert (shown > 25).mean() > 0.95
        assert faces.factors is not None
        hosts = np.asarray(real.images)[faces.factors["host"]].astype(float)
        below = np.abs(images[:, 20:] - hosts[:, 20:]).mean(axis=(1, 2, 3))
        mirrored = np.abs(images[:, 20:] - hosts[:, 20:, ::-1]).mean(axis=(1, 2, 3))
        assert np.minimum(below, mirrored).max() < 1
        assert 0.3 < (mirrored < below).mean() < 0.7

    def test_labels_are_the_hosts_but_for_what_was_requested(self, real: FaceDataset, faces: FaceDataset) -> None:
        assert faces.factors is not None
        hosts = real.attributes.iloc[faces.factors["host"]]
        assert faces.attributes["Band"].all()
        assert not hosts["Band"].any(), "a host lacks what is requested"
        assert (faces.attributes["Light"].to_numpy() == hosts["Light"].to_numpy()).all()
        light = np.asarray(faces.images)[:, 20:].mean(axis=(1, 2, 3)) > 130
        assert (light == faces.attributes["Light"].to_numpy(dtype=bool)).all()

    def test_others_stay_as_often_as_among_those_that_have_it(self, real: FaceDataset, faces: FaceDataset) -> None:
        wanted = real.attributes.loc[real.matching({"Band": True}), "Light"].mean()
        assert abs(faces.attributes["Light"].mean() - wanted) < 0.1

    def test_taken_away_too(self, real: FaceDataset) -> None:
        generator = create_generator("composite")
        generator.fit(real)
        assert np.abs(stripes_in(np.asarray(generator.sample(40, where={"Band": False}).images))).max() < 25


def test_a_combination_that_the_data_lack_is_composed() -> None:
    real = planted(absent=True)
    generator = create_generator("composite", balance=["Band"])
    generator.fit(real)
    faces = generator.sample(40, where={"Band": True, "Light": True})
    images = np.asarray(faces.images)
    assert (images[:, 20:].mean(axis=(1, 2, 3)) > 130).all()
    assert (stripes_in(images) > 25).mean() > 0.9
    assert faces.attributes[["Band", "Light"]].all(axis=None)


def test_hosts_are_like_those_who_have_what_is_requested() -> None:
    generator = create_generator("composite")
    generator.fit(planted(absent=True))
    hosts = generator.sample(CHUNK, where={"Band": True}, seed=3).attributes
    assert not hosts["Light"].any(), "all who wear the band are dark"


def test_what_the_part_covers_is_not_labelled_any_more() -> None:
    """A band of another kind in the same place is gone under the new one; an attribute in another place stays."""
    stream = np.random.default_rng(0)
    real = planted()
    images = np.asarray(real.images).astype(float)
    plain = ~real.matching({"Band": True})
    other, low = (plain & (stream.random(len(real)) < share) for share in (1, 0.4))
    images[other, *BAND] += 50
    images[low, 24:30, 6:26] += 50
    labels = real.attributes.assign(Other=pd.array(other, dtype="boolean"), Low=pd.array(low, dtype="boolean"))
    generator = create_generator("composite", balance=["Band"])
    generator.fit(FaceDataset.from_arrays(images.clip(0, 255).astype(np.uint8), labels))
    faces = generator.sample(60, where={"Band": True})
    assert faces.factors is not None
    hosts = labels.iloc[faces.factors["host"]]
    assert hosts["Other"].any()
    assert not faces.attributes["Other"].any()
    assert faces.attributes["Low"].tolist() == hosts["Low"].tolist()
    assert stripes_in(np.asarray(faces.images)).mean() > 40, "and what took its place is there"


def test_without_a_donor_or_an_attribute_the_reason_is_given() -> None:
    real = planted()
    generator = create_generator("composite")
    generator.fit(real.select(~real.matching({"Band": True})))
    with pytest.raises(UsageError, match="No training face has Band"):
        generator.sample(3, where={"Band": True})
    with pytest.raises(UsageError, match="needs an attribute that some"):
        create_generator("composite").fit(real.select(slice(0, 1)))


def test_a_drawn_moustache_is_laid_under_the_nose_and_changes_nothing_else() -> None:
    real = load_toyfaces(600, SIZE)
    generator = create_generator("composite")
    generator.fit(real)
    faces = generator.sample(60, where={"Mustache": True}, seed=2)
    assert faces.factors is not None
    hosts = np.asarray(real.images)[faces.factors["host"]].astype(float)
    images = np.asarray(faces.images).astype(float)
    changed = np.minimum(np.abs(images - hosts).mean(axis=(0, 3)), np.abs(images[:, :, ::-1] - hosts).mean(axis=(0, 3)))
    assert changed[18:24, 12:20].mean() > 3 * changed[: SIZE // 3].mean()
