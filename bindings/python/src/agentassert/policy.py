"""What the manager lets a module do.

Which of the effects that a flow asks for it carries out, and which answers it believes.
wasm/ABI.md has the rules, and testvectors/hosts the vectors. The module that runs may be
anybody's, so nothing here asks it: what is right follows from the manager's own options,
from the call, and from what the backend has answered in the same flow.
"""

from __future__ import annotations

from typing import cast, get_args

from .decision import account_of, decide, profile_of
from .messages import (
    FlowAuthorization,
    FlowEffect,
    FlowEvent,
    Header,
    HTTPEffect,
    Mode,
    Reason,
    SaveEffect,
    SlotEffect,
    SwapEffect,
)
from .policy_auth_api import AuthAPIPolicy
from .policy_biscuit import BiscuitPolicy
from .policy_instances import InstancesPolicy
from .policy_profile import PolicyCall, ProfilePolicy, Request
from .policy_routing import RoutingPolicy
from .secret import Secret
from .untrusted import (
    Members,
    bytes_in,
    integer_in,
    list_in,
    members_of,
    problem_in,
    text_in,
    texts_in,
    violation,
)

ID_SIZE = 16
"""How much entropy the id of an instance's assertion takes, in bytes."""

# The bounds, in bytes and milliseconds. Each is above what the core ever asks for.
_MAX_ENTROPY = 64  # a key and the ids of two requests
_MAX_WAIT = 10_000  # one pause between two tries
_MAX_TIMEOUT = 30_000  # the longest that a client of the protocol waits for an answer
_MAX_RESPONSE = 64 << 10  # the largest answer that the protocol has
_MAX_REQUEST = 80 << 10  # three texts of 4096 bytes, with every byte escaped, and the rest
# Two registrations, each tried three times, and the same again for an agent that the
# backend does not know.
_MAX_REQUESTS = 16
_MAX_RECORD = 512 << 10
# The years 0 to 9999, in Unix seconds.
_LEAST_TIME, _MOST_TIME = -62167219200, 253402300799

_MODES: frozenset[str] = frozenset(get_args(Mode))
_REASONS: frozenset[str] = frozenset(get_args(Reason))

_OF_THE_LAST_ANSWER = (
    "mode",
    "reason",
    "agent_runtime_id",
    "task_id",
    "runtime_agent_instance",
    "responses_origin",
    "account_routing_override",
)


class FlowPolicy(Secret):
    """Checks the effects and the answer of one flow.

    What it raises is policy_violation, and ends the flow.
    """

    def __init__(self, call: PolicyCall) -> None:
        self._call = call
        self._account = account_of(call.config, call.credentials)
        # What the call carries if the agent can be had, or None if nothing can be said of it.
        self._decided = decide(call.config, call.surface, call.credentials)
        # Which requests and slots are the flow's.
        self._profile = _profile_policy(call)
        # What else is, where the call's origin is asked for.
        self._routing = RoutingPolicy(call, self._account, self._profile, self._decided)
        # What the id of the call's own assertion is made of, in the profile instances.
        self._entropy = call.entropy
        self._requests = 0
        # The slots whose locks the flow has asked for, and not given back.
        self._locked: set[str] = set()
        # The last answer with an assertion.
        self._asserted: FlowAuthorization | None = None

    def effect(self, message: object, now: int) -> FlowEffect:
        """Return an effect as it can be carried out, or the answer as it can be believed.

        Now is the time of the event before it.
        """
        members = members_of(message)
        kind = text_in(members, "type")
        if kind == "done":
            answer = self._answer(members_of(members.get("authorization")), now, self._entropy)
            if self._asserts and self._decided is not None and answer["mode"] == self._decided.mode:
                self._asserted = answer
            return {"type": "done", "authorization": answer}
        if not self._asserts and not self._is_routing(members, kind):
            raise violation("an effect", "for a call that no agent can make")
        if kind == "load" or kind == "probe" or kind == "delete":
            return cast(SlotEffect, {"type": kind, "slot": self._slot(members, kind)})
        if kind == "save":
            return self._save(members)
        if kind == "swap":
            return self._swap(members)
        if kind == "lock":
            return self._lock(members)
        if kind == "unlock":
            return self._unlock(members)
        if kind == "entropy":
            return {"type": "entropy", "size": integer_in(members, "size", 1, _MAX_ENTROPY)}
        if kind == "wait":
            if not self._profile.waits:
                raise violation("a pause", "in a profile that has none")
            return {"type": "wait", "wait_ms": integer_in(members, "wait_ms", 1, _MAX_WAIT)}
        if kind == "http":
            return self._http(members)
        raise violation("an effect", "that this package does not know")

    def again(self, authorization: object, entropy: bytes, now: int) -> FlowAuthorization:
        """Return the answer to the event again, with that entropy, as it can be believed.

        It is the flow's last one, but for the assertion. Safe for concurrent use.
        """
        answer = self._answer(members_of(authorization), now, entropy)
        last = self._asserted
        if last is None or any(answer.get(name, "") != last.get(name, "") for name in _OF_THE_LAST_ANSWER):
            raise violation("an answer", "that is not the last one's")
        return answer

    def answered(self, effect: FlowEffect, event: FlowEvent) -> None:
        """Take note of what an effect came to."""
        if effect["type"] == "entropy" and event["type"] == "entropy":
            if len(event["entropy"]) == ID_SIZE:
                self._entropy = event["entropy"]  # for the call's own assertion, if its id is made of some
        elif effect["type"] == "http" and event["type"] == "response":
            self._profile.answered(effect, event)

    @property
    def _asserts(self) -> bool:
        """Whether the call carries an assertion if the agent can be had."""
        return self._decided is not None and self._decided.mode in ("agent-assertion", "dual-header")

    def _is_routing(self, members: Members, kind: str) -> bool:
        """Whether an effect belongs to the question where the call goes."""
        if kind == "http":
            return self._routing.is_question(text_in(members, "url"))
        return self._routing.has_slot(kind, text_in(members, "slot"))

    def _slot(self, members: Members, kind: str) -> str:
        """Return an effect's slot: one that the profile, or the question where the call goes, has for
        its type.
        """
        slot = text_in(members, "slot")
        if slot == "backoff" and self._has_no_pauses:
            raise violation("what is remembered of failures", "where there are no pauses")
        if not self._profile.has_slot(kind, slot) and not self._routing.has_slot(kind, slot):
            raise violation("a slot", "that is none of this call's for such an effect")
        return slot

    @property
    def _has_no_pauses(self) -> bool:
        pauses = self._call.config.get("pauses")
        return pauses is not None and pauses.get("most") == 0

    def _save(self, members: Members) -> SaveEffect:
        slot = self._slot(members, "save")
        record = _record_in(members, "record")
        if record is None:
            raise violation("a record", "that is empty")
        return {"type": "save", "slot": slot, "record": record}

    def _swap(self, members: Members) -> SwapEffect:
        """Let an identity be replaced, and never removed."""
        effect: SwapEffect = {"type": "swap", "slot": self._slot(members, "swap")}
        expected, record = _record_in(members, "expected"), _record_in(members, "record")
        if record is None:
            raise violation("the removal of an identity", "that no other takes the place of")
        effect["record"] = record
        if expected is not None:
            effect["expected"] = expected
        return effect

    def _lock(self, members: Members) -> SlotEffect:
        """Let pass a lock that the flow does not have.

        None may come after the identity's: two flows could then wait for each other.
        """
        slot = self._slot(members, "lock")
        if slot in self._locked or "identity" in self._locked:
            raise violation("a lock", "that it could wait for for good")
        self._locked.add(slot)
        return {"type": "lock", "slot": slot}

    def _unlock(self, members: Members) -> SlotEffect:
        slot = text_in(members, "slot")
        if slot not in self._locked:
            raise violation("to give back a lock", "that it does not have")
        self._locked.remove(slot)
        return {"type": "unlock", "slot": slot}

    def _http(self, members: Members) -> HTTPEffect:
        """Let pass the requests of a registration, as the profile has them, and the question where
        the call goes.
        """
        method, body = text_in(members, "method"), bytes_in(members, "body")
        if method not in ("GET", "POST") or len(body or b"") > _MAX_REQUEST:
            raise violation("a request", "of another method, or that is too large")
        fields = _fields_in(members)
        headers: list[Header] = [{"name": name, "value": value} for name, value in fields.items()]
        effect: HTTPEffect = {
            "type": "http",
            "method": "GET" if method == "GET" else "POST",
            "url": text_in(members, "url"),
            "headers": headers,
            "timeout_ms": integer_in(members, "timeout_ms", 1, _MAX_TIMEOUT),
            "size_limit": integer_in(members, "size_limit", 1, _MAX_RESPONSE),
        }
        wanted = texts_in(members, "response_headers")
        if body is not None:
            effect["body"] = body
        if wanted:
            effect["response_headers"] = wanted
        self._requests += 1
        if self._requests > _MAX_REQUESTS or not self._locked:
            raise violation("a request", "without a lock, or after more than any flow makes")
        request = Request(effect, fields)
        if self._routing.is_question(effect["url"]):
            self._routing.check_question(request, self._locked, self._entropy)
            return effect
        registrar = self._profile.registrar
        if registrar is None:
            raise violation("a request", "to an auth API that nobody knows")
        self._profile.check_request(request, registrar)
        return effect

    @property
    def _may_bear(self) -> bool:
        """Whether a call can carry the user's token.

        One in a conversation does not where the agent could have been had, except in the
        profile auth-api.
        """
        credentials, config = self._call.credentials, self._call.config
        kind = credentials["kind"]
        is_none = self._decided is None or self._decided.mode == "none"
        if not credentials.get("access_token") or kind == "api-key" or is_none:
            return False
        is_turn = bool(self._call.thread_id) and kind != "agent-identity"
        return not self._asserts or not is_turn or config.get("profile") == "auth-api"

    def _answer(self, members: Members, now: int, entropy: bytes | None) -> FlowAuthorization:
        """Return an answer that can be believed.

        Whether the assertion's signature is good is not looked at: whoever makes a wrong
        one has only made a call that fails.
        """
        mode, reason = text_in(members, "mode"), text_in(members, "reason")
        valid_until = integer_in(members, "valid_until", _LEAST_TIME, _MOST_TIME)
        if self._decided is None or valid_until != now or reason not in _REASONS:
            raise violation("an answer", "to a call that has none, for another second, or without a reason")
        if mode not in _MODES:
            raise violation("a mode", "that is none")
        answer: FlowAuthorization = {
            "mode": cast(Mode, mode),
            "reason": cast(Reason, reason),
            "valid_until": valid_until,
            "header": text_in(members, "header"),
            "agent_assertion": text_in(members, "agent_assertion"),
            "account_id": text_in(members, "account_id"),
            "agent_runtime_id": text_in(members, "agent_runtime_id"),
            "task_id": text_in(members, "task_id"),
            "runtime_agent_instance": text_in(members, "runtime_agent_instance"),
            "fedramp": self._call.credentials.get("fedramp") is True and mode != "none",
            "responses_origin": text_in(members, "responses_origin"),
            "account_routing_override": text_in(members, "account_routing_override"),
        }
        if answer["account_id"] != self._account and (answer["account_id"] != "" or mode != "none"):
            raise violation("an account", "that is not the call's")
        if members.get("fedramp", False) is not answer["fedramp"]:
            raise violation("a mark for FedRAMP", "that is not the call's")
        if "retry_at" in members:
            answer["retry_at"] = integer_in(members, "retry_at", 0, _MOST_TIME)
        cause, notice = problem_in(members, "cause"), problem_in(members, "notice")
        if cause is not None:
            answer["cause"] = cause
        if notice is not None:
            answer["notice"] = notice
        self._routing.check_answer(answer)
        self._check_carried(answer, entropy)
        return answer

    def _check_carried(self, answer: FlowAuthorization, entropy: bytes | None) -> None:
        """Check what an answer has the call carry."""
        mode, header = answer["mode"], answer.get("header", "")
        has_agent = any(
            (
                answer.get("agent_runtime_id"),
                answer.get("task_id"),
                answer.get("runtime_agent_instance"),
                answer.get("agent_assertion"),
            )
        )
        if mode == "none":
            if header or has_agent:
                raise violation("an authorization", "where there is none")
        elif mode == "bearer":
            bearer = f"Bearer {self._call.credentials.get('access_token', '')}"
            if not self._may_bear or header != bearer or has_agent:
                raise violation("a bearer token", "that is not the user's, or not for this call")
        else:
            decided = self._decided
            is_decided = decided is not None and (decided.mode, decided.reason) == (mode, answer["reason"])
            if not is_decided or not self._profile.is_assertion(answer, entropy):
                raise violation(
                    "an assertion", "that is not the answer's, or for a call that no agent can make"
                )


def _profile_policy(call: PolicyCall) -> ProfilePolicy:
    """Return what the call's profile adds.

    Of a profile that there is not, nothing is decided, and so nothing done.
    """
    profile = profile_of(call.config, call.credentials)
    if profile == "auth-api":
        return AuthAPIPolicy(call)
    return InstancesPolicy(call) if profile == "instances" else BiscuitPolicy(call)


def _record_in(members: Members, name: str) -> bytes | None:
    record = bytes_in(members, name)
    if record is not None and len(record) > _MAX_RECORD:
        raise violation("a record", "that is too large")
    return record


def _fields_in(members: Members) -> dict[str, str]:
    """Return header fields by their names, each of which is there once."""
    fields: dict[str, str] = {}
    for header in map(members_of, list_in(members, "headers")):
        name = text_in(header, "name")
        if name in fields:
            raise violation("a header field", "that stands twice")
        fields[name] = text_in(header, "value")
    return fields
