"""How much memory it takes to read tables with images: whether it grows with the number of images in them.

    OMP_NUM_THREADS=1 python experiments/table_memory.py

Tables of 5,000 and of 20,000 JPEG files of about 10 kB lie in four files each: Parquet in row groups of 100, of 1,000
and of 5,000 images, and Arrow as `save_to_disk` of Hugging Face writes it. A process of its own reads each into an
empty cache with one thread, and prints its peak (`resource.getrusage`), beyond that of one which reads a table of 100
images, and its processor time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

COUNTS = (5_000, 20_000)
FILES = 4
DISTINCT = 50


def main() -> int:
    if sys.argv[1:]:
        work, *given = sys.argv[1:]
        print(*(write(*given) if work == "write" else read(*given)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run("write", str(place / "small"), 100, 25)
        base, _ = run("read", str(place / "small"))
        print(f"{'images':>8} {'MB of images':>13} {'row group':>10} {'MB beyond 100 images':>21} {'processor s':>12}")
        for rows in (100, 1_000, 5_000, 0):
            for count in COUNTS:
                table = place / f"{count}-{rows}"
                (size,) = run("write", str(table), count, rows)
                peak, seconds = run("read", str(table))
                name = f"{min(rows, count // FILES):,}" if rows else "Arrow"
                print(f"{count:>8,} {size / 1e6:>13.0f} {name:>10} {peak - base:>21.0f} {seconds:>12.1f}", flush=True)
    return 0


def run(*words: str | int) -> list[float]:
    """What a process of its own prints. This one stays small: what it takes would count for each that it starts."""
    command = [sys.executable, __file__, *map(str, words)]
    environment = {**os.environ, "AUGFACE_CACHE": f"{words[1]}-cache"}
    return [float(number) for number in subprocess.check_output(command, env=environment, text=True).split()]


def write(place: str, images_in_all: str, row_group: str) -> tuple[int]:
    """A table of so many images in several files, in row groups of so many rows or as Arrow where 0; its bytes."""
    import numpy as np
    import pyarrow as arrow
    import pyarrow.parquet as parquet
    from PIL import Image

    folder, count, rows = Path(place), int(images_in_all), int(row_group)
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    random = np.random.default_rng(0)
    files = []
    for _ in range(DISTINCT):
        stream = BytesIO()
        Image.fromarray(random.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(stream, "jpeg", quality=85)
        files.append(stream.getvalue())
    folder.mkdir()
    names, size = [], 0
    for part in range(FILES):
        numbers = range(part * count // FILES, (part + 1) * count // FILES)
        # what follows the end of a JPEG file is not read, and makes each a file of its own
        images = [{"bytes": files[n % DISTINCT] + n.to_bytes(8, "big"), "path": f"{n:06d}.jpg"} for n in numbers]
        size += sum(len(image["bytes"]) for image in images)
        table = arrow.table({"image": arrow.array(images, kind), "Male": arrow.array([n % 2 for n in numbers])})
        if rows:
            parquet.write_table(table, folder / f"part-{part}.parquet", row_group_size=rows)
            continue
        names.append(f"data-{part:05d}-of-{FILES:05d}.arrow")
        with arrow.ipc.new_stream(str(folder / names[-1]), table.schema) as writer:
            writer.write_table(table, max_chunksize=1_000)
    if names:
        (folder / "dataset_info.json").write_text("{}")
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return (size,)


def read(table: str) -> tuple[float, float]:
    """Read a table into the cache: peak memory in MB, and processor time in seconds."""
    from augface.data import load_data

    begun = time.process_time()
    faces = load_data(f"hf:{table}", workers=1)
    assert faces.images[-1].any()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time() - begun


if __name__ == "__main__":
    raise SystemExit(main())
