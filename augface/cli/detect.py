"""`augface detect`: single pictures, by a saved detector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from augface.cli.console import print_table
from augface.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from augface.detector import Facts

UNREADABLE = DataError.exit_code
"""The exit code where some pictures could not be read; the others are judged all the same."""
NOTICE = (
    "This is no evidence about a person. It tells pictures of this one generator from real pictures such as it was "
    "trained with; pictures by other means, or that were changed since, may be called anything."
)


def detect(
    *images: Annotated[Path, Parameter(negative=())],
    detector: Path,
    prior: float = 0.5,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Say how likely pictures were made by the generator that a detector was trained against.

    Exit code 3 means that some pictures could not be read; they are named.

    Args:
        images: Pictures, or folders or zips of them.
        detector: The folder of a detector, or the run folder of an evaluation that left one there.
        prior: The share of made pictures that is expected where these come from, between 0 and 1.
        as_json: Print JSON for programs.
    """
    if not 0 < prior < 1:
        raise UsageError(f"--prior is a share between 0 and 1, both exclusive, such as 0.01, not {prior:g}.")
    if not images:
        raise UsageError("Say which pictures to look at, such as `augface detect face.png --detector runs/evaluation`.")

    import numpy as np

    from augface.data.images import BadImage, decode_face, picture_size, quiet_decoding
    from augface.detector import Detector

    judge = Detector.load(detector)
    space = judge.space()
    found: list[dict[str, Any]] = []
    pixels: list[npt.NDArray[np.uint8]] = []
    with quiet_decoding():
        for name, content in _files(images):
            entry: dict[str, Any] = {"file": name}
            try:
                if isinstance(content, str):
                    raise BadImage(content)
                pixels.append(decode_face(content, "centre", judge.facts.size))
                width, height = picture_size(content)
                entry["cropped"] = width != height
            except BadImage as error:
                entry["error"] = str(error)
            found.append(entry)
    if pixels:
        examined = judge.examine(np.stack(pixels), space)
        probabilities = examined.probabilities(prior)
        seen = [entry for entry in found if "error" not in entry]
        for entry, unlike, probability in zip(seen, examined.unlike, probabilities, strict=True):
            entry["unlike"] = bool(unlike)
            entry["probability"] = None if unlike else float(probability)
    if as_json:
        about = {"detector": judge.facts.model_dump(mode="json"), "prior": prior, "notice": NOTICE}
        print(json.dumps({**about, "images": found}, indent=1))
    else:
        print(_about(judge.facts, prior))
        print()
        print_table([_printable(entry["file"]), _answer(entry)] for entry in found)
        print(f"\n{NOTICE}")
    return UNREADABLE if any("error" in entry for entry in found) else 0


def _files(places: tuple[Path, ...]) -> Iterator[tuple[str, bytes | str]]:
    """The name and the content of each picture, or why it cannot be read."""
    from augface.data.containers import UnreadableFile, image_names, open_container
    from augface.data.images import MAX_BYTES

    for place in places:
        if place.is_dir() or place.suffix.lower() == ".zip":
            container = open_container(place)
            names = image_names(container)
            if not names:
                raise DataError(f"{place} holds no images.")
            for name in names:
                try:
                    yield f"{place}/{name}", container.read(name, MAX_BYTES)
                except UnreadableFile as error:
                    yield f"{place}/{name}", str(error)
        else:
            try:
                if place.exists() and not place.is_file():
                    raise OSError("not a regular file")
                with place.open("rb") as file:
                    content = file.read(MAX_BYTES + 1)
                yield str(place), content if len(content) <= MAX_BYTES else f"longer than {MAX_BYTES:,} bytes"
            except OSError as error:
                yield str(place), error.strerror or str(error)


def _answer(entry: dict[str, Any]) -> str:
    if "error" in entry:
        return f"cannot be read: {_printable(entry['error'])}"
    square = " (its middle square was looked at)" if entry["cropped"] else ""
    if entry["unlike"]:
        return f"unlike anything I know{square}"
    return f"{entry['probability']:.1%} likely synthetic{square}"


def _about(facts: Facts, prior: float) -> str:
    """What the detector was trained against, and how well it does."""
    value, low, high = facts.auc
    return (
        f"Detector of {_printable(facts.synthetic)} against {_printable(facts.real)}, {facts.faces:,} faces of each, "
        f"{facts.created[:10]}.\nOn people it had not seen its AUC was {value:.3f} ({low:.3f} to {high:.3f}; 0.5 is "
        f"guessing).\nPrior: {prior:g} of such pictures are expected to be synthetic."
    )


def _printable(text: str) -> str:
    """A stranger's text without what would move the cursor."""
    return text if text.isprintable() else ascii(text)
