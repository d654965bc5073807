"""`augface edit`: more or less of an attribute, of photos or of generated faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from augface.cli.console import check_output, print_paths, run_name, say, shown, split_names, when_interrupted
from augface.errors import UsageError, spelled

if TYPE_CHECKING:
    from augface.data.dataset import FaceDataset


def edit(
    run: Path,
    /,
    *photos: Annotated[Path, Parameter(negative=())],
    n: Annotated[int, Parameter(name="-n")] = 16,
    attr: str,
    strength: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-1,0,1",
    out: Path,
    data: str | None = None,
    like: str | None = None,
    steps: int = 50,
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Give faces more or less of an attribute, as PNG files and a metadata.csv.

    Strength 1 is as much more as real faces with the attribute differ from those without. The first edit of a run
    measures, on its training faces, what that takes, which needs some minutes; the run folder keeps it
    (steering.json). Edited photos are marked as made from a photo.

    Args:
        run: The run folder of a training or rebalancing, or the folder of a generator (with --data).
        photos: Pictures that are cropped to the face as the training faces are; with `like`, any photos of people.
            Where none is given, faces are generated.
        n: How many faces to generate where no photos are given.
        attr: The attribute.
        strength: How much: numbers with commas between, such as -1,0,1.
        out: The folder for the faces.
        data: The faces that the generator learnt from, where the run folder does not name them.
        like: The folder of a run, or celeba: find the faces, turn them upright and crop them like its training faces,
            as augface align does.
        steps: Of the tuning to each photo.
        seed: Of the generated faces and of the measuring.
        dry_run: Say what would be done, and stop.
    """
    strengths = _numbers(strength)
    if n < 1:
        raise UsageError(f"-n takes a number of faces from 1 up, not {n}.")
    if not 0 <= steps <= 10_000:
        raise UsageError(f"--steps is from 0 to 10,000, not {steps}.")
    check_output(out)

    from dataclasses import replace

    import numpy as np

    from augface.data.dataset import concatenate
    from augface.generators import load_generator
    from augface.steering.calibrated import calibrate_run
    from augface.steering.output import write_steered
    from augface.steering.photos import load_photos

    generator = load_generator(run)
    size = generator.sample(1).size
    faces = load_photos(photos, size, like=like) if photos else generator.sample(n, seed=seed)
    if generator.labels is not None and len(generator.labels.columns):
        attr = spelled("attribute", attr, generator.labels.columns)
    listed = ", ".join(f"{one:g}" for one in strengths)
    say(f"Edit {attr} of {len(faces):,} {'photos' if photos else 'generated faces'} by {listed}.")
    generator.codes(faces, steps=0)  # what is no face is refused before any work
    if dry_run:
        return
    with when_interrupted(f"nothing was written to {shown(out)}."):
        calibrate_run(generator, run, data=data, size=size, seed=seed)
        codes = generator.codes(faces, steps=steps)
        parts: list[FaceDataset] = []
        notes: list[dict[str, str | float]] = []
        for one in strengths:
            part = generator.render(generator.edit(codes, {attr: one}))
            names = [f"{Path(name).stem}-{run_name(attr, f'{one:g}')}.png" for name in map(str, faces.names)]
            parts.append(replace(part, names=np.array(names)))
            notes += [{"generator": generator.name, "attribute": attr, "strength": one, "seed": seed}] * len(part)
        edited = concatenate(parts, spec=generator.name)
        table = write_steered(out, edited, notes, of_photo=[bool(photos)] * len(edited))
    print_paths({"faces": out, "labels": table})


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(word) for word in split_names([text])]
    except ValueError:
        numbers = []
    if not numbers or not all(-10 <= number <= 10 for number in numbers) or len(set(numbers)) < len(numbers):
        raise UsageError(
            f"--strength takes different numbers from -10 to 10 with commas between, such as -1,0,1, not {text!r}."
        )
    return numbers
