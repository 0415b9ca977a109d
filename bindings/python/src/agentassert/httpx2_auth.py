"""Authorizes the calls of HTTPX2's clients, and of what is built on them: the OpenAI SDK, for one.

with httpx2.Client(auth=AgentAssertAuth(manager)) as client:
    client.get(f"{manager.base_url}/codex/models")
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING

from .authorized_call import Caller
from .httpx_flow import HTTPXFlow

try:
    import httpx2
except ImportError:
    raise ImportError("agentassert.httpx2_auth needs httpx2: pip install 'agentassert[httpx2]'") from None

if TYPE_CHECKING:
    from .authorized_call import Target
    from .messages import SurfaceName


class AgentAssertAuth(httpx2.Auth):
    """Authorizes calls to a manager's backend, those to the base URL or below, and leaves all others as
    they are, those with the Host of another server among them. It takes the place of an Authorization
    that the client has set, but of an API key's where the call carries no other.

    A redirect gets nothing of it, wherever it leads. One that has stayed below the base URL, and is answered
    with 401, is authorized then.

    When the backend answers an assertion with 401, its task or instance is replaced, and the call sent
    once more, if its body was given as bytes, text, JSON or form fields. A second 401, and one to a
    bearer token, go to the caller.

    A call to responses whose authorization has an origin of its own goes there; it follows no redirect
    (``redirected``).

    The header fields are where a transport finds them, ``request.headers.raw``, while the call is sent;
    other views of a request, and logs, do not show them.

    Errors are those of the manager, as AgentAssertError, from the client's method. Threads, and tasks of
    one event loop, can share one.
    """

    def __init__(
        self, target: Target, *, surface: SurfaceName | None = None, timeout: float | None = None
    ) -> None:
        """Have calls authorized.

        Args:
            target: A Manager, or one of its threads for a conversation's calls, for httpx2.Client; an
                AsyncManager or a thread of it for httpx2.AsyncClient.
            surface: That of all calls; by default each one's URL says.
            timeout: How long a call may wait for its authorization, in seconds; the client's own
                time-outs do not count it.

        Raises:
            AgentAssertError: ``invalid_request``, ``unknown_surface``, ``unsupported_client``.
        """
        self._flow = HTTPXFlow(Caller(target, surface, timeout), httpx2)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Serve httpx2.Client."""
        return self._flow.sync_flow(request)

    def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Serve httpx2.AsyncClient."""
        return self._flow.async_flow(request)
