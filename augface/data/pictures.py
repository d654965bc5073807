"""Picture files that somebody names one by one, in folders or in zips, as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from augface.data.images import MAX_BYTES, BadImage, image_content
from augface.data.readers.containers import UnreadableFile, image_names, open_container
from augface.errors import DataError


def picture_files(places: Iterable[Path]) -> Iterator[tuple[str, bytes | str]]:
    """The name and the content of each picture, or why it cannot be read.

    Raises:
        DataError: a folder or zip cannot be opened, or holds no images.
    """
    for place in places:
        if place.is_dir() or place.suffix.lower() == ".zip":
            container = open_container(place)
            names = image_names(container)
            if not names:
                raise DataError(f"{place} holds no images.")
            for name in names:
                try:
                    with image_content(container, name) as content:
                        yield f"{place}/{name}", content
                except (UnreadableFile, BadImage) as error:
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
