"""`rebalance`: the main job, from an imbalanced data set to a balanced one with a verdict. Reads from top to bottom."""

from __future__ import annotations

import itertools
import json
import logging
import shlex
import shutil
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w

from augface.data.dataset import SPLITS, FaceDataset, concatenate
from augface.data.splits import people_in_common
from augface.data.writer import Manifest, write_dataset
from augface.downstream.full import check_network
from augface.errors import OutputError, UsageError
from augface.evaluation import (
    decide,
    describe_data,
    environment,
    run_evaluators,
    sample_grids,
    short_name,
    with_splits,
)
from augface.evaluators.base import Context
from augface.evidence import (
    balance_measurements,
    balance_table,
    face_grids,
    gate_measurements,
    gate_tables,
    training_artifacts,
)
from augface.files import atomic_write, human_bytes, new_directory, remove_leftovers
from augface.gates import Gates
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators.base import Generator
from augface.making import make_faces
from augface.report.words import group_text, label
from augface.results import Evaluation, Skipped
from augface.sampling import FEW_POSITIVES, Group, Strategy, plan_groups
from augface.seeds import derive_seed
from augface.training.budget import parse_budget

log = logging.getLogger("augface")

MAX_DRAWS = 10
"""Faces drawn for each one wanted, before a shortfall is accepted."""
MEASURED = ("fidelity", "prdc", "modes", "memorisation", "real_vs_fake", "adherence", "downstream")
"""The evaluators, in the order that they are run."""
TRAINED_IMAGES_PER_SECOND = 400
EXTRACTED_IMAGES_PER_SECOND = 70
DOWNSTREAM_SECONDS = {"frozen": 100, "full": 1500, "off": 0}
"""Rough speeds on 2 cores, for the estimate that is told before the work starts."""


@dataclass(frozen=True)
class Plan:
    """What a rebalancing will do and cost."""

    data: FaceDataset
    groups: list[Group]
    seconds: float
    bytes: int

    @property
    def wanted(self) -> int:
        """Faces to be made in all."""
        return sum(group.wanted for group in self.groups)

    def describe(self) -> str:
        """The plan in a few lines for people."""
        lines = [f"{self.data.source.spec}: {len(self.data):,} faces of {self.data.size} x {self.data.size}"]
        for group in self.groups:
            adds = f", {group.wanted:,} to be made" if group.wanted else ""
            lines.append(f"  {group.label}: {group.have:,} in the train split{adds}")
        lines.append(
            f"About {self.seconds / 60:.0f} minutes on this machine's processor and {human_bytes(self.bytes)} of disk."
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class RebalanceOutcome:
    """What a rebalancing gives back."""

    evaluation: Evaluation
    run_dir: Path
    dataset_dir: Path


def plan_rebalance(
    data: FaceDataset,
    *,
    attr: str | Sequence[str],
    generator: str | Generator = "cgan",
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Literal["frozen", "full", "off"] = "frozen",
    network: str = "small",
    shared_people: bool = False,
) -> Plan:
    """What `rebalance` with these arguments would do, with rough costs; checks the arguments on the way."""
    data = with_splits(data, seed)
    assert data.train is not None
    assert data.valid is not None
    if downstream != "off" and not shared_people:
        parts: dict[str, FaceDataset] = {name: data.select(data.split == name) for name in SPLITS}
        if shared := people_in_common(parts):
            raise UsageError(
                f"{data.source.spec}: {shared}, and a classifier would be scored on people that it has learnt. Split "
                "the data by person, or go on with --shared-people (shared_people=True)."
            )
    if downstream == "full":
        check_network(network)
    groups = plan_groups(data.train, _names(attr), _names(within), sampling_strategy)
    wanted = sum(group.wanted for group in groups)
    amount = parse_budget(budget)
    kind = GENERATORS.get(generator) if isinstance(generator, str) else generator
    training = amount.amount if amount.unit == "seconds" else amount.amount / TRAINED_IMAGES_PER_SECOND
    if "trainable" not in kind.capabilities:
        training = 0.0
    extracted = 2 * len(data.valid) + len(data.train) + (wanted + len(data) if downstream != "off" else 0)
    seconds = training + 45 + wanted / 100 + extracted / EXTRACTED_IMAGES_PER_SECOND
    seconds += DOWNSTREAM_SECONDS[downstream] * len(_names(attr))
    return Plan(data, groups, seconds, (len(data) + wanted) * data.size**2 * 3 + 40_000_000)


def rebalance(
    data: FaceDataset,
    *,
    attr: str | Sequence[str],
    run_dir: str | Path,
    generator: str | Generator = "cgan",
    generator_settings: Mapping[str, Any] | None = None,
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Literal["frozen", "full", "off"] = "frozen",
    network: str = "small",
    outside: FaceDataset | None = None,
    shared_people: bool = False,
    resume: bool = False,
    real_images: bool = True,
    max_draws: int = MAX_DRAWS,
) -> RebalanceOutcome:
    """Balance a face data set with made faces, measure them, and say whether they help.

    Only the train split is looked at to learn anything, and only it grows. Each step leaves its result in the run
    folder, and `resume` goes on from there.

    Args:
        data: the faces; without splits they get some.
        attr: the attribute to balance, or several, whose combinations are then balanced.
        run_dir: gets `config.toml`, `log.jsonl`, `checkpoints/`, `generator/`, `dataset/`, `results.json` and
            `report.html`.
        generator: a registered name, or a generator with settings of its own, to be fitted here.
        generator_settings: of a generator that is given by its name; see `create_generator`.
        sampling_strategy: how many faces; see `augface.sampling.Strategy`.
        within: balance inside the groups of these attributes.
        budget: the generator's training: time or images.
        seed: of everything random.
        downstream: how the classifiers learn that are trained with and without the made faces: a linear head on
            features (`frozen`), or a network on pixels, trained from nothing (`full`); `off` leaves the verdict open.
        network: for `full`: `small`, or the name of a timm model.
        outside: labelled real faces of another source, to score these classifiers on too.
        shared_people: go on although splits have people in common.
        resume: go on with the run in `run_dir`; its settings must be the same. A finished one gives its results.
        real_images: whether the report may show real faces.
        max_draws: faces drawn for each one wanted, before a shortfall is accepted.

    Raises:
        AugfaceError: the attribute, the strategy, the data or the folder do not allow it; says why before any work.
    """
    attributes, strata = _names(attr), _names(within)
    plan = plan_rebalance(
        data,
        attr=attributes,
        generator=generator,
        sampling_strategy=sampling_strategy,
        within=strata,
        budget=budget,
        seed=seed,
        downstream=downstream,
        network=network,
        shared_people=shared_people,
    )
    if outside is not None:
        for name in attributes:
            if outside.attribute(name).nunique() < 2 or outside.size != data.size:
                raise UsageError(
                    f"{outside.source.spec} cannot be scored on: it needs faces with and without {name}, "
                    f"of {data.size} pixels."
                )
    if not plan.wanted:
        raise UsageError(f"The train split of {data.source.spec} is balanced already in {', '.join(attributes)}.")
    _warn_of_few(plan.groups)
    data, train, valid = plan.data, plan.data.train, plan.data.valid
    assert train is not None
    assert valid is not None
    run_dir = Path(run_dir)
    chosen = _create(generator, attributes + strata, generator_settings or {})
    settings = {
        "data": data.source.spec,
        "data_hash": data.source.content_hash,
        "size": data.size,
        "attr": attributes,
        "within": strata,
        "sampling_strategy": dict(sampling_strategy) if isinstance(sampling_strategy, Mapping) else sampling_strategy,
        "generator": {"name": chosen.name, **json.loads(chosen.config.model_dump_json(exclude_none=True))},
        "budget": budget,
        "seed": seed,
        "downstream": downstream,
        "network": network,
        "outside": outside.source.spec if outside is not None else "",
        "shared_people": shared_people,
        "max_draws": max_draws,
    }
    command = _command(settings, chosen)  # now, as fitting may find out more settings than were given
    _open_run(run_dir, settings, resume=resume, needed=plan.bytes)
    if resume and (run_dir / "results.json").exists():
        evaluation = Evaluation.from_json(run_dir / "results.json")
        evaluation.to_html(run_dir / "report.html", real_images=real_images)
        return RebalanceOutcome(evaluation, run_dir, run_dir / "dataset")
    timings: dict[str, float] = {}

    with _Timer("training", timings):
        fitted = _fit(chosen, train, budget=budget, run_dir=run_dir, resume=resume, seed=derive_seed(seed, "fit"))
    with _Timer("gates", timings):
        gates = Gates(train, seed=derive_seed(seed, "gates"))
    with _Timer("making faces", timings):
        ungated = fitted.sample(min(len(valid), fitted.available()), seed=derive_seed(seed, "ungated"))
        made = [
            make_faces(fitted, gates, group, seed=seed, max_draws=max_draws) for group in plan.groups if group.wanted
        ]
        parts = [part.faces for part in made if part.faces is not None]
        faces = concatenate(parts, spec=fitted.name) if parts else train.select(slice(0, 0))
    copies_allowed = "copies" in fitted.capabilities
    with _Timer("writing the data set", timings):
        manifest = write_dataset(
            run_dir / "dataset",
            data,
            faces,
            target=attributes + strata,
            generator=fitted.name,
            generator_hash=fitted.fingerprint,
            seed=seed,
            learnt=not copies_allowed,
        )
    with _Timer("measuring", timings):
        context = Context(
            reference=valid,
            synthetic=ungated,
            train=train,
            valid=valid,
            test=data.test,
            made=faces if len(faces) else None,
            targets=tuple(attributes),
            by=tuple(attributes + strata),
            seed=seed,
            show_real=real_images,
            folder=run_dir,
            downstream="frozen" if downstream == "off" else downstream,
            network=network,
            outside=outside,
            shared_people=shared_people,
        )
        left_out = {"downstream": "was switched off."} if downstream == "off" else {}
        if copies_allowed:
            left_out["memorisation"] = f"was left out: {fitted.name} repeats training faces on purpose."
        measurements, artifacts, skipped = run_evaluators(context, [name for name in MEASURED if name not in left_out])
        skipped += [Skipped(evaluator=name, reason=reason) for name, reason in left_out.items()]
    evaluation = Evaluation(
        verdict=decide(measurements, skipped),
        measurements=[
            *balance_measurements(plan.groups, made),
            *gate_measurements(made, gates, copies_allowed=copies_allowed),
            *measurements,
        ],
        skipped=skipped,
        artifacts=[
            balance_table(plan.groups, made),
            *gate_tables(made, gates),
            *face_grids(made, train, real_images=real_images, seed=seed),
            *sample_grids(context),
            *artifacts,
            *training_artifacts(run_dir),
        ],
        provenance={
            "job": "rebalance",
            "title": f"{' and '.join(attributes)} in {short_name(data.source.spec)}, by {fitted.name}",
            "command": command,
            "settings": settings,
            "data": describe_data(data),
            "generator_hash": fitted.fingerprint,
            "seconds": {name: round(value, 1) for name, value in timings.items()},
            **environment(),
        },
    )
    evaluation.to_html(run_dir / "report.html", real_images=real_images)
    _write_card(manifest, evaluation)
    evaluation.to_json(run_dir / "results.json")  # last: it tells that the run is finished
    return RebalanceOutcome(evaluation, run_dir, run_dir / "dataset")


def _names(attributes: str | Sequence[str] | None) -> list[str]:
    return [attributes] if isinstance(attributes, str) else list(attributes or ())


def _warn_of_few(groups: Sequence[Group]) -> None:
    for group in groups:
        if group.wanted and group.have < FEW_POSITIVES:
            log.warning(
                "Only %d training faces are %s. Expect made faces that resemble these few, many refused as copies, and "
                "wide intervals; compare with --generator resample.", group.have, group.label,
            )  # fmt: skip


def _create(generator: str | Generator, attributes: list[str], settings: Mapping[str, Any]) -> Generator:
    """The generator; one that can show rare kinds more often is told which."""
    if isinstance(generator, Generator):
        if settings:
            raise UsageError("Settings are for a generator that is given by its name; this one has its own already.")
        return generator
    rare = {"balance": attributes} if "balance" in GENERATORS.get(generator).Config.model_fields else {}
    return create_generator(generator, **{**rare, **settings})


def _open_run(run_dir: Path, settings: dict[str, Any], *, resume: bool, needed: int) -> None:
    """Make the run folder with its settings, or check that the one to resume has the same."""
    config = run_dir / "config.toml"
    if resume and config.exists():
        before = tomllib.loads(config.read_text(encoding="utf-8"))
        changed = [key for key in before | settings if before.get(key) != json.loads(json.dumps(settings.get(key)))]
        if changed:
            raise UsageError(
                f"Cannot resume {run_dir}: {', '.join(changed)} changed since. Change back, or choose another folder."
            )
        remove_leftovers(run_dir)
        return
    new_directory(run_dir)
    free = shutil.disk_usage(run_dir).free
    if free < needed:
        raise OutputError(
            f"{run_dir} needs about {human_bytes(needed)}, but its disk has {human_bytes(free)} left. Use another."
        )
    atomic_write(config, tomli_w.dumps(settings))


def _fit(generator: Generator, train: FaceDataset, *, budget: str, run_dir: Path, resume: bool, seed: int) -> Generator:
    """The fitted generator: a finished one from the run folder, or trained now."""
    directory = run_dir / "generator"
    if resume and (directory / "config.json").exists():
        return load_generator(directory)
    generator.fit(train, budget=budget, run_dir=run_dir, resume=resume, seed=seed)
    generator.save(directory)
    return generator


def _command(settings: Mapping[str, Any], generator: Generator) -> str:
    """The command line that makes this run again."""
    options: list[tuple[str, ...]] = [("--attr", name) for name in settings["attr"]]
    options += [("--within", name) for name in settings["within"]]
    if isinstance(settings["sampling_strategy"], float):
        options.append(("--ratio", f"{settings['sampling_strategy']:g}"))
    options += [(f"--{name}", str(settings[name])) for name in ("data", "budget", "size", "seed", "downstream")]
    options.append(("--generator", generator.name))
    for name in generator.config.model_dump(exclude_defaults=True, exclude_none=True):
        value = settings["generator"][name]
        if name != "balance" or value != settings["attr"] + settings["within"]:  # these are balanced anyway
            options.append(("--set", f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"))
    if settings["downstream"] == "full":
        options.append(("--network", settings["network"]))
    if settings["outside"]:
        options.append(("--outside", settings["outside"]))
    if settings["shared_people"]:
        options.append(("--shared-people",))
    return shlex.join(["augface", "rebalance", *itertools.chain.from_iterable(options)])


def _write_card(manifest: Manifest, evaluation: Evaluation) -> None:
    """Tell the data set's README what has been measured."""
    yields = {
        f"{label(measurement.name)} ({group_text(measurement.group)})": f"{measurement.value:.1%}"
        for measurement in evaluation.select("rebalance")
        if measurement.name.startswith("yield") and measurement.value is not None
    }
    verdict = evaluation.verdict
    manifest.write_card({"verdict": f"{verdict.decision}: {verdict.reason}", "yields": yields})


class _Timer:
    """Adds the seconds of a step to `timings` and tells its name on the log."""

    def __init__(self, name: str, timings: dict[str, float]) -> None:
        self.name, self.timings = name, timings

    def __enter__(self) -> None:
        log.info("%s …", self.name)
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.timings[self.name] = time.perf_counter() - self.started
