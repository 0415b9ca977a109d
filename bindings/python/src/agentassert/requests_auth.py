"""Authorizes the calls of Requests.

session.auth = AgentAssertAuth(manager)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .authorized_call import (
    MAX_REFUSAL,
    REFUSAL_SECONDS,
    Caller,
    is_other,
    redirected,
    routed,
)

try:
    import requests
    import requests.auth
    from requests.structures import CaseInsensitiveDict
except ImportError:
    raise ImportError(
        "agentassert.requests_auth needs requests: pip install 'agentassert[requests]'"
    ) from None

if TYPE_CHECKING:
    from .authorization import Authorization
    from .manager import Manager
    from .messages import SurfaceName
    from .thread import Thread


class AgentAssertAuth(requests.auth.AuthBase):
    """Authorizes calls to a manager's backend, those to the base URL or below, and leaves all others as
    they are, those with the Host of another server among them. It takes the place of an Authorization
    that the caller has set, but of an API key's where the call carries no other.

    A redirect gets nothing of it, wherever it leads. One that has stayed below the base URL, and is answered
    with 401, is authorized then.

    When the backend answers an assertion with 401, its task or instance is replaced, and the call sent
    once more, unless its body is a file or an iterator. A second 401, and one to a bearer token, go to
    the caller.

    A call to responses whose authorization has an origin of its own goes there; it follows no redirect
    (``redirected``).

    The header fields are on the prepared request until the answer is there, and gone then: it is authorized
    for one sending.

    Errors are those of the manager, as AgentAssertError, from the session's method. Threads can share one.
    """

    def __init__(
        self, target: Manager | Thread, *, surface: SurfaceName | None = None, timeout: float | None = None
    ) -> None:
        """Have calls authorized.

        Args:
            target: A Manager, or one of its threads for a conversation's calls.
            surface: That of all calls; by default each one's URL says.
            timeout: How long a call may wait for its authorization, in seconds; the time-out of the
                call does not count it.

        Raises:
            AgentAssertError: ``invalid_request``, ``unknown_surface``.
        """
        self._caller = Caller(target, surface, timeout)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a call that is being prepared."""
        call = _Call(self._caller)
        if call.authorize(r):
            r.hooks["response"].append(call.answered)
        return r


@dataclass(frozen=True, repr=False)
class _Sent:
    """What a request carries, and what it was before."""

    authorization: Authorization
    headers: CaseInsensitiveDict[str]
    url: str


class _Call:
    """One call, with where it is led to and how often it is sent."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._sent: WeakKeyDictionary[requests.PreparedRequest, _Sent] = WeakKeyDictionary()
        # Whether nobody outside has led the call where it is.
        self._is_own = True

    def authorize(self, request: requests.PreparedRequest) -> bool:
        """Have a request carry what its URL asks for; or report that it is none of ours."""
        surface = self._surface_of(request)
        if surface is None:
            return False
        self._carry(request, self._caller.authorization(surface))
        return True

    def answered(self, response: requests.Response, **options: Any) -> requests.Response:
        """Return the answer of a call, or that of its second try. Requests calls it with each answer, before
        it follows a redirect with a copy of the request."""
        request = response.request
        sent = self._restore(request)
        if sent is None:
            self._is_own = self._is_own and self._surface_of(request) is not None
            if self._is_own and response.status_code == 401 and _is_replayable(request):
                again = request.copy()
                self.authorize(again)
                return self._send(again, response, options)
            return response
        first = sent.authorization
        if first.responses_origin and response.is_redirect:
            response.close()
            raise redirected()
        if response.status_code != 401 or not first.asserts:
            return response
        # Even where this call cannot be sent again, the next one can.
        body, is_whole = _beginning(response)
        second = self._caller.recover(first, response.headers.get("Date", ""), body)
        if second is None or not (is_other(second, first) and is_whole and _is_replayable(request)):
            return response
        again = request.copy()
        self._carry(again, second)
        return self._send(again, response, options, recovers=False)

    def _surface_of(self, request: requests.PreparedRequest) -> SurfaceName | None:
        host: Any = request.headers.get("Host")
        if isinstance(host, bytes):
            host = host.decode("latin-1")
        return self._caller.surface_of(request.url or "", host)

    def _carry(self, request: requests.PreparedRequest, authorization: Authorization) -> None:
        """Have a request carry an authorization, and go where that says."""
        url = request.url or ""
        self._sent[request] = _Sent(authorization, request.headers.copy(), url)
        authorization.set_headers(request.headers)
        if authorization.responses_origin:
            request.url = routed(url, authorization.responses_origin)
            request.headers.pop("Host", None)  # it is the other server's

    def _restore(self, request: requests.PreparedRequest) -> _Sent | None:
        """Have a request be what it was before, and return what it carried, or None."""
        sent = self._sent.pop(request, None)
        if sent is not None:
            request.headers = sent.headers
            request.url = sent.url
        return sent

    def _send(
        self,
        request: requests.PreparedRequest,
        before: requests.Response,
        options: dict[str, Any],
        *,
        recovers: bool = True,
    ) -> requests.Response:
        """Send a request in place of one that was refused."""
        before.content  # noqa: B018 - so that its connection can be used again
        before.close()
        response: requests.Response = before.connection.send(request, **options)
        response.history.append(before)
        response.request = request
        if recovers:
            return self.answered(response, **options)
        sent = self._restore(request)
        if sent is not None and sent.authorization.responses_origin and response.is_redirect:
            response.close()
            raise redirected()
        return response


def _is_replayable(request: requests.PreparedRequest) -> bool:
    """Report whether a request's body can be sent again: a file or an iterator cannot."""
    return request.body is None or isinstance(request.body, (bytes, str))


def _beginning(response: requests.Response) -> tuple[bytes, bool]:
    """Return the beginning of an answer, and whether it is all of it. It can still be read."""
    raw: Any = response.raw
    if not hasattr(raw, "stream"):  # an adapter's own, such as a file
        return b"", False
    chunks: list[bytes] = []
    rest: Iterator[bytes] = raw.stream(1024, decode_content=True)
    is_whole, failed = False, None
    until = time.monotonic() + REFUSAL_SECONDS
    try:
        while sum(map(len, chunks)) <= MAX_REFUSAL and time.monotonic() < until:
            chunks.append(next(rest))
    except StopIteration:
        is_whole = True
    except Exception as error:
        failed = error  # whoever reads the answer is told
    response.raw = _Replayed(raw, chunks, rest, failed)
    return b"".join(chunks)[:MAX_REFUSAL], is_whole


class _Replayed:
    """An answer of urllib3's of which a beginning was read, and decoded."""

    def __init__(
        self, raw: Any, chunks: list[bytes], rest: Iterator[bytes], failed: Exception | None
    ) -> None:
        self._raw = raw
        self._chunks = chunks
        self._rest = rest
        self._failed = failed

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Return its chunks, of whatever size they are."""
        yield from self._chunks
        if self._failed:
            raise self._failed
        yield from self._rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
