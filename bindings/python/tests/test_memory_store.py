"""The store in memory, and what flows wait their turn with."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from settings import WAIT

from agentassert import AgentAssert, AgentAssertError, MemoryStore, StoreContext
from agentassert.cancellation import Cancellation
from agentassert.turns import Turns
from agentassert.workers import Workers


@pytest.fixture
def context(core: AgentAssert) -> StoreContext:
    return StoreContext(core, threading.Event())


class TestMemoryStore:
    def test_keeps_copies(self, context: StoreContext) -> None:
        store, record = MemoryStore(), bytearray(b"12")
        store.save("identity", record, context)  # type: ignore[arg-type]
        record[0] = 0
        assert store.load("identity", context) == b"12"
        assert store.load("backoff", context) is None
        store.delete("identity", context)
        store.delete("identity", context)
        assert store.load("identity", context) is None

    def test_begins_with_what_it_is_given(self, context: StoreContext) -> None:
        assert MemoryStore({"identity": b"1"}).load("identity", context) == b"1"

    def test_swaps_what_it_is_expected_to_have_and_nothing_else(self, context: StoreContext) -> None:
        store = MemoryStore()
        store.swap("identity", None, b"1", context)
        for expected, record in ((None, b"2"), (b"2", None)):
            with pytest.raises(AgentAssertError) as caught:
                store.swap("identity", expected, record, context)
            assert caught.value.code == "record_changed"
        assert store.load("identity", context) == b"1"
        store.swap("identity", b"1", b"2", context)
        store.swap("identity", b"2", None, context)
        assert store.load("identity", context) is None

    def test_has_one_holder_of_a_slots_lock_at_a_time(self, context: StoreContext) -> None:
        store = MemoryStore()
        unlock = store.lock("identity", context)
        canceled = threading.Event()
        canceled.set()
        with pytest.raises(AgentAssertError) as caught:
            store.lock("identity", StoreContext(context.core, canceled))
        assert caught.value.code == "canceled"
        store.lock("thread/1", context)()
        order: list[str] = []

        def wait() -> None:
            second = store.lock("identity", context)
            order.append("second")
            second()

        waiting = threading.Thread(target=wait)
        waiting.start()
        order.append("first")
        unlock()
        waiting.join(WAIT)
        assert order == ["first", "second"]
        unlock()  # it was the lock before
        store.lock("identity", context)()

    def test_shows_nothing(self) -> None:
        assert "secret" not in repr(MemoryStore({"identity": b"secret"}))


class TestTurns:
    def test_come_in_order_one_at_a_time(self) -> None:
        turns = Turns()
        taken = [turns.take("a") for _ in range(4)]
        for i, turn in enumerate(taken):
            assert [other.future.done() for other in taken] == [True] * (i + 1) + [False] * (3 - i)
            turn.end()
            turn.end()
        assert turns.is_empty

    def test_pass_over_who_has_given_up(self) -> None:
        turns = Turns()
        first, second, third = (turns.take("a") for _ in range(3))
        second.end()
        assert not third.future.done()
        first.end()
        assert third.future.done()
        assert turns.take("b").future.done()


class TestWorkers:
    def test_nobody_waits_for_another(self) -> None:
        workers, gate = Workers(), threading.Event()
        held = [workers.submit(lambda: gate.wait(WAIT)) for _ in range(20)]
        assert workers.submit(lambda: 5).result(WAIT) == 5
        gate.set()
        assert all(work.result(WAIT) for work in held)

    def test_errors_are_whose_who_asks(self) -> None:
        def fail(error: BaseException) -> Any:
            raise error

        workers = Workers()
        with pytest.raises(ValueError, match="x"):
            workers.submit(lambda: fail(ValueError("x"))).result(WAIT)
        with pytest.raises(RuntimeError, match="SystemExit"):
            workers.submit(lambda: fail(SystemExit())).result(WAIT)
        assert not workers.submit(lambda: None).cancel()


def test_a_cancellation_tells_who_has_asked_and_who_asks_later() -> None:
    cancellation, told = Cancellation(), list[int]()
    cancellation.on_set(lambda: told.append(1))
    assert not cancellation.is_set()
    cancellation.set()
    cancellation.set()
    cancellation.on_set(lambda: told.append(2))
    assert told == [1, 2]
    assert cancellation.wait(0)
    assert isinstance(cancellation.future, Future)
