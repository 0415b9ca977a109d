"""What a module may do to files: all that the core asks for, and nothing else."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import random
import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from file_vectors import Step, message_of, operations

from agentassert import AgentAssertError
from agentassert.answer import is_map
from agentassert.file_effect import FileStart
from agentassert.file_policy import FilePolicy

if TYPE_CHECKING:
    from agentassert.file_effect import FileEffect


def refused(policy: FilePolicy, message: object, now: int) -> FileEffect | None:
    """Returns an effect that is let pass, or None; no other error comes of any."""
    try:
        return policy.effect(message, now)
    except AgentAssertError as error:
        said = error
    assert said.code == "policy_violation"
    assert "secret-" not in str(said)
    return None


def test_every_operation_of_the_vectors_passes_whole() -> None:
    effects = results = 0
    for name, steps in operations():
        policy = FilePolicy(steps[0].start)
        last: FileEffect | None = None
        for i, step in enumerate(steps):
            if step.effect is None:
                continue
            if last is not None:
                policy.answered(last, step.answer)
            try:
                last = policy.effect(step.effect, step.now)
            except AgentAssertError as error:
                pytest.fail(f"{name}, step {i}: {error}: {step.effect}")
            if last.result is not None:
                results += 1
            else:
                effects += 1
                assert message_of(last) == step.effect, (
                    f"{name}, step {i}: it is carried out as it was asked for"
                )
    assert effects > 1500
    assert results > 250


def test_an_operation_has_an_end() -> None:
    policy = FilePolicy(FileStart("credentials"))
    for _ in range(1000):
        policy.effect({"type": "read", "name": "target"}, 0)
    assert refused(policy, {"type": "read", "name": "target"}, 0) is None


def test_times_that_are_none() -> None:
    for now in (-(2**63), -1, 2**62, 2**63 - 1):
        policy = FilePolicy(FileStart("save", "thread/1", b"{}"))
        assert refused(policy, {"type": "make-folder", "name": "threads"}, now) is not None


ODD: list[Any] = [
    *(
        "",
        "identity",
        "secret-text",
        "target",
        "../x",
        "thread/thread-2",
        "Bearer secret-token",
        "\0",
        "\ud800",
    ),
    *(0, -1, 1, True, 1.5, 2**40, None, [], {}, ["target"], b"", b"{}", b"secret-bytes", b" " * 600_000),
]


def values_of(message: Any) -> list[Any]:
    """Returns all values in a message."""
    members: list[Any] = []
    if is_map(message):
        members = list(message.values())
    elif isinstance(message, list):
        members = [*message]
    return [value for member in members for value in (member, *values_of(member))]


def mutated(message: Any, draw: random.Random, others: list[Any]) -> Any:
    """Returns a message with some of it changed, to what a module could send."""
    if is_map(message) and message and draw.random() < 0.8:
        changed: dict[str, Any] = dict(message)
        name = draw.choice(list(changed))
        if draw.random() < 0.2:
            del changed[name]
        elif draw.random() < 0.2:
            changed[draw.choice(["name", "content", "size", "to", "result", "record", "error"])] = (
                draw.choice(others)
            )
        else:
            changed[name] = mutated(changed[name], draw, others)
        return changed
    if isinstance(message, bytes) and message and draw.random() < 0.7:
        at = draw.randrange(len(message))
        return draw.choice(
            [
                message[:at],
                message[at:],
                message[:at] + bytes([draw.randrange(256)]) + message[at + 1 :],
                message[:at] + b" " + message[at:],
                message + b" " * draw.randrange(4),
            ]
        )
    return draw.choice(draw.choice([ODD, others]))


NAMES = re.compile(
    r"(target|previous|home|journal|client-lock|target-lock|leftovers(/[^/]+)?|record/[a-z-]+"
    r"|threads?(/[0-9]{4}-[0-9]{2}(/[^/]+)?)?)"
)
TOKENS = re.compile(rb'"tokens":\s*\{[^}]*\}')


def test_whatever_a_module_does_the_users_tokens_stay_what_they_were() -> None:
    everything = list(operations())
    others = [value for _, steps in everything for step in steps[:20] for value in values_of(step.effect)]
    draw = random.Random(2)
    passed = 0
    for _ in range(20_000):
        name, steps = draw.choice(everything)
        at = draw.randrange(min(len(steps), 40))
        policy = FilePolicy(steps[0].start)
        documents = documents_before(steps[: at + 1])
        last: FileEffect | None = None
        for step in steps[:at]:
            if step.effect is not None:
                if last is not None:
                    policy.answered(last, step.answer)
                last = policy.effect(step.effect, step.now)
        if steps[at].effect is None:
            continue
        if last is not None:
            policy.answered(last, steps[at].answer)
        taken = refused(policy, mutated(steps[at].effect, draw, others), steps[at].now)
        if taken is None:
            continue
        passed += 1
        assert taken.type in ("wait", "done") or NAMES.fullmatch(taken.name), name
        if taken.type in ("create", "write") and taken.name == "target":
            tokens = TOKENS.search(taken.content)
            assert tokens is None or any(tokens[0] in document for document in documents), name
        assert not (taken.type in ("remove", "move") and taken.name == "target")
    assert passed > 500


def documents_before(steps: list[Step]) -> list[bytes]:
    """Returns all documents that an operation has seen."""
    documents = [b"{}\n", steps[0].start.record, steps[0].start.expected]
    for step in steps:
        content = step.event.get("content", b"")
        documents.append(content)
        if content.startswith(b'{"old":'):
            # Some journals of the vectors are damaged.
            with contextlib.suppress(binascii.Error):
                documents += [base64.b64decode(str(text)) for text in json.loads(content).values()]
    return documents


AUTH_JSON = b'{"tokens":{"access_token":"secret-token"},"later":[1.50e1],"agent_identity":{"a":1}}'
STAT = {"id": "1:1", "size": 84, "modified": 1, "mode": 0o600, "links": 1}
NOW = 1795533368


def told(policy: FilePolicy, message: dict[str, Any], event: dict[str, Any] | None = None) -> None:
    """Has an effect carried out."""
    effect = policy.effect(message, NOW)
    policy.answered(effect, Step({"event": {"type": "done", **(event or {})}}).answer)


def under_locks(
    operation: Literal["swap", "probe"] = "swap", record: bytes = b'{"a":2}', **event: Any
) -> FilePolicy:
    """Returns the policy of an operation that has read auth.json under its locks."""
    expected = b'{ "a": 1 }' if operation == "swap" else b""
    policy = FilePolicy(FileStart(operation, "identity", record if operation == "swap" else b"", expected))
    for lock in ("client-lock", "target-lock"):
        told(policy, {"type": "lock", "name": lock, "timeout_ms": 5000})
    told(policy, {"type": "read", "name": "journal"}, event)
    told(policy, {"type": "read", "name": "target"}, {"stat": STAT, "content": AUTH_JSON})
    return policy


def create(document: bytes, name: str = "target") -> dict[str, Any]:
    return {"type": "create", "name": name, "content": document}


def journal(old: bytes, new: bytes, form: bytes = b'{"old":"%b","new":"%b"}') -> bytes:
    return form % (base64.b64encode(old), base64.b64encode(new))


SWAPPED = AUTH_JSON.replace(b'{"a":1}', b'{"a":2}')


@pytest.mark.parametrize(
    "document", [SWAPPED, SWAPPED.replace(b'{"a":2}', b'{"a": 2}'), AUTH_JSON, AUTH_JSON + b"  "]
)
def test_documents_that_take_the_place_of_auth_json(document: bytes) -> None:
    under_locks().effect(create(document), NOW)
    under_locks().effect(create(journal(AUTH_JSON, document), "journal"), NOW)


@pytest.mark.parametrize(
    "document",
    [
        SWAPPED.replace(b"secret-token", b"evil"),
        SWAPPED.replace(b'"tokens":{"access_token":"secret-token"},', b""),
        SWAPPED.replace(b"{", b'{"evil":1,', 1),
        SWAPPED.replace(b"{", b'{"tokens":{},', 1),
        SWAPPED.replace(b"{", b'{"agent_identity":{"a":2},', 1),
        SWAPPED.replace(b'"a":2', b'"a":3'),
        SWAPPED.replace(b'{"a":2}', b"null"),
        SWAPPED.replace(b',"agent_identity":{"a":2}', b""),
        b'{"later":[1.50e1],"tokens":{"access_token":"secret-token"},"agent_identity":{"a":2}}',
        SWAPPED.replace(b"1.50e1", b"15"),
        SWAPPED + b"{}",
        b"\xef\xbb\xbf" + SWAPPED,
        SWAPPED[:-1] + b',"x":NaN}',
        SWAPPED[:-1] + b',"x":"\xff"}',
        b'{"a":' * 100_000,
        b"[]",
        b"{}\n",
        b"evil",
        b"",
    ],
)
def test_documents_that_do_not(document: bytes) -> None:
    assert refused(under_locks(), create(document), NOW) is None
    assert refused(under_locks(), create(journal(AUTH_JSON, document), "journal"), NOW) is None
    policy = under_locks()
    told(policy, create(journal(AUTH_JSON, SWAPPED), "journal"))
    told(policy, {"type": "install", "name": "journal"})
    told(policy, {"type": "read", "name": "target"}, {"stat": STAT, "content": AUTH_JSON})
    assert refused(policy, {"type": "write", "name": "target", "content": document}, NOW) is None


def test_a_document_that_is_too_large() -> None:
    largest = SWAPPED.ljust(512 << 10)
    under_locks().effect(create(largest), NOW)
    assert refused(under_locks(), create(largest + b" "), NOW) is None


@pytest.mark.parametrize(
    "content",
    [
        journal(b"{}", SWAPPED),
        journal(AUTH_JSON, b"{}"),
        journal(AUTH_JSON, SWAPPED, b'{"old":"%b","new":"%b","old":""}'),
        journal(AUTH_JSON, SWAPPED, b'{"old":"%b", "new":"%b"}'),
        journal(AUTH_JSON, SWAPPED, b'{"old":"%b","new":"%b"}\n'),
        journal(AUTH_JSON, SWAPPED + b" ").replace(b"=", b""),
        b"{}",
        b"",
    ],
)
def test_journals_that_are_not_made(content: bytes) -> None:
    assert refused(under_locks(), create(content, "journal"), NOW) is None


@pytest.mark.parametrize(
    "content",
    [
        b"evil",
        b"[]",
        b"null",
        b"",
        b'{"old":"","new":"e30"}',
        b'{"old":"!","new":"e30="}',
        b'{"old":1,"new":"e30="}',
    ],
)
def test_a_journal_that_says_nothing_is_removed_and_nothing_is_written_meanwhile(content: bytes) -> None:
    policy = under_locks(stat=STAT, content=content)
    assert refused(policy, create(SWAPPED), NOW) is None
    policy.effect({"type": "remove", "name": "journal"}, NOW)


LONGER = SWAPPED.replace(b'{"a":2}', b'{"a":"longer than it was"}')


@pytest.mark.parametrize(
    ("content", "is_torn"),
    [
        (LONGER[:82] + AUTH_JSON[82:], True),
        (LONGER[:90], True),
        (LONGER + b"  ", True),
        (AUTH_JSON, False),
        (LONGER, False),
        (b"evil", False),
        (LONGER[:82] + b"evil", False),
        (LONGER[:82], False),
        (AUTH_JSON + b" ", False),
    ],
)
def test_what_is_torn_is_written_over_with_what_its_journal_has(content: bytes, is_torn: bool) -> None:
    policy = FilePolicy(FileStart("load", "identity"))
    for lock in ("client-lock", "target-lock"):
        told(policy, {"type": "lock", "name": lock, "timeout_ms": 5000})
    told(policy, {"type": "read", "name": "journal"}, {"stat": STAT, "content": journal(AUTH_JSON, LONGER)})
    read = {"type": "read", "name": "target"}
    told(policy, read, {"stat": STAT, "content": content})
    assert refused(policy, {"type": "write", "name": "target", "content": SWAPPED}, NOW) is None
    for document in (LONGER, AUTH_JSON):
        told(policy, read, {"stat": STAT, "content": content})
        write = {"type": "write", "name": "target", "content": document + b"   "}
        assert (refused(policy, write, NOW) is not None) == is_torn
