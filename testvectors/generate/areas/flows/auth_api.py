"""Flows of the profile auth-api."""

import captured
from areas.decisions import config, credentials
from areas.flows.script import (
    AUTH_API_KEY,
    DELETE_BACKOFF,
    DONE,
    EPHEMERAL,
    FEDRAMP,
    LATER,
    LOAD_BACKOFF,
    LONGEST_PAUSE,
    NEW_IDENTITY_ENTROPY,
    REJECTED,
    REJECTED_TASK,
    RETRY_AFTER,
    TASKLESS,
    WITH_TASK,
    AuthAPIRun,
    AuthAPITurn,
    Run,
    back_off,
    back_off_entry,
    failed,
    identity,
    loaded,
    replaced,
    response,
    swap,
)
from fixtures import KEY, OTHER_KEY
from primitives import compact
from vectors import hexadecimal


def auth_api():
    """Yield flows of the profile auth-api."""
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
        run = AuthAPIRun(key=AUTH_API_KEY, **members)
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(f"auth-api-{name}", comment, LATER)
    run = AuthAPIRun(key=AUTH_API_KEY, creds=credentials() | {"fedramp": True})
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("auth-api-fedramp", "a FedRAMP account", LATER)

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
        run = AuthAPIRun()
        run.to_register_task()
        run.step(response(200, body), swap(TASKLESS, WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"auth-api-response-{name}", "the four shapes", LATER)
    run = AuthAPIRun(creds=credentials(token=None))
    run.to_register_task()
    yield run.end(
        "auth-api-task-no-access-token", "the signature is the proof, no token", LATER
    )
    for name, event, code in [
        ("429", response(429), "http_status"),
        ("500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
        ("connect", failed("connect"), "request_failed"),
    ]:
        run = AuthAPIRun()
        run.to_register_task()
        run.step(event, {"type": "wait", "wait_ms": 100})
        run.step({"type": "woke"}, run.register_task)
        run.step(event, {"type": "wait", "wait_ms": 200})
        run.step({"type": "woke"}, run.register_task)
        run.backs_off(event, code, pause=LONGEST_PAUSE)
        yield run.end(
            f"auth-api-retried-{name}", "tried three times, then an hour's pause", LATER
        )
    run = AuthAPIRun(key=AUTH_API_KEY)
    run.to_register_identity()
    run.step(response(503), {"type": "wait", "wait_ms": 100})
    run.step({"type": "woke"}, run.register_identity)
    run.identity_registered()
    run.identity_saved()
    run.step(response(503), {"type": "wait", "wait_ms": 100})
    run.step({"type": "woke"}, run.register_task)
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("auth-api-retried-and-done", "each request has three tries", LATER)
    for status in [302, 400, 401, 403, 405]:
        run = AuthAPIRun()
        run.to_register_task()
        run.backs_off(response(status), "http_status", pause=LONGEST_PAUSE)
        yield run.end(f"auth-api-final-{status}", "every other failure is final", LATER)
    run = AuthAPIRun()
    run.to_register_task()
    run.step(response(500), {"type": "wait", "wait_ms": 100})
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("auth-api-wait-canceled", "the caller does not wait", LATER)

    # What the host does while it waits.
    stages = [
        ("identity", AuthAPIRun.to_register_identity, {"key": AUTH_API_KEY}),
        ("task", AuthAPIRun.to_register_task, {}),
    ]
    for stage, reach, members in stages:
        for failure in ["timeout", "connect", "tls", "too-large", "canceled", "store"]:
            run = AuthAPIRun(**members)
            reach(run)
            run.step(response(500), {"type": "wait", "wait_ms": 100})
            run.falls_back(failed(failure), "registration-failed", "request_failed")
            yield run.end(
                f"auth-api-{stage}-wait-failed-{failure}",
                "the host does not wait: the flow ends, without a pause",
                LATER,
            )
        run = AuthAPIRun(**members)
        reach(run)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"auth-api-{stage}-canceled",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        run = AuthAPIRun(**members)
        reach(run)
        run.step(failed("timeout"), {"type": "wait", "wait_ms": 100})
        run.step(
            {"type": "woke"},
            run.register_identity if stage == "identity" else run.register_task,
        )
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"auth-api-{stage}-canceled-in-second-try",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        for failure in ["tls", "too-large"]:
            run = AuthAPIRun(**members)
            reach(run)
            run.backs_off(failed(failure), "request_failed", pause=LONGEST_PAUSE)
            yield run.end(
                f"auth-api-{stage}-final-{failure}",
                "every other failure is final",
                LATER,
            )
        for status, seconds in [(403, 7200), (405, 60)]:
            run = AuthAPIRun(**members)
            reach(run)
            event = response(status, {}, {"retry-after": str(seconds)})
            run.backs_off(
                event, "http_status", pause=LONGEST_PAUSE, retry_after=seconds
            )
            yield run.end(
                f"auth-api-{stage}-retry-after-{status}",
                "the longer of an hour and what the backend asks for",
                RETRY_AFTER,
            )
        run = AuthAPIRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(failed("connect"), {"type": "wait", "wait_ms": 100})
        run.step({"type": "woke"}, again)
        run.step(response(503), {"type": "wait", "wait_ms": 200})
        run.step({"type": "woke"}, again)
        run.backs_off(
            response(429, {}, {"retry-after": "7200"}),
            "http_status",
            pause=LONGEST_PAUSE,
            retry_after=7200,
        )
        yield run.end(
            f"auth-api-{stage}-retry-after-429",
            "the third try is the last, and asks to be left alone",
            RETRY_AFTER,
        )
        run = AuthAPIRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(response(500), {"type": "wait", "wait_ms": 100})
        run.step({"type": "woke"}, again)
        run.backs_off(response(403), "http_status", pause=LONGEST_PAUSE)
        yield run.end(
            f"auth-api-{stage}-final-in-second-try",
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
        run = AuthAPIRun()
        run.to_register_task()
        run.backs_off(response(200, body), code, pause=LONGEST_PAUSE)
        yield run.end(f"auth-api-response-{name}-refused", "no task, and final", LATER)
    for name, body in [
        ("both-plain", {"taskId": "task-5", "task_id": "task-4"}),
        ("plain-null", {"task_id": None, "taskId": "task-4"}),
        ("sealed-and-null", {"task_id": None, "encrypted_task_id": sealed}),
        (
            "both-sealed",
            {
                "encryptedTaskId": KEY.seal(EPHEMERAL, "task-5"),
                "encrypted_task_id": sealed,
            },
        ),
        ("sealed-null", {"encrypted_task_id": None, "encryptedTaskId": sealed}),
    ]:
        run = AuthAPIRun()
        run.to_register_task()
        run.step(response(200, body), swap(TASKLESS, WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"auth-api-response-{name}", "which of several wins", LATER)
    run = AuthAPIRun()
    record = back_off(captured.TIME - 4000, "http_status", 1)
    run.to_last_load(TASKLESS, record)
    run.probed(loaded(record), run.register_task)
    run.backs_off(
        response(403), "http_status", failures=2, pause=LONGEST_PAUSE, record=record
    )
    yield run.end("auth-api-second-failure", "an hour, however often", LATER)
    run = AuthAPIRun()
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    for size in [16, 32, 63, 65]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    yield run.end("auth-api-entropy-of-other-size", "64 bytes make a key", LATER)
    run = AuthAPIRun(creds=credentials(token=None))
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("auth-api-no-access-token", "an identity needs a token", LATER)

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
        cfg = config(base)
        run = AuthAPIRun(url, key=AUTH_API_KEY, cfg=cfg, configured=False)
        run.to_register_identity()
        yield run.end(f"auth-api-environment-{name}", "its environment's", LATER)
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
        run = AuthAPIRun(cfg=cfg, configured=False)
        run.to_last_load()
        run.falls_back(loaded(), "registration-failed", "no_auth_api")
        yield run.end(
            f"auth-api-environment-none-{name}", "the token is not for guessing", LATER
        )
        run = AuthAPIRun(cfg=cfg, configured=False)
        run.to_last_load(identity(base_url=base, task_id=None))
        run.falls_back(loaded(), "registration-failed", "no_auth_api")
        yield run.end(
            f"auth-api-environment-none-{name}-task", "nor can a task be had", LATER
        )
        run = AuthAPIRun(cfg=cfg, configured=False)
        run.start()
        run.asserts(loaded(identity(base_url=base)))
        yield run.end(
            f"auth-api-environment-none-{name}-stored",
            "one that is there serves",
            LATER,
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
        ("tilde", "https://auth.example/~/", "https://auth.example/~"),
    ]:
        cfg = config() | {"profile": "auth-api", "auth_api_url": configured}
        run = AuthAPIRun(key=AUTH_API_KEY, cfg=cfg, url=url)
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        yield run.end(
            f"auth-api-url-{name}",
            "slashes at the end go, everything else stays",
            "this project's rule: the auth API's URL",
        )
    run = Run(cfg=config() | {"auth_api_url": "https://auth.example"})
    run.to_identity_biscuit()
    yield run.end(
        "auth-api-url-without-profile", "the default profile does not use it", LATER
    )

    # Waits that the backend asks for.
    for name, seconds, ms in [
        ("shorter", 0, 100),
        ("longer", 2, 2000),
        ("longest", 5, 5000),
    ]:
        run = AuthAPIRun()
        run.to_register_task()
        run.waits(response(429, {}, {"retry-after": str(seconds)}), ms)
        run.step({"type": "woke"}, run.register_task)
        run.waits(response(503), 200)
        yield run.end(
            f"auth-api-retry-after-{name}",
            "the longer of the client's wait and the backend's",
            RETRY_AFTER,
        )
    for seconds in [6, 86401, 2**40]:
        run = AuthAPIRun()
        run.to_register_task()
        run.backs_off(
            response(429, {}, {"retry-after": str(seconds)}),
            "http_status",
            retry_after=seconds,
        )
        yield run.end(
            f"auth-api-retry-after-{seconds}",
            "more than a call waits for: a pause, of a day at most",
            RETRY_AFTER,
        )

    # Rejected tasks.
    for run, name in [
        (AuthAPIRun(rejected=REJECTED_TASK), ""),
        (AuthAPITurn(rejected=REJECTED_TASK), "-turn"),
    ]:
        run.looks_again()
        run.keeps()
        run.probed(loaded(), run.register_task)
        run.step(
            response(200, {"task_id": "task-9"}),
            lambda run=run: swap(WITH_TASK, replaced(run.now)),
        )
        run.asserts(DONE, "task-9")
        yield run.end(f"auth-api-rejected{name}", "another is registered", REJECTED)


def turns():
    """Yield flows of calls to responses: all conversations share one task."""
    run = AuthAPITurn(key=AUTH_API_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("auth-api-turn-fresh", "the identity's one task", LATER)
    for thread in ["thread-1", "thread-2"]:
        run = AuthAPITurn(thread)
        run.start()
        run.uses(WITH_TASK)
        yield run.end(f"auth-api-turn-stored-{thread}", "the same for all", LATER)
    run = AuthAPITurn()
    run.to_register_task()
    run.step(response(200, {"task_id": "task-4"}), swap(TASKLESS, WITH_TASK))
    run.asserts(DONE)
    yield run.end("auth-api-turn-new-task", "an identity, and no task", LATER)
    run = AuthAPITurn(creds=FEDRAMP, key=AUTH_API_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end(
        "auth-api-turn-fedramp", "the identity's registration and the call", LATER
    )
    run = AuthAPITurn(creds=credentials(token=None))
    run.to_register_task()
    run.step(response(200, {"task_id": "task-4"}), swap(TASKLESS, WITH_TASK))
    run.asserts(DONE)
    yield run.end("auth-api-turn-no-access-token", "the signature is the proof", LATER)

    # What fails.
    for name, event, code in [
        ("429", response(429), "http_status"),
        ("500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
        ("connect", failed("connect"), "request_failed"),
    ]:
        run = AuthAPITurn()
        run.to_register_task()
        run.waits(event, 100)
        run.step({"type": "woke"}, run.register_task)
        run.waits(event, 200)
        run.step({"type": "woke"}, run.register_task)
        run.backs_off(event, code)
        yield run.end(
            f"auth-api-turn-unavailable-{name}",
            "tried three times, then bearer for an hour",
            LATER,
        )
    for name, event, code in [
        ("400", response(400), "http_status"),
        ("403", response(403), "http_status"),
        ("tls", failed("tls"), "request_failed"),
        ("too-large", failed("too-large"), "request_failed"),
        ("no-json", response(200, "<html>"), "invalid_response"),
    ]:
        run = AuthAPITurn()
        run.to_register_task()
        run.backs_off(event, code)
        yield run.end(
            f"auth-api-turn-failed-{name}",
            "any other failure ends the turn, and here the next ones, too",
            LATER,
        )
        run = AuthAPITurn()
        run.to_register_task()
        run.waits(response(500), 100)
        run.step({"type": "woke"}, run.register_task)
        run.backs_off(event, code)
        yield run.end(
            f"auth-api-turn-failed-{name}-in-second-try", "the last one counts", LATER
        )
    run = AuthAPITurn(key=AUTH_API_KEY)
    run.to_register_identity()
    run.waits(response(503), 100)
    run.step({"type": "woke"}, run.register_identity)
    run.identity_registered()
    run.identity_saved()
    run.backs_off(response(200, {}), "invalid_response")
    yield run.end(
        "auth-api-turn-failed-after-a-try",
        "what passed before is not what failed at last",
        LATER,
    )
    run = AuthAPITurn(creds=credentials(token=None))
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("auth-api-turn-no-token", "an identity needs a token", LATER)
    cfg = config("https://agent.chatgpt.com/backend-api")
    run = AuthAPITurn(cfg=cfg, configured=False)
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_auth_api")
    yield run.end("auth-api-turn-no-auth-api", "the turn fails", LATER)
    run = AuthAPITurn()
    run.start()
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("auth-api-turn-store-failed", "the turn fails", LATER)
    run = AuthAPITurn()
    run.to_register_task()
    run.waits(response(500), 100)
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("auth-api-turn-wait-canceled", "nothing is sent", LATER)

    # In a pause.
    entry = back_off_entry(captured.TIME, "http_status", pause=LONGEST_PAUSE)
    for name, comment, entry_, reason in [
        ("passing", "bearer, as when it began", entry, "registration-unavailable"),
        (
            "final",
            "the turn fails, as when it began",
            entry | {"final": True},
            "registration-failed",
        ),
        (
            "final-false",
            "it is not",
            entry | {"final": False},
            "registration-unavailable",
        ),
    ]:
        for kind, run in [("turn", AuthAPITurn()), ("background", AuthAPIRun())]:
            run.start()
            run.finds(TASKLESS, LOAD_BACKOFF)
            record = compact({captured.ACCOUNT_ID: entry_})
            run.falls_back(
                loaded(record), reason, "backing_off", captured.TIME + LONGEST_PAUSE
            )
            yield run.end(f"auth-api-pause-{kind}-{name}", comment, LATER)
    run = AuthAPITurn()
    record = compact({captured.ACCOUNT_ID: entry | {"final": True}})
    run.start()
    run.uses(WITH_TASK)
    yield run.end("auth-api-pause-turn-stored", "a task that is there serves", LATER)
    run = AuthAPITurn(now=captured.TIME + 3600)
    run.to_last_load(TASKLESS, record)
    run.probed(loaded(record), run.register_task)
    run.step(
        response(200, {"task_id": "task-4"}),
        swap(TASKLESS, WITH_TASK),
    )
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(DONE)
    yield run.end("auth-api-pause-turn-over", "the pause is over", LATER)

    # Surfaces that carry the bearer token.
    for surface, thread in [("models", None), ("file-upload", "thread-1")]:
        cfg = config() | {"profile": "auth-api", "all_surfaces": False}
        run = AuthAPIRun(cfg=cfg, surface=surface, thread=thread)
        del run.config["all_surfaces"]
        run.start(lambda run=run: run.bearer("bearer-surface"))
        yield run.end(f"auth-api-bearer-{surface}", "only responses assert", LATER)
    for surface in ["file-upload", "safety-monitor"]:
        run = AuthAPITurn(surface=surface)
        run.reason = "all-surfaces"
        run.start()
        run.uses(WITH_TASK)
        yield run.end(f"auth-api-all-surfaces-{surface}", "with the same task", LATER)


BAD_BOX = "invalid_sealed_task_id"
