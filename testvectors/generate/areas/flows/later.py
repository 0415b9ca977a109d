"""Flows of the later profile."""

import captured
from areas.decisions import UNSUPPORTED, config, credentials
from areas.flows.script import (
    DELETE_BACKOFF,
    DONE,
    EPHEMERAL,
    FEDRAMP,
    LATER,
    LATER_KEY,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LONGEST_PAUSE,
    NEW_IDENTITY_ENTROPY,
    REJECTED,
    REJECTED_TASK,
    RETRY_AFTER,
    TASKLESS,
    THREAD_RECORD,
    WITH_TASK,
    LaterRun,
    LaterThreadRun,
    Run,
    back_off,
    failed,
    identity,
    loaded,
    replaced,
    response,
    save,
    swap,
)
from fixtures import KEY, OTHER_KEY
from primitives import compact
from vectors import hexadecimal


def later():
    """Yield flows of the later profile."""
    for name, comment, members in [
        ("usual", "no biscuits, and a URL of its own", {}),
        (
            "staging",
            "another URL, with a slash behind it",
            {
                "cfg": config()
                | {
                    "profile": "auth-api",
                    "auth_api_url": "https://auth.api.openai.org/api/accounts/",
                },
                "url": "https://auth.api.openai.org/api/accounts",
            },
        ),
    ]:
        run = LaterRun(key=LATER_KEY, **members)
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(f"later-{name}", comment, LATER)
    run = LaterRun(key=LATER_KEY, creds=credentials() | {"fedramp": True})
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("later-fedramp", "a FedRAMP account", LATER)

    sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
    for name, body in [
        ("task-id", {"task_id": "task-4"}),
        ("task-id-camel", {"taskId": "task-4"}),
        ("sealed", {"encrypted_task_id": sealed}),
        ("sealed-camel", {"encryptedTaskId": sealed}),
        (
            "plain-wins",
            {"encrypted_task_id": OTHER_KEY.seal(EPHEMERAL, "x"), "taskId": "task-4"},
        ),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(response(200, body), swap(TASKLESS, WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"later-response-{name}", "the four shapes", LATER)
    run = LaterRun(creds=credentials(token=None))
    run.to_register_task()
    yield run.end(
        "later-task-no-access-token", "the signature is the proof, no token", LATER
    )
    for name, event, code in [
        ("429", response(429), "http_status"),
        ("500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
        ("connect", failed("connect"), "request_failed"),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(event, {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, run.register_task)
        run.step(event, {"type": "wait", "wait_ms": 2000})
        run.step({"type": "woke"}, run.register_task)
        run.backs_off(event, code, pause=LONGEST_PAUSE)
        yield run.end(
            f"later-retried-{name}", "tried three times, then an hour's pause", LATER
        )
    run = LaterRun(key=LATER_KEY)
    run.to_register_identity()
    run.step(response(503), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_identity)
    run.identity_registered()
    run.identity_saved()
    run.step(response(503), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_task)
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("later-retried-and-done", "each request has three tries", LATER)
    for status in [302, 400, 401, 403, 405]:
        run = LaterRun()
        run.to_register_task()
        run.backs_off(response(status), "http_status", pause=LONGEST_PAUSE)
        yield run.end(f"later-final-{status}", "every other failure is final", LATER)
    run = LaterRun()
    run.to_register_task()
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("later-wait-canceled", "the caller does not wait", LATER)

    # What the host does while it waits.
    stages = [
        ("identity", LaterRun.to_register_identity, {"key": LATER_KEY}),
        ("task", LaterRun.to_register_task, {}),
    ]
    for stage, reach, members in stages:
        for failure in ["timeout", "connect", "tls", "too-large", "canceled", "store"]:
            run = LaterRun(**members)
            reach(run)
            run.step(response(500), {"type": "wait", "wait_ms": 1000})
            run.falls_back(failed(failure), "registration-failed", "request_failed")
            yield run.end(
                f"later-{stage}-wait-failed-{failure}",
                "the host does not wait: the flow ends, without a pause",
                LATER,
            )
        run = LaterRun(**members)
        reach(run)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"later-{stage}-canceled",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        run = LaterRun(**members)
        reach(run)
        run.step(failed("timeout"), {"type": "wait", "wait_ms": 1000})
        run.step(
            {"type": "woke"},
            run.register_identity if stage == "identity" else run.register_task,
        )
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"later-{stage}-canceled-in-second-try",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        for failure in ["tls", "too-large"]:
            run = LaterRun(**members)
            reach(run)
            run.backs_off(failed(failure), "request_failed", pause=LONGEST_PAUSE)
            yield run.end(
                f"later-{stage}-final-{failure}", "every other failure is final", LATER
            )
        for status, seconds in [(403, 7200), (405, 60)]:
            run = LaterRun(**members)
            reach(run)
            event = response(status, {}, {"retry-after": str(seconds)})
            run.backs_off(
                event, "http_status", pause=LONGEST_PAUSE, retry_after=seconds
            )
            yield run.end(
                f"later-{stage}-retry-after-{status}",
                "the longer of an hour and what the backend asks for",
                RETRY_AFTER,
            )
        run = LaterRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(failed("connect"), {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, again)
        run.step(response(503), {"type": "wait", "wait_ms": 2000})
        run.step({"type": "woke"}, again)
        run.backs_off(
            response(429, {}, {"retry-after": "7200"}),
            "http_status",
            pause=LONGEST_PAUSE,
            retry_after=7200,
        )
        yield run.end(
            f"later-{stage}-retry-after-429",
            "the third try is the last, and asks to be left alone",
            RETRY_AFTER,
        )
        run = LaterRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(response(500), {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, again)
        run.backs_off(response(403), "http_status", pause=LONGEST_PAUSE)
        yield run.end(
            f"later-{stage}-final-in-second-try",
            "what is final is not tried a third time",
            LATER,
        )
    for name, body, code in [
        ("empty", None, "invalid_response"),
        ("garbage", "<html>", "invalid_response"),
        ("missing-member", {}, "invalid_response"),
        ("number", {"task_id": 4}, "invalid_response"),
        ("plain-empty", {"task_id": ""}, "invalid_task_id"),
        ("plain-control-character", {"taskId": "a\nb"}, "invalid_task_id"),
        ("other-key", {"encryptedTaskId": OTHER_KEY.seal(EPHEMERAL, "x")}, BAD_BOX),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.backs_off(response(200, body), code, pause=LONGEST_PAUSE)
        yield run.end(f"later-response-{name}-refused", "no task, and final", LATER)
    for name, body in [
        ("both-plain", {"taskId": "task-5", "task_id": "task-4"}),
        ("plain-null", {"task_id": None, "taskId": "task-4"}),
        ("sealed-and-null", {"task_id": None, "encrypted_task_id": sealed}),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(response(200, body), swap(TASKLESS, WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"later-response-{name}", "which of several wins", LATER)
    run = LaterRun()
    record = back_off(captured.TIME - 4000, "http_status", 1)
    run.to_last_load(TASKLESS, record)
    run.probed(loaded(record), run.register_task)
    run.backs_off(
        response(403), "http_status", failures=2, pause=LONGEST_PAUSE, record=record
    )
    yield run.end("later-second-failure", "an hour, however often", LATER)
    run = LaterRun()
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    for size in [16, 32, 63, 65]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    yield run.end("later-entropy-of-other-size", "64 bytes make a key", LATER)
    run = LaterRun(creds=credentials(token=None))
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("later-no-access-token", "an identity needs a token", LATER)

    # Which auth API belongs to a base URL.
    for name, base, url in [
        (
            "production",
            "https://chatgpt.com/backend-api",
            "https://auth.openai.com/api/accounts",
        ),
        (
            "older-name",
            "https://chat.openai.com/backend-api",
            "https://auth.openai.com/api/accounts",
        ),
        (
            "staging",
            "https://chatgpt-staging.com/backend-api",
            "https://auth.api.openai.org/api/accounts",
        ),
        (
            "port",
            "https://ChatGPT.com:443/backend-api",
            "https://auth.openai.com/api/accounts",
        ),
    ]:
        cfg = config(base) | {"profile": "auth-api"}
        run = LaterRun(url, key=LATER_KEY, cfg=cfg, configured=False)
        run.to_register_identity()
        yield run.end(f"later-environment-{name}", "its environment's", LATER)
    for name, base in [
        ("subdomain", "https://agent.chatgpt.com/backend-api"),
        ("staging-subdomain", "https://a.chatgpt-staging.com/backend-api"),
        ("http", "http://chatgpt.com/backend-api"),
        ("trusted", "https://backend.example/api"),
    ]:
        cfg = config(base) | {
            "profile": "auth-api",
            "trusted_hosts": ["backend.example"],
        }
        run = LaterRun(cfg=cfg, configured=False)
        run.to_last_load()
        run.falls_back(loaded(), "registration-failed", "no_auth_api")
        yield run.end(
            f"later-environment-none-{name}", "the token is not for guessing", LATER
        )
        run = LaterRun(cfg=cfg, configured=False)
        run.to_last_load(identity(base_url=base, task_id=None))
        run.falls_back(loaded(), "registration-failed", "no_auth_api")
        yield run.end(
            f"later-environment-none-{name}-task", "nor can a task be had", LATER
        )
        run = LaterRun(cfg=cfg, configured=False)
        run.start()
        run.asserts(loaded(identity(base_url=base)))
        yield run.end(
            f"later-environment-none-{name}-stored", "one that is there serves", LATER
        )

    # Where the auth API is.
    for name, configured, url in [
        ("slashes", "https://auth.example/api///", "https://auth.example/api"),
        ("no-path", "https://auth.example", "https://auth.example"),
        ("slash-alone", "https://auth.example/", "https://auth.example"),
        ("port", "http://127.0.0.1:8443/a", "http://127.0.0.1:8443/a"),
        ("ipv6", "http://[::1]:8080/", "http://[::1]:8080"),
        # What a base URL would lose stays.
        ("codex", "https://chatgpt.com/codex", "https://chatgpt.com/codex"),
        ("case", "https://Auth.Example/A", "https://Auth.Example/A"),
    ]:
        cfg = config() | {"profile": "auth-api", "auth_api_url": configured}
        run = LaterRun(key=LATER_KEY, cfg=cfg, url=url)
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        yield run.end(
            f"later-url-{name}",
            "slashes at the end go, everything else stays",
            "this project's rule: the auth API's URL",
        )
    run = Run(cfg=config() | {"auth_api_url": "https://auth.example"})
    run.to_identity_biscuit()
    yield run.end(
        "auth-api-url-without-profile", "the default profile does not use it", LATER
    )

    # Threads.
    for name, thread in [("new", None), ("damaged", "damaged")]:
        run = LaterThreadRun()
        run.to_register_task(WITH_TASK, thread)
        run.task_registered()
        run.asserts(DONE)
        yield run.end(f"later-thread-{name}", "a thread's task, no biscuit", LATER)
    run = LaterThreadRun(key=LATER_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "later-thread-without-identity", "the identity is registered first", LATER
    )
    cfg = config(UNSUPPORTED, trusted=["127.0.0.1"]) | {"profile": "auth-api"}
    run = LaterThreadRun(cfg=cfg)
    run.start()
    run.finds(identity(base_url=UNSUPPORTED), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end("later-thread-stored", "a stored task", LATER)
    run = LaterThreadRun(creds=credentials(token=None))
    run.to_register_task(WITH_TASK)
    run.task_registered()
    run.asserts(DONE)
    yield run.end("later-thread-no-access-token", "the signature is the proof", LATER)
    run = LaterThreadRun()
    run.to_last_load(WITH_TASK)
    run.probed(loaded(back_off(captured.TIME, "http_status")), run.register_task)
    run.step(
        response(200, {"task_id": "task-6"}),
        lambda: save("thread/thread-1", run.thread_record("task-6")),
    )
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(DONE)
    yield run.end("later-thread-in-a-pause", "a turn tries at once", LATER)
    run = LaterThreadRun()
    run.to_register_task(WITH_TASK)
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_task)
    run.step(failed("timeout"), {"type": "wait", "wait_ms": 2000})
    run.step({"type": "woke"}, run.register_task)
    run.backs_off(response(502), "http_status", pause=LONGEST_PAUSE)
    yield run.end(
        "later-thread-failed", "tried three times, then an error of the turn", LATER
    )
    run = LaterThreadRun()
    run.to_register_task(WITH_TASK)
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("later-thread-wait-canceled", "nothing is sent", LATER)
    run = LaterThreadRun(creds=FEDRAMP, key=LATER_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "later-thread-fedramp", "the identity's registration and the call", LATER
    )

    # Rejected tasks.
    run = LaterRun(rejected=REJECTED_TASK)
    run.looks_again()
    run.drops()
    run.step(DONE, LOAD_BACKOFF)
    run.probed(loaded(), run.register_task)
    run.step(
        response(200, {"task_id": "task-9"}),
        lambda: swap(TASKLESS, replaced(run.now)),
    )
    run.asserts(DONE, "task-9")
    yield run.end("later-rejected", "dropped, and another registered", REJECTED)
    run = LaterThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    record = compact(THREAD_RECORD)
    run.to_lock(WITH_TASK, record)
    run.step(DONE, LOAD_IDENTITY)
    run.load(WITH_TASK, record, {"type": "delete", "slot": "thread/thread-1"})
    run.step(DONE, LOAD_BACKOFF)
    run.probed(loaded(), run.register_task)
    run.task_registered("task-9")
    run.asserts(DONE, "task-9")
    yield run.end("later-rejected-thread", "a thread's task", REJECTED)


BAD_BOX = "invalid_sealed_task_id"
