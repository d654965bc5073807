"""Will synthetic faces help my imbalanced face data set, and what do they cost me?

Names are loaded when first used, so `import augface` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from augface.version import __version__ as __version__

if TYPE_CHECKING:
    from augface import metrics as metrics
    from augface.data import load_data as load_data
    from augface.data.dataset import FaceDataset as FaceDataset
    from augface.errors import AugfaceError as AugfaceError
    from augface.evaluation.evaluate import evaluate as evaluate
    from augface.generators import create_generator as create_generator
    from augface.generators import load_generator as load_generator
    from augface.rebalancing.rebalance import rebalance as rebalance
    from augface.results import Evaluation as Evaluation
    from augface.results import Measurement as Measurement

_LAZY = {
    "AugfaceError": "augface.errors",
    "Evaluation": "augface.results",
    "FaceDataset": "augface.data.dataset",
    "Measurement": "augface.results",
    "create_generator": "augface.generators",
    "evaluate": "augface.evaluation.evaluate",
    "load_data": "augface.data",
    "load_generator": "augface.generators",
    "metrics": "",
    "rebalance": "augface.rebalancing.rebalance",
}
__all__ = sorted(["__version__", *_LAZY])


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'augface' has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f"augface.{name}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
