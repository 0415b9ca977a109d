"""Managers in processes that are forked off."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from settings import WAIT, Gate, Setting, settings
from test_instances import instances

from agentassert import AgentAssert, StoreContext

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_a_child(check: Callable[[], bool]) -> bool:
    """Returns what a function returns in a process that is forked off."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        is_good = False
        try:
            is_good = check()
        finally:
            os._exit(0 if is_good else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def threads_only(core: AgentAssert) -> Iterator[Setting]:
    """Managers for threads: an event loop does not survive a fork."""
    yield from settings(core, "threads")


def test_a_child_has_an_instance_of_its_own(threads_only: Setting) -> None:
    manager = threads_only.open(**instances())
    thread = manager.thread("a")
    first, turn = manager.authorization("models"), thread.authorization()

    def check() -> bool:
        answers = [manager.authorization("models"), thread.authorization()]
        return [answer.runtime_agent_instance for answer in answers] == ["instance-2"] * 2

    assert first.runtime_agent_instance == turn.runtime_agent_instance == "instance-1"
    assert in_a_child(check)
    assert manager.authorization("models").runtime_agent_instance == "instance-1"


def test_a_child_goes_on_while_its_parent_registers(threads_only: Setting) -> None:
    setting, gate = threads_only, Gate()
    gate.hold(setting.backend)
    manager = setting.open()
    answers: list[Any] = []
    parent = threading.Thread(target=lambda: answers.append(manager.authorization("models")))
    parent.start()
    gate.wait()

    def check() -> bool:
        setting.backend.intercept = None
        return str(manager.authorization("models").mode) == "agent-assertion"

    assert in_a_child(check)
    gate.open()
    parent.join(WAIT)
    assert [answer.mode for answer in answers] == ["agent-assertion"]


def test_a_child_can_close_what_its_parent_uses(threads_only: Setting) -> None:
    manager = threads_only.open()
    manager.prewarm()
    assert in_a_child(lambda: manager.close() is None)
    threads_only.clock.seconds += 1
    assert manager.authorization("models").mode == "agent-assertion"


def test_locks_of_a_store_in_memory_are_the_parents(threads_only: Setting) -> None:
    context = StoreContext(threads_only.core, threading.Event())
    unlock = threads_only.store.lock("identity", context)
    assert in_a_child(lambda: callable(threads_only.store.lock("identity", context)))
    unlock()
