"""What the tests of the file store share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from agentassert import AgentAssertError
from agentassert.file_operation import FileSettings
from agentassert.file_store import FileStore
from agentassert.store import StoreContext

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agentassert import AgentAssert
    from agentassert.file_operation import Hook

#: A document with members that the store does not own, in a form of its own.
DOCUMENT = (
    b'{ "later":{"b":1,"a":[ ]},\r\n\t"tokens":{"access_token":"secret-token","account_id":"acct-1"} ,'
    b' "last":1.50e1}\n\n'
)
#: An identity; the secret in it must not be shown.
RECORD = b'{"agent_runtime_id":"agent-1","agent_private_key":"secret-key"}'
#: The document with the record.
WITH_RECORD = DOCUMENT.replace(b"1.50e1", b'1.50e1, "agent_identity":' + RECORD)
#: What the client's locks leave beside auth.json.
LOCKS = ["auth.json.lock", "auth.lock"]

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, to be one user and another")

#: The users of these tests, and their group. No account has to have them.
ALICE, BOB, CAROL, TEAM = 41001, 41002, 41003, 42000

#: A hundred times as long as anything here takes, in seconds: what hangs ends then.
LONG = 60.0


def context(core: AgentAssert) -> StoreContext:
    """Returns the context of a caller who does not give up."""
    return StoreContext(core, threading.Event())


class HookedStore(FileStore):
    """A store that tells of each effect before it is carried out."""

    def __init__(self, path: str | Path, before: Hook, **options: Any) -> None:
        super().__init__(path, **options)
        self._settings = FileSettings(self._settings.locks)
        self._settings.before = before


def new_file(folder: Path, content: bytes | None = DOCUMENT, mode: int = 0o600) -> Path:
    """Returns the path of an auth.json that is alone in its folder, with that content; or of none."""
    path = folder / "auth.json"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    return path


@contextlib.contextmanager
def shared_folder(uid: int, gid: int, mode: int) -> Generator[Path]:
    """Has a folder that other users can get into, and that belongs to one of them."""
    outer = Path(tempfile.mkdtemp(prefix="agentassert-")).resolve()
    try:
        outer.chmod(0o755)
        folder = outer / "home"
        folder.mkdir()
        os.chown(folder, uid, gid)
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(outer)


def write_as(path: Path, content: bytes, uid: int, gid: int, mode: int) -> None:
    """Makes a file with everything that makes it somebody's."""
    path.write_bytes(content)
    os.chown(path, uid, gid)
    path.chmod(mode)


def check_owner(path: Path, uid: int, gid: int, mode: int) -> None:
    info = path.lstat()
    assert (info.st_uid, info.st_gid, oct(info.st_mode & 0o7777)) == (uid, gid, oct(mode)), path.name


def check_folder(path: Path, *want: str) -> None:
    """Checks which files are beside a file, itself included."""
    assert sorted(os.listdir(path.parent)) == sorted(want)


@contextlib.contextmanager
def raises(code: str) -> Generator[None]:
    """Expects an error with that code, which shows none of the secrets above; an empty code is none."""
    if not code:
        yield
        return
    with pytest.raises(AgentAssertError) as caught:
        yield
    assert caught.value.code == code, repr(caught.value)
    assert caught.value.message
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret-" not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def code_of(work: Callable[..., object], *args: object) -> str:
    """Returns the code of the error that something ends with, or an empty one."""
    try:
        work(*args)
    except AgentAssertError as error:
        return error.code
    return ""


def save(store: FileStore, slot: str, record: bytes, ctx: StoreContext) -> None:
    if slot == "identity":
        store.swap(slot, store.load(slot, ctx), record, ctx)
    else:
        store.save(slot, record, ctx)


class Child:
    """Another process, forked off, that does something with this one's core and reports by lines."""

    def __init__(self, work: Callable[[Child], object], uid: int = 0, gid: int = 0) -> None:
        self._read, self._written = os.pipe()
        self._stdin, self._end = os.pipe()
        with warnings.catch_warnings():
            # That other threads are gone in it: what they held is the engine's, and not in use.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            self._run(work, uid, gid)
        os.close(self._written)
        os.close(self._stdin)
        self._status: int | None = None
        self._lines = os.fdopen(self._read)

    def _run(self, work: Callable[[Child], object], uid: int, gid: int) -> NoReturn:
        status = 1
        try:
            os.close(self._end)
            if uid or gid:
                os.setgroups([gid])
                os.setgid(gid)
                os.setuid(uid)
            result = work(self)
            if result is not None:
                self.say(result)
            status = 0
        except BaseException:  # a fork must not go on with the tests
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def say(self, line: object) -> None:
        """In the child: reports."""
        os.write(self._written, (json.dumps(line) + "\n").encode())

    def wait(self) -> None:
        """In the child: waits for end."""
        os.read(self._stdin, 1)

    def line(self) -> Any:
        """Returns the next report, or None when there are no more."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def end(self) -> int:
        """Has the child go on, and returns how it ended: an exit code, or a negative signal."""
        if self._status is None:
            os.close(self._end)
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
            self._lines.close()
        return self._status

    def close(self) -> None:
        """Ends it, if it has not."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.end()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert self.end() == -signal.SIGKILL


@contextlib.contextmanager
def child(work: Callable[[Child], object], uid: int = 0, gid: int = 0) -> Generator[Child]:
    """Has another process, that is gone afterwards."""
    running = Child(work, uid, gid)
    try:
        yield running
    finally:
        running.close()


def run_as(uid: int, gid: int, work: Callable[[], object]) -> Any:
    """Returns what something returns that another user does, in another process."""
    with child(lambda _: [work()], uid, gid) as other:
        report = other.line()
        assert report is not None, "it has failed"
        assert other.end() == 0
        return report[0]


@contextlib.contextmanager
def locked_by_flock(path: Path) -> Generator[subprocess.Popen[bytes]]:
    """Has the program flock hold the lock of a file until its standard input ends."""
    flock = shutil.which("flock")
    if flock is None:
        pytest.skip("needs the program flock")
    with subprocess.Popen(
        [flock, "-x", str(path), "sh", "-c", "echo locked; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        try:
            yield holder
        finally:
            assert holder.stdin is not None
            holder.stdin.close()
            assert holder.wait() == 0


def is_free(path: Path) -> bool:
    """Reports whether another process can have the lock of a file now."""
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
