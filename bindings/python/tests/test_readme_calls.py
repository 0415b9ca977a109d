"""What the README says of calls, clients, servers and the command line does what it says."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import pytest
from http_backend import TOKEN, Answer, Backend, Seen, json_answer, running
from snippets import README, snippets
from test_engines import in_place
from test_openai import RESPONSE
from verification import ended, task_header

ROOT = pathlib.Path(__file__).resolve().parents[3]
CAPTURES = ROOT / "testvectors" / "captures"


class Model(Backend):
    """A backend that serves the path of the SDK's calls."""

    def answer(self, seen: Seen) -> Answer:
        answer = super().answer(seen)
        return json_answer(RESPONSE) if answer.status == 200 and seen.path.endswith("/responses") else answer


@pytest.fixture
def backend() -> Generator[Backend]:
    server = Model()
    with running(server):
        yield server


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A working folder, with the auth.json of somebody who has signed in."""
    document = json.loads((CAPTURES / "enabled.auth.json").read_text())
    del document["agent_identity"]
    document["tokens"]["access_token"] = TOKEN
    (tmp_path / "auth.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(snippet: str, backend: Backend) -> tuple[str, dict[str, Any]]:
    """Run a snippet against a backend of this machine. Return what it prints, and its names."""
    url, flag = '"https://chatgpt.com/backend-api"', "agent_identity=True"
    assert (snippet.count(url), snippet.count(flag)) == (1, 1)
    snippet = snippet.replace(url, repr(backend.base_url)).replace(
        flag, f'{flag}, trusted_hosts=["127.0.0.1"]'
    )
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet, README, "exec"), names)
    return printed.getvalue(), names


def test_calls(folder: pathlib.Path, backend: Backend) -> None:
    [snippet] = snippets("Calls")
    printed, names = run(snippet, backend)
    assert printed == "agent-assertion background-task\n"
    assert list(names["headers"]) == list(names["turn"]) == ["Authorization", "ChatGPT-Account-ID"]
    assert names["headers"] != names["turn"]
    assert len(backend.tasks) == 2


def test_root(folder: pathlib.Path, backend: Backend) -> None:
    [snippet] = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    printed, names = run(snippet, backend)
    names["client"].close()
    names["manager"].close()
    assert printed == "200\n"
    assert [seen.scheme for seen in backend.calls] == ["AgentAssertion"]


def test_clients(folder: pathlib.Path, backend: Backend) -> None:
    pytest.importorskip("httpx2")
    with_httpx, with_openai = snippets("httpx, requests, aiohttp, OpenAI")
    assert run(with_httpx, backend)[0] == "200\n"
    assert run(with_openai, backend)[0] == "hello\n"
    assert [seen.scheme for seen in backend.calls] == ["AgentAssertion"] * 2


def test_classes() -> None:
    text = README.read_text()
    found = re.findall(r"`(agentassert\.(?:\w+_auth|\w+_middleware|wsgi|asgi))\.(\w+)`", text)
    assert len(found) == 5
    for module, name in found:
        pytest.importorskip(module, exc_type=ImportError)
        assert isinstance(getattr(sys.modules[module], name), type)


def test_servers() -> None:
    [snippet] = snippets("Servers")
    names: dict[str, Any] = {}
    exec(compile(snippet, README, "exec"), names)
    header = names["core"].assert_(
        private_key=names["key"].private_key, agent_runtime_id="agent-1", task_id="task-1"
    )
    for value, status in [(header, 200), (task_header(1, "agent-1", "task-1"), 401)]:
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("there is no body")

        scope = {"type": "http", "method": "GET", "headers": [(b"authorization", value.encode())]}
        ended(names["app"](scope, receive, send))
        assert sent[0]["status"] == status


def test_command_line(folder: pathlib.Path) -> None:
    [script] = re.findall(
        r"^```sh\n(python -m agentassert .*?)^```$", README.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    script = script.replace("python -m", f'"{sys.executable}" -m')
    ran = subprocess.run(
        ["/bin/sh", "-euc", script], capture_output=True, text=True, check=True, timeout=120, env=in_place()
    )
    assert ran.stderr == ""
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert lines[0] == ["valid"]
    assert lines.count(["task_id", "task-1"]) == 2  # of what is verified, and of what is inspected
    assert ["canonical", "yes"] in lines
