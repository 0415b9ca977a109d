"""Who is let in by a verifier, and what others are told."""

from __future__ import annotations

import base64
import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from verification import (
    START,
    AsyncDirectory,
    AsyncInstances,
    FixedDirectory,
    FixedInstances,
    Headers,
    core,
    ended,
    good,
    instance_value,
    public,
    task_header,
)

from agentassert import AgentAssertError
from agentassert.directory import Agent, Instance, Task, TaskStatus
from agentassert.refusal_error import RefusalError
from agentassert.replays import MemoryReplays, Use
from agentassert.verifier import MAX_SKEW, Decision, Principal, Verifier

MIN5 = 300
FIELD = "X-OpenAI-Agent-Assertion"

# Fills in what a directory is asked with; both are the same rules.
VARIANTS = ["sync", "async"]


def decide(
    variant: str, verifier: Verifier, headers: Headers
) -> tuple[Principal | None, RefusalError | None]:
    """What a verifier says of a request."""
    try:
        if variant == "async":
            return ended(verifier.verify_async(headers)), None
        return verifier.verify(headers), None
    except RefusalError as error:
        return None, error


def reason(refusal: RefusalError | None) -> str:
    return refusal.reason if refusal else ""


def authorization(header: str, *more: tuple[str, str]) -> Headers:
    return [("Authorization", header), *more]


def encoded(text: bytes) -> str:
    return "AgentAssertion " + base64.urlsafe_b64encode(text).decode().rstrip("=")


def cases() -> list[tuple[str, Headers, dict[str, Any], int, str]]:
    header = task_header(1, "a", "t")
    value = header.removeprefix("AgentAssertion ")
    fed = task_header(1, "fed", "t")
    mark = ("X-OpenAI-Fedramp", "true")

    def by(agent: str, task: str, after: int = 0, seed: int = 1) -> Headers:
        return authorization(task_header(seed, agent, task, START + after))

    return [
        ("good", authorization(header), {}, 200, ""),
        ("good, with its account", authorization(header, ("ChatGPT-Account-ID", "acct-1")), {}, 200, ""),
        (
            "good, names in other case",
            [("aUTHORIZATION", header), ("CHATGPT-ACCOUNT-ID", "acct-1")],
            {},
            200,
            "",
        ),
        ("good, scheme in other case", authorization("agentassertion " + value), {}, 200, ""),
        (
            "agent without an account, which names one",
            [*by("free", "t"), ("ChatGPT-Account-ID", "x")],
            {},
            200,
            "",
        ),
        ("FedRAMP", authorization(fed, mark), {}, 200, ""),
        ("not FedRAMP, but says so", authorization(header, mark), {}, 200, ""),
        ("FedRAMP, but does not say so", authorization(fed), {}, 403, "fedramp_required"),
        ("FedRAMP, and says no", authorization(fed, (mark[0], "false")), {}, 403, "fedramp_required"),
        ("FedRAMP, and says it twice", authorization(fed, mark, mark), {}, 400, "invalid_request"),
        ("FedRAMP, with an unknown task", by("fed", "x"), {}, 401, "unknown_task"),
        ("no authorization", [], {}, 401, "unauthenticated"),
        ("an empty one", authorization(""), {}, 401, "unauthenticated"),
        ("bearer", authorization("Bearer x"), {}, 401, "unauthenticated"),
        (
            "other scheme with the same start",
            authorization("AgentAssertion2 " + value),
            {},
            401,
            "unauthenticated",
        ),
        (
            "two authorizations",
            authorization(header, ("authorization", "Bearer x")),
            {},
            400,
            "invalid_request",
        ),
        ("the same one twice", authorization(header, ("Authorization", header)), {}, 400, "invalid_request"),
        ("two in one header", authorization(header + ", Bearer x"), {}, 401, "invalid_assertion"),
        (
            "two accounts",
            authorization(header, ("ChatGPT-Account-ID", "acct-1"), ("ChatGPT-Account-ID", "acct-2")),
            {},
            400,
            "invalid_request",
        ),
        ("the scheme alone", authorization("AgentAssertion"), {}, 401, "invalid_assertion"),
        ("no base64", authorization("AgentAssertion !"), {}, 401, "invalid_assertion"),
        ("no UTF-8", authorization("AgentAssertion \udcff"), {}, 401, "invalid_assertion"),
        ("too long", authorization("AgentAssertion " + "a" * (1 << 20)), {}, 401, "invalid_assertion"),
        ("padding", authorization(encoded(b"{}") + "="), {}, 401, "invalid_assertion"),
        ("no envelope", authorization(encoded(b"{}")), {}, 401, "invalid_assertion"),
        ("cut short", authorization(header[:-4]), {}, 401, "invalid_assertion"),
        ("another key", by("a", "t", seed=2), {}, 401, "unknown_agent"),
        ("another key, too old", by("a", "t", -3600, seed=2), {}, 401, "unknown_agent"),
        ("another key, unknown task", by("a", "x", seed=2), {}, 401, "unknown_agent"),
        ("unknown agent", by("x", "t"), {}, 401, "unknown_agent"),
        ("unknown task", by("a", "x"), {}, 401, "unknown_task"),
        ("another agent's task", by("a2", "t"), {}, 401, "unknown_task"),
        ("status that there is not", by("a", "odd"), {}, 401, "unknown_task"),
        ("expired task", by("a", "old"), {}, 401, "task_expired"),
        (
            "other account",
            authorization(header, ("ChatGPT-Account-ID", "acct-2")),
            {},
            401,
            "account_mismatch",
        ),
        ("oldest", by("a", "t", -MIN5), {}, 200, ""),
        ("newest", by("a", "t", MIN5), {}, 200, ""),
        ("too old", by("a", "t", -MIN5 - 1), {}, 401, "timestamp_skew"),
        ("too new", by("a", "t", MIN5 + 1), {}, 401, "timestamp_skew"),
        ("too old, unknown task", by("a", "x", -3600), {}, 401, "timestamp_skew"),
        ("oldest of a second", by("a", "t", -1), {"skew": 1}, 200, ""),
        ("too old for a second", by("a", "t", -2), {"skew": 1}, 401, "timestamp_skew"),
        ("no skew at all", by("a", "t"), {"skew": 0}, 200, ""),
        ("a second too old for that", by("a", "t", -1), {"skew": 0}, 401, "timestamp_skew"),
        ("oldest of all", by("a", "t", -MAX_SKEW), {"skew": MAX_SKEW}, 200, ""),
        ("directory has no key", by("bare", "t"), {}, 503, "directory_failed"),
        ("directory has what is no key", by("damaged", "t"), {}, 503, "directory_failed"),
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("headers", "options", "status", "code"), [c[1:] for c in cases()], ids=[c[0] for c in cases()]
)
def test_tasks(headers: Headers, options: dict[str, Any], status: int, code: str, variant: str) -> None:
    known = good()
    decisions: list[Decision] = []
    directory = AsyncDirectory(known) if variant == "async" else known
    verifier = Verifier(directory, core=core(), now=lambda: START + 0.9, decided=decisions.append, **options)
    principal, refusal = decide(variant, verifier, headers)
    assert (refusal.status, refusal.code) == (status, code) if refusal else (status, code) == (200, "")
    [decision] = decisions
    assert (decision.principal, decision.error) == (principal, refusal)
    if principal:
        agent = known.agents[principal.agent_runtime_id]
        assert (principal.form, principal.task_id) == ("task", "t")
        assert (principal.account_id, principal.fedramp) == (agent.account_id, agent.fedramp)
        claimed = (decision.claimed_agent_runtime_id, decision.claimed_task_id)
        assert claimed == (principal.agent_runtime_id, "t")
        assert abs(principal.timestamp - START) <= MAX_SKEW


def test_timestamp() -> None:
    verifier = Verifier(good(), core=core(), now=lambda: START)
    assert verifier.verify(authorization(task_header(1, "a", "t", START - 7))).timestamp == START - 7


def test_without_a_clock() -> None:
    header = task_header(1, "a", "t", int(time.time()))
    assert Verifier(good(), core=core()).verify(authorization(header)).task_id == "t"


@pytest.mark.parametrize("variant", VARIANTS)
def test_directory_fails(variant: str) -> None:
    broken = OSError("the database at 10.0.0.1 is away")
    header = authorization(task_header(1, "a", "t"))
    for directory in (
        FixedDirectory(failure=broken),
        FixedDirectory(good().agents.values(), task_failure=broken),
    ):
        verifier = Verifier(directory, core=core(), now=lambda: START)
        principal, refusal = decide(variant, verifier, header)
        assert principal is None
        assert refusal
        assert (refusal.status, refusal.code) == (503, "directory_failed")
        assert "10.0.0.1" not in str(refusal)
        assert refusal.__cause__ is broken


def test_what_a_directory_returns_is_no_agent() -> None:
    class Odd(FixedDirectory):
        def agent(self, agent_runtime_id: str, /) -> Agent | None:
            return {"runtime_id": agent_runtime_id}  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    _, refusal = decide(
        "sync", Verifier(Odd(), core=core(), now=lambda: START), authorization(task_header(1, "a", "t"))
    )
    assert reason(refusal) == "directory_failed"


def test_coroutines_need_verify_async() -> None:
    verifier = Verifier(AsyncDirectory(good()), core=core(), now=lambda: START)
    _, refusal = decide("sync", verifier, authorization(task_header(1, "a", "t")))
    assert refusal
    assert refusal.code == "directory_failed"
    assert isinstance(refusal.__cause__, TypeError)


@pytest.mark.parametrize("now", [253_402_300_800.0, -62_135_596_801.0, float("nan"), float("inf")])
def test_a_clock_that_timestamps_cannot_write(now: float) -> None:
    _, refusal = decide(
        "sync", Verifier(good(), core=core(), now=lambda: now), authorization(task_header(1, "a", "t"))
    )
    assert refusal
    assert (refusal.status, refusal.code) == (500, "internal")


def test_a_core_that_is_closed_lets_nobody_in() -> None:
    class Closed:
        def inspect(self, header: str) -> object:
            raise AgentAssertError("closed", "the core is closed")

    verifier = Verifier(good(), core=Closed(), now=lambda: START)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _, refusal = decide("sync", verifier, authorization(task_header(1, "a", "t")))
    assert refusal
    assert (refusal.status, refusal.code) == (500, "internal")


def test_a_core_that_answers_nonsense_lets_nobody_in() -> None:
    class Nonsense:
        def inspect(self, header: str) -> object:
            return None

    verifier = Verifier(good(), core=Nonsense(), now=lambda: START)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _, refusal = decide("sync", verifier, authorization(task_header(1, "a", "t")))
    assert refusal
    assert (refusal.status, refusal.code) == (500, "internal")


@pytest.mark.parametrize(
    "options",
    [
        {"agents": None},
        {"agents": object()},
        {"instances": object()},
        {"replays": object()},
        {"skew": -1},
        {"skew": 1.5},
        {"skew": True},
        {"skew": "5"},
        {"skew": MAX_SKEW + 1},
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"agents": good(), "core": core(), **options}
    with pytest.raises(AgentAssertError) as caught:
        Verifier(**given)
    assert caught.value.code == "invalid_options"


# Each form is verified by the directory of its own, in the header field that it may stand in, and the
# principal says which it was. The agent and the instance "a" have the same id, and the same key.

AS_TASK = Principal("task", START, agent_runtime_id="a", task_id="t", account_id="acct-1")
AS_INSTANCE = Principal("instance", START, runtime_agent_instance="a", account_id="acct-1")
BESIDE = Principal("instance", START, runtime_agent_instance="a", account_id="acct-1", beside=True)


def form_cases() -> list[tuple[str, Headers, Principal | str, str]]:
    task, alone = task_header(1, "a", "t"), task_header(1, "alone", "t")
    value = instance_value(1, "a")

    def beside(instance: str, seed: int = 1, at: int = START) -> Headers:
        return [(FIELD, instance_value(seed, instance, at))]

    fed = Principal("instance", START, runtime_agent_instance="fed", fedramp=True, beside=True)
    return [
        ("task", authorization(task), AS_TASK, ""),
        ("instance", authorization("AgentAssertion " + value), AS_INSTANCE, ""),
        ("instance, scheme in lower case", authorization("agentassertion  " + value), AS_INSTANCE, ""),
        ("beside a token", authorization("Bearer x", (FIELD, value)), BESIDE, ""),
        ("beside nothing", [(FIELD, value)], BESIDE, ""),
        ("account", [(FIELD, value), ("ChatGPT-Account-ID", "acct-1")], BESIDE, ""),
        ("other account", [(FIELD, value), ("ChatGPT-Account-ID", "acct-2")], "account_mismatch", ""),
        ("FedRAMP", [*beside("fed"), ("X-OpenAI-Fedramp", "true")], fed, ""),
        ("FedRAMP without its mark", beside("fed"), "fedramp_required", ""),
        ("two assertions", authorization(task, (FIELD, value)), "invalid_request", ""),
        ("the same twice", authorization("AgentAssertion " + value, (FIELD, value)), "invalid_request", ""),
        ("field twice", [(FIELD, value), (FIELD, value)], "invalid_request", ""),
        ("task in the other field", [(FIELD, task.removeprefix("AgentAssertion "))], "invalid_assertion", ""),
        ("task with its scheme there", [(FIELD, task)], "invalid_assertion", ""),
        ("scheme in the other field", [(FIELD, "AgentAssertion " + value)], "invalid_assertion", ""),
        ("a bearer token there", [(FIELD, "Bearer x")], "invalid_assertion", ""),
        ("instance as a bearer token", authorization("Bearer " + value), "unauthenticated", ""),
        ("agent as an instance", beside("agent-alone"), "unknown_agent", ""),
        ("instance as an agent", authorization(alone), "unknown_agent", ""),
        ("unknown", beside("z"), "unknown_agent", ""),
        ("another key", beside("a", seed=2), "unknown_agent", "invalid_signature"),
        ("revoked", beside("revoked"), "runtime_instance_revoked", ""),
        ("revoked, another key", beside("revoked", seed=2), "unknown_agent", "invalid_signature"),
        ("other spelling", beside("A"), "unknown_agent", "other_spelling"),
        ("no directory", beside("broken"), "directory_failed", ""),
        ("no key", beside("keyless"), "directory_failed", ""),
        ("skew", beside("a", at=START - 360), "timestamp_skew", ""),
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("headers", "want", "why"), [c[1:] for c in form_cases()], ids=[c[0] for c in form_cases()]
)
def test_forms(headers: Headers, want: Principal | str, why: str, variant: str) -> None:
    agents = FixedDirectory(
        [Agent("a", public(1), "acct-1"), Agent("agent-alone", public(1))], [Task("t", "a")]
    )
    known = FixedInstances(
        [
            Instance("a", public(1), "acct-1"),
            Instance("fed", public(1), fedramp=True),
            Instance("revoked", public(1), revoked=True),
            Instance("alone", public(1)),
            Instance("keyless", ""),
        ]
    )
    verifier = Verifier(
        AsyncDirectory(agents) if variant == "async" else agents,
        instances=AsyncInstances(known) if variant == "async" else known,
        core=core(),
        now=lambda: START,
    )
    principal, refusal = decide(variant, verifier, headers)
    if isinstance(want, Principal):
        assert principal == want
    else:
        assert refusal
        assert (refusal.code, reason(refusal)) == (want, why or want)


def test_without_a_directory_no_instance_is_let_in() -> None:
    verifier = Verifier(good(), core=core(), now=lambda: START)
    _, refusal = decide("sync", verifier, [(FIELD, instance_value(1, "a"))])
    assert reason(refusal) == "unauthenticated"


class Collated(FixedDirectory):
    """A database that takes two spellings for the same text."""

    def agent(self, agent_runtime_id: str, /) -> Agent | None:
        return super().agent(agent_runtime_id.lower().strip())

    def task(self, agent_runtime_id: str, task_id: str, /) -> Task | None:
        return super().task(agent_runtime_id, task_id.lower().strip())


class Stolen(FixedDirectory):
    """One that returns another agent's task."""

    def task(self, agent_runtime_id: str, task_id: str, /) -> Task | None:
        return Task(task_id, "someone-else")


@pytest.mark.parametrize(
    ("kind", "agent", "task", "code", "why"),
    [
        (Collated, "a", "t", "", ""),
        (Collated, "A", "t", "unknown_agent", "other_spelling"),
        (Collated, "a ", "t", "unknown_agent", "other_spelling"),
        (Collated, "a", "T", "unknown_task", "other_spelling"),
        (Collated, "a", "old ", "unknown_task", "other_spelling"),
        (Stolen, "a", "t", "unknown_task", "other_spelling"),
        (Collated, "a", "x", "unknown_task", "unknown_task"),
    ],
)
def test_spellings(kind: type[FixedDirectory], agent: str, task: str, code: str, why: str) -> None:
    directory = kind(
        [Agent("a", public(1), "acct-1")], [Task("t", "a"), Task("old", "a", TaskStatus.EXPIRED)]
    )
    verifier = Verifier(directory, core=core(), now=lambda: START)
    principal, refusal = decide("sync", verifier, authorization(task_header(1, agent, task)))
    if not code:
        assert principal == AS_TASK
        return
    assert refusal
    assert (refusal.status, refusal.code, reason(refusal)) == (401, code, why)


def test_unknown_agents_and_bad_signatures_look_alike() -> None:
    directory = Collated([Agent("a", public(1), "acct-1", fedramp=True)], [Task("t", "a")])
    verifier = Verifier(directory, core=core(), now=lambda: START)
    for task, account, after in [
        ("t", "acct-1", 0),
        ("t", "acct-2", 0),
        ("x", "acct-1", 0),
        ("t", "acct-1", -3600),
        ("t", "acct-1", 3600),
    ]:
        told: set[tuple[int, str, str]] = set()
        reasons: list[str] = []
        for seed, agent in [(2, "b"), (2, "a"), (1, "A")]:
            header = task_header(seed, agent, task, START + after)
            _, refusal = decide("sync", verifier, authorization(header, ("ChatGPT-Account-ID", account)))
            assert refusal
            told.add((refusal.status, refusal.code, refusal.message))
            reasons.append(reason(refusal))
        assert len(told) == 1
        assert reasons == ["unknown_agent", "invalid_signature", "other_spelling"]


def test_decisions_show_no_assertion() -> None:
    decisions: list[Decision] = []
    verifier = Verifier(good(), core=core(), now=lambda: START, decided=decisions.append)
    for seed in (1, 2):
        header = task_header(seed, "a", "t")
        decide("sync", verifier, authorization(header))
        credential = header.removeprefix("AgentAssertion ")
        signature = json.loads(base64.urlsafe_b64decode(credential + "=" * (-len(credential) % 4)))[
            "signature"
        ]
        for text in (repr(decisions[-1]), str(decisions[-1]), repr(decisions[-1].error)):
            assert credential not in text
            assert signature not in text


def test_refusals_can_be_pickled() -> None:
    refusal = RefusalError(401, "unknown_agent", "no such agent")
    again: RefusalError = pickle.loads(pickle.dumps(refusal))
    assert (again.status, again.code, again.message) == (401, "unknown_agent", "no such agent")
    assert str(again) == str(refusal)


def test_the_reason_is_that_of_the_innermost_refusal() -> None:
    outer = RefusalError(401, "unknown_agent", "no such agent")
    assert outer.reason == "unknown_agent"
    outer.__cause__ = OSError("the database is away")
    assert outer.reason == "unknown_agent"
    outer.__cause__.__cause__ = RefusalError(401, "other_spelling", "spelled otherwise")
    assert outer.reason == "other_spelling"


class Recording:
    """Takes note of uses, and says what it is told to."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.answer: object = False

    def replayed(self, use: Use, /) -> bool:
        self.uses.append(use)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def respelled(header: str) -> str:
    """The same assertion in an envelope of another form."""
    text = header.removeprefix("AgentAssertion ")
    envelope = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return encoded(json.dumps(dict(reversed(envelope.items())), indent=1).encode())


@pytest.mark.parametrize("variant", VARIANTS)
def test_replays_are_asked_last(variant: str) -> None:
    replays = Recording()

    class AsyncRecording:
        async def replayed(self, use: Use, /) -> bool:
            return replays.replayed(use)

    known = FixedDirectory([Agent("a", public(1), "acct-1", fedramp=True)], [Task("t", "a"), Task("u", "a")])
    hook = AsyncRecording() if variant == "async" else replays
    verifier = Verifier(known, core=core(), now=lambda: START, skew=60, replays=hook)

    def verify(header: str, fedramp: str = "true") -> str:
        _, refusal = decide(variant, verifier, authorization(header, ("X-OpenAI-Fedramp", fedramp)))
        return reason(refusal)

    good = task_header(1, "a", "t", START - 1)
    assert verify(task_header(2, "a", "t")) == "invalid_signature"
    assert verify(task_header(1, "a", "t", START - 3600)) == "timestamp_skew"
    assert verify(task_header(1, "a", "x")) == "unknown_task"
    assert verify(good, "false") == "fedramp_required"
    assert replays.uses == []

    for header in (good, respelled(good), task_header(1, "a", "u", START - 1), task_header(1, "a", "t")):
        assert verify(header) == ""
    first, again, *others = replays.uses
    assert first == Use(first.digest, "a", "t", "", "acct-1", False, START, START + 60)
    assert first.digest == again.digest
    assert len(first.digest) == 32
    assert len({first.digest, *(use.digest for use in others)}) == 3

    replays.answer = True
    assert verify(good) == "replayed_assertion"
    for wrong in (OSError("the cache is away"), None, "no"):
        replays.answer = wrong
        _, refusal = decide(variant, verifier, authorization(good, ("X-OpenAI-Fedramp", "true")))
        assert refusal
        assert (refusal.status, refusal.code) == (503, "replay_check_failed")
        assert refusal.__cause__ is wrong or isinstance(refusal.__cause__, TypeError)


def test_a_task_can_be_used_again_by_default() -> None:
    verifier = Verifier(good(), core=core(), now=lambda: START)
    for _ in range(3):
        assert verifier.verify(authorization(task_header(1, "a", "t"))).task_id == "t"


@pytest.mark.parametrize(
    "replays", [None, MemoryReplays(reuse=3600)], ids=["by default", "tasks can be used again"]
)
def test_an_instances_assertion_is_for_one_request(replays: MemoryReplays | None) -> None:
    now = [START]
    verifier = Verifier(
        FixedDirectory(),
        instances=FixedInstances([Instance("a", public(1)), Instance("b", public(1))]),
        core=core(),
        now=lambda: now[0],
        replays=replays,
    )

    def verify(value: str) -> str:
        return reason(decide("sync", verifier, [(FIELD, value)])[1])

    value = instance_value(1, "a")
    begin = threading.Barrier(8)

    def use(n: int) -> str:
        if n < 8:
            begin.wait(60)
        return verify(value)

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(use, range(40)))
    assert sorted(said) == [""] + ["replayed_assertion"] * 39
    assert verify(instance_value(1, "a", START + 1)) == "replayed_assertion"
    assert verify(instance_value(1, "a", n=2)) == ""
    assert verify(instance_value(1, "b")) == ""
    now[0] = START + 300
    assert verify(value) == "replayed_assertion"
    now[0] = START + 301
    assert verify(value) == "timestamp_skew"


def test_where_no_more_can_be_remembered_what_is_new_is_refused() -> None:
    verifier = Verifier(
        FixedDirectory(),
        instances=FixedInstances([Instance("a", public(1))]),
        core=core(),
        now=lambda: START,
        replays=MemoryReplays(max_total=2),
    )
    said = [reason(decide("sync", verifier, [(FIELD, instance_value(1, "a", n=n))])[1]) for n in range(3)]
    assert said == ["", "", "capacity_exceeded"]


def use_of(n: int, at: float, expires: float, account: str = "acct-1", once: bool = False) -> Use:
    return Use(n.to_bytes(32, "big"), "agent", "task", "", account, once, at, expires)


def test_memory_replays() -> None:
    replays = MemoryReplays(reuse=2, max_total=3, max_per_account=2)
    assert not replays.replayed(use_of(1, 100, 200))
    assert not replays.replayed(use_of(1, 102, 200))
    assert not replays.replayed(use_of(1, 50, 200))  # a clock that was set back
    assert replays.replayed(use_of(1, 102.5, 200))
    assert replays.replayed(use_of(1, 100, 200, once=True))
    assert not replays.replayed(use_of(2, 100, 210))
    with pytest.raises(RefusalError, match="account") as caught:
        replays.replayed(use_of(3, 100, 200))
    assert (caught.value.status, caught.value.code) == (429, "quota_exceeded")
    assert not replays.replayed(use_of(3, 100, 200, account=""))
    with pytest.raises(RefusalError) as caught:
        replays.replayed(use_of(4, 100, 200, account="acct-2"))
    assert (caught.value.status, caught.value.code) == (503, "capacity_exceeded")
    assert len(replays) == 3
    assert replays.replayed(use_of(1, 259, 200))
    # Each is forgotten a minute after it has expired, and makes room.
    assert not replays.replayed(use_of(1, 260, 400))
    assert len(replays) == 2
    assert not replays.replayed(use_of(5, 270, 400))


@pytest.mark.parametrize("options", [{"reuse": -1}, {"max_total": -1}, {"max_per_account": -1}])
def test_memory_replays_options(options: dict[str, Any]) -> None:
    with pytest.raises(AgentAssertError) as caught:
        MemoryReplays(**options)
    assert caught.value.code == "invalid_options"
