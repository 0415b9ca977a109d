"""The messages of the ABI that a caller sees, as wasm/agentassert.cddl has them.

Names are the ABI's. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SurfaceName = Literal[
    "apps",
    "connectors",
    "plugins",
    "mcp",
    "analytics",
    "skills",
    "models",
    "cloud-tasks",
    "cloud-requirements",
    "remote-control",
    "responses",
    "file-upload",
    "mcp-file-upload",
    "safety-monitor",
    "bootstrap",
    "background",
]
"""One kind of backend call."""

Scope = Literal["background", "thread", "bearer-only"]
"""Whose authorization a surface gets."""

Mode = Literal["none", "bearer", "agent-assertion", "dual-header"]
"""What a call carries.

With ``dual-header`` that is the user's token, or API key, and an assertion in a header
field of its own.
"""

Reason = Literal[
    "no-chatgpt-credentials",
    "workspace-not-allowed",
    "bearer-only-surface",
    "feature-off",
    "bearer-surface",
    "unsupported-host",
    "no-account-id",
    "background-task",
    "thread-task",
    "identity-task",
    "all-surfaces",
    "runtime-instance",
    "registration-failed",
    "registration-unavailable",
    "store-failed",
    "workspace-routing-failed",
    "assertion-rejected",
    "no-access-token",
]
"""Why it carries that."""

CredentialsKind = Literal["none", "chatgpt", "api-key", "agent-identity", "other"]
"""How the user has signed in."""

Profile = Literal["biscuit", "auth-api", "instances"]
"""The form of the protocol.

``biscuit`` is the default; ``auth-api`` is what clients do today; ``instances`` has a
runtime agent instance for each manager.
"""


class Problem(TypedDict):
    """What is wrong, or should be known. It holds no secret."""

    code: str
    """Stable: the same in every language."""
    message: str
    """For people."""


class _CredentialsKind(TypedDict):
    kind: CredentialsKind


class Credentials(_CredentialsKind, total=False):
    """The signed-in user's credentials."""

    access_token: str
    """Secret. Of kind ``api-key`` it is the key; kind ``agent-identity`` has none."""
    account_id: str
    user_id: str
    fedramp: bool
    """Calls are marked for a FedRAMP account."""
    email: str
    """What the id token says. Later clients refuse an auth.json whose identity lacks it."""
    plan_type: str
    """The same."""
    problem: Problem
    """Why there are none, or none that can be used, where whoever looked for them knows."""


class ABOM(TypedDict):
    """What the agent is made of. It is sent once, when an identity is registered."""

    agent_version: str
    agent_harness_id: str
    running_location: str


class InstanceConfig(TypedDict):
    """How calls carry the assertions of a runtime agent instance, and what its registration says."""

    header_mode: Literal["dual_header", "assertion_only"]
    """In X-OpenAI-Agent-Assertion, beside the user's token; or in Authorization, in its place."""
    installation_id: str
    """The text of the file installation_id in the client's folder."""
    harness: str
    """The harness's name; its version is the ABOM's."""
    role: str
    """What the instance is for in it."""


class Pauses(TypedDict):
    """How long the backend is left alone after a registration has failed.

    Both are in seconds, less what chance takes away. Where both are 0 there are no pauses,
    and nothing is remembered of failures.
    """

    first: int
    """After one failure. It doubles with each failure more: from 1 to most."""
    most: int
    """Where that ends: 86400 at most."""


class JWTIdentity(TypedDict):
    """An identity that arrived as a JWT, from ``identity_jwt.read``."""

    credentials: Credentials
    record: bytes
    """The record for the slot ``identity``. It holds the private key."""
    expires: int
    """From when on another JWT is needed."""


class _FlowConfig(TypedDict):
    base_url: str
    agent_identity: bool
    abom: ABOM


class FlowConfig(_FlowConfig, total=False):
    """The configuration of a flow."""

    trusted_hosts: list[str]
    forced_workspace_ids: list[str]
    profile: str
    auth_api_url: str
    all_surfaces: bool
    instance: InstanceConfig
    workspace_routing: bool
    pauses: Pauses
    capabilities: list[str]


class Rejection(TypedDict, total=False):
    """The task, or the runtime agent instance, whose assertion was answered with 401."""

    agent_runtime_id: str
    task_id: str
    runtime_agent_instance: str
    code: str
    """The code of the answer's error, where it has one."""
    date: str
    """The answer's header field of that name, as it was sent."""


class Header(TypedDict):
    """A header field. Its name is in lower case."""

    name: str
    value: str


class _Start(TypedDict):
    type: Literal["start"]
    config: FlowConfig
    surface: str
    credentials: Credentials


class Start(_Start, total=False):
    """Begins a flow."""

    thread_id: str
    rejected: Rejection
    entropy: bytes
    """In the profile ``instances``: 16 bytes for the assertion's id."""


class _Loaded(TypedDict):
    type: Literal["loaded"]


class Loaded(_Loaded, total=False):
    """Answers the effect ``load``."""

    record: bytes


class Entropy(TypedDict):
    """Answers the effect ``entropy``."""

    type: Literal["entropy"]
    entropy: bytes


class _Response(TypedDict):
    type: Literal["response"]
    status: int


class Response(_Response, total=False):
    """Answers the effect ``http``."""

    headers: list[Header]
    body: bytes


class Done(TypedDict):
    """Answers an effect that says no more than that it was carried out."""

    type: Literal["done", "woke"]


FailureKind = Literal["timeout", "connect", "tls", "too-large", "canceled", "store", "read-only", "changed"]
"""How an effect failed."""


class Failed(TypedDict):
    """Says that an effect could not be carried out."""

    type: Literal["failed"]
    failure: FailureKind


FlowEvent = Start | Loaded | Entropy | Response | Done | Failed
"""What happened, told to a flow."""


class SlotEffect(TypedDict):
    """An effect on a slot, and no more than that."""

    type: Literal["load", "lock", "unlock", "probe", "delete"]
    slot: str


class SaveEffect(TypedDict):
    """Replaces the record in a slot."""

    type: Literal["save"]
    slot: str
    record: bytes


class _SwapEffect(TypedDict):
    type: Literal["swap"]
    slot: str


class SwapEffect(_SwapEffect, total=False):
    """Replaces a record if it is still the expected one."""

    expected: bytes
    record: bytes


class EntropyEffect(TypedDict):
    """Draws so many bytes."""

    type: Literal["entropy"]
    size: int


class WaitEffect(TypedDict):
    """Waits, in milliseconds."""

    type: Literal["wait"]
    wait_ms: int


class _HTTPEffect(TypedDict):
    type: Literal["http"]
    method: Literal["GET", "POST"]
    url: str
    headers: list[Header]
    timeout_ms: int
    size_limit: int


class HTTPEffect(_HTTPEffect, total=False):
    """A request that a flow wants to be sent."""

    body: bytes
    response_headers: list[str]


class _FlowAuthorization(TypedDict):
    mode: Mode
    reason: Reason
    valid_until: int


class FlowAuthorization(_FlowAuthorization, total=False):
    """A flow's answer."""

    header: str
    agent_assertion: str
    account_id: str
    agent_runtime_id: str
    task_id: str
    runtime_agent_instance: str
    fedramp: bool
    responses_origin: str
    account_routing_override: str
    retry_at: int
    cause: Problem
    notice: Problem


class DoneEffect(TypedDict):
    """The end of a flow."""

    type: Literal["done"]
    authorization: FlowAuthorization


FlowEffect = SlotEffect | SaveEffect | SwapEffect | EntropyEffect | WaitEffect | HTTPEffect | DoneEffect
"""What a flow wants done."""
