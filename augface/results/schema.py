"""The product: measurements with their evidence, and the JSON file that holds them.

Everything that a report shows is in an `Evaluation`; nothing here knows how a number was made.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from augface.errors import DataError, spelled
from augface.files import atomic_write
from augface.results.migration import upgraded
from augface.results.severity import Severity
from augface.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SCHEMA = 2
"""The version of the results format. It grows by one when a reader of the old format would misread a new file; older
files are still read (`augface.results.migration`)."""

REBALANCING = "rebalance"
"""What measurements of a rebalancing itself, such as yields, have in the place of an evaluator's name."""

LONGEST_REASON = 160
"""Letters of a verdict in the short form of an evaluation."""

Light = Literal["helps", "realistic", "diverse", "obeys", "copies"]
"""The questions that a person has first: do the faces help, are they realistic and diverse, do they show what was
requested, and are they free of copies?"""

Decision = Literal["use", "do not use", "no evidence", "nothing to gain", "not assessed"]


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""A finite number, or None where it is not defined: JSON has neither NaN nor infinity."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Baseline(_Record):
    """The same measure of real against real, at the same n on both sides."""

    value: Number
    low: Number = None
    high: Number = None
    n: int


class Measurement(_Record):
    """One number with everything that is needed to believe it or not.

    Example::

        for measurement in augface.Evaluation.from_json("run/results.json").measurements:
            print(measurement.name, measurement.value, measurement.low, measurement.high, measurement.verdict)
    """

    evaluator: str
    name: str
    label: str = ""
    """The name for people, such as `Kernel distance`."""
    section: str = ""
    """The key of the section it belongs to; that of its evaluator where empty."""
    value: Number
    low: Number = None
    """Lower end of the 95 % interval."""
    high: Number = None
    p_value: Number = None
    direction: Literal["lower", "higher", "target"]
    """Which way is better. `target`: there is a value to hit, given by the baseline."""
    baseline: Baseline | None = None
    verdict: Severity = "info"
    """How bad it is; see `augface.results.severity`."""
    alarm: bool | None = None
    """Whether a test whose false alarms are calibrated found something wrong; None where there is no such test."""
    unit: str = ""
    signed: bool = False
    """Whether the number is a difference, which is shown with its sign."""
    meaning: str = ""
    """What the number says, in one sentence for people."""
    n_real: int | None = None
    n_fake: int | None = None
    space: str | None = None
    group: dict[str, bool] = Field(default_factory=dict)
    """The subgroup of faces that the number is about, as attributes with their values; empty for all faces."""
    arm: str | None = None
    """The arm of an experiment that the number is about: one of the training methods that are compared."""
    attribute: str | None = None
    """The attribute that the number is about, where it is not about faces with certain attributes."""
    protocol: dict[str, Any] = Field(default_factory=dict)
    """Every constant that was set beforehand and changes the number. Numbers with different protocols cannot be
    compared."""
    found: dict[str, Any] = Field(default_factory=dict)
    """What was found together with the number, such as which arm was chosen; it is never a reason not to compare."""

    def __repr__(self) -> str:
        interval = f" ({self.low:.3g} to {self.high:.3g})" if self.low is not None and self.high is not None else ""
        value = "None" if self.value is None else f"{self.value:.4g}"
        real = self.baseline.value if self.baseline else None
        group = ",".join(f"{name}={int(shown)}" for name, shown in self.group.items())
        about = [
            *(text for text in (self.space, group, self.arm, self.attribute) if text),
            *([f"real against real {real:.3g}"] if real is not None else []),
            self.verdict,
        ]
        return f"Measurement({self.evaluator}.{self.name} = {value}{interval}; {'; '.join(about)})"

    __str__ = __repr__


class Skipped(_Record):
    """Something that was not measured, and why."""

    evaluator: str
    reason: str


class Advice(_Record):
    """Something to do next."""

    title: str
    """What to do, in a short imperative sentence."""
    reason: str
    """Why, with the numbers that say so, in a sentence or two."""
    command: str = ""
    """A command line that does it; empty where none does."""
    evidence: list[str] = Field(default_factory=list)
    """The measurements that it rests on, as `evaluator.name`."""


class ImageGrid(_Record):
    """Faces side by side, as one sheet in WebP. Rows may carry labels."""

    kind: Literal["images"] = "images"
    name: str
    title: str
    caption: str
    """What the picture shows, in words: also read aloud by screen readers."""
    section: str
    """Where in a report it belongs: an evaluator's name, `samples`, `training`, …"""
    tile: int
    """Pixels of one face's side."""
    columns: int
    rows: int
    row_labels: list[str] = Field(default_factory=list)
    webp: str = Field(repr=False)
    """The sheet, base64."""
    shows_real_people: bool = False

    @property
    def bytes(self) -> bytes:
        """The sheet as the bytes of a WebP file."""
        return base64.b64decode(self.webp)


class Table(_Record):
    """A table of plain cells."""

    kind: Literal["table"] = "table"
    name: str
    title: str
    caption: str
    section: str
    figure: Literal["before and after", "matrix", "seeds", "shares"] | None = None
    """How the table is drawn: counts before and after, shares of faces that show what was requested as a map, a dot for
    each seed of each arm, or any shares as a map."""
    attribute: str | None = None
    """The attribute that the table is about, where it is about one."""
    columns: list[str]
    rows: list[list[str | int | Number | bool]]


class Series(_Record):
    """Curves over a common axis, such as losses over images seen."""

    kind: Literal["series"] = "series"
    name: str
    title: str
    caption: str
    section: str
    x_label: str
    y_label: str
    x: list[Number]
    lines: dict[str, list[Number]]


Artifact = Annotated[ImageGrid | Table | Series, Field(discriminator="kind")]


class Section(_Record):
    """A chapter of the results: what was measured together, and how it is to be read."""

    key: str
    """The name of an evaluator, or of another part such as `samples`; measurements and artifacts refer to it."""
    title: str
    meaning: str
    """What the numbers of this section mean, in a sentence or two."""
    key_measures: tuple[str, ...] = ()
    """Names of the measurements that matter most, in order."""
    one_each: bool = False
    """Whether the first measurement of a name stands for those in other spaces and of other attributes."""
    by_group: str = ""
    """The name of the measurement that is drawn group by group; empty where none is."""
    each_group: bool = False
    """Whether every group counts as all faces do, as where groups are the faces of several generators."""
    depends_on_n: bool = False
    """Whether the numbers change with the number of faces, so that only equal numbers of faces can be compared."""
    decides: bool = False
    """Whether the verdict rests on it."""
    lights: dict[Light, tuple[str, ...]] = Field(default_factory=dict)
    """The questions that this section answers, each with the measurements that it is answered by."""
    baseline: str = "real against real"
    """What the baselines of its measurements are."""
    separability: str = ""
    """The name of the measurement that says how well a classifier distinguishes synthetic from real faces, as the area
    under the ROC curve; empty where none does. People are compared with it."""


class Verdict(_Record):
    """The answer to the question whether to use the synthetic faces."""

    decision: Decision
    reason: str
    sentence: str = ""
    """The answer in a sentence, where another question was asked; that of the decision where empty."""


class Evaluation(_Record):
    """All that was measured of one synthetic set: the content of `results.json`.

    Example::

        evaluation = augface.Evaluation.from_json("run/results.json")
        print(evaluation.verdict.decision, [advice.title for advice in evaluation.advice])
        evaluation.to_html("report.html")
    """

    schema_version: Literal[2] = Field(default=2, alias="schema")
    verdict: Verdict
    advice: list[Advice] = Field(default_factory=list)
    """What to do next, the most important first."""
    measurements: list[Measurement]
    sections: list[Section] = Field(default_factory=list)
    """What the measurements and artifacts belong to, in the order in which they are to be read."""
    skipped: list[Skipped] = Field(default_factory=list)
    artifacts: list[Artifact] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Data, seeds, versions, settings and the command: what it takes to make it again."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def __repr__(self) -> str:
        verdict = " ".join(f"{self.verdict.decision}: {self.verdict.reason}".split())
        return (
            f"Evaluation({verdict if len(verdict) <= LONGEST_REASON else verdict[: LONGEST_REASON - 1] + '…'} "
            f"({counted(len(self.measurements), 'measurement')} in {counted(len(self.sections), 'section')}))"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from augface.report.render import first_screen

        return first_screen(self)

    def plot(self, name: str, *, ax: Axes | None = None) -> Axes:
        """Draw all measurements of a name, with their intervals and what real faces have.

        Args:
            name: such as `kernel_distance`; `to_frame()["name"]` has them all.
            ax: where to draw; a new figure of seaborn's style where not given.

        Raises:
            UnknownNameError: nothing of that name was measured; close matches are named.
        """
        from augface.report.plots import plot_measurements

        spelt = spelled("measurement", name, dict.fromkeys(one.name for one in self.measurements))
        return plot_measurements([one for one in self.measurements if one.name == spelt], ax)

    def select(
        self, evaluator: str, name: str | None = None, group: Mapping[str, bool] | None = None
    ) -> list[Measurement]:
        """The measurements of one evaluator, optionally of one name and group."""
        return [
            measurement
            for measurement in self.measurements
            if measurement.evaluator == evaluator
            and (name is None or measurement.name == name)
            and (group is None or measurement.group == group)
        ]

    def to_frame(self) -> pd.DataFrame:
        """One row a measurement, with the baseline's fields as `baseline_value`, `baseline_low`, … ."""
        import pandas as pd

        rows = []
        for measurement in self.measurements:
            row = measurement.model_dump(exclude={"baseline"})
            baseline = measurement.baseline
            for field in Baseline.model_fields:
                row[f"baseline_{field}"] = getattr(baseline, field) if baseline else None
            rows.append(row)
        return pd.DataFrame(rows)

    def to_json(self, path: str | Path | None = None) -> str:
        """The results as JSON text, written to `path` where one is given."""
        text = self.model_dump_json(indent=1, by_alias=True) + "\n"
        if path is not None:
            atomic_write(Path(path), text)
        return text

    def to_html(self, path: str | Path | None = None, *, real_images: bool = True) -> str:
        """The report, one self-contained page, written to `path` where one is given."""
        from augface.report import render

        text = render(self, real_images=real_images)
        if path is not None:
            atomic_write(Path(path), text)
        return text

    @classmethod
    def from_json(cls, source: str | Path) -> Evaluation:
        """Read `results.json`.

        Raises:
            DataError: no such file, not JSON, of a newer format, or not a results file.
        """
        path = Path(source)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"Cannot read the results file {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is not a results file: it is not JSON ({error}).") from error
        version = content.get("schema") if isinstance(content, dict) else None
        if isinstance(version, int) and version > SCHEMA:
            raise DataError(
                f"{path} has results format {version}, and this augface reads up to {SCHEMA}. Install a newer augface."
            )
        try:
            return cls.model_validate(upgraded(content))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise DataError(f"{path} is not a results file of augface: {where}: {first['msg']}.") from error
