"""What a manager is told, checked: what would fail later, and less clearly, is refused."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from .base_url import check_secure, checked_base_url
from .core import AgentAssert
from .errors import AgentAssertError
from .messages import ABOM, Credentials, FlowConfig, InstanceConfig, JWTIdentity, Pauses
from .shapes import is_mapping, is_sequence
from .sign_in import checked_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cbor import Value

_DEFAULT_ABOM: ABOM = {
    "agent_version": "0",
    "agent_harness_id": "agentassert-python",
    "running_location": "python",
}


def invalid(problem: str) -> AgentAssertError:
    """Return the error of an option that cannot be."""
    return AgentAssertError("invalid_manager_config", f"the manager's options: {problem}")


def config_of(
    core: AgentAssert,
    *,
    base_url: str,
    agent_identity: bool,
    trusted_hosts: Sequence[str],
    forced_workspace_ids: Sequence[str],
    abom: ABOM | None,
    profile: str,
    auth_api_url: str | None,
    all_surfaces: bool,
    instance: InstanceConfig | None,
    workspace_routing: bool,
    pauses: Pauses | None,
    capabilities: Sequence[str],
    allow_http: bool,
) -> FlowConfig:
    """Return the configuration of a manager's flows.

    Raises:
        AgentAssertError: ``invalid_manager_config``, ``invalid_base_url``,
            ``insecure_base_url``, ``invalid_trusted_host``, ``policy_violation``.
    """
    base_url = text(base_url, "base_url")
    hosts = texts(trusted_hosts, "trusted_hosts")
    params: dict[str, Value] = {"url": base_url}
    if hosts:
        params["trusted_hosts"] = hosts
    base = checked_base_url(base_url, core.call("base_url.normalize", params).get("base_url"))
    config: FlowConfig = {
        "base_url": base,
        "agent_identity": flag(agent_identity, "agent_identity"),
        "abom": _DEFAULT_ABOM if abom is None else cast(ABOM, members(abom, "abom")),
    }
    if hosts:
        config["trusted_hosts"] = hosts
    forced = texts(forced_workspace_ids, "forced_workspace_ids")
    if forced:
        config["forced_workspace_ids"] = forced
    if text(profile, "profile") != "biscuit":
        config["profile"] = profile  # others than the protocol's are the core's to refuse
    if auth_api_url:
        config["auth_api_url"] = text(auth_api_url, "auth_api_url")
    if flag(all_surfaces, "all_surfaces"):
        config["all_surfaces"] = True
    if instance is not None:
        config["instance"] = cast(InstanceConfig, members(instance, "instance"))
    if flag(workspace_routing, "workspace_routing"):
        config["workspace_routing"] = True
    if pauses is not None:
        config["pauses"] = cast(Pauses, members(pauses, "pauses"))
    listed = texts(capabilities, "capabilities")
    if listed:
        config["capabilities"] = listed
    if not flag(allow_http, "allow_http"):
        check_secure("base_url", base)
        if auth_api_url:
            check_secure("auth_api_url", auth_api_url)
    return config


def credentials_of(
    credentials: Credentials | Callable[[], Any] | None, jwt_identity: JWTIdentity | None, store: object
) -> Credentials | Callable[[], Any] | None:
    """Return the source of credentials: None where the store is asked.

    Raises:
        AgentAssertError: ``invalid_manager_config`` where there is none; ``invalid_request``.
    """
    if jwt_identity is not None:
        return checked_credentials(jwt_identity["credentials"])
    if credentials is None:
        if not callable(getattr(store, "credentials", None)):
            raise invalid("there are no credentials, and the store knows of none")
        return None
    return credentials if callable(credentials) else checked_credentials(credentials)


def check_jwt_identity(jwt_identity: object) -> None:
    """Refuse what is no identity that arrived as a JWT."""
    if not is_mapping(jwt_identity) or not isinstance(jwt_identity.get("record"), bytes):
        raise invalid("jwt_identity is not what identity_jwt.read returns")
    if not is_mapping(jwt_identity.get("credentials")):
        raise invalid("jwt_identity is not what identity_jwt.read returns")


def check_store(store: object, *, can_await: bool) -> None:
    """Refuse what is no store: an old one has no swap, and a coroutine function needs an event loop."""
    for name in ("load", "save", "delete", "swap", "lock"):
        method = getattr(store, name, None)
        if not callable(method):
            raise invalid(f"the store has no method {name}; see what the protocol Store asks for")
        if inspect.iscoroutinefunction(method) and not can_await:
            raise invalid("the store's methods are coroutine functions, for which there is AsyncManager")


def check_callable(value: object, name: str) -> None:
    """Refuse what cannot be called."""
    if value is not None and not callable(value):
        raise invalid(f"{name} is no function")


def text(value: object, name: str) -> str:
    """Return an option that is text."""
    if not isinstance(value, str):
        raise invalid(f"{name} is no text")
    return value


def flag(value: object, name: str) -> bool:
    """Return an option that is True or False: "no" is neither."""
    if not isinstance(value, bool):
        raise invalid(f"{name} is neither True nor False")
    return value


def texts(value: object, name: str) -> list[str]:
    """Return an option that is several texts. One text is not."""
    if not is_sequence(value):
        raise invalid(f"{name} is no list of texts")
    return [text(element, name) for element in value]


def members(value: object, name: str) -> dict[str, Any]:
    """Return a copy of an option that has members. What they are is the core's to check."""
    if not is_mapping(value):
        raise invalid(f"{name} is no mapping")
    return copy.deepcopy({str(key): member for key, member in value.items()})
