"""The JSON form of messages that the test vectors have: testvectors/README.md, Values."""

from __future__ import annotations

import json
import pathlib
from typing import Any, TypeGuard

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "testvectors"


def from_json(value: Any) -> Any:
    """Return the value that a JSON form stands for: {"hex"} and {"utf8"} are bytes."""
    if _is_list(value):
        return [from_json(element) for element in value]
    if not _is_map(value):
        return value
    if len(value) == 1:
        if isinstance(value.get("hex"), str):
            return bytes.fromhex(value["hex"])
        if isinstance(value.get("utf8"), str):
            return value["utf8"].encode()
    return {name: from_json(member) for name, member in value.items()}


def to_json(value: Any) -> Any:
    """Return the JSON form of a value."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": value.hex()}
    if _is_list(value):
        return [to_json(element) for element in value]
    if _is_map(value):
        return {name: to_json(member) for name, member in value.items()}
    return value


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def vectors(area: str) -> list[dict[str, Any]]:
    """Return the vectors in the file of an area."""
    document = json.loads((VECTORS / f"{area}.json").read_text())
    assert document["version"] == 1
    return list(document["vectors"])


def areas() -> list[str]:
    return sorted(path.stem for path in VECTORS.glob("*.json"))
