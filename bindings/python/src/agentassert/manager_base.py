"""What managers have in common, whatever drives their flows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from .authorization import Answer, Authorization, Call, Kept
from .core import AgentAssert
from .decision import APPS_PATH, SCOPES
from .errors import AgentAssertError
from .failures import failure
from .flow import Host, another_assertion, closed
from .forks import begin_anew_after_fork
from .http_library import check_http_library
from .location import CallLocation, locate
from .manager_options import check_callable, check_jwt_identity, check_store, config_of, credentials_of
from .memory_store import MemoryStore
from .messages import (
    ABOM,
    Credentials,
    InstanceConfig,
    JWTIdentity,
    Pauses,
    Profile,
    Rejection,
    Scope,
)
from .secret import Secret
from .turns import Turns

Observer = Callable[[Authorization, str], object]
"""Called with every answer that was not just reused, and its surface: for logs. It must not raise."""


@dataclass(frozen=True, repr=False)
class MCPServer(Secret):
    """How an MCP client is configured for a server."""

    url: str
    headers: dict[str, str]
    """They are secret."""

    def __repr__(self) -> str:
        return f"<MCPServer {self.url}>"


class ManagerBase:
    """Decides which authorization a backend call gets. Its subclasses get it."""

    _can_await = False

    def __init__(
        self,
        *,
        base_url: str,
        core: AgentAssert | None = None,
        store: Any = None,
        credentials: Credentials | Callable[[], Any] | None = None,
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
        http: Callable[..., Any] | None,
        now: Callable[[], float],
        entropy: Callable[[int], bytes],
        on_authorization: Observer | None,
    ) -> None:
        for name, function in (
            ("http", http),
            ("now", now),
            ("entropy", entropy),
            ("on_authorization", on_authorization),
        ):
            check_callable(function, name)
        if core is not None and not isinstance(core, AgentAssert):
            raise AgentAssertError(
                "invalid_manager_config", "the manager's options: core is not what AgentAssert.load returns"
            )
        if jwt_identity is not None:
            check_jwt_identity(jwt_identity)
            store = MemoryStore({"identity": jwt_identity["record"]})
        elif store is None:
            store = MemoryStore()
        check_store(store, can_await=self._can_await)
        if http is None and (agent_identity is True or workspace_routing is True):
            check_http_library()
        source = credentials_of(credentials, jwt_identity, store)
        # Whoever loads a core closes it.
        self._own_core = AgentAssert.load() if core is None else None
        self._core = core or cast(AgentAssert, self._own_core)
        try:
            config = config_of(
                self._core,
                base_url=base_url,
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
            )
        except BaseException:
            self._close_core()
            raise
        self._store = store
        self._http = http
        self._observer = on_authorization
        can_probe = callable(getattr(store, "probe", None))
        self._host = Host(self._core, config, now, entropy, can_probe, source)
        self._turns = Turns()
        self._lock = threading.Lock()
        self._closed = False
        # What the backend has rejected, and until when calls do without it: nothing could be
        # registered in its place.
        self._rejection: tuple[Rejection, int] | None = None
        # The last answers, each for one scope.
        self._kept: dict[Scope, Kept] = {"background": Kept(), "bearer-only": Kept()}
        begin_anew_after_fork(self)

    @property
    def base_url(self) -> str:
        """The normalized base URL, below which the surfaces' paths are."""
        return self._host.config["base_url"]

    def locate(self, url: str) -> CallLocation:
        """Return what a call to a URL, as it is sent, is.

        It says whether the call may be authorized, and on which surface it is. Ask for
        each hop of a redirect. Threads can share the manager.
        """
        return locate(self.base_url, url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    def _close_core(self) -> None:
        if self._own_core is not None:
            self._own_core.close()

    def _scope_of(self, surface: object) -> Scope:
        scope = SCOPES.get(surface) if isinstance(surface, str) else None
        if scope is None:
            names = ", ".join(SCOPES)
            raise AgentAssertError(
                "unknown_surface", f"there is no surface of that name; the protocol has {names}"
            )
        return scope

    def _background_call(self, surface: str) -> Call:
        """Return what a call is asked for with that belongs to no thread."""
        scope = self._scope_of(surface)
        if scope == "thread":
            raise AgentAssertError(
                "thread_surface", f"calls on the surface {surface} belong to a thread; use thread(id)"
            )
        return Call(surface, (scope,), self._kept[scope])

    def _thread_call(self, surface: str, thread_id: str, kept: dict[str, Kept]) -> Call:
        """Return what a call of a conversation is asked for with.

        In the profile auth-api, calls to responses carry something else than the
        thread's others.
        """
        scope = self._scope_of(surface)
        if not isinstance(thread_id, str):
            raise AgentAssertError("invalid_thread_id", "a thread's id is text")
        which = "responses" if surface == "responses" else "others"
        answers = kept[which] if scope == "thread" else Kept()
        return Call(surface, (scope, which, thread_id), answers, thread_id)

    def _rejected_call(self, rejected: Authorization, code: str | None, date: str | None) -> Call | None:
        """Return what is asked for in place of an assertion that was rejected; None for what is left
        as it is.
        """
        call = rejected.call_for(self) if isinstance(rejected, Authorization) else None
        if call is None or not rejected.asserts:
            return None
        rejection: Rejection
        if rejected.runtime_agent_instance:
            rejection = {"runtime_agent_instance": rejected.runtime_agent_instance}
        else:
            rejection = {"agent_runtime_id": rejected.agent_runtime_id, "task_id": rejected.task_id}
        if code is not None:
            rejection["code"] = code
        if date is not None:
            rejection["date"] = date
        return replace(call, rejected=rejection)

    def _recall(self, call: Call) -> Authorization | None:
        """Return the answer of this second: of one with a runtime agent instance, with another
        assertion each time.
        """
        answer = call.kept.answer
        if (
            answer is None
            or answer.process is not self._host.process
            or answer.authorization.valid_until != self._host.now()
            or self._closed
        ):
            return None
        return self._given(answer)

    def _given(self, answer: Answer) -> Authorization:
        """Return what one caller gets of an answer."""
        authorization = answer.authorization
        call = authorization.call_for(self)
        if not authorization.runtime_agent_instance or call is None:
            return authorization
        self._check_open()
        another = another_assertion(self._host, answer)
        another.bind(self, call)
        return another

    def _without_rejected(self, call: Call) -> Call:
        """Return a call that does without what was rejected, until the pause is over.

        It stays stored, for it may be good after all; but each call would be answered with
        401 first, which a body that cannot be sent again would not get over.
        """
        rejection = self._rejection
        if call.rejected or rejection is None or not self._pauses(call) or self._host.now() >= rejection[1]:
            return call
        return replace(call, rejected=rejection[0])

    def _pauses(self, call: Call) -> bool:
        """Whether a call waits for the end of a pause: of a conversation's, those of auth-api do."""
        return call.thread_id is None or self._host.config.get("profile") == "auth-api"

    def _keep(self, call: Call, answer: Answer) -> None:
        """Take note of what a flow came to."""
        if call.rejected and self._pauses(call):
            retry_at = answer.authorization.retry_at
            rejected = call.rejected.copy()
            rejected.pop("date", None)  # which said something of that time
            self._rejection = None if retry_at is None else (rejected, retry_at)
        answer.authorization.bind(self, replace(call, rejected=None))
        # That one assertion was rejected is no answer for other calls.
        if answer.authorization.reason != "assertion-rejected":
            call.kept.answer = answer
        if self._observer is not None:
            self._observer(answer.authorization, call.surface)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _let_go(self) -> None:
        """Forget what a manager knows that is closed."""
        for kept in self._kept.values():
            kept.answer = None
        self._host.memory.clear()
        self._core.forget()
        self._close_core()

    def after_fork(self) -> None:
        """Begin anew in a process that was forked off: flows, locks and instances are its parent's."""
        self._lock = threading.Lock()
        self._turns = Turns()
        host = self._host
        self._host = replace(host, overlay=host.overlay.copy(), memory={}, process=object())


def flight_key(call: Call) -> tuple[str, ...]:
    """Return the same for calls that one flow can serve: of those rejected with one task, one registers."""
    rejected = call.rejected
    if rejected is None:
        return call.key
    what = (
        rejected.get("agent_runtime_id", ""),
        rejected.get("task_id", ""),
        rejected.get("runtime_agent_instance", ""),
        rejected.get("code", ""),
    )
    return ("recover", *call.key, *what)


def own_error(error: BaseException) -> AgentAssertError:
    """Return the error of a flow as a caller gets it."""
    if isinstance(error, AgentAssertError):
        return failure(error.code, error.message, error.__cause__)
    return failure("internal", "the flow was ended by an error that is none of this package's", error)


def store_error(error: BaseException) -> AgentAssertError:
    """Return what a store raised as a caller gets it."""
    if isinstance(error, AgentAssertError):
        return own_error(error)
    return failure("store_failed", "the store did not remove the task", error)


def turn(answer: Authorization) -> Authorization:
    """Make an error of what is not to be sent because something failed.

    That nobody is signed in is no failure: such calls go out as they are.

    Raises:
        AgentAssertError: ``thread_failed``.
    """
    if answer.mode == "none" and answer.cause is not None and answer.reason != "no-chatgpt-credentials":
        raise failure("thread_failed", "the turn cannot be authorized; try again with the next", answer.cause)
    return answer


def seconds(timeout: object) -> float | None:
    """Return how long a caller waits.

    Raises:
        AgentAssertError: ``invalid_request`` for what is no time.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or math.isnan(timeout):
        raise AgentAssertError("invalid_request", "a timeout is a number of seconds, or None")
    return min(max(0.0, float(timeout)), threading.TIMEOUT_MAX)


def gave_up() -> AgentAssertError:
    """Return the error of a caller that does not wait any longer."""
    return AgentAssertError("canceled", "the caller stopped waiting for its authorization")


def apps_mcp_server(base_url: str, bearer: Authorization, explicit: str | None) -> MCPServer:
    """Return how an MCP client is configured for the apps' server."""
    headers = bearer.headers()
    if explicit:
        headers["Authorization"] = explicit
        if bearer.account_id:
            headers["ChatGPT-Account-ID"] = bearer.account_id
    return MCPServer(base_url + APPS_PATH, headers)
