"""What the module answers, taken apart.

The module that runs may be anybody's: its messages have members of whatever type, and text that a
terminal obeys. Nothing of them is used that did not come through here.
"""

from __future__ import annotations

from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

_MAX_TEXT = 4096  # of text for people, in bytes of UTF-8
_MAX_CODE = 64
_CODE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")

# Control characters, and those that change the direction of text (Unicode's Bidi_Control).
_COMMANDS = dict.fromkeys(
    [
        *range(0x20),
        *range(0x7F, 0xA0),
        0x061C,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ],
    "\ufffd",
)


def result_of(response: Any) -> dict[str, Any]:
    """Return the result in a response.

    Raises:
        AgentAssertError: The response's own, as it can be shown to a person; ``sandbox_failed``
            where it is no response, or an error without a code.
    """
    if is_map(response) and len(response) == 1:
        error, result = response.get("error"), response.get("ok")
        if is_map(error):
            raise AgentAssertError(*_problem(error))
        if is_map(result):
            problem = result.get("problem")  # that of credentials
            if is_map(problem):
                code, message = _problem(problem)
                result["problem"] = {"code": code, "message": message}
            return result
    raise not_a_message()


def not_a_message() -> AgentAssertError:
    """Return the error of an answer that the ABI does not have."""
    return AgentAssertError("sandbox_failed", "the core's answer is no message of the ABI")


def _problem(error: dict[str, Any]) -> tuple[str, str]:
    code, message = error.get("code"), error.get("message")
    if not is_code(code) or type(message) is not str:
        raise not_a_message()
    return str(code), presentable(message)


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """Report whether a decoded value is a map."""
    return type(value) is dict


def text(members: dict[str, Any], name: str) -> str:
    """Return a member of an answer that is text; ``sandbox_failed`` where it is not there, or another
    type. So do the next."""
    value = members.get(name)
    if type(value) is not str:
        raise not_a_message()
    return value


def binary(members: dict[str, Any], name: str) -> bytes:
    value = members.get(name)
    if type(value) is not bytes:
        raise not_a_message()
    return value


def integer(members: dict[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is not int:
        raise not_a_message()
    return value


def boolean(members: dict[str, Any], name: str) -> bool:
    value = members.get(name)
    if type(value) is not bool:
        raise not_a_message()
    return value


def part(members: dict[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name)
    if not is_map(value):
        raise not_a_message()
    return value


def is_code(code: object) -> bool:
    """Report whether an error's code has the form of one: programs compare it, and logs index it."""
    return type(code) is str and 1 <= len(code) <= _MAX_CODE and _CODE.issuperset(code)


def presentable(text: str) -> str:
    """Return text as it can be shown to a person: what a terminal would take for a command is not in
    it, and it ends."""
    shown = text.translate(_COMMANDS).encode("utf-8", "replace")
    if len(shown) > _MAX_TEXT:
        return shown[:_MAX_TEXT].decode("utf-8", "ignore") + "…"
    return shown.decode()
