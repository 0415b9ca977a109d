"""What runs the core's module."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """An engine with instances of the module. Threads can share one: each call has an instance to
    itself."""

    @property
    def name(self) -> str:
        """``native`` or ``wasmtime``."""
        ...

    def call(self, request: bytes | bytearray, /) -> bytearray:
        """Answer one encoded request of 1 byte to 1 MiB. The answer is the caller's to overwrite.

        Raises:
            AgentAssertError: ``sandbox_failed``, where the instance failed, which is replaced, or
                there is no memory for one; ``closed``.
        """
        ...

    def forget(self) -> None:
        """Overwrite the memory of every instance with zeroes; the next call takes a fresh one. An
        instance in a call is overwritten when that is over."""
        ...

    def close(self) -> None:
        """Forget, and answer no more calls. Once more does nothing."""
        ...
