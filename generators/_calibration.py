"""What conditions, or what noise, an edit of a given strength takes; measured once, on training faces.

A classifier that the generator never saw says how sure one can be that a face shows an attribute (log-odds). Strength 1
is the mean difference between real faces with the attribute and without, of people from whom the classifier did not
learn. How faces answer to their conditions is measured on generated faces and, apart, on training faces to which the
generator was tuned, since those answer less.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Floats32, Floats64, Pixels
from augface.data.dataset import FaceDataset, rows_with
from augface.data.splits import inner_fold
from augface.errors import DataError, UsageError
from augface.files import atomic_write
from augface.generators._codes import Codes, concatenate_codes
from augface.progress import progress
from augface.seeds import derive_seed, random_generator

if TYPE_CHECKING:
    from augface.classifiers.attributes import AttributeClassifier

FORMAT = 2
GRID = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Conditions at which faces are looked at, or steps along a direction of the noise."""
IMAGES = 60_000
"""Images that the classifier is shown in all: a quarter of them hardly teach what one face in fifteen shows."""
GENERATED, TUNED, DRAWN = 32, 20, 1000
"""Faces that doses are measured on: generated ones, training faces tuned to, and those that directions are found in."""
BEYOND = 100.0
"""A strength that no face reaches."""
FEWEST = 10
"""Held-out faces of either kind, below which an attribute's unit is not known."""
DAMAGED = 0.1
"""A condition is safe while at most so much more of the faces fail the face check than without any change."""
RIDGE = 100.0
"""Weight of the squared coefficients of a direction, against as many faces as are drawn."""


@dataclass(frozen=True)
class Dose:
    """How faces answer to what changes one attribute.

    Attributes:
        unit: log-odds of strength 1.
        answers: mean log-odds of generated faces at each point of `GRID`, never falling.
        photo_answers: those of faces that the generator was tuned to.
        low, high: the least and the greatest safe points, from -3 to 3.
        photo_low, photo_high: those of faces that the generator was tuned to.
        companions: how much other conditions move with that of the attribute, for each 1 of it.
        direction: of the noise, where there are no conditions; of length 1.
    """

    unit: float
    answers: list[float]
    photo_answers: list[float]
    low: float
    high: float
    photo_low: float
    photo_high: float
    companions: dict[str, float]
    direction: list[float]

    @property
    def reach(self) -> float:
        """How many strengths lie between the ends of what is safe."""
        low, high = np.interp([self.low, self.high], GRID, self.answers)
        return float(high - low) / self.unit

    def point(self, start: float, strength: float, *, photo: bool) -> tuple[float, float]:
        """Where on the grid a face has to be that is at `start`, and the strength that is reached there."""
        answers = self.photo_answers if photo else self.answers
        start = float(np.clip(start, GRID[0], GRID[-1]))
        before = float(np.interp(start, GRID, answers))
        # np.interp wants rising values, and a flat part has no inverse
        rising = np.array(answers) + 1e-6 * np.arange(len(answers))
        wanted = float(np.interp(before + strength * self.unit, rising, GRID))
        low, high = (self.photo_low, self.photo_high) if photo else (self.low, self.high)
        low, high = min(low, start), max(high, start)
        point = start if strength == 0 else float(np.clip(wanted, low, high))
        return point, (float(np.interp(point, GRID, answers)) - before) / self.unit


@dataclass(frozen=True)
class Calibration:
    """The doses of all attributes that a generator can be steered by."""

    generator: str
    """The fingerprint of the generator that they are of."""
    attributes: list[str]
    """All columns of its conditions."""
    doses: dict[str, Dose]

    def edit(self, codes: Codes, attribute: str, strength: float) -> tuple[Codes, Floats64]:
        """The codes with an attribute changed, and (N,) the strengths that they reach within what is safe."""
        dose = self.doses[attribute]
        pairs = zip(self._starts(codes, attribute).tolist(), codes.is_of_photo.tolist(), strict=True)
        points = np.array([dose.point(start, strength, photo=photo) for start, photo in pairs])
        return (codes if strength == 0 else self.moved(codes, attribute, points[:, 0])), points[:, 1]

    def ends(self, codes: Codes, attribute: str) -> Floats64:
        """(N, 2) the least and the greatest strength that each face can be given within what is safe."""
        dose = self.doses[attribute]
        pairs = zip(self._starts(codes, attribute).tolist(), codes.is_of_photo.tolist(), strict=True)
        return np.array(
            [[dose.point(start, end, photo=photo)[1] for end in (-BEYOND, BEYOND)] for start, photo in pairs]
        )

    def moved(self, codes: Codes, attribute: str, points: Floats64) -> Codes:
        """The codes with each face brought to a point (N,) of an attribute's grid."""
        dose, change = self.doses[attribute], points - self._starts(codes, attribute)
        if dose.direction:
            noise = codes.noise + change[:, None] * np.array(dose.direction)
            return replace(codes, noise=noise.astype(np.float32))
        conditions = codes.conditions.copy()
        for name, share in {attribute: 1.0, **dose.companions}.items():
            column = self.attributes.index(name)
            conditions[:, column] = (conditions[:, column] + share * change).clip(GRID[0], GRID[-1])
        return replace(codes, conditions=conditions)

    def _starts(self, codes: Codes, attribute: str) -> Floats64:
        """(N,) where on the grid each face is."""
        direction = self.doses[attribute].direction
        if direction:
            return np.asarray(codes.noise @ np.array(direction), dtype=np.float64)
        return codes.conditions[:, self.attributes.index(attribute)].astype(np.float64)

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        atomic_write(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """What `save` wrote.

        Raises:
            DataError: the file is damaged, or of another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError("it is of another version of augface")
            doses = {str(name): Dose(**dose) for name, dose in content["doses"].items()}
            loaded = cls(str(content["generator"]), [str(name) for name in content["attributes"]], doses)
            for dose in doses.values():
                ends = [dose.low, dose.high, dose.photo_low, dose.photo_high]
                values = [dose.unit, *ends, *dose.answers, *dose.photo_answers, *dose.direction]
                if not np.isfinite([*values, *dose.companions.values()]).all() or dose.unit <= 0:
                    raise ValueError("it holds numbers that mean nothing")
                if {len(dose.answers), len(dose.photo_answers)} != {len(GRID)}:
                    raise ValueError("it is of another grid")
                if not {*doses, *dose.companions} <= set(loaded.attributes):
                    raise ValueError("it names attributes that it does not have")
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} is no calibration: {error}. Remove it, and it is made again.") from error
        return loaded


@dataclass(frozen=True)
class Faces:
    """What doses are measured with: how codes become pictures, and whether those are still faces."""

    look: Callable[[Codes], Pixels]
    damaged: Callable[[Pixels], Booleans]
    """Which faces fail the face check."""


def calibrate(
    fingerprint: str,
    data: FaceDataset,
    generated: Codes,
    tuned: Codes,
    faces: Faces,
    *,
    chosen: Collection[str] | None,
    classifier: AttributeClassifier | None,
    seed: int,
    accompanied: bool = True,
) -> Calibration:
    """Measure doses.

    Args:
        fingerprint: of the generator.
        data: training faces with labels.
        generated: codes of `GENERATED` faces or, where the generator has no conditions, of `DRAWN`.
        tuned: codes of training faces that the generator was tuned to.
        faces: how to look at codes.
        chosen: the attributes to measure; all where not given.
        classifier: one that did not learn from the people of `data`; where not given it learns from a part of them.
        seed: of the classifier, and of the fold of people that it does not learn from.
        accompanied: whether attributes that go with one come along where its own condition does not reach.

    Raises:
        UsageError: no attribute has enough held-out faces of both kinds.
    """
    judge, inner = (classifier, data) if classifier is not None else _learnt(data, seed)
    units = _units(judge.log_odds(inner.images), inner.attributes)
    units = {name: unit for name, unit in units.items() if chosen is None or name in chosen}
    if not units:
        raise UsageError(
            f"{data.source.spec}: no attribute has {FEWEST} faces with it and {FEWEST} without among those held out, "
            "so there is nothing to measure strengths by."
        )
    attributes = list(map(str, data.attributes.columns))
    if generated.conditions.shape[1]:
        empty = {name: _bare(unit) for name, unit in units.items()}
    else:
        directions = _directions(generated.noise, judge.log_odds(faces.look(generated)), attributes)
        empty = {name: replace(_bare(unit), direction=directions[name].tolist()) for name, unit in units.items()}
        generated = generated.select(np.arange(min(GENERATED, len(generated))))
    draft = Calibration(fingerprint, attributes, empty)
    accompanied &= generated.conditions.shape[1] > 0
    natural = data.attributes.astype("Float64").cov(min_periods=2) if accompanied else None
    doses = {}
    for name in progress(iterable=list(units), desc="measuring edits", unit="attributes"):
        dose = _measured(draft, name, generated, tuned, judge, faces)
        if natural is not None and not _reaches(dose):
            companions = _companions(natural, name)
            richer = Calibration(fingerprint, attributes, {name: replace(empty[name], companions=companions)})
            dose = _measured(richer, name, generated, tuned, judge, faces)
        if dose.answers[-1] > dose.answers[0]:
            doses[name] = dose
    return Calibration(fingerprint, attributes, doses)


def _learnt(data: FaceDataset, seed: int) -> tuple[AttributeClassifier, FaceDataset]:
    """A classifier of four fifths of the people, and the faces of the others."""
    from augface.classifiers.attributes import AttributeClassifier

    held_out = inner_fold(data, 0.2, derive_seed(seed, "calibration fold"))
    classifier = AttributeClassifier.train(
        data.select(~held_out), seed=derive_seed(seed, "calibration"), images=min(IMAGES, 20 * len(data))
    )
    return classifier, data.select(held_out)


def _bare(unit: float) -> Dose:
    return Dose(unit, [0.0] * len(GRID), [0.0] * len(GRID), GRID[0], GRID[-1], GRID[0], GRID[-1], {}, [])


def _units(log_odds: Floats32, labels: pd.DataFrame) -> dict[str, float]:
    """Of each attribute with enough faces, how much higher its log-odds are on average where it is present."""
    units = {}
    for column, name in enumerate(labels):
        present, absent = (rows_with(labels, [(str(name), value)]) for value in (True, False))
        if min(present.sum(), absent.sum()) >= FEWEST:
            difference = log_odds[present, column].mean() - log_odds[absent, column].mean()
            if difference > 0:
                units[str(name)] = float(difference)
    return units


def _measured(
    calibration: Calibration, name: str, generated: Codes, tuned: Codes, judge: AttributeClassifier, faces: Faces
) -> Dose:
    """The dose of one attribute, with the companions or the direction that it has so far."""
    column = judge.column(name)
    answers: list[list[float]] = []
    ends: list[tuple[float, float]] = []
    for codes in (generated, tuned):
        everywhere = concatenate_codes([_at(calibration, codes, name, point) for point in GRID])
        pictures = faces.look(everywhere)
        seen = judge.log_odds(pictures)[:, column].reshape(len(GRID), len(codes)).mean(axis=1)
        answers.append(np.maximum.accumulate(seen).tolist())
        ends.append(_safe(faces.damaged(pictures).reshape(len(GRID), len(codes)).mean(axis=1).tolist()))
    (low, high), (photo_low, photo_high) = ends
    measured = replace(calibration.doses[name], answers=answers[0], photo_answers=answers[1], low=low, high=high)
    return replace(measured, photo_low=photo_low, photo_high=photo_high)


def _safe(damaged: list[float]) -> tuple[float, float]:
    """The ends of the grid's part in which not many more faces are damaged than at its middle."""
    allowed = damaged[GRID.index(0.0)] + DAMAGED
    low = min(point for point in GRID if point <= 0 and max(_between(damaged, point, 0.0)) <= allowed)
    high = max(point for point in GRID if point >= 0 and max(_between(damaged, 0.0, point)) <= allowed)
    return low, high


def _at(calibration: Calibration, codes: Codes, name: str, point: float) -> Codes:
    """All faces brought to one point of the grid."""
    return calibration.moved(codes, name, np.full(len(codes), point))


def _between(values: list[float], first: float, last: float) -> list[float]:
    return values[GRID.index(first) : GRID.index(last) + 1]


def _reaches(dose: Dose) -> bool:
    """Whether a face that has the attribute as a label has it can be given one that has it not, and the other way."""
    answers = np.interp([max(dose.low, -1.0), min(dose.high, 1.0), dose.low, dose.high], GRID, dose.answers)
    return bool(answers[3] - answers[0] >= dose.unit and answers[1] - answers[2] >= dose.unit)


def _companions(covariance: pd.DataFrame, name: str) -> dict[str, float]:
    """How much more often other attributes come with one: the slopes of regressions on it, the larger ones."""
    slopes = covariance[name] / float(covariance[name][name])
    return {str(other): float(slope) for other, slope in slopes.items() if other != name and abs(slope) >= 0.1}


def _directions(noise: Floats32, log_odds: Floats32, attributes: list[str]) -> dict[str, Floats32]:
    """Directions of the noise that change one attribute each and, to first order, no other one.

    Ridge regression of log-odds on the noise, projected off the other attributes' directions but for those that are
    nearly the same.
    """
    noise = noise - noise.mean(axis=0)
    scores = (log_odds - log_odds.mean(axis=0)) / log_odds.std(axis=0).clip(min=1e-6)
    slopes = np.linalg.solve(noise.T @ noise + RIDGE * np.eye(noise.shape[1]), noise.T @ scores).T
    slopes /= np.linalg.norm(slopes, axis=1, keepdims=True).clip(min=1e-9)
    found = {}
    for row, name in enumerate(attributes):
        likeness = slopes @ slopes[row]
        others = slopes[(np.abs(likeness) < 0.7)]
        # no more than half of the dimensions are given up
        strongest = others[np.argsort(-np.abs(others @ slopes[row]))[: noise.shape[1] // 2]]
        basis = np.linalg.qr(strongest.T)[0] if len(strongest) else np.zeros((noise.shape[1], 0))
        direction = slopes[row] - basis @ (basis.T @ slopes[row])
        found[name] = (direction / max(float(np.linalg.norm(direction)), 1e-9)).astype(np.float32)
    return found


def draw_rows(data: FaceDataset, count: int, seed: int) -> FaceDataset:
    """So many training faces at random."""
    return data.select(np.sort(random_generator(seed, "calibration faces").permutation(len(data))[:count]))
