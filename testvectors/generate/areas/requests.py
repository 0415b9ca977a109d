"""The envelope of a call: what is no request of the ABI."""

import captured
from fixtures import KEY
from vectors import call, hexadecimal, utf8

SOURCE = "this project's ABI"


def vectors():
    """Return the vectors of requests.json."""
    return list(requests())


def requests():
    """Yield calls that no method takes."""

    def refused(name, comment, method, params, error="invalid_request"):
        return call(
            f"request-{name}-refused", comment, SOURCE, method, params, error=error
        )

    for name, method in [
        ("unknown", "key.forget"),
        ("empty", ""),
        ("other-case", "Key.Generate"),
        ("prefix", "key"),
    ]:
        yield refused(f"method-{name}", "no such method", method, {}, "unknown_method")
    yield refused("no-params", "a member is missing", "key.generate", {})
    yield refused(
        "other-type",
        "text in place of bytes",
        "key.generate",
        {"entropy": "x" * 32},
    )
    yield refused(
        "bytes-for-text",
        "bytes in place of text",
        "key.parse",
        {"private_key": utf8(KEY.stored)},
    )
    yield refused(
        "number-for-text", "a number in place of text", "key.parse", {"private_key": 1}
    )
    build = {
        "private_key": KEY.stored,
        "agent_runtime_id": "agent-rt-2",
        "task_id": "task-4",
        "now": captured.TIME,
    }
    yield refused(
        "text-for-number",
        "text in place of a number",
        "assertion.build",
        build | {"now": str(captured.TIME)},
    )
    yield refused(
        "unknown-member",
        "a member that the method does not have",
        "assertion.build",
        build | {"skew": 300},
    )
    for name in build:
        yield refused(
            f"missing-{name.replace('_', '-')}",
            "a member is missing",
            "assertion.build",
            {n: v for n, v in build.items() if n != name},
        )
    yield refused(
        "empty-optional-list",
        "an optional member that is empty is left out",
        "base_url.normalize",
        {"url": "https://chatgpt.com", "trusted_hosts": []},
    )
    yield refused(
        "empty-optional-bytes",
        "an optional member that is empty is left out",
        "auth_json.set",
        {"document": utf8("{}"), "record": hexadecimal(b"")},
    )
    yield refused(
        "text-for-list",
        "text in place of a list",
        "base_url.normalize",
        {"url": "https://chatgpt.com", "trusted_hosts": "chatgpt.com"},
    )
    yield refused(
        "number-in-list",
        "a number in a list of texts",
        "base_url.normalize",
        {"url": "https://chatgpt.com", "trusted_hosts": [1]},
    )
