"""Flows with a store that can be read and not be written."""

import captured
from areas.flows.script import (
    DELETE_BACKOFF,
    DONE,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOAD_SET_ASIDE,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    PROBE_IDENTITY,
    READ_ONLY,
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
    failed,
    identity,
    loaded,
    replaced,
    response,
    save,
    set_aside,
)
from primitives import compact
from vectors import hexadecimal

KEPT = failed("read-only")


def read_only():
    """Yield flows that use what such a store holds, and say what they cannot do."""

    def refuses(run, name, comment):
        run.falls_back(KEPT, "store-failed", "store_read_only")
        return run.end(f"read-only-{name}", comment, READ_ONLY)

    run = Run()
    run.to_lock(TASKLESS)
    run.step(KEPT, LOAD_IDENTITY)
    run.finds(TASKLESS, LOAD_BACKOFF)
    run.step(loaded(), PROBE_IDENTITY)
    run.step(KEPT, NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(WITH_TASK)
    run.asserts(KEPT)
    yield run.end(
        "read-only-task",
        "an identity without a task gets one, which the host keeps in memory",
        READ_ONLY,
    )
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(KEPT, LOAD_IDENTITY)
    run.load(WITH_TASK, None, LOAD_BACKOFF)
    run.step(loaded(), {"type": "probe", "slot": run.slot})
    run.step(KEPT, NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(KEPT)
    yield run.end("read-only-thread", "and so does a thread", READ_ONLY)
    run = Run()
    run.to_lock()
    yield refuses(run, "lock", "nothing is held, and nothing could be kept")
    run = Run()
    run.to_lock(identity(workspace_id="acct-2"))
    yield refuses(run, "lock-unfit", "what is held does not fit")
    run = ThreadRun()
    run.to_lock()
    yield refuses(run, "lock-thread", "a thread without an identity")
    run = Run()
    run.to_last_load()
    run.step(loaded(), PROBE_IDENTITY)
    yield refuses(run, "probe", "found out before anything is registered")
    run = Run()
    run.to_last_load(identity(workspace_id="acct-2"))
    run.step(loaded(), PROBE_IDENTITY)
    yield refuses(run, "probe-unfit", "what is held does not fit, and stays")
    for failure in ["store", "timeout", "canceled"]:
        for name, record in [("", None), ("-taskless", TASKLESS)]:
            run = Run()
            run.to_last_load(record)
            run.step(loaded(), PROBE_IDENTITY)
            run.falls_back(failed(failure), "store-failed", "store_failed")
            yield run.end(
                f"probe-failed-{failure}{name}",
                "what would be registered could not be kept: nothing is",
                READ_ONLY,
            )
        run = ThreadRun()
        run.to_last_load(WITH_TASK)
        run.step(loaded(), {"type": "probe", "slot": run.slot})
        run.falls_back(failed(failure), "store-failed", "store_failed")
        yield run.end(f"probe-failed-{failure}-thread", "nor is a task", READ_ONLY)
    for name, thread in [("set-aside-load", False), ("set-aside-save", True)]:
        run = Run()
        foreign = identity(workspace_id="acct-2")
        for failure, code in [
            ("store", "store_failed"),
            ("read-only", "store_read_only"),
        ]:
            run = Run()
            run.to_last_load(foreign)
            run.step(loaded(), PROBE_IDENTITY)
            run.step(DONE, LOAD_SET_ASIDE)
            if thread:
                run.step(
                    loaded(),
                    lambda run=run: save(
                        "set-aside", f"[{set_aside(run.stored, run.now)}]"
                    ),
                )
            run.falls_back(failed(failure), "store-failed", code)
            yield run.end(
                f"{name}-failed-{failure}",
                "what cannot be set aside is not replaced",
                SET_ASIDE,
            )
    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.backs_off(KEPT, "store_read_only", "store-failed")
    yield run.end(
        "read-only-save-identity",
        "a new identity cannot be kept after all: a pause",
        READ_ONLY,
    )
    run = Run()
    run.to_identity_biscuit()
    run.backs_off(response(403), "http_status", last=KEPT)
    yield run.end("read-only-back-off", "the host keeps it in memory", READ_ONLY)
    run = Run()
    run.to_register_task(TASKLESS, back_off(captured.TIME - 4000, "http_status"))
    run.task_registered(WITH_TASK)
    run.step(KEPT, DELETE_BACKOFF)
    run.asserts(KEPT)
    yield run.end("read-only-clear-back-off", "an old failure stays", READ_ONLY)
    run = Run(rejected=REJECTED_TASK)
    run.to_lock(WITH_TASK)
    run.step(KEPT, LOAD_IDENTITY)
    run.keeps()
    run.step(loaded(), PROBE_IDENTITY)
    run.step(KEPT, NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(replaced(run.now + 1), "task-9")
    run.asserts(KEPT, "task-9")
    yield run.end(
        "read-only-rejected", "a rejected task is replaced in memory", READ_ONLY
    )
    on_thread = REJECTED_TASK | {"task_id": "task-6"}
    run = ThreadRun(rejected=on_thread)
    record = compact(THREAD_RECORD)
    run.to_lock(WITH_TASK, record)
    run.step(KEPT, LOAD_IDENTITY)
    run.load(WITH_TASK, record, LOAD_BACKOFF)
    run.step(loaded(), {"type": "probe", "slot": run.slot})
    run.step(KEPT, NEW_TASK_ENTROPY)
    yield run.end("read-only-rejected-thread", "a thread's, too", READ_ONLY)
    for failure in ["store", "timeout", "canceled", "read-only"]:
        run = ThreadRun()
        run.to_last_load()
        run.probed(loaded(), NEW_IDENTITY_ENTROPY)
        run.give_entropy()
        run.identity_biscuit_minted()
        run.identity_registered()
        run.step(DONE, run.load_thread)
        run.step(loaded(), UNLOCK_IDENTITY)
        run.step(failed(failure), run.lock_thread)
        yield run.end(
            f"unlock-failed-{failure}", "whoever wants it has to wait", READ_ONLY
        )
