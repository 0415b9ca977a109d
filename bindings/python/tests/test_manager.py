"""What calls carry, from managers of both kinds."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from backend import BASE, CREDENTIALS, TOKEN, answer_json
from settings import Setting, at_once, constantly

from agentassert import AgentAssertError, Authorization, HTTPResponse, MemoryStore
from agentassert.exchange import HTTPRequest

WHO_GETS_WHAT: list[tuple[str, dict[str, Any], str, tuple[str, str]]] = [
    ("a background surface", {}, "models", ("agent-assertion", "background-task")),
    ("a bearer-only surface", {}, "bootstrap", ("bearer", "bearer-only-surface")),
    ("the gate off", {"agent_identity": False}, "models", ("bearer", "feature-off")),
    ("an unsupported host", {"base_url": "http://example.org/v1"}, "models", ("bearer", "unsupported-host")),
    (
        "a trusted host",
        {"trusted_hosts": ["agent.chatgpt.com"]},
        "apps",
        ("agent-assertion", "background-task"),
    ),
    ("an API key", {"credentials": {"kind": "api-key"}}, "models", ("none", "no-chatgpt-credentials")),
    (
        "no account",
        {"credentials": {"kind": "chatgpt", "access_token": TOKEN}},
        "models",
        ("bearer", "no-account-id"),
    ),
    (
        "one workspace of several",
        {"forced_workspace_ids": ("acct-1", "acct-2")},
        "models",
        ("agent-assertion", "background-task"),
    ),
    (
        "another workspace",
        {"forced_workspace_ids": ("acct-2", "acct-3")},
        "models",
        ("none", "workspace-not-allowed"),
    ),
    (
        "credentials with empty members",
        {"credentials": {**CREDENTIALS, "user_id": "", "fedramp": False}},
        "models",
        ("agent-assertion", "background-task"),
    ),
    (
        "credentials by a function",
        {"credentials": lambda: CREDENTIALS},
        "models",
        ("agent-assertion", "background-task"),
    ),
    ("nobody, by a function", {"credentials": lambda: None}, "models", ("none", "no-chatgpt-credentials")),
]


@pytest.mark.parametrize(
    ("options", "surface", "want"), [pytest.param(*case[1:], id=case[0]) for case in WHO_GETS_WHAT]
)
def test_who_gets_what(
    setting: Setting, options: dict[str, Any], surface: str, want: tuple[str, str]
) -> None:
    answer = setting.open(**options).authorization(surface)
    assert (answer.mode, answer.reason) == want


def test_an_identity_is_registered_once_kept_and_used_by_the_next_manager(setting: Setting) -> None:
    manager = setting.open()
    surfaces = iter(["models", "analytics"] * 32)
    answers = at_once(64, lambda: manager.authorization(next(surfaces)))
    assert len({answer.header for answer in answers}) == 1
    assert setting.backend.paths == [
        "GET /authenticate_app_v2",
        "POST /v1/agent/register",
        "GET /authenticate_app_v2",
        "POST /v1/agent/agent-1/task/register",
    ]
    assert setting.open().authorization("apps").task_id == "task-1"
    assert len(setting.backend.seen) == 4


def test_a_header_is_used_again_within_its_second_and_no_longer(setting: Setting) -> None:
    manager = setting.open()
    first = manager.authorization("analytics")
    setting.clock.seconds += 0.999
    assert manager.authorization("models") is first
    setting.clock.seconds += 0.001
    second = manager.authorization("analytics")
    assert second.header != first.header
    assert second.valid_until == first.valid_until + 1
    setting.clock.seconds -= 1  # a clock that is set back
    assert manager.authorization("analytics").header == first.header


def test_what_a_call_carries(setting: Setting) -> None:
    manager = setting.open()
    headers = manager.headers("models")
    assert list(headers) == ["Authorization", "ChatGPT-Account-ID"]
    answer = setting.backend.call("/codex/models", headers)
    assert json.loads(answer.body) == {"scheme": "agent-assertion", "task": "task-1"}
    server = manager.apps_mcp_server()
    assert server.url == f"{BASE}/wham/apps"
    assert server.headers["Authorization"] == f"Bearer {TOKEN}"
    assert manager.apps_mcp_server("Bearer other").headers["Authorization"] == "Bearer other"


def test_where_a_call_goes(setting: Setting) -> None:
    manager = setting.open()
    location = manager.locate(f"{BASE}/codex/responses?x=1")
    assert (location.inside, location.surface, location.scope) == (True, "responses", "thread")
    for url in (f"{BASE}x", "https://agent.chatgpt.com/backend-api/codex/models", f"{BASE}/../x"):
        assert not manager.locate(url).inside


def test_headers_are_set_whatever_their_case(setting: Setting) -> None:
    own = {"authorization": "Basic own", "X-OPENAI-FEDRAMP": "true", "x-own": "kept"}
    setting.open().authorization("models").set_headers(own)
    assert sorted(own) == ["Authorization", "ChatGPT-Account-ID", "x-own"]


@pytest.mark.parametrize(
    ("credentials", "want"),
    [
        ({"kind": "api-key"}, "Bearer sk-own"),
        ({"kind": "none"}, None),
        ({"kind": "other"}, None),
        ({"kind": "chatgpt", "access_token": TOKEN}, f"Bearer {TOKEN}"),
    ],
)
def test_with_an_api_key_the_callers_own_stays(
    setting: Setting, credentials: dict[str, Any], want: str | None
) -> None:
    own = {"Authorization": "Bearer sk-own", "ChatGPT-Account-ID": "forged", "X-OpenAI-Fedramp": "true"}
    setting.open(credentials=credentials).authorization("models").set_headers(own)
    assert own.get("Authorization") == want
    assert "ChatGPT-Account-ID" not in own
    assert "X-OpenAI-Fedramp" not in own


REFUSED: list[tuple[str, Callable[[Any], Any]]] = [
    ("thread_surface", lambda m: m.authorization("responses")),
    ("thread_surface", lambda m: m.thread("a").authorization("apps")),
    ("invalid_thread_id", lambda m: m.thread("a\n").authorization()),
    ("invalid_thread_id", lambda m: m.thread(5).authorization()),
    ("thread_surface", lambda m: m.thread("").authorization()),
    ("unknown_surface", lambda m: m.authorization("nothing")),
    ("unknown_surface", lambda m: m.authorization(None)),
    ("unknown_surface", lambda m: m.thread("a").authorization(["responses"])),
    ("invalid_request", lambda m: m.authorization("models", timeout="1")),
    ("invalid_request", lambda m: m.authorization("models", timeout=float("nan"))),
]


class TestThreads:
    def test_have_tasks_of_their_own_which_are_kept(self, setting: Setting) -> None:
        manager = setting.open()
        a = manager.thread("a").authorization()
        b = manager.thread("b").authorization()
        background = manager.authorization("analytics")
        assert len({a.task_id, b.task_id, background.task_id}) == 3
        assert setting.open().thread("a").authorization("file-upload").task_id == a.task_id

    def test_use_a_header_again_within_its_second(self, setting: Setting) -> None:
        thread = setting.open().thread("a")
        first = thread.authorization()
        assert thread.authorization() is first
        assert thread.headers() == first.headers()

    def test_fail_for_a_turn_and_try_again_with_the_next(self, setting: Setting) -> None:
        manager = setting.open()
        thread = manager.thread("a")
        setting.backend.intercept = constantly(HTTPResponse(503, {}, b""))
        with pytest.raises(AgentAssertError) as caught:
            thread.authorization()
        assert caught.value.code == "thread_failed"
        assert isinstance(caught.value.__cause__, AgentAssertError)
        assert caught.value.__cause__.code == "http_status"
        setting.backend.intercept = None
        with pytest.raises(AgentAssertError):
            thread.authorization()  # the same second
        assert manager.thread("a").authorization().mode == "agent-assertion"

    @pytest.mark.parametrize(("code", "ask"), REFUSED)
    def test_what_is_refused(self, setting: Setting, code: str, ask: Any) -> None:
        with pytest.raises(AgentAssertError) as caught:
            ask(setting.open())
        assert caught.value.code == code

    def test_that_is_over_is_forgotten(self, setting: Setting) -> None:
        manager = setting.open()
        manager.thread("a").prewarm()
        manager.forget("a")
        assert setting.record("thread/a") is None
        setting.clock.seconds += 1
        assert manager.thread("a").authorization().task_id == "task-2"


def test_an_access_token_that_has_expired_is_a_notice(setting: Setting) -> None:
    def part(value: dict[str, object]) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'none'})}.{part({'exp': 1_763_996_400})}.c2ln"
    answer = setting.open(credentials={**CREDENTIALS, "access_token": token}).bearer()
    assert (answer.mode, answer.cause) == ("bearer", None)
    assert answer.notice.code == "access_token_expired"


def test_why_nobody_is_signed_in_is_the_cause(setting: Setting) -> None:
    problem = {"code": "api_key_sign_in", "message": "sign in with a ChatGPT account"}
    manager = setting.open(credentials={"kind": "api-key", "problem": problem})
    answer = manager.authorization("models")
    assert (answer.mode, answer.cause.code) == ("none", "api_key_sign_in")
    # Such a turn goes out as it is.
    assert manager.thread("a").authorization().mode == "none"


def test_who_wants_to_know_is_told_of_each_answer_once(setting: Setting) -> None:
    told: list[tuple[str, str]] = []

    def tell(answer: Authorization, surface: str) -> None:
        told.append((answer.mode, surface))

    manager = setting.open(on_authorization=tell)
    manager.authorization("models")
    manager.authorization("apps")
    manager.bearer()
    assert told == [("agent-assertion", "models"), ("bearer", "bootstrap")]


def test_credentials_that_change_are_seen_in_the_next_second(setting: Setting) -> None:
    current = dict(CREDENTIALS)
    manager = setting.open(credentials=lambda: current)
    first = manager.bearer()
    current["access_token"] = "another-token"
    assert manager.bearer() is first
    setting.clock.seconds += 1
    assert manager.bearer().header == "Bearer another-token"


def test_the_later_profile_and_an_identity_that_arrived_as_a_jwt(setting: Setting) -> None:
    urls: list[str] = []

    def register(request: HTTPRequest, _: str) -> HTTPResponse | None:
        urls.append(request.url)
        return answer_json({"task_id": "task-9"}) if request.url.endswith("/task/register") else None

    setting.backend.intercept = register
    claims = {
        "iss": "https://chatgpt.com/codex-backend/agent-identity",
        "aud": "codex-app-server",
        "iat": 1_763_999_000,
        "exp": 1_764_009_000,
        "agent_runtime_id": "agent-jwt",
        "agent_private_key": setting.core.call("key.generate", {"entropy": bytes(32)})["private_key"],
        "account_id": "acct-1",
        "chatgpt_user_id": "user-1",
        "plan_type": "pro",
        "chatgpt_account_is_fedramp": True,
    }
    identity = setting.core.call(
        "identity_jwt.read", {"claims": json.dumps(claims).encode(), "now": 1_764_000_000}
    )
    manager = setting.open(
        jwt_identity=identity,
        store=None,
        credentials=None,
        profile="auth-api",
        auth_api_url="http://auth.example.org/api/accounts",
    )
    answer = manager.authorization("models")
    assert (answer.agent_runtime_id, answer.task_id, answer.fedramp) == ("agent-jwt", "task-9", True)
    assert urls == ["http://auth.example.org/api/accounts/v1/agent/agent-jwt/task/register"]
    assert answer.headers()["X-OpenAI-Fedramp"] == "true"


BAD_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("a core that is none", {"core": object()}, "invalid_manager_config"),
    ("a store that is none", {"store": object()}, "invalid_manager_config"),
    ("no credentials", {"credentials": None}, "invalid_manager_config"),
    ("credentials that are no mapping", {"credentials": ["chatgpt"]}, "invalid_request"),
    ("credentials without a kind", {"credentials": {}}, "invalid_request"),
    ("credentials of another form", {"credentials": {"kind": "chatgpt", "account_id": 5}}, "invalid_request"),
    ("no base URL", {"base_url": None}, "invalid_manager_config"),
    ("a base URL that is none", {"base_url": "chatgpt.com"}, "invalid_base_url"),
    ("no encryption", {"allow_http": False}, "insecure_base_url"),
    ("no encryption, and yes that is no True", {"allow_http": "yes"}, "invalid_manager_config"),
    (
        "no encryption to where agents register",
        {"base_url": "https://chatgpt.com", "auth_api_url": "http://auth.example", "allow_http": False},
        "insecure_base_url",
    ),
    ("an auth API that is no text", {"auth_api_url": 5}, "invalid_manager_config"),
    ("a trusted host with a port", {"trusted_hosts": ["a:1"]}, "invalid_trusted_host"),
    ("trusted hosts that are one text", {"trusted_hosts": "example.org"}, "invalid_manager_config"),
    ("trusted hosts that are no texts", {"trusted_hosts": [5]}, "invalid_manager_config"),
    ("workspaces that are none", {"forced_workspace_ids": 5}, "invalid_manager_config"),
    ("an ABOM that is no mapping", {"abom": "x"}, "invalid_manager_config"),
    ("an instance that is no mapping", {"instance": 5}, "invalid_manager_config"),
    ("a profile that is no text", {"profile": None}, "invalid_manager_config"),
    ("an identity that is none", {"jwt_identity": {"record": "x"}}, "invalid_manager_config"),
    ("a client that is none", {"http": 5}, "invalid_manager_config"),
    ("a clock that is none", {"now": 5}, "invalid_manager_config"),
]


@pytest.mark.parametrize(("options", "code"), [pytest.param(*c[1:], id=c[0]) for c in BAD_OPTIONS])
def test_bad_options(setting: Setting, options: dict[str, Any], code: str) -> None:
    with pytest.raises(AgentAssertError) as caught:
        setting.open(**options)
    assert caught.value.code == code


def test_what_to_do_about_no_encryption_is_said(setting: Setting) -> None:
    with pytest.raises(AgentAssertError, match="allow_http"):
        setting.open(allow_http=False)
    for url in ("http://localhost:1/x", "http://127.0.0.1", "http://[::1]:8080", "https://a.example"):
        setting.open(allow_http=False, base_url=url, auth_api_url=url)


def _raise(*_: object) -> Any:
    raise ValueError("no")


LATE: list[tuple[str, dict[str, Any], str]] = [
    ("credentials that are none", {"credentials": lambda: {"kind": 5}}, "invalid_request"),
    ("credentials that cannot be had", {"credentials": _raise}, "credentials_failed"),
    (
        "credentials that cannot be sent",
        {"credentials": {**CREDENTIALS, "account_id": "\n"}},
        "invalid_credentials",
    ),
    ("credentials with members unknown", {"credentials": {**CREDENTIALS, "x": 1}}, "invalid_request"),
    ("a profile that there is not", {"profile": "authapi"}, "invalid_config"),
    ("a clock without time", {"now": lambda: float("nan")}, "invalid_request"),
    ("a clock that is text", {"now": lambda: "noon"}, "invalid_request"),
    ("a clock that fails", {"now": _raise}, "internal"),
    ("an ABOM of another form", {"abom": {"agent_version": 1}}, "invalid_request"),
    ("an instance of another form", {"profile": "instances", "instance": {"role": 1}}, "invalid_request"),
    ("an observer that fails", {"on_authorization": _raise}, "internal"),
]


@pytest.mark.parametrize(("options", "code"), [pytest.param(*c[1:], id=c[0]) for c in LATE])
def test_what_is_refused_later(setting: Setting, options: dict[str, Any], code: str) -> None:
    manager = setting.open(**options)
    with pytest.raises(AgentAssertError) as caught:
        manager.authorization("models")
    assert caught.value.code == code


@pytest.mark.parametrize("entropy", [_raise, constantly(b"x"), constantly(None)])
def test_entropy_that_cannot_be_had(setting: Setting, entropy: Any) -> None:
    assert setting.open(entropy=entropy).authorization("models").mode == "bearer"
    assert setting.backend.identities == []


def test_a_manager_that_loads_its_own_core(setting: Setting) -> None:
    manager = setting.open(core=None, store=MemoryStore())
    assert manager.authorization("models").mode == "agent-assertion"
    manager.close()
    manager.close()
    with pytest.raises(AgentAssertError) as caught:
        manager.authorization("models")
    assert caught.value.code == "closed"
