"""`augface play`: a page with sliders, served on this machine or as one file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from augface.cli.console import need_server, print_paths, say, shown, split_names, when_interrupted
from augface.errors import AugfaceError, OutputError, UsageError, spelled

if TYPE_CHECKING:
    import socket

    from augface.generators.base import Generator
    from augface.play.player import Player

log = logging.getLogger("augface")


def play(
    run: Path,
    photo: Path | None = None,
    /,
    *,
    export: Path | None = None,
    attr: list[str] | None = None,
    data: str | None = None,
    like: str | None = None,
    steps: int = 50,
    port: int = 8000,
    seed: int = 0,
) -> None:
    """Show a page to play with a generator: sliders for its attributes and its noise, and how it learnt.

    The page is for this machine alone; Ctrl-C ends it. With `export` it becomes one file with faces made beforehand,
    which needs no server and asks nothing of anybody. Strengths are those of `augface edit`: the first time, they are
    measured, which needs some minutes.

    Args:
        run: The run folder of a training or rebalancing, or the folder of a generator.
        photo: A picture of somebody to begin with; see `augface vary`. The page then holds faces of that person.
        export: The HTML file to write; it is not there yet.
        attr: Attributes to show, with commas between; all, those that answer most first, where not given.
        data: The faces that the generator learnt from, where the run folder does not name them.
        like: The folder of a run, or celeba: find the face in the photo and crop it so.
        steps: Of the tuning to the photo.
        port: The port to listen on.
        seed: The same seed gives the same faces.
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"--port is from 1 to 65535, not {port}.")
    if not 0 <= steps <= 10_000:
        raise UsageError(f"--steps is from 0 to 10,000, not {steps}.")
    if export is None:
        need_server()
    elif export.exists():
        raise OutputError(f"{shown(export)} is there already. Choose another file with --export.")

    from augface.generators import load_generator
    from augface.play.export import export_page
    from augface.play.player import Player, check_playable
    from augface.steering.photos import load_photos

    generator = load_generator(run)
    check_playable(generator)
    names = [] if generator.labels is None else list(generator.labels.columns)
    attributes = tuple(spelled("attribute", name, names) for name in split_names(attr or []))
    size = generator.sample(1).size
    face = None if photo is None else load_photos([photo], size, like=like)
    if face is not None:
        generator.codes(face, steps=0)  # what is no face is refused before any work
    with _listening(port if export is None else None) as listener:
        with when_interrupted("nothing was written."):
            note = _calibrated(generator, run, data, size, seed)
            codes = None if face is None else generator.codes(face, steps=steps)
            player = Player(generator, seed=seed, attributes=attributes, photo=codes, previews=run / "previews")
            subject = f"{generator.name} in {shown(run)}"
            if export is not None:
                say("Making the faces that the page shows …")
                _write(export_page(player, subject, strengths_note=note), export)
        if listener is not None:
            _serve(player, subject, note, listener)


@contextlib.contextmanager
def _listening(port: int | None) -> Iterator[socket.socket | None]:
    """A socket at this machine's own address, taken before any long work; none where there is no port."""
    if port is None:
        yield None
        return
    from augface.loopback import listening_socket

    with listening_socket(port, lan=False) as listener:
        yield listener


def _calibrated(generator: Generator, run: Path, data: str | None, size: int, seed: int) -> str:
    """Measure strengths, or say why there are none: the rest of the page needs none."""
    from augface.steering.calibrated import calibrate_run

    try:
        calibrate_run(generator, run, data=data, size=size, seed=seed)
    except AugfaceError as error:
        if data is not None:
            raise
        log.warning(f"The page has no sliders of attributes: {error}")
        return f"There are no sliders of attributes: {error}"
    return ""


def _write(page: str, place: Path) -> None:
    from augface.files import atomic_write, human_bytes

    atomic_write(place, page)
    print_paths({f"page, {human_bytes(len(page.encode()))}": place})


def _serve(player: Player, subject: str, note: str, listener: socket.socket) -> None:
    from augface.loopback import run_server
    from augface.play.server import create_app

    port = listener.getsockname()[1]
    app = create_app(player, subject, hosts=[f"127.0.0.1:{port}", f"localhost:{port}"], strengths_note=note)
    say(f"http://127.0.0.1:{port}  works on this machine only. Ctrl-C ends it.")
    run_server(app, listener)
    say("\nEnded.")
