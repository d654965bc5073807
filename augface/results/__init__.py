"""The product: measurements with their evidence, the JSON file that holds them, and runs beside each other."""

from augface.results.schema import (
    REBALANCING,
    SCHEMA,
    Advice,
    Artifact,
    Baseline,
    Decision,
    Evaluation,
    ImageGrid,
    Light,
    Measurement,
    Section,
    Series,
    Skipped,
    Table,
    Verdict,
)
from augface.results.severity import Severity

__all__ = [
    "REBALANCING",
    "SCHEMA",
    "Advice",
    "Artifact",
    "Baseline",
    "Decision",
    "Evaluation",
    "ImageGrid",
    "Light",
    "Measurement",
    "Section",
    "Series",
    "Severity",
    "Skipped",
    "Table",
    "Verdict",
]
