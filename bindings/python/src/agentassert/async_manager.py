"""Authorizes backend calls, for programs with asyncio."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .async_driver import AsyncDriver
from .authorization import Answer, Authorization, Call, Kept
from .core import AgentAssert
from .errors import AgentAssertError
from .exchange import HTTPRequest, HTTPResponse
from .flow import SAVE_SECONDS, Flow
from .manager_base import (
    ManagerBase,
    MCPServer,
    Observer,
    apps_mcp_server,
    flight_key,
    gave_up,
    own_error,
    seconds,
    store_error,
    turn,
)
from .messages import ABOM, Credentials, InstanceConfig, JWTIdentity, Pauses, Profile, SurfaceName
from .operation import Bounds, EndedError, StoreCall, TimeOverError
from .refusal import MAX_REFUSAL, date_in, error_code
from .store import AsyncStore, Store
from .thread import AsyncThread
from .turns import Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since 3.11; type checkers have both

_CLOSE_SECONDS = SAVE_SECONDS + 5.0  # no flow takes longer to end


@dataclass(frozen=True, repr=False)
class _Flight:
    """A flow that is under way, for all who wait for it."""

    driver: AsyncDriver
    answer: asyncio.Task[Answer]


class AsyncManager(ManagerBase):
    """Is Manager for asyncio.

    Tasks of one event loop can share one. A flow is a task of its own, which a caller
    that is cancelled does not end: others may wait for the same one. A manager belongs
    to the loop in which it has last been asked for something new; in another it can be
    used once that one is closed (``wrong_event_loop``).

    What blocks runs in threads: the methods of a Store, and a function that knows the
    credentials. Those of an AsyncStore run in the loop.
    """

    _can_await = True

    def __init__(
        self,
        *,
        base_url: str,
        core: AgentAssert | None = None,
        store: Store | AsyncStore | None = None,
        credentials: Credentials | Callable[[], Credentials | Awaitable[Credentials]] | None = None,
        jwt_identity: JWTIdentity | None = None,
        agent_identity: bool = False,
        trusted_hosts: Sequence[str] = (),
        forced_workspace_ids: Sequence[str] = (),
        abom: ABOM | None = None,
        profile: Profile = "biscuit",
        auth_api_url: str | None = None,
        all_surfaces: bool = False,
        instance: InstanceConfig | None = None,
        workspace_routing: bool = False,
        pauses: Pauses | None = None,
        capabilities: Sequence[str] = (),
        allow_http: bool = False,
        http: Callable[[HTTPRequest], Awaitable[HTTPResponse]] | None = None,
        now: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
        on_authorization: Observer | None = None,
    ) -> None:
        """The arguments are those of Manager, and so are the errors.

        Only http is a coroutine function here.
        """
        super().__init__(
            base_url=base_url,
            core=core,
            store=store,
            credentials=credentials,
            jwt_identity=jwt_identity,
            agent_identity=agent_identity,
            trusted_hosts=trusted_hosts,
            forced_workspace_ids=forced_workspace_ids,
            abom=abom,
            profile=profile,
            auth_api_url=auth_api_url,
            all_surfaces=all_surfaces,
            instance=instance,
            workspace_routing=workspace_routing,
            pauses=pauses,
            capabilities=capabilities,
            allow_http=allow_http,
            http=http,
            now=now,
            entropy=entropy,
            on_authorization=on_authorization,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flights: dict[tuple[str, ...], _Flight] = {}

    async def authorization(self, surface: SurfaceName, *, timeout: float | None = None) -> Authorization:
        """Return what a call on a background or bearer-only surface carries now.

        It does what Manager.authorization does. Its errors are those, and
        ``wrong_event_loop``.
        """
        return await self._ask(self._background_call(surface), timeout)

    async def bearer(self, *, timeout: float | None = None) -> Authorization:
        """Return the bearer token's authorization: what a bootstrap call carries.

        Its errors are those of authorization.
        """
        return await self.authorization("bootstrap", timeout=timeout)

    async def prewarm(self, *, timeout: float | None = None) -> None:
        """Register what background calls will need, so that the first of them does not wait.

        A registration that fails is no error.
        """
        await self.authorization("background", timeout=timeout)

    async def headers(self, surface: SurfaceName, *, timeout: float | None = None) -> dict[str, str]:
        """Return the header fields of a call, for clients that are given a dict, WebSockets among them.

        They are secret. Its errors are those of authorization.
        """
        return (await self.authorization(surface, timeout=timeout)).headers()

    def thread(self, thread_id: str) -> AsyncThread:
        """Return the conversation with that id, up to 4096 bytes of the harness's choice.

        Its task is registered when it is first needed, and kept in the store.
        """
        return AsyncThread(self, thread_id, self._ask_for_thread)

    async def recover(
        self,
        rejected: Authorization,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Authorization:
        """Return what a call carries in place of an assertion that the backend has answered with 401.

        It does what Manager.recover does.
        """
        call = self._rejected_call(rejected, error_code(body[:MAX_REFUSAL]), date_in(headers))
        if call is None:
            return rejected
        answer = await self._fly(call, timeout)
        return answer if call.thread_id is None else turn(answer)

    async def forget(self, thread_id: str, *, timeout: float | None = None) -> None:
        """Remove the stored task of a conversation that is over, as Manager.forget does."""
        self._check_open()
        wait = seconds(timeout)
        self._bind()
        slot = f"thread/{thread_id}"
        self._host.overlay.forget(slot)
        until = None if wait is None else time.monotonic() + wait
        driver = self._driver()
        try:
            await driver.call(StoreCall("delete", (slot,), Bounds(until)))
            return
        except (EndedError, TimeOverError):
            problem = gave_up()
        except Exception as error:
            problem = store_error(error)
        raise problem

    async def apps_mcp_server(
        self,
        explicit: str | None = None,
        *,
        timeout: float | None = None,
    ) -> MCPServer:
        """Return the URL and header fields with which an MCP client is configured for the apps' server.

        It does what Manager.apps_mcp_server does.
        """
        return apps_mcp_server(self.base_url, await self.bearer(timeout=timeout), explicit)

    async def aclose(self) -> None:
        """End what is under way, and wait for it, as Manager.close does. Once more does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            flights = list(self._flights.values())
        for flight in flights:
            flight.driver.end()
        others = [flight.answer for flight in flights if flight.answer is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=_CLOSE_SECONDS)
        self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _ask(self, call: Call, timeout: float | None) -> Authorization:
        """Return the answer of this second, or get one."""
        return self._recall(call) or await self._fly(call, timeout)

    async def _ask_for_thread(
        self,
        surface: str,
        thread_id: str,
        kept: dict[str, Kept],
        timeout: float | None,
    ) -> Authorization:
        return await self._ask(self._thread_call(surface, thread_id, kept), timeout)

    async def _fly(self, call: Call, timeout: float | None) -> Authorization:
        """Run a flow, or wait for the one that is under way for the same key."""
        wait = seconds(timeout)
        self._bind()
        self._check_open()
        key = flight_key(call)
        flight = self._flights.get(key) or self._begin(key, call)
        # Whoever is cancelled here leaves the flow alone: it belongs to the manager.
        done, _ = await asyncio.wait({flight.answer}, timeout=wait)
        if not done:
            raise gave_up()
        if flight.answer.cancelled():
            raise AgentAssertError("canceled", "the event loop was ended, and the flow with it")
        problem = flight.answer.exception()
        if problem is not None:
            raise own_error(problem)
        return self._given(flight.answer.result())  # others have waited for the same flow

    def _begin(self, key: tuple[str, ...], call: Call) -> _Flight:
        """Begin a flow."""
        driver = self._driver()
        flow = Flow(self._host, self._without_rejected(call), driver.is_ended)

        async def run() -> Answer:
            try:
                answer = await driver.drive(flow.run())
                self._keep(call, answer)
                return answer
            except Exception as error:
                problem = own_error(error)
            finally:
                self._flights.pop(key, None)
            raise problem

        flight = _Flight(driver, asyncio.ensure_future(run()))
        flight.answer.add_done_callback(_retrieved)  # nobody may be waiting for it any more
        self._flights[key] = flight
        return flight

    def _driver(self) -> AsyncDriver:
        return AsyncDriver(self._core, self._store, self._turns, self._http or _send)

    def _bind(self) -> None:
        """Make the running loop the manager's.

        Raises:
            AgentAssertError: ``wrong_event_loop``.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            if loop is not None and loop is self._loop:
                return
            if loop is None or (self._loop is not None and not self._loop.is_closed()):
                raise AgentAssertError(
                    "wrong_event_loop",
                    "an AsyncManager is used in one event loop of asyncio; take one for each, or a Manager",
                )
            # What was under way in a loop that is closed has ended with it.
            self._loop = loop
            self._flights = {}
            self._turns = Turns()

    def after_fork(self) -> None:
        """Begin anew in a process that was forked off: flows, locks and instances are its parent's."""
        super().after_fork()
        self._loop = None
        self._flights = {}


def _retrieved(answer: asyncio.Task[Answer]) -> None:
    if not answer.cancelled():
        answer.exception()


async def _send(request: HTTPRequest) -> HTTPResponse:
    from .httpx_sender import send

    return await send(request)
