"""The papers of a written data set: README.md for people and for Hugging Face, croissant.json for catalogues.

Croissant 1.0: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augface.data.layout import IMAGES, METADATA, ROOTS, column_type
from augface.files import sha256_of_file

CardValue = str | int | float | Mapping[str, str | int | float]
"""A fact that the card tells, or several by name."""

TERMS = {
    "celeba": "The real faces are from CelebA (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html). CelebA is for "
    "non-commercial research only. Its images must not be redistributed, sold or published, in whole or in part; the "
    "rights in them stay with their owners. This data set holds them, and made faces that were learnt from them, so "
    "all of it stands under these terms: keep it to yourself.",
    "toy": "The faces called real here are ToyFaces: drawn by a program, of people who do not exist. Use them freely.",
}
CITATIONS = {
    "celeba": "Ziwei Liu, Ping Luo, Xiaogang Wang, Xiaoou Tang: Deep Learning Face Attributes in the Wild. ICCV 2015."
}
UNKNOWN_TERMS = (
    "The terms of the real faces hold for all of this data set, for the made faces too, which were learnt from them. "
    "augface does not know these terms: find out before you use or pass on anything of it."
)

NOT_FOR = (
    "to identify, track or verify persons, or to infer anything of a real person",
    "to decide about people, or to infer emotion, health, origin, religion, politics or sexuality from faces",
    "as evidence of how a group of people looks: made faces repeat, and can sharpen, the biases of the real ones",
    "to deceive: do not pass made faces off as photographs, and do not strip their marks",
    "to score a classifier on made faces; `valid` and `test` hold real faces only",
)

PERCEIVED = (
    "Attributes are what annotators perceived in a picture, and what was asked of a generator in a made one. They are "
    "not the truth about a person, and some are wrong."
)

HF_SPLITS = {"train": "train", "valid": "validation", "test": "test"}

CROISSANT_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean"}


@dataclass(frozen=True)
class Summary:
    """The facts that the papers tell.

    Attributes:
        title: what the data set is called.
        target: the attributes that make the classes.
        classes: the classes that occur in each split.
        faces: how many faces each split has.
        before: how many train faces of each class were real.
        after: how many there are with the made ones.
        size: pixels of a side.
        generator: what made faces.
        generator_hash: its fingerprint.
        seed: of the whole job.
        source: where the real faces are from.
        source_hash: what their content is known by.
        renamed: attributes whose names did not suit files, and what they are called instead.
        columns: of the metadata.
        terms: the terms of use of the real faces.
        citation: what users of the real faces are asked to cite, or nothing.
    """

    title: str
    target: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    faces: Mapping[str, int]
    before: Mapping[str, int]
    after: Mapping[str, int]
    size: int
    generator: str
    generator_hash: str
    seed: int
    source: str
    source_hash: str
    renamed: Mapping[str, str]
    columns: tuple[str, ...]
    terms: str
    citation: str = ""

    @property
    def splits(self) -> list[str]:
        """The splits that have faces."""
        return [split for split, count in self.faces.items() if count]

    @property
    def made(self) -> int:
        """How many faces were made."""
        return sum(self.after.values()) - sum(self.before.values())

    @property
    def headline(self) -> str:
        """The data set in one sentence."""
        return (
            f"{sum(self.faces.values()):,} faces of {self.size}x{self.size} pixels: {self.made:,} made by "
            f"{self.generator} were added to the train split to balance {', '.join(self.target)}; all others are real."
        )


def source_terms(kind: str) -> str:
    """The terms of use of a kind of source: `celeba`, `toy`, or any other."""
    return TERMS.get(kind, UNKNOWN_TERMS)


def readme(summary: Summary, card: Mapping[str, CardValue]) -> str:
    """README.md: the front matter that Hugging Face reads, and the card that people read.

    Args:
        summary: what was written.
        card: `verdict`, a sentence; `yields`, by gate; any other facts by name.
    """
    verdict = card.get("verdict", "Not assessed yet.")
    facts: dict[str, Any] = {
        "Generator": summary.generator,
        "Generator hash": summary.generator_hash,
        "Seed": summary.seed,
        "Real faces from": summary.source,
        "Their content hash": summary.source_hash,
    }
    nested = {name: value for name, value in card.items() if isinstance(value, Mapping)}
    facts |= {name: value for name, value in card.items() if name != "verdict" and name not in nested}
    parts = [
        _front_matter(summary),
        f"# {_plain(summary.title)}",
        _plain(summary.headline),
        f"**Do the made faces help?** {_plain(verdict)}",
        "## Faces in the train split",
        _table(
            ("class", "real", "made", "together"),
            [
                (
                    _code(name),
                    f"{summary.before.get(name, 0):,}",
                    f"{after - summary.before.get(name, 0):,}",
                    f"{after:,}",
                )
                for name, after in summary.after.items()
            ],
        ),
        _held_out(summary),
        "## How it was made",
        "A generator learnt from the train split alone. What it made had to pass gates before it came in here.",
        _table(("what", "value"), [(_plain(name), _plain(value)) for name, value in facts.items()]),
    ]
    for name, values in nested.items():
        parts += [
            f"### {_plain(name[:1].upper() + name[1:])}",
            _table(("what", "value"), [(_plain(key), _plain(value)) for key, value in values.items()]),
        ]
    parts += [
        "## What the labels mean",
        PERCEIVED,
        "`source` says `real`, `synthetic`, or `resampled` (a real face over again). Synthetic faces also carry the "
        "IPTC mark `trainedAlgorithmicMedia` and a text chunk `augface` inside their files. `requested` is what was "
        "asked of the generator, `verified` what a classifier saw. A blank is not known. CelebA's own files have 0 for "
        "a label that is not known, which many readers take for no, and a negative identity for a made face, which is "
        "nobody.",
        *_renamed(summary),
        "## How to read it",
        _how_to_read(summary),
        "## Terms",
        _plain(summary.terms),
        summary.citation and f"Please cite: {_plain(summary.citation)}",
        "## Not to be used",
        "\n".join(f"- {item}" for item in NOT_FOR),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(summary: Summary) -> str:
    # Every JSON text is YAML, and none can break out of its quotes.
    data_files = [
        {"split": HF_SPLITS[split], "path": [METADATA[split], f"{ROOTS[split]}/*/*.png"]} for split in summary.splits
    ]
    entries = {
        "pretty_name": summary.title,
        "license": "other",
        "license_name": "terms-of-the-source",
        "task_categories": ["image-classification"],
        "tags": ["faces", "synthetic", "class-imbalance", "augface"],
        "configs": [{"config_name": "default", "data_files": data_files}],
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in entries.items()), "---"])


def _held_out(summary: Summary) -> str:
    counts = [f"{summary.faces[split]:,} in {split}" for split in summary.splits if split != "train"]
    return f"Held out, all real and as they were: {', '.join(counts)}." if counts else "There are no held-out faces."


def _renamed(summary: Summary) -> list[str]:
    if not summary.renamed:
        return []
    rows = [(_code(name), _code(safe)) for name, safe in summary.renamed.items()]
    return ["Some attributes have other names here, that suit files:", _table(("in the source", "here"), rows)]


def _how_to_read(summary: Summary) -> str:
    held_out = [split for split in summary.splits if split != "train"]
    lines = [
        "```python",
        f'torchvision.datasets.ImageFolder("{IMAGES}")  # the train split by class',
        *(f'torchvision.datasets.ImageFolder("{ROOTS[split]}")' for split in held_out),
        'datasets.load_dataset(".")  # Hugging Face: all splits, all columns',
        'augface.load_data("celeba:celeba")  # and other readers of CelebA',
        "```",
    ]
    differing = [split for split in held_out if summary.classes[split] != summary.classes["train"]]
    if differing:
        lines += [
            "",
            f"The classes of {' and '.join(differing)} are not those of train, so ImageFolder numbers them otherwise: "
            "compare `class_to_idx`.",
        ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(value: object) -> str:
    """Text from anywhere as text in Markdown: one line, no markup, no HTML."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", text)


def _code(text: str) -> str:
    """Text from anywhere as code in a table of Markdown."""
    return f"`{' '.join(re.sub('[`|]', ' ', text).split()) or ' '}`"


def croissant(summary: Summary, directory: Path) -> str:
    """croissant.json: the files of the data set and the records in them, for machines.

    Args:
        summary: what was written.
        directory: where the metadata files lie, to take their hashes.
    """
    distribution: list[dict[str, Any]] = []
    record_sets = []
    for split in summary.splits:
        distribution += _files_of(split, directory)
        record_sets.append(_records_of(split, summary))
    entries = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": summary.title,
        "description": f"{summary.headline} {PERCEIVED}",
        "license": summary.terms,
        **({"citeAs": summary.citation} if summary.citation else {}),
        "version": "1.0.0",
        "keywords": ["faces", "synthetic", "class imbalance"],
        "isLiveDataset": False,
        "rai:dataCollection": f"Real faces from {summary.source} ({summary.source_hash}).",
        "rai:dataManipulationProtocol": f"Made faces by {summary.generator} ({summary.generator_hash}), seed "
        f"{summary.seed}, learnt from the train split.",
        "rai:dataBiases": PERCEIVED,
        "rai:dataLimitations": [f"Not {item}." for item in NOT_FOR],
        "rai:personalSensitiveInformation": "The faces themselves, and attributes that others perceived in them.",
        "distribution": distribution,
        "recordSet": record_sets,
    }
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _files_of(split: str, directory: Path) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": f"{split}-metadata",
            "name": f"{split}-metadata",
            "description": f"One row for each face of the {split} split.",
            "contentUrl": METADATA[split],
            "encodingFormat": "application/x-parquet",
            "sha256": sha256_of_file(directory / METADATA[split]),
        },
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-images",
            "name": f"{split}-images",
            "description": f"The faces of the {split} split.",
            "encodingFormat": "image/png",
            "includes": f"{ROOTS[split]}/*/*.png",
        },
    ]


def _records_of(split: str, summary: Summary) -> dict[str, Any]:
    images, metadata = {"@id": f"{split}-images"}, {"@id": f"{split}-metadata"}
    folder = METADATA[split].partition("/")[0]
    sources: dict[str, dict[str, Any]] = {
        "image": {"source": {"fileSet": images, "extract": {"fileProperty": "content"}}},
        **{column: {"source": {"fileObject": metadata, "extract": {"column": column}}} for column in summary.columns},
        # Images and rows are joined here. mlcroissant transforms the left side of a join only, so it must be the
        # images', and leaves the first folder out of their paths, which the specification does not.
        "file_name": {
            "source": {
                "fileSet": images,
                "extract": {"fileProperty": "fullpath"},
                "transform": {"regex": f"^(?:{folder}/)?(.+)$"},
            },
            "references": {"fileObject": metadata, "extract": {"column": "file_name"}},
        },
    }
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{split}/{name}",
            "name": name,
            "dataType": "sc:ImageObject" if name == "image" else CROISSANT_TYPES[column_type(name)],
            **source,
        }
        for name, source in sources.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The faces of the {split} split with all that is known of them.",
        "field": fields,
    }


CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context that the specification prints."""
