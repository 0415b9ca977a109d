"""Backends, stores and callers that fail, in both kinds of managers."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from backend import TOKEN
from settings import WAIT, Gate, Setting, constantly, settings

from agentassert import AgentAssert, AgentAssertError, HTTPResponse, MemoryStore, StoreContext, workers
from agentassert.operation import Bounds
from agentassert.overlay import Overlay

TESTS = Path(__file__).parent


def store_with(**methods: Any) -> MemoryStore:
    """Returns a store in which some methods are others."""
    store = MemoryStore()
    for name, method in methods.items():
        setattr(store, name, method)
    return store


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """Returns a function that raises this."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


BACKEND_FAULTS: list[tuple[str, Callable[..., Any], str, str]] = [
    (
        "refuses connections",
        raising(ConnectionRefusedError(111, "refused")),
        "request_failed",
        "ECONNREFUSED",
    ),
    (
        "is nowhere",
        raising(chained(ValueError("x"), OSError(113, "x"))),
        "request_failed",
        "EHOSTUNREACH",
    ),
    (
        "has a bad certificate",
        raising(chained(ValueError("x"), ssl.SSLCertVerificationError(1, "secret-"))),
        "request_failed",
        "CERTIFICATE_VERIFY_FAILED",
    ),
    ("takes too long", raising(TimeoutError("secret-")), "request_failed", "in time"),
    ("fails for some reason", raising(ValueError("secret-")), "request_failed", "not shown"),
    ("answers with no response", lambda *_: "text", "request_failed", "not shown"),
    ("answers with no status", lambda *_: HTTPResponse(99, {}, b""), "request_failed", "not shown"),
    ("answers with no body", lambda *_: HTTPResponse(200, {}, None), "request_failed", "not shown"),  # type: ignore[arg-type]
    ("refuses", lambda *_: HTTPResponse(403, {}, b"no"), "http_status", ""),
    ("leads elsewhere", lambda *_: HTTPResponse(302, {"Location": "/"}, b""), "http_status", ""),
    ("sends garbage", lambda *_: HTTPResponse(200, {}, b"\xff\xfe\x00"), "invalid_response", ""),
    ("sends too much", lambda *_: HTTPResponse(200, {}, bytes(65537)), "request_failed", "larger"),
    (
        "sends odd header fields",
        lambda *_: HTTPResponse(200, {"X-OpenAI-Authorization": "\ud800"}, b"{}"),
        "invalid_response",
        "",
    ),
]


class TestABackend:
    @pytest.mark.parametrize(
        ("answer", "code", "text"), [pytest.param(*f[1:], id=f[0]) for f in BACKEND_FAULTS]
    )
    def test_that_fails(self, setting: Setting, answer: Callable[..., Any], code: str, text: str) -> None:
        manager = setting.open()
        setting.backend.intercept = answer
        got = manager.authorization("models")
        assert (got.mode, got.reason, got.cause.code) == ("bearer", "registration-failed", code)
        assert got.retry_at > setting.clock.seconds
        assert text in str(got.cause.__cause__)
        assert "secret-" not in "".join(traceback.format_exception(got.cause))
        # The failure is remembered: the next call does not ask.
        requests = len(setting.backend.seen)
        setting.clock.seconds += 1
        assert manager.authorization("models").cause.code == "backing_off"
        assert len(setting.backend.seen) == requests

    def test_that_sends_the_credential_back_in_an_error(self, setting: Setting) -> None:
        manager = setting.open()
        setting.backend.intercept = raising(chained(ValueError(TOKEN), ValueError(f"HTTP/1.1 400 {TOKEN}")))
        got = manager.authorization("models")
        assert got.cause.code == "request_failed"
        assert TOKEN not in "".join(traceback.format_exception(got.cause))
        seen: list[BaseException | None] = [got.cause]
        while seen[-1] is not None:
            assert TOKEN not in repr(seen[-1].args)
            seen.append(seen[-1].__cause__ or seen[-1].__context__)

    def test_that_never_answers(self, setting: Setting) -> None:
        manager = setting.open()
        manager._host.held_seconds = 0.05  # in place of the 15 s of a request
        gate = Gate()
        gate.hold(setting.backend)
        got = manager.authorization("models")
        assert (got.mode, got.cause.code) == ("bearer", "request_failed")
        assert "too long" in str(got.cause.__cause__)
        gate.open()

    def test_that_is_slow_for_a_caller_that_stops_waiting(self, setting: Setting) -> None:
        manager = setting.open()
        gate = Gate()
        gate.hold(setting.backend)
        others: list[Any] = []
        other = threading.Thread(target=lambda: others.append(manager.authorization("models")))
        other.start()
        gate.wait()
        with pytest.raises(AgentAssertError) as caught:
            manager.authorization("models", timeout=0.01)
        assert caught.value.code == "canceled"
        gate.open()
        other.join(WAIT)
        assert [answer.mode for answer in others] == ["agent-assertion"]

    def test_whose_first_caller_stops_waiting(self, setting: Setting) -> None:
        manager = setting.open()
        gate = Gate()
        gate.hold(setting.backend)
        with pytest.raises(AgentAssertError):
            manager.authorization("models", timeout=0)
        gate.wait()
        gate.open()
        assert manager.authorization("models").task_id == "task-1"
        assert len(setting.backend.seen) == 4

    def test_that_never_answers_a_manager_that_is_closed(self, setting: Setting) -> None:
        manager = setting.open()
        gate = Gate()
        gate.hold(setting.backend)
        others: list[Any] = []
        other = threading.Thread(target=lambda: others.append(manager.authorization("models")))
        other.start()
        gate.wait()
        manager.close()
        other.join(WAIT)
        gate.open()
        assert [(answer.mode, answer.cause.code) for answer in others] == [("bearer", "request_failed")]
        asks: list[Callable[[], Any]] = [
            lambda: manager.authorization("models"),
            lambda: manager.thread("a").authorization(),
            lambda: manager.forget("a"),
        ]
        for ask in asks:
            with pytest.raises(AgentAssertError) as caught:
                ask()
            assert caught.value.code == "closed"
        # The lock is free.
        assert setting.open().authorization("models").mode == "agent-assertion"


STORE_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("load raises", {"load": raising(OSError("the disk is gone"))}),
    ("load ends the process", {"load": raising(SystemExit(1))}),
    ("load returns text", {"load": constantly("{}")}),
    ("load returns no bytes", {"load": constantly(b"")}),
    ("lock raises", {"lock": raising(OSError("no"))}),
    ("lock returns nothing", {"lock": constantly(None)}),
    ("probe raises", {"probe": raising(OSError("full"))}),
    ("swap raises", {"swap": raising(OSError("full"))}),
    ("lock is canceled by itself", {"lock": raising(asyncio.CancelledError())}),
]


class TestAStore:
    @pytest.mark.parametrize("methods", [pytest.param(f[1], id=f[0]) for f in STORE_FAULTS])
    def test_that_fails(self, setting: Setting, methods: dict[str, Any]) -> None:
        got = setting.open(store=store_with(**methods)).authorization("models")
        assert (got.mode, got.cause.code) == ("bearer", "store_failed")
        assert got.cause.__cause__ is not None, "the host's own words are lost"

    def test_that_never_comes_back(self, setting: Setting) -> None:
        gate = Gate()
        store = store_with(load=gate.pass_through)
        manager = setting.open(store=store)
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(manager.authorization("models")))
        waiting.start()
        gate.wait()
        manager.close()
        waiting.join(WAIT)
        gate.open()
        assert [answer.mode for answer in answers] == ["bearer"]

    def test_that_never_comes_back_under_a_lock(self, setting: Setting) -> None:
        gate, calls = Gate(), iter(range(100))
        memory = MemoryStore()

        def load(slot: str, context: StoreContext) -> bytes | None:
            if next(calls) == 2:
                gate.pass_through()
            return memory.load(slot, context)

        manager = setting.open(store=store_with(load=load))
        manager._host.held_seconds = 0.05
        got = manager.authorization("models")
        gate.open()
        assert (got.mode, got.cause.code) == ("bearer", "store_failed")

    def test_gets_its_lock_back_even_late(self, setting: Setting) -> None:
        gate, unlocked = Gate(), threading.Event()

        def lock(*_: object) -> Callable[[], None]:
            gate.pass_through()
            return unlocked.set

        manager = setting.open(store=store_with(lock=lock))
        waiting = threading.Thread(target=lambda: manager.authorization("models"))
        waiting.start()
        gate.wait()
        manager.close()
        waiting.join(WAIT)
        assert not unlocked.is_set()
        gate.open()
        assert unlocked.wait(WAIT)

    def test_is_told_that_nobody_waits(self, setting: Setting) -> None:
        told, asked = threading.Event(), threading.Event()

        def load(slot: str, context: StoreContext) -> None:
            asked.set()
            if context.canceled.wait(WAIT):
                told.set()

        manager = setting.open(store=store_with(load=load))
        waiting = threading.Thread(target=lambda: manager.authorization("models"))
        waiting.start()
        assert asked.wait(WAIT)
        manager.close()
        waiting.join(WAIT)
        assert told.wait(WAIT)

    def test_a_save_is_not_ended_with_the_manager(self, setting: Setting) -> None:
        gate = Gate()
        memory = MemoryStore()

        def swap(*arguments: Any) -> None:
            gate.pass_through()
            memory.swap(*arguments)

        store = store_with(swap=swap, load=memory.load)
        manager = setting.open(store=store)
        waiting = threading.Thread(target=lambda: manager.authorization("models"))
        waiting.start()
        gate.wait()
        closing = threading.Thread(target=manager.close)
        closing.start()
        while not manager._closed:
            time.sleep(0.001)
        assert closing.is_alive()
        gate.open()
        closing.join(WAIT)
        waiting.join(WAIT)
        assert b"agent-1" in (memory.load("identity", StoreContext(setting.core, threading.Event())) or b"")

    def test_a_failure_that_cannot_be_saved_is_remembered_all_the_same(self, setting: Setting) -> None:
        manager = setting.open(store=store_with(save=raising(OSError("full"))))
        setting.backend.intercept = constantly(HTTPResponse(500, {}, b""))
        assert manager.authorization("models").cause.code == "http_status"
        setting.clock.seconds += 1
        assert manager.authorization("models").cause.code == "backing_off"

    def test_that_does_not_forget(self, setting: Setting) -> None:
        manager = setting.open(store=store_with(delete=raising(OSError("no"))))
        with pytest.raises(AgentAssertError) as caught:
            manager.forget("a")
        assert caught.value.code == "store_failed"
        gate = Gate()
        manager = setting.open(store=store_with(delete=gate.pass_through))
        with pytest.raises(AgentAssertError) as caught:
            manager.forget("a", timeout=0.01)
        gate.open()
        assert caught.value.code == "canceled"

    def test_that_runs_another_module(self, setting: Setting) -> None:
        store = store_with(load=raising(AgentAssertError("policy_violation", "the module was refused")))
        with pytest.raises(AgentAssertError) as caught:
            setting.open(store=store).authorization("models")
        assert caught.value.code == "policy_violation"


READ_ONLY = AgentAssertError("store_read_only", "mounted read-only")


class TestAStoreThatIsReadOnly:
    def frozen(self, setting: Setting) -> Any:
        """Returns a manager of a store that holds what another has registered, and takes no more."""
        first = setting.open()
        first.prewarm()
        first.thread("kept").prewarm()
        refusing = dict.fromkeys(("save", "swap", "delete", "lock", "probe"), raising(READ_ONLY))
        return setting.open(store=store_with(load=setting.store.load, **refusing))

    def test_serves_what_it_holds_and_the_rest_is_kept_in_memory(self, setting: Setting) -> None:
        manager = self.frozen(setting)
        old = manager.authorization("models")
        assert old.task_id == "task-1"
        assert manager.thread("kept").authorization().task_id == "task-2"
        for _ in range(3):
            setting.clock.seconds += 1
            assert manager.thread("new").authorization().task_id == "task-3"
        assert manager.recover(old).task_id == "task-4"
        setting.clock.seconds += 1
        assert manager.authorization("models").task_id == "task-4"
        assert (len(setting.backend.identities), len(setting.backend.tasks)) == (1, 4)

    def test_what_somebody_else_has_put_there_since_counts(self, setting: Setting) -> None:
        manager = self.frozen(setting)
        manager.thread("new").authorization()
        context = StoreContext(setting.core, threading.Event())
        setting.store.save("thread/new", setting.record("thread/kept") or b"", context)
        setting.clock.seconds += 1
        assert manager.thread("new").authorization().task_id == "task-2"

    def test_registers_nothing_where_it_holds_nothing(self, setting: Setting) -> None:
        refusing = dict.fromkeys(("save", "swap", "probe"), raising(READ_ONLY))
        got = setting.open(store=store_with(**refusing)).authorization("models")
        assert (got.mode, got.cause.code) == ("bearer", "store_read_only")
        assert setting.backend.seen == []


def test_so_many_threads_are_kept_and_no_more() -> None:
    overlay = Overlay(2)
    for slot in ("backend", "thread/1", "thread/2", "thread/1", "thread/3"):
        writing = overlay.write(slot, None, b"1", Bounds())
        next(writing)
        with pytest.raises(AgentAssertError):
            writing.throw(READ_ONLY)

    def kept(slot: str) -> bool:
        loading = overlay.load(slot, Bounds())
        next(loading)
        with pytest.raises(StopIteration) as end:
            loading.send(None)
        return end.value.value[0] is not None

    assert [kept(slot) for slot in ("backend", "thread/1", "thread/2", "thread/3")] == [
        True,
        True,
        False,
        True,
    ]


def test_a_system_without_more_threads(core: AgentAssert, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    for setting in settings(core, "threads"):
        manager = setting.open()
        with monkeypatch.context() as patched:
            patched.setattr(workers.WORKERS, "_idle", [])
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(AgentAssertError) as caught:
                manager.authorization("models")
            assert caught.value.code == "internal"
        assert manager.authorization("models").mode == "agent-assertion"


def test_the_process_ends_in_the_middle_of_a_registration(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, threading\n"
        f"sys.path[:0] = {[str(path) for path in (TESTS.parent / 'src', TESTS)]!r}\n"
        "from agentassert import AgentAssertError, Manager\n"
        "from backend import BASE, CREDENTIALS\n"
        "asked = threading.Event()\n"
        "def http(request):\n"
        "    asked.set()\n"
        "    threading.Event().wait()\n"
        "manager = Manager(base_url=BASE, credentials=CREDENTIALS, agent_identity=True,\n"
        "    allow_http=True, http=http)\n"
        "try:\n"
        "    manager.authorization('models', timeout=0)\n"
        "except AgentAssertError as error:\n"
        "    print(error.code)\n"
        "asked.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("canceled\n", "", 0)
