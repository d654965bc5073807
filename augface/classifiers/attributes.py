"""The attribute classifier: one small network, used wherever an attribute must be predicted from a face's pixels."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn

from augface.arrays import Booleans, Floats32, Integers, Pixels
from augface.cache import prepare_cache, touch
from augface.checked_arrays import read_arrays, write_arrays
from augface.data.dataset import FaceDataset, signed_labels
from augface.data.pixels import ImageRows
from augface.devices import compute_device
from augface.errors import DataError, OutputError, UnknownNameError
from augface.files import cache_dir
from augface.metrics.thresholds import balanced_threshold
from augface.progress import progress
from augface.seeds import derive_seed, random_generator
from augface.tensors import from_pixels
from augface.threads import computing_threads
from augface.training.augmentation import mirror, translate
from augface.training.loop import uses_bf16
from augface.training.losses import attribute_loss
from augface.version import __version__

log = logging.getLogger("augface")

IMAGES = 40_000
"""Shown to a classifier in all."""
BATCH = 32
"""Images of a training step: of as many images, smaller steps teach more than larger ones."""
SHIFT = 1 / 64
"""Of their side, by which faces are shifted at random: they are aligned, and larger shifts teach fine detail slowly."""
FORWARD = 256
"""Images of a forward pass without training."""
RECIPE = 1
"""Of the training: another number where the same faces give another network, which the cache does not know then."""


@dataclass(frozen=True)
class Threshold:
    """Where one attribute's probability is cut, and how well that does on faces of other people."""

    value: float
    balanced_accuracy: float


class AttributeClassifier:
    """Tells all attributes of a face at once. Trained on real faces only.

    Attributes:
        attributes: the names, in the order of the outputs.
        thresholds: of each attribute that has both values among the faces that were held out of its training.
    """

    def __init__(self, attributes: list[str], network: nn.Sequential, thresholds: dict[str, Threshold]) -> None:
        self.attributes = attributes
        self.thresholds = thresholds
        self._network = network

    @classmethod
    def train(
        cls,
        data: FaceDataset,
        held_out: Booleans | None = None,
        *,
        seed: int = 0,
        images: int = IMAGES,
        kept: bool = False,
    ) -> AttributeClassifier:
        """Train on the faces of `data` that are not held out; choose thresholds on those that are.

        Args:
            data: labelled real faces, of a train split.
            held_out: (N,) the inner fold, of people who are not among the others; where not given, all faces are
                learnt from, and there are no thresholds.
            seed: of the weights, the order and the augmentation.
            images: how many images to show in all.
            kept: whether the cache keeps the network, so that the same faces need not be learnt again.
        """
        attributes = list(data.attributes.columns)
        learn = data if held_out is None else data.select(~held_out)
        classifier = cls(attributes, (_kept if kept else _learnt)(learn, seed, images), {})
        if held_out is None:
            return classifier
        inner = data.select(held_out)
        probabilities = classifier.probabilities(inner.images)
        for column, name in enumerate(attributes):
            known = inner.attributes[name].notna().to_numpy()
            truth = inner.attributes[name][known].to_numpy(dtype=np.bool_)
            if truth.any() and not truth.all():
                value = balanced_threshold(truth, probabilities[known, column])
                score = balanced_accuracy_score(truth, probabilities[known, column] >= value)
                classifier.thresholds[name] = Threshold(value, float(score))
        return classifier

    @property
    def module(self) -> nn.Sequential:
        """The network itself, in evaluation mode: (N, 3, H, W) in [-1, 1] to log-odds (N, attributes)."""
        return self._network

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that was learnt, as named arrays."""
        return _weights(self._network)

    @classmethod
    def of_arrays(
        cls, attributes: list[str], arrays: Mapping[str, npt.NDArray[Any]], thresholds: dict[str, Threshold]
    ) -> AttributeClassifier:
        """The classifier whose `arrays` these are."""
        return cls(attributes, _restored(len(attributes), arrays), thresholds)

    def column(self, attribute: str) -> int:
        """The output for this attribute."""
        if attribute not in self.attributes:
            raise UnknownNameError("attribute", attribute, self.attributes)
        return self.attributes.index(attribute)

    def threshold(self, attribute: str) -> float:
        """The probability from which the attribute counts as present."""
        self.column(attribute)
        return self.thresholds[attribute].value if attribute in self.thresholds else 0.5

    def probabilities(self, images: ImageRows) -> Floats32:
        """Float32 (N, attributes): how likely each attribute is."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds(images))), dtype=np.float32)

    def log_odds(self, images: ImageRows | Pixels, *, mirrored: bool = False) -> Floats32:
        """Float32 (N, attributes): of each attribute, perhaps in the faces' mirror images."""
        return outputs(self._network, images, mirrored=mirrored)

    def features(self, images: ImageRows | Pixels) -> Floats32:
        """Float32 (N, D): what the last layer sees."""
        return outputs(self._network[:-1], images)


def _learnt(faces: FaceDataset, seed: int, images: int) -> nn.Sequential:
    """A network that was shown so many images of these labelled faces, in evaluation mode."""
    device = compute_device()
    conditions = torch.from_numpy(signed_labels(faces.attributes))
    random = random_generator(seed, "classifier order")
    torch_random = torch.Generator().manual_seed(derive_seed(seed, "classifier augmentation"))
    steps = max(1, images // BATCH)
    order = np.concatenate([random.permutation(len(faces)) for _ in range(steps * BATCH // len(faces) + 1)])
    with torch.random.fork_rng(devices=[]):  # the weights, and dropout in each step
        torch.manual_seed(derive_seed(seed, "classifier"))
        network = small_network(conditions.shape[1]).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

        def batch_loss(rows: Integers) -> Tensor:
            batch = translate(mirror(from_pixels(faces.images[rows]), torch_random), torch_random, SHIFT)
            return attribute_loss(forward(network, batch), conditions[rows].to(device))

        descend(network, order[: steps * BATCH], batch_loss, "attribute classifier", batch=BATCH)
    learnt: nn.Sequential = network.eval()
    return learnt


def _kept(faces: FaceDataset, seed: int, images: int) -> nn.Sequential:
    """The same from the cache, where these faces have been learnt before; else it is kept there."""
    labels = signed_labels(faces.attributes)
    digest = hashlib.sha256(
        f"{RECIPE} {__version__} {torch.__version__} {compute_device().type} {computing_threads()} {uses_bf16()} "
        f"{seed} {images} {list(faces.attributes)} {faces.images.shape}".encode()
    )
    digest.update(labels.tobytes())
    for start in range(0, len(faces), FORWARD):
        digest.update(np.ascontiguousarray(faces.images[start : start + FORWARD]).data)
    path = cache_dir() / "classifiers" / f"{digest.hexdigest()[:32]}.safetensors"
    if path.is_file():
        try:
            network = _restored(labels.shape[1], read_arrays(path))
        except (DataError, RuntimeError) as error:  # which torch raises of other layers
            log.warning(f"{path} is damaged, and the classifier is trained again: {error}")
        else:
            touch(path)
            return network
    network = _learnt(faces, seed, images)
    with suppress(OutputError):  # a full disk costs the cache, not the result
        prepare_cache()
        write_arrays(path, _weights(network), {"description": f"attributes of {len(faces)} faces"})
    return network


def _weights(network: nn.Sequential) -> dict[str, npt.NDArray[Any]]:
    return {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def _restored(attributes: int, arrays: Mapping[str, npt.NDArray[Any]]) -> nn.Sequential:
    network = small_network(attributes)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return network.to(compute_device(), memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def descend(
    network: nn.Module,
    order: Integers,
    batch_loss: Callable[[Integers], Tensor],
    description: str,
    *,
    batch: int,
) -> None:
    """Train a network, one cycle of the learning rate long (Smith & Topin 2018, arXiv:1708.07120).

    Args:
        network: changed in place; left in evaluation mode.
        order: row numbers, one batch after another.
        batch_loss: the loss of a batch of rows.
        description: what the progress bar says.
        batch: rows of a step.
    """
    steps = max(1, len(order) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    network.train()
    for step in progress(iterable=range(steps), desc=description, leave=False):
        loss = batch_loss(order[step * batch : (step + 1) * batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    network.eval()


def forward(network: nn.Module, batch: Tensor) -> Tensor:
    """Float32 logits of a batch (N, 3, H, W), computed in bfloat16 where that is faster."""
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16()):
        logits: Tensor = network(batch.to(device, memory_format=torch.channels_last))
    return logits.float()


@torch.inference_mode()
def outputs(network: nn.Module, images: ImageRows | Pixels, *, mirrored: bool = False) -> Floats32:
    """Float32 (N, D): the outputs of a network in evaluation mode for uint8 images, or for their mirror images.

    Every forward pass has as many images, the last one blank ones too, so that no output depends on how many there are.
    """
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(images), FORWARD):
        pixels = from_pixels(images[start : start + FORWARD])
        pixels = pixels.flip(3) if mirrored else pixels
        blank = pixels.new_zeros(FORWARD - len(pixels), *pixels.shape[1:])
        whole = torch.cat([pixels, blank]).to(device, memory_format=torch.channels_last)
        parts.append(network(whole)[: len(pixels)].cpu().numpy())
    return np.concatenate(parts).astype(np.float32)


def small_network(attributes: int) -> nn.Sequential:
    """Strided convolutions: a quarter of the work of pooling, and as good at telling labels of 64 x 64 faces."""
    layers: list[nn.Module] = []
    widths = [3, 32, 64, 128, 256]
    for narrow, wide in itertools.pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
    head = nn.Linear(4 * widths[-1], attributes)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), head)
