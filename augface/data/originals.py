"""The files that faces were read from, to be looked at in their own size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from augface.arrays import Integers, Pixels, Strings
from augface.data.images import MEMORY, decode_picture, header_size, image_content, picture_size
from augface.data.readers.containers import Container
from augface.errors import DataError

PREPARING = 24
"""Bytes that a pixel takes while a picture is decoded and prepared for a feature space, in floating point."""
BLOCK = 1 << 20
"""Bytes that are hashed at a time."""
LOOKED_AT = 64
"""Files whose sizes say how large the pictures are."""


@dataclass(frozen=True, eq=False)
class Originals:
    """Whole pictures in files, each of its own size.

    Attributes:
        container: the folder or zip that holds them.
        members: (N,) their names in it.
    """

    container: Container
    members: Strings
    _digests: dict[str, bytes] = field(default_factory=dict, repr=False)
    """What has been hashed so far, shared by all selections."""

    def __len__(self) -> int:
        return len(self.members)

    def select(self, rows: Integers) -> Originals:
        """The pictures of these rows."""
        return Originals(self.container, self.members[rows], self._digests)

    def picture(self, row: int) -> Pixels:
        """One picture, uint8 (H, W, 3). Call it within `quiet_decoding()`.

        Raises:
            DataError: the file has changed since it was listed, and cannot be used any more.
        """
        with self._content(row) as content:
            return decode_picture(content)

    @contextmanager
    def memory(self, row: int) -> Iterator[None]:
        """Hold what it takes to decode one picture and prepare it, of the memory that all threads share."""
        name = str(self.members[row])
        with self._readable(row), self.container.open(name) as stream:
            width, height = header_size(stream)
            size = self.container.size(name)
        with MEMORY.taken(size + width * height * PREPARING):
            yield

    def digests(self, threads: int = 1) -> list[bytes]:
        """SHA-256 of each file's bytes."""
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(
                lambda rows: [self._digest(row) for row in rows], np.array_split(range(len(self)), threads)
            )
            return [digest for part in parts for digest in part]

    def _digest(self, row: int) -> bytes:
        name = str(self.members[row])
        if name not in self._digests:
            digest = hashlib.sha256()
            with self._readable(row), self.container.open(name) as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
            self._digests[name] = digest.digest()
        return self._digests[name]

    @cached_property
    def typical_size(self) -> tuple[int, int]:
        """Median width and height, in pixels, of some of the pictures that can be read.

        Raises:
            DataError: none of them can.
        """
        rows = np.linspace(0, len(self) - 1, min(LOOKED_AT, len(self))).astype(np.int64)
        sizes, reason = [], ""
        for row in rows.tolist():
            try:
                with self._content(row) as content:
                    sizes.append(picture_size(content))
            except DataError as error:
                reason = str(error)
        if not sizes:
            raise DataError(f"No picture of {self.container.path} can be read: {reason}.")
        width, height = np.median(sizes, axis=0)
        return int(width), int(height)

    @contextmanager
    def _content(self, row: int) -> Iterator[bytes]:
        with self._readable(row), image_content(self.container, str(self.members[row])) as content:
            yield content

    @contextmanager
    def _readable(self, row: int) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # files and archives that are broken raise almost anything
            raise self._changed(row, error) from error

    def _changed(self, row: int, error: Exception) -> DataError:
        return DataError(
            f"{self.members[row]} in {self.container.path} has changed since it was first read, and cannot be read "
            f"now: {error}. Run the same command again when nothing writes there."
        )
