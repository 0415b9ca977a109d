"""The typed calls, bad arguments, and engines that fail."""

from __future__ import annotations

import base64
import datetime
import enum
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import agentassert
from agentassert import (
    AgentAssert,
    AgentAssertError,
    BaseURL,
    InstanceInspection,
    KeyPair,
    Location,
    Surface,
    TaskInspection,
)

NOW = 1_764_000_000


@pytest.fixture
def core(engine: str) -> Iterator[AgentAssert]:
    with AgentAssert.load(engine=engine) as loaded:
        yield loaded


@pytest.fixture
def key(core: AgentAssert) -> KeyPair:
    return core.generate_key()


def code(call: Callable[[], object]) -> str:
    with pytest.raises(AgentAssertError) as failure:
        call()
    assert failure.value.message
    return failure.value.code


def test_assertions(core: AgentAssert, key: KeyPair) -> None:
    header = core.assert_(private_key=key.private_key, agent_runtime_id="agent-1", task_id="task-1", now=NOW)
    seen = core.verify(public_key=key.public_key, header=header, now=NOW + 300)
    assert (seen.form, seen.canonical) == ("task", True)
    assert (seen.envelope.agent_runtime_id, seen.envelope.task_id) == ("agent-1", "task-1")
    assert seen == core.inspect(header)
    assert core.parse_key(key.private_key) == key
    assert (
        code(lambda: core.verify(public_key=key.public_key, header=header, now=NOW + 301)) == "timestamp_skew"
    )
    assert (
        code(lambda: core.verify(public_key=core.generate_key().public_key, header=header, now=NOW))
        == "bad_signature"
    )
    assert code(lambda: core.verify_instance(public_key=key.public_key, header=header)) == "invalid_assertion"
    assert (
        code(lambda: core.verify(public_key=key.public_key, header=header, now=NOW, skew=-1))
        == "invalid_skew"
    )


def test_assertions_of_instances(core: AgentAssert, key: KeyPair) -> None:
    value = core.assert_instance(private_key=key.private_key, runtime_agent_instance="instance-1", now=NOW)
    for header in (value, f"AgentAssertion {value}"):
        seen = core.verify_instance(public_key=key.public_key, header=header, now=NOW, skew=0)
        assert isinstance(seen, InstanceInspection)
        assert (seen.instance.runtime_agent_instance, seen.instance.iat) == ("instance-1", NOW)
    again = core.assert_instance(private_key=key.private_key, runtime_agent_instance="instance-1", now=NOW)
    assert again != value, "an assertion is for one request"
    inspected = core.inspect(value)
    assert isinstance(inspected, InstanceInspection)
    assert inspected.instance.id


def test_the_clock_and_the_entropy_are_the_systems(core: AgentAssert, key: KeyPair) -> None:
    header = core.assert_(private_key=key.private_key, agent_runtime_id="a", task_id="t")
    assert isinstance(core.verify(public_key=key.public_key, header=header), TaskInspection)
    assert core.generate_key() != core.generate_key()
    for profile in ("biscuit", "auth-api", "instances"):
        assert core.generate_key(profile=profile).public_key.startswith("ssh-ed25519 ")


def test_registrations(core: AgentAssert, key: KeyPair) -> None:
    proof = core.sign_registration(private_key=key.private_key, agent_runtime_id="agent-1", now=NOW)

    def verify(agent_runtime_id: str) -> None:
        core.verify_registration(
            public_key=key.public_key,
            agent_runtime_id=agent_runtime_id,
            signature=proof.signature,
            timestamp=proof.timestamp,
            now=NOW,
        )

    verify("agent-1")
    assert code(lambda: verify("agent-2")) == "bad_signature"


def test_sealed_task_ids(core: AgentAssert, key: KeyPair) -> None:
    sealed = core.seal_task_id(public_key=key.public_key, task_id="task-1")
    assert core.open_task_id(private_key=key.private_key, encrypted_task_id=sealed) == "task-1"
    other = core.generate_key()
    assert (
        code(lambda: core.open_task_id(private_key=other.private_key, encrypted_task_id=sealed))
        == "invalid_sealed_task_id"
    )


def test_urls_and_surfaces(core: AgentAssert) -> None:
    base = "https://chatgpt.com/backend-api"
    assert core.normalize_base_url("https://chatgpt.com/") == BaseURL(base, "chatgpt.com", supported=True)
    assert not core.normalize_base_url("https://a.example").supported
    assert core.normalize_base_url("https://a.example", trusted_hosts=["a.example"]).supported
    assert core.match_surface("/codex/responses") == Surface("responses", "thread")
    assert core.lookup_surface("responses").path == "/codex/responses"
    assert core.lookup_surface("background") == Surface("background", "background", "GET")
    assert code(lambda: core.lookup_surface("nothing")) == "unknown_surface"
    assert core.locate_surface(base_url=base, url="https://elsewhere.example/") == Location(inside=False)
    inside = core.locate_surface(base_url=base, url=base + "/codex/models")
    assert inside == Location(inside=True, surface="models", scope="background")


def test_another_implementation_verifies_what_the_core_signs(core: AgentAssert, key: KeyPair) -> None:
    header = core.assert_(private_key=key.private_key, agent_runtime_id="agent-1", task_id="task:1", now=NOW)
    inspected = core.inspect(header)
    assert isinstance(inspected, TaskInspection)
    envelope = inspected.envelope
    raw = base64.b64decode(key.public_key.split(" ")[1])[-32:]
    Ed25519PublicKey.from_public_bytes(raw).verify(
        base64.b64decode(envelope.signature), f"agent-1:task:1:{envelope.timestamp}".encode()
    )


@pytest.mark.parametrize(
    "text", ["\ufeffmark", "é", "e\u0301", "🙂", '"\\<&>', "x" * 4096, "__class__", "a\x00b"]
)
def test_text_comes_back_as_it_was(core: AgentAssert, key: KeyPair, text: str) -> None:
    sealed = core.call(
        "surface.locate", {"base_url": "https://chatgpt.com/backend-api", "url": "https://x/" + text}
    )
    assert sealed == {"inside": False}
    if "\x00" not in text:
        header = core.assert_(private_key=key.private_key, agent_runtime_id=text, task_id=text, now=NOW)
        assert core.verify(public_key=key.public_key, header=header, now=NOW).envelope.task_id == text


class Second(enum.IntEnum):
    NOW = NOW


BAD: list[tuple[str, Any]] = [
    ("None", None),
    ("a number", 5),
    ("a fraction", 1.5),
    ("not a number", float("nan")),
    ("a number that is too large", 1 << 64),
    ("a boolean", True),
    ("a function", lambda: None),
    ("a list", []),
    ("a map", {}),
    ("an object", object()),
    ("a date", datetime.datetime.now(datetime.timezone.utc)),
    ("bytes", bytes(32)),
    ("half a surrogate pair", "\ud800"),
    ("more than a message holds", "x" * (1 << 20)),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[name for name, _ in BAD])
@pytest.mark.parametrize("argument", ["private_key", "agent_runtime_id", "task_id"])
def test_arguments_of_wrong_types(
    core: AgentAssert, key: KeyPair, argument: str, name: str, value: Any
) -> None:
    arguments: dict[str, Any] = {
        "private_key": key.private_key,
        "agent_runtime_id": "a",
        "task_id": "t",
        "now": NOW,
        argument: value,
    }
    with pytest.raises(AgentAssertError) as failure:
        core.assert_(**arguments)
    assert failure.value.code == "invalid_request", name
    assert argument in failure.value.message


BAD_CALLS: list[tuple[Callable[[Any], object], str]] = [
    (lambda core: core.call("nothing", {}), "unknown_method"),
    (lambda core: core.call(5, {}), "invalid_request"),
    (lambda core: core.call("key.parse", None), "invalid_request"),
    (lambda core: core.call("key.parse", [1]), "invalid_request"),
    (lambda core: core.call("key.parse", {"\ud800": 1}), "invalid_request"),
    (lambda core: core.call("assertion.inspect", {}), "invalid_request"),
    (lambda core: core.call("assertion.inspect", {"header": "", "x": 1}), "invalid_request"),
    (lambda core: core.exchange(b""), "invalid_request"),
    (lambda core: core.exchange(bytes((1 << 20) + 1)), "invalid_request"),
    (lambda core: core.exchange("text"), "invalid_request"),
    (lambda core: core.exchange(None), "invalid_request"),
    (lambda core: core.generate_key(entropy=bytes(31)), "invalid_entropy"),
    (lambda core: core.generate_key(entropy="x" * 32), "invalid_request"),
    (lambda core: core.generate_key(profile="other"), "invalid_config"),
    (lambda core: core.generate_key(profile=5), "invalid_request"),
    (lambda core: core.inspect(""), "invalid_assertion"),
    (lambda core: core.normalize_base_url("https://a", trusted_hosts="a"), "invalid_request"),
    (lambda core: core.normalize_base_url("https://a", trusted_hosts=iter("a")), "invalid_request"),
    (lambda core: core.sign_registration(private_key="", agent_runtime_id="a"), "invalid_private_key"),
    (
        lambda core: core.assert_(
            private_key=core.generate_key().private_key,
            agent_runtime_id="a",
            task_id="t",
            now=NOW * 1000_000,
        ),
        "invalid_time",
    ),
    (
        lambda core: core.assert_(private_key="", agent_runtime_id="a", task_id="t", now=1.5),
        "invalid_request",
    ),
    (
        lambda core: core.assert_(private_key="", agent_runtime_id="a", task_id="t", now=Second.NOW),
        "invalid_request",
    ),
]


@pytest.mark.parametrize(("call", "expected"), BAD_CALLS)
def test_bad_calls(core: AgentAssert, call: Callable[[Any], object], expected: str) -> None:
    assert code(lambda: call(core)) == expected


class Unreadable(dict[str, Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("no")

    def keys(self) -> Any:
        raise RuntimeError("no")


def test_a_mapping_of_the_callers(core: AgentAssert) -> None:
    class Lines:
        def keys(self) -> list[str]:
            return ["path"]

        def __getitem__(self, name: str) -> str:
            return "/codex/responses"

    assert core.call("surface.match", Lines())["surface"] == "responses"  # type: ignore[arg-type] # pyright: ignore
    assert code(lambda: core.call("surface.match", Unreadable(path="/"))) == "invalid_request"


def test_no_secret_is_shown(core: AgentAssert, key: KeyPair) -> None:
    secret = key.private_key[24:]
    assert secret not in repr(key)
    assert secret not in str(key)
    with pytest.raises(AgentAssertError) as failure:
        core.assert_(private_key=key.private_key, agent_runtime_id="a:b", task_id="\ud800")
    for shown in (repr(failure.value), str(failure.value), repr(failure.value.__cause__)):
        assert secret not in shown
    with pytest.raises(AgentAssertError) as failure:
        core.parse_key(key.private_key + "?")
    assert secret not in repr(failure.value)


def test_errors() -> None:
    error = AgentAssertError("bad_signature", "it does not verify")
    assert (str(error), error.code, error.message) == (
        "it does not verify",
        "bad_signature",
        "it does not verify",
    )
    again: AgentAssertError = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message) == (error.code, error.message)


def test_results_cannot_be_changed(key: KeyPair) -> None:
    with pytest.raises(AttributeError):
        key.public_key = ""  # type: ignore[misc] # pyright: ignore


def test_closed(core: AgentAssert) -> None:
    core.close()
    core.close()
    core.forget()
    assert code(core.generate_key) == "closed"


def test_forgetting(core: AgentAssert, key: KeyPair) -> None:
    core.forget()
    core.forget()
    assert core.parse_key(key.private_key) == key


def test_names() -> None:
    for name in agentassert.__all__:
        assert getattr(agentassert, name)
    assert set(agentassert.__all__) <= set(dir(agentassert))
    with pytest.raises(AttributeError):
        agentassert.nothing  # noqa: B018
    assert len(agentassert.MODULE_SHA256) == 64


def test_engines_by_name(engine: str) -> None:
    with AgentAssert.load(engine=engine) as core:
        assert core.engine == engine
    assert code(lambda: AgentAssert.load(engine="other")) == "invalid_request"
    assert code(lambda: AgentAssert.load(engine="native", module=b"")) == "invalid_request"
    wrongs: list[dict[str, Any]] = [{"max_instances": 0}, {"max_instances": "2"}, {"module": "text"}]
    for wrong in wrongs:
        with pytest.raises(AgentAssertError) as failure:
            AgentAssert.load(**wrong)
        assert failure.value.code == "invalid_request"


def test_missing_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agentassert._native", None)
    assert code(lambda: AgentAssert.load(engine="native")) == "engine_missing"
    monkeypatch.setitem(sys.modules, "agentassert.wasmtime_engine", None)
    for engine in (None, "wasmtime"):
        with pytest.raises(AgentAssertError, match="pip install wasmtime") as failure:
            AgentAssert.load(engine=engine)
        assert failure.value.code == "engine_missing"


def test_a_package_whose_parts_do_not_fit(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{agentassert.__name__}._module.SHA256", "0" * 64)
    assert code(lambda: AgentAssert.load(engine=engine)) == "invalid_module"
