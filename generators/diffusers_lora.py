"""A text-to-image pipeline that is fine-tuned on the training faces: one LoRA for all, or one for each group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from augface.arrays import Integers, Pixels
from augface.checked_arrays import checksum, write_arrays
from augface.data.dataset import FaceDataset, rows_with
from augface.data.groups import Subgroup, combinations
from augface.errors import UsageError
from augface.files import atomic_write
from augface.generators._lora import LoraRecipe, LoraTraining, add_adapter, set_weights
from augface.generators._pipelines import PipelineConfig
from augface.generators.base import Arrays, GeneratorConfig
from augface.generators.diffusers import Diffusers
from augface.processes import is_main_process
from augface.progress import progress
from augface.seeds import derive_seed
from augface.training.budget import Budget, parse_budget
from augface.training.sharing import members

FEWEST = 4
"""Faces of a group that an adapter of its own is learnt from; smaller groups share that of all faces."""
ALL = "all"


class DiffusersLoraConfig(PipelineConfig):
    """Settings of a pipeline that is fine-tuned."""

    lora: Literal["one", "per-group"] = "one"
    """Whether all faces are learnt by one adapter, or each combination of the attributes in `balance` by its own."""
    rank: int = Field(default=8, ge=1, le=256)
    """Of the adapters' matrices."""
    rate: float = Field(default=1e-4, gt=0)
    """Learning rate, which is constant."""
    train_batch: int = Field(default=4, ge=1)
    """Faces of a step."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """The layers of the U-Net that are adapted, by the ends of their names."""
    prior: float = Field(default=0.0, ge=0)
    """How much it counts that the pipeline makes of other faces' prompts what it made without the adapter: learning
    without forgetting (Li and Hoiem 2016, arXiv:1606.09282). It costs two more passes a step."""
    checkpointing: bool = False
    """Whether maps are computed anew when gradients need them: less memory, a third more time."""


class DiffusersLora(Diffusers):
    """A pretrained pipeline and what LoRA learns from the training faces, whose prompts are made of their labels.

    Each combination of the attributes in `balance` is drawn equally often. The adapters are written to `lora/` in the
    run folder, too, as diffusers reads them, with the SHA-256 of the pipeline that they belong to.
    """

    name: ClassVar[str] = "diffusers-lora"
    capabilities: ClassVar[frozenset[str]] = frozenset({"conditional", "trainable"})
    Config: ClassVar[type[GeneratorConfig]] = DiffusersLoraConfig
    config: DiffusersLoraConfig

    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Learn adapters from the faces; the budget is shared out among them.

        Raises:
            DataError: the pipeline's files are not there, have changed, or make something else than faces.
            UsageError: it cannot be fine-tuned, or not with these settings.
        """
        super().fit(data)
        _, processes = members()
        if self.config.train_batch < processes:
            raise UsageError(
                f"{processes} processes cannot share train_batch={self.config.train_batch} faces a step: give their "
                "number, or a multiple."
            )
        folder = None if run_dir is None else Path(run_dir)
        groups = self._groups(data.attributes)
        sets = [rows for rows in groups.values() if len(rows)] or [np.arange(len(data))]
        wanted = {ALL: sets}
        if self.config.lora == "per-group":
            wanted = {name: [rows] for name, rows in groups.items() if len(rows) >= FEWEST}
            if len(wanted) < len([rows for rows in groups.values() if len(rows)]) or not wanted:
                wanted[ALL] = sets
        whole = parse_budget(budget)
        share = Budget(whole.amount / len(wanted), whole.unit)
        images, prompts = (
            np.asarray(data.images),
            self._pretrained.prompts.prompts(data.attributes, self.config.balance),
        )
        self._adapters: dict[str, Arrays] = {}
        entries: list[dict[str, float]] = []
        for name, draws in wanted.items():
            training = LoraTraining(
                self._pretrained.pipeline,
                _adapter(name),
                self._recipe,
                images,
                prompts,
                draws,
                derive_seed(seed, "lora", name),
            )
            checkpoint = None if folder is None else folder / "checkpoints" / f"lora-{_adapter(name)}.safetensors"
            before = entries[-1] if entries else {"images": 0, "seconds": 0.0}
            total = int(share.amount) if share.unit == "images" else None
            with progress(total=total, desc=f"LoRA of {name}", unit="images", disable=not is_main_process()) as bar:
                for seen in training.run(share, checkpoint, resume=resume):
                    bar.update(seen - bar.n)
                    entry = {
                        "images": before["images"] + seen,
                        "seconds": round(before["seconds"] + training.seconds, 1),
                        "denoising_loss": round(float(np.mean(training.losses[-100:])), 5),
                    }
                    entries.append(entry)
                    if folder is not None and is_main_process():
                        lines = "".join(json.dumps(one) + "\n" for one in entries)
                        atomic_write(folder / "log.jsonl", lines)
            self._adapters[name] = training.arrays()
            if folder is not None and is_main_process():
                self._export(folder / "lora" / f"{_adapter(name)}.safetensors", name)
        self._mark()

    @property
    def _recipe(self) -> LoraRecipe:
        config = self.config
        return LoraRecipe(
            config.rank, config.rate, config.train_batch, config.targets, config.prior, config.checkpointing
        )

    def _groups(self, labels: pd.DataFrame) -> dict[str, Integers]:
        """The rows of each combination of the attributes in `balance`."""
        names = [name for name in self.config.balance if name in labels]
        if self.config.lora == "per-group" and not names:
            raise UsageError("LoRA per group needs the setting balance: the attributes whose combinations are groups.")
        return {group.label or ALL: np.flatnonzero(rows_with(labels, group.items())) for group in combinations(names)}

    def _export(self, path: Path, group: str) -> None:
        """Write one adapter as diffusers' `load_lora_weights` reads it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"unet.{name}": array for name, array in self._adapters[group].items()}
        base = self._pretrained.description
        texts = {"base": base["name"], "base_sha256": base["sha256"], "base_licence": base["licence"], "group": group}
        write_arrays(path, arrays, texts)

    def _mark(self) -> None:
        """Let faces of these adapters be known by them."""
        self._pretrained.variant = " ".join(f"{name}:{checksum(each)}" for name, each in sorted(self._adapters.items()))

    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        """Faces by the adapter of each row's group."""
        seeds = np.array([derive_seed(seed, "noise", chunk, row) for row in range(len(labels))], dtype=object)
        chosen = np.full(len(labels), ALL, dtype=object)
        for name in self._adapters:
            if name != ALL:
                chosen[rows_with(labels, Subgroup.parse(name).items())] = name
        faces: Pixels = np.empty((len(labels), *(self._pretrained.size,) * 2, 3), dtype=np.uint8)
        for name in dict.fromkeys(chosen.tolist()):
            rows = np.flatnonzero(chosen == name)
            self._use(name)
            faces[rows], _ = self._pretrained.faces(seeds[rows].tolist(), self._given(labels.iloc[rows]))
        return faces

    def _use(self, name: str) -> None:
        """Let the pipeline work with one adapter; with none where faces are of no group and no adapter is of all."""
        unet = self._pretrained.pipeline.pipe.unet
        if name in self._adapters:
            unet.enable_adapters()
            unet.set_adapter(_adapter(name))
        else:
            unet.disable_adapters()

    def _arrays(self) -> Arrays:
        kept = {f"lora.{name}/{key}": one for name, each in self._adapters.items() for key, one in each.items()}
        return {**super()._arrays(), **kept}

    def _restore(self, arrays: Arrays) -> None:
        self._adapters = {}
        for key in [key for key in arrays if key.startswith("lora.")]:
            name, _, weight = key.removeprefix("lora.").partition("/")
            self._adapters.setdefault(name, {})[weight] = arrays.pop(key)
        super()._restore(arrays)
        for name, weights in self._adapters.items():
            add_adapter(self._pretrained.pipeline, _adapter(name), self._recipe)
            set_weights(self._pretrained.pipeline, _adapter(name), weights)
        self._mark()


def _adapter(group: str) -> str:
    """A name for the adapter of a group that suits modules and files."""
    return "".join(letter if letter.isalnum() else "-" for letter in group.replace("=", ""))
