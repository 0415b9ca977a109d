"""Nothing of the managers shows a secret, however it is printed."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from backend import BASE, TOKEN
from settings import Setting
from test_instances import instances

from agentassert import AgentAssertError, HTTPRequest, HTTPResponse
from agentassert.cancellation import Cancellation
from agentassert.operation import Bounds, Send, StoreCall


def printed(value: Any) -> str:
    """Returns everything that Python makes of a value."""
    error = RuntimeError("wrapped", value)
    ways: list[Callable[[], object]] = [
        lambda: repr(value),
        lambda: str(value),
        lambda: f"{value} {value!r} {value!s} {[value]} {{1: value}}",
        lambda: pprint.pformat(value),
        lambda: json.dumps(value, default=str),
        lambda: pickle.dumps(value),
        lambda: copy.deepcopy(value),
        lambda: "".join(traceback.format_exception(error)),
        lambda: logging.LogRecord("x", 1, "x", 1, "%s %r", (value, value), None).getMessage(),
    ]
    text: list[str] = []
    for way in ways:
        try:
            text.append(str(way()))
        except Exception as problem:  # what cannot be printed may say why
            text.append("".join(traceback.format_exception(problem)))
    return "\n".join(text)


def test_nothing_that_is_printed_shows_a_secret(setting: Setting) -> None:
    manager, other = setting.open(), setting.open(**instances())
    inner = getattr(manager, "inner", manager)
    assertion, bearer = manager.authorization("models"), manager.bearer()
    turn, beside = manager.thread("a").authorization(), other.authorization("models")
    record = setting.record("identity") or b""
    key = json.loads(record)["agent_private_key"]
    call = beside.call_for(getattr(other, "inner", other))
    assert call is not None
    assert call.kept.answer is not None
    request = HTTPRequest(
        "GET", BASE, (("authorization", f"Bearer {TOKEN}"),), TOKEN.encode(), 1, 1, Cancellation()
    )
    effect: Any = {"type": "http", "headers": [{"name": "authorization", "value": TOKEN}]}
    things = [
        *(assertion, bearer, turn, beside, inner, inner.thread("a"), inner._host, setting.store),
        *(call, call.kept, call.kept.answer, call.kept.answer.policy, manager.apps_mcp_server()),
        *(request, HTTPResponse(200, {"x": TOKEN}, TOKEN.encode())),
        *(StoreCall("save", (record,), Bounds()), Send(effect, Bounds())),
    ]
    secrets = [
        *(TOKEN, key, assertion.header[-40:], turn.header[-40:], beside.agent_assertion[-86:]),
        record.decode()[:40],
    ]
    for thing in things:
        text = printed(thing)
        for secret in secrets:
            assert secret not in text, type(thing).__name__


def test_an_authorization_does_not_change(setting: Setting) -> None:
    answer = setting.open().authorization("models")
    with pytest.raises(AttributeError):
        answer.mode = "none"
    with pytest.raises(AttributeError):
        del answer.mode
    with pytest.raises(AttributeError):
        answer.other = 1
    assert not hasattr(answer, "__dict__")
    assert str(answer) == "agent-assertion (background-task)"
    assert "task-1" in repr(answer)


def test_an_error_says_what_failed_and_drags_nothing_along(setting: Setting) -> None:
    def fail(*_: object) -> Any:
        try:
            raise ValueError(TOKEN)
        except ValueError:
            raise KeyError(TOKEN)  # noqa: B904 - as clients do

    setting.backend.intercept = fail
    manager = setting.open()
    with pytest.raises(AgentAssertError) as caught:
        manager.thread("a").authorization()
    shown = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown
    link: BaseException | None = caught.value
    while link is not None:
        assert isinstance(link, AgentAssertError)
        link = link.__cause__ or link.__context__
