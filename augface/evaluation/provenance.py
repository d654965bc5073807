"""What results say of where they come from: data, versions, and titles made of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from augface.data.dataset import FaceDataset
from augface.threads import computing_threads
from augface.version import __version__


def describe_data(data: FaceDataset) -> dict[str, Any]:
    """What results say of a data set."""
    splits = (
        {name: int((data.split == name).sum()) for name in np.unique(data.split)} if data.split is not None else None
    )
    return {
        "spec": data.source.spec,
        "content_hash": data.source.content_hash,
        "faces": len(data),
        "size": data.size,
        "splits": splits,
        "attributes": data.attributes.shape[1],
        "people": len(np.unique(data.identity)) if data.identity is not None else None,
    }


def external_knowledge(base: Mapping[str, str]) -> str:
    """What a reader must know where faces are from a pretrained model."""
    return (
        f"The faces are from {base['name']} ({base['pipeline']}, SHA-256 {base['sha256'][:16]}…, licence "
        f"{base['licence']}), which knows other images than this train split. Compare with methods that may use as "
        "much: frozen features do, a network that learns from pixels alone does not. Copies are looked for in the "
        "train split only."
    )


def environment() -> dict[str, Any]:
    """When and with what results were made."""
    packages = ("torch", "numpy", "scikit-learn", "timm", "pandas")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "augface": __version__,
        "python": platform.python_version(),
        "threads": computing_threads(),
        "versions": {package: version(package) for package in packages},
    }


def short_name(spec: str) -> str:
    """A data set's name for titles: what a path ends with."""
    kind, _, rest = spec.rpartition(":")
    return spec if kind == "toy" else Path(rest).name or spec
