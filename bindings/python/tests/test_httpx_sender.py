"""The default client of registrations, against servers that do what they like."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from settings import WAIT

from agentassert import AgentAssert, AgentAssertError, AsyncManager, HTTPRequest, HTTPResponse, Manager
from agentassert.body import BodyReader
from agentassert.cancellation import Cancellation
from agentassert.exchange import RequestError, failure_of
from agentassert.httpx_sender import send, send_and_wait

Serve = Callable[[socket.socket], None]


class Server:
    """Answers each connection as it is told."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.serve: Serve = lambda connection: None
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def answer(self, content: bytes) -> None:
        """Has each request be answered with this."""
        self.serve = lambda connection: connection.sendall(content)

    def close(self) -> None:
        self.ended.set()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = connection.recv(65536)
                while request.startswith(b"POST") and not request.endswith(b"{}"):
                    request += connection.recv(65536)
                self.requests.append(request)
                self.serve(connection)
            except OSError:
                pass  # whoever asked has gone


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["threads", "asyncio"])
def sent(request: pytest.FixtureRequest) -> Callable[[HTTPRequest], HTTPResponse]:
    """Sends a request from a thread, or from an event loop."""
    if request.param == "threads":
        return send_and_wait
    return lambda request: asyncio.run(send(request))


Sent = Callable[[HTTPRequest], HTTPResponse]


def request_to(server: Server, **members: Any) -> HTTPRequest:
    given: dict[str, Any] = {
        "method": "GET",
        "url": f"http://127.0.0.1:{server.port}/path?x=1",
        "headers": (("x-own", "1"),),
        "body": None,
        "timeout": WAIT,
        "size_limit": 1000,
        "canceled": Cancellation(),
        **members,
    }
    return HTTPRequest(**given)


def test_sends_what_it_is_given_and_no_more(server: Server, sent: Sent) -> None:
    server.answer(b"HTTP/1.1 201 x\r\nSet-Cookie: a=b\r\nX-Own: 1\r\nx-own: 2\r\nContent-Length: 2\r\n\r\nok")
    for _ in range(2):
        response = sent(request_to(server, method="POST", body=b"{}"))
        assert (response.status, response.body) == (201, b"ok")
        assert ("x-own", "1") in list(response.headers)
    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    assert body == b"{}"
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /path?x=1 http/1.1"
    assert sorted(line.split(":")[0] for line in lines[1:]) == [
        *("accept-encoding", "content-length", "host", "user-agent", "x-own"),
    ]


def test_follows_no_redirect(server: Server, sent: Sent) -> None:
    server.answer(b"HTTP/1.1 302 x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    assert sent(request_to(server)).status == 302
    assert len(server.requests) == 1


def body_of(content: bytes, encoding: str = "") -> bytes:
    field = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return f"HTTP/1.1 200 OK\r\n{field}Content-Length: {len(content)}\r\n\r\n".encode() + content


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"x" * 1000, ""),
        (gzip.compress(b"x" * 1000), "gzip"),
        (gzip.compress(b"x" * 1000), " X-GZIP"),
        (zlib.compress(b"x" * 1000), "deflate"),
        (b"x" * 1000, "identity"),
    ],
)
def test_decodes_a_body(server: Server, sent: Sent, content: bytes, encoding: str) -> None:
    server.answer(body_of(content, encoding))
    assert sent(request_to(server)).body == b"x" * 1000


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(1000))


FAULTS: list[tuple[str, Serve | bytes, str]] = [
    ("a body that is too large", body_of(b"x" * 1001), "too-large"),
    ("a body that does not end", endless, "too-large"),
    ("a small body that is a large one", body_of(gzip.compress(bytes(100_000_000)), "gzip"), "too-large"),
    ("a body that breaks off", body_of(b"xx")[:-1], "connect"),
    ("a body that breaks off encoded", body_of(gzip.compress(b"x" * 100)[:-9], "gzip"), "connect"),
    ("a body that is not encoded", body_of(b"xx", "gzip"), "connect"),
    ("an encoding that was not asked for", body_of(b"xx", "br"), "connect"),
    ("several encodings", body_of(b"xx", "gzip, gzip"), "connect"),
    ("no HTTP", b"no HTTP\r\n\r\n", "connect"),
    ("nothing", b"", "connect"),
]


@pytest.mark.parametrize(("answer", "kind"), [pytest.param(*fault[1:], id=fault[0]) for fault in FAULTS])
def test_what_is_no_answer(server: Server, sent: Sent, answer: Serve | bytes, kind: str) -> None:
    if isinstance(answer, bytes):
        server.answer(answer)
    else:
        server.serve = answer
    with pytest.raises(Exception) as caught:  # noqa: PT011 - httpx's are of many kinds
        sent(request_to(server))
    got, shown = failure_of(caught.value)
    assert got == kind
    assert shown.code == "request_failed"


def drip(server: Server, content: bytes) -> Serve:
    """Sends one byte after the other, as long as somebody listens."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(content)
        while not server.ended.wait(0.01):
            connection.sendall(b"x")

    return serve


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_has_an_end(server: Server, sent: Sent, content: bytes) -> None:
    server.serve = drip(server, content)
    with pytest.raises(RequestError, match="in time") as caught:
        sent(request_to(server, timeout=0.2, size_limit=1_000_000))
    assert caught.value.kind == "timeout"


def test_ends_when_nobody_waits(server: Server, sent: Sent) -> None:
    canceled = Cancellation()

    def serve(connection: socket.socket) -> None:
        canceled.set()
        server.ended.wait(WAIT)

    server.serve = serve
    with pytest.raises(AgentAssertError) as caught:
        sent(request_to(server, canceled=canceled))
    assert caught.value.code == "canceled"


def test_says_why_there_is_no_connection(server: Server, sent: Sent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
    with pytest.raises(Exception) as caught:  # noqa: PT011
        sent(request_to(server, url=url))
    kind, shown = failure_of(caught.value)
    assert kind == "connect"
    assert "ECONNREFUSED" in shown.message


def test_says_what_is_wrong_with_the_encryption(server: Server, sent: Sent) -> None:
    server.answer(b"HTTP/1.1 400 no TLS here\r\n\r\n")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        sent(request_to(server, url=f"https://127.0.0.1:{server.port}/"))
    kind, shown = failure_of(caught.value)
    assert kind == "tls"
    assert "no TLS here" not in shown.message


@pytest.mark.parametrize("missing", [{"httpx"}, {"httpx2"}])
def test_one_of_the_libraries_is_enough(
    server: Server, sent: Sent, monkeypatch: pytest.MonkeyPatch, missing: set[str]
) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    if not any(map(importlib.util.find_spec, {"httpx", "httpx2"} - missing)):
        pytest.skip(f"there is nothing but {missing}")
    server.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert sent(request_to(server)).body == b"{}"


@pytest.mark.parametrize("kind", [Manager, AsyncManager])
def test_a_manager_needs_one_of_the_libraries(
    core: AgentAssert, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    for name in ("httpx", "httpx2"):
        monkeypatch.setitem(sys.modules, name, None)
    options: dict[str, Any] = {
        "core": core,
        "base_url": "https://chatgpt.com",
        "credentials": {"kind": "none"},
    }
    with pytest.raises(AgentAssertError, match=r"agentassert\[httpx\]") as caught:
        kind(**options, agent_identity=True)
    assert caught.value.code == "invalid_manager_config"
    kind(**options)  # which registers nothing
    kind(**options, agent_identity=True, http=print)


def test_a_body_in_pieces_is_the_same() -> None:
    content = gzip.compress(bytes(range(256)) * 3)
    for size in (1, 7, 1000):
        reader = BodyReader(1000, "gzip")
        for i in range(0, len(content), size):
            reader.feed(content[i : i + size])
        assert reader.end() == bytes(range(256)) * 3
