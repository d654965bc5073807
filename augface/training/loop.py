"""The training loop, readable from top to bottom.

Everything random in a step is drawn from (seed, step, process), so a training that was stopped goes on bit for bit
as if it had not been, on any number of processes. Sums over another number of threads are rounded otherwise, so that
it goes on with as many as it was begun with.
"""

from __future__ import annotations

import copy
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from augface.arrays import Floats32, Floats64, Integers, Pixels
from augface.data.pixels import ImageRows
from augface.devices import compute_device
from augface.errors import AugfaceError, OutputError
from augface.files import atomic_write, remove_leftovers
from augface.notebooks import Preview
from augface.progress import progress
from augface.seeds import derive_seed, random_generator
from augface.tensors import from_pixels
from augface.threads import choose_threads, computing_threads, threads_are_fixed
from augface.training.augmentation import Augmentation, augment, mirror
from augface.training.budget import Budget, forecast
from augface.training.checkpoints import TrainingState
from augface.training.instability import NO_NUMBER, Instability, find_instability, is_sound, standard_deviation
from augface.training.loggers import active_loggers
from augface.training.losses import (
    Loss,
    attribute_loss,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    noise_loss,
)
from augface.training.sharing import (
    average_gradients,
    average_statistics,
    members,
    of_main_process,
    on_processor,
    wait_for_all,
)
from augface.version import __version__

LOGS = 100
"""Log lines, and values of each curve, in a whole training."""
CHECKPOINTS = 20
PREVIEWS = 10
LONG = 30.0
"""Seconds of a training from which on it is told what the budget is enough for."""
GENTLER = 0.5
"""What learning rates are multiplied by after the training had to be rolled back."""

log = logging.getLogger("augface")


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
    noise_weight: float = Field(default=1.0, ge=0)
    """Weight, for both networks, of finding the noise of a synthetic face. Without it, faces requested with the
    same attributes come to look alike.
    """
    gradient_penalty_weight: float = Field(default=0.5, ge=0)
    """Weight of R1, the gradient penalty at real faces."""
    generated_gradient_penalty_weight: float = Field(default=0.0, ge=0)
    """Weight of R2, the gradient penalty at synthetic faces."""
    gradient_penalty_every: int = Field(default=16, ge=1)
    """Penalties are counted every so many steps, as many times as strong."""
    augmentations: tuple[Augmentation, ...] = ("translate",)
    mirror: bool = True
    """Whether half of the real images are shown mirrored. Not for what has a left and a right, such as writing."""
    average_images: int = Field(default=10_000, ge=1)
    """Half-life of the weight average, in images."""
    decay_share: float = Field(default=0.3, ge=0, le=0.95)
    """The share of the training, at its end, in which the learning rate falls linearly to a twentieth."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"


class Batches:
    """Draws training batches: images with their conditions, rows chosen with the given weights."""

    def __init__(self, images: ImageRows, conditions: Floats32, weights: Floats64) -> None:
        self.images = images
        self.conditions = torch.from_numpy(conditions)
        self.cumulative = np.cumsum(weights / weights.sum())

    def rows(self, count: int, random: np.random.Generator) -> Integers:
        """(count,) row numbers, drawn with replacement."""
        return np.searchsorted(self.cumulative, random.random(count), side="right").clip(max=len(self.images) - 1)

    def real(self, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images (count, 3, H, W) in [-1, 1] and conditions (count, A)."""
        rows = self.rows(count, random)
        return from_pixels(self.images[rows]), self.conditions[rows]

    def requested(self, real: Tensor, condition: Tensor, random: np.random.Generator) -> tuple[Tensor, ...]:
        """What as many generated images are made of beside noise: here the conditions (count, A) of other rows.

        Args:
            real: the real images of the same step.
            condition: their conditions.
            random: the stream of the step.
        """
        return (self.conditions[self.rows(len(real), random)].to(condition.device),)

    def attribute_weights(self, condition: Tensor, *others: Tensor) -> Tensor | None:
        """How much each requested attribute (count, A) counts in the generator's loss; None where all do alike.

        `condition` and `others` are what `requested` gave.
        """
        return None

    def generator_penalty(self, generated: Tensor, *others: Tensor) -> Tensor:
        """What the generator is to lessen beside its losses; `others` are what `requested` gave after conditions."""
        return generated.new_zeros(())


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
    preview: Callable[[nn.Module, int], Pixels] | None = None,
) -> TrainingState:
    """Train a pair of networks.

    A training that diverges or collapses (`augface.training.instability`) is rolled back, once, to where it was last
    sound, and goes on from there with half the learning rates. Ctrl-C passes through, with how far the training came as
    its text.

    Args:
        generator: (noise (N, latent), condition (N, A), whatever else `batches.requested` gives) to images in [-1, 1].
        discriminator: (images, condition) to a `Judgement`.
        batches: where real images and conditions come from.
        settings: how to train.
        latent: dimension of the noise.
        budget: images, or seconds, which are turned into images when the learning rate begins to fall: until then
            nothing depends on how many there will be, and the speed is known best.
        seed: of everything random.
        run_dir: gets `log.jsonl` and `checkpoints/`; nothing is written without it. Curves and previews also go to
            `augface.training.loggers.active_loggers`.
        resume: go on from the last checkpoint in `run_dir`, if there is one.
        identity: what else must be unchanged for a resumption, such as the data's hash.
        preview: called about ten times with the averaged generator and the number of images seen; gives one picture. It
            is shown in notebooks.

    Returns:
        The state at the end; its `average` is the generator to use.

    Raises:
        AugfaceError: it diverged or collapsed for the second time; the last sound checkpoint is kept.
        OutputError: a checkpoint cannot be written; the one before it is kept.
        UsageError: a logger refuses to start.
    """
    accelerator = Accelerator(cpu=on_processor(), mixed_precision="bf16" if uses_bf16(settings.precision) else "no")
    device, (_, processes) = accelerator.device, members()
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
            "threads": computing_threads(),
            "augface": __version__,
            "budget": f"{budget.amount:g} {budget.unit}",
        },
        total_images=int(budget.amount) if budget.unit == "images" else 0,
    )
    checkpoint = run_dir / "checkpoints" / "last.safetensors" if run_dir else None
    if run_dir and checkpoint and accelerator.is_main_process:
        remove_leftovers(run_dir, checkpoint.parent, run_dir / "previews")
    if checkpoint and resume and checkpoint.exists():
        state.restore(checkpoint)
    loggers = active_loggers()
    if accelerator.is_main_process:
        loggers.start(state.images_seen)

    live = Preview()

    images_per_step = _batch(settings, processes) * processes
    constant_share = 1 - max(0.05, settings.decay_share)  # of the training, in which the learning rate does not change
    started = time.perf_counter() - state.seconds
    sound, kept = state.pack(), state.images_seen  # where to go back to
    pace = Pace(budget, state.images_seen, state.seconds)
    bar = progress(
        total=state.total_images or None,
        initial=state.images_seen,
        unit="img",
        unit_scale=True,
        desc="training",
        disable=not accelerator.is_main_process,
    )
    try:
        while not state.total_images or state.images_seen < state.total_images:
            _set_learning_rates(state, settings)
            step = _step(state, batches, settings, accelerator, latent, seed)
            before = _share_done(state, budget)
            state.images_seen += images_per_step
            _update_average(state, settings.average_images, images_per_step)
            state.seconds = of_main_process(time.perf_counter() - started)
            bar.update(images_per_step)
            if not state.total_images and state.seconds >= constant_share * budget.amount:
                # the speed is known now, and nothing so far has depended on how many images there will be
                state.total_images = round(state.images_seen / constant_share)
                bar.total = state.total_images
            after = _share_done(state, budget)
            finished = bool(state.total_images) and state.images_seen >= state.total_images
            at_checkpoint = finished or _passes(before, after, CHECKPOINTS)

            if at_checkpoint or _passes(before, after, LOGS):
                entry = {
                    "images": state.images_seen,
                    "seconds": round(state.seconds, 2),
                    "images_per_second": round(pace.measure(state.images_seen, state.seconds), 1),
                    **step.statistics(),
                }
                entry = {name: of_main_process(value) for name, value in entry.items()}
                instability = find_instability([*state.history, entry])
                if at_checkpoint and not of_main_process(float(_is_finite(state))):
                    instability = NO_NUMBER
                if instability:
                    _roll_back(state, sound, instability, checkpoint)
                    started = time.perf_counter() - state.seconds
                    sound = state.pack()
                    bar.reset(state.total_images or None)
                    bar.update(state.images_seen)
                    if accelerator.is_main_process:
                        log.warning(
                            f"Training {state.rollbacks[-1]}. It goes on from {state.images_seen:,} images, at "
                            f"{GENTLER:g} times the learning rates.",
                        )
                        loggers.go_on_from(state.images_seen)
                        _write(state, sound, checkpoint)
                    kept = state.images_seen
                    continue
                state.history.append(entry)
                if accelerator.is_main_process:
                    loggers.numbers(entry)
                    pace.announce()
                if pace.is_slow() and processes == 1 and not threads_are_fixed():
                    state.settings["threads"] = choose_threads()
                bar.set_postfix(D=f"{entry['discriminator_loss']:.2f}", G=f"{entry['generator_loss']:.2f}")
            if at_checkpoint:
                average_statistics([generator, state.average])
            if preview and accelerator.is_main_process and (finished or _passes(before, after, PREVIEWS)):
                picture = preview(state.average, state.images_seen)
                loggers.picture(picture, state.images_seen)
                live.show(picture, state.images_seen, state.seconds)
            if at_checkpoint and (finished or is_sound(entry)):
                sound = state.pack()
                if accelerator.is_main_process:
                    _write(state, sound, checkpoint)
                kept = state.images_seen  # only now, since it may not have been written
    except (KeyboardInterrupt, OutputError) as stop:
        stop.args = (" ".join([*map(str, stop.args), _standing(state, kept if checkpoint else None)]),)
        raise
    finally:
        bar.close()
    wait_for_all()
    return state


class Pace:
    """How fast a training goes: told once, and watched, for threads of a busy machine wait for each other."""

    def __init__(self, budget: Budget, images: int, seconds: float) -> None:
        self._budget = budget
        self._images, self._seconds = images, seconds
        self._speed = self._fastest = 0.0
        self._measured = 0

    def measure(self, images: int, seconds: float) -> float:
        """Images a second since the last time."""
        elapsed = seconds - self._seconds
        if elapsed > 0:
            self._speed = (images - self._images) / elapsed
            self._measured += 1
            if self._measured > 1:  # first steps are slow
                self._fastest = max(self._fastest, self._speed)
            self._images, self._seconds = images, seconds
        return self._speed

    def announce(self) -> None:
        """Say what the budget is enough for, where it is long: once, when the first steps are over."""
        amount, unit = self._budget.amount, self._budget.unit
        seconds = amount if unit == "seconds" else amount / max(self._speed, 1e-9)
        if self._measured == 2 and self._speed and seconds >= LONG:
            log.info(forecast(self._budget, self._speed))

    def is_slow(self) -> bool:
        """Whether a training for so many seconds goes half as fast as it did; its number of images is open anyway."""
        slow = self._budget.unit == "seconds" and self._speed < self._fastest / 2
        if slow:
            self._fastest = 0.0  # what is fast is found anew
        return slow


@dataclass(frozen=True)
class Step:
    """What a step leaves to be looked at."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    real: Tensor
    generated: Tensor

    def statistics(self) -> dict[str, float]:
        """The numbers of a log entry."""
        return {
            "discriminator_loss": self.discriminator_loss.item(),
            "generator_loss": self.generator_loss.item(),
            "real_logit": self.real_logits.mean().item(),
            "fake_logit": self.fake_logits.mean().item(),
            "real_standard_deviation": standard_deviation(self.real),
            "generated_standard_deviation": standard_deviation(self.generated),
        }


def _step(
    state: TrainingState, batches: Batches, settings: TrainingSettings, accelerator: Accelerator, latent: int, seed: int
) -> Step:
    """Train both networks on one batch."""
    generator, discriminator, device = state.generator, state.discriminator, accelerator.device
    number, processes = members()
    batch = _batch(settings, processes)
    step = state.images_seen // (batch * processes)
    stream = (seed, "step", step, number)
    random = random_generator(*stream)
    torch_random = torch.Generator().manual_seed(derive_seed(*stream))

    # discriminator: real and generated images in one pass, all augmented alike
    real, real_condition = batches.real(batch, random)
    real = mirror(real, torch_random) if settings.mirror else real
    real = real.to(device, memory_format=torch.channels_last)
    real_condition = real_condition.to(device)
    noise = torch.randn(batch, latent, generator=torch_random).to(device)
    fake_condition, *others = batches.requested(real, real_condition, random)
    with accelerator.autocast():
        fake = generator(noise, fake_condition, *others)
        generated = fake.detach()
        both = augment(torch.cat([real, generated]), settings.augmentations, torch_random)
        judged = discriminator(both, torch.cat([real_condition, fake_condition]))
        real_logits, fake_logits = judged.realness.float().chunk(2)
        loss_discriminator = (
            discriminator_loss(settings.loss, real_logits, fake_logits)
            + settings.attribute_weight * attribute_loss(judged.attributes[:batch].float(), real_condition)
            + settings.noise_weight * noise_loss(judged.noise[batch:].float(), noise)
        )
    state.discriminator_optimiser.zero_grad()
    loss_discriminator.backward()  # type: ignore[no-untyped-call]
    if step % settings.gradient_penalty_every == 0:
        for weight, images, condition in (
            (settings.gradient_penalty_weight, real, real_condition),
            (settings.generated_gradient_penalty_weight, generated, fake_condition),
        ):
            if weight:
                images = augment(images, settings.augmentations, torch_random).requires_grad_()
                with accelerator.autocast():
                    logits = discriminator(images, condition).realness.float()
                penalty = weight / 2 * settings.gradient_penalty_every * gradient_penalty(logits, images)
                penalty.backward()  # type: ignore[no-untyped-call]
    average_gradients(discriminator.parameters())
    state.discriminator_optimiser.step()

    # generator: the same generated images, which saves a forward pass, augmented anew
    discriminator.requires_grad_(False)
    with accelerator.autocast():
        judged = discriminator(augment(fake, settings.augmentations, torch_random), fake_condition)
        attribute_weights = batches.attribute_weights(fake_condition, *others)
        loss_generator = (
            generator_loss(settings.loss, real_logits.detach(), judged.realness.float())
            + settings.attribute_weight * attribute_loss(judged.attributes.float(), fake_condition, attribute_weights)
            + settings.noise_weight * noise_loss(judged.noise.float(), noise)
            + batches.generator_penalty(fake, *others)
        )
    discriminator.requires_grad_(True)
    state.generator_optimiser.zero_grad()
    loss_generator.backward()  # type: ignore[no-untyped-call]
    average_gradients(generator.parameters())
    state.generator_optimiser.step()
    return Step(
        loss_discriminator.detach(),
        loss_generator.detach(),
        real_logits.detach(),
        fake_logits.detach(),
        real,
        generated,
    )


def uses_bf16(precision: Literal["auto", "bf16", "fp32"] = "auto") -> bool:
    """Whether to compute in bfloat16: on GPUs, and on processors that have instructions for it, it is faster."""
    if precision != "auto":
        return precision == "bf16"
    if compute_device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    known = (getattr(torch.cpu, name, bool) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(supported() for supported in known)  # older versions of torch do not tell


def _batch(settings: TrainingSettings, processes: int) -> int:
    """Images of a step in each process."""
    return max(2, settings.batch_size // processes)


def _optimiser(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), learning_rate, betas=(0.0, 0.99), fused=True)


def _set_learning_rates(state: TrainingState, settings: TrainingSettings) -> None:
    scale = 1.0
    if state.total_images and settings.decay_share:
        left = 1 - state.images_seen / state.total_images
        scale = max(0.05, min(1.0, left / settings.decay_share))
    scale *= GENTLER ** len(state.rollbacks)
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


def _share_done(state: TrainingState, budget: Budget) -> float:
    """How much of the training is done, from 0 to 1."""
    if state.total_images:
        return state.images_seen / state.total_images
    return state.seconds / budget.amount


def _passes(before: float, after: float, parts: int) -> bool:
    """Whether the end of one of so many equal parts of the training lies in (before, after]."""
    return int(after * parts) > int(before * parts)


def _is_finite(state: TrainingState) -> bool:
    """Whether all weights are numbers; the average is none as soon as the generator is none."""
    weights: list[Tensor] = [*state.average.parameters(), *state.discriminator.parameters()]
    return bool(torch.stack(torch._foreach_norm(weights, float("inf"))).isfinite().all())


def _roll_back(state: TrainingState, sound: bytes, instability: Instability, checkpoint: Path | None) -> None:
    """Take the sound state back, to go on from it more gently; only once in a training."""
    rollback = f"{instability.what} after {state.images_seen:,} images ({instability.sign})"
    if state.rollbacks:
        where = f" The last good state is in {checkpoint}." if checkpoint else ""
        raise AugfaceError(
            f"Training {rollback}. Before that it had {state.rollbacks[0]} and gone on at {GENTLER:g} times the "
            f"learning rates.{where} Try smaller ones (the settings learning_rate and discriminator_learning_rate)."
        )
    state.unpack(sound)
    state.rollbacks.append(rollback)


def _write(state: TrainingState, packed: bytes, checkpoint: Path | None) -> None:
    """Write the log, then the checkpoint: a stop between the two leaves lines that are written again."""
    if checkpoint:
        lines = "".join(json.dumps(entry) + "\n" for entry in state.history)
        atomic_write(checkpoint.parent.parent / "log.jsonl", lines)
        atomic_write(checkpoint, packed)


def _standing(state: TrainingState, kept: int | None) -> str:
    """How far a training had come that was stopped, and what is kept of it."""
    total = f" of {state.total_images:,}" if state.total_images else ""
    came = f"Training had come to {state.images_seen:,}{total} images"
    if not kept:
        return f"{came}; there is no checkpoint yet." if kept == 0 else f"{came}."
    return f"{came}; the last checkpoint is at {kept:,}, from which it can go on."
