"""Reads networks that dlib saved, so that their weights can be used without dlib.

The format is that of dlib 19 to 20 (`dlib/serialize.h`, `dlib/dnn/core.h`, `dlib/dnn/layers.h`). Nothing in a file is
ever executed, and no size in it is believed before as many bytes are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augface.arrays import Floats32
from augface.errors import DataError

LARGEST_FILE = 1 << 28
"""Bytes; twelve times the network for faces."""
LARGEST_SETTING = 1 << 16
"""Filters, outputs, rows and the like."""
LONGEST_NAME = 64
"""Bytes; the name of a layer is never longer."""
INNERMOST_VERSION = 3
"""What the layer next to the input is marked by; layers further out are marked by 1 or 2."""
ALIAS = 5
"""Integers that say which part of the parameters is meant: a version and four lengths."""


class Layer(NamedTuple):
    """One layer of a network, such as `con_4`, `affine_`, `relu_`, `max_pool_2`, `add_prev_` or `fc_2`."""

    name: str
    """As dlib writes it: with the version of the layer's own format behind it."""
    settings: tuple[int, ...]
    """Of a convolution: filters, rows and columns of a filter, strides and paddings down and across. Of pooling: rows,
    columns, strides and paddings, with 0 rows and columns for all of them. Of a full connection: outputs, inputs."""
    parameters: Floats32
    """All in a row: (filters, inputs, rows, columns) and then biases of a convolution; factors and then summands of an
    affine layer; (inputs, outputs) of a full connection. Empty where there are none."""


def read_dlib_layers(path: Path) -> list[Layer]:
    """The layers of a network with one metric loss and colour images of one size as input, in order from the input.

    Raises:
        DataError: the file cannot be read, was cut short, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DataError(f"The weights {path} cannot be read: {error.strerror or error}.") from error
    if len(content) > LARGEST_FILE:
        raise DataError(f"{path} is larger than any network of dlib that is read here.")
    try:
        return list(_layers(_Stream(content)))
    except _FormatError as error:
        raise DataError(f"{path} cannot be read as a network of dlib: {error}.") from error


class _FormatError(Exception):
    """What is wrong with the file."""


class _Stream:
    """The bytes of a file, taken from the front as the values that dlib wrote."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def take(self, count: int) -> bytes:
        if count > len(self._content) - self._place:
            raise _FormatError(f"it ends too early, at byte {len(self._content)}")
        self._place += count
        return self._content[self._place - count : self._place]

    def ended(self) -> bool:
        return self._place == len(self._content)

    def wrong(self, what: str) -> _FormatError:
        return _FormatError(f"{what} before byte {self._place}")

    def integer(self) -> int:
        """One byte with the sign and the number of bytes that follow; these, the lowest first."""
        control = self.take(1)[0]
        count = control & 0x0F
        if not 1 <= count <= 8 or control & 0x70:
            raise self.wrong("no integer")
        value = int.from_bytes(self.take(count), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(count))

    def settings(self, count: int) -> tuple[int, ...]:
        found = self.integers(count)
        if not all(0 <= each <= LARGEST_SETTING for each in found):
            raise self.wrong("a setting out of range")
        return found

    def boolean(self) -> bool:
        digit = self.take(1)
        if digit not in (b"0", b"1"):
            raise self.wrong("neither yes nor no")
        return digit == b"1"

    def name(self) -> str:
        length = self.integer()
        if not 0 <= length <= LONGEST_NAME:
            raise self.wrong(f"a name of {length} letters")
        return self.take(length).decode("latin-1")

    def tensor(self) -> Floats32:
        """A version, four lengths and the numbers themselves, as float32."""
        version, *lengths = self.integers(5)
        if version != 2 or min(lengths) < 0:
            raise self.wrong("no tensor")
        return np.frombuffer(self.take(4 * math.prod(lengths)), dtype="<f4").astype(np.float32)


def _layers(stream: _Stream) -> Iterator[Layer]:
    if stream.integer() != 1 or stream.name() != "loss_metric_2":
        raise stream.wrong("no network with a metric loss")
    stream.integers(4)  # margin and threshold of the loss, each as a whole number and an exponent of 2
    # Layers lie inside one another: each writes its version, then what lies inside it, and then itself. So the versions
    # come first, of the outermost before, and the layers themselves come in the order in which an image meets them.
    outside: list[int] = []
    while (version := stream.integer()) != INNERMOST_VERSION:
        if version not in (1, 2):
            raise stream.wrong(f"a layer of unknown version {version}")
        outside.append(version)
    if stream.name() != "input_rgb_image_sized":
        raise stream.wrong("no input of colour images")
    stream.integers(8)  # mean red, green and blue as two numbers each; rows and columns
    yield _layer(stream)
    stream.integer()  # the pictures that one became
    for _ in range(outside.count(2)):  # version 1 marks the start and the end of a way around layers
        yield _layer(stream)
    if not stream.ended():
        raise stream.wrong("something more than a network")


def _layer(stream: _Stream) -> Layer:
    name = stream.name()
    settings: tuple[int, ...] = ()
    parameters = np.zeros(0, dtype=np.float32)
    match name:
        case "con_4":
            parameters = stream.tensor()
            settings = stream.settings(7)
            stream.integers(2 * ALIAS + 8)  # which are filters and which biases; rates for training
        case "affine_":
            parameters = stream.tensor()
            stream.integers(2 * ALIAS + 1)  # which are factors and which summands; whether they follow a convolution
        case "max_pool_2" | "avg_pool_2":
            settings = stream.settings(6)
        case "fc_2":
            settings = stream.settings(2)
            parameters = stream.tensor()
            stream.integers(2 * ALIAS + 9)  # which are weights and which biases; whether there are any; rates
        case "relu_" | "add_prev_":
            pass
        case _:
            raise stream.wrong(f"the unknown layer {name!r}")
    for _ in range(3):  # what training left behind: whether it is set up, is stale, has no gradient
        stream.boolean()
    for _ in range(3):  # its last gradients and output
        stream.tensor()
    return Layer(name, settings, parameters)
