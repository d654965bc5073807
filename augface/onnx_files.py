"""ONNX files of unknown origin: opened by onnxruntime, from their bytes alone.

An ONNX file is a graph of known operators; opening and running it runs no other code. It may name other files for its
weights, though, and not every onnxruntime checks which: so a file that names any is refused, which is read from its
bytes (protobuf, `onnx.proto`) before anything opens it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

WITH_TENSORS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
"""The fields of each message that lead to tensors, and what they hold."""
EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""The fields of a tensor that name another file, and say that there is one."""
DEEPEST = 100
"""Messages in messages, as many as protobuf reads."""
LENGTHS = {1: 8, 5: 4}
"""Bytes of values by their encoding, where it fixes them."""
VARINT, BYTES = 0, 2


def open_onnx(content: bytes, runtime: Any, threads: int) -> Any:
    """The session of a model on the processor.

    Args:
        content: the bytes of the file.
        runtime: the package onnxruntime.
        threads: cores to use.

    Raises:
        ValueError: the model keeps its weights in other files, or is damaged. onnxruntime raises errors of its own.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only, which are raised too
    options.add_session_config_entry("session.load_model_format", "ONNX")  # and not what the file says that it is
    if names_other_files(content):
        raise ValueError("it keeps its weights in other files")
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def names_other_files(content: bytes) -> bool:
    """Whether any tensor of a model is to be read from another file.

    Raises:
        ValueError: these are not the bytes of a model.
    """
    return _names_files(memoryview(content), "model", 0)


def _names_files(message: memoryview, kind: str, depth: int) -> bool:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    for number, value in _fields(message):
        if kind == "tensor":
            if number == EXTERNAL_DATA or (number == DATA_LOCATION and value):
                return True
        elif inner := WITH_TENSORS[kind].get(number):
            if isinstance(value, int):
                raise ValueError("it is damaged")
            if _names_files(value, inner, depth + 1):
                return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and value of each field of a message: a number, or the bytes that other encodings hold."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, encoding = divmod(tag, 8)
        if tag >= 1 << 32:
            raise ValueError("it is damaged")
        if encoding == VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif encoding == BYTES or encoding in LENGTHS:
            length, place = _varint(message, place) if encoding == BYTES else (LENGTHS[encoding], place)
            if length > len(message) - place:
                raise ValueError("it ends too early")
            yield number, message[place : place + length]
            place += length
        else:
            raise ValueError("it is damaged")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number in as many bytes as it takes, seven bits each, and where the next one begins."""
    value = 0
    for count, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("it ends too early")
