"""Flows that remember failures, and what the backend asks for."""

import captured
from areas.decisions import config, credentials
from areas.flows.script import (
    BACK_OFF,
    DELETE_BACKOFF,
    DONE,
    FALL_BACK,
    LOAD_BACKOFF,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    RETRY_AFTER,
    TASKLESS,
    WITH_TASK,
    Run,
    ThreadRun,
    back_off,
    back_off_entry,
    failed,
    jittered,
    loaded,
    response,
    save,
)
from primitives import MAX_TIME, compact, timestamp, unix_time
from vectors import protocol


def backing_off():
    """Yield flows that find the record of a failure."""
    now = captured.TIME
    # The back-off is loaded two seconds after the start.
    load = now + 2

    def active(name, comment, record, retry_at):
        run = Run()
        run.start()
        run.step(loaded(), LOAD_BACKOFF)
        run.falls_back(loaded(record), "registration-failed", "backing_off", retry_at)
        return run.end(name, comment, BACK_OFF)

    yield active(
        "back-off-remembered",
        "a registration failed a moment ago: nothing is asked of the backend",
        back_off(load - 1, "http_status"),
        load + 59,
    )
    yield active(
        "back-off-last-second",
        "the pause's last second",
        back_off(load - 59, "http_status"),
        load + 1,
    )
    yield active(
        "back-off-longest",
        "a pause of an hour that has just begun",
        back_off(load, "http_status", 7, pause=LONGEST_PAUSE),
        load + LONGEST_PAUSE,
    )
    yield active(
        "back-off-unknown-members",
        "members that nobody knows, and another order",
        f'{{"x":1, "acct-1" : {{ "x":[], "retry_at":"{timestamp(load + 10)}", '
        '"failures":2}}',
        load + 10,
    )
    run = Run(creds=credentials(token=None))
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    run.falls_back(
        loaded(back_off(load - 1, "http_status")),
        "registration-failed",
        "backing_off",
        load + 59,
    )
    yield run.end(
        "back-off-no-access-token", "bearer, but there is no token", FALL_BACK
    )
    run = Run()
    run.start()
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.falls_back(
        loaded(back_off(load - 1, "http_status")),
        "registration-failed",
        "backing_off",
        load + 59,
    )
    yield run.end("back-off-of-a-task", "there is an identity, but no task", BACK_OFF)
    run = Run()
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "back-off-not-read",
        "an identity with a task is used, whatever failed before",
        BACK_OFF,
    )

    def passed(name, comment, record, failures=None, pause=60):
        """Write a flow that registers nevertheless, and fails again."""
        run = Run()
        run.to_identity_biscuit(record)
        known = {} if failures is None else {"failures": failures, "pause": pause}
        run.backs_off(response(403), "http_status", record=record, **known)
        return run.end(name, comment, BACK_OFF)

    # The back-off is loaded again three seconds after it was first.
    for failures, pause in enumerate([120, 240, 480, 960, 1920, 3600, 3600], 1):
        yield passed(
            f"back-off-failure-{failures + 1}",
            f"after {failures} failures, and a pause, one more: {pause} s",
            back_off(load - 4000, "http_status", failures),
            failures + 1,
            pause,
        )
    yield passed(
        "back-off-failure-1001",
        "the pause grows no further",
        back_off(load - 4000, "http_status", 1000),
        1001,
        LONGEST_PAUSE,
    )
    yield passed(
        "back-off-expired",
        "the second in which the pause ends",
        back_off(load - 60, "request_failed"),
        2,
        120,
    )
    yield passed(
        "back-off-clock-set-back",
        "a pause longer than any: the clock has since been set back",
        back_off(load + 86400, "http_status", 3),
        4,
        480,
    )
    yield passed(
        "back-off-clock-set-back-a-little",
        "still longer than any, when it is loaded again",
        back_off(load + 3 + 2, "http_status", 3, pause=LONGEST_RETRY_AFTER),
        4,
        480,
    )
    for name, comment, record in [
        (
            "other-account",
            "another account's failures",
            back_off(load, "http_status", 5, "acct-2"),
        ),
        ("damaged", "a damaged record", "damaged"),
        ("empty-object", "a record that says nothing", "{}"),
        ("not-an-object", "a record that says nothing", "[]"),
        ("entry-no-object", "an account's part that says nothing", '{"acct-1":1}'),
        (
            "no-account",
            "a record of nobody's failures",
            f'{{"failures":1,"retry_at":"{timestamp(load + 9)}","code":"x"}}',
        ),
        (
            "no-failures",
            "a record without their number",
            f'{{"acct-1":{{"retry_at":"{timestamp(load + 9)}"}}}}',
        ),
        (
            "failures-0",
            "a record of none",
            back_off(load, "http_status", 0),
        ),
        (
            "failures-negative",
            "a record of fewer than none",
            back_off(load, "http_status", -1),
        ),
        (
            "failures-string",
            "a number in quotation marks",
            back_off(load, "http_status", "1"),
        ),
        (
            "retry-at-number",
            "a time in another form",
            f'{{"acct-1":{{"failures":1,"retry_at":{load + 9},"code":"x"}}}}',
        ),
        (
            "retry-at-damaged",
            "no time",
            '{"acct-1":{"failures":1,"retry_at":"soon","code":"x"}}',
        ),
        (
            "duplicate-member",
            "a record that parsers read differently",
            back_off(load, "http_status")[:-2] + ',"failures":2}}',
        ),
    ]:
        yield passed(
            f"back-off-{name}", f"{comment}: the failure counts as the first", record
        )

    # Success forgets what failed.
    for name, record in [
        ("expired", back_off(load - 4000, "http_status", 3)),
        ("damaged", "damaged"),
    ]:
        for kind in ["task", "identity"]:
            run = Run()
            if kind == "task":
                run.to_register_task(TASKLESS, record)
                run.task_registered(WITH_TASK)
            else:
                run.to_register_identity(record)
                run.identity_registered()
                run.identity_saved()
                run.task_biscuit_minted()
                run.fresh_task_registered()
            run.step(DONE, DELETE_BACKOFF)
            run.asserts(DONE)
            yield run.end(
                f"back-off-{name}-then-{kind}-registered",
                "a registration that succeeds deletes the record of failures",
                BACK_OFF,
            )
    run = Run(now=MAX_TIME - 10)
    run.to_identity_biscuit()
    run.backs_off(response(403), "http_status")
    yield run.end(
        "back-off-at-the-end-of-time",
        "no time after the year 9999 can be written",
        BACK_OFF,
    )


ACCOUNTS = protocol("Later profile, per account; this project's rule: back-off")


def pauses():
    """Yield flows with other accounts' failures, and with other jitter."""
    # Their part is written as this project would not, so that a change shows.
    theirs = (
        '{ "code":"http\\u005fstatus", "failures" : 4,'
        '"retry_at":"2026-11-24T15:30:00Z","x":[1.50,null] }'
    )
    old = compact(back_off_entry(captured.TIME - 4000, "http_status", 3))

    def failing(name, comment, record, saved, failures=1, pause=60, **members):
        run = Run(**members)
        run.to_identity_biscuit(record)
        run.backs_off(
            response(403),
            "http_status",
            failures=failures,
            pause=pause,
            saved=lambda entry: saved(compact(entry)),
        )
        return run.end(f"back-off-two-accounts-{name}", comment, ACCOUNTS)

    yield failing(
        "added",
        "another account has failed: its part stays, byte for byte, and is no pause",
        f'{{"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-2":{theirs},"acct-1":{entry}}}',
    )
    yield failing(
        "replaced-first",
        "both have failed: one part is replaced, in its place",
        f'{{"acct-1":{old},"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-1":{entry},"acct-2":{theirs}}}',
        failures=4,
        pause=480,
    )
    yield failing(
        "replaced-last",
        "both have failed: one part is replaced, in its place",
        f' {{"acct-2":{theirs} , "acct-1":{old} }}\n',
        lambda entry: f' {{"acct-2":{theirs} , "acct-1":{entry} }}\n',
        failures=4,
        pause=480,
    )
    yield failing(
        "damaged-part",
        "an account's part that says nothing is replaced; the other's stays",
        f'{{"acct-1":[],"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-1":{entry},"acct-2":{theirs}}}',
    )
    yield failing(
        "spaced",
        "a new part follows the style of the one before it",
        f'{{ "acct-2" : {theirs} }}',
        lambda entry: f'{{ "acct-2" : {theirs}, "acct-1": {entry} }}',
    )
    yield failing(
        "forced-workspace",
        "the account is the forced workspace",
        f'{{"acct-1":{theirs}}}',
        lambda entry: f'{{"acct-1":{theirs},"acct-2":{entry}}}',
        cfg=config(forced="acct-2"),
    )
    yield failing(
        "escaped-name",
        "an account id is any printable ASCII, and escaped in JSON",
        f'{{"acct-2":{theirs},"a\\u0022b\\\\c":{old}}}',
        lambda entry: f'{{"acct-2":{theirs},"a\\u0022b\\\\c":{entry}}}',
        failures=4,
        pause=480,
        creds=credentials(account='a"b\\c'),
    )
    run = Run()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    retry_at = run.now + 60
    entry = compact(back_off_entry(run.now, "http_status"))
    run.falls_back(
        loaded(f'{{"acct-2":{theirs},"acct-1":{entry}}}'),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end(
        "back-off-two-accounts-active", "each account has its own pause", ACCOUNTS
    )
    for name, before, after in [
        ("first", f'{{"acct-1":{old},"acct-2":{theirs}}}', f'{{"acct-2":{theirs}}}'),
        ("last", f'{{"acct-2":{theirs},"acct-1":{old}}}', f'{{"acct-2":{theirs}}}'),
        (
            "middle",
            f'{{"acct-2":{theirs},"acct-1":{old},"acct-3":{theirs}}}',
            f'{{"acct-2":{theirs},"acct-3":{theirs}}}',
        ),
    ]:
        run = Run()
        run.to_register_task(TASKLESS, before)
        run.task_registered(WITH_TASK)
        run.step(DONE, save("backoff", after))
        run.asserts(DONE)
        yield run.end(
            f"back-off-two-accounts-cleared-{name}",
            "success takes out the account's own part, and saves the rest",
            ACCOUNTS,
        )
    run = Run()
    run.to_register_task(TASKLESS, f'{{"acct-1":{old},"acct-2":{theirs}}}')
    run.task_registered(WITH_TASK)
    run.step(DONE, save("backoff", f'{{"acct-2":{theirs}}}'))
    run.asserts(failed("store"))
    yield run.end(
        "back-off-two-accounts-not-cleared",
        "the rest cannot be saved: the task is there all the same",
        ACCOUNTS,
    )

    # Jitter.
    for name, jitter, pause in [
        ("zero", bytes(4), 30),
        ("one", bytes([0, 0, 0, 1]), 30),
        ("half", bytes([0x80, 0, 0, 0]), 45),
        ("largest", b"\xff\xff\xff\xff", 59),
    ]:
        assert jittered(60, jitter=jitter) == pause
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(403), "http_status", jitter=jitter)
        yield run.end(
            f"jitter-{name}",
            f"a pause of 60 s becomes {pause} s: half of it, and what chance adds",
            BACK_OFF,
        )
    for name, jitter, pause in [
        ("zero", bytes(4), 1800),
        ("largest", b"\xff\xff\xff\xff", 3599),
    ]:
        assert jittered(LONGEST_PAUSE, jitter=jitter) == pause
        run = Run()
        record = back_off(captured.TIME - 4000, "http_status", 9)
        run.to_identity_biscuit(record)
        run.backs_off(
            response(403),
            "http_status",
            failures=10,
            pause=LONGEST_PAUSE,
            record=record,
            jitter=jitter,
        )
        yield run.end(
            f"jitter-{name}-longest", f"the longest pause becomes {pause} s", BACK_OFF
        )
    for name, jitter, seconds in [
        ("shortens-not", bytes(4), 31),
        ("lengthens", b"\xff\xff\xff\xff", 58),
    ]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(
            response(503, {}, {"retry-after": str(seconds)}),
            "http_status",
            jitter=jitter,
            retry_after=seconds,
        )
        yield run.end(
            f"jitter-{name}-retry-after",
            "what the backend asks for is a least, and has no jitter itself",
            RETRY_AFTER,
        )
    for failure in ["store", "timeout", "canceled"]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(403), "http_status", no_jitter=failed(failure))
        yield run.end(
            f"jitter-failed-{failure}",
            "there is no randomness: the whole pause, without jitter",
            BACK_OFF,
        )
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(
            response(503, {}, {"retry-after": "7200"}),
            "http_status",
            no_jitter=failed(failure),
            retry_after=7200,
        )
        yield run.end(
            f"jitter-failed-{failure}-retry-after",
            "and what the backend asks for counts all the same",
            RETRY_AFTER,
        )


def retry_after():
    """Yield flows whose backend says when to come back."""
    for name, value, seconds in [
        ("seconds", "90", 90),
        ("less-than-the-pause", "1", 0),
        ("a-week", "604800", 604800),
        ("date", "Tue, 24 Nov 2026 15:20:00 GMT", "date"),
        ("date-past", "Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("garbage", "soon", 0),
        ("negative", "-5", 0),
        ("date-obsolete", "Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ]:
        run = Run()
        run.to_identity_biscuit()
        if seconds == "date":
            seconds = unix_time("2026-11-24T15:20:00Z") - (run.now + 1)
        event = response(503, {}, {"retry-after": value})
        run.backs_off(event, "http_status", retry_after=seconds)
        yield run.end(
            f"retry-after-{name}",
            "the longer of the pause and what the backend asks for, up to a day",
            RETRY_AFTER,
        )

    # Whatever was asked for.
    stages = [
        ("identity-biscuit", Run.to_identity_biscuit, []),
        ("identity", Run.to_register_identity, []),
        ("task-biscuit", Run.to_task_biscuit, [TASKLESS]),
        ("task", Run.to_register_task, [TASKLESS]),
    ]
    for stage, reach, arguments in stages:
        for status in [429, 503]:
            run = Run()
            reach(run, *arguments)
            event = response(status, {}, {"retry-after": "7200"})
            run.backs_off(event, "http_status", retry_after=7200)
            yield run.end(
                f"retry-after-{stage}-{status}",
                "the header counts in the answer to each of the requests",
                RETRY_AFTER,
            )
    for name, status, headers, seconds in [
        ("301", 301, {"retry-after": "7200"}, 7200),
        ("403", 403, {"retry-after": "7200"}, 7200),
        ("header-in-other-case", 503, {"Retry-After": "7200"}, 7200),
        ("among-others", 503, {"x-a": "9", "retry-after": "7200"}, 7200),
        ("another-header", 503, {"x-retry-after": "7200"}, 0),
        ("a-day", 503, {"retry-after": "86400"}, 86400),
        ("a-day-and-a-second", 503, {"retry-after": "86401"}, 86400),
        ("zero", 503, {"retry-after": "0"}, 0),
        ("empty", 503, {"retry-after": ""}, 0),
        ("fraction", 503, {"retry-after": "7200.5"}, 0),
        ("plus", 503, {"retry-after": "+7200"}, 0),
        ("hexadecimal", 503, {"retry-after": "0x7200"}, 0),
        (
            "date-in-a-week",
            503,
            {"retry-after": "Tue, 01 Dec 2026 15:20:00 GMT"},
            7 * 86400,
        ),
        ("date-no-such-day", 503, {"retry-after": "Sun, 29 Feb 2027 00:00:00 GMT"}, 0),
        (
            "date-no-such-month",
            503,
            {"retry-after": "Sun, 01 Foo 2027 00:00:00 GMT"},
            0,
        ),
        ("date-no-such-hour", 503, {"retry-after": "Fri, 01 Jan 2027 24:00:00 GMT"}, 0),
        ("date-other-zone", 503, {"retry-after": "Fri, 01 Jan 2027 00:00:00 CET"}, 0),
        (
            "date-numeric-zone",
            503,
            {"retry-after": "Fri, 01 Jan 2027 00:00:00 +0000"},
            0,
        ),
        ("date-rfc-3339", 503, {"retry-after": "2027-01-01T00:00:00Z"}, 0),
        ("date-asctime", 503, {"retry-after": "Fri Jan  1 00:00:00 2027"}, 0),
    ]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(status, {}, headers), "http_status", retry_after=seconds)
        yield run.end(
            f"retry-after-{name}",
            "the longer of the pause and what the backend asks for, up to a day",
            RETRY_AFTER,
        )
    run = Run()
    run.to_register_identity()
    event = response(200, {}, {"retry-after": "7200"})
    run.backs_off(event, "invalid_response")
    yield run.end(
        "retry-after-200",
        "an answer of 2xx, even a useless one, does not ask to be left alone",
        RETRY_AFTER,
    )
    run = Run()
    record = back_off(captured.TIME - 4000, "http_status", 3)
    run.to_register_task(TASKLESS, record)
    run.backs_off(
        response(429, {}, {"retry-after": "90"}),
        "http_status",
        failures=4,
        pause=480,
        retry_after=90,
        record=record,
    )
    yield run.end(
        "retry-after-shorter-than-the-fourth-pause",
        "the backend's wish does not shorten a pause",
        RETRY_AFTER,
    )
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(
        response(429, {}, {"retry-after": "7200"}), "http_status", retry_after=7200
    )
    yield run.end(
        "retry-after-thread",
        "a turn that fails stores the pause, for the background",
        RETRY_AFTER,
    )
