"""Assertions that were used before: what a verifier asks, and an answer for one process."""

from __future__ import annotations

import heapq
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .errors import AgentAssertError
from .refusal_error import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable

MAX_REPLAYS = 200_000
MAX_REPLAYS_PER_ACCOUNT = 20_000

_GRACE = 60  # seconds for a request whose look-up took long: it was in time when it began


@dataclass(frozen=True)
class Use:
    """One use of an assertion that is good in every other respect. Times are Unix seconds."""

    digest: bytes = field(repr=False)
    """SHA-256 of the text that was signed or, of a runtime agent instance's, of the instance and the
    assertion's id. It tells any two assertions apart, and is the same however one is encoded or
    signed: the owner of a key can sign a text in many ways."""
    agent_runtime_id: str
    """This id and the next three are the directory's."""
    task_id: str
    runtime_agent_instance: str
    account_id: str
    once: bool
    """Whether the assertion is a runtime agent instance's, and so for one request."""
    time: float
    """Now, by the verifier's clock."""
    expires: float
    """From when on the assertion is refused for its timestamp, so that nothing need be remembered."""


class Replays(Protocol):
    """Remembers assertions. Several servers need one that they share."""

    def replayed(self, use: Use, /) -> bool | Awaitable[bool]:
        """Report whether an assertion was used before, and remember it, in one step. An exception means
        that it could not tell, and the request is refused. WSGI servers call it from several threads
        at once."""
        ...


class MemoryReplays:
    """Remembers assertions in memory, for one process. It never holds more than its limits, and forgets
    what has expired. Where a limit is reached, calls are refused, those of one account or all of them:
    an assertion that was not remembered could be sent again. Threads can share one.
    """

    def __init__(
        self,
        *,
        reuse: float = 0,
        max_total: int = MAX_REPLAYS,
        max_per_account: int = MAX_REPLAYS_PER_ACCOUNT,
    ) -> None:
        """Remember nothing yet.

        Args:
            reuse: For how many seconds from its first use a task's assertion can be used again. Zero is
                for one use alone, which clients of this protocol do not expect: one that makes several
                calls on a task within a second sends the same assertion with each. Some seconds let
                them, and leave a thief that much in place of minutes. An assertion of a runtime agent
                instance is for one use in any case.
            max_total: How many assertions are held; each for up to twice the verifier's skew, and a
                minute.
            max_per_account: How many of them of one account.

        Raises:
            AgentAssertError: ``invalid_options``: a negative value.
        """
        if reuse < 0 or max_total < 0 or max_per_account < 0:
            raise AgentAssertError("invalid_options", "MemoryReplays has an option with a negative value")
        self._reuse = reuse
        self._max_total = max_total
        self._max_per_account = max_per_account
        self._lock = threading.Lock()
        self._first: dict[bytes, float] = {}  # when each was first used
        self._expiring: list[tuple[float, bytes, str]] = []  # a heap, with the account
        self._held: dict[str, int] = {}  # how many there are, by account

    def replayed(self, use: Use, /) -> bool:
        """Report whether an assertion was used before, so long ago that this use is a replay, and
        remember it.

        Raises:
            RefusalError: ``quota_exceeded``, ``capacity_exceeded``.
        """
        account = "account:" + use.account_id
        if not use.account_id:  # one agent of nobody's is not to use up what another has
            account = "agent:" + use.agent_runtime_id + use.runtime_agent_instance
        with self._lock:
            self._forget(use.time)
            first = self._first.get(use.digest)
            if first is not None:
                # A clock that was set back counts as no time.
                return use.once or self._reuse == 0 or use.time - first > self._reuse
            if self._held.get(account, 0) >= self._max_per_account:
                raise RefusalError(
                    429, "quota_exceeded", "the account holds as much as one account may; try again later"
                )
            if len(self._first) >= self._max_total:
                raise RefusalError(
                    503, "capacity_exceeded", "as much is remembered as may be; try again later"
                )
            self._first[use.digest] = use.time
            self._held[account] = self._held.get(account, 0) + 1
            heapq.heappush(self._expiring, (use.expires + _GRACE, use.digest, account))
            return False

    def __len__(self) -> int:
        """Return how many assertions are remembered, the expired ones included until the next use of
        any."""
        with self._lock:
            return len(self._first)

    def _forget(self, now: float) -> None:
        while self._expiring and self._expiring[0][0] <= now:
            _, digest, account = heapq.heappop(self._expiring)
            del self._first[digest]
            self._held[account] -= 1
            if not self._held[account]:
                del self._held[account]
