"""Carries out what flows need, in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Generator
from typing import Any

from .authorization import Answer
from .cancellation import Cancellation
from .core import AgentAssert
from .exchange import HTTPRequest, request_of
from .flight_driver import RELEASE_SECONDS, give_back
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


class AsyncDriver:
    """Drives one flow. What takes too long is cancelled or, if it runs in a thread, left behind."""

    def __init__(
        self, core: AgentAssert, store: Any, turns: Turns, http: Callable[[HTTPRequest], Any]
    ) -> None:
        self._core = core
        self._store = store
        self._turns = turns
        self._http = http
        self._ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Have the flow end."""
        if not self._ending.done():
            self._ending.set_result(None)

    def is_ended(self) -> bool:
        """Report whether the flow is to end."""
        return self._ending.done()

    async def drive(self, flow: Generator[Operation, Any, Answer]) -> Answer:
        """Run a flow to its end. Raises what it raises."""
        try:
            operation = next(flow)
            while True:
                result, error = None, None
                try:
                    result = await self._carry_out(operation)
                except BaseException as caught:
                    error = caught
                # Outside of the except, for what the flow raises would drag this along.
                operation = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def _carry_out(self, operation: Operation) -> Any:
        bounds = operation.bounds
        if bounds.heeds and self._ending.done():
            raise EndedError
        if is_over(bounds) and not isinstance(operation, Pause):
            raise TimeOverError  # what would be left behind at once is not begun
        if isinstance(operation, StoreCall):
            return await self.call(operation)
        if isinstance(operation, TakeTurn):
            turn = self._turns.take(operation.name)
            await self._wait(asyncio.wrap_future(turn.future), bounds, turn.end)
            return turn.end
        if isinstance(operation, Release):
            return await self._release(operation)
        if isinstance(operation, Send):
            canceled = Cancellation()
            request = request_of(operation.effect, canceled)
            work = asyncio.ensure_future(_awaited(self._http, request))
            return await self._wait(work, bounds, canceled.set)
        if isinstance(operation, Pause):
            try:
                return await self._wait(asyncio.get_running_loop().create_future(), bounds)
            except TimeOverError:
                return None
        return await self._wait(asyncio.ensure_future(_call(operation.source)), bounds)

    async def call(self, operation: StoreCall) -> Any:
        """Call a method of the store. Raises what it does, EndedError and TimeOverError."""
        canceled = Cancellation()
        context = StoreContext(self._core, canceled)
        method = getattr(self._store, operation.method)
        is_lock = operation.method == "lock"
        if inspect.iscoroutinefunction(method):
            task = asyncio.ensure_future(method(*operation.arguments, context))

            def give_up_task() -> None:
                canceled.set()
                if is_lock:
                    # A store that does not heed the cancellation may get the lock later.
                    task.add_done_callback(_give_back)

            return await self._wait(task, operation.bounds, give_up_task)
        work = WORKERS.submit(lambda: method(*operation.arguments, context))

        def give_up() -> None:
            canceled.set()
            if is_lock:
                # The same, in a thread, which cannot be cancelled and may outlive the loop.
                work.add_done_callback(give_back)

        return await self._wait(asyncio.wrap_future(work), operation.bounds, give_up)

    async def _release(self, operation: Release) -> Any:
        unlock, bounds = operation.unlock, Bounds(time.monotonic() + RELEASE_SECONDS, heeds=False)
        if operation.blocks and not inspect.iscoroutinefunction(self._store.lock):
            return await self._wait(asyncio.wrap_future(WORKERS.submit(unlock)), bounds)
        result = unlock()
        if inspect.isawaitable(result):
            result = await self._wait(asyncio.ensure_future(result), bounds, cancels=False)
        return result

    async def _wait(
        self,
        work: asyncio.Future[Any],
        bounds: Bounds,
        give_up: Callable[[], object] = lambda: None,
        *,
        cancels: bool = True,
    ) -> Any:
        """Wait for work, but no longer than the bounds allow.

        Then it is cancelled. What runs in a thread goes on, and tells this loop, which may
        be closed by then, nothing any more.
        """
        awaited = {work, self._ending} if bounds.heeds else {work}
        timeout = None if bounds.until is None else max(0.0, bounds.until - time.monotonic())
        is_done = False
        try:
            await asyncio.wait(awaited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            is_done = work.done()
        finally:
            if not is_done:
                work.add_done_callback(_retrieved)
                give_up()
                if cancels:
                    work.cancel()
        if not is_done:
            raise EndedError if bounds.heeds and self._ending.done() else TimeOverError
        if work.cancelled():
            raise RuntimeError("it was cancelled, and nobody has asked for that")
        return work.result()


async def _call(function: Callable[[], Any]) -> Any:
    """Call a function of the caller's: any but a coroutine function in a thread, because it may block."""
    if inspect.iscoroutinefunction(function):
        return await function()
    result = await asyncio.wrap_future(WORKERS.submit(function))
    return await _value_of(result)


async def _awaited(function: Callable[[HTTPRequest], Any], request: HTTPRequest) -> Any:
    return await _value_of(function(request))


async def _value_of(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _retrieved(work: asyncio.Future[Any]) -> None:
    """Have the error of work that was left behind be nobody's."""
    if not work.cancelled():
        work.exception()


def _give_back(work: asyncio.Future[Any]) -> None:
    """Give a lock back that was granted when nobody waited for it any more."""
    if work.cancelled() or work.exception() is not None or not callable(work.result()):
        return
    result = work.result()()
    if inspect.isawaitable(result):
        asyncio.ensure_future(result).add_done_callback(_retrieved)
