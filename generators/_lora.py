"""LoRA (Hu et al. 2022, arXiv:2106.09685) of a pipeline's U-Net, by peft: learnt from faces and their prompts.

Which faces a step sees, and its noise, depend on the seed and the number of the step alone, so a training that goes on
from a checkpoint ends with the very weights that it would have ended with.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import mse_loss

from augface.arrays import Integers, Pixels
from augface.checked_arrays import about, read_arrays, write_arrays
from augface.errors import DataError, UsageError
from augface.generators._external import optional_package
from augface.generators._pipelines import EXTRA, Pipeline, quiet
from augface.generators.base import Arrays
from augface.processes import is_main_process
from augface.seeds import derive_seed, random_generator
from augface.training.budget import Budget
from augface.training.sharing import average_gradients, members, of_main_process, wait_for_all

DROPPED = 0.1
"""The share of faces learnt without their prompt, so that the pipeline keeps its classifier-free guidance."""
CHECKPOINT_SECONDS = 60.0
"""From one checkpoint to the next; an interruption loses no more."""

log = logging.getLogger("augface")


@dataclass(frozen=True)
class LoraRecipe:
    """How an adapter learns."""

    rank: int
    rate: float
    batch: int
    targets: tuple[str, ...]
    prior: float = 0.0
    """Weight of what the pipeline makes of other prompts staying what it was."""
    checkpointing: bool = False
    """Whether maps are computed anew when gradients need them, which takes less memory and more time."""


@dataclass
class LoraTraining:
    """One adapter of a pipeline, and the faces that it learns from.

    Attributes:
        pipeline: an opened one.
        name: of the adapter in the pipeline.
        recipe: how it learns.
        images: (N, H, H, 3) faces of any size.
        prompts: N texts.
        draws: the rows to draw from, each set equally often: so that a rare class is seen as often as the others.
        seed: of everything that is drawn.
    """

    pipeline: Pipeline
    name: str
    recipe: LoraRecipe
    images: Pixels
    prompts: Sequence[str]
    draws: Sequence[Integers]
    seed: int
    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        add_adapter(self.pipeline, self.name, self.recipe, seed=derive_seed(self.seed, "adapter"))
        self._unet = self.pipeline.pipe.unet
        self._weights = adapter_parameters(self._unet, self.name)
        self._optimiser = torch.optim.AdamW(list(self._weights.values()), self.recipe.rate, weight_decay=0.01)
        self._scheduler = self.pipeline.package.DDPMScheduler.from_config(self.pipeline.pipe.scheduler.config)

    def run(self, budget: Budget, checkpoint: Path | None = None, *, resume: bool = False) -> Iterator[int]:
        """Learn until the budget is used up, and give the number of images after each checkpoint.

        Args:
            budget: images or seconds, of this adapter.
            checkpoint: where the state is kept.
            resume: go on with what is kept there.
        """
        if resume and checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)
        before, started, saved = self.seconds, time.perf_counter(), self.seconds
        self._unet.set_adapter(self.name)
        self._unet.train()
        if self.recipe.checkpointing:
            self._unet.enable_gradient_checkpointing()
        while self._used(budget) < budget.amount:
            try:
                self.losses.append(self._step())
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"The LoRA training of {self.pipeline.config.path} does not fit into the memory of the GPU. Try a "
                    f"smaller train_batch than {self.recipe.batch}, a smaller resolution, or dtype=bfloat16."
                ) from error
            self.steps += 1
            self.seconds = of_main_process(before + time.perf_counter() - started)
            if self.seconds - saved > CHECKPOINT_SECONDS or self._used(budget) >= budget.amount:
                saved = self.seconds
                if checkpoint is not None and is_main_process():
                    self._save(checkpoint)
                yield self.steps * self.recipe.batch
        wait_for_all()
        self._unet.eval()
        if self.recipe.checkpointing:
            self._unet.disable_gradient_checkpointing()

    def _used(self, budget: Budget) -> float:
        return self.seconds if budget.unit == "seconds" else self.steps * self.recipe.batch

    def _step(self) -> float:
        """One step, of which each process has a part; the loss of this process's part."""
        loss = self._gradients(*members())
        average_gradients(self._weights.values())
        torch.nn.utils.clip_grad_norm_(list(self._weights.values()), 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        return loss

    def _gradients(self, process: int, processes: int) -> float:
        """The gradients of one process's part of a step, whose mean over processes is that of all; the part's loss.

        What is drawn for a face is the same in whichever process.
        """
        pipe, device, batch = self.pipeline.pipe, self.pipeline.pipe.device, self.recipe.batch
        stream = random_generator(self.seed, "lora", self.steps)
        sets = stream.integers(0, len(self.draws), batch)
        rows = [int(stream.choice(self.draws[each])) for each in sets]
        others = stream.integers(0, len(self.prompts), batch)
        turned, dropped = stream.random((2, batch)) < np.array([[0.5], [DROPPED]])
        own = range(process, batch, processes)
        noises = [torch.Generator().manual_seed(derive_seed(self.seed, "noise", self.steps, each)) for each in own]
        pixels = torch.stack([self._pixels(rows[each], bool(turned[each])) for each in own])
        most, kind = self._scheduler.config.num_train_timesteps, self._scheduler.config.prediction_type
        with torch.no_grad():
            latents = _latents(pipe, pixels.to(device, pipe.vae.dtype), noises).float()
        noise = torch.stack([torch.randn(latents.shape[1:], generator=one) for one in noises]).to(device)
        times = torch.cat([torch.randint(0, most, (1,), generator=one) for one in noises]).to(device)
        noisy = self._scheduler.add_noise(latents, noise, times)
        target = self._scheduler.get_velocity(latents, noise, times) if kind == "v_prediction" else noise
        predicted = self._predict(noisy, times, ["" if dropped[each] else self.prompts[rows[each]] for each in own])
        loss = mse_loss(predicted, target)
        if self.recipe.prior:
            elsewhere = [self.prompts[others[each]] for each in own]
            with torch.no_grad():
                self._unet.disable_adapters()
                before = self._predict(noisy, times, elsewhere)
                self._unet.enable_adapters()
            loss = loss + self.recipe.prior * mse_loss(self._predict(noisy, times, elsewhere), before)
        if not torch.isfinite(loss):
            raise DataError(
                f"The LoRA training of {self.pipeline.config.path} fails in step {self.steps}: its loss is no number. "
                "Try dtype=float32 or a lower rate."
            )
        (loss * (len(own) * processes / batch)).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _predict(self, noisy: Tensor, times: Tensor, texts: Sequence[str]) -> Tensor:
        """What the U-Net takes for the noise of noisy latents that are said to show the texts."""
        pipe, kind = self.pipeline.pipe, self._unet.dtype
        with torch.no_grad(), quiet(self.pipeline.package):
            told = pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]
        with torch.autocast(pipe.device.type, kind, enabled=kind != torch.float32):
            predicted: Tensor = self._unet(noisy.to(kind), times, told.to(kind)).sample
        return predicted.float()

    def _pixels(self, row: int, turned: bool) -> Tensor:
        """One face as the autoencoder takes it, (3, side, side) from -1 to 1."""
        face = self.images[row][:, ::-1] if turned else self.images[row]
        side = self.pipeline.side
        picture = Image.fromarray(np.ascontiguousarray(face)).resize((side, side), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1

    def arrays(self) -> Arrays:
        """The adapter's weights, by their names in the U-Net."""
        return {name: parameter.detach().float().cpu().numpy() for name, parameter in self._weights.items()}

    def _settings(self) -> str:
        recipe = self.recipe
        parts = [self.name, *asdict(recipe).values(), self.seed, len(self.images)]
        return json.dumps([*parts, self.pipeline.config.sha256])

    def _save(self, path: Path) -> None:
        moments = {
            f"{key}.{name}": self._optimiser.state[parameter][key].detach().float().cpu().numpy()
            for name, parameter in self._weights.items()
            for key in ("exp_avg", "exp_avg_sq")
        }
        progress = {"settings": self._settings(), "steps": self.steps, "seconds": self.seconds, "losses": self.losses}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, {**self.arrays(), **moments}, {"progress": json.dumps(progress)})

    def _restore(self, path: Path) -> None:
        arrays = read_arrays(path)
        progress = json.loads(about(path.read_bytes())["progress"])
        if progress["settings"] != self._settings():
            raise UsageError(f"{path} is of other settings. Change them back, or start anew in another folder.")
        self.steps, self.seconds, self.losses = (progress[name] for name in ("steps", "seconds", "losses"))
        with torch.no_grad():
            for name, parameter in self._weights.items():
                parameter.copy_(torch.from_numpy(arrays[name]))
                self._optimiser.state[parameter] = {
                    "step": torch.tensor(float(self.steps)),
                    **{
                        key: torch.from_numpy(arrays[f"{key}.{name}"]).to(parameter)
                        for key in ("exp_avg", "exp_avg_sq")
                    },
                }


def add_adapter(pipeline: Pipeline, name: str, recipe: LoraRecipe, *, seed: int = 0) -> None:
    """Give a pipeline's U-Net an adapter that changes nothing yet.

    Raises:
        UsageError: the pipeline has no U-Net that can be fine-tuned here, or none of the layers.
    """
    unet = getattr(pipeline.pipe, "unet", None)
    if (
        pipeline.use != "text"
        or unet is None
        or unet.config.get("addition_embed_type") not in (None, "text")  # what others add is no part of the prompt
        or not hasattr(pipeline.pipe, "vae")
    ):
        raise UsageError(
            f"{pipeline.config.path}: LoRA is learnt for pipelines of Stable Diffusion 1 and 2 alone, which have a "
            f"U-Net, an autoencoder and one text encoder; {pipeline.kind.__name__} has others."
        )
    peft = optional_package("peft", "LoRA", EXTRA)
    config = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.rank, init_lora_weights="gaussian", target_modules=list(recipe.targets)
    )
    unet.requires_grad_(False)
    try:
        with torch.random.fork_rng(devices=[]), quiet(pipeline.package):
            torch.manual_seed(seed)
            unet.add_adapter(config, adapter_name=name)
    except ValueError as error:
        raise UsageError(f"{pipeline.config.path}: LoRA cannot be added: {str(error).splitlines()[0]}") from error
    for parameter in adapter_parameters(unet, name).values():
        parameter.data = parameter.data.float()


def adapter_parameters(unet: Any, name: str) -> dict[str, torch.nn.Parameter]:
    """The weights of one adapter of a U-Net, by the names that diffusers has them under in files."""
    return {
        key.replace(f".{name}.", "."): parameter
        for key, parameter in unet.named_parameters()
        if "lora_" in key and f".{name}." in key
    }


def set_weights(pipeline: Pipeline, name: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Give an adapter these weights.

    Raises:
        DataError: they are those of another network.
    """
    parameters = adapter_parameters(pipeline.pipe.unet, name)
    if parameters.keys() != arrays.keys() or any(arrays[key].shape != one.shape for key, one in parameters.items()):
        raise DataError("The LoRA weights that were kept do not fit the pipeline.")
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(np.array(arrays[key])))


def _latents(pipe: Any, pixels: Tensor, random: list[torch.Generator]) -> Tensor:
    encoded = pipe.vae.encode(pixels)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample(random)
    scaled: Tensor = latents * pipe.vae.config.scaling_factor
    return scaled
