"""Who sent a request: the checks of a server that is called with AgentAssertions."""

from __future__ import annotations

import hashlib
import inspect
import time
from calendar import timegm
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .core import AgentAssert
from .directory import TaskStatus
from .errors import AgentAssertError
from .refusal_error import RefusalError
from .replays import MemoryReplays, Use

if TYPE_CHECKING:
    from .directory import Agent, Directory, Instance, InstanceDirectory, Task
    from .replays import Replays
    from .results import Inspection

DEFAULT_SKEW = 300
"""How far a timestamp may be from the verifier's clock, in either direction, unless something else is asked
for; in seconds."""
MAX_SKEW = 900
"""The most that can be asked for: whoever reads an assertion can use it for up to twice the skew, and a
clock that is further off is not imprecise but wrong."""

SCHEME = "AgentAssertion"

_ASSERTION = "x-openai-agent-assertion"  # of an instance, beside a bearer token
_ACCOUNT = "chatgpt-account-id"
_FEDRAMP = "x-openai-fedramp"
_SHOWN = {
    "authorization": "Authorization",
    _ASSERTION: "X-OpenAI-Agent-Assertion",
    _ACCOUNT: "ChatGPT-Account-ID",
    _FEDRAMP: "X-OpenAI-Fedramp",
}

_INSTANCE_VERSION = "1."  # what the assertion of a runtime agent instance begins with

# Years 1 to 9999, which is what calendars here and timestamps of the protocol have in common.
_FIRST_TIME, _LAST_TIME = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True)
class Principal:
    """Who has proven a key: an agent, on a task that it was granted, or a runtime agent instance.
    Neither is ever the other. All but ``timestamp`` are the directory's, never the request's."""

    form: str
    """``task``, with ``agent_runtime_id`` and ``task_id``, or ``instance``, with
    ``runtime_agent_instance``."""
    timestamp: int
    """When the assertion was made, by the agent's clock, in Unix seconds."""
    agent_runtime_id: str = ""
    task_id: str = ""
    runtime_agent_instance: str = ""
    account_id: str = ""
    fedramp: bool = False
    beside: bool = False
    """Whether the assertion stands in ``X-OpenAI-Agent-Assertion``. The verifier has not looked at the
    bearer token that goes with it in ``Authorization``."""


@dataclass(frozen=True)
class Decision:
    """What a verifier decided about one request. It holds no secret."""

    time: float
    """When it was decided, by the verifier's clock, in Unix seconds."""
    claimed_agent_runtime_id: str = ""
    """What the request says, up to 4096 bytes, here and in the next two. It proves nothing, and is empty
    where there was no assertion to read."""
    claimed_task_id: str = ""
    claimed_runtime_agent_instance: str = ""
    principal: Principal | None = None
    """Who was let in, or None."""
    error: RefusalError | None = None
    """Why nobody was let in, as the client is told, or None. Its ``reason`` says what it is not told."""


class Verifier:
    """Checks AgentAssertions. Threads and event loops can share one.

    An assertion does not cover the request that carries it, and can be sent again until its timestamp
    is too old, unless ``replays`` remembers it: serve it over TLS, and treat it as the credential that
    it is.
    """

    def __init__(
        self,
        agents: Directory,
        *,
        instances: InstanceDirectory | None = None,
        replays: Replays | None = None,
        skew: int = DEFAULT_SKEW,
        now: Callable[[], float] = time.time,
        decided: Callable[[Decision], None] | None = None,
        core: AgentAssert | None = None,
    ) -> None:
        """Make a verifier.

        Args:
            agents: Where agents and tasks are looked up.
            instances: Where runtime agent instances are looked up; without it none is let in.
            replays: Is asked about each assertion that is good in every other respect. Without it an
                assertion of a task can be used until its timestamp is too old, and that is how clients
                of this protocol expect it: time counts in seconds for them, so the calls that they
                make on a task within one second carry the same assertion. One of a runtime agent
                instance is for one request: without it, these are remembered in this process, as
                MemoryReplays does.
            skew: How far a timestamp may be from ``now``, in seconds, from 0 to MAX_SKEW.
            now: The clock, in Unix seconds.
            decided: Is told of each decision, before the request goes on or is answered, and learns
                the reason, unlike the client. It must not block.
            core: What AgentAssert.load returns; by default one is loaded.

        Raises:
            AgentAssertError: ``invalid_options``; and those of AgentAssert.load.
        """
        if type(skew) is not int or not 0 <= skew <= MAX_SKEW:
            raise _invalid_options(f"skew is not in whole seconds from 0 to {MAX_SKEW}")
        for name, directory, methods in (
            ("agents", agents, ("agent", "task")),
            ("instances", instances, ("instance",)),
            ("replays", replays, ("replayed",)),
        ):
            optional = name != "agents"
            if not (optional and directory is None) and not all(
                callable(getattr(directory, method, None)) for method in methods
            ):
                raise _invalid_options(f"{name} has no method {' and no method '.join(methods)}")
        self._agents = agents
        self._instances = instances
        self._replays = replays
        self._instance_replays = replays if replays is not None else MemoryReplays()
        self._skew = skew
        self._now = now
        self._decided = decided
        self._core = core if core is not None else AgentAssert.load()
        self._nobody = ""

    def verify(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """Say who sent a request: the agent whose task's assertion is in ``Authorization``, or the
        runtime agent instance whose assertion is there or in ``X-OpenAI-Agent-Assertion``.

        It also reads ``ChatGPT-Account-ID``, which may be absent, and for a FedRAMP account
        ``X-OpenAI-Fedramp``; it refuses a request that has one of them twice, or two assertions.

        Args:
            headers: All header fields of the request, with names in whatever case. A field that stands
                twice is there twice.

        Raises:
            RefusalError: With status 401 ``unauthenticated`` (there is no assertion),
                ``invalid_assertion``, ``unknown_agent``, ``timestamp_skew``, ``account_mismatch``,
                ``unknown_task``, ``task_expired``, ``runtime_instance_revoked``; and
                ``invalid_request`` (400), ``fedramp_required`` and ``replayed_assertion`` (403),
                ``replay_check_failed`` and ``directory_failed`` (503), ``internal`` (500). Whoever
                lacks the agent's key gets the same ``unknown_agent`` whether there is such an agent or
                not; its ``reason`` tells the two apart, and is not for the client to know.
        """
        flow = self._decide(headers)
        question = next(flow)
        try:
            while True:
                try:
                    answer = question()
                    if inspect.isawaitable(answer):
                        _close(answer)
                        raise TypeError("a directory's coroutine is for verify_async")
                except Exception as error:
                    question = flow.throw(error)
                else:
                    question = flow.send(answer)
        except StopIteration as end:
            return self._said(end.value)

    async def verify_async(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """Say who sent a request, as ``verify`` does, with directories and replays whose methods may be
        coroutines."""
        flow = self._decide(headers)
        question = next(flow)
        try:
            while True:
                try:
                    answer = question()
                    if inspect.isawaitable(answer):
                        answer = await answer
                except Exception as error:
                    question = flow.throw(error)
                else:
                    question = flow.send(answer)
        except StopIteration as end:
            return self._said(end.value)

    def _said(self, decision: Decision) -> Principal:
        if self._decided:
            self._decided(decision)
        if decision.principal is None:
            raise decision.error or _internal()
        return decision.principal

    def _decide(self, headers: Iterable[tuple[str, str]]) -> Generator[_Question, Any, Decision]:
        """Ask what has to be looked up, and return the decision. The first question is none: so that
        both drivers are loops without a special case."""
        yield _nothing
        now = self._now()
        claim = _Claim()
        principal: Principal | None = None
        refusal: RefusalError | None = None
        try:
            if not _FIRST_TIME <= now <= _LAST_TIME:
                raise _internal()
            fields = _Fields(headers)
            principal = yield from self._authenticate(fields, int(now // 1), claim)
            _check_fedramp(fields, principal)
            # Last, so that a request that is refused uses nothing up.
            yield from self._check_replay(principal, claim, now)
        except RefusalError as error:
            principal, refusal = None, error
        except Exception as error:
            principal, refusal = None, _internal()
            refusal.__cause__ = error
        return Decision(
            time=now,
            claimed_agent_runtime_id=claim.agent_runtime_id,
            claimed_task_id=claim.task_id,
            claimed_runtime_agent_instance=claim.runtime_agent_instance,
            principal=principal,
            error=refusal,
        )

    def _authenticate(self, fields: _Fields, now: int, claim: _Claim) -> Generator[_Question, Any, Principal]:
        """Check the credential alone, which leaves out X-OpenAI-Fedramp and what was used before."""
        header = fields.single("authorization")
        beside = fields.single(_ASSERTION)
        account = fields.single(_ACCOUNT)
        scheme, _, credential = header.partition(" ")
        asserts = scheme.lower() == SCHEME.lower()
        if not asserts and not beside:
            raise RefusalError(401, "unauthenticated", "the request carries no AgentAssertion")
        if asserts and beside:
            raise RefusalError(
                400,
                "invalid_request",
                "the request carries two assertions, in Authorization and in X-OpenAI-Agent-Assertion",
            )
        if beside:
            principal = yield from self._authenticate_instance(beside, account, now, claim)
            return replace(principal, beside=True)
        value = credential.lstrip(" ")
        if value.startswith(_INSTANCE_VERSION):
            return (yield from self._authenticate_instance(value, account, now, claim))
        return (yield from self._authenticate_task(header, account, now, claim))

    def _authenticate_task(
        self, header: str, account: str, now: int, claim: _Claim
    ) -> Generator[_Question, Any, Principal]:
        inspection = self._inspect(header)
        if inspection.form != "task":
            raise _internal()  # this is what begins otherwise
        envelope = inspection.envelope
        claim.agent_runtime_id, claim.task_id = envelope.agent_runtime_id, envelope.task_id
        agent: Agent | None
        unknown: RefusalError | None
        agent, unknown = yield from _look_up(
            partial(self._agents.agent, claim.agent_runtime_id), "agent", "runtime_id", claim.agent_runtime_id
        )
        # It also checks the timestamp. Both come before everything that only the agent itself is to be
        # told.
        self._check_signature(self._core.verify, agent, header, now, unknown)
        if agent is None:  # nobody's signature is good
            raise _internal()
        if account and agent.account_id and account != agent.account_id:
            raise RefusalError(
                401,
                "account_mismatch",
                "the header ChatGPT-Account-ID names another account than the agent's",
            )
        try:
            task: Task | None = yield partial(self._agents.task, agent.runtime_id, claim.task_id)
        except Exception as error:
            raise _directory_failed() from error
        task_id = _checked_task(task, agent.runtime_id, claim.task_id)
        return Principal(
            form="task",
            timestamp=timegm(time.strptime(envelope.timestamp, "%Y-%m-%dT%H:%M:%SZ")),
            agent_runtime_id=agent.runtime_id,
            task_id=task_id,
            account_id=agent.account_id,
            fedramp=agent.fedramp,
        )

    def _authenticate_instance(
        self, value: str, account: str, now: int, claim: _Claim
    ) -> Generator[_Question, Any, Principal]:
        """Check the assertion of a runtime agent instance."""
        if self._instances is None:
            raise RefusalError(401, "unauthenticated", "no runtime agent instances are let in here")
        inspection = self._inspect(f"{SCHEME} {value}")
        if inspection.form != "instance":
            raise RefusalError(
                401,
                "invalid_assertion",
                "the header X-OpenAI-Agent-Assertion has no assertion of a runtime agent instance",
            )
        claims = inspection.instance
        claim.runtime_agent_instance, claim.assertion_id = claims.runtime_agent_instance, claims.id
        instance: Instance | None
        unknown: RefusalError | None
        instance, unknown = yield from _look_up(
            partial(self._instances.instance, claim.runtime_agent_instance),
            "runtime agent instance",
            "id",
            claim.runtime_agent_instance,
        )
        self._check_signature(self._core.verify_instance, instance, value, now, unknown)
        if instance is None:
            raise _internal()
        if instance.revoked:
            raise RefusalError(
                401,
                "runtime_instance_revoked",
                "the runtime agent instance was revoked; register another",
            )
        if account and instance.account_id and account != instance.account_id:
            raise RefusalError(
                401,
                "account_mismatch",
                "the header ChatGPT-Account-ID names another account than the instance's",
            )
        return Principal(
            form="instance",
            timestamp=claims.iat,
            runtime_agent_instance=instance.id,
            account_id=instance.account_id,
            fedramp=instance.fedramp,
        )

    def _inspect(self, header: str) -> Inspection:
        try:
            return self._core.inspect(header)
        except AgentAssertError as error:
            if error.code in {"invalid_assertion", "invalid_request"}:
                raise RefusalError(401, "invalid_assertion", error.message) from None
            raise _internal() from error

    def _check_signature(
        self,
        check: Callable[..., object],
        known: Agent | Instance | None,
        header: str,
        now: int,
        unknown: RefusalError | None,
    ) -> None:
        """Refuse an assertion that whoever is known has not signed, or not lately. Who is unknown has a
        key that nobody has, so that checking takes as long as another's."""
        public_key = known.public_key if known else self._nobodys_key()
        failed: AgentAssertError | None = None
        try:
            check(public_key=public_key, header=header, now=now, skew=self._skew)
        except AgentAssertError as error:
            failed = error
        if unknown is None and failed and failed.code == "bad_signature":
            unknown = RefusalError(401, "invalid_signature", failed.message)
        if unknown:
            raise RefusalError(
                401,
                "unknown_agent",
                "no agent with this id and this key is registered here, or it was revoked",
            ) from unknown
        if not failed:
            return
        if failed.code == "timestamp_skew":
            raise RefusalError(401, "timestamp_skew", failed.message)
        if failed.code in {"invalid_public_key", "invalid_request"}:
            raise _directory_failed() from failed  # the one argument that is not checked yet
        raise _internal() from failed

    def _nobodys_key(self) -> str:
        """Return a key that nobody has."""
        if not self._nobody:
            self._nobody = self._core.generate_key().public_key
        return self._nobody

    def _check_replay(
        self, principal: Principal, claim: _Claim, now: float
    ) -> Generator[_Question, Any, None]:
        once = principal.form == "instance"
        replays = self._instance_replays if once else self._replays
        if replays is None:
            return
        if once:
            # No id has a control character, so this is no other's, and no task's.
            signed = f"{principal.runtime_agent_instance}\0{claim.assertion_id}"
        else:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(principal.timestamp))
            signed = f"{principal.agent_runtime_id}:{principal.task_id}:{at}"
        use = Use(
            digest=hashlib.sha256(signed.encode()).digest(),
            agent_runtime_id=principal.agent_runtime_id,
            task_id=principal.task_id,
            runtime_agent_instance=principal.runtime_agent_instance,
            account_id=principal.account_id,
            once=once,
            time=now,
            expires=principal.timestamp + self._skew + 1,
        )
        try:
            replayed: object = yield partial(replays.replayed, use)
            if not isinstance(replayed, bool):
                raise TypeError("replayed returned neither True nor False")
        except Exception as error:
            raise RefusalError(
                503,
                "replay_check_failed",
                "whether the assertion was used before could not be told; try again later",
            ) from error
        if replayed:
            raise RefusalError(
                403,
                "replayed_assertion",
                "the assertion was used before; sign another one, in another second",
            )


_Question = Callable[[], "object | Awaitable[object]"]


def _nothing() -> None:
    """Ask nothing."""


def _close(answer: object) -> None:
    """Close a coroutine that nobody will await, so that Python does not complain of it."""
    close = getattr(answer, "close", None)
    if callable(close):
        close()


class _Claim:
    """What a request says of itself."""

    def __init__(self) -> None:
        self.agent_runtime_id = ""
        self.task_id = ""
        self.runtime_agent_instance = ""
        self.assertion_id = ""  # of a runtime agent instance's assertion


class _Fields:
    """The header fields of a request that a verifier reads."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {name: [] for name in _SHOWN}
        for name, value in headers:
            values = self._values.get(name.lower())
            if values is not None:
                values.append(value)

    def single(self, name: str) -> str:
        """Return the value of a field, or nothing where there is none."""
        values = self._values[name]
        if len(values) > 1:
            raise RefusalError(400, "invalid_request", f"the header {_SHOWN[name]} stands more than once")
        return values[0] if values else ""


def _look_up(
    question: _Question, what: str, key: str, wanted: str
) -> Generator[_Question, Any, tuple[Any, RefusalError | None]]:
    """Return what a directory has, or None and why it is unknown."""
    try:
        found: Any = yield question
        if found is None:
            return None, RefusalError(401, "unknown_agent", f"the directory does not know the {what}")
        if not isinstance(found.public_key, str) or not found.public_key:
            raise ValueError(f"the directory returned no key of the {what}")
        spelled = getattr(found, key)
    except Exception as error:
        raise _directory_failed() from error
    if spelled != wanted:
        return None, RefusalError(
            401, "other_spelling", f"the directory found a {what} whose id is spelled otherwise"
        )
    return found, None


def _checked_task(task: Task | None, agent_runtime_id: str, task_id: str) -> str:
    """Return a task's id, as the directory has it, if the agent can use it."""
    unknown = RefusalError(401, "unknown_task", "the agent was granted no such task")
    # Others than these two let nobody in.
    if task is None or task.status not in (TaskStatus.ACTIVE, TaskStatus.EXPIRED):
        raise unknown
    if task.id != task_id or task.agent_runtime_id != agent_runtime_id:
        raise unknown from RefusalError(
            401,
            "other_spelling",
            "the directory found a task whose id, or whose agent's, is spelled otherwise",
        )
    if task.status is TaskStatus.EXPIRED:
        raise RefusalError(401, "task_expired", "the task has expired; register a new one")
    return task.id


def _check_fedramp(fields: _Fields, principal: Principal) -> None:
    """Refuse a request for a FedRAMP account that does not say so. One that says so for another account
    is let pass."""
    if principal.fedramp and fields.single(_FEDRAMP) != "true":
        # Upon a 401 a client would replace the task or the token, which are good.
        raise RefusalError(
            403,
            "fedramp_required",
            "a request for a FedRAMP account carries the header X-OpenAI-Fedramp: true",
        )


def _directory_failed() -> RefusalError:
    return RefusalError(503, "directory_failed", "the agent could not be looked up; try again later")


def _internal() -> RefusalError:
    return RefusalError(500, "internal", "the verifier failed unexpectedly")


def _invalid_options(problem: str) -> AgentAssertError:
    return AgentAssertError("invalid_options", f"the verifier's options: {problem}")
