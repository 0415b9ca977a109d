"""Flows at the borders: of times and dates, of counts and sizes, of what is retried."""

import json

import captured
from areas.credentials import jwt
from areas.decisions import config, credentials, instances
from areas.flows.clocks import CLOCKS
from areas.flows.instances import AGAIN, IDS, InstanceRun
from areas.flows.script import (
    AUTH_API_KEY,
    BACK_OFF,
    DONE,
    EPHEMERAL,
    HEALING,
    LATER,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOCK_IDENTITY,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    NEW_IDENTITY_ENTROPY,
    OURS,
    PROBE_IDENTITY,
    REJECTED_TASK,
    RETRY_AFTER,
    SET_ASIDE,
    STORED,
    SWAPS,
    TASKLESS,
    THREAD_RECORD,
    WITH_TASK,
    AuthAPIRun,
    AuthAPITurn,
    Run,
    ThreadRun,
    back_off,
    back_off_entry,
    completed,
    failed,
    http_date,
    identity,
    loaded,
    response,
    swap,
    with_task,
)
from fixtures import KEY
from primitives import MAX_TIME, MIN_TIME, compact, unix_time
from vectors import flow, hexadecimal, protocol

CHANGED = failed("changed")
RECORD = protocol("Later clients, the record in auth.json")
DATES = "RFC 9110, section 5.6.7; " + CLOCKS
# What is remembered of failures, in bytes, and the longest text in the configuration.
LARGEST_RECORD = 64 << 10
LONGEST_TEXT = 4096
# As deep as everybody reads JSON.
DEPTH = 64


def limits():
    """Yield all of them."""
    yield from times()
    yield from dates()
    yield from waits()
    yield from statuses()
    yield from counts()
    yield from sizes()
    yield from races()
    yield from stored()
    yield from configurations()
    yield from ends()


def times():
    """Yield flows at the first and the last second, and before 1970."""
    for name, now, tick in [("first", MIN_TIME, 1), ("last", MAX_TIME, 0)]:
        run = Run(now=now, tick=tick)
        run.start()
        run.asserts(loaded(WITH_TASK))
        yield run.end(
            f"time-{name}-second",
            "RFC 3339 can write it, so that it can be signed",
            protocol("Timestamps"),
        )
    run = Run(now=-7200)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end(
        "fresh-before-1970",
        "nothing has failed: no pause is active, whatever the clock says",
        BACK_OFF,
    )


def dates():
    """Yield flows with dates of each month, and with what is no date."""
    names = "January February March April May June July August September October"
    for month, name in enumerate([*names.split(), "November", "December"], 1):
        now = unix_time(f"2026-{month:02}-05T12:00:00Z")
        date = http_date(now + 301)
        assert date[8:11] == name[:3]
        run = Run(now=now, rejected=REJECTED_TASK | {"date": date})
        run.start(lambda run=run: run.bearer("registration-failed", "clock_skew"))
        yield run.end(f"clock-{name.lower()}", "a date in that month", DATES)
        run = Run(now=now, rejected=REJECTED_TASK | {"date": http_date(now + 300)})
        run.start()
        run.finds(WITH_TASK, LOAD_BACKOFF)
        yield run.end(f"clock-{name.lower()}-near", "a second nearer", DATES)
    for name, date in [
        ("no-comma", "Mon  24 Nov 2036 15:16:08 GMT"),
        ("comma-alone", "Mon,_24 Nov 2036 15:16:08 GMT"),
        ("hyphen-before-month", "Mon, 24-Nov 2036 15:16:08 GMT"),
        ("hyphen-after-month", "Mon, 24 Nov-2036 15:16:08 GMT"),
        ("t-before-time", "Mon, 24 Nov 2036T15:16:08 GMT"),
        ("no-space-before-zone", "Mon, 24 Nov 2036 15:16:08.GMT"),
        ("half-a-month", "Mon, 24 ovD 2036 15:16:08 GMT"),
        ("two-halves-of-months", "Mon, 24 anF 2036 15:16:08 GMT"),
        ("no-such-month", "Mon, 24 Foo 2036 15:16:08 GMT"),
        ("month-in-lower-case", "Mon, 24 nov 2036 15:16:08 GMT"),
        ("longer", "Mon, 24 Nov 2036 15:16:08 GMT "),
        ("shorter", "Mon, 24 Nov 2036 15:16:08 GM"),
    ]:
        run = Run(rejected=REJECTED_TASK | {"date": date})
        run.start()
        run.finds(WITH_TASK, LOAD_BACKOFF)
        yield run.end(f"clock-rejected-{name}-not", "no date", DATES)
    run = Run()
    run.to_register_task(TASKLESS)
    date = "Mon, 24 Foo 2036 15:16:08 GMT"
    run.backs_off(response(403, {}, {"date": date}), "http_status")
    yield run.end("clock-task-no-such-month-not", "no date", DATES)


def waits():
    """Yield flows whose backend asks to be left alone for long, and for a moment."""
    for name, value, seconds in [
        ("31-bits", str(2**31 - 1), LONGEST_RETRY_AFTER),
        ("32-bits", str(2**31), LONGEST_RETRY_AFTER),
        ("33-bits", str(2**32 + 1), LONGEST_RETRY_AFTER),
        ("63-bits", str(2**63 - 1), LONGEST_RETRY_AFTER),
        ("64-bits", str(2**63), LONGEST_RETRY_AFTER),
        ("65-bits", str(2**64 + 1), LONGEST_RETRY_AFTER),
        ("100-digits", "9" * 100, LONGEST_RETRY_AFTER),
        ("leading-zeroes", "0" * 30 + "7200", 7200),
        ("tilde-after", "7200~", 0),
        ("space-after", "7200 ", 0),
    ]:
        run = Run()
        run.to_identity_biscuit()
        event = response(503, {}, {"retry-after": value})
        run.backs_off(event, "http_status", retry_after=seconds)
        yield run.end(
            f"retry-after-{name}",
            "a number of seconds, up to a day; what is none counts as nothing",
            RETRY_AFTER,
        )
    run = AuthAPIRun()
    run.to_register_task()
    run.backs_off(
        response(429, {}, {"retry-after": str(2**63)}),
        "http_status",
        retry_after=LONGEST_RETRY_AFTER,
    )
    yield run.end(
        "auth-api-retry-after-64-bits",
        "more than a call waits for: a pause, of a day at most",
        RETRY_AFTER,
    )
    run = AuthAPIRun()
    run.to_register_task()
    run.waits(response(429, {}, {"retry-after": "1"}), 1000)
    run.step({"type": "woke"}, run.register_task)
    run.waits(failed("timeout"), 200)
    run.step({"type": "woke"}, run.register_task)
    run.backs_off(failed("connect"), "request_failed")
    yield run.end(
        "auth-api-retry-after-of-the-try-before",
        "it is for that try: after one without an answer the wait is the client's",
        RETRY_AFTER,
    )
    run = AuthAPIRun()
    run.to_register_task()
    run.waits(response(429, {}, {"retry-after": "5"}), 5000)
    run.step({"type": "woke"}, run.register_task)
    run.backs_off(failed("tls"), "request_failed")
    yield run.end(
        "auth-api-retry-after-and-no-answer",
        "nor does it make the pause after one that cannot pass",
        RETRY_AFTER,
    )
    run = AuthAPITurn()
    run.to_register_task()
    run.waits(response(429), 100)
    run.step({"type": "woke"}, run.register_task)
    run.step(response(200, {"task_id": "task-4"}), swap(TASKLESS, WITH_TASK))
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "auth-api-turn-save-failed-after-a-try",
        "what passed before is not what failed at last",
        LATER,
    )
    # The pause that is stored ends in a day, as seen now.
    run = Run()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    at = run.now + 1
    record = back_off(at, "http_status", 3, pause=LONGEST_RETRY_AFTER)
    run.falls_back(
        loaded(record), "registration-failed", "backing_off", at + LONGEST_RETRY_AFTER
    )
    yield run.end(
        "back-off-a-day",
        "the longest pause that a backend can ask for, which has just begun",
        BACK_OFF,
    )


def statuses():
    """Yield flows with the first and the last status of a kind."""
    for status, code in [
        (399, "http_status"),
        (400, "clock_skew"),
        (499, "clock_skew"),
        (500, "http_status"),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(status, {}, {"date": http_date(0)}), code)
        yield run.end(
            f"clock-task-{status}-border", "a refusal has a status of 4xx", CLOCKS
        )
    run = AuthAPIRun()
    run.to_register_task()
    run.backs_off(response(499), "http_status")
    yield run.end("auth-api-final-499", "every other failure is final", LATER)
    run = AuthAPIRun()
    run.to_register_task()
    run.waits(response(599), 100)
    yield run.end("auth-api-retried-599", "whatever the server's failure is", LATER)
    for status in [199, 300]:
        run = Run()
        run.to_register_task(TASKLESS)
        sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
        run.backs_off(response(status, {"encrypted_task_id": sealed}), "http_status")
        yield run.end(
            f"task-{status}-refused",
            "nothing but 2xx is success",
            "RFC 9110, section 15",
        )
    run = Run()
    run.to_register_task(TASKLESS)
    run.step(
        response(299, {"encrypted_task_id": KEY.seal(EPHEMERAL, captured.TASK_ID)}),
        swap(TASKLESS, WITH_TASK),
    )
    run.asserts(DONE)
    yield run.end("task-299", "the last status of success", "RFC 9110, section 15")
    # A task's tries do not count for the identity that takes the place of another.
    run = AuthAPIRun()
    run.to_register_task()
    run.waits(response(429), 100)
    run.step({"type": "woke"}, run.register_task)
    run.heals(response(404))
    run.key = AUTH_API_KEY
    run.steps[-1]["effect"] = run.register_identity()
    run.waits(response(429), 100)
    run.step({"type": "woke"}, run.register_identity)
    run.waits(response(503), 200)
    run.step({"type": "woke"}, run.register_identity)
    run.backs_off(response(503), "http_status")
    yield run.end(
        "auth-api-tries-after-unknown-agent",
        "a task is tried twice, and then an identity three times",
        HEALING,
    )


def counts():
    """Yield flows with many failures."""
    # The back-off is loaded two seconds after the start.
    load = captured.TIME + 2
    most = 2**31
    for failures in [2**30, 2**31 - 2, 2**31 - 1, 2**31, 2**63, 10**40]:
        record = back_off(load - 4000, "http_status", failures)
        run = Run()
        run.to_identity_biscuit(record)
        run.backs_off(
            response(403),
            "http_status",
            failures=min(failures + 1, most),
            pause=LONGEST_PAUSE,
            record=record,
        )
        yield run.end(
            f"back-off-failure-{failures + 1}",
            "they are counted up to 2147483648",
            BACK_OFF,
        )
    for name, failures in [("fraction", "1.5"), ("exponent", "1e3")]:
        record = back_off(load, "http_status").replace(":1,", f":{failures},")
        run = Run()
        run.to_identity_biscuit(record)
        run.backs_off(response(403), "http_status", record=record)
        yield run.end(
            f"back-off-failures-{name}",
            "no whole number: the failure counts as the first",
            BACK_OFF,
        )
    record = back_off(load, "http_status", 5, "acct-2")
    run = Run()
    run.to_register_task(TASKLESS, record)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end(
        "back-off-other-account-then-task-registered",
        "there is nothing to forget: another account's failures stay as they are",
        BACK_OFF,
    )


def sizes():
    """Yield flows with the largest record of failures."""
    theirs = back_off(captured.TIME, "http_status", 5, "acct-2")[:-1]
    for name, more in [("largest", 0), ("too-large", 1)]:
        # A failure takes as many bytes whenever it is.
        mine = f',"acct-1":{compact(back_off_entry(captured.TIME, "http_status"))}'
        spaces = " " * (LARGEST_RECORD + more - len(theirs + mine + "}"))

        def saved(entry, more=more, spaces=spaces):
            record = f'{theirs},"acct-1":{compact(entry)}{spaces}}}'
            assert len(record) == LARGEST_RECORD + more
            return compact({"acct-1": entry}) if more else record

        run = ThreadRun()
        run.to_task_biscuit(backoff=f"{theirs}{spaces}}}")
        run.backs_off(response(403), "http_status", saved=saved)
        yield run.end(
            f"back-off-{name}-record",
            "a record of 64 KiB is the largest: what grows beyond it starts anew",
            BACK_OFF,
        )


def races():
    """Yield flows that lose more than once."""
    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    taskless = run.stored
    for lost in [True, True, True, False]:
        if lost:
            run.step(CHANGED, LOAD_IDENTITY)
            whole = compact(with_task(json.loads(taskless), "task-4"))
            run.finds(taskless, swap(taskless, whole))
    run.backs_off(CHANGED, "store_failed", "store-failed")
    yield run.end(
        "swap-fresh-task-lost-four-times",
        "what the identity took does not count: the task has its own four tries",
        SWAPS,
    )
    run = Run()
    run.to_register_task(TASKLESS)
    run.task_registered(identity(task_id="~"), "~")
    run.step(CHANGED, LOAD_IDENTITY)
    changed = identity(task_id=None, x=1)
    run.finds(changed, swap(changed, compact(OURS_WITHOUT | {"x": 1} | TILDE)))
    run.asserts(DONE, "~")
    yield run.end(
        "swap-task-lost-tilde",
        "any task is stored in the identity that has changed, and no other registered",
        SWAPS,
    )


OURS_WITHOUT = with_task(OURS, None)
TILDE = {"task_id": "~", "background_task_id": "~"}


def stored():
    """Yield flows that begin with an odd record."""
    run = Run()
    run.start()
    run.step(loaded("null"), LOAD_BACKOFF)
    run.step(loaded(), LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded("null"), LOAD_BACKOFF)
    run.stored = "null"
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    yield run.end(
        "identity-null",
        "null is absence: there is nothing to set aside, and nothing to tell",
        STORED,
    )
    # A thread's call, for its own task hides the identity's.
    for name, members in [
        ("task-id", {"task_id": None}),
        ("background-task-id", {"background_task_id": None}),
    ]:
        record = compact(OURS_WITHOUT | members)
        run = ThreadRun()
        run.start()
        run.finds(record, run.load_thread)
        run.step(loaded(compact(THREAD_RECORD)), swap(record, completed(record)))
        run.asserts(DONE)
        yield run.end(
            f"completed-thread-{name}-null",
            "null is no value for clients: it goes",
            RECORD,
        )
    before = identity(task_id=None, task_replaced_at="2026-11-24T15:10:00Z")
    run = Run()
    run.to_register_task(before)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end(
        "task-replaced-at-without-task",
        "a task that replaces none: the record no longer says so",
        STORED,
    )
    # All characters that a path can hold as they are, and their neighbours.
    runtime = "azAZ09-._~ @[`{/:!".replace(":", "")
    record = identity(agent_runtime_id=runtime, task_id=None)
    run = Run(runtime=runtime)
    run.to_register_task(record)
    assert "/azAZ09-._~%20%40%5B%60%7B%2F%21/" in run.steps[-1]["effect"]["url"]
    yield run.end(
        "stored-runtime-id-borders",
        "letters, digits and four marks stay, everything else is escaped",
        "RFC 3986, section 2.3",
    )
    held = "[" * (DEPTH - 1) + "1" + "]" * (DEPTH - 1)
    foreign = identity(workspace_id="acct-2")
    run = Run()
    run.to_last_load(foreign)
    run.step(loaded(), PROBE_IDENTITY)
    run.sets_aside(NEW_IDENTITY_ENTROPY, f"[{held}]")
    yield run.end(
        "set-aside-64-deep",
        "what is kept is nested as deep as anybody reads: it stays",
        SET_ASIDE,
    )


def configurations():
    """Yield flows with the longest texts, and with what an instance cannot be had with."""
    names = ["agent_version", "agent_harness_id", "running_location"]
    abom = config()["abom"]
    for name in names:
        run = Run(cfg=config() | {"abom": abom | {name: "x" * LONGEST_TEXT}})
        run.start()
        kebab = name.replace("_", "-")
        yield run.end(
            f"abom-{kebab}-4096-bytes", "the longest text", "this project's ABI"
        )
        yield start(
            f"abom-{kebab}",
            "a bill of materials longer than 4096 bytes",
            config() | {"abom": abom | {name: "x" * (LONGEST_TEXT + 1)}},
        )
    yield start(
        "instance-missing",
        "the profile needs to know what instances are of",
        config() | {"profile": "instances"},
    )
    for name, comment, members in [
        ("mode", "no header mode", {"header_mode": "x"}),
        ("mode-case", "no header mode", {"header_mode": "Dual_Header"}),
        ("mode-empty", "no header mode", {"header_mode": ""}),
        *[
            (f"{member.replace('_', '-')}-{kind}", comment, {member: text})
            for member in ["installation_id", "harness", "role"]
            for kind, comment, text in [
                ("empty", "nothing", ""),
                ("control-character", "a control character", "a\nb"),
                ("4097-bytes", "too much", "x" * 4097),
            ]
        ],
    ]:
        yield start(f"instance-{name}", comment, instances(**members) | config())


def start(name, comment, cfg):
    """Return a flow that is refused at its start, for its configuration."""
    event = {
        "type": "start",
        "now": captured.TIME,
        "config": cfg,
        "surface": "models",
        "credentials": credentials(),
    }
    return flow(
        f"start-{name}-refused",
        comment,
        "this project's ABI",
        [{"event": event, "error": {"code": "invalid_config"}}],
    )


def ends():
    """Yield flows that go on after an end that had something to tell."""
    run = Run()
    run.to_last_load(identity(workspace_id="acct-2"))
    run.step(loaded(), PROBE_IDENTITY)
    run.sets_aside(NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    run.asserts(DONE)
    run.notice = None
    run.asserts({"type": "again"})
    yield run.end("again-notice", "what was told is told once", AGAIN)
    late = credentials(token=jwt({"exp": captured.TIME - 60}))
    run = InstanceRun(creds=late)
    run.start()
    run.step(loaded(run.record()), lambda: noticed(run.assertion()))
    event = {"type": "again", "entropy": hexadecimal(IDS[1])}
    run.step(event, lambda: noticed(run.assertion(IDS[1])))
    yield run.end("instance-again-notice", "the token is sent again", AGAIN)
    run = InstanceRun(creds=credentials(token=jwt({"exp": captured.TIME + 9})))
    run.start()
    run.asserts(loaded(run.record()))
    for i, offset in enumerate([8, 9, 8, 60]):
        run.now = captured.TIME + offset - 1
        event = {"type": "again", "entropy": hexadecimal(IDS[i])}
        late = offset > 8
        run.step(
            event,
            lambda i=i, late=late: (
                noticed(run.assertion(IDS[i])) if late else run.assertion(IDS[i])
            ),
        )
    yield run.end("instance-again-expires", "the token expires meanwhile", AGAIN)
    late = credentials(token=jwt({"exp": captured.TIME - 60}))
    run = InstanceRun(creds=late, mode="assertion_only")
    run.start()
    run.asserts(loaded(run.record()))
    run.again(IDS[1])
    yield run.end("instance-again-alone", "no token is sent", AGAIN)
    # A JWT is read as three parts that are base64url to their ends.
    first, payload, last = jwt({"exp": captured.TIME - 60}).split(".")
    for name, text in [("tilde", "~"), ("star", "*"), ("padding", "=")]:
        creds = credentials(token=f"{first}.{payload}{text}.{last}")
        run = Run(creds=creds, cfg=config(gate=False))

        def end(run=run):
            done = run.bearer("feature-off")
            done["authorization"].pop("notice", None)
            return done

        run.start(end)
        yield run.end(
            f"token-expired-{name}",
            "claims, and what is no base64url: nobody knows when it expires",
            "RFC 7519, section 7.2; this project's rule: tokens that have expired",
        )


def noticed(end):
    """Return the end of a flow with a token that has expired."""
    end["authorization"]["notice"] = {"code": "access_token_expired"}
    return end
