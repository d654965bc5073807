"""Work in threads, for what runs outside Python's lock: decoding, resizing, hashing, compressing."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from augface.processes import processes_of_host

LOOKS, LOOK_SECONDS = 3, 0.1
"""How often, and for how long, each number of threads is tried."""
CLEARLY = 0.9
"""Share of the fastest speed from which on fewer threads are preferred."""
_chosen: list[bool] = []

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """How many processor cores this process may use: its share, where several processes of one job are on this host."""
    try:
        here = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        here = os.cpu_count() or 1
    return max(1, here // processes_of_host())


def free_memory() -> int:
    """Bytes of memory that programs can still get; this process' share, where several of one job are on this host."""
    import psutil

    return int(psutil.virtual_memory().available) // processes_of_host()


def workers_within(each: int) -> int:
    """How many threads may work at once where each needs so many bytes: at most one a core, in half the free memory.

    >>> workers_within(1 << 60)
    1
    """
    return max(1, min(cores(), free_memory() // 2 // max(1, each)))


def computing_threads() -> int:
    """How many threads torch computes with: as OMP_NUM_THREADS says, or else as many as were fastest when first asked.

    Sums over another number of threads are rounded otherwise, so that results name it.
    """
    import torch

    if not threads_are_fixed() and not _chosen:
        choose_threads()
    return torch.get_num_threads()


def choose_threads() -> int:
    """Let torch and NumPy compute with one thread or with one a core, whichever is faster now; return how many.

    Threads wait for each other in each operation. Where another program holds a core, all wait for the one thread that
    shares it, and a single thread can be ten times as fast. Nothing is changed where OMP_NUM_THREADS is set.
    """
    import torch

    if not threads_are_fixed():
        candidates = sorted({1, max(1, cores() // 2), cores()})
        speeds = {count: _speed(count) for count in candidates} if len(candidates) > 1 else {1: 1.0}
        fastest = max(speeds.values())
        _compute_with(min(count for count, speed in speeds.items() if speed >= CLEARLY * fastest))
    return torch.get_num_threads()


def adopt_threads(count: int) -> int:
    """Compute with as many threads as before, unless OMP_NUM_THREADS says otherwise; return how many."""
    import torch

    if not threads_are_fixed() and count >= 1:
        _compute_with(count)
    return torch.get_num_threads()


def _compute_with(count: int) -> None:
    """Let torch compute with so many threads, and the products of matrices in NumPy and SciPy."""
    import scipy.linalg  # noqa: F401  # which brings a library of its own for them, and must be there to be limited
    import torch
    from threadpoolctl import threadpool_limits

    _chosen.append(True)
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")


def threads_are_fixed() -> bool:
    """Whether OMP_NUM_THREADS says how many threads to compute with."""
    return bool(os.environ.get("OMP_NUM_THREADS"))


def _speed(count: int) -> float:
    """Steps a second of a small convolution with so many threads: the best of several short looks."""
    import torch

    torch.set_num_threads(count)
    images, weights = torch.ones(16, 32, 32, 32), torch.ones(32, 32, 3, 3, requires_grad=True)
    best = 0.0
    for _ in range(LOOKS):
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < LOOK_SECONDS:
            torch.nn.functional.conv2d(images, weights, padding=1).sum().backward()  # type: ignore[no-untyped-call]
            steps += 1
        best = max(best, steps / (time.perf_counter() - started))
    return best


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    ahead: int,
    stop: threading.Event | None = None,
) -> Iterator[Result]:
    """Results of `work` for each item, in order, made by threads that stay at most `ahead` items ahead.

    Threads that work still when it ends are waited for; `stop` is set before, for work that looks at it.

    >>> list(in_order(abs, [-1, 2, -3], workers=2, ahead=1))
    [1, 2, 3]
    """
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if stop is not None:
            stop.set()
        pool.shutdown(cancel_futures=True)


class Allowance:
    """An amount of something, such as memory, that threads share: each takes some for a while, and waits for it."""

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self._left = amount
        self._changed = threading.Condition()
        self._own = threading.local()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Hold so much in the block; all there is where more is wanted, so that one at a time can have too much.

        A thread that holds some takes no more in a block within: what the outer one takes must do for both.
        """
        if getattr(self._own, "holds", False):
            yield
            return
        amount = min(amount, self.amount)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= amount)
            self._left -= amount
        self._own.holds = True
        try:
            yield
        finally:
            self._own.holds = False
            with self._changed:
                self._left += amount
                self._changed.notify_all()
