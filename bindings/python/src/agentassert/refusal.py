"""What a backend says when it refuses an assertion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .answer import is_map
from .shapes import is_mapping

MAX_REFUSAL = 64 << 10
"""How much of a refusal's body is looked at, in bytes."""

_MAX_TEXT = 256  # the longest code, and the longest date, that mean something here


def error_code(body: bytes) -> str | None:
    """Return the code in the body of a refusal, {"error":{"code":…}}, or None. It fails at nothing."""
    try:
        document = json.loads(bytes(body[:MAX_REFUSAL]))
    except (ValueError, RecursionError, TypeError):
        return None
    error = document.get("error") if is_map(document) else None
    code = error.get("code") if is_map(error) else None
    return _sendable(code)


def date_in(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> str | None:
    """Return the field Date of an answer, as it was sent, or None."""
    given: Any = headers
    pairs: Iterable[tuple[Any, Any]] = given.items() if is_mapping(given) else given
    return next((_sendable(value) for name, value in pairs if str(name).lower() == "date"), None)


def _sendable(text: object) -> str | None:
    """Return a text that can go into a message, or None."""
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT:
        return None
    return None if any("\ud800" <= character <= "\udfff" for character in text) else text
