"""What becomes of assertions that the backend rejects."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from backend import Backend
from settings import Setting, at_once

from agentassert import AgentAssertError, HTTPResponse


def rejected(setting: Setting, manager: Any, revoke: str) -> Any:
    """Returns an authorization whose task was revoked."""
    answer = manager.authorization("models")
    setting.backend.revoked.add(revoke)
    assert setting.backend.call("/codex/models", answer.headers()).status == 401
    return answer


def test_of_many_calls_that_are_rejected_with_one_task_one_registers(setting: Setting) -> None:
    manager = setting.open()
    old = rejected(setting, manager, "task-1")
    answers = at_once(20, lambda: manager.recover(old))
    assert {answer.task_id for answer in answers} == {"task-2"}
    assert (len(setting.backend.identities), len(setting.backend.tasks)) == (1, 2)
    # Whoever comes later finds that somebody has replaced it.
    setting.clock.seconds += 1
    assert manager.recover(old).task_id == "task-2"
    assert manager.authorization("models").task_id == "task-2"


def test_a_turn_is_recovered(setting: Setting) -> None:
    manager = setting.open()
    thread = manager.thread("a")
    old = thread.authorization()
    new = manager.recover(old)
    assert new.task_id != old.task_id
    assert thread.authorization() is new
    setting.backend.intercept = lambda *_: HTTPResponse(500, {}, b"")
    setting.clock.seconds += 301  # a task that has just replaced another is not dropped
    with pytest.raises(AgentAssertError) as caught:
        manager.recover(new)
    assert caught.value.code == "thread_failed"


def test_what_is_no_assertion_of_this_manager_is_left_alone(setting: Setting) -> None:
    manager = setting.open()
    answer, bearer = manager.authorization("models"), manager.bearer()
    assert setting.open().recover(answer) is answer
    assert manager.recover(bearer) is bearer
    assert len(setting.backend.tasks) == 1


def test_an_agent_that_the_backend_does_not_know_is_set_aside(setting: Setting) -> None:
    manager = setting.open()
    old = manager.authorization("models")
    new = manager.recover(old, body=json.dumps({"error": {"code": "unknown_agent"}}).encode())
    assert setting.backend.identities == ["agent-1", "agent-2"]
    assert (new.agent_runtime_id, new.notice.code) == ("agent-2", "identity_set_aside")
    assert b"agent-1" in (setting.record("set-aside") or b"")


@pytest.mark.parametrize("as_pairs", [False, True])
def test_a_clock_that_is_off_costs_no_task_and_is_named(setting: Setting, as_pairs: bool) -> None:
    manager = setting.open()
    old = manager.authorization("models")
    date = formatdate(setting.clock.seconds - 3600, usegmt=True)
    headers: Any = [("DATE", date)] if as_pairs else {"dATE": date}
    answer = manager.recover(old, headers=headers, body=b"no JSON")
    assert (answer.mode, answer.cause.code) == ("bearer", "clock_skew")
    assert "1 h ahead" in answer.cause.message
    assert len(setting.backend.tasks) == 1
    setting.clock.seconds += 1
    assert manager.authorization("models").task_id == "task-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"error":"code"}',
        b'{"error":{"code":5}}',
        b'{"error":{"code":""}}',
        b'{"error":{"code":"\\ud800"}}',
        json.dumps({"error": {"code": "x" * 5000}}).encode(),
        json.dumps({"error": {"code": "task_expired"}, "x": "x" * 100_000}).encode(),
    ],
    ids=range(9),
)
def test_a_refusal_that_says_nothing(setting: Setting, body: bytes) -> None:
    manager = setting.open()
    answer = manager.authorization("models")
    assert manager.recover(answer, headers={"Date": "\ud800"}, body=body).task_id == "task-2"


def test_a_task_that_has_just_replaced_another_is_not_replaced(setting: Setting) -> None:
    manager = setting.open()
    second = manager.recover(manager.authorization("models"))
    third = manager.recover(second)
    assert (third.mode, third.cause.code) == ("bearer", "task_rejected")
    assert setting.backend.tasks == ["task-1", "task-2"]


INSTANCE = {"header_mode": "dual_header", "installation_id": "id-1", "harness": "h", "role": "r"}


def instances(**more: Any) -> dict[str, Any]:
    """Returns the options of a manager with runtime agent instances."""
    return {"profile": "instances", "instance": INSTANCE, "auth_api_url": "http://auth.example.org", **more}


def call(backend: Backend, answer: Any) -> Any:
    response = backend.call("/codex/models", answer.headers())
    return json.loads(response.body) if response.status == 200 else response.status


class TestInstances:
    def test_each_call_has_an_assertion_of_its_own(self, setting: Setting) -> None:
        manager = setting.open(**instances())
        answers = at_once(32, lambda: manager.authorization("models"))
        assert {answer.mode for answer in answers} == {"dual-header"}
        assert len({answer.agent_assertion for answer in answers}) == 32
        for answer in answers:
            assert call(setting.backend, answer) == {"scheme": "bearer", "instance": "instance-1"}
        assert setting.backend.instances == ["instance-1"]
        assert manager.thread("a").authorization().runtime_agent_instance == "instance-1"
        assert setting.store.load("instance", None) is None  # type: ignore[arg-type]

    def test_alone(self, setting: Setting) -> None:
        manager = setting.open(**instances(instance={**INSTANCE, "header_mode": "assertion_only"}))
        answer = manager.authorization("models")
        assert answer.mode == "agent-assertion"
        assert call(setting.backend, answer) == {"scheme": "agent-assertion", "instance": "instance-1"}

    def test_beside_an_api_key(self, setting: Setting) -> None:
        credentials = {"kind": "api-key", "access_token": "sk-secret-api-key"}
        answer = setting.open(**instances(credentials=credentials)).authorization("models")
        headers = {"Authorization": "Bearer sk-secret-api-key"}
        answer.set_headers(headers)
        response = setting.backend.call("/codex/models", headers)
        assert json.loads(response.body) == {"scheme": "api-key", "instance": "instance-1"}

    def test_of_many_calls_that_are_rejected_one_registers(self, setting: Setting) -> None:
        manager = setting.open(**instances())
        old = manager.authorization("models")
        setting.backend.revoked.add("instance-1")
        answers = at_once(20, lambda: manager.recover(old))
        assert [call(setting.backend, answer)["instance"] for answer in answers] == ["instance-2"] * 20
        assert len(setting.backend.instances) == 2
        again = manager.recover(answers[0])
        assert (again.mode, again.cause.code) == ("bearer", "instance_rejected")
        setting.clock.seconds += 61
        assert manager.recover(answers[0]).runtime_agent_instance == "instance-3"

    def test_ends_with_the_manager(self, setting: Setting) -> None:
        setting.open(**instances()).authorization("models")
        assert setting.open(**instances()).authorization("models").runtime_agent_instance == "instance-2"

    def test_without_entropy(self, setting: Setting) -> None:
        def entropy(size: int) -> bytes:
            raise OSError("no entropy")

        with pytest.raises(AgentAssertError) as caught:
            setting.open(**instances(entropy=entropy)).authorization("models")
        assert caught.value.code == "no_entropy"
        assert isinstance(caught.value.__cause__, OSError)


class TestRouting:
    ACCOUNT: dict[str, Any] = {"account_id": "acct-1"}

    def test_a_turn_goes_where_the_workspace_is_kept(self, setting: Setting) -> None:
        manager = setting.open(workspace_routing=True)
        setting.backend.accounts = [accounts_entry()]
        answer = manager.thread("a").authorization()
        assert answer.responses_origin == "https://eu.chatgpt.com"
        assert setting.backend.count("/wham/accounts/check") == 1
        setting.clock.seconds += 1
        manager.thread("b").authorization()
        assert setting.backend.count("/wham/accounts/check") == 1
        setting.clock.seconds += 301
        manager.thread("a").authorization()
        assert setting.backend.count("/wham/accounts/check") == 2
        # Other calls go to the base URL.
        assert manager.thread("a").authorization("file-upload").responses_origin == ""

    def test_a_turn_of_which_nobody_knows_where_it_goes_fails(self, setting: Setting) -> None:
        manager = setting.open(workspace_routing=True)
        with pytest.raises(AgentAssertError) as caught:
            manager.thread("a").authorization()
        assert caught.value.code == "thread_failed"
        assert isinstance(caught.value.__cause__, AgentAssertError)
        assert caught.value.__cause__.code == "unknown_workspace"

    def test_an_origin_of_another_host_is_refused(self, setting: Setting) -> None:
        manager = setting.open(workspace_routing=True)
        setting.backend.accounts = [accounts_entry("https://evil.example")]
        with pytest.raises(AgentAssertError) as caught:
            manager.thread("a").authorization()
        assert isinstance(caught.value.__cause__, AgentAssertError)
        assert caught.value.__cause__.code == "unsupported_origin"
