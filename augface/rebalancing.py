"""`rebalance`: the main job, from an imbalanced data set to a balanced one with a verdict. Reads from top to bottom."""

from __future__ import annotations

import json
import logging
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tomli_w
from tqdm import tqdm

from augface.artifacts import image_grid, series, table
from augface.data.dataset import FaceDataset, concatenate
from augface.data.writer import Manifest, write_dataset
from augface.errors import UnknownNameError, UsageError
from augface.evaluation import (
    decide,
    describe_data,
    environment,
    run_evaluators,
    sample_grids,
    shows_people,
    with_splits,
)
from augface.evaluators.base import Context
from augface.files import atomic_write, human_bytes, new_directory
from augface.gates import Gates
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators.base import Generator
from augface.metrics import proportion_interval
from augface.results import Artifact, Evaluation, ImageGrid, Measurement, Skipped
from augface.sampling import FEW_POSITIVES, Group, Strategy, plan_groups
from augface.seeds import derive_seed
from augface.training.budget import parse_budget

log = logging.getLogger("augface")

MAX_DRAWS = 10
"""Faces drawn for each one wanted, before a shortfall is accepted."""
TRAINED_IMAGES_PER_SECOND = 400
EXTRACTED_IMAGES_PER_SECOND = 70
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


@dataclass(frozen=True)
class Made:
    """The faces of one group that passed the gates, and how many were drawn and passed each gate on the way."""

    group: Group
    faces: FaceDataset | None
    nearest: list[int]
    drawn: int
    passed: dict[str, int]


def plan_rebalance(
    data: FaceDataset,
    *,
    attr: str | Sequence[str],
    generator: str | Generator = "cgan",
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Literal["frozen", "off"] = "frozen",
    **_: object,
) -> Plan:
    """What `rebalance` with these arguments would do, with rough costs; checks the arguments on the way."""
    data = with_splits(data, seed)
    assert data.train is not None
    assert data.valid is not None
    groups = plan_groups(data.train, _names(attr), _names(within), sampling_strategy)
    wanted = sum(group.wanted for group in groups)
    amount = parse_budget(budget)
    trainable = isinstance(generator, str) and "trainable" in _capabilities(generator)
    training = (
        (amount.amount if amount.unit == "seconds" else amount.amount / TRAINED_IMAGES_PER_SECOND) if trainable else 0
    )
    extracted = 2 * len(data.valid) + len(data.train) + (wanted + len(data) if downstream != "off" else 0)
    seconds = training + 45 + wanted / 100 + extracted / EXTRACTED_IMAGES_PER_SECOND
    return Plan(data, groups, seconds, (len(data) + wanted) * data.size**2 * 3 + 40_000_000)


def rebalance(
    data: FaceDataset,
    *,
    attr: str | Sequence[str],
    run_dir: str | Path,
    generator: str | Generator = "cgan",
    sampling_strategy: Strategy = "auto",
    within: str | Sequence[str] | None = None,
    budget: str = "5m",
    seed: int = 0,
    downstream: Literal["frozen", "off"] = "frozen",
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
        sampling_strategy: how many faces; see `augface.sampling.Strategy`.
        within: balance inside the groups of these attributes.
        budget: the generator's training: time or images.
        seed: of everything random.
        downstream: `frozen` trains the downstream classifiers; `off` leaves the verdict open.
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
    )
    if not plan.wanted:
        raise UsageError(f"The train split of {data.source.spec} is balanced already in {', '.join(attributes)}.")
    _warn_of_few(plan.groups)
    data, train, valid = plan.data, plan.data.train, plan.data.valid
    assert train is not None
    assert valid is not None
    run_dir = Path(run_dir)
    chosen = _create(generator, attributes + strata)
    settings = {
        "data": data.source.spec,
        "data_hash": data.source.content_hash,
        "size": data.size,
        "attr": attributes,
        "within": strata,
        "sampling_strategy": dict(sampling_strategy) if isinstance(sampling_strategy, Mapping) else sampling_strategy,
        "generator": {"name": chosen.name, **json.loads(chosen.config.model_dump_json())},
        "budget": budget,
        "seed": seed,
        "downstream": downstream,
        "max_draws": max_draws,
    }
    _open_run(run_dir, settings, resume)
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
        ungated = fitted.sample(len(valid), seed=derive_seed(seed, "ungated"))
        made = [_make(fitted, gates, group, seed=seed, max_draws=max_draws) for group in plan.groups if group.wanted]
        parts = [part.faces for part in made if part.faces is not None]
        learnt = "trainable" in fitted.capabilities
        faces = _joined(parts, fitted.name) if parts else train.select(slice(0, 0))
    with _Timer("writing the data set", timings):
        manifest = write_dataset(
            run_dir / "dataset",
            data,
            faces,
            target=attributes + strata,
            generator=fitted.name,
            generator_hash=fitted.fingerprint,
            seed=seed,
            learnt=learnt,
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
            seed=seed,
            show_real=real_images,
        )
        evaluators = ["fidelity"] if downstream == "off" else ["fidelity", "downstream"]
        measurements, artifacts, skipped = run_evaluators(context, evaluators)
    if downstream == "off":
        skipped.append(Skipped(evaluator="downstream", reason="was switched off."))
    evaluation = Evaluation(
        verdict=decide(measurements, skipped),
        measurements=[
            *_balance_measurements(plan.groups, made),
            *_gate_measurements(made, gates, learnt=learnt),
            *measurements,
        ],
        skipped=skipped,
        artifacts=[
            _balance_table(plan.groups, made),
            *_gate_tables(made, gates),
            *_face_grids(made, train, attributes, real_images, seed),
            *sample_grids(context),
            *artifacts,
            *_training_artifacts(run_dir),
        ],
        provenance={
            "job": "rebalance",
            "title": f"{' and '.join(attributes)} in {_short_name(data.source.spec)}, by {fitted.name}",
            "command": _command(settings),
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


def _short_name(spec: str) -> str:
    """A data set's name for titles: what a path ends with."""
    kind, _, rest = spec.rpartition(":")
    return spec if kind == "toy" else Path(rest).name or spec


def _capabilities(name: str) -> frozenset[str]:
    entries = GENERATORS.entries()
    if name not in entries:
        raise UnknownNameError(GENERATORS.kind, name, entries)
    return GENERATORS.get(name).capabilities


def _warn_of_few(groups: Sequence[Group]) -> None:
    for group in groups:
        if group.wanted and group.have < FEW_POSITIVES:
            log.warning(
                "Only %d training faces are %s. Expect made faces that resemble these few, many refused as copies, and "
                "wide intervals; compare with --generator resample.", group.have, group.label,
            )  # fmt: skip


def _create(generator: str | Generator, attributes: list[str]) -> Generator:
    """The generator; one that can show rare kinds more often is told which."""
    if isinstance(generator, Generator):
        return generator
    kind = GENERATORS.get(generator)
    return create_generator(generator, **({"balance": attributes} if "balance" in kind.Config.model_fields else {}))


def _open_run(run_dir: Path, settings: dict[str, Any], resume: bool) -> None:
    """Make the run folder with its settings, or check that the one to resume has the same."""
    config = run_dir / "config.toml"
    if resume and config.exists():
        before = tomllib.loads(config.read_text(encoding="utf-8"))
        changed = [key for key in before | settings if before.get(key) != json.loads(json.dumps(settings.get(key)))]
        if changed:
            raise UsageError(
                f"Cannot resume {run_dir}: {', '.join(changed)} changed since. Change back, or choose another folder."
            )
        return
    new_directory(run_dir)
    atomic_write(config, tomli_w.dumps(settings))


def _fit(generator: Generator, train: FaceDataset, *, budget: str, run_dir: Path, resume: bool, seed: int) -> Generator:
    """The fitted generator: a finished one from the run folder, or trained now."""
    directory = run_dir / "generator"
    if resume and (directory / "config.json").exists():
        return load_generator(directory)
    generator.fit(train, budget=budget, run_dir=run_dir, resume=resume, seed=seed)
    generator.save(directory)
    return generator


def _make(generator: Generator, gates: Gates, group: Group, *, seed: int, max_draws: int) -> Made:
    """Draw faces of one group until enough have passed the gates, or the draws are used up.

    The control that repeats real faces makes copies on purpose, so the copy gate is told but does not refuse them.
    """
    learnt = "trainable" in generator.capabilities
    conditional = "conditional" in generator.capabilities
    stream = generator.iter_samples(
        group.wanted * max_draws,
        where=group.where if conditional else None,
        seed=derive_seed(seed, "made", group.label),
    )
    parts: list[FaceDataset] = []
    nearest: list[int] = []
    counts = dict.fromkeys(("attribute", "copy", "plausible", "all"), 0)
    drawn = accepted = 0
    with tqdm(
        total=group.wanted, desc=f"making {group.label}", unit="face", disable=not sys.stderr.isatty()
    ) as progress:
        for faces in stream:
            passed = gates.check(faces, group.where)
            passed_all = passed.all if learnt else passed.attribute & passed.plausible
            rows = np.flatnonzero(passed_all)[: group.wanted - accepted]
            seen = len(faces) if accepted + len(rows) < group.wanted else int(rows[-1]) + 1
            drawn += seen
            for name, mask in {**vars(passed), "all": passed_all}.items():
                if name in counts:
                    counts[name] += int(mask[:seen].sum())
            accepted += len(rows)
            progress.update(len(rows))
            if len(rows):
                parts.append(
                    _labelled(faces.select(rows), group, {n: p[rows] for n, p in passed.probabilities.items()})
                )
                nearest += passed.nearest[rows].tolist()
            if accepted >= group.wanted:
                break
    if accepted < group.wanted:
        log.warning(
            "%s: %d of %d wanted faces passed the gates in %d draws; the data set is written with these.",
            group.label, accepted, group.wanted, drawn,
        )  # fmt: skip
    return Made(group, _joined(parts, generator.name) if parts else None, nearest, drawn, counts)


def _labelled(faces: FaceDataset, group: Group, probabilities: Mapping[str, Any]) -> FaceDataset:
    """Faces with what was asked for as their labels, and what the classifier sees of it among their factors."""
    assert faces.factors is not None
    attributes = faces.attributes.assign(
        **{name: pd.array([value] * len(faces), dtype="boolean") for name, value in group.where.items()}
    )
    factors = faces.factors.assign(**{f"verified_{name}": probability for name, probability in probabilities.items()})
    return FaceDataset.from_arrays(
        np.asarray(faces.images), attributes, factors=factors, spec=faces.source.spec, content_hash=""
    )


def _joined(parts: Sequence[FaceDataset], spec: str) -> FaceDataset:
    factors = pd.concat([part.factors for part in parts if part.factors is not None], ignore_index=True)
    joined = concatenate(parts, spec=spec)
    return FaceDataset.from_arrays(joined.images.stored, joined.attributes, factors=factors, spec=spec)


def _balance_measurements(groups: Sequence[Group], made: Sequence[Made]) -> list[Measurement]:
    """How many faces were made, and the share of each kind that was wanted before and after."""
    accepted = {part.group.label: len(part.nearest) for part in made}
    before = sum(group.have for group in groups)
    after = before + sum(accepted.values())
    measurements = []
    for part in made:
        group, count = part.group, accepted[part.group.label]
        common: dict[str, Any] = {
            "evaluator": "rebalance",
            "direction": "higher",
            "group": group.where,
            "n_real": group.have,
            "protocol": {"split": "train"},
        }
        measurements += [
            Measurement(name="wanted", value=group.wanted, meaning="Faces to be made.", **common),
            Measurement(
                name="made",
                value=count,
                verdict="pass" if count >= group.wanted else "warn",
                meaning="Faces that passed all gates and were added.",
                n_fake=count,
                **common,
            ),
            Measurement(
                name="share_before",
                value=group.have / before,
                unit="%",
                meaning="Share of the train split before.",
                **common,
            ),
            Measurement(
                name="share_after",
                value=(group.have + count) / after,
                unit="%",
                meaning="Share of the train split after.",
                **common,
            ),
        ]
    return measurements


def _gate_measurements(made: Sequence[Made], gates: Gates, *, learnt: bool) -> list[Measurement]:
    """The yield of each gate alone, and of all together."""
    gate_meanings = {
        "attribute": "Drawn faces in which the classifier sees what was asked for.",
        "copy": "Drawn faces that are no copy of a training face.",
        "plausible": "Drawn faces that lie as near to real ones as real ones of other people do.",
        "all": "Drawn faces that passed all gates.",
    }
    protocol: dict[str, dict[str, Any]] = {
        "attribute": {name: gates.classifier.threshold(name) for part in made for name in part.group.where},
        "copy": {"space": "pixels", "smallest_ratio": gates.smallest_ratio},
        "plausible": {"space": "attribute classifier", "largest_distance": gates.largest_distance},
        "all": {"gates": "attribute, copy, plausible" if learnt else "attribute, plausible"},
    }
    measurements = []
    for part in made:
        for gate, meaning in gate_meanings.items():
            value, low, high = proportion_interval(part.passed[gate], part.drawn)
            measurements.append(
                Measurement(
                    evaluator="rebalance",
                    name="yield" if gate == "all" else f"yield_{gate}",
                    value=value,
                    low=low,
                    high=high,
                    unit="%",
                    direction="higher",
                    meaning=meaning,
                    n_fake=part.drawn,
                    group=part.group.where,
                    protocol=protocol[gate],
                )
            )
    return measurements


def _balance_table(groups: Sequence[Group], made: Sequence[Made]) -> Artifact:
    accepted = {part.group.label: len(part.nearest) for part in made}
    rows = [(group.label, group.have, group.have + accepted.get(group.label, 0)) for group in groups]
    return table(
        pd.DataFrame(rows, columns=["class", "before", "after"]),
        name="balance",
        title="Training faces of each class",
        caption="Faces of each class in the train split, before and after the made ones were added.",
        section="balance",
    )


def _gate_tables(made: Sequence[Made], gates: Gates) -> list[Artifact]:
    """How good the classifier behind the attribute gate is."""
    names = sorted({name for part in made for name in part.group.where})
    rows = [
        (name, gates.classifier.thresholds[name].balanced_accuracy)
        for name in names
        if name in gates.classifier.thresholds
    ]
    if not rows:
        return []
    return [
        table(
            pd.DataFrame(rows, columns=["attribute", "balanced accuracy"]).round(4),
            name="gate-classifier",
            title="How well the attribute gate tells",
            caption="Balanced accuracy of the attribute gate's classifier on real training people whom it did not "
            "learn from.",
            section="gates",
        )
    ]


def _face_grids(
    made: Sequence[Made], train: FaceDataset, attributes: list[str], real_images: bool, seed: int
) -> list[ImageGrid]:
    """Real faces of each wanted kind, made ones, and the training face nearest to each made one."""
    grids = []
    for part in made:
        if part.faces is None:
            continue
        columns = min(12, len(part.faces), part.group.have)
        random = np.random.default_rng(derive_seed(seed, "grid", part.group.label))
        shown = np.sort(random.choice(len(part.faces), columns, replace=False))
        rows = {"made": part.faces.images[shown]}
        if real_images:
            minority = np.flatnonzero(train.matching(part.group.where))
            real = train.images[np.sort(random.choice(minority, columns, replace=False))]
            nearest = train.images[np.array(part.nearest)[shown]]
            rows = {"real": real, **rows, "nearest training face": nearest}
        caption = f"Faces with {part.group.label}, chosen at random: {', '.join(rows)}"
        grids.append(
            image_grid(
                list(rows.values()),
                name=f"faces-{part.group.label}",
                title=f"Faces with {part.group.label}",
                caption=caption
                + ("; each nearest training face belongs to the made one above it." if real_images else "."),
                section="samples",
                row_labels=list(rows),
                shows_real_people=real_images and shows_people(train),
            )
        )
    return grids


def _training_artifacts(run_dir: Path) -> list[Artifact]:
    """Loss curves and the same noise over training time, where the generator left them."""
    from PIL import Image

    artifacts: list[Artifact] = []
    if (run_dir / "log.jsonl").exists():
        entries = pd.read_json(run_dir / "log.jsonl", lines=True)
        artifacts.append(
            series(
                entries["images"],
                {"discriminator": entries["discriminator_loss"], "generator": entries["generator_loss"]},
                name="losses",
                title="Losses",
                caption="Losses of the discriminator and the generator over the images seen.",
                section="training",
                x_label="images seen",
                y_label="loss",
            )
        )
    previews = sorted((run_dir / "previews").glob("*.png"))
    if previews:
        strips = [np.asarray(Image.open(path)) for path in previews]
        side = strips[0].shape[0]
        artifacts.append(
            image_grid(
                [strip.reshape(side, -1, side, 3).swapaxes(0, 1) for strip in strips],
                name="previews",
                title="The same noise over training time",
                caption="Faces made from the same noise and the same requests, from the start of training to its end.",
                section="training",
                row_labels=[f"{int(path.stem):,} images" for path in previews],
            )
        )
    return artifacts


def _command(settings: Mapping[str, Any]) -> str:
    """The command line that makes this run again."""
    words = ["augface rebalance", *(f"--attr {name}" for name in settings["attr"])]
    words += [f"--within {name}" for name in settings["within"]]
    if isinstance(settings["sampling_strategy"], float):
        words.append(f"--ratio {settings['sampling_strategy']:g}")
    words.append(f"--data {settings['data']} --generator {settings['generator']['name']} --budget {settings['budget']}")
    words.append(f"--size {settings['size']} --seed {settings['seed']} --downstream {settings['downstream']}")
    return " ".join(words)


def _write_card(manifest: Manifest, evaluation: Evaluation) -> None:
    """Tell the data set's README what has been measured."""
    yields = {
        f"{measurement.name} ({', '.join(f'{name}={int(value)}' for name, value in measurement.group.items())})": (
            f"{measurement.value:.1%}"
        )
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
