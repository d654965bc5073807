"""The training loop, readable from top to bottom.

Everything random in a step is drawn from (seed, step, process), so a training that was stopped goes on bit for bit
as if it had not been, on any number of processes.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from tqdm import tqdm

from augface.data.dataset import ImageRows
from augface.errors import AugfaceError
from augface.files import atomic_write
from augface.seeds import derive_seed, random_generator
from augface.training.augmentation import Augmentation, augment, mirror
from augface.training.budget import Budget
from augface.training.checkpoints import TrainingState
from augface.training.losses import Loss, attribute_loss, discriminator_loss, generator_loss, gradient_penalty

LOGS = 100
"""Log lines, and values of each curve, in a whole training."""
CHECKPOINTS = 20
PREVIEWS = 10


class TrainingSettings(BaseModel):
    """Settings of adversarial training. The defaults were found by measurement; see docs/results.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Loss = "relativistic"
    batch_size: int = Field(default=16, ge=2)
    """Small batches learn faster an image than large ones: there are more steps."""
    learning_rate: float = Field(default=1e-3, gt=0)
    discriminator_learning_rate: float = Field(default=1e-3, gt=0)
    attribute_weight: float = Field(default=1.0, ge=0)
    """Weight of the auxiliary attribute loss, for both networks."""
    gradient_penalty_weight: float = Field(default=0.5, ge=0)
    gradient_penalty_every: int = Field(default=16, ge=1)
    augmentations: tuple[Augmentation, ...] = ("translate",)
    average_images: int = Field(default=10_000, ge=1)
    """Half-life of the weight average, in images."""
    decay_share: float = Field(default=0.3, ge=0, le=0.95)
    """The share of the training, at its end, in which the learning rate falls linearly to a twentieth."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"


class Batches:
    """Draws training batches: images with their conditions, rows chosen with the given weights."""

    def __init__(
        self, images: ImageRows, conditions: npt.NDArray[np.float32], weights: npt.NDArray[np.float64]
    ) -> None:
        self.images = images
        self.conditions = torch.from_numpy(conditions)
        self.cumulative = np.cumsum(weights / weights.sum())

    def rows(self, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """(count,) row numbers, drawn with replacement."""
        return np.searchsorted(self.cumulative, random.random(count), side="right").clip(max=len(self.images) - 1)

    def real(self, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images (count, 3, H, W) in [-1, 1] and conditions (count, A)."""
        rows = self.rows(count, random)
        pixels = torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2)
        return pixels.float() / 127.5 - 1, self.conditions[rows]


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    batches: Batches,
    settings: TrainingSettings,
    *,
    latent: int,
    budget: Budget,
    seed: int,
    run_dir: Path | None = None,
    resume: bool = False,
    identity: dict[str, Any] | None = None,
    preview: Callable[[nn.Module, int], None] | None = None,
) -> TrainingState:
    """Train a pair of networks.

    Args:
        generator: (noise (N, latent), condition (N, A)) to images in [-1, 1].
        discriminator: (images, condition) to realness logits (N,) and attribute logits (N, A).
        batches: where real images and conditions come from.
        settings: how to train.
        latent: dimension of the noise.
        budget: images, or seconds, which are turned into images when the learning rate begins to fall: until then
            nothing depends on how many there will be, and the speed is known best.
        seed: of everything random.
        run_dir: gets `log.jsonl` and `checkpoints/`; nothing is written without it.
        resume: go on from the last checkpoint in `run_dir`, if there is one.
        identity: what else must be unchanged for a resumption, such as the data's hash.
        preview: called about ten times with the averaged generator and the number of images seen.

    Returns:
        The state at the end; its `average` is the generator to use.

    Raises:
        AugfaceError: a loss is no longer a number; the last checkpoint is kept.
    """
    # without a GPU, several processes find each other only when told to stay on the processor
    on_processor = not torch.cuda.is_available() and int(os.environ.get("WORLD_SIZE", "1")) > 1
    accelerator = Accelerator(cpu=on_processor, mixed_precision="bf16" if uses_bf16(settings.precision) else "no")
    device, processes = accelerator.device, accelerator.num_processes
    for network in (generator, discriminator):
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainingState(
        generator=generator,
        average=copy.deepcopy(generator).requires_grad_(False),
        discriminator=discriminator,
        generator_optimiser=_optimiser(generator, settings.learning_rate),
        discriminator_optimiser=_optimiser(discriminator, settings.discriminator_learning_rate),
        settings={
            **settings.model_dump(mode="json"),
            **(identity or {}),
            "seed": seed,
            "processes": processes,
            "budget": f"{budget.amount:g} {budget.unit}",
        },
        total_images=int(budget.amount) if budget.unit == "images" else 0,
    )
    checkpoint = run_dir / "checkpoints" / "last.safetensors" if run_dir else None
    if checkpoint and resume and checkpoint.exists():
        state.restore(checkpoint)

    batch = max(2, settings.batch_size // processes)
    constant_share = 1 - max(0.05, settings.decay_share)  # of the training, in which the learning rate does not change
    started = time.perf_counter() - state.seconds
    progress = tqdm(
        total=state.total_images or None, initial=state.images_seen, unit="img", unit_scale=True, desc="training",
        disable=not (accelerator.is_main_process and sys.stderr.isatty()),
    )  # fmt: skip
    while not state.total_images or state.images_seen < state.total_images:
        step = state.images_seen // (batch * processes)
        stream = (seed, "step", step, accelerator.process_index)
        random = random_generator(*stream)
        torch_random = torch.Generator().manual_seed(derive_seed(*stream))
        _set_learning_rates(state, settings)

        # discriminator: real and made images in one pass, all augmented alike
        real, real_condition = batches.real(batch, random)
        real = mirror(real, torch_random).to(device, memory_format=torch.channels_last)
        real_condition = real_condition.to(device)
        noise = torch.randn(batch, latent, generator=torch_random).to(device)
        fake_condition = batches.conditions[batches.rows(batch, random)].to(device)
        with accelerator.autocast():
            fake = generator(noise, fake_condition)
            both = augment(torch.cat([real, fake.detach()]), settings.augmentations, torch_random)
            logits, attributes = discriminator(both, torch.cat([real_condition, fake_condition]))
            real_logits, fake_logits = logits.float().chunk(2)
            loss_discriminator = discriminator_loss(settings.loss, real_logits, fake_logits)
            if settings.attribute_weight:
                attribute = attribute_loss(attributes[:batch].float(), real_condition)
                loss_discriminator = loss_discriminator + settings.attribute_weight * attribute
        state.discriminator_optimiser.zero_grad()
        loss_discriminator.backward()  # type: ignore[no-untyped-call]
        if settings.gradient_penalty_weight and step % settings.gradient_penalty_every == 0:
            images = augment(real, settings.augmentations, torch_random).requires_grad_()
            with accelerator.autocast():
                logits, _ = discriminator(images, real_condition)
            penalty = gradient_penalty(logits.float(), images)
            weight = settings.gradient_penalty_weight / 2 * settings.gradient_penalty_every
            (weight * penalty).backward()  # type: ignore[no-untyped-call]
        _average_gradients(discriminator, accelerator)
        state.discriminator_optimiser.step()

        # generator: the same made images, which saves a forward pass, augmented anew
        discriminator.requires_grad_(False)
        with accelerator.autocast():
            fake = augment(fake, settings.augmentations, torch_random)
            logits, attributes = discriminator(fake, fake_condition)
            loss_generator = generator_loss(settings.loss, real_logits.detach(), logits.float())
            if settings.attribute_weight:
                attribute = attribute_loss(attributes.float(), fake_condition)
                loss_generator = loss_generator + settings.attribute_weight * attribute
        discriminator.requires_grad_(True)
        state.generator_optimiser.zero_grad()
        loss_generator.backward()  # type: ignore[no-untyped-call]
        _average_gradients(generator, accelerator)
        state.generator_optimiser.step()

        before = _share_done(state, budget)
        state.images_seen += batch * processes
        _update_average(state, settings.average_images, batch * processes)
        state.seconds = _of_main_process(time.perf_counter() - started, accelerator)
        progress.update(batch * processes)
        if not state.total_images and state.seconds >= constant_share * budget.amount:
            # the speed is known now, and nothing so far has depended on how many images there will be
            state.total_images = round(state.images_seen / constant_share)
            progress.total = state.total_images
        after = _share_done(state, budget)
        finished = bool(state.total_images) and state.images_seen >= state.total_images

        if finished or _passes(before, after, LOGS):
            entry = {
                "images": state.images_seen,
                "seconds": round(state.seconds, 2),
                "discriminator_loss": loss_discriminator.item(),
                "generator_loss": loss_generator.item(),
                "real_logit": real_logits.mean().item(),
                "fake_logit": fake_logits.mean().item(),
            }
            _refuse_divergence(entry, checkpoint)
            state.history.append(entry)
            progress.set_postfix(D=f"{entry['discriminator_loss']:.2f}", G=f"{entry['generator_loss']:.2f}")
        at_checkpoint = finished or _passes(before, after, CHECKPOINTS)
        if at_checkpoint:
            _average_statistics([generator, state.average], accelerator)
        if accelerator.is_main_process:
            if preview and (finished or _passes(before, after, PREVIEWS)):
                preview(state.average, state.images_seen)
            if checkpoint and at_checkpoint:
                state.save(checkpoint)
                atomic_write(
                    checkpoint.parent.parent / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in state.history)
                )
    progress.close()
    accelerator.wait_for_everyone()
    return state


def uses_bf16(precision: Literal["auto", "bf16", "fp32"] = "auto") -> bool:
    """Whether to compute in bfloat16: on GPUs, and on processors that have instructions for it, it is faster."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _optimiser(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), learning_rate, betas=(0.0, 0.99), fused=True)


def _set_learning_rates(state: TrainingState, settings: TrainingSettings) -> None:
    scale = 1.0
    if state.total_images and settings.decay_share:
        left = 1 - state.images_seen / state.total_images
        scale = max(0.05, min(1.0, left / settings.decay_share))
    for optimiser, rate in (
        (state.generator_optimiser, settings.learning_rate),
        (state.discriminator_optimiser, settings.discriminator_learning_rate),
    ):
        for group in optimiser.param_groups:
            group["lr"] = rate * scale


@torch.no_grad()
def _update_average(state: TrainingState, half_life: int, images: int) -> None:
    """Move the average towards the generator; early on its memory is a tenth of what has been seen."""
    keep = 0.5 ** (images / min(half_life, max(1.0, state.images_seen / 10)))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.generator.parameters()), 1 - keep)
    for average, current in zip(state.average.buffers(), state.generator.buffers(), strict=True):
        if (
            average.is_floating_point()
        ):  # the running statistics must fit the averaged weights, so they are averaged too
            average.lerp_(current, 1 - keep)


def _average_gradients(network: nn.Module, accelerator: Accelerator) -> None:
    """Mean of the gradients over processes; they start alike and so stay alike."""
    if accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def _average_statistics(networks: Sequence[nn.Module], accelerator: Accelerator) -> None:
    """Mean over processes of the running statistics, which each gathers for itself between checkpoints."""
    if accelerator.num_processes == 1:
        return
    for network in networks:
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.copy_(accelerator.reduce(buffer.clone(), reduction="mean"))


def _of_main_process(value: float, accelerator: Accelerator) -> float:
    """The main process's value, on all processes, so that all decide alike."""
    if accelerator.num_processes == 1:
        return value
    own = torch.tensor(value if accelerator.is_main_process else 0.0, dtype=torch.float64, device=accelerator.device)
    return float(accelerator.reduce(own, reduction="sum").item())


def _share_done(state: TrainingState, budget: Budget) -> float:
    """How much of the training is done, from 0 to 1."""
    if state.total_images:
        return state.images_seen / state.total_images
    return state.seconds / budget.amount


def _passes(before: float, after: float, parts: int) -> bool:
    """Whether the end of one of so many equal parts of the training lies in (before, after]."""
    return int(after * parts) > int(before * parts)


def _refuse_divergence(entry: dict[str, float], checkpoint: Path | None) -> None:
    if not all(np.isfinite(value) for value in entry.values()):
        kept = f" The last good state is in {checkpoint}." if checkpoint and checkpoint.exists() else ""
        raise AugfaceError(
            f"Training diverged after {entry['images']:,.0f} images: a loss is no longer a number.{kept} "
            "Try a smaller learning rate."
        )
