"""The question where the calls to responses go.

What a flow may do beside what its profile has, whatever the call carries, and where the
answer may lead.
"""

from __future__ import annotations

from collections.abc import Collection

from .base_url import is_supported_origin
from .decision import Decided
from .messages import FlowAuthorization
from .policy_profile import PolicyCall, ProfilePolicy, Request, check_response_headers
from .untrusted import violation


class RoutingPolicy:
    """What a call's flow may do to find out where the call goes. It is for one flow."""

    def __init__(
        self, call: PolicyCall, account: str, profile: ProfilePolicy, decided: Decided | None
    ) -> None:
        self._call = call
        self._account = account
        self._profile = profile
        # Whether the flow may ask at all.
        self._may_ask = (
            call.config.get("workspace_routing") is True
            and call.surface == "responses"
            and call.credentials["kind"] == "chatgpt"
            and bool(call.credentials.get("access_token"))
            and decided is not None
            and decided.mode != "none"
        )

    def has_slot(self, effect_type: str, slot: str) -> bool:
        """Whether an effect on a slot belongs to the question."""
        return self._may_ask and effect_type in ("load", "lock", "unlock", "save") and slot == "workspace"

    def is_question(self, url: str) -> bool:
        """Whether a request is the question."""
        return self._may_ask and url == f"{self._call.config['base_url']}/wham/accounts/check"

    def check_question(self, request: Request, locked: Collection[str], entropy: bytes | None) -> None:
        """Let the question pass.

        It is a backend call: what it carries is the user's, or a runtime agent
        instance's, with an assertion of that entropy.
        """
        check_response_headers(request)
        what = "a question where a workspace's calls go"
        if request.method != "GET" or request.body or "workspace" not in locked:
            raise violation(what, "that is more than that, or without its lock")
        carried: dict[str, str] = {}
        if self._account != "":
            carried["chatgpt-account-id"] = self._account
        if self._call.credentials.get("fedramp"):
            carried["x-openai-fedramp"] = "true"
        if any(request.fields.get(name) != value for name, value in carried.items()):
            raise violation(what, "that is another account's")
        self._profile.check_call(request, ("authorization", *carried), entropy)

    def check_answer(self, answer: FlowAuthorization) -> None:
        """Want an answer whose call goes where it may."""
        origin = answer.get("responses_origin", "")
        override = answer.get("account_routing_override", "")
        if origin == "" and override == "":
            return
        if not self._may_ask or answer["mode"] == "none":
            raise violation("an origin", "for a call that goes to the base URL")
        if override not in ("", "us", "us_cr"):
            raise violation("a routing override", "that is none")
        if origin != "" and not is_supported_origin(origin, self._call.config.get("trusted_hosts", ())):
            raise violation("an origin", "that is not supported")
