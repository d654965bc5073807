"""Writes docs/results.schema.json, the JSON Schema of results.json: python docs/results_schema.py."""

from __future__ import annotations

import json
from pathlib import Path

from augface.results import SCHEMA, Evaluation

FILE = Path(__file__).with_name("results.schema.json")


def schema_text() -> str:
    """The schema of the format that this version of augface writes."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Evaluation.model_json_schema(by_alias=True),
        "title": f"Results of augface, format {SCHEMA}",
    }
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
