"""What a backend says when it refuses an assertion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .answer import is_map
from .shapes import is_mapping

MAX_REFUSAL = 64 << 10
"""How much of a refusal's body is looked at, in bytes."""

_MAX_DATE = 256  # the longest date that means something here

_code = re.compile("[A-Za-z0-9_.-]{1,128}")  # which tells codes from sentences


def error_code(body: bytes) -> str | None:
    """Return the code in the body of a refusal, in the forms that backends use, or None.

    These are {"error":{"code":…}}, {"detail":{"code":…}}, {"code":…} and {"error":…}. It
    fails at nothing.
    """
    try:
        document = json.loads(bytes(body[:MAX_REFUSAL]))
    except (ValueError, RecursionError, TypeError):
        return None
    if not is_map(document):
        return None
    error, detail = document.get("error"), document.get("detail")
    inner = [value.get("code") for value in (error, detail) if is_map(value)]
    candidates = (*inner, document.get("code"), error)
    return next((code for code in candidates if isinstance(code, str) and _code.fullmatch(code)), None)


def date_in(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> str | None:
    """Return the field Date of an answer, as it was sent, or None."""
    given: Any = headers
    pairs: Iterable[tuple[Any, Any]] = given.items() if is_mapping(given) else given
    return next((_sendable(value) for name, value in pairs if str(name).lower() == "date"), None)


def _sendable(text: object) -> str | None:
    """Return a text that can go into a message, or None."""
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_DATE:
        return None
    return None if any("\ud800" <= character <= "\udfff" for character in text) else text
