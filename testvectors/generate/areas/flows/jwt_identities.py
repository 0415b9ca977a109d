"""Flows with an identity that takes the place of a sign-in."""

from areas.decisions import THREAD, UNSUPPORTED, config
from areas.flows.script import (
    BACKENDS,
    DONE,
    FALL_BACK,
    LATER,
    LOAD_BACKEND,
    LOAD_BACKOFF,
    LOAD_IDENTITY,
    LOCK_IDENTITY,
    LONGEST_PAUSE,
    REJECTED,
    REJECTED_TASK,
    STORED,
    AuthAPIRun,
    back_off,
    identity,
    loaded,
    response,
)
from primitives import timestamp

# An identity that arrived does not say which backend it belongs to.
TASKLESS = identity(base_url=None, task_id=None)
WITH_TASK = identity(base_url=None)


def jwt_identities():
    """Yield flows with an identity that arrived as a JWT."""
    arrived = {
        "kind": "agent-identity",
        "account_id": "acct-1",
        "user_id": "user-1",
    }
    for surface in ["models", "bootstrap", "background"]:
        run = AuthAPIRun(cfg=config(), creds=arrived, surface=surface)
        run.to_register_task(TASKLESS)
        run.task_registered(WITH_TASK)
        run.asserts(DONE)
        yield run.end(
            f"jwt-identity-{surface}",
            "every surface uses the one task, registered without biscuits",
            LATER,
        )
    run = AuthAPIRun(cfg=config(), creds=arrived)
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "invalid_identity_jwt")
    yield run.end("jwt-identity-not-stored", "it cannot be registered again", LATER)
    for surface in THREAD:
        for name, cfg in [
            ("", config()),
            ("-trusted-host", config(UNSUPPORTED, trusted=["127.0.0.1"])),
        ]:
            run = AuthAPIRun(cfg=cfg, creds=arrived, surface=surface, thread="thread-1")
            run.start()
            run.uses(WITH_TASK)
            yield run.end(
                f"jwt-identity-{surface}{name}",
                "a thread uses the one task, too, and has no slot",
                LATER,
            )
        run = AuthAPIRun(
            cfg=config(UNSUPPORTED), creds=arrived, surface=surface, thread="thread-1"
        )
        run.start()
        run.step(loaded(WITH_TASK), LOAD_BACKEND)
        run.falls_back(loaded(), "", "other_backend")
        yield run.end(
            f"jwt-identity-{surface}-other-backend",
            "a host that is not supported, for an identity that does not name it",
            BACKENDS,
        )
    run = AuthAPIRun(
        cfg=config(), creds=arrived, surface="responses", thread="thread-1"
    )
    run.to_register_task(TASKLESS)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-thread-registers", "which it may register", LATER)
    run = AuthAPIRun(
        cfg=config(), creds=arrived, surface="responses", thread="thread-1"
    )
    run.to_register_task(TASKLESS)
    run.backs_off(response(403), "http_status", pause=LONGEST_PAUSE)
    yield run.end("jwt-identity-thread-failed", "there is no token either", LATER)
    run = AuthAPIRun(cfg=config(), creds=arrived | {"fedramp": True})
    run.to_register_task(TASKLESS)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-fedramp", "the call is marked", LATER)
    run = AuthAPIRun(
        cfg=config()
        | {"profile": "auth-api", "auth_api_url": "https://auth.example/api"},
        creds=arrived,
        url="https://auth.example/api",
    )
    run.to_register_task(TASKLESS)
    yield run.end("jwt-identity-auth-api-url", "where tasks are registered", LATER)
    run = AuthAPIRun(cfg=config(), creds=arrived, rejected=REJECTED_TASK)
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.keeps(WITH_TASK)
    run.probed(loaded(), run.register_task)
    run.task_registered(
        lambda run: identity(
            base_url=None, task_id="task-9", task_replaced_at=timestamp(run.now)
        ),
        "task-9",
    )
    run.asserts(DONE, "task-9")
    yield run.end("jwt-identity-rejected", "its task is replaced as usual", REJECTED)
    run = AuthAPIRun(cfg=config(), creds=arrived)
    run.to_register_task(TASKLESS)
    run.step(response(500), {"type": "wait", "wait_ms": 100})
    run.step({"type": "woke"}, run.register_task)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-second-try", "it is tried three times", LATER)
    run = AuthAPIRun(cfg=config(), creds=arrived)
    run.start()
    run.finds(TASKLESS, LOAD_BACKOFF)
    retry_at = run.now + 3600
    run.falls_back(
        loaded(back_off(run.now, "http_status", pause=3600)),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end("jwt-identity-in-a-pause", "there is no token either", LATER)
    for name, cfg in [
        ("gate-off", config(gate=False)),
        ("unsupported-host", config(UNSUPPORTED)),
    ]:
        run = AuthAPIRun(cfg=cfg, creds=arrived)
        run.start(lambda run=run: run.bearer(""))
        yield run.end(f"jwt-identity-{name}", "there is no token either", FALL_BACK)
    run = AuthAPIRun(cfg=config(forced="acct-2"), creds=arrived)
    run.start()
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.step(loaded(), LOCK_IDENTITY)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.falls_back(loaded(), "registration-failed", "invalid_identity_jwt")
    yield run.end(
        "jwt-identity-forced-workspace",
        "another workspace is forced: the identity is not its own, and stays",
        STORED,
    )
