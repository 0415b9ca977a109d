"""Why a verifier lets a request not in."""

from __future__ import annotations

from .errors import AgentAssertError


class RefusalError(AgentAssertError):
    """A refusal. It holds no secret, and the client is sent its status, its code and its message.

    Its ``__cause__`` is what the client is not told: the reason behind ``unknown_agent`` and
    ``unknown_task``, and what failed behind ``directory_failed``, ``replay_check_failed`` and
    ``internal``.
    """

    status: int
    """The HTTP status to answer with."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.args = (status, code, message)
        self.status = status

    @property
    def reason(self) -> str:
        """The code of the true reason, where this is only what the client is told. It is for logs and
        metrics."""
        code, error = self.code, self.__cause__
        while error is not None:
            if isinstance(error, RefusalError):
                code = error.code
            error = error.__cause__
        return code
