"""Generators of faces, chosen by name. A new one is one file in this folder and one line here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from augface.files import RUN_GENERATOR
from augface.registry import Registry

if TYPE_CHECKING:
    from augface.generators.base import Generator

DEFAULT_GENERATOR = "cgan"
DEMO_GENERATOR = "composite"
"""That of `augface demo`, which has no time for a training."""

GENERATORS: Registry[type[Generator]] = Registry("generator", "augface.generators")
GENERATORS.register(
    "cgan",
    "augface.generators.cgan:CGAN",
    "GAN conditioned on the attribute vector",
    ("conditional", "trainable", "latent"),
)
GENERATORS.register(
    "dcgan", "augface.generators.dcgan:DCGAN", "unconditional deep convolutional GAN", ("trainable", "latent")
)
GENERATORS.register(
    "resample",
    "augface.generators.resample:Resample",
    "real faces repeated and flipped: the control",
    ("conditional", "copies"),
)
GENERATORS.register(
    "composite",
    "augface.generators.composite:Composite",
    "real faces with a part of another one: someone's glasses on somebody else",
    ("conditional", "copies", "composes"),
)
GENERATORS.register(
    "inpaint",
    "augface.generators.inpaint:Inpaint",
    "new faces painted into real pictures, whose hair and background stay",
    ("conditional", "copies", "composes", "trainable"),
)
GENERATORS.register(
    "attgan",
    "augface.generators.attgan:AttGAN",
    "real faces whose attributes are changed, and photos by strength",
    ("conditional", "copies", "composes", "trainable", "edits"),
)
GENERATORS.register(
    "images", "augface.generators.images:Images", "images that you already have, each given once", ("conditional",)
)
GENERATORS.register(
    "torchscript", "augface.generators.torchscript:TorchScript", "a network saved as TorchScript", ("conditional",)
)
GENERATORS.register(
    "onnx", "augface.generators.onnx:Onnx", "a network in the ONNX format (augface[onnx])", ("conditional",)
)
GENERATORS.register(
    "diffusers",
    "augface.generators.diffusers:Diffusers",
    "a pretrained diffusion model, asked in words where it takes a prompt (augface[diffusers])",
    ("conditional",),
)
GENERATORS.register(
    "diffusers-edit",
    "augface.generators.diffusers_edit:DiffusersEdit",
    "real faces that a pretrained diffusion model edits (augface[diffusers])",
    ("conditional", "copies", "composes"),
)
GENERATORS.register(
    "diffusers-lora",
    "augface.generators.diffusers_lora:DiffusersLora",
    "a pretrained diffusion model, fine-tuned on your faces by LoRA (augface[diffusers])",
    ("conditional", "trainable"),
)


def create_generator(name: str, **config: Any) -> Generator:
    """A generator that has learnt nothing yet.

    Args:
        name: a registered name; see `augface list generators`.
        config: settings of this generator.

    Raises:
        UnknownNameError: no such generator, or no such setting.
        UsageError: a setting has a value that it cannot have.

    Example::

        generator = augface.create_generator("composite")
        generator.fit(augface.load_data("toy:100", size=32))
        print(generator.sample(5, where={"Eyeglasses": True}))
    """
    return GENERATORS.get(name).from_config(config)


def find_generator(place: str | Path) -> Path | None:
    """The folder that `Generator.save` wrote: this one, or that in a run folder; None where there is none."""
    folder = Path(place).expanduser()
    return next((one for one in (folder, folder / RUN_GENERATOR) if (one / "weights.safetensors").is_file()), None)


def load_generator(directory: str | Path) -> Generator:
    """The generator that `Generator.save` wrote into `directory`, or that the run folder `directory` holds.

    Raises:
        DataError: there is none, or its files are damaged.

    Example::

        generator = augface.load_generator("run")
        print(generator.sample(3, seed=1))
    """
    from augface.generators.base import saved_name

    folder = find_generator(directory) or Path(directory)
    return GENERATORS.get(saved_name(folder)).load(folder)
