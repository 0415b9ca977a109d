"""Authorizes the calls of aiohttp's client, from 3.12 on.

session = aiohttp.ClientSession(middlewares=[AgentAssertMiddleware(manager)])
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .authorized_call import MAX_REFUSAL, REFUSAL_SECONDS, Caller, is_other, redirected, routed

try:
    import aiohttp
    from aiohttp import hdrs, payload
    from aiohttp.base_protocol import BaseProtocol
    from yarl import URL
except ImportError:
    raise ImportError(
        "agentassert.aiohttp_middleware needs aiohttp: pip install 'agentassert[aiohttp]'"
    ) from None

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from .async_manager import AsyncManager
    from .authorization import Authorization
    from .messages import SurfaceName
    from .thread import AsyncThread

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class AgentAssertMiddleware:
    """Authorizes calls to a manager's backend, those to the base URL or below, and leaves all others as
    they are, those with the Host of another server among them. It takes the place of an Authorization
    that the caller has set, but of an API key's where the call carries no other.

    Each redirect is a call of its own: the authorization goes to none that leads elsewhere, and to none
    that has come from there, even back inside.

    When the backend answers an assertion with 401, its task or instance is replaced, and the call sent
    once more, if its body was given as bytes, text, JSON or form fields. A second 401, and one to a
    bearer token, go to the caller.

    A call to responses whose authorization has an origin of its own goes there; it follows no redirect
    (``redirected``).

    The header fields are on the request until the answer is there, and gone then.

    Errors are those of the manager, as AgentAssertError, from the session's method. The sessions of one
    event loop can share one. A session that has others of its own puts it last, nearest to the network.
    """

    def __init__(
        self,
        target: AsyncManager | AsyncThread,
        *,
        surface: SurfaceName | None = None,
        timeout: float | None = None,
    ) -> None:
        """Have calls authorized.

        Args:
            target: An AsyncManager, or one of its threads for a conversation's calls.
            surface: That of all calls; by default each one's URL says.
            timeout: How long a call may wait for its authorization, in seconds. The session's total
                time-out counts it, too.

        Raises:
            AgentAssertError: ``invalid_request``, ``unknown_surface``.
        """
        self._caller = Caller(target, surface, timeout)
        # Where somebody outside has led each task's last call. aiohttp follows a redirect in the task of the
        # call, and says nothing of where a request comes from.
        self._led: WeakKeyDictionary[asyncio.Task[object], frozenset[str]] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send one request."""
        surface = self._surface_of(request)
        if surface is None:
            response = await handler(request)
            self._lead(request, response)
            return response
        first = await self._caller.authorization_async(surface)
        response = await self._send(request, handler, first)
        if response.status != 401 or not first.asserts:
            return response
        # Even where this call cannot be sent again, the next one can.
        body, is_whole = await _beginning(response)
        second = await self._caller.recover_async(first, response.headers.get(hdrs.DATE, ""), body)
        if second is None or not (is_other(second, first) and is_whole and _is_replayable(request)):
            return response
        response.release()
        return await self._send(request, handler, second)

    def _surface_of(self, request: ClientRequest) -> SurfaceName | None:
        """Return the surface of a call, or None for one that is not authorized."""
        task = asyncio.current_task()
        led = self._led.pop(task, None) if task else None
        if led and _sent_form(request.url) in led:
            return None
        return self._caller.surface_of(str(request.url), request.headers.get(hdrs.HOST))

    def _lead(self, request: ClientRequest, response: ClientResponse) -> None:
        """Remember where an answer from outside leads."""
        location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI)
        task = asyncio.current_task()
        if response.status in _REDIRECTS and location and task:
            self._led[task] = _urls_of(request, location)

    async def _send(
        self, request: ClientRequest, handler: ClientHandlerType, authorization: Authorization
    ) -> ClientResponse:
        """Send a request with an authorization, and leave it as it was before."""
        headers, url = list(request.headers.items()), request.url
        authorization.set_headers(request.headers)
        if authorization.responses_origin:
            request.url = URL(routed(str(url), authorization.responses_origin), encoded=True)
            request.headers[hdrs.HOST] = request.url.host_port_subcomponent or ""
        try:
            response = await handler(request)
        finally:
            # Errors, and what they print, have these very header fields.
            request.headers.clear()
            request.headers.extend(headers)
            request.url = url
        if (
            authorization.responses_origin
            and response.status in _REDIRECTS
            and hdrs.LOCATION in response.headers
        ):
            response.close()
            raise redirected()
        return response


def _urls_of(request: ClientRequest, location: str) -> frozenset[str]:
    """Return where a redirect leads, as aiohttp reads it: a session can be told to read it in either way."""
    urls: set[str] = set()
    for encoded in (True, False):
        with suppress(ValueError):  # nor does aiohttp follow it
            urls.add(_sent_form(request.url.join(URL(location, encoded=encoded))))
    return frozenset(urls)


def _sent_form(url: URL) -> str:
    """Return a URL without what is not sent as a part of it."""
    return str(url.with_user(None).with_fragment(None))


def _is_replayable(request: ClientRequest) -> bool:
    """Report whether a request's body can be sent again: what was given as bytes, text, JSON or form
    fields."""
    return not request.body or isinstance(request.body, payload.BytesPayload)


async def _beginning(response: ClientResponse) -> tuple[bytes, bool]:
    """Return the beginning of an answer, and whether it is all of it. It can still be read, unless it is
    longer than what is looked at and did not say so: then, whoever reads it is told that it was cut."""
    if (response.content_length or 0) > MAX_REFUSAL:
        return b"", False
    content = response.content
    said = b""
    is_whole, failed = False, None
    until = time.monotonic() + REFUSAL_SECONDS
    try:
        while len(said) <= MAX_REFUSAL:
            chunk = await asyncio.wait_for(content.readany(), until - time.monotonic())
            if not chunk:
                is_whole = True
                break
            said += chunk
    except (aiohttp.ClientError, asyncio.TimeoutError, TimeoutError) as error:
        failed = error
    loop = asyncio.get_running_loop()
    again = aiohttp.StreamReader(BaseProtocol(loop), 2 * MAX_REFUSAL, loop=loop)
    if said:
        again.feed_data(said)
    if is_whole:
        again.feed_eof()
    else:
        again.set_exception(failed or aiohttp.ClientPayloadError("the rest of the refusal was not read"))
    response.content = again
    return said[:MAX_REFUSAL], is_whole
