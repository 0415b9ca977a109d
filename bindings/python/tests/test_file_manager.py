"""Managers with a store of files: of several processes, of threads, and where the file can only be read."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
from files import LONG, Child, child, new_file
from http_backend import ACCOUNT, TOKEN, Backend

from agentassert import FileStore, Manager, Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentassert import AgentAssert


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.close()


def signed_in() -> bytes:
    """Returns an auth.json of somebody who has signed in."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"chatgpt_account_id": ACCOUNT, "chatgpt_user_id": "user-1", "chatgpt_plan_type": "pro"}
    payload = {"email": "u@example.test", "https://api.openai.com/auth": claims}
    token = f"{part({'alg': 'none'})}.{part(payload)}.c2ln"
    return json.dumps({"tokens": {"id_token": token, "access_token": TOKEN, "account_id": ACCOUNT}}).encode()


def open_manager(path: Path, core: AgentAssert, base_url: str) -> Manager:
    return Manager(
        base_url=base_url,
        core=core,
        store=FileStore(path),
        agent_identity=True,
        trusted_hosts=["127.0.0.1"],
    )


def register(path: Path, core: AgentAssert, base_url: str, other: Child) -> None:
    with open_manager(path, core, base_url) as manager:
        authorization = manager.authorization("models", timeout=LONG)
    other.say(authorization.agent_runtime_id or str(authorization.cause))


def test_registrations_at_once_through_six_links_make_one_identity(
    tmp_path: Path, core: AgentAssert, backend: Backend
) -> None:
    (tmp_path / "shared").mkdir()
    path = new_file(tmp_path / "shared", signed_in())
    (tmp_path / "shared" / "inner").symlink_to("auth.json")
    links: list[Path] = []
    for i in range(6):
        folder = tmp_path / str(i)
        folder.mkdir()
        links.append(folder / "auth.json")
        links[-1].symlink_to(path if i % 2 == 0 else path.with_name("inner"))
    with ExitStack() as stack:
        others = [
            stack.enter_context(child(partial(register, link, core, backend.base_url))) for link in links
        ]
        assert [other.line() for other in others] == ["agent-1"] * 6
    assert (len(backend.identities), len(backend.tasks)) == (1, 1)


def test_registrations_of_many_threads_are_made_at_the_same_time(
    tmp_path: Path, core: AgentAssert, backend: Backend
) -> None:
    path = new_file(tmp_path, signed_in())
    with open_manager(path, core, backend.base_url) as manager, ThreadPoolExecutor(20) as pool:
        threads = [manager.thread(f"thread-{i}") for i in range(60)]
        answers = list(pool.map(partial(Thread.authorization, timeout=LONG), threads))
    assert len({answer.task_id for answer in answers}) == 60
    assert len(backend.identities) == 1
    assert list((tmp_path / "auth.json.locks").iterdir()) == []
    # Another process has them, too.
    with open_manager(path, core, backend.base_url) as manager:
        assert manager.thread("thread-7").authorization().task_id == answers[7].task_id
    assert len(backend.tasks) == 60


@pytest.mark.parametrize("name", ["missing.json", "~/auth.json"])
def test_no_auth_json_is_no_authorization(
    tmp_path: Path, core: AgentAssert, backend: Backend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Manager(base_url=backend.base_url, core=core, store=FileStore(name), agent_identity=True) as manager:
        authorization = manager.authorization("models")
    assert authorization.mode == "none"
    assert authorization.cause is not None
    assert authorization.cause.code == ("auth_file_tilde" if "~" in name else "auth_file_missing")
    assert backend.seen == []
