"""Are the shipped generators better than a DCGAN by the paper, in the same time and with the same channels?

    python experiments/classic.py celeba:/data/celeba --shipped 15m --classic 15m --seeds 0,1,2
    python experiments/classic.py toy:9000 --shipped 5m --classic 5m --seeds 0

The classic recipe is that of Radford et al. (2016, arXiv:1511.06434): cross-entropy, batch normalisation in both
networks, Adam at 2e-4 with a momentum of 0.5, weights drawn with a spread of 0.02; no augmentation, no weight average,
no labels. Both train in bfloat16 where that is faster, and with images laid out channels last. The two take turns. The
classic recipe has no schedule, so that one training is looked at after each of several budgets (15m,60m).

Prints, for unfiltered samples, as many as there are valid faces: the kernel distance to the valid split, and the
Fréchet distance to it minus that of as many real training faces. And how well a classifier that learnt from real faces
alone tells faces asked with an attribute from faces asked without it, beside what it makes of real valid faces.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

import augface
from augface.arrays import Pixels
from augface.classifiers.attributes import AttributeClassifier
from augface.data.dataset import FaceDataset
from augface.data.splits import inner_fold
from augface.features import create_feature_space
from augface.features.extraction import features_of
from augface.generators._networks import DiscriminatorNetwork, GeneratorNetwork
from augface.generators.base import Generator
from augface.metrics import TooFewRowsWarning, frechet_distance, kernel_distance
from augface.tensors import to_pixels
from augface.training.budget import parse_budget
from augface.training.loop import uses_bf16

CHANNELS, LATENT, BATCH = 32, 64, 64
ASKED = 500
"""Faces asked for with an attribute, and as many without it."""
SHOWN = (4, 12)
"""Rows and columns of a grid of samples."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--shipped", help="budget of the conditional GAN; left out where not given")
    parser.add_argument("--classic", help="budget of the classic DCGAN, or several, rising; left out where not given")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--attrs", default="Eyeglasses,Smiling,Male")
    parser.add_argument("--pictures", type=Path, help="a folder for a grid of the samples of each")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", TooFewRowsWarning)  # the bias is that of as many real faces, which is taken off
    data = augface.load_data(arguments.data)
    train, valid = data.train, data.valid
    if train is None or valid is None:
        raise SystemExit("The data need a train and a valid split.")
    space, attributes = create_feature_space(), arguments.attrs.split(",")
    reference = features_of(valid, space)
    chosen = np.random.default_rng(0).permutation(len(train))[: len(valid)]
    real = features_of(train.select(chosen), space)
    of_real = frechet_distance(real, reference)
    judge = AttributeClassifier.train(train, inner_fold(train, 0.2, 0))
    print(
        f"{len(valid):,} faces a side. As many real training faces: kernel distance "
        f"{kernel_distance(real, reference):.4f}, Fréchet distance {of_real:.1f}.\n\n"
        f"| recipe | seed | images | images/s | kernel distance | FD minus real FD | {' | '.join(attributes)} |\n"
        f"{'|---' * (6 + len(attributes))}|"
    )

    def report(recipe: str, seed: int, images: int, seconds: float, made: FaceDataset, told: list[float]) -> None:
        found = features_of(made, space)
        distances = f"{kernel_distance(found, reference):.4f} | {frechet_distance(found, reference) - of_real:.1f}"
        cells = " | ".join([f"{value:.3f}" for value in told] or [""] * len(attributes))
        print(f"| {recipe} | {seed} | {images:,} | {images / seconds:.0f} | {distances} | {cells} |", flush=True)
        if arguments.pictures:
            rows, columns = SHOWN
            faces = made.images[: rows * columns]
            grid = faces.reshape(rows, columns, *faces.shape[1:]).transpose(0, 2, 1, 3, 4)
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(grid.reshape(rows * made.size, columns * made.size, 3))
            picture.save(arguments.pictures / f"{recipe}-{seed}-{images}.png")

    shown = [valid.matching({name: True}) for name in attributes]
    told = [_told(judge, name, valid, wanted) for name, wanted in zip(attributes, shown, strict=True)]
    print(f"| real valid faces |  |  |  |  |  | {' | '.join(f'{value:.3f}' for value in told)} |", flush=True)
    for seed in map(int, arguments.seeds.split(",")):
        if arguments.shipped:
            generator, images, seconds = shipped(train, arguments.shipped, seed)
            told = [_asked(generator, judge, name) for name in attributes]
            report("shipped", seed, images, seconds, generator.sample(len(valid), seed=seed), told)
        if arguments.classic:
            for images, seconds, pixels in classic(train, arguments.classic.split(","), len(valid), seed):
                report("classic", seed, images, seconds, FaceDataset.from_arrays(pixels), [])


def shipped(data: FaceDataset, budget: str, seed: int) -> tuple[Generator, int, float]:
    """The conditional GAN as `augface rebalance --attr Eyeglasses` trains it; images seen, seconds that it took."""
    generator = augface.create_generator("cgan", balance=("Eyeglasses",))
    with tempfile.TemporaryDirectory() as folder:
        generator.fit(data, budget=budget, run_dir=Path(folder), seed=seed)
        last = json.loads((Path(folder) / "log.jsonl").read_text().splitlines()[-1])
    return generator, last["images"], last["seconds"]


def _asked(generator: Generator, judge: AttributeClassifier, name: str) -> float:
    """Balanced accuracy of the judge on faces asked with an attribute and without it."""
    both = [generator.sample(ASKED, where={name: value}, seed=2) for value in (False, True)]
    made = FaceDataset.from_arrays(np.concatenate([faces.images[:] for faces in both]))
    return _told(judge, name, made, np.repeat([False, True], ASKED))


def _told(judge: AttributeClassifier, name: str, faces: FaceDataset, shown: npt.NDArray[np.bool_]) -> float:
    told = judge.probabilities(faces.images)[:, judge.column(name)] >= judge.threshold(name)
    return float(balanced_accuracy_score(shown, told))


class ClassicDiscriminator(DiscriminatorNetwork):
    """Its convolutions are followed by batch normalisation, but for the first."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__(size, channels, 0, LATENT)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels * 2**stage) for stage in range(1, len(self.blocks)))

    def logits(self, images: Tensor) -> Tensor:
        """Realness (N,)."""
        maps = leaky_relu(self.blocks[0](images), 0.2)
        for block, norm in zip(list(self.blocks)[1:], self.norms, strict=True):
            maps = leaky_relu(norm(block(maps)), 0.2)
        realness: Tensor = self.realness(maps.flatten(1)).squeeze(1)
        return realness.float()


def classic(data: FaceDataset, budgets: list[str], count: int, seed: int) -> Iterator[tuple[int, float, Pixels]]:
    """Train by the paper; after each budget: images seen, seconds that they took, and so many samples."""
    torch.manual_seed(seed)
    pixels = torch.from_numpy(data.images[:]).permute(0, 3, 1, 2)
    none = torch.zeros(BATCH, 0)
    generator = GeneratorNetwork(data.size, CHANNELS, LATENT, 0)
    discriminator = ClassicDiscriminator(data.size, CHANNELS)
    for network in (generator, discriminator):
        network.apply(_initialise).to(memory_format=torch.channels_last)
    optimisers = [
        torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
        for network in (generator, discriminator)
    ]
    noises = torch.split(torch.randn(count, LATENT), BATCH)
    images, seconds = 0, 0.0
    for budget in map(parse_budget, budgets):
        started = time.perf_counter() - seconds
        while (images if budget.unit == "images" else seconds) < budget.amount:
            _step(generator, discriminator, optimisers, pixels[torch.randint(len(pixels), (BATCH,))], none)
            images += BATCH
            seconds = time.perf_counter() - started
        generator.eval()
        with torch.no_grad():
            made = torch.cat([generator(noise, none[: len(noise)]) for noise in noises])
        generator.train()
        yield images, seconds, to_pixels(made)


def _step(
    generator: nn.Module,
    discriminator: ClassicDiscriminator,
    optimisers: list[torch.optim.Adam],
    pixels: Tensor,
    none: Tensor,
) -> None:
    real = (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16()):
        made = generator(torch.randn(BATCH, LATENT), none)
        loss = softplus(-discriminator.logits(real)).mean() + softplus(discriminator.logits(made.detach())).mean()
    optimisers[1].zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimisers[1].step()
    discriminator.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16()):
        loss = softplus(-discriminator.logits(made)).mean()
    discriminator.requires_grad_(True)
    optimisers[0].zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimisers[0].step()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0, 0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)


if __name__ == "__main__":
    main()
