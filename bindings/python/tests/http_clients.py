"""The HTTP clients that this package authorizes, each as a function that makes one call."""

from __future__ import annotations

import asyncio
import importlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from http_backend import ACCOUNT, TOKEN

from agentassert.async_manager import AsyncManager
from agentassert.manager import Manager
from agentassert.thread import AsyncThread, Thread

CREDENTIALS: Any = {"kind": "chatgpt", "access_token": TOKEN, "account_id": ACCOUNT, "user_id": "user-1"}


@dataclass
class Request:
    """What is called, and how."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    as_stream: bool = False
    """The body is an iterator's, which nobody can read twice."""
    thread: str | None = None
    """The conversation that the call belongs to."""
    surface: Any = None
    follow: bool = True


@dataclass
class Response:
    """What came of it."""

    status: int
    body: bytes
    shown: str
    """What a log would have of the request."""

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A manager and a client that it authorizes."""

    def __init__(self, tls: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        self.tls = tls
        self.options: dict[str, Any] = {"credentials": CREDENTIALS, "agent_identity": True, **options}

    def send(self, *requests: Request) -> list[Response]:
        """Make calls, one after the other, in one session."""
        raise NotImplementedError

    def close_manager(self) -> None:
        """Close the manager; once more does nothing."""
        raise NotImplementedError

    def close(self) -> None:
        self.close_manager()


class SyncClient(Client):
    def __init__(self, tls: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        super().__init__(tls, options)
        self.manager = Manager(**self.options)

    def target(self, request: Request) -> Manager | Thread:
        return self.manager if request.thread is None else self.manager.thread(request.thread)

    def close_manager(self) -> None:
        self.manager.close()


class AsyncClient(Client):
    """Runs in an event loop of its own, as long as it is open."""

    def __init__(self, tls: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        super().__init__(tls, options)
        self._loop = asyncio.new_event_loop()
        self.manager = AsyncManager(**self.options)

    def target(self, request: Request) -> AsyncManager | AsyncThread:
        return self.manager if request.thread is None else self.manager.thread(request.thread)

    def send(self, *requests: Request) -> list[Response]:
        return self._loop.run_until_complete(self.send_async(*requests))

    async def send_async(self, *requests: Request) -> list[Response]:
        raise NotImplementedError

    def close_manager(self) -> None:
        self._loop.run_until_complete(self.manager.aclose())

    def close(self) -> None:
        super().close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def _chunks(body: bytes) -> Iterator[bytes]:
    yield body


async def _async_chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


class HTTPX(SyncClient):
    library = "httpx"

    def send(self, *requests: Request) -> list[Response]:
        httpx = importlib.import_module(self.library)
        auth = importlib.import_module(f"agentassert.{self.library}_auth").AgentAssertAuth
        responses: list[Response] = []
        with httpx.Client(trust_env=False, verify=self.tls or True) as client:
            for request in requests:
                body = _chunks(request.body) if request.body and request.as_stream else request.body
                response = client.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    content=body,
                    auth=auth(self.target(request), surface=request.surface),
                    follow_redirects=request.follow,
                )
                responses.append(_of_httpx(response))
        return responses


class HTTPX2(HTTPX):
    library = "httpx2"


class AsyncHTTPX(AsyncClient):
    library = "httpx"

    async def send_async(self, *requests: Request) -> list[Response]:
        httpx = importlib.import_module(self.library)
        auth = importlib.import_module(f"agentassert.{self.library}_auth").AgentAssertAuth
        responses: list[Response] = []
        async with httpx.AsyncClient(trust_env=False, verify=self.tls or True) as client:
            for request in requests:
                body = _async_chunks(request.body) if request.body and request.as_stream else request.body
                response = await client.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    content=body,
                    auth=auth(self.target(request), surface=request.surface),
                    follow_redirects=request.follow,
                )
                responses.append(_of_httpx(response))
        return responses


class AsyncHTTPX2(AsyncHTTPX):
    library = "httpx2"


def _of_httpx(response: Any) -> Response:
    sent = [response.request, *(before.request for before in response.history)]
    shown = repr([(request, list(request.headers.items()), request.headers.raw) for request in sent])
    return Response(response.status_code, response.content, shown)


class Requests(SyncClient):
    def send(self, *requests: Request) -> list[Response]:
        import requests as library

        from agentassert.requests_auth import AgentAssertAuth

        responses: list[Response] = []
        with library.Session() as session:
            session.trust_env = False
            if self.tls:
                session.mount("https://", _adapter(self.tls))
            for request in requests:
                body = _chunks(request.body) if request.body and request.as_stream else request.body
                response = session.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    data=body,
                    auth=AgentAssertAuth(self.target(request), surface=request.surface),
                    allow_redirects=request.follow,
                )
                shown = repr([r.request.headers for r in [response, *response.history]])
                responses.append(Response(response.status_code, response.content, shown))
        return responses


def _adapter(tls: ssl.SSLContext) -> Any:
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> Any:
            return super().init_poolmanager(*args, **options, ssl_context=tls)

    return Adapter()


class AIOHTTP(AsyncClient):
    async def send_async(self, *requests: Request) -> list[Response]:
        import aiohttp

        from agentassert.aiohttp_middleware import AgentAssertMiddleware

        responses: list[Response] = []
        async with aiohttp.ClientSession() as session:
            # One for all of a conversation's calls, as programs have it.
            middlewares: dict[tuple[str | None, Any], AgentAssertMiddleware] = {}
            for request in requests:
                key = (request.thread, request.surface)
                if key not in middlewares:
                    middlewares[key] = AgentAssertMiddleware(self.target(request), surface=request.surface)
                body = _async_chunks(request.body) if request.body and request.as_stream else request.body
                async with session.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    data=body,
                    middlewares=[middlewares[key]],
                    allow_redirects=request.follow,
                    ssl=self.tls or True,
                ) as response:
                    shown = repr([r.request_info for r in [response, *response.history]])
                    responses.append(Response(response.status, await response.read(), shown))
        return responses


CLIENTS: dict[str, Callable[[ssl.SSLContext | None, dict[str, Any]], Client]] = {
    "httpx": HTTPX,
    "httpx async": AsyncHTTPX,
    "httpx2": HTTPX2,
    "httpx2 async": AsyncHTTPX2,
    "requests": Requests,
    "aiohttp": AIOHTTP,
}
