"""Calls to responses go where the account's workspace is kept."""

from __future__ import annotations

from typing import Any

import pytest
from backend import REGISTRAR
from settings import Setting
from test_instances import INSTANCE, instances

from agentassert import AgentAssertError, HTTPResponse

ELSEWHERE = "https://eu.chatgpt.com"

FORMS: dict[str, dict[str, Any]] = {
    "biscuit": {},
    "dual": instances(),
    "only": instances(instance={**INSTANCE, "header_mode": "assertion_only"}),
    "bearer": {"agent_identity": False},
    "bearer of auth-api": {"profile": "auth-api", "agent_identity": False},
}
"""Every form of what calls carry that this backend verifies."""


def entry(origin: str = ELSEWHERE, override: str = "us_cr", account: str = "acct-1") -> dict[str, Any]:
    return {"id": account, "workspace_backend_origin": origin, "account_routing_override": override}


@pytest.mark.parametrize("form", FORMS)
def test_a_turn_goes_where_the_workspace_is_kept(setting: Setting, form: str) -> None:
    manager = setting.open(workspace_routing=True, **FORMS[form])
    setting.backend.accounts = [entry()]
    answer = manager.thread("a").authorization()
    assert (answer.responses_origin, answer.account_routing_override) == (ELSEWHERE, "us_cr")
    assert answer.headers()["X-OpenAI-Account-Routing-Override"] == "us_cr"
    assert setting.backend.count("/wham/accounts/check") == 1
    setting.clock.seconds += 1
    assert manager.thread("b").authorization().responses_origin == ELSEWHERE
    assert setting.backend.count("/wham/accounts/check") == 1
    setting.clock.seconds += 301
    manager.thread("a").authorization()
    assert setting.backend.count("/wham/accounts/check") == 2
    # Other calls go to the base URL, and nothing of it is stored.
    assert manager.thread("a").authorization("file-upload").responses_origin == ""
    assert setting.record("workspace") is None
    assert setting.open(workspace_routing=True, **FORMS[form]).thread("a").authorization().responses_origin
    assert setting.backend.count("/wham/accounts/check") == 3


def test_only_where_it_is_asked_for(setting: Setting) -> None:
    setting.backend.accounts = [entry()]
    assert setting.open().thread("a").authorization().responses_origin == ""
    assert setting.backend.count("/wham/accounts/check") == 0


def test_a_forced_workspace_and_a_host_that_is_trusted(setting: Setting) -> None:
    origin = "https://workspace.example:8443"
    setting.backend.accounts = [entry("https://us.chatgpt.com"), entry(origin, account="acct-2")]
    manager = setting.open(
        workspace_routing=True, forced_workspace_ids=["acct-2"], trusted_hosts=["workspace.example"]
    )
    assert manager.thread("a").authorization().responses_origin == origin


@pytest.mark.parametrize(
    ("accounts", "code"),
    [
        ([], "unknown_workspace"),
        ([entry(account="acct-2")], "unknown_workspace"),
        ([entry(), entry()], "unknown_workspace"),
        ([entry("https://evil.example")], "unsupported_origin"),
        ([entry("http://eu.chatgpt.com")], "invalid_response"),
        (None, "http_status"),
    ],
)
def test_a_turn_of_which_nobody_knows_where_it_goes_fails(setting: Setting, accounts: Any, code: str) -> None:
    manager = setting.open(workspace_routing=True)
    setting.backend.accounts = accounts or []
    if accounts is None:
        setting.backend.intercept = lambda _, path: (
            HTTPResponse(500, {}, b"") if path == "/wham/accounts/check" else None
        )
    with pytest.raises(AgentAssertError) as caught:
        manager.thread("a").authorization()
    assert caught.value.code == "thread_failed"
    cause = caught.value.__cause__
    assert isinstance(cause, AgentAssertError)
    assert cause.code == code
    assert manager.authorization("models").mode == "agent-assertion"


def test_the_question_goes_to_no_auth_api(setting: Setting) -> None:
    manager = setting.open(workspace_routing=True, **instances())
    setting.backend.accounts = [entry()]
    manager.thread("a").authorization()
    asked = [seen for seen in setting.backend.seen if seen.path == "/wham/accounts/check"]
    assert [seen.headers["chatgpt-account-id"] for seen in asked] == ["acct-1"]
    registered = [seen for seen in setting.backend.seen if seen.url.startswith(REGISTRAR)]
    assert all("authorization" not in seen.headers for seen in registered)
