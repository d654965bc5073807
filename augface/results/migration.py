"""Results files of older formats, brought to the present one before they are checked."""

from __future__ import annotations

from typing import Any

FOUND = {
    "rival": "control",
    "ours": "treatment",
    "harmed": "harmed",
    "smallest_visible_effect": "smallest_visible_effect",
    "smallest_visible_originals": "smallest_visible_originals",
}
"""Outcomes that format 1 kept among the constants of the protocol, and what they are called now."""


def upgraded(content: Any) -> Any:
    """The content of a results file in the present format; what is not a file of format 1 is returned as it is."""
    if not isinstance(content, dict) or content.get("schema") != 1:
        return content
    measurements = content.get("measurements")
    if not isinstance(measurements, list):
        return content
    return {**content, "schema": 2, "measurements": [_upgraded_measurement(each) for each in measurements]}


def _upgraded_measurement(measurement: Any) -> Any:
    """Format 1 had the arm, the attribute and what was found in the protocol."""
    if not isinstance(measurement, dict) or not isinstance(measurement.get("protocol"), dict):
        return measurement
    protocol = dict(measurement["protocol"])
    moved: dict[str, Any] = {}
    for name in ("arm", "attribute"):
        if isinstance(protocol.get(name), str):
            moved[name] = protocol.pop(name)
    moved["found"] = {new: protocol.pop(old) for old, new in FOUND.items() if old in protocol}
    return {**measurement, **moved, "protocol": protocol}
