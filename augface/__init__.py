"""Will synthetic faces help my imbalanced face data set, and what do they cost me?

Names are loaded when first used, so `import augface` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from augface import metrics as metrics
    from augface.data import load_data as load_data
    from augface.data.dataset import FaceDataset as FaceDataset
    from augface.errors import AugfaceError as AugfaceError
    from augface.evaluation import evaluate as evaluate
    from augface.generators import create_generator as create_generator
    from augface.generators import load_generator as load_generator
    from augface.rebalancing import rebalance as rebalance
    from augface.results import Evaluation as Evaluation
    from augface.results import Measurement as Measurement

_LAZY = {
    "AugfaceError": "augface.errors",
    "Evaluation": "augface.results",
    "FaceDataset": "augface.data.dataset",
    "Measurement": "augface.results",
    "create_generator": "augface.generators",
    "evaluate": "augface.evaluation",
    "load_data": "augface.data",
    "load_generator": "augface.generators",
    "metrics": "",
    "rebalance": "augface.rebalancing",
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
