"""The file store's lock: of threads, of processes that are forked off, and of other programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from files import (
    DOCUMENT,
    LONG,
    check_folder,
    child,
    code_of,
    context,
    is_free,
    locked_by_flock,
    new_file,
    raises,
)

from agentassert.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentassert import AgentAssert
    from agentassert.store import StoreContext

KINDS = pytest.mark.parametrize("lock", ["processes", "process"])


@pytest.fixture
def ctx(core: AgentAssert) -> StoreContext:
    return context(core)


def lock_of(path: Path) -> Path:
    return path.with_name("auth.json.registration.lock")


@KINDS
def test_stores_exclude_each_other(tmp_path: Path, ctx: StoreContext, lock: Any) -> None:
    path = new_file(tmp_path)

    def open_store(lock_timeout: float = LONG) -> FileStore:
        return FileStore(path, lock=lock, lock_timeout=lock_timeout)

    holder = open_store()
    unlock = holder.lock("identity", ctx)
    with ThreadPoolExecutor(4) as pool:
        for store in (holder, open_store()):
            gone = context(ctx.core)
            waiting = pool.submit(code_of, partial(store.lock, "identity", gone))
            gone.canceled.set()
            assert waiting.result(LONG) == "auth_file_locked"
            with raises("auth_file_locked"):
                store.lock("identity", gone)
        with raises("auth_file_locked"):
            open_store(0.02).lock("identity", ctx)

        # Those of other slots do not wait, and loading and saving need no lock.
        for slot in ("thread/1", "thread/2"):
            holder.lock(slot, ctx)()
        holder.save("backoff", b"{}", ctx)
        holder.load("identity", ctx)

        unlocked = threading.Event()

        def use(store: FileStore) -> None:
            unlock = store.lock("identity", ctx)
            assert unlocked.is_set(), "nobody gets the lock while it is held"
            unlock()

        waiting_all = [pool.submit(use, store) for store in (holder, open_store(), open_store())]
        unlocked.set()
        unlock()
        for each in waiting_all:
            each.result(LONG)


@KINDS
def test_a_lock_is_given_back_once(tmp_path: Path, ctx: StoreContext, lock: Any) -> None:
    path = new_file(tmp_path)
    unlock = FileStore(path, lock=lock).lock("identity", ctx)
    unlock()
    unlock_again = FileStore(path, lock=lock).lock("identity", ctx)
    unlock()
    with raises("auth_file_locked"):
        FileStore(path, lock=lock, lock_timeout=0.02).lock("identity", ctx)
    unlock_again()
    FileStore(path, lock=lock).lock("identity", ctx)()


@KINDS
def test_names_of_one_file_are_one(tmp_path: Path, ctx: StoreContext, lock: Any) -> None:
    (tmp_path / "real").mkdir()
    path = new_file(tmp_path / "real")
    (tmp_path / "folder").symlink_to("real")
    named = tmp_path / "folder" / "auth.json"
    for _ in range(2):
        unlock = FileStore(path, lock=lock).lock("identity", ctx)
        with raises("auth_file_locked"):
            FileStore(named, lock=lock, lock_timeout=0.02).lock("identity", ctx)
        unlock()
        FileStore(named, lock=lock).lock("identity", ctx)()
        path.unlink(missing_ok=True)  # and once more without a file


@KINDS
def test_the_folder_is_as_it_was(tmp_path: Path, ctx: StoreContext, lock: Any) -> None:
    path = new_file(tmp_path, None)
    for _ in range(2):
        FileStore(path, lock=lock).lock("identity", ctx)()
        FileStore(path, lock=lock).lock("thread/1", ctx)()
    left = ["auth.json.locks", "auth.json.registration.lock"] if lock == "processes" else []
    check_folder(path, *left)


@KINDS
def test_those_who_wait_come_in_the_order_in_which_they_asked(
    tmp_path: Path, ctx: StoreContext, lock: Any
) -> None:
    store = FileStore(new_file(tmp_path), lock=lock, lock_timeout=LONG)
    order: list[int] = []
    unlock = store.lock("identity", ctx)
    asked = [threading.Event() for _ in range(5)]

    def use(i: int) -> None:
        canceled = Asked(asked[i])
        unlock = store.lock("identity", type(ctx)(ctx.core, canceled))
        order.append(i)
        unlock()

    with ThreadPoolExecutor(5) as pool:
        for i in range(5):
            pool.submit(use, i)
            assert asked[i].wait(LONG)
        unlock()
    assert order == list(range(5))


class Asked(threading.Event):
    """Is asked whether anybody still waits, once somebody stands in the queue."""

    def __init__(self, asked: threading.Event) -> None:
        super().__init__()
        self._asked = asked

    def is_set(self) -> bool:
        self._asked.set()
        return super().is_set()


def test_other_programs_are_kept_out(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    unlock = FileStore(path).lock("identity", ctx)
    assert not is_free(lock_of(path))
    unlock()
    assert is_free(lock_of(path))
    assert lock_of(path).read_bytes() == b""


def test_other_programs_are_waited_for(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with locked_by_flock(lock_of(path)):
            with raises("auth_file_locked"):
                FileStore(path, lock_timeout=0.02).lock("identity", ctx)
            waiting = pool.submit(FileStore(path).lock, "identity", ctx)
        unlock = waiting.result(LONG)
    assert not is_free(lock_of(path))
    unlock()


def test_who_was_canceled_does_not_get_the_lock_later(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    gone = context(ctx.core)
    with ThreadPoolExecutor(1) as pool, locked_by_flock(lock_of(path)):
        waiting = pool.submit(code_of, partial(FileStore(path).lock, "identity", gone))
        gone.canceled.set()
        assert waiting.result(LONG) == "auth_file_locked"
    assert is_free(lock_of(path))


def add_one(path: Path, ctx: StoreContext, slot: str, times: int) -> None:
    """Adds one to a number in the store, many times, each of which needs the lock."""
    store = FileStore(path)
    for _ in range(times):
        unlock = store.lock(slot, ctx)
        number = int(store.load("backoff", ctx) or b"0")
        store.save("backoff", b"%d" % (number + 1), ctx)
        unlock()


@pytest.mark.parametrize("slot", ["identity", "thread/1"])
def test_processes_and_threads_count_without_losing_one(tmp_path: Path, ctx: StoreContext, slot: str) -> None:
    """Of a thread's lock the file is removed each time."""
    path = new_file(tmp_path)

    def count(_: object) -> None:
        with ThreadPoolExecutor(3) as pool:
            for each in [pool.submit(add_one, path, ctx, slot, 5) for _ in range(3)]:
                each.result(LONG)

    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(child(count)) for _ in range(4)]
        assert [other.end() for other in others] == [0] * 4
    assert FileStore(path).load("backoff", ctx) == b"60"


def hold(path: Path, ctx: StoreContext) -> Callable[[Any], None]:
    """Returns what another process does that holds the lock until it is told to end."""

    def work(other: Any) -> None:
        unlock = FileStore(path).lock("identity", ctx)
        other.say("locked")
        other.wait()
        unlock()

    return work


def test_the_lock_is_free_when_its_holder_is_killed(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    with child(hold(path, ctx)) as holder, ThreadPoolExecutor(1) as pool:
        assert holder.line() == "locked"
        assert not is_free(lock_of(path))
        waiting = pool.submit(FileStore(path).lock, "identity", ctx)
        holder.kill()
        waiting.result(LONG)()


def test_the_lock_is_free_when_its_holder_ends(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)

    def end(other: Any) -> None:
        FileStore(path).lock("identity", ctx)
        other.say("locked")

    with child(end) as holder:
        assert holder.line() == "locked"
        assert holder.end() == 0
    assert is_free(lock_of(path))


@pytest.mark.parametrize("how", ["fork", "program"])
def test_the_lock_is_free_when_what_its_holder_has_started_lives_on(
    tmp_path: Path, ctx: StoreContext, how: str
) -> None:
    path = new_file(tmp_path)

    def start(other: Any) -> None:
        unlock = FileStore(path).lock("identity", ctx)
        if how == "fork":
            pid = os.fork()
            if pid == 0:
                unlock()  # which is not this process's to give back
                with raises("auth_file_locked"):
                    FileStore(path, lock_timeout=0.02).lock("identity", ctx)
                other.say(os.getpid())
                time.sleep(LONG)
                os._exit(0)
        else:
            program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
            other.say(program.pid)
        other.wait()

    with child(start) as holder:
        pid = holder.line()
        try:
            assert not is_free(lock_of(path))
            holder.kill()
            os.kill(pid, 0)  # it is there
            FileStore(path, lock_timeout=LONG).lock("identity", ctx)()
        finally:
            os.kill(pid, signal.SIGKILL)


def test_what_is_forked_off_while_a_lock_is_held_can_have_it_afterwards(
    tmp_path: Path, ctx: StoreContext
) -> None:
    path = new_file(tmp_path)
    unlock = FileStore(path).lock("identity", ctx)

    def work(other: Any) -> None:
        other.say("ready")
        FileStore(path, lock_timeout=LONG).lock("identity", ctx)()
        other.say("had it")

    with child(work) as other:
        assert other.line() == "ready"
        unlock()
        assert other.line() == "had it"


def test_a_lock_file_that_cannot_be_made(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    lock_of(path).mkdir()
    with raises("auth_file_not_regular"):
        FileStore(path).lock("identity", ctx)


def test_a_file_system_without_locks(
    tmp_path: Path, ctx: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def flock(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    path = new_file(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    monkeypatch.setattr(fcntl, "flock", flock)
    for slot in ("identity", "thread/1"):
        with raises("auth_file_lock_unavailable"):
            FileStore(path).lock(slot, ctx)
        FileStore(path, lock="process").lock(slot, ctx)()
    with raises("auth_file_lock_unavailable"):
        FileStore(path).swap("identity", None, b"{}", ctx)
    assert path.read_bytes() == DOCUMENT
    FileStore(path, lock="process").swap("identity", None, b"{}", ctx)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
