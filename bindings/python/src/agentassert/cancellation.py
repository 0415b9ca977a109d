"""How work is told that nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Cancellation(threading.Event):
    """An event that can also be waited for beside others, and that tells who has asked for it.

    It is set once, and not cleared. Threads can share one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.future: Future[None] = Future()
        """Done when the event is set."""
        self.future.set_running_or_notify_cancel()  # and nobody cancels it, as event loops do
        self._first = threading.Lock()  # taken by whoever sets the event first, for good

    def set(self) -> None:
        super().set()
        if self._first.acquire(blocking=False):
            self.future.set_result(None)

    def on_set(self, callback: Callable[[], object]) -> None:
        """Have a function called when the event is set: at once, if it is, or in the thread that sets it."""
        self.future.add_done_callback(lambda _: callback())
