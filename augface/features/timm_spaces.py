"""Spaces of vision transformers of timm, DINOv2 and CLIP, whose weights come from the Hugging Face hub when asked for.

Stein et al. 2023, "Exposing flaws of generative model evaluation metrics", find that distances between features of
DINOv2 agree best with people; Kynkäänniemi et al. 2023, "The Role of ImageNet Classes in Fréchet Inception Distance",
take CLIP; Jayasumana et al. 2024, "Rethinking FID", the larger one, for CMMD.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from augface.arrays import Floats32, Pixels
from augface.errors import DataError, UnknownNameError
from augface.features.base import Features, FeatureSpace, NetworkSpace
from augface.features.resize import resized
from augface.features.weights import Weights, WeightsFile, find, load_into, read_weights

if TYPE_CHECKING:
    import torch

    from augface.features.network import NetworkFunction

Triple = tuple[float, float, float]


class TimmSpace(NetworkSpace):
    """The class token of a vision transformer, of images of 224 x 224, or as `resolution` says."""

    resolution: ClassVar[int] = 224
    architecture: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    """What `timm.create_model` takes beside the architecture."""
    resize: ClassVar[str]
    mean: ClassVar[Triple]
    deviation: ClassVar[Triple]

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version, architecture, weights and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "architecture": self.architecture,
            "weights_sha256": self.weights.sha256,
            "resolution": self.resolution,
            "resize": self.resize,
        }

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (3, resolution, resolution), about -2 to 2."""
        planes = self.fitted(image)
        planes /= 255
        planes -= np.array(self.mean, dtype=np.float32)[:, None, None]
        planes /= np.array(self.deviation, dtype=np.float32)[:, None, None]
        return planes

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, dimension)."""
        return _network(type(self), self.weights)(prepared)

    @abstractmethod
    def fitted(self, image: Pixels) -> Floats32:
        """The image at its resolution: float32 (3, resolution, resolution) from 0 to 255."""

    @classmethod
    def adapted(cls, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights for images of 224 x 224."""
        return state


class DinoSpace(TimmSpace):
    """DINOv2 ViT-L/14, as dgm-eval uses it with its clean resizing: whole images, whatever their shape."""

    name: ClassVar[str] = "dinov2"
    dimension: ClassVar[int] = 1024
    architecture: ClassVar[str] = "vit_large_patch14_dinov2.lvd142m"
    options: ClassVar[dict[str, Any]] = {"img_size": 224}
    resize: ClassVar[str] = "bicubic"
    mean: ClassVar[Triple] = (0.485, 0.456, 0.406)
    deviation: ClassVar[Triple] = (0.229, 0.224, 0.225)
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="dinov2",
        name="vit_large_patch14_dinov2.lvd142m.safetensors",
        bytes=1_217_000_000,
        repository="timm/vit_large_patch14_dinov2.lvd142m",
        repository_names=("model.safetensors",),
    )

    def fitted(self, image: Pixels) -> Floats32:
        """The whole image."""
        return resized(image, self.resolution)

    @classmethod
    def adapted(cls, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights with the places of 37 x 37 patches made places of 16 x 16, as DINOv2's own code does it.

        That is bicubic without antialiasing and with a scale that is a little too large; timm's own way is another, and
        features would not be those of the peers.
        """
        import torch
        from torch.nn import functional

        places = state.get("pos_embed")
        side = cls.resolution // 14
        if places is None or places.shape[1] == 1 + side**2:
            return state
        old = round((places.shape[1] - 1) ** 0.5)
        grid = places[:, 1:].float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, scale_factor=((side + 0.1) / old,) * 2, mode="bicubic")
        grid = grid.permute(0, 2, 3, 1).reshape(1, side**2, -1)
        return state | {"pos_embed": torch.cat([places[:, :1].float(), grid], dim=1)}


class ClipSpace(TimmSpace):
    """CLIP ViT-B/32's embedding of images, prepared as in clean-fid's CLIP-FID: the middle square, in whole numbers."""

    name: ClassVar[str] = "clip"
    dimension: ClassVar[int] = 512
    architecture: ClassVar[str] = "vit_base_patch32_clip_quickgelu_224.openai"
    """OpenAI's network has the quick GELU; timm keeps its weights under the name without."""
    resize: ClassVar[str] = "bicubic to 8 bits, centre crop"
    mean: ClassVar[Triple] = (0.48145466, 0.4578275, 0.40821073)
    deviation: ClassVar[Triple] = (0.26862954, 0.26130258, 0.27577711)
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="clip",
        name="vit_base_patch32_clip_224.openai.safetensors",
        bytes=351_000_000,
        repository="timm/vit_base_patch32_clip_224.openai",
        repository_names=("model.safetensors", "open_clip_model.safetensors"),
    )

    def fitted(self, image: Pixels) -> Floats32:
        """The middle square of the image, its shorter side resized to 224."""
        side = self.resolution
        shorter = min(image.shape[:2])
        width, height = (side * length // shorter for length in (image.shape[1], image.shape[0]))
        picture = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - side) / 2), round((height - side) / 2)
        square = np.asarray(picture.crop((left, top, left + side, top + side)))
        return np.ascontiguousarray(square.transpose(2, 0, 1), dtype=np.float32)


class LargeClipSpace(TimmSpace):
    """CLIP ViT-L/14's embedding of whole images of 336 x 336, as CMMD takes it: resized bicubically, antialiased."""

    name: ClassVar[str] = "clip_large"
    dimension: ClassVar[int] = 768
    resolution: ClassVar[int] = 336
    architecture: ClassVar[str] = "vit_large_patch14_clip_quickgelu_336.openai"
    resize: ClassVar[str] = "bicubic"
    mean: ClassVar[Triple] = ClipSpace.mean
    deviation: ClassVar[Triple] = ClipSpace.deviation
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="clip_large",
        name="vit_large_patch14_clip_336.openai.safetensors",
        bytes=1_220_000_000,
        repository="timm/vit_large_patch14_clip_336.openai",
        repository_names=("model.safetensors", "open_clip_model.safetensors"),
    )

    def fitted(self, image: Pixels) -> Floats32:
        """The whole image."""
        return resized(image, self.resolution)


class NamedTimmSpace(FeatureSpace):
    """The pooled features of any network of timm, with the resolution and the normalisation that its makers give."""

    name: ClassVar[str] = "timm"
    takes: ClassVar[str] = "timm:NAME"

    def __init__(self, architecture: str) -> None:
        """Find the weights, which are those with the classifier that timm publishes, and load them.

        They are looked for where AUGFACE_TIMM_WEIGHTS says, in augface's cache and where the Hugging Face hub keeps
        them.

        Raises:
            UnknownNameError: timm has no such network.
            DataError: its weights are not here, or are those of another one.
        """
        import timm
        from timm.data.config import resolve_model_data_config

        if not timm.is_model(architecture.partition(".")[0]):
            raise UnknownNameError("timm network", architecture, timm.list_models())
        self.architecture = architecture
        self.weights = find(
            WeightsFile(
                space=self.name,
                name=f"{architecture}.safetensors",
                repository=f"timm/{architecture}",
                repository_names=("model.safetensors",),
            )
        )
        try:
            network: Any = timm.create_model(architecture, pretrained=False)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"timm cannot make {architecture}: {error}") from error
        load_into(network, read_weights(self.weights.path), self.weights.path)
        network.reset_classifier(0)
        self._config: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
        self.resolution: int = max(self._config["input_size"][1:])
        from augface.features.network import torch_function

        shape = (self.batch, 3, self.resolution, self.resolution)
        self._function: NetworkFunction = torch_function(network)
        self.dimension: int = self._function(np.zeros(shape, np.float32)).shape[1]  # type: ignore[misc]  # by the name

    @classmethod
    def of(cls, encoder: str) -> NamedTimmSpace:
        """The space of the network of this name."""
        return cls(encoder)

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Architecture, weights and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "architecture": self.architecture,
            "weights_sha256": self.weights.sha256,
            "resolution": self.resolution,
            "resize": "bicubic",
            "mean": ", ".join(map(str, self._config["mean"])),
            "deviation": ", ".join(map(str, self._config["std"])),
        }

    def prepare(self, image: Pixels) -> Floats32:
        """The whole image: float32 (3, resolution, resolution)."""
        planes = resized(image, self.resolution) / np.float32(255)
        means, deviations = (np.array(self._config[key], np.float32)[:, None, None] for key in ("mean", "std"))
        return np.asarray((planes - means) / deviations, dtype=np.float32)

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, dimension)."""
        return self._function(prepared)

    @classmethod
    def weights_status(cls) -> tuple[bool, str]:
        """An encoder is brought by whoever names it."""
        return True, f"bring the weights: {cls.takes}"


@cache
def _network(space: type[TimmSpace], weights: Weights) -> NetworkFunction:
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    from augface.features.network import network_function

    network: Any = timm.create_model(space.architecture, pretrained=False, **space.options)
    state = space.adapted(read_weights(weights.path))
    # the names that the makers' own files have are translated too
    load_into(network, checkpoint_filter_fn(state, network), weights.path)
    return network_function(network, (space.batch, 3, space.resolution, space.resolution))
