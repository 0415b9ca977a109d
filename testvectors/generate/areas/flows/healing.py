"""Flows with an identity that the backend does not know."""

import json

import captured
from areas.decisions import config, credentials
from areas.flows.script import (
    AUTH_API_KEY,
    CLOCKS,
    DELETE_BACKOFF,
    DONE,
    FORM_0_123,
    HEALING,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOAD_SET_ASIDE,
    LOCK_IDENTITY,
    LONGEST_PAUSE,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    PROBE_IDENTITY,
    REJECTED_TASK,
    SET_ASIDE,
    SWAPS,
    TASKLESS,
    THREAD_RECORD,
    UNKNOWN,
    UNLOCK_IDENTITY,
    WITH_TASK,
    AuthAPIRun,
    Run,
    ThreadRun,
    back_off,
    failed,
    http_date,
    identity,
    loaded,
    response,
    save,
    set_aside,
)
from fixtures import OTHER_KEY
from primitives import compact, timestamp

UNKNOWN_BODY = {"error": {"code": "unknown_agent", "message": "no such agent"}}
BY_REJECTION = REJECTED_TASK | {"code": "unknown_agent"}


def goes_on(run):
    """Go on from the key of a new identity to the assertion."""
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    return run.asserts(DONE)


def refusals():
    """Yield (name, response) that say that the agent is not known."""
    for status in [404, 410]:
        yield str(status), response(status)
    yield "404-body", response(404, UNKNOWN_BODY)
    for status in [400, 401, 403, 409, 500]:
        yield f"{status}-code", response(status, UNKNOWN_BODY)


def healing():
    """Yield flows that replace such an identity, and that must not."""
    for name, event in refusals():
        run = Run()
        run.to_register_task(TASKLESS)
        run.heals(event)
        goes_on(run)
        yield run.end(
            f"unknown-agent-{name}",
            "a task is refused: the identity is set aside, and another registered",
            HEALING,
        )
    for name, event in [("404", response(404)), ("code", response(403, UNKNOWN_BODY))]:
        run = AuthAPIRun()
        run.to_register_task()
        run.heals(event)
        run.key = AUTH_API_KEY
        run.steps[-1]["effect"] = run.register_identity()
        run.identity_registered()
        run.identity_saved()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(
            f"later-unknown-agent-{name}", "in the later profile, too", HEALING
        )
    for name, body in [
        ("other-code", {"error": {"code": "unknown_task"}}),
        ("case", {"error": {"code": "Unknown_Agent"}}),
        ("code-outside", {"code": "unknown_agent"}),
        ("error-text", {"error": "unknown_agent"}),
        ("array", [UNKNOWN_BODY]),
        ("number", {"error": {"code": 404}}),
        ("garbage", "unknown_agent"),
        ("duplicate", '{"error":{"code":"unknown_agent","code":"x"}}'),
        ("over-64-kib", compact(UNKNOWN_BODY).ljust(65537)),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(403, body), "http_status")
        yield run.end(
            f"unknown-agent-{name}-not", "it does not say that: a failure", HEALING
        )
    for stage, reach, arguments in [
        ("identity-biscuit", Run.to_identity_biscuit, []),
        ("identity", Run.to_register_identity, []),
        ("task-biscuit", Run.to_task_biscuit, [TASKLESS]),
    ]:
        run = Run()
        reach(run, *arguments)
        run.backs_off(response(404, UNKNOWN_BODY), "http_status")
        yield run.end(
            f"unknown-agent-{stage}-not", "only a task's registration says so", HEALING
        )
    run = Run()
    run.to_register_task(TASKLESS)
    run.heals(response(404))
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.backs_off(response(404), "unknown_agent")
    yield run.end(
        "unknown-agent-twice", "the new one is not known either: a pause", HEALING
    )
    for name, age in [("new", 0), ("59-minutes", 3599)]:
        run = Run()
        at = timestamp(run.now + 10 - age)
        run.to_register_task(identity(task_id=None, identity_replaced_at=at))
        run.backs_off(response(410), "unknown_agent")
        yield run.end(
            f"unknown-agent-replacement-{name}",
            "it has only just replaced another: a new one would not help",
            HEALING,
        )
    for name, age in [("an-hour", 3600), ("from-the-future", -1)]:
        run = Run()
        at = timestamp(run.now + 10 - age)
        run.to_register_task(identity(task_id=None, identity_replaced_at=at))
        run.heals(response(404))
        yield run.end(
            f"unknown-agent-replacement-{name}",
            "it has lasted: it is replaced",
            HEALING,
        )
    run = Run()
    run.to_register_task(TASKLESS)
    run.heals(response(404))
    run.backs_off(response(403), "http_status")
    yield run.end(
        "unknown-agent-not-registered",
        "another cannot be had: a pause, and it stays",
        HEALING,
    )
    run = Run()
    run.to_register_task(TASKLESS)
    run.backs_off(response(404, {}, {"date": http_date(run.now + 1000)}), "clock_skew")
    yield run.end(
        "unknown-agent-clock",
        "a clock that is off costs no identity",
        CLOCKS,
    )

    # What is held already.
    def held(name, comment, record, saved=None):
        run = Run()
        run.to_register_task(TASKLESS)
        run.sets_aside(
            NEW_IDENTITY_ENTROPY, record, UNKNOWN, response(404), saved and saved
        )
        return run.end(f"set-aside-{name}", comment, SET_ASIDE)

    other = set_aside(identity(agent_runtime_id="agent-rt-1"), captured.TIME)
    yield held("second", "it goes behind the one that is there", f"[{other}]")
    spaced = json.dumps(json.loads(TASKLESS), indent=1)
    for name, text in [("same", TASKLESS), ("same-spaced", spaced)]:
        record = f"[{set_aside(text, captured.TIME, UNKNOWN)},{other}]"
        yield held(
            name,
            "it is there already: once is enough",
            record,
            lambda entry, record=record: record,
        )
    for name, record in [("damaged", "damaged"), ("object", "{}"), ("null", "null")]:
        yield held(
            f"{name}-record",
            "nothing can be added to that",
            record,
            lambda entry: f"[{entry}]",
        )

    # What fails on the way.
    for failure, code in [("store", "store_failed"), ("read-only", "store_read_only")]:
        for stage in ["load", "save", "swap"]:
            run = Run()
            run.to_register_task(TASKLESS)
            event = response(404)
            if stage == "load":
                run.step(event, LOAD_SET_ASIDE)
            elif stage == "save":
                run.step(event, LOAD_SET_ASIDE)
                run.step(
                    loaded(),
                    lambda run=run: save(
                        "set-aside", f"[{set_aside(TASKLESS, run.now, UNKNOWN)}]"
                    ),
                )
            else:
                run.heals(event)
                run.identity_biscuit_minted()
                run.identity_registered()
                run.notice = None
            run.backs_off(failed(failure), code, "store-failed")
            yield run.end(
                f"unknown-agent-{stage}-failed-{failure}",
                "it cannot be replaced: without a pause every call would ask again",
                HEALING,
            )
    run = AuthAPIRun(creds=credentials(token=None))
    run.to_register_task()
    run.backs_off(response(404), "no_access_token", pause=LONGEST_PAUSE)
    yield run.end(
        "later-unknown-agent-no-access-token",
        "there is no token for another: without a pause every call would ask again",
        HEALING,
    )
    run = Run()
    run.to_register_task(TASKLESS)
    run.heals(response(404))
    run.identity_biscuit_minted()
    run.identity_registered()
    run.notice = None
    run.step(failed("changed"), LOAD_IDENTITY)
    run.key, run.runtime = OTHER_KEY, "agent-rt-9"
    theirs = run.record(captured.TIME, "task-9")
    run.asserts(loaded(theirs), "task-9")
    yield run.end(
        "unknown-agent-race", "another process replaced it in the meantime", SWAPS
    )

    # Identities that take the place of a sign-in.
    arrived = {"kind": "agent-identity", "account_id": "acct-1", "user_id": "user-1"}
    run = AuthAPIRun(cfg=config(), creds=arrived)
    run.to_register_task()
    run.backs_off(response(404), "unknown_agent", pause=LONGEST_PAUSE)
    yield run.end("jwt-identity-unknown-agent", "there is no other", HEALING)
    run = AuthAPIRun(cfg=config(), creds=arrived, rejected=BY_REJECTION)
    run.start()
    run.falls_back(loaded(WITH_TASK), "registration-failed", "unknown_agent")
    yield run.end("jwt-identity-rejected-unknown-agent", "there is no other", HEALING)


def threads():
    """Yield flows of turns in which the backend does not know the agent."""
    record = compact(THREAD_RECORD)
    for name, backoff in [
        ("", None),
        ("-in-a-pause", back_off(captured.TIME, "http_status")),
    ]:
        run = ThreadRun()
        run.to_task_biscuit()
        run.task_biscuit_minted()
        run.step(response(404), LOCK_IDENTITY)
        run.step(DONE, LOAD_IDENTITY)
        run.finds(WITH_TASK, LOAD_BACKOFF)
        run.step(loaded(backoff), PROBE_IDENTITY)
        run.heals()
        run.identity_biscuit_minted()
        run.identity_registered()
        run.step(DONE, run.load_thread)
        run.step(loaded(), UNLOCK_IDENTITY)
        run.step(DONE, run.task_biscuit)
        run.task_biscuit_minted()
        run.task_registered()
        if backoff:
            run.step(DONE, DELETE_BACKOFF)
        run.asserts(DONE)
        yield run.end(
            f"thread-unknown-agent{name}",
            "the identity's lock is wanted beside the thread's, and given back before "
            "the task is registered",
            HEALING,
        )
    run = ThreadRun()
    run.to_task_biscuit()
    run.task_biscuit_minted()
    run.step(response(404), LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.key, run.runtime = OTHER_KEY, "agent-rt-9"
    run.finds(run.record(captured.TIME), run.load_thread)
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), UNLOCK_IDENTITY)
    run.step(DONE, NEW_TASK_ENTROPY)
    yield run.end(
        "thread-unknown-agent-race",
        "another process replaced it in the meantime: its identity is used",
        HEALING,
    )
    run = ThreadRun(rejected=BY_REJECTION | {"task_id": "task-6"})
    run.looks_again()
    run.finds(WITH_TASK, LOAD_BACKOFF)
    run.step(loaded(back_off(captured.TIME, "http_status")), PROBE_IDENTITY)
    run.heals()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.step(DONE, run.load_thread)
    run.step(loaded(record), UNLOCK_IDENTITY)
    run.step(DONE, run.lock_thread)
    run.step(DONE, LOAD_IDENTITY)
    run.finds(run.stored, run.load_thread)
    run.step(loaded(record), LOAD_BACKOFF)
    run.probed(loaded(), run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "rejected-thread-unknown-agent", "a turn does not wait for a pause", HEALING
    )


def rejected():
    """Yield flows of calls that were rejected because the agent is not known."""

    def to_probe(run, record=WITH_TASK, backoff=None):
        run.to_lock(record)
        run.step(DONE, LOAD_IDENTITY)
        run.finds(record, LOAD_BACKOFF)
        return run.step(loaded(backoff), PROBE_IDENTITY)

    for name, record in [("", WITH_TASK), ("-taskless", TASKLESS), ("-0-123", None)]:
        run = Run(rejected=BY_REJECTION)
        to_probe(run, record or FORM_0_123)
        run.heals()
        goes_on(run)
        yield run.end(
            f"rejected-unknown-agent{name}",
            "the identity is set aside, and another registered, with its task",
            HEALING,
        )
    run = Run(rejected=BY_REJECTION | {"agent_runtime_id": "agent-rt-1"})
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "rejected-unknown-agent-replaced",
        "the stored one replaces it already",
        HEALING,
    )
    run = Run(rejected=BY_REJECTION)
    run.looks_again()
    run.key, run.runtime = OTHER_KEY, "agent-rt-9"
    run.asserts(loaded(run.record(captured.TIME, "task-9")), "task-9")
    yield run.end(
        "rejected-unknown-agent-race", "another process replaced it meanwhile", HEALING
    )
    run = Run(rejected=BY_REJECTION)
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.unknown = True
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    yield run.end(
        "rejected-unknown-agent-gone",
        "another process dropped it: the new one replaces it all the same",
        HEALING,
    )
    run = Run(rejected=BY_REJECTION)
    foreign = identity(workspace_id="acct-2")
    run.looks_again()
    run.finds(foreign, LOAD_BACKOFF)
    run.step(loaded(), PROBE_IDENTITY)
    run.sets_aside(NEW_IDENTITY_ENTROPY)
    yield run.end(
        "rejected-unknown-agent-unfit",
        "one that does not fit has taken its place: it is not the unknown one, and is "
        "not dropped before there is another",
        SET_ASIDE,
    )
    for name, age, record in [("new", 0, None), ("59-minutes", 3599, None)]:
        run = Run(rejected=BY_REJECTION)
        at = timestamp(run.now + 2 - age)
        run.start()
        run.falls_back(
            loaded(identity(identity_replaced_at=at)),
            "registration-failed",
            "unknown_agent",
        )
        yield run.end(
            f"rejected-unknown-agent-replacement-{name}",
            "it has only just replaced another: a new one would not help",
            HEALING,
        )
    run = Run(rejected=BY_REJECTION)
    at = timestamp(run.now + 2 - 3600)
    to_probe(run, identity(identity_replaced_at=at))
    yield run.end(
        "rejected-unknown-agent-replacement-an-hour", "it has lasted", HEALING
    )
    for name, comment, under_lock in [
        ("in-a-pause", "once per pause", False),
        ("in-a-new-pause", "somebody else has just failed, under the lock", True),
    ]:
        run = Run(rejected=BY_REJECTION)
        run.finds_a_pause(under_lock)
        yield run.end(f"rejected-unknown-agent-{name}", comment, HEALING)
    for failure, code in [("store", "store_failed"), ("read-only", "store_read_only")]:
        run = Run(rejected=BY_REJECTION)
        to_probe(run)
        run.backs_off(failed(failure), code, "store-failed")
        yield run.end(
            f"rejected-unknown-agent-probe-failed-{failure}",
            "a store that takes no other identity keeps the one that it has",
            HEALING,
        )
    run = Run(rejected=BY_REJECTION, creds=credentials(token=None))
    run.looks_again()
    run.finds(WITH_TASK, LOAD_BACKOFF)
    run.backs_off(loaded(), "no_access_token")
    yield run.end(
        "rejected-unknown-agent-no-access-token",
        "another cannot be had: it stays",
        HEALING,
    )
    run = Run(rejected=BY_REJECTION)
    to_probe(run)
    run.heals()
    run.backs_off(response(403), "http_status")
    yield run.end(
        "rejected-unknown-agent-not-registered",
        "another cannot be had: a pause, and it stays",
        HEALING,
    )
