"""A data set as other libraries hold it: a data set of torch, and one of Hugging Face."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from augface.arrays import Floats32
from augface.data.pixels import ImageRows
from augface.errors import DataError, UsageError

if TYPE_CHECKING:
    from augface.data.dataset import FaceDataset


class TorchFaces(Dataset[tuple[Any, Tensor]]):
    """Faces as torch takes them: each is an image and its labels. It can be pickled, for the workers of a loader.

    Attributes:
        attributes: what the labels mean, in their order.
    """

    def __init__(self, data: FaceDataset, transform: Callable[[Tensor], Any] | None = None) -> None:
        self.attributes = [str(name) for name in data.attributes]
        self._images: ImageRows = data.images
        self._labels: Floats32 = data.attributes.astype("Float32").to_numpy(dtype=np.float32, na_value=np.nan)
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        pixels = torch.from_numpy(np.array(self._images[index])).permute(2, 0, 1).float() / 255
        image = pixels if self._transform is None else self._transform(pixels)
        return image, torch.from_numpy(self._labels[index])


def to_hugging_face(data: FaceDataset) -> Any:
    """See `FaceDataset.to_hf`."""
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"to_hf needs the package datasets ({error}). Install it by: pip install 'augface[datasets]'"
        ) from error

    def table(faces: FaceDataset) -> Any:
        frame = replace(faces, factors=None, split=None).to_frame().rename(columns={"name": "file_name"})
        if "image" in frame:
            raise DataError("An attribute is called `image`, as the column of images is. Rename it.")
        images = [{"bytes": _png(faces, row), "path": None} for row in range(len(faces))]
        features = {"image": datasets.Image()}
        columns: dict[str, Any] = {"image": images}
        for name, column in frame.items():
            kind = column.dtype.kind if column.dtype.name != "boolean" else "b"
            features[str(name)] = datasets.Value(
                {"b": "bool", "i": "int64", "u": "int64", "f": "float64"}.get(kind, "string")
            )
            plain = column.astype(object).where(column.notna(), None).tolist()
            columns[str(name)] = plain if kind in "biuf" else [None if cell is None else str(cell) for cell in plain]
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    if data.split is None:
        return table(data)
    parts = {"train": data.train, "validation": data.valid, "test": data.test}
    return datasets.DatasetDict({name: table(part) for name, part in parts.items() if part is not None})


def _png(faces: FaceDataset, row: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(faces.images[row]).save(file, format="PNG")
    return file.getvalue()
