"""Sends registrations with HTTPX."""

from __future__ import annotations

import asyncio
import contextlib

from .body import BodyReader
from .errors import AgentAssertError
from .exchange import HTTPRequest, HTTPResponse, timed_out
from .http_library import http_library


async def send(request: HTTPRequest) -> HTTPResponse:
    """Send a request within its time, with the proxies and certificates that the environment names.

    Raises:
        AgentAssertError: ``request_failed``, for one that took too long, was answered with
            too much; ``canceled``.
        Exception: HTTPX's, in which there can be secrets.
    """
    loop, work = asyncio.get_running_loop(), asyncio.ensure_future(_exchange(request))
    request.canceled.on_set(lambda: _cancel(loop, work))
    try:
        # In HTTPX time-outs are of single operations, and of none that looks a name up.
        done, _ = await asyncio.wait({work}, timeout=request.timeout)
    except asyncio.CancelledError:
        work.cancel()
        raise
    if not done:
        work.cancel()
        await asyncio.wait({work})
        raise timed_out()
    if work.cancelled():
        raise AgentAssertError("canceled", "nobody waits for the answer any more")
    return work.result()


def send_and_wait(request: HTTPRequest) -> HTTPResponse:
    """Is send for a thread that has no event loop: only one of its own ends a request in time."""
    return asyncio.run(send(request))


async def _exchange(request: HTTPRequest) -> HTTPResponse:
    httpx = http_library()
    fields = [*request.headers, ("accept-encoding", "identity"), ("user-agent", "agentassert-python")]
    sent = httpx.Request(request.method, request.url, headers=fields, content=request.body)
    async with httpx.AsyncClient(follow_redirects=False, timeout=request.timeout) as client:
        response = await client.send(sent, stream=True)
        try:
            reader = BodyReader(request.size_limit, response.headers.get("content-encoding", ""))
            async for chunk in response.aiter_raw():
                reader.feed(chunk)
        finally:
            await response.aclose()
        return HTTPResponse(response.status_code, response.headers.multi_items(), reader.end())


def _cancel(loop: asyncio.AbstractEventLoop, work: asyncio.Future[HTTPResponse]) -> None:
    with contextlib.suppress(RuntimeError):  # of a loop that is closed, and with it the request
        loop.call_soon_threadsafe(work.cancel)
