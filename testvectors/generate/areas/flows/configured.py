"""Flows with pauses and capabilities that the configuration says."""

import captured
from areas.decisions import INSTANCES, config
from areas.flows.limits import start as refused_start
from areas.flows.script import (
    AUTH_API_KEY,
    DONE,
    LOAD_IDENTITY,
    LOAD_SET_ASIDE,
    LOCK_IDENTITY,
    LONGEST_RETRY_AFTER,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    PROBE_IDENTITY,
    REJECTED_TASK,
    RETRY_AFTER,
    TASKLESS,
    WITH_TASK,
    AuthAPIRun,
    AuthAPITurn,
    Run,
    ThreadRun,
    back_off,
    failed,
    identity,
    loaded,
    replaced,
    response,
)
from vectors import hexadecimal

PAUSES = "this project's rule: pauses that the configuration says"
CAPABILITIES = "this project's rule: what an identity is registered with"


def paused(first, most, **members):
    """Return a configuration with pauses."""
    return config() | {"pauses": {"first": first, "most": most}} | members


def pauses():
    """Yield flows with other pauses than the profile's."""
    for first, most, failures, pause in [
        (5, 20, 0, 5),
        (5, 20, 1, 10),
        (5, 20, 2, 20),
        (5, 20, 3, 20),
        (5, 20, 2147483647, 20),
        (5, 23, 3, 23),
        (1, 1, 0, 1),
        (1, 1, 7, 1),
        (1, 86400, 16, 65536),
        (1, 86400, 17, 86400),
        (86400, 86400, 0, 86400),
    ]:
        run = Run(cfg=paused(first, most))
        record = failures and back_off(captured.TIME - 90000, "http_status", failures)
        run.to_identity_biscuit(record or None)
        run.backs_off(
            response(403),
            "http_status",
            failures=min(failures + 1, 2147483648),
            pause=pause,
            record=record or None,
        )
        yield run.end(
            f"pauses-{first}-{most}-after-{failures}",
            f"{pause} s, less what chance takes away",
            PAUSES,
        )
    run = Run(cfg=paused(5, 20))
    run.to_identity_biscuit()
    run.backs_off(
        response(503, {}, {"retry-after": "86401"}),
        "http_status",
        pause=5,
        retry_after=LONGEST_RETRY_AFTER,
    )
    yield run.end("pauses-retry-after", "the backend asks for more", RETRY_AFTER)
    run = AuthAPIRun(cfg=paused(7, 30))
    run.to_register_task()
    run.backs_off(response(400), "http_status", pause=7)
    yield run.end("pauses-auth-api", "in place of an hour", PAUSES)
    yield from none()
    for name, first, most in [
        ("no-first", 0, 5),
        ("no-most", 5, 0),
        ("first-over-most", 6, 5),
        ("over-a-day", 1, 86401),
        ("below-zero", -5, -1),
        ("first-below-zero", -1, 5),
        ("most-below-zero", 0, -1),
    ]:
        yield refused_start(f"pauses-{name}", "no pauses", paused(first, most))


def none():
    """Yield flows without pauses: of failures nothing is read or written."""
    nothing = paused(0, 0)
    run = Run(cfg=nothing)
    run.start()
    run.finds(None, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("no-pauses", "no failure is looked for, nor forgotten", PAUSES)
    for name, event, code in [
        ("403", response(403), "http_status"),
        ("retry-after", response(503, {}, {"retry-after": "90"}), "http_status"),
        ("connect", failed("connect"), "request_failed"),
        ("useless", response(200), "invalid_response"),
    ]:
        run = Run(cfg=nothing)
        run.start()
        run.finds(TASKLESS, LOCK_IDENTITY)
        run.step(DONE, LOAD_IDENTITY)
        run.finds(TASKLESS, PROBE_IDENTITY)
        run.step(DONE, NEW_TASK_ENTROPY)
        entropy = {"type": "entropy", "entropy": hexadecimal(run.request_ids[1])}
        run.step(entropy, run.task_biscuit)
        run.task_biscuit_minted()
        run.falls_back(event, "registration-failed", code)
        yield run.end(f"no-pauses-{name}", "the next call tries again", PAUSES)
    run = Run(cfg=nothing, rejected=REJECTED_TASK)
    run.start()
    run.finds(WITH_TASK, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, PROBE_IDENTITY)
    run.step(DONE, NEW_TASK_ENTROPY)
    run.step(entropy, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(replaced(run.now + 1), "task-9")
    run.asserts(DONE, "task-9")
    yield run.end("no-pauses-rejected", "another task takes its place", PAUSES)
    run = Run(cfg=nothing, rejected=REJECTED_TASK)
    run.start()
    young = replaced(run.now + 1)
    run.steps[0]["event"]["rejected"] = REJECTED_TASK | {"task_id": "task-9"}
    run.falls_back(loaded(young), "registration-failed", "task_rejected")
    yield run.end(
        "no-pauses-rejected-replacement",
        "one that has only just replaced another stays all the same",
        PAUSES,
    )
    run = Run(cfg=nothing, rejected=REJECTED_TASK | {"code": "unknown_agent"})
    run.start()
    run.finds(WITH_TASK, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, PROBE_IDENTITY)
    run.heals()
    run.falls_back(response(403), "registration-failed", "http_status")
    yield run.end("no-pauses-unknown-agent", "it stays", PAUSES)
    run = Run(cfg=nothing, rejected=REJECTED_TASK | {"code": "unknown_agent"})
    run.start()
    run.finds(WITH_TASK, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, PROBE_IDENTITY)
    run.step(DONE, LOAD_SET_ASIDE)
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("no-pauses-not-set-aside", "it stays", PAUSES)
    run = ThreadRun(cfg=nothing)
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    run.step(entropy, run.task_biscuit)
    run.task_biscuit_minted()
    run.falls_back(response(403), "registration-failed", "http_status")
    yield run.end("no-pauses-thread", "the error of a turn", PAUSES)
    run = AuthAPITurn(cfg=nothing)
    run.start()
    run.finds(TASKLESS, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(TASKLESS, PROBE_IDENTITY)
    run.step(DONE, run.register_task)
    for wait in [100, 200]:
        run.step(response(500), {"type": "wait", "wait_ms": wait})
        run.step({"type": "woke"}, run.register_task)
    run.falls_back(response(500), "registration-unavailable", "http_status")
    yield run.end("no-pauses-auth-api", "this turn falls back", PAUSES)


def capabilities():
    """Yield flows with capabilities that the configuration says."""
    for name, listed in [
        ("one", ["responsesapi"]),
        ("two", ["responsesapi", "a b"]),
        ("escaped", ['"\\<é>']),
        ("most", ["x" * 64] * 16),
        ("twice", ["a", "a"]),
    ]:
        run = Run(cfg=config() | {"capabilities": listed})
        run.to_register_identity()
        run.identity_registered()
        yield run.end(f"capabilities-{name}", "as they are", CAPABILITIES)
        run = AuthAPIRun(cfg=config() | {"capabilities": listed}, key=AUTH_API_KEY)
        run.to_register_identity()
        run.identity_registered()
        yield run.end(
            f"capabilities-{name}-auth-api", "in place of its own", CAPABILITIES
        )
    for name, listed, more in [
        ("too-many", ["a"] * 17, {}),
        ("empty", [""], {}),
        ("too-long", ["x" * 65], {}),
        ("too-long-in-bytes", ["é" * 33], {}),
        ("control-character", ["a", "a\nb"], {}),
        ("too-many-auth-api", ["a"] * 17, {"profile": "auth-api"}),
        ("instances", ["a"], INSTANCES),
    ]:
        yield refused_start(
            f"capabilities-{name}",
            "none that an identity could be registered with",
            config() | {"capabilities": listed} | more,
        )


def configured():
    """Yield all of them."""
    yield from pauses()
    yield from capabilities()
    # A record that another configuration has left says when a pause ends.
    run = Run(cfg=paused(1, 2))
    run.start()
    run.keeps(identity(task_id=None))
    at = run.now
    run.falls_back(
        loaded(back_off(at, "http_status", 9, pause=3600)),
        "registration-failed",
        "backing_off",
        at + 3600,
    )
    yield run.end("pauses-left-by-another", "it is not shortened", PAUSES)
