"""What is particular to one HTTP client, and what many calls at once come to."""

from __future__ import annotations

import asyncio
import contextlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from http_backend import TOKEN, Answer, Backend, Seen, Server, redirect, running
from http_clients import CREDENTIALS
from requests.adapters import HTTPAdapter
from test_engines import in_place
from test_http_clients import carries_nothing
from verification import core

from agentassert import AgentAssertError
from agentassert.aiohttp_middleware import AgentAssertMiddleware
from agentassert.async_manager import AsyncManager
from agentassert.httpx_auth import AgentAssertAuth
from agentassert.httpx_flow import HTTPXFlow
from agentassert.manager import Manager
from agentassert.requests_auth import AgentAssertAuth as RequestsAuth


@pytest.fixture
def backend() -> Generator[Backend]:
    server = Backend()
    with running(server):
        yield server


@pytest.fixture
def outside() -> Generator[Server]:
    server = Server()
    with running(server):
        yield server


def options(backend: Backend) -> dict[str, Any]:
    return {
        "core": core(),
        "base_url": backend.base_url,
        "trusted_hosts": ["127.0.0.1"],
        "credentials": CREDENTIALS,
        "agent_identity": True,
    }


@pytest.fixture
def manager(backend: Backend) -> Generator[Manager]:
    with Manager(**options(backend)) as opened:
        yield opened


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


# Many at once.

CALLS = 40


class Together:
    """Answers no call with a task that is revoked before all of them are there."""

    def __init__(self, backend: Backend, count: int) -> None:
        self._backend = backend
        self._all = threading.Barrier(count)
        self._task = ""

    def __call__(self, seen: Seen) -> Answer | None:
        if not seen.path.endswith("/models"):
            return None
        if not self._task:
            self._task = seen.header("Authorization") or ""
        if seen.header("Authorization") == self._task:
            self._all.wait(60)
            return Answer(401, b'{"error":{"code":"task_expired"}}')
        return None


def check_replaced_once(backend: Backend, statuses: list[int]) -> None:
    assert statuses == [200] * CALLS
    assert len(backend.calls) == 2 * CALLS
    assert (len(backend.identities), len(backend.tasks)) == (1, 2)


def status_of(client: Any, url: str) -> int:
    status: int = client.get(url, timeout=60).status_code
    return status


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_task_is_replaced_once_for_all_threads(library: str, backend: Backend) -> None:
    now = time.time()
    with Manager(**options(backend), now=lambda: now) as manager:
        # Within a second all calls carry the same.
        backend.respond = Together(backend, CALLS)
        url = backend.base_url + "/codex/models"
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(CALLS) as threads:
            if library == "httpx":
                limits = httpx.Limits(max_connections=CALLS)
                auth = AgentAssertAuth(manager)
                client: Any = stack.enter_context(
                    httpx.Client(auth=auth, trust_env=False, limits=limits, timeout=60)
                )
                statuses = list(threads.map(status_of, [client] * CALLS, [url] * CALLS))
            else:
                client = stack.enter_context(session())
                client.mount("http://", HTTPAdapter(pool_maxsize=CALLS))
                client.auth = RequestsAuth(manager)
                statuses = list(threads.map(status_of, [client] * CALLS, [url] * CALLS))
    check_replaced_once(backend, statuses)


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_task_is_replaced_once_for_all_tasks(library: str, backend: Backend) -> None:
    async def call_all() -> list[int]:
        now = time.time()
        async with AsyncManager(**options(backend), now=lambda: now) as manager:
            backend.respond = Together(backend, CALLS)
            url = backend.base_url + "/codex/models"
            if library == "httpx":
                limits = httpx.Limits(max_connections=CALLS)
                auth = AgentAssertAuth(manager)
                async with httpx.AsyncClient(auth=auth, trust_env=False, limits=limits, timeout=60) as client:
                    responses = await asyncio.gather(*[client.get(url) for _ in range(CALLS)])
                return [response.status_code for response in responses]
            async with aiohttp.ClientSession(middlewares=[AgentAssertMiddleware(manager)]) as session:

                async def call() -> int:
                    async with session.get(url) as response:
                        return response.status

                return await asyncio.gather(*[call() for _ in range(CALLS)])

    check_replaced_once(backend, asyncio.run(call_all()))


# Clients of the wrong kind.


def test_a_manager_is_for_clients_of_its_kind(backend: Backend, manager: Manager) -> None:
    url = backend.base_url + "/codex/models"

    async def mixed() -> None:
        async with AsyncManager(**options(backend)) as asynchronous:
            for target in (asynchronous, asynchronous.thread("one")):
                with (
                    httpx.Client(auth=AgentAssertAuth(target)) as client,
                    pytest.raises(AgentAssertError) as caught,
                ):
                    client.get(url)  # noqa: ASYNC212 - that it is the wrong client is what is tested
                assert caught.value.code == "invalid_request"
                assert "AsyncManager" in caught.value.message
        other: Any
        for other in (manager, manager.thread("one")):
            async with httpx.AsyncClient(auth=AgentAssertAuth(other)) as client:
                with pytest.raises(AgentAssertError, match="AsyncManager"):
                    await client.get(url)
            middleware = AgentAssertMiddleware(other)
            async with aiohttp.ClientSession(middlewares=[middleware]) as session:
                with pytest.raises(AgentAssertError, match="AsyncManager"):
                    await session.get(url)

    asyncio.run(mixed())
    assert backend.calls == []


@pytest.mark.parametrize("kind", [AgentAssertAuth, RequestsAuth, AgentAssertMiddleware])
@pytest.mark.parametrize("target", [None, "manager", object()])
def test_what_is_no_manager(kind: Any, target: Any) -> None:
    with pytest.raises(AgentAssertError) as caught:
        kind(target)
    assert caught.value.code == "invalid_request"


# HTTPX.


def test_httpx_follows_by_hand(backend: Backend, outside: Server, manager: Manager) -> None:
    """A redirect that the program follows itself is as one that the client follows."""
    outside.respond = lambda _: redirect(backend.base_url + "/codex/second")
    backend.respond = lambda seen: redirect("second") if seen.path.endswith("/first") else None
    with httpx.Client(auth=AgentAssertAuth(manager), trust_env=False) as client:
        inside = client.get(backend.base_url + "/codex/first")
        assert inside.next_request
        carried = client.send(inside.next_request)
        assert carried.json()["scheme"] == "AgentAssertion"
        led = client.get(outside.origin)
        assert led.next_request
        client.send(led.next_request)
    carries_nothing(backend.calls[-1])


def test_httpx_hides_what_it_sends(backend: Backend, manager: Manager) -> None:
    seen: list[httpx.Request] = []

    def look(request: httpx.Request) -> None:
        assert "authorization" not in request.headers
        assert "AgentAssertion" not in repr(request.headers) + str(request.headers.items())
        assert request.content == b"{}"
        seen.append(request)

    with httpx.Client(
        auth=AgentAssertAuth(manager), trust_env=False, event_hooks={"request": [look]}
    ) as client:
        request = client.build_request("POST", backend.base_url + "/codex/x", content=b"{}")
        before = request.headers.raw
        client.send(request)
        assert request.headers.raw == before, "the caller's request has changed"
        assert all(name.lower() != b"authorization" for name, _ in seen[0].headers.raw)
    assert backend.calls[0].scheme == "AgentAssertion"


def test_a_library_that_would_show_it_is_refused(manager: Manager) -> None:
    """One that copies the raw fields for a redirect would send them there."""

    class Headers(httpx.Headers):
        def __init__(self, headers: Any = None) -> None:
            super().__init__(headers.raw if isinstance(headers, httpx.Headers) else headers)

    class Library:
        Headers: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(httpx, name)

    library = Library()
    library.Headers = Headers
    library.__dict__["__name__"] = "another"
    flow = AgentAssertAuth(manager)._flow  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(AgentAssertError, match="another") as caught:
        HTTPXFlow(flow._caller, library)  # pyright: ignore[reportPrivateUsage]
    assert caught.value.code == "unsupported_client"


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body without an end, or with a bad one."""

    def __init__(self, chunk: bytes, failure: Exception | None = None) -> None:
        self._chunk = chunk
        self._failure = failure
        self.sent = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.sent += 1
            yield self._chunk
            if self._failure:
                raise self._failure

    def close(self) -> None:
        self.closed = True


def test_httpx_reads_no_endless_refusal(manager: Manager, backend: Backend) -> None:
    body = Endless(b"x" * 1000)
    calls: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(401, stream=body)

    url = backend.base_url + "/codex/models"
    with httpx.Client(auth=AgentAssertAuth(manager), transport=httpx.MockTransport(refuse)) as client:
        with client.stream("GET", url) as response:
            assert response.status_code == 401
            assert body.sent < 100
            read = response.iter_raw()
            assert b"".join(next(read) for _ in range(100)) == b"x" * 100_000, "what was looked at is lost"
        assert body.closed
    assert len(calls) == 1


def test_httpx_tells_the_reader_of_a_refusal_that_breaks_off(manager: Manager, backend: Backend) -> None:
    body = Endless(b"x", httpx.ReadError("it broke off"))
    transport = httpx.MockTransport(lambda _: httpx.Response(401, stream=body))
    url = backend.base_url + "/codex/models"
    with (
        httpx.Client(auth=AgentAssertAuth(manager), transport=transport) as client,
        client.stream("GET", url) as response,
    ):
        assert response.status_code == 401
        with pytest.raises(httpx.ReadError, match="broke off"):
            response.read()


def test_httpx_decodes_little_of_a_bomb(manager: Manager, backend: Backend) -> None:
    import tracemalloc
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(60)) + packer.flush()
    assert len(bomb) <= 65536
    transport = httpx.MockTransport(
        lambda _: httpx.Response(401, headers={"Content-Encoding": "gzip"}, stream=Once(bomb))
    )
    manager.prewarm()
    with httpx.Client(auth=AgentAssertAuth(manager), transport=transport) as client:
        tracemalloc.start()
        with client.stream("GET", backend.base_url + "/codex/models", timeout=60) as response:
            assert response.status_code == 401
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 << 20


class Once(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


# Requests.


def test_requests_sends_a_prepared_request_again(backend: Backend, manager: Manager) -> None:
    backend.respond = lambda seen: Answer(401) if seen.path.endswith("/models") and not seen.scheme else None
    with session() as client:
        own = {"Authorization": "Bearer own"}
        request = requests.Request(
            "GET", backend.base_url + "/codex/models", headers=own, auth=RequestsAuth(manager)
        )
        prepared = client.prepare_request(request)
        for _ in range(2):
            client.send(prepared)
            assert prepared.headers["Authorization"] == "Bearer own"
    assert backend.calls[0].scheme == "AgentAssertion"


def test_requests_reads_the_callers_own_answer(backend: Backend, manager: Manager) -> None:
    backend.respond = lambda seen: (
        Answer(401, chunks=[b"ab", b"cd"]) if seen.path.endswith("/models") else None
    )
    with session() as client:
        response = client.get(backend.base_url + "/codex/models", auth=RequestsAuth(manager), stream=True)
        assert (response.status_code, b"".join(response.iter_content(None))) == (401, b"abcd")
        assert [before.status_code for before in response.history] == [401]


def test_requests_with_an_adapter_of_ones_own(backend: Backend, manager: Manager) -> None:
    """Its answers need not be urllib3's. Such a refusal goes to the caller, and the next call is good."""

    class Adapter(HTTPAdapter):
        def send(self, *args: Any, **options: Any) -> requests.Response:
            served = super().send(*args, **options)
            response: Any = requests.Response()
            response.raw = io.BytesIO(served.content)
            for name in ("status_code", "headers", "request", "connection", "url"):
                setattr(response, name, getattr(served, name))
            own: requests.Response = response
            return own

    url = backend.base_url + "/codex/models"
    manager.prewarm()
    backend.revoked.update(backend.tasks)
    with session() as client:
        client.mount("http://", Adapter())
        client.auth = RequestsAuth(manager)
        assert client.get(url).json() == {"error": {"code": "task_expired"}}
        assert client.get(url).status_code == 200


# aiohttp.


def test_aiohttp_shows_nothing_in_its_errors(backend: Backend) -> None:
    async def call() -> str:
        async with AsyncManager(**options(backend)) as manager:
            await manager.prewarm()
            backend.respond = lambda seen: Answer(500) if seen.path.endswith("/models") else None
            async with aiohttp.ClientSession(middlewares=[AgentAssertMiddleware(manager)]) as client:
                with pytest.raises(aiohttp.ClientResponseError) as caught:
                    await client.get(backend.base_url + "/codex/models", raise_for_status=True)
                return repr(caught.value) + repr(caught.value.request_info)

    shown = asyncio.run(call())
    assert backend.calls[-1].scheme == "AgentAssertion"
    assert "AgentAssertion" not in shown
    assert TOKEN not in shown


def test_aiohttp_follows_by_hand(backend: Backend, outside: Server) -> None:
    """A redirect from outside that the program follows itself is as one that the client follows; what it
    calls then is its own again."""

    async def call() -> None:
        inside = backend.base_url + "/codex/models"
        outside.respond = lambda _: redirect(inside)
        async with (
            AsyncManager(**options(backend)) as manager,
            aiohttp.ClientSession(middlewares=[AgentAssertMiddleware(manager)]) as client,
        ):
            await client.get(outside.origin, allow_redirects=False)
            for _ in range(2):
                async with client.get(inside) as response:
                    assert response.status == 200

    asyncio.run(call())
    led, own = backend.calls
    carries_nothing(led)
    assert own.scheme == "AgentAssertion"


def test_aiohttp_keeps_what_other_middlewares_set(backend: Backend) -> None:
    async def mark(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        request.headers["X-Mark"] = "1"
        response: aiohttp.ClientResponse = await handler(request)
        assert request.headers["X-Mark"] == "1"
        assert "Authorization" not in request.headers
        return response

    async def call() -> None:
        async with AsyncManager(**options(backend)) as manager:
            middlewares: list[Any] = [mark, AgentAssertMiddleware(manager)]
            async with (
                aiohttp.ClientSession(middlewares=middlewares) as client,
                client.get(backend.base_url + "/codex/models") as response,
            ):
                assert response.status == 200

    asyncio.run(call())
    assert backend.calls[0].header("X-Mark") == "1"


# Packages that are not installed.


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("httpx_auth", "httpx"),
        ("httpx2_auth", "httpx2"),
        ("requests_auth", "requests"),
        ("aiohttp_middleware", "aiohttp"),
    ],
)
def test_it_says_what_to_install(module: str, library: str) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None\n"
        f"try:\n    import agentassert.{module}\nexcept ImportError as error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=in_place(),
    )
    assert "pip install" in said.stdout
    assert library in said.stdout


def test_the_package_itself_needs_none_of_them() -> None:
    script = (
        "import sys; import agentassert.manager, agentassert.verifier, agentassert.asgi, agentassert.wsgi\n"
        "print(*{'httpx', 'httpx2', 'requests', 'aiohttp', 'openai', 'starlette'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=in_place(),
    )
    assert said.stdout.strip() == ""
