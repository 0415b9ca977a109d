"""What a file flow asks for, what its host answers, and what comes of it: the messages of ``file.step``.

wasm/agentassert.cddl has them. Their content is secret, and in no ``repr``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from .messages import Credentials, Problem

    FileOperationName = Literal["credentials", "load", "save", "delete", "swap", "probe"]

    FileFailure = Literal[
        "missing",
        "denied",
        "read-only",
        "busy",
        "no-room",
        "locked",
        "unsupported",
        "folder",
        "not-regular",
        "too-large",
        "canceled",
        "failed",
    ]


class FileStart:
    """An operation, with which a file flow begins. What is empty there is none of."""

    __slots__ = ("beside", "expected", "operation", "record", "slot")

    def __init__(
        self,
        operation: FileOperationName,
        slot: str = "",
        record: bytes = b"",
        expected: bytes = b"",
        *,
        beside: bool = False,
    ) -> None:
        """With beside, the identity is in a file of its own, and auth.json is left unwritten."""
        self.operation: FileOperationName = operation
        self.slot = slot
        self.record = record
        self.expected = expected
        self.beside = beside

    def message(self) -> dict[str, Any]:
        """Return the event, but for the time."""
        message: dict[str, Any] = {"type": "start", "operation": self.operation}
        if self.slot:
            message["slot"] = self.slot
        if self.record:
            message["record"] = self.record
        if self.expected:
            message["expected"] = self.expected
        if self.beside:
            message["beside"] = True
        return message


class FileStat:
    """What is known of a file beside its content."""

    __slots__ = ("id", "links", "mode", "modified", "size")

    def __init__(self, id: str, size: int, modified: int, mode: int, links: int) -> None:  # noqa: A002
        """The id tells files apart.

        Size is in bytes, modified in nanoseconds since the Unix epoch, mode the nine permission bits, and
        links how many names it has.
        """
        self.id = id
        self.size = size
        self.modified = modified
        self.mode = mode
        self.links = links

    def message(self) -> dict[str, Any]:
        """Return the part of an event."""
        return {name: getattr(self, name) for name in self.__slots__}


class FileAnswer:
    """What an effect on a file came to.

    What there is not is left out; with a failure there is nothing else.
    """

    __slots__ = ("content", "failure", "names", "stat")

    def __init__(
        self,
        stat: FileStat | None = None,
        content: bytes = b"",
        names: Sequence[str] = (),
        failure: FileFailure | None = None,
    ) -> None:
        self.stat = stat
        self.content = content
        self.names = names
        self.failure: FileFailure | None = failure

    def message(self) -> dict[str, Any]:
        """Return the event, but for the time."""
        if self.failure is not None:
            return {"type": "failed", "failure": self.failure}
        message: dict[str, Any] = {"type": "done"}
        if self.stat is not None:
            message["stat"] = self.stat.message()
        if self.content:
            message["content"] = self.content
        if self.names:
            message["names"] = list(self.names)
        return message


class FileResult:
    """What an operation came to. An error says that nothing has changed."""

    __slots__ = ("credentials", "error", "record")

    def __init__(
        self, record: bytes = b"", credentials: Credentials | None = None, error: Problem | None = None
    ) -> None:
        self.record = record
        self.credentials = credentials
        self.error = error


class FileEffect:
    """What a file flow wants done. It names files by the part that they play."""

    __slots__ = (
        "content",
        "limit",
        "name",
        "older_than",
        "result",
        "size",
        "timeout_ms",
        "to",
        "type",
        "wait_ms",
    )

    def __init__(
        self,
        type: str,  # noqa: A002
        name: str = "",
        *,
        content: bytes = b"",
        size: int = 0,
        to: str = "",
        timeout_ms: int = 0,
        wait_ms: int = 0,
        limit: int = 0,
        older_than: int = 0,
        result: FileResult | None = None,
    ) -> None:
        """The result is that of done, which is the last."""
        self.type = type
        self.name = name
        self.content = content
        self.size = size
        self.to = to
        self.timeout_ms = timeout_ms
        self.wait_ms = wait_ms
        self.limit = limit
        self.older_than = older_than
        self.result = result
