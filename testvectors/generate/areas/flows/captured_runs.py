"""The runs of the real client, as far as the vectors can go."""

import urllib.parse

import captured
from areas.credentials import PRETTY_IDENTITY
from areas.decisions import UNSUPPORTED, config, credentials
from areas.flows.script import (
    DONE,
    FORM_0_123,
    FORM_0_171,
    REQUEST_IDS,
    TASKLESS,
    WITH_TASK,
    Run,
    completed,
    loaded,
    response,
    swap,
)
from fixtures import OTHER_KEY
from primitives import compact, timestamp, unix_time
from vectors import capture, utf8


def captured_runs():
    """Yield the runs of the real client, as far as the vectors can go."""
    request_ids = [captured.request_id(captured.ENABLED[line]) for line in [2, 4]]
    run = Run(tick=0, request_ids=request_ids)
    run.to_identity_biscuit()
    check_request(run, captured.ENABLED[2])
    run.identity_biscuit_minted()
    check_request(run, captured.ENABLED[3])
    run.step(
        response(200, captured.ENABLED[3]["response"]["body"]),
        swap(None, TASKLESS),
    )
    run.stored = TASKLESS
    run.identity_saved()
    check_request(run, captured.ENABLED[4])
    run.task_biscuit_minted()
    check_request(run, captured.ENABLED[5])
    run.step(
        response(200, captured.ENABLED[5]["response"]["body"]),
        swap(TASKLESS, WITH_TASK),
    )
    run.asserts(DONE)
    assert run.steps[-1]["effect"]["authorization"]["header"] == captured.HEADER
    yield run.end(
        "captured-enabled",
        "the run that registers an identity and its background task: the key, both "
        "request ids, all four exchanges and the header are the real client's",
        capture("enabled.jsonl", 2, 6),
    )

    for name, record in [("", PRETTY_IDENTITY), ("-compact", FORM_0_123)]:
        run = Run(tick=0)
        run.start()
        whole = completed(FORM_0_123)
        run.finds(record, swap(record, whole if name else PRETTY_COMPLETED))
        run.asserts(DONE)
        assert run.steps[-1]["effect"]["authorization"]["header"] == captured.HEADER
        yield run.end(
            f"captured-stored-identity{name}",
            "the identity that the run left is used without network, and gets what "
            "later clients look for: they would take the user for signed out",
            capture("enabled.auth.json"),
        )
    run = Run(
        key=captured.LATER_KEY,
        now=captured.LATER_TIME,
        tick=0,
        runtime=captured.LATER_IDENTITY["agent_runtime_id"],
        surface="responses",
        thread="thread-1",
        creds=LATER_CREDENTIALS,
    )
    run.start()
    run.finds(FORM_0_171, {"type": "load", "slot": "thread/thread-1"})
    run.step(loaded(), {"type": "lock", "slot": "thread/thread-1"})
    yield run.end(
        "captured-0-171-thread",
        "the identity that 0.171 left has a thread's task registered for it",
        capture("codex-0.171-enabled.auth.json"),
    )
    run = Run(
        key=captured.LATER_KEY,
        now=captured.LATER_TIME,
        tick=0,
        runtime=captured.LATER_IDENTITY["agent_runtime_id"],
        creds=LATER_CREDENTIALS,
    )
    run.start()
    whole = completed(FORM_0_171, now=captured.LATER_TIME)
    assert whole == compact(
        captured.LATER_IDENTITY
        | {
            "workspace_id": "acct-1",
            "registered_at": timestamp(captured.LATER_TIME),
            "background_task_id": "task-mitm-1",
        }
    )
    run.finds(FORM_0_171, swap(FORM_0_171, whole))
    run.asserts(DONE, "task-mitm-1")
    end = run.steps[-1]["effect"]["authorization"]
    assert end["header"] == captured.LATER_HEADER
    yield run.end(
        "captured-0-171-stored-identity",
        "the identity that 0.171 left, with its task by its later name: the header is "
        "that client's own, and the record gets what 0.123 looks for",
        capture("codex-0.171-enabled.jsonl", 17),
    )

    run = Run(cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("captured-gate-off", "the gate is off", capture("gate-off.jsonl", 2))

    run = Run(cfg=config(UNSUPPORTED))
    run.start(lambda: run.bearer("unsupported-host"))
    yield run.end(
        "captured-unsupported-host",
        "a background call to a host that is not supported",
        capture("unsupported-host.jsonl", 2),
    )

    exchange = captured.BISCUIT_FORBIDDEN[2]
    run = Run(request_ids=[captured.request_id(exchange), REQUEST_IDS[1]])
    run.to_identity_biscuit()
    check_request(run, exchange)
    run.backs_off(
        response(exchange["response"]["status"], exchange["response"]["body"]),
        "http_status",
    )
    yield run.end(
        "captured-biscuit-forbidden",
        "the first of the real client's six attempts, after which there is a pause",
        capture("biscuit-forbidden.jsonl", 2),
    )

    exchanges = captured.TASK_REGISTRATION_500
    run = Run(
        key=OTHER_KEY,
        now=unix_time("2026-11-24T15:16:35Z"),
        tick=0,
        request_ids=[captured.request_id(exchanges[line]) for line in [2, 4]],
    )
    run.to_identity_biscuit()
    check_request(run, exchanges[2])
    run.identity_biscuit_minted()
    run.identity_registered(exchanges[3]["response"]["body"])
    run.identity_saved()
    check_request(run, exchanges[4])
    run.task_biscuit_minted()
    run.backs_off(
        response(exchanges[5]["response"]["status"], exchanges[5]["response"]["body"]),
        "http_status",
    )
    yield run.end(
        "captured-task-registration-500",
        "the first of the real client's six attempts, with another key, for nobody "
        "knows the private half of its own; the identity is kept",
        capture("task-registration-500.jsonl", 2, 5),
    )


# What a later client's file says of the user.
LATER_CREDENTIALS = credentials(token=captured.LATER_AUTH["tokens"]["access_token"]) | {
    "email": "u@example.com",
    "plan_type": "pro",
}
# The identity of the captured run as it stands in the file, with what later clients
# look for behind its last member.
PRETTY_COMPLETED = (
    PRETTY_IDENTITY.removesuffix("\n  }")
    + """,
    "account_id": "acct-1",
    "plan_type": "unknown",
    "chatgpt_account_is_fedramp": false,
    "task_id": "task-4"
  }"""
)


def check_request(run, exchange):
    """Compare the last effect with the request that the real client sent."""
    effect = run.steps[-1]["effect"]
    assert effect["method"] == exchange["method"]
    assert urllib.parse.urlsplit(effect["url"]).path == exchange["path"]
    sent = exchange["headers"]
    for field in effect["headers"]:
        assert sent[field["name"]] == field["value"]
    rest = set(sent) - {field["name"] for field in effect["headers"]}
    assert rest == {"accept", "originator"}
    assert effect.get("body", utf8(""))["utf8"] == exchange["body"]
