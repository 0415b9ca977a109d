"""Authorizes backend calls, for programs with threads."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from .authorization import Answer, Authorization, Call, Kept
from .core import AgentAssert
from .exchange import HTTPRequest, HTTPResponse
from .flight_driver import FlightDriver
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
from .refusal import MAX_REFUSAL, date_in, error_code
from .store import Store, StoreContext
from .thread import Thread
from .workers import WORKERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since 3.11; type checkers have both

_CLOSE_SECONDS = SAVE_SECONDS + 5.0  # no flow takes longer to end


@dataclass(frozen=True, repr=False)
class _Flight:
    """A flow that is under way, for all who wait for it."""

    driver: FlightDriver
    answer: Future[Answer]
    threads: list[int]
    """Those that run it: a flow's own thread does not wait for its end."""


class Manager(ManagerBase):
    """Decides which authorization a backend call gets, and gets it.

    It loads the agent's identity, registers one if there is none, signs, and falls back
    to the bearer token where the protocol says so. It touches nothing before it is
    asked. Threads can share one. Close it at the end, or use it as a context manager:
    what is being registered when the process ends is lost.

    A process that is forked off begins with none of what is under way in its parent,
    and has a runtime agent instance of its own; nothing else of a store's is doubled.
    """

    def __init__(
        self,
        *,
        base_url: str,
        core: AgentAssert | None = None,
        store: Store | None = None,
        credentials: Credentials | Callable[[], Credentials] | None = None,
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
        http: Callable[[HTTPRequest], HTTPResponse] | None = None,
        now: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
        on_authorization: Observer | None = None,
    ) -> None:
        """Whose calls are authorized, and with what. What is changed after the call does not count.

        Args:
            base_url: The backend's, as configured; the manager normalizes it.
            core: From AgentAssert.load. Several managers can share one; without one the
                manager loads its own.
            store: Keeps the agent's identity. Without one it ends with the manager.
            credentials: Who is signed in, or a function that is asked for it each second
                in which it is wanted. Where the store knows (FileStore does), this can
                be left out.
            jwt_identity: In place of store and credentials, an identity that arrived as a
                JWT, from ``identity_jwt.read``. Its signature is the caller's to verify.
            agent_identity: The feature gate. While it is False every call gets the
                bearer token.
            trusted_hosts: Hosts, without port, whose background calls carry assertions,
                too: self-hosted backends.
            forced_workspace_ids: One takes the place of the account id of the
                credentials. If there are several, calls of another account are not
                authorized at all (``workspace-not-allowed``).
            abom: Describes the agent to the backend. The default says little.
            profile: Which form of the protocol is spoken.
            auth_api_url: Below it the profiles ``auth-api`` and ``instances`` register,
                and the tasks of a jwt_identity. The default is that of base_url's
                environment; another backend has none, and without a URL nothing is
                registered (``no_auth_api``).
            all_surfaces: Has calls on all surfaces assert in the profile ``auth-api``, for
                backends that want it, and not only those to responses.
            instance: For the profile ``instances``, which needs it.
            workspace_routing: Has calls to responses go where the account's workspace is
                kept, as clients from 0.156 on do: the backend is asked once in a while,
                and a turn fails where that fails.
            pauses: How long the backend is left alone after a registration has failed. The
                default is the profile's own: from a minute to an hour, and in the profile
                ``auth-api`` an hour.
            capabilities: What an identity is registered with, at most 16 texts of 1 to 64
                bytes. The default is the profile's own; ``instances`` has none.
            allow_http: Lets base_url and auth_api_url have http where they lead to another
                machine: everybody on the way can then read the user's token. This
                machine (localhost, 127.0.0.0/8, [::1]) needs no leave.
            http: Sends a registration's request, in a thread that may block. The default
                needs httpx.
            now: The clock, in Unix seconds.
            entropy: Draws so many bytes.
            on_authorization: Called with every answer that was not just reused, and its
                surface, in the flow's thread: for logs. It must not raise.

        Raises:
            AgentAssertError: ``invalid_manager_config``, ``invalid_base_url``,
                ``insecure_base_url``, ``invalid_trusted_host``, ``invalid_request``.
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
        self._flights: dict[tuple[str, ...], _Flight] = {}

    def authorization(self, surface: SurfaceName, *, timeout: float | None = None) -> Authorization:
        """Return what a call on a background or bearer-only surface carries now.

        For a thread's there is thread(). Where the agent cannot be had the answer is the
        bearer token, or nothing, and its cause says why: that is no error.

        The first call may register an identity and a task, which can take as long as the
        backend does; calls at the same time wait for the same registration. Within one
        second the answer is kept; of one with a runtime agent instance each call gets
        another assertion.

        Args:
            surface: The call's.
            timeout: How long to wait, in seconds. The registration goes on: others may
                wait for the same one.

        Raises:
            AgentAssertError: ``unknown_surface``, ``thread_surface``, ``canceled``,
                ``closed``, ``credentials_failed``, ``no_entropy``, ``invalid_request``,
                ``invalid_config``, ``invalid_credentials``, ``policy_violation``,
                ``sandbox_failed``.
        """
        return self._ask(self._background_call(surface), timeout)

    def bearer(self, *, timeout: float | None = None) -> Authorization:
        """Return the bearer token's authorization: what a bootstrap call carries.

        Its errors are those of authorization.
        """
        return self.authorization("bootstrap", timeout=timeout)

    def prewarm(self, *, timeout: float | None = None) -> None:
        """Register what background calls will need, so that the first of them does not wait.

        A registration that fails is no error.
        """
        self.authorization("background", timeout=timeout)

    def headers(self, surface: SurfaceName, *, timeout: float | None = None) -> dict[str, str]:
        """Return the header fields of a call, for clients that are given a dict, WebSockets among them.

        They are secret. Its errors are those of authorization.
        """
        return self.authorization(surface, timeout=timeout).headers()

    def thread(self, thread_id: str) -> Thread:
        """Return the conversation with that id, up to 4096 bytes of the harness's choice.

        Its task is registered when it is first needed, and kept in the store.
        """
        return Thread(self, thread_id, self._ask_for_thread)

    def recover(
        self,
        rejected: Authorization,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Authorization:
        """Return what a call carries in place of an assertion that the backend has answered with 401.

        It drops that assertion's task, if it is still the stored one, and registers
        another; of any number of calls that were rejected with one task, one registers.
        It is the same with a runtime agent instance, in this manager. Any other
        authorization comes back as it is: a rejected bearer token says nothing about a
        task.

        The answer's header fields and body say more: that the backend does not know the
        agent, whose identity is then replaced, or that a clock is wrong, which costs no
        task. 64 KiB of the body are looked at.

        Its errors are those of the method that the authorization came from.
        """
        call = self._rejected_call(rejected, error_code(body[:MAX_REFUSAL]), date_in(headers))
        if call is None:
            return rejected
        answer = self._fly(call, timeout)
        return answer if call.thread_id is None else turn(answer)

    def forget(self, thread_id: str, *, timeout: float | None = None) -> None:
        """Remove the stored task of a conversation that is over.

        Tasks that are not used for 90 days go by themselves where the store sees to it,
        as FileStore does. The next call of such a conversation registers another.

        Raises:
            AgentAssertError: Those of the store; ``store_failed``, ``canceled``, ``closed``.
        """
        self._check_open()
        wait = seconds(timeout)
        slot = f"thread/{thread_id}"
        self._host.overlay.forget(slot)
        canceled = threading.Event()
        context = StoreContext(self._core, canceled)
        work = WORKERS.submit(lambda: self._store.delete(slot, context))
        done, _ = concurrent.futures.wait([work], wait)
        if not done:
            canceled.set()
            raise gave_up()
        error = work.exception()
        if error is not None:
            raise store_error(error)

    def apps_mcp_server(self, explicit: str | None = None, *, timeout: float | None = None) -> MCPServer:
        """Return the URL and header fields with which an MCP client is configured for the apps' server.

        An explicit value of the Authorization header goes into it as it is; without one
        it gets the user's bearer token, for a configuration outlives every assertion.
        Its errors are those of bearer.
        """
        return apps_mcp_server(self.base_url, self.bearer(timeout=timeout), explicit)

    def close(self) -> None:
        """End what is under way, and wait for it. Once more does nothing.

        The store's locks are free then, and the core has forgotten keys and tokens; other
        managers can go on using it. A record that is being saved is waited for, for half
        a minute at most; what else a store or an HTTP client is doing is left behind.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            flights = list(self._flights.values())
        for flight in flights:
            flight.driver.ending.set()
        others = [flight.answer for flight in flights if threading.get_ident() not in flight.threads]
        concurrent.futures.wait(others, _CLOSE_SECONDS)
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, call: Call, timeout: float | None) -> Authorization:
        """Return the answer of this second, or get one."""
        return self._recall(call) or self._fly(call, timeout)

    def _ask_for_thread(
        self, surface: str, thread_id: str, kept: dict[str, Kept], timeout: float | None
    ) -> Authorization:
        return self._ask(self._thread_call(surface, thread_id, kept), timeout)

    def _fly(self, call: Call, timeout: float | None) -> Authorization:
        """Run a flow, or wait for the one that is under way for the same key."""
        wait = seconds(timeout)
        key = flight_key(call)
        with self._lock:
            self._check_open()
            flight = self._flights.get(key)
            if flight is None:
                # A flow belongs to the manager, not to whoever asked first.
                flight = self._begin(key, call)
        try:
            problem = flight.answer.exception(wait)
        except concurrent.futures.TimeoutError:
            problem = gave_up()
        if problem is not None:
            raise own_error(problem)
        return self._given(flight.answer.result())  # others have waited for the same flow

    def _begin(self, key: tuple[str, ...], call: Call) -> _Flight:
        """Begin a flow. The lock is held."""
        driver = FlightDriver(self._core, self._store, self._turns, self._http or _send)
        flow = Flow(self._host, self._without_rejected(call), driver.ending.is_set)
        threads: list[int] = []

        def run() -> Answer:
            threads.append(threading.get_ident())
            try:
                answer = driver.drive(flow.run())
                self._keep(call, answer)
                return answer
            except BaseException as error:
                problem = own_error(error)
            finally:
                with self._lock:
                    self._flights.pop(key, None)
            raise problem

        flight = _Flight(driver, WORKERS.submit(run), threads)
        # The lock keeps the flow from ending before it is known: one that has ended never began.
        if not flight.answer.done():
            self._flights[key] = flight
        return flight

    def after_fork(self) -> None:
        """Begin anew in a process that was forked off: flows, locks and instances are its parent's."""
        super().after_fork()
        self._flights = {}


def _send(request: HTTPRequest) -> HTTPResponse:
    from .httpx_sender import send_and_wait

    return send_and_wait(request)
