"""registration.request and registration.read: a registration's requests, one by one."""

import captured
from areas.assertions import BAD_IDS
from areas.decisions import WITH_API_KEY, config, credentials
from areas.flows.instances import IDEMPOTENCY, INSTANCES, InstanceRun
from areas.flows.script import REQUEST_IDS, AuthAPIRun, Run, fields
from fixtures import KEY, OTHER_KEY
from primitives import MAX_TIME, compact
from vectors import call, capture, hexadecimal, protocol, utf8

REGISTRATION = protocol("Registration")
AUTH_API = protocol("Later clients, auth-api")
RULE = "this project's rule: nothing is sent that the backend cannot read"
BODIES = "this project's rule: answers of at most 64 KiB, in which no name stands twice"
EPHEMERAL = bytes(range(32))
BISCUIT = "biscuit-1"
FEDRAMP = credentials() | {"fedramp": True}


def requests():
    """Yield the vectors of registration.request."""

    def vector(name, comment, source, run, step, **members):
        params = {
            "config": run.config,
            "credentials": run.credentials,
            "step": step,
            "now": captured.TIME,
        }
        expected = {n: members.pop(n) for n in ["ok", "error"] if n in members}
        return call(
            f"registration-{name}",
            comment,
            source,
            "registration.request",
            params | members,
            **expected,
        )

    def sends(name, comment, source, run, step, effect, **members):
        ok = {n: value for n, value in effect.items() if n != "type"}
        return vector(name, comment, source, run, step, ok=ok, **members)

    def refused(name, comment, source, run, step, error, **members):
        return vector(
            f"{name}-refused", comment, source, run, step, error=error, **members
        )

    for_identity = {"entropy": hexadecimal(REQUEST_IDS[0])}
    with_key = {"private_key": KEY.stored}
    agent = {"agent_runtime_id": captured.RUNTIME_ID}
    whole = with_key | agent | {"biscuit": BISCUIT}
    idempotent = with_key | {"entropy": hexadecimal(IDEMPOTENCY)}

    usual = Run(now=captured.TIME, tick=0)
    yield sends(
        "biscuit-identity",
        "the request for a biscuit that registers an identity",
        capture("enabled.jsonl", 2),
        usual,
        "biscuit",
        usual.identity_biscuit(),
        **for_identity,
    )
    yield sends(
        "identity",
        "the identity's registration",
        capture("enabled.jsonl", 3),
        usual,
        "identity",
        usual.register_identity(BISCUIT),
        biscuit=BISCUIT,
        **with_key,
    )
    yield sends(
        "biscuit-task",
        "the request for a biscuit that registers a task",
        capture("enabled.jsonl", 4),
        usual,
        "biscuit",
        usual.task_biscuit(REQUEST_IDS[0]),
        **for_identity,
        **agent,
    )
    yield sends(
        "task",
        "the task's registration, whose proof is the real client's",
        capture("enabled.jsonl", 5),
        usual,
        "task",
        usual.register_task(BISCUIT),
        **whole,
    )
    reserved = Run(now=captured.TIME, tick=0, runtime="a/b?c d")
    yield sends(
        "task-agent-escaped",
        "an id with characters that a path must not have",
        REGISTRATION,
        reserved,
        "task",
        reserved.register_task(BISCUIT),
        **(whole | {"agent_runtime_id": reserved.runtime}),
    )
    bare = Run(
        now=captured.TIME,
        tick=0,
        cfg=config("https://chatgpt.com"),
        base="https://chatgpt.com/backend-api",
    )
    yield sends(
        "base-url-completed",
        "the base URL as it is configured, without its path",
        protocol("Base URL"),
        bare,
        "identity",
        bare.register_identity(BISCUIT),
        biscuit=BISCUIT,
        **with_key,
    )

    for name, creds in [("", credentials()), ("-fedramp", FEDRAMP)]:
        later = AuthAPIRun(now=captured.TIME, tick=0, creds=creds)
        yield sends(
            f"auth-api-identity{name}",
            "the identity's registration, with the access token itself",
            AUTH_API,
            later,
            "identity",
            later.register_identity(),
            **with_key,
        )
    later = AuthAPIRun(now=captured.TIME, tick=0)
    yield sends(
        "auth-api-task",
        "the task's registration, which needs the proof alone",
        AUTH_API,
        later,
        "task",
        later.register_task(),
        **with_key,
        **agent,
    )
    arrived = AuthAPIRun(
        now=captured.TIME,
        tick=0,
        cfg=config() | {"profile": "auth-api"},
        creds=credentials("agent-identity", None),
    )
    yield sends(
        "auth-api-task-agent-identity",
        "an identity in place of a sign-in has no access token, and needs none",
        AUTH_API,
        arrived,
        "task",
        arrived.register_task(),
        **with_key,
        **agent,
    )
    for mode in ["dual_header", "assertion_only"]:
        for kind, creds in [("chatgpt", credentials()), ("api-key", WITH_API_KEY)]:
            run = InstanceRun(mode=mode, creds=creds)
            yield sends(
                f"instances-{mode.replace('_', '-')}-{kind}",
                "an instance's registration, which names no header mode",
                INSTANCES,
                run,
                "identity",
                run.register(),
                **idempotent,
            )

    # What each profile does not have, or does not get.
    instance = InstanceRun()
    for name, run, step, members in [
        ("step-unknown", usual, "instance", whole),
        ("step-empty", usual, "", whole),
        ("auth-api-biscuit", later, "biscuit", for_identity),
        ("instances-biscuit", instance, "biscuit", for_identity),
        ("instances-task", instance, "task", whole),
        ("auth-api-agent-identity-identity", arrived, "identity", with_key),
    ]:
        yield refused(
            name,
            "a step that this profile does not have, or not with this sign-in",
            "this project's rule: the profiles' steps",
            run,
            step,
            "invalid_config",
            **members,
        )
    for size in [0, 15, 17, 64]:
        entropy = {"entropy": hexadecimal(bytes(size))} if size else {}
        for name, run, step, members in [
            ("biscuit", usual, "biscuit", {}),
            ("instances", instance, "identity", with_key),
        ]:
            yield refused(
                f"{name}-{size}-bytes",
                "an id is made of 16 bytes",
                "this project's rule: entropy",
                run,
                step,
                "invalid_entropy",
                **members,
                **entropy,
            )
    for name, value in [
        ("none", None),
        ("line-feed", "biscuit\nx: 1"),
        ("space-before", " biscuit"),
        ("non-ascii", "bisküit"),
        ("8193-bytes", "x" * 8193),
    ]:
        biscuit = {} if value is None else {"biscuit": value}
        for step in ["identity", "task"]:
            yield refused(
                f"{step}-biscuit-{name}",
                "no biscuit, or one that a header cannot hold",
                RULE,
                usual,
                step,
                "invalid_biscuit",
                **with_key,
                **(agent if step == "task" else {}),
                **biscuit,
            )
    for size in [8191, 8192]:
        yield sends(
            f"biscuit-{size}-bytes",
            "the longest biscuits",
            RULE,
            usual,
            "identity",
            usual.register_identity("x" * size),
            biscuit="x" * size,
            **with_key,
        )
    for name, text, comment in [*BAD_IDS, ("colon", "a:b", "a colon"), DOT, DOTS]:
        for step, members in [("biscuit", for_identity), ("task", whole)]:
            # Where there is none, a biscuit is for an identity.
            if text or step == "task":
                params = members | {"agent_runtime_id": text}
                yield refused(
                    f"{step}-agent-runtime-id-{name}",
                    comment,
                    RULE,
                    usual,
                    step,
                    "invalid_agent_runtime_id",
                    **{n: value for n, value in params.items() if value},
                )
    for name, step, members in [
        ("identity", "identity", {"biscuit": BISCUIT}),
        ("task", "task", whole),
    ]:
        for kind, key in [("none", None), ("damaged", KEY.stored[:-4])]:
            params = {n: v for n, v in members.items() if n != "private_key"}
            if key:
                params["private_key"] = key
            yield refused(
                f"{name}-private-key-{kind}",
                "the key is read as key.parse reads it",
                protocol("Key"),
                usual,
                step,
                "invalid_private_key",
                **params,
            )
    yield refused(
        "task-after-9999",
        "a proof needs a time that RFC 3339 can write",
        protocol("Timestamps"),
        usual,
        "task",
        "invalid_time",
        **(whole | {"now": MAX_TIME + 1}),
    )
    for name, error, members in [
        (
            "profile",
            "invalid_config",
            {"config": usual.config | {"profile": "auth-api", "auth_api_url": "x"}},
        ),
        ("base-url", "invalid_base_url", {"config": usual.config | {"base_url": "x"}}),
        (
            "token",
            "invalid_credentials",
            {"credentials": credentials(token="a\nb")},
        ),
    ]:
        yield refused(
            f"request-{name}",
            "a configuration, or credentials, that no flow takes",
            RULE,
            usual,
            "identity",
            error,
            **(with_key | {"biscuit": BISCUIT} | members),
        )
    nobody = credentials("chatgpt", None)
    for name, run, step, members in [
        ("biscuit", Run(creds=nobody), "biscuit", for_identity),
        ("auth-api-identity", AuthAPIRun(creds=nobody), "identity", with_key),
        ("instances", InstanceRun(creds=nobody), "identity", idempotent),
    ]:
        yield refused(
            f"{name}-no-token",
            "there is no token to register with",
            "this project's rule: an error that says to sign in",
            run,
            step,
            "no_access_token",
            **members,
        )
    for name, run, step, members in [
        ("auth-api-identity", AuthAPIRun(configured=False), "identity", with_key),
        ("auth-api-task", AuthAPIRun(configured=False), "task", with_key | agent),
        ("instances", InstanceRun(configured=False), "identity", idempotent),
    ]:
        yield refused(
            f"{name}-nowhere",
            "nobody knows where agents of this backend are registered",
            "this project's rule: a token is sent to nobody by guessing",
            run,
            step,
            "no_auth_api",
            **members,
        )


# Segments of a path that change what the path is.
DOT = ("dot", ".", "a segment that stands for where it is")
DOTS = ("dots", "..", "a segment that stands for what is above")

SEALED = KEY.seal(EPHEMERAL, captured.TASK_ID)
AGENT = ("agent_runtime_id", "agent_runtime_id", "invalid_agent_runtime_id")
INSTANCE = ("runtime_agent_instance_id", "runtime_agent_instance", "invalid_response")
IDENTITIES = {"": AGENT, "auth-api": AGENT, "instances": INSTANCE}


def reads():
    """Yield the vectors of registration.read."""

    def vector(name, comment, source, profile, step, body=None, **members):
        params = {"step": step, "status": 200}
        if profile:
            params["profile"] = profile
        if body is not None:
            text = body if isinstance(body, str) else compact(body)
            params["body"] = utf8(text)
        expected = {n: members.pop(n) for n in ["ok", "error"] if n in members}
        return call(
            f"registration-read-{profile or 'biscuit'}-{name}",
            comment,
            source,
            "registration.read",
            params | members,
            **expected,
        )

    key = {"private_key": KEY.stored}
    header = {"X-OpenAI-Authorization": "biscuit-1", "Date": "never"}
    yield vector(
        "biscuit",
        "a biscuit comes in a header, whose case does not matter",
        capture("enabled.jsonl", 2),
        "",
        "biscuit",
        headers=fields(header),
        ok={"biscuit": "biscuit-1"},
    )
    for name, headers in [
        ("none", {"date": "never"}),
        ("empty", {"x-openai-authorization": ""}),
        ("line-feed", {"x-openai-authorization": "a\nb"}),
        ("8193-bytes", {"x-openai-authorization": "x" * 8193}),
    ]:
        yield vector(
            f"biscuit-{name}-refused",
            "no biscuit, or one that a header cannot hold",
            RULE,
            "",
            "biscuit",
            headers=fields(headers),
            error="invalid_response",
        )
    for profile, (member, result, unfit) in IDENTITIES.items():
        for name, body in [
            ("usual", {member: "an-id"}),
            ("others-beside", {"a": [], member: "an-id", "z": None}),
        ]:
            yield vector(
                f"identity-{name}",
                "the id that the backend has given",
                REGISTRATION,
                profile,
                "identity",
                body,
                ok={result: "an-id"},
            )
        for name, body in [
            ("no-body", None),
            ("empty-object", {}),
            ("array", []),
            ("number", {member: 1}),
            ("null", {member: None}),
            ("twice", f'{{"{member}":"a","{member}":"b"}}'),
            ("trailing", f'{{"{member}":"a"}} x'),
            ("over-64-kib", compact({member: "an-id"}).ljust(65537)),
        ]:
            yield vector(
                f"identity-{name}-refused",
                "an answer that does not say it",
                BODIES,
                profile,
                "identity",
                body,
                error="invalid_response",
            )
        for status in [0, 199, 300, 401, 404, 500]:
            yield vector(
                f"identity-{status}-refused",
                "the backend has not registered it, whatever the body says",
                REGISTRATION,
                profile,
                "identity",
                {member: "an-id"},
                status=status,
                error="http_status",
            )
        yield vector(
            "identity-299",
            "any status of success",
            REGISTRATION,
            profile,
            "identity",
            {member: "an-id"},
            status=299,
            ok={result: "an-id"},
        )
        for name, text, comment in BAD_IDS:
            yield vector(
                f"identity-{name}-refused",
                comment,
                "this project's rule: an id that no assertion may have",
                profile,
                "identity",
                {member: text},
                error=unfit,
            )
        yield vector(
            "step-unknown-refused",
            "a step that no profile has",
            "this project's rule: the profiles' steps",
            profile,
            "instance",
            {member: "an-id"},
            error="invalid_config",
        )
    for name, text, comment in [("colon", "a:b", "a colon"), DOT, DOTS]:
        for profile in ["", "auth-api"]:
            yield vector(
                f"identity-{name}-refused",
                f"no task could be registered for it: {comment}",
                "this project's rule: an id that would stay, and be of no use",
                profile,
                "identity",
                {"agent_runtime_id": text},
                error="invalid_agent_runtime_id",
            )
    for profile, step in [
        ("auth-api", "biscuit"),
        ("instances", "biscuit"),
        ("instances", "task"),
    ]:
        yield vector(
            f"{step}-refused",
            "a step that this profile does not have",
            "this project's rule: the profiles' steps",
            profile,
            step,
            {"task_id": "task-4"},
            headers=fields(header),
            error="invalid_config",
            **key,
        )

    for profile in ["", "auth-api"]:
        yield vector(
            "task-sealed",
            "the task id is in a sealed box",
            capture("enabled.jsonl", 5),
            profile,
            "task",
            captured.ENABLED[5]["response"]["body"],
            ok={"task_id": captured.TASK_ID},
            **key,
        )
        yield vector(
            "task-other-key-refused",
            "a box for another agent",
            "refused by libsodium's crypto_box_seal_open",
            profile,
            "task",
            {"encrypted_task_id": SEALED},
            error="invalid_sealed_task_id",
            private_key=OTHER_KEY.stored,
        )
        yield vector(
            "task-no-key-refused",
            "the key is read as key.parse reads it",
            protocol("Key"),
            profile,
            "task",
            {"encrypted_task_id": SEALED},
            error="invalid_private_key",
        )
        yield vector(
            "task-403-refused",
            "the backend has not registered it",
            REGISTRATION,
            profile,
            "task",
            {"encrypted_task_id": SEALED},
            status=403,
            error="http_status",
            **key,
        )
    for name in ["task_id", "taskId"]:
        yield vector(
            f"task-{name}",
            "a task id in the clear",
            AUTH_API,
            "auth-api",
            "task",
            {"encrypted_task_id": SEALED, name: "task-9"},
            ok={"task_id": "task-9"},
            **key,
        )
    yield vector(
        "task-empty-beside-sealed",
        "an empty task id leaves room for a sealed one",
        "this project's rule: what is empty is no task",
        "auth-api",
        "task",
        {"task_id": "", "encrypted_task_id": SEALED},
        ok={"task_id": captured.TASK_ID},
        **key,
    )
    yield vector(
        "task-in-the-clear-refused",
        "the default profile has none in the clear",
        REGISTRATION,
        "",
        "task",
        {"task_id": "task-9"},
        error="invalid_response",
        **key,
    )
    yield vector(
        "profile-unknown-refused",
        "no such profile",
        "this project's rule: the profiles",
        "biscuit",
        "identity",
        {"agent_runtime_id": "agent-rt-2"},
        error="invalid_config",
    )
