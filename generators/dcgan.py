"""An unconditional DCGAN: it makes faces, but cannot be asked for a kind of face."""

from __future__ import annotations

from typing import ClassVar

from augface.generators.adversarial import AdversarialGenerator


class DCGAN(AdversarialGenerator):
    """Deep convolutional GAN (Radford et al. 2016, arXiv:1511.06434)."""

    name: ClassVar[str] = "dcgan"
    capabilities: ClassVar[frozenset[str]] = frozenset({"trainable", "latent"})
