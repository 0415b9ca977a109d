"""A store, and in memory what it has not taken: a Kubernetes secret is served from all the same.

What is kept counts as long as the store holds what it held then: a record that somebody
has put there since is newer.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

from .errors import AgentAssertError
from .failures import code_of
from .operation import Bounds, EndedError, Operation, StoreCall

MAX_THREADS = 10_000
"""Beyond so many threads' records those go that were kept first."""


class Overlay:
    """What a store holds, and what it would not take. Flows of any thread can share one."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._lock = threading.Lock()
        # By slot: what the store had, and what counts in its place.
        self._kept: dict[str, tuple[bytes | None, bytes | None]] = {}
        # The slots of threads among them, those first that were kept first.
        self._threads: dict[str, None] = {}
        self._max_threads = max_threads

    def copy(self) -> Overlay:
        """Return one that has kept the same, for a process that was forked off."""
        copied = Overlay(self._max_threads)
        copied._kept.update(self._kept)
        copied._threads.update(self._threads)
        return copied

    def load(self, slot: str, bounds: Bounds) -> Generator[Operation, Any, tuple[bytes | None, bytes | None]]:
        """Return the record in a slot, and what the store has there."""
        try:
            stored = _checked((yield StoreCall("load", (slot,), bounds)))
        except EndedError:
            raise
        except Exception:
            kept = self._kept.get(slot) if slot == "backoff" else None
            if kept is None:
                raise
            return kept[1], kept[0]  # what is stored, if anything, is older
        with self._lock:
            kept = self._kept.get(slot)
            if kept is not None and kept[0] == stored:
                return kept[1], stored
            self._drop(slot)
        return stored, stored

    def write(
        self, slot: str, stored: bytes | None, record: bytes | None, bounds: Bounds
    ) -> Generator[Operation, Any, None]:
        """Save a record, or delete it where there is none.

        What the store does not take because it is read-only is kept, and so is what is
        remembered of failures in any case; the store's error is raised all the same.
        Stored is what was last loaded.
        """
        call = (
            StoreCall("delete", (slot,), bounds)
            if record is None
            else StoreCall("save", (slot, record), bounds)
        )
        yield from self._written(slot, stored, record, call)

    def swap(
        self, slot: str, expected: bytes | None, record: bytes | None, bounds: Bounds
    ) -> Generator[Operation, Any, None]:
        """Is write for the identity, which others may have replaced.

        What is kept of it takes the place of what the store had then; one that the store
        does not let go stays.
        """
        kept = self._kept.get(slot)
        old = kept[0] if kept is not None and kept[1] == expected else expected
        call = StoreCall("swap", (slot, old, record), bounds)
        if record is None:
            yield call
            self.forget(slot)
        else:
            yield from self._written(slot, old, record, call)

    def forget(self, slot: str) -> None:
        """Drop what is kept for a slot."""
        with self._lock:
            self._drop(slot)

    def _written(
        self, slot: str, stored: bytes | None, record: bytes | None, call: StoreCall
    ) -> Generator[Operation, Any, None]:
        try:
            yield call
        except Exception as error:
            if code_of(error) == "store_read_only" or slot == "backoff":
                self._keep(slot, stored, record)
            raise
        self.forget(slot)

    def _keep(self, slot: str, stored: bytes | None, record: bytes | None) -> None:
        with self._lock:
            self._drop(slot)  # and come last again
            self._kept[slot] = (stored, record)
            if not slot.startswith("thread/"):
                return
            self._threads[slot] = None
            while len(self._threads) > self._max_threads:
                self._drop(next(iter(self._threads)))

    def _drop(self, slot: str) -> None:
        self._kept.pop(slot, None)
        self._threads.pop(slot, None)


def _checked(record: object) -> bytes | None:
    """Refuse what no store may return."""
    if record is None:
        return None
    if not isinstance(record, (bytes, bytearray)):
        raise AgentAssertError("store_failed", "the store returned a record that is no bytes")
    if len(record) == 0:
        raise AgentAssertError("store_failed", "the store returned a record that is empty")
    return bytes(record)
