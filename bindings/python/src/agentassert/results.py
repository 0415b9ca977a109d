"""What the core's methods return. Times are Unix seconds. The core's messages, wasm/agentassert.cddl,
have the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .answer import boolean, integer, not_a_message, part, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public key."""

    private_key: str = field(repr=False)
    """PKCS#8 in base64, padded. Secret."""
    public_key: str
    """In OpenSSH form: ``ssh-ed25519 AAAA…``."""


@dataclass(frozen=True)
class Envelope:
    """What the assertion of a task says."""

    agent_runtime_id: str
    task_id: str
    timestamp: str
    """RFC 3339, UTC, whole seconds."""
    signature: str
    """64 bytes in base64, padded."""


@dataclass(frozen=True)
class InstanceClaims:
    """What the assertion of a runtime agent instance says."""

    runtime_agent_instance: str
    iat: int
    """When it was made."""
    id: str
    """Another one for each request."""
    signature: str
    """64 bytes in base64url, without padding."""


@dataclass(frozen=True)
class TaskInspection:
    """The assertion of a task, taken apart."""

    envelope: Envelope
    canonical: bool
    """Whether it is the one encoding that clients send."""
    form: Literal["task"] = "task"


@dataclass(frozen=True)
class InstanceInspection:
    """The assertion of a runtime agent instance, taken apart."""

    instance: InstanceClaims
    canonical: bool
    """Whether it is the one encoding that clients send."""
    form: Literal["instance"] = "instance"


Inspection: TypeAlias = TaskInspection | InstanceInspection
"""An assertion taken apart."""


@dataclass(frozen=True)
class RegistrationProof:
    """The signature that registers a task."""

    signature: str
    """64 bytes in base64, padded."""
    timestamp: str
    """RFC 3339, UTC, whole seconds."""


@dataclass(frozen=True)
class BaseURL:
    """The base URL that a configured one stands for."""

    base_url: str
    host: str
    supported: bool
    """Whether background calls to this host carry assertions."""


@dataclass(frozen=True)
class Surface:
    """One kind of backend call, and whose authorization it gets: docs/protocol.md has both lists."""

    surface: str
    scope: str
    method: str = ""
    """That of a typical call, where there is one."""
    path: str = ""
    """Likewise, below the base URL."""


@dataclass(frozen=True)
class Location:
    """Where a URL is, as seen from a base URL."""

    inside: bool
    """Whether it is the base URL or below it: only then may a call be authorized."""
    surface: str = ""
    """The call's surface and scope, where it is inside."""
    scope: str = ""


def inspection(result: dict[str, Any]) -> Inspection:
    """Return an assertion taken apart. An answer that is none raises ``sandbox_failed``."""
    form = text(result, "form")
    if form == "task":
        return task_inspection(result)
    if form == "instance":
        return instance_inspection(result)
    raise not_a_message()


def task_inspection(result: dict[str, Any]) -> TaskInspection:
    """Return the assertion of a task taken apart. An answer that is none raises ``sandbox_failed``."""
    envelope = part(result, "envelope")
    return TaskInspection(
        Envelope(
            agent_runtime_id=text(envelope, "agent_runtime_id"),
            task_id=text(envelope, "task_id"),
            timestamp=text(envelope, "timestamp"),
            signature=text(envelope, "signature"),
        ),
        canonical=boolean(result, "canonical"),
    )


def instance_inspection(result: dict[str, Any]) -> InstanceInspection:
    """Return the assertion of a runtime agent instance taken apart. An answer that is none raises
    ``sandbox_failed``."""
    instance = part(result, "instance")
    return InstanceInspection(
        InstanceClaims(
            runtime_agent_instance=text(instance, "runtime_agent_instance"),
            iat=integer(instance, "iat"),
            id=text(instance, "id"),
            signature=text(instance, "signature"),
        ),
        canonical=boolean(result, "canonical"),
    )
