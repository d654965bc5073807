"""What does the training engine cost beyond the training itself?

    OMP_NUM_THREADS=1 python experiments/engine_overhead.py

Trains the conditional GAN by its `fit`, with a run folder, and by a bare loop that learns the same way: the same
networks, losses, augmentation, penalty, weight average, precision and batch, and nothing else. The bare loop has no
seeds for each step, no schedule of learning rates, no log, no check for divergence, no checkpoints, no previews. Both
take turns in one process. Prints images a second of processor time and of wall time, and what the engine adds (the
median of the rounds).
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from augface.data.dataset import FaceDataset, signed_labels
from augface.data.toyfaces import load_toyfaces
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork
from augface.generators.cgan import CGAN, CGANConfig
from augface.training.augmentation import augment, mirror
from augface.training.loop import uses_bf16
from augface.training.losses import attribute_loss, discriminator_loss, generator_loss, gradient_penalty, noise_loss

CHANNELS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6_000, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    data = load_toyfaces(1_000, arguments.size)
    train_bare(data, 200)  # both find everything loaded
    train_shipped(data, 200)
    rates: dict[str, list[tuple[float, float]]] = {"bare loop": [], "shipped": []}
    loops: dict[str, Callable[[FaceDataset, int], None]] = {"bare loop": train_bare, "shipped": train_shipped}
    for number in range(arguments.rounds):
        for name in list(loops)[:: 1 if number % 2 else -1]:
            processor, wall = time.process_time(), time.perf_counter()
            loops[name](data, arguments.images)
            rates[name].append(
                (arguments.images / (time.process_time() - processor), arguments.images / (time.perf_counter() - wall))
            )
    medians = {name: np.median(values, axis=0) for name, values in rates.items()}
    added = np.median(np.array(rates["bare loop"]) / np.array(rates["shipped"]), axis=0) - 1
    print("| loop | images/s of processor time | images/s of wall time |\n|---|---|---|")
    for name, (processor, wall) in medians.items():
        print(f"| {name} | {processor:.0f} | {wall:.0f} |")
    print(f"| the engine adds | {added[0]:.1%} | {added[1]:.1%} |")


def train_shipped(data: FaceDataset, images: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        CGAN(CGANConfig(channels=CHANNELS)).fit(data, budget=str(images), run_dir=Path(folder), seed=0)


def train_bare(data: FaceDataset, images: int) -> None:
    """What somebody would write who wants the same networks trained, and nothing else."""
    config = CGANConfig()
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    pixels = torch.from_numpy(np.asarray(data.images)).permute(0, 3, 1, 2)
    labels = torch.from_numpy(signed_labels(data.attributes))
    generator = GeneratorNetwork(data.size, CHANNELS, config.latent, labels.shape[1])
    discriminator = DiscriminatorNetwork(data.size, CHANNELS, labels.shape[1], config.latent)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    average = copy.deepcopy(generator).requires_grad_(False)
    generator_optimiser, discriminator_optimiser = (
        torch.optim.Adam(network.parameters(), rate, betas=(0.0, 0.99), fused=True)
        for network, rate in (
            (generator, config.learning_rate),
            (discriminator, config.discriminator_learning_rate),
        )
    )
    keep = 0.5 ** (config.batch_size / config.average_images)
    for step in range(images // config.batch_size):
        rows = torch.randint(len(pixels), (config.batch_size,))
        real = mirror(pixels[rows].float() / 127.5 - 1, random).contiguous(memory_format=torch.channels_last)
        wanted = labels[torch.randint(len(pixels), (config.batch_size,))]
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16()):
            noise = torch.randn(config.batch_size, config.latent)
            fake = generator(noise, wanted)
            both = augment(torch.cat([real, fake.detach()]), config.augmentations, random)
            judged = discriminator(both, torch.cat([labels[rows], wanted]))
            real_logits, fake_logits = judged.realness.float().chunk(2)
            loss = discriminator_loss(config.loss, real_logits, fake_logits)
            loss = loss + attribute_loss(judged.attributes[: config.batch_size].float(), labels[rows])
            loss = loss + noise_loss(judged.noise[config.batch_size :].float(), noise)
        discriminator_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if step % config.gradient_penalty_every == 0:
            shown = augment(real, config.augmentations, random).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16()):
                logits = discriminator(shown, labels[rows]).realness
            weight = config.gradient_penalty_weight / 2 * config.gradient_penalty_every
            (weight * gradient_penalty(logits.float(), shown)).backward()  # type: ignore[no-untyped-call]
        discriminator_optimiser.step()
        discriminator.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16()):
            judged = discriminator(augment(fake, config.augmentations, random), wanted)
            loss = generator_loss(config.loss, real_logits.detach(), judged.realness.float())
            loss = loss + attribute_loss(judged.attributes.float(), wanted) + noise_loss(judged.noise.float(), noise)
        discriminator.requires_grad_(True)
        generator_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        generator_optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - keep)
            for mean, current in zip(average.buffers(), generator.buffers(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(current, 1 - keep)


if __name__ == "__main__":
    main()
