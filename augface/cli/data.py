"""`augface data`: the cache, and what a data set holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from augface.cli.console import confirm, print_table, say, when_interrupted
from augface.errors import DataError
from augface.files import cache_dir, human_bytes

if TYPE_CHECKING:
    from augface.cache import CacheEntry

app = App(
    name="data",
    help="Show, check and empty the cache of images, features, weights and copies, or describe a data set.",
    sort_key=100,
)


@app.default
def show_cache() -> None:
    """Show what the cache holds, kind by kind, what was used last first."""
    from augface.cache import entries

    found = sorted(entries(), key=lambda entry: entry.last_used, reverse=True)
    say(f"{cache_dir()}: {_size(found)}")
    for kind in sorted({entry.kind for entry in found}):
        held = [entry for entry in found if entry.kind == kind]
        say(f"\n{kind}: {_size(held)}")
        rows = [[human_bytes(each.bytes), _day(each.last_used), each.key[:12], each.description] for each in held]
        print_table([["size", "last used", "key", "what"], *rows])


@app.command
def purge(*, kind: str | None = None, older_than_days: float | None = None, yes: bool = False) -> None:
    """Delete what the cache holds. Nothing is lost but time: it is made again when it is needed.

    Args:
        kind: Only entries of this kind, as `augface data` shows them.
        older_than_days: Only entries that were not used for so many days.
        yes: Do not ask first.
    """
    from augface.cache import purge as purge_cache
    from augface.cache import purgeable

    chosen = purgeable(kind=kind, older_than_days=older_than_days)
    size = human_bytes(sum(entry.bytes for entry in chosen))
    if chosen and not yes:
        confirm(f"Delete {len(chosen):,} entries ({size}) of the cache {cache_dir()}?", option="--yes")
    freed = purge_cache(kind=kind, older_than_days=older_than_days)
    say(f"{human_bytes(freed)} freed in {cache_dir()}")


@app.command
def verify() -> int:
    """Read all cached images and features, and compare them with their checksums.

    What is damaged is named, and made again when it is next needed. The exit code is 3 where anything is damaged.
    """
    from augface.cache import damaged_entries

    checked, damaged = 0, []
    for entry, is_damaged in damaged_entries():
        checked += 1
        if is_damaged:
            damaged.append([entry.kind, entry.key[:12], entry.description])
    say(f"{cache_dir()}: {checked:,} entries read, {len(damaged):,} damaged")
    if not damaged:
        return 0
    print_table(damaged)
    say("They are not used any more, and are made again when they are needed.")
    return DataError.exit_code


@app.command
def show(spec: str, /, *, size: int | None = None) -> None:
    """Describe a data set: how many faces, their splits, and how common each attribute is.

    Args:
        spec: The data set: toy, celeba:DIR, folder:DIR, or a folder.
        size: Height and width of the faces, in pixels; 64 where not given.
    """
    from augface.data import load_data

    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        faces = load_data(spec, size=size)
    persons = "" if faces.identity is None else f", {len(set(faces.identity.tolist())):,} persons"
    say(f"{faces.source.spec}: {len(faces):,} faces of {faces.size} x {faces.size} pixels{persons}")
    parts = {name: part for name in ("train", "valid", "test") if (part := getattr(faces, name)) is not None}
    say("splits: " + (", ".join(f"{name} {len(part):,}" for name, part in parts.items()) or "none"))
    if not faces.attributes.shape[1]:
        say("attributes: none")
        return
    say()
    print_table(
        [
            ["attribute", "positive", "share", "unknown", *(f"{name} positive" for name in parts)],
            *(
                [
                    str(name),
                    f"{int(column.sum()):,}",
                    "-" if column.isna().all() else f"{100 * float(column.mean()):.1f} %",
                    f"{int(column.isna().sum()):,}",
                    *(f"{int(part.attributes[name].sum()):,}" for part in parts.values()),
                ]
                for name, column in faces.attributes.items()
            ),
        ]
    )


@app.command
def export(spec: str, /, *, out: str, format: Literal["parquet", "webdataset"] = "parquet", size: int = 64) -> None:
    """Write a data set, such as the folder dataset of a run, in few large files that stream: Parquet or WebDataset.

    Args:
        spec: The data set: toy, celeba:DIR, folder:DIR, or a folder.
        out: A folder, or an address that fsspec knows, such as s3://bucket/faces.
        format: parquet, as Hugging Face has it, or webdataset, tar archives.
        size: Height and width of the faces, in pixels.
    """
    from augface.data import load_data
    from augface.data.export.shards import write_shards

    with when_interrupted("the images read so far are kept in the cache; the same command goes on from there."):
        faces = load_data(spec, size=size)
    with when_interrupted(f"what is in {out} is not whole."):
        names = write_shards(faces, out, format=format)
    say(f"{len(faces):,} faces in {len(names):,} files: {out}")


def _size(held: Sequence[CacheEntry]) -> str:
    return f"{human_bytes(sum(entry.bytes for entry in held))} in {len(held):,} entries"


def _day(moment: datetime | float) -> str:
    return (moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment)).strftime("%Y-%m-%d")
