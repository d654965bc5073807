"""From faces to codes and back: inversion, variations and edits, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import augface
from augface.checked_arrays import about, read_arrays, write_arrays
from augface.cli import main
from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.data.export.png import TYPES
from augface.data.sources import refuse_photo_based
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UnknownNameError, UsageError
from augface.generators import create_generator, load_generator
from augface.generators._calibration import GRID, Calibration, Dose, _directions
from augface.generators._codes import Codes, concatenate_codes
from augface.generators.base import Generator
from augface.steering import variation
from augface.steering.output import write_steered
from augface.steering.photos import load_photos
from augface.steering.variation import distance_for

TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 8}
STEPS = 30


@pytest.fixture(scope="module")
def toy() -> FaceDataset:
    return load_toyfaces(160, 16)


@pytest.fixture(scope="module")
def cgan(toy: FaceDataset) -> Generator:
    generator = create_generator("cgan", **TINY)
    generator.fit(toy, budget="400", seed=1)
    return generator


@pytest.fixture(scope="module")
def run(cgan: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    cgan.save(folder / "generator")
    return folder


@pytest.fixture(scope="module")
def photos(cgan: Generator, toy: FaceDataset) -> FaceDataset:
    """Three faces that did not come out of the generator."""
    scores = cgan._scores(toy)  # type: ignore[attr-defined]
    return dataclasses.replace(toy.select(np.flatnonzero(scores >= 0)[:3]), factors=None)


@pytest.fixture(scope="module")
def codes(cgan: Generator, photos: FaceDataset) -> Codes:
    return cgan.codes(photos, steps=STEPS)


@pytest.fixture
def photo(tmp_path: Path, photos: FaceDataset) -> Path:
    Image.fromarray(photos.images[0]).save(tmp_path / "ada.png")
    return tmp_path / "ada.png"


@pytest.fixture(scope="module")
def unsteerable(toy: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = create_generator("resample")
    generator.fit(toy)
    generator.save(tmp_path_factory.mktemp("other") / "generator")
    return tmp_path_factory.getbasetemp() / "other0"


def header_of_png(width: int, height: int) -> bytes:
    """The beginning of a PNG file that says it is of this size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images).astype(int)


def calibration(generator: Generator, **changes: Any) -> Calibration:
    """One whose numbers are known: two log-odds a unit of condition, strength 1 is 2 of them."""
    dose = Dose(4.0, [2 * p for p in GRID], list(GRID), -3.0, 2.0, -3.0, 2.0, {}, [])
    attributes = list(map(str, generator.labels.columns)) if generator.labels is not None else []
    return Calibration(generator.fingerprint, attributes, {"Smiling": dataclasses.replace(dose, **changes)})


class TestInversion:
    def test_generated_faces_come_out_as_they_were(self, cgan: Generator) -> None:
        faces = cgan.sample(3, seed=2)
        again = cgan.render(cgan.codes(faces))
        assert np.abs(pixels(again) - pixels(faces)).max() <= 1
        assert again.factors is not None
        assert not again.factors["of_photo"].any()

    def test_tuning_brings_a_face_nearer_to_its_photo_and_to_no_other(
        self, cgan: Generator, photos: FaceDataset, codes: Codes
    ) -> None:
        def apart(faces: FaceDataset) -> np.ndarray[Any, Any]:
            return np.asarray(np.abs(pixels(faces)[:, None] - pixels(photos)[None]).mean(axis=(2, 3, 4)))

        untuned, tuned = apart(cgan.render(cgan.codes(photos, steps=0))), apart(cgan.render(codes))
        assert (np.diag(tuned) < 0.9 * np.diag(untuned)).all()
        assert tuned.argmin(axis=0).tolist() == [0, 1, 2]

    def test_the_generator_itself_is_left_as_it_was(self, cgan: Generator, photos: FaceDataset) -> None:
        before = cgan.fingerprint
        cgan.codes(photos.select([0]), steps=2)
        assert cgan.fingerprint == before

    def test_faces_beside_it_are_of_no_matter_and_it_repeats_itself(
        self, cgan: Generator, photos: FaceDataset, codes: Codes
    ) -> None:
        alone = cgan.codes(photos.select([2]), steps=STEPS)
        assert np.array_equal(alone.noise[0], codes.noise[2])
        assert np.array_equal(pixels(cgan.render(alone))[0], pixels(cgan.render(codes))[2])
        assert np.array_equal(pixels(cgan.render(codes.select([2, 0])))[0], pixels(cgan.render(codes))[2])

    def test_a_saved_generator_does_the_same(
        self, run: Path, photos: FaceDataset, codes: Codes, cgan: Generator
    ) -> None:
        again = load_generator(run / "generator")
        assert again.fingerprint == cgan.fingerprint
        assert np.array_equal(pixels(again.render(again.codes(photos, steps=STEPS))), pixels(cgan.render(codes)))

    def test_what_is_no_face_is_refused(self, cgan: Generator, photos: FaceDataset) -> None:
        flat = np.full_like(photos.images[:1], 90)
        upside = photos.images[:1][:, ::-1]
        for image in (flat, upside):
            both = FaceDataset.from_arrays(np.concatenate([photos.images[:1], image]), names=["face.png", "no.png"])
            with pytest.raises(DataError, match=r"no\.png is no face such as the generator learnt from") as caught:
                cgan.codes(both)
            assert "face.png" not in str(caught.value)

    def test_a_generator_saved_without_its_encoder_says_so(
        self, run: Path, photos: FaceDataset, tmp_path: Path
    ) -> None:
        arrays = load_file(run / "generator" / "weights.safetensors")
        kept = {key: array for key, array in arrays.items() if "encoder." not in key and "face_check" not in key}
        save_file(kept, tmp_path / "weights.safetensors")
        (tmp_path / "config.json").write_bytes((run / "generator" / "config.json").read_bytes())
        old = load_generator(tmp_path)
        with pytest.raises(UsageError, match="saved by an earlier version of augface, without the encoder"):
            old.codes(photos)
        assert len(old.render(old.codes(old.sample(2)))) == 2

    def test_generators_that_cannot_be_steered_say_so(self, toy: FaceDataset, codes: Codes) -> None:
        other = create_generator("resample")
        other.fit(toy)
        for steer in (lambda: other.codes(toy), lambda: other.render(codes), lambda: other.edit(codes, {"Male": 1})):
            with pytest.raises(UsageError, match="cannot edit faces"):
                steer()

    def test_photos_of_another_size_are_refused(self, cgan: Generator) -> None:
        with pytest.raises(UsageError, match="makes faces of 16 pixels, and these have 32"):
            cgan.codes(load_toyfaces(10, 32).select([0]))

    def test_it_takes_files(self, cgan: Generator, photo: Path, codes: Codes) -> None:
        assert np.array_equal(augface.invert(cgan, photo, steps=0).noise[0], codes.noise[0])


class TestCodes:
    def test_no_distance_is_the_same_face_and_more_is_farther(self, cgan: Generator, codes: Codes) -> None:
        face = pixels(cgan.render(codes.select([0])))
        apart = [
            np.abs(pixels(cgan.render(codes.select([0]).vary(distance, 12, seed=3))) - face).mean()
            for distance in (0, 0.3, 0.7, 1)
        ]
        assert apart[0] == 0
        assert apart == sorted(apart)

    def test_fewer_variations_are_the_first_ones_and_names_say_of_whom(self, codes: Codes) -> None:
        many, few = codes.vary(0.4, 5, seed=3), codes.vary(0.4, 2, seed=3)
        assert np.array_equal(few.noise, many.select([0, 1, 5, 6, 10, 11]).noise)
        assert not np.array_equal(few.noise, codes.vary(0.4, 2, seed=4).noise)
        assert few.names[0] == f"{Path(codes.names[0]).stem}-000.png"
        assert few.tuning.tolist() == [0, 0, 1, 1, 2, 2]

    def test_variations_are_as_typical_as_noise_is(self) -> None:
        noise = np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32)
        codes = Codes(noise, np.zeros((40, 0), np.float32), ("a",) * 40, "", np.full(40, -1))
        for distance in (0.3, 0.6, 0.9):
            assert codes.vary(distance, 25).noise.std() == pytest.approx(1, abs=0.03)

    @pytest.mark.parametrize("distance", [-0.1, 1.1, float("nan")])
    def test_a_distance_out_of_range_is_refused(self, distance: float, codes: Codes) -> None:
        with pytest.raises(UsageError, match=r"from 0 .* to 1"):
            codes.vary(distance, 2)

    def test_what_was_tuned_fades_with_the_distance(self, cgan: Generator, codes: Codes) -> None:
        far = codes.vary(1.0, 1, seed=3)
        untuned = dataclasses.replace(far, tuning=np.full(len(far), -1), tuned=())
        assert np.array_equal(pixels(cgan.render(far)), pixels(cgan.render(untuned)))
        half = codes.vary(0.6, 1, seed=3)
        assert half.kept == pytest.approx([0.8] * 3)
        assert codes.vary(0.6, 1).vary(0.6, 1).kept == pytest.approx([0.64] * 3)

    def test_between_two_faces_the_tuning_fades_or_comes_up(self, cgan: Generator, codes: Codes) -> None:
        generated = cgan.codes(cgan.sample(3, seed=2))
        there, back = codes.towards(generated, 0.25), generated.towards(codes, 0.75)
        assert there.kept == pytest.approx([0.75] * 3)
        assert np.abs(pixels(cgan.render(there)) - pixels(cgan.render(back))).max() <= 1
        ends = [pixels(cgan.render(codes.towards(generated, share))) for share in (0, 1)]
        assert np.abs(ends[0] - pixels(cgan.render(codes))).max() <= 1
        assert np.abs(ends[1] - pixels(cgan.render(generated))).max() <= 1
        with pytest.raises(UsageError, match="from 0"):
            codes.towards(generated, 1.5)
        with pytest.raises(UsageError, match="one to one"):
            codes.towards(generated.select([0]), 0.5)

    def test_codes_saved_before_keep_all_of_their_tuning(self, codes: Codes, tmp_path: Path) -> None:
        codes.save(tmp_path / "codes", weights=True)
        arrays, told = read_arrays(tmp_path / "codes"), about((tmp_path / "codes").read_bytes())
        header = json.loads(told["codes"]) | {"format": 1}
        del arrays["kept"]
        write_arrays(tmp_path / "old", arrays, {"codes": json.dumps(header)})
        assert Codes.load(tmp_path / "old").kept.tolist() == [1, 1, 1]

    def test_a_file_keeps_tuned_weights_only_when_asked(self, cgan: Generator, codes: Codes, tmp_path: Path) -> None:
        codes.save(tmp_path / "all", weights=True)
        assert np.array_equal(pixels(cgan.render(Codes.load(tmp_path / "all"))), pixels(cgan.render(codes)))
        codes.save(tmp_path / "light")
        assert not any("tuned" in key for key in load_file(tmp_path / "light"))
        light = Codes.load(tmp_path / "light")
        assert not light.is_of_photo.any()
        assert np.array_equal(light.noise, codes.noise)

    def test_damaged_files_and_other_generators_are_refused(
        self, codes: Codes, tmp_path: Path, toy: FaceDataset
    ) -> None:
        codes.save(tmp_path / "codes")
        content = (tmp_path / "codes").read_bytes()
        (tmp_path / "cut").write_bytes(content[:-9])
        with pytest.raises(DataError, match="cut is damaged"):
            Codes.load(tmp_path / "cut")
        save_file({"noise": codes.noise}, tmp_path / "other")
        with pytest.raises(DataError):
            Codes.load(tmp_path / "other")
        stranger = create_generator("dcgan", **TINY)
        stranger.fit(toy, budget="16", seed=1)
        with pytest.raises(UsageError, match="codes are of another generator"):
            stranger.render(codes)

    def test_joined_codes_keep_their_weights(self, cgan: Generator, codes: Codes) -> None:
        generated = cgan.codes(cgan.sample(1, seed=2))
        joined = concatenate_codes([codes.select([1]), generated, codes.select([0])])
        expected = pixels(cgan.render(codes))
        assert np.array_equal(pixels(cgan.render(joined))[[0, 2]], expected[[1, 0]])


class TestPerson:
    """The distance that is chosen for a person, where identity is known: it rises in a straight line with it."""

    @pytest.fixture
    def straight(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
        def identity(slope: float, noise: float) -> None:
            random = np.random.default_rng(0)

            class Straight:
                def __init__(self, photo: FaceDataset) -> None: ...

                def apart(self, faces: tuple[float, int]) -> np.ndarray[Any, Any]:
                    distance, count = faces
                    return 0.2 + slope * distance + noise * random.standard_normal(count)

            monkeypatch.setattr(variation, "Identity", Straight)

        return identity

    @pytest.mark.parametrize("person", ["same", "other"])
    def test_it_is_as_far_or_as_near_as_the_spread_allows(
        self, person: Any, straight: Callable[[float, float], None], codes: Codes
    ) -> None:
        straight(0.6, 0.01)  # 0.6 is crossed at 2/3, and two standard deviations are 1/30 of the distance
        found = distance_for(person, Rendered(), codes.select([0]), variation.Identity(None))  # type: ignore[arg-type]
        assert found == pytest.approx(2 / 3 - 1 / 30 if person == "same" else 2 / 3 + 1 / 30, abs=0.05)

    @pytest.mark.parametrize(("person", "slope", "wanted"), [("same", 0.1, 1), ("other", 0.1, 1), ("same", 9, 0.03)])
    def test_ends(
        self, person: Any, slope: float, wanted: float, straight: Callable[[float, float], None], codes: Codes
    ) -> None:
        straight(slope, 0.001)
        found = distance_for(person, Rendered(), codes.select([0]), variation.Identity(None))  # type: ignore[arg-type]
        assert found == pytest.approx(wanted, abs=0.02)

    def test_what_shows_no_human_face_has_no_identity(
        self, cgan: Generator, photos: FaceDataset, codes: Codes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(variation, "find_faces", lambda photo: [])
        with pytest.raises(DataError, match=f"No human face is found in {photos.names[0]}"):
            variation.vary(cgan, photos.select([0]), codes.select([0]), 2, person="same")


class Rendered:
    """A generator whose faces are how far they are from the first, and how many."""

    def render(self, codes: Codes) -> tuple[float, int]:
        return float(np.sqrt(1 - codes.kept[0] ** 2)), len(codes)


class TestEdits:
    def test_strength_moves_the_condition_as_far_as_was_measured(
        self, cgan: Generator, caplog: pytest.LogCaptureFixture
    ) -> None:
        cgan.calibration = calibration(cgan)
        column = cgan.calibration.attributes.index("Smiling")
        codes = cgan.request(cgan.codes(cgan.sample(2, seed=2)), {"Smiling": False})
        for strength, condition in ((0.0, -1.0), (0.5, 0.0), (1.0, 1.0), (-0.5, -2.0), (-1.0, -3.0)):
            edited = cgan.edit(codes, {"smiling": strength})
            assert edited.conditions[:, column] == pytest.approx([condition] * 2, abs=1e-4)
            others = np.delete(edited.conditions, column, axis=1)
            assert np.array_equal(others, np.delete(codes.conditions, column, axis=1))
        assert not caplog.records

    def test_what_is_not_safe_is_cut_and_said(self, cgan: Generator, caplog: pytest.LogCaptureFixture) -> None:
        cgan.calibration = calibration(cgan)
        column = cgan.calibration.attributes.index("Smiling")
        codes = cgan.request(cgan.codes(cgan.sample(2, seed=2)), {"Smiling": False})
        with caplog.at_level(logging.WARNING, logger="augface"):
            assert cgan.edit(codes, {"Smiling": 2.0}).conditions[:, column] == pytest.approx([2.0, 2.0])
        assert "strength 2 is beyond what is safe for 2 of 2 faces; they get 1.5" in caplog.text

    def test_photos_have_safe_ranges_of_their_own(self, cgan: Generator, codes: Codes) -> None:
        cgan.calibration = calibration(cgan, photo_high=0.5)
        column = cgan.calibration.attributes.index("Smiling")
        start = cgan.request(codes, {"Smiling": False})
        assert cgan.calibration.edit(start, "Smiling", 2.0)[0].conditions[:, column] == pytest.approx([0.5] * 3)
        assert cgan.calibration.ends(start, "Smiling")[:, 1] == pytest.approx([0.375] * 3)

    def test_photos_have_doses_of_their_own(self, cgan: Generator, codes: Codes) -> None:
        cgan.calibration = calibration(cgan)
        column = cgan.calibration.attributes.index("Smiling")
        start = cgan.request(codes, {"Smiling": False})
        assert cgan.edit(start, {"Smiling": 0.25}).conditions[:, column] == pytest.approx([0.0] * 3, abs=1e-4)

    def test_companions_come_along(self, cgan: Generator) -> None:
        cgan.calibration = calibration(cgan, companions={"Male": 0.25})
        codes = cgan.request(cgan.codes(cgan.sample(1, seed=2)), {"Smiling": False, "Male": False})
        edited = cgan.edit(codes, {"Smiling": 1.0})
        change = edited.conditions - codes.conditions
        moved = {name: float(by) for name, by in zip(cgan.calibration.attributes, change[0], strict=True) if by}
        assert moved == pytest.approx({"Smiling": 2.0, "Male": 0.5}, abs=1e-4)

    def test_what_was_not_measured_is_refused(self, cgan: Generator, codes: Codes) -> None:
        cgan.calibration = None
        with pytest.raises(UsageError, match="not calibrated"):
            cgan.edit(codes, {"Smiling": 1})
        cgan.calibration = calibration(cgan)
        with pytest.raises(UnknownNameError, match="Did you mean 'Smiling'"):
            cgan.edit(codes, {"Smilling": 1})
        with pytest.raises(UsageError, match="Male cannot be edited by strength"):
            cgan.edit(codes, {"Male": 1})

    def test_directions_are_found_apart_from_each_other(self) -> None:
        random = np.random.default_rng(0)
        noise = random.standard_normal((900, 16)).astype(np.float32)
        true = np.linalg.qr(random.standard_normal((16, 3)))[0].T
        true[1] = (true[1] + true[0]) / np.sqrt(2)  # the first two go together
        scores = (noise @ true.T + 0.3 * random.standard_normal((900, 3))).astype(np.float32)
        found = _directions(noise, scores, ["a", "b", "c"])
        assert abs(found["c"] @ true[2]) > 0.95
        for name, other in (("a", 2), ("c", 0), ("c", 1)):
            assert abs(found[name] @ true[other]) < 0.15

    def test_a_calibration_survives_its_file_and_nothing_else_does(self, cgan: Generator, tmp_path: Path) -> None:
        kept = calibration(cgan, companions={"Male": 0.5})
        kept.save(tmp_path / "steering.json")
        assert Calibration.load(tmp_path / "steering.json") == kept
        content = json.loads((tmp_path / "steering.json").read_text())
        changes: list[dict[str, Any]] = [
            {"format": 9},
            {"doses": {"Nobody": content["doses"]["Smiling"]}},
            {"doses": {"Smiling": {}}},
        ]
        for change in changes:
            (tmp_path / "bad.json").write_text(json.dumps({**content, **change}))
            with pytest.raises(DataError, match="is no calibration"):
                Calibration.load(tmp_path / "bad.json")

    def test_a_calibration_is_measured(
        self, cgan: Generator, toy: FaceDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"IMAGES": 1000, "GENERATED": 4, "TUNED": 1}.items():
            monkeypatch.setattr(f"augface.generators._calibration.{name}", value)
        monkeypatch.setattr("augface.generators._adversarial.STEPS", 1)
        columns = toy.attributes.columns.difference(["Male", "Smiling"])
        labels = toy.attributes.assign(**dict.fromkeys(columns, False)).astype("boolean")
        cgan.calibrate(dataclasses.replace(toy, attributes=labels), seed=0)
        assert cgan.calibration is not None
        assert cgan.calibration.generator == cgan.fingerprint
        assert set(cgan.calibration.doses) <= {"Male", "Smiling"}
        for dose in cgan.calibration.doses.values():
            assert dose.unit > 0
            assert dose.answers == sorted(dose.answers)


class TestCommands:
    def test_vary_writes_marked_faces_that_nothing_is_trained_on(self, run: Path, photo: Path, tmp_path: Path) -> None:
        words = ["vary", str(run), str(photo), "-n", "3", "--distance", "0.3", "--steps", "2", "--where", "Smiling=1"]
        for out in ("a", "b"):
            assert main([*words, "--out", str(tmp_path / out)]) == 0
        files = sorted(path.name for path in (tmp_path / "a").iterdir())
        assert files == ["ada-000.png", "ada-001.png", "ada-002.png", "metadata.csv"]
        assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
        assert TYPES["photo-based"].encode() in (tmp_path / "a" / "ada-000.png").read_bytes()
        faces = load_data(tmp_path / "a", size=16)
        assert faces.attribute("Smiling").all()
        with pytest.raises(UsageError, match=r"3 of 3 faces of .* were made from photos of people"):
            refuse_photo_based(faces)
        (tmp_path / "a" / "metadata.csv").unlink()
        with pytest.raises(UsageError, match=r"3 of 3 faces of .* were made from photos of people"):
            refuse_photo_based(load_data(tmp_path / "a", size=16))

    def test_edit_uses_what_the_run_folder_keeps(self, run: Path, tmp_path: Path, photo: Path, cgan: Generator) -> None:
        calibration(cgan).save(run / "steering.json")
        words = ["edit", str(run), "--attr", "smiling", "--strength", "-1,0,0.5"]
        assert main([*words, "-n", "2", "--out", str(tmp_path / "e")]) == 0
        names = sorted(path.name for path in (tmp_path / "e").glob("*.png"))
        assert names == sorted(f"00000{row}-Smiling-{by}.png" for row in (0, 1) for by in ("-1", "0", "0.5"))
        assert TYPES["photo-based"].encode() not in (tmp_path / "e" / names[0]).read_bytes()
        assert main([*words, str(photo), "--steps", "1", "--out", str(tmp_path / "p")]) == 0
        assert TYPES["photo-based"].encode() in (tmp_path / "p" / "ada-Smiling-0.png").read_bytes()

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["vary", "RUN", "PHOTO", "--distance", "2"], 2, "from 0 (the same face) to 1"),
            (["vary", "RUN", "PHOTO", "--same-person", "--other-person"], 2, "exclude each other"),
            (["vary", "RUN", "PHOTO", "--where", "Smilling=1"], 2, "Did you mean 'Smiling'"),
            (["vary", "RUN", "nobody.png"], 3, "nobody.png cannot be used: No such file"),
            (["vary", "RUN", "DOT"], 3, "1 x 1 pixels show no face"),
            (["vary", "RUN", "FLAT"], 3, "flat.png is no face such as the generator learnt from"),
            (["vary", "RUN", "TWO"], 3, "two.png is no face such as the generator learnt from"),
            (["vary", "RUN", "HUGE"], 3, "huge.png cannot be used"),
            (["vary", "OTHER", "PHOTO"], 2, "cannot edit faces"),
            (["edit", "OTHER", "--attr", "Male"], 2, "cannot edit faces"),
            (["vary", "PHOTO", "PHOTO"], 3, "holds no generator"),
            (["edit", "RUN", "--attr", "Nothing"], 2, "no attribute named 'Nothing'"),
            (["edit", "RUN", "--attr", "Smiling", "--strength", "lots"], 2, "--strength takes different numbers"),
            (["edit", "RUN/generator", "--attr", "Smiling"], 2, "does not say what the generator learnt from"),
        ],
    )
    def test_bad_input_gets_one_clear_line(
        self,
        words: list[str],
        code: int,
        said: str,
        run: Path,
        photo: Path,
        photos: FaceDataset,
        unsteerable: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
        Image.new("RGB", (40, 40), "grey").save(tmp_path / "flat.png")
        Image.fromarray(np.concatenate(photos.images[:2], axis=1)).save(tmp_path / "two.png")
        (tmp_path / "huge.png").write_bytes(header_of_png(10_000, 10_001))
        places = {word: tmp_path / f"{word.lower()}.png" for word in ("DOT", "FLAT", "TWO", "HUGE")}
        places |= {"PHOTO": photo, "RUN": run, "OTHER": unsteerable}
        filled = [str(places.get(word, word)).replace("RUN/", f"{run}/") for word in words]
        assert main([*filled, "--out", str(tmp_path / "out")]) == code
        lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
        assert len(lines) == 1
        assert said in lines[0]
        assert not (tmp_path / "out").exists()

    def test_names_of_photos_are_kept_apart(self, photo: Path, photos: FaceDataset, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        Image.fromarray(photos.images[1]).save(tmp_path / "other" / "ada.png")
        loaded = load_photos([photo, tmp_path / "other" / "ada.png"], 16)
        assert loaded.names.tolist() == ["ada-0.png", "ada-1.png"]

    def test_a_photo_of_any_kind_is_aligned_first(self, tmp_path: Path) -> None:
        drawn = Image.fromarray(np.asarray(load_toyfaces(10, 96, seed=3).images)[2])
        photo = Image.new("RGB", (300, 220), "grey")
        photo.paste(drawn.rotate(20, fillcolor="grey"), (150, 60))
        photo.save(tmp_path / "photo.png")
        found = load_photos([tmp_path / "photo.png"], 32, like="celeba")
        wanted = augface.align(tmp_path / "photo.png", size=32)
        assert np.array_equal(np.asarray(found.images), wanted.images)
        Image.new("RGB", (300, 220), "grey").save(tmp_path / "empty.png")
        with pytest.raises(DataError, match=r"photo .*empty\.png cannot be used: .*[Nn]o face"):
            load_photos([tmp_path / "empty.png"], 32, like="celeba")

    def test_a_source_column_survives(self, photos: FaceDataset, tmp_path: Path) -> None:
        write_steered(tmp_path / "out", photos, [{}] * 3, of_photo=[False, True, False])
        factors = load_data(tmp_path / "out", size=16).factors
        assert factors is not None
        assert factors["source"].tolist() == ["synthetic", "photo-based", "synthetic"]
