"""Verification for ASGI servers and frameworks: Starlette, FastAPI, Quart, Django and others.

app.add_middleware(VerifyMiddleware, verifier=Verifier(directory))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from .refusal_answer import body_of, headers_of
from .refusal_error import RefusalError

if TYPE_CHECKING:
    from .verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PRINCIPAL = "agentassert"
"""The member of the scope in which the application finds the Principal."""

_POLICY_VIOLATION = 1008  # the code of a WebSocket that is closed for it (RFC 6455, section 7.4.1)


class VerifyMiddleware:
    """An ASGI application that calls another for requests, and for hand-shakes of WebSockets, that a
    verifier accepts, with the Principal in ``scope["agentassert"]``. It answers all others itself, with
    the refusal as JSON: ``{"error":{"code":…,"message":…}}``.

    Directories that block are called in the event loop; give their methods ``async def``.
    """

    def __init__(self, app: Application, verifier: Verifier) -> None:
        """Put a verifier before an application."""
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)  # lifespan: no request, so there is nobody to verify
            return
        # Text that is not UTF-8 stays apart from any that is.
        headers = [
            (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
            for name, value in scope["headers"]
        ]
        try:
            principal = await self._verifier.verify_async(headers)
        except RefusalError as refusal:
            await _refuse(scope, receive, send, refusal)
            return
        await self._app({**scope, PRINCIPAL: principal}, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: RefusalError) -> None:
    kind = "http"
    if scope["type"] == "websocket":
        await receive()  # the hand-shake, which comes first
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.code})
            return
        kind = "websocket.http"
    body = body_of(refusal)
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(refusal, body)]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    shown = b"" if scope.get("method") == "HEAD" else body
    await send({"type": f"{kind}.response.body", "body": shown})
