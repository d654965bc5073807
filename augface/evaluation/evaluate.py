"""`evaluate`: measure one set of synthetic faces against real ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from augface.data.conversion import hold_no_picture
from augface.data.dataset import FaceDataset, detail
from augface.data.sources import crop_difference
from augface.data.splits import equal_faces, in_content_order
from augface.downstream.settings import DownstreamSettings, Mode
from augface.errors import AugfaceError, DataError, UnknownNameError
from augface.evaluation.advice import advise
from augface.evaluation.inputs import Faces, Opened, held_out, open_faces
from augface.evaluation.provenance import describe_data, environment, short_name
from augface.evaluation.verdict import decide
from augface.evaluators import EVALUATORS
from augface.evaluators.base import Context, Findings
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.generators.base import Generator
from augface.results import Artifact, Evaluation, Section, Skipped
from augface.results.artifacts import image_grid
from augface.seeds import random_generator

log = logging.getLogger("augface")

PICTURES_LOOKED_AT = 256
WARNED_SIZE = 1.1
"""Ratio of the sides' typical sizes from which on a warning is due."""
SAMPLES = Section(
    key="samples",
    title="Samples",
    meaning="Look for yourself: drawn at random, none picked for its looks. A synthetic face that looks just like its "
    "nearest real neighbour may be a copy.",
)


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
    downstream: Mode = "frozen",
    network: str = "small",
    external_test: FaceDataset | None = None,
    allow_identity_overlap: bool = False,
    generator: Generator | None = None,
    references: Sequence[Faces] = (),
) -> Evaluation:
    """Measure synthetic faces against real ones.

    Args:
        real: the real faces. Where they have splits, the train split is what the generator learnt from, and the valid
            split is what the synthetic faces are compared with; else all of them are held-out faces. See `open_faces`.
        synthetic: the synthetic faces.
        train: the faces that the generator learnt from, where `real` does not hold them.
        attr: the attribute that the synthetic faces are to help with: asks the downstream question, which needs labels
            on both sides and splits in `real`.
        by: attributes whose combinations are measured too; those in `attr` where not given.
        evaluators: `all` (but those that run on request, as `inspection` does), or the names of those to run.
        spaces: the feature spaces to measure in; where not given, the default one and, where its weights are here or
            can be downloaded, Inception's, which FID and KID need.
        size: pixels that all sides are brought to; see `open_faces`.
        seed: the seed of all random draws.
        real_images: whether pictures of real faces may be shown.
        run_dir: gets what is of use later, such as a `detector/`; nothing is kept where not given.
        downstream: how the downstream classifiers are trained: a linear head on features (`frozen`), or a network on
            pixels from random weights (`full`); `off` leaves the question open.
        network: for `full`: `small`, or the name of a timm model.
        external_test: labelled real faces of another source, on which the downstream classifiers are scored too.
        allow_identity_overlap: whether the downstream question may be asked although splits share people.
        generator: what drew the synthetic faces, where they are given and not its folder.
        references: faces of generators that learnt from other people, beside which membership is judged.

    Raises:
        AugfaceError: one side cannot be read, a name is unknown, or the weights of a space that was asked for are
            missing.

    Example::

        evaluation = augface.evaluate("real", "synthetic", evaluators=["prdc"], spaces=["pixels"])
        print(evaluation.verdict, evaluation.measurements[:3])
    """
    names = _evaluator_names(evaluators)
    chosen, missing = choose_spaces(spaces)
    opened = open_sides(real, synthetic, train, size=size, seed=seed)
    real_faces, synthetic_faces = opened.real, opened.synthetic
    learnt_from = real_faces.train if opened.train is None else opened.train
    targets = tuple(real_faces.attribute_name(name) for name in ((attr,) if isinstance(attr, str) else attr or ()))
    groups = tuple(real_faces.attribute_name(name) for name in by)
    for target in (*targets, *groups):
        if synthetic_faces.attribute_name(target) != target:
            raise UnknownNameError("attribute of the synthetic faces", target, synthetic_faces.attributes.columns)
    context = Context(
        reference=held_out(real_faces),
        samples=synthetic_faces,
        train=learnt_from,
        valid=real_faces.valid,
        test=real_faces.test,
        accepted=synthetic_faces if targets else None,
        targets=targets,
        by=groups or targets,
        spaces=chosen,
        missing_spaces=missing,
        generator=_of_size(generator or opened.generator, synthetic_faces),
        references=tuple(open_sides(real, each, size=size, seed=seed).synthetic for each in references),
        seed=seed,
        show_real=real_images,
        folder=None if run_dir is None else Path(run_dir),
        downstream=DownstreamSettings(
            mode=downstream,
            network=network,
            external_test="" if external_test is None else external_test.source.spec,
            allow_identity_overlap=allow_identity_overlap,
        ),
        external_test=None if external_test is None else in_content_order(external_test),
    )
    warnings = side_warnings(context)
    for warning in warnings:
        log.warning(warning)
    findings, sections = run_evaluators(context, names)
    verdict = decide(findings.measurements, findings.skipped)
    return Evaluation(
        verdict=verdict,
        advice=advise(findings.measurements, verdict),
        measurements=findings.measurements,
        sections=[SAMPLES, *sections],
        skipped=findings.skipped,
        artifacts=[*sample_grids(context), *findings.artifacts],
        provenance={
            "job": "evaluate",
            "title": f"{short_name(synthetic_faces.source.spec)} against {short_name(real_faces.source.spec)}",
            "warnings": warnings,
            "real": describe_data(real_faces),
            "synthetic": describe_data(synthetic_faces),
            "train": describe_data(learnt_from) if learnt_from is not None else None,
            "seed": seed,
            "evaluators": names,
            "spaces": list(chosen),
            **environment(),
        },
    )


def open_sides(
    real: Faces, synthetic: Faces, train: Faces | None = None, *, size: int | None = None, seed: int = 0
) -> Opened:
    """What `open_faces` gives, checked to be pictures, each side in the order that follows from its pixels.

    Raises:
        AugfaceError: one side cannot be read, or holds no pictures.
    """
    opened = open_faces(real, synthetic, train, size=size, seed=seed)
    for side in opened[:3]:
        _check_pictures(side)
    return Opened(
        in_content_order(opened.real),
        in_content_order(opened.synthetic),
        None if opened.train is None else in_content_order(opened.train),
        opened.generator,
    )


def _of_size(generator: Generator | None, faces: FaceDataset) -> Generator | None:
    """The generator, where its faces are of the size that all sides were brought to."""
    return generator if generator is not None and generator.sample(1).size == faces.size else None


def _evaluator_names(evaluators: str | Sequence[str]) -> list[str]:
    """The evaluators to run; those that are named must be there."""
    if evaluators == "all":
        return list(EVALUATORS)
    names = [evaluators] if isinstance(evaluators, str) else list(evaluators)
    for name in names:
        if name not in EVALUATORS:
            raise UnknownNameError(EVALUATORS.kind, name, EVALUATORS)
        EVALUATORS.get(name)
    return names


def choose_spaces(spaces: Sequence[str] | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """The feature spaces to measure in; where none were named also why Inception's is not among them, if it is not.

    Returns:
        The names of the spaces; those that are missing with the reasons.

    Raises:
        UnknownNameError: no such space.
        DataError: the weights of a space that was asked for are missing.
    """
    if spaces is not None:
        for name in spaces:
            create_feature_space(name)
        return tuple(dict.fromkeys(spaces)), {}
    try:
        create_feature_space("inception")
    except AugfaceError as error:  # no network, or no room for a download
        return (DEFAULT_SPACE,), {"inception": str(error)}
    return (DEFAULT_SPACE, "inception"), {}


def _check_pictures(faces: FaceDataset | None) -> None:
    """Refuse sides that are no pictures: black ones measure as perfect.

    Raises:
        DataError: nothing but 0 and 1 in any pixel of a sample.
    """
    if faces is None or not len(faces):
        return
    sample = faces.images[np.unique(np.linspace(0, len(faces) - 1, PICTURES_LOOKED_AT).astype(np.int64))]
    if hold_no_picture(sample):
        raise DataError(
            f"The images of {faces.source.spec} hold only 0 and 1, so they are black. Were they floats from 0 to 1 "
            "that became whole numbers? Give the floats, or multiply by 255 first."
        )


def side_warnings(context: Context) -> list[str]:
    """What is to be said of the two sides before anything is measured: where they differ by how they were shown."""
    return [*size_warnings(context), *_crop_warnings(context), *_equal_faces_warnings(context)]


def size_warnings(context: Context) -> list[str]:
    """What is to be said where one side's files are larger than the other's: a measure may see only that."""
    real, fake = context.reference.originals, context.samples.originals
    if not len(context.reference) or not len(context.samples):
        return []
    if real is None or fake is None:
        details = detail(context.reference), detail(context.samples)
        if max(details) < WARNED_SIZE * min(details):
            return []
        return [
            f"Real faces have {details[0]} pixels a side and synthetic ones {details[1]}; the smaller are enlarged. "
            f"Distances see that difference too; bring both to one size (size={min(details)}) to leave it out."
        ]
    sizes = real.typical_size, fake.typical_size
    if max(max(a, b) / min(a, b) for a, b in zip(*sizes, strict=True)) < WARNED_SIZE:
        return []
    (width, height), (fake_width, fake_height) = sizes
    smallest = min(width, height, fake_width, fake_height)
    return [
        f"Real files are typically {width} x {height} pixels and synthetic ones {fake_width} x {fake_height}. "
        f"Distances see that difference too; bring both to one size (size={smallest}) to leave it out."
    ]


def _crop_warnings(context: Context) -> list[str]:
    difference = crop_difference(context.reference, context.samples)
    return [difference] if difference and context.reference.originals is None else []


def _equal_faces_warnings(context: Context) -> list[str]:
    count = equal_faces(context.samples, context.reference)
    if not count:
        return []
    return [
        f"{count:,} of {len(context.samples):,} synthetic faces equal a held-out real one in every pixel. Were the "
        "same images given for both sides? Measured against themselves, faces look better than they are."
    ]


def run_evaluators(context: Context, names: Sequence[str]) -> tuple[Findings, list[Section]]:
    """Run the named evaluators, and skip those whose needs are not met, with the reason.

    An evaluator of another package that cannot be loaded or fails is skipped too, so that it costs no one's work.

    Returns:
        What all of them found, and the sections of those that are known, in the same order.
    """
    findings, sections = Findings(), []
    entries = EVALUATORS.entries()
    for name in names:
        try:
            evaluator = EVALUATORS.get(name)
            sections.append(evaluator.section)
            if reason := evaluator.unmet_needs(context):
                findings.skipped.append(evaluator.skip(reason))
            else:
                findings.add(evaluator().evaluate(context))
        except Exception as error:
            if entries[name].built_in:
                raise
            log.warning(f"The evaluator {name} ({entries[name].summary}) failed and is skipped: {error}", exc_info=True)
            findings.skipped.append(Skipped(evaluator=name, reason=f"failed: {type(error).__name__}: {error}."))
    return findings, sections


def _glance(context: Context, columns: int = 6, rows: int = 2) -> Artifact:
    """A first look: a dozen random synthetic faces, above a dozen real ones where they may be shown."""
    random = random_generator(context.seed, "glance")
    sides = {"synthetic": context.samples, **({"real": context.reference} if context.show_real else {})}
    shown, labels = [], []
    for name, faces in sides.items():
        chosen = random.choice(len(faces), min(columns * rows, len(faces)), replace=False)
        for start in range(0, len(chosen), columns):
            shown.append(faces.images[chosen[start : start + columns]])
            labels.append(name)
    return image_grid(
        shown,
        name="glance",
        title="At random",
        caption=" and ".join(f"{name} faces" for name in sides).capitalize() + ", none picked for its looks",
        section=SAMPLES.key,
        row_labels=labels,
        shows_real_people=context.show_real and context.reference.shows_people,
    )


def sample_grids(context: Context, columns: int = 12, rows: int = 4) -> list[Artifact]:
    """Random faces, uncurated: synthetic ones, and held-out real ones beside them where they may be shown."""
    random = random_generator(context.seed, "sample grids")
    grids: list[Artifact] = [_glance(context)]
    for faces, name, title, real in (
        (context.samples, "samples-synthetic", "Synthetic faces", False),
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
                + (", as they came out of the generator, before any filter." if not real else "."),
                section=SAMPLES.key,
                columns=min(columns, count),
                shows_real_people=real and faces.shows_people,
            )
        )
    return grids
