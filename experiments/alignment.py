"""How well `augface.align` finds and crops faces: errors, refusals and time, on CelebA's aligned faces.

    python experiments/alignment.py celeba:DIR [celeba:DIR ...] [--faces 500]

The first data set's train split gives the template; faces of its test split, and of the other data sets, are
measured. CelebA's pictures are aligned already, so the crop that is found should be the one of `--crop celeba`: the
error is how far the nine points of a grid over the crop are moved, in pixels of 64. Then the same pictures are turned
by any angle, scaled by 0.7 to 3, and laid on other pictures; the error is against the crop that was turned with them.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_sample_images

from augface.alignment.aligned import FITTED, FaceRefused, align_photo
from augface.alignment.faces import find_faces
from augface.alignment.template import Template
from augface.alignment.warp import move
from augface.arrays import Floats64
from augface.data.crops import crop_box

SIZE = 64
GRID = np.array([[x, y] for x in (8.0, 32.0, 56.0) for y in (8.0, 32.0, 56.0)])


def pictures(folder: Path, partition: int, count: int) -> Iterator[Image.Image]:
    """CelebA's pictures of one partition, spread evenly over it."""
    rows = [line.split() for line in (folder / "list_eval_partition.txt").read_text().splitlines()]
    names = [name for name, value in rows if int(value) == partition]
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        for row in np.unique(np.linspace(0, len(names) - 1, count).astype(int)).tolist():
            yield Image.open(BytesIO(archive.read(f"img_align_celeba/{names[row]}"))).convert("RGB")


def true_transform(picture: Image.Image) -> Floats64:
    """From the crop `celeba` to the picture."""
    left, top, right, _ = crop_box("celeba", *picture.size)
    unit = (right - left) / SIZE
    return np.array([[unit, 0, left], [0, unit, top]])


def displaced(picture: Image.Image, rng: np.random.Generator, background: Image.Image) -> tuple[Image.Image, Floats64]:
    """The picture turned and scaled on another one, and the transform from the true crop to it."""
    angle, factor = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 3)
    side = int(max(picture.size) * factor * rng.uniform(1.6, 3))
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = side / 2 - turn @ (np.array(picture.size) / 2) + rng.uniform(-0.1, 0.1, 2) * side
    whole = np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])
    inverse = tuple(np.linalg.inv(whole)[:2].ravel().tolist())
    canvas = background.resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.new("L", picture.size, 255).transform((side, side), Image.Transform.AFFINE, inverse)
    face = picture.transform((side, side), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC)
    canvas.paste(face, mask=mask)
    return canvas, (whole @ np.vstack([true_transform(picture), [0, 0, 1]]))[:2]


def errors(found: Floats64, true: Floats64) -> Floats64:
    """How far the grid is moved, in pixels of the crop."""
    unit = np.hypot(true[0, 0], true[1, 0])
    moved: Floats64 = np.linalg.norm(move(found, GRID) - move(true, GRID), axis=1) / unit
    return moved


def report(name: str, cases: list[tuple[Image.Image, Floats64]], template: Template) -> None:
    moved, points, refusals = [], [], Counter[str]()
    started = time.process_time()
    for picture, true in cases:
        try:
            face = align_photo(picture, template, SIZE)
        except FaceRefused as refusal:
            refusals[str(refusal).split(":")[0]] += 1
            continue
        moved.append(errors(face.transform, true))
        expected = move(true, template.points[list(FITTED)] * SIZE)
        unit = np.hypot(true[0, 0], true[1, 0])
        points.append(np.linalg.norm(face.points[list(FITTED)] - expected, axis=1) / unit)
    seconds = (time.process_time() - started) / len(cases)
    crop, point = np.concatenate(moved), np.concatenate(points)
    print(
        f"| {name} | {len(cases):,} | {np.median(point):.2f} / {np.quantile(point, 0.95):.2f} | "
        f"{np.median(crop):.2f} / {np.quantile(crop, 0.95):.2f} | {len(moved) / len(cases):.1%} | "
        f"{', '.join(f'{reason} {count / len(cases):.1%}' for reason, count in refusals.most_common()) or '-'} | "
        f"{seconds * 1000:.0f} ms |",
        flush=True,
    )


def shuffled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The face's patches of a quarter of its side, in another order."""
    face = np.asarray(picture.resize((128, 128), box=crop_box("celeba", *picture.size)))
    patches = face.reshape(4, 32, 4, 32, 3).swapaxes(1, 2).reshape(16, 32, 32, 3)[rng.permutation(16)]
    return Image.fromarray(np.ascontiguousarray(patches.reshape(4, 4, 32, 32, 3).swapaxes(1, 2).reshape(128, 128, 3)))


def scenery(rng: np.random.Generator, photos: list[Image.Image]) -> Image.Image:
    """A random square of a photo without people."""
    photo = photos[rng.integers(len(photos))]
    side = int(rng.integers(48, min(photo.size)))
    left, top = (int(rng.integers(0, extent - side + 1)) for extent in photo.size)
    return photo.crop((left, top, left + side, top + side))


def coloured_noise(rng: np.random.Generator) -> Image.Image:
    """Noise with the spectrum of photographs."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(160), np.fft.fftfreq(160))) + 1e-2
    fields = [np.fft.ifft2(np.fft.fft2(rng.normal(size=(160, 160))) / frequency).real for _ in range(3)]
    scaled = [np.clip(128 + 50 * (field - field.mean()) / field.std(), 0, 255) for field in fields]
    return Image.fromarray(np.stack(scaled, axis=-1).astype(np.uint8))


def drawn_cat(rng: np.random.Generator) -> Image.Image:
    """A cat, as a child would draw it."""
    image = Image.new("RGB", (200, 200), tuple(rng.integers(120, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    fur = tuple(rng.integers(20, 200, 3).tolist())
    x, y = rng.integers(-20, 20, 2).tolist()
    pen.polygon([(50 + x, 90 + y), (60 + x, 30 + y), (95 + x, 70 + y)], fill=fur)
    pen.polygon([(150 + x, 90 + y), (140 + x, 30 + y), (105 + x, 70 + y)], fill=fur)
    pen.ellipse((45 + x, 55 + y, 155 + x, 155 + y), fill=fur)
    for eye in (80, 120):
        pen.ellipse((eye - 11 + x, 88 + y, eye + 11 + x, 110 + y), fill="yellow")
        pen.ellipse((eye - 3 + x, 89 + y, eye + 3 + x, 109 + y), fill="black")
    pen.polygon([(95 + x, 118 + y), (105 + x, 118 + y), (100 + x, 125 + y)], fill="pink")
    for side in (-1, 1):
        pen.arc((100 + 8 * side - 8 + x, 118 + y, 100 + 8 * side + 8 + x, 134 + y), 20, 160, fill="black", width=2)
        for row in (-6, 2, 10):
            pen.line((100 + 15 * side + x, 126 + y, 100 + 70 * side + x, 126 + 2 * row + y), fill="white")
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2))))


def refused(name: str, images: list[Image.Image]) -> None:
    scores = [faces[0].score for image in images if (faces := find_faces(image))]
    print(
        f"| {name} | {len(images):,} | {1 - len(scores) / len(images):.1%} | {max(scores, default=0):.2f} |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="CelebA folders, as celeba:DIR")
    parser.add_argument("--faces", type=int, default=500)
    options = parser.parse_args()
    folders = [Path(spec.removeprefix("celeba:")) for spec in options.data]
    rng = np.random.default_rng(0)

    found = []
    for picture in pictures(folders[0], 0, options.faces):
        crop = picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=crop_box("celeba", *picture.size))
        found += [face.points / SIZE for face in find_faces(crop)[:1]]
    template = Template(np.median(found, axis=0), "celeba")
    print(f"template, of {len(found):,} faces: {template.points.round(4).tolist()}\n")

    print("| faces | n | points, median / 95 % | crop, median / 95 % | aligned | refused | processor time |")
    print("|---|---|---|---|---|---|---|")
    for folder in folders:
        faces = list(pictures(folder, 2, options.faces))
        report(folder.name, [(face, true_transform(face)) for face in faces], template)
        backgrounds = rng.permutation(len(faces)).tolist()
        placed = [
            displaced(face, rng, faces[other].filter(ImageFilter.GaussianBlur(12)))
            for face, other in zip(faces, backgrounds, strict=True)
        ]
        report(f"{folder.name}, displaced", placed, template)

    measure_refusals(list(pictures(folders[0], 2, 200)))
    measure_time(next(pictures(folders[0], 2, 1)), template)


def measure_refusals(people: list[Image.Image]) -> None:
    rng = np.random.default_rng(1)
    photos = [Image.fromarray(image) for image in load_sample_images().images]
    print("\n| no faces | n | refused | highest score |\n|---|---|---|---|", flush=True)
    refused("faces with their patches shuffled", [shuffled(face, rng) for face in people])
    refused("squares of photos without people", [scenery(rng, photos) for _ in range(200)])
    refused("noise with the spectrum of photos", [coloured_noise(rng) for _ in range(100)])
    refused("drawn cats", [drawn_cat(rng) for _ in range(100)])


def measure_time(face: Image.Image, template: Template) -> None:
    """Seconds for 12 megapixels, decoded, with a face of a quarter of its width, of a twentieth, and without."""
    empty = Image.fromarray(load_sample_images().images[0]).resize((4000, 3000))
    print(f"\n12 megapixels, {torch.get_num_threads()} threads", flush=True)
    for name, width in (("large face", 1000), ("small face", 300), ("no face", 0)):
        photo = empty.copy()
        if width:
            photo.paste(face.resize((width, round(width * face.height / face.width))), (1500, 800))
        took = []
        for _ in range(5):
            started = time.perf_counter(), time.process_time()
            with contextlib.suppress(FaceRefused):
                align_photo(photo, template, SIZE)
            took.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        wall, processor = np.min(took, axis=0)
        print(f"{name}: {wall:.2f} s, processor {processor:.2f} s", flush=True)


if __name__ == "__main__":
    main()
