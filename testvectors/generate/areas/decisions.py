"""decide: who gets what. All values by hand, from the protocol page's table."""

import captured
from vectors import call, capture, protocol

RULES = protocol("Who gets what")
SURFACES = protocol("Who gets what, surfaces")
THREADS = protocol("Who gets what, thread surfaces")
AUTH_API = protocol("Later clients, auth-api: who asserts")
RUNTIME = protocol("Later clients, instances")
WORKSPACES = protocol("Later clients, forced_chatgpt_workspace_id")
ARRIVED = protocol("Later clients, an identity that arrives as a JWT")
REFUSED = "this project's rule: nothing is sent that a header cannot hold"
# In bytes.
LONGEST_TOKEN = 64 << 10
LONGEST_ID = 4096

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
        result["forced_workspace_ids"] = [forced] if isinstance(forced, str) else forced
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
WITH_API_KEY = credentials("api-key", "sk-not-a-real-key", None, None)


def instances(mode="dual_header", **members):
    """Return what a configuration has for runtime agent instances."""
    instance = {
        "header_mode": mode,
        "installation_id": "aa88e197-a6dc-457d-a525-2192aadf9048",
        "harness": "codex",
        "role": "orchestrator",
    }
    return {"profile": "instances", "instance": instance | members}


INSTANCES = instances()


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
    identity = ("agent-assertion", "identity-task")
    every = ("agent-assertion", "all-surfaces")
    by_bearer = ("bearer", "bearer-surface")
    dual = ("dual-header", "runtime-instance")
    only = ("agent-assertion", "runtime-instance")
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
            *identity,
            surface=surface,
            **arrived,
        )
    for surface in THREAD:
        yield vector(
            f"jwt-identity-{surface}-unsupported-host",
            "rule 4 does not apply to a thread's surface",
            *identity,
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
        *identity,
        "acct-2",
        cfg=config(forced="acct-2"),
        **arrived,
    )
    yield vector(
        "jwt-identity-instances",
        "an identity in place of a sign-in has no token for an instance",
        *identity,
        cfg=config() | INSTANCES,
        **arrived,
    )

    # The profile auth-api: responses assert, and what else is configured to.
    auth_api = {"profile": "auth-api"}
    for surface in [*BACKGROUND, *THREAD, "background"]:
        asserts = surface == "responses"
        yield vector(
            f"auth-api-{surface}",
            "calls to responses assert, and no others",
            *(identity if asserts else by_bearer),
            surface=surface,
            cfg=config() | auth_api,
            source=AUTH_API,
        )
        yield vector(
            f"auth-api-all-surfaces-{surface}",
            "all do, where the configuration says so",
            *(identity if asserts else every),
            surface=surface,
            cfg=config() | auth_api | {"all_surfaces": True},
            source=AUTH_API,
        )
    on_responses = {"surface": "responses", "source": AUTH_API}
    for name, comment, decision, members in [
        (
            "bootstrap",
            "rule 2 comes first",
            bearer_only,
            {"surface": "bootstrap", "cfg": config() | auth_api},
        ),
        (
            "gate-off",
            "rule 3 comes first",
            gate_off,
            {"cfg": config(gate=False) | auth_api},
        ),
        (
            "bearer-surface-unsupported-host",
            "rule 4 comes after the surface",
            by_bearer,
            {"cfg": config(UNSUPPORTED) | auth_api},
        ),
        (
            "all-surfaces-unsupported-host",
            "rule 4 applies to background surfaces",
            unsupported,
            {"cfg": config(UNSUPPORTED) | auth_api | {"all_surfaces": True}},
        ),
        (
            "responses-unsupported-host",
            "rule 4 does not apply to a thread's surface",
            identity,
            {"surface": "responses", "cfg": config(UNSUPPORTED) | auth_api},
        ),
        (
            "bearer-surface-no-token",
            "rule 8 applies",
            no_token,
            {"cfg": config() | auth_api, "creds": tokenless},
        ),
        (
            "all-surfaces-other-profile",
            "the default profile has no such choice",
            background,
            {"cfg": config() | {"all_surfaces": True}},
        ),
        (
            "registration-unavailable",
            "a background call falls back",
            ("bearer", "registration-unavailable"),
            {
                "cfg": config() | auth_api | {"all_surfaces": True},
                "agent": "registration-unavailable",
            },
        ),
    ]:
        yield vector(f"auth-api-{name}", comment, *decision, source=AUTH_API, **members)
    for agent, decision in [
        ("registration-failed", ("none", "registration-failed")),
        ("store-failed", ("none", "store-failed")),
        ("registration-unavailable", ("bearer", "registration-unavailable")),
    ]:
        yield vector(
            f"auth-api-responses-{agent}",
            "a turn falls back to bearer where the failure is one that passes",
            *decision,
            agent=agent,
            cfg=config() | auth_api,
            **on_responses,
        )
    yield vector(
        "auth-api-responses-registration-unavailable-no-token",
        "rule 8 applies",
        *no_token,
        agent="registration-unavailable",
        cfg=config() | auth_api,
        creds=tokenless,
        **on_responses,
    )
    for name, members in [("", {}), ("-thread", {"surface": "responses"})]:
        yield vector(
            f"registration-unavailable{name}",
            "the default profile knows no such failure, and a turn does not fall back",
            "none" if name else "bearer",
            "registration-unavailable",
            agent="registration-unavailable",
            **members,
        )

    # The profile instances: all calls assert, in one of two header fields.
    for mode, decision in [("dual_header", dual), ("assertion_only", only)]:
        cfg = config() | instances(mode)
        for surface in [*BACKGROUND, *THREAD, "background"]:
            yield vector(
                f"instances-{mode}-{surface}",
                "every call asserts",
                *decision,
                surface=surface,
                cfg=cfg,
                source=RUNTIME,
            )
        yield vector(
            f"instances-{mode}-bootstrap",
            "but what comes before there is an instance",
            *bearer_only,
            surface="bootstrap",
            cfg=cfg,
            source=RUNTIME,
        )
        yield vector(
            f"instances-{mode}-api-key",
            "an API key gets an instance, too, and has no account",
            *decision,
            None,
            cfg=cfg,
            creds=WITH_API_KEY,
            source=RUNTIME,
        )
        yield vector(
            f"instances-{mode}-registration-failed",
            "a background call falls back to bearer",
            *failed,
            agent="registration-failed",
            cfg=cfg,
            source=RUNTIME,
        )
        yield vector(
            f"instances-{mode}-thread-registration-failed",
            "a turn fails",
            "none",
            "registration-failed",
            agent="registration-failed",
            surface="responses",
            cfg=cfg,
            source=RUNTIME,
        )
    cfg = config() | INSTANCES
    for name, comment, decision, members in [
        ("nobody", "rule 1", nobody, {"creds": NOBODY}),
        ("gate-off", "rule 3", gate_off, {"cfg": config(gate=False) | INSTANCES}),
        (
            "unsupported-host",
            "rule 4",
            unsupported,
            {"cfg": config(UNSUPPORTED) | INSTANCES},
        ),
        ("no-account", "rule 5", no_account, {"creds": credentials(account=None)}),
        (
            "api-key-bootstrap",
            "an API key is sent by the program that has it",
            ("none", "bearer-only-surface", None),
            {"creds": WITH_API_KEY, "surface": "bootstrap"},
        ),
        (
            "api-key-gate-off",
            "an API key is sent by the program that has it",
            ("none", "feature-off", None),
            {"creds": WITH_API_KEY, "cfg": config(gate=False) | INSTANCES},
        ),
        (
            "api-key-registration-failed",
            "an API key is sent by the program that has it",
            ("none", "registration-failed", None),
            {"creds": WITH_API_KEY, "agent": "registration-failed"},
        ),
    ]:
        yield vector(
            f"instances-{name}",
            comment,
            *decision,
            source=RUNTIME,
            **({"cfg": cfg} | members),
        )

    # Several workspaces that are allowed.
    for name, comment, decision, members in [
        ("among", "the account is one of them", background, {}),
        (
            "other",
            "the account is none of them",
            ("none", "workspace-not-allowed", "acct-9"),
            {"creds": credentials(account="acct-9")},
        ),
        (
            "other-bootstrap",
            "not even the user's own token is sent",
            ("none", "workspace-not-allowed", "acct-9"),
            {"creds": credentials(account="acct-9"), "surface": "bootstrap"},
        ),
        (
            "other-thread",
            "nor in a conversation",
            ("none", "workspace-not-allowed", "acct-9"),
            {"creds": credentials(account="acct-9"), "surface": "responses"},
        ),
        (
            "other-gate-off",
            "nor while the gate is off",
            ("none", "workspace-not-allowed", "acct-9"),
            {
                "creds": credentials(account="acct-9"),
                "cfg": config(gate=False, forced=["acct-2", captured.ACCOUNT_ID]),
            },
        ),
        (
            "no-account",
            "an account that is not known is none of them",
            ("none", "workspace-not-allowed", None),
            {"creds": credentials(account=None)},
        ),
        ("nobody", "rule 1 comes first", nobody, {"creds": NOBODY}),
    ]:
        cfg = config(forced=["acct-2", captured.ACCOUNT_ID])
        yield vector(
            f"workspaces-{name}",
            comment,
            *decision,
            source=WORKSPACES,
            **({"cfg": cfg} | members),
        )
    yield vector(
        "workspace-empty",
        "an empty name forces nothing: the account is the credentials'",
        *background,
        cfg=config(forced=[""]),
        source=WORKSPACES + "; this project's rule: empty is absent",
    )
    yield vector(
        "fedramp",
        "the kind of account decides nothing here",
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
    for name, comment, creds in [
        (
            "access-token",
            "an access token of 64 KiB",
            credentials(token="x" * LONGEST_TOKEN),
        ),
        (
            "access-token-tilde",
            "the first and the last printable character",
            credentials(token="!~"),
        ),
        ("account-id", "an id of 4096 bytes", credentials(account="x" * LONGEST_ID)),
        ("user-id", "an id of 4096 bytes", credentials(user="x" * LONGEST_ID)),
        ("user-id-odd", "a user's id is no header", credentials(user=" ü\x7f🦀")),
    ]:
        yield vector(
            f"longest-{name}" if "an " in comment else name,
            f"{comment}: it is accepted",
            "agent-assertion",
            "background-task",
            creds["account_id"],
            creds=creds,
            source=REFUSED,
        )
    for name, comment, creds in [
        (
            "access-token",
            "an access token of 64 KiB and a byte",
            credentials(token="x" * (LONGEST_TOKEN + 1)),
        ),
        ("account-id", "4097 bytes", credentials(account="x" * (LONGEST_ID + 1))),
        ("user-id", "4097 bytes", credentials(user="x" * (LONGEST_ID + 1))),
        ("user-id-1f", "a control character", credentials(user="a\x1fb")),
        ("user-id-line-feed", "a control character", credentials(user="a\n")),
        ("user-id-nul", "a control character", credentials(user="\0")),
    ]:
        long = "4097" in comment or "byte" in comment
        yield refused(
            f"{name}-too-long" if long else name,
            comment,
            "invalid_credentials",
            creds=creds,
        )
    yield refused(
        "forced-workspace-too-long",
        "4097 bytes",
        "invalid_credentials",
        cfg=config(forced="x" * (LONGEST_ID + 1)),
    )
    for name, text in [("", "x"), ("-other-case", "Auth-API")]:
        yield refused(
            f"profile{name}",
            "there is no such profile",
            "invalid_config",
            cfg=config() | {"profile": text},
        )
    yield refused(
        "agent",
        "there is no such state of the agent",
        "invalid_config",
        agent="asleep",
    )
