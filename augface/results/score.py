"""A measurement that is a number: what the one-line functions give."""

from __future__ import annotations

from typing import Any, Self

from augface.results.schema import Measurement


class Score(float):
    """A `float` that carries its measurement, whose fields it has too: `low`, `high`, `baseline`, `n_real`, `protocol`.

    Everything that takes a float takes it: comparisons, format specifications, means, plots, JSON, trackers. Alone it
    shows its 95 % interval. NaN where the measurement has no value.

    >>> score = Score(Measurement(evaluator="fidelity", name="fid", value=2.5, low=2.1, high=2.9, direction="lower"))
    >>> score < 3, f"{score:.1f}", score.high
    (True, '2.5', 2.9)
    >>> score
    2.5 [2.1, 2.9]
    """

    measurement: Measurement

    def __new__(cls, measurement: Measurement) -> Self:
        """The value of a measurement."""
        score = super().__new__(cls, float("nan") if measurement.value is None else measurement.value)
        score.measurement = measurement
        return score

    def __getnewargs__(self) -> tuple[Measurement]:  # type: ignore[override]  # of a float that is made of another thing
        return (self.measurement,)

    def __getattr__(self, name: str) -> Any:
        if name == "measurement" or name.startswith("_"):  # what copying and pickling ask for is this object's own
            raise AttributeError(name)
        return getattr(self.measurement, name)

    def __repr__(self) -> str:
        low, high = self.measurement.low, self.measurement.high
        interval = "" if low is None or high is None else f" [{low:.4g}, {high:.4g}]"
        return f"{float(self):.4g}{interval}"

    __str__ = __repr__
