"""What the client of a server is sent in place of an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .refusal_error import RefusalError


def body_of(refusal: RefusalError) -> bytes:
    """Return a refusal as JSON. Its cause is not in it."""
    error = {"code": refusal.code, "message": refusal.message}
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def headers_of(refusal: RefusalError, body: bytes) -> list[tuple[str, str]]:
    """Return the header fields that go with it."""
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),  # it differs by caller
    ]
    if refusal.status == 401:
        # A 401 must say what would be accepted (RFC 9110, section 15.5.2).
        headers.append(("WWW-Authenticate", "AgentAssertion"))
    return headers
