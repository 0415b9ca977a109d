"""host.effect: what a host lets a module do, and what it does not.

What is allowed are steps of the flows, the captured one among them. What is refused is
such a step with one thing changed, by hand.
"""

import copy
import itertools
import json

from areas import flows
from fixtures import OTHER_KEY
from primitives import compact, with_trailing_bits
from vectors import call, hexadecimal, utf8

RULE = "this project's rule: a host carries out what the protocol has, and no more"
ELSEWHERE = "https://elsewhere.example"
# What has been done that something else depends on.
REMEMBERED = ("lock", "unlock", "http", "save")


class Base:
    """The beginning of a flow, and the effect that comes next."""

    def __init__(self, flow, index):
        steps = flow["steps"]
        start = steps[0]["event"]
        self.id, self.source = flow["id"], flow["source"]
        self.call = {"config": start["config"], "surface": start["surface"]}
        if "thread_id" in start:
            self.call["thread_id"] = start["thread_id"]
        self.call["credentials"] = start["credentials"]
        if "entropy" in start:
            self.call["entropy"] = start["entropy"]
        done = itertools.pairwise(steps[: index + 1])
        self.before = [
            answered(step["effect"], after["event"])
            for step, after in done
            if step["effect"]["type"] in REMEMBERED
            or step["effect"] == {"type": "entropy", "size": 16}
        ]
        self.now = steps[index]["event"]["now"]
        self.effect = steps[index]["effect"]

    def params(self, effect=None, before=None, now=None, **call):
        """Return the parameters of host.effect, with what is given in its place."""
        params = {**copy.deepcopy(self.call), **call}
        params = {name: value for name, value in params.items() if value is not None}
        before = self.before if before is None else before
        if before:
            params["before"] = before
        params["now"] = self.now if now is None else now
        params["effect"] = effect or self.effect
        return params


def answered(effect, event):
    """Return an effect that was carried out. Of answers the biscuit counts."""
    if event["type"] == "entropy":
        return {"effect": effect, "entropy": event["entropy"]}
    if event["type"] != "response" or "headers" not in event:
        return {"effect": effect}
    return {"effect": effect, "response_headers": event["headers"]}


def find(name, kind, n=0):
    """Return the nth effect of that type in a flow of that name."""
    flow = FLOWS[name]
    found = [i for i, s in enumerate(flow["steps"]) if s["effect"]["type"] == kind]
    return Base(flow, found[n])


FLOWS = {f["id"]: f for f in flows.vectors() if "steps" in f}
NAMES = {
    "captured-enabled": "a background call, as it was captured",
    "thread-unknown-agent": "a call in a conversation, and an agent that is unknown",
    "auth-api-fedramp": "a registration of a later client",
    "jwt-identity-second-try": "an identity that arrived as a JWT, and a second try",
    "captured-task-registration-500": "a registration that fails, and the pause",
    "instance-dual_header-fedramp": "a runtime agent instance, beside the token",
    "instance-assertion_only-turn": "a runtime agent instance, alone",
    "instance-dual_header-api-key": "a runtime agent instance, beside an API key",
    "instance-second-try": "a runtime agent instance, at the second try",
    "routing-both": "a workspace that is kept elsewhere",
    "routing-gate-off": "a workspace that is kept elsewhere, for the user's token",
    "routing-fedramp": "a workspace, of a FedRAMP account",
    "routing-instance-dual_header": "a workspace, for an instance beside the token",
    "routing-instance-assertion_only": "a workspace, for an instance alone",
}
BISCUIT = find("captured-enabled", "http")
IDENTITY = find("captured-enabled", "http", 1)
TASK = find("captured-enabled", "http", 3)
LATER_IDENTITY = find("auth-api-fedramp", "http")
LATER_TASK = find("auth-api-fedramp", "http", 1)
JWT_TASK = find("jwt-identity-second-try", "http")
WAIT = find("jwt-identity-second-try", "wait")
LOAD = find("captured-enabled", "load")
LOCK = find("captured-enabled", "lock")
PROBE = find("captured-enabled", "probe")
ENTROPY = find("captured-enabled", "entropy")
SWAP = find("captured-enabled", "swap")
DONE = find("captured-enabled", "done")
THREAD_LOAD = find("thread-unknown-agent", "load")
THREAD_DONE = find("thread-unknown-agent", "done")
REPLACE = find("thread-unknown-agent", "swap")
INSTANCE = find("instance-dual_header-background", "http")
INSTANCE_DONE = find("instance-dual_header-background", "done")
INSTANCE_ONLY = find("instance-assertion_only-background", "done")
INSTANCE_KEY = find("instance-dual_header-api-key", "done")
INSTANCE_SAVE = find("instance-dual_header-background", "save")
BASE_URL = BISCUIT.call["config"]["base_url"]
AUTH_API = LATER_TASK.effect["url"].partition("/v1/")[0]
TOKEN = BISCUIT.call["credentials"]["access_token"]


def vectors():
    """Return the vectors of hosts/effects.json."""
    return [
        *allowed(),
        *refused_calls(),
        *refused_requests(),
        *refused_effects(),
        *answers(),
        *identity_bodies(),
        *runtime_instances(),
        *routing(),
    ]


def vector(name, comment, source, params, refused=True):
    """Return a vector."""
    expected = {"error": "policy_violation"} if refused else {"ok": {}}
    return call(f"host-{name}", comment, source, "host.effect", params, **expected)


def allowed():
    """Yield each step of a few flows."""
    for name, comment in NAMES.items():
        for i, step in enumerate(FLOWS[name]["steps"]):
            if step["event"]["type"] == "again":
                break
            base = Base(FLOWS[name], i)
            text = f"{comment}: {base.effect['type']}"
            yield vector(f"allowed-{name}-{i}", text, base.source, base.params(), False)
    credentials = BISCUIT.call["credentials"]
    for name, comment, change, decision in [
        (
            "feature-off",
            "the gate is off",
            {"config": config(agent_identity=False)},
            "feature-off",
        ),
        (
            "unsupported",
            "another host",
            {"config": config(base_url=ELSEWHERE)},
            "unsupported-host",
        ),
        (
            "bootstrap",
            "a call before there is an agent",
            {"surface": "bootstrap"},
            "bearer-only-surface",
        ),
    ]:
        effect = bearer(decision)
        yield vector(
            f"allowed-bearer-{name}",
            comment,
            RULE,
            DONE.params(effect, [], **change),
            False,
        )
    for name, comment, change, reason in [
        ("nobody", "nobody is signed in", {"kind": "none"}, "no-chatgpt-credentials"),
        ("api-key", "an API key", {"kind": "api-key"}, "no-chatgpt-credentials"),
        (
            "no-token",
            "no token",
            {**credentials, "access_token": None},
            "no-access-token",
        ),
    ]:
        change = {key: value for key, value in change.items() if value is not None}
        effect = {
            "type": "done",
            "authorization": none(reason, change.get("account_id")),
        }
        params = DONE.params(effect, [], credentials=change)
        yield vector(f"allowed-none-{name}", comment, RULE, params, False)
    effect = {
        "type": "done",
        "authorization": none("store-failed", "acct-1", cause=error("store_failed")),
    }
    yield vector(
        "allowed-turn-failed",
        "a turn that fails",
        RULE,
        THREAD_DONE.params(effect, [], now=DONE.now),
        False,
    )


def config(**members):
    """Return the captured configuration with other members."""
    return {**BISCUIT.call["config"], **members}


def error(code):
    """Return an error."""
    return {"code": code, "message": "what failed"}


def none(reason, account=None, **members):
    """Return an answer without an authorization."""
    answer = {"mode": "none", "reason": reason, "valid_until": DONE.now, **members}
    return answer | ({"account_id": account} if account else {})


def bearer(reason, **members):
    """Return the effect done with the user's token."""
    answer = {"mode": "bearer", "reason": reason, "header": f"Bearer {TOKEN}"}
    answer |= {"account_id": "acct-1", "valid_until": DONE.now}
    return {"type": "done", "authorization": {**answer, **members}}


def refused_calls():
    """Yield effects of calls that no agent can make."""
    for name, comment, change in [
        ("feature-off", "the gate is off", {"config": config(agent_identity=False)}),
        (
            "unsupported",
            "a host that is not supported",
            {"config": config(base_url=ELSEWHERE)},
        ),
        ("bootstrap", "a call that is bearer only", {"surface": "bootstrap"}),
        ("nobody", "nobody is signed in", {"credentials": {"kind": "none"}}),
        ("api-key", "an API key", {"credentials": {"kind": "api-key"}}),
        (
            "other",
            "another sign-in",
            {"credentials": {"kind": "other", "access_token": TOKEN}},
        ),
        (
            "no-account",
            "no account",
            {"credentials": {"kind": "chatgpt", "access_token": TOKEN}},
        ),
    ]:
        for kind, base in [("load", LOAD), ("http", BISCUIT), ("swap", SWAP)]:
            yield vector(
                f"no-agent-{name}-{kind}",
                comment,
                RULE,
                base.params(before=[], **change),
            )


def with_header(base, name, value):
    """Return a request with a header field set, or without it."""
    headers = [h for h in base.effect["headers"] if h["name"] != name]
    if value is not None:
        headers.append({"name": name, "value": value})
    return {**base.effect, "headers": headers}


def more(base, *headers):
    """Return a request with more header fields."""
    added = [{"name": name, "value": value} for name, value in headers]
    return {**base.effect, "headers": base.effect["headers"] + added}


def urls(base, url):
    """Yield names, comments, and URLs that are none of a registration's."""
    root = BASE_URL if url.startswith(BASE_URL) else AUTH_API
    rest = url.removeprefix(root)
    scheme, _, host = root.partition("://")
    yield "host", "another host", f"{ELSEWHERE}/backend-api{rest}"
    yield (
        "host-longer",
        "a host that begins alike",
        f"{root.replace('.com', '.com.elsewhere.example')}{rest}",
    )
    yield (
        "user",
        "the host is a user's name",
        f"{scheme}://{host.partition('/')[0]}@elsewhere.example{rest}",
    )
    yield "port", "another port", url.replace(".com/", ".com:8443/")
    yield (
        "scheme",
        "another scheme",
        f"{ {'http': 'https', 'https': 'http'}[scheme] }://{host}{rest}",
    )
    yield "scheme-file", "no scheme of HTTP", f"file://{host}{rest}"
    yield "above", "a path above", f"{scheme}://{host.partition('/')[0]}{rest}"
    yield "beside", "a path beside", f"{root}x{rest}"
    yield "upwards", "a path that leads upwards", f"{root}/../other{rest}"
    yield "query", "a query", f"{url}?key=value"
    yield "fragment", "a fragment", f"{url}#fragment"
    yield "slash", "a slash at the end", f"{url}/"
    yield "other", "another path of the backend", f"{root}/codex/models"
    yield (
        "case",
        "another case",
        url.replace("agent", "Agent").replace("authenticate", "Authenticate"),
    )
    yield "space", "a space before it", f" {url}"
    yield "relative", "no scheme and no host", rest
    yield "empty", "nothing", ""


def requests():
    """Yield names, comments, bases and effects of requests that are not allowed."""
    for kind, base in [
        ("biscuit", BISCUIT),
        ("identity", IDENTITY),
        ("task", TASK),
        ("auth-api-identity", LATER_IDENTITY),
        ("auth-api-task", LATER_TASK),
    ]:

        def changed(base=base, **members):
            return {**base.effect, **members}

        for name, comment, url in urls(base, base.effect["url"]):
            yield f"{kind}-url-{name}", comment, base, changed(url=url)
        for method in [
            "PUT",
            "DELETE",
            "post",
            "",
            "CONNECT",
            "GET" if kind != "biscuit" else "POST",
        ]:
            yield (
                f"{kind}-method-{method or 'none'}",
                "another method",
                base,
                changed(method=method),
            )
        for name, comment, header in [
            ("cookie", "a cookie", ("cookie", "session=1")),
            ("host", "another host", ("host", "elsewhere.example")),
            ("key", "a header field for what it has seen", ("x-key", "secret")),
            (
                "authorization",
                "a second authorization",
                ("authorization", f"Bearer {TOKEN}"),
            ),
            ("capital", "a name in capitals", ("Authorization", f"Bearer {TOKEN}")),
            (
                "biscuit",
                "a biscuit that nobody minted",
                ("x-openai-authorization", "biscuit-9"),
            ),
        ]:
            yield f"{kind}-header-{name}", comment, base, more(base, header)
        first = base.effect["headers"][0]
        yield (
            f"{kind}-header-twice",
            "a header field twice",
            base,
            more(base, (first["name"], first["value"])),
        )
        for h in base.effect["headers"]:
            yield (
                f"{kind}-without-{h['name']}",
                "a header field is missing",
                base,
                with_header(base, h["name"], None),
            )
            yield (
                f"{kind}-{h['name']}-other",
                "another value",
                base,
                with_header(base, h["name"], "other"),
            )
            yield (
                f"{kind}-{h['name']}-more",
                "something after it",
                base,
                with_header(base, h["name"], f"{h['value']}, x"),
            )
        for name, comment, members in [
            ("time-out-none", "no time-out", {"timeout_ms": 0}),
            ("time-out-negative", "a negative time-out", {"timeout_ms": -1}),
            ("time-out-long", "a longer time-out than any", {"timeout_ms": 30_001}),
            ("size-none", "no answer", {"size_limit": 0}),
            ("size-negative", "less than no answer", {"size_limit": -1}),
            ("size-large", "a larger answer than any", {"size_limit": 65_537}),
            (
                "answer-cookie",
                "a cookie of the answer",
                {"response_headers": ["set-cookie"]},
            ),
        ]:
            yield f"{kind}-{name}", comment, base, changed(**members)
        if kind != "biscuit":
            body = {"utf8": " " * 81_921}
            yield (
                f"{kind}-body-large",
                "a larger body than any",
                base,
                changed(body=body),
            )
            names = {"response_headers": ["x-openai-authorization"]}
            yield (
                f"{kind}-answer-biscuit",
                "a biscuit of another answer",
                base,
                changed(**names),
            )


def refused_requests():
    """Yield requests that are not allowed."""
    for name, comment, base, effect in requests():
        yield vector(name, comment, RULE, base.params(effect))
    for name, comment, base, url in [
        ("task-id-dots", "an id that leads upwards", TASK, ".."),
        ("task-id-dot", "an id that leads nowhere", TASK, "."),
        ("task-id-none", "no id", TASK, ""),
        ("task-id-slash", "two segments", TASK, "a/b"),
        ("task-id-backslash", "a backslash", TASK, "a\\b"),
        ("task-id-query", "a query in an id", TASK, "a?b"),
        ("task-id-fragment", "a fragment in an id", TASK, "a#b"),
        ("task-id-colon", "a character that is escaped", TASK, "a:b"),
        ("task-id-semicolon", "a character that is escaped", TASK, "a;b"),
        ("task-id-space", "a space", TASK, "a b"),
        ("task-id-line-feed", "a line feed", TASK, "a\n"),
        ("task-id-non-ascii", "a letter that is escaped", TASK, "\u00e9"),
        ("task-id-escape-short", "an escape that ends early", TASK, "a%2"),
        ("task-id-escape-none", "no hexadecimal digits", TASK, "%zz"),
        ("task-id-escape-small", "an escape in small letters", TASK, "%2f"),
        ("task-id-long", "a longer id than any", TASK, "a" * 12_289),
        ("auth-api-task-id-dots", "an id that leads upwards", LATER_TASK, ".."),
        ("auth-api-task-id-slash", "two segments", LATER_TASK, "a/b"),
    ]:
        root = base.effect["url"].partition("/v1/")[0]
        effect = {**base.effect, "url": f"{root}/v1/agent/{url}/task/register"}
        yield vector(name, comment, RULE, base.params(effect))
    original = "x-original-url"
    for name, comment, url in [
        (
            "elsewhere",
            "a biscuit for another backend",
            f"{ELSEWHERE}/backend-api/v1/agent/register",
        ),
        ("call", "a biscuit for a call", f"{BASE_URL}/codex/models"),
        ("biscuit", "a biscuit for a biscuit", f"{BASE_URL}/authenticate_app_v2"),
        (
            "upwards",
            "a biscuit for an id that leads upwards",
            f"{BASE_URL}/v1/agent/../task/register",
        ),
        ("relative", "a path", "/v1/agent/register"),
    ]:
        yield vector(
            f"biscuit-for-{name}",
            comment,
            RULE,
            BISCUIT.params(with_header(BISCUIT, original, url)),
        )
    request = "x-request-id"
    for name, comment, value in [
        ("short", "a short id", "codex-agent-identity-AAAA"),
        ("long", "a longer id", "codex-agent-identity-" + "A" * 23),
        ("key", "room for a key", "codex-agent-identity-" + "A" * 43),
        ("other", "no base64url", "codex-agent-identity-" + "+" * 22),
    ]:
        yield vector(
            f"biscuit-id-{name}",
            comment,
            RULE,
            BISCUIT.params(with_header(BISCUIT, request, value)),
        )
    token = "authorization"
    for name, comment, value in [
        ("none", "an empty token", "Bearer "),
        ("other", "another token", "Bearer other"),
        ("scheme", "another scheme", f"Basic {TOKEN}"),
        ("small", "another spelling of the scheme", f"bearer {TOKEN}"),
        ("bare", "no scheme", TOKEN),
    ]:
        yield vector(
            f"biscuit-token-{name}",
            comment,
            RULE,
            BISCUIT.params(with_header(BISCUIT, token, value)),
        )
        params = LATER_IDENTITY.params(with_header(LATER_IDENTITY, token, value))
        yield vector(f"auth-api-identity-token-{name}", comment, RULE, params)
    yield vector(
        "biscuit-body",
        "a body",
        RULE,
        BISCUIT.params({**BISCUIT.effect, "body": {"utf8": "x"}}),
    )
    minted = IDENTITY.before[-1]
    used = IDENTITY.before + [{"effect": IDENTITY.effect}]
    yield vector(
        "identity-biscuit-used", "a biscuit twice", RULE, IDENTITY.params(before=used)
    )
    silent = IDENTITY.before[:-1] + [{"effect": minted["effect"]}]
    yield vector(
        "identity-biscuit-none", "no biscuit came", RULE, IDENTITY.params(before=silent)
    )
    swapped = {**IDENTITY.effect, "url": TASK.effect["url"]}
    yield vector(
        "task-biscuit-of-identity",
        "a biscuit for another request",
        RULE,
        IDENTITY.params(swapped),
    )
    yield vector(
        "identity-before-biscuit",
        "no biscuit was asked for",
        RULE,
        IDENTITY.params(before=IDENTITY.before[:-1]),
    )
    for name, base in [("biscuit", BISCUIT), ("auth-api-identity", LATER_IDENTITY)]:
        unlocked = [s for s in base.before if s["effect"]["type"] != "lock"]
        yield vector(
            f"{name}-unlocked",
            "a request without a lock",
            RULE,
            base.params(before=unlocked),
        )
    many = BISCUIT.before + [{"effect": BISCUIT.effect}] * 15
    yield vector(
        "allowed-sixteen-requests",
        "as many requests as there can be",
        RULE,
        BISCUIT.params(before=many),
        False,
    )
    many = BISCUIT.before + [{"effect": BISCUIT.effect}] * 16
    yield vector(
        "requests-too-many",
        "more requests than any flow makes",
        RULE,
        BISCUIT.params(before=many),
    )
    # Between the profiles.
    yield vector(
        "auth-api-biscuit",
        "a biscuit in another profile",
        RULE,
        LATER_IDENTITY.params(BISCUIT.effect),
    )
    effect = {**LATER_TASK.effect, "url": f"{BASE_URL}/v1/agent/a/task/register"}
    yield vector(
        "auth-api-task-at-backend",
        "the other profile's place",
        RULE,
        LATER_TASK.params(effect),
    )
    effect = {**TASK.effect, "url": f"{AUTH_API}/v1/agent/a/task/register"}
    yield vector(
        "task-at-auth-api", "the other profile's place", RULE, TASK.params(effect)
    )
    params = LATER_TASK.params(more(LATER_TASK, ("x-openai-fedramp", "true")))
    yield vector("auth-api-task-fedramp", "a mark that a task has not", RULE, params)
    credentials = {
        k: v for k, v in LATER_IDENTITY.call["credentials"].items() if k != "fedramp"
    }
    params = LATER_IDENTITY.params(credentials=credentials)
    yield vector(
        "auth-api-identity-fedramp", "a mark that the account has not", RULE, params
    )
    effect = {
        **LATER_IDENTITY.effect,
        "url": "https://auth.openai.com/api/accounts/v1/agent/register",
    }
    elsewhere = {**LATER_IDENTITY.call["config"], "auth_api_url": f"{ELSEWHERE}/auth/"}
    params = LATER_IDENTITY.params(effect, config=elsewhere)
    yield vector(
        "auth-api-identity-other-auth-api",
        "another auth API is configured",
        RULE,
        params,
    )
    effect = {**LATER_IDENTITY.effect, "url": f"{ELSEWHERE}/auth/v1/agent/register"}
    params = LATER_IDENTITY.params(effect, config=elsewhere)
    yield vector(
        "allowed-later-identity-auth-api",
        "the configured auth API",
        RULE,
        params,
        False,
    )
    # Where none is configured the base URL says which, or that nobody knows.
    effect = {
        **LATER_IDENTITY.effect,
        "url": "https://auth.openai.com/api/accounts/v1/agent/register",
    }
    silent = {
        k: v for k, v in LATER_IDENTITY.call["config"].items() if k != "auth_api_url"
    }
    for name, base_url, refused in [
        ("production", "https://chatgpt.com/backend-api", False),
        ("staging", "https://chatgpt-staging.com/backend-api", True),
        ("subdomain", "https://agent.chatgpt.com/backend-api", True),
        ("http", "http://chatgpt.com/backend-api", True),
    ]:
        params = LATER_IDENTITY.params(effect, config={**silent, "base_url": base_url})
        yield vector(
            f"{'' if refused else 'allowed-'}later-identity-environment-{name}",
            "the auth API of another environment, or of none",
            RULE,
            params,
            refused,
        )
    # With an identity that arrived as a JWT there is nothing to register it with.
    effect = {**LATER_IDENTITY.effect, "url": f"{AUTH_API}/v1/agent/register"}
    yield vector(
        "jwt-identity-registers",
        "an identity that is there",
        RULE,
        JWT_TASK.params(effect),
    )
    yield vector(
        "jwt-identity-biscuit",
        "a biscuit without a token",
        RULE,
        JWT_TASK.params(BISCUIT.effect),
    )


def refused_effects():
    """Yield effects other than requests that are not allowed."""

    def effect(kind, slot, **members):
        return {"type": kind, "slot": slot, **members}

    record = {"utf8": "{}"}
    slots = [
        ("empty", "no slot", ""),
        ("unheard-of", "a slot that there is not", "token"),
        ("file", "a file", "auth.json"),
        ("path", "a path", "/etc/passwd"),
        ("upwards", "a path that leads upwards", "../../.ssh/id_ed25519"),
        ("record", "a name of a file flow", "record/identity"),
        ("case", "upper and lower case differ", "Identity"),
        ("longer", "a slot that begins alike", "identity/x"),
        ("nul", "a slot with something after it", "identity\0"),
        ("thread-none", "no thread", "thread/"),
        ("thread-other", "another thread's", "thread/thread-2"),
        ("thread-longer", "a thread that begins alike", "thread/thread-1/x"),
        ("thread-upwards", "a path that leads upwards", "thread/thread-1/../../x"),
        ("thread-case", "upper and lower case differ", "thread/Thread-1"),
    ]
    kinds = ["load", "save", "delete", "swap", "lock", "unlock", "probe"]
    for kind in kinds:
        members = {"record": record} if kind in ("save", "swap") else {}
        for name, comment, slot in slots:
            for scope, base in [("background", LOAD), ("thread", THREAD_LOAD)]:
                params = base.params(effect(kind, slot, **members))
                yield vector(f"{kind}-{scope}-{name}", comment, RULE, params)
        params = LOAD.params(effect(kind, "thread/thread-1", **members))
        yield vector(
            f"{kind}-background-thread",
            "a thread of a call that has none",
            RULE,
            params,
        )
        params = JWT_TASK.params(
            effect(kind, "thread/thread-1", **members),
            thread_id="thread-1",
            surface="responses",
        )
        yield vector(
            f"{kind}-jwt-thread", "a JWT's identity has no thread's task", RULE, params
        )
    for name, comment, effect_ in [
        (
            "save-identity",
            "the identity is swapped",
            effect("save", "identity", record=record),
        ),
        ("delete-identity", "the identity is swapped", effect("delete", "identity")),
        ("delete-backend", "it is only ever added to", effect("delete", "backend")),
        ("delete-set-aside", "it is only ever added to", effect("delete", "set-aside")),
        (
            "swap-backoff",
            "only the identity is swapped",
            effect("swap", "backoff", record=record),
        ),
        (
            "swap-backend",
            "only the identity is swapped",
            effect("swap", "backend", record=record),
        ),
        (
            "swap-set-aside",
            "only the identity is swapped",
            effect("swap", "set-aside", record=record),
        ),
        ("lock-backoff", "it has no lock", effect("lock", "backoff")),
        ("lock-backend", "it has no lock", effect("lock", "backend")),
        ("lock-set-aside", "it has no lock", effect("lock", "set-aside")),
        ("probe-backoff", "it is not probed", effect("probe", "backoff")),
        ("save-nothing", "no record", effect("save", "backoff")),
        ("unlock-not-held", "a lock that it has not", effect("unlock", "identity")),
        (
            "swap-removes",
            "an identity",
            effect("swap", "identity", expected=record),
        ),
        ("swap-nothing", "nothing, for nothing", effect("swap", "identity")),
        ("entropy-none", "no entropy", {"type": "entropy", "size": 0}),
        ("entropy-negative", "less than none", {"type": "entropy", "size": -1}),
        ("entropy-much", "more than anything takes", {"type": "entropy", "size": 65}),
        (
            "entropy-memory",
            "more than there is memory",
            {"type": "entropy", "size": 2**62},
        ),
        (
            "wait-biscuits",
            "a pause in a profile without",
            {"type": "wait", "wait_ms": 1000},
        ),
        ("type-none", "no type", {"type": ""}),
        ("type-unknown", "an effect that there is not", {"type": "exec"}),
        ("type-file", "an effect of file.step", {"type": "read", "slot": "identity"}),
        (
            "type-case",
            "upper and lower case differ",
            {"type": "Load", "slot": "identity"},
        ),
    ]:
        yield vector(name, comment, RULE, LOAD.params(effect_))
    for name, comment, wait_ms in [
        ("none", "no pause", 0),
        ("negative", "less than none", -1),
        ("long", "a longer pause than any", 10_001),
        ("endless", "for good", 2**62),
    ]:
        yield vector(
            f"wait-{name}",
            comment,
            RULE,
            WAIT.params({"type": "wait", "wait_ms": wait_ms}),
        )
    held = [{"effect": effect("lock", "identity")}]
    thread = effect("lock", f"thread/{THREAD_LOAD.call['thread_id']}")
    yield vector(
        "lock-twice",
        "a lock that it has",
        RULE,
        LOAD.params(effect("lock", "identity"), held),
    )
    params = THREAD_LOAD.params(thread, held)
    yield vector(
        "lock-thread-after-identity",
        "two flows could wait for each other",
        RULE,
        params,
    )
    given = [*held, {"effect": effect("unlock", "identity")}]
    yield vector(
        "allowed-lock-again",
        "a lock that it gave back",
        RULE,
        LOAD.params(effect("lock", "identity"), given),
        False,
    )
    yield vector(
        "unlock-twice",
        "a lock that it gave back",
        RULE,
        LOAD.params(effect("unlock", "identity"), given),
    )
    yield vector(
        "allowed-thread-then-identity",
        "in this order",
        RULE,
        THREAD_LOAD.params(effect("lock", "identity"), [{"effect": thread}]),
        False,
    )
    assert any(s["effect"].get("slot") == "set-aside" for s in REPLACE.before)
    yield vector(
        "swap-removes-after-set-aside",
        "an identity that was set aside: it stays until there is another",
        RULE,
        REPLACE.params(effect("swap", "identity", expected=record)),
    )
    yield vector(
        "delete-thread",
        "a thread's task: it stays until there is another",
        RULE,
        THREAD_LOAD.params(effect("delete", "thread/thread-1")),
    )
    for name, most, refused in [("none", 0, True), ("some", 1, False)]:
        for kind in ["load", "save", "delete"]:
            members = {"record": record} if kind == "save" else {}
            yield vector(
                f"{'' if refused else 'allowed-'}{kind}-backoff-pauses-{name}",
                "what is remembered of failures, where there are no pauses",
                RULE,
                LOAD.params(
                    effect(kind, "backoff", **members),
                    config=config(pauses={"first": most, "most": most}),
                ),
                refused,
            )
    account = LOAD.call["credentials"]["account_id"]
    for name, comment, ids, refused in [
        ("one-of-several", "the account is among them", [account, "acct-9"], False),
        (
            "none-of-several",
            "the account is not among them",
            ["acct-8", "acct-9"],
            True,
        ),
    ]:
        yield vector(
            f"load-workspace-{name}",
            comment,
            RULE,
            LOAD.params(config=config(forced_workspace_ids=ids)),
            refused,
        )
    nobody = {k: v for k, v in LATER_TASK.call["config"].items() if k != "auth_api_url"}
    path = LATER_TASK.effect["url"].removeprefix(AUTH_API)
    yield vector(
        "url-relative",
        "a path alone, where nobody knows the auth API",
        RULE,
        LATER_TASK.params(
            {**LATER_TASK.effect, "url": path},
            held,
            config={**nobody, "base_url": ELSEWHERE},
            surface="responses",
            thread_id="thread-1",
        ),
    )


def answers():
    """Yield answers that are not believed."""
    assertion, base = DONE.effect["authorization"], DONE

    def done(**members):
        answer = {**assertion, **members}
        return {
            "type": "done",
            "authorization": {k: v for k, v in answer.items() if v is not None},
        }

    header = assertion["header"]
    scheme, _, envelope = header.partition(" ")
    thread = THREAD_DONE.effect["authorization"]["header"]
    for name, comment, effect in [
        ("mode", "a mode that there is not", done(mode="cookie")),
        ("mode-case", "upper and lower case differ", done(mode="Agent-Assertion")),
        ("reason", "a reason that there is not", done(reason="because")),
        ("header-none", "no header", done(header=None)),
        ("header-token", "the token as an assertion", done(header=f"Bearer {TOKEN}")),
        (
            "header-scheme",
            "another scheme",
            done(header=header.replace("AgentAssertion", "Basic")),
        ),
        (
            "header-case",
            "another spelling of the scheme",
            done(header=header.replace("AgentAssertion", "agentassertion")),
        ),
        ("header-lines", "a second header field", done(header=f"{header}\r\nX: y")),
        ("header-space", "a space after it", done(header=f"{header} ")),
        ("header-padding", "padding", done(header=f"{header}=")),
        ("header-garbage", "no envelope", done(header="AgentAssertion AAAA")),
        (
            "header-unused-bits",
            "bits that stand for nothing",
            done(header=f"{scheme} {with_trailing_bits(envelope)}"),
        ),
        ("task-dual", "a task has one header field", done(mode="dual-header")),
        (
            "task-dual-token",
            "a task's assertion beside the token",
            done(mode="dual-header", header=f"Bearer {TOKEN}", agent_assertion=header),
        ),
        ("header-other", "an assertion of another task and time", done(header=thread)),
        (
            "agent",
            "another agent than the assertion's",
            done(agent_runtime_id="agent-rt-3"),
        ),
        ("agent-none", "no agent", done(agent_runtime_id=None)),
        ("task", "another task than the assertion's", done(task_id="task-5")),
        ("task-none", "no task", done(task_id=None)),
        ("account", "another account", done(account_id="acct-2")),
        ("account-none", "no account", done(account_id=None)),
        ("fedramp", "a mark that the account has not", done(fedramp=True)),
        ("valid-longer", "good for longer", done(valid_until=DONE.now + 1)),
        ("valid-no-more", "good no more", done(valid_until=DONE.now - 1)),
        ("valid-for-good", "good for good", done(valid_until=2**62)),
        ("retry-negative", "a time before all", done(retry_at=-1)),
        ("retry-never", "a time that does not come", done(retry_at=2**62)),
        ("notice-code", "a code that is none", done(notice=error("Two words"))),
        ("notice-code-none", "no code", done(notice=error(""))),
        ("cause-code-long", "a code without end", done(cause=error("x" * 65))),
        ("cause-code-escape", "a terminal's command", done(cause=error("\x1b[2J"))),
        (
            "bearer-other",
            "another token",
            bearer("registration-failed", header="Bearer other"),
        ),
        (
            "bearer-none",
            "an empty token",
            bearer("registration-failed", header="Bearer "),
        ),
        ("bearer-no-header", "no header", bearer("registration-failed", header=header)),
        (
            "bearer-agent",
            "an agent beside a token",
            bearer("registration-failed", agent_runtime_id="agent-rt-2"),
        ),
        (
            "none-header",
            "a header where there is none",
            {
                "type": "done",
                "authorization": none("store-failed", "acct-1", header=header),
            },
        ),
        (
            "none-token",
            "a token where there is none",
            {
                "type": "done",
                "authorization": none(
                    "store-failed", "acct-1", header=f"Bearer {TOKEN}"
                ),
            },
        ),
        (
            "none-account",
            "another account",
            {"type": "done", "authorization": none("store-failed", "acct-2")},
        ),
        (
            "none-agent",
            "an agent without an assertion",
            {
                "type": "done",
                "authorization": none(
                    "store-failed", "acct-1", agent_runtime_id="agent-rt-2"
                ),
            },
        ),
    ]:
        yield vector(f"answer-{name}", comment, RULE, base.params(effect))
    for name, comment, change in [
        ("feature-off", "the gate is off", {"config": config(agent_identity=False)}),
        (
            "unsupported",
            "a host that is not supported",
            {"config": config(base_url=ELSEWHERE)},
        ),
        ("bootstrap", "a call that is bearer only", {"surface": "bootstrap"}),
        ("nobody", "nobody is signed in", {"credentials": {"kind": "none"}}),
        ("api-key", "an API key", {"credentials": {"kind": "api-key"}}),
    ]:
        yield vector(
            f"answer-no-agent-{name}", comment, RULE, base.params(before=[], **change)
        )
    for kind in ["none", "api-key", "other"]:
        params = base.params(
            bearer("bearer-only-surface"),
            [],
            credentials={**DONE.call["credentials"], "kind": kind},
        )
        yield vector(
            f"answer-bearer-kind-{kind}",
            "a token that authorizes nothing",
            RULE,
            params,
        )
    params = THREAD_DONE.params(bearer("registration-failed"), [], now=DONE.now)
    yield vector(
        "answer-bearer-turn", "a turn does not change to the user", RULE, params
    )
    params = base.params(now=DONE.now + 1)
    yield vector("answer-late", "an answer for the second before", RULE, params)


def identity_bodies():
    """Yield what an identity is registered with, and what it is not."""
    for profile, base in [("", IDENTITY), ("auth-api-", LATER_IDENTITY)]:
        body = json.loads(base.effect["body"]["utf8"])
        without = {n: v for n, v in body.items() if n != "capabilities"}

        def posted(changed, base=base, **call):
            return base.params(
                {**base.effect, "body": utf8(compact(changed))},
                **call,
            )

        with_two = base.call["config"] | {"capabilities": ["a", '"\\é']}
        for name, comment, params in [
            (
                "other-key",
                "whichever key the module has made",
                posted(body | {"agent_public_key": OTHER_KEY.openssh}),
            ),
            (
                "capabilities",
                "those that the configuration says",
                posted(body | {"capabilities": ["a", '"\\é']}, config=with_two),
            ),
        ]:
            yield vector(
                f"allowed-{profile}identity-body-{name}", comment, RULE, params, False
            )
        for name, comment, params in [
            ("none", "nothing", base.params({**base.effect, "body": utf8("")})),
            (
                "spaces",
                "another form of the same",
                base.params({**base.effect, "body": utf8(json.dumps(body))}),
            ),
            ("no-json", "no JSON", base.params({**base.effect, "body": utf8(TOKEN)})),
            ("list", "no object", posted([body])),
            ("member", "a member more", posted(body | {"note": TOKEN})),
            (
                "twice",
                "a member twice",
                base.params(
                    {
                        **base.effect,
                        "body": utf8(
                            base.effect["body"]["utf8"][:-1] + f',"abom":"{TOKEN}"}}'
                        ),
                    }
                ),
            ),
            (
                "public-key",
                "a token for a public key",
                posted(body | {"agent_public_key": TOKEN}),
            ),
            (
                "public-key-comment",
                "a token behind the public key",
                posted(
                    body | {"agent_public_key": f"{body['agent_public_key']} {TOKEN}"}
                ),
            ),
            (
                "no-public-key",
                "no key",
                posted({n: v for n, v in body.items() if n != "agent_public_key"}),
            ),
            (
                "abom",
                "the token in what the agent is made of",
                posted(body | {"abom": body["abom"] | {"running_location": TOKEN}}),
            ),
            (
                "capabilities",
                "others than the configuration says",
                posted(body | {"capabilities": [TOKEN]}),
            ),
            ("no-capabilities", "none", posted(without)),
            (
                "capabilities-left-out",
                "others than the configuration says",
                posted(body, config=with_two),
            ),
            ("ttl", "for another time", posted(body | {"ttl": 1})),
        ]:
            yield vector(f"{profile}identity-body-{name}", comment, RULE, params)


def runtime_instances():
    """Yield what is refused of runtime agent instances."""
    body = json.loads(INSTANCE.effect["body"]["utf8"])

    def posted(changed):
        return {**INSTANCE.effect, "body": utf8(compact(changed))}

    other_key = body | {"public_key": OTHER_KEY.openssh}
    yield vector(
        "allowed-instance-other-key",
        "whichever key the module has made",
        RULE,
        INSTANCE.params(posted(other_key)),
        False,
    )
    actor = body["actor_auth"]
    for name, comment, changed in [
        (
            "other-token",
            "another's token",
            body | {"actor_auth": actor | {"credential": "another"}},
        ),
        (
            "other-kind",
            "the token as an API key",
            body | {"actor_auth": actor | {"type": "platform_api_key"}},
        ),
        ("member", "a member more", body | {"note": TOKEN}),
        ("public-key", "a token for a public key", body | {"public_key": TOKEN}),
        (
            "installation",
            "another installation",
            body | {"agent_host_auth": {"type": "installation_id"}},
        ),
        (
            "metadata",
            "the token in the metadata",
            body | {"metadata": body["metadata"] | {"role": TOKEN}},
        ),
        ("missing", "no key", {n: v for n, v in body.items() if n != "public_key"}),
    ]:
        yield vector(
            f"instance-body-{name}", comment, RULE, INSTANCE.params(posted(changed))
        )
    text = json.dumps(body)
    yield vector(
        "instance-body-spaces",
        "another form of the same",
        RULE,
        INSTANCE.params({**INSTANCE.effect, "body": utf8(text)}),
    )
    for name, comment, url in [
        ("other-host", "another host", f"{ELSEWHERE}/agent/register"),
        ("backend", "the backend", f"{BASE_URL}/agent/register"),
        (
            "identity",
            "where identities are registered",
            "https://auth.openai.com/v1/agent/register",
        ),
        (
            "below",
            "below what is the other profile's",
            "https://auth.openai.com/api/accounts/agent/register",
        ),
        ("query", "a query", INSTANCE.effect["url"] + "?a"),
    ]:
        effect = {**INSTANCE.effect, "url": url}
        yield vector(f"instance-url-{name}", comment, RULE, INSTANCE.params(effect))
    headers = INSTANCE.effect["headers"]
    for name, comment, changed in [
        ("no-key", "no idempotency key", headers[1:]),
        (
            "key-token",
            "a token for an idempotency key",
            [{"name": "idempotency-key", "value": TOKEN}, *headers[1:]],
        ),
        (
            "key-upper-case",
            "no UUID in lower case",
            [{**headers[0], "value": headers[0]["value"].upper()}, *headers[1:]],
        ),
        (
            "authorization",
            "the token in a header field",
            [*headers, {"name": "authorization", "value": f"Bearer {TOKEN}"}],
        ),
        (
            "content-type",
            "another content type",
            [headers[0], {"name": "content-type", "value": "text/plain"}],
        ),
    ]:
        effect = {**INSTANCE.effect, "headers": changed}
        yield vector(f"instance-header-{name}", comment, RULE, INSTANCE.params(effect))
    yield vector(
        "instance-method",
        "another method",
        RULE,
        INSTANCE.params({**INSTANCE.effect, "method": "GET"}),
    )
    yield vector(
        "instance-without-lock",
        "no lock",
        RULE,
        INSTANCE.params(before=[]),
    )
    for slot in ["identity", "backend", "set-aside", "thread/thread-1"]:
        for kind in ["load", "lock", "probe"]:
            effect = {"type": kind, "slot": slot}
            yield vector(
                f"instance-{kind}-{slot.partition('/')[0]}",
                "nothing of the store's but the failures",
                RULE,
                INSTANCE_SAVE.params(effect, before=[]),
            )
        effect = {**INSTANCE_SAVE.effect, "slot": slot}
        yield vector(
            f"instance-save-{slot.partition('/')[0]}",
            "nothing of the store's but the failures",
            RULE,
            INSTANCE_SAVE.params(effect),
        )
    swap = {
        "type": "swap",
        "slot": "instance",
        "record": INSTANCE_SAVE.effect["record"],
    }
    yield vector("instance-swap", "it is no store's", RULE, INSTANCE_SAVE.params(swap))
    for kind in ["load", "lock", "delete"]:
        yield vector(
            f"other-profile-{kind}-instance",
            "another profile has no instance",
            RULE,
            LOAD.params({"type": kind, "slot": "instance"}),
        )

    # Answers.
    done = INSTANCE_DONE.effect["authorization"]
    only = INSTANCE_ONLY.effect["authorization"]

    def answer(changed, base=INSTANCE_DONE, **call):
        effect = {"type": "done", "authorization": changed}
        return base.params(effect, **call)

    other = {"entropy": hexadecimal(bytes(16))}
    for name, comment, params in [
        ("other-entropy", "an id that is not this call's", answer(done, **other)),
        (
            "no-entropy",
            "an id that is nobody's",
            answer(done, entropy=None),
        ),
        (
            "other-instance",
            "another instance than it says",
            answer(done | {"runtime_agent_instance": "rai-9"}),
        ),
        (
            "other-token",
            "another's token beside it",
            answer(done | {"header": "Bearer another"}),
        ),
        (
            "no-token",
            "no token beside it",
            answer({n: v for n, v in done.items() if n != "header"}),
        ),
        (
            "both",
            "an assertion in both",
            answer(done | {"header": f"AgentAssertion {done['agent_assertion']}"}),
        ),
        (
            "mode-other",
            "the other mode's",
            answer(only),
        ),
        (
            "only-other",
            "the other mode's",
            answer(done, INSTANCE_ONLY),
        ),
        (
            "only-dual",
            "an assertion in both",
            answer(
                only
                | {"agent_assertion": only["header"].removeprefix("AgentAssertion ")},
                INSTANCE_ONLY,
            ),
        ),
        (
            "task",
            "a task, too",
            answer(done | {"agent_runtime_id": "agent-rt-2", "task_id": "task-4"}),
        ),
        (
            "reason",
            "another reason",
            answer(done | {"reason": "background-task"}),
        ),
        (
            "api-key-token",
            "the API key, which the program sends itself",
            answer(
                INSTANCE_KEY.effect["authorization"]
                | {
                    "header": f"Bearer {INSTANCE_KEY.call['credentials']['access_token']}"
                },
                INSTANCE_KEY,
            ),
        ),
        (
            "api-key-bearer",
            "the API key, which the program sends itself",
            answer(
                {
                    "mode": "bearer",
                    "reason": "registration-failed",
                    "header": f"Bearer {INSTANCE_KEY.call['credentials']['access_token']}",
                    "valid_until": INSTANCE_KEY.now,
                },
                INSTANCE_KEY,
            ),
        ),
    ]:
        yield vector(f"instance-answer-{name}", comment, RULE, params)
    task = DONE.effect["authorization"]
    yield vector(
        "answer-instance-in-other-profile",
        "an instance's, in a profile that has none",
        RULE,
        DONE.params(
            {
                "type": "done",
                "authorization": task
                | {
                    "agent_assertion": done["agent_assertion"],
                },
            }
        ),
    )


def routing():
    """Yield what is refused of the question where a workspace's calls go."""
    ask = find("routing-both", "http")
    done = find("routing-both", "done")
    instance = find("routing-instance-dual_header", "http")
    instance_done = find("routing-instance-dual_header", "done")
    accounts = "/wham/accounts/check"
    for name, comment, url in [
        ("other-host", "another host", f"{ELSEWHERE}/backend-api{accounts}"),
        ("below", "another path", f"{ask.effect['url']}/a"),
        ("query", "a query", f"{ask.effect['url']}?a"),
    ]:
        yield vector(
            f"routing-url-{name}", comment, RULE, ask.params({**ask.effect, "url": url})
        )
    headers = ask.effect["headers"]
    for name, comment, changed in [
        ("no-account", "no account", headers[:1]),
        (
            "other-account",
            "another account",
            [headers[0], {**headers[1], "value": "acct-9"}],
        ),
        (
            "other-token",
            "another token",
            [{**headers[0], "value": "Bearer another"}, headers[1]],
        ),
        ("member", "a field more", [*headers, {"name": "x-note", "value": "a"}]),
        (
            "assertion",
            "an assertion, of nobody",
            [*headers, {"name": "x-openai-agent-assertion", "value": "1.a.b.c"}],
        ),
    ]:
        effect = {**ask.effect, "headers": changed}
        yield vector(f"routing-header-{name}", comment, RULE, ask.params(effect))
    fields = instance.effect["headers"]
    other = find("routing-instance-assertion_only", "http").effect["headers"][0]
    for name, comment, changed in [
        (
            "assertion-elsewhere",
            "the other mode's, beside it",
            [other, *fields[1:]],
        ),
        (
            "no-token",
            "no token beside the assertion",
            fields[1:],
        ),
    ]:
        effect = {**instance.effect, "headers": changed}
        yield vector(f"routing-{name}", comment, RULE, instance.params(effect))
    only = find("routing-instance-assertion_only", "http")
    alone = only.effect["headers"]
    bare = {**alone[0], "value": alone[0]["value"].removeprefix("AgentAssertion ")}
    for name, comment, at, changed in [
        ("dual-alone", "the mode assertion_only's, in dual_header", instance, alone),
        ("only-beside", "the mode dual_header's, in assertion_only", only, fields),
        ("only-no-scheme", "no scheme before the assertion", only, [bare, *alone[1:]]),
        (
            "dual-no-scheme",
            "an assertion where the token is, without a scheme",
            instance,
            [bare, *alone[1:]],
        ),
    ]:
        effect = {**at.effect, "headers": changed}
        yield vector(f"routing-{name}", comment, RULE, at.params(effect))
    yield vector(
        "routing-other-entropy",
        "an assertion of another id",
        RULE,
        instance.params(entropy=hexadecimal(bytes(16))),
    )
    for name, comment, effect in [
        ("post", "another method", {**ask.effect, "method": "POST"}),
        ("body", "a body", {**ask.effect, "body": utf8("{}")}),
    ]:
        yield vector(f"routing-{name}", comment, RULE, ask.params(effect))
    yield vector("routing-without-lock", "no lock", RULE, ask.params(before=[]))
    other = [{"effect": {"type": "lock", "slot": "identity"}}]
    yield vector("routing-other-lock", "another lock", RULE, ask.params(before=other))
    silent = {k: v for k, v in ask.call["config"].items() if k != "workspace_routing"}
    yield vector(
        "routing-not-configured",
        "nobody has asked for it",
        RULE,
        ask.params(config=silent, before=[]),
    )
    yield vector(
        "routing-other-surface",
        "a call that goes to the base URL",
        RULE,
        ask.params(surface="file-upload", before=[]),
    )
    for kind in ["delete", "swap", "probe"]:
        effect = {"type": kind, "slot": "workspace"}
        if kind == "swap":
            effect["record"] = utf8("{}")
        yield vector(
            f"routing-{kind}", "not with this slot", RULE, ask.params(effect, before=[])
        )

    went = done.effect["authorization"]

    def answer(changed, base=done, **call):
        effect = {"type": "done", "authorization": changed}
        return base.params(effect, **call)

    for name, comment, params in [
        (
            "unsupported",
            "an origin that is not supported",
            answer(went | {"responses_origin": ELSEWHERE}),
        ),
        (
            "http",
            "no https",
            answer(went | {"responses_origin": "http://chatgpt.com"}),
        ),
        (
            "path",
            "an origin has no path",
            answer(went | {"responses_origin": "https://chatgpt.com/a"}),
        ),
        (
            "override",
            "an override that is none",
            answer(went | {"account_routing_override": "eu"}),
        ),
        (
            "not-configured",
            "nobody has asked for it",
            answer(went, config=silent, before=[]),
        ),
        (
            "none",
            "for a call that is not to be sent",
            answer(
                {
                    "mode": "none",
                    "reason": "workspace-routing-failed",
                    "account_id": went["account_id"],
                    "valid_until": went["valid_until"],
                    "responses_origin": went["responses_origin"],
                }
            ),
        ),
        (
            "first-id",
            "the id that the question had",
            answer(
                instance_done.effect["authorization"],
                instance_done,
                before=instance_done.before[:-1],
            ),
        ),
    ]:
        yield vector(f"routing-answer-{name}", comment, RULE, params)
