"""Lets one flow in at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future


class Turn:
    """A place in a queue. Its future is done when it is its turn."""

    def __init__(self, leave: Callable[[Turn], None]) -> None:
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()  # and nobody cancels it, as event loops do
        self._leave = leave

    def end(self) -> None:
        """Let the next one in; or, if it has not come to its turn, leaves the queue.

        Once more does nothing.
        """
        self._leave(self)


class Turns:
    """Queues by name. Those of a name that nobody uses take no memory. Threads can share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Who comes first in a queue has its turn.
        self._queues: dict[str, deque[Turn]] = {}

    def take(self, name: str) -> Turn:
        """Join a queue at its end."""
        turn = Turn(lambda turn: self._end(name, turn))
        with self._lock:
            queue = self._queues.setdefault(name, deque())
            queue.append(turn)
            is_first = len(queue) == 1
        if is_first:
            turn.future.set_result(None)
        return turn

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in a queue."""
        return not self._queues

    def _end(self, name: str, turn: Turn) -> None:
        following: Turn | None = None
        with self._lock:
            queue = self._queues.get(name)
            if queue is None or turn not in queue:
                return
            was_first = queue[0] is turn
            queue.remove(turn)
            if not queue:
                del self._queues[name]
            elif was_first:
                following = queue[0]
        # Outside of the lock, because what waits for a future may run in this thread.
        # Nobody else can do it: whoever is first stays so until it ends its turn.
        if following is not None:
            following.future.set_result(None)
