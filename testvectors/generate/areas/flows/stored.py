"""Flows that end before anything is registered, or begin with an identity."""

import json

import captured
from areas.credentials import JWT, PRETTY_IDENTITY
from areas.decisions import API_KEY, BACKGROUND, NOBODY, SUPPORTED, config, credentials
from areas.flows.script import (
    BACK_OFF,
    DONE,
    FALL_BACK,
    LATER,
    LONGEST_PAUSE,
    NEW_IDENTITY_ENTROPY,
    NEW_TASK_ENTROPY,
    OURS,
    PROBE_IDENTITY,
    REQUEST_IDS,
    STORED,
    TASKLESS,
    WITH_TASK,
    AuthAPIRun,
    Run,
    identity,
    loaded,
)
from fixtures import KEY, OTHER_KEY
from primitives import b64, compact, timestamp
from vectors import hexadecimal


def without_registration():
    """Yield flows that end before anything is registered."""
    for surface in [*BACKGROUND, "background"]:
        run = Run(surface=surface)
        run.start()
        run.asserts(loaded(WITH_TASK))
        yield run.end(
            f"stored-{surface}",
            "a stored identity, on every background surface",
            STORED,
        )
    run = Run(surface="bootstrap")
    run.start(lambda: run.bearer("bearer-only-surface"))
    yield run.end("bearer-only", "a bearer-only surface asks for nothing", FALL_BACK)
    run = Run(surface="bootstrap", creds=credentials(token=None))
    run.start(lambda: run.bearer("bearer-only-surface"))
    yield run.end(
        "bearer-only-no-access-token", "bearer, but there is no token", FALL_BACK
    )
    for name, creds in [("api-key", API_KEY), ("nobody", NOBODY)]:
        run = Run(creds=creds)
        end = {"mode": "none", "reason": "no-chatgpt-credentials"}
        end["valid_until"] = captured.TIME
        run.start({"type": "done", "authorization": end})
        yield run.end(f"{name}", "no ChatGPT credentials", FALL_BACK)
    run = Run(creds=credentials(account=None))
    run.start(lambda: run.bearer("no-account-id"))
    yield run.end("no-account-id", "no account to bind an identity to", FALL_BACK)

    run = Run(creds=credentials(token=None))
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "stored-no-access-token", "an assertion needs no access token", FALL_BACK
    )
    run = Run(creds=credentials(token=None))
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end(
        "no-access-token",
        "a registration does, and without one nothing is deleted or registered",
        FALL_BACK,
    )
    run = Run(creds=credentials(token=None))
    run.to_last_load(TASKLESS)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("task-no-access-token", "so does a task's registration", FALL_BACK)
    foreign = identity(workspace_id="acct-2")
    run = Run(creds=credentials(token=None))
    run.to_last_load(foreign)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end(
        "foreign-workspace-no-access-token",
        "an identity that could not be replaced is not deleted",
        FALL_BACK,
    )


# As later clients write the record.
LATER_FORM = {
    "agent_runtime_id": captured.RUNTIME_ID,
    "agent_private_key": KEY.stored,
    "account_id": "acct-1",
    "chatgpt_user_id": "user-1",
    "email": "u@example.com",
    "plan_type": "pro",
    "chatgpt_account_is_fedramp": False,
    "task_id": captured.TASK_ID,
}
assert list(LATER_FORM) == list(captured.LATER_IDENTITY)


def stored():
    """Yield flows that begin with a stored identity."""
    used = [
        ("pretty", "with line feeds, as in auth.json", json.dumps(OURS, indent=2)),
        ("without-user", "of a user that is not known", identity(chatgpt_user_id=None)),
        (
            "key-in-version-1",
            "whose key is in the older form",
            identity(agent_private_key=b64(KEY.der_v1)),
        ),
        (
            "unknown-members",
            "with members that nobody knows",
            identity(x=[1, {"y": None}], z=""),
        ),
        (
            "members-reordered",
            "with its members in another order",
            compact(dict(reversed(OURS.items()))),
        ),
        (
            "without-registered-at",
            "without the time of its registration",
            identity(registered_at=None),
        ),
        (
            "first-release",
            "as this project wrote it first",
            compact(captured.IDENTITY | {"task_replaced_at": "2026-11-24T15:10:00Z"}),
        ),
        ("later-form", "as later clients write it", compact(LATER_FORM)),
        (
            "later-form-without-email",
            "as later clients write it where there is no e-mail address",
            compact({n: v for n, v in LATER_FORM.items() if n != "email"}),
        ),
        (
            "later-form-empty-email",
            "as later clients write it where there is no e-mail address",
            compact(LATER_FORM | {"email": ""}),
        ),
        (
            "later-form-after-0-123",
            "in which 0.123 has left what it knows",
            compact(LATER_FORM | captured.IDENTITY),
        ),
    ]
    for name, comment, record in used:
        run = Run(creds=credentials(user=None) if name == "without-user" else None)
        run.start()
        run.uses(record)
        yield run.end(f"stored-identity-{name}", f"an identity {comment}", STORED)

    run = Run(creds=credentials(user=None))
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "stored-identity-user-not-known-now",
        "the current credentials know no user, so that none is compared",
        STORED,
    )
    run = Run(cfg=config(forced="acct-2"))
    run.start()
    run.asserts(loaded(identity(workspace_id="acct-2")))
    yield run.end(
        "stored-identity-forced-workspace",
        "the identity is compared with the forced workspace id",
        STORED,
    )
    for name, comment, task in [
        ("colons", "a task id with colons", "a:b"),
        ("non-ascii", "a task id that is not ASCII", "任务-🦀"),
    ]:
        run = Run()
        run.start()
        run.asserts(loaded(identity(task_id=task)), task)
        yield run.end(f"stored-task-{name}", comment, STORED)

    # An id that can be signed, but not be in a path.
    for name, text in [("dot", "."), ("two-dots", "..")]:
        record = identity(agent_runtime_id=text, task_id=None)
        run = Run()
        run.to_last_load(record)
        run.probed(loaded(), NEW_TASK_ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
        run.backs_off(event, "invalid_agent_runtime_id")
        yield run.end(
            f"stored-runtime-id-{name}",
            "the identity stays, but no task can be registered for it",
            BACK_OFF,
        )
        run = AuthAPIRun()
        run.to_last_load(record)
        run.step(loaded(), PROBE_IDENTITY)
        run.backs_off(DONE, "invalid_agent_runtime_id", pause=LONGEST_PAUSE)
        yield run.end(
            f"later-stored-runtime-id-{name}",
            "the identity stays, but no task can be registered for it",
            BACK_OFF,
        )

    # What is there is not used, and replaced.
    mismatched = b64(KEY.der_v2[:-32] + OTHER_KEY.public)
    for name, comment, record, members in [
        (
            "foreign-workspace",
            "another workspace's identity",
            identity(workspace_id="acct-2"),
            {},
        ),
        (
            "forced-workspace",
            "the account's own, but another workspace is forced",
            WITH_TASK,
            {"cfg": config(forced="acct-2")},
        ),
        (
            "later-form-foreign-account",
            "the later form's, of another account",
            identity(workspace_id=None, account_id="acct-2"),
            {},
        ),
        (
            "no-workspace",
            "an identity of no workspace",
            identity(workspace_id=None),
            {},
        ),
        (
            "other-user",
            "another user's identity",
            identity(chatgpt_user_id="user-2"),
            {},
        ),
        (
            "no-user",
            "an identity of no user, where the current one is known",
            identity(chatgpt_user_id=None),
            {},
        ),
        (
            "damaged-key",
            "an identity whose key is damaged",
            identity(agent_private_key="damaged"),
            {},
        ),
        (
            "mismatched-key",
            "an identity whose key's public half belongs to another",
            identity(agent_private_key=mismatched),
            {},
        ),
        ("no-key", "an identity without a key", identity(agent_private_key=None), {}),
        (
            "no-runtime-id",
            "an identity without its id",
            identity(agent_runtime_id=None),
            {},
        ),
        (
            "runtime-id-with-colon",
            "an identity with an id that must not be signed",
            identity(agent_runtime_id="a:b"),
            {},
        ),
    ]:
        run = Run(**members)
        run.to_last_load(record)
        run.step(loaded(), PROBE_IDENTITY)
        run.sets_aside(NEW_IDENTITY_ENTROPY)
        run.give_entropy()
        run.identity_biscuit_minted()
        run.identity_registered()
        run.identity_saved()
        run.task_biscuit_minted()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(
            f"replaced-{name}",
            f"{comment}: it is set aside, a new one registered",
            STORED,
        )

    # What is there is used, but lacks a task.
    later = {n: v for n, v in LATER_FORM.items() if n != "task_id"}
    in_the_middle = (
        f'{{"workspace_id":"acct-1","background_task_id":%s,"chatgpt_user_id":"user-1",'
        f'"account_id":"acct-1","plan_type":"pro","chatgpt_account_is_fedramp":false,'
        f'"registered_at":"2026-11-24T15:16:08Z","base_url":"{SUPPORTED}",'
        f'"agent_runtime_id":"agent-rt-2","agent_private_key":"{KEY.stored}"%s}}'
    )
    good = in_the_middle % ('"task-4"', ',"task_id":"task-4"')
    before_task = PRETTY_IDENTITY.replace(',\n    "background_task_id": "task-4"', "")
    for name, comment, before, after in [
        ("missing", "no task", TASKLESS, WITH_TASK),
        (
            "missing-pretty",
            "no task, in a record with line feeds: all of it stays",
            before_task,
            before_task.removesuffix("\n  }")
            + """,
    "task_id": "task-4",
    "background_task_id": "task-4",
    "account_id": "acct-1",
    "plan_type": "unknown",
    "chatgpt_account_is_fedramp": false
  }""",
        ),
        (
            "missing-later-form",
            "no task, in the later form: every member stays, in its place",
            compact(later),
            lambda run: compact(
                later
                | {
                    "task_id": "task-4",
                    "background_task_id": "task-4",
                    "workspace_id": "acct-1",
                    "registered_at": timestamp(run.now),
                }
            ),
        ),
        (
            "missing-unknown-members",
            "no task: what nobody knows stays, as it was written",
            TASKLESS[:-1] + r',"z":1.50,"a":"\u00e9\/" , "b" : [ 1 ]}',
            TASKLESS[:-1]
            + r',"z":1.50,"a":"\u00e9\/" , "b" : [ 1 ], "task_id": "task-4"'
            + ', "background_task_id": "task-4"}',
        ),
        ("null", "null", in_the_middle % ("null", ""), good),
        ("null-twice", "null", in_the_middle % ("null", ',"task_id":null'), good),
        ("empty", "an empty task id", in_the_middle % ('""', ""), good),
        (
            "with-control-character",
            "a task id that must not be signed",
            in_the_middle % (r'"a\nb"', ""),
            good,
        ),
        (
            "not-a-string",
            "a task id that is no string",
            in_the_middle % ("4", ""),
            good,
        ),
    ]:
        run = Run()
        run.to_register_task(before)
        run.task_registered(after)
        run.asserts(DONE)
        yield run.end(
            f"task-{name}", f"{comment}: the identity stays, and gets a task", STORED
        )

    # What is there cannot be read, and is left alone.
    for name, comment, record in [
        ("jwt", "a JWT, as later clients may leave it", compact(JWT)),
        ("not-json", "no JSON", "damaged"),
        ("array", "an array", "[]"),
        ("number", "a number", "1"),
        ("empty-object", "an object without an id and a key", "{}"),
        (
            "unheard-of",
            "a form that nobody here knows",
            '{"version":2,"agent":{"id":"a","key":"b"}}',
        ),
        (
            "duplicate-member",
            "a record that parsers read differently",
            WITH_TASK[:-1] + ',"agent_runtime_id":"agent-rt-3"}',
        ),
    ]:
        run = Run()
        run.start()
        run.falls_back(loaded(record), "store-failed", "unreadable_identity")
        yield run.end(f"unreadable-{name}", f"{comment}: it is left alone", LATER)
