"""Locks of files that exclude other processes, and other threads of this one.

flock(2) locks an open file, so that two threads that open it exclude each other like two processes; a lock
ends when the file is closed, or its process ends, in whatever way. Before that those in this process come one
after another, in the order in which they asked.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from .file_system import CAREFUL, SECRET_MODE, FileError, check_regular, remove_if_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Canceled(Protocol):
        """Tells that nobody waits any more; threading.Event is one."""

        def is_set(self) -> bool: ...
        def wait(self, timeout: float | None = None, /) -> bool: ...


#: How often somebody whose turn it is not yet looks whether anybody still waits, in seconds.
_TURN_POLL = 0.05


class CanceledError(Exception):
    """Nobody waits for a lock any more."""


class _Turns:
    """Lets those in this process through one after another, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Who has a turn, and behind it who waits for one.
        self._queues: dict[str, deque[threading.Event]] = {}

    def take(self, name: str, end: float, canceled: Canceled) -> Callable[[], None]:
        """Wait for a turn, and return what ends it. See ``take_lock`` for what it raises."""
        turn = threading.Event()
        with self._lock:
            queue = self._queues.setdefault(name, deque())
            queue.append(turn)
            if queue[0] is turn:
                turn.set()
        try:
            while not turn.wait(min(_TURN_POLL, _left(end, canceled))):
                pass
        except BaseException:
            self._leave(name, turn)
            raise
        return lambda: self._leave(name, turn)

    def _leave(self, name: str, turn: threading.Event) -> None:
        with self._lock:
            queue = self._queues.get(name, deque())
            if turn not in queue:
                return  # it was given back before
            queue.remove(turn)
            if queue:
                queue[0].set()
            else:
                del self._queues[name]


def _left(end: float, canceled: Canceled) -> float:
    """Return how long there is still to wait, in seconds.

    Raises:
        CanceledError: Nobody waits any more.
        FileError: ``locked``, when the time is over.
    """
    if canceled.is_set():
        raise CanceledError
    left = end - time.monotonic()
    if left <= 0:
        raise FileError("locked", "it was not free in time")
    return left


#: By files, not by stores: two stores in one process can have the same one.
_turns = _Turns()
#: The files that are locked, for a process that is forked off: it has copies of them.
_locked: set[int] = set()


def _after_fork() -> None:
    """Leave the locks to the process that has them.

    A copy of an open file would hold its lock for as long as the child lives, after the parent was killed,
    too; and of the threads that had turns there is none here.
    """
    global _turns  # noqa: PLW0603
    _turns = _Turns()
    for file in _locked:
        with suppress(OSError):
            os.close(file)
    _locked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def take_lock(
    path: str,
    timeout: float,
    canceled: Canceled,
    share: Callable[[int], None],
    *,
    poll: float,
    for_processes: bool = True,
    is_removed: bool = False,
) -> Callable[[], None]:
    """Wait for the lock of a file, and return what gives it back, once.

    The file is made if there is none, and stays, empty, unless it is to be removed.

    Args:
        path: Of the file, without links.
        timeout: In seconds.
        canceled: Ends the wait.
        share: Is given a lock file that had to be made.
        poll: How often a lock that another process has is tried again, in seconds.
        for_processes: Whether other processes are locked out, too.
        is_removed: Whether the file is removed when the lock is given back.

    Raises:
        CanceledError: Nobody waits any more.
        FileError: ``locked`` after the time; ``folder``, ``not-regular`` for something else in its place;
            ``failed`` for a file that is there and cannot be opened.
        OSError: The file cannot be made, or not be locked.
    """
    end = time.monotonic() + timeout
    pid = os.getpid()
    end_turn = _turns.take(path, end, canceled)
    if not for_processes:
        return end_turn
    try:
        file = _wait(path, end, canceled, share, poll)
    except BaseException:
        end_turn()
        raise
    _locked.add(file)
    given_back = threading.Lock()

    def give_back() -> None:
        # In a process that was forked off it is not held, and its number may be another file's.
        if os.getpid() != pid or not given_back.acquire(blocking=False):
            return
        try:
            if is_removed:
                remove_if_there(path)  # while it is held: who gets it next sees that it is gone
            _unlock(file)
        finally:
            end_turn()

    return give_back


def _unlock(file: int) -> None:
    _locked.discard(file)
    if sys.platform != "win32":
        import fcntl

        # Before it is closed, for a process that is being forked off may have a copy.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _wait(path: str, end: float, canceled: Canceled, share: Callable[[int], None], poll: float) -> int:
    while True:
        left = _left(end, canceled)
        file = _try_lock(path, share)
        if file is not None:
            return file
        canceled.wait(min(poll, left))


def _try_lock(path: str, share: Callable[[int], None]) -> int | None:
    """Return the file with its lock, or None where it is to be tried again."""
    if sys.platform == "win32":
        raise FileError("unsupported", "files are not locked on Windows")
    import fcntl

    file = _open(path, share)
    if file is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, file):
            return file
        # What is locked was removed by who had it before.
    except BlockingIOError:
        pass
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None


def _is_at(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _open(path: str, share: Callable[[int], None]) -> int | None:
    """Open a lock file, and make it where it is missing; None where it is to be tried again."""
    try:
        check_regular(path, os.lstat(path))
    except FileNotFoundError:
        return _make(path, share)
    try:
        file = _open_either_way(path)
        if file is None:
            return None  # removed meanwhile
        try:
            check_regular(path, os.fstat(file))
        except BaseException:
            os.close(file)
            raise
    except OSError as error:
        # Unlike one that cannot be made, somebody may hold it.
        raise FileError("failed", f"{path} is there, and cannot be opened; see whom it belongs to") from error
    return file


def _open_either_way(path: str) -> int | None:
    """Open a file for writing, as NFS needs it to lock it, or else for reading; None if it is gone."""
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(path, flags | CAREFUL)
        except FileNotFoundError:
            return None
        except OSError:
            if flags == os.O_RDONLY:
                raise
    return None


def _make(path: str, share: Callable[[int], None]) -> int | None:
    """Make a lock file, empty. One that the target's owner could not open is not left.

    Their client would wait for it in vain.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | CAREFUL, SECRET_MODE)
    except FileExistsError:
        return None  # made meanwhile
    try:
        share(file)
    except BaseException:
        os.close(file)
        remove_if_there(path)
        raise
    return file
