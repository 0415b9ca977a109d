"""Flows that find something else once they have a lock."""

import captured
from areas.credentials import JWT
from areas.flows.script import (
    DONE,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOCK_IDENTITY,
    LOCKS,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    PROBE_IDENTITY,
    REJECTED_TASK,
    REQUEST_IDS,
    SET_ASIDE,
    TASKLESS,
    THREAD_RECORD,
    UNLOCK_IDENTITY,
    WITH_TASK,
    Run,
    ThreadRun,
    back_off,
    identity,
    loaded,
    response,
)
from primitives import compact
from vectors import hexadecimal, protocol


def races():
    """Yield flows that find something else once they have the lock."""
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "race-identity-and-task",
        "another process registered everything in the meantime",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.finds(TASKLESS, LOAD_BACKOFF)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end(
        "race-identity",
        "another process registered an identity in the meantime, and no task",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_last_load()
    retry_at = run.now + 1 + 60
    run.falls_back(
        loaded(back_off(run.now + 1, "http_status")),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end(
        "race-failure",
        "another process tried in the meantime, and failed",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock(TASKLESS)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    yield run.end(
        "race-deleted",
        "another process deleted the identity in the meantime",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end(
        "race-unreadable",
        "another process left what cannot be read",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock(None, back_off(captured.TIME - 4000, "http_status", 3))
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.backs_off(response(403), "http_status")
    yield run.end(
        "race-failures-forgotten",
        "what counts is what the store says under the lock",
        protocol("One registration at a time"),
    )

    # Threads, and which lock is wanted when.
    record = compact(THREAD_RECORD)
    for name, comment, rejected, found in [
        ("", "it has no task for this thread", None, None),
        (
            "-rejected",
            "but the thread's task is the one that was rejected",
            REJECTED_TASK | {"task_id": "task-6"},
            record,
        ),
    ]:
        run = ThreadRun(rejected=rejected)
        run.to_lock()
        run.step(DONE, LOAD_IDENTITY)
        run.finds(WITH_TASK, run.load_thread)
        run.step(loaded(found), UNLOCK_IDENTITY)
        run.step(DONE, run.lock_thread)
        run.step(DONE, LOAD_IDENTITY)
        run.finds(WITH_TASK, run.load_thread)
        run.asserts(loaded(compact(THREAD_RECORD | {"task_id": "task-9"})), "task-9")
        yield run.end(
            f"race-thread-identity{name}",
            f"another process registered an identity in the meantime; {comment}",
            LOCKS,
        )
    run = ThreadRun()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    run.asserts(loaded(record))
    yield run.end("race-thread-task", "and the thread's task", LOCKS)
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOCK_IDENTITY)
    run.stored = None
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.step(DONE, run.load_thread)
    run.step(loaded(), UNLOCK_IDENTITY)
    run.probed(DONE, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "race-thread-identity-gone",
        "another process dropped it: its lock is wanted beside the thread's, and given "
        "back once there is another",
        LOCKS,
    )
    run = ThreadRun()
    foreign = identity(workspace_id="acct-2")
    run.start()
    run.finds(foreign, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(foreign, LOAD_BACKOFF)
    run.step(loaded(), PROBE_IDENTITY)
    run.sets_aside(NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "thread-replaced-foreign-workspace",
        "a turn replaces what does not fit, too",
        SET_ASIDE,
    )
