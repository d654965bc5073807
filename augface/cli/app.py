"""The commands by name. Each is a thin file of this folder, and imports what is heavy when it runs."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from augface.cli.align import align
from augface.cli.check import check
from augface.cli.compare import compare
from augface.cli.console import show_log_on_stderr
from augface.cli.data import app as data
from augface.cli.demo import demo
from augface.cli.detect import detect
from augface.cli.doctor import doctor
from augface.cli.edit import edit
from augface.cli.evaluate import evaluate
from augface.cli.fid import fid
from augface.cli.inspect import inspect
from augface.cli.listing import list_names
from augface.cli.play import play
from augface.cli.rebalance import rebalance
from augface.cli.report import report
from augface.cli.sample import sample
from augface.cli.study import app as study
from augface.cli.train import train
from augface.cli.vary import vary
from augface.errors import UsageError
from augface.processes import is_main_process, run_command
from augface.version import __version__

HELP = """Will synthetic faces help my imbalanced face data set, and what do they cost me?

Try it with `augface demo`; then `augface rebalance --attr Eyeglasses --data YOUR_FACES`. Add --debug to any command
to see tracebacks of errors.
"""

app = App(
    name="augface",
    help=HELP,
    version=__version__,
    default_parameter=Parameter(negative=()),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
COMMANDS: dict[str, Callable[..., object]] = {
    "demo": demo,
    "rebalance": rebalance,
    "train": train,
    "sample": sample,
    "vary": vary,
    "edit": edit,
    "play": play,
    "inspect": inspect,
    "evaluate": evaluate,
    "fid": fid,
    "report": report,
    "compare": compare,
    "check": check,
    "detect": detect,
    "align": align,
    "list": list_names,
    "doctor": doctor,
}
for order, (name, command) in enumerate(COMMANDS.items()):
    app.command(command, name=name, sort_key=order)
app.command(study)
app.command(data)


RENAMED = {"--outside": "--external-test", "--shared-people": "--allow-identity-overlap"}
"""Options of earlier versions, which are still taken."""


def run(words: list[str]) -> int:
    """Run one command, of several processes in the main one; a command that returns a number means its exit code.

    Raises:
        UsageError: an unknown command or option, or a value of the wrong kind.
    """
    if is_main_process():  # which speaks for all
        show_log_on_stderr()
    return run_command(lambda: _run(words))


def _run(words: list[str]) -> int:
    try:
        result = app([_present_name(word) for word in words])
    except CycloptsError as error:
        chain = " ".join(["augface", *(error.command_chain or ())])
        raise UsageError(f"{_explain(error)} See `{chain} --help`.") from error
    return result if isinstance(result, int) else 0


def _present_name(word: str) -> str:
    """The word, with the name that an option of an earlier version has now."""
    name, equals, value = word.partition("=")
    if name not in RENAMED:
        return word
    logging.getLogger("augface").warning(f"{name} is called {RENAMED[name]} now.")
    return f"{RENAMED[name]}{equals}{value}"


def _explain(error: CycloptsError) -> str:
    if not isinstance(error, UnusedCliTokensError) or not error.unused_tokens:
        return " ".join(str(error).split())
    word = error.unused_tokens[0]
    by_lower = {name.lower(): name for name in error.app or ()}
    close = [by_lower[name] for name in difflib.get_close_matches(word.lower(), list(by_lower), n=1)]
    return f"{word!r} is one word too many." + (f" Did you mean {close[0]!r}?" if close else "")
