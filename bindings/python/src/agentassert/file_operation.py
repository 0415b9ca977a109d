"""Carries out the effects of one file flow."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

from .file_effect import FileAnswer
from .file_lock import CanceledError, take_lock
from .file_paths import TEMPORARY, is_leftover, path_of, threads_folder
from .file_rights import keep_attributes, share
from .file_system import (
    CAREFUL,
    SECRET_MODE,
    FileError,
    check_folder,
    failure_of,
    id_of,
    list_folder,
    look,
    make_folder,
    move,
    open_regular,
    opened,
    opened_folder,
    read,
    read_open,
    remove,
    remove_if_there,
    sync,
    write,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .file_effect import FileEffect
    from .file_lock import Canceled

    Hook = Callable[[FileEffect, str | None], None]


#: How often one of the client's locks is tried again, in seconds: they are held for milliseconds.
_LOCK_POLL = 0.002


class FileSettings:
    """What all operations on a store's files have in common."""

    __slots__ = ("before", "locks")

    def __init__(self, locks: bool) -> None:
        """With locks, other processes are locked out, too."""
        self.locks = locks
        #: Is told of each effect before it is carried out: in tests, which end there as a killed process
        #: does.
        self.before: Hook | None = None


class _Temporary:
    """A file that is to take the place of another."""

    __slots__ = ("id", "path")

    def __init__(self, path: str, id: str) -> None:  # noqa: A002
        """The id is of the file that was made.

        When it is opened again, somebody may have put another under its name.
        """
        self.path = path
        self.id = id


class FileOperation:
    """Carries out the effects of one file flow. For one thread at a time; close it."""

    def __init__(self, settings: FileSettings, target: str, slot: str, canceled: Canceled) -> None:
        """Target is the path of auth.json, behind all links."""
        self._settings = settings
        self._target = target
        self._slot = slot
        self._canceled = canceled
        #: Those that were made, by the names of the files that they are for.
        self._temporaries: dict[str, _Temporary] = {}
        #: The locks that are held, by name.
        self._locks: dict[str, Callable[[], None]] = {}
        #: Folders that were looked at: they are folders, and no links.
        self._checked: set[str] = set()
        #: The file that was the target, open since before it was replaced.
        self._previous: int | None = None
        #: The last failure, in the system's words.
        self.error: Exception | None = None

    def carry_out(self, effect: FileEffect) -> FileAnswer:
        """Do what an effect asks for.

        A failure becomes an answer: what follows from it is the core's to say.
        """
        try:
            return self._try(effect)
        except CanceledError as error:
            self.error = error
            return FileAnswer(failure="canceled")
        except (FileError, OSError) as error:
            if isinstance(error, FileNotFoundError) and effect.type in ("read", "look"):
                return FileAnswer()  # which is an answer, too
            self.error = error
            return FileAnswer(failure=failure_of(error))

    def close(self) -> None:
        """Give back what is held, and remove what a flow that did not end has left."""
        for made in self._temporaries.values():
            remove_if_there(made.path)
        for unlock in reversed(self._locks.values()):
            unlock()
        self._close_previous()

    def _try(self, effect: FileEffect) -> FileAnswer:
        name = effect.name
        if effect.type == "wait":
            if self._canceled.wait(effect.wait_ms / 1000):
                raise CanceledError
            return FileAnswer()
        if effect.type == "read" and name == "previous":
            self._tell(effect, None)
            return FileAnswer() if self._previous is None else read_open(self._previous)
        if effect.type == "list" and name == "leftovers":
            folder = os.path.dirname(self._target)
            self._tell(effect, folder)
            is_wanted = partial(is_leftover, self._target)
            return FileAnswer(names=list_folder(folder, effect.limit, effect.older_than, is_wanted))
        path = self._path(name)
        self._tell(effect, path)
        if effect.type == "read":
            return read(path)
        if effect.type == "look":
            return look(path)
        if effect.type == "list":
            return FileAnswer(names=list_folder(path, effect.limit, effect.older_than, lambda _: True))
        self._change(effect, path)
        return FileAnswer()

    def _change(self, effect: FileEffect, path: str) -> None:
        name = effect.name
        if effect.type == "lock":
            self._lock(name, path, effect.timeout_ms / 1000)
        elif effect.type == "unlock":
            self._locks.pop(name, _nothing)()
        elif effect.type == "create":
            self._create(name, path, effect.content)
        elif effect.type == "own":
            self._own(self._temporary(name))
        elif effect.type == "install":
            self._install(name, path)
        elif effect.type == "discard":
            os.unlink(self._temporary(name).path)
            del self._temporaries[name]
        elif effect.type == "write":
            with opened(path, os.O_WRONLY) as file:
                write(file, effect.content)
        elif effect.type == "truncate":
            with opened(path, os.O_WRONLY) as file:
                os.ftruncate(file, effect.size)
        elif effect.type == "sync":
            with opened(path, os.O_WRONLY) if name == "target" else opened_folder(path) as file:
                sync(file)
        elif effect.type == "make-folder":
            make_folder(path, self._share)
        elif effect.type == "move":
            move(path, self._path(effect.to))
        elif effect.type == "remove":
            remove(path)
        else:
            raise FileError("failed", "the core asks for an effect that this package does not know")

    def _tell(self, effect: FileEffect, path: str | None) -> None:
        if self._settings.before is not None:
            self._settings.before(effect, path)

    def _path(self, name: str) -> str:
        """Return the path of a file.

        The folders of threads that it is in are no links, which may lead anywhere.
        """
        path = path_of(self._target, self._slot, name)
        if path is None:
            raise FileError("failed", "the core names a file that this package does not know")
        if name.startswith(("thread/", "threads/")):
            for folder in (threads_folder(self._target), os.path.dirname(path)):
                if folder not in self._checked:
                    check_folder(folder)
                    self._checked.add(folder)
        return path

    def _temporary(self, name: str) -> _Temporary:
        made = self._temporaries.get(name)
        if made is None:
            raise FileError("missing", "there is no such temporary file")
        return made

    def _share(self, file: int) -> None:
        share(file, self._target)

    def _lock(self, name: str, path: str, timeout: float) -> None:
        """Take one of the client's locks."""
        if name == "target-lock" and path == path_of(self._target, self._slot, "client-lock"):
            return  # of a file named auth its second lock is its first
        self._locks[name] = take_lock(
            path,
            timeout,
            self._canceled,
            self._share,
            poll=_LOCK_POLL,
            for_processes=self._settings.locks,
        )

    def _create(self, name: str, path: str, content: bytes) -> None:
        """Write a file's temporary, and to the disk."""
        folder, base = os.path.split(path)
        made = os.path.join(folder, f"{TEMPORARY}{base}{int.from_bytes(os.urandom(7), 'big')}")
        file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFUL, SECRET_MODE)
        try:
            try:
                self._share_temporary(name, file)  # before it has content: it is for nobody yet
                write(file, content)
                sync(file)
                self._temporaries[name] = _Temporary(made, id_of(os.fstat(file)))
            finally:
                os.close(file)
        except BaseException:
            self._temporaries.pop(name, None)
            remove_if_there(made)
            raise

    def _share_temporary(self, name: str, file: int) -> None:
        """Give a new file to those who have the target.

        The target's own temporary is given what the target has, later; and the journal is for us where nobody
        else can have it. Any other record that only we could read would be in the way of those whose file
        this is.
        """
        try:
            share(file, self._target)
        except (FileError, OSError):
            if name not in ("target", "journal"):
                raise

    def _own(self, made: _Temporary) -> None:
        """Give a temporary of the target what the target has."""
        with opened(made.path, os.O_RDONLY) as file:
            if id_of(os.fstat(file)) != made.id:
                raise FileError("not-regular", "the temporary file is another than the one that was made")
            keep_attributes(self._target, file)

    def _install(self, name: str, path: str) -> None:
        """Rename a temporary. Of the target, keep the file that was there."""
        made = self._temporary(name)
        if name == "target":
            self._close_previous()
            with suppress(FileError, OSError):
                self._previous = open_regular(path, os.O_RDONLY)
        os.replace(made.path, path)
        del self._temporaries[name]

    def _close_previous(self) -> None:
        if self._previous is not None:
            os.close(self._previous)
            self._previous = None


def _nothing() -> None:
    """Unlock what was not locked: of a file named auth."""
