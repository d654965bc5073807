"""Named arrays in a safetensors file that says whether it is whole: its header holds the SHA-256 of what is in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from augface.errors import DataError
from augface.files import atomic_path

CHECKSUM = "sha256"
Arrays = dict[str, npt.NDArray[Any]]


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, str] | None = None) -> None:
    """Write arrays, and texts about them, to a file: whole or not at all."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(save(contiguous, metadata={**(about or {}), CHECKSUM: checksum(contiguous)}))
        file.flush()
        os.fsync(file.fileno())


def read_arrays(path: Path) -> Arrays:
    """The arrays in a file that `write_arrays` wrote.

    Raises:
        DataError: there is none, or it is damaged, or holds numbers that are not finite.
    """
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
        arrays: Arrays = load(content)
        if about(content).get(CHECKSUM) != checksum(arrays):
            raise ValueError("it does not have the checksum that it was written with")
        if not all(np.isfinite(array).all() for array in arrays.values() if np.issubdtype(array.dtype, np.inexact)):
            raise ValueError("it holds NaN or infinity")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged file raises what it likes
        raise DataError(f"{path} is damaged: {error}.") from error
    return arrays


def arrays_are_whole(path: Path) -> bool:
    """Whether `read_arrays` can read a file."""
    try:
        read_arrays(path)
    except DataError:
        return False
    return True


def about(content: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    texts = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return {str(name): str(text) for name, text in texts.items()}


def checksum(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and numbers."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
