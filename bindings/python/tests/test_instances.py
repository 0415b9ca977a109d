"""Calls that assert a runtime agent instance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from backend import REGISTRAR, Backend
from settings import Setting, at_once

from agentassert import AgentAssertError

INSTANCE = {"header_mode": "dual_header", "installation_id": "id-1", "harness": "h", "role": "r"}


def instances(**more: Any) -> dict[str, Any]:
    """Returns the options of a manager with runtime agent instances."""
    return {"profile": "instances", "instance": INSTANCE, "auth_api_url": REGISTRAR, **more}


def call(backend: Backend, answer: Any) -> Any:
    response = backend.call("/codex/models", answer.headers())
    return json.loads(response.body) if response.status == 200 else response.status


def test_each_call_has_an_assertion_of_its_own(setting: Setting) -> None:
    manager = setting.open(**instances())
    answers = at_once(32, lambda: manager.authorization("models"))
    assert {answer.mode for answer in answers} == {"dual-header"}
    assert len({answer.agent_assertion for answer in answers}) == 32
    for answer in answers:
        assert call(setting.backend, answer) == {"scheme": "bearer", "instance": "instance-1"}
    assert setting.backend.instances == ["instance-1"]
    assert manager.thread("a").authorization().runtime_agent_instance == "instance-1"
    assert setting.record("instance") is None


def test_alone(setting: Setting) -> None:
    manager = setting.open(**instances(instance={**INSTANCE, "header_mode": "assertion_only"}))
    answer = manager.authorization("models")
    assert answer.mode == "agent-assertion"
    assert call(setting.backend, answer) == {"scheme": "agent-assertion", "instance": "instance-1"}


def test_beside_an_api_key(setting: Setting) -> None:
    credentials = {"kind": "api-key", "access_token": "sk-secret-api-key"}
    answer = setting.open(**instances(credentials=credentials)).authorization("models")
    headers = {"Authorization": "Bearer sk-secret-api-key"}
    answer.set_headers(headers)
    response = setting.backend.call("/codex/models", headers)
    assert json.loads(response.body) == {"scheme": "api-key", "instance": "instance-1"}


def test_of_many_calls_that_are_rejected_one_registers(setting: Setting) -> None:
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


def test_ends_with_the_manager(setting: Setting) -> None:
    setting.open(**instances()).authorization("models")
    assert setting.open(**instances()).authorization("models").runtime_agent_instance == "instance-2"


def test_without_entropy(setting: Setting) -> None:
    def entropy(size: int) -> bytes:
        raise OSError("no entropy")

    with pytest.raises(AgentAssertError) as caught:
        setting.open(**instances(entropy=entropy)).authorization("models")
    assert caught.value.code == "no_entropy"
    assert isinstance(caught.value.__cause__, OSError)
