"""Flows of FedRAMP accounts."""

from areas.decisions import UNSUPPORTED, config, credentials
from areas.flows.script import (
    FEDRAMP,
    LATER,
    WITH_TASK,
    Run,
    ThreadRun,
    loaded,
    response,
)


def fedramp():
    """Yield flows of FedRAMP accounts."""
    for name, comment, members, reason in [
        ("gate-off", "bearer", {"cfg": config(gate=False)}, "feature-off"),
        ("bootstrap", "bearer", {"surface": "bootstrap"}, "bearer-only-surface"),
        (
            "unsupported-host",
            "bearer",
            {"cfg": config(UNSUPPORTED)},
            "unsupported-host",
        ),
    ]:
        run = Run(creds=FEDRAMP, **members)
        run.start(lambda run=run, reason=reason: run.bearer(reason))
        yield run.end(f"fedramp-{name}", f"{comment}: the call is marked", LATER)
    run = Run(creds=credentials(token=None) | {"fedramp": True}, cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("fedramp-nothing", "where nothing is sent, nothing is marked", LATER)
    run = Run(creds=FEDRAMP)
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end("fedramp-stored", "an assertion: the call is marked", LATER)
    run = Run(creds=FEDRAMP)
    run.to_register_identity()
    run.backs_off(response(500), "http_status")
    yield run.end(
        "fedramp-biscuits",
        "the earlier profile's registrations are not marked; the call is",
        LATER,
    )
    run = ThreadRun(creds=FEDRAMP)
    run.with_task()
    yield run.end("fedramp-thread", "a thread's assertion: the call is marked", LATER)
    run = ThreadRun(creds=FEDRAMP)
    run.to_task_biscuit()
    run.backs_off(response(500), "http_status")
    yield run.end(
        "fedramp-thread-failed", "where nothing is sent, nothing is marked", LATER
    )
    run = ThreadRun(creds=FEDRAMP, cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("fedramp-thread-gate-off", "bearer: the call is marked", LATER)
