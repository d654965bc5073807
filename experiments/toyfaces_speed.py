"""How many ToyFaces a second: run it with OMP_NUM_THREADS=1, on an idle core.

Prints images a second of process time, the best of five runs, for several sizes.
"""

from __future__ import annotations

import time

from augface.data.toyfaces import render, sample_population


def images_per_second(size: int, count: int, repeats: int = 5) -> float:
    factors, _, _ = sample_population(count, seed=0)
    render(factors.head(64), size)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        render(factors, size)
        seconds.append(time.process_time() - start)
    return count / min(seconds)


if __name__ == "__main__":
    print("| size | images/s |\n|---|---|")
    for size, count in ((32, 1_000), (64, 1_000), (128, 250), (256, 64)):
        print(f"| {size} | {images_per_second(size, count):,.0f} |")
