"""Carries out what flows need, in an event loop of asyncio."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from .authorization import Answer
from .cancellation import Cancellation
from .core import AgentAssert
from .exchange import HTTPRequest, request_of
from .flight_driver import RELEASE_SECONDS
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
        """Has the flow end."""
        if not self._ending.done():
            self._ending.set_result(None)

    def is_ended(self) -> bool:
        """Reports whether the flow is to end."""
        return self._ending.done()

    async def drive(self, flow: Generator[Operation, Any, Answer]) -> Answer:
        """Runs a flow to its end. Raises what it raises."""
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
        if isinstance(operation, StoreCall):
            return await self.call(operation)
        if isinstance(operation, TakeTurn):
            turn = self._turns.take(operation.name)
            await self._wait(asyncio.wrap_future(turn.future), bounds, turn.end)
            return turn.end
        if isinstance(operation, Release):
            bounds = Bounds(time.monotonic() + RELEASE_SECONDS, heeds=False)
            return await self._wait(asyncio.ensure_future(_call(operation.unlock)), bounds)
        if isinstance(operation, Send):
            canceled = Cancellation()
            request = request_of(operation.effect, canceled)
            work = asyncio.ensure_future(_awaited(self._http, request))
            return await self._wait(work, bounds, canceled.set, cancels=True)
        if isinstance(operation, Pause):
            try:
                return await self._wait(asyncio.get_running_loop().create_future(), bounds)
            except TimeOverError:
                return None
        return await self._wait(asyncio.ensure_future(_call(operation.source)), bounds, cancels=True)

    async def call(self, operation: StoreCall) -> Any:
        """Calls a method of the store. Raises what it does, EndedError and TimeOverError."""
        canceled = Cancellation()
        context = StoreContext(self._core, canceled)
        method = getattr(self._store, operation.method)
        is_async = inspect.iscoroutinefunction(method)
        work = asyncio.ensure_future(_call(lambda: method(*operation.arguments, context), is_async=is_async))

        def give_up() -> None:
            canceled.set()
            if operation.method == "lock":
                # A store that does not heed the event may get the lock later.
                work.add_done_callback(_give_back)

        # A thread cannot be cancelled, and what it returns would be lost.
        return await self._wait(work, operation.bounds, give_up, cancels=is_async)

    async def _wait(
        self,
        work: asyncio.Future[Any],
        bounds: Bounds,
        give_up: Callable[[], object] = lambda: None,
        *,
        cancels: bool = False,
    ) -> Any:
        """Waits for work, but no longer than the bounds allow."""
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


async def _call(function: Callable[[], Any], *, is_async: bool | None = None) -> Any:
    """Calls a function of the caller's: a coroutine function here, any other, which may block, in a
    thread.
    """
    if is_async if is_async is not None else inspect.iscoroutinefunction(function):
        return await function()
    result = await asyncio.wrap_future(WORKERS.submit(function))
    return await result if inspect.isawaitable(result) else result


async def _awaited(function: Callable[[HTTPRequest], Any], request: HTTPRequest) -> Any:
    result = function(request)
    return await result if isinstance(result, Awaitable) else result


def _retrieved(work: asyncio.Future[Any]) -> None:
    """Has the error of work that was left behind be nobody's."""
    if not work.cancelled():
        work.exception()


def _give_back(work: asyncio.Future[Any]) -> None:
    """Gives a lock back that was granted when nobody waited for it any more."""
    if not work.cancelled() and work.exception() is None and callable(work.result()):
        asyncio.ensure_future(_call(work.result())).add_done_callback(_retrieved)
