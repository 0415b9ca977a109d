"""Flows that register an identity."""

from areas.decisions import UNSUPPORTED, config, credentials
from areas.flows.script import DONE, FLOW, Run, odd_abom, response
from vectors import protocol


def fresh():
    """Yield flows that register an identity, and what differs between them."""
    for name, comment, members in [
        ("usual", "nothing is stored, and everything registered", {}),
        (
            "unknown-user",
            "the record has no user where none is known",
            {"creds": credentials(user=None)},
        ),
        (
            "forced-workspace",
            "the record is the forced workspace's",
            {"cfg": config(forced="acct-2")},
        ),
        (
            "base-url-not-normalized",
            "the requests go to the normalized base URL",
            {
                "cfg": config("https://chatgpt.com/codex/"),
                "base": "https://chatgpt.com/backend-api",
            },
        ),
        (
            "trusted-host",
            "a host that the caller adds",
            {"cfg": config(UNSUPPORTED, trusted=["127.0.0.1"])},
        ),
        ("runtime-id-with-slash", "the id is one segment", {"runtime": "a/b?c#d"}),
        ("runtime-id-with-percent", "nothing is escaped already", {"runtime": "%2e."}),
        ("runtime-id-unreserved", "nothing to escape", {"runtime": "aZ09-._~"}),
        ("runtime-id-other-ascii", "all else is escaped", {"runtime": "!$&'()*+,;=@ "}),
        ("runtime-id-non-ascii", "in UTF-8", {"runtime": "agent-é-🦀"}),
        ("runtime-id-three-dots", "a name, not a path", {"runtime": "..."}),
    ]:
        run = Run(**members)
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        run.task_biscuit_minted()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(f"fresh-{name}", comment, FLOW)

    run = Run(cfg=config() | {"abom": odd_abom()})
    run.to_register_identity()
    yield run.end(
        "fresh-abom-escaped",
        "quotes, backslashes and control characters are escaped, nothing else is",
        protocol("Assertion, JSON strings"),
    )

    for name, status, header in [
        ("created", 201, "x-openai-authorization"),
        ("no-content", 204, "x-openai-authorization"),
        ("299", 299, "x-openai-authorization"),
        ("header-in-other-case", 200, "X-OpenAI-Authorization"),
    ]:
        run = Run()
        run.to_identity_biscuit()
        run.step(
            response(status, headers={"content-length": "0", header: "biscuit-1"}),
            run.register_identity,
        )
        yield run.end(
            f"biscuit-{name}",
            "any status of 2xx will do, the header's name in any case, and no body",
            FLOW,
        )
    run = Run()
    run.to_identity_biscuit()
    longest = "b" * 8192
    run.step(
        response(200, headers={"x-openai-authorization": longest}),
        lambda: run.register_identity(longest),
    )
    yield run.end(
        "biscuit-8192-bytes", "the longest biscuit", "this project's rule: biscuits"
    )
    for name, body in [
        ("unknown-members", ' {"x":[],"agent_runtime_id":"agent-rt-2","y":null}\n'),
        ("escaped", r'{"agent\u005fruntime_id":"agent\u002drt-2"}'),
        ("64-kib", '{"agent_runtime_id":"agent-rt-2"}'.ljust(65536)),
    ]:
        run = Run()
        run.to_register_identity()
        run.identity_registered(body)
        yield run.end(
            f"identity-response-{name}",
            "a response is any JSON object with the member",
            FLOW,
        )
