"""Flows in which somebody else changes the identity while one is registered."""

import json

import captured
from areas.credentials import JWT
from areas.flows.script import (
    DONE,
    FORM_0_123,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    REJECTED_TASK,
    REQUEST_IDS,
    SWAPS,
    TASKLESS,
    WITH_TASK,
    Run,
    failed,
    identity,
    loaded,
    replaced,
    swap,
    with_task,
)
from fixtures import KEY, OTHER_KEY
from primitives import compact, timestamp
from vectors import hexadecimal

CHANGED = failed("changed")


def swaps():
    """Yield flows that lose, and take what the winner has stored."""

    def loses(backoff=None):
        """Go on until an identity of our own could not be stored."""
        run = Run(key=OTHER_KEY, runtime="agent-rt-9")
        run.to_register_identity(backoff)
        run.identity_registered()
        run.ours = run.stored
        return run.step(CHANGED, LOAD_IDENTITY)

    def theirs(run):
        run.key, run.runtime = KEY, captured.RUNTIME_ID

    run = loses()
    theirs(run)
    run.asserts(loaded(WITH_TASK))
    yield run.end("swap-lost", "the winner has an identity, and a task", SWAPS)
    run = loses()
    theirs(run)
    run.uses(FORM_0_123)
    yield run.end(
        "swap-lost-to-0-123",
        "the winner is another client, whose record lacks some",
        SWAPS,
    )
    run = loses()
    theirs(run)
    run.finds(TASKLESS, LOAD_BACKOFF)
    run.step(loaded(), run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("swap-lost-taskless", "the winner has an identity alone", SWAPS)
    run = loses()
    run.finds(None, LOAD_BACKOFF)
    run.step(loaded(), swap(None, run.ours))
    run.stored = run.ours
    run.identity_saved()
    yield run.end("swap-lost-to-nobody", "there is none: ours is stored", SWAPS)
    run = loses()
    foreign = identity(workspace_id="acct-2")
    run.finds(foreign, LOAD_BACKOFF)
    run.sets_aside(swap(foreign, run.ours), event=loaded())
    run.stored = run.ours
    run.identity_saved()
    yield run.end(
        "swap-lost-to-unfit", "the winner's does not fit: it is set aside", SWAPS
    )
    run = loses()
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end("swap-lost-to-unreadable", "it cannot be read: it stays", SWAPS)
    run = loses()
    run.falls_back(
        loaded(identity(base_url="https://backend.example")),
        "store-failed",
        "other_backend",
    )
    yield run.end("swap-lost-to-other-backend", "it belongs elsewhere", SWAPS)
    run = loses()
    run.finds(None, LOAD_BACKOFF)
    for _ in range(2):
        run.step(loaded(), swap(None, run.ours))
        run.step(CHANGED, LOAD_IDENTITY)
        run.finds(None, LOAD_BACKOFF)
    run.step(loaded(), swap(None, run.ours))
    run.backs_off(CHANGED, "store_failed", "store-failed")
    yield run.end(
        "swap-lost-four-times", "somebody changes it all the time: a pause", SWAPS
    )

    run = loses()
    run.finds(None, LOAD_BACKOFF)
    for lost in [True, True, False]:
        run.step(loaded(), swap(None, run.ours))
        if lost:
            run.step(CHANGED, LOAD_IDENTITY)
            run.finds(None, LOAD_BACKOFF)
    run.stored = run.ours
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    run.step(CHANGED, LOAD_IDENTITY)
    yield run.end(
        "swap-counts-anew", "what is lost for one does not count for the next", SWAPS
    )

    def task_lost():
        """Go on until a task could not be stored."""
        run = Run()
        run.to_register_task(TASKLESS)
        run.task_registered(WITH_TASK)
        return run.step(CHANGED, LOAD_IDENTITY)

    run = task_lost()
    run.asserts(loaded(identity(task_id="task-7")), "task-7")
    yield run.end("swap-task-lost", "the winner has stored another task", SWAPS)
    changed = identity(task_id=None, x=1)
    run = task_lost()
    run.finds(changed, swap(changed, compact(with_task(json.loads(changed), "task-4"))))
    run.asserts(DONE)
    yield run.end(
        "swap-task-lost-taskless",
        "the same identity, changed: the task is stored there, and not another "
        "registered",
        SWAPS,
    )
    run = task_lost()
    run.key, run.runtime = OTHER_KEY, "agent-rt-9"
    run.finds(run.record(captured.TIME), LOAD_BACKOFF)
    run.step(loaded(), NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(compact(with_task(json.loads(run.stored), "task-4")))
    run.asserts(DONE)
    yield run.end(
        "swap-task-lost-to-another", "another identity, which needs its own", SWAPS
    )
    run = task_lost()
    run.finds(None, LOAD_BACKOFF)
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    yield run.end("swap-task-lost-to-nobody", "the identity is gone", SWAPS)
    run = task_lost()
    for lost in [True, True, False]:
        run.finds(TASKLESS, swap(TASKLESS, WITH_TASK))
        if lost:
            run.step(CHANGED, LOAD_IDENTITY)
    run.backs_off(CHANGED, "store_failed", "store-failed")
    yield run.end(
        "swap-task-lost-four-times", "somebody changes it all the time: a pause", SWAPS
    )

    def replacement_lost():
        """Go on until what takes the place of a rejected task could not be stored."""
        run = Run(rejected=REJECTED_TASK)
        run.looks_again()
        run.keeps()
        run.probed(loaded(), NEW_TASK_ENTROPY)
        run.step(event, run.task_biscuit)
        run.task_biscuit_minted()
        run.task_registered(replaced(run.now + 1), "task-9")
        return run.step(CHANGED, LOAD_IDENTITY)

    run = replacement_lost()
    run.asserts(loaded(identity(task_id="task-7")), "task-7")
    yield run.end("swap-replacement-lost", "the winner has replaced it", SWAPS)
    run = replacement_lost()
    changed = identity(x=1)

    def again(record):
        """Store the task that was granted where the rejected one still is."""
        at = timestamp(run.now)
        whole = with_task(json.loads(record), "task-9") | {"task_replaced_at": at}
        return swap(record, compact(whole))

    run.finds(changed, lambda: again(changed))
    run.asserts(DONE, "task-9")
    yield run.end(
        "swap-replacement-lost-again",
        "the rejected one is still there: the one that was granted takes its place",
        SWAPS,
    )
    run = replacement_lost()
    for _ in range(2):
        run.finds(WITH_TASK, lambda: again(WITH_TASK))
        run.step(CHANGED, LOAD_IDENTITY)
    run.finds(WITH_TASK, lambda: again(WITH_TASK))
    run.backs_off(CHANGED, "store_failed", "store-failed")
    yield run.end(
        "swap-replacement-lost-four-times",
        "somebody changes it all the time: a pause",
        SWAPS,
    )
