"""What the module returns, taken apart.

The module that runs may be anybody's: its messages have members of whatever type, and
text that a terminal obeys. Nothing of them is used that did not come through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .answer import is_code, is_map, presentable
from .errors import AgentAssertError
from .messages import Problem
from .shapes import is_list

Members = Mapping[str, object]
"""A message's members, of whatever type."""

_surrogates = re.compile("[\ud800-\udfff]")


def violation(what: str, which: str) -> AgentAssertError:
    """Return the error of a module that asks for what none may have, or answers what cannot be true.

    It says nothing of what the module has sent, which may hold a secret.
    """
    return AgentAssertError(
        "policy_violation",
        f"the module was refused {what} {which}; it is not agentassert's, or not of this package's version",
    )


def members_of(value: object) -> Members:
    """Return the members of a part of a message."""
    if not is_map(value):
        raise violation("a part of a message", "that is none")
    return value


def text_in(members: Members, name: str) -> str:
    """Return a member that is text, or "" where there is none: the ABI has no empty members."""
    return _text(members.get(name, ""))


def bytes_in(members: Members, name: str) -> bytes | None:
    """Return a member that is bytes, or None where there are none."""
    value = members.get(name, b"")
    if not isinstance(value, bytes):
        raise violation("a byte string", "that is none")
    return value or None


def integer_in(members: Members, name: str, least: int, most: int) -> int:
    """Return a member that is an integer within bounds. One that is not there is 0."""
    value = members.get(name, 0)
    if type(value) is not int or not least <= value <= most:  # True is an int for isinstance
        raise violation("a number", f"that is not one from {least} to {most}")
    return value


def list_in(members: Members, name: str) -> list[object]:
    """Return a member that is a list, or an empty one where there is none."""
    value = members.get(name, [])
    if not is_list(value):
        raise violation("a list", "that is none")
    return value


def texts_in(members: Members, name: str) -> list[str]:
    """Return a member that is a list of texts."""
    return [_text(text) for text in list_in(members, name)]


def problem_in(members: Members, name: str) -> Problem | None:
    """Return a member that is an error, as it can be shown to a person, or None where there is none."""
    if name not in members:
        return None
    problem = members_of(members[name])
    code = text_in(problem, "code")
    if not is_code(code):
        raise violation("an error", "whose code is none")
    return {"code": code, "message": presentable(text_in(problem, "message"))}


def size_of(text: str) -> int:
    """Return the length of text in bytes of UTF-8."""
    return len(text.encode(errors="surrogatepass"))


def _text(value: object) -> str:
    if not isinstance(value, str) or _surrogates.search(value):
        raise violation("a text", "that is none")
    return value
