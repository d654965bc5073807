"""Learning from pixels: a network trained from nothing, on as many images for every arm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from augface.arrays import Floats32, Integers
from augface.classifiers.attributes import descend, forward, outputs, small_network
from augface.data.pixels import ImageRows, join_images
from augface.devices import compute_device
from augface.downstream.arms import Arm
from augface.downstream.data import ExperimentData, TrainingSet
from augface.downstream.linear import LAST_LAYER_STRENGTHS, best_head, fit_path
from augface.errors import UnknownNameError
from augface.tensors import from_pixels
from augface.training.augmentation import mirror, translate
from augface.training.losses import attribute_loss

IMAGES = 25_000
"""Images that each arm is shown in each run."""
BATCH = 64
"""Images of a training step."""
TARGET_SHARE = 0.5
"""Weight of the target in the loss; the other attributes, which teach what faces are like, share the rest."""
MIXING = 0.2
"""Both parameters of the beta distribution from which the share of the second face in a blend is drawn."""
RANDAUGMENT_GROUP = 8
"""Faces that get the same random changes."""
SMALL = "small"


@dataclass(frozen=True)
class Full:
    """A network for all attributes at once.

    Attributes:
        data: images and labels.
        network: `small`, or the name of a timm model, whose weights are random at first.
        images: shown in each run.
    """

    data: ExperimentData
    network: str = SMALL
    images: int = IMAGES
    mode: ClassVar[str] = "full"
    joint: ClassVar[bool] = True
    """Whether all attributes are learnt together."""
    deterministic: ClassVar[bool] = False
    """Whether the same faces give the same classifier, whatever the seed."""

    def __post_init__(self) -> None:
        check_network(self.network)

    @staticmethod
    def supports(arm: Arm) -> bool:
        """Whether the arm means anything here: all do but those for features alone."""
        return not arm.method

    @property
    def workers(self) -> int:
        """One: a network's training fills all cores by itself."""
        return 1

    @property
    def protocol(self) -> dict[str, object]:
        """What changes the numbers."""
        return {
            "classifier": "network on pixels, trained from random weights",
            "network": self.network,
            "images_shown": self.images,
            "target_share": TARGET_SHARE,
            "mixing": MIXING,
            "last_layer_strengths": list(LAST_LAYER_STRENGTHS),
        }

    def learn(
        self, arm: Arm, training: TrainingSet, attributes: list[int], random: np.random.Generator
    ) -> dict[str, Floats32]:
        """Log-odds of these attributes for the held-out faces, float32 (N, attributes) each."""
        device = compute_device()
        images, conditions = self._learn
        loss_weights = torch.from_numpy(training.loss.astype(np.float32))
        weights_seed, batches_seed = (int(seed) for seed in random.integers(2**62, size=2))
        torch_random = torch.Generator().manual_seed(batches_seed)
        batches = self.images // BATCH
        early = batches // 3
        order = np.concatenate(
            [
                random.choice(len(conditions), count * BATCH, p=shown / shown.sum())
                for shown, count in ((training.shown, early), (training.later, batches - early))
            ]
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(weights_seed)
            network = new_network(self.network, conditions.shape[1]).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

            def batch_loss(rows: Integers) -> Tensor:
                batch, condition = _augmented(from_pixels(images[rows]), arm, torch_random), conditions[rows].to(device)
                weights = loss_weights[rows].to(device)
                if not arm.mixup:
                    return self._loss(forward(network, batch), condition, weights)
                share = float(random.beta(MIXING, MIXING))
                partner = torch.randperm(len(rows), generator=torch_random)
                logits = forward(network, share * batch + (1 - share) * batch[partner])
                first, second = (
                    self._loss(logits, condition[order], weights[order]) for order in (slice(None), partner)
                )
                return share * first + (1 - share) * second

            descend(network, order, batch_loss, f"downstream, {arm.name}", batch=BATCH)
        log_odds = {name: outputs(network, part.inputs) for name, part in self.data.held_out.items()}
        if arm.last_layer and 0 in attributes:
            self._retrain_last_layer(network, training, log_odds)
        return {name: output[:, attributes] for name, output in log_odds.items()}

    @cached_property
    def _learn(self) -> tuple[ImageRows, Tensor]:
        parts = [part for part in (self.data.real, self.data.synthetic) if len(part)]
        images = join_images([part.inputs for part in parts if isinstance(part.inputs, ImageRows)])
        return images, torch.from_numpy(np.concatenate([part.labels for part in parts]))

    @staticmethod
    def _loss(logits: Tensor, condition: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy of the target, weighted, and of the other attributes."""
        target = attribute_loss(logits[:, :1], condition[:, :1], weights[:, None])
        if logits.shape[1] == 1:
            return target
        return TARGET_SHARE * target + (1 - TARGET_SHARE) * attribute_loss(logits[:, 1:], condition[:, 1:])

    def _retrain_last_layer(self, network: nn.Module, training: TrainingSet, log_odds: dict[str, Floats32]) -> None:
        """Retrain the target's part of the last layer on real faces, as near to what it was as is best on valid."""
        real = self.data.real
        body, head = _Body(network), _head(network)
        rows = np.flatnonzero(training.last_layer[: len(real)])
        seen = {
            "real": outputs(body, real.inputs[rows]),
            **{name: outputs(body, part.inputs) for name, part in self.data.held_out.items()},
        }
        scale = max(float(np.sqrt((seen["real"] ** 2).mean())), 1e-6)
        inputs = {
            name: np.concatenate([features / scale, np.ones((len(features), 1), np.float32)], axis=1)
            for name, features in seen.items()
        }
        weight, bias = (tensor[0].detach().cpu().numpy() for tensor in (head.weight, head.bias))
        prior = np.append(weight * scale, bias).astype(np.float32)
        targets, counts = real.labels[rows, 0] > 0, training.last_layer[rows]
        heads = [prior, *fit_path(inputs["real"], targets, counts, LAST_LAYER_STRENGTHS, prior=prior)]
        known, shown = self.data.valid.known(0)
        chosen = best_head(heads, inputs["valid"][known], shown)
        for name, output in log_odds.items():
            output[:, 0] = inputs[name] @ chosen


def check_network(name: str) -> None:
    """Raise an `UnknownNameError` where there is no such network; close matches are named."""
    import timm

    if name != SMALL and name not in (known := timm.list_models()):
        raise UnknownNameError("network", name, [SMALL, *known])


def new_network(name: str, outputs: int) -> nn.Module:
    """The small network, or a timm model, with random weights and one output an attribute."""
    import timm

    return small_network(outputs) if name == SMALL else timm.create_model(name, num_classes=outputs)


class _Body(nn.Module):
    """All but the last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        if isinstance(self.network, nn.Sequential):
            features: Tensor = self.network[:-1](images)
        else:
            features = self.network.forward_head(self.network.forward_features(images), pre_logits=True)  # type: ignore[operator]
        return features


def _head(network: nn.Module) -> nn.Linear:
    head = network[-1] if isinstance(network, nn.Sequential) else network.get_classifier()  # type: ignore[operator]
    assert isinstance(head, nn.Linear)
    return head


def _augmented(batch: Tensor, arm: Arm, random: torch.Generator) -> Tensor:
    if arm.augmentation is None:
        return batch
    if arm.augmentation == "flip":
        return mirror(batch, random)
    if arm.augmentation == "flip and crop":
        return translate(mirror(batch, random), random)
    from torchvision.transforms import v2

    change = v2.RandAugment(num_ops=2, magnitude=9)
    whole = ((batch + 1) * 127.5).round().byte()
    return torch.cat([change(part) for part in torch.split(whole, RANDAUGMENT_GROUP)]).float() / 127.5 - 1
