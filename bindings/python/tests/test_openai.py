"""The OpenAI SDK, with a client that this package authorizes."""

from __future__ import annotations

import asyncio
import importlib
import json
import pathlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from authority import authority, missing
from http_backend import Answer, Backend, Seen, Server, json_answer, redirect, running
from http_clients import CREDENTIALS
from test_http_clients import carries_nothing
from verification import core

from agentassert import AgentAssertError
from agentassert.async_manager import AsyncManager
from agentassert.manager import Manager

openai = pytest.importorskip("openai")

SDK_KEY = "the-sdk-wants-one"

ASSISTANT: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 0,
    "status": "completed",
    "model": "model-1",
    "output": [ASSISTANT],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


class Model(Backend):
    """A backend with a model that says hello. It streams, and goes on when it has been heard."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        super().__init__()

    def answer(self, seen: Seen) -> Answer:
        answer = super().answer(seen)
        if answer.status != 200 or not seen.path.endswith("/codex/responses"):
            return answer
        if not json.loads(seen.body).get("stream"):
            return json_answer(RESPONSE)
        return Answer(chunks=self._events(), headers={"Content-Type": "text/event-stream"})

    def _events(self) -> Iterator[bytes]:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        for number, part in enumerate(["hel", "lo"]):
            yield _event(
                {"type": "response.output_text.delta", **place, "sequence_number": number, "delta": part}
            )
            assert self.heard.wait(60), "nobody has heard the beginning"
        yield _event({"type": "response.completed", "sequence_number": 2, "response": RESPONSE})


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


@pytest.fixture
def model() -> Generator[Model]:
    server = Model()
    with running(server):
        yield server


@pytest.fixture
def elsewhere() -> Generator[Server]:
    server = Server()
    with running(server):
        yield server


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> str:
    """The libraries that the SDK takes clients of, in one version or another."""
    name: str = request.param
    pytest.importorskip(name)
    return name


def options(base_url: str) -> dict[str, Any]:
    return {
        "core": core(),
        "base_url": base_url,
        "trusted_hosts": ["127.0.0.1"],
        "credentials": CREDENTIALS,
        "agent_identity": True,
    }


@contextmanager
def sdk(library: str, base_url: str, **more: Any) -> Generator[Any]:
    """The SDK for the calls of a conversation."""
    httpx = importlib.import_module(library)
    auth = importlib.import_module(f"agentassert.{library}_auth").AgentAssertAuth
    with Manager(**options(base_url)) as manager:
        client = httpx.Client(auth=auth(manager.thread("conversation-1")), trust_env=False, **more)
        with openai.OpenAI(
            base_url=f"{manager.base_url}/codex", api_key=SDK_KEY, http_client=client, max_retries=0
        ) as sdk:
            yield sdk


@asynccontextmanager
async def async_sdk(library: str, base_url: str) -> AsyncGenerator[Any]:
    httpx = importlib.import_module(library)
    auth = importlib.import_module(f"agentassert.{library}_auth").AgentAssertAuth
    async with AsyncManager(**options(base_url)) as manager:
        client = httpx.AsyncClient(auth=auth(manager.thread("conversation-1")), trust_env=False)
        async with openai.AsyncOpenAI(
            base_url=f"{manager.base_url}/codex", api_key=SDK_KEY, http_client=client, max_retries=0
        ) as sdk:
            yield sdk


def one_turn(sdk: Any) -> str:
    text: str = sdk.responses.create(model="model-1", input="hi").output_text
    return text


def streamed_turn(sdk: Any, heard: Callable[[], None]) -> str:
    said = ""
    for event in sdk.responses.create(model="model-1", input="hi", stream=True):
        if event.type == "response.output_text.delta":
            said += event.delta
            heard()
    return said


def check_calls(model: Model, count: int) -> None:
    """Check what the turns have carried: never the SDK's own key."""
    assert len(model.calls) == count
    for seen in model.calls:
        assert seen.path == "/backend-api/codex/responses"
        assert seen.scheme == "AgentAssertion"
        assert seen.header("ChatGPT-Account-ID") == "acct-1"
    assert all(SDK_KEY not in str(seen.headers) for seen in model.seen)


def test_turns(library: str, model: Model) -> None:
    with sdk(library, model.base_url) as client:
        assert one_turn(client) == "hello"
        assert streamed_turn(client, model.heard.set) == "hello"
    check_calls(model, 2)


def test_turns_in_an_event_loop(library: str, model: Model) -> None:
    async def turns() -> None:
        async with async_sdk(library, model.base_url) as client:
            response = await client.responses.create(model="model-1", input="hi")
            assert response.output_text == "hello"
            said = ""
            async for event in await client.responses.create(model="model-1", input="hi", stream=True):
                if event.type == "response.output_text.delta":
                    said += event.delta
                    model.heard.set()
            assert said == "hello"

    asyncio.run(turns())
    check_calls(model, 2)


def test_a_task_that_is_rejected_is_replaced(library: str, model: Model) -> None:
    model.heard.set()
    with sdk(library, model.base_url) as client:
        assert one_turn(client) == "hello"
        model.revoked.update(model.tasks)
        assert streamed_turn(client, model.heard.set) == "hello"
        model.revoked.update(model.tasks)
        # A task that has only just replaced another is left alone: the SDK says what the backend did.
        with pytest.raises(openai.AuthenticationError) as caught:
            one_turn(client)
    assert caught.value.code == "task_expired"
    check_calls(model, 4)


def test_a_redirect_carries_nothing(library: str, model: Model, elsewhere: Server) -> None:
    model.respond = lambda seen: (
        redirect(elsewhere.origin + "/responses") if seen.path.endswith("/codex/responses") else None
    )
    elsewhere.respond = lambda _: json_answer(RESPONSE)
    with sdk(library, model.base_url, follow_redirects=True) as client:
        assert one_turn(client) == "hello"
    [seen] = elsewhere.seen
    carries_nothing(seen)


def test_what_cannot_be_authorized_is_not_sent(library: str, model: Model) -> None:
    model.respond = lambda seen: Answer(403) if seen.path.endswith("/register") else None
    with sdk(library, model.base_url) as client, pytest.raises(AgentAssertError) as caught:
        one_turn(client)
    assert caught.value.code == "thread_failed"
    assert model.calls == []


@pytest.mark.skipif(bool(missing), reason=missing)
def test_with_the_authority(library: str, tmp_path: pathlib.Path) -> None:
    """The Go authority, which has no model, verifies what the SDK sends."""
    with authority(tmp_path) as server, sdk(library, server.base_url) as client:
        for _ in range(2):
            answer = client.responses.with_raw_response.create(model="model-1", input="hi")
            assert answer.status_code == 200
        turns = [entry for entry in server.log() if entry["path"] == "/backend-api/codex/responses"]
        assert [(entry["scheme"], entry["verified"], entry["status"]) for entry in turns] == [
            ("agent-assertion", True, 200)
        ] * 2
        # The identity's background task is another one.
        assert len({entry["task_id"] for entry in turns}) == 1
