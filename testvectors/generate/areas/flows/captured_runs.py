"""The runs of the real client, as far as the vectors can go."""

import urllib.parse

import captured
from areas.credentials import PRETTY_IDENTITY
from areas.decisions import UNSUPPORTED, config
from areas.flows.script import (
    DONE,
    REQUEST_IDS,
    TASKLESS,
    WITH_TASK,
    Run,
    loaded,
    response,
    save,
)
from fixtures import OTHER_KEY
from primitives import unix_time
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
        save("identity", TASKLESS),
    )
    run.identity_saved()
    check_request(run, captured.ENABLED[4])
    run.task_biscuit_minted()
    check_request(run, captured.ENABLED[5])
    run.step(
        response(200, captured.ENABLED[5]["response"]["body"]),
        save("identity", WITH_TASK),
    )
    run.asserts(DONE)
    assert run.steps[-1]["effect"]["authorization"]["header"] == captured.HEADER
    yield run.end(
        "captured-enabled",
        "the run that registers an identity and its background task: the key, both "
        "request ids, all four exchanges and the header are the real client's",
        capture("enabled.jsonl", 2, 6),
    )

    run = Run(tick=0)
    run.start()
    run.asserts(loaded(PRETTY_IDENTITY))
    yield run.end(
        "captured-stored-identity",
        "the identity that the run left is used without network",
        capture("enabled.auth.json"),
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
