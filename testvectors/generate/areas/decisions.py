"""decide: who gets what. All values by hand, from the protocol page's table."""

import captured
from vectors import call, capture, protocol

RULES = protocol("Who gets what")
SURFACES = protocol("Who gets what, surfaces")
THREADS = protocol("Who gets what, thread surfaces")
ARRIVED = protocol("Later profile, an identity that arrives as a JWT")
REFUSED = "this project's rule: nothing is sent that a header cannot hold"

BACKGROUND = [
    "apps",
    "connectors",
    "plugins",
    "mcp",
    "analytics",
    "skills",
    "models",
    "cloud-tasks",
    "cloud-requirements",
    "remote-control",
]
THREAD = ["responses", "file-upload", "mcp-file-upload", "safety-monitor"]
BEARER_ONLY = ["bootstrap"]

ABOM = {
    "agent_version": "0.123.0",
    "agent_harness_id": "codex-cli",
    "running_location": "cli-linux",
}

# The base URL of the captured run, and one that is not supported.
SUPPORTED = "http://agent.chatgpt.com/backend-api"
UNSUPPORTED = "http://127.0.0.1:18203/backend-api"


def config(base_url=SUPPORTED, gate=True, trusted=None, forced=None):
    """Return a configuration."""
    result = {"abom": ABOM, "base_url": base_url, "agent_identity": gate}
    if trusted:
        result["trusted_hosts"] = trusted
    if forced:
        result["forced_workspace_id"] = forced
    return result


def credentials(
    kind="chatgpt",
    token=captured.ACCESS_TOKEN,
    account=captured.ACCOUNT_ID,
    user=captured.USER_ID,
):
    """Return credentials; what is empty is left out."""
    members = {"access_token": token, "account_id": account, "user_id": user}
    return {"kind": kind} | {name: text for name, text in members.items() if text}


API_KEY = credentials("api-key", None, None, None)
NOBODY = credentials("none", None, None, None)


def vectors():
    """Return the vectors of decisions.json."""
    return list(decide())


def decide():
    """Yield the vectors of decide."""

    def call_(name, comment, source, surface, cfg, creds, agent, **expected):
        params = {
            "config": cfg or config(),
            "surface": surface,
            "credentials": creds or credentials(),
            "agent": agent,
        }
        return call(f"decide-{name}", comment, source, "decide", params, **expected)

    def vector(
        name,
        comment,
        mode,
        reason,
        account=captured.ACCOUNT_ID,
        surface="models",
        cfg=None,
        creds=None,
        agent="available",
        source=RULES,
    ):
        ok = {"mode": mode, "reason": reason}
        if account:
            ok["account_id"] = account
        return call_(name, comment, source, surface, cfg, creds, agent, ok=ok)

    def refused(
        name,
        comment,
        error,
        source=REFUSED,
        surface="models",
        cfg=None,
        creds=None,
        agent="available",
    ):
        return call_(
            f"{name}-refused",
            comment,
            source,
            surface,
            cfg,
            creds,
            agent,
            error=error,
        )

    nobody = ("none", "no-chatgpt-credentials", None)
    bearer_only = ("bearer", "bearer-only-surface")
    gate_off = ("bearer", "feature-off")
    unsupported = ("bearer", "unsupported-host")
    no_account = ("bearer", "no-account-id", None)
    background = ("agent-assertion", "background-task")
    thread = ("agent-assertion", "thread-task")
    failed = ("bearer", "registration-failed")
    store_failed = ("bearer", "store-failed")
    no_token = ("none", "no-access-token")

    # Each rule, and each of its reasons.
    yield vector("rule-1-nobody", "nobody is signed in", *nobody, creds=NOBODY)
    yield vector("rule-1-api-key", "an API key", *nobody, creds=API_KEY)
    yield vector(
        "rule-1-other",
        "credentials of a kind that is not ChatGPT's",
        *nobody,
        creds=credentials("other", None, None, None),
    )
    yield vector("rule-2", "a bearer-only surface", *bearer_only, surface="bootstrap")
    yield vector(
        "rule-3",
        "the feature gate is off",
        *gate_off,
        cfg=config(gate=False),
        source=capture("gate-off.jsonl", 2),
    )
    yield vector(
        "rule-4",
        "an unsupported host",
        *unsupported,
        cfg=config(UNSUPPORTED),
        source=capture("unsupported-host.jsonl", 2),
    )
    yield vector(
        "rule-5", "no account id", *no_account, creds=credentials(account=None)
    )
    yield vector(
        "rule-6",
        "an identity and a task",
        *background,
        source=capture("enabled.jsonl", 6),
    )
    yield vector(
        "rule-7-registration",
        "the registration failed",
        *failed,
        agent="registration-failed",
        source=capture("biscuit-forbidden.jsonl", 3),
    )
    yield vector(
        "rule-7-store", "the store failed", *store_failed, agent="store-failed"
    )
    tokenless = credentials(token=None)
    for rule, comment, members in [
        (2, "a bearer-only surface", {"surface": "bootstrap"}),
        (3, "the gate is off", {"cfg": config(gate=False)}),
        (4, "an unsupported host", {"cfg": config(UNSUPPORTED)}),
        (7, "the registration failed", {"agent": "registration-failed"}),
    ]:
        yield vector(
            f"rule-8-after-{rule}",
            f"{comment}, but there is no access token",
            *no_token,
            creds=tokenless,
            **members,
        )
    yield vector(
        "rule-8-after-5",
        "no account id, but there is no access token either",
        *no_token,
        None,
        creds=credentials(token=None, account=None),
    )
    yield vector(
        "rule-8-after-7-store",
        "the store failed, but there is no access token",
        *no_token,
        creds=tokenless,
        agent="store-failed",
    )

    # Which of two rules wins.
    yield vector(
        "rule-1-before-2",
        "an API key, on a bearer-only surface",
        *nobody,
        creds=API_KEY,
        surface="bootstrap",
    )
    yield vector(
        "rule-1-before-all",
        "nobody signed in, where every other rule would apply too",
        *nobody,
        surface="bootstrap",
        cfg=config(UNSUPPORTED, gate=False),
        creds=NOBODY,
        agent="registration-failed",
    )
    yield vector(
        "rule-1-despite-token-and-account",
        "an API key, beside which there are a token and an account id",
        *nobody,
        creds=credentials("api-key"),
    )
    yield vector(
        "rule-2-before-3",
        "a bearer-only surface, and the gate is off",
        *bearer_only,
        surface="bootstrap",
        cfg=config(gate=False),
    )
    yield vector(
        "rule-2-before-4-and-5",
        "a bearer-only surface, an unsupported host, and no account id",
        *bearer_only,
        None,
        surface="bootstrap",
        cfg=config(UNSUPPORTED),
        creds=credentials(account=None),
    )
    yield vector(
        "rule-3-before-4",
        "the gate is off, and the host unsupported",
        *gate_off,
        cfg=config(UNSUPPORTED, gate=False),
    )
    yield vector(
        "rule-3-before-5",
        "the gate is off, and there is no account id",
        *gate_off,
        None,
        cfg=config(gate=False),
        creds=credentials(account=None),
    )
    yield vector(
        "rule-4-before-5",
        "an unsupported host, and no account id",
        *unsupported,
        None,
        cfg=config(UNSUPPORTED),
        creds=credentials(account=None),
    )
    yield vector(
        "rule-4-before-7",
        "an unsupported host, and the registration failed",
        *unsupported,
        cfg=config(UNSUPPORTED),
        agent="registration-failed",
    )
    yield vector(
        "rule-5-before-7",
        "no account id, and the registration failed",
        *no_account,
        creds=credentials(account=None),
        agent="registration-failed",
    )
    yield vector(
        "rule-6-before-8",
        "an identity and a task need no access token",
        *background,
        creds=tokenless,
    )

    # Every surface.
    for surface in BACKGROUND:
        yield vector(
            f"surface-{surface}",
            "a background surface",
            *background,
            surface=surface,
            source=SURFACES,
        )
        yield vector(
            f"surface-{surface}-unsupported-host",
            "rule 4 applies to it",
            *unsupported,
            surface=surface,
            cfg=config(UNSUPPORTED),
            source=SURFACES,
        )
    for surface in THREAD:
        yield vector(
            f"surface-{surface}",
            "a thread's surface",
            *thread,
            surface=surface,
            source=SURFACES,
        )
        yield vector(
            f"surface-{surface}-unsupported-host",
            "rule 4 does not apply to it",
            *thread,
            surface=surface,
            cfg=config(UNSUPPORTED),
            source=capture("unsupported-host.jsonl", 11),
        )
    for surface in BEARER_ONLY:
        yield vector(
            f"surface-{surface}",
            "a bearer-only surface",
            *bearer_only,
            surface=surface,
            source=capture("enabled.jsonl", 2),
        )

    # A thread's surface otherwise.
    on_thread = {"surface": "responses", "source": THREADS}
    yield vector("thread-nobody", "rule 1 applies", *nobody, creds=NOBODY, **on_thread)
    yield vector(
        "thread-gate-off",
        "rule 3 applies",
        *gate_off,
        cfg=config(gate=False),
        **on_thread,
    )
    yield vector(
        "thread-gate-off-unsupported-host",
        "rule 3 applies, rule 4 does not",
        *gate_off,
        cfg=config(UNSUPPORTED, gate=False),
        **on_thread,
    )
    yield vector(
        "thread-no-account-id",
        "rule 5 applies",
        *no_account,
        creds=credentials(account=None),
        **on_thread,
    )
    yield vector(
        "thread-no-account-id-unsupported-host",
        "rule 5 applies, rule 4 does not",
        *no_account,
        cfg=config(UNSUPPORTED),
        creds=credentials(account=None),
        **on_thread,
    )
    yield vector(
        "thread-no-access-token",
        "rule 6 comes before rule 8",
        *thread,
        creds=tokenless,
        **on_thread,
    )
    yield vector(
        "thread-gate-off-no-access-token",
        "rule 8 applies",
        *no_token,
        cfg=config(gate=False),
        creds=tokenless,
        **on_thread,
    )
    for agent in ["registration-failed", "store-failed"]:
        yield vector(
            f"thread-{agent}",
            "rule 7 does not apply: it is an error of the turn, and nothing is sent",
            "none",
            agent,
            agent=agent,
            **on_thread,
        )

    # The account.
    yield vector(
        "forced-workspace",
        "a forced workspace id takes the place of the token's account id",
        *background,
        "acct-2",
        cfg=config(forced="acct-2"),
    )
    yield vector(
        "forced-workspace-without-account",
        "a forced workspace id is an account id: rule 5 does not apply",
        *background,
        "acct-2",
        cfg=config(forced="acct-2"),
        creds=credentials(account=None),
    )
    yield vector(
        "forced-workspace-bearer",
        "a bearer token travels with it, too",
        *gate_off,
        "acct-2",
        cfg=config(gate=False, forced="acct-2"),
    )
    yield vector(
        "unknown-user",
        "the user id decides nothing here",
        *background,
        creds=credentials(user=None),
    )

    # Background calls that the table does not list.
    other = {"surface": "background", "source": SURFACES}
    yield vector("surface-background", "any other call", *background, **other)
    yield vector(
        "surface-background-unsupported-host",
        "rule 4 applies to it",
        *unsupported,
        cfg=config(UNSUPPORTED),
        **other,
    )
    yield vector(
        "surface-background-registration-failed",
        "rule 7 applies to it",
        *failed,
        agent="registration-failed",
        **other,
    )

    # An identity that arrived as a JWT, beside which there is no token.
    arrived = {"creds": credentials("agent-identity", None), "source": ARRIVED}
    for surface in [*BACKGROUND, *THREAD, *BEARER_ONLY, "background"]:
        yield vector(
            f"jwt-identity-{surface}",
            "every surface uses the identity's one task",
            *background,
            surface=surface,
            **arrived,
        )
    for surface in THREAD:
        yield vector(
            f"jwt-identity-{surface}-unsupported-host",
            "rule 4 does not apply to a thread's surface",
            *background,
            surface=surface,
            cfg=config(UNSUPPORTED),
            **arrived,
        )
    for rule, comment, members in [
        (3, "the gate is off", {"cfg": config(gate=False)}),
        (4, "an unsupported host", {"cfg": config(UNSUPPORTED)}),
        (
            "4-bootstrap",
            "an unsupported host: with a JWT, bootstrap is a surface like others",
            {"surface": "bootstrap", "cfg": config(UNSUPPORTED)},
        ),
        ("7-registration", "no task could be had", {"agent": "registration-failed"}),
        ("7-store", "the store failed", {"agent": "store-failed"}),
        (
            "7-thread",
            "no task could be had, on a thread's surface",
            {"surface": "responses", "agent": "registration-failed"},
        ),
    ]:
        yield vector(
            f"jwt-identity-rule-8-after-{rule}",
            f"{comment}, and there is no access token",
            *no_token,
            **arrived,
            **members,
        )
    yield vector(
        "jwt-identity-rule-8-after-5",
        "no account id, and there is no access token",
        *no_token,
        None,
        creds=credentials("agent-identity", None, None),
        source=ARRIVED,
    )
    yield vector(
        "jwt-identity-forced-workspace",
        "a forced workspace id takes the place of the JWT's account",
        *background,
        "acct-2",
        cfg=config(forced="acct-2"),
        **arrived,
    )
    yield vector(
        "profile-auth-api",
        "how identities are registered decides nothing here",
        *background,
        cfg=config() | {"profile": "auth-api"},
    )
    yield vector(
        "fedramp",
        "nor does the kind of account",
        *background,
        creds=credentials() | {"fedramp": True},
    )

    # The host.
    yield vector(
        "trusted-host",
        "a host that the caller adds is supported",
        *background,
        cfg=config(UNSUPPORTED, trusted=["127.0.0.1"]),
    )
    yield vector(
        "evil-host",
        "a host that looks like a supported one",
        *unsupported,
        cfg=config("https://chatgpt.com.evil.example"),
    )
    yield vector(
        "base-url-not-normalized",
        "the base URL is normalized on the way",
        *background,
        cfg=config("https://chatgpt.com/codex/"),
    )

    for name, surface in [
        ("unknown", "teleport"),
        ("empty", ""),
        ("other-case", "Models"),
        ("path", "/codex/models"),
    ]:
        yield refused(
            f"surface-{name}",
            "no surface has this name",
            "unknown_surface",
            SURFACES,
            surface=surface,
        )
    yield refused(
        "base-url",
        "what base_url.normalize refuses is refused here",
        "invalid_base_url",
        cfg=config("https://user@chatgpt.com"),
    )
    yield refused(
        "trusted-host",
        "what base_url.normalize refuses is refused here",
        "invalid_trusted_host",
        cfg=config(trusted=["https://backend.example"]),
    )
    yield refused(
        "kind",
        "no credentials are of this kind",
        "invalid_credentials",
        creds=credentials("ChatGPT"),
    )
    for name, text in [
        ("space", "a b"),
        ("line-feed", "a\nx-injected: 1"),
        ("carriage-return", "a\r"),
        ("nul", "a\0"),
        ("non-ascii", "ä"),
        ("delete", "a\x7f"),
    ]:
        yield refused(
            f"access-token-{name}",
            "it would not arrive as it was sent",
            "invalid_credentials",
            creds=credentials(token=text),
        )
        yield refused(
            f"account-id-{name}",
            "it would not arrive as it was sent",
            "invalid_credentials",
            creds=credentials(account=text),
        )
        yield refused(
            f"forced-workspace-{name}",
            "it would not arrive as it was sent",
            "invalid_credentials",
            cfg=config(forced=text),
        )
    yield refused(
        "agent",
        "there is no such state of the agent",
        "invalid_config",
        agent="asleep",
    )
