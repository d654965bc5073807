"""The balanced data set as a folder that other tools read as it is; `layout` says how it lies there, and why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augface.arrays import Strings
from augface.data.dataset import SPLITS, FaceDataset
from augface.data.export.cards import UNKNOWN_TERMS, CardValue, Summary, croissant, readme
from augface.data.export.layout import (
    CELEBA,
    COLUMNS,
    IMAGES,
    METADATA,
    PARTITIONS,
    PROBABILITY,
    ROOTS,
    column_type,
    is_probability,
)
from augface.data.export.naming import UNLABELLED, class_names, safe_names
from augface.data.export.png import encode_png
from augface.errors import DataError
from augface.files import atomic_path, atomic_write, new_directory
from augface.progress import progress
from augface.text import csv_text
from augface.threads import cores

BATCH = 64
CARD = "README.md"


@dataclass(frozen=True, eq=False)
class Manifest:
    """What is written, or to be written.

    Attributes:
        directory: the data set's folder.
        table: one row a face, real faces in their order and then synthetic ones: `path` relative to the folder, and the
            columns of the metadata.
        summary: the counts and facts that README.md and croissant.json give.
        attributes: the attributes, as they are called in files.
    """

    directory: Path
    table: pd.DataFrame
    summary: Summary
    attributes: tuple[str, ...]

    def write(
        self, directory: Path, real: FaceDataset, synthetic: FaceDataset, card: Mapping[str, CardValue] | None = None
    ) -> None:
        """Write the faces that were described to a folder, whole or not at all."""
        with atomic_path(directory) as temporary:
            temporary.mkdir()
            _write_images(temporary, self.table, real, synthetic, self.summary.generator)
            _link_held_out(temporary, self.table)
            _write_metadata(temporary, self.table)
            _write_celeba_lists(temporary / CELEBA, self.table, list(self.attributes))
            (temporary / CARD).write_text(readme(self.summary, card or {}), encoding="utf-8")
            (temporary / "croissant.json").write_text(croissant(self.summary, temporary), encoding="utf-8")

    def write_card(self, card: Mapping[str, CardValue]) -> None:
        """Write README.md again, for what is known only after the data set has been measured, such as the verdict."""
        atomic_write(self.directory / CARD, readme(self.summary, card))


def write_dataset(
    directory: Path,
    real: FaceDataset,
    synthetic: FaceDataset,
    *,
    target: Sequence[str],
    generator: str,
    generator_hash: str,
    seed: int,
    source: str = "synthetic",
    card: Mapping[str, CardValue] | None = None,
    terms: str | None = None,
) -> Manifest:
    """Write the real faces and the synthetic ones as one data set, whole or not at all.

    Only the train split grows. Pixels are kept as they are.

    Args:
        directory: the folder to make. An empty one, or a data set written before, is replaced.
        real: all real faces of all splits; without splits all are train.
        synthetic: the faces to add, with the attributes that were requested. Of their `factors` these are written:
            `seed` and `number`, which identify a face among those of its generator, `host`, the row among the real
            train faces of the one that it was made of, and `verified_<attribute>`, a boolean or the probability that a
            classifier gives.
        target: the attributes that make the classes.
        generator: the generator's name.
        generator_hash: its fingerprint.
        seed: of the whole job; a synthetic face's own, where its factors give none.
        source: what the added faces are: `synthetic`, or what else their generator's `source` says.
        card: what else README.md says: `verdict` (a sentence), `yields` (a mapping), and any other facts by name.
        terms: the terms of use of the real faces, where their source does not know them.

    Raises:
        UnknownNameError: `target` names no attribute of the real faces.
        DataError: the images differ in size.
        OutputError: the folder holds something else, or cannot be written.
    """
    manifest = describe_dataset(
        directory,
        real,
        synthetic,
        target=target,
        generator=generator,
        generator_hash=generator_hash,
        seed=seed,
        source=source,
        terms=terms,
    )
    if manifest.directory.exists() and not (manifest.directory / "croissant.json").is_file():
        new_directory(manifest.directory)
    manifest.write(manifest.directory, real, synthetic, card)
    return manifest


def describe_dataset(
    directory: Path,
    real: FaceDataset,
    synthetic: FaceDataset,
    *,
    target: Sequence[str],
    generator: str,
    generator_hash: str,
    seed: int,
    source: str = "synthetic",
    base: Mapping[str, str] | None = None,
    terms: str | None = None,
) -> Manifest:
    """What `write_dataset` would write; nothing is written."""
    for name in target:
        real.attribute(name)
    if not target:
        raise DataError("The classes of a data set need at least one target attribute.")
    if len(synthetic) and synthetic.images.shape[1:] != real.images.shape[1:]:
        raise DataError(
            f"Synthetic faces are {synthetic.images.shape[1:]}, real ones {real.images.shape[1:]}: sizes must agree."
        )
    names = safe_names(real.attributes.columns, taken=[*COLUMNS, "path", "image"])  # `image` is what Hugging Face adds
    table = _describe(real, synthetic, target, names, source, generator_hash, seed)
    summary = _summarise(
        table,
        real,
        target,
        names,
        generator=generator,
        generator_hash=generator_hash,
        seed=seed,
        base=base,
        terms=terms,
    )
    return Manifest(Path(directory).resolve(), table, summary, tuple(names.values()))


def _describe(
    real: FaceDataset,
    synthetic: FaceDataset,
    target: Sequence[str],
    names: Mapping[str, str],
    source: str,
    generator_hash: str,
    seed: int,
) -> pd.DataFrame:
    """One row a face, real ones first."""
    requested = synthetic.attributes.reindex(columns=real.attributes.columns).astype("boolean")
    attributes = pd.concat([real.attributes, requested], ignore_index=True)
    classes = class_names(attributes, target, names)
    count, added = len(real), len(synthetic)
    real_split = real.split if real.split is not None else np.full(count, "train")
    split = np.concatenate([real_split, np.full(added, "train")])
    numbered = np.array([f"{number:06d}.png" for number in range(1, count + added + 1)], dtype=object)
    in_class = np.array([f"{name}/{file}" for name, file in zip(classes, numbered, strict=True)], dtype=object)
    factors = synthetic.factors if synthetic.factors is not None else pd.DataFrame(index=pd.RangeIndex(added))
    hosts = _hosts(factors, real_split)
    identity = [*([pd.NA] * count if real.identity is None else real.identity), pd.NA]  # nobody's comes last
    probabilities = _verified(factors, names)
    labels = (probabilities >= 0.5).astype("boolean").mask(probabilities.isna())
    checked = [name for name in target if name in labels]
    verified = class_names(labels, checked, names) if checked else np.full(added, UNLABELLED)

    def only_synthetic(values: Any, dtype: str) -> pd.Series[Any]:
        column = pd.Series(pd.NA, index=pd.RangeIndex(count + added), dtype=dtype)
        column.iloc[count:] = values.array if isinstance(values, pd.Series) else values
        return column

    columns = {
        "path": [f"{ROOTS[part]}/{file}" for part, file in zip(split, in_class, strict=True)],
        "file_name": np.where(split == "train", in_class, numbered),
        "split": split,
        "class": classes,
        "source": np.repeat(["real", source], [count, added]),
        "original_name": np.concatenate([real.names, synthetic.names]),
        "identity": pd.array([*identity[:count], *(identity[row] for row in hosts)], "Int64"),
        "seed": only_synthetic(factors.get("seed", seed), "Int64"),
        "number": only_synthetic(factors.get("number", pd.NA), "Int64"),
        "made_of": only_synthetic([pd.NA if row < 0 else in_class[row] for row in hosts], "string"),
        "generator_hash": only_synthetic(generator_hash, "string"),
        "requested": only_synthetic(classes[count:], "string"),
        "verified": only_synthetic(pd.Series(verified, dtype="string").mask(verified == UNLABELLED), "string"),
        **{
            f"verified_{names[name]}": only_synthetic(probabilities[name], "Float64")
            for name in names
            if name in probabilities
        },
        **{safe: attributes[name] for name, safe in names.items()},
    }
    return pd.DataFrame(columns)


def _hosts(factors: pd.DataFrame, split: Strings) -> list[int]:
    """The rows of the real faces that synthetic ones were made of; -1 for those that were made of none."""
    if "host" not in factors:
        return [-1] * len(factors)
    train = np.flatnonzero(split == "train")
    return [int(train[int(host)]) for host in factors["host"]]


def _verified(factors: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The probability of each attribute that a classifier looked at, 1 and 0 where it only said yes or no."""
    columns = {name: factors[f"verified_{name}"] for name in names if f"verified_{name}" in factors}
    return pd.DataFrame(columns, index=factors.index).astype("Float64").reset_index(drop=True)


def _write_images(
    directory: Path, table: pd.DataFrame, real: FaceDataset, synthetic: FaceDataset, generator: str
) -> None:
    for folder in {os.path.dirname(path) for path in table["path"]}:
        (directory / folder).mkdir(parents=True)
    (directory / IMAGES).mkdir(parents=True, exist_ok=True)
    paths = table["path"].to_list()

    def write_real(start: int) -> int:
        pixels = real.images[start : start + BATCH]
        for row, face in enumerate(pixels, start):
            note = {"source": "real", "original_name": str(real.names[row])}
            (directory / paths[row]).write_bytes(encode_png(face, note, source="real"))
        return len(pixels)

    def write_synthetic(start: int) -> int:
        pixels = synthetic.images[start : start + BATCH]
        first = len(real) + start
        notes = _notes(table.iloc[first : first + len(pixels)], generator)
        for row, (face, note) in enumerate(zip(pixels, notes, strict=True), first):
            (directory / paths[row]).write_bytes(encode_png(face, note, source=note["source"]))
        return len(pixels)

    jobs = [
        (write, start)
        for write, count in ((write_real, len(real)), (write_synthetic, len(synthetic)))
        for start in range(0, count, BATCH)
    ]
    pool = ThreadPoolExecutor(cores())
    try:
        with progress(total=len(table), desc="writing faces", unit="faces") as bar:
            for written in pool.map(lambda job: job[0](job[1]), jobs):
                bar.update(written)
    finally:
        pool.shutdown(cancel_futures=True)


def _notes(rows: pd.DataFrame, generator: str) -> list[dict[str, Any]]:
    """What synthetic faces say of themselves inside their files."""
    others = [str(name) for name in rows.columns if name not in (*COLUMNS, "path")]
    probabilities = [name for name in others if is_probability(name)]
    attributes = [name for name in others if not is_probability(name)]
    notes = []
    for record in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        known: dict[str, Any] = {str(name): value for name, value in record.items() if value is not None}
        note = {"source": known["source"], "generator": generator}
        note |= {name: known[name] for name in ("generator_hash", "seed", "number") if name in known}
        note["requested"] = {name: known[name] for name in attributes if name in known}
        note["verified"] = {
            name.removeprefix(PROBABILITY): round(known[name], 4) for name in probabilities if name in known
        }
        notes.append(note)
    return notes


def _link_held_out(directory: Path, table: pd.DataFrame) -> None:
    """Give CelebA readers the held-out faces below `img_align_celeba/`; copies where the disk knows no hard links."""
    for path, file_name in table.loc[table["split"] != "train", ["path", "file_name"]].itertuples(index=False):
        source, link = directory / path, directory / IMAGES / file_name
        try:
            link.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, link)


def _write_metadata(directory: Path, table: pd.DataFrame) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    columns = [name for name in table.columns if name != "path"]
    (directory / IMAGES / "metadata.csv").write_text(csv_text(table[columns]), encoding="utf-8", newline="")
    schema = arrow.schema([(name, arrow.type_for_alias(column_type(name))) for name in columns])
    for split, faces in table.groupby("split"):
        place = METADATA[str(split)]
        rows = faces[columns].assign(file_name=faces["path"].str.removeprefix(f"{os.path.dirname(place)}/"))
        parquet.write_table(
            arrow.Table.from_pandas(rows, schema=schema, preserve_index=False).replace_schema_metadata(),
            directory / place,
        )


def _write_celeba_lists(directory: Path, table: pd.DataFrame, attributes: Sequence[str]) -> None:
    names = table["file_name"].to_list()
    signs = (table[list(attributes)].astype("Int8") * 2 - 1).fillna(0).to_numpy(np.int8)
    written = {1: " 1", -1: "-1", 0: " 0"}
    rows = [
        f"{name} {' '.join(map(written.__getitem__, row))}" for name, row in zip(names, signs.tolist(), strict=True)
    ]
    _write_lines(directory / "list_attr_celeba.txt", [str(len(rows)), " ".join(attributes), *rows])
    partitions = table["split"].map(PARTITIONS)
    _write_lines(
        directory / "list_eval_partition.txt", [f"{name} {part}" for name, part in zip(names, partitions, strict=True)]
    )
    real = table["source"] == "real"
    if table.loc[real, "identity"].notna().any():
        nobody = pd.Series(-np.cumsum(~real), index=table.index, dtype="Int64")
        persons = table["identity"].fillna(nobody)
        _write_lines(
            directory / "identity_CelebA.txt", [f"{name} {person}" for name, person in zip(names, persons, strict=True)]
        )


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _summarise(
    table: pd.DataFrame,
    real: FaceDataset,
    target: Sequence[str],
    names: Mapping[str, str],
    *,
    generator: str,
    generator_hash: str,
    seed: int,
    base: Mapping[str, str] | None,
    terms: str | None,
) -> Summary:
    train = table[table["split"] == "train"]
    kind, _, place = real.source.spec.partition(":")
    return Summary(
        title=f"Faces balanced for {', '.join(names[name] for name in target)}",
        target=tuple(names[name] for name in target),
        classes={split: tuple(sorted(set(table.loc[table["split"] == split, "class"]))) for split in SPLITS},
        faces={split: int((table["split"] == split).sum()) for split in SPLITS},
        before=_counts(train[train["source"] == "real"]),
        after=_counts(train),
        size=real.size,
        generator=generator,
        generator_hash=generator_hash,
        base=dict(base or {}),
        seed=seed,
        # The last part of the place alone: where the faces lie on somebody's disk is nobody else's business.
        source=f"{kind}: {Path(place).name}" if place else kind,
        source_hash=real.source.content_hash,
        renamed={name: safe for name, safe in names.items() if name != safe},
        columns=tuple(name for name in table.columns if name != "path"),
        terms=terms or real.source.terms or UNKNOWN_TERMS,
        citation=real.source.citation,
    )


def _counts(faces: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(count) for name, count in faces["class"].value_counts().sort_index().items()}
