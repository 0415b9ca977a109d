"""What is inside the base URL.

It is decided here, and not by the module: whoever decides that decides who gets the
user's token.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from .decision import is_supported_host
from .errors import AgentAssertError
from .place import Place, place_of
from .untrusted import violation

MAX_DECODINGS = 4
"""A path is read so often, each time decoded once more. One that has still more to decode is nobody's."""

_not_in_base_url = re.compile('[?#@"<>^`{|}]')
_query = re.compile("[?#]")
_separators = re.compile(r"[/\\;]")
_dots = re.compile(r"\.{2,}")
_escape = re.compile("%([0-9A-Fa-f]{2})")
_left_out = re.compile("[\x00-\x20\x7f]")
# Bytes that no character begins with: strict readers refuse them, others read a dot
# that is longer than it should be.
_overlong = re.compile("[\xc0\xc1]|\xe0(?![\xa0-\xff])|\xf0(?![\x90-\xff])")


def is_below(base_url: str, url: str) -> bool:
    """Report whether a URL, as it is sent, is a base URL or below it.

    Only then may a call to it be authorized. Its query and fragment do not count. It has
    the same scheme, host and port, and its path, with nothing decoded, is the base URL's
    or goes on with a slash.

    What one reader could take for something else is not below: user info, a backslash, a
    space, a control character, a character beyond ASCII, and a path that leads upwards
    for a server that decodes it, however often. A base URL that is none has nothing
    below.
    """
    return path_below(base_url, url) is not None


def path_below(base_url: str, url: str) -> str | None:
    """Return the rest of a URL's path that is the base URL's or below, without the query.

    None stands for a URL that is elsewhere.
    """
    base = None if _not_in_base_url.search(base_url) else place_of(base_url)
    place = place_of(_query.split(url, maxsplit=1)[0])
    if base is None or place is None or place.origin != base.origin or not place.path.startswith(base.path):
        return None
    rest = place.path[len(base.path) :]
    return rest if rest[:1] in ("", "/") and not _leads_up(rest) else None


def is_supported_origin(origin: str, trusted_hosts: Sequence[str]) -> bool:
    """Report whether calls to responses may be sent to an origin, with what they carry.

    It is one with https, written without a path, and its host is supported or trusted.
    """
    place = None if _not_in_base_url.search(origin) else place_of(origin)
    return (
        place is not None
        and place.scheme == "https"
        and place.path == ""
        and is_supported_host(place.host, trusted_hosts)
    )


def check_secure(name: str, url: str) -> None:
    """Refuse a URL to which credentials would go unencrypted: one with http that leads to another machine.

    Errors: insecure_base_url, invalid_base_url.
    """
    place = _parsed(name, url)
    if place.scheme != "https" and not _is_loopback(place.host):
        raise AgentAssertError(
            "insecure_base_url",
            f"the option {name} has no https, so that everybody on the way could read the user's token; "
            "use https, or set the option allow_http to True where the network is trusted",
        )


def checked_base_url(configured: str, normalized: object) -> str:
    """Return the base URL that the module has made of the configured one, if that stands for it.

    It has that one's origin, and its path up to some slash, with or without
    "/backend-api" after it.

    Errors: policy_violation, invalid_base_url.
    """
    origin = _parsed("base_url", configured).origin
    base = normalized if isinstance(normalized, str) else ""
    place = None if _not_in_base_url.search(base) else place_of(base)

    def is_beginning(text: str) -> bool:
        return configured.startswith(text) and configured[len(text) :][:1] in ("", "/")

    is_short = is_beginning(base) or is_beginning(base.removesuffix("/backend-api"))
    if place is None or place.origin != origin or not is_short:
        raise violation("a base URL", "that the configured one does not stand for")
    return base


def is_host_of(url: str, header: str | None) -> bool:
    """Report whether a Host header names the server that a URL leads to.

    Where there is none, whoever sends the call writes it.
    """
    place = place_of(_query.split(url, maxsplit=1)[0])
    if place is None:
        return False
    if header is None:
        return True
    names = [f"{place.host}:{place.port}"]
    if place.port == (443 if place.scheme == "https" else 80):
        names.append(place.host)
    return header.strip(" \t").lower() in names


def _leads_up(path: str) -> bool:
    """Report whether a path has a segment that leads upwards, for servers that resolve it.

    Also for those that decode it first, once or several times, take a backslash for a
    slash, leave out what follows a semicolon, spaces or control characters, or take more
    than two dots for two.
    """
    for _ in range(MAX_DECODINGS):
        if _overlong.search(path) or any(_dots.fullmatch(segment) for segment in _separators.split(path)):
            return True
        decoded = _left_out.sub("", _escape.sub(lambda match: chr(int(match[1], 16)), path))
        if decoded == path:
            return False
        path = decoded
    return True


def _parsed(name: str, url: str) -> Place:
    place = place_of(url)
    if place is None:
        raise AgentAssertError("invalid_base_url", f"the option {name} is no absolute http or https URL")
    return place


def _is_loopback(host: str) -> bool:
    """Report whether a host is this machine, in whichever way every reader reads it."""
    if host == "localhost":
        return True
    try:
        if not host.startswith("["):
            return ipaddress.IPv4Address(host).is_loopback
        address = ipaddress.IPv6Address(host[1:-1])
        return (address.ipv4_mapped or address).is_loopback
    except ValueError:
        return False
