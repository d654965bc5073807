"""The processes of one job, as `torchrun` and `accelerate launch` start them: one runs the command, the others help.

The main process (rank 0) decides everything and writes all files. The others wait for what it hands out: items of a
list, of which process r does those whose number is r modulo the number of processes (`spread`), or one piece of work
that all do at the same time (`together`), such as a training. No result depends on how many processes there are.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from augface.errors import AugfaceError, DataError, OutputError, UsageError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import Work

PATIENCE = timedelta(days=7)
"""How long a process waits for another one that is alive: as long as a job takes."""
PATIENCE_AT_FIRST = timedelta(minutes=10)
"""How long processes wait for each other to start."""
AHEAD = 2
"""Items that each process is given at a time: one to work at, and one to go on with."""
FAREWELL_SECONDS = 5.0
"""How long a process that lost the main one waits for a sign that it ended by itself."""
UNSENDABLE = (pickle.PicklingError, TypeError, AttributeError)
"""What `pickle` raises of what cannot be sent to another process."""
ENDED, FAILED = "ended", "failed"

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger("augface")


def world_size() -> int:
    """How many processes do this job together; 1 where none were started for that."""
    return max(1, _number("WORLD_SIZE"))


def is_main_process() -> bool:
    """Whether this is the process that writes the files and speaks for all."""
    return _number("RANK") == 0


def local_rank() -> int:
    """The number of this process among those of its host, from 0."""
    return _number("LOCAL_RANK")


def processes_of_host() -> int:
    """How many processes of this job share this host."""
    return max(1, _number("LOCAL_WORLD_SIZE"))


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0


def spread(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `work` gives for each item, in order; process r does the items with number r modulo `world_size()`.

    In one process, and within work that was handed out, this is `map`.

    Args:
        work: goes to the other processes once, by `pickle`. Where it cannot, the main process does all by itself.
        items: what goes to each process one by one, a few at a time.

    Raises:
        AugfaceError: what `work` raises in any process; or one of them has ended, which is said.

    >>> list(spread(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    if _job is None or _job.is_busy:
        yield from map(work, items)
        return
    with _job.busy():
        yield from _job.spread(work, items)


def together(work: Callable[[], Result]) -> Result:
    """Let all processes do the same at the same time, with collective operations among them; the main one's result.

    Raises:
        AugfaceError: what `work` raises in any process; or one of them has ended, which is said.
    """
    if _job is None or _job.is_busy:
        return work()
    with _job.busy():
        return _job.together(work)


def are_together() -> bool:
    """Whether all processes do the same at this time: within `together`, and in a program of several without a job."""
    return world_size() > 1 and (_job is None or _job.is_together)


def run_command(command: Callable[[], int]) -> int:
    """Run a command in the main process; the others help until it ends.

    Returns:
        The command's exit code; 0 in the processes that helped.

    Raises:
        UsageError: the processes cannot find each other.
        AugfaceError: the main process has ended without a word.
    """
    global _job
    if world_size() == 1:
        return command()
    job = _Job()
    if not is_main_process():
        return job.help()
    _job, succeeded = job, False
    try:
        code = command()
        succeeded = True
        return code
    except KeyboardInterrupt as interrupt:  # torchrun ends all processes where one of them fails
        job.raise_failure(interrupt)
        raise
    finally:
        _job = None
        job.end(wait=succeeded)


class _Job:
    """The connections of this process to the others of its job."""

    def __init__(self) -> None:
        import torch
        from torch import distributed
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        self.size = world_size()
        self.is_busy = False
        self.is_together = False
        self._rounds = 0
        self._sent: dict[int, deque[tuple[Work, Tensor]]] = {rank: deque() for rank in range(self.size)}
        backend = "gloo"
        if torch.cuda.is_available() and distributed.is_nccl_available():
            torch.cuda.set_device(local_rank() % torch.cuda.device_count())
            backend = "cpu:gloo,cuda:nccl"
        try:
            store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE_AT_FIRST)))
            distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        except (ValueError, RuntimeError) as error:
            raise UsageError(
                f"There are {self.size} processes (WORLD_SIZE), but they cannot find each other: {error}. Start them "
                "by torchrun or accelerate launch."
            ) from error
        self._store = PrefixStore("augface", store)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """What is handed out within the block is done here, as the others have enough to do."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False

    @contextmanager
    def _all_together(self) -> Iterator[None]:
        self.is_together = True
        try:
            yield
        finally:
            self.is_together = False

    # in the main process

    def spread(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See the function."""
        try:
            packed = pickle.dumps(work)
        except UNSENDABLE as error:
            log.warning(f"One process does this alone, since it cannot be handed to others: {error}")
            yield from map(work, items)
            return
        self._rounds += 1
        addressed: set[int] = set()
        waiting: deque[tuple[int, Item | None]] = deque()
        for number, item in enumerate(items):
            rank = number % self.size
            if rank:
                if rank not in addressed:
                    self._send(rank, "work", _settings(), packed)
                    addressed.add(rank)
                self._send(rank, "item", self._rounds, number, item)
            waiting.append((number, None if rank else item))
            if len(waiting) >= AHEAD * self.size:
                yield self._result(work, *waiting.popleft())
        while waiting:
            yield self._result(work, *waiting.popleft())

    def _result(self, work: Callable[[Item], Result], number: int, item: Any) -> Result:
        rank = number % self.size
        if not rank:
            return work(item)
        while True:  # past the results of a round that nobody was waiting for any more
            kind, in_round, of_item, result = self._receive(rank)
            if (in_round, of_item) == (self._rounds, number):
                if kind == "error":
                    raise result
                answer: Result = result
                return answer

    def together(self, work: Callable[[], Result]) -> Result:
        """See the function."""
        try:
            packed = pickle.dumps(work)
        except UNSENDABLE as error:
            raise UsageError(f"Several processes cannot do this together, so start one: {error}.") from error
        self._rounds += 1
        for rank in range(1, self.size):
            self._send(rank, "together", _settings(), self._rounds, packed)
        try:
            with self._all_together():
                result = work()
        except RuntimeError as error:
            if _is_of_connection(error):
                self._lost(error)
            raise
        for rank in range(1, self.size):
            while self._receive(rank)[1] != self._rounds:  # results that nobody was waiting for any more
                pass
        return result

    def end(self, *, wait: bool) -> None:
        """Tell the others that the command has ended; wait until they know, where all went well."""
        from torch import distributed

        try:
            with suppress(RuntimeError):
                self._store.set(ENDED, "1")
                for rank in range(1, self.size):
                    self._send(rank, "end", wait)
                    while wait and self._receive(rank)[0] != "end":  # results that nobody was waiting for any more
                        pass
        finally:  # also where another process's error is raised on the way
            distributed.destroy_process_group()

    # in the others

    def help(self) -> int:
        """Do what the main process hands out until it ends."""
        from torch import distributed

        global _job
        _job = self
        self.is_busy = True  # nothing is handed on
        log.addHandler(logging.NullHandler())  # the main process speaks for all
        digest, work = b"", None
        try:
            while True:
                kind, *content = self._receive(0)
                if kind == "end":
                    if content[0]:
                        self._send(0, "end")
                        self._finish_sending(0)
                    distributed.destroy_process_group()
                    return 0
                if kind == "work":
                    settings, packed = content
                    os.environ.update(settings)
                    if digest != (digest := hashlib.sha256(packed).digest()):
                        work = pickle.loads(packed)
                elif kind == "item":
                    in_round, number, item = content
                    assert work is not None
                    self._finish_sending(0)
                    try:
                        self._send(0, "result", in_round, number, work(item))
                    except Exception as error:
                        self._send(0, "error", in_round, number, _portable(error))
                elif kind == "together":
                    settings, in_round, packed = content
                    os.environ.update(settings)
                    with self._all_together():
                        pickle.loads(packed)()
                    self._send(0, "done", in_round)
        except KeyboardInterrupt:
            if self._store_has(ENDED):
                return 0
            raise
        except _Lost:
            if self._ends_soon():
                return 0
            raise
        except Exception as error:  # in work that all do, for which they wait for each other
            if _is_of_connection(error):
                if self._ends_soon():
                    return 0
                self._lost(error)
            self._store.set(FAILED, json.dumps(_described(error)))
            return 1

    def _ends_soon(self) -> bool:
        """Whether the main process ends by itself, and says why."""
        until = time.monotonic() + FAREWELL_SECONDS
        while not self._store_has(ENDED) and time.monotonic() < until:
            time.sleep(0.1)
        return self._store_has(ENDED)

    # in both

    def _send(self, rank: int, *message: Any) -> None:
        """Begin to send a message; it is on its way while this process goes on."""
        import torch
        from torch import distributed

        body = torch.frombuffer(bytearray(pickle.dumps(message)), dtype=torch.uint8)
        sent = self._sent[rank]
        while sent and sent[0][0].is_completed():
            sent.popleft()
        try:
            for tensor in (torch.tensor([len(body)]), body):
                work = distributed.isend(tensor, rank)
                assert work is not None
                sent.append((work, tensor))  # which must not be freed before
        except RuntimeError as error:
            self._lost(error)

    def _finish_sending(self, rank: int) -> None:
        try:
            while self._sent[rank]:
                self._sent[rank].popleft()[0].wait()
        except RuntimeError as error:
            self._lost(error)

    def _receive(self, rank: int) -> Any:
        import torch
        from torch import distributed

        length = torch.zeros(1, dtype=torch.int64)
        try:
            distributed.recv(length, rank)
            body = torch.empty(int(length), dtype=torch.uint8)
            distributed.recv(body, rank)
        except RuntimeError as error:
            self._lost(error)
        return pickle.loads(body.numpy().data)

    def _lost(self, error: Exception) -> NoReturn:
        """Say why the connection to another process has ended."""
        self.raise_failure(error)
        raise _Lost(
            "A process of this job has ended: it was killed, or had too little memory. What was finished is kept; "
            "start the same command again, with --resume where it takes that."
        ) from error

    def raise_failure(self, stopped_by: BaseException) -> None:
        """Raise, in the main process, the error of another one that this process was stopped by, if there is one."""
        if is_main_process() and self._store_has(FAILED):
            raise _restored(json.loads(self._store.get(FAILED))) from stopped_by

    def _store_has(self, key: str) -> bool:
        with suppress(RuntimeError):  # the store has ended with its process
            return bool(self._store.check([key]))
        return False


def _settings() -> dict[str, str]:
    """What the environment, and the command's options in it, say to augface."""
    return {name: value for name, value in os.environ.items() if name.startswith("AUGFACE_")}


_job: _Job | None = None


class _Lost(AugfaceError):
    """The connection to another process has ended."""


def _is_of_connection(error: Exception) -> bool:
    """Whether a collective operation failed for want of the others."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _described(error: Exception) -> dict[str, Any]:
    """An error as text, since not every error can be pickled."""
    code = error.exit_code if isinstance(error, AugfaceError) else None
    return {"exit_code": code, "text": str(error) if code is not None else f"{type(error).__name__}: {error}"}


def _restored(described: dict[str, Any]) -> Exception:
    """The error that was described; of its class, as far as exit codes tell it."""
    kinds = {kind.exit_code: kind for kind in (AugfaceError, UsageError, DataError, OutputError)}
    kind: type[Exception] = (
        RuntimeError if described["exit_code"] is None else kinds.get(described["exit_code"], AugfaceError)
    )
    return kind(described["text"])


def _portable(error: Exception) -> Exception:
    return _restored(_described(error))
