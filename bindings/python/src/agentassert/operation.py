"""What a flow needs somebody else for: storage, a network, time.

A flow is a generator of these, whoever carries them out. It is resumed with what they
came to, or with the exception that they ended with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .messages import HTTPEffect
from .secret import Secret


@dataclass(frozen=True, repr=False)
class Bounds:
    """Until when somebody waits for an operation."""

    until: float | None = None
    """By time.monotonic. Then it is left behind, and ends with TimeOverError."""
    heeds: bool = True
    """Whether it ends when the flow is ended, with EndedError."""


def is_over(bounds: Bounds) -> bool:
    """Report whether nobody waits any more."""
    return bounds.until is not None and time.monotonic() >= bounds.until


class EndedError(Exception):
    """Says that a flow was ended from outside, because its manager is closed."""


class TimeOverError(Exception):
    """Says that an operation has taken longer than anybody waits for it."""


@dataclass(frozen=True, repr=False)
class StoreCall(Secret):
    """Calls a method of the store. Its result is the operation's."""

    method: str
    arguments: tuple[object, ...]
    bounds: Bounds


@dataclass(frozen=True, repr=False)
class TakeTurn:
    """Waits for the turn of that name in this manager. The result ends it."""

    name: str
    bounds: Bounds


@dataclass(frozen=True, repr=False)
class Release:
    """Calls what the store has returned for a lock, or what ends a turn."""

    unlock: Callable[[], Any]
    bounds: Bounds
    blocks: bool
    """Whether it may take a while: what ends a turn does not."""


@dataclass(frozen=True, repr=False)
class Send(Secret):
    """Sends a request. The result is an HTTPResponse, or whatever the client returns."""

    effect: HTTPEffect
    bounds: Bounds


@dataclass(frozen=True, repr=False)
class Pause:
    """Waits until the bounds are over, which is no error here."""

    bounds: Bounds


@dataclass(frozen=True, repr=False)
class AskCredentials(Secret):
    """Calls the function that knows the credentials. Its result is the operation's."""

    source: Callable[[], Any]
    bounds: Bounds


Operation = StoreCall | TakeTurn | Release | Send | Pause | AskCredentials
