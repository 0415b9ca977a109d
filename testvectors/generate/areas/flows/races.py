"""Flows that find something else once they have a lock."""

import captured
from areas.credentials import JWT
from areas.flows.script import (
    DONE,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    REQUEST_IDS,
    TASKLESS,
    WITH_TASK,
    Run,
    back_off,
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
