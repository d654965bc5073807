"""An encoder of one's own in an ONNX file: a face recogniser, a self-supervised network, whatever gives vectors.

    augface evaluate REAL FAKE --spaces "onnx:adaface.onnx?normalise=symmetric&channels=bgr"

The file says how large its images are. What it cannot say stands after a question mark: how pixels are normalised
(`imagenet`, where not given, `symmetric` for -1 to 1, `unit` for 0 to 1), the order of the channels (`rgb` or `bgr`),
and the side of the images (`size`) where the file leaves it open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import numpy as np

from augface.arrays import Floats32, Pixels
from augface.errors import DataError, UsageError
from augface.features.base import Features, FeatureSpace
from augface.features.resize import resized
from augface.files import sha256_of_file
from augface.onnx_files import open_onnx
from augface.threads import cores

MEANS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""What is subtracted from the channels, and what they are divided by, red first."""
CHANNELS = ("rgb", "bgr")
SIZE = 224
"""Pixels of a side, where neither the file nor the user says how many."""
LARGEST = 1024
MOST_NUMBERS = 1 << 16
"""Numbers of a vector, beyond which it is none."""


class OnnxSpace(FeatureSpace):
    """The first output of an ONNX network, flattened, of whole images."""

    name: ClassVar[str] = "onnx"
    takes: ClassVar[str] = "onnx:FILE"

    def __init__(self, path: Path, normalise: str = "imagenet", channels: str = "rgb", size: int | None = None) -> None:
        """Open the file and try it.

        Raises:
            UsageError: a setting is unknown, or onnxruntime is not installed.
            DataError: the file cannot be opened, or takes or gives something else.
        """
        if normalise not in MEANS:
            raise UsageError(f"Pixels cannot be normalised as {normalise!r}; one of {', '.join(MEANS)}.")
        if channels not in CHANNELS:
            raise UsageError(f"The channels cannot be in the order {channels!r}; one of {', '.join(CHANNELS)}.")
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(f"An ONNX encoder needs onnxruntime ({error}): pip install 'augface[onnx]'") from error
        if not path.is_file():
            raise DataError(f"There is no ONNX file {path}.")
        self.path, self.normalise, self.channels = path, normalise, channels
        self.sha256 = sha256_of_file(path)
        try:
            self._session: Any = open_onnx(path.read_bytes(), onnxruntime, cores())
        except Exception as error:  # onnxruntime's own errors share no base class
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            raise DataError(f"{path} cannot be opened as ONNX: {reason}.") from error
        self.size = self._side(size)
        self.dimension: int = self._try()  # type: ignore[misc]  # each file has its own

    @classmethod
    def of(cls, encoder: str) -> OnnxSpace:
        """The space of `FILE` or `FILE?normalise=…&channels=…&size=…`."""
        file, _, query = encoder.partition("?")
        settings = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := settings.keys() - {"normalise", "channels", "size"}:
            raise UsageError(
                f"An ONNX encoder has no setting {', '.join(sorted(unknown))}: {cls.takes}?normalise=unit."
            )
        size = settings.pop("size", None)
        if size is not None and not (size.isdecimal() and 0 < int(size) <= LARGEST):
            raise UsageError(f"The size of images must be a whole number from 1 to {LARGEST}, not {size!r}.")
        return cls(Path(file).expanduser(), **settings, size=None if size is None else int(size))

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """The SHA-256 of the file, and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "weights_sha256": self.sha256,
            "resolution": self.size,
            "resize": "bicubic",
            "normalise": self.normalise,
            "channels": self.channels,
        }

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (3, H, H)."""
        planes = resized(image, self.size) / np.float32(255)
        means, deviations = (np.array(each, dtype=np.float32)[:, None, None] for each in MEANS[self.normalise])
        planes = (planes - means) / deviations
        return planes if self.channels == "rgb" else np.ascontiguousarray(planes[::-1])

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, dimension); one image at a time where the file takes but one."""
        step = self._batch or len(prepared)
        parts = [self._run(prepared[start : start + step]) for start in range(0, len(prepared), step)]
        return np.concatenate(parts)

    def _run(self, images: Floats32) -> Features:
        (source, *_) = self._session.get_inputs()
        vectors = np.asarray(self._session.run(None, {source.name: images})[0], dtype=np.float32)
        return vectors.reshape(len(images), -1)

    def _side(self, wanted: int | None) -> int:
        """The side of the images, which must be square, float32 and with the channels first."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] not in (3, "3"):
            shapes = "; ".join(f"{each.type} {each.shape}" for each in inputs) or "nothing"
            raise DataError(f"{self.path} takes {shapes}. An encoder takes a batch of images: float32 (N, 3, H, H).")
        self._batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        if self._batch is not None and self.batch % self._batch:
            raise DataError(
                f"{self.path} takes {self._batch} images at a time; export it with an open batch or with 1."
            )
        known = {length for length in shape[2:] if isinstance(length, int) and length > 0}
        if len(known) > 1 or (known and wanted not in (None, *known)):
            raise DataError(
                f"{self.path} takes images of {shape[2]} x {shape[3]} pixels, not square ones of that size."
            )
        return known.pop() if known else wanted or SIZE

    def _try(self) -> int:
        """The numbers of a vector, seen by encoding black images."""
        try:
            vectors = self.forward(np.zeros((self.batch, 3, self.size, self.size), dtype=np.float32))
        except Exception as error:  # as above
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            raise DataError(f"{self.path} cannot encode images of {self.size} x {self.size}: {reason}.") from error
        if not 1 < vectors.shape[1] <= MOST_NUMBERS:
            raise DataError(f"{self.path} gives {vectors.shape[1]} numbers an image, which is no vector to compare.")
        return int(vectors.shape[1])

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """An encoder is brought by whoever names it."""
        return True, f"bring a file: {cls.takes}"
