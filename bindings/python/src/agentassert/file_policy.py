"""What the file store lets a module do to files: which effect may name which file, and what may be written.

wasm/ABI.md has the rules. auth.json is another program's, with the user's tokens in it; so whatever module
runs, it stays as it is but for the identity, and what is written over it is what was read a moment before.
"""

from __future__ import annotations

import binascii
import re
import time

from .answer import is_map
from .auth_json import credentials_in, is_exactly, is_identity, is_replacement, parse
from .auth_json import members_of as members_of_document
from .file_effect import FileEffect, FileResult
from .untrusted import bytes_in, integer_in, members_of, problem_in, text_in, violation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .file_effect import FileAnswer, FileOperationName, FileStart, FileStat
    from .messages import Credentials

# The bounds. Each is as much as the core asks for, or a little above.
_MOST_EFFECTS = 1000
#: A lock is waited for as long as the client does, in milliseconds; a pause is 5.
_MOST_LOCK_MS = 5000
_MOST_WAIT_MS = 10
#: How many names of the threads' months are looked at, and how many of other files.
_MOST_MONTHS = 64
_MOST_FILES = 16
#: The largest file, and what a probe adds to one, in bytes.
_MOST_FILE = 512 << 10
_MOST_ROOM = 16 << 10
_MOST_AGE = 1 << 40
#: How old a temporary is at the least that is nobody's, in seconds.
_LEFTOVER_AGE = 3600
#: In how many months before this one a thread's record is looked for.
_MONTHS_BEFORE = 3

_OLD_MONTH = re.compile(r"threads/([0-9]{4}-(?:0[1-9]|1[0-2]))")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
#: What there is in place of an auth.json that there is not.
_NO_DOCUMENT = b"{}\n"
#: How a lock ends that nobody can have.
_NOBODY_HAS = ("missing", "denied", "read-only")


class _Read:
    """What there is in a file."""

    __slots__ = ("content", "name", "stat")

    def __init__(self, name: str, content: bytes, stat: FileStat) -> None:
        self.name = name
        self.content = content
        self.stat = stat


class _Made:
    """A temporary of this operation's."""

    __slots__ = ("content", "has_attributes", "target")

    def __init__(self, content: bytes, target: bytes | None) -> None:
        """Target is what that was when the temporary was made."""
        self.content = content
        self.target = target
        self.has_attributes = False


class _Journal:
    """What a write over the target began with, and what it was to come to."""

    __slots__ = ("new", "old")

    def __init__(self, old: bytes, new: bytes) -> None:
        self.old = old
        self.new = new

    @property
    def text(self) -> bytes:
        old, new = (binascii.b2a_base64(document, newline=False) for document in (self.old, self.new))
        return b'{"old":"%b","new":"%b"}' % (old, new)


class _Unread:
    """Nothing was read yet, which is not the same as that there is no file."""


class _Damaged:
    """A journal that says nothing."""


_UNREAD = _Unread()
_DAMAGED = _Damaged()


class FilePolicy:
    """Check the effects and the result of one operation.

    What its methods raise is ``policy_violation``, and ends the operation. For one thread at a time.
    """

    def __init__(self, start: FileStart) -> None:
        self._start = start
        #: Whether the operation is about auth.json, about a thread's record, or about another record.
        self._about = "record"
        if start.operation == "credentials" or (start.slot == "identity" and not start.beside):
            self._about = "target"
        elif start.slot.startswith("thread/"):
            self._about = "thread"
        #: The months that it has been since the operation began.
        self._months: set[str] = set()
        self._effects = 0
        #: The effect before.
        self._last = ""
        #: The target as it was last read; None without a file.
        self._target: _Read | _Unread | None = _UNREAD
        #: What this operation has put in the target's place, and what is in the file that was there.
        self._installed: bytes | None = None
        self._previous: bytes | None = None
        #: What was last written over the target.
        self._written: bytes | None = None
        #: The journal that was there, once it was looked for, and this operation's own.
        self._journal: _Journal | _Damaged | _Unread | None = _UNREAD
        self._own_journal: _Journal | None = None
        self._is_journal_tried = False
        #: The journal of a write that did not end, and whether the target is still what that left.
        self._torn: _Journal | None = None
        self._is_broken = False
        #: The record's file, or the thread's in the month that was last read; None without one.
        self._record: _Read | _Unread | None = _UNREAD
        self._made: dict[str, _Made] = {}
        #: The locks that were asked for, and what became of each: whether nobody else can have it.
        self._locks: dict[str, bool] = {}
        self._is_unlocking = False
        #: The names in each folder that was listed.
        self._listed: dict[str, set[str] | None] = {}

    def effect(self, message: object, now: int) -> FileEffect:
        """Return an effect as it can be carried out.

        ``now`` is the time of the event before it, in Unix seconds.
        """
        members = members_of(message)
        self._months.add(_month_of(now, 0))
        self._effects += 1
        if self._effects > _MOST_EFFECTS:
            raise violation("an effect", "after more than any operation takes")
        effect = self._checked(members, now)
        self._last = f"{effect.type} {effect.name}"
        return effect

    def _checked(self, members: Mapping[str, object], now: int) -> FileEffect:
        kind, name = text_in(members, "type"), text_in(members, "name")
        if self._is_unlocking and kind not in ("unlock", "done"):
            raise violation("an effect", "after a lock was given back")
        if kind == "done":
            return FileEffect(kind, result=self._result(members_of(members.get("result", {}))))
        if kind == "wait":
            _permit(self._about == "target" and not name)
            return FileEffect(kind, wait_ms=integer_in(members, "wait_ms", 1, _MOST_WAIT_MS))
        effect = self._of_file(kind, name, members, now)
        if effect is None:
            raise violation("an effect on files", "that this package does not know")
        return effect

    def _of_file(self, kind: str, name: str, members: Mapping[str, object], now: int) -> FileEffect | None:
        """Return an effect on a file, or None where there is no such effect."""
        if kind == "read":
            _permit(self._may_read(name, now))
        elif kind == "look":
            _permit(name == "journal" and self._about == "target")
        elif kind == "lock":
            _permit(self._may_lock(name))
            return FileEffect(kind, name, timeout_ms=integer_in(members, "timeout_ms", 1, _MOST_LOCK_MS))
        elif kind == "unlock":
            _permit(self._locks.pop(name, None) is not None)
            self._is_unlocking = True
        elif kind == "create":
            content = bytes_in(members, "content") or b""
            _permit(name not in self._made and self._may_create(name, content))
            self._is_journal_tried |= name == "journal"
            return FileEffect(kind, name, content=content)
        elif kind == "own":
            _permit(name == "target" and name in self._made)
        elif kind == "install":
            _permit(self._may_install(name))
        elif kind == "discard":
            _permit(name in self._made)
        elif kind == "write":
            content = bytes_in(members, "content") or b""
            _permit(name == "target" and self._may_write(content))
            self._written = content
            return FileEffect(kind, name, content=content)
        elif kind == "truncate":
            size = integer_in(members, "size", 1, _MOST_FILE)
            _permit(name == "target" and self._may_cut(size))
            return FileEffect(kind, name, size=size)
        elif kind == "sync":
            _permit(self._may_sync(name))
        elif kind == "make-folder":
            _permit(self._may_make_folder(name))
        elif kind == "move":
            to = text_in(members, "to")
            _permit(self._may_move(name, to))
            return FileEffect(kind, name, to=to)
        elif kind == "remove":
            _permit(self._may_remove(name, now))
        elif kind == "list":
            _permit(name not in self._listed and self._may_list(name, now))
            youngest = _LEFTOVER_AGE if name == "leftovers" else 0
            return FileEffect(
                kind,
                name,
                limit=integer_in(members, "limit", 1, _MOST_MONTHS if name == "threads" else _MOST_FILES),
                older_than=integer_in(members, "older_than", youngest, _MOST_AGE),
            )
        else:
            return None
        return FileEffect(kind, name)

    def answered(self, effect: FileEffect, answer: FileAnswer) -> None:
        """Take note of what an effect came to."""
        name, is_done = effect.name, answer.failure is None
        if effect.type == "read":
            self._has_read(name, answer)
        elif effect.type == "lock":
            self._locks[name] = is_done or answer.failure in _NOBODY_HAS
        elif effect.type == "create" and is_done:
            self._made[name] = _Made(effect.content, self._document)
        elif effect.type == "own" and name in self._made:
            self._made[name].has_attributes = is_done
        elif effect.type == "install" and is_done:
            self._has_installed(name, self._made.pop(name).content)
        elif effect.type == "discard":
            self._made.pop(name, None)
        elif effect.type == "write":
            self._is_broken = not is_done
        elif effect.type == "list":
            self._listed[name] = set(answer.names) if is_done else None
        elif effect.type == "remove" and name == "journal":
            self._journal = None
            self._own_journal = None

    def _has_read(self, name: str, answer: FileAnswer) -> None:
        read: _Read | _Unread | None = _UNREAD
        if answer.failure is None:
            read = None if answer.stat is None else _Read(name, answer.content, answer.stat)
        if name == "target":
            self._target = read
            content, journal = self._document, self._journal
            self._torn = journal if isinstance(journal, _Journal) and _is_torn(content, journal) else None
            is_ours = self._written is not None and _is_torn(content, self._own_journal)
            self._is_broken = self._torn is not None or is_ours
        elif name == "previous":
            self._previous = read.content if isinstance(read, _Read) else None
        elif name == "journal":
            self._journal = (_journal_in(read.content) or _DAMAGED) if isinstance(read, _Read) else None
            self._target = _UNREAD  # it is read anew
        else:
            self._record = read

    def _has_installed(self, name: str, content: bytes) -> None:
        if name == "target":
            self._installed = content
            self._previous = None
        elif name == "journal":
            self._own_journal = _journal_in(content)

    @property
    def _document(self) -> bytes | None:
        """What is in auth.json, if it was read and is there."""
        return self._target.content if isinstance(self._target, _Read) else None

    def _operation(self, *operations: FileOperationName) -> bool:
        return self._start.operation in operations

    def _is_record(self, name: str) -> bool:
        return self._about == "record" and name == f"record/{self._start.slot}"

    def _is_this_months(self, folder: str, name: str) -> bool:
        """Report whether a name is this month's of a folder, or of the thread's records."""
        return self._about == "thread" and any(name == f"{folder}/{month}" for month in self._months)

    def _is_thread(self, name: str, now: int) -> bool:
        """Report whether a name is the thread's record in one of the months in which it is looked for."""
        months = [f"thread/{_month_of(now, before)}" for before in range(_MONTHS_BEFORE + 1)]
        return self._is_this_months("thread", name) or (self._about == "thread" and name in months)

    def _may_read(self, name: str, now: int) -> bool:
        if self._about == "target":
            may_look_back = self._operation("swap", "probe")
            return name in ("target", "journal") or (name == "previous" and may_look_back)
        return self._operation("load", "swap") and (self._is_record(name) or self._is_thread(name, now))

    def _may_lock(self, name: str) -> bool:
        """Each lock is taken once, the client's first."""
        if name in self._locks or "target-lock" in self._locks:
            return False
        if self._about == "target":
            return name == "client-lock" or (name == "target-lock" and "client-lock" in self._locks)
        return self._about == "record" and name == "target-lock" and self._operation("swap")

    @property
    def _is_locked(self) -> bool:
        """Whether nobody else can have the locks that a change needs."""
        needed = ("client-lock", "target-lock") if self._about == "target" else ("target-lock",)
        return all(self._locks.get(name, False) for name in needed)

    @property
    def _is_replaceable(self) -> bool:
        """Whether auth.json can be replaced: under the locks, once it and its journal were read, if whole."""
        return (
            self._about == "target"
            and self._operation("swap", "probe")
            and self._is_locked
            and self._journal is None
            and self._target is not _UNREAD
            and not self._is_broken
        )

    def _may_create(self, name: str, content: bytes) -> bool:
        if name == "target":
            stat = self._target.stat if isinstance(self._target, _Read) else None
            # A rename parts it from its other names.
            can_be_replaced = stat is None or (stat.mode & 0o200 != 0 and stat.links <= 1)
            is_small = len(content) <= _MOST_FILE
            return self._is_replaceable and can_be_replaced and is_small and self._is_document(content)
        if name == "journal":
            journal = _journal_in(content)
            return (
                journal is not None
                and journal.text == content
                and self._is_replaceable
                and journal.old == self._document
                and self._is_document(journal.new)
            )
        if not self._operation("save", "swap", "probe"):
            return False
        if not (self._is_record(name) or self._is_this_months("thread", name)):
            return False
        if self._operation("probe"):
            return len(content) <= _MOST_ROOM and _is_blank(content)
        return content == self._start.record and self._is_expected

    @property
    def _is_expected(self) -> bool:
        """Whether a swap has found the record that it is to replace. No other operation looks."""
        if not self._operation("swap"):
            return True
        content = self._record.content if isinstance(self._record, _Read) else b""
        return self._is_locked and self._record is not _UNREAD and content == self._start.expected

    def _is_document(self, content: bytes) -> bool:
        """Report whether a document can take the place of auth.json.

        It is what was last read, with spaces after it, or in a swap the same with the new identity, if it has
        the expected one. Where this operation's own is in its place, what somebody has written to the file
        before that counts, too.
        """
        target = self._document
        documents = [target]
        if target is not None and self._previous is not None and target == self._installed:
            documents.append(self._previous)
        return any(
            _is_padded(content, _NO_DOCUMENT if document is None else document)
            or (document is None and self._operation("probe") and _is_blank(content))
            or (self._operation("swap") and self._is_swapped(content, document))
            for document in documents
        )

    def _is_swapped(self, content: bytes, document: bytes | None) -> bool:
        start = self._start
        before = {} if document is None else members_of_document(document)
        after = members_of_document(content)
        return (
            before is not None
            and after is not None
            and (is_identity(start.expected, before) or is_identity(start.record, before))
            and is_replacement(after, before, start.record)
        )

    def _may_install(self, name: str) -> bool:
        """A temporary of auth.json is installed if that is what it was made of, and it has what that has."""
        made = self._made.get(name)
        if made is None or (self._operation("probe") and self._about != "target"):
            return False
        if name == "journal":
            return self._is_replaceable
        if name != "target":
            return True
        is_unchanged = self._last == "read target" and self._document == made.target
        return self._is_replaceable and is_unchanged and (self._target is None or made.has_attributes)

    def _may_write(self, content: bytes) -> bool:
        """Auth.json is written over right after it was read, or to undo that.

        That is with a document that can take its place once a journal was tried, or, where it is torn, with
        one of its journal.
        """
        is_next = self._last in ("read target", "write target", "truncate target", "sync target")
        is_there = self._document is not None
        if not (self._about == "target" and self._is_locked and is_next and is_there):
            return False
        if len(content) > _MOST_FILE:
            return False
        if self._torn is not None:
            return _is_padded(content, self._torn.new) or _is_padded(content, self._torn.old)
        return self._operation("swap", "probe") and self._is_journal_tried and self._is_document(content)

    def _may_cut(self, size: int) -> bool:
        """Only spaces are cut off, which cover what is left of a longer document."""
        written = self._written
        if self._last != "write target" or written is None:
            return False
        return size <= len(written) and _is_blank(written[size:])

    def _may_sync(self, name: str) -> bool:
        if name == "target":
            return self._written is not None
        if name == "home":
            return self._about != "thread" and self._operation("save", "swap", "probe")
        return self._operation("save") and self._is_this_months("threads", name)

    def _may_make_folder(self, name: str) -> bool:
        is_saved = self._about == "thread" and self._operation("save", "probe")
        is_found = isinstance(self._record, _Read)
        return (is_saved and name == "threads") or (
            (is_saved or is_found) and self._is_this_months("threads", name)
        )

    def _may_move(self, name: str, to: str) -> bool:
        is_found = isinstance(self._record, _Read) and self._record.name == name
        is_thread = self._operation("load") and self._about == "thread"
        return is_thread and is_found and self._is_this_months("thread", to)

    def _may_list(self, name: str, now: int) -> bool:
        if name == "leftovers":
            return self._about == "target" and self._operation("swap", "probe")
        is_saved = self._about == "thread" and self._operation("save")
        return is_saved and (name == "threads" or self._is_old_month(name, now))

    def _is_old_month(self, name: str, now: int) -> bool:
        """Report whether a name is the folder of a month that is over for long, of which a list has told."""
        match = _OLD_MONTH.fullmatch(name)
        if match is None:
            return False
        return match[1] < _month_of(now, _MONTHS_BEFORE) and match[1] in (self._listed.get("threads") or ())

    def _may_remove(self, name: str, now: int) -> bool:
        if name == "journal":
            return self._may_remove_journal()
        if self._is_record(name):
            is_emptied = self._operation("swap") and not self._start.record and self._is_expected
            return self._operation("delete") or is_emptied
        if self._is_thread(name, now):
            return self._operation("delete")
        if self._is_old_month(name, now):
            return self._listed.get(name) == set()
        folder, _, entry = name.rpartition("/")
        if not (folder == "leftovers" or self._is_old_month(folder, now)):
            return False
        listed = self._listed.get(folder)
        if not listed or entry not in listed:
            return False
        listed.remove(entry)
        return True

    def _may_remove_journal(self) -> bool:
        journal = self._own_journal if self._journal is None or self._journal is _UNREAD else self._journal
        is_known = journal is _DAMAGED or (journal is not None and self._target is not _UNREAD)
        return self._about == "target" and self._is_locked and is_known and not self._is_broken

    def _result(self, members: Mapping[str, object]) -> FileResult:
        """Return a result that can be believed: what it says was read is what was read."""
        problem = problem_in(members, "error")
        if problem is not None:
            return FileResult(error=problem)
        record = bytes_in(members, "record") or b""
        if self._operation("credentials"):
            return FileResult(credentials=self._credentials(members_of(members.get("credentials"))))
        if record and not self._operation("load"):
            raise violation("a record", "that was not read")
        if self._operation("load") and not self._is_loaded(record):
            raise violation("a record", "that was not read")
        return FileResult(record)

    def _is_loaded(self, record: bytes) -> bool:
        if self._about != "target":
            content = self._record.content if isinstance(self._record, _Read) else b""
            return self._record is not _UNREAD and record == content
        if self._target is None:
            return not record
        documents = [members_of_document(document) for document in self._readable]
        return any(document is not None and is_exactly(record, document) for document in documents)

    @property
    def _readable(self) -> list[bytes]:
        """The documents that auth.json stands for: what is in it, and if it is torn, what its journal has."""
        document, torn = self._document, self._torn
        if document is None:
            return []
        return [document] if torn is None else [document, torn.new, torn.old]

    def _credentials(self, given: Mapping[str, object]) -> Credentials:
        """Return credentials that are those in a document that was read.

        What its id token says may be left out: the core reads tokens that it cannot trust more strictly.
        """
        problem = problem_in(given, "problem")
        names = {"kind", "access_token", *given} - {"problem"}
        documents = [credentials_in(document) for document in self._readable]
        if self._target is None:
            documents = [{"kind": "none"}]
        for read in documents:
            if read is not None and all(_is_same(given.get(name), read.get(name)) for name in names):
                members: Any = given if problem is None else {**given, "problem": problem}
                credentials: Credentials = members
                return credentials
        raise violation("credentials", "that were not read")


def _permit(may: bool) -> None:
    """Raise a violation unless a file may be named."""
    if not may:
        raise violation("a file", "that is not this operation's, or not for that")


def _is_same(a: object, b: object) -> bool:
    """Report whether two members are the same, of the same type: True is no 1."""
    return type(a) is type(b) and a == b


def _month_of(now: int, before: int) -> str:
    """Return the month that lies so many before a time, as 2026-11."""
    try:
        date = time.gmtime(now)
    except (OverflowError, OSError, ValueError):
        return ""  # the core knows no such time either
    months = date.tm_year * 12 + date.tm_mon - 1 - before
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def _is_blank(content: bytes) -> bool:
    return content == b" " * len(content)


def _is_padded(content: bytes, document: bytes) -> bool:
    """Report whether content is a document, with spaces after it."""
    return content.startswith(document) and _is_blank(content[len(document) :])


def _journal_in(content: bytes) -> _Journal | None:
    """Return what a journal says, old and new in base64, or None where that cannot be."""
    try:
        members = parse(content)
        if not is_map(members):
            return None
        old, new = (_decoded(members.get(name)) for name in ("old", "new"))
        parse(new)
    except ValueError:
        return None
    return _Journal(old, new)


def _decoded(text: object) -> bytes:
    """Decode base64 with its padding.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(text, str) or not _BASE64.fullmatch(text) or len(text) % 4 != 0:
        raise ValueError("no base64")
    return binascii.a2b_base64(text)


def _is_torn(content: bytes | None, journal: _Journal | None) -> bool:
    """Report whether content is what a write of a journal's new document over its old one can have left.

    That is as much of the new as was written, and the rest of the old, unless that was cut off; or, where the
    write was being undone, as much of the old again before that.
    """
    if content is None or journal is None:
        return False
    old, new = journal.old, journal.new
    if content in (old, new):
        return False
    if _is_padded(content, new):
        return True
    undone = _common_prefix(content, old)
    padded = new.ljust(len(old))
    written = undone + _common_prefix(content[undone:], padded[undone:])
    return (written == len(content) and written >= len(new)) or content[written:] == old[written:]


def _common_prefix(a: bytes, b: bytes) -> int:
    """Return the length of what both begin with."""
    least, most = 0, min(len(a), len(b))
    while least < most:
        middle = (least + most + 1) // 2
        if a[least:middle] == b[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
