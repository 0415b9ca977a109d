"""The profile of runtime agent instances.

The access token, or the API key, is in the body of the one registration, and nowhere
else.
"""

from __future__ import annotations

import re
import uuid

from .decision import header_mode_of
from .messages import FlowAuthorization, HTTPEffect, Response
from .policy_profile import (
    PolicyCall,
    Request,
    Slots,
    base64url,
    check_body,
    check_headers,
    check_post,
    check_response_headers,
    compact,
    decoded_base64url,
    is_id,
    member_of,
    registrar_of,
)
from .untrusted import violation

# Nothing of the store's but the failures.
_SLOTS: Slots = {
    "load": ("instance", "backoff"),
    "lock": ("instance",),
    "save": ("instance", "backoff"),
    "delete": ("backoff",),
}

_ASSERTION_HEADER = "x-openai-agent-assertion"
_SCHEME = "AgentAssertion "
_MAX_INTEGER = 2**53 - 1

_JWS_HEADER = base64url(b'{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}')

_key = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# 64 bytes in base64url: the one part of an assertion that only the module knows.
_signature = re.compile("[A-Za-z0-9_-]{85}[AQgw]")
_base64url = re.compile("[A-Za-z0-9_-]*")


class InstancesPolicy:
    """Is a ProfilePolicy."""

    waits = True

    def __init__(self, call: PolicyCall) -> None:
        self._call = call
        self.registrar = registrar_of(call.config, "https://auth.openai.com", "https://auth.api.openai.org")

    def check_request(self, request: Request, registrar: str) -> None:
        check_response_headers(request)
        if request.url != f"{registrar}/agent/register":
            raise violation("a request to a URL", "that is none of a registration's")
        if _key.fullmatch(request.fields.get("idempotency-key", "")) is None:
            raise violation("an idempotency key", "that is no UUID")
        check_body(request, "public_key", self._body)
        check_post(request, self._call.credentials, "idempotency-key")

    def _body(self, public_key: str) -> dict[str, object] | None:
        """Return what is in the body of the registration with that key, or None for none."""
        config, credentials = self._call.config, self._call.credentials
        instance = config.get("instance")
        if instance is None:
            return None
        return {
            "actor_auth": {
                "type": "platform_api_key" if credentials["kind"] == "api-key" else "oauth",
                "credential": credentials.get("access_token", ""),
            },
            "agent_host_auth": {
                "type": "installation_id",
                "installation_id": instance.get("installation_id"),
            },
            "public_key": public_key,
            "metadata": {
                "harness": instance.get("harness"),
                "harness_version": config["abom"].get("agent_version"),
                "role": instance.get("role"),
            },
        }

    @property
    def _asserts_alone(self) -> bool:
        """Whether assertions are in place of the token."""
        return header_mode_of(self._call.config) == "assertion_only"

    def answered(self, effect: HTTPEffect, response: Response) -> None:
        """Nothing of it is sent again."""

    def has_slot(self, effect_type: str, slot: str) -> bool:
        return slot in _SLOTS.get(effect_type, ())

    def check_call(self, request: Request, names: tuple[str, ...], entropy: bytes | None) -> None:
        """Want the user's token alone, where there is no instance; or an assertion.

        That is of whichever instance, of this very entropy, beside the token or in its
        place.
        """
        fields = request.fields
        beside = fields.get(_ASSERTION_HEADER)
        authorization = fields.get("authorization", "")
        is_alone = beside is None and authorization.startswith(_SCHEME)
        if (beside is not None and self._asserts_alone) or (is_alone and not self._asserts_alone):
            raise violation("a call", "whose assertion is in the other mode's header field")
        if beside is not None or is_alone:
            value = authorization.removeprefix(_SCHEME) if beside is None else beside
            if not _is_made(value, _signed_text(*_claims_in(value), entropy)):
                raise violation("a call", "whose assertion is none, or of other entropy")
        if not is_alone:
            assertion = () if beside is None else (_ASSERTION_HEADER,)
            check_headers(request, self._call.credentials, *names, *assertion)
        elif set(fields) != set(names):
            raise violation("a request", "with other header fields than its own")

    def is_assertion(self, answer: FlowAuthorization, entropy: bytes | None) -> bool:
        """Want an assertion of this very entropy, in the header field that the mode has for it.

        In the other is the user's token, or nothing.
        """
        credentials = self._call.credentials
        header, assertion = answer.get("header", ""), answer.get("agent_assertion", "")
        text = _signed_text(answer.get("runtime_agent_instance", ""), answer["valid_until"], entropy)
        is_alone = answer["mode"] == "agent-assertion"
        if answer.get("agent_runtime_id") or answer.get("task_id") or is_alone != self._asserts_alone:
            return False
        if is_alone:
            is_made = _is_made(header.removeprefix(_SCHEME), text)
            return assertion == "" and header.startswith(_SCHEME) and is_made
        is_key = credentials["kind"] == "api-key"
        bearer = "" if is_key else f"Bearer {credentials.get('access_token', '')}"
        return _is_made(assertion, text) and header == bearer


def _is_made(value: str, text: str | None) -> bool:
    """Report whether an assertion is one that signs that."""
    beginning = f"1.{text}."
    return (
        text is not None
        and value.startswith(beginning)
        and _signature.fullmatch(value, len(beginning)) is not None
    )


def _claims_in(value: str) -> tuple[str, int]:
    """Return what an assertion says of its instance and time. Whether it is one is not looked at."""
    parts = value.split(".")
    payload = parts[2] if len(parts) > 2 else ""
    if _base64url.fullmatch(payload) is None or len(payload) % 4 == 1:
        return "", 0
    document = decoded_base64url(payload)
    instance, iat = member_of(document, "runtime_agent_instance"), member_of(document, "iat")
    if not isinstance(instance, str) or type(iat) is not int or abs(iat) > _MAX_INTEGER:
        return "", 0
    return instance, iat


def _signed_text(instance: str, now: int, entropy: bytes | None) -> str | None:
    """Return what an instance's assertion signs, header and payload of its JWS.

    None stands for none that there can be.
    """
    if not is_id(instance) or entropy is None or len(entropy) != 16:
        return None
    claims = {
        "version": 1,
        "runtime_agent_instance": instance,
        "iat": now,
        "id": str(uuid.UUID(bytes=entropy, version=4)),
    }
    try:
        payload = compact(claims)
    except UnicodeEncodeError:  # half a surrogate pair, by an escape in JSON
        return None
    return f"{_JWS_HEADER}.{base64url(payload)}"
