"""The saved detector and `augface detect`: what it tells, what it does not, and files that were tampered with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from safetensors.numpy import load_file, save_file

import augface
from augface.arrays import Pixels
from augface.classifiers import detector_training
from augface.classifiers.detector import VARIATIONS, Detector, Predictions, compression_normalised, varied
from augface.classifiers.detector_training import DetectorTrial, train_detector
from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError
from augface.evaluators import real_vs_fake
from augface.features.pixels import PixelSpace
from augface.files import sha256_of_file
from augface.metrics.classification import two_sample_test

SIZE = 32


def blurred(faces: FaceDataset) -> Pixels:
    images = [Image.fromarray(face).filter(ImageFilter.GaussianBlur(2)) for face in faces.images[:]]
    return np.stack([np.asarray(image) for image in images])


def noise(count: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def fresh() -> FaceDataset:
    """Faces of people that the detector has not seen."""
    return load_toyfaces(300, SIZE, seed=7)


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Of blurred toy faces against sharp ones."""
    real, fake = load_toyfaces(800, SIZE), load_toyfaces(800, SIZE, seed=1)
    features = [
        PixelSpace().extract(compression_normalised(pixels)) for pixels in (np.asarray(real.images), blurred(fake))
    ]
    assert fake.identity is not None
    test = two_sample_test(
        *features, real_people=real.identity, fake_people=fake.identity + 10_000, random=np.random.default_rng(0)
    )
    return Detector.calibrated(
        test.model,
        (features[0][~test.real_tested], features[1][~test.fake_tested]),
        (features[0][test.real_tested], features[1][test.fake_tested]),
        auc=test.auc, people=test.people, space=PixelSpace(), size=SIZE,
        real_spec="toy:800", synthetic_spec="the blurrer",
    )  # fmt: skip


@pytest.fixture(scope="module")
def predicted(fresh: FaceDataset, detector: Detector) -> tuple[Predictions, Predictions]:
    """What it says of sharp faces and of blurred ones."""
    real, fake = (detector.predict(pixels, PixelSpace()) for pixels in (np.asarray(fresh.images), blurred(fresh)))
    return real, fake


@pytest.fixture
def saved(detector: Detector, tmp_path: Path) -> Path:
    detector.save(tmp_path / "run/detector")
    return tmp_path / "run"


def pictures(folder: Path, kind: str, pixels: Pixels) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{kind}-{number}.png")
    return folder


def detected(*words: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main(["detect", *words, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# What it tells


def test_what_was_planted_is_detected_and_real_faces_are_not(predicted: tuple[Predictions, Predictions]) -> None:
    real, fake = predicted
    assert (real.probabilities(0.5) < 0.5).mean() > 0.75
    assert (fake.probabilities(0.5) > 0.5).mean() > 0.75
    assert real.out_of_distribution.mean() < 0.05
    assert fake.out_of_distribution.mean() < 0.05


def test_probabilities_are_honest(predicted: tuple[Predictions, Predictions]) -> None:
    """Of the pictures that are made with probability about p, about p are made."""
    real, fake = (predictions.probabilities(0.5) for predictions in predicted)
    probability = np.concatenate([real, fake])
    made = np.repeat([False, True], [len(real), len(fake)])
    for low, high in ((0, 0.25), (0.25, 0.75), (0.75, 1)):
        rows = (probability >= low) & (probability <= high)
        assert made[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.12)


def test_noise_is_unlike_anything_known(detector: Detector) -> None:
    predictions = detector.predict(noise(50), PixelSpace())
    assert predictions.out_of_distribution.all()
    assert np.isnan(predictions.probabilities(0.5)).all()


def test_the_prior_moves_probabilities_as_bayes_says() -> None:
    predictions = Predictions(np.log([4.0, 1.0, 0.25]), *np.zeros((2, 3), dtype=np.bool_))
    assert predictions.probabilities(0.5) == pytest.approx([0.8, 0.5, 0.2])
    assert predictions.probabilities(0.01) == pytest.approx([4 / 103, 0.01, 0.25 / 99.25])


def test_it_is_no_surer_than_the_faces_it_was_tested_on_allow(detector: Detector) -> None:
    sure = detector.model._replace(weights=1000 * detector.model.weights)
    predictions = Detector(detector.config, sure, detector.density).predict(noise(20), PixelSpace())
    assert np.exp(np.abs(predictions.log_ratio)).max() == pytest.approx(detector.config.people / 3)


def test_pixels_that_are_one_colour_are_no_trouble(detector: Detector) -> None:
    assert detector.predict(np.zeros((1, SIZE, SIZE, 3), dtype=np.uint8), PixelSpace()).out_of_distribution.shape == (
        1,
    )


# The command


def test_files_folders_and_zips_are_looked_at(
    fresh: FaceDataset, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "all/below", "real", fresh.images[:20])
    pictures(tmp_path / "all", "made", blurred(fresh.select(slice(0, 20))))
    pictures(tmp_path, "noise", noise(1))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "all/made-3.png", "three.png")
    places = [str(tmp_path / name) for name in ("all", "noise-0.png", "more.zip")]
    found = detected(*places, "--detector", str(saved), capsys=capsys)
    judged = {Path(entry["file"]).name: entry for entry in found["images"]}
    assert len(judged) == 42
    assert judged["noise-0.png"] == {
        "file": places[1], "cropped": False, "unlike": True, "unsure": False, "probability": None
    }  # fmt: skip
    known = {name: entry["probability"] for name, entry in judged.items() if not entry["unlike"]}
    assert np.mean([value > 0.5 for name, value in known.items() if name.startswith("made")]) > 0.6
    assert np.mean([value < 0.5 for name, value in known.items() if name.startswith("real")]) > 0.6
    assert judged["three.png"]["probability"] == pytest.approx(judged["made-3.png"]["probability"])
    assert found["detector"]["synthetic"] == "the blurrer"
    assert found["detector"]["real"] == "toy:800"
    assert found["prior"] == 0.5
    assert "no evidence about a person" in found["notice"]


def test_people_are_told_what_it_was_trained_against_and_what_it_is_not(
    fresh: FaceDataset, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = np.concatenate([noise(1), noise(1)], axis=2)
    pictures(tmp_path, "wide", wide)
    pictures(tmp_path, "face", fresh.images[:1])
    words = [str(tmp_path / "wide-0.png"), str(tmp_path / "face-0.png"), "--detector", str(saved / "detector")]
    assert main(["detect", *words, "--prior", "0.01"]) == 0
    said = capsys.readouterr().out
    for part in (
        "Detector of the blurrer against toy:800, 800 faces of each",
        "its AUC was 0.",
        "Prior: 0.01",
        "unlike all that it was trained on (its middle square was looked at)",
        "% likely synthetic\n",
        "no evidence about a person",
    ):
        assert part in said


def test_a_smaller_prior_makes_the_same_picture_less_likely(
    fresh: FaceDataset, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path, "made", blurred(fresh.select(slice(0, 3))))
    words = [str(tmp_path / f"made-{number}.png") for number in range(3)] + ["--detector", str(saved)]
    even, rare = (
        np.array([one["probability"] for one in detected(*words, "--prior", prior, capsys=capsys)["images"]], float)
        for prior in ("0.5", "0.01")
    )
    assert rare / (1 - rare) == pytest.approx(even / (1 - even) / 99)


def test_files_that_cannot_be_read_are_named_and_the_others_done(
    fresh: FaceDataset, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "mixed", "face", fresh.images[:1])
    (folder / "broken.png").write_bytes((folder / "face-0.png").read_bytes()[:300])
    (folder / "text.jpg").write_text("no picture")
    words = [str(folder), str(tmp_path / "missing\x1b[2J.png"), "--detector", str(saved)]
    found = detected(*words, capsys=capsys, code=3)
    errors = {Path(entry["file"]).name: entry.get("error") for entry in found["images"]}
    assert errors.pop("face-0.png") is None
    assert all(errors.values())
    assert "not an image" in errors["text.jpg"]
    assert main(["detect", *words]) == 3
    said = capsys.readouterr().out
    assert "cannot be read: No such file" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("face.png --detector DIR --prior 0", 2, "between 0 and 1"),
        ("face.png --detector DIR --prior 1", 2, "between 0 and 1"),
        ("face.png --detector DIR --prior nan", 2, "between 0 and 1"),
        ("--detector DIR", 2, "which pictures"),
        ("--against a b --real toy", 2, "needs --real and --out"),
        ("--against a a --real toy --out new", 2, "two sets"),
        ("face.png", 2, "--detector"),
        ("face.png --detecter DIR", 2, "Did you mean --detector?"),
        ("face.png --detector nowhere", 3, "holds no detector"),
        ("empty --detector DIR", 3, "holds no images"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: str, code: int, said: str, saved: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["detect", *words.replace("DIR", str(saved)).split()]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert not output.out


# The files


def test_a_saved_detector_says_the_same(fresh: FaceDataset, detector: Detector, saved: Path) -> None:
    again = Detector.load(saved)
    pixels = fresh.images[:20]
    first, second = detector.predict(pixels, PixelSpace()), again.predict(pixels, PixelSpace())
    assert second.log_ratio == pytest.approx(first.log_ratio, abs=1e-4)
    assert np.array_equal(first.out_of_distribution, second.out_of_distribution)
    assert again.config == detector.config.model_copy(update={"weights_sha256": again.config.weights_sha256})
    assert again.space().protocol == PixelSpace().protocol
    assert sorted(path.name for path in (saved / "detector").iterdir()) == ["config.json", "weights.safetensors"]
    detector.save(saved / "detector")  # replaces it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "augface detector 2"}, "format"),
        ({"size": 10**6}, "size"),
        ({"size": "64"}, "size"),
        ({"limit": 1e308}, "limit"),
        ({"unlike": float("nan")}, "unlike"),
        ({"auc": [2, 0, 1]}, "auc"),
        ({"surprise": 1}, "surprise"),
        ({"real": "x" * 5000}, "real"),
        ({"weights_sha256": "0" * 64}, "was changed or cut short"),
    ],
)
def test_a_config_that_was_tampered_with_is_refused(change: dict[str, Any], said: str, saved: Path) -> None:
    path = saved / "detector/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        Detector.load(saved)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 50_000])
def test_a_config_that_is_none_is_refused(content: str, saved: Path) -> None:
    (saved / "detector/config.json").write_text(content)
    with pytest.raises(DataError, match=r"config\.json is not that of a detector"):
        Detector.load(saved)


def test_files_that_are_too_large_are_refused_before_they_are_understood(saved: Path) -> None:
    (saved / "detector/config.json").write_text(" " * 200_000)
    with pytest.raises(DataError, match="longer than 100,000 bytes"):
        Detector.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": np.full(768, np.nan, dtype=np.float32)},
        {"weights": np.zeros((2, 3), dtype=np.float32)},
        {"axes": np.zeros((64, 5), dtype=np.float32)},
        {"variances": np.zeros(64, dtype=np.float32)},
        {"bias": np.zeros(2, dtype=np.float32)},
        {"rest": np.array(-1, dtype=np.float32)},
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, Any], saved: Path) -> None:
    path, config = saved / "detector/weights.safetensors", saved / "detector/config.json"
    save_file({**load_file(path), **change}, path)
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "weights_sha256": sha256_of_file(path)}))
    with pytest.raises(DataError, match="does not hold a detector"):
        Detector.load(saved)


def test_weights_of_another_space_are_refused(saved: Path) -> None:
    path, config = saved / "detector/weights.safetensors", saved / "detector/config.json"
    arrays = load_file(path)
    short = {name: arrays[name][..., :9] if name in ("weights", "centres", "axes") else arrays[name] for name in arrays}
    save_file({name: array.copy() for name, array in short.items()}, path)
    config.write_text(json.dumps({**json.loads(config.read_text()), "weights_sha256": sha256_of_file(path)}))
    with pytest.raises(DataError, match="another version of the pixels features"):
        Detector.load(saved).space()


@pytest.mark.parametrize("change", [{"space": "no_such"}, {"protocol": {"space": "pixels", "version": 0}}])
def test_features_that_are_not_here_are_said(change: dict[str, Any], saved: Path) -> None:
    path = saved / "detector/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match="another version"):
        Detector.load(saved).space()


def test_an_evaluation_leaves_a_detector_that_detect_takes(
    fresh: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real_vs_fake, "NETWORK_IMAGES", 200)
    real = load_toyfaces(800, SIZE)
    fake = FaceDataset.from_arrays(blurred(load_toyfaces(200, SIZE, seed=3)), spec="the blurrer")
    augface.evaluate(real, fake, evaluators="real_vs_fake", spaces=["pixels"], run_dir=tmp_path)
    pictures(tmp_path / "faces", "real", fresh.images[:4])
    found = detected(str(tmp_path / "faces"), "--detector", str(tmp_path), capsys=capsys)
    assert found["detector"]["synthetic"] == "the blurrer"
    assert found["detector"]["faces"] >= 100
    assert len(found["images"]) == 4


# Several generators


@pytest.fixture(scope="module")
def trial() -> DetectorTrial:
    """Of toy faces against faces with more red, with more blue and with more green."""
    fakes = {}
    for number, (name, tint) in enumerate({"red": (90, 0, 0), "blue": (0, 0, 90), "green": (0, 90, 0)}.items()):
        pixels = np.asarray(load_toyfaces(150, SIZE, seed=10 + number).images) + np.array(tint)
        fakes[name] = FaceDataset.from_arrays(pixels.clip(0, 255).astype(np.uint8), spec=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_training, "FLIPPED_MOST", 10)
        return train_detector(load_toyfaces(400, SIZE), fakes, PixelSpace())


def test_a_detector_of_several_generators_finds_each_and_loses_on_those_left_out(trial: DetectorTrial) -> None:
    for name, one in trial.generators.items():
        assert one.unseen is not None
        assert one.drop is not None
        assert one.seen.value > 0.6, name
        assert one.drop.value == pytest.approx(one.seen.value - one.unseen.value)
        assert one.drop.low <= one.drop.value <= one.drop.high
        assert trial.detector.config.unseen[name] == pytest.approx(tuple(one.unseen))
    assert max(one.drop.low for one in trial.generators.values() if one.drop is not None) > 0


def test_a_trial_tells_of_calibration_flips_and_subgroups(trial: DetectorTrial) -> None:
    assert trial.calibration_error.value < 0.15
    assert len(trial.flips_by_variation) == len(VARIATIONS)
    assert 0 <= trial.flips.value <= 1
    everyone, count = trial.false_alarms["all"]
    assert 50 < count < 150
    assert everyone.low < everyone.value < everyone.high
    men, women = (trial.false_alarms[name] for name in ("Male", "not Male"))
    assert men[1] + women[1] == count
    assert men[0].value * men[1] + women[0].value * women[1] == pytest.approx(everyone.value * count)


def test_answers_that_depend_on_compression_are_unsure(fresh: FaceDataset, detector: Detector) -> None:
    pixels = np.asarray(fresh.images[:60])
    found = detector.predict(pixels, PixelSpace())
    flipped = np.zeros(60, dtype=bool)
    for side, quality in VARIATIONS:
        again = detector.scores(PixelSpace().extract(compression_normalised(varied(pixels, side, quality))))
        flipped |= (again > 0) != (found.log_ratio > 0)
    assert found.unsure.tolist() == (flipped & ~found.out_of_distribution).tolist()
    assert abs(found.log_ratio[found.unsure]).mean() < abs(found.log_ratio[~found.unsure]).mean()


def test_a_detector_is_trained_tried_and_saved_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in ((3, "first"), (4, "second")):
        pictures(tmp_path / name, "face", blurred(load_toyfaces(110, SIZE, seed=seed)))
    against = ["--against", str(tmp_path / "first"), str(tmp_path / "second")]
    monkeypatch.setattr(detector_training, "FLIPPED_MOST", 10)
    words = [*against, "--real", "toy:300", "--out", str(tmp_path / "new"), "--space", "pixels", "--size", "32"]
    assert main(["detect", *words]) == 0
    said = capsys.readouterr().out
    for part in ("trained on the others only", "Calibration error", "Trained without one of its 2 generators"):
        assert part in said
    assert len(Detector.load(tmp_path / "new").config.unseen) == 2
    assert main(["detect", str(tmp_path / "first/face-0.png"), "--detector", str(tmp_path / "new")]) == 0
