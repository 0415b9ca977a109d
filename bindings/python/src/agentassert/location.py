"""Where a URL is, as seen from a base URL."""

from __future__ import annotations

from dataclasses import dataclass

from .base_url import path_below
from .decision import SCOPES, surface_of
from .messages import Scope, SurfaceName


@dataclass(frozen=True)
class Location:
    """What a call to a URL is, as it is sent."""

    inside: bool
    """Whether it is the base URL or below it: only then may the call be authorized."""
    surface: SurfaceName | None
    """None outside."""
    scope: Scope | None
    """The same."""
    thread_id: str | None
    """The conversation that the call belongs to, on a thread's surface."""


def locate(base_url: str, url: str, thread_id: str | None) -> Location:
    """Returns what a call to a URL is. A thread counts where the surface is a thread's."""
    path = path_below(base_url, url)
    if path is None:
        return Location(False, None, None, None)
    surface = surface_of(path)
    scope = SCOPES[surface]
    return Location(True, surface, scope, thread_id if scope == "thread" else None)
