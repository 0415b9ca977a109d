"""A registration's request, as an HTTP client is given it, and what it came to."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .answer import presentable
from .cancellation import Cancellation
from .errors import AgentAssertError
from .messages import FailureKind, Header, HTTPEffect, Response
from .secret import Secret
from .shapes import is_mapping

_MAX_CHAIN = 8  # how far an error's causes are looked at

_reason = re.compile("[A-Z0-9_]{1,64}")
_well_formed = re.compile("[^\ud800-\udfff]*")
_RESOLVER_CODES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}


@dataclass(frozen=True, repr=False)
class HTTPRequest(Secret):
    """What is to be sent, as it is: follow no redirect, and send no cookies.

    The body and the header fields can be secret.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    """Their names are in lower case. Beside them send what HTTP itself needs, and a user-agent."""
    body: bytes | None
    timeout: float
    """In seconds, from the look-up of the name to the body's last byte."""
    size_limit: int
    """Of the answer's body, decoded as its Content-Encoding says, in bytes."""
    canceled: Cancellation
    """Set when nobody waits for the answer any more."""

    def __repr__(self) -> str:
        return f"<HTTPRequest {self.method}>"


@dataclass(frozen=True, repr=False)
class HTTPResponse(Secret):
    """A whole answer. It can hold a secret."""

    status: int
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    body: bytes
    """Decoded. One that is longer than the limit counts as too large, wherever it ends."""

    def __repr__(self) -> str:
        return f"<HTTPResponse {self.status}>"


class RequestError(AgentAssertError):
    """What this package itself ends a request with. It quotes nothing, and can be shown."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__("request_failed", message)
        self.kind: FailureKind = kind


def timed_out() -> RequestError:
    """Return the error of a backend that takes longer than the protocol waits."""
    return RequestError("timeout", "the backend did not answer in time")


def too_large() -> RequestError:
    """Return the error of an answer that nobody reads to its end."""
    return RequestError("too-large", "the response is larger than the protocol allows")


def request_of(effect: HTTPEffect, canceled: Cancellation) -> HTTPRequest:
    """Return the request that an effect asks for."""
    return HTTPRequest(
        method=effect["method"],
        url=effect["url"],
        headers=tuple((header["name"], header["value"]) for header in effect["headers"]),
        body=effect.get("body"),
        timeout=effect["timeout_ms"] / 1000,
        size_limit=effect["size_limit"],
        canceled=canceled,
    )


def event_of(effect: HTTPEffect, response: object) -> Response:
    """Return the event that tells a flow of an answer.

    Raises:
        RequestError: For one that is too large.
        TypeError, ValueError: For what is no answer.
    """
    if not isinstance(response, HTTPResponse):
        raise TypeError("the HTTP client returned no HTTPResponse")
    status, body, limit = response.status, bytes(response.body), effect["size_limit"]
    if type(status) is not int or not 100 <= status <= 599:
        raise ValueError("the HTTP client returned a status that there is not")
    if len(body) > limit:
        raise too_large()
    headers: Any = response.headers
    pairs: Iterable[tuple[Any, Any]] = headers.items() if is_mapping(headers) else headers
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(str(name).lower(), str(value))  # one that stands twice means nothing
    found: list[Header] = []
    for name in effect.get("response_headers", []):
        value = fields.get(name, "")
        # What does not fit into a message is nothing that the protocol knows.
        if value and len(value) <= limit and _well_formed.fullmatch(value):
            found.append({"name": name, "value": value})
    event: Response = {"type": "response", "status": status}
    if found:
        event["headers"] = found
    if body:
        event["body"] = body
    return event


def failure_of(error: BaseException) -> tuple[FailureKind, AgentAssertError]:
    """Return how a request failed, and what can be shown of its error.

    A client's error can hold what a server sent, or what was sent to it, in texts and
    members that nobody has counted. So of those only the system's names for what went
    wrong are shown, and no cause is kept.
    """
    import ssl  # which takes milliseconds, and whoever gets here has had it

    chain = _chain_of(error)
    for link in chain:
        if isinstance(link, RequestError):
            return link.kind, AgentAssertError(link.code, link.message)
    is_tls = any(isinstance(link, ssl.SSLError) for link in chain)
    if not is_tls and any(isinstance(link, TimeoutError) for link in chain):
        return "timeout", timed_out()
    reason = next(filter(None, map(_name_of, chain)), None)
    if reason is None:
        reason = "its error is not shown, because it may quote the request or the answer"
    kind: FailureKind = "tls" if is_tls else "connect"
    return kind, AgentAssertError("request_failed", f"the request failed: {reason}")


def _chain_of(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(chain) < _MAX_CHAIN:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain


def _name_of(error: BaseException) -> str | None:
    """Return the system's name for what went wrong: text that is made on this machine."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return presentable(f"CERTIFICATE_VERIFY_FAILED: {getattr(error, 'verify_message', '')}")
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason)
        return reason if _reason.fullmatch(reason) else None
    if isinstance(error, socket.gaierror):
        return _RESOLVER_CODES.get(error.errno)
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno)
    return None
