"""The core: it makes and checks assertions, keys and registrations, in a sandbox that can reach
nothing."""

from __future__ import annotations

import os

from .answer import result_of
from .cbor import MAX_MESSAGE, decode, encode
from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from typing_extensions import Self  # in typing since 3.11; type checkers have both

    from .cbor import Value
    from .engine import Engine


class AgentAssert:
    """The core, in an engine. Its methods are functions of their arguments alone, but for those that
    draw entropy where none is given. Threads can share one.

    What they raise is an AgentAssertError, with one of the core's codes or with ``invalid_request``,
    for an argument of a wrong type, ``sandbox_failed``, or ``closed``. Times are Unix seconds.
    """

    def __init__(self, engine: Engine) -> None:
        """For engines of one's own; everybody else has load."""
        self._engine = engine

    @classmethod
    def load(
        cls,
        *,
        engine: str | None = None,
        module: bytes | None = None,
        max_instances: int | None = None,
    ) -> AgentAssert:
        """Load the core.

        Args:
            engine: ``native`` or ``wasmtime``; by default the first that is installed.
            module: Takes the place of the package's module, in wasmtime.
            max_instances: How many calls can run at once; others wait. By default one for each
                processor. An instance takes 3.5 to 16 MiB.

        Raises:
            AgentAssertError: ``engine_missing``, ``invalid_module``, ``abi_version``.
        """
        from .engines import open_engine

        return cls(open_engine(engine, module, max_instances or os.cpu_count() or 1))

    @property
    def engine(self) -> str:
        """Which engine runs the core: ``native`` or ``wasmtime``."""
        return self._engine.name

    def call(self, method: str, params: Mapping[str, Value]) -> dict[str, Any]:
        """Call any method of the ABI. wasm/ABI.md says what there is. Names are the same here; bytes
        come back as bytes."""
        members: Mapping[str, Value] = params
        if type(params) is not dict:
            try:
                members = dict(params)
            except Exception:
                raise AgentAssertError("invalid_request", "request.params is no mapping") from None
        request = encode({"method": method, "params": members})
        try:
            answer = self._engine.call(request)
        finally:
            request[:] = bytes(len(request))  # it can hold a private key
        try:
            response = decode(answer)
        except AgentAssertError:
            self._engine.forget()
            raise
        finally:
            answer[:] = bytes(len(answer))  # so can the answer, of which there are copies now
        return result_of(response)

    def exchange(self, request: bytes | bytearray) -> bytearray:
        """Answer one encoded request: the ABI itself, for those who bring their own codec.

        Raises:
            AgentAssertError: ``invalid_request``, for a request that is empty, too large or no bytes;
                ``sandbox_failed``; ``closed``.
        """
        if not isinstance(request, (bytes, bytearray)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AgentAssertError("invalid_request", "a request is bytes")
        if not 0 < len(request) <= MAX_MESSAGE:
            raise AgentAssertError(
                "invalid_request", f"a request is 1 to {MAX_MESSAGE} bytes long, not {len(request)}"
            )
        return self._engine.call(request)

    def forget(self) -> None:
        """Overwrite the memory of the sandbox with zeroes; the next call takes a fresh one, which is
        somewhat slower. The core keeps the last private key that it parsed there, and what else it
        worked with until the memory is used again.

        What went in and came out as str and bytes cannot be reached.
        """
        self._engine.forget()

    def close(self) -> None:
        """Forget, and answer no more calls (``closed``). Once more does nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
