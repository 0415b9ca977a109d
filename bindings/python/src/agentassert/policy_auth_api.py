"""The profile auth-api.

The access token authorizes the registration of an identity, and a task's is authorized
by what is signed.
"""

from __future__ import annotations

from .messages import FlowAuthorization, HTTPEffect, Response
from .policy_profile import (
    PolicyCall,
    Request,
    check_headers,
    check_post,
    check_response_headers,
    registrar_of,
)
from .policy_task import IDENTITY_SLOTS, check_identity, is_identity_url, is_task_assertion, is_task_url
from .untrusted import violation

_PRODUCTION = "https://auth.openai.com/api/accounts"
_STAGING = "https://auth.api.openai.org/api/accounts"


class AuthAPIPolicy:
    """Is a ProfilePolicy."""

    waits = True

    def __init__(self, call: PolicyCall) -> None:
        self._call = call
        self.registrar = registrar_of(call.config, _PRODUCTION, _STAGING)

    def check_request(self, request: Request, registrar: str) -> None:
        credentials = self._call.credentials
        check_response_headers(request)
        if is_task_url(request.url, registrar):
            check_post(request, credentials)
            return
        if not is_identity_url(request.url, registrar) or credentials["kind"] != "chatgpt":
            raise violation("a request to a URL", "that is none of a registration's")
        check_identity(request, self._call.config)
        if not credentials.get("fedramp"):
            check_post(request, credentials, "authorization")
            return
        if request.fields.get("x-openai-fedramp") != "true":
            raise violation("a registration", "that is not marked as FedRAMP's")
        check_post(request, credentials, "authorization", "x-openai-fedramp")

    def answered(self, effect: HTTPEffect, response: Response) -> None:
        """Nothing of it is sent again."""

    def has_slot(self, effect_type: str, slot: str) -> bool:
        return slot in IDENTITY_SLOTS.get(effect_type, ())

    def check_call(self, request: Request, names: tuple[str, ...], entropy: bytes | None) -> None:
        check_headers(request, self._call.credentials, *names)

    def is_assertion(self, answer: FlowAuthorization, entropy: bytes | None) -> bool:
        return is_task_assertion(answer)
