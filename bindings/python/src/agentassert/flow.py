"""Runs the core's flow for a call, and says what somebody has to carry out for it.

A flow is a generator of operations: of what takes a store, a network or time. It does
everything else itself, and knows nothing of threads and event loops; Manager and
AsyncManager have what drives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from .authorization import Answer, Authorization, Call
from .core import AgentAssert
from .errors import AgentAssertError
from .exchange import event_of, failure_of, timed_out
from .failures import code_of, failure
from .messages import (
    Credentials,
    FailureKind,
    FlowConfig,
    FlowEffect,
    FlowEvent,
    HTTPEffect,
    SaveEffect,
    SlotEffect,
    Start,
    SwapEffect,
)
from .operation import (
    AskCredentials,
    Bounds,
    EndedError,
    Operation,
    Pause,
    Release,
    Send,
    StoreCall,
    TakeTurn,
    TimeOverError,
)
from .overlay import Overlay
from .policy import ID_SIZE, FlowPolicy
from .policy_profile import PolicyCall
from .secret import Secret
from .sign_in import checked_credentials
from .untrusted import bytes_in, members_of, text_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cbor import Value

MAX_STEPS = 96
"""Bounds a flow. The longest takes some 60 steps."""

SAVE_SECONDS = 30.0
"""Bounds a save: hundreds of threads can save at once, on a slow disk."""

MAX_HELD_SECONDS = 240.0
"""Bounds the time for which a flow holds locks that others wait for.

A registration of an identity and a task, with a backend that answers at the last moment
each time, takes some three minutes.
"""

STEPS_AFTER = 8
"""How many steps a flow has left after that.

They are to store what the backend has granted, and that it is to be left alone.
"""

MEMORY_SLOTS = ("instance", "workspace")
"""The slots that are in no store: what they hold ends with the manager."""

Work = Generator[Operation, Any, FlowEvent]


@dataclass(repr=False)
class Host(Secret):
    """What the flows of a manager are run with."""

    core: AgentAssert
    config: FlowConfig
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    can_probe: bool
    """Whether the store has a method for it."""
    credentials: Credentials | Callable[[], Any] | None
    """None where the store is asked for them."""
    overlay: Overlay = field(default_factory=Overlay)
    memory: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """The records in MEMORY_SLOTS. That of the instance holds its private key."""
    held_seconds: float = MAX_HELD_SECONDS
    process: object = field(default_factory=object)
    """Stands for this process: one that is forked off has instances of its own."""

    def now(self) -> int:
        """Return the time in Unix seconds.

        Raises:
            AgentAssertError: ``invalid_request`` for a clock that is none.
        """
        seconds = self.clock()
        try:
            return int(seconds // 1)
        except (TypeError, ValueError, OverflowError):
            pass
        raise AgentAssertError("invalid_request", "the clock returned what is no time")

    def random(self, size: int) -> bytes:
        """Draw so many bytes. Raises what the source of entropy does."""
        entropy = self.entropy(size)
        if not isinstance(entropy, (bytes, bytearray)) or len(entropy) != size:
            raise AgentAssertError("internal", f"the source of entropy did not return {size} bytes")
        return bytes(entropy)

    def id_entropy(self) -> bytes:
        """Draw what the id of an instance's assertion is made of.

        Raises:
            AgentAssertError: ``no_entropy``.
        """
        try:
            return self.random(ID_SIZE)
        except Exception as error:
            cause = error
        raise failure("no_entropy", "there is no entropy for an assertion's id", cause)


class Flow(Secret):
    """One flow. Its operations are carried out one after the other."""

    def __init__(self, host: Host, call: Call, is_ended: Callable[[], bool]) -> None:
        self._host = host
        self._call = call
        self._is_ended = is_ended
        # What gives the locks back that are held, by slot.
        self._locks: dict[str, list[Operation]] = {}
        # What the store had in the slots that were loaded.
        self._stored: dict[str, bytes | None] = {}
        # Until when locks can be held; None while none ever was.
        self._held_until: float | None = None
        self._policy: FlowPolicy | None = None
        # The last failure, in the host's own words.
        self._error: BaseException | None = None

    def run(self) -> Generator[Operation, Any, Answer]:
        """Run the flow to its answer.

        Raises:
            AgentAssertError: Those of the core; ``policy_violation``, ``sandbox_failed``,
                ``no_entropy``, ``credentials_failed``, ``closed``.
        """
        credentials = yield from self._credentials()
        try:
            answer = yield from self._steps(credentials)
        except GeneratorExit:
            raise  # nobody carries anything out any more
        except BaseException:
            yield from self._give_back()
            raise
        yield from self._give_back()
        return answer

    def _credentials(self) -> Generator[Operation, Any, Credentials]:
        source = self._host.credentials
        try:
            if source is None:
                return checked_credentials((yield StoreCall("credentials", (), Bounds())))
            if callable(source):
                return checked_credentials((yield AskCredentials(source, Bounds())))
            return checked_credentials(source)
        except AgentAssertError:
            raise
        except EndedError:
            raise closed() from None
        except Exception as error:
            cause = error
        raise failure("credentials_failed", "the credentials cannot be had", cause)

    def _steps(self, credentials: Credentials) -> Generator[Operation, Any, Answer]:
        host, call = self._host, self._call
        is_instance = host.config.get("profile") == "instances"
        entropy = host.id_entropy() if is_instance else None
        policy = FlowPolicy(PolicyCall(host.config, call.surface, credentials, call.thread_id, entropy))
        self._policy = policy
        event: FlowEvent = self._start(credentials, entropy)
        state: bytes | None = None
        late = 0
        for _ in range(MAX_STEPS):
            now = host.now()
            step = _step(host.core, state, {**event, "now": now})
            effect = policy.effect(step.get("effect"), now)
            state = bytes_in(step, "state")
            if effect["type"] == "done":
                kind = credentials["kind"]
                authorization = Authorization(effect["authorization"], kind, self._error)
                # The state has the private key: it is kept where it is needed, and nowhere else.
                kept = state if authorization.runtime_agent_instance else None
                return Answer(authorization, kind, kept, policy, host.process)
            event = yield from self._carry_out(effect)
            late += self._is_late
            if late > STEPS_AFTER:
                break
        raise _endless()

    def _start(self, credentials: Credentials, entropy: bytes | None) -> Start:
        call = self._call
        event: Start = {
            "type": "start",
            "config": self._host.config,
            "surface": call.surface,
            "credentials": credentials,
        }
        if call.thread_id:
            event["thread_id"] = call.thread_id
        if call.rejected:
            event["rejected"] = call.rejected
        if entropy:
            event["entropy"] = entropy
        return event

    @property
    def _is_late(self) -> bool:
        """Whether the time is over for which the flow can hold a lock.

        What it does then fails, except that records are saved.
        """
        is_over = self._held_until is not None and time.monotonic() >= self._held_until
        return is_over and not self._is_ended()

    @property
    def _bounds(self) -> Bounds:
        return Bounds(self._held_until)

    def _carry_out(self, effect: FlowEffect) -> Work:
        """Do what an effect asks for.

        A failure becomes an event: what follows from it is the core's to say.
        """
        if effect["type"] == "http":
            return (yield from self._exchange(effect))
        try:
            return (yield from self._try(effect))
        except Exception as error:
            if code_of(error) == "policy_violation":
                raise  # the store runs the module, too
            kind = self._failure_of(error)
            if kind != "changed":
                self._error = _own(error)  # that is nobody's fault
        if effect.get("slot") == "backoff" and effect["type"] != "load":
            return {"type": "done"}  # the failure that is to be remembered is the one to report
        return {"type": "failed", "failure": kind}

    def _failure_of(self, error: Exception) -> FailureKind:
        if code_of(error) == "record_changed":
            return "changed"
        if code_of(error) == "store_read_only":
            return "read-only"
        return "canceled" if self._is_ended() else "store"

    def _try(self, effect: FlowEffect) -> Work:
        if effect["type"] == "load":
            record = yield from self._load(effect["slot"])
            return {"type": "loaded"} if record is None else {"type": "loaded", "record": record}
        if effect["type"] == "lock":
            yield from self._lock(effect["slot"])
        elif effect["type"] == "unlock":
            yield from self._unlock(effect["slot"])
        elif effect["type"] == "probe":
            if self._host.can_probe:
                yield StoreCall("probe", (effect["slot"],), self._bounds)
        elif effect["type"] == "save" or effect["type"] == "delete" or effect["type"] == "swap":
            yield from self._write(effect)
        elif effect["type"] == "entropy":
            event: FlowEvent = {"type": "entropy", "entropy": self._host.random(effect["size"])}
            self._answered(effect, event)
            return event
        elif effect["type"] == "wait":
            yield from self._wait(effect["wait_ms"] / 1000)
            return {"type": "woke"}
        return {"type": "done"}

    def _load(self, slot: str) -> Generator[Operation, Any, bytes | None]:
        if slot in MEMORY_SLOTS:
            return self._host.memory.get(slot)
        record, stored = yield from self._host.overlay.load(slot, self._bounds)
        self._stored[slot] = stored
        return record

    def _lock(self, slot: str) -> Generator[Operation, Any, None]:
        """Wait for the turn of this flow in this manager, so that only one of its flows waits for the
        store's lock.
        """
        end = yield TakeTurn(slot, self._bounds)
        held: list[Operation] = [Release(end, Bounds(heeds=False), blocks=False)]
        self._locks[slot] = held
        if slot not in MEMORY_SLOTS:
            unlock = yield StoreCall("lock", (slot,), self._bounds)
            if not callable(unlock):
                raise AgentAssertError("store_failed", "the store returned nothing that unlocks a lock")
            held.append(Release(unlock, Bounds(heeds=False), blocks=True))
        if self._held_until is None:
            self._held_until = time.monotonic() + self._host.held_seconds

    def _unlock(self, slot: str) -> Generator[Operation, Any, None]:
        yield from self._release(self._locks.pop(slot, []))

    def _give_back(self) -> Generator[Operation, Any, None]:
        """Give back what locks there are."""
        held = [release for releases in self._locks.values() for release in releases]
        self._locks.clear()
        yield from self._release(held)

    def _release(self, held: list[Operation]) -> Generator[Operation, Any, None]:
        """Give back what was taken, the last one first, and none less because of how another ends."""
        interruption: BaseException | None = None
        for release in reversed(held):
            try:
                yield release
            except GeneratorExit:
                raise
            except Exception:  # noqa: S110
                pass
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def _write(self, effect: SaveEffect | SwapEffect | SlotEffect) -> Generator[Operation, Any, None]:
        slot = effect["slot"]
        record: bytes | None = None
        if effect["type"] == "save" or effect["type"] == "swap":
            record = effect.get("record")
        if slot in MEMORY_SLOTS:
            if record is not None:
                self._host.memory[slot] = record
            return
        bounds = self._bounds
        if record is not None:
            # The backend has registered it: even a manager that is being closed keeps it.
            bounds = Bounds(time.monotonic() + SAVE_SECONDS, heeds=False)
        if effect["type"] == "swap":
            yield from self._host.overlay.swap(slot, effect.get("expected"), record, bounds)
        else:
            yield from self._host.overlay.write(slot, self._stored.get(slot), record, bounds)
        self._stored[slot] = record

    def _wait(self, seconds: float) -> Generator[Operation, Any, None]:
        until = time.monotonic() + seconds
        if self._held_until is not None and self._held_until < until:
            until = self._held_until
        yield Pause(Bounds(until))
        if self._is_late:
            raise TimeOverError

    def _exchange(self, effect: HTTPEffect) -> Work:
        """Send a flow's request, within its time-out and size limit."""
        until = time.monotonic() + effect["timeout_ms"] / 1000
        if self._held_until is not None:
            until = min(until, self._held_until)
        kind: FailureKind
        try:
            response = event_of(effect, (yield Send(effect, Bounds(until))))
        except EndedError:
            kind = "canceled"
            self._error = AgentAssertError(
                "canceled", "the request was given up, because the manager was closed"
            )
        except TimeOverError:
            kind, self._error = "timeout", _held_too_long() if self._is_late else timed_out()
        except Exception as error:
            kind, self._error = failure_of(error)
        else:
            self._answered(effect, response)
            return response
        return {"type": "failed", "failure": kind}

    def _answered(self, effect: FlowEffect, event: FlowEvent) -> None:
        if self._policy is not None:
            self._policy.answered(effect, event)


def another_assertion(host: Host, answer: Answer) -> Authorization:
    """Make another assertion of an answer with a runtime agent instance: each is for one request.

    Raises:
        AgentAssertError: ``no_entropy``, ``policy_violation``, ``sandbox_failed``.
    """
    entropy, now = host.id_entropy(), host.now()
    step = _step(host.core, answer.state, {"type": "again", "now": now, "entropy": entropy})
    effect = members_of(step.get("effect"))
    if text_in(effect, "type") != "done":
        raise _endless()
    return Authorization(answer.policy.again(effect.get("authorization"), entropy, now), answer.kind)


def closed() -> AgentAssertError:
    """Return the error of a manager that is closed."""
    return AgentAssertError("closed", "the manager is closed")


def _step(core: AgentAssert, state: bytes | None, event: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Value] = {"event": event}
    if state is not None:
        params["state"] = state
    return core.call("flow.step", params)


def _endless() -> AgentAssertError:
    return AgentAssertError("sandbox_failed", "the core's flow does not end")


def _held_too_long() -> AgentAssertError:
    return AgentAssertError("store_failed", "the registration took too long for others who wait for it")


def _own(error: Exception) -> BaseException:
    """Return an error as it is shown: how this package itself ends an operation has words for people."""
    if isinstance(error, EndedError):
        return closed()
    if isinstance(error, TimeOverError):
        return AgentAssertError("store_failed", "the store took longer than others can wait for it")
    return error
