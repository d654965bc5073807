"""`augface align` on drawn faces; how good it is on real ones experiments/alignment.py measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

import augface
from augface.alignment import networks
from augface.alignment.aligned import FaceRefused, align_all, align_photo, align_points
from augface.alignment.faces import Face, find_faces
from augface.alignment.like import FILE, template_like
from augface.alignment.template import CELEBA, Template
from augface.alignment.warp import crop, fit_similarity, move, scale
from augface.arrays import Floats64
from augface.cli import main
from augface.data.export.png import TYPES, encode_png, marked_source
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UsageError

SIDE = 128


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    """Two drawn faces that fill their pictures."""
    return [Image.fromarray(image) for image in load_toyfaces(10, SIDE).images[:2]]


@pytest.fixture(scope="module")
def photo(faces: list[Image.Image]) -> Image.Image:
    """A photo of one face in 400 x 300 pixels, its picture from 150, 80 on."""
    canvas = Image.new("RGB", (400, 300), (120, 140, 110))
    canvas.paste(faces[0], (150, 80))
    return canvas


@pytest.fixture(scope="module")
def expected(faces: list[Image.Image]) -> Floats64:
    """Where the points of the face in the photo are."""
    points: Floats64 = find_faces(faces[0])[0].points + np.array([150.0, 80.0])
    return points


def test_the_networks_give_what_mediapipe_gives() -> None:
    """Reference values by OpenVINO of MediaPipe's own files: `experiments/alignment_weights.py` prints them."""
    detector, mesh = networks.networks()
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.random((1, 128, 128, 3)).astype(np.float32)).permute(0, 3, 1, 2)
    logits, pairs = detector(pixels * 2 - 1)
    assert logits.shape == (1, 896)
    assert pairs.shape == (1, 896, 8, 2)
    pixels = torch.from_numpy(random.random((1, 192, 192, 3)).astype(np.float32)).permute(0, 3, 1, 2)
    presence, landmarks = mesh(pixels)
    assert logits[0, :3].tolist() == pytest.approx([-4.113263, -3.6200469, -3.9241786], abs=1e-4)
    assert pairs[0, :2, 1].flatten().tolist() == pytest.approx([25.693203, 25.69286, 36.891903, 36.891685], abs=1e-3)
    assert presence.item() == pytest.approx(-10.040121, abs=1e-4)
    assert landmarks[0, 0].tolist() == pytest.approx([102.93574, 120.13658, -12.975818], abs=1e-3)
    assert landmarks[0, 1].tolist() == pytest.approx([106.29322, 104.82949, -26.97892], abs=1e-3)


def test_weights_that_were_changed_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "weights.safetensors"
    changed.write_bytes(networks.WEIGHTS.read_bytes()[:-1] + b"\1")
    monkeypatch.setattr(networks, "WEIGHTS", changed)
    with pytest.raises(DataError, match="missing or changed"):
        networks.networks.__wrapped__()


def test_a_similarity_is_found_from_its_points() -> None:
    transform = np.array([[0.6, -0.8, 5.0], [0.8, 0.6, -2.0]]) * 3
    points = np.random.default_rng(0).normal(size=(5, 2))
    assert np.allclose(fit_similarity(points, move(transform, points)), transform)
    assert scale(transform) == pytest.approx(3)


def test_a_crop_shows_the_photo_without_aliasing_and_reflects_it() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    reduced = crop(Image.fromarray(stripes), np.array([[5.0, 0, 20], [0, 5.0, 20]]), 64)
    assert abs(reduced.astype(int) - 128).max() < 12
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    shown = crop(Image.fromarray(ramp), np.array([[1.0, 0, -20], [0, 1.0, 0]]), 60)
    assert shown[30, :, 0].tolist() == [abs(x - 20) - (x < 20) for x in range(60)]
    turned = crop(Image.fromarray(ramp), np.array([[0.0, 1.0, 20], [-1.0, 0.0, 80]]), 60)
    assert turned[:, 30, 0].tolist() == list(range(20, 80))


@pytest.mark.parametrize("turns", range(4))
def test_a_face_is_found_however_the_photo_is_turned(photo: Image.Image, expected: Floats64, turns: int) -> None:
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(photo), turns)))
    upright, face = align_photo(photo), align_photo(turned)
    assert np.abs(upright.points - expected).max() < 4
    assert abs(face.pixels.astype(int) - upright.pixels).mean() < 6
    lifted = move(fit_similarity(CELEBA.points * 64, expected), np.array([[32.0, 32.0]]))
    assert np.linalg.norm(move(upright.transform, np.array([[32.0, 32.0]])) - lifted) < 4


def test_the_largest_face_is_taken_and_the_others_are_told_of(faces: list[Image.Image]) -> None:
    canvas = Image.new("RGB", (500, 300), (120, 140, 110))
    canvas.paste(faces[1].resize((90, 90)), (30, 150))
    canvas.paste(faces[0].resize((180, 180)), (250, 60))
    face = align_photo(canvas)
    assert face.points[:, 0].min() > 250
    both = align_all(canvas, size=32)
    assert [each.points[2, 0] > 250 for each in both] == [True, False]
    assert both[0].pixels.shape == (32, 32, 3)


def cat() -> Image.Image:
    image = Image.new("RGB", (200, 200), "beige")
    pen = ImageDraw.Draw(image)
    for left in (50, 115):
        pen.polygon([(left, 90), (left + 15, 30), (left + 40, 70)], fill="saddlebrown")
    pen.ellipse((45, 55, 155, 155), fill="saddlebrown")
    for eye in (80, 120):
        pen.ellipse((eye - 10, 88, eye + 10, 108), fill="yellow")
        pen.ellipse((eye - 2, 89, eye + 2, 107), fill="black")
    pen.polygon([(95, 118), (105, 118), (100, 125)], fill="pink")
    return image


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [cat(), noise(), Image.new("RGB", (1, 1)), Image.new("RGB", (3000, 1))],
    ids=["cat", "noise", "1x1", "line"],
)
def test_what_is_no_face_is_refused(image: Image.Image) -> None:
    with pytest.raises(FaceRefused, match="no face is found"):
        align_photo(image)


def test_faces_that_cannot_be_used_are_refused(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FaceRefused, match=r"too small: its crop has 1\d\d pixels a side, less than half of 512"):
        align_photo(photo, size=512)
    (face,) = find_faces(photo)
    turned = face.landmarks.copy()
    turned[:, 2] = 2 * (turned[:, 0] - turned[:, 0].mean())
    monkeypatch.setattr("augface.alignment.aligned.find_faces", lambda *_, **__: [Face(turned, 1.0)])
    with pytest.raises(FaceRefused, match="in profile: turned by 6"):
        align_photo(photo)


def test_points_are_taken_by_hand(photo: Image.Image, expected: Floats64) -> None:
    template = Template(CELEBA.points, "test")
    face = align_points(photo, expected.ravel().tolist(), template)
    assert np.array_equal(face.points, expected)
    assert abs(face.pixels.astype(int) - align_photo(photo, template).pixels).mean() < 8
    with pytest.raises(FaceRefused, match="cut off"):
        align_points(photo, (expected - [235, 0]).ravel().tolist(), template)
    with pytest.raises(UsageError, match="ten numbers"):
        align_points(photo, [1, 2, 3], template)
    with pytest.raises(UsageError, match="less than a pixel apart"):
        align_points(photo, [5.0] * 10, template)


def test_the_template_of_a_run_is_that_of_its_training_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(DataError, match="neither `celeba` nor the folder of a run"):
        template_like(run)
    (run / "config.toml").write_text('data = "toy:16"\nsize = 64\n')
    monkeypatch.setattr("augface.alignment.like.LOOKED_AT", 8)
    template = template_like(run)
    assert np.abs(template.points - CELEBA.points).max() < 0.08
    monkeypatch.setattr("augface.alignment.like.load_data", None)  # it is not made again
    assert np.array_equal(template_like(run).points, template.points)
    (run / FILE).write_text('{"points": [[0, 1]]}')
    with pytest.raises(DataError, match="damaged"):
        template_like(run)
    with pytest.raises(DataError, match="0 of 3 faces"):
        template_like(augface.FaceDataset.from_arrays(np.full((3, 32, 32, 3), 99, np.uint8)))


@pytest.mark.parametrize("source", [*TYPES, "real", "resampled"])
def test_a_mark_survives_the_way_through_a_file(source: str, photo: Image.Image) -> None:
    written = encode_png(np.asarray(photo), {}, source=source)
    expected = {"edited": "photo-based", "resampled": "real"}  # a photo that a model changed is marked as such
    assert marked_source(written) == expected.get(source, source)
    assert marked_source("it cannot be read") == "real"


def test_the_command_writes_faces_and_refuses_the_rest(
    photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "faces"
    (folder / "more").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif, quality=95)
    photo.save(folder / "more" / "turned.png")
    (folder / "generated.png").write_bytes(encode_png(np.asarray(photo), {}, source="synthetic"))
    cat().save(folder / "cat.png")
    (folder / "broken.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:3000])
    assert main(["align", str(folder), str(tmp_path / "none.png"), "--out", str(out), "--size", "32"]) == 3
    said = capsys.readouterr().out
    assert "3 faces of 6 photos" in said
    for line in (
        r"cat.png  +refused: no face is found",
        r"broken.jpg  +refused: broken",
        r"none.png  +refused: No such",
    ):
        assert pd.Series([said]).str.contains(line).all(), line
    table = pd.read_csv(out / "metadata.csv")
    assert sorted(table["file_name"]) == ["generated.png", "turned (2).png", "turned.png"]
    assert {path.name for path in out.iterdir()} == {*table["file_name"], "metadata.csv"}
    with Image.open(out / "turned.png") as face:
        assert face.size == (32, 32)
        assert json.loads(face.info["augface"])["photo"] == "turned.png"
        assert "XML:com.adobe.xmp" not in face.info
    with Image.open(out / "generated.png") as face:
        assert "trainedAlgorithmicMedia" in face.info["XML:com.adobe.xmp"]
    first, second = (np.asarray(Image.open(out / name), dtype=int) for name in ("turned.png", "turned (2).png"))
    assert abs(first - second).mean() < 4
    assert augface.load_data(out, size=32).images.shape == (3, 32, 32, 3)


def test_the_command_refuses_in_one_line(
    photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = str(tmp_path / "photo.png"), str(tmp_path / "out")
    photo.save(place)
    cat().save(tmp_path / "cat.png")
    huge = tmp_path / "huge.png"
    Image.new("1", (10_001, 10_000)).save(huge)
    for words, code, text in [
        ([], 2, "Say which photos"),
        ([place, "--points", "1,2,x"], 2, "--points takes ten numbers"),
        ([place, "--points", "1,2"], 2, "ten numbers, x and y of five points, not 2"),
        ([place, "--points", "1,2", "--all"], 2, "leave one out"),
        ([place, "--like", str(tmp_path)], 3, "neither `celeba` nor the folder of a run"),
        ([place, "--size", "4"], 2, "from 8 to 1024"),
        ([str(tmp_path / "cat.png")], 3, "cat.png: no face is found."),
        ([str(huge)], 3, "more than 100 million"),
    ]:
        assert main(["align", *words, "--out", out]) == code
        error = capsys.readouterr().err
        assert text in error
        assert error.count("\n") == 1
        assert not Path(out).exists()


def test_the_function_takes_paths_and_images(photo: Image.Image, expected: Floats64, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_bytes(b"")
    result = augface.align([tmp_path / "photo.png", tmp_path / "broken.png", photo, cat()], size=48)
    assert result.images.shape == (2, 48, 48, 3)
    assert np.array_equal(result.images[0], result.images[1])
    assert result.names == [str(tmp_path / "photo.png"), "photo 2"]
    assert result.refused == {str(tmp_path / "broken.png"): "empty file", "photo 3": "no face is found"}
    with pytest.raises(UsageError, match="more than one photo"):
        augface.align([photo, photo], points=expected.ravel().tolist())


def test_data_are_loaded_from_photos(photo: Image.Image, tmp_path: Path) -> None:
    for number in range(3):
        photo.rotate(40 * number, resample=Image.Resampling.BICUBIC, expand=True).save(tmp_path / f"{number}.png")
    cat().save(tmp_path / "cat.png")
    data = augface.load_data(tmp_path, size=32, align=True)
    assert data.names.tolist() == ["0.png", "1.png", "2.png"]
    assert data.source.crop == "celeba"
    assert np.array_equal(data.images[0], align_photo(photo, size=32).pixels)
    for number in (1, 2):
        assert abs(data.images[number].astype(int) - data.images[0]).mean() < 10
    other = Template(CELEBA.points * 0.5 + 0.25, "others")
    wider = augface.load_data(tmp_path, size=32, align=other)
    assert wider.source.crop == "like others"
    assert not np.array_equal(wider.images[0], data.images[0])
    with pytest.raises(UsageError, match="leave crop out"):
        augface.load_data(tmp_path, align=True, crop="centre")
