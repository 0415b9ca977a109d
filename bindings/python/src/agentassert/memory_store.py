"""A store that ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from .errors import AgentAssertError
from .forks import begin_anew_after_fork
from .store import StoreContext
from .turns import Turns

_GLANCE_SECONDS = 0.05  # how often who waits for a lock looks whether anybody still wants it


class MemoryStore:
    """Is a Store. Threads and managers can share one; a process that was forked has a copy."""

    def __init__(self, content: Mapping[str, bytes] | None = None) -> None:
        """Begin empty, or with what it shall hold, by slot."""
        self._lock = threading.Lock()
        self._records = dict(content or {})
        self._turns = Turns()
        begin_anew_after_fork(self)

    def load(self, slot: str, context: StoreContext) -> bytes | None:
        """Return the record in a slot, or None where there is none."""
        return self._records.get(slot)

    def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        """Replace the record in a slot."""
        with self._lock:
            self._records[slot] = bytes(record)

    def delete(self, slot: str, context: StoreContext) -> None:
        """Empty a slot."""
        with self._lock:
            self._records.pop(slot, None)

    def swap(self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext) -> None:
        """Replace the record in a slot if that is still the expected one.

        Raises:
            AgentAssertError: ``record_changed``.
        """
        with self._lock:
            if self._records.get(slot) != expected:
                raise AgentAssertError(
                    "record_changed", "another record has taken the place of the one to be replaced"
                )
            if record is None:
                self._records.pop(slot, None)
            else:
                self._records[slot] = bytes(record)

    def lock(self, slot: str, context: StoreContext) -> Callable[[], None]:
        """Wait for the lock of a slot in this process, and return what unlocks it.

        Raises:
            AgentAssertError: ``canceled``.
        """
        turn = self._turns.take(slot)
        granted = threading.Event()
        turn.future.add_done_callback(lambda _: granted.set())
        while not granted.wait(_GLANCE_SECONDS):
            if context.canceled.is_set():
                turn.end()
                raise AgentAssertError("canceled", "nobody waits for the lock any more")
        return turn.end

    def after_fork(self) -> None:
        """Give all locks back, in a process that was forked off: those who hold them are its parent's."""
        self._lock = threading.Lock()
        self._turns = Turns()
