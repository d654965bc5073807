"""The product: measurements with their evidence, the JSON file that holds them, and runs beside each other."""

from augface.results.schema import (
    REBALANCING,
    SCHEMA,
    Artifact,
    Baseline,
    Decision,
    Evaluation,
    ImageGrid,
    Measurement,
    Section,
    Series,
    Skipped,
    Table,
    Verdict,
)

__all__ = [
    "REBALANCING",
    "SCHEMA",
    "Artifact",
    "Baseline",
    "Decision",
    "Evaluation",
    "ImageGrid",
    "Measurement",
    "Section",
    "Series",
    "Skipped",
    "Table",
    "Verdict",
]
