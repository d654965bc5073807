"""Feature spaces: where images become vectors that can be compared. A new one is one file here and one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augface.errors import UsageError
from augface.registry import Registry

if TYPE_CHECKING:
    from augface.features.base import FeatureSpace

FEATURE_SPACES: Registry[type[FeatureSpace]] = Registry("feature space", "augface.features")
FEATURE_SPACES.register(
    "efficientnet",
    "augface.features.efficientnet:EfficientNetSpace",
    "ImageNet features of EfficientNet-Lite0; offline",
)
FEATURE_SPACES.register(
    "inception",
    "augface.features.inception:InceptionSpace",
    "Inception-v3 as FID and KID have it, resized as by clean-fid; downloads 96 MB once",
)
FEATURE_SPACES.register("dinov2", "augface.features.timm_spaces:DinoSpace", "DINOv2 ViT-L/14; downloads 1.2 GB once")
FEATURE_SPACES.register("clip", "augface.features.timm_spaces:ClipSpace", "CLIP ViT-B/32; downloads 351 MB once")
FEATURE_SPACES.register(
    "clip_large",
    "augface.features.timm_spaces:LargeClipSpace",
    "CLIP ViT-L/14 at 336 pixels, of CMMD; downloads 1.2 GB once",
)
FEATURE_SPACES.register(
    "identity", "augface.features.identity:IdentitySpace", "dlib's face recognition; for likeness to people; opt-in"
)
FEATURE_SPACES.register("pixels", "augface.features.pixels:PixelSpace", "16 x 16 RGB, contrast-normalised; for copies")
FEATURE_SPACES.register(
    "onnx", "augface.features.onnx:OnnxSpace", "an encoder of your own, in an ONNX file: give it as onnx:FILE"
)
FEATURE_SPACES.register(
    "timm", "augface.features.timm_spaces:NamedTimmSpace", "any encoder of timm, as timm:NAME; bring the weights"
)

DEFAULT_SPACE = "efficientnet"


def create_feature_space(name: str = DEFAULT_SPACE) -> FeatureSpace:
    """The feature space of this name, ready to extract.

    Args:
        name: that of a registered space; `onnx:FILE` and `timm:NAME` say after the colon which encoder is meant.

    Raises:
        UnknownNameError: no such space.
        UsageError: what is to follow the colon is missing, or nothing is to.
        DataError: its weights are missing or are not the expected ones.
    """
    kind, colon, encoder = name.partition(":")
    space = FEATURE_SPACES.get(kind)
    if space.takes and not encoder:
        raise UsageError(f"The feature space {kind} needs to know which encoder is meant: give it as {space.takes}.")
    if colon and not space.takes:
        raise UsageError(f"The feature space {kind} has one encoder: give it as {kind}.")
    return space.of(encoder) if encoder else space()


def weights_status(name: str) -> tuple[bool, str]:
    """Whether the space can be used here without a download, and where its weights are or what to do."""
    return FEATURE_SPACES.get(name.partition(":")[0]).weights_status()
