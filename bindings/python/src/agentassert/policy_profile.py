"""What the flows of one form of the protocol may do that others may not.

Each form has a module of its own, beside this one; what they share is here and in
policy_task.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .answer import is_map
from .messages import Credentials, FlowAuthorization, FlowConfig, HTTPEffect, Response
from .place import place_of
from .secret import Secret
from .untrusted import size_of, violation

MAX_ID = 4096
"""The longest id, in bytes."""

Slots = Mapping[str, tuple[str, ...]]
"""Which slots effects are on, by their type."""

_id = re.compile("[^\x00-\x1f\x7f-\x9f]+")
# 32 bytes in OpenSSH form. What they are is the backend's to check.
_public_key = re.compile("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}")


@dataclass(frozen=True, repr=False)
class PolicyCall(Secret):
    """What the manager knows of a flow. None of it comes from the module."""

    config: FlowConfig
    """The manager's, with a base URL that was checked."""
    surface: str
    credentials: Credentials
    """Those that the flow begins with."""
    thread_id: str | None = None
    """The conversation's id, where the call belongs to one."""
    entropy: bytes | None = None
    """What the call gave for the id of an instance's assertion."""


@dataclass(frozen=True, repr=False)
class Request(Secret):
    """A request that a flow asks for, with its header fields by name."""

    effect: HTTPEffect
    fields: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.effect["url"]

    @property
    def method(self) -> str:
        return self.effect["method"]

    @property
    def body(self) -> bytes | None:
        return self.effect.get("body")


class ProfilePolicy(Protocol):
    """What a profile adds to the policy of every flow. It is for one flow."""

    @property
    def registrar(self) -> str | None:
        """Below it are the registrations; None if nobody knows where they are."""

    @property
    def waits(self) -> bool:
        """Whether a request is sent again after a pause."""
        raise NotImplementedError

    def check_request(self, request: Request, registrar: str) -> None:
        """Let pass the requests of a registration below that URL."""

    def answered(self, effect: HTTPEffect, response: Response) -> None:
        """Take note of the answer to one that was let pass."""

    def has_slot(self, effect_type: str, slot: str) -> bool:
        """Whether the flow has effects of a type on a slot."""
        raise NotImplementedError

    def check_call(self, request: Request, names: tuple[str, ...], entropy: bytes | None) -> None:
        """Let pass a call of the flow's own, which carries what the call itself does.

        It has these header fields, and no others beside an assertion.
        """

    def is_assertion(self, answer: FlowAuthorization, entropy: bytes | None) -> bool:
        """Whether an answer says what its assertion does, in its canonical form, and nothing else."""
        raise NotImplementedError


def is_id(text: str) -> bool:
    """Report whether an assertion can name an id."""
    return _id.fullmatch(text) is not None and size_of(text) <= MAX_ID


def registrar_of(config: FlowConfig, production: str, staging: str) -> str | None:
    """Return the URL that is configured or, where there is none, the one of the base URL's environment.

    The base URL's port does not count. For every other backend nobody knows: the user's
    access token would go to a party that has nothing to do with it.
    """
    configured = config.get("auth_api_url")
    if configured:
        return configured.rstrip("/")
    place = place_of(config["base_url"])
    if place is None or place.scheme != "https":
        return None
    if place.host in ("chatgpt.com", "chat.openai.com"):
        return production
    return staging if place.host == "chatgpt-staging.com" else None


def check_response_headers(request: Request, *others: str) -> None:
    """Let a request ask for what every answer can have, and for these header fields."""
    wanted = request.effect.get("response_headers", [])
    if any(name not in ("date", "retry-after", *others) for name in wanted):
        raise violation("a header field of the answer", "that is not the flow's")


def check_body(request: Request, name: str, made: Callable[[str], dict[str, object] | None]) -> None:
    """Want a registration whose body is the one for the key that it has under that name, to the byte."""
    public_key = member_of(request.body or b"", name)
    is_key = isinstance(public_key, str) and _public_key.fullmatch(public_key)
    body = made(public_key) if isinstance(public_key, str) and is_key else None
    if body is None or request.body != compact(body):
        raise violation("a registration", "that is not this call's")


def compact(value: object) -> bytes:
    """Return a value as JSON in its shortest form."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def member_of(document: bytes, name: str) -> object:
    """Return a member of a JSON object, or None where there is none, or no object."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return None
    return value.get(name) if is_map(value) else None


def check_post(request: Request, credentials: Credentials, *names: str) -> None:
    """Is for a registration, authorized by what is among the header fields."""
    if request.method != "POST" or request.fields.get("content-type") != "application/json":
        raise violation("a registration", "that is none, or of another content type")
    check_headers(request, credentials, *names, "content-type")


def check_headers(request: Request, credentials: Credentials, *names: str) -> None:
    """Want these header fields and no others.

    The access token is sent where it is among them, and nothing else as an authorization.
    """
    if set(request.fields) != set(names):
        raise violation("a request", "with other header fields than its own")
    token = credentials.get("access_token")
    is_bearer = bool(token) and request.fields.get("authorization") == f"Bearer {token}"
    if "authorization" in names and not is_bearer:
        raise violation("an authorization", "that is not the user's")


def base64url(content: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded_base64url(text: str) -> bytes:
    """Return the bytes that a text of the alphabet stands for.

    Whether it is the one encoding is not looked at.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
