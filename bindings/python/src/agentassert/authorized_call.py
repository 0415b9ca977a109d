"""Which calls of an HTTP client are authorized, and how: the same rules for all clients."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

from .base_url import is_host_of
from .decision import SCOPES
from .errors import AgentAssertError
from .manager_base import ManagerBase
from .thread import AsyncThread, Thread

if TYPE_CHECKING:
    from .async_manager import AsyncManager
    from .authorization import Authorization
    from .manager import Manager
    from .messages import SurfaceName

    Target: TypeAlias = Manager | Thread | AsyncManager | AsyncThread
    # What authorizes calls: a manager those that belong to no conversation, a thread those of its own, too.

MAX_REFUSAL = 64 << 10
"""How much of the answer to a rejected call is looked at, in bytes. One that is longer is not thrown away
for a second try."""
REFUSAL_SECONDS = 10.0
"""How long that may take: the code in it is of no use to a call that waits for ever."""


class Caller:
    """Authorizes the calls of an HTTP client. Threads can share one."""

    def __init__(self, target: Target, surface: SurfaceName | None, timeout: float | None) -> None:
        """Check what the user of a client gives.

        Args:
            target: What authorizes.
            surface: That of all calls; by default each one's URL says.
            timeout: How long a call may wait for its authorization, in seconds.

        Raises:
            AgentAssertError: ``invalid_request``, ``unknown_surface``.
        """
        if not isinstance(target, (ManagerBase, Thread, AsyncThread)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AgentAssertError(
                "invalid_request", "what authorizes is a Manager or AsyncManager, or a thread of one"
            )
        self._thread: Thread | AsyncThread | None = None
        if isinstance(target, (Thread, AsyncThread)):
            self._thread = target
            self._manager: Manager | AsyncManager = target.manager
        else:
            self._manager = target
        self._surface: SurfaceName | None = surface
        self._is_async = iscoroutinefunction(target.authorization)
        if surface is not None and surface not in SCOPES:
            raise AgentAssertError(
                "unknown_surface", f"there is no surface of that name; the protocol has {', '.join(SCOPES)}"
            )
        self._timeout = timeout

    def surface_of(self, url: str, host: str | None) -> SurfaceName | None:
        """Return the surface of a call, or None for one that must not be authorized: it is not below the
        base URL, or the Host header names another server than its URL, which would get it."""
        location = self._manager.locate(url)
        if not location.inside or not is_host_of(url, host):
            return None
        return self._surface or location.surface

    def authorization(self, surface: SurfaceName) -> Authorization:
        """Return what a call carries. Its errors are those of the manager, and ``thread_surface``."""
        if self._is_async:
            raise _mixed("an AsyncManager", "an asynchronous client", "a Manager")
        asked = cast("Manager | Thread", self._asked(surface))
        return asked.authorization(surface, timeout=self._timeout)

    async def authorization_async(self, surface: SurfaceName) -> Authorization:
        """Return the same in an event loop."""
        if not self._is_async:
            raise _mixed("a Manager", "a client that is not asynchronous", "an AsyncManager")
        asked = cast("AsyncManager | AsyncThread", self._asked(surface))
        return await asked.authorization(surface, timeout=self._timeout)

    def recover(self, rejected: Authorization, date: str, body: bytes) -> Authorization | None:
        """Return what a call carries in place of what was answered with 401, or None."""
        manager = cast("Manager", self._manager)
        try:
            return manager.recover(rejected, headers={"Date": date}, body=body, timeout=self._timeout)
        except AgentAssertError:
            return None  # the 401 says enough

    async def recover_async(self, rejected: Authorization, date: str, body: bytes) -> Authorization | None:
        """Return the same in an event loop."""
        manager = cast("AsyncManager", self._manager)
        try:
            return await manager.recover(rejected, headers={"Date": date}, body=body, timeout=self._timeout)
        except AgentAssertError:
            return None

    def _asked(self, surface: SurfaceName) -> Target:
        if SCOPES[surface] != "thread":
            return self._manager
        if self._thread is None:
            raise AgentAssertError(
                "thread_surface",
                f"a call on the surface {surface} belongs to a thread; have manager.thread(id) authorize it",
            )
        return self._thread


def is_other(second: Authorization | None, first: Authorization) -> bool:
    """Report whether a rejected call is worth sending once more."""
    if second is None or second.mode == "none":
        return False
    return (second.header, second.agent_assertion) != (first.header, first.agent_assertion)


def routed(url: str, origin: str) -> str:
    """Return a call's URL at another origin: with its path and query, and without fragment."""
    target, called = urlsplit(origin), urlsplit(url)
    return urlunsplit((target.scheme, target.netloc, called.path, called.query, ""))


def redirected() -> AgentAssertError:
    """Return the error of a call that a workspace's origin leads elsewhere."""
    return AgentAssertError(
        "redirected", "the workspace's origin answers with a redirect, and such calls follow none"
    )


def _mixed(given: str, client: str, other: str) -> AgentAssertError:
    return AgentAssertError(
        "invalid_request", f"{given} authorizes the calls of {client}; give this one {other}"
    )
