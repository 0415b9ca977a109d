"""Flows that complete a record, so that every client can read it."""

import json

from areas.decisions import config, credentials
from areas.flows.script import (
    DONE,
    FORM_0_123,
    OURS,
    THREAD_RECORD,
    AuthAPIRun,
    Run,
    ThreadRun,
    completed,
    failed,
    identity,
    loaded,
    swap,
)
from primitives import compact
from vectors import protocol

# What an id token can say, and credentials that are an identity.
KNOWN = credentials() | {"email": "u@example.com", "plan_type": "pro"}
ARRIVED = {"kind": "agent-identity", "account_id": "acct-1", "user_id": "user-1"}
RECORD = protocol("Later clients, the record in auth.json")


def records():
    """Yield flows that find a record which lacks what some client needs."""
    for name, comment, members in [
        ("account", "the account by its later name", {"account_id": ...}),
        ("workspace", "the account by its earlier name", {"workspace_id": ...}),
        ("plan", "the plan", {"plan_type": ...}),
        ("fedramp", "whether it is a FedRAMP account", {"fedramp": ...}),
        ("registered-at", "when it was registered", {"registered_at": ...}),
        ("task-id", "the task by its later name", {"task_id": ...}),
        ("background-task-id", "and by its earlier", {"background_task_id": ...}),
        ("account-number", "an account that is no text", {"account_id": 1}),
        ("account-null", "null is no value for clients", {"account_id": None}),
        ("plan-number", "a plan that is no text", {"plan_type": 1}),
        ("plan-null", "null is no value for clients", {"plan_type": None}),
        ("fedramp-text", "text in place of a boolean", {"fedramp": "false"}),
        ("fedramp-null", "null is no value for clients", {"fedramp": None}),
        ("registered-at-number", "a time that is no text", {"registered_at": 1}),
        ("email-number", "an e-mail address that is no text", {"email": 1}),
        ("email-null", "null is no value for clients", {"email": None}),
        ("task-id-number", "a task that is no text", {"task_id": 1}),
        ("task-id-null", "null is no value for clients", {"task_id": None}),
        ("background-task-id-array", "nor is this", {"background_task_id": []}),
        ("task-id-other", "two tasks: the earlier name's", {"task_id": "task-1"}),
        ("task-id-empty", "one task, and none", {"task_id": ""}),
        ("task-id-unusable", "one that must not be signed", {"task_id": "a\nb"}),
    ]:
        if "fedramp" in members:
            members = {"chatgpt_account_is_fedramp": members["fedramp"]}
        record = {n: v for n, v in (OURS | members).items() if v is not ...}
        run = Run()
        run.start()
        run.uses(compact(record))
        assert len(run.steps) == 3, name
        yield run.end(f"completed-{name}", f"{comment}: it is put right", RECORD)
    for name, creds, member in [
        ("plan-of-id-token", KNOWN, "plan_type"),
        ("user-not-known", credentials(user=None), "chatgpt_user_id"),
    ]:
        run = Run(creds=creds)
        run.start()
        run.uses(identity(**{member: None}))
        yield run.end(
            f"completed-{name}",
            "the id token's plan; a user who is not known is empty text",
            RECORD,
        )
    run = Run(creds=KNOWN | {"fedramp": True})
    run.start()
    run.uses(FORM_0_123)
    record = json.loads(run.steps[-2]["effect"]["record"]["utf8"])
    assert record["plan_type"] == "pro" and record["chatgpt_account_is_fedramp"]
    assert "email" not in record
    yield run.end(
        "completed-of-id-token",
        "what the id token says; an e-mail address can be missing",
        RECORD,
    )
    run = Run(creds=KNOWN)
    run.start()
    run.uses(compact(OURS | {"email": 1}))
    yield run.end("completed-email", "but not be of another type", RECORD)
    pretty = json.dumps(json.loads(identity(plan_type=None)), indent=2)
    run = Run()
    run.start()
    whole = pretty.removesuffix("\n}") + ',\n  "plan_type": "unknown"\n}'
    run.uses(pretty, whole=whole)
    yield run.end("completed-pretty", "in the record's own style", RECORD)
    for failure in ["store", "read-only", "changed", "timeout", "connect", "canceled"]:
        run = Run()
        run.start()
        run.finds(FORM_0_123, swap(FORM_0_123, completed(FORM_0_123)))
        run.asserts(failed(failure))
        yield run.end(
            f"completed-failed-{failure}",
            "it cannot be put right: nobody is worse off than before",
            RECORD,
        )
    run = ThreadRun()
    run.start()
    run.finds(FORM_0_123, run.load_thread)
    record = compact(THREAD_RECORD)
    run.step(loaded(record), swap(FORM_0_123, completed(FORM_0_123)))
    run.asserts(DONE)
    yield run.end("completed-thread", "a thread's call does it, too", RECORD)
    run = Run(creds=KNOWN)
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("fresh-known-user", "a new record has all of it", RECORD)
    run = AuthAPIRun(cfg=config(), creds=ARRIVED)
    run.start()
    run.finds(FORM_0_123, lambda: run.assertion())
    yield run.end(
        "not-completed-agent-identity",
        "an identity in place of a sign-in is left as it is",
        RECORD,
    )
