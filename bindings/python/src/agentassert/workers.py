"""Threads for what may block for longer than whoever waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .forks import begin_anew_after_fork

T = TypeVar("T")

_IDLE_SECONDS = 10.0
_MAX_IDLE = 16

_Job = Callable[[], None]


class Workers:
    """Runs each piece of work in a thread of its own, which is used again when it is free.

    Nobody has to wait for a piece of work to its end: a thread that does not come back
    is left behind, and holds up neither the others nor the end of the process. That is
    why there is no limit of their number: who is served by two threads would wait for
    ever behind two of another's locks. Threads can share one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[_Job]] = []

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run a function, and return what tells of its end.

        What the function raises is the future's. So is the RuntimeError of a system that
        has no more threads. What would end the thread that asks, and not the one that
        runs, is a RuntimeError, too: SystemExit, for one.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # and nobody cancels it, as event loops do

        def job() -> None:
            try:
                result = work()
            except BaseException as caught:
                is_error = isinstance(caught, Exception)
                error = caught if is_error else RuntimeError(f"it was ended by {type(caught).__name__}")
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is not None:
            inbox.put(job)
            return future
        try:
            threading.Thread(target=self._serve, args=(job,), name="agentassert", daemon=True).start()
        except RuntimeError as error:
            future.set_exception(error)
        return future

    def _serve(self, job: _Job) -> None:
        inbox: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        while True:
            job()
            del job  # what it holds is not kept until the next one comes
            with self._lock:
                if len(self._idle) >= _MAX_IDLE:
                    return
                self._idle.append(inbox)
            try:
                job = inbox.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                job = inbox.get()  # it has just been given one

    def after_fork(self) -> None:
        """Forget the threads, which a child process does not have."""
        self._lock = threading.Lock()
        self._idle = []


WORKERS = Workers()
"""Those of this process."""

begin_anew_after_fork(WORKERS)
