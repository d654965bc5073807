"""From folders to a study: pictures that nothing but the face tells apart, and what cannot be a study is said."""

from __future__ import annotations

import io
import json
import logging
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from study_example import quick_power, small_study, write_faces

from augface.errors import DataError, OutputError, UsageError
from augface.study.design import Plan, Schedule
from augface.study.folder import IMAGES, KEY, PLAN, Study
from augface.study.images import distorted, encode, mask
from augface.study.planning import Settings, describe, plan_study, write_study

SMALL = Settings(faces=16, trials=8, raters=6, tasks=("untimed",))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_power(monkeypatch)


def test_all_pictures_are_encoded_alike_and_carry_nothing(tmp_path: Path) -> None:
    real = write_faces(tmp_path / "real", 24, seed=0, size=(60, 48), suffix="jpg")
    fake = write_faces(tmp_path / "fake", 16, seed=1, size=32)
    marked = Image.open(real / "000.jpg")
    exif = Image.Exif()
    exif[0x010E] = "this one is real"
    marked.save(real / "000.jpg", exif=exif, comment=b"real", icc_profile=b"x" * 200)
    study = write_study(plan_study(str(real), [str(fake)], SMALL), tmp_path / "study")
    headers, lengths = set(), set()
    for path in sorted((study.folder / IMAGES).iterdir()):
        with Image.open(path) as picture:
            assert (picture.size, picture.mode, picture.format) == ((32, 32), "RGB", "JPEG")
            assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            headers.add(json.dumps(picture.quantization))  # type: ignore[attr-defined]
        assert b"real" not in path.read_bytes()
        lengths.add(path.stat().st_size)
    assert len(headers) == 1
    assert len(lengths) == 1


def test_sizes_that_differ_are_said_and_brought_to_the_smaller_one(tmp_path: Path) -> None:
    real, fake = write_faces(tmp_path / "real", 24, seed=0, size=(60, 48)), write_faces(tmp_path / "fake", 16, seed=1)
    plan = plan_study(str(real), [str(fake)], SMALL).plan
    assert plan.size == 32
    (warning,) = plan.warnings
    assert "real 60 x 48, fake 32 x 32" in warning
    assert "give them away" in warning
    larger = plan_study(
        str(real), [str(fake)], Settings(faces=16, trials=8, raters=6, tasks=("untimed",), size=40)
    ).plan
    assert "enlarged" in larger.warnings[1]


def test_what_looks_like_celeba_is_known_to_be(tmp_path: Path) -> None:
    real = write_faces(tmp_path / "real", 24, seed=0, size=(89, 109))
    fake = write_faces(tmp_path / "fake", 16, seed=1, size=89)
    plan = plan_study(str(real), [str(fake)], SMALL).plan
    assert plan.terms == "celeba"
    assert any("not to be passed on" in warning for warning in plan.warnings)


def test_what_cannot_be_read_or_comes_twice_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    real, fake = write_faces(tmp_path / "real", 26, seed=0), write_faces(tmp_path / "fake", 16, seed=1)
    (real / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (real / "again.png").write_bytes((real / "003.png").read_bytes())
    Image.new("RGB", (8, 8)).save(real / "tiny.png")
    caplog.set_level(logging.WARNING, logger="augface")
    plan = plan_study(str(real), [str(fake)], SMALL).plan
    kept = [one.source for one in plan.pictures if one.kind == 0 and one.role != "distorted"]
    assert not {"broken.png", "tiny.png"} & set(kept)
    assert len({"003.png", "again.png"} & set(kept)) <= 1


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (24, 3, "fake has 3 usable faces; a study needs 12"),
        (3, 16, "real has 3 usable faces"),
        (24, 0, "holds no images"),
    ],
)
def test_too_few_faces_are_refused(real: int, fake: int, said: str, tmp_path: Path) -> None:
    write_faces(tmp_path / "real", real, seed=0)
    write_faces(tmp_path / "fake", fake, seed=1)
    with pytest.raises(DataError, match=said):
        plan_study(str(tmp_path / "real"), [str(tmp_path / "fake")], SMALL)


def test_the_same_faces_on_both_sides_are_refused(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces", 24, seed=0)
    with pytest.raises(DataError, match="the same as others"):
        plan_study(str(faces), [str(faces)], SMALL)


def test_no_generator_and_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="generated faces"):
        plan_study("toy", [])
    for wrong in ({"raters": 1}, {"trials": 3}, {"faces": 5}, {"margin": 0.5}, {"size": 5}, {"tasks": ()}):
        with pytest.raises(UsageError):
            Settings(**wrong)


def test_few_real_faces_mean_fewer_trials(tmp_path: Path) -> None:
    real = write_faces(tmp_path / "real", 22, seed=0)
    fakes = [str(write_faces(tmp_path / f"fake{number}", 16, seed=number)) for number in (1, 2)]
    plan = plan_study(str(real), fakes, Settings(faces=16, trials=12, raters=6, tasks=("untimed",))).plan
    assert plan.trials == 9  # of 18 real faces that are left for two generators
    assert Schedule(plan).trials(0)


def test_faces_of_a_generator_and_toy_faces_can_be_used(tmp_path: Path) -> None:
    from augface.data import load_data
    from augface.generators import create_generator

    generator = create_generator("resample")
    toy = load_data("toy:60", size=24)
    generator.fit(toy.select(toy.split == "train"))
    generator.save(tmp_path / "generator")
    planned = plan_study("toy:200", [str(tmp_path / "generator")], SMALL)
    assert planned.plan.size == 24
    assert not planned.plan.kinds[0].people
    assert planned.plan.generators == ("generator",)


def test_generators_of_one_name_are_numbered(tmp_path: Path) -> None:
    real = write_faces(tmp_path / "real", 60, seed=0)
    fakes = [write_faces(tmp_path / str(number) / "fake", 16, seed=number) for number in (1, 2)]
    assert plan_study(str(real), list(map(str, fakes)), SMALL).plan.generators == ("fake", "fake 2")


def test_a_study_is_written_whole_and_opens_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch)
    again = Study.open(study.folder)
    assert again.plan == study.plan
    assert stat.S_IMODE((study.folder / KEY).stat().st_mode) == 0o600
    other = plan_study(str(tmp_path / "real"), [str(tmp_path / "fake1")], SMALL)
    with pytest.raises(OutputError, match="not empty"):
        write_study(other, study.folder)
    assert Study.open(study.folder).plan == study.plan
    (study.folder / IMAGES / "00003.jpg").unlink()
    with pytest.raises(DataError, match="gone"):
        Study.open(study.folder)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    planned = plan_study(
        str(write_faces(tmp_path / "real", 24, seed=0)), [str(write_faces(tmp_path / "fake", 16, seed=1))], SMALL
    )

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_study(planned, tmp_path / "study")
    monkeypatch.undo()
    assert not (tmp_path / "study" / PLAN).exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [None, "[]", "{", '{"format": 2}', '{"format": 1}'])
def test_what_is_no_study_is_not_opened(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / PLAN).write_text(content)
    with pytest.raises(DataError):
        Study.open(tmp_path)


def test_translations_may_change_words_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, tasks=("untimed",))
    texts = study.folder / "texts.json"
    texts.write_text(json.dumps({"pause": "Pause machen", "language": "de"}))
    assert Study.open(study.folder).texts["pause"] == "Pause machen"
    assert Study.open(study.folder).texts["go_on"] == "Go on"
    for broken in ('{"pauze": "x"}', '{"pause": 3}', "[", "[]"):
        texts.write_text(broken)
        with pytest.raises(DataError):
            _ = Study.open(study.folder).texts


def test_the_description_says_what_matters_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch)
    text = "\n".join(describe(study.plan, study.schedule))
    for said in ("16 real ones", "fake1", "minutes", "6 raters", "untimed", "flash", "pairs", "rating"):
        assert said in text
    ratings = Plan.model_validate(
        study.plan.model_dump() | {"tasks": ("rating",), "power": {"rating": {"points": 0.3}}}
    )
    text = "\n".join(describe(ratings, Schedule(ratings)))
    assert "0.30 points" in text
    assert "cannot say whether people can distinguish" in text


# Pictures


def test_distorteds_look_unlike_the_face_and_masks_hold_pieces_of_all() -> None:
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    changed = distorted(faces[0])
    assert changed.shape == faces[0].shape
    assert np.abs(changed.astype(int) - faces[0]).mean() > 20
    flat = np.stack([np.full((64, 64, 3), value, dtype=np.uint8) for value in (10, 200)])
    covered = mask(flat, random)
    assert covered.shape == (64, 64, 3)
    assert set(np.unique(covered)) == {10, 200}
    assert (mask(faces, np.random.default_rng(1)) == mask(faces, np.random.default_rng(1))).all()
    with Image.open(io.BytesIO(encode(faces[0]))) as picture:
        assert picture.size == (64, 64)
