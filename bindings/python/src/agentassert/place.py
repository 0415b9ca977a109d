"""Where a URL leads, read so that no other reader can take it for something else."""

from __future__ import annotations

import re
from dataclasses import dataclass

_url = re.compile("(https?)://([^/]*)(/.*)?")
_printable = re.compile(r"[\x21-\x5b\x5d-\x7e]*")
_authority = re.compile("(.*?)(?::([0-9]{1,20}))?")
# A host name, an IPv4 address, or an IPv6 address in brackets.
_host = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*")


@dataclass(frozen=True)
class Place:
    """What a URL says of a server, and of what is on it."""

    scheme: str
    host: str
    """In lower case; an IPv6 address in brackets, as it was written."""
    port: int
    """The scheme's own where the URL has none."""
    path: str
    """As it is written, with nothing decoded."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What two URLs have in common if they lead to one server."""
        return self.scheme, self.host, self.port


def place_of(url: str) -> Place | None:
    """Take a URL apart that has neither query nor fragment, or return None.

    It is absolute, http or https, in ASCII, and without user info, space and backslash.
    """
    if _printable.fullmatch(url) is None:
        return None
    match = _url.fullmatch(url)
    if match is None:
        return None
    scheme, authority, path = match[1], match[2], match[3] or ""
    match = _authority.fullmatch(authority)
    if match is None:
        return None
    host = match[1].lower()
    port = int(match[2] or (443 if scheme == "https" else 80))
    if _host.fullmatch(host) is None or ".." in host or not 1 <= port <= 65535:
        return None
    return Place(scheme, host, port, path)
