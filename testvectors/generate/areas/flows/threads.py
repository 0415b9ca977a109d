"""Flows of threads."""

import captured
from areas.credentials import JWT
from areas.decisions import THREAD, UNSUPPORTED, config, credentials
from areas.flows.script import (
    DELETE_BACKOFF,
    DONE,
    ELSEWHERE,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOCK_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    TASKLESS,
    THREAD_RECORD,
    THREADS,
    WITH_TASK,
    ThreadRun,
    back_off,
    back_off_entry,
    failed,
    identity,
    loaded,
    response,
    save,
)
from primitives import compact
from vectors import capture


def threads():
    """Yield flows of threads."""
    run = ThreadRun(now=captured.THREAD_TIME, tick=0)
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    header = run.steps[-1]["effect"]["authorization"]["header"]
    assert header == captured.THREAD_HEADER
    yield run.end(
        "captured-thread",
        "a stored thread's task: the header is the real client's",
        capture("enabled.jsonl", 13),
    )
    run = ThreadRun(cfg=config(UNSUPPORTED))
    run.start()
    run.finds(identity(base_url=UNSUPPORTED), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end(
        "thread-unsupported-host",
        "rule 4 does not apply to a thread",
        capture("unsupported-host.jsonl"),
    )
    run = ThreadRun(cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("thread-gate-off", "the gate is off", capture("gate-off.jsonl", 7))

    for name, comment, record in [
        ("new", "a thread without a task", None),
        (
            "other-identity",
            "a task that was granted to another identity",
            compact(THREAD_RECORD | {"agent_runtime_id": "agent-rt-1"}),
        ),
        ("damaged", "a damaged record", "damaged"),
        ("no-agent", "a task of nobody's", compact({"task_id": "task-6"})),
        (
            "agent-null",
            "a task of nobody's",
            compact(THREAD_RECORD | {"agent_runtime_id": None}),
        ),
        ("no-task", "a record without a task", compact({"agent_runtime_id": "x"})),
    ]:
        run = ThreadRun()
        run.to_task_biscuit(thread=record)
        run.task_biscuit_minted()
        run.task_registered()
        run.asserts(DONE)
        yield run.end(f"thread-{name}", f"{comment}: one is registered", THREADS)

    run = ThreadRun(thread="a/b:任务")
    run.to_task_biscuit()
    yield run.end("thread-id-odd", "any text is a thread's id", THREADS)

    run = ThreadRun()
    run.start()
    run.finds(None, LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "thread-without-identity",
        "the identity is registered first, without a background task",
        THREADS,
    )

    now = captured.TIME
    run = ThreadRun()
    run.to_task_biscuit(backoff=back_off(now, "http_status"))
    yield run.end("thread-in-a-pause", "a turn tries, whatever failed before", THREADS)
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(response(500), "http_status")
    yield run.end(
        "thread-registration-failed",
        "a failed registration is an error of the turn, not a fall-back to bearer",
        THREADS,
    )
    run = ThreadRun()
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("thread-load-failed", "the task cannot be loaded", THREADS)
    run = ThreadRun()
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    run.step(loaded(), run.lock_thread)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end(
        "thread-race", "another process registered the task in the meantime", THREADS
    )

    # The store fails, at each step.
    def store_fails(run, name, comment):
        run.falls_back(failed("store"), "store-failed", "store_failed")
        return run.end(f"thread-{name}-failed", comment, THREADS)

    run = ThreadRun()
    run.start()
    yield store_fails(run, "load-identity", "the identity cannot be loaded")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    yield store_fails(run, "lock", "the lock cannot be had")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    yield store_fails(run, "reload-identity", "the identity cannot be loaded again")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    yield store_fails(run, "reload-thread", "the task cannot be loaded again")
    run = ThreadRun()
    run.to_last_load(WITH_TASK)
    yield store_fails(run, "load-back-off", "the back-off cannot be loaded")
    run = ThreadRun()
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "thread-save-identity-failed", "a new identity cannot be saved", THREADS
    )
    run = ThreadRun()
    run.to_task_biscuit()
    run.task_biscuit_minted()
    run.task_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end("thread-save-task-failed", "a new task cannot be saved", THREADS)
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(response(500), "http_status", last=failed("store"))
    yield run.end(
        "thread-save-back-off-failed",
        "the failure cannot be saved: the turn ends all the same",
        THREADS,
    )
    for name, record, effect in [
        ("identity", None, NEW_IDENTITY_ENTROPY),
        ("task", WITH_TASK, NEW_TASK_ENTROPY),
    ]:
        run = ThreadRun()
        run.to_last_load(record)
        run.probed(loaded(), effect)
        run.falls_back(failed("store"), "registration-failed", "request_failed")
        yield run.end(
            f"thread-{name}-entropy-failed", "there is no randomness", THREADS
        )
    for record, name, effect in [
        (back_off(now, "http_status"), "deleted", DELETE_BACKOFF),
        (
            compact({"acct-2": ELSEWHERE, "acct-1": back_off_entry(now, "x")}),
            "saved",
            save("backoff", compact({"acct-2": ELSEWHERE})),
        ),
    ]:
        for event, comment in [
            (DONE, "a turn that succeeds forgets the account's failures"),
            (failed("store"), "which cannot be forgotten: the task is there"),
        ]:
            run = ThreadRun()
            run.to_task_biscuit(backoff=record)
            run.task_biscuit_minted()
            run.task_registered()
            run.step(DONE, effect)
            run.asserts(event)
            outcome = event["type"]
            yield run.end(f"thread-back-off-{name}-{outcome}", comment, THREADS)

    # The rest.
    for surface in THREAD:
        run = ThreadRun(surface=surface)
        run.with_task()
        yield run.end(f"thread-surface-{surface}", "every thread's surface", THREADS)
    for stage, reach in [
        ("biscuit", ThreadRun.to_task_biscuit),
        ("task", lambda run: run.to_task_biscuit().task_biscuit_minted()),
    ]:
        run = ThreadRun()
        reach(run)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(f"thread-{stage}-canceled", "no pause, and no task", THREADS)
        run = ThreadRun()
        reach(run)
        run.backs_off(failed("timeout"), "request_failed")
        yield run.end(f"thread-{stage}-timeout", "an error of the turn", THREADS)
    run = ThreadRun()
    record = back_off(now - 4000, "http_status", 3)
    run.to_task_biscuit(backoff=record)
    run.backs_off(response(500), "http_status", failures=4, pause=480, record=record)
    yield run.end(
        "thread-fourth-failure", "a turn's failures count like others", THREADS
    )
    run = ThreadRun(creds=credentials(token=None))
    run.with_task()
    yield run.end(
        "thread-stored-no-access-token", "an assertion needs no token", THREADS
    )
    run = ThreadRun(creds=credentials(token=None))
    run.to_last_load(WITH_TASK)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end(
        "thread-no-access-token", "the biscuit of a thread's task does", THREADS
    )
    run = ThreadRun()
    run.start()
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end(
        "thread-unreadable-identity", "what cannot be read is left alone", THREADS
    )
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end("thread-race-unreadable", "not even under the lock", THREADS)
    run = ThreadRun()
    run.start()
    run.finds(TASKLESS, run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD | {"x": None})))
    yield run.end(
        "thread-background-task-missing",
        "a thread does not need the background task, and its record may hold more",
        THREADS,
    )
    for name, task in [("colons", "a:b"), ("non-ascii", "任务-🦀")]:
        run = ThreadRun()
        run.with_task(task)
        yield run.end(f"thread-task-{name}", "any text is a task's id", THREADS)
    for name, task in [("control-character", "a\nb"), ("empty", "")]:
        run = ThreadRun()
        record = compact(THREAD_RECORD | {"task_id": task})
        run.to_task_biscuit(thread=record)
        yield run.end(
            f"thread-task-{name}",
            "a task that must not be signed counts as none",
            THREADS,
        )
    run = ThreadRun(thread="x" * 4096)
    run.to_task_biscuit()
    yield run.end("thread-id-4096-bytes", "the longest id of a thread", THREADS)
