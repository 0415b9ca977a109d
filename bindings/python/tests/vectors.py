"""The test vectors, as ../../../testvectors/README.md describes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def vectors(area: str) -> list[dict[str, Any]]:
    """Returns the vectors of an area, or of "hosts/effects", in their JSON form."""
    document = json.loads((ROOT / "testvectors" / f"{area}.json").read_text())
    if document["version"] != 1:
        raise ValueError("the file of vectors is not of version 1")
    found: list[dict[str, Any]] = document["vectors"]
    return found


def from_json(value: Any) -> Any:
    """Returns the value that a JSON form stands for: {hex} and {utf8} are bytes."""
    if isinstance(value, list):
        return [from_json(element) for element in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["hex"] and isinstance(value["hex"], str):
        return bytes.fromhex(value["hex"])
    if list(value) == ["utf8"] and isinstance(value["utf8"], str):
        return value["utf8"].encode()
    return {name: from_json(member) for name, member in value.items()}


def to_json(value: Any) -> Any:
    """Returns the JSON form of a value."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, list):
        return [to_json(element) for element in value]
    if isinstance(value, dict):
        return {name: to_json(member) for name, member in value.items()}
    return value
