"""The one class of errors of this package."""


class AgentAssertError(Exception):
    """A failure with a stable code, and a message for people. It holds no secret.

    The codes are the same in every language: wasm/ABI.md lists them. Messages may change.
    """

    code: str
    """What went wrong, for programs: ``bad_signature``, for one."""
    message: str
    """The same for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both, so that it can be pickled
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
