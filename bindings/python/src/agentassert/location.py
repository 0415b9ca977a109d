"""Where a URL is, as seen from a manager's base URL. No module is asked."""

from __future__ import annotations

from dataclasses import dataclass

from .base_url import path_below
from .decision import SCOPES, surface_of
from .messages import Scope, SurfaceName


@dataclass(frozen=True)
class CallLocation:
    """What a call to a URL is."""

    inside: bool
    """Whether the URL is the base URL or below it: only then may the call be authorized."""
    surface: SurfaceName | None = None
    """The call's surface and scope, where it is inside."""
    scope: Scope | None = None


def locate(base_url: str, url: str) -> CallLocation:
    """Return what a call to a URL, as it is sent, is."""
    path = path_below(base_url, url)
    if path is None:
        return CallLocation(inside=False)
    surface = surface_of(path)
    return CallLocation(inside=True, surface=surface, scope=SCOPES[surface])
