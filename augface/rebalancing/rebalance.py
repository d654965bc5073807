"""`rebalance`: the main job, from an imbalanced data set to a balanced one with a verdict. Reads from top to bottom."""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from augface.data import load_data
from augface.data.dataset import SPLITS, FaceDataset, concatenate
from augface.data.export.writer import CARD, Manifest, describe_dataset
from augface.data.groups import Subgroup
from augface.data.sources import refuse_photo_based
from augface.data.splits import identity_overlap, with_splits
from augface.data.stored import read_faces, write_faces
from augface.downstream.full import check_network
from augface.downstream.headroom import Headroom
from augface.downstream.settings import Arms, DownstreamSettings, Mode
from augface.errors import UsageError, require
from augface.evaluation.advice import advise
from augface.evaluation.evaluate import SAMPLES, run_evaluators, sample_grids
from augface.evaluation.inputs import Faces
from augface.evaluation.provenance import describe_data, environment, external_knowledge, short_name
from augface.evaluation.verdict import decide
from augface.evaluators import EVALUATORS, loaded_evaluators
from augface.evaluators.base import Context
from augface.files import RUN_GENERATOR
from augface.generators import DEFAULT_GENERATOR, GENERATORS
from augface.generators.base import Generator
from augface.progress import in_words
from augface.rebalancing.costs import Cost, Speed, Work, costs, describe_costs
from augface.rebalancing.drawing import FEWEST, Accepted, draw_accepted
from augface.rebalancing.filters import Filters
from augface.rebalancing.generator import generator_for
from augface.rebalancing.outlook import in_words as headroom_in_words
from augface.rebalancing.outlook import known_of, measure_headroom
from augface.rebalancing.results import (
    BALANCE,
    FILTERS,
    TRAINING,
    balance_measurements,
    balance_table,
    face_grids,
    filter_measurements,
    label_measurements,
    training_artifacts,
    training_log,
)
from augface.rebalancing.settings import MAX_DRAWS, RebalanceSettings
from augface.rebalancing.strategy import FEW_POSITIVES, Strategy, SubgroupPlan, plan_subgroups
from augface.rebalancing.suggestions import REASONS, main_reason, suggestions, without_training
from augface.results import REBALANCING, Artifact, Evaluation, Measurement, Verdict
from augface.runs import CHECKPOINTS, Run, open_run
from augface.seeds import derive_seed
from augface.training.budget import ENOUGH_IMAGES, longer_budget, parse_budget
from augface.training.loggers import Loggers, active_loggers
from augface.training.run import fit_together

log = logging.getLogger("augface")

DATASET, REPORT = "dataset", "report.html"
RESULTS = "results.json"
"""The output of the last stage: a run that has it is finished."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What a rebalancing will do and cost."""

    settings: RebalanceSettings
    data: FaceDataset
    """With splits."""
    generator: Generator
    """Not trained yet."""
    subgroups: list[SubgroupPlan]
    external_test: FaceDataset | None
    command: str
    """The command line that makes the run again."""

    @property
    def train(self) -> FaceDataset:
        """The train split."""
        return require(self.data.train)

    @property
    def valid(self) -> FaceDataset:
        """The valid split."""
        return require(self.data.valid)

    @property
    def wanted(self) -> int:
        """The number of faces to be generated in all."""
        return sum(each.wanted for each in self.subgroups)

    @property
    def bytes(self) -> float:
        """About how much the run leaves on the disk, the cache among it."""
        return sum(each.disk for each in costs(self._work, Speed()))

    @cached_property
    def costs(self) -> list[Cost]:
        """What each stage takes on this machine, whose speed is measured for that: a dozen seconds, once."""
        return costs(self._work, Speed.measured(self.generator, self.train, self._work))

    @property
    def _work(self) -> Work:
        return Work(
            train=len(self.train),
            valid=len(self.valid),
            test=sum(len(faces) for faces in (self.data.test, self.external_test) if faces is not None),
            wanted=self.wanted,
            size=self.data.size,
            targets=len(self.settings.attr),
            downstream=self.settings.downstream,
            budget=parse_budget(self.settings.budget) if "trainable" in self.generator.capabilities else None,
        )

    def headroom(self, run_dir: Path | None = None) -> dict[str, Headroom]:
        """What could be gained for each attribute, where that can be known.

        Args:
            run_dir: the run folder, where what is learnt for it is kept.
        """
        settings = self.settings
        return measure_headroom(
            self.data,
            settings.attr,
            settings.within,
            settings.downstream,
            self.external_test,
            seed=settings.seed,
            run_dir=run_dir,
        )

    def __repr__(self) -> str:
        return (
            f"Plan({self.wanted:,} synthetic faces by {self.generator.name} to balance "
            f"{' and '.join(self.settings.attr)} in {self.settings.data})"
        )

    def _repr_html_(self) -> str:
        from augface.notebooks import plan_card

        return plan_card(self).html()

    def describe(self, *, with_costs: bool = True) -> str:
        """The plan in a few lines for people; what it costs among them, where that is to be measured."""
        lines = [f"{self.data.source.spec}: {len(self.data):,} faces of {self.data.size} x {self.data.size}"]
        for each in self.subgroups:
            adds = f", {each.wanted:,} to be generated" if each.wanted else ""
            if each.wanted and not each.have:
                adds += ", of parts of others: no face shows what this combination really looks like"
            lines.append(f"  {each.subgroup.label}: {each.have:,} in the train split{adds}")
        if with_costs:
            lines += describe_costs(self.costs)
        lines += known_of(self.subgroups, self.generator, self.settings.downstream)
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class RebalanceOutcome:
    """What a rebalancing gives back."""

    evaluation: Evaluation
    run_dir: Path
    size: int
    """Height and width of the faces in pixels."""
    dataset_dir: Path | None
    """Where the balanced data set is; None where the faces were too bad for one."""

    @cached_property
    def data(self) -> FaceDataset | None:
        """The balanced data set, read from its folder: its train split has real and synthetic faces.

        None where the faces were too bad for one.
        """
        return None if self.dataset_dir is None else load_data(self.dataset_dir, size=self.size)

    def __repr__(self) -> str:
        written = f"data set in {self.dataset_dir}" if self.dataset_dir else "no data set was written"
        return f"RebalanceOutcome({self.evaluation.verdict.decision}; {written}; report in {self.run_dir / REPORT})"

    def _repr_html_(self) -> str:
        return self.evaluation._repr_html_()


def rebalance(
    data: Faces,
    *,
    attr: str | Sequence[str],
    run_dir: str | Path | None = None,
    generator: str | Generator = DEFAULT_GENERATOR,
    generator_settings: Mapping[str, Any] | None = None,
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Mode = "frozen",
    downstream_arms: Arms = "default",
    network: str = "small",
    external_test: Faces | None = None,
    allow_identity_overlap: bool = False,
    resume: bool = False,
    real_images: bool = True,
    max_draws: int = MAX_DRAWS,
    anyway: bool = False,
    loggers: Sequence[str] = (),
) -> RebalanceOutcome:
    """Balance a face data set with synthetic faces, measure them, and say whether they help.

    Only the train split is used to fit anything, and only it grows. Each stage leaves its output in the run folder, and
    `resume` makes exactly those that are missing.

    Args:
        data: the faces, or whatever `load_data` takes; without splits they get some.
        attr: the attribute to balance, or several, whose combinations are then balanced.
        run_dir: gets `config.toml`, `log.jsonl`, `checkpoints/`, `generator/`, `dataset/`, `results.json` and
            `report.html`. Where not given, a temporary folder does, which is removed when Python ends.
        generator: a registered name, or a generator with settings of its own, to be fitted here.
        generator_settings: the settings of a generator that is given by its name; see `create_generator`.
        sampling_strategy: how many faces; see `augface.rebalancing.strategy.Strategy`.
        within: balance inside the groups of these attributes.
        budget: the generator's training: time or images.
        seed: the seed of everything random.
        downstream: how the classifiers are trained with and without the synthetic faces: a linear head on features
            (`frozen`), or a network on pixels from random weights (`full`); `off` leaves the verdict open.
        downstream_arms: the training methods that are compared: `default`, or `all`, with more for real faces alone.
        network: for `full`: `small`, or the name of a timm model.
        external_test: labelled real faces of another source, on which these classifiers are scored too.
        allow_identity_overlap: go on although the same people are in more than one split.
        resume: go on with the run in `run_dir`; its settings must be the same. A finished one gives its results.
        real_images: whether the report may show real faces.
        max_draws: faces drawn for each one wanted, before a shortfall is accepted.
        anyway: write the data set even if the generator turns out not to be trained.
        loggers: where curves, previews and final measurements go, too: `tensorboard`, `wandb`, `mlflow`, `trackio`.

    Raises:
        AugfaceError: the attribute, the strategy, the data or the folder do not allow it; says why before any work.

    Example::

        outcome = augface.rebalance("toy:300", attr="Male", generator="composite", downstream="off", run_dir="balanced")
        print(outcome.evaluation.verdict, outcome.dataset_dir)
    """
    if run_dir is None and resume:
        raise UsageError("A run is resumed in its folder. Say which: run_dir=….")
    plan = plan_rebalance(
        data,
        attr=attr,
        generator=generator,
        generator_settings=generator_settings,
        sampling_strategy=sampling_strategy,
        within=within,
        budget=budget,
        seed=seed,
        downstream=downstream,
        downstream_arms=downstream_arms,
        network=network,
        external_test=external_test,
        allow_identity_overlap=allow_identity_overlap,
        max_draws=max_draws,
    )
    folder = _temporary_folder() if run_dir is None else Path(run_dir)
    return carry_out(plan, folder, resume=resume, real_images=real_images, anyway=anyway, loggers=loggers)


def _temporary_folder() -> Path:
    """A folder that is there as long as this process is, since the data set in it may be in use until then."""
    parent = Path(tempfile.mkdtemp(prefix="augface-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    log.info(f"The run is in {parent}, which is removed when Python ends; run_dir=… keeps it.")
    return parent / "run"


def plan_rebalance(
    data: Faces,
    *,
    attr: str | Sequence[str],
    generator: str | Generator = DEFAULT_GENERATOR,
    generator_settings: Mapping[str, Any] | None = None,
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Mode = "frozen",
    downstream_arms: Arms = "default",
    network: str = "small",
    external_test: Faces | None = None,
    allow_identity_overlap: bool = False,
    max_draws: int = MAX_DRAWS,
) -> Plan:
    """What `rebalance` with these arguments would do; checks the arguments on the way."""
    parse_budget(budget)
    data = load_data(data)
    refuse_photo_based(data)
    data = generator_for(generator, [], generator_settings or {}).prepared(with_splits(data, seed))
    external_test = None if external_test is None else load_data(external_test)
    attributes, strata = ([data.attribute_name(name) for name in _names(names)] for names in (attr, within))
    asked = DownstreamSettings(
        mode=downstream,
        arms=downstream_arms,
        network=network,
        external_test="" if external_test is None else external_test.source.spec,
        allow_identity_overlap=allow_identity_overlap,
    )
    _check_downstream(asked, data, attributes, external_test)
    created = generator_for(generator, attributes + strata, generator_settings or {})
    composed = "composes" in created.capabilities
    subgroups = plan_subgroups(require(data.train), attributes, strata, sampling_strategy, composed=composed)
    settings = RebalanceSettings(
        data=data.source.spec,
        data_hash=data.source.content_hash,
        size=data.size,
        attr=tuple(attributes),
        within=tuple(strata),
        sampling_strategy=(dict(sampling_strategy) if isinstance(sampling_strategy, Mapping) else sampling_strategy),
        generator={"name": created.name, **json.loads(created.config.model_dump_json(exclude_none=True))},
        budget=budget,
        seed=seed,
        downstream=asked,
        external_test_hash="" if external_test is None else external_test.source.content_hash,
        max_draws=max_draws,
    )
    return Plan(
        settings,
        data,
        created,
        subgroups,
        external_test,
        command=settings.command(created.config),  # now, as fitting may find out more settings than were given
    )


def carry_out(
    plan: Plan,
    run_dir: Path,
    *,
    resume: bool = False,
    real_images: bool = True,
    anyway: bool = False,
    loggers: Sequence[str] = (),
) -> RebalanceOutcome:
    """Do what was planned, stage by stage; see `rebalance`. What a stage wrote is read again by those after it."""
    if not plan.wanted:
        raise UsageError(
            f"The train split of {plan.settings.data} is balanced already in {', '.join(plan.settings.attr)}."
        )
    _warn_of_few(plan.subgroups)
    with (
        open_run(run_dir, plan.settings, resume=resume, needed=plan.bytes) as run,
        Loggers(loggers, run_dir, plan.settings.to_dict()),
    ):
        dataset_dir = run_dir / DATASET
        stopped_before = not dataset_dir.exists()
        if run.has(RESULTS, whatever_inputs=True) and not (anyway and stopped_before):
            evaluation = Evaluation.from_json(run_dir / RESULTS)
            evaluation.to_html(run_dir / REPORT, real_images=real_images)
            return RebalanceOutcome(evaluation, run_dir, plan.data.size, None if stopped_before else dataset_dir)
        for target, room in plan.headroom(run_dir).items():
            log.log(logging.WARNING if room.nothing_to_gain else logging.INFO, headroom_in_words(target, room))
        generator = _generator(plan, run)
        samples = _samples(plan, run, generator)
        context = _context(plan, run_dir, generator, samples, real_images=real_images)
        if not anyway and (reason := _useless(context)):
            log.warning(f"{reason} No data set is written; --anyway (anyway=True) writes one all the same.")
            return RebalanceOutcome(_results(plan, run, context, generator), run_dir, plan.data.size, None)
        filters = _filters(plan, run)
        accepted = [_accepted(plan, run, generator, filters, each) for each in plan.subgroups if each.wanted]
        if not anyway and (reason := _refused(accepted, copies_allowed=context.copies_on_purpose)):
            log.warning(f"{reason} No data set is written; --anyway (anyway=True) writes one all the same.")
            evaluation = _results(plan, run, context, generator, _Added(accepted, filters, None), reason)
            return RebalanceOutcome(evaluation, run_dir, plan.data.size, None)
        parts = [part.faces for part in accepted if part.faces is not None]
        added = concatenate(parts, spec=generator.name) if parts else plan.train.select(slice(0, 0))
        manifest = _dataset(plan, run, generator, added)
        context = replace(context, accepted=added if len(added) else None)
        evaluation = _results(plan, run, context, generator, _Added(accepted, filters, manifest))
        return RebalanceOutcome(evaluation, run_dir, plan.data.size, dataset_dir)


# Before the work


def _names(attributes: str | Sequence[str] | None) -> list[str]:
    return [attributes] if isinstance(attributes, str) else list(attributes or ())


def _check_downstream(
    settings: DownstreamSettings, data: FaceDataset, attributes: Sequence[str], external_test: FaceDataset | None
) -> None:
    """Fail where the downstream question cannot be asked of these data."""
    if settings.mode != "off" and not settings.allow_identity_overlap:
        overlap = identity_overlap({name: data.select(data.split == name) for name in SPLITS})
        if overlap:
            raise UsageError(
                f"{data.source.spec}: {overlap}, and a classifier would be scored on people on whom it was trained. "
                "Split the data by person, or go on with --allow-identity-overlap (allow_identity_overlap=True)."
            )
    if settings.mode == "full":
        check_network(settings.network)
    for name in attributes if external_test is not None else ():
        faces = require(external_test)
        if faces.attribute(name).nunique() < 2 or faces.size != data.size:
            raise UsageError(
                f"{faces.source.spec} cannot be scored on: it needs faces with and without {name}, "
                f"of {data.size} pixels."
            )


def _warn_of_few(subgroups: Sequence[SubgroupPlan]) -> None:
    entries = GENERATORS.entries().items()
    controls = [name for name, entry in entries if entry.capabilities & {"copies", "composes"} == {"copies"}]
    for each in subgroups:
        if each.wanted and each.have < FEW_POSITIVES:
            log.warning(
                f"Only {each.have} training faces are {each.subgroup.label}. Expect synthetic faces that resemble "
                f"these few, many refused as copies, and wide intervals; compare with --generator "
                f"{' or '.join(controls)}."
            )


# The stages


def _generator(plan: Plan, run: Run) -> Generator:
    """The generator, trained."""

    def train(place: Path) -> None:
        fit_together(
            plan.generator,
            plan.train,
            budget=plan.settings.budget,
            run_dir=run.folder,
            resume=run.resumed,
            seed=derive_seed(plan.settings.seed, "fit"),
        )
        plan.generator.save(place)

    return type(plan.generator).load(run.stage(RUN_GENERATOR, "training the generator", train))


def _useless(context: Context) -> str:
    """Why faces need not be filtered and added at all, where a first look at the samples says so; else nothing."""
    unlabelled = replace(context.samples, attributes=context.samples.attributes[[]])  # so no subgroup is measured
    first = replace(context, samples=unlabelled, spaces=context.spaces[:1], by=(), targets=())
    names = [name for name, evaluator in loaded_evaluators().items() if evaluator.before_filters]
    findings, _ = run_evaluators(first, names)
    verdict = decide(findings.measurements)
    return verdict.reason if verdict.decision == "do not use" else ""


def _filters(plan: Plan, run: Run) -> Filters:
    """The filters, fitted."""

    def fit(place: Path) -> None:
        Filters.fit(plan.train, seed=derive_seed(plan.settings.seed, "gates")).save(place)

    place = run.stage(f"{CHECKPOINTS}/filters.safetensors", "fitting the filters", fit)
    return Filters.load(place, plan.train)


def _samples(plan: Plan, run: Run, generator: Generator) -> FaceDataset:
    """Faces as they come out of the generator, for its measures."""

    def sample(place: Path) -> None:
        wanted = min(len(plan.valid), generator.available())
        write_faces(place, generator.sample(wanted, seed=derive_seed(plan.settings.seed, "ungated")))

    return read_faces(run.stage(f"{CHECKPOINTS}/samples", "generating samples", sample))


def _accepted(plan: Plan, run: Run, generator: Generator, filters: Filters, subgroup: SubgroupPlan) -> Accepted:
    """The faces of one subgroup that pass the filters."""

    def draw(place: Path) -> None:
        settings = plan.settings
        draw_accepted(generator, filters, subgroup, seed=settings.seed, max_draws=settings.max_draws).save(place)

    place = f"{CHECKPOINTS}/accepted-{plan.subgroups.index(subgroup)}"
    return Accepted.load(run.stage(place, f"generating {subgroup.subgroup.label}", draw), subgroup)


def _refused(accepted: Sequence[Accepted], *, copies_allowed: bool) -> str:
    """Why there is no data set to be written, where the filters let hardly any face pass; else nothing."""
    drawn, wanted = sum(part.drawn for part in accepted), sum(part.plan.wanted for part in accepted)
    if sum(part.count for part in accepted) >= FEWEST * wanted:
        return ""
    passed = {name: sum(part.passed[name] for part in accepted) / max(1, drawn) for name in ("all", *REASONS)}
    why = main_reason(passed, copies_allowed=copies_allowed)
    return f"The filters let {passed['all']:.1%} of the {drawn:,} generated faces pass, {why}."


def _dataset(plan: Plan, run: Run, generator: Generator, added: FaceDataset) -> Manifest:
    """The balanced data set, written, and what is in it."""
    manifest = describe_dataset(
        run.folder / DATASET,
        plan.data,
        added,
        target=plan.settings.attr + plan.settings.within,
        generator=generator.name,
        generator_hash=generator.fingerprint,
        seed=plan.settings.seed,
        source=generator.source,
        base=generator.base,
    )
    run.stage(DATASET, "writing the data set", lambda place: manifest.write(place, plan.data, added), changing=[CARD])
    return manifest


@dataclass(frozen=True)
class _Added:
    """What was added to the train split, and how it was chosen."""

    accepted: Sequence[Accepted]
    filters: Filters
    manifest: Manifest | None
    """None where the faces were too few for a data set."""


def _results(
    plan: Plan, run: Run, context: Context, generator: Generator, added: _Added | None = None, refused: str = ""
) -> Evaluation:
    """All that was measured; the report and the data set's card are written with it."""

    def measure(place: Path) -> None:
        evaluation = _measured(plan, run, context, generator, added, refused)
        evaluation.to_html(run.folder / REPORT, real_images=context.show_real)
        if added is not None and added.manifest is not None:
            _write_card(added.manifest, evaluation)
        evaluation.to_json(place)
        active_loggers().measurements(evaluation)

    return Evaluation.from_json(run.stage(RESULTS, "measuring", measure))


def _measured(
    plan: Plan, run: Run, context: Context, generator: Generator, added: _Added | None, refused: str
) -> Evaluation:
    settings = plan.settings
    started = time.perf_counter()
    findings, sections = run_evaluators(context, list(EVALUATORS))
    seconds = {**run.seconds, "measuring": round(time.perf_counter() - started, 1)}
    verdict = decide(findings.measurements, findings.skipped)
    if refused:
        verdict = Verdict(decision="do not use", reason=refused)
    own: list[Measurement] = []
    shown: list[Artifact] = []
    if added is not None:
        own = [
            *balance_measurements(plan.subgroups, added.accepted),
            *filter_measurements(added.accepted, added.filters, copies_allowed=context.copies_on_purpose),
            *label_measurements(added.filters, settings.attr + settings.within),
        ]
        shown = [
            balance_table(plan.subgroups, added.accepted),
            *face_grids(
                added.accepted, plan.train, section=SAMPLES.key, real_images=context.show_real, seed=settings.seed
            ),
        ]
    suggested = suggestions(own, copies_allowed=context.copies_on_purpose)
    if verdict.decision == "do not use" and "trainable" in generator.capabilities:
        suggested += [
            without_training(name, entry.summary)
            for name, entry in GENERATORS.entries().items()
            if entry.capabilities & {"composes", "trainable"} == {"composes"}
        ]
    longer, effort = _longer_training(plan, run.folder)
    return Evaluation(
        verdict=verdict,
        advice=advise(
            findings.measurements,
            verdict,
            plan.command,
            longer=longer,
            effort=effort,
            trainable="trainable" in generator.capabilities,
            suggestions=suggested,
        ),
        measurements=[*own, *findings.measurements],
        sections=[BALANCE, FILTERS, SAMPLES, *sections, TRAINING],
        skipped=findings.skipped,
        artifacts=[
            *shown,
            *sample_grids(context),
            *findings.artifacts,
            *training_artifacts(run.folder),
        ],
        provenance={
            "job": REBALANCING,
            "title": f"{' and '.join(settings.attr)} in {short_name(settings.data)}, by {plan.generator.name}",
            "command": plan.command,
            "settings": run.settings.to_dict(),
            "data": describe_data(plan.data),
            "generator_hash": generator.fingerprint,
            **({"base": generator.base, "warnings": [external_knowledge(generator.base)]} if generator.base else {}),
            "seconds": seconds,
            **environment(),
        },
    )


def _longer_training(plan: Plan, run_dir: Path) -> tuple[str, str]:
    """A budget that is worth trying next, and what it takes here in words; nothing where nothing is trained."""
    if "trainable" not in plan.generator.capabilities:
        return "", ""
    budget, entries = plan.settings.budget, training_log(run_dir)
    if not entries or not entries[-1]["seconds"]:
        return longer_budget(budget), ""
    images, seconds = int(entries[-1]["images"]), float(entries[-1]["seconds"])
    longer = longer_budget(budget, least=ENOUGH_IMAGES, images=images, seconds=seconds)
    amount = parse_budget(longer)
    takes = amount.amount if amount.unit == "seconds" else amount.amount * seconds / images
    return longer, (
        f"{budget} trained on {images:,} images, {images / seconds:,.0f} a second; {longer} trains on about "
        f"{round(takes * images / seconds, -3):,.0f}, in {in_words(takes)} on this machine."
    )


def _context(plan: Plan, run_dir: Path, generator: Generator, samples: FaceDataset, *, real_images: bool) -> Context:
    """What evaluators are given before any face was accepted."""
    settings = plan.settings
    return Context(
        reference=plan.valid,
        samples=samples,
        train=plan.train,
        valid=plan.valid,
        test=plan.data.test,
        external_test=plan.external_test,
        targets=settings.attr,
        by=settings.attr + settings.within,
        downstream=settings.downstream,
        generator=generator,
        copies_on_purpose="copies" in generator.capabilities,
        seed=settings.seed,
        show_real=real_images,
        folder=run_dir,
    )


def _write_card(manifest: Manifest, evaluation: Evaluation) -> None:
    """Add what has been measured to the data set's README."""
    yields = {
        f"{one.label} ({Subgroup(one.group)})": f"{one.value:.1%}"
        for one in evaluation.select(REBALANCING)
        if one.section == FILTERS.key and one.value is not None
    }
    verdict = evaluation.verdict
    manifest.write_card({"verdict": f"{verdict.decision}: {verdict.reason}", "yields": yields})
