"""Reports on failures that were planted, so that a reader sees what each alarm looks like.

    python experiments/gallery.py --out runs/gallery --pictures docs/images

The faces are ToyFaces. Other people of the same population play the generator, perfect but for what is planted.
`--pictures` also takes a picture of each report's first screen and of its evidence (needs playwright and chromium).
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

import augface
from augface.arrays import Pixels
from augface.data.dataset import FaceDataset, concatenate
from augface.data.toyfaces import load_toyfaces
from augface.files import atomic_write
from augface.report import render_comparison
from augface.results import Evaluation
from augface.results.comparison import compare
from augface.seeds import random_generator

ATTRIBUTE = "Narrow_Eyes"
POSITIVES = 50
"""Training faces that show it; there are too few to learn it well from."""
FACES = 4_000
COPIED = 0.05
DISOBEDIENT = 0.3
DIFFERENT = 100
"""Faces that a collapsed generator makes again and again."""


@dataclass(frozen=True)
class Case:
    """What is planted, and what a reader should see."""

    name: str
    title: str
    plant: Callable[[FaceDataset, int, FaceDataset, np.random.Generator], FaceDataset]
    """Makes so many faces of a pool; may look at the training faces."""
    evidence: str
    """The part of the report to look at, as a selector."""


def nothing(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    return pool.select(slice(0, count))


def copies(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    copied = train.select(np.sort(random.choice(len(train), round(COPIED * count), replace=False)))
    mirrored = changed(copied, np.asarray(copied.images)[:, :, ::-1])
    return concatenate([mirrored, pool.select(slice(len(mirrored), count))], spec=pool.source.spec)


def no_hats(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    return pool.select(np.flatnonzero(~pool.matching({"Wearing_Hat": True}))[:count])


def few_faces(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    rows = random.choice(DIFFERENT, count)
    light = random.integers(-12, 13, (count, 1, 1, 1))
    images = (np.asarray(pool.images)[rows] + light).clip(0, 255).astype(np.uint8)
    return changed(pool.select(rows), images)


def blurred(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    made, blur = pool.select(slice(0, count)), ImageFilter.GaussianBlur(1.2)
    images = [np.asarray(Image.fromarray(image).filter(blur)) for image in np.asarray(made.images)]
    return changed(made, np.stack(images))


def disobedient(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    return relabelled(pool.select(slice(0, count)), "Smiling", random.random(count) < DISOBEDIENT)


def wrong_labels(pool: FaceDataset, count: int, train: FaceDataset, random: np.random.Generator) -> FaceDataset:
    return relabelled(pool.select(slice(0, count)), ATTRIBUTE, np.ones(count, dtype=np.bool_))


FIGURE = "figure:has-text('{}')"
CASES = (
    Case("nothing", "Nothing is planted", nothing, "#scorecard .scroll"),
    Case("copies", "5 % are training faces, mirrored", copies, f"#memorisation {FIGURE.format('suspicious')}"),
    Case("missing", "Nobody wears a hat", no_hats, f"#modes {FIGURE.format('too seldom')}"),
    Case("collapse", "A few faces, again and again", few_faces, f"#modes {FIGURE.format('most alike')}"),
    Case("blur", "Every face is blurred", blurred, "#scorecard .scroll"),
    Case("disobedient", "30 % smile against their label", disobedient, f"#adherence {FIGURE.format('group by group')}"),
    Case("labels", "Narrow eyes are labelled the wrong way", wrong_labels, f"#downstream {FIGURE.format('Arms')}"),
)


def changed(faces: FaceDataset, images: Pixels) -> FaceDataset:
    """The same faces with other pixels."""
    return FaceDataset.from_arrays(images, faces.attributes.reset_index(drop=True), spec=faces.source.spec)


def relabelled(faces: FaceDataset, attribute: str, rows: npt.NDArray[np.bool_]) -> FaceDataset:
    """The same faces with one label turned round in some rows."""
    labels = faces.attributes.reset_index(drop=True)
    labels[attribute] = labels[attribute] ^ rows
    return FaceDataset.from_arrays(np.asarray(faces.images), labels, spec=faces.source.spec)


def pool_of_others() -> FaceDataset:
    """One picture of each of many other people."""
    others = load_toyfaces(4 * FACES, seed=1)
    assert others.identity is not None
    _, rows = np.unique(others.identity, return_index=True)
    chosen = others.select(np.sort(rows))
    return FaceDataset.from_arrays(
        np.asarray(chosen.images), chosen.attributes.reset_index(drop=True), spec="other people"
    )


def scarce() -> FaceDataset:
    """Real faces of whom few in the train split show the attribute."""
    faces = load_toyfaces(FACES)
    shown = np.flatnonzero(faces.matching({ATTRIBUTE: True}) & (faces.split == "train"))
    removed = random_generator(0, "scarce").choice(shown, len(shown) - POSITIVES, replace=False)
    return faces.select(np.setdiff1d(np.arange(len(faces)), removed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, help="the folder for them")
    parser.add_argument("--only", help="the names of some cases, with commas")
    arguments = parser.parse_args()
    real = scarce()
    assert real.train is not None
    assert real.valid is not None
    pool = pool_of_others()
    runs: dict[str, Evaluation] = {}
    for case in CASES:
        if arguments.only and case.name not in arguments.only.split(","):
            continue
        planted = case.plant(pool, len(real.valid), real.train, random_generator(0, "gallery", case.name))
        found = augface.evaluate(real, planted, attr=ATTRIBUTE, spaces=["efficientnet"])
        title = f"Planted: {case.title[0].lower()}{case.title[1:]}"
        runs[case.title] = found.model_copy(update={"provenance": {**found.provenance, "title": title}})
        runs[case.title].to_html(arguments.out / f"{case.name}.html")
        print(f"{case.title}: {found.verdict.decision}: {found.verdict.reason}", flush=True)
    atomic_write(arguments.out / "comparison.html", render_comparison(compare(runs), runs))
    if arguments.pictures:
        photograph(arguments.out, arguments.pictures)


def photograph(reports: Path, pictures: Path) -> None:
    """The first screen of each report, and its evidence."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        for case in CASES:
            page.goto((reports.resolve() / f"{case.name}.html").as_uri())
            for name, selector in (("first", ".hero"), ("evidence", case.evidence)):
                picture = Image.open(io.BytesIO(page.locator(selector).first.screenshot()))
                picture.save(pictures / f"gallery-{case.name}-{name}.webp", quality=82, method=6)
        browser.close()


if __name__ == "__main__":
    main()
