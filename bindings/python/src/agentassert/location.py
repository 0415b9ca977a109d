"""Where a URL is, as seen from a base URL. No module is asked."""

from __future__ import annotations

from .base_url import path_below
from .decision import SCOPES, surface_of
from .results import Location


def locate(base_url: str, url: str) -> Location:
    """Returns what a call to a URL, as it is sent, is."""
    path = path_below(base_url, url)
    if path is None:
        return Location(inside=False)
    surface = surface_of(path)
    return Location(inside=True, surface=surface, scope=SCOPES[surface])
