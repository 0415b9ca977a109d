"""What was read from one state of auth.json: each second begins with the same two questions, and mostly with
the same answers."""

from __future__ import annotations

import os
import stat
import time

from .file_paths import journal_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .file_effect import FileResult
    from .messages import Credentials

    Stamp = tuple[int, ...]

#: How long ago a file must have changed, in seconds, for its times to tell that it has not changed since.
#: File systems count as coarsely as in seconds.
_SETTLED = 3

_now = time.time


class _Reading:
    """What was read from one state of a file. It does not change."""

    __slots__ = ("credentials", "identity", "stamp", "target")

    def __init__(
        self, target: str, stamp: Stamp, credentials: Credentials | None, identity: bytes | None
    ) -> None:
        """The identity is empty where there is none, and None where it was not asked for."""
        self.target = target
        self.stamp = stamp
        self.credentials = credentials
        self.identity = identity


class FileRecall:
    """Remembers the last reading of an auth.json for as long as that stays in the state in which it was.

    Threads can share one.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: _Reading | None = None

    def credentials(self) -> Credentials | None:
        """Return who is signed in, if that is known."""
        reading = self._reading()
        if reading is None or reading.credentials is None:
            return None
        return _copied(reading.credentials)

    def identity(self) -> bytes | None:
        """Return the identity, which is empty where there is none, if that is known."""
        reading = self._reading()
        return None if reading is None else reading.identity

    def stamp(self) -> Stamp | None:
        """Return what tells one state of the file from another, unless it could be of two states."""
        try:
            info = os.stat(self._path)
        except OSError:
            return None
        # When anything about the file changed nobody can set back.
        if not stat.S_ISREG(info.st_mode) or max(info.st_mtime, info.st_ctime) > _now() - _SETTLED:
            return None
        return (
            *(info.st_dev, info.st_ino, info.st_size, info.st_mode),
            *(info.st_mtime_ns, info.st_ctime_ns),
        )

    def remember(self, target: str, before: Stamp | None, result: FileResult) -> None:
        """Keep what was read, if the file was in the same state all the while; before is its stamp then."""
        if before is None or self.stamp() != before:
            return
        last = self._last
        if last is None or (last.target, last.stamp) != (target, before):
            last = _Reading(target, before, None, None)
        if result.credentials is not None:
            self._last = _Reading(target, before, _copied(result.credentials), last.identity)
        else:
            self._last = _Reading(target, before, last.credentials, result.record)

    def _reading(self) -> _Reading | None:
        """Return what was read from the file, if it is still in that state."""
        last = self._last
        if last is None or self.stamp() != last.stamp:
            return None
        # What a write that did not end has left is to be looked at.
        return None if os.path.lexists(journal_of(last.target)) else last


def _copied(credentials: Credentials) -> Credentials:
    """Return credentials that are the caller's to change."""
    copy = credentials.copy()
    problem = copy.get("problem")
    if problem is not None:
        copy["problem"] = problem.copy()
    return copy
