"""The command line. `main` is the console script: it runs one command and turns whatever happens into an exit code.

0 is well, 1 a bug, 2 a wrong option or name, 3 input that cannot be used, 4 output that cannot be written, 5 a
threshold of `augface check` is crossed, 130 Ctrl-C, 143 asked to end (SIGTERM), as batch systems do before they kill.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from augface.cli.console import complain
from augface.errors import AugfaceError, OutputError
from augface.text import printable

INTERRUPTED = 130
TERMINATED = 143
CLOSED_PIPE = 141
"""What a shell reports of a program that wrote to a closed pipe, as in `augface list generators | head -1`."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end; whatever tidies up after Ctrl-C does so after this, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (those of the process where None) ask for, and return the exit code.

    Errors that a user can act on are one line on stderr. `--debug`, or AUGFACE_DEBUG=1, adds their traceback.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("AUGFACE_DEBUG", "0") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding cannot say is spelt out, and stops nothing
            stream.reconfigure(errors="backslashreplace")
    try:
        with _terminated_like_interrupted():
            from augface.cli.app import run

            code = run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        complain(f"stopped: {interrupt}" if str(interrupt) else "stopped.")
        return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception as error:
        known = _for_people(error)
        if debug or known is None:
            print(printable(traceback.format_exc()), file=sys.stderr)
        if known is None:
            complain("error: this is a bug in augface. Please report it with the lines above.")
            return 1
        complain(f"error: {known}")
        return known.exit_code


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` within the block; only the main thread can, and elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _for_people(error: Exception) -> AugfaceError | None:
    if isinstance(error, AugfaceError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f" that holds {error.filename}" if error.filename else ""
        return OutputError(f"No space left on the disk{place}. Free some, or choose another place.")
    return None
