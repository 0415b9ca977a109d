"""Flows and calls with what no host should say."""

import captured
from areas.decisions import THREAD, config, credentials
from areas.flows.script import (
    AUTH_API_KEY,
    DONE,
    FORM_0_123,
    JITTER_ENTROPY,
    LOAD_BACKEND,
    LOAD_IDENTITY,
    LOAD_SET_ASIDE,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    PROBE_IDENTITY,
    REJECTED_TASK,
    REQUEST_IDS,
    TASKLESS,
    THREAD_RECORD,
    UNKNOWN,
    UNLOCK_IDENTITY,
    WITH_TASK,
    AuthAPIRun,
    Run,
    ThreadRun,
    back_off,
    belongs,
    completed,
    failed,
    loaded,
    odd_abom,
    response,
    save,
    set_aside,
    swap,
)
from primitives import MAX_TIME, MIN_TIME, compact
from vectors import call, flow, hexadecimal, protocol


def refused():
    """Yield flows and calls with what no host should say."""
    answers = [
        ("load", [], loaded(WITH_TASK), ["done", "entropy", "response", "start"]),
        ("lock", [Run.to_lock], DONE, ["loaded", "entropy", "response", "start"]),
        (
            "http",
            [Run.to_identity_biscuit],
            failed("canceled"),
            ["loaded", "done", "entropy", "start"],
        ),
    ]
    for name, reach, good, kinds in answers:
        run = Run()
        for part in reach or [Run.start]:
            part(run)
        for kind in kinds:
            run.refuse(event_of(kind), "unexpected_event")
        run.refuse({"type": "unheard-of"}, "unexpected_event")
        run.refuse({"type": "failed"}, "unexpected_event")
        run.refuse(failed("unheard-of"), "unexpected_event")
        if name == "load":
            run.asserts(good)
        elif name == "lock":
            run.step(good, LOAD_IDENTITY)
        else:
            run.falls_back(good, "registration-failed", "request_failed")
        yield run.end(
            f"unexpected-after-{name}",
            "events that do not answer the effect are refused; the right one then works",
            "this project's ABI",
        )
    kinds = ["start", "loaded", "done", "entropy", "response", "woke"]

    def unexpected(run, expected):
        for kind in kinds:
            if kind != expected:
                run.refuse(event_of(kind), "unexpected_event")
        run.refuse({"type": "unheard-of"}, "unexpected_event")
        run.refuse(failed("unheard-of"), "unexpected_event")

    def steps():
        run = AuthAPIRun(key=AUTH_API_KEY)
        run.to_register_identity()
        run.step(response(500), {"type": "wait", "wait_ms": 100})
        unexpected(run, "woke")
        yield "wait", run.step({"type": "woke"}, run.register_identity)
        run = AuthAPIRun()
        run.to_register_task()
        run.step(response(500), {"type": "wait", "wait_ms": 100})
        unexpected(run, "woke")
        yield "task-wait", run.step({"type": "woke"}, run.register_task)
        run = Run(rejected=REJECTED_TASK)
        run.looks_again()
        run.keeps()
        unexpected(run, "loaded")
        yield "replace-task", run.step(loaded(), PROBE_IDENTITY)
        run = ThreadRun()
        run.start()
        run.finds(WITH_TASK, run.load_thread)
        unexpected(run, "loaded")
        yield "load-thread", run.asserts(loaded(compact(THREAD_RECORD)))
        run = ThreadRun()
        run.to_task_biscuit()
        run.task_biscuit_minted()
        run.task_registered()
        unexpected(run, "done")
        yield "save-task", run.asserts(DONE)
        run = Run()
        run.to_last_load()
        run.step(loaded(), PROBE_IDENTITY)
        unexpected(run, "done")
        yield "probe", run.step(DONE, NEW_IDENTITY_ENTROPY)
        run = Run()
        run.to_register_identity()
        run.identity_registered()
        unexpected(run, "done")
        yield "swap", run.identity_saved()
        run = Run()
        run.start()
        run.step(loaded(FORM_0_123), LOAD_BACKEND)
        unexpected(run, "loaded")
        run.step(loaded(), save("backend", belongs(run.base)))
        unexpected(run, "done")
        run.step(DONE, swap(FORM_0_123, completed(FORM_0_123)))
        unexpected(run, "done")
        yield "backend", run.asserts(DONE)
        run = Run()
        run.to_register_task(TASKLESS)
        run.step(response(404), LOAD_SET_ASIDE)
        unexpected(run, "loaded")
        run.step(
            loaded(),
            lambda run=run: save(
                "set-aside", f"[{set_aside(TASKLESS, run.now, UNKNOWN)}]"
            ),
        )
        unexpected(run, "done")
        yield "set-aside", run.step(DONE, NEW_IDENTITY_ENTROPY)
        run = ThreadRun()
        run.to_lock()
        run.step(DONE, LOAD_IDENTITY)
        run.finds(WITH_TASK, run.load_thread)
        run.step(loaded(), UNLOCK_IDENTITY)
        unexpected(run, "done")
        run.step(DONE, run.lock_thread)
        unexpected(run, "done")
        yield "unlock", run.step(DONE, LOAD_IDENTITY)
        run = Run()
        run.to_identity_biscuit()
        run.step(response(403), JITTER_ENTROPY)
        unexpected(run, "entropy")
        for size in [0, 3, 5, 16, 64]:
            event = {"type": "entropy"}
            if size:
                event["entropy"] = hexadecimal(bytes(size))
            run.refuse(event, "invalid_entropy")
        run.step(
            {"type": "entropy", "entropy": hexadecimal(bytes(4))},
            lambda: save("backoff", back_off(run.now, "http_status", pause=30)),
        )
        retry_at = run.now + 30
        unexpected(run, "done")
        yield (
            "jitter",
            run.falls_back(DONE, "registration-failed", "http_status", retry_at),
        )

    for name, run in steps():
        yield run.end(
            f"unexpected-after-{name}",
            "events that do not answer the effect are refused; the right one then works",
            "this project's ABI",
        )
    run = Run()
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    for size in [0, 16, 32, 63, 65]:
        event = {"type": "entropy"}
        if size:
            event["entropy"] = hexadecimal(bytes(size))
        run.refuse(event, "invalid_entropy")
    for kind in ["loaded", "done", "response", "start"]:
        run.refuse(event_of(kind), "unexpected_event")
    run.give_entropy()
    yield run.end(
        "entropy-of-other-size",
        "another amount of entropy than was asked for is refused",
        "this project's ABI",
    )
    run = Run()
    run.to_last_load(TASKLESS)
    run.probed(loaded(), NEW_TASK_ENTROPY)
    for size in [15, 17, 64]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    yield run.end(
        "task-entropy-of-other-size",
        "another amount of entropy than was asked for is refused",
        "this project's ABI",
    )
    run = Run()
    run.start()
    for now in [MIN_TIME - 1, MAX_TIME + 1]:
        run.refuse(loaded() | {"now": now}, "invalid_time")
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "time-out-of-range",
        "a time outside of the years 0 to 9999 is refused",
        protocol("Timestamps"),
    )

    def start(name, comment, code, **members):
        event = {
            "type": "start",
            "now": captured.TIME,
            "config": config(),
            "surface": "models",
            "credentials": credentials(),
        } | members
        event = {n: v for n, v in event.items() if v is not None}
        return flow(
            f"start-{name}-refused",
            comment,
            "this project's ABI",
            [{"event": event, "error": {"code": code}}],
        )

    for surface in THREAD:
        yield start(
            surface,
            "a thread's surface without a thread",
            "thread_surface",
            surface=surface,
        )
    for surface in ["models", "bootstrap"]:
        yield start(
            f"{surface}-with-thread",
            "a thread with a surface that is no thread's",
            "thread_surface",
            surface=surface,
            thread_id="thread-1",
        )
    for name, text in [("4097-bytes", "x" * 4097), ("control-character", "a\nb")]:
        yield start(
            f"thread-id-{name}",
            "no thread id",
            "invalid_thread_id",
            surface="responses",
            thread_id=text,
        )
    yield start(
        "profile",
        "no profile",
        "invalid_config",
        config=config() | {"profile": "x"},
    )
    yield start(
        "profile-other-case",
        "no profile",
        "invalid_config",
        config=config() | {"profile": "Auth-API"},
    )
    for name, url in [
        ("", "x"),
        ("-relative", "/api/accounts"),
        ("-other-scheme", "ftp://auth.example"),
        ("-no-host", "https://"),
        ("-slashes", "https:////"),
        ("-query", "https://auth.example/api?a=b"),
        ("-fragment", "https://auth.example/api#a"),
        ("-user", "https://user@auth.example/api"),
        ("-space", "https://auth.example/a b"),
        ("-line-feed", "https://auth.example/a\n"),
        ("-non-ascii", "https://auth.example/\u00e9"),
        ("-port-0", "https://auth.example:0/api"),
    ]:
        yield start(
            f"auth-api-url{name}",
            "no URL that requests could go to",
            "invalid_config",
            config=config() | {"profile": "auth-api", "auth_api_url": url},
        )
    yield start(
        "auth-api-url-without-profile",
        "it is checked even where it is not used",
        "invalid_config",
        config=config() | {"auth_api_url": "x"},
    )
    arrived = {"kind": "agent-identity", "account_id": "acct-1", "user_id": "user-1"}
    yield start(
        "jwt-identity-without-thread",
        "a thread's surface without a thread, whoever calls",
        "thread_surface",
        surface="responses",
        credentials=arrived,
    )
    yield start(
        "jwt-identity-with-thread",
        "a thread with a surface that is no thread's, whoever calls",
        "thread_surface",
        thread_id="thread-1",
        credentials=arrived,
    )
    yield start(
        "background-with-thread",
        "a thread with a surface that is no thread's",
        "thread_surface",
        surface="background",
        thread_id="thread-1",
    )
    yield start("unknown-surface", "no surface", "unknown_surface", surface="x")
    yield start("no-surface", "no surface", "unknown_surface", surface=None)
    yield start("no-config", "no configuration", "invalid_config", config=None)
    yield start("no-credentials", "no credentials", "invalid_config", credentials=None)
    yield start(
        "base-url",
        "no base URL",
        "invalid_base_url",
        config=config("chatgpt.com"),
    )
    yield start(
        "trusted-host",
        "no host",
        "invalid_trusted_host",
        config=config(trusted=["https://backend.example"]),
    )
    yield start(
        "access-token",
        "a token that is more than one header",
        "invalid_credentials",
        credentials=credentials(token="a\r\nx-injected: 1"),
    )
    yield start(
        "abom",
        "a bill of materials longer than 4096 bytes",
        "invalid_config",
        config=config() | {"abom": odd_abom() | {"running_location": "x" * 4097}},
    )
    yield start("time", "no time", "invalid_time", now=MAX_TIME + 1)

    for kind in [*kinds[1:], "failed", "unheard-of"]:
        event = event_of(kind) | {"now": captured.TIME}
        yield call(
            f"first-event-{kind}-refused",
            "a flow begins with start",
            "this project's ABI",
            "flow.step",
            {"event": event},
            error="unexpected_event",
        )
    for name, state in [
        ("zero", b"\0"),
        ("ff", b"\xff"),
        ("empty-map", b"\xa0"),
        ("text", b"state"),
        ("random", bytes(range(200))),
    ]:
        yield call(
            f"state-{name}-refused",
            "a state that no step returned",
            "this project's ABI",
            "flow.step",
            {
                "state": hexadecimal(state),
                "event": {"type": "loaded", "now": captured.TIME},
            },
            error="invalid_state",
        )


def event_of(kind):
    """Return an event of a type, complete but for its time."""
    return {
        "start": {
            "type": "start",
            "config": config(),
            "surface": "models",
            "credentials": credentials(),
        },
        "loaded": loaded(),
        "done": DONE,
        "entropy": {"type": "entropy", "entropy": hexadecimal(bytes(64))},
        "response": response(200),
        "woke": {"type": "woke"},
        "failed": failed("store"),
        "unheard-of": {"type": "unheard-of"},
    }[kind]
