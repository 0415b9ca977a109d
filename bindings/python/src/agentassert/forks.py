"""What begins anew in a process that was forked off: it has none of its parent's threads, and nobody
in it gives back what these hold."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that holds locks, or waits for threads."""

    def after_fork(self) -> None:
        """Begin anew, in the child process, while there is no other thread."""


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()


def begin_anew_after_fork(thing: Forkable) -> None:
    """Have something begin anew in processes that are forked off, for as long as there is any use for it."""
    _known.add(thing)


def _after_fork() -> None:
    for thing in list(_known):
        thing.after_fork()


# Where there is no fork, there is nothing to do after it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
