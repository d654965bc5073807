"""Work in threads, for what runs outside Python's lock: decoding, resizing, hashing, compressing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """How many processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def computing_threads() -> int:
    """How many threads torch computes with, as OMP_NUM_THREADS or the machine's cores say."""
    import torch

    return torch.get_num_threads()


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int) -> Iterator[Result]:
    """Results of `work` for each item, in order, made by threads that stay at most `ahead` items ahead.

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
        pool.shutdown(cancel_futures=True)
