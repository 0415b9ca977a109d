"""What a call carries, and why."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .errors import AgentAssertError
from .failures import failure
from .messages import CredentialsKind, FlowAuthorization, Mode, Problem, Reason, Rejection
from .secret import Secret

if TYPE_CHECKING:
    from .policy import FlowPolicy


class Authorization(Secret):
    """What a call carries, and why. It does not change, and threads can share one.

    Printing it, or logging it, does not show a header field.
    """

    __slots__ = (
        "__weakref__",
        "_agent_assertion",
        "_call",
        "_header",
        "_is_api_key",
        "_manager",
        "account_id",
        "account_routing_override",
        "agent_runtime_id",
        "cause",
        "fedramp",
        "mode",
        "notice",
        "reason",
        "responses_origin",
        "retry_at",
        "runtime_agent_instance",
        "task_id",
        "valid_until",
    )

    mode: Mode
    reason: Reason
    account_id: str
    """Goes with the call in ChatGPT-Account-ID, unless it is empty."""
    agent_runtime_id: str
    """That of a task's assertion; else empty."""
    task_id: str
    """The same."""
    runtime_agent_instance: str
    """That of an instance's assertion, in the profile ``instances``; else empty."""
    fedramp: bool
    """Whether the call goes with X-OpenAI-Fedramp: true."""
    responses_origin: str
    """Where the call goes, or empty.

    The origin, with https, takes the place of the base URL's, with the same path and
    query; follow no redirect. The clients of this package see to it.
    """
    account_routing_override: str
    """Goes with the call in X-OpenAI-Account-Routing-Override, unless it is empty."""
    valid_until: int
    """The last second in which the answer stays right, in Unix seconds. Ask again for a later call."""
    retry_at: int | None
    """After a failed registration, from when on it is tried again, in Unix seconds."""
    cause: AgentAssertError | None
    """What failed, where something did. The call can be made all the same, with what the mode says."""
    notice: AgentAssertError | None
    """What the user should know although nothing failed: that an access token has expired, for one."""

    _header: str
    _agent_assertion: str
    _is_api_key: bool
    _manager: object
    _call: Call | None

    def __init__(
        self, answer: FlowAuthorization, kind: CredentialsKind, host_error: BaseException | None = None
    ) -> None:
        """For managers."""
        put = object.__setattr__
        put(self, "mode", answer["mode"])
        put(self, "reason", answer["reason"])
        put(self, "valid_until", answer["valid_until"])
        for name in (
            "account_id",
            "agent_runtime_id",
            "task_id",
            "runtime_agent_instance",
            "responses_origin",
            "account_routing_override",
        ):
            put(self, name, answer.get(name, ""))
        put(self, "fedramp", answer.get("fedramp", False))
        put(self, "retry_at", answer.get("retry_at"))
        put(self, "cause", _error_of(answer.get("cause"), host_error))
        put(self, "notice", _error_of(answer.get("notice"), None))
        put(self, "_header", answer.get("header", ""))
        put(self, "_agent_assertion", answer.get("agent_assertion", ""))
        put(self, "_is_api_key", kind == "api-key")
        put(self, "_manager", None)
        put(self, "_call", None)

    @property
    def header(self) -> str:
        """The value of the Authorization header, or "" in mode none and beside an API key. It is a secret."""
        return self._header

    @property
    def agent_assertion(self) -> str:
        """The value of the X-OpenAI-Agent-Assertion header, or "" in any mode but dual-header.

        It is a secret, and for one request.
        """
        return self._agent_assertion

    @property
    def asserts(self) -> bool:
        """Whether the call carries an assertion."""
        return self.mode in ("agent-assertion", "dual-header")

    @property
    def leaves_authorization(self) -> bool:
        """Whether the caller's own Authorization stays: with an API key there is none of ours, but for
        an assertion.
        """
        return self._is_api_key and self.header == ""

    def headers(self) -> dict[str, str]:
        """Return the header fields of the call, for clients that are given a dict. They are secret."""
        return {name: value for name, value in self._fields() if value != ""}

    def set_headers(self, headers: MutableMapping[str, str]) -> None:
        """Set the header fields of the call, and remove those under the same names that it must not carry.

        The names are compared without regard to case, whatever kind of mapping it is.
        Who signed in with an API key sends that, so that the caller's own Authorization
        stays, unless an assertion takes its place.
        """
        for name, value in self._fields():
            if name == "Authorization" and self.leaves_authorization:
                continue
            for given in [given for given in headers if given.lower() == name.lower()]:
                headers.pop(given, None)
            if value != "":
                headers[name] = value

    def bind(self, manager: object, call: Call) -> None:
        """For managers: remembers which call this was made for, and by which of them."""
        object.__setattr__(self, "_manager", manager)
        object.__setattr__(self, "_call", call)

    def call_for(self, manager: object) -> Call | None:
        """For managers: returns the call that this was made for, if it was by that one."""
        return self._call if self._manager is manager else None

    def __str__(self) -> str:
        return f"{self.mode} ({self.reason})"

    def __repr__(self) -> str:
        ids = {
            "account_id": self.account_id,
            "agent_runtime_id": self.agent_runtime_id,
            "task_id": self.task_id,
            "runtime_agent_instance": self.runtime_agent_instance,
            "cause": self.cause and self.cause.code,
            "notice": self.notice and self.notice.code,
        }
        shown = "".join(f", {name}={value!r}" for name, value in ids.items() if value)
        return f"<Authorization {self.mode}, reason={self.reason!r}{shown}>"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("an Authorization does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("an Authorization does not change")

    def _fields(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Authorization", self.header),
            ("X-OpenAI-Agent-Assertion", self.agent_assertion),
            ("ChatGPT-Account-ID", "" if self.mode == "none" else self.account_id),
            ("X-OpenAI-Fedramp", "true" if self.fedramp else ""),
            ("X-OpenAI-Account-Routing-Override", self.account_routing_override),
        )


@dataclass(repr=False)
class Kept(Secret):
    """Where the answer of a second stays."""

    answer: Answer | None = None


@dataclass(frozen=True, repr=False)
class Call(Secret):
    """What an authorization was made for."""

    surface: str
    key: tuple[str, ...]
    """The same for calls that one flow can serve."""
    kept: Kept
    """Where the answer stays for the rest of its second."""
    thread_id: str | None = None
    """The conversation's id, on a thread's surface."""
    rejected: Rejection | None = None
    """The task, or the instance, to replace."""


@dataclass(frozen=True, repr=False)
class Answer(Secret):
    """What a flow came to, and what it takes to make another assertion of it."""

    authorization: Authorization
    kind: CredentialsKind
    state: bytes | None
    """The core's, if it has ended with the assertion of a runtime agent instance. Secret."""
    policy: FlowPolicy
    process: object
    """Stands for the process that it is for."""


def _error_of(problem: Problem | None, cause: BaseException | None) -> AgentAssertError | None:
    return None if problem is None else failure(problem["code"], problem["message"], cause)
