"""`augface vary`: faces in the context of a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from augface.cli.console import check_output, parse_where, print_paths, say, shown, when_interrupted
from augface.errors import UsageError


def vary(
    generator_dir: Path,
    photo: Path,
    /,
    *,
    n: Annotated[int, Parameter(name="-n")] = 16,
    out: Path,
    distance: float | None = None,
    same_person: bool = False,
    other_person: bool = False,
    where: list[str] | None = None,
    like: str | None = None,
    steps: int = 50,
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Generate variations of a photo, as PNG files and a metadata.csv. They are marked as made from a photo.

    The generator finds the face in its own terms and is tuned to the photo. A photo that is no face such as it learnt
    from is refused. Use it on photos of people who agree to it.

    Args:
        generator_dir: The folder of a trained generator, or the run folder that holds one.
        photo: A picture that is cropped to the face as the training faces are; with `like`, any photo of somebody.
        n: How many variations.
        out: The folder for the faces.
        distance: How far from the photo, from 0 (the same face) to 1 (any face with its attributes). Where not given it
            is 0.4 or, with one of the next two, the one at which nearly all variations do what they say.
        same_person: Faces that a face recognition network takes for the person of the photo (augface[identity]), as far
            from it as that allows.
        other_person: Faces that it takes for somebody else, as near as that allows: a stand-in for the person.
        where: Attribute values that all faces are to have, such as Smiling=1. Repeat it, or put commas between.
        like: The folder of a run, or celeba: find the face, turn it upright and crop it like its training faces, as
            augface align does.
        steps: Of the tuning to the photo: more make the faces more like it and less free to change.
        seed: The same seed gives the same faces.
        dry_run: Say what would be done, and stop.
    """
    if same_person and other_person:
        raise UsageError("--same-person and --other-person exclude each other.")
    if n < 1:
        raise UsageError(f"-n takes a number of faces from 1 up, not {n}.")
    if distance is not None and not 0 <= distance <= 1:
        raise UsageError(f"--distance is from 0 (the same face) to 1 (any face), not {distance:g}.")
    if not 0 <= steps <= 10_000:
        raise UsageError(f"--steps is from 0 to 10,000, not {steps}.")
    wanted = parse_where(where or [])
    check_output(out)

    from augface.generators import load_generator
    from augface.steering.output import write_steered
    from augface.steering.photos import load_photos
    from augface.steering.variation import DISTANCE, Person
    from augface.steering.variation import vary as vary_photo

    generator = load_generator(generator_dir)
    face = load_photos([photo], generator.sample(1).size, like=like)
    person: Person = "same" if same_person else "other" if other_person else "any"
    if distance is None and person == "any":
        distance = DISTANCE
    far = f"of {'the same' if same_person else 'another'} person" if distance is None else f"at distance {distance:g}"
    say(f"Generate {n:,} variations of {shown(photo)} {far}, {face.size} x {face.size} pixels.")
    generator.codes(face, steps=0).vary(DISTANCE, 1)  # what cannot be varied is refused before the tuning
    if dry_run:
        return
    with when_interrupted(f"nothing was written to {shown(out)}."):
        codes = generator.codes(face, steps=steps)
        faces = vary_photo(generator, face, codes, n, distance=distance, person=person, where=wanted, seed=seed)
        about = {"generator": generator.name, "made_from": "a photo", "seed": seed}
        factors = [] if faces.factors is None else faces.factors.to_dict("records")
        notes = [{**about, **{str(name): value for name, value in row.items()}} for row in factors]
        table = write_steered(out, faces, notes, of_photo=[True] * len(faces))
    print_paths({"faces": out, "labels": table})
