"""Planning a study: faces drawn and encoded alike, masks and distorted faces made, what it can see simulated."""

from __future__ import annotations

import json
import logging
import re
import secrets
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import augface
from augface.arrays import Pixels
from augface.data.crops import Crop
from augface.errors import DataError, UsageError
from augface.files import atomic_path, new_directory
from augface.metrics.staircase import EXPOSURES
from augface.seeds import random_generator
from augface.study import images
from augface.study.design import TASKS, Kind, Picture, Plan, Schedule, Task
from augface.study.faces import LARGEST, Drawn, Source, draw, open_source
from augface.study.folder import IMAGES, KEY, MASKS, PLAN, TEXTS, Study, english_texts, new_key
from augface.study.power import visible

MINIMUM = 12
"""Faces of each kind, below which nothing can be said of others."""
RESERVE, SMALL_RESERVE = 8, 4
"""Real faces that are not under test: for practice, and to make distorted faces of."""
PLENTY = 40
"""Real faces from which on the larger reserve is kept."""
MASK_COUNT = 8
HOPELESS = 0.05
"""Equivalence that is shown so seldom is not worth waiting for."""
PATIENCE = 20
"""Minutes that most people look at faces with care."""
LONG = " That is long: fewer --tasks, or fewer --trials, keep raters awake."
WIDTH, INDENT = 92, 12
"""Columns of the description, and of the names in it."""
MARGINS = (0.01, 0.25)
SIZES = (16, 512)

log = logging.getLogger("augface")


@dataclass(frozen=True)
class Settings:
    """What a user decides.

    Attributes:
        tasks: what is asked.
        raters: how many people are expected.
        faces: of each generator under test, at most.
        trials: of each generator that a rater judges in a task.
        size: height and width of the pictures; that of the smallest side where None.
        crop: which part of each picture is the face; each data set's own way where None.
        margin: see `Plan.margin`.
        title: what raters see as the name of the study.
        contact: whom raters can ask.
        seed: of all that is drawn.
    """

    tasks: tuple[Task, ...] = TASKS
    raters: int = 30
    faces: int = 100
    trials: int = 20
    size: int | None = None
    crop: Crop | None = None
    margin: float = 0.05
    title: str = "Real or generated?"
    contact: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("raters", self.raters, 2, 10_000),
            ("faces", self.faces, MINIMUM, 2_000),
            ("trials", self.trials, 8, 200),
        ):
            if not least <= value <= most:
                raise UsageError(f"--{name} is from {least} to {most:,}, not {value:,}.")
        if self.size is not None and not SIZES[0] <= self.size <= SIZES[1]:
            raise UsageError(f"--size is from {SIZES[0]} to {SIZES[1]} pixels, not {self.size}.")
        if not MARGINS[0] <= self.margin <= MARGINS[1]:
            raise UsageError(f"--margin is from {MARGINS[0]} to {MARGINS[1]}, not {self.margin}.")
        if not self.tasks:
            raise UsageError("A study needs a task. Name some by --tasks: " + ", ".join(TASKS) + ".")


@dataclass(frozen=True)
class Planned:
    """A study that is not written yet."""

    plan: Plan
    pictures: tuple[Pixels, ...]
    masks: tuple[Pixels, ...]


def plan_study(
    real: str, generated: Sequence[str], settings: Settings | None = None, *, command: Sequence[str] = ()
) -> Planned:
    """Draw the faces, fix the design, and simulate what it can see.

    Args:
        real: the real faces; see `open_source`.
        generated: the faces of each generator.
        settings: what else is decided.
        command: the command that asked for it.

    Raises:
        UsageError: no generator, or settings that no study can have.
        DataError: faces that cannot be read, too few of them, or the same ones on both sides.
    """
    settings = settings or Settings()
    if not generated:
        raise UsageError("A study needs generated faces: name their folder after that of the real ones.")
    wanted = settings.faces * len(generated) + RESERVE
    sources = [open_source(real, real=True, most=wanted, crop=settings.crop, seed=settings.seed)]
    sources += [
        open_source(spec, real=False, most=settings.faces + MINIMUM, crop=settings.crop, seed=settings.seed)
        for spec in generated
    ]
    names = _names(sources)
    size = settings.size or min(LARGEST, *(source.side for source in sources))
    if size < SIZES[0]:
        raise DataError(f"The pictures of one side are only {size} pixels wide: too few to see anything.")
    warnings = _warnings(sources, names, size)
    for warning in warnings:
        log.warning("%s", warning)
    seen: set[bytes] = set()
    drawn = [
        draw(source, wanted if number == 0 else settings.faces, size, seen, settings.seed)
        for number, source in enumerate(sources)
    ]
    for source, one in zip(sources, drawn, strict=True):
        for reason, count in one.left_out.items():
            log.warning("%s: %d pictures are passed over: %s.", source.spec, count, reason)
    reserve = RESERVE if len(drawn[0].faces) >= PLENTY else SMALL_RESERVE
    _enough(sources, drawn, reserve)
    faces = min(len(drawn[0].faces) - reserve, *(len(one.faces) for one in drawn[1:]))
    real_faces = min(len(drawn[0].faces) - reserve, faces * len(generated))
    trials = min(settings.trials, faces, real_faces // len(generated))
    if trials < settings.trials:
        log.warning("There are faces for %d trials of each kind only, not for %d.", trials, settings.trials)

    pixels, pictures = _pictures(drawn, faces, real_faces, reserve)
    random = random_generator(settings.seed, "masks")
    visible_faces = np.stack(pixels[: len(pictures) - reserve])
    plan = Plan(
        id=secrets.token_hex(8),
        title=settings.title,
        contact=settings.contact,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        augface=augface.__version__,
        command=list(command),
        seed=settings.seed,
        tasks=tuple(task for task in TASKS if task in settings.tasks),
        raters=settings.raters,
        faces=faces,
        trials=trials,
        size=size,
        margin=settings.margin,
        kinds=tuple(
            Kind(name=name, spec=source.spec, content_hash=one.content_hash, people=source.people)
            for name, source, one in zip(names, sources, drawn, strict=True)
        ),
        pictures=tuple(pictures),
        masks=MASK_COUNT,
        terms="celeba" if any(source.celeba for source in sources) else "",
        warnings=tuple(warnings),
    )
    power = {
        task: {name: value for name, value in found.items() if np.isfinite(value)}
        for task, found in visible(plan, Schedule(plan)).items()
    }
    masks = tuple(images.mask(visible_faces, random) for _ in range(MASK_COUNT))
    return Planned(plan.model_copy(update={"power": power}), tuple(pixels), masks)


def write_study(planned: Planned, folder: Path) -> Study:
    """Write a planned study: all of it, or nothing.

    Raises:
        OutputError: the folder holds something, or cannot be written.
    """
    new_directory(folder)
    with atomic_path(folder) as temporary:
        for name, pictures, digits in ((IMAGES, planned.pictures, 5), (MASKS, planned.masks, 2)):
            (temporary / name).mkdir(parents=True)
            for number, content in enumerate(images.encode_alike(pictures)):
                (temporary / name / f"{number:0{digits}d}.jpg").write_bytes(content)
        (temporary / TEXTS).write_text(_json(english_texts()), encoding="utf-8")
        (temporary / KEY).touch(mode=0o600)
        (temporary / KEY).write_text(new_key() + "\n", encoding="ascii")
        (temporary / PLAN).write_text(planned.plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Study.open(folder)


def _json(texts: object) -> str:
    return json.dumps(texts, indent=1, ensure_ascii=False) + "\n"


def _names(sources: Sequence[Source]) -> list[str]:
    """`real`, and for each generator the name of its folder, numbered where several have the same."""
    names = ["real"]
    for source in sources[1:]:
        name = re.sub(r"[^\w .-]+", "_", source.name).strip()[:40] or "generated"
        others = sum(one == name or one.startswith(f"{name} ") for one in names)
        names.append(name if name not in names else f"{name} {others + 1}")
    return names


def _warnings(sources: Sequence[Source], names: Sequence[str], size: int) -> list[str]:
    """What a reader of the results should know, and the user at once."""
    warnings = []
    pictures = {name: source.picture for name, source in zip(names, sources, strict=True)}
    if len(set(pictures.values())) > 1:
        sizes = ", ".join(f"{name} {width} x {height}" for name, (width, height) in pictures.items())
        warnings.append(
            f"The pictures are of different sizes ({sizes}), which alone would give them away: all are brought to "
            f"{size} x {size} pixels. Look whether faces are framed alike, or choose --crop."
        )
    enlarged = [name for name, source in zip(names, sources, strict=True) if source.side < size]
    if enlarged:
        warnings.append(f"Pictures of {', '.join(enlarged)} are enlarged to {size} pixels, which can be seen.")
    if sources[0].celeba:
        warnings.append(
            "The real faces are, or look like, CelebA's: for non-commercial research only, and not to be passed on."
        )
    return warnings


def _enough(sources: Sequence[Source], drawn: Sequence[Drawn], reserve: int) -> None:
    for number, (source, one) in enumerate(zip(sources, drawn, strict=True)):
        least = MINIMUM + (reserve if number == 0 else 0)
        if len(one.faces) < least:
            repeated = one.left_out.get("the same picture again", 0)
            why = f" ({repeated} more are the same as others, or as faces of another side)" if repeated else ""
            raise DataError(
                f"{source.spec} has {len(one.faces)} usable faces{why}; a study needs {least} or more there."
            )


def _pictures(drawn: Sequence[Drawn], faces: int, real_faces: int, reserve: int) -> tuple[list[Pixels], list[Picture]]:
    """All pictures with their places in the plan: those under test, the reserve, and the distorted faces made of it."""
    pixels: list[Pixels] = []
    pictures: list[Picture] = []
    for kind, one in enumerate(drawn):
        count = real_faces if kind == 0 else faces
        pixels += list(one.faces[:count])
        pictures += [Picture(kind=kind, role="test", source=name) for name in one.names[:count]]
    kept = slice(real_faces, real_faces + reserve)
    pixels += list(drawn[0].faces[kept])
    pictures += [Picture(kind=0, role="reserve", source=name) for name in drawn[0].names[kept]]
    pixels += [images.distorted(face) for face in drawn[0].faces[kept]]
    pictures += [Picture(kind=0, role="distorted", source=name) for name in drawn[0].names[kept]]
    return pixels, pictures


def describe(plan: Plan, schedule: Schedule) -> list[str]:
    """What was planned, how long a rater needs, and what difference the study can see: lines of plain words."""
    minutes = max(1, round(schedule.seconds() / 60))
    real = sum(one.kind == 0 and one.role == "test" for one in plan.pictures)
    per_face = max(1, round(plan.raters * plan.trials / plan.faces))
    faces = (
        f"{real} real ones, and {plan.faces} of each generator ({', '.join(plan.generators)}); {plan.size} x "
        f"{plan.size} pixels, all encoded alike."
    )
    lines = [
        *_entry("Faces", faces),
        *_entry(
            "Each rater", f"{len(schedule.trials(0))} questions, about {minutes} minutes." + LONG * (minutes > PATIENCE)
        ),
        *_entry("Together", f"{plan.raters} raters, who judge each generated face about {per_face} times in a task."),
        "",
        "What such a study sees in 4 of 5 cases, found by simulating it:",
    ]
    for task in plan.tasks:
        lines += _entry(f"  {task}", _seen(plan, task))
    if plan.deciding is None:
        lines.append("These ratings cannot say whether people can distinguish the faces: no task asks that.")
    return lines


def _entry(name: str, text: str) -> list[str]:
    """A name, and beside it a text of as many lines as it takes."""
    lines = textwrap.wrap(text, WIDTH - INDENT)
    return [f"{label:{INDENT}}{line}" for label, line in zip([name, *[""] * len(lines)], lines, strict=False)]


def _seen(plan: Plan, task: Task) -> str:
    power = plan.power.get(task, {})
    if task == "flash":
        factor = power.get("factor", float("nan"))
        return (
            f"The exposure that people need to be right in 3 of 4 answers, up to {EXPOSURES[-1]:,.0f} ms, to within "
            f"a factor of {factor:.2g}."
        )
    if task == "rating":
        points = power.get("points")
        if points is None:
            return "No difference in ratings: that takes more raters or faces."
        return f"A difference of {points:.2f} points of 5 between generated and real faces."
    share = power.get("right" if task == "untimed" else "preferred")
    found = "No difference: that takes more raters or faces."
    if share is not None and task == "untimed":
        found = f"People who are right in {100 * share:.1f} % of their answers, where guessing is 50 %."
    elif share is not None:
        found = f"Real faces that are preferred to generated ones in {100 * share:.1f} % of pairs, ties counting half."
    equal = power.get("shown_equal", 0.0)
    within = f"right in {100 * (0.5 - plan.margin):g} to {100 * (0.5 + plan.margin):g} % of answers"
    if equal < HOPELESS:
        return f"{found} It could not show that they are indistinguishable ({within}): that takes more raters or faces."
    return f"{found} If they are indistinguishable ({within}), {100 * equal:.0f} % of such studies would show it."
