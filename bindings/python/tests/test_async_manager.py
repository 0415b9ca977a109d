"""What only managers for asyncio have: tasks, loops and stores with coroutine functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from backend import BASE, CREDENTIALS, Backend, Clock
from settings import WAIT, Gate, Loop

from agentassert import AgentAssert, AgentAssertError, AsyncManager, Manager, MemoryStore, StoreContext


class Setting:
    """A backend, a store, a clock, and managers for the running loop."""

    def __init__(self, core: AgentAssert) -> None:
        self.core = core
        self.clock = Clock()
        self.backend = Backend(core, self.clock)
        self.store: Any = MemoryStore()

    def open(self, **options: Any) -> AsyncManager:
        given: dict[str, Any] = {
            "core": self.core,
            "base_url": BASE,
            "store": self.store,
            "credentials": CREDENTIALS,
            "agent_identity": True,
            "allow_http": True,
            "http": self.backend.ahttp,
            "now": self.clock,
            **options,
        }
        return AsyncManager(**given)


class AsyncMemoryStore:
    """A store whose methods are coroutine functions."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.locks = 0
        self._locks: dict[str, asyncio.Lock] = {}

    async def load(self, slot: str, context: StoreContext) -> bytes | None:
        await asyncio.sleep(0)
        return self.memory.load(slot, context)

    async def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        self.memory.save(slot, record, context)

    async def delete(self, slot: str, context: StoreContext) -> None:
        self.memory.delete(slot, context)

    async def swap(
        self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext
    ) -> None:
        self.memory.swap(slot, expected, record, context)

    async def lock(self, slot: str, context: StoreContext) -> Callable[[], Awaitable[None]]:
        lock = self._locks.setdefault(slot, asyncio.Lock())
        await lock.acquire()
        self.locks += 1

        async def unlock() -> None:
            await asyncio.sleep(0)
            lock.release()
            self.locks -= 1

        return unlock

    async def credentials(self, context: StoreContext) -> Any:
        return CREDENTIALS


def test_a_thousand_tasks_register_once(core: AgentAssert) -> None:
    setting = Setting(core)

    async def main() -> None:
        async with setting.open() as manager:
            answers = await asyncio.gather(*(manager.authorization("models") for _ in range(1000)))
            assert {answer.task_id for answer in answers} == {"task-1"}
            again = await asyncio.gather(*(manager.recover(answers[0]) for _ in range(1000)))
            assert {answer.task_id for answer in again} == {"task-2"}
        assert len(setting.backend.identities) == 1

    asyncio.run(main())


def test_a_hundred_conversations_have_a_hundred_tasks(core: AgentAssert) -> None:
    setting = Setting(core)

    async def main() -> None:
        async with setting.open() as manager:
            turns = (manager.thread(f"thread-{i % 100}").authorization() for i in range(300))
            answers = await asyncio.gather(*turns)
        assert len({answer.task_id for answer in answers}) == 100
        assert len(setting.backend.tasks) == 100

    asyncio.run(main())


def test_a_task_that_is_cancelled_leaves_the_flow_to_the_others(core: AgentAssert) -> None:
    setting, gate = Setting(core), Gate()
    gate.hold(setting.backend)

    async def main() -> None:
        async with setting.open() as manager:
            first = asyncio.create_task(manager.authorization("models"))
            second = asyncio.create_task(manager.authorization("apps"))
            await asyncio.to_thread(gate.wait)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            gate.open()
            assert (await asyncio.wait_for(second, WAIT)).task_id == "task-1"

    asyncio.run(main())


def test_a_task_that_is_cancelled_alone_has_its_flow_go_on(core: AgentAssert) -> None:
    setting, gate = Setting(core), Gate()
    gate.hold(setting.backend)

    async def main() -> None:
        async with setting.open() as manager:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(manager.authorization("models"), 0.01)
            gate.open()
            assert (await manager.authorization("models")).task_id == "task-1"
        assert len(setting.backend.seen) == 4

    asyncio.run(main())


def test_a_loop_that_ends_in_the_middle_gives_the_locks_back(core: AgentAssert) -> None:
    setting, gate = Setting(core), Gate()
    gate.hold(setting.backend)
    manager: AsyncManager | None = None

    async def main() -> None:
        nonlocal manager
        manager = setting.open()
        asyncio.ensure_future(manager.authorization("models"))  # noqa: RUF006
        await asyncio.to_thread(gate.wait)

    asyncio.run(main())
    context = StoreContext(core, threading.Event())
    context.canceled.set()  # it is not waited for
    setting.store.lock("identity", context)()
    gate.open()
    # In another loop it is used again.
    assert manager is not None
    assert asyncio.run(manager.authorization("models")).task_id == "task-1"


def test_a_second_loop_is_refused_while_there_is_a_first(core: AgentAssert) -> None:
    setting, loop = Setting(core), Loop()
    try:
        manager = setting.open()
        first = loop.run(manager.authorization("models"))
        # What is only used again is anybody's.
        assert asyncio.run(manager.authorization("models")) is first
        setting.clock.seconds += 1
        with pytest.raises(AgentAssertError) as caught:
            asyncio.run(manager.authorization("models"))
        assert caught.value.code == "wrong_event_loop"
        with pytest.raises(AgentAssertError) as caught:
            manager.authorization("models").send(None)
        assert caught.value.code == "wrong_event_loop"
        loop.run(manager.aclose())
    finally:
        loop.close()


class TestAStoreOfCoroutines:
    def test_is_used_in_the_loop(self, core: AgentAssert) -> None:
        setting = Setting(core)

        async def main() -> None:
            store = AsyncMemoryStore()
            async with setting.open(store=store, credentials=None) as manager:
                calls = [manager.authorization("models"), manager.thread("a").authorization()]
                answers = await asyncio.gather(*calls)
                assert [answer.mode for answer in answers] == ["agent-assertion"] * 2
                await manager.forget("a")
            assert store.locks == 0
            assert store.memory.load("identity", StoreContext(core, threading.Event()))

        asyncio.run(main())

    @pytest.mark.parametrize("method", ["load", "lock"])
    def test_that_never_comes_back_is_cancelled(self, core: AgentAssert, method: str) -> None:
        setting, cancelled = Setting(core), threading.Event()

        async def main() -> None:
            asked = asyncio.Event()

            async def never(*_: object) -> None:
                asked.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

            store = AsyncMemoryStore()
            setattr(store, method, never)
            manager = setting.open(store=store)
            waiting = asyncio.create_task(manager.authorization("models"))
            await asked.wait()
            await manager.aclose()
            assert (await waiting).mode == "bearer"
            assert cancelled.is_set()

        asyncio.run(main())

    def test_that_raises(self, core: AgentAssert) -> None:
        async def fail(*_: object) -> None:
            raise asyncio.CancelledError

        async def main() -> None:
            store = AsyncMemoryStore()
            store.load = fail  # type: ignore[assignment, method-assign]
            answer = await Setting(core).open(store=store).authorization("models")
            assert answer.cause is not None
            assert answer.cause.code == "store_failed"

        asyncio.run(main())

    def test_is_none_for_threads(self, core: AgentAssert) -> None:
        with pytest.raises(AgentAssertError, match="AsyncManager") as caught:
            Manager(core=core, base_url=BASE, store=AsyncMemoryStore(), credentials=CREDENTIALS)  # type: ignore[arg-type]
        assert caught.value.code == "invalid_manager_config"


def test_credentials_can_be_asked_for_in_any_way(core: AgentAssert) -> None:
    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return CREDENTIALS

    async def main() -> None:
        sources: list[Callable[[], Any]] = [coroutine, partial(coroutine), lambda: CREDENTIALS]
        for source in sources:
            answer = await Setting(core).open(credentials=source).authorization("models")
            assert answer.mode == "agent-assertion"

    asyncio.run(main())


def test_a_client_that_is_not_asynchronous_serves_too(core: AgentAssert) -> None:
    setting = Setting(core)

    async def main() -> None:
        answer = await setting.open(http=setting.backend.http).authorization("models")
        assert answer.mode == "agent-assertion"

    asyncio.run(main())
