"""Verification before ASGI and WSGI applications."""

from __future__ import annotations

import contextlib
import json
import threading
import wsgiref.simple_server
import wsgiref.util
import wsgiref.validate
from collections.abc import Generator, Iterable
from typing import Any

import httpx
import pytest
from verification import (
    START,
    AsyncDirectory,
    FixedInstances,
    core,
    ended,
    good,
    instance_value,
    public,
    task_header,
)

from agentassert import asgi, wsgi
from agentassert.directory import Instance
from agentassert.verifier import Principal, Verifier

FIELD = "X-OpenAI-Agent-Assertion"


def verifier(*, coroutines: bool = False) -> Verifier:
    agents = AsyncDirectory(good()) if coroutines else good()
    instances = FixedInstances([Instance("i", public(1))])
    return Verifier(agents, instances=instances, core=core(), now=lambda: START)


# Header fields, the status, and what the application or the refusal says.
CASES: list[tuple[list[tuple[str, str]], int, str]] = [
    ([("Authorization", task_header(1, "a", "t"))], 200, "a/t"),
    ([("authorization", task_header(1, "a", "t")), ("ChatGPT-Account-ID", "acct-1")], 200, "a/t"),
    ([(FIELD, instance_value(1, "i"))], 200, "i"),
    ([("Authorization", "AgentAssertion " + instance_value(1, "i", n=2))], 200, "i"),
    ([("Authorization", task_header(1, "fed", "t")), ("X-OpenAI-Fedramp", "true")], 200, "fed/t"),
    ([("Authorization", task_header(1, "fed", "t"))], 403, "fedramp_required"),
    ([], 401, "unauthenticated"),
    ([("Authorization", "Bearer x")], 401, "unauthenticated"),
    ([("Authorization", task_header(2, "a", "t"))], 401, "unknown_agent"),
    ([("Authorization", task_header(1, "a", "old"))], 401, "task_expired"),
    ([("Authorization", task_header(1, "a", "t")), ("ChatGPT-Account-ID", "ä")], 401, "account_mismatch"),
    ([("Authorization", task_header(1, "a", "t")), (FIELD, instance_value(1, "i"))], 400, "invalid_request"),
    ([("Authorization", task_header(1, "bare", "t"))], 503, "directory_failed"),
]


def said(principal: Principal) -> str:
    return principal.runtime_agent_instance or f"{principal.agent_runtime_id}/{principal.task_id}"


def check(status: int, headers: dict[str, str], body: bytes, want: int, text: str) -> None:
    """Check an answer, whose header fields have names in lower case."""
    assert status == want
    assert headers.get("www-authenticate") == ("AgentAssertion" if want == 401 else None)
    if want == 200:
        assert body.decode() == text
        return
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(body))
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message"}
    assert error["code"] == text


# A plain ASGI application, and who calls it.


async def application(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    body = said(scope["agentassert"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Call:
    """One connection of an ASGI server."""

    def __init__(self, kind: str, headers: list[tuple[str, str]], **more: Any) -> None:
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        self.scope: dict[str, Any] = {"type": kind, "headers": pairs, "method": "GET", **more}
        self.sent: list[asgi.Message] = []
        self.received = 0

    async def receive(self) -> asgi.Message:
        self.received += 1
        return {"type": "websocket.connect"}

    async def send(self, message: asgi.Message) -> None:
        self.sent.append(message)

    def serve(self, middleware: asgi.VerifyMiddleware) -> None:
        ended(middleware(self.scope, self.receive, self.send))

    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}


@pytest.mark.parametrize("coroutines", [False, True], ids=["functions", "coroutines"])
@pytest.mark.parametrize(("headers", "status", "text"), CASES)
def test_asgi(headers: list[tuple[str, str]], status: int, text: str, coroutines: bool) -> None:
    call = Call("http", headers)
    call.serve(asgi.VerifyMiddleware(application, verifier(coroutines=coroutines)))
    start, body = call.sent
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    check(start["status"], call.headers(), body["body"], status, text)
    assert "agentassert" not in call.scope, "the server's own scope is changed"


@pytest.mark.parametrize("value", [b"AgentAssertion \xff", b"\xff\xfe", b"AgentAssertion \xed\xa0\x80"])
def test_asgi_with_what_is_no_text(value: bytes) -> None:
    for name in (b"authorization", b"x-openai-agent-assertion"):
        call = Call("http", [])
        call.scope["headers"] = [(name, value)]
        call.serve(asgi.VerifyMiddleware(application, verifier()))
        assert call.sent[0]["status"] == 401


def test_asgi_sees_what_stands_twice() -> None:
    header = ("Authorization", task_header(1, "a", "t"))
    call = Call("http", [header, header])
    call.serve(asgi.VerifyMiddleware(application, verifier()))
    assert call.sent[0]["status"] == 400


def test_asgi_answers_head_without_a_body() -> None:
    call = Call("http", [], method="HEAD")
    call.serve(asgi.VerifyMiddleware(application, verifier()))
    assert call.sent[1]["body"] == b""
    assert int(call.headers()["content-length"]) > 0


def test_asgi_passes_the_lifespan_on() -> None:
    call = Call("lifespan", [])
    call.serve(asgi.VerifyMiddleware(application, verifier()))
    assert call.sent == [{"type": "lifespan.startup.complete"}]


@pytest.mark.parametrize("extensions", [None, {}, {"websocket.http.response": {}}])
def test_asgi_refuses_websockets_before_the_hand_shake(extensions: dict[str, Any] | None) -> None:
    call = Call("websocket", [], extensions=extensions)
    call.serve(asgi.VerifyMiddleware(application, verifier()))
    assert call.received == 1
    if not extensions:
        assert call.sent == [{"type": "websocket.close", "code": 1008, "reason": "unauthenticated"}]
        return
    start, body = call.sent
    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    check(start["status"], call.headers(), body["body"], 401, "unauthenticated")


def test_asgi_lets_websockets_in() -> None:
    seen: list[Any] = []

    async def accepting(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        seen.append(said(scope["agentassert"]))

    Call("websocket", [(FIELD, instance_value(1, "i"))]).serve(asgi.VerifyMiddleware(accepting, verifier()))
    assert seen == ["i"]


def test_asgi_shows_no_cause() -> None:
    """What a directory says of its failure is not for the client."""
    call = Call("http", [("Authorization", task_header(1, "bare", "t"))])
    call.serve(asgi.VerifyMiddleware(application, verifier()))
    assert b"key" not in call.sent[1]["body"]


# A WSGI application, and the standard library's server.


def wsgi_application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = said(environ["agentassert.principal"]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def serve_wsgi(environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    environ["QUERY_STRING"] = ""
    wsgiref.util.setup_testing_defaults(environ)
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        started.append((status, headers))
        return started.append  # the specification's write, which nobody uses

    # It complains of what the specification does not allow, on either side.
    app = wsgiref.validate.validator(wsgi.VerifyMiddleware(wsgi_application, verifier()))
    answer = app(environ, start_response)
    body = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]  # pyright: ignore
    [(status, headers)] = started
    return int(status.split()[0]), {name.lower(): value for name, value in headers}, body


def environ_of(headers: list[tuple[str, str]]) -> dict[str, Any]:
    names = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
    return {name: value.encode().decode("latin-1") for name, value in names.items()}


@pytest.mark.parametrize(("headers", "status", "text"), CASES)
def test_wsgi(headers: list[tuple[str, str]], status: int, text: str) -> None:
    check(*serve_wsgi(environ_of(headers)), status, text)


def test_wsgi_answers_head_without_a_body() -> None:
    status, headers, body = serve_wsgi({"REQUEST_METHOD": "HEAD"})
    assert (status, body) == (401, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("value", ["\xff", "AgentAssertion \xff", "AgentAssertion \u20ac"])
def test_wsgi_with_what_is_no_text(value: str) -> None:
    assert serve_wsgi({"HTTP_AUTHORIZATION": value})[0] == 401


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def wsgi_server() -> Generator[str]:
    app = wsgi.VerifyMiddleware(wsgi_application, verifier())
    with wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(60)


@contextlib.contextmanager
def asgi_server() -> Generator[str]:
    """Starlette, served by Uvicorn."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(said(request.scope["agentassert"]))

    middleware = Middleware(asgi.VerifyMiddleware, verifier=verifier(coroutines=True))
    app = Starlette(routes=[Route("/", answer)], middleware=[middleware])
    listening = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            listening.set()

    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert listening.wait(60)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.mark.parametrize("serve", [wsgi_server, asgi_server])
def test_real_servers(serve: Any) -> None:
    with serve() as url, httpx.Client(trust_env=False) as client:
        for headers, status, text in CASES:
            pairs = [(name.encode(), value.encode()) for name, value in headers]
            response = client.get(url, headers=pairs)
            check(response.status_code, dict(response.headers), response.content, status, text)
        # One instance's assertion is for one request.
        replay = client.get(url, headers={FIELD: instance_value(1, "i")})
        check(replay.status_code, dict(replay.headers), replay.content, 403, "replayed_assertion")
        head = client.head(url)
        assert (head.status_code, head.content) == (401, b"")
