"""A backend on a port of this machine: it registers agents, verifies what calls carry, and does what a
test tells it to."""

from __future__ import annotations

import itertools
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from verification import core

from agentassert import Agent, Instance, RefusalError, Task, TaskStatus, Verifier

TOKEN = "secret-access-token"
API_KEY = "sk-secret-api-key"
ACCOUNT = "acct-1"
BASE_PATH = "/backend-api"
AUTH_API_PATH = "/auth-api"

_TASK = re.compile(r"/v1/agent/([^/]+)/task/register")


@dataclass
class Seen:
    """A request that has reached a server."""

    method: str
    path: str
    """With the query."""
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header field, or None. One that stands twice is a mistake."""
        values = [value for other, value in self.headers if other.lower() == name.lower()]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def scheme(self) -> str:
        """The scheme of Authorization, or nothing."""
        return (self.header("Authorization") or "").partition(" ")[0]


@dataclass
class Answer:
    """What a server answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: Iterable[bytes] | None = None
    """In place of a body of known length."""


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def redirect(to: str, status: int = 307) -> Answer:
    return Answer(status, b"", {"Location": to})


Respond = Callable[[Seen], Answer | None]


class Server:
    """An HTTP server that answers what a function says, and takes note."""

    def __init__(self, respond: Respond | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.respond: Respond | None = respond
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                server.serve(self)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that goes away, as some tests have it

        self._listener = Listener(("127.0.0.1", 0), Handler)
        if tls:
            self._listener.socket = tls.wrap_socket(self._listener.socket, server_side=True)
        self.port = self._listener.server_address[1]
        self.origin = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        if "chunked" in handler.headers.get("Transfer-Encoding", ""):
            body = b"".join(iter(lambda: _chunk(handler), b""))
        else:
            body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        seen = Seen(handler.command, handler.path, list(handler.headers.items()), body)
        with self._lock:
            self.seen.append(seen)
        answer = (self.respond and self.respond(seen)) or self.answer(seen)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.chunks is None:
            handler.send_header("Content-Length", str(len(answer.body)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(answer.body)
            return
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in itertools.chain(answer.chunks, [b""]):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.flush()

    def answer(self, seen: Seen) -> Answer:
        """What it answers unless a test says otherwise."""
        return json_answer({"scheme": seen.scheme})


def _chunk(handler: BaseHTTPRequestHandler) -> bytes:
    size = int(handler.rfile.readline(), 16)
    data = handler.rfile.read(size)
    handler.rfile.readline()
    return data


class Backend(Server):
    """A server of the protocol. Calls are what is no registration."""

    def __init__(self) -> None:
        self.identities: list[str] = []
        self.tasks: list[str] = []
        self.instances: list[str] = []
        self.revoked: set[str] = set()
        """Tasks, and instances, that are no longer accepted."""
        self.accounts: list[object] = []
        """What it answers to who asks where the calls of accounts go."""
        self._keys: dict[str, str] = {}
        self._tasks: dict[str, str] = {}
        self._verifier = Verifier(self, instances=self, core=core())
        super().__init__()

    @property
    def base_url(self) -> str:
        return self.origin + BASE_PATH

    @property
    def calls(self) -> list[Seen]:
        """The requests that were no registrations."""
        return [seen for seen in self.seen if not self._is_registration(seen)]

    def agent(self, agent_runtime_id: str, /) -> Agent | None:
        key = self._keys.get(agent_runtime_id)
        return Agent(agent_runtime_id, key, ACCOUNT) if key else None

    def task(self, agent_runtime_id: str, task_id: str, /) -> Task | None:
        if self._tasks.get(task_id) != agent_runtime_id:
            return None
        status = TaskStatus.EXPIRED if task_id in self.revoked else TaskStatus.ACTIVE
        return Task(task_id, agent_runtime_id, status)

    def instance(self, runtime_agent_instance: str, /) -> Instance | None:
        key = self._keys.get(runtime_agent_instance)
        revoked = runtime_agent_instance in self.revoked
        return Instance(runtime_agent_instance, key, ACCOUNT, revoked=revoked) if key else None

    def answer(self, seen: Seen) -> Answer:
        path = seen.path.partition("?")[0]
        if path == AUTH_API_PATH + "/agent/register":
            name = self._register("instance", self.instances, json.loads(seen.body)["public_key"])
            return json_answer({"runtime_agent_instance_id": name})
        path = path.removeprefix(BASE_PATH)
        if path == "/authenticate_app_v2":
            assert seen.header("Authorization") == f"Bearer {TOKEN}"
            return Answer(headers={"X-OpenAI-Authorization": f"biscuit-{len(self.seen)}"})
        if path == "/v1/agent/register":
            name = self._register("agent", self.identities, json.loads(seen.body)["agent_public_key"])
            return json_answer({"agent_runtime_id": name})
        if registration := _TASK.fullmatch(path):
            return self._register_task(registration[1], json.loads(seen.body))
        return self._answer_call(seen, path)

    def _register(self, kind: str, names: list[str], key: str) -> str:
        with self._lock:
            name = f"{kind}-{len(names) + 1}"
            names.append(name)
        self._keys[name] = key
        return name

    def _register_task(self, agent: str, proof: dict[str, str]) -> Answer:
        key = self._keys[agent]
        core().verify_registration(
            public_key=key,
            agent_runtime_id=agent,
            signature=proof["signature"],
            timestamp=proof["timestamp"],
            now=int(time.time()),
        )
        with self._lock:
            task = f"task-{len(self.tasks) + 1}"
            self.tasks.append(task)
        self._tasks[task] = agent
        return json_answer({"encrypted_task_id": core().seal_task_id(public_key=key, task_id=task)})

    def _answer_call(self, seen: Seen, path: str) -> Answer:
        said: dict[str, object] = {"scheme": seen.scheme}
        if seen.scheme == "AgentAssertion" or seen.header("X-OpenAI-Agent-Assertion"):
            try:
                principal = self._verifier.verify(seen.headers)
            except RefusalError as refusal:
                return json_answer({"error": {"code": refusal.code}}, refusal.status)
            said |= {"task": principal.task_id, "instance": principal.runtime_agent_instance}
        if path == "/wham/accounts/check":
            return json_answer({"accounts": self.accounts})
        return json_answer(said)

    def _is_registration(self, seen: Seen) -> bool:
        path = seen.path.removeprefix(BASE_PATH)
        return (
            seen.path.startswith(AUTH_API_PATH)
            or path in {"/authenticate_app_v2", "/v1/agent/register", "/wham/accounts/check"}
            or _TASK.fullmatch(path) is not None
        )


@contextmanager
def running(server: Server) -> Generator[Server]:
    """Close a server at the end."""
    try:
        yield server
    finally:
        server.close()
