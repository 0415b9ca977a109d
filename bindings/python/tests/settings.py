"""Managers with a backend, a store and a clock of their own, whatever drives their flows."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from backend import BASE, CREDENTIALS, Backend, Clock

from agentassert import AgentAssert, AsyncManager, Manager, MemoryStore, StoreContext
from agentassert.cancellation import Cancellation

WAIT = 60.0
"""Longer than anything takes that ends, in seconds."""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


class Synchronous:
    """An AsyncManager, or a thread of one, with the names of Manager, for programs without asyncio."""

    def __init__(self, loop: Loop, inner: Any) -> None:
        self.inner = inner
        self._loop = loop

    def thread(self, thread_id: str) -> Synchronous:
        return Synchronous(self._loop, self.inner.thread(thread_id))

    def close(self) -> None:
        self._loop.run(self.inner.aclose())

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if not inspect.iscoroutinefunction(member):
            return member

        def run(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run(member(*args, **kwargs))

        return run


class Setting:
    """A backend, a store, a clock, and managers of that kind."""

    def __init__(self, core: AgentAssert, loop: Loop | None) -> None:
        self.core = core
        self.loop = loop
        self.clock = Clock()
        self.backend = Backend(core, self.clock)
        self.store = MemoryStore()
        self._opened: list[Any] = []

    def open(self, **options: Any) -> Any:
        """Opens a manager. Its options are those of a test's, but for those that are given."""
        given: dict[str, Any] = {
            "core": self.core,
            "base_url": BASE,
            "store": self.store,
            "credentials": CREDENTIALS,
            "agent_identity": True,
            "allow_http": True,
            "now": self.clock,
            **options,
        }
        if self.loop is None:
            given.setdefault("http", self.backend.http)
            manager: Any = Manager(**given)
        else:
            given.setdefault("http", self.backend.ahttp)
            manager = Synchronous(self.loop, AsyncManager(**given))
        self._opened.append(manager)
        return manager

    def record(self, slot: str) -> bytes | None:
        """Returns what the store holds."""
        return self.store.load(slot, StoreContext(self.core, threading.Event()))

    def close(self) -> None:
        """Closes the managers."""
        for manager in self._opened:
            manager.close()


def at_once(calls: int, call: Callable[[], Any]) -> list[Any]:
    """Makes calls in so many threads at once, and returns what they return or raise."""
    barrier = threading.Barrier(calls)

    def one(_: int) -> Any:
        barrier.wait(WAIT)
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(one, range(calls)))


class Gate:
    """Holds up who comes through, until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = Cancellation()

    def open(self) -> None:
        self._opened.set()

    def pass_through(self, *_: object) -> None:
        self.reached.set()
        assert self._opened.wait(WAIT)

    async def apass_through(self) -> None:
        self.reached.set()
        await asyncio.wrap_future(self._opened.future)

    def hold(self, backend: Backend) -> None:
        """Has the backend answer nobody until the gate is opened, whatever kind of manager asks."""

        async def hold(*_: object) -> None:
            await self.apass_through()

        def hold_thread(*_: object) -> None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                self.pass_through()

        backend.intercept, backend.intercept_async = hold_thread, hold

    def wait(self) -> None:
        """Waits for the first who comes through."""
        assert self.reached.wait(WAIT)


def constantly(value: Any) -> Callable[..., Any]:
    """Returns a function that returns this, whatever it is called with."""

    def answer(*_: object) -> Any:
        return value

    return answer


def settings(core: AgentAssert, kind: str) -> Iterator[Setting]:
    """Yields a setting, and closes what was opened."""
    loop = Loop() if kind == "asyncio" else None
    setting = Setting(core, loop)
    try:
        yield setting
    finally:
        setting.close()
        if loop is not None:
            loop.close()
