"""Flows in which a request fails, or the host cannot do what it is asked."""

import captured
from areas.decisions import credentials
from areas.flows.script import (
    BACK_OFF,
    DELETE_BACKOFF,
    DONE,
    EPHEMERAL,
    FALL_BACK,
    LATER,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    TASKLESS,
    WITH_TASK,
    Run,
    back_off,
    failed,
    loaded,
    response,
)
from fixtures import KEY, OTHER_KEY
from primitives import compact

STATUSES = [100, 199, 300, 302, 400, 401, 403, 404, 429, 500, 503]
FAILURES = ["timeout", "connect", "tls", "too-large"]

# (name, what the biscuit endpoint's headers say)
BAD_BISCUITS = [
    ("missing", {}),
    ("elsewhere", {"authorization": "biscuit-1"}),
    ("empty", {"x-openai-authorization": ""}),
    ("line-feed", {"x-openai-authorization": "a\nx-injected: 1"}),
    ("space", {"x-openai-authorization": "a b"}),
    ("non-ascii", {"x-openai-authorization": "bïscuit"}),
    ("too-long", {"x-openai-authorization": "b" * 8193}),
]


def bad_bodies(member, value):
    """Yield (name, body) of responses that lack a member."""
    good = compact({member: value})
    yield "empty", None
    yield "garbage", "<html>"
    yield "truncated", good[:-1]
    yield "trailing-garbage", good + "x"
    yield "array", f"[{good}]"
    yield "missing-member", "{}"
    yield "duplicate-member", good[:-1] + "," + good[1:]
    yield "duplicate-other-member", good[:-1] + ',"x":1,"x":2}'
    yield "null-member", compact({member: None})
    yield "number-member", compact({member: 4})
    yield "nested-member", compact({"data": {member: value}})
    yield "byte-order-mark", "\ufeff" + good
    yield "not-utf-8", b'{"x":"\xff",' + good[1:].encode()
    yield "over-64-kib", good.ljust(65537)


def failing_requests():
    """Yield flows in which one of the four requests fails."""
    stages = [
        ("identity-biscuit", "minting the first biscuit", Run.to_identity_biscuit, []),
        ("identity", "registering the identity", Run.to_register_identity, []),
        (
            "task-biscuit",
            "minting the second biscuit",
            Run.to_task_biscuit,
            [TASKLESS],
        ),
        ("task", "registering the task", Run.to_register_task, [TASKLESS]),
    ]
    for stage, doing, reach, arguments in stages:
        for status in STATUSES:
            if stage == "task" and status == 404:
                continue  # which says that the agent is not known
            run = Run()
            reach(run, *arguments)
            # A body that would do, and a biscuit: the status decides.
            event = response(
                status,
                {"agent_runtime_id": "agent-rt-2", "encrypted_task_id": ""},
                {"x-openai-authorization": "biscuit"},
            )
            run.backs_off(event, "http_status")
            yield run.end(
                f"{stage}-status-{status}",
                f"{doing} is answered with {status}",
                BACK_OFF,
            )
        for failure in FAILURES:
            run = Run()
            reach(run, *arguments)
            run.backs_off(failed(failure), "request_failed")
            yield run.end(f"{stage}-{failure}", f"{doing} fails: {failure}", BACK_OFF)
        run = Run()
        reach(run, *arguments)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"{stage}-canceled",
            f"{doing} is broken off by the caller, which is nobody's failure: no pause",
            BACK_OFF,
        )
        if stage.endswith("biscuit"):
            for name, headers in BAD_BISCUITS:
                run = Run()
                reach(run, *arguments)
                run.backs_off(response(200, {}, headers), "invalid_response")
                yield run.end(
                    f"{stage}-header-{name}", f"{doing} yields none", BACK_OFF
                )

    bad_ids = [
        ("empty", ""),
        ("colon", "a:b"),
        ("control-character", "a\nb"),
        ("c1", "a\x85b"),
        ("4097-bytes", "x" * 4097),
    ]
    for name, body in bad_bodies("agent_runtime_id", captured.RUNTIME_ID):
        run = Run()
        run.to_register_identity()
        run.backs_off(response(200, body), "invalid_response")
        yield run.end(
            f"identity-response-{name}-refused", "a response without an id", BACK_OFF
        )
    for name, text in [*bad_ids, ("dot", "."), ("two-dots", "..")]:
        run = Run()
        run.to_register_identity()
        run.backs_off(
            response(200, {"agent_runtime_id": text}), "invalid_agent_runtime_id"
        )
        yield run.end(
            f"identity-id-{name}-refused",
            "an id that cannot be signed or cannot be in a path is not saved",
            BACK_OFF,
        )

    sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
    for name, body in bad_bodies("encrypted_task_id", sealed):
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(200, body), "invalid_response")
        yield run.end(
            f"task-response-{name}-refused", "a response without a task", BACK_OFF
        )
    for name, comment, text in [
        ("plain", "the earlier profile's responses are sealed", {"task_id": "task-4"}),
        ("camel-case", "this name is the later profile's", {"encryptedTaskId": sealed}),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(200, text), "invalid_response")
        yield run.end(f"task-response-{name}-refused", comment, LATER)
    for name, text in [
        ("other-key", OTHER_KEY.seal(EPHEMERAL, captured.TASK_ID)),
        ("truncated", sealed[:-4]),
        ("empty", ""),
        ("not-base64", "not a box!"),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(
            response(200, {"encrypted_task_id": text}), "invalid_sealed_task_id"
        )
        yield run.end(
            f"task-box-{name}-refused", "a box that this agent cannot open", BACK_OFF
        )
    for name, text in [*bad_ids, ("not-utf-8", b"task\xff")]:
        if name == "colon":
            continue
        run = Run()
        run.to_register_task(TASKLESS)
        box = KEY.seal(EPHEMERAL, text)
        run.backs_off(response(200, {"encrypted_task_id": box}), "invalid_task_id")
        yield run.end(
            f"task-id-{name}-refused", "a box with what no assertion may hold", BACK_OFF
        )

    # The second half of a registration fails after the first is saved.
    for name, event, code in [
        ("status-500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
    ]:
        run = Run()
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        run.backs_off(event, code)
        yield run.end(
            f"fresh-task-biscuit-{name}",
            "the second biscuit cannot be had: the identity is kept",
            BACK_OFF,
        )
    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.backs_off(failed("timeout"), "request_failed")
    yield run.end(
        "fresh-task-timeout",
        "the task cannot be registered: the identity is kept",
        BACK_OFF,
    )


def failing_hosts():
    """Yield flows whose host cannot do what it is asked."""

    def store_failed(run, event=None):
        return run.falls_back(event or failed("store"), "store-failed", "store_failed")

    run = Run()
    run.start()
    store_failed(run)
    yield run.end("load-identity-failed", "the identity cannot be loaded", FALL_BACK)
    run = Run(creds=credentials(token=None))
    run.start()
    store_failed(run)
    yield run.end(
        "load-identity-failed-no-access-token",
        "the identity cannot be loaded, and there is no token",
        FALL_BACK,
    )
    run = Run()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    store_failed(run)
    yield run.end("load-back-off-failed", "the back-off cannot be loaded", FALL_BACK)
    for failure in ["store", "timeout", "canceled"]:
        run = Run()
        run.to_lock()
        store_failed(run, failed(failure))
        yield run.end(f"lock-failed-{failure}", "the lock cannot be had", FALL_BACK)
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    store_failed(run)
    yield run.end(
        "reload-identity-failed", "the identity cannot be loaded again", FALL_BACK
    )
    run = Run()
    run.to_last_load()
    store_failed(run)
    yield run.end(
        "reload-back-off-failed", "the back-off cannot be loaded again", FALL_BACK
    )
    for name, record, effect in [
        ("identity", None, NEW_IDENTITY_ENTROPY),
        ("task", TASKLESS, NEW_TASK_ENTROPY),
    ]:
        run = Run()
        run.to_last_load(record)
        run.probed(loaded(), effect)
        run.falls_back(failed("timeout"), "registration-failed", "request_failed")
        yield run.end(f"{name}-entropy-failed", "there is no randomness", FALL_BACK)

    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "save-identity-failed",
        "a new identity cannot be saved: without a pause every call would register one",
        BACK_OFF,
    )
    run = Run()
    run.to_register_task(TASKLESS)
    run.task_registered(WITH_TASK)
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "save-task-failed",
        "a new task cannot be saved: without a pause every call would register one",
        BACK_OFF,
    )
    run = Run()
    run.to_identity_biscuit()
    run.backs_off(response(403), "http_status", last=failed("store"))
    yield run.end(
        "save-back-off-failed",
        "the failure cannot be saved: the call is answered all the same",
        BACK_OFF,
    )
    run = Run()
    run.to_register_task(TASKLESS, back_off(captured.TIME - 4000, "http_status"))
    run.task_registered(WITH_TASK)
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(failed("store"))
    yield run.end(
        "delete-back-off-failed",
        "an old failure cannot be deleted: the task is there all the same",
        BACK_OFF,
    )
