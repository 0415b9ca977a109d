"""The default profile.

The one request that carries the access token is that for a biscuit, and each
registration carries a biscuit that was minted for it.
"""

from __future__ import annotations

import re

from .messages import FlowAuthorization, Header, HTTPEffect, Response
from .policy_profile import PolicyCall, Request, check_headers, check_post, check_response_headers
from .policy_task import IDENTITY_SLOTS, check_identity, is_identity_url, is_task_assertion, is_task_url
from .untrusted import violation

_BISCUIT_PATH = "/authenticate_app_v2"
_BISCUIT_HEADER = "x-openai-authorization"

_request_id = re.compile("codex-agent-identity-[A-Za-z0-9_-]{22}")  # 16 bytes in base64url


class BiscuitPolicy:
    """Is a ProfilePolicy."""

    waits = False

    def __init__(self, call: PolicyCall) -> None:
        self._call = call
        self.registrar: str | None = call.config["base_url"]
        # The biscuits that the backend has minted in this flow and that are not used, by
        # the URL that each is for.
        self._minted: dict[str, str] = {}

    def check_request(self, request: Request, registrar: str) -> None:
        if request.url == registrar + _BISCUIT_PATH:
            check_response_headers(request, _BISCUIT_HEADER)
            self._check_mint(request, registrar)
            return
        check_response_headers(request)
        if not _is_registration(request.url, registrar):
            raise violation("a request to a URL", "that is none of a registration's")
        biscuit = self._minted.get(request.url)
        if biscuit is None or request.fields.get(_BISCUIT_HEADER) != biscuit:
            raise violation("a biscuit", "that was not minted for this")
        del self._minted[request.url]  # it is good for one request
        if is_identity_url(request.url, registrar):
            check_identity(request, self._call.config)
        check_post(request, self._call.credentials, _BISCUIT_HEADER)

    def _check_mint(self, request: Request, registrar: str) -> None:
        """Is for the request that mints a biscuit."""
        fields = request.fields
        if request.method != "GET" or request.body:
            raise violation("a request for a biscuit", "that is more than that")
        if _request_id.fullmatch(fields.get("x-request-id", "")) is None:
            raise violation("a request's id", "that is no such id")
        original = fields.get("x-original-url", "")
        if fields.get("x-original-method") != "POST" or not _is_registration(original, registrar):
            raise violation("a biscuit", "for something else than a registration")
        names = ("authorization", "x-request-id", "x-original-method", "x-original-url")
        check_headers(request, self._call.credentials, *names)

    def answered(self, effect: HTTPEffect, response: Response) -> None:
        """Keep a biscuit, which can be used once, for what it was minted for."""
        if effect["url"] != f"{self.registrar}{_BISCUIT_PATH}":
            return
        original = _value_of(effect["headers"], "x-original-url")
        biscuit = _value_of(response.get("headers", []), _BISCUIT_HEADER)
        if original and biscuit:
            self._minted[original] = biscuit

    def has_slot(self, effect_type: str, slot: str) -> bool:
        """Let pass the slot of the call's thread, too. Its task is replaced, and never removed."""
        thread = self._call.thread_id
        if thread and slot == f"thread/{thread}" and effect_type not in ("swap", "delete"):
            return True
        return slot in IDENTITY_SLOTS.get(effect_type, ())

    def check_call(self, request: Request, names: tuple[str, ...], entropy: bytes | None) -> None:
        check_headers(request, self._call.credentials, *names)

    def is_assertion(self, answer: FlowAuthorization, entropy: bytes | None) -> bool:
        return is_task_assertion(answer)


def _is_registration(url: str, registrar: str) -> bool:
    return is_identity_url(url, registrar) or is_task_url(url, registrar)


def _value_of(headers: list[Header], name: str) -> str | None:
    return next((header["value"] for header in headers if header["name"].lower() == name), None)
