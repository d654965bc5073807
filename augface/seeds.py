"""The one seed discipline: every random stream is derived from the run's seed and the names of what it is for.

Streams with different names are independent, and none depends on how many draws another has made, so results do not
change when work is reordered, split or resumed.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream that `names` describe.

    >>> derive_seed(0, "noise", 1) == derive_seed(0, "noise", 1)
    True
    >>> derive_seed(0, "noise", 1) == derive_seed(0, "noise", 2)
    False
    """
    text = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def random_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream that `names` describe."""
    return np.random.default_rng(derive_seed(seed, *names))
