"""What keeps an agent's records between runs."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from .core import AgentAssert


@dataclass(frozen=True)
class StoreContext:
    """What a store may use while it works."""

    core: AgentAssert
    """The core, which reads and changes an auth.json."""
    canceled: threading.Event
    """Set when nobody waits for the result any more."""


class Store(Protocol):
    """Keeps records between runs, in slots.

    ``identity`` holds the agent identity, ``backoff`` what is remembered of failed
    registrations, ``backend`` which backend an identity belongs to, ``set-aside``
    identities that others have taken the place of, ``thread/`` and a thread's id that
    thread's task. Records are JSON in UTF-8, and secret.

    What a method raises is best an AgentAssertError; anything else is reported as
    ``store_failed``. The code ``store_read_only`` says that the store can be read all
    the same: what it holds is then used, and what a call needs beside that is kept in
    memory.

    A manager calls a store's methods in threads of its own, at the same time for
    different slots, and leaves one behind that takes too long.

    A store may have two more methods, which are not part of the protocol because it need
    not. ``probe(slot, context)`` raises what saving a record in the slot would end with,
    where the store can tell by trying: it is asked before anything is registered,
    because what cannot be kept would stay with the backend, and nobody would have it.
    ``credentials(context)`` returns the Credentials of who is signed in.
    """

    def load(self, slot: str, context: StoreContext) -> bytes | None:
        """Return the record in a slot, or None where there is none."""

    def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        """Replace the record in a slot: whoever loads it meanwhile gets the old one or the new one,
        whole.
        """

    def delete(self, slot: str, context: StoreContext) -> None:
        """Empty a slot."""

    def swap(self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext) -> None:
        """Replace the record in a slot if that is still the expected one.

        Otherwise it raises ``record_changed`` and changes nothing. None, as either,
        stands for none. The identity is never changed in another way: others may write
        it, too.
        """

    def lock(self, slot: str, context: StoreContext) -> Callable[[], object]:
        """Wait until nobody else holds the lock of that slot, and return what unlocks it.

        The slot is the identity's or a thread's; nobody else means no other program,
        either. The lock is held while what the slot is for is registered: for a minute,
        at the worst. Loading and saving are possible without it. The locks of different
        slots do not wait for each other. What unlocks can be called in another thread.
        """
        raise NotImplementedError


class AsyncStore(Protocol):
    """The same with coroutine functions, for AsyncManager. They run in its event loop.

    One that takes too long is cancelled. ``probe`` and ``credentials`` are coroutine
    functions here, too, and what unlocks a lock can be one.
    """

    async def load(self, slot: str, context: StoreContext) -> bytes | None:
        """Return the record in a slot, or None where there is none."""

    async def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        """Replace the record in a slot."""

    async def delete(self, slot: str, context: StoreContext) -> None:
        """Empty a slot."""

    async def swap(
        self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext
    ) -> None:
        """Replace the record in a slot if that is still the expected one."""

    async def lock(
        self, slot: str, context: StoreContext
    ) -> Callable[[], object] | Callable[[], Awaitable[object]]:
        """Wait for the lock of a slot, and return what unlocks it."""
        raise NotImplementedError
