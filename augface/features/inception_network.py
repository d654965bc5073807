"""Inception-v3 as the Fréchet Inception distance knows it: TensorFlow's graph of 2015-12-05, in torchvision's names.

It differs from torchvision's in its 1008 classes and in the pooling beside the convolutions: average pools that do not
count their padding, and in the last block a maximum.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

CLASSES = 1008


def inception_network() -> nn.Module:
    """The network without weights: float32 images (N, 3, 299, 299) from -1 to 1 give logits (N, 1008).

    Its state dict has the keys of pytorch-fid's file. With the identity for `fc` it gives pooled features (N, 2048).
    """
    blocks = [BasicConv2d, _BlockA, InceptionB, _BlockC, InceptionD, _BlockE, InceptionAux]
    network = Inception3(CLASSES, aux_logits=False, transform_input=False, inception_blocks=blocks, init_weights=False)
    network.Mixed_7c.pool = nn.MaxPool2d(3, stride=1, padding=1)
    return network  # type: ignore[no-any-return]  # torchvision is not typed


def _average_pool() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


class _BlockA(InceptionA):  # type: ignore[misc]
    """1 x 1, 5 x 5, two 3 x 3, and a pool."""

    def __init__(self, in_channels: int, pool_features: int) -> None:
        super().__init__(in_channels, pool_features)
        self.pool = _average_pool()

    def _forward(self, images: Tensor) -> list[Tensor]:
        return [
            self.branch1x1(images),
            self.branch5x5_2(self.branch5x5_1(images)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(images))),
            self.branch_pool(self.pool(images)),
        ]


class _BlockC(InceptionC):  # type: ignore[misc]
    """1 x 1, 7 x 7 in two steps, twice 7 x 7 in four steps, and a pool."""

    def __init__(self, in_channels: int, channels_7x7: int) -> None:
        super().__init__(in_channels, channels_7x7)
        self.pool = _average_pool()

    def _forward(self, images: Tensor) -> list[Tensor]:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(images)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(images)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return [self.branch1x1(images), once, twice, self.branch_pool(self.pool(images))]


class _BlockE(InceptionE):  # type: ignore[misc]
    """1 x 1, 3 x 3 split in two, two 3 x 3 split in two, and a pool."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.pool = _average_pool()

    def _forward(self, images: Tensor) -> list[Tensor]:
        once = self.branch3x3_1(images)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(images))
        return [
            self.branch1x1(images),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(self.pool(images)),
        ]
