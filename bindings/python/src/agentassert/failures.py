"""How errors are made that something else has caused."""

from __future__ import annotations

from .errors import AgentAssertError


def failure(code: str, message: str, cause: BaseException | None = None) -> AgentAssertError:
    """Return an error with what caused it, if anything did.

    To be raised outside of any ``except``: what is raised inside drags along the error
    that is being handled, whose text can be anybody's.
    """
    error = AgentAssertError(code, message)
    error.__cause__ = cause
    return error


def code_of(error: BaseException | None) -> str:
    """Return the code of an error: ``internal`` where it is none of this package's."""
    return error.code if isinstance(error, AgentAssertError) else "internal"
