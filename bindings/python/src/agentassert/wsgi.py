"""Verification for WSGI servers and frameworks: Flask, Django, Bottle and others.

app.wsgi_app = VerifyMiddleware(app.wsgi_app, Verifier(directory))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .refusal_answer import body_of, headers_of
from .refusal_error import RefusalError

if TYPE_CHECKING:
    from .verifier import Verifier

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PRINCIPAL = "agentassert.principal"
"""The member of the environment in which the application finds the Principal."""

_PREFIX = "HTTP_"


class VerifyMiddleware:
    """A WSGI application that calls another for requests that a verifier accepts, with the Principal in
    ``environ["agentassert.principal"]``. It answers all others itself, with the refusal as JSON:
    ``{"error":{"code":…,"message":…}}``.

    Its directory and replays have plain methods, not coroutines. A WSGI server joins what stands twice
    in a request: it is then refused as a value that is none, and not as ``invalid_request``.
    """

    def __init__(self, app: Application, verifier: Verifier) -> None:
        """Put a verifier before an application."""
        self._app = app
        self._verifier = verifier

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        headers = [
            (name[len(_PREFIX) :].replace("_", "-"), _text(value))
            for name, value in environ.items()
            if name.startswith(_PREFIX)
        ]
        try:
            principal = self._verifier.verify(headers)
        except RefusalError as refusal:
            body = body_of(refusal)
            status = f"{refusal.status} {HTTPStatus(refusal.status).phrase}"
            start_response(status, headers_of(refusal, body))
            return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]
        environ[PRINCIPAL] = principal
        return self._app(environ, start_response)


def _text(value: str) -> str:
    """Return a header field's value. A WSGI server hands over its bytes as Latin-1; what is not UTF-8
    stays apart from any text that is."""
    return value.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
