"""What becomes of assertions that the backend rejects."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from settings import Setting, at_once, constantly

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
    setting.backend.intercept = constantly(HTTPResponse(500, {}, b""))
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
        b'{"error":"what is wrong"}',
        b'{"detail":{"code":"task_not_found"}}',
        b'{"error":{"code":5}}',
        b'{"error":{"code":""}}',
        b'{"error":{"code":"\\ud800"}}',
        json.dumps({"error": {"code": "x" * 5000}}).encode(),
        json.dumps({"error": {"code": "task_expired"}, "x": "x" * 100_000}).encode(),
    ],
    ids=range(10),
)
def test_a_refusal_that_says_nothing(setting: Setting, body: bytes) -> None:
    manager = setting.open()
    answer = manager.authorization("models")
    assert manager.recover(answer, headers={"Date": "\ud800"}, body=body).task_id == "task-2"


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"code": "gone_away"}},
        {"detail": {"code": "gone_away"}},
        {"code": "gone_away"},
        {"error": "gone_away"},
    ],
    ids=range(4),
)
def test_another_reason_replaces_nothing(setting: Setting, said: Any) -> None:
    manager = setting.open()
    old = manager.authorization("models")
    answer = manager.recover(old, body=json.dumps(said).encode())
    assert (answer.mode, answer.reason, answer.cause.code) == (
        "none",
        "assertion-rejected",
        "assertion_rejected",
    )
    assert "gone_away" in answer.cause.message
    assert manager.authorization("models") is old
    assert setting.backend.tasks == ["task-1"]


def test_a_task_that_cannot_be_replaced_stays_and_is_no_loop(setting: Setting) -> None:
    manager = setting.open()
    old = manager.authorization("models")
    setting.backend.intercept = constantly(HTTPResponse(503, {}, b""))
    seen = len(setting.backend.seen)
    assert manager.recover(old).cause.code == "http_status"
    for _ in range(3):
        setting.clock.seconds += 1
        answer = manager.authorization("models")
        assert (answer.mode, answer.cause.code) == ("bearer", "backing_off")
        again = setting.open().authorization("models")
        assert (again.mode, again.task_id) == ("agent-assertion", "task-1")
    assert len(setting.backend.seen) == seen + 1
    setting.backend.intercept = None
    setting.clock.seconds += 3600
    assert manager.recover(manager.authorization("models")).task_id == "task-2"


def test_pauses_and_capabilities(setting: Setting) -> None:
    manager = setting.open(pauses={"first": 0, "most": 0}, capabilities=["a", "b"])
    old = manager.authorization("models")
    registered = next(
        request for request in setting.backend.seen if request.path.endswith("/v1/agent/register")
    )
    assert b'"capabilities":["a","b"]' in registered.body
    setting.backend.intercept = constantly(HTTPResponse(503, {}, b""))
    for _ in range(2):
        assert manager.recover(old).cause.code == "http_status"
    assert setting.record("backoff") is None
    with pytest.raises(AgentAssertError, match="pause") as caught:
        setting.open(pauses={"first": 2, "most": 1}).authorization("models")
    assert caught.value.code == "invalid_config"


def test_a_task_that_has_just_replaced_another_is_not_replaced(setting: Setting) -> None:
    manager = setting.open()
    second = manager.recover(manager.authorization("models"))
    third = manager.recover(second)
    assert (third.mode, third.cause.code) == ("bearer", "task_rejected")
    assert setting.backend.tasks == ["task-1", "task-2"]
