"""Work in threads, for what runs outside Python's lock: decoding, resizing, hashing, compressing."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
