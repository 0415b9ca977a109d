"""A store that keeps the agent identity where the reference client does: in auth.json."""

from __future__ import annotations

import os
import re
import sys
import time

from .errors import AgentAssertError
from .file_effect import FileResult, FileStart
from .file_lock import CanceledError, take_lock
from .file_operation import FileOperation, FileSettings
from .file_paths import THREAD_SLOT, registration_lock, resolve_target, thread_locks
from .file_policy import FilePolicy
from .file_recall import FileRecall
from .file_rights import share
from .file_system import FileError, failure_of, make_folder, opened, read_beginning
from .untrusted import bytes_in, members_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from .file_effect import FileOperationName
    from .file_lock import Canceled
    from .messages import Credentials, Problem
    from .store import StoreContext

#: Longer than any host holds a lock, which is 250 s; in seconds.
_LOCK_TIMEOUT = 270.0
#: How often the lock of a registration is tried again, which others hold for longer than one of the client's.
_LOCK_POLL = 0.02
_YEAR = 365 * 24 * 3600
#: How much of the client's configuration is looked at, in bytes.
_MAX_CONFIG = 1 << 20
#: How that says that there is no auth.json.
_KEYRING = re.compile(
    rb"""^[ \t]*cli_auth_credentials_store[ \t]*=[ \t]*["'](?:keyring|auto)["']""", re.MULTILINE
)
_TILDE = re.compile(r"~[^/\\]*(?:[/\\]|\Z)")

#: The codes of errors that the system's last word explains.
_OF_SYSTEM = frozenset(
    (
        "store_read_only",
        "auth_file_unreadable",
        "auth_file_folder",
        "auth_file_not_regular",
        "auth_file_locked",
        "auth_file_lock_unavailable",
        "auth_file_write_failed",
    )
)


class FileStore:
    """A store that keeps the agent identity where the reference client does: in the auth.json at a path.

    It is there under ``agent_identity``, beside the user's tokens, so the store knows who is signed in. Hosts
    in other languages and the reference client can use the same file at the same time.

    The file is the client's, in any of its versions, and it is no worse off for being shared. Whatever this
    package does not own stays as it is, byte for byte: content, owner, mode, access control list and other
    names. What others write at the same time is not lost. The client's own locks are held for milliseconds,
    never during a request. All of that the core decides (``file.step``). The file need not exist.

    Beside the file there will be more, and all their names begin with its own; where it is a symbolic link,
    or several are, they are beside what that leads to:

    - ``.lock``, and beside it ``auth.lock``, are the client's locks;
    - ``.registration.lock`` is held while an identity or a background task is registered, a file in
      ``.locks`` while a thread's task is;
    - ``.backoff`` remembers failed registrations, ``.backend`` which backend an identity belongs to,
      ``.set-aside`` identities that others have taken the place of;
    - ``.threads`` has a folder for each month with the tasks of the threads that were last used in it, in
      files named after the SHA-256 of the thread's id; what was not used for 90 days goes;
    - ``.journal`` is there while the file is written over, where it cannot be replaced;
    - ``.identity`` is there instead of all writing to the file, if the identity is kept beside it.

    They belong to whom the file belongs to, and only who can read and write the file can read and write them.

    Threads can share a store, and its methods can be called at the same time. A write that has begun is
    finished, whatever the context says. Linux, macOS and other Unixes only.

    Raises:
        AgentAssertError: ``invalid_manager_config``, at once. In its methods ``store_read_only``,
            ``record_changed``, ``auth_file_unreadable``, ``auth_file_folder``, ``auth_file_not_regular``,
            ``auth_file_locked``, ``auth_file_lock_unavailable``, ``auth_file_write_failed``,
            ``auth_file_busy``, ``invalid_auth_json``, ``auth_json_byte_order_mark``, ``auth_json_utf16``,
            ``invalid_record``; ``invalid_request`` for a slot or a record of a wrong type. Credentials that
            are none say why in their ``problem``: ``auth_file_missing``, ``auth_file_tilde``,
            ``auth_file_keyring``, and what the core finds in the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        identity: Literal["auth.json", "beside"] = "auth.json",
        lock: Literal["processes", "process"] = "processes",
        lock_timeout: float = _LOCK_TIMEOUT,
    ) -> None:
        """Return a store of the auth.json at a path. A relative one begins at the current working folder.

        Args:
            path: Of the auth.json. A tilde is not replaced.
            identity: Where the identity is kept: in ``auth.json``, or in a file of its own ``beside`` it.
                That one is then left unwritten: for those who share it with clients from 0.132 to 0.140,
                which accept no identity in it, and for anyone who wants that.
            lock: Whom locks exclude: all ``processes`` with that file, the reference client and hosts in
                other languages among them; or the threads of this ``process`` alone: right where nobody else
                uses the file, and for file systems that have no locks.
            lock_timeout: How long to wait for a registration that is under way, in seconds, up to a year.
        """
        self._given = _checked_path(path)
        if sys.platform == "win32":
            raise _misuse("needs Linux, macOS or another Unix")
        # A word that is misspelt must not turn the lock off, nor have auth.json written.
        if identity not in ("auth.json", "beside"):
            raise _misuse('has an identity that is in "auth.json" or "beside" it')
        if lock not in ("processes", "process"):
            raise _misuse('has a lock that is "processes" or "process"')
        if type(lock_timeout) not in (int, float) or not 0 < lock_timeout <= _YEAR:
            raise _misuse("has a lock_timeout in seconds, up to a year")
        try:
            self._path = os.path.abspath(self._given)
        except OSError as error:
            raise _misuse("needs an absolute path where the working folder is gone") from error
        self._beside = identity == "beside"
        self._lock_timeout = lock_timeout
        self._settings = FileSettings(lock == "processes")
        self._recall = FileRecall(self._path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._given!r})"

    def credentials(self, context: StoreContext) -> Credentials:
        """Return who is signed in. Credentials that are none say why in their ``problem``."""
        known = self._recall.credentials()
        if known is not None:
            return known
        credentials = self._run(FileStart("credentials"), context).credentials or {"kind": "none"}
        problem = credentials.get("problem")
        if problem is not None and problem["code"] == "auth_file_missing":
            credentials["problem"] = self._missing()
        return credentials

    def load(self, slot: str, context: StoreContext) -> bytes | None:
        """Return the record in a slot, or None where there is none."""
        known = self._recall.identity() if slot == "identity" and not self._beside else None
        if known is not None:
            return known or None
        return self._run(self._start("load", slot), context).record or None

    def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        """Replace the record in a slot, except the identity's, which is swapped."""
        self._run(self._start("save", slot, record), context)

    def delete(self, slot: str, context: StoreContext) -> None:
        """Empty a slot, except the identity's."""
        self._run(self._start("delete", slot), context)

    def swap(self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext) -> None:
        """Replace the record in a slot, or remove it where the new one is None, if it is still the expected
        one.

        White space between its tokens is no difference. Otherwise it raises ``record_changed``, and nothing
        changes.
        """
        self._run(self._start("swap", slot, record, expected), context)

    def probe(self, slot: str, context: StoreContext) -> None:
        """Raise what saving a record in the slot would end with.

        It finds that out by putting auth.json in its own place, for the identity; or by writing a record's
        file and removing it.
        """
        self._run(self._start("probe", slot), context)

    def lock(self, slot: str, context: StoreContext) -> Callable[[], None]:
        """Wait until nobody else registers what the slot is for, and return what gives the lock back.

        The lock ends with the process, however that ends.
        """
        is_thread = _checked_slot(slot).startswith(THREAD_SLOT) and slot != THREAD_SLOT
        if slot != "identity" and not is_thread:
            raise AgentAssertError("invalid_request", "there is no lock of such a slot")
        target = resolve_target(self._path)
        path = registration_lock(target, slot)
        try:
            if is_thread and self._settings.locks:
                make_folder(thread_locks(target), lambda folder: share(folder, target))
            try:
                # Of threads there are many.
                return self._take(path, target, context.canceled, is_removed=is_thread)
            except (FileError, OSError) as error:
                # Where nothing can be put beside the file, it is its own lock. No client locks it.
                if is_thread or failure_of(error) not in ("denied", "read-only") or not _is_writable(target):
                    raise
                return self._take(target, target, context.canceled)
        except (FileError, OSError, CanceledError) as error:
            raise _lock_failed(_shown(path), error) from error

    def _take(
        self, path: str, target: str, canceled: Canceled, *, is_removed: bool = False
    ) -> Callable[[], None]:
        return take_lock(
            path,
            self._lock_timeout,
            canceled,
            lambda file: share(file, target),
            poll=_LOCK_POLL,
            for_processes=self._settings.locks,
            is_removed=is_removed,
        )

    def _start(
        self,
        operation: FileOperationName,
        slot: str,
        record: bytes | None = None,
        expected: bytes | None = None,
    ) -> FileStart:
        return FileStart(
            operation,
            _checked_slot(slot),
            _checked_record(record),
            _checked_record(expected),
            beside=self._beside,
        )

    def _run(self, start: FileStart, context: StoreContext) -> FileResult:
        """Carry out a file flow."""
        target = resolve_target(self._path)
        policy = FilePolicy(start)
        operation = FileOperation(self._settings, target, start.slot, context.canceled)
        is_reading = start.operation == "credentials" or (
            start.operation == "load" and start.slot == "identity" and not self._beside
        )
        before = self._recall.stamp() if is_reading else None
        event, state = start.message(), b""
        try:
            while True:
                event["now"] = now = int(time.time())
                params: dict[str, Any] = {"state": state, "event": event} if state else {"event": event}
                step = context.core.call("file.step", params)
                effect = policy.effect(step.get("effect"), now)
                if effect.result is not None:
                    if effect.result.error is not None:
                        raise self._explained(effect.result.error) from _cause(operation, effect.result.error)
                    self._recall.remember(target, before, effect.result)
                    return effect.result
                state = bytes_in(members_of(step), "state") or b""
                answer = operation.carry_out(effect)
                policy.answered(effect, answer)
                event = answer.message()
        finally:
            operation.close()

    def _explained(self, problem: Problem) -> AgentAssertError:
        """Add to an error of the flow's which file it is about."""
        return AgentAssertError(problem["code"], f"{problem['message']} ({_shown(self._path)})")

    def _missing(self) -> Problem:
        """Say why there may be no file."""
        if _TILDE.match(self._given):
            return {
                "code": "auth_file_tilde",
                "message": f"there is no {_shown(self._given)}: a tilde is a shell's to replace, not "
                "Python's; write the folder out, or use os.path.expanduser",
            }
        if self._is_in_keyring():
            return {
                "code": "auth_file_keyring",
                "message": f"there is no {_shown(self._path)}: the client's config.toml has it keep the "
                'sign-in in the system\'s keyring; set cli_auth_credentials_store to "file" and sign in '
                "again, or give the manager credentials",
            }
        return {
            "code": "auth_file_missing",
            "message": f"there is no {_shown(self._path)}; check the path, or sign in",
        }

    def _is_in_keyring(self) -> bool:
        try:
            # The user's own, and often a link.
            path = os.path.realpath(os.path.join(os.path.dirname(self._path), "config.toml"), strict=True)
            with opened(path, os.O_RDONLY) as file:
                return _KEYRING.search(read_beginning(file, _MAX_CONFIG)) is not None
        except (FileError, OSError):
            return False


def _misuse(problem: str) -> AgentAssertError:
    return AgentAssertError("invalid_manager_config", f"a file store {problem}")


def _checked_path(path: object) -> str:
    """Return a path that the system can be asked for."""
    try:
        path = os.fspath(path)  # type: ignore[call-overload] # pyright: ignore
    except TypeError:
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        raise _misuse("needs the path of an auth.json")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise _misuse("needs a path that the file system can have") from None
    return path


def _checked_slot(slot: object) -> str:
    try:
        if isinstance(slot, str) and slot.encode():
            return slot
    except UnicodeEncodeError:
        pass  # half a surrogate pair
    raise AgentAssertError("invalid_request", "there is no such slot")


def _checked_record(record: object) -> bytes:
    """Return a record, or nothing for none."""
    if record is None:
        return b""
    if isinstance(record, (bytes, bytearray)):
        return bytes(record)
    if isinstance(record, memoryview):
        return record.tobytes()
    raise AgentAssertError("invalid_request", "a record is bytes")


def _shown(path: str) -> str:
    """Return a path as text that can be printed: the bytes of some are none."""
    return path.encode(errors="backslashreplace").decode()


def _cause(operation: FileOperation, problem: Problem) -> Exception | None:
    return operation.error if problem["code"] in _OF_SYSTEM else None


def _is_writable(path: str) -> bool:
    try:
        with opened(path, os.O_RDWR):
            return True
    except (FileError, OSError):
        return False


def _lock_failed(path: str, error: Exception) -> AgentAssertError:
    """Return the error of a registration's lock."""
    if isinstance(error, CanceledError):
        return AgentAssertError("auth_file_locked", f"the wait for {path} was canceled")
    failure = failure_of(error)
    if failure == "locked":
        return AgentAssertError(
            "auth_file_locked",
            f"{path} is held by another process, or by others in this one who came first; wait, or end that "
            "process",
        )
    if failure == "unsupported":
        return AgentAssertError(
            "auth_file_lock_unavailable",
            f"{path} cannot be locked: its file system has no locks; keep it on another, or, if no other "
            'process uses the file, set the store\'s lock to "process"',
        )
    if failure in ("denied", "read-only"):
        return AgentAssertError(
            "store_read_only",
            f"{path} cannot be made; check who may write its folder, and whether that is mounted read-only",
        )
    if failure in ("not-regular", "folder"):
        return AgentAssertError(
            "auth_file_not_regular",
            f"there is something else where the lock file {path} belongs; remove it",
        )
    reason = ": its folder does not exist" if isinstance(error, FileNotFoundError) else ""
    return AgentAssertError("auth_file_write_failed", f"{path} cannot be made{reason}")
