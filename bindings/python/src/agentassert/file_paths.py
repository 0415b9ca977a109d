"""Where the files of a store are: beside the target, which is auth.json behind all links.

The hosts in Go and in JavaScript use the same names.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

#: How many links lead to a file at the most.
_MAX_LINKS = 40

#: How the slots of threads begin.
THREAD_SLOT = "thread/"
#: How the names of files begin that are to take the place of another.
TEMPORARY = ".tmp-"

_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
#: A name that a thread's record has, or its temporary.
_ENTRY = re.compile(r"(?:\.tmp-)?[0-9a-f]{64}\.json[0-9]*")
#: What follows the target's name in that of a temporary of the target, its journal, or a record beside it.
_LEFTOVER = re.compile(r"(?:\.(?:journal|backoff|backend|set-aside|identity))?[0-9]+")

#: Files with a name of one part, by what follows the target's.
_BESIDE = {"target": "", "target-lock": ".lock", "threads": ".threads"}
#: The slots that have a file beside the target.
_SLOTS = ("identity", "backoff", "backend", "set-aside")


def resolve_target(path: str) -> str:
    """Follow symbolic links, also where the last leads to a file that does not exist yet."""
    for _ in range(_MAX_LINKS):
        try:
            return os.path.realpath(path, strict=True)
        except OSError:
            pass  # it is missing, and its folder perhaps is not
        # A relative link is seen from the folder in which it really is.
        folder, name = os.path.split(path)
        with suppress(OSError):
            folder = os.path.realpath(folder, strict=True)
        path = os.path.join(folder, name)
        try:
            path = os.path.normpath(os.path.join(folder, os.readlink(path)))
        except OSError:
            break
    return path


def registration_lock(target: str, slot: str) -> str:
    """Return the lock that a registration holds: the identity's, or a thread's."""
    if slot.startswith(THREAD_SLOT):
        return os.path.join(thread_locks(target), f"{_thread_name(slot)}.lock")
    return f"{target}.registration.lock"


def thread_locks(target: str) -> str:
    """Return the folder of the threads' locks."""
    return f"{target}.locks"


def journal_of(target: str) -> str:
    """Return where a write over the target is written down until it has ended."""
    return f"{target}.journal"


def threads_folder(target: str) -> str:
    """Return the folder of the threads' records."""
    return f"{target}.threads"


def _thread_name(slot: str) -> str:
    """Return what stands for a thread in names of files.

    An id is whatever a harness chose: a path, too long for a name, or different from another only in case.
    """
    import hashlib

    return hashlib.sha256(slot[len(THREAD_SLOT) :].encode()).hexdigest()


def path_of(target: str, slot: str, name: str) -> str | None:
    """Return where a file of a flow is, or None for a name that is none of a flow's."""
    folder = os.path.dirname(target)
    if name in _BESIDE:
        return target + _BESIDE[name]
    if name == "journal":
        return journal_of(target)
    if name == "home":
        return folder
    if name == "client-lock":
        return os.path.join(folder, "auth.lock")  # always of that name
    kind, _, rest = name.partition("/")
    if kind == "record" and rest in _SLOTS:
        return f"{target}.{rest}"
    if kind == "leftovers" and is_leftover(target, rest):
        return os.path.join(folder, rest)
    if kind == "thread" and _MONTH.fullmatch(rest) and slot.startswith(THREAD_SLOT):
        return os.path.join(threads_folder(target), rest, f"{_thread_name(slot)}.json")
    if kind == "threads":
        month, slash, entry = rest.partition("/")
        if _MONTH.fullmatch(month) and (not slash or _ENTRY.fullmatch(entry)):
            return os.path.join(threads_folder(target), rest)
    return None


def is_leftover(target: str, name: str) -> bool:
    """Report whether a name is that of a temporary of the target, its journal, or a record beside it."""
    beginning = TEMPORARY + os.path.basename(target)
    return name.startswith(beginning) and _LEFTOVER.fullmatch(name[len(beginning) :]) is not None
