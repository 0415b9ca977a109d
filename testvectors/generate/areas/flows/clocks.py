"""Flows of machines whose clock is not the backend's."""

import captured
from areas.decisions import config
from areas.flows.script import (
    CLOCKS,
    EPHEMERAL,
    LOAD_BACKOFF,
    LONGEST_PAUSE,
    REJECTED_TASK,
    RETRY_AFTER,
    TASKLESS,
    WITH_TASK,
    AuthAPIRun,
    Run,
    ThreadRun,
    http_date,
    response,
    swap,
)
from fixtures import KEY


def clocks():
    """Yield flows whose backend says what time it is."""
    for offset in [300, -300, 1, 0]:
        date = http_date(captured.TIME + offset)
        run = Run(rejected=REJECTED_TASK | {"date": date})
        run.start()
        run.finds(WITH_TASK, LOAD_BACKOFF)
        yield run.end(
            f"clock-rejected-{offset}".replace("--", "-minus-"),
            "as far as a verifier lets pass: the task is what is wrong",
            CLOCKS,
        )
    for name, offset in [
        ("behind", 301),
        ("ahead", -301),
        ("behind-years", 40 * 365 * 86400),
        ("ahead-of-1970", -captured.TIME),
    ]:
        date = http_date(captured.TIME + offset)
        run = Run(rejected=REJECTED_TASK | {"date": date})
        run.start(lambda run=run: run.bearer("registration-failed", "clock_skew"))
        yield run.end(
            f"clock-rejected-{name}",
            "further off: the clock is named, and the task stays",
            CLOCKS,
        )
        run = ThreadRun(rejected=REJECTED_TASK | {"date": date})
        run.start(lambda run=run: run.bearer("registration-failed", "clock_skew"))
        yield run.end(f"clock-rejected-{name}-thread", "in a turn, too", CLOCKS)
    for name, members in [
        ("code", {"code": "timestamp_skew"}),
        ("code-and-date", {"code": "timestamp_skew", "date": http_date(captured.TIME)}),
        (
            "unknown-agent",
            {"code": "unknown_agent", "date": http_date(captured.TIME + 301)},
        ),
    ]:
        run = Run(rejected=REJECTED_TASK | members)
        run.start(lambda run=run: run.bearer("registration-failed", "clock_skew"))
        yield run.end(f"clock-rejected-{name}", "nothing is lost by a clock", CLOCKS)
    for name, date in [
        ("garbage", "now"),
        ("rfc-3339", "2036-11-24T15:16:08Z"),
        ("zone", "Mon, 24 Nov 2036 15:16:08 +0000"),
        ("no-such-day", "Mon, 31 Nov 2036 15:16:08 GMT"),
    ]:
        run = Run(rejected=REJECTED_TASK | {"date": date})
        run.start()
        run.finds(WITH_TASK, LOAD_BACKOFF)
        yield run.end(f"clock-rejected-{name}-not", "no date", CLOCKS)
    run = Run(rejected=REJECTED_TASK | {"date": http_date(0)}, cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("clock-rejected-gate-off", "nobody asked for an assertion", CLOCKS)

    stages = [
        ("identity-biscuit", Run.to_identity_biscuit, []),
        ("identity", Run.to_register_identity, []),
        ("task-biscuit", Run.to_task_biscuit, [TASKLESS]),
        ("task", Run.to_register_task, [TASKLESS]),
    ]
    for stage, reach, arguments in stages:
        for status in [400, 401, 403]:
            run = Run()
            reach(run, *arguments)
            date = http_date(run.now + 1 + 301)
            run.backs_off(response(status, {}, {"date": date}), "clock_skew")
            yield run.end(
                f"clock-{stage}-{status}",
                "a refusal at another time: the clock is named",
                CLOCKS,
            )
        run = Run()
        reach(run, *arguments)
        date = http_date(run.now + 1 + 300)
        run.backs_off(response(403, {}, {"date": date}), "http_status")
        yield run.end(f"clock-{stage}-near", "as far as verifiers let pass", CLOCKS)
    for status in [302, 429, 500, 503]:
        run = Run()
        run.to_register_task(TASKLESS)
        event = response(status, {}, {"date": http_date(0), "retry-after": "7200"})
        run.backs_off(event, "http_status", retry_after=7200)
        yield run.end(
            f"clock-task-{status}-not", "which says nothing of the clock", CLOCKS
        )
    run = AuthAPIRun()
    run.to_register_task()
    run.step(
        response(429, {}, {"date": http_date(0)}), {"type": "wait", "wait_ms": 100}
    )
    yield run.end("later-clock-429-not", "and is tried again", CLOCKS)
    run = AuthAPIRun()
    run.to_register_task()
    run.backs_off(
        response(400, {}, {"Date": http_date(0)}), "clock_skew", pause=LONGEST_PAUSE
    )
    yield run.end("later-clock-400", "in the later profile, too", CLOCKS)
    run = Run()
    run.to_register_task(TASKLESS)
    event = response(403, {}, {"date": http_date(0), "retry-after": "7200"})
    run.backs_off(event, "clock_skew", retry_after=7200)
    yield run.end("clock-retry-after", "who asks for a pause gets it", RETRY_AFTER)
    run = Run()
    run.to_register_task(TASKLESS)
    sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
    run.step(
        response(200, {"encrypted_task_id": sealed}, {"date": http_date(0)}),
        swap(TASKLESS, WITH_TASK),
    )
    yield run.end("clock-task-200-not", "what succeeds is right", CLOCKS)
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(response(401, {}, {"date": http_date(0)}), "clock_skew")
    yield run.end("clock-thread", "the error of a turn", CLOCKS)
