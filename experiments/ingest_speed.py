"""How fast images enter the cache, beside a plain Pillow loop, and how much memory 200,000 of them take.

    python experiments/ingest_speed.py CELEBA_DIR [--made 200000]

Prints a Markdown table. Everything that it writes goes to a temporary folder, which is deleted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 64
LOAD = """
import json, resource, sys, time
from augface.data import load_data
start = time.perf_counter()
data = load_data(sys.argv[1], size=int(sys.argv[2]), workers=int(sys.argv[3]) or None)
seconds = time.perf_counter() - start
print(json.dumps([len(data), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def plain_loop(archive_path: Path) -> tuple[int, float]:
    """What everybody writes: open, convert, crop, resize, one after another."""
    start = time.perf_counter()
    with zipfile.ZipFile(archive_path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        faces = np.empty((len(names), SIZE, SIZE, 3), dtype=np.uint8)
        for row, name in enumerate(names):
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB").crop((6, 19, 83, 96))
            faces[row] = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return len(names), time.perf_counter() - start


def ingest(spec: Path, cache: Path, workers: int = 0) -> tuple[int, float, float]:
    """Images, seconds and peak bytes of `load_data` in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", LOAD, str(spec), str(SIZE), str(workers)],
        env={**os.environ, "AUGFACE_CACHE": str(cache)},
        check=True,
        stdout=subprocess.PIPE,
    )
    count, seconds, peak = json.loads(result.stdout)
    return int(count), float(seconds), float(peak)


def make_celeba(folder: Path, count: int) -> None:
    """A CelebA of made pictures, half size, 40 attributes, in one zip; 64 different pictures under many names."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(64):
        buffer = io.BytesIO()
        rough = Image.fromarray(random.integers(0, 256, (14, 11, 3), dtype=np.uint8))
        rough.resize((89, 109), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    names = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"img_align_celeba/{name}", pictures[number % 64])
    rows = [" ".join(row) for row in np.where(random.random((1024, 40)) < 0.3, "1", "-1")]
    attributes = " ".join(f"Attribute_{number}" for number in range(40))
    labels = "".join(f"{name} {rows[number % 1024]}\n" for number, name in enumerate(names))
    (folder / "list_attr_celeba.txt").write_text(f"{count}\n{attributes}\n{labels}")
    (folder / "identity_CelebA.txt").write_text("".join(f"{name} {n // 20}\n" for n, name in enumerate(names)))
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} {n % 3}\n" for n, name in enumerate(names)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("celeba", type=Path, help="a CelebA folder with img_align_celeba.zip")
    parser.add_argument("--made", type=int, default=200_000, help="how many made images the memory is measured on")
    options = parser.parse_args()
    rows: list[tuple[str, int, float, float | None]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        count, seconds = plain_loop(options.celeba / "img_align_celeba.zip")
        rows.append(("plain Pillow loop", count, seconds, None))
        rows.append(("load_data, 1 worker", *ingest(options.celeba, folder / "cache 1", workers=1)))
        rows.append(("load_data", *ingest(options.celeba, folder / "cache")))
        rows.append(("load_data, second start", *ingest(options.celeba, folder / "cache")))
        (folder / "made").mkdir()
        make_celeba(folder / "made", options.made)
        rows.append(("load_data, made images", *ingest(folder / "made", folder / "cache")))
        rows.append(("load_data, made images, second start", *ingest(folder / "made", folder / "cache")))
    print("| what | images | seconds | images/s | peak memory, MB |")
    print("|---|---|---|---|---|")
    for name, count, seconds, peak in rows:
        memory = "" if peak is None else f"{peak / 1e6:,.0f}"
        print(f"| {name} | {count:,} | {seconds:.1f} | {count / seconds:,.0f} | {memory} |")


if __name__ == "__main__":
    main()
