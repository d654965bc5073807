"""ToyFaces: who exists (frequencies, identities, splits) and how they look (what a factor changes, and only that)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from augface.data.toyfaces import ATTRIBUTES, label, load_toyfaces, render, sample_population
from augface.errors import DataError, UnknownNameError, UsageError

# CelebA's own prevalences, of all 202,599 images.
CELEBA = {
    "Bald": 0.0224,
    "Bangs": 0.1516,
    "Black_Hair": 0.2393,
    "Blond_Hair": 0.1480,
    "Brown_Hair": 0.2052,
    "Bushy_Eyebrows": 0.1422,
    "Chubby": 0.0576,
    "Eyeglasses": 0.0651,
    "Goatee": 0.0628,
    "Gray_Hair": 0.0420,
    "Heavy_Makeup": 0.3869,
    "Male": 0.4168,
    "Mouth_Slightly_Open": 0.4834,
    "Mustache": 0.0415,
    "Narrow_Eyes": 0.1152,
    "No_Beard": 0.8349,
    "Pale_Skin": 0.0429,
    "Rosy_Cheeks": 0.0657,
    "Smiling": 0.4821,
    "Wavy_Hair": 0.3196,
    "Wearing_Earrings": 0.1889,
    "Wearing_Hat": 0.0485,
    "Wearing_Lipstick": 0.4725,
    "Young": 0.7736,
}
# Two values of a factor for each attribute: without and with it.
SWITCHES: dict[str, tuple[str, Any, Any]] = {
    "Bald": ("bald", False, True),
    "Bangs": ("bangs", False, True),
    "Black_Hair": ("hair_colour", "sandy", "black"),
    "Blond_Hair": ("hair_colour", "sandy", "blond"),
    "Brown_Hair": ("hair_colour", "sandy", "brown"),
    "Bushy_Eyebrows": ("brow_thickness", 0.3, 0.85),
    "Chubby": ("chubbiness", 0.1, 0.85),
    "Eyeglasses": ("glasses", False, True),
    "Goatee": ("facial_hair", "none", "goatee"),
    "Gray_Hair": ("hair_colour", "sandy", "gray"),
    "Heavy_Makeup": ("makeup", 0.1, 0.9),
    "Male": ("masculinity", 0.15, 0.85),
    "Mouth_Slightly_Open": ("mouth_open", 0.0, 0.6),
    "Mustache": ("facial_hair", "none", "mustache"),
    "Narrow_Eyes": ("eye_openness", 0.75, 0.12),
    "No_Beard": ("facial_hair", "short", "none"),
    "Pale_Skin": ("skin_tone", 0.3, 0.02),
    "Rosy_Cheeks": ("blush", 0.1, 0.9),
    "Smiling": ("smile", 0.0, 0.75),
    "Wavy_Hair": ("hair_wave", 0.1, 0.8),
    "Wearing_Earrings": ("earrings", False, True),
    "Wearing_Hat": ("hat", False, True),
    "Wearing_Lipstick": ("lipstick", False, True),
    "Young": ("age", 0.8, 0.2),
}

Population = tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def population() -> Population:
    return sample_population(10_000, seed=0)


@pytest.fixture(scope="module")
def plain_faces(population: Population) -> pd.DataFrame:
    """Faces that nothing covers, seen from the front."""
    plain: dict[str, Any] = {
        "hat": False,
        "glasses": False,
        "bald": False,
        "bangs": False,
        "yaw": 0.0,
        "facial_hair": "none",
    }
    return population[0].head(8).assign(**plain, eye_openness=0.8, smile=0.0, mouth_open=0.0, earrings=False)


def changed(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The largest change of a channel at each pixel, (N, H, W)."""
    return np.asarray(np.abs(before.astype(np.int64) - after.astype(np.int64)).max(axis=-1))


def test_prevalences_are_those_of_celeba(population: Population) -> None:
    _, attributes, _ = population
    assert tuple(attributes.columns) == ATTRIBUTES
    assert set(CELEBA) == set(ATTRIBUTES)
    for name, wanted in CELEBA.items():
        # Binomial limits of independent people, not pictures: pictures of a person go together.
        limit = 3 * np.sqrt(wanted * (1 - wanted) / 2_000)
        assert attributes[name].mean() == pytest.approx(wanted, abs=min(limit, 0.01)), name


def test_confounds_are_those_of_celeba(population: Population) -> None:
    _, attributes, _ = population
    wearers = attributes[attributes["Eyeglasses"]]
    others = attributes[~attributes["Eyeglasses"]]
    assert wearers["Male"].mean() == pytest.approx(0.79, abs=3 * np.sqrt(0.79 * 0.21 / len(wearers)))
    assert wearers["Young"].mean() < others["Young"].mean() - 0.2
    smiling = attributes["Smiling"]
    assert attributes["Mouth_Slightly_Open"][smiling].mean() > 0.7
    assert attributes["Mouth_Slightly_Open"][~smiling].mean() < 0.3
    assert attributes["Male"][attributes["Blond_Hair"]].mean() < 0.1
    assert attributes["Male"][attributes["Bald"]].all()
    assert attributes["Male"][~attributes["No_Beard"]].all()
    assert not attributes["Young"][attributes["Gray_Hair"]].mean() > 0.1
    assert attributes["Male"][attributes["Wearing_Lipstick"]].mean() < 0.02


def test_a_person_keeps_their_face_and_nearly_always_their_glasses(population: Population) -> None:
    factors, attributes, identity = population
    pictures = np.bincount(identity)
    assert pictures.min() == 1
    assert pictures.max() <= 12
    assert pictures.mean() == pytest.approx(5, abs=0.3)
    of_person = factors.groupby(identity)
    fixed = ["masculinity", "age", "skin_tone", "hair_colour", "eye_colour", "jaw_width", "nose_width", "glasses_shape"]
    assert (of_person[fixed].nunique() == 1).all(axis=None)
    assert (of_person[["yaw", "light_x", "background_seed"]].nunique().max() > 5).all()
    worn = attributes["Eyeglasses"].astype(int).groupby(identity).sum()
    assert (worn * (worn - 1)).sum() / (worn * (pictures - 1)).sum() > 0.65  # in another picture of a wearer


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    factors, attributes, identity = sample_population(300, seed=5)
    again = sample_population(300, seed=5)
    pd.testing.assert_frame_equal(factors, again[0])
    pd.testing.assert_frame_equal(attributes, again[1])
    np.testing.assert_array_equal(identity, again[2])
    assert not factors.equals(sample_population(300, seed=6)[0])
    np.testing.assert_array_equal(render(factors[:40], 32), render(again[0][:40], 32))


@pytest.mark.parametrize("size", [17, 64])
def test_a_picture_does_not_depend_on_its_batch(population: Population, size: int) -> None:
    factors = population[0].iloc[:200]
    together = render(factors, size)
    assert together.shape == (200, size, size, 3)
    assert together.dtype == np.uint8
    for row in range(0, 200, 5):
        np.testing.assert_array_equal(render(factors.iloc[[row]], size)[0], together[row], err_msg=f"row {row}")


def test_every_size_shows_the_same_face(population: Population) -> None:
    factors = population[0].iloc[:60]
    small = render(factors, 64).astype(np.float64)
    halved = render(factors, 128).reshape(60, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    difference = np.abs(small - halved)
    assert difference.mean() < 2.0
    assert difference.mean(axis=(1, 2, 3)).max() < 4.0
    another = np.abs(small - np.roll(halved, 1, axis=0))
    assert difference.mean() < another.mean() / 10


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_drawn_from_its_factor(name: str, plain_faces: pd.DataFrame) -> None:
    factor, off, on = SWITCHES[name]
    without, with_it = plain_faces.assign(**{factor: off}), plain_faces.assign(**{factor: on})
    assert not label(without)[name].any()
    assert label(with_it)[name].all()
    difference = changed(render(without, 64), render(with_it, 64))
    assert ((difference > 12).sum(axis=(1, 2)) >= 12).all(), "too little to see"


def test_glasses_change_the_eye_region_alone(population: Population) -> None:
    factors = population[0].head(200).assign(roll=0.0, shift_x=0.0, shift_y=0.0, zoom=1.14)
    difference = changed(render(factors.assign(glasses=False), 64), render(factors.assign(glasses=True), 64))
    rows = np.flatnonzero(difference.any(axis=(0, 2)))
    assert rows.min() >= 64 * 0.33
    assert rows.max() <= 64 * 0.66
    assert (difference > 12).sum(axis=(1, 2)).min() >= 8, "too little to see"


def test_a_smile_changes_the_lower_face_most(plain_faces: pd.DataFrame) -> None:
    difference = changed(render(plain_faces.assign(smile=0.0), 64), render(plain_faces.assign(smile=0.9), 64))
    assert not difference[:, :16].any()
    assert (difference[:, 36:52].sum(axis=(1, 2)) > difference[:, :36].sum(axis=(1, 2))).all()


def test_splits_hold_different_people_of_one_population() -> None:
    data = load_toyfaces(size=8)
    assert data.split is not None
    assert data.identity is not None
    assert data.factors is not None
    assert {split: int((data.split == split).sum()) for split in ("train", "valid", "test")} == {
        "train": 5_000,
        "valid": 2_600,
        "test": 2_400,
    }
    people = {split: set(data.identity[data.split == split]) for split in ("train", "valid", "test")}
    assert not people["train"] & people["valid"]
    assert not people["train"] & people["test"]
    assert not people["valid"] & people["test"]
    rates = data.attributes.astype(float).groupby(data.split).mean()
    for name, wanted in CELEBA.items():
        assert (rates[name] - wanted).abs().max() < max(0.011, 0.1 * wanted), name
    glasses = data.attributes["Eyeglasses"]
    male = data.attributes["Male"][glasses].astype(float).groupby(data.split[glasses.to_numpy(bool)]).mean()
    assert male.between(0.7, 0.88).all()


def test_the_source_names_what_determines_the_data() -> None:
    data = load_toyfaces(200, size=16, seed=1)
    again = load_toyfaces(200, size=16, seed=1)
    assert data.source == again.source
    assert data.source.spec == "toy:200"
    np.testing.assert_array_equal(np.asarray(data.images), np.asarray(again.images))
    hashes = {load_toyfaces(*other).source.content_hash for other in ((200, 16, 2), (200, 8, 1), (100, 16, 1))}
    assert len(hashes | {data.source.content_hash}) == 4
    assert data.factors is not None
    np.testing.assert_array_equal(render(data.factors, 16), np.asarray(data.images))


def test_what_cannot_be_drawn_is_said(population: Population) -> None:
    factors = population[0].head(3)
    with pytest.raises(DataError, match="'smile'"):
        render(factors.drop(columns="smile"), 16)
    with pytest.raises(UnknownNameError, match="Did you mean 'blond'"):
        render(factors.assign(hair_colour="blonde"), 16)
    with pytest.raises(UsageError, match="10 or more"):
        load_toyfaces(3)
    with pytest.raises(UsageError, match="8 to 1024"):
        load_toyfaces(20, size=4)
    with pytest.raises(UsageError, match="1 or more"):
        sample_population(0, seed=0)
    assert render(factors.head(0), 16).shape == (0, 16, 16, 3)
