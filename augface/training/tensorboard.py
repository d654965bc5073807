"""Curves and previews for TensorBoard, where a training is requested them and the extra is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augface.arrays import Pixels
from augface.errors import UsageError


class Board:
    """Writes into the folder `tensorboard` of a run; nothing where there is no run.

    Args:
        run_dir: the run folder.
        images_seen: where the training begins or goes on; what was written beyond is no longer shown.

    Raises:
        UsageError: tensorboard is not installed.
    """

    def __init__(self, run_dir: Path | None, images_seen: int) -> None:
        self._folder = run_dir / "tensorboard" if run_dir else None
        self._writer: Any = None
        self.go_on_from(images_seen)

    def go_on_from(self, images_seen: int) -> None:
        """Take back what was written beyond so many images."""
        if self._folder is None:
            return
        self.close()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                f"The setting tensorboard needs the package tensorboard ({error}). "
                "Install it by: pip install 'augface[tensorboard]'"
            ) from error
        self._writer = SummaryWriter(self._folder, purge_step=images_seen)

    def numbers(self, entry: Mapping[str, float]) -> None:
        """The curves' values of one log entry."""
        if self._writer is not None:
            for name in entry.keys() - {"images", "seconds"}:
                self._writer.add_scalar(f"training/{name}", entry[name], int(entry["images"]))

    def picture(self, pixels: Pixels, images_seen: int) -> None:
        """A preview, uint8 (H, W, 3)."""
        if self._writer is not None:
            self._writer.add_image("faces", pixels, images_seen, dataformats="HWC")

    def close(self) -> None:
        """Write what is left to write."""
        if self._writer is not None:
            self._writer.close()
