"""One process at a time in a folder: a lock that ends with its process, and that says whose it is.

The operating system holds the lock (`flock`), so that a process that is killed leaves none. What it wrote into the file
is for people, and for folders that several hosts share, where the system of one may know nothing of the other's locks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from augface.errors import OutputError
from augface.files import LOCK, output_errors

try:
    fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # not on Windows, where what the file says is all that there is
    fcntl = None

_HELD: ContextVar[frozenset[Path]] = ContextVar("held folders", default=frozenset())
"""What this thread holds, so that one step of a job may hold again what the job holds."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is not there, against other processes as long as the block lasts.

    Raises:
        OutputError: another process holds it, or one on another host may do so; says which, and what to do.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.resolve() / LOCK
    if path in _HELD.get():
        yield
        return
    file = _acquired(path)
    before = _HELD.set(_HELD.get() | {path})
    try:
        yield
    finally:
        _HELD.reset(before)
        if fcntl is None:  # files that are open cannot be deleted there
            os.close(file)
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held still, so that nobody else's is deleted
        if fcntl is not None:
            os.close(file)


def _acquired(path: Path) -> int:
    """The open lock file, held and signed."""
    while True:
        with output_errors(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with output_errors(path):
                is_proved = _flock(file)
                holder = _holder(file)
                if is_proved is False:
                    raise OutputError(f"{path.parent} is in use by {holder or 'another process'}. {_WAIT}")
                if holder and not (is_proved and holder.endswith(f" on {socket.gethostname()}")):
                    raise OutputError(
                        f"{path.parent} is in use by {holder}, or was when that process was killed. {_WAIT} If it has "
                        f"ended, delete {path}."
                    )
                if not _is_still(file, path):  # it was released, and the file deleted, in the meantime
                    continue
                os.truncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                os.write(file, _signature().encode())
                held, file = file, -1
                return held
        finally:
            if file >= 0:
                os.close(file)


_WAIT = "Wait for it, stop it, or choose another folder."


def _flock(file: int) -> bool | None:
    """Whether the system gives the lock to us; None where it has none for this file."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network's file system that has no locks
        return None
    return True


def _is_still(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _signature() -> str:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"


def _holder(file: int) -> str:
    """Whose lock the file is, in words; empty where it does not say."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        said = json.loads(os.read(file, 1000))
        return f"process {int(said['process'])} since {said['since']} on {said['host']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
