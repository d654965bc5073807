"""Will synthetic faces help my imbalanced face data set, and what do they cost me?

Names are loaded when first used, so `import augface` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from augface.version import __version__ as __version__

if TYPE_CHECKING:
    from augface import metrics as metrics
    from augface.alignment.align import align as align
    from augface.data import load_data as load_data
    from augface.data.dataset import FaceDataset as FaceDataset
    from augface.errors import AugfaceError as AugfaceError
    from augface.evaluation.evaluate import evaluate as evaluate
    from augface.evaluation.measures import cmmd as cmmd
    from augface.evaluation.measures import fd_dinov2 as fd_dinov2
    from augface.evaluation.measures import fid as fid
    from augface.evaluation.measures import frechet_distance as frechet_distance
    from augface.evaluation.measures import kernel_distance as kernel_distance
    from augface.evaluation.measures import kid as kid
    from augface.evaluation.measures import precision_recall as precision_recall
    from augface.generators import create_generator as create_generator
    from augface.generators import load_generator as load_generator
    from augface.inspection.inspect import inspect as inspect
    from augface.rebalancing.oversampler import FaceOverSampler as FaceOverSampler
    from augface.rebalancing.rebalance import rebalance as rebalance
    from augface.results import Evaluation as Evaluation
    from augface.results import Measurement as Measurement
    from augface.steering.photos import invert as invert

_LAZY = {
    "AugfaceError": "augface.errors",
    "Evaluation": "augface.results",
    "FaceDataset": "augface.data.dataset",
    "FaceOverSampler": "augface.rebalancing.oversampler",
    "Measurement": "augface.results",
    "align": "augface.alignment.align",
    "cmmd": "augface.evaluation.measures",
    "create_generator": "augface.generators",
    "evaluate": "augface.evaluation.evaluate",
    "fd_dinov2": "augface.evaluation.measures",
    "fid": "augface.evaluation.measures",
    "frechet_distance": "augface.evaluation.measures",
    "inspect": "augface.inspection.inspect",
    "invert": "augface.steering.photos",
    "kernel_distance": "augface.evaluation.measures",
    "kid": "augface.evaluation.measures",
    "load_data": "augface.data",
    "load_generator": "augface.generators",
    "metrics": "",
    "precision_recall": "augface.evaluation.measures",
    "rebalance": "augface.rebalancing.rebalance",
}
__all__ = sorted(["__version__", *_LAZY])


def __getattr__(name: str) -> Any:
    if name == "torchmetrics":  # needs an extra, and so is not in __all__
        return importlib.import_module("augface.torchmetrics")
    if name not in _LAZY:
        raise AttributeError(f"module 'augface' has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f"augface.{name}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
