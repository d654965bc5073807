"""`inspect`: what a generator's networks know, as results with a page of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from augface.data import load_data
from augface.data.dataset import FaceDataset
from augface.errors import UsageError, require, spelled
from augface.evaluation.provenance import describe_data, environment, short_name
from augface.generators import load_generator
from augface.generators.base import Generator
from augface.inspection.inspected import Inspected, Part
from augface.inspection.judge import Judge
from augface.inspection.sections.attention import look_at_attention
from augface.inspection.sections.directions import look_at_directions
from augface.inspection.sections.layers import look_at_layers
from augface.inspection.sections.units import UNITS, look_at_units
from augface.inspection.sections.walks import look_at_walks
from augface.results import Evaluation, Skipped, Verdict
from augface.runs import data_of_run
from augface.text import counted

LOOKS = (look_at_units, look_at_layers, look_at_directions, look_at_walks, look_at_attention)
"""All sections, in the order in which they are read."""


def inspect(
    run: str | Path | Generator,
    *,
    data: str | Path | FaceDataset | None = None,
    attr: str | Sequence[str] = (),
    seed: int = 0,
) -> Evaluation:
    """Look inside the networks of a trained generator.

    Which units are for which attribute, by turning each off and on; which layer decides an attribute; what the
    strongest directions of the noise change; walks between faces; and where the discriminator looks. A judge, a
    classifier that the generator never saw, says what changes; it learns from the training faces.

    Args:
        run: the folder of a training or rebalancing, or of a generator, or a generator.
        data: the faces that it learnt from, or where they are; where not given, what the run folder says.
        attr: attributes to look at closely; where not given, the four that the judge reads best.
        seed: the same seed gives the same numbers, on as many threads.

    Returns:
        Results whose `to_html` is the page; nothing in them decides whether to use the faces.

    Raises:
        UsageError: the generator has no networks whose layers augface knows, or `data` is missing.
        UnknownNameError: an attribute that the generator never saw.
        DataError: no generator there, or the training faces cannot be read.

    Example::

        evaluation = augface.inspect("runs/glasses", attr=["Eyeglasses"])
        print(evaluation.select("inspect", "units_found"))
        evaluation.to_html("inside.html")
    """
    return inspect_opened(*open_inspected(run, data, attr), seed=seed)


def inspect_opened(
    generator: Generator, faces: FaceDataset, wanted: Sequence[str] = (), *, seed: int = 0
) -> Evaluation:
    """See `inspect`, of what `open_inspected` gives."""
    parts = look_inside(generator, faces, wanted, seed=seed)
    return Evaluation(
        verdict=_verdict(generator, parts),
        measurements=[one for part in parts for one in part.measurements],
        sections=[part.section for part in parts],
        skipped=[one for part in parts for one in part.skipped],
        artifacts=[one for part in parts for one in part.artifacts],
        provenance={
            "job": "inspect",
            "title": f"inside {generator.name}, trained on {short_name(faces.source.spec)}",
            "generator": {"name": generator.name, "fingerprint": generator.fingerprint},
            "data": describe_data(faces),
            "seed": seed,
            # no time: the same inspection gives the same bytes
            **{key: value for key, value in environment().items() if key != "created"},
        },
    )


def open_inspected(
    run: str | Path | Generator, data: str | Path | FaceDataset | None, attr: str | Sequence[str]
) -> tuple[Generator, FaceDataset, list[str]]:
    """The generator, the faces that it learnt from, and the attributes to look at; see `inspect`."""
    generator = run if isinstance(run, Generator) else load_generator(run)
    generator.networks()  # fails now where there are none
    known = list(map(str, require(generator.labels).columns))
    wanted = [spelled("attribute of the training faces", name, known) for name in _listed(attr)]
    if data is None:
        begun = None if isinstance(run, Generator) else data_of_run(Path(run))
        if begun is None:
            raise UsageError(
                f"{'A generator' if isinstance(run, Generator) else run} does not say what it learnt from, and the "
                "judge learns from those faces: give them as data (--data), or the run folder."
            )
        data = begun[0]
    faces = data if isinstance(data, FaceDataset) else load_data(data, size=generator.sample(1).size)
    faces = generator.prepared(faces.train if faces.train is not None else faces)
    if not set(known) <= set(map(str, faces.attributes.columns)):
        raise UsageError(f"{faces.source.spec} has other attributes than the faces that the generator learnt from.")
    return generator, faces, wanted


def _listed(attr: str | Sequence[str]) -> list[str]:
    return list(dict.fromkeys([attr] if isinstance(attr, str) else attr))


def look_inside(generator: Generator, data: FaceDataset, wanted: Sequence[str] = (), *, seed: int = 0) -> list[Part]:
    """All parts of an inspection.

    Args:
        generator: one with networks.
        data: faces that it learnt from.
        wanted: attributes to look at; what the judge cannot read is left out, and said.
        seed: of all random draws.
    """
    judge = Judge.train(data, seed=seed) if data.attributes.notna().to_numpy().any() else None
    readable = [] if judge is None else judge.readout.attributes
    inspected = Inspected(generator, data, judge, tuple(name for name in wanted if name in readable), seed)
    parts = [look(inspected) for look in LOOKS]
    if judge is not None:
        parts[0].skipped += [
            Skipped(evaluator=UNITS.key, reason=f"{name}: {judge.unread[name]}.")
            for name in wanted
            if name in judge.unread
        ]
    return parts


def _verdict(generator: Generator, parts: Sequence[Part]) -> Verdict:
    """What was found, in a sentence and a few more."""
    every = [one for part in parts for one in part.measurements]
    together = [
        f"{one.attribute} by {require(one.value):.2f} ({require(require(one.baseline).value):.2f} by others)"
        for one in every
        if one.name == "units_effect"
    ]
    layers = [f"{one.attribute} at {one.found['layer']}" for one in every if one.name == "deciding_layer"]
    units = sum(int(require(one.value)) for one in every if one.name == "units_found")
    sentence = (
        f"{counted(units, 'unit')} of {generator.name} {'stands' if units == 1 else 'stand'} out for "
        f"{counted(len(together), 'attribute')}."
        if together
        else f"What the noise of {generator.name} changes."
    )
    reason = [
        f"The ten surest units together change {', '.join(together)}, where 1 separates real faces."
        if together
        else "",
        f"Labels act most: {', '.join(layers)}." if layers else "",
        "This says how the generator works, not whether to use its faces.",
    ]
    return Verdict(decision="not assessed", reason=" ".join(filter(None, reason)), sentence=sentence)
