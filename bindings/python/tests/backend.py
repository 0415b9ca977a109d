"""A backend for tests that is a function, with no network. The real one is the authority in Go."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from agentassert import AgentAssert
from agentassert.exchange import HTTPRequest, HTTPResponse
from agentassert.messages import Credentials

BASE = "http://agent.chatgpt.com/backend-api"
REGISTRAR = "http://auth.example.org"
"""Below it runtime agent instances are registered."""
TOKEN = "secret-access-token"
API_KEY = "sk-secret-api-key"
CREDENTIALS: Credentials = {
    "kind": "chatgpt",
    "access_token": TOKEN,
    "account_id": "acct-1",
    "user_id": "user-1",
}


class Clock:
    """A clock that stands still until it is set forward."""

    def __init__(self) -> None:
        self.seconds = 1_764_000_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Seen:
    """A request that reached the backend."""

    method: str
    url: str
    path: str
    headers: dict[str, str]
    body: bytes


Intercept = Callable[[HTTPRequest, str], HTTPResponse | None]


def answer_json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> HTTPResponse:
    """Returns an answer with a JSON body."""
    return HTTPResponse(status, headers or {}, json.dumps(document).encode())


class Backend:
    """Registers identities, tasks and instances, and verifies what calls carry."""

    def __init__(self, core: AgentAssert, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, str] = {}
        self.seen: list[Seen] = []
        self.identities: list[str] = []
        self.tasks: list[str] = []
        self.instances: list[str] = []
        self.used: set[str] = set()
        """The ids of the instances' assertions that were accepted."""
        self.revoked: set[str] = set()
        """Tasks and instances whose assertions are answered with 401."""
        self.accounts: list[dict[str, Any]] = []
        """What it answers to who asks where the calls of accounts go."""
        self.intercept: Intercept | None = None
        self.intercept_async: Callable[[HTTPRequest, str], Awaitable[HTTPResponse | None]] | None = None

    def http(self, request: HTTPRequest) -> HTTPResponse:
        """Is a manager's option http."""
        path = self._note(request)
        answer = self.intercept(request, path) if self.intercept else None
        return answer or self._answer(request, path)

    async def ahttp(self, request: HTTPRequest) -> HTTPResponse:
        """Is an AsyncManager's option http."""
        path = self._note(request)
        answer = self.intercept(request, path) if self.intercept else None
        if answer is None and self.intercept_async:
            answer = await self.intercept_async(request, path)
        return answer or self._answer(request, path)

    def _note(self, request: HTTPRequest) -> str:
        path = request.url.removeprefix(BASE) if request.url.startswith(BASE) else ""
        with self._lock:
            self.seen.append(
                Seen(request.method, request.url, path, dict(request.headers), request.body or b"")
            )
        return path

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [f"{seen.method} {seen.path or seen.url}" for seen in self.seen]

    def count(self, suffix: str) -> int:
        """How many requests went to a path, by its end."""
        return sum(seen.path.endswith(suffix) for seen in self.seen)

    def call(self, path: str, headers: dict[str, str]) -> HTTPResponse:
        """Answers a call with these header fields."""
        fields = tuple((name.lower(), value) for name, value in headers.items())
        return self._answer(_Call("GET", BASE + path, fields), path)

    def _answer(self, request: HTTPRequest | _Call, path: str) -> HTTPResponse:
        headers, body = dict(request.headers), request.body or b""
        if request.url == f"{REGISTRAR}/agent/register":
            assert "authorization" not in headers
            with self._lock:
                instance = f"instance-{len(self.instances) + 1}"
                self.instances.append(instance)
            self._keys[instance] = json.loads(body)["public_key"]
            return answer_json({"runtime_agent_instance_id": instance})
        if path == "/authenticate_app_v2":
            assert headers["authorization"] == f"Bearer {TOKEN}"
            return HTTPResponse(200, {"X-OpenAI-Authorization": f"biscuit-{len(self.seen)}"}, b"{}")
        if path == "/v1/agent/register":
            with self._lock:
                agent = f"agent-{len(self.identities) + 1}"
                self.identities.append(agent)
            self._keys[agent] = json.loads(body)["agent_public_key"]
            return answer_json({"agent_runtime_id": agent})
        registration = re.fullmatch("/v1/agent/([^/]+)/task/register", path)
        if registration:
            return self._register_task(registration[1], json.loads(body))
        answer = self._verify(headers)
        if path == "/wham/accounts/check" and answer.status == 200:
            return answer_json({"accounts": self.accounts})
        return answer

    def _register_task(self, agent: str, proof: dict[str, Any]) -> HTTPResponse:
        key = self._keys[agent]
        self._core.call(
            "registration.verify",
            {
                "public_key": key,
                "agent_runtime_id": agent,
                "signature": proof["signature"],
                "timestamp": proof["timestamp"],
                "now": int(self._clock()),
                "skew": 300,
            },
        )
        with self._lock:
            task = f"task-{len(self.tasks) + 1}"
            self.tasks.append(task)
        sealed = self._core.call("task_id.seal", {"public_key": key, "entropy": bytes(32), "task_id": task})
        return answer_json({"encrypted_task_id": sealed["encrypted_task_id"]})

    def _verify(self, headers: dict[str, str]) -> HTTPResponse:
        header = headers.get("authorization", "")
        beside = headers.get("x-openai-agent-assertion")
        if beside is not None or header.startswith("AgentAssertion 1."):
            return self._verify_instance(header, beside or header)
        if not header.startswith("AgentAssertion "):
            return answer_json({"scheme": "bearer" if header == f"Bearer {TOKEN}" else "none"})
        envelope = self._core.call("assertion.inspect", {"header": header})["envelope"]
        self._check("assertion.verify", self._keys[envelope["agent_runtime_id"]], header)
        if envelope["task_id"] in self.revoked:
            return answer_json({"error": {"code": "task_expired"}}, 401)
        return answer_json({"scheme": "agent-assertion", "task": envelope["task_id"]})

    def _verify_instance(self, header: str, assertion: str) -> HTTPResponse:
        claims = self._core.call("assertion.inspect", {"header": assertion})["instance"]
        instance = claims["runtime_agent_instance"]
        assert self._check("instance.verify", self._keys[instance], assertion)["canonical"]
        with self._lock:
            if instance in self.revoked or claims["id"] in self.used:
                return answer_json({"error": {"code": "runtime_instance_revoked"}}, 401)
            self.used.add(claims["id"])
        scheme = {f"Bearer {TOKEN}": "bearer", f"Bearer {API_KEY}": "api-key"}.get(header, "none")
        if header == assertion:
            scheme = "agent-assertion"
        return answer_json({"scheme": scheme, "instance": instance})

    def _check(self, method: str, key: str, header: str) -> dict[str, Any]:
        now = int(self._clock())
        return self._core.call(method, {"public_key": key, "header": header, "now": now, "skew": 300})


@dataclass
class _Call:
    """A call of a program's, and no request of a manager's."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = None
