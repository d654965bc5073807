"""`evaluate`: measure one set of made faces against real ones."""

from __future__ import annotations

import logging
import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import augface
from augface.artifacts import image_grid
from augface.data.dataset import FaceDataset
from augface.data.splits import with_default_split
from augface.errors import AugfaceError, UnknownNameError, UsageError
from augface.evaluators import EVALUATORS
from augface.evaluators.base import NEEDS, Context, Downstream, Findings, missing_needs
from augface.faces import Faces, held_out, open_faces
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.results import Artifact, Evaluation, Measurement, Skipped, Verdict
from augface.seeds import random_generator

log = logging.getLogger("augface")

WARNED_SIZE = 1.1
"""Ratio of the sides' typical sizes from which on a warning is due."""


def evaluate(
    real: Faces,
    synthetic: Faces,
    *,
    train: Faces | None = None,
    attr: str | Sequence[str] | None = None,
    by: Sequence[str] = (),
    evaluators: str | Sequence[str] = "all",
    spaces: Sequence[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    real_images: bool = True,
    run_dir: str | Path | None = None,
    downstream: Downstream = "frozen",
    network: str = "small",
    outside: FaceDataset | None = None,
    shared_people: bool = False,
) -> Evaluation:
    """Measure made faces against real ones.

    Args:
        real: the real faces. Where they have splits, the train split is what the generator learnt from, and the valid
            split is what the made faces are held against; else all of them are held-out faces. See `open_faces`.
        synthetic: the made faces.
        train: the faces that the generator learnt from, where `real` does not hold them.
        attr: the attribute that the made faces are to help with: asks the downstream question, which needs labels on
            both sides and splits in `real`.
        by: attributes whose joint groups are measured too; those in `attr` where not given.
        evaluators: `all`, or the names of those to run.
        spaces: the feature spaces to measure in; where not given, the default one and, where its weights are here or
            can be downloaded, Inception's, which FID and KID need.
        size: pixels that all sides are brought to; see `open_faces`.
        seed: of all random draws.
        real_images: whether pictures of real faces may be shown.
        run_dir: gets what is of use later, such as a `detector/`; nothing is kept where not given.
        downstream: how the downstream classifier learns: a linear head on features (`frozen`), or a network on pixels,
            trained from nothing (`full`).
        network: for `full`: `small`, or the name of a timm model.
        outside: labelled real faces of another source, to score the downstream classifier on too.
        shared_people: whether the downstream question may be asked although splits have people in common.

    Raises:
        AugfaceError: one side cannot be read, a name is unknown, or the weights of a space that was asked for are
            missing.
    """
    names = (
        list(EVALUATORS) if evaluators == "all" else [evaluators] if isinstance(evaluators, str) else list(evaluators)
    )
    for name in names:
        if name not in EVALUATORS:
            raise UnknownNameError(EVALUATORS.kind, name, EVALUATORS)
    chosen, not_chosen = choose_spaces(spaces)
    real_faces, fake, given_train = open_faces(real, synthetic, train, size=size, seed=seed)
    learnt_from = real_faces.train if given_train is None else given_train
    targets = (attr,) if isinstance(attr, str) else tuple(attr or ())
    for target in (*targets, *by):
        real_faces.attribute(target)
        fake.attribute(target)
    context = Context(
        reference=held_out(real_faces),
        synthetic=fake,
        train=learnt_from,
        valid=real_faces.valid,
        test=real_faces.test,
        made=fake if targets else None,
        targets=targets,
        by=tuple(by) or targets,
        spaces=chosen,
        seed=seed,
        show_real=real_images,
        folder=None if run_dir is None else Path(run_dir),
        downstream=downstream,
        network=network,
        outside=outside,
        shared_people=shared_people,
    )
    measurements, artifacts, skipped = run_evaluators(context, names)
    return Evaluation(
        verdict=decide(measurements, skipped),
        measurements=measurements,
        skipped=[*(not_chosen if "fidelity" in names else []), *skipped],
        artifacts=[*sample_grids(context), *artifacts],
        provenance={
            "job": "evaluate",
            "title": f"{short_name(fake.source.spec)} against {short_name(real_faces.source.spec)}",
            "warnings": size_warnings(context),
            "real": describe_data(real_faces),
            "synthetic": describe_data(fake),
            "train": describe_data(learnt_from) if learnt_from is not None else None,
            "seed": seed,
            "evaluators": names,
            "spaces": list(chosen),
            **environment(),
        },
    )


def choose_spaces(spaces: Sequence[str] | None = None) -> tuple[tuple[str, ...], list[Skipped]]:
    """The feature spaces to measure in; without a wish also why Inception's is not among them, where it is not.

    Raises:
        UnknownNameError: no such space.
        DataError: the weights of a space that was asked for are missing.
    """
    if spaces is not None:
        for name in spaces:
            create_feature_space(name)
        return tuple(dict.fromkeys(spaces)), []
    try:
        create_feature_space("inception")
    except AugfaceError as error:  # no network, or no room for a download
        return (DEFAULT_SPACE,), [Skipped(evaluator="fidelity", reason=f"FID, KID and Inception score: {error}")]
    return (DEFAULT_SPACE, "inception"), []


def size_warnings(context: Context) -> list[str]:
    """What is to be said where one side's files are larger than the other's: a measure may see only that."""
    real, fake = context.reference.originals, context.synthetic.originals
    if real is None or fake is None or not len(real) or not len(fake):
        return []
    sizes = real.typical_size, fake.typical_size
    if max(max(a, b) / min(a, b) for a, b in zip(*sizes, strict=True)) < WARNED_SIZE:
        return []
    (width, height), (fake_width, fake_height) = sizes
    smallest = min(width, height, fake_width, fake_height)
    return [
        f"Real files are typically {width} x {height} pixels and made ones {fake_width} x {fake_height}. Distances see "
        f"that difference too; bring both to one size (size={smallest}) to leave it out."
    ]


def short_name(spec: str) -> str:
    """A data set's name for titles: what a path ends with."""
    kind, _, rest = spec.rpartition(":")
    return spec if kind == "toy" else Path(rest).name or spec


def run_evaluators(context: Context, names: Sequence[str]) -> tuple[list[Measurement], list[Artifact], list[Skipped]]:
    """Run the named evaluators; those whose needs are not met are skipped with the reason."""
    measurements: list[Measurement] = []
    artifacts: list[Artifact] = []
    skipped: list[Skipped] = []
    for name in names:
        # what the registry tells of a built-in spares the import of one that would not run
        needs = EVALUATORS.entries()[name].capabilities or EVALUATORS.get(name).needs
        if missing := missing_needs(needs, context):
            reason = "needs " + "; ".join(NEEDS[need] for need in missing) + "."
            findings = Findings([], skipped=[Skipped(evaluator=name, reason=reason)])
        else:
            findings = EVALUATORS.get(name)().evaluate(context)
        measurements += findings.measurements
        artifacts += findings.artifacts
        skipped += findings.skipped
    return measurements, artifacts, skipped


def decide(measurements: Sequence[Measurement], skipped: Sequence[Skipped] = ()) -> Verdict:
    """The answer, from the downstream effects and the alarms for memorisation.

    Use: an effect is above 0, none below, and no copies are found. Do not use: an effect is below 0, or copies are
    found. No evidence: neither. Not assessed: the downstream question was not asked. For each attribute two effects
    count: that of the best use of the faces, and, where that does not help, that of adding them all as they are. An
    alarm for memorisation that comes without a copy to show is told, and decides nothing: one run in twenty that copies
    nothing has one.
    """
    alarms = [m for m in measurements if m.evaluator == "memorisation" and m.verdict == "fail"]
    copied = [m for m in alarms if m.value is not None and (m.value if m.low is None else m.low) > 0]
    effects = [m for m in measurements if m.evaluator == "downstream" and m.name in ("effect", "effect_of_all")]
    if copied:
        return Verdict(decision="do not use", reason=_copies(copied))
    if not effects:
        reasons = [item.reason for item in skipped if item.evaluator == "downstream"]
        why = f": it {reasons[0].split(';')[0].rstrip('.')}." if reasons else "."
        return Verdict(decision="not assessed", reason=f"Whether the faces help a classifier was not measured{why}")
    helps = [m for m in effects if m.verdict == "pass"]
    helped = {m.protocol["attribute"] for m in helps}
    failed = [m for m in effects if m.verdict == "fail"]
    harms = [m for m in failed if m.name == "effect" or m.protocol["attribute"] not in helped]
    shown = (harms or helps or effects)[0]
    attribute, rival, ours = (shown.protocol[name] for name in ("attribute", "rival", "ours"))
    assert shown.value is not None
    assert shown.low is not None
    assert shown.high is not None
    digits = max(3, 1 - math.floor(math.log10(max(shown.high - shown.low, 1e-9))))  # two that the interval allows
    value, low, high = (f"{number:+z.{digits}f}" for number in (shown.value, shown.low, shown.high))
    numbers = f"{value} in average precision (95 % interval {low} to {high})"
    against = f"({ours}) than with the best training without them ({rival})"
    if harms:
        return Verdict(
            decision="do not use",
            reason=f"A classifier of {attribute} does worse with the made faces {against}: {numbers}.",
        )
    caveat = "".join(f" {_suspicion(alarm)}" for alarm in alarms[:1])
    if helps:
        if not any(m.evaluator == "memorisation" for m in measurements):
            caveat += " Copying was checked by the copy gate alone."
        worse = [m for m in measurements if m.name == "effect_on_others" and m.protocol.get("harmed")]
        if worse:
            caveat += f" It does worse with {', '.join(worse[0].protocol['harmed'][:3])}."
        return Verdict(
            decision="use",
            reason=f"A classifier of {attribute} does better with the made faces {against}: {numbers}.{caveat}",
        )
    visible = shown.protocol["smallest_visible_effect"]
    return Verdict(
        decision="no evidence",
        reason=(
            f"A classifier of {attribute} is not shown to do better or worse with the made faces {against}: {numbers}. "
            f"An effect of {visible:.{digits}f} would have been seen in 4 of 5 such tests.{caveat}"
        ),
    )


def _copies(alarms: Sequence[Measurement]) -> str:
    """What the alarms for memorisation say: how many made faces equal a training face, and which share repeats one."""
    said = []
    for alarm in alarms:
        assert alarm.value is not None
        if alarm.low is None or alarm.high is None:
            said.append(f"{alarm.value:,.0f} made faces equal one in every pixel")
        else:
            interval = f"95 % interval {alarm.low:.1%} to {alarm.high:.1%}"
            said.append(f"{alarm.value:.1%} of the made faces repeat one ({interval})")
    return f"The generator copies training faces: {', '.join(said[:2])}."


def _suspicion(alarm: Measurement) -> str:
    """What an alarm for memorisation says that has no copy to show."""
    chance = f" (p = {alarm.p_value:.2g})" if alarm.p_value is not None else ""
    return f"Memorisation raised its alarm{chance}, but has no copy to show: look at the most suspicious pairs."


def sample_grids(context: Context, columns: int = 12, rows: int = 4) -> list[Artifact]:
    """Random faces, uncurated: made ones, and held-out real ones beside them where they may be shown."""
    random = random_generator(context.seed, "sample grids")
    grids: list[Artifact] = []
    for faces, name, title, real in (
        (context.synthetic, "samples-made", "Made faces", False),
        (context.reference, "samples-real", "Held-out real faces", True),
    ):
        if real and not context.show_real:
            continue
        count = min(columns * rows, len(faces))
        chosen = faces.images[np.sort(random.choice(len(faces), count, replace=False))]
        grids.append(
            image_grid(
                chosen,
                name=name,
                title=f"{title}, random and uncurated",
                caption=f"{count} {title.lower()}, chosen at random"
                + (", as they came out of the generator, before any gate." if not real else "."),
                section="samples",
                columns=min(columns, count),
                shows_real_people=real and faces.shows_people,
            )
        )
    return grids


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


def environment() -> dict[str, Any]:
    """When and with what results were made."""
    packages = ("torch", "numpy", "scikit-learn", "timm", "pandas")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "augface": augface.__version__,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def with_splits(data: FaceDataset, seed: int) -> FaceDataset:
    """The data with train, valid and test; those without splits get a deterministic one, which is said.

    Raises:
        UsageError: the data have splits, but lack one of the three.
    """
    if data.split is None:
        log.info(
            "%s has no splits; train, valid and test are drawn by seed %d, keeping people together.",
            data.source.spec,
            seed,
        )
        return with_default_split(data, seed)
    missing = [name for name in ("train", "valid", "test") if not (data.split == name).any()]
    if missing:
        raise UsageError(f"{data.source.spec} has no {' and no '.join(missing)} split; give it one, or none at all.")
    return data
