"""Authorizes the calls of one conversation."""

from __future__ import annotations

from .authorization import Authorization, Kept
from .manager_base import turn
from .messages import SurfaceName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .async_manager import AsyncManager
    from .manager import Manager

    Ask: TypeAlias = Callable[[str, str, dict[str, Kept], float | None], Authorization]
    """Asks a manager what a conversation's call carries."""
    AskAsync: TypeAlias = Callable[[str, str, dict[str, Kept], float | None], Awaitable[Authorization]]
    """The same in asyncio."""


class Thread:
    """Authorizes the calls of one conversation.

    They have a task of their own or, by the profile, what all conversations share. Keep
    it as long as the conversation is open: it remembers the answer of the current
    second. Threads of a program can share one.
    """

    def __init__(self, manager: Manager, thread_id: str, ask: Ask) -> None:
        """For managers."""
        self.manager = manager
        """The one that the thread is of."""
        self.id = thread_id
        """The conversation's id."""
        self._ask = ask
        self._kept = {"responses": Kept(), "others": Kept()}

    def authorization(
        self, surface: SurfaceName = "responses", *, timeout: float | None = None
    ) -> Authorization:
        """Return what a call on a thread's surface carries now.

        Unlike a background call's, a registration that fails is an error, because a
        conversation does not change from the agent to the user in its middle.

        Raises:
            AgentAssertError: ``thread_failed``, whose cause is the failure;
                ``invalid_thread_id``, ``thread_surface``; and those of
                Manager.authorization.
        """
        return turn(self._ask(surface, self.id, self._kept, timeout))

    def prewarm(self, *, timeout: float | None = None) -> None:
        """Register the thread's task, so that the first turn does not wait.

        Its errors are those of authorization.
        """
        self.authorization(timeout=timeout)

    def headers(self, surface: SurfaceName = "responses", *, timeout: float | None = None) -> dict[str, str]:
        """Return the header fields of a call, for the hand-shakes of WebSockets among others.

        Dial again with new ones.
        """
        return self.authorization(surface, timeout=timeout).headers()

    def __repr__(self) -> str:
        return f"<Thread {self.id!r} of {self.manager!r}>"


class AsyncThread:
    """Is Thread for asyncio."""

    def __init__(self, manager: AsyncManager, thread_id: str, ask: AskAsync) -> None:
        """For managers."""
        self.manager = manager
        """The one that the thread is of."""
        self.id = thread_id
        """The conversation's id."""
        self._ask = ask
        self._kept = {"responses": Kept(), "others": Kept()}

    async def authorization(
        self, surface: SurfaceName = "responses", *, timeout: float | None = None
    ) -> Authorization:
        """Return what a call on a thread's surface carries now, as Thread.authorization does."""
        return turn(await self._ask(surface, self.id, self._kept, timeout))

    async def prewarm(self, *, timeout: float | None = None) -> None:
        """Register the thread's task, so that the first turn does not wait.

        Its errors are those of authorization.
        """
        await self.authorization(timeout=timeout)

    async def headers(
        self, surface: SurfaceName = "responses", *, timeout: float | None = None
    ) -> dict[str, str]:
        """Return the header fields of a call, for the hand-shakes of WebSockets among others.

        Dial again with new ones.
        """
        return (await self.authorization(surface, timeout=timeout)).headers()

    def __repr__(self) -> str:
        return f"<AsyncThread {self.id!r} of {self.manager!r}>"
