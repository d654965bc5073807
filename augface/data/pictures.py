"""Picture files that somebody names one by one, in folders or in zips, as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from augface.data.images import MAX_BYTES, BadImage, image_content
from augface.data.readers.containers import Container, UnreadableFile, image_names, open_container
from augface.errors import DataError


def picture_files(places: Iterable[Path]) -> Iterator[tuple[str, bytes | str]]:
    """The name and the content of each picture, or why it cannot be read.

    Raises:
        DataError: a folder or zip cannot be opened, or holds no images; before the first picture is given.
    """
    for place, container in [(place, _container(place)) for place in places]:
        if container is None:
            yield str(place), _content(place)
            continue
        for name in image_names(container):
            try:
                with image_content(container, name) as content:
                    yield f"{place}/{name}", content
            except (UnreadableFile, BadImage) as error:
                yield f"{place}/{name}", str(error)


def _container(place: Path) -> Container | None:
    """The folder or zip at a place; None where it is a file of its own."""
    if not place.is_dir() and place.suffix.lower() != ".zip":
        return None
    container = open_container(place)
    if not image_names(container):
        raise DataError(f"{place} holds no images.")
    return container


def _content(place: Path) -> bytes | str:
    """The bytes of a file, or why they cannot be read."""
    try:
        if place.exists() and not place.is_file():
            raise OSError("not a regular file")
        with place.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return error.strerror or str(error)
    return content if len(content) <= MAX_BYTES else f"longer than {MAX_BYTES:,} bytes"
