"""Flows that end with what the user should know, or with why there is nothing."""

import captured
from areas.credentials import jwt
from areas.decisions import UNSUPPORTED, config, credentials
from areas.flows.script import (
    NEW_IDENTITY_ENTROPY,
    PROBE_IDENTITY,
    SET_ASIDE,
    WITH_TASK,
    Run,
    ThreadRun,
    identity,
    loaded,
    response,
)

TOKENS = "this project's rule: an access token that has expired is said"
PROBLEMS = "this project's rule: what is wrong is said"


def notices():
    """Yield flows with an access token that has expired, and without any."""
    now = captured.TIME
    expired = jwt({"exp": now - 60})
    for name, comment, token in [
        ("now", "it expires in this very second", jwt({"exp": now})),
        ("a-minute-ago", "it has expired", expired),
        ("zero", "it has expired", jwt({"exp": 0})),
        ("a-second-to-go", "it has not expired", jwt({"exp": now + 1})),
        ("no-exp", "it does not say", jwt({})),
        ("fraction", "nor in whole seconds", jwt('{"exp":1.5}')),
        ("text", "nor as a number", jwt({"exp": "1"})),
        ("negative", "nor as a time", jwt({"exp": -1})),
        ("not-json", "nor this", jwt("claims")),
        ("array", "nor this", jwt("[1]")),
        ("opaque", "nor does a token that is no JWT", "at-1"),
        ("two-parts", "nor does a token that is no JWT", expired.rsplit(".", 1)[0]),
    ]:
        run = Run(creds=credentials(token=token), cfg=config(gate=False))
        run.start(lambda run=run: run.bearer("feature-off"))
        noticed = "notice" in run.steps[0]["effect"]["authorization"]
        assert noticed == (name in ["now", "a-minute-ago", "zero"])
        yield run.end(f"token-expired-{name}", comment, TOKENS)
    late = credentials(token=expired)
    for name, members, reason in [
        ("unsupported-host", {"cfg": config(UNSUPPORTED)}, "unsupported-host"),
        ("bearer-only", {"surface": "bootstrap"}, "bearer-only-surface"),
        (
            "no-account-id",
            {"creds": credentials(token=expired, account=None)},
            "no-account-id",
        ),
    ]:
        run = Run(**{"creds": late} | members)
        run.start(lambda run=run, reason=reason: run.bearer(reason))
        yield run.end(f"token-expired-{name}", "whyever it is sent", TOKENS)
    run = Run(creds=late)
    run.to_identity_biscuit()
    run.backs_off(response(401), "http_status")
    yield run.end("token-expired-registration", "and what failed, beside it", TOKENS)
    run = Run(creds=late)
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end("token-expired-not-sent", "an assertion needs no token", TOKENS)
    run = ThreadRun(creds=late)
    run.to_task_biscuit()
    run.backs_off(response(401), "http_status")
    yield run.end("token-expired-thread", "nothing is sent", TOKENS)
    run = Run(creds=late)
    run.to_last_load(identity(workspace_id="acct-2"))
    run.step(loaded(), PROBE_IDENTITY)
    run.sets_aside(NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.backs_off(response(401), "http_status")
    yield run.end("token-expired-set-aside", "what is told once comes first", SET_ASIDE)
    for kind, code in [
        ("none", "not_signed_in"),
        ("api-key", "api_key_sign_in"),
        ("other", "identity_jwt_sign_in"),
        ("other", "other_sign_in"),
        ("none", "auth_file_missing"),
    ]:
        problem = {"code": code, "message": "there is nothing to sign in with"}
        for surface in ["models", "bootstrap"]:
            run = Run(creds={"kind": kind, "problem": problem}, surface=surface)
            end = {
                "mode": "none",
                "reason": "no-chatgpt-credentials",
                "valid_until": captured.TIME,
                "cause": {"code": code},
            }
            run.start({"type": "done", "authorization": end})
            yield run.end(
                f"problem-{code}-{surface}",
                "whoever looked for credentials says why there are none",
                PROBLEMS,
            )
    problem = {"code": "auth_file_busy", "message": "somebody writes to it"}
    run = Run(creds=credentials() | {"problem": problem}, cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("problem-but-credentials", "there are: nobody asks", PROBLEMS)
