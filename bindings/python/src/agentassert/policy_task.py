"""What the profiles have in common whose agents assert tasks."""

from __future__ import annotations

import json
import re
import time

from .messages import FlowAuthorization, FlowConfig
from .policy_profile import MAX_ID, Request, Slots, base64url, check_body, decoded_base64url, is_id

IDENTITY_SLOTS: Slots = {
    "load": ("identity", "backoff", "backend", "set-aside"),
    "lock": ("identity",),
    "probe": ("identity",),
    "save": ("backoff", "backend", "set-aside"),
    "delete": ("backoff",),
    "swap": ("identity",),
}
"""The slots that the profiles with a stored identity use.

It is swapped, and not saved, and nothing but the failures is ever removed.
"""

_segment = re.compile("(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+")
_header = re.compile("AgentAssertion ([A-Za-z0-9_-]+)")
# The signature's 64 bytes in base64 are the one part that only the module knows.
_signature = re.compile(rb'"signature":"([A-Za-z0-9+/]{85}[AQgw]==)","task_id":')


def is_identity_url(url: str, registrar: str) -> bool:
    """Report whether a URL registers the identity."""
    return url == f"{registrar}/v1/agent/register"


def check_identity(request: Request, config: FlowConfig) -> None:
    """Want the registration of an identity to say what the configuration has it say.

    It is with some key that the module has made.
    """
    is_auth_api = config.get("profile") == "auth-api"
    abom = config["abom"]

    def body(public_key: str) -> dict[str, object]:
        names = ("agent_version", "agent_harness_id", "running_location")
        own = ["responsesapi"] if is_auth_api else []
        members: dict[str, object] = {
            "abom": {name: abom.get(name) for name in names},
            "agent_public_key": public_key,
            "capabilities": config.get("capabilities", own),
        }
        return {**members, "ttl": None} if is_auth_api else members

    check_body(request, "agent_public_key", body)


def is_task_url(url: str, registrar: str) -> bool:
    """Report whether a URL registers a task for an agent of whatever id.

    The id is one segment, of which no server can make several.
    """
    before, after = f"{registrar}/v1/agent/", "/task/register"
    agent = url[len(before) : -len(after)]
    return (
        url == before + agent + after
        and len(agent) <= 3 * MAX_ID  # with every byte escaped
        and _segment.fullmatch(agent) is not None
        and agent not in (".", "..")
    )


def is_task_assertion(answer: FlowAuthorization) -> bool:
    """Report whether an answer's header says what the answer does.

    It is the canonical form of a task's assertion, and nothing else.
    """
    agent, task = answer.get("agent_runtime_id", ""), answer.get("task_id", "")
    match = _header.fullmatch(answer.get("header", ""))
    is_named = is_id(agent) and is_id(task) and ":" not in agent
    if answer.get("runtime_agent_instance") or answer.get("agent_assertion") or not is_named or match is None:
        return False
    encoded = match[1]
    if len(encoded) % 4 == 1:
        return False
    signature = _signature.search(decoded_base64url(encoded))
    if signature is None:
        return False
    envelope = {
        "agent_runtime_id": agent,
        "signature": signature[1].decode(),
        "task_id": task,
        "timestamp": timestamp_of(answer["valid_until"]),
    }
    return encoded == base64url(json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode())


def timestamp_of(seconds: int) -> str:
    """Return a time of the years 0 to 9999 as assertions have it."""
    at = time.gmtime(seconds)  # datetime has no year 0
    return (
        f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}Z"
    )
