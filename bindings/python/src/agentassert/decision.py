"""Which calls an agent can make, and to which backend.

That is the manager's own to say, from its options and the credentials: whoever says it
decides who gets the user's token.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from .messages import Credentials, CredentialsKind, FlowConfig, Mode, Profile, Reason, Scope, SurfaceName
from .place import place_of
from .untrusted import size_of

SCOPES: dict[str, Scope] = {
    "apps": "background",
    "connectors": "background",
    "plugins": "background",
    "mcp": "background",
    "analytics": "background",
    "skills": "background",
    "models": "background",
    "cloud-tasks": "background",
    "cloud-requirements": "background",
    "remote-control": "background",
    "responses": "thread",
    "file-upload": "thread",
    "mcp-file-upload": "thread",
    "safety-monitor": "thread",
    "bootstrap": "bearer-only",
    "background": "background",
}
"""The surfaces of the protocol, and whose authorization each gets."""

APPS_PATH = "/wham/apps"
"""Where the apps' MCP server is, below the base URL."""

_PATHS: tuple[tuple[str, SurfaceName], ...] = (
    ("/authenticate_app_v2", "bootstrap"),
    ("/v1/agent", "bootstrap"),
    ("/connectors/directory/list", "connectors"),
    ("/plugins", "plugins"),
    ("/ps/plugins", "plugins"),
    (APPS_PATH, "mcp"),
    ("/codex/analytics-events", "analytics"),
    ("/hazelnuts", "skills"),
    ("/codex/models", "models"),
    ("/wham/tasks", "cloud-tasks"),
    ("/wham/config/requirements", "cloud-requirements"),
    ("/wham/remote/control/server", "remote-control"),
    ("/codex/responses", "responses"),
    ("/files", "file-upload"),
)
"""Which surface the calls to a path below the base URL, and below that, belong to."""

_MAX_ID = 4096
_MAX_TOKEN = 64 << 10

_KINDS: dict[str, tuple[CredentialsKind, ...]] = {
    "biscuit": ("chatgpt",),
    "auth-api": ("chatgpt", "agent-identity"),
    "instances": ("chatgpt", "api-key"),
}
"""Which credentials can have an agent, by the profile."""

_PROFILES: tuple[Profile, ...] = get_args(Profile)
_ALL_KINDS: frozenset[str] = frozenset(get_args(CredentialsKind))

_value = re.compile("[\x21-\x7e]*")
_control = re.compile("[\x00-\x1f]")


@dataclass(frozen=True)
class Decided:
    """What a call carries, and why."""

    mode: Mode
    reason: Reason


def surface_of(path: str) -> SurfaceName:
    """Return the surface of a call by its path below the base URL, without the query.

    None of the known paths is below another.
    """
    for known, surface in _PATHS:
        if f"{path}/".startswith(f"{known}/"):
            return surface
    return "background"


def account_of(config: FlowConfig, credentials: Credentials) -> str:
    """Return the account that a call is for, or "".

    One workspace that is forced takes the place of the credentials'.
    """
    forced = config.get("forced_workspace_ids", [])
    return (len(forced) == 1 and forced[0]) or credentials.get("account_id", "")


def decide(config: FlowConfig, surface: str, credentials: Credentials) -> Decided | None:
    """Return what a call carries if the agent can be had.

    It goes by the first rules of the core's decision. None stands for a call to which
    nothing could be given.
    """
    kind = credentials["kind"]
    scope, place = SCOPES.get(surface), place_of(config["base_url"])
    account, profile = account_of(config, credentials), profile_of(config, credentials)
    forced = config.get("forced_workspace_ids", [])
    if scope is None or place is None or profile is None or not _is_sendable(credentials, forced):
        return None

    def bearer(reason: Reason) -> Decided:
        if kind == "api-key":
            return Decided("none", reason)
        if not credentials.get("access_token"):
            return Decided("none", "no-access-token")
        return Decided("bearer", reason)

    if kind not in _KINDS[profile]:
        return Decided("none", "no-chatgpt-credentials")
    if len(forced) > 1 and account not in forced:
        return Decided("none", "workspace-not-allowed")
    if scope == "bearer-only" and kind != "agent-identity":
        return bearer("bearer-only-surface")
    if not config["agent_identity"]:
        return bearer("feature-off")
    asserted = _asserted_on(surface, scope, profile, config, kind)
    if asserted is None:
        return bearer("bearer-surface")
    if scope != "thread" and not is_supported_host(place.host, config.get("trusted_hosts", ())):
        return bearer("unsupported-host")
    return bearer("no-account-id") if account == "" and kind != "api-key" else asserted


def profile_of(config: FlowConfig, credentials: Credentials) -> Profile | None:
    """Return the profile of a call, or None if there is no such.

    With an identity in place of a sign-in there is no access token, and so there are no
    biscuits.
    """
    configured = config.get("profile", "biscuit")
    for profile in _PROFILES:
        if profile == configured:
            found: Profile = "auth-api" if credentials["kind"] == "agent-identity" else profile
            return found
    return None


def header_mode_of(config: FlowConfig) -> str | None:
    """Return how the assertions of an instance are carried, where that is configured."""
    instance = config.get("instance")
    return None if instance is None else instance.get("header_mode")


def is_supported_host(host: str, trusted_hosts: Sequence[str]) -> bool:
    """Report whether background calls to a host, as Place has it, carry assertions."""
    return (
        host in ("chatgpt.com", "chat.openai.com", "chatgpt-staging.com")
        or host.endswith((".chatgpt.com", ".chatgpt-staging.com"))
        or any(_is_host(trusted, host) for trusted in trusted_hosts)
    )


def _is_host(trusted: str, host: str) -> bool:
    place = place_of(f"https://{trusted}") or place_of(f"https://[{trusted}]")
    if place is None or place.path != "" or place.port != 443:
        return False
    return place.host == host or _address(place.host) == _address(host) is not None


def _address(host: str) -> ipaddress.IPv6Address | None:
    """Return the address that a host in brackets stands for: the same one can be written in several ways."""
    try:
        return ipaddress.IPv6Address(host[1:-1]) if host.startswith("[") else None
    except ValueError:
        return None


def _asserted_on(
    surface: str, scope: Scope, profile: Profile, config: FlowConfig, kind: CredentialsKind
) -> Decided | None:
    """Return what a call on a surface asserts, or None where its profile has it carry the user's token."""
    if profile == "biscuit":
        return Decided("agent-assertion", "thread-task" if scope == "thread" else "background-task")
    if profile == "auth-api":
        if surface == "responses" or kind == "agent-identity":
            return Decided("agent-assertion", "identity-task")
        return Decided("agent-assertion", "all-surfaces") if config.get("all_surfaces") else None
    is_alone = header_mode_of(config) == "assertion_only"
    return Decided("agent-assertion" if is_alone else "dual-header", "runtime-instance")


def _is_sendable(credentials: Credentials, forced_workspace_ids: Sequence[str]) -> bool:
    """Report whether credentials can be sent in a header, and would be read as one."""

    def is_value(value: str, size: int) -> bool:
        return len(value) <= size and _value.fullmatch(value) is not None

    user = credentials.get("user_id", "")
    return (
        credentials["kind"] in _ALL_KINDS
        and is_value(credentials.get("access_token", ""), _MAX_TOKEN)
        and all(is_value(i, _MAX_ID) for i in (credentials.get("account_id", ""), *forced_workspace_ids))
        and size_of(user) <= _MAX_ID
        and _control.search(user) is None
    )
