"""How a command ends that has not done what it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from .errors import AgentAssertError

NO = 1
USAGE = 2
FAILED = 3


class CommandError(Exception):
    """An end with an exit code, and what to say about it. It holds no secret."""

    exit: int

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit = exit_code


def outcome_of(
    error: AgentAssertError, *, usage: Collection[str] = (), no: Collection[str] = ()
) -> CommandError:
    """Return what an error means for a command.

    Args:
        error: The core's or the manager's.
        usage: Codes of what came from the command line.
        no: Codes that are an answer.
    """
    code = USAGE if error.code in usage else NO if error.code in no else FAILED
    return CommandError(code, error.message)


def one_line(text: object) -> str:
    """Return a text without its line breaks."""
    return " ".join(str(text).split())
