"""An unconditional DCGAN: no attributes can be requested."""

from __future__ import annotations

from typing import ClassVar

from augface.generators._adversarial import AdversarialGenerator


class DCGAN(AdversarialGenerator):
    """Deep convolutional GAN (Radford et al. 2016, arXiv:1511.06434)."""

    name: ClassVar[str] = "dcgan"
    capabilities: ClassVar[frozenset[str]] = frozenset({"trainable", "latent"})
