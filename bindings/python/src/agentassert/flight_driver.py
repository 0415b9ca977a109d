"""Carries out what flows need, in the thread that runs them."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from .authorization import Answer
from .cancellation import Cancellation
from .core import AgentAssert
from .exchange import HTTPRequest, request_of
from .operation import (
    Bounds,
    EndedError,
    Operation,
    Pause,
    Release,
    Send,
    StoreCall,
    TakeTurn,
    TimeOverError,
    is_over,
)
from .store import StoreContext
from .turns import Turns
from .workers import WORKERS

RELEASE_SECONDS = 30.0
"""How long a flow waits for a lock to be given back."""


class FlightDriver:
    """Drives one flow. What it calls runs in other threads, and is left behind if it takes too long."""

    def __init__(
        self, core: AgentAssert, store: Any, turns: Turns, http: Callable[[HTTPRequest], Any]
    ) -> None:
        self._core = core
        self._store = store
        self._turns = turns
        self._http = http
        self.ending = Cancellation()
        """To be set when the flow is to end."""

    def drive(self, flow: Generator[Operation, Any, Answer]) -> Answer:
        """Run a flow to its end. Raises what it raises."""
        try:
            operation = next(flow)
            while True:
                result, error = None, None
                try:
                    result = self._carry_out(operation)
                except BaseException as caught:
                    error = caught
                # Outside of the except, for what the flow raises would drag this along.
                operation = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def _carry_out(self, operation: Operation) -> Any:
        bounds = operation.bounds
        if bounds.heeds and self.ending.is_set():
            raise EndedError
        if is_over(bounds) and not isinstance(operation, Pause):
            raise TimeOverError  # what would be left behind at once is not begun
        if isinstance(operation, StoreCall):
            return self._call_store(operation)
        if isinstance(operation, TakeTurn):
            turn = self._turns.take(operation.name)
            self._wait(turn.future, bounds, turn.end)
            return turn.end
        if isinstance(operation, Release):
            unlock = operation.unlock
            if not operation.blocks:
                return unlock()
            return self._wait(WORKERS.submit(unlock), Bounds(time.monotonic() + RELEASE_SECONDS, heeds=False))
        if isinstance(operation, Send):
            canceled = Cancellation()
            request = request_of(operation.effect, canceled)
            return self._wait(WORKERS.submit(lambda: self._http(request)), bounds, canceled.set)
        if isinstance(operation, Pause):
            try:
                return self._wait(Future(), bounds)
            except TimeOverError:
                return None
        source = operation.source
        return self._wait(WORKERS.submit(source), bounds)

    def _call_store(self, operation: StoreCall) -> Any:
        canceled = Cancellation()
        context = StoreContext(self._core, canceled)
        method = getattr(self._store, operation.method)
        work = WORKERS.submit(lambda: method(*operation.arguments, context))

        def give_up() -> None:
            canceled.set()
            if operation.method == "lock":
                # A store that does not heed the event may get the lock later.
                work.add_done_callback(give_back)

        return self._wait(work, operation.bounds, give_up)

    def _wait(self, work: Future[Any], bounds: Bounds, give_up: Callable[[], object] = lambda: None) -> Any:
        """Wait for work, but no longer than the bounds allow."""
        awaited: list[Future[Any]] = [work, self.ending.future] if bounds.heeds else [work]
        timeout = None if bounds.until is None else max(0.0, bounds.until - time.monotonic())
        try:
            concurrent.futures.wait(awaited, timeout, concurrent.futures.FIRST_COMPLETED)
        except BaseException:
            give_up()
            raise
        if work.done():
            return work.result()
        give_up()
        raise EndedError if bounds.heeds and self.ending.is_set() else TimeOverError


def give_back(work: Future[Any]) -> None:
    """Give a lock back that was granted when nobody waited for it any more."""
    if work.exception() is None and callable(work.result()):
        WORKERS.submit(work.result())
