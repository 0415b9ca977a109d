"""Flows of calls whose task the backend has rejected."""

import captured
from areas.decisions import credentials
from areas.flows.script import (
    DONE,
    FEDRAMP,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    REJECTED,
    REJECTED_TASK,
    REQUEST_IDS,
    TASKLESS,
    THREAD_RECORD,
    WITH_TASK,
    AuthAPITurn,
    Run,
    ThreadRun,
    back_off,
    failed,
    identity,
    loaded,
    not_replaced,
    replaced,
    response,
    turn_failed,
)
from primitives import compact, timestamp
from vectors import hexadecimal


def rejections():
    """Yield flows of calls that the backend has answered with 401."""

    run = Run(rejected=REJECTED_TASK)
    run.looks_again()
    run.keeps()
    run.probed(loaded(), NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(replaced(run.now + 1), "task-9")
    run.asserts(DONE, "task-9")
    yield run.end(
        "rejected-task",
        "the stored task was rejected: another is registered, and takes its place",
        REJECTED,
    )
    for code in ["invalid_task_id", "task_not_found", "task_expired", "unknown_task"]:
        for kind, run in [
            ("", Run(rejected=REJECTED_TASK | {"code": code})),
            ("-auth-api", AuthAPITurn(rejected=REJECTED_TASK | {"code": code})),
        ]:
            run.looks_again()
            run.keeps()
            yield run.end(
                f"rejected-code-{code}{kind}", "it says that the task is", REJECTED
            )
    for name, code in [
        ("account_deactivated", "account_deactivated"),
        ("account_mismatch", "account_mismatch"),
        ("invalid_assertion", "invalid_assertion"),
        ("bad_signature", "bad_signature"),
        ("runtime_instance_revoked", "runtime_instance_revoked"),
        ("case", "Unknown_Agent"),
        ("task-case", "Invalid_Task_Id"),
        ("space", "invalid_task_id "),
        ("text", "the account\x1b[2J was deactivated"),
        ("long", "x" * 4096),
    ]:
        for kind, run in [
            ("", Run(rejected=REJECTED_TASK | {"code": code})),
            ("-thread", ThreadRun(rejected=REJECTED_TASK | {"code": code})),
            ("-auth-api", AuthAPITurn(rejected=REJECTED_TASK | {"code": code})),
        ]:
            run.start(lambda run=run: not_replaced(run))
            yield run.end(
                f"rejected-code-{name}{kind}",
                "another reason: nothing is replaced, and the caller sees the answer",
                REJECTED,
            )
    run = Run(rejected=REJECTED_TASK | {"code": "account_deactivated"})
    run.surface = "bootstrap"
    run.start(lambda: run.bearer("bearer-only-surface"))
    yield run.end("rejected-code-bearer-only", "nothing was asserted", REJECTED)
    run = Run(creds=FEDRAMP, rejected=REJECTED_TASK | {"code": "account_deactivated"})
    run.start(lambda: not_replaced(run))
    yield run.end("rejected-code-fedramp", "nothing is sent, nor marked", REJECTED)
    for name, comment, members in [
        ("other-task", "another task was rejected", {"task_id": "task-3"}),
        ("other-agent", "another agent's was", {"agent_runtime_id": "agent-rt-1"}),
    ]:
        run = Run(rejected=REJECTED_TASK | members)
        run.start()
        run.asserts(loaded(WITH_TASK))
        yield run.end(
            f"rejected-{name}",
            f"{comment}: the stored one replaces it already",
            REJECTED,
        )
    run = Run(rejected=REJECTED_TASK)
    run.looks_again()
    run.asserts(loaded(identity(task_id="task-9")), "task-9")
    yield run.end(
        "rejected-race",
        "another process replaced it in the meantime: none is registered",
        REJECTED,
    )
    for name, comment, under_lock in [
        ("in-a-pause", "none is registered yet, and nobody waits for a lock", False),
        ("in-a-new-pause", "somebody else has just failed, under the lock", True),
    ]:
        run = Run(rejected=REJECTED_TASK)
        run.finds_a_pause(under_lock)
        yield run.end(f"rejected-{name}", comment, REJECTED)
    again = REJECTED_TASK | {"task_id": "task-9"}
    for name, age in [("new", 0), ("59-seconds", 59)]:
        run = Run(rejected=again)
        run.start()
        run.falls_back(
            loaded(replaced(run.now + 1 - age)), "registration-failed", "task_rejected"
        )
        yield run.end(
            f"rejected-replacement-{name}",
            "it has only just replaced another: a new one would not help",
            REJECTED,
        )
    for name, age in [("60-seconds", 60), ("from-the-future", -9)]:
        run = Run(rejected=again)
        run.start()
        run.step(loaded(replaced(run.now + 1 - age)), LOAD_BACKOFF)
        yield run.end(
            f"rejected-replacement-{name}", "it has lasted: it is replaced", REJECTED
        )
    young = compact(THREAD_RECORD | {"task_replaced_at": timestamp(captured.TIME)})
    run = ThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    run.step(loaded(young), lambda: turn_failed(run, "task_rejected"))
    yield run.end("rejected-replacement-of-a-thread", "nor would it here", REJECTED)
    run = ThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    run.step(loaded(compact(THREAD_RECORD)), run.lock_thread)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    run.step(loaded(compact(THREAD_RECORD)), LOAD_BACKOFF)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered("task-9")
    run.asserts(DONE, "task-9")
    yield run.end(
        "rejected-thread", "a thread's task; the background task stays", REJECTED
    )

    # Failures on the way, and what else the rejected task can meet.
    def locked(run):
        """Go on until the task is to be replaced, under the lock."""
        run.looks_again()
        return run.keeps()

    def store_fails(run, name, comment):
        run.falls_back(failed("store"), "store-failed", "store_failed")
        return run.end(f"rejected-{name}-failed", comment, REJECTED)

    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.keeps()
    yield store_fails(run, "load-back-off-first", "the back-off cannot be loaded")
    run = Run(rejected=REJECTED_TASK)
    run.to_lock(WITH_TASK)
    yield store_fails(run, "lock", "the lock cannot be had: the task stays")
    run = Run(rejected=REJECTED_TASK)
    locked(run)
    yield store_fails(run, "load-back-off", "the back-off cannot be loaded")
    run = Run(rejected=REJECTED_TASK, creds=credentials(token=None))
    locked(run)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("rejected-no-access-token", "another cannot be had", REJECTED)
    run = Run(rejected=REJECTED_TASK)
    locked(run)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.backs_off(response(401), "http_status")
    yield run.end(
        "rejected-token-too",
        "the access token is rejected as well: there is a pause, and the task stays",
        REJECTED,
    )
    run = Run(rejected=REJECTED_TASK)
    locked(run)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(replaced(run.now + 1), "task-9")
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end("rejected-not-saved", "what cannot be saved: a pause", REJECTED)
    run = Run(rejected=REJECTED_TASK)
    run.to_lock(TASKLESS)
    yield run.end("rejected-gone", "there is no task: the usual way", REJECTED)
    run = Run(rejected=REJECTED_TASK)
    run.looks_again()
    run.step(loaded(), LOAD_BACKOFF)
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    yield run.end(
        "rejected-identity-gone",
        "another process deleted the identity in the meantime",
        REJECTED,
    )
    run = Run(rejected=REJECTED_TASK, surface="bootstrap")
    run.start(lambda: run.bearer("bearer-only-surface"))
    yield run.end("rejected-bearer-only", "no surface for assertions", REJECTED)
    on_thread = REJECTED_TASK | {"task_id": "task-6"}
    record = compact(THREAD_RECORD)
    run = ThreadRun(rejected=on_thread)
    run.to_last_load(WITH_TASK, record)
    run.probed(loaded(back_off(run.now, "http_status")), NEW_TASK_ENTROPY)
    yield run.end("rejected-thread-in-a-pause", "a turn tries at once", REJECTED)
    run = ThreadRun(rejected=on_thread)
    run.to_task_biscuit(WITH_TASK, record)
    run.backs_off(response(500), "http_status")
    yield run.end(
        "rejected-thread-failed", "no other can be had: the task stays", REJECTED
    )
    run = ThreadRun(rejected=on_thread)
    run.to_lock(WITH_TASK, record)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(WITH_TASK, run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD | {"task_id": "task-9"})), "task-9")
    yield run.end(
        "rejected-thread-race", "another process replaced it already", REJECTED
    )
    run = ThreadRun(rejected=REJECTED_TASK)
    run.with_task()
    yield run.end(
        "rejected-background-task-on-thread",
        "the background task's rejection says nothing of the thread's",
        REJECTED,
    )
    run = Run(rejected=on_thread)
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "rejected-thread-task-in-background", "nor the other way round", REJECTED
    )
