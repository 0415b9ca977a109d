"""flow.step: whole flows, from a stored identity or none to a header.

Each flow is a script of what the host says and what the flow asks for in return.
Unless a flow says otherwise, every event comes a second after the one before it,
so that the second shows which event's time a value was made from.
"""

import hashlib
import json
import urllib.parse

import captured
from areas.credentials import JWT, PRETTY_IDENTITY
from areas.decisions import (
    API_KEY,
    BACKGROUND,
    NOBODY,
    THREAD,
    UNSUPPORTED,
    config,
    credentials,
)
from fixtures import KEY, OTHER_KEY
from primitives import (
    MAX_TIME,
    MIN_TIME,
    Key,
    b64,
    b64url,
    compact,
    timestamp,
    unix_time,
)
from vectors import call, capture, flow, hexadecimal, protocol, utf8

FLOW = "protocol page: Registration; this project's flow"
BACK_OFF = "this project's rule: back-off"
FALL_BACK = protocol("Who gets what, rules 7 and 8")
STORED = protocol("A stored identity is used only if")
LATER = protocol("Later profile")

# 15 s, and 64 KiB.
LIMITS = {"timeout_ms": 15000, "size_limit": 65536}
LONGEST_PAUSE = 3600
LONGEST_RETRY_AFTER = 86400
JITTER = bytes([0xC0, 0, 0, 0])

REQUEST_IDS = [bytes(range(0xA0, 0xB0)), bytes(range(0xC0, 0xD0))]
EPHEMERAL = bytes(range(32))

LOAD_IDENTITY = {"type": "load", "slot": "identity"}
LOAD_BACKOFF = {"type": "load", "slot": "backoff"}
LOCK = {"type": "lock"}
DELETE_IDENTITY = {"type": "delete", "slot": "identity"}
DELETE_BACKOFF = {"type": "delete", "slot": "backoff"}
NEW_IDENTITY_ENTROPY = {"type": "entropy", "size": 64}
NEW_TASK_ENTROPY = {"type": "entropy", "size": 16}
JITTER_ENTROPY = {"type": "entropy", "size": 4}

DONE = {"type": "done"}


def save(slot, record):
    """Return the effect that saves a record."""
    return {"type": "save", "slot": slot, "record": utf8(record)}


def loaded(record=None):
    """Return the event that answers a load."""
    event = {"type": "loaded"}
    if record is not None:
        event["record"] = utf8(record)
    return event


def failed(failure):
    """Return the event that says that an effect failed."""
    return {"type": "failed", "failure": failure}


def response(status, body=None, headers=None):
    """Return a response; the body is bytes, text, or a value for JSON."""
    event = {"type": "response", "status": status}
    if headers:
        event["headers"] = fields(headers)
    if isinstance(body, bytes):
        event["body"] = hexadecimal(body)
    elif body is not None:
        event["body"] = utf8(body if isinstance(body, str) else compact(body))
    return event


def fields(headers):
    """Return header fields in the form of the ABI."""
    return [{"name": name, "value": value} for name, value in headers.items()]


def back_off_entry(now, code, failures=1, pause=60):
    """Return an account's failures, whose last was now."""
    retry_at = timestamp(min(now + pause, MAX_TIME))
    return {"failures": failures, "retry_at": retry_at, "code": code}


def back_off(now, code, failures=1, account=captured.ACCOUNT_ID, pause=60):
    """Return the record of one account's failures, whose last was now."""
    return compact({account: back_off_entry(now, code, failures, pause)})


def with_entry(record, account, entry):
    """Return a record of failures with an account's entry set."""

    def unique(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    try:
        known = json.loads(record or "{}", object_pairs_hook=unique)
    except ValueError:
        known = {}
    if not isinstance(known, dict):
        known = {}
    return compact(known | {account: entry})


def jittered(pause, retry_after=0, jitter=JITTER):
    """Return a pause of which the jitter, if any, has taken a part, up to a half."""
    if jitter:
        half = pause // 2
        pause = pause - half + (half * int.from_bytes(jitter, "big") >> 32)
    return max(pause, min(retry_after, LONGEST_RETRY_AFTER))


class Run:
    """A flow that is being written, with what is known along the way."""

    def __init__(
        self,
        *,
        now=captured.TIME,
        tick=1,
        key=KEY,
        request_ids=REQUEST_IDS,
        runtime=captured.RUNTIME_ID,
        cfg=None,
        creds=None,
        surface="models",
        base=None,
        rejected=None,
        thread=None,
    ):
        self.now, self.tick = now - tick, tick
        self.key, self.request_ids, self.runtime = key, request_ids, runtime
        self.config = cfg or config()
        self.credentials = creds or credentials()
        self.surface = surface
        self.rejected, self.thread = rejected, thread
        self.base = base or self.config["base_url"]
        forced = self.config.get("forced_workspace_id")
        self.account = forced or self.credentials.get("account_id")
        self.steps = []

    # What goes in and comes out.

    def event(self, event):
        """Return the event with its time, which is later than the last one's."""
        self.now += self.tick
        return {"type": event["type"], "now": self.now} | event

    def step(self, event, effect):
        """Add a step. An effect that depends on the time is a function of it."""
        event = self.event(event)
        if callable(effect):
            effect = effect()
        self.steps.append({"event": event, "effect": effect})
        return self

    def refuse(self, event, code):
        """Add a step that fails, and after which the last state is still good."""
        self.steps.append({"event": self.event(event), "error": {"code": code}})
        return self

    # Effects.

    def bearer(self, reason, code=None, retry_at=None):
        """Return the end of a flow that falls back to the access token."""
        result = {"mode": "bearer", "reason": reason}
        token = self.credentials.get("access_token")
        if token:
            result["header"] = f"Bearer {token}"
        else:
            result = {"mode": "none", "reason": "no-access-token"}
        if self.account:
            result["account_id"] = self.account
        if token and self.credentials.get("fedramp"):
            result["fedramp"] = True
        result["valid_until"] = self.now
        if retry_at is not None:
            result["retry_at"] = retry_at
        if code:
            result["cause"] = {"code": code}
        return {"type": "done", "authorization": result}

    def assertion(self, task=captured.TASK_ID):
        """Return the end of a flow that has a task."""
        result = {
            "mode": "agent-assertion",
            "reason": "background-task",
            "header": self.key.assertion(self.runtime, task, self.now),
            "account_id": self.account,
            "agent_runtime_id": self.runtime,
            "task_id": task,
            "valid_until": self.now,
        }
        if self.credentials.get("fedramp"):
            result["fedramp"] = True
        return {"type": "done", "authorization": result}

    def biscuit(self, request_id, url):
        """Return the request for a biscuit."""
        token = self.credentials["access_token"]
        return {
            "type": "http",
            "method": "GET",
            "url": f"{self.base}/authenticate_app_v2",
            "headers": fields(
                {
                    "authorization": f"Bearer {token}",
                    "x-request-id": f"codex-agent-identity-{b64url(request_id)}",
                    "x-original-method": "POST",
                    "x-original-url": url,
                }
            ),
            **LIMITS,
            "response_headers": ["x-openai-authorization", "retry-after"],
        }

    def post(self, url, biscuit, body):
        """Return one of the two registrations."""
        return {
            "type": "http",
            "method": "POST",
            "url": url,
            "headers": fields(
                {
                    "x-openai-authorization": biscuit,
                    "content-type": "application/json",
                }
            ),
            "body": utf8(body),
            **LIMITS,
            "response_headers": ["retry-after"],
        }

    @property
    def register_url(self):
        """Where an identity is registered."""
        return f"{self.base}/v1/agent/register"

    @property
    def task_url(self):
        """Where a task is registered."""
        runtime = urllib.parse.quote(self.runtime, safe="")
        return f"{self.base}/v1/agent/{runtime}/task/register"

    def identity_biscuit(self):
        """Return the first request of a registration."""
        return self.biscuit(self.request_ids[0], self.register_url)

    def register_identity(self, biscuit="biscuit-1"):
        """Return the second request of a registration."""
        body = {
            "abom": {
                name: self.config["abom"][name]
                for name in ["agent_version", "agent_harness_id", "running_location"]
            },
            "agent_public_key": self.key.openssh,
            "capabilities": [],
        }
        return self.post(self.register_url, biscuit, compact(body))

    def task_biscuit(self, request_id=None):
        """Return the third request of a registration."""
        return self.biscuit(request_id or self.request_ids[1], self.task_url)

    def register_task(self, biscuit="biscuit-3"):
        """Return the fourth request of a registration."""
        proof = self.key.registration_proof(self.runtime, self.now)
        return self.post(self.task_url, biscuit, compact(proof))

    def record(self, registered_at=None, **task):
        """Return the record of a new identity."""
        record = {"workspace_id": self.account}
        user = self.credentials.get("user_id")
        if user:
            record["chatgpt_user_id"] = user
        record |= {
            "agent_runtime_id": self.runtime,
            "agent_private_key": self.key.stored,
            "registered_at": timestamp(
                self.now if registered_at is None else registered_at
            ),
        }
        return compact(record | task)

    # Parts of the way.

    def start(self, effect=LOAD_IDENTITY):
        """Begin."""
        event = {
            "type": "start",
            "config": self.config,
            "surface": self.surface,
            "credentials": self.credentials,
        }
        if self.rejected:
            event["rejected"] = self.rejected
        if self.thread:
            event["thread_id"] = self.thread
        return self.step(event, effect)

    def to_lock(self, identity=None, backoff=None):
        """Go on until the store is to be locked."""
        self.start()
        self.step(loaded(identity), LOAD_BACKOFF)
        return self.step(loaded(backoff), LOCK)

    def to_last_load(self, identity=None, backoff=None):
        """Go on until all that is left to load is the back-off, once more."""
        self.to_lock(identity, backoff)
        self.step(DONE, LOAD_IDENTITY)
        return self.step(loaded(identity), LOAD_BACKOFF)

    def to_identity_biscuit(self, backoff=None):
        """Go on, without an identity, until the first biscuit is wanted."""
        self.to_last_load(None, backoff)
        self.step(loaded(backoff), NEW_IDENTITY_ENTROPY)
        return self.give_entropy()

    def give_entropy(self):
        """Hand over the seed and the two request ids."""
        entropy = self.key.seed + b"".join(self.request_ids)
        event = {"type": "entropy", "entropy": hexadecimal(entropy)}
        return self.step(event, self.identity_biscuit)

    def to_register_identity(self, backoff=None):
        """Go on until the identity is to be registered."""
        self.to_identity_biscuit(backoff)
        return self.identity_biscuit_minted()

    def identity_biscuit_minted(self):
        """Answer the first request."""
        return self.step(
            response(200, headers={"x-openai-authorization": "biscuit-1"}),
            self.register_identity,
        )

    def identity_registered(self, body=None):
        """Answer the second request."""
        self.step(
            response(200, body or {"agent_runtime_id": self.runtime}),
            lambda: save("identity", self.record()),
        )
        self.registered_at = self.now
        return self

    def identity_saved(self):
        """Go on to the third request."""
        return self.step(DONE, self.task_biscuit)

    def to_task_biscuit(self, identity, backoff=None):
        """Go on, with an identity but no task, until its biscuit is wanted."""
        self.to_last_load(identity, backoff)
        self.step(loaded(backoff), NEW_TASK_ENTROPY)
        request_id = self.request_ids[1]
        event = {"type": "entropy", "entropy": hexadecimal(request_id)}
        return self.step(event, self.task_biscuit)

    def task_biscuit_minted(self):
        """Answer the third request."""
        return self.step(
            response(200, headers={"x-openai-authorization": "biscuit-3"}),
            self.register_task,
        )

    def to_register_task(self, identity, backoff=None):
        """Go on, with an identity but no task, until a task is to be registered."""
        self.to_task_biscuit(identity, backoff)
        return self.task_biscuit_minted()

    def task_registered(self, record, task=captured.TASK_ID):
        """Answer the fourth request."""
        sealed = self.key.seal(EPHEMERAL, task)
        return self.step(
            response(200, {"encrypted_task_id": sealed}), save("identity", record)
        )

    def fresh_task_registered(self):
        """Answer the fourth request of a flow that made its own identity."""
        record = self.record(self.registered_at, background_task_id=captured.TASK_ID)
        return self.task_registered(record)

    # Ends.

    def end(self, name, comment, source):
        """Return the vector."""
        return flow(name, comment, source, self.steps)

    def asserts(self, event, task=captured.TASK_ID):
        """End with an assertion."""
        return self.step(event, lambda: self.assertion(task))

    def falls_back(self, event, reason, code=None, retry_at=None):
        """End with the access token, without a pause."""
        return self.step(event, lambda: self.bearer(reason, code, retry_at))

    def backs_off(
        self,
        event,
        code,
        reason="registration-failed",
        *,
        failures=1,
        pause=60,
        retry_after=0,
        record=None,
        saved=None,
        jitter=JITTER,
        no_jitter=None,
        last=DONE,
    ):
        """End as after a failure, once that is saved.

        The record that is saved is made from the entry by saved, where that is
        not the usual way; no_jitter is the event in place of entropy.
        """
        pause = jittered(pause, retry_after, None if no_jitter else jitter)
        self.step(event, JITTER_ENTROPY)

        def effect():
            entry = back_off_entry(self.now, code, failures, pause)
            if saved:
                return save("backoff", saved(entry))
            return save("backoff", with_entry(record, self.account, entry))

        entropy = {"type": "entropy", "entropy": hexadecimal(jitter)}
        self.step(no_jitter or entropy, effect)
        retry_at = min(self.now + pause, MAX_TIME)
        return self.falls_back(last, reason, code, retry_at)


# A stored identity that lacks nothing but a task, and with one.
TASKLESS = compact(
    {n: v for n, v in captured.IDENTITY.items() if n != "background_task_id"}
)
WITH_TASK = compact(captured.IDENTITY)


def identity(**members):
    """Return the captured identity with other members; None removes one."""
    record = captured.IDENTITY | members
    return compact({n: v for n, v in record.items() if v is not None})


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


def stored():
    """Yield flows that begin with a stored identity."""
    used = [
        ("pretty", "with line feeds, as in auth.json", PRETTY_IDENTITY),
        ("without-user", "of a user that is not known", None),
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
            compact(dict(reversed(captured.IDENTITY.items()))),
        ),
        (
            "without-registered-at",
            "without the time of its registration",
            identity(registered_at=None),
        ),
        (
            "later-form",
            "as later clients write it, with account_id",
            identity(
                workspace_id=None,
                account_id="acct-1",
                email="u@example.com",
                plan_type="pro",
                chatgpt_account_is_fedramp=False,
            ),
        ),
    ]
    for name, comment, record in used:
        run = Run(creds=credentials(user=None) if name == "without-user" else None)
        run.start()
        run.asserts(loaded(record or identity(chatgpt_user_id=None)))
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
        run.asserts(loaded(identity(background_task_id=task)), task)
        yield run.end(f"stored-task-{name}", comment, STORED)

    # An id that can be signed, but not be in a path.
    for name, text in [("dot", "."), ("two-dots", "..")]:
        record = identity(agent_runtime_id=text, background_task_id=None)
        run = Run()
        run.to_last_load(record)
        run.step(loaded(), NEW_TASK_ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
        run.backs_off(event, "invalid_agent_runtime_id")
        yield run.end(
            f"stored-runtime-id-{name}",
            "the identity stays, but no task can be registered for it",
            BACK_OFF,
        )
        run = LaterRun()
        run.to_last_load(record)
        run.backs_off(loaded(), "invalid_agent_runtime_id", pause=LONGEST_PAUSE)
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
        run.step(loaded(), DELETE_IDENTITY)
        run.step(DONE, NEW_IDENTITY_ENTROPY)
        run.give_entropy()
        run.identity_biscuit_minted()
        run.identity_registered()
        run.identity_saved()
        run.task_biscuit_minted()
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(
            f"replaced-{name}",
            f"{comment}: it is deleted, a new one registered",
            STORED,
        )

    # What is there is used, but lacks a task.
    later = {
        "agent_runtime_id": captured.RUNTIME_ID,
        "agent_private_key": KEY.stored,
        "account_id": "acct-1",
        "chatgpt_user_id": "user-1",
        "email": "u@example.com",
        "plan_type": "pro",
        "chatgpt_account_is_fedramp": False,
    }
    in_the_middle = (
        f'{{"workspace_id":"acct-1","background_task_id":%s,"chatgpt_user_id":"user-1",'
        f'"agent_runtime_id":"agent-rt-2","agent_private_key":"{KEY.stored}"}}'
    )
    for name, comment, before, after in [
        ("missing", "no task", TASKLESS, WITH_TASK),
        (
            "missing-pretty",
            "no task, in a record with line feeds: all of it stays",
            PRETTY_IDENTITY.replace(',\n    "background_task_id": "task-4"', ""),
            PRETTY_IDENTITY,
        ),
        (
            "missing-later-form",
            "no task, in the later form: every member stays, in its place",
            compact(later),
            compact(later | {"background_task_id": "task-4"}),
        ),
        (
            "missing-unknown-members",
            "no task: what nobody knows stays, as it was written",
            TASKLESS[:-1] + r',"z":1.50,"a":"\u00e9\/" , "b" : [ 1 ]}',
            TASKLESS[:-1]
            + r',"z":1.50,"a":"\u00e9\/" , "b" : [ 1 ], "background_task_id": '
            + '"task-4"}',
        ),
        ("null", "null", in_the_middle % "null", in_the_middle % '"task-4"'),
        ("empty", "an empty task id", in_the_middle % '""', in_the_middle % '"task-4"'),
        (
            "with-control-character",
            "a task id that must not be signed",
            in_the_middle % r'"a\nb"',
            in_the_middle % '"task-4"',
        ),
        (
            "not-a-string",
            "a task id that is no string",
            in_the_middle % "4",
            in_the_middle % '"task-4"',
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


def odd_abom():
    """Return a bill of materials with what JSON must escape, and must not."""
    return {
        "agent_version": '"\\/\b\t\n\f\r\0\x01\x1f',
        "agent_harness_id": "<a>&\u2028\u2029\x7f\x80é🦀",
        "running_location": "",
    }


STATUSES = [100, 199, 300, 302, 400, 401, 403, 404, 429, 500, 503]
FAILURES = ["timeout", "connect", "tls", "too-large"]

# (name, what the biscuit endpoint's headers say)
BAD_BISCUITS = [
    ("missing", {}),
    ("elsewhere", {"authorization": "biscuit-1"}),
    ("empty", {"x-openai-authorization": ""}),
    ("line-feed", {"x-openai-authorization": "a\nx-injected: 1"}),
    ("space", {"x-openai-authorization": "a b"}),
    ("non-ascii", {"x-openai-authorization": "bïscuit"}),
    ("too-long", {"x-openai-authorization": "b" * 8193}),
]


def bad_bodies(member, value):
    """Yield (name, body) of responses that lack a member."""
    good = compact({member: value})
    yield "empty", None
    yield "garbage", "<html>"
    yield "truncated", good[:-1]
    yield "trailing-garbage", good + "x"
    yield "array", f"[{good}]"
    yield "missing-member", "{}"
    yield "duplicate-member", good[:-1] + "," + good[1:]
    yield "duplicate-other-member", good[:-1] + ',"x":1,"x":2}'
    yield "null-member", compact({member: None})
    yield "number-member", compact({member: 4})
    yield "nested-member", compact({"data": {member: value}})
    yield "byte-order-mark", "\ufeff" + good
    yield "not-utf-8", b'{"x":"\xff",' + good[1:].encode()
    yield "over-64-kib", good.ljust(65537)


def failing_requests():
    """Yield flows in which one of the four requests fails."""
    stages = [
        ("identity-biscuit", "minting the first biscuit", Run.to_identity_biscuit, []),
        ("identity", "registering the identity", Run.to_register_identity, []),
        (
            "task-biscuit",
            "minting the second biscuit",
            Run.to_task_biscuit,
            [TASKLESS],
        ),
        ("task", "registering the task", Run.to_register_task, [TASKLESS]),
    ]
    for stage, doing, reach, arguments in stages:
        for status in STATUSES:
            run = Run()
            reach(run, *arguments)
            # A body that would do, and a biscuit: the status decides.
            event = response(
                status,
                {"agent_runtime_id": "agent-rt-2", "encrypted_task_id": ""},
                {"x-openai-authorization": "biscuit"},
            )
            run.backs_off(event, "http_status")
            yield run.end(
                f"{stage}-status-{status}",
                f"{doing} is answered with {status}",
                BACK_OFF,
            )
        for failure in FAILURES:
            run = Run()
            reach(run, *arguments)
            run.backs_off(failed(failure), "request_failed")
            yield run.end(f"{stage}-{failure}", f"{doing} fails: {failure}", BACK_OFF)
        run = Run()
        reach(run, *arguments)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"{stage}-canceled",
            f"{doing} is broken off by the caller, which is nobody's failure: no pause",
            BACK_OFF,
        )
        if stage.endswith("biscuit"):
            for name, headers in BAD_BISCUITS:
                run = Run()
                reach(run, *arguments)
                run.backs_off(response(200, {}, headers), "invalid_response")
                yield run.end(
                    f"{stage}-header-{name}", f"{doing} yields none", BACK_OFF
                )

    bad_ids = [
        ("empty", ""),
        ("colon", "a:b"),
        ("control-character", "a\nb"),
        ("c1", "a\x85b"),
        ("4097-bytes", "x" * 4097),
    ]
    for name, body in bad_bodies("agent_runtime_id", captured.RUNTIME_ID):
        run = Run()
        run.to_register_identity()
        run.backs_off(response(200, body), "invalid_response")
        yield run.end(
            f"identity-response-{name}-refused", "a response without an id", BACK_OFF
        )
    for name, text in [*bad_ids, ("dot", "."), ("two-dots", "..")]:
        run = Run()
        run.to_register_identity()
        run.backs_off(
            response(200, {"agent_runtime_id": text}), "invalid_agent_runtime_id"
        )
        yield run.end(
            f"identity-id-{name}-refused",
            "an id that cannot be signed or cannot be in a path is not saved",
            BACK_OFF,
        )

    sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
    for name, body in bad_bodies("encrypted_task_id", sealed):
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(200, body), "invalid_response")
        yield run.end(
            f"task-response-{name}-refused", "a response without a task", BACK_OFF
        )
    for name, comment, text in [
        ("plain", "the earlier profile's responses are sealed", {"task_id": "task-4"}),
        ("camel-case", "this name is the later profile's", {"encryptedTaskId": sealed}),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(response(200, text), "invalid_response")
        yield run.end(f"task-response-{name}-refused", comment, LATER)
    for name, text in [
        ("other-key", OTHER_KEY.seal(EPHEMERAL, captured.TASK_ID)),
        ("truncated", sealed[:-4]),
        ("empty", ""),
        ("not-base64", "not a box!"),
    ]:
        run = Run()
        run.to_register_task(TASKLESS)
        run.backs_off(
            response(200, {"encrypted_task_id": text}), "invalid_sealed_task_id"
        )
        yield run.end(
            f"task-box-{name}-refused", "a box that this agent cannot open", BACK_OFF
        )
    for name, text in [*bad_ids, ("not-utf-8", b"task\xff")]:
        if name == "colon":
            continue
        run = Run()
        run.to_register_task(TASKLESS)
        box = KEY.seal(EPHEMERAL, text)
        run.backs_off(response(200, {"encrypted_task_id": box}), "invalid_task_id")
        yield run.end(
            f"task-id-{name}-refused", "a box with what no assertion may hold", BACK_OFF
        )

    # The second half of a registration fails after the first is saved.
    for name, event, code in [
        ("status-500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
    ]:
        run = Run()
        run.to_register_identity()
        run.identity_registered()
        run.identity_saved()
        run.backs_off(event, code)
        yield run.end(
            f"fresh-task-biscuit-{name}",
            "the second biscuit cannot be had: the identity is kept",
            BACK_OFF,
        )
    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.backs_off(failed("timeout"), "request_failed")
    yield run.end(
        "fresh-task-timeout",
        "the task cannot be registered: the identity is kept",
        BACK_OFF,
    )


def backing_off():
    """Yield flows that find the record of a failure."""
    now = captured.TIME
    # The back-off is loaded two seconds after the start.
    load = now + 2

    def active(name, comment, record, retry_at):
        run = Run()
        run.start()
        run.step(loaded(), LOAD_BACKOFF)
        run.falls_back(loaded(record), "registration-failed", "backing_off", retry_at)
        return run.end(name, comment, BACK_OFF)

    yield active(
        "back-off-remembered",
        "a registration failed a moment ago: nothing is asked of the backend",
        back_off(load - 1, "http_status"),
        load + 59,
    )
    yield active(
        "back-off-last-second",
        "the pause's last second",
        back_off(load - 59, "http_status"),
        load + 1,
    )
    yield active(
        "back-off-longest",
        "a pause of an hour that has just begun",
        back_off(load, "http_status", 7, pause=LONGEST_PAUSE),
        load + LONGEST_PAUSE,
    )
    yield active(
        "back-off-unknown-members",
        "members that nobody knows, and another order",
        f'{{"x":1, "acct-1" : {{ "x":[], "retry_at":"{timestamp(load + 10)}", '
        '"failures":2}}',
        load + 10,
    )
    run = Run(creds=credentials(token=None))
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    run.falls_back(
        loaded(back_off(load - 1, "http_status")),
        "registration-failed",
        "backing_off",
        load + 59,
    )
    yield run.end(
        "back-off-no-access-token", "bearer, but there is no token", FALL_BACK
    )
    run = Run()
    run.start()
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.falls_back(
        loaded(back_off(load - 1, "http_status")),
        "registration-failed",
        "backing_off",
        load + 59,
    )
    yield run.end("back-off-of-a-task", "there is an identity, but no task", BACK_OFF)
    run = Run()
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "back-off-not-read",
        "an identity with a task is used, whatever failed before",
        BACK_OFF,
    )

    def passed(name, comment, record, failures=None, pause=60):
        """Write a flow that registers nevertheless, and fails again."""
        run = Run()
        run.to_identity_biscuit(record)
        known = {} if failures is None else {"failures": failures, "pause": pause}
        run.backs_off(response(403), "http_status", record=record, **known)
        return run.end(name, comment, BACK_OFF)

    # The back-off is loaded again three seconds after it was first.
    for failures, pause in enumerate([120, 240, 480, 960, 1920, 3600, 3600], 1):
        yield passed(
            f"back-off-failure-{failures + 1}",
            f"after {failures} failures, and a pause, one more: {pause} s",
            back_off(load - 4000, "http_status", failures),
            failures + 1,
            pause,
        )
    yield passed(
        "back-off-failure-1001",
        "the pause grows no further",
        back_off(load - 4000, "http_status", 1000),
        1001,
        LONGEST_PAUSE,
    )
    yield passed(
        "back-off-expired",
        "the second in which the pause ends",
        back_off(load - 60, "request_failed"),
        2,
        120,
    )
    yield passed(
        "back-off-clock-set-back",
        "a pause longer than any: the clock has since been set back",
        back_off(load + 86400, "http_status", 3),
        4,
        480,
    )
    yield passed(
        "back-off-clock-set-back-a-little",
        "still a second longer than any, when it is loaded again",
        back_off(load + 3 + 1, "http_status", 3, pause=LONGEST_RETRY_AFTER),
        4,
        480,
    )
    for name, comment, record in [
        (
            "other-account",
            "another account's failures",
            back_off(load, "http_status", 5, "acct-2"),
        ),
        ("damaged", "a damaged record", "damaged"),
        ("empty-object", "a record that says nothing", "{}"),
        ("not-an-object", "a record that says nothing", "[]"),
        ("entry-no-object", "an account's part that says nothing", '{"acct-1":1}'),
        (
            "no-account",
            "a record of nobody's failures",
            f'{{"failures":1,"retry_at":"{timestamp(load + 9)}","code":"x"}}',
        ),
        (
            "no-failures",
            "a record without their number",
            f'{{"acct-1":{{"retry_at":"{timestamp(load + 9)}"}}}}',
        ),
        (
            "failures-0",
            "a record of none",
            back_off(load, "http_status", 0),
        ),
        (
            "failures-negative",
            "a record of fewer than none",
            back_off(load, "http_status", -1),
        ),
        (
            "failures-string",
            "a number in quotation marks",
            back_off(load, "http_status", "1"),
        ),
        (
            "retry-at-number",
            "a time in another form",
            f'{{"acct-1":{{"failures":1,"retry_at":{load + 9},"code":"x"}}}}',
        ),
        (
            "retry-at-damaged",
            "no time",
            '{"acct-1":{"failures":1,"retry_at":"soon","code":"x"}}',
        ),
        (
            "duplicate-member",
            "a record that parsers read differently",
            back_off(load, "http_status")[:-2] + ',"failures":2}}',
        ),
    ]:
        yield passed(
            f"back-off-{name}", f"{comment}: the failure counts as the first", record
        )

    # Success forgets what failed.
    for name, record in [
        ("expired", back_off(load - 4000, "http_status", 3)),
        ("damaged", "damaged"),
    ]:
        for kind in ["task", "identity"]:
            run = Run()
            if kind == "task":
                run.to_register_task(TASKLESS, record)
                run.task_registered(WITH_TASK)
            else:
                run.to_register_identity(record)
                run.identity_registered()
                run.identity_saved()
                run.task_biscuit_minted()
                run.fresh_task_registered()
            run.step(DONE, DELETE_BACKOFF)
            run.asserts(DONE)
            yield run.end(
                f"back-off-{name}-then-{kind}-registered",
                "a registration that succeeds deletes the record of failures",
                BACK_OFF,
            )
    run = Run(now=MAX_TIME - 9)
    run.to_identity_biscuit()
    run.backs_off(response(403), "http_status")
    yield run.end(
        "back-off-at-the-end-of-time",
        "no time after the year 9999 can be written",
        BACK_OFF,
    )


def failing_hosts():
    """Yield flows whose host cannot do what it is asked."""

    def store_failed(run, event=None):
        return run.falls_back(event or failed("store"), "store-failed", "store_failed")

    run = Run()
    run.start()
    store_failed(run)
    yield run.end("load-identity-failed", "the identity cannot be loaded", FALL_BACK)
    run = Run(creds=credentials(token=None))
    run.start()
    store_failed(run)
    yield run.end(
        "load-identity-failed-no-access-token",
        "the identity cannot be loaded, and there is no token",
        FALL_BACK,
    )
    run = Run()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    store_failed(run)
    yield run.end("load-back-off-failed", "the back-off cannot be loaded", FALL_BACK)
    for failure in ["store", "timeout", "canceled"]:
        run = Run()
        run.to_lock()
        store_failed(run, failed(failure))
        yield run.end(f"lock-failed-{failure}", "the lock cannot be had", FALL_BACK)
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    store_failed(run)
    yield run.end(
        "reload-identity-failed", "the identity cannot be loaded again", FALL_BACK
    )
    run = Run()
    run.to_last_load()
    store_failed(run)
    yield run.end(
        "reload-back-off-failed", "the back-off cannot be loaded again", FALL_BACK
    )
    run = Run()
    run.to_last_load(identity(workspace_id="acct-2"))
    run.step(loaded(), DELETE_IDENTITY)
    store_failed(run)
    yield run.end("delete-identity-failed", "the identity cannot be deleted", FALL_BACK)
    for name, record, effect in [
        ("identity", None, NEW_IDENTITY_ENTROPY),
        ("task", TASKLESS, NEW_TASK_ENTROPY),
    ]:
        run = Run()
        run.to_last_load(record)
        run.step(loaded(), effect)
        run.falls_back(failed("timeout"), "registration-failed", "request_failed")
        yield run.end(f"{name}-entropy-failed", "there is no randomness", FALL_BACK)

    run = Run()
    run.to_register_identity()
    run.identity_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "save-identity-failed",
        "a new identity cannot be saved: without a pause every call would register one",
        BACK_OFF,
    )
    run = Run()
    run.to_register_task(TASKLESS)
    run.task_registered(WITH_TASK)
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "save-task-failed",
        "a new task cannot be saved: without a pause every call would register one",
        BACK_OFF,
    )
    run = Run()
    run.to_identity_biscuit()
    run.backs_off(response(403), "http_status", last=failed("store"))
    yield run.end(
        "save-back-off-failed",
        "the failure cannot be saved: the call is answered all the same",
        BACK_OFF,
    )
    run = Run()
    run.to_register_task(TASKLESS, back_off(captured.TIME - 4000, "http_status"))
    run.task_registered(WITH_TASK)
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(failed("store"))
    yield run.end(
        "delete-back-off-failed",
        "an old failure cannot be deleted: the task is there all the same",
        BACK_OFF,
    )


def races():
    """Yield flows that find something else once they have the lock."""
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "race-identity-and-task",
        "another process registered everything in the meantime",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.step(loaded(), NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end(
        "race-identity",
        "another process registered an identity in the meantime, and no task",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_last_load()
    retry_at = run.now + 1 + 60
    run.falls_back(
        loaded(back_off(run.now + 1, "http_status")),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end(
        "race-failure",
        "another process tried in the meantime, and failed",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock(TASKLESS)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    yield run.end(
        "race-deleted",
        "another process deleted the identity in the meantime",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock()
    run.step(DONE, LOAD_IDENTITY)
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end(
        "race-unreadable",
        "another process left what cannot be read",
        protocol("One registration at a time"),
    )
    run = Run()
    run.to_lock(None, back_off(captured.TIME - 4000, "http_status", 3))
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.backs_off(response(403), "http_status")
    yield run.end(
        "race-failures-forgotten",
        "what counts is what the store says under the lock",
        protocol("One registration at a time"),
    )


THREAD_RECORD = {
    "agent_runtime_id": captured.RUNTIME_ID,
    "task_id": "task-6",
    "registered_at": "2026-11-24T15:16:08Z",
}
THREADS = protocol("Vocabulary, thread task; Persisted")
REJECTED = protocol("What the real client gets wrong: 401")
RETRY_AFTER = "RFC 9110, section 10.2.3; this project's rule: back-off"


REJECTED_TASK = {
    "agent_runtime_id": captured.RUNTIME_ID,
    "task_id": captured.TASK_ID,
}


def turn_failed(run, code, retry_at=None, reason="registration-failed"):
    """Return the end of a thread's flow that failed: nothing is to be sent."""
    result = {
        "mode": "none",
        "reason": reason,
        "account_id": run.account,
        "valid_until": run.now,
    }
    if retry_at is not None:
        result["retry_at"] = retry_at
    return {"type": "done", "authorization": result | {"cause": {"code": code}}}


class ThreadRun(Run):
    """A flow of a thread's call."""

    def __init__(self, thread="thread-1", surface="responses", **members):
        super().__init__(thread=thread, surface=surface, **members)
        self.slot = f"thread/{thread}"
        self.load_thread = {"type": "load", "slot": self.slot}

    def bearer(self, reason, code=None, retry_at=None):
        """Return the end of a flow without a task: after a failure, with nothing."""
        if code:
            return turn_failed(self, code, retry_at, reason)
        return super().bearer(reason)

    def assertion(self, task="task-6"):
        """Return the end of a flow that has a task."""
        end = super().assertion(task)
        end["authorization"]["reason"] = "thread-task"
        return end

    def asserts(self, event, task="task-6"):
        """End with an assertion."""
        return super().asserts(event, task)

    def load(self, identity, thread, then):
        """Load the identity and, if there is one, the thread's task."""
        if identity is None:
            return self.step(loaded(), then)
        self.step(loaded(identity), self.load_thread)
        return self.step(loaded(thread), then)

    def to_lock(self, identity=None, thread=None):
        """Go on until the store is to be locked: a turn reads no back-off first."""
        self.start()
        return self.load(identity, thread, LOCK)

    def to_last_load(self, identity=None, thread=None):
        """Go on until all that is left to load is the back-off."""
        self.to_lock(identity, thread)
        self.step(DONE, LOAD_IDENTITY)
        return self.load(identity, thread, LOAD_BACKOFF)

    def with_task(self, task="task-6"):
        """Begin, and end with the stored task."""
        self.start()
        self.step(loaded(WITH_TASK), self.load_thread)
        record = compact(THREAD_RECORD | {"task_id": task})
        return self.asserts(loaded(record), task)

    def to_task_biscuit(self, identity=WITH_TASK, thread=None, backoff=None):
        """Go on, with an identity, until the biscuit of the thread's task."""
        self.to_last_load(identity, thread)
        self.step(loaded(backoff), NEW_TASK_ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(self.request_ids[1])}
        return self.step(event, self.task_biscuit)

    def task_registered(self, task="task-6"):
        """Answer the fourth request."""
        sealed = self.key.seal(EPHEMERAL, task)
        return self.step(
            response(200, {"encrypted_task_id": sealed}),
            lambda: save(self.slot, self.thread_record(task)),
        )

    def thread_record(self, task):
        """Return the record of a new task."""
        record = {
            "agent_runtime_id": self.runtime,
            "task_id": task,
            "registered_at": timestamp(self.now),
        }
        if "rejected" in self.steps[0]["event"]:
            record["task_replaced_at"] = timestamp(self.now)
        return compact(record)


def threads():
    """Yield flows of threads."""
    run = ThreadRun(now=captured.THREAD_TIME, tick=0)
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    header = run.steps[-1]["effect"]["authorization"]["header"]
    assert header == captured.THREAD_HEADER
    yield run.end(
        "captured-thread",
        "a stored thread's task: the header is the real client's",
        capture("enabled.jsonl", 13),
    )
    run = ThreadRun(cfg=config(UNSUPPORTED))
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end(
        "thread-unsupported-host",
        "rule 4 does not apply to a thread",
        capture("unsupported-host.jsonl"),
    )
    run = ThreadRun(cfg=config(gate=False))
    run.start(lambda: run.bearer("feature-off"))
    yield run.end("thread-gate-off", "the gate is off", capture("gate-off.jsonl", 7))

    for name, comment, record in [
        ("new", "a thread without a task", None),
        (
            "other-identity",
            "a task that was granted to another identity",
            compact(THREAD_RECORD | {"agent_runtime_id": "agent-rt-1"}),
        ),
        ("damaged", "a damaged record", "damaged"),
        ("no-task", "a record without a task", compact({"agent_runtime_id": "x"})),
    ]:
        run = ThreadRun()
        run.to_task_biscuit(thread=record)
        run.task_biscuit_minted()
        run.task_registered()
        run.asserts(DONE)
        yield run.end(f"thread-{name}", f"{comment}: one is registered", THREADS)

    run = ThreadRun(thread="a/b:任务")
    run.to_task_biscuit()
    yield run.end("thread-id-odd", "any text is a thread's id", THREADS)

    run = ThreadRun()
    run.start()
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    run.task_biscuit_minted()
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "thread-without-identity",
        "the identity is registered first, without a background task",
        THREADS,
    )

    now = captured.TIME
    run = ThreadRun()
    run.to_task_biscuit(backoff=back_off(now, "http_status"))
    yield run.end("thread-in-a-pause", "a turn tries, whatever failed before", THREADS)
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(response(500), "http_status")
    yield run.end(
        "thread-registration-failed",
        "a failed registration is an error of the turn, not a fall-back to bearer",
        THREADS,
    )
    run = ThreadRun()
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("thread-load-failed", "the task cannot be loaded", THREADS)
    run = ThreadRun()
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end(
        "thread-race", "another process registered the task in the meantime", THREADS
    )

    # The store fails, at each step.
    def store_fails(run, name, comment):
        run.falls_back(failed("store"), "store-failed", "store_failed")
        return run.end(f"thread-{name}-failed", comment, THREADS)

    run = ThreadRun()
    run.start()
    yield store_fails(run, "load-identity", "the identity cannot be loaded")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    yield store_fails(run, "lock", "the lock cannot be had")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    yield store_fails(run, "reload-identity", "the identity cannot be loaded again")
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), run.load_thread)
    yield store_fails(run, "reload-thread", "the task cannot be loaded again")
    run = ThreadRun()
    run.to_last_load(WITH_TASK)
    yield store_fails(run, "load-back-off", "the back-off cannot be loaded")
    run = ThreadRun()
    run.start()
    run.step(loaded(identity(workspace_id="acct-2")), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(identity(workspace_id="acct-2")), LOAD_BACKOFF)
    run.step(loaded(), DELETE_IDENTITY)
    yield store_fails(run, "delete-identity", "the identity cannot be deleted")
    run = ThreadRun()
    run.to_last_load()
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end(
        "thread-save-identity-failed", "a new identity cannot be saved", THREADS
    )
    run = ThreadRun()
    run.to_task_biscuit()
    run.task_biscuit_minted()
    run.task_registered()
    run.backs_off(failed("store"), "store_failed", "store-failed")
    yield run.end("thread-save-task-failed", "a new task cannot be saved", THREADS)
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(response(500), "http_status", last=failed("store"))
    yield run.end(
        "thread-save-back-off-failed",
        "the failure cannot be saved: the turn ends all the same",
        THREADS,
    )
    for name, record, effect in [
        ("identity", None, NEW_IDENTITY_ENTROPY),
        ("task", WITH_TASK, NEW_TASK_ENTROPY),
    ]:
        run = ThreadRun()
        run.to_last_load(record)
        run.step(loaded(), effect)
        run.falls_back(failed("store"), "registration-failed", "request_failed")
        yield run.end(
            f"thread-{name}-entropy-failed", "there is no randomness", THREADS
        )
    for record, name, effect in [
        (back_off(now, "http_status"), "deleted", DELETE_BACKOFF),
        (
            compact({"acct-2": ELSEWHERE, "acct-1": back_off_entry(now, "x")}),
            "saved",
            save("backoff", compact({"acct-2": ELSEWHERE})),
        ),
    ]:
        for event, comment in [
            (DONE, "a turn that succeeds forgets the account's failures"),
            (failed("store"), "which cannot be forgotten: the task is there"),
        ]:
            run = ThreadRun()
            run.to_task_biscuit(backoff=record)
            run.task_biscuit_minted()
            run.task_registered()
            run.step(DONE, effect)
            run.asserts(event)
            outcome = event["type"]
            yield run.end(f"thread-back-off-{name}-{outcome}", comment, THREADS)

    # The rest.
    for surface in THREAD:
        run = ThreadRun(surface=surface)
        run.with_task()
        yield run.end(f"thread-surface-{surface}", "every thread's surface", THREADS)
    for stage, reach in [
        ("biscuit", ThreadRun.to_task_biscuit),
        ("task", lambda run: run.to_task_biscuit().task_biscuit_minted()),
    ]:
        run = ThreadRun()
        reach(run)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(f"thread-{stage}-canceled", "no pause, and no task", THREADS)
        run = ThreadRun()
        reach(run)
        run.backs_off(failed("timeout"), "request_failed")
        yield run.end(f"thread-{stage}-timeout", "an error of the turn", THREADS)
    run = ThreadRun()
    record = back_off(now - 4000, "http_status", 3)
    run.to_task_biscuit(backoff=record)
    run.backs_off(response(500), "http_status", failures=4, pause=480, record=record)
    yield run.end(
        "thread-fourth-failure", "a turn's failures count like others", THREADS
    )
    run = ThreadRun(creds=credentials(token=None))
    run.with_task()
    yield run.end(
        "thread-stored-no-access-token", "an assertion needs no token", THREADS
    )
    run = ThreadRun(creds=credentials(token=None))
    run.to_last_load(WITH_TASK)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end(
        "thread-no-access-token", "the biscuit of a thread's task does", THREADS
    )
    run = ThreadRun()
    run.start()
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end(
        "thread-unreadable-identity", "what cannot be read is left alone", THREADS
    )
    run = ThreadRun()
    run.to_lock(WITH_TASK)
    run.step(DONE, LOAD_IDENTITY)
    run.falls_back(loaded(compact(JWT)), "store-failed", "unreadable_identity")
    yield run.end("thread-race-unreadable", "not even under the lock", THREADS)
    run = ThreadRun()
    run.start()
    run.step(loaded(TASKLESS), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD | {"x": None})))
    yield run.end(
        "thread-background-task-missing",
        "a thread does not need the background task, and its record may hold more",
        THREADS,
    )
    for name, task in [("colons", "a:b"), ("non-ascii", "任务-🦀")]:
        run = ThreadRun()
        run.with_task(task)
        yield run.end(f"thread-task-{name}", "any text is a task's id", THREADS)
    for name, task in [("control-character", "a\nb"), ("empty", "")]:
        run = ThreadRun()
        record = compact(THREAD_RECORD | {"task_id": task})
        run.to_task_biscuit(thread=record)
        yield run.end(
            f"thread-task-{name}",
            "a task that must not be signed counts as none",
            THREADS,
        )
    run = ThreadRun(thread="x" * 4096)
    run.to_task_biscuit()
    yield run.end("thread-id-4096-bytes", "the longest id of a thread", THREADS)


FEDRAMP = credentials() | {"fedramp": True}


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


def replaced(now):
    """Return the captured identity with a task that replaced a rejected one."""
    return identity(background_task_id="task-9", task_replaced_at=timestamp(now))


def rejections():
    """Yield flows of calls that the backend has answered with 401."""

    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), save("identity", TASKLESS))
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), NEW_TASK_ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered(replaced(run.now + 1), "task-9")
    run.asserts(DONE, "task-9")
    yield run.end(
        "rejected-task",
        "the stored task was rejected: it is dropped, and one registered",
        REJECTED,
    )
    for name, comment, members in [
        ("other-task", "another task was rejected", {"task_id": "task-3"}),
        ("other-agent", "another agent's was", {"agent_runtime_id": "agent-rt-1"}),
    ]:
        run = Run(rejected=REJECTED_TASK | members)
        run.start()
        run.asserts(loaded(WITH_TASK))
        yield run.end(
            f"rejected-{name}",
            f"{comment}: the stored one replaces it already",
            REJECTED,
        )
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.asserts(loaded(identity(background_task_id="task-9")), "task-9")
    yield run.end(
        "rejected-race",
        "another process replaced it in the meantime: none is registered",
        REJECTED,
    )
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), save("identity", TASKLESS))
    run.step(DONE, LOAD_BACKOFF)
    at = run.now
    run.falls_back(
        loaded(back_off(at, "http_status")),
        "registration-failed",
        "backing_off",
        at + 60,
    )
    yield run.end(
        "rejected-in-a-pause", "it is dropped, but none is registered yet", REJECTED
    )
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), save("identity", TASKLESS))
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("rejected-not-dropped", "it cannot be dropped", REJECTED)
    again = REJECTED_TASK | {"task_id": "task-9"}
    for name, age in [("new", 0), ("59-seconds", 59)]:
        run = Run(rejected=again)
        run.start()
        run.falls_back(
            loaded(replaced(run.now + 1 - age)), "registration-failed", "task_rejected"
        )
        yield run.end(
            f"rejected-replacement-{name}",
            "it has only just replaced another: a new one would not help",
            REJECTED,
        )
    for name, age in [("60-seconds", 60), ("from-the-future", -9)]:
        run = Run(rejected=again)
        run.start()
        run.step(loaded(replaced(run.now + 1 - age)), LOCK)
        yield run.end(
            f"rejected-replacement-{name}", "it has lasted: it is replaced", REJECTED
        )
    young = compact(THREAD_RECORD | {"task_replaced_at": timestamp(captured.TIME)})
    run = ThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.step(loaded(young), lambda: turn_failed(run, "task_rejected"))
    yield run.end("rejected-replacement-of-a-thread", "nor would it here", REJECTED)
    run = ThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    run.start()
    run.step(loaded(WITH_TASK), run.load_thread)
    run.step(loaded(compact(THREAD_RECORD)), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), run.load_thread)
    run.step(
        loaded(compact(THREAD_RECORD)), {"type": "delete", "slot": "thread/thread-1"}
    )
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.task_biscuit_minted()
    run.task_registered("task-9")
    run.asserts(DONE, "task-9")
    yield run.end(
        "rejected-thread", "a thread's task; the background task stays", REJECTED
    )

    # Failures on the way, and what else the rejected task can meet.
    def dropped(run):
        """Go on until the task is dropped."""
        run.start()
        run.step(loaded(WITH_TASK), LOCK)
        run.step(DONE, LOAD_IDENTITY)
        return run.step(loaded(WITH_TASK), save("identity", TASKLESS))

    def store_fails(run, name, comment):
        run.falls_back(failed("store"), "store-failed", "store_failed")
        return run.end(f"rejected-{name}-failed", comment, REJECTED)

    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    yield store_fails(run, "lock", "the lock cannot be had: the task stays")
    run = Run(rejected=REJECTED_TASK)
    dropped(run)
    run.step(DONE, LOAD_BACKOFF)
    yield store_fails(run, "load-back-off", "the back-off cannot be loaded")
    run = Run(rejected=REJECTED_TASK, creds=credentials(token=None))
    dropped(run)
    run.step(DONE, LOAD_BACKOFF)
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end(
        "rejected-no-access-token", "dropped, but another cannot be had", REJECTED
    )
    run = Run(rejected=REJECTED_TASK)
    dropped(run)
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), NEW_TASK_ENTROPY)
    run.step(event, run.task_biscuit)
    run.backs_off(response(401), "http_status")
    yield run.end(
        "rejected-token-too",
        "the access token is rejected as well: there is a pause",
        REJECTED,
    )
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    run.step(loaded(), LOCK)
    yield run.end(
        "rejected-gone", "the task is dropped already: the usual way", REJECTED
    )
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    yield run.end(
        "rejected-identity-gone",
        "another process deleted the identity in the meantime",
        REJECTED,
    )
    run = Run(rejected=REJECTED_TASK, surface="bootstrap")
    run.start(lambda: run.bearer("bearer-only-surface"))
    yield run.end("rejected-bearer-only", "no surface for assertions", REJECTED)
    pretty = PRETTY_IDENTITY.replace(',\n    "background_task_id": "task-4"', "")
    run = Run(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(PRETTY_IDENTITY), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(PRETTY_IDENTITY), save("identity", pretty))
    yield run.end(
        "rejected-pretty", "the task alone is taken out of the record", REJECTED
    )
    on_thread = REJECTED_TASK | {"task_id": "task-6"}
    record = compact(THREAD_RECORD)
    delete_thread = {"type": "delete", "slot": "thread/thread-1"}

    def thread_dropped(run):
        """Go on until the thread's task is dropped."""
        run.to_lock(WITH_TASK, record)
        run.step(DONE, LOAD_IDENTITY)
        return run.load(WITH_TASK, record, delete_thread)

    run = ThreadRun(rejected=on_thread)
    thread_dropped(run)
    yield store_fails(run, "thread-drop", "the thread's task cannot be dropped")
    run = ThreadRun(rejected=on_thread)
    thread_dropped(run)
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(back_off(run.now, "http_status")), NEW_TASK_ENTROPY)
    yield run.end("rejected-thread-in-a-pause", "a turn tries at once", REJECTED)
    run = ThreadRun(rejected=on_thread)
    run.to_lock(WITH_TASK, record)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD | {"task_id": "task-9"})), "task-9")
    yield run.end(
        "rejected-thread-race", "another process replaced it already", REJECTED
    )
    run = ThreadRun(rejected=REJECTED_TASK)
    run.with_task()
    yield run.end(
        "rejected-background-task-on-thread",
        "the background task's rejection says nothing of the thread's",
        REJECTED,
    )
    run = Run(rejected=on_thread)
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "rejected-thread-task-in-background", "nor the other way round", REJECTED
    )


ACCOUNTS = protocol("Later profile, per account; this project's rule: back-off")
ELSEWHERE = {"failures": 4, "retry_at": "2026-11-24T15:30:00Z", "code": "http_status"}


def pauses():
    """Yield flows with other accounts' failures, and with other jitter."""
    # Their part is written as this project would not, so that a change shows.
    theirs = (
        '{ "code":"http\\u005fstatus", "failures" : 4,'
        '"retry_at":"2026-11-24T15:30:00Z","x":[1.50,null] }'
    )
    old = compact(back_off_entry(captured.TIME - 4000, "http_status", 3))

    def failing(name, comment, record, saved, failures=1, pause=60, **members):
        run = Run(**members)
        run.to_identity_biscuit(record)
        run.backs_off(
            response(403),
            "http_status",
            failures=failures,
            pause=pause,
            saved=lambda entry: saved(compact(entry)),
        )
        return run.end(f"back-off-two-accounts-{name}", comment, ACCOUNTS)

    yield failing(
        "added",
        "another account has failed: its part stays, byte for byte, and is no pause",
        f'{{"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-2":{theirs},"acct-1":{entry}}}',
    )
    yield failing(
        "replaced-first",
        "both have failed: one part is replaced, in its place",
        f'{{"acct-1":{old},"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-1":{entry},"acct-2":{theirs}}}',
        failures=4,
        pause=480,
    )
    yield failing(
        "replaced-last",
        "both have failed: one part is replaced, in its place",
        f' {{"acct-2":{theirs} , "acct-1":{old} }}\n',
        lambda entry: f' {{"acct-2":{theirs} , "acct-1":{entry} }}\n',
        failures=4,
        pause=480,
    )
    yield failing(
        "damaged-part",
        "an account's part that says nothing is replaced; the other's stays",
        f'{{"acct-1":[],"acct-2":{theirs}}}',
        lambda entry: f'{{"acct-1":{entry},"acct-2":{theirs}}}',
    )
    yield failing(
        "spaced",
        "a new part follows the style of the one before it",
        f'{{ "acct-2" : {theirs} }}',
        lambda entry: f'{{ "acct-2" : {theirs}, "acct-1": {entry} }}',
    )
    yield failing(
        "forced-workspace",
        "the account is the forced workspace",
        f'{{"acct-1":{theirs}}}',
        lambda entry: f'{{"acct-1":{theirs},"acct-2":{entry}}}',
        cfg=config(forced="acct-2"),
    )
    yield failing(
        "escaped-name",
        "an account id is any printable ASCII, and escaped in JSON",
        f'{{"acct-2":{theirs},"a\\u0022b\\\\c":{old}}}',
        lambda entry: f'{{"acct-2":{theirs},"a\\u0022b\\\\c":{entry}}}',
        failures=4,
        pause=480,
        creds=credentials(account='a"b\\c'),
    )
    run = Run()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    retry_at = run.now + 60
    entry = compact(back_off_entry(run.now, "http_status"))
    run.falls_back(
        loaded(f'{{"acct-2":{theirs},"acct-1":{entry}}}'),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end(
        "back-off-two-accounts-active", "each account has its own pause", ACCOUNTS
    )
    for name, before, after in [
        ("first", f'{{"acct-1":{old},"acct-2":{theirs}}}', f'{{"acct-2":{theirs}}}'),
        ("last", f'{{"acct-2":{theirs},"acct-1":{old}}}', f'{{"acct-2":{theirs}}}'),
        (
            "middle",
            f'{{"acct-2":{theirs},"acct-1":{old},"acct-3":{theirs}}}',
            f'{{"acct-2":{theirs},"acct-3":{theirs}}}',
        ),
    ]:
        run = Run()
        run.to_register_task(TASKLESS, before)
        run.task_registered(WITH_TASK)
        run.step(DONE, save("backoff", after))
        run.asserts(DONE)
        yield run.end(
            f"back-off-two-accounts-cleared-{name}",
            "success takes out the account's own part, and saves the rest",
            ACCOUNTS,
        )
    run = Run()
    run.to_register_task(TASKLESS, f'{{"acct-1":{old},"acct-2":{theirs}}}')
    run.task_registered(WITH_TASK)
    run.step(DONE, save("backoff", f'{{"acct-2":{theirs}}}'))
    run.asserts(failed("store"))
    yield run.end(
        "back-off-two-accounts-not-cleared",
        "the rest cannot be saved: the task is there all the same",
        ACCOUNTS,
    )

    # Jitter.
    for name, jitter, pause in [
        ("zero", bytes(4), 30),
        ("one", bytes([0, 0, 0, 1]), 30),
        ("half", bytes([0x80, 0, 0, 0]), 45),
        ("largest", b"\xff\xff\xff\xff", 59),
    ]:
        assert jittered(60, jitter=jitter) == pause
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(403), "http_status", jitter=jitter)
        yield run.end(
            f"jitter-{name}",
            f"a pause of 60 s becomes {pause} s: half of it, and what chance adds",
            BACK_OFF,
        )
    for name, jitter, pause in [
        ("zero", bytes(4), 1800),
        ("largest", b"\xff\xff\xff\xff", 3599),
    ]:
        assert jittered(LONGEST_PAUSE, jitter=jitter) == pause
        run = Run()
        record = back_off(captured.TIME - 4000, "http_status", 9)
        run.to_identity_biscuit(record)
        run.backs_off(
            response(403),
            "http_status",
            failures=10,
            pause=LONGEST_PAUSE,
            record=record,
            jitter=jitter,
        )
        yield run.end(
            f"jitter-{name}-longest", f"the longest pause becomes {pause} s", BACK_OFF
        )
    for name, jitter, seconds in [
        ("shortens-not", bytes(4), 31),
        ("lengthens", b"\xff\xff\xff\xff", 58),
    ]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(
            response(503, {}, {"retry-after": str(seconds)}),
            "http_status",
            jitter=jitter,
            retry_after=seconds,
        )
        yield run.end(
            f"jitter-{name}-retry-after",
            "what the backend asks for is a least, and has no jitter itself",
            RETRY_AFTER,
        )
    for failure in ["store", "timeout", "canceled"]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(403), "http_status", no_jitter=failed(failure))
        yield run.end(
            f"jitter-failed-{failure}",
            "there is no randomness: the whole pause, without jitter",
            BACK_OFF,
        )


def retry_after():
    """Yield flows whose backend says when to come back."""
    for name, value, seconds in [
        ("seconds", "90", 90),
        ("less-than-the-pause", "1", 0),
        ("a-week", "604800", 604800),
        ("date", "Tue, 24 Nov 2026 15:20:00 GMT", "date"),
        ("date-past", "Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("garbage", "soon", 0),
        ("negative", "-5", 0),
        ("date-obsolete", "Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ]:
        run = Run()
        run.to_identity_biscuit()
        if seconds == "date":
            seconds = unix_time("2026-11-24T15:20:00Z") - (run.now + 1)
        event = response(503, {}, {"retry-after": value})
        run.backs_off(event, "http_status", retry_after=seconds)
        yield run.end(
            f"retry-after-{name}",
            "the longer of the pause and what the backend asks for, up to a day",
            RETRY_AFTER,
        )

    # Whatever was asked for.
    stages = [
        ("identity-biscuit", Run.to_identity_biscuit, []),
        ("identity", Run.to_register_identity, []),
        ("task-biscuit", Run.to_task_biscuit, [TASKLESS]),
        ("task", Run.to_register_task, [TASKLESS]),
    ]
    for stage, reach, arguments in stages:
        for status in [429, 503]:
            run = Run()
            reach(run, *arguments)
            event = response(status, {}, {"retry-after": "7200"})
            run.backs_off(event, "http_status", retry_after=7200)
            yield run.end(
                f"retry-after-{stage}-{status}",
                "the header counts in the answer to each of the requests",
                RETRY_AFTER,
            )
    for name, status, headers, seconds in [
        ("301", 301, {"retry-after": "7200"}, 7200),
        ("403", 403, {"retry-after": "7200"}, 7200),
        ("header-in-other-case", 503, {"Retry-After": "7200"}, 7200),
        ("among-others", 503, {"x-a": "9", "retry-after": "7200"}, 7200),
        ("another-header", 503, {"x-retry-after": "7200"}, 0),
        ("a-day", 503, {"retry-after": "86400"}, 86400),
        ("a-day-and-a-second", 503, {"retry-after": "86401"}, 86400),
        ("zero", 503, {"retry-after": "0"}, 0),
        ("empty", 503, {"retry-after": ""}, 0),
        ("fraction", 503, {"retry-after": "7200.5"}, 0),
        ("plus", 503, {"retry-after": "+7200"}, 0),
        ("hexadecimal", 503, {"retry-after": "0x7200"}, 0),
        (
            "date-in-a-week",
            503,
            {"retry-after": "Tue, 01 Dec 2026 15:20:00 GMT"},
            7 * 86400,
        ),
        ("date-no-such-day", 503, {"retry-after": "Sun, 29 Feb 2027 00:00:00 GMT"}, 0),
        (
            "date-no-such-month",
            503,
            {"retry-after": "Sun, 01 Foo 2027 00:00:00 GMT"},
            0,
        ),
        ("date-no-such-hour", 503, {"retry-after": "Fri, 01 Jan 2027 24:00:00 GMT"}, 0),
        ("date-other-zone", 503, {"retry-after": "Fri, 01 Jan 2027 00:00:00 CET"}, 0),
        (
            "date-numeric-zone",
            503,
            {"retry-after": "Fri, 01 Jan 2027 00:00:00 +0000"},
            0,
        ),
        ("date-rfc-3339", 503, {"retry-after": "2027-01-01T00:00:00Z"}, 0),
        ("date-asctime", 503, {"retry-after": "Fri Jan  1 00:00:00 2027"}, 0),
    ]:
        run = Run()
        run.to_identity_biscuit()
        run.backs_off(response(status, {}, headers), "http_status", retry_after=seconds)
        yield run.end(
            f"retry-after-{name}",
            "the longer of the pause and what the backend asks for, up to a day",
            RETRY_AFTER,
        )
    run = Run()
    run.to_register_identity()
    event = response(200, {}, {"retry-after": "7200"})
    run.backs_off(event, "invalid_response")
    yield run.end(
        "retry-after-200",
        "an answer of 2xx, even a useless one, does not ask to be left alone",
        RETRY_AFTER,
    )
    run = Run()
    record = back_off(captured.TIME - 4000, "http_status", 3)
    run.to_register_task(TASKLESS, record)
    run.backs_off(
        response(429, {}, {"retry-after": "90"}),
        "http_status",
        failures=4,
        pause=480,
        retry_after=90,
        record=record,
    )
    yield run.end(
        "retry-after-shorter-than-the-fourth-pause",
        "the backend's wish does not shorten a pause",
        RETRY_AFTER,
    )
    run = ThreadRun()
    run.to_task_biscuit()
    run.backs_off(
        response(429, {}, {"retry-after": "7200"}), "http_status", retry_after=7200
    )
    yield run.end(
        "retry-after-thread",
        "a turn that fails stores the pause, for the background",
        RETRY_AFTER,
    )


class LaterRun(Run):
    """A flow of the later profile."""

    def __init__(self, url="https://auth.openai.com/api/accounts", **members):
        cfg = members.pop("cfg", None) or config() | {"profile": "auth-api"}
        super().__init__(cfg=cfg, **members)
        self.api = url

    @property
    def register_url(self):
        """Where an identity is registered."""
        return f"{self.api}/v1/agent/register"

    @property
    def task_url(self):
        """Where a task is registered."""
        return f"{self.api}/v1/agent/{self.runtime}/task/register"

    def send(self, url, body, headers):
        """Return a request of this profile."""
        return {
            "type": "http",
            "method": "POST",
            "url": url,
            "headers": fields(headers | {"content-type": "application/json"}),
            "body": utf8(compact(body)),
            "timeout_ms": 30000,
            "size_limit": 65536,
            "response_headers": ["retry-after"],
        }

    def register_identity(self):
        """Return the first request of a registration."""
        token = self.credentials["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        if self.credentials.get("fedramp"):
            headers["x-openai-fedramp"] = "true"
        abom = self.config["abom"]
        body = {
            "abom": {
                name: abom[name]
                for name in ["agent_version", "agent_harness_id", "running_location"]
            },
            "agent_public_key": self.key.openssh,
            "capabilities": [],
            "ttl": None,
        }
        return self.send(self.register_url, body, headers)

    def register_task(self):
        """Return the second request of a registration."""
        proof = self.key.registration_proof(self.runtime, self.now)
        return self.send(self.task_url, proof, {})

    def to_register_identity(self):
        """Go on, without an identity, until one is to be registered."""
        self.to_last_load()
        self.step(loaded(), NEW_IDENTITY_ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(LATER_ENTROPY)}
        return self.step(event, self.register_identity)

    def to_register_task(self, identity=TASKLESS):
        """Go on, with an identity but no task, until one is to be registered."""
        self.to_last_load(identity)
        return self.step(loaded(), self.register_task)


LATER_ENTROPY = bytes(range(64))
LATER_KEY = Key(
    hashlib.sha512(b"codex-agent-identity-ed25519-v1" + LATER_ENTROPY).digest()[:32]
)


def later():
    """Yield flows of the later profile."""
    for name, comment, members in [
        ("usual", "no biscuits, and a URL of its own", {}),
        (
            "staging",
            "another URL, with a slash behind it",
            {
                "cfg": config()
                | {
                    "profile": "auth-api",
                    "auth_api_url": "https://auth.api.openai.org/api/accounts/",
                },
                "url": "https://auth.api.openai.org/api/accounts",
            },
        ),
    ]:
        run = LaterRun(key=LATER_KEY, **members)
        run.to_register_identity()
        run.identity_registered()
        run.step(DONE, run.register_task)
        run.fresh_task_registered()
        run.asserts(DONE)
        yield run.end(f"later-{name}", comment, LATER)
    run = LaterRun(key=LATER_KEY, creds=credentials() | {"fedramp": True})
    run.to_register_identity()
    run.identity_registered()
    run.step(DONE, run.register_task)
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("later-fedramp", "a FedRAMP account", LATER)

    sealed = KEY.seal(EPHEMERAL, captured.TASK_ID)
    for name, body in [
        ("task-id", {"task_id": "task-4"}),
        ("task-id-camel", {"taskId": "task-4"}),
        ("sealed", {"encrypted_task_id": sealed}),
        ("sealed-camel", {"encryptedTaskId": sealed}),
        (
            "plain-wins",
            {"encrypted_task_id": OTHER_KEY.seal(EPHEMERAL, "x"), "taskId": "task-4"},
        ),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(response(200, body), save("identity", WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"later-response-{name}", "the four shapes", LATER)
    run = LaterRun(creds=credentials(token=None))
    run.to_register_task()
    yield run.end(
        "later-task-no-access-token", "the signature is the proof, no token", LATER
    )
    for name, event, code in [
        ("429", response(429), "http_status"),
        ("500", response(500), "http_status"),
        ("timeout", failed("timeout"), "request_failed"),
        ("connect", failed("connect"), "request_failed"),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(event, {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, run.register_task)
        run.step(event, {"type": "wait", "wait_ms": 2000})
        run.step({"type": "woke"}, run.register_task)
        run.backs_off(event, code, pause=LONGEST_PAUSE)
        yield run.end(
            f"later-retried-{name}", "tried three times, then an hour's pause", LATER
        )
    run = LaterRun(key=LATER_KEY)
    run.to_register_identity()
    run.step(response(503), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_identity)
    run.identity_registered()
    run.step(DONE, run.register_task)
    run.step(response(503), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_task)
    run.fresh_task_registered()
    run.asserts(DONE)
    yield run.end("later-retried-and-done", "each request has three tries", LATER)
    for status in [302, 400, 401, 403, 404]:
        run = LaterRun()
        run.to_register_task()
        run.backs_off(response(status), "http_status", pause=LONGEST_PAUSE)
        yield run.end(f"later-final-{status}", "every other failure is final", LATER)
    run = LaterRun()
    run.to_register_task()
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("later-wait-canceled", "the caller does not wait", LATER)

    # What the host does while it waits.
    stages = [
        ("identity", LaterRun.to_register_identity, {"key": LATER_KEY}),
        ("task", LaterRun.to_register_task, {}),
    ]
    for stage, reach, members in stages:
        for failure in ["timeout", "connect", "tls", "too-large", "canceled", "store"]:
            run = LaterRun(**members)
            reach(run)
            run.step(response(500), {"type": "wait", "wait_ms": 1000})
            run.falls_back(failed(failure), "registration-failed", "request_failed")
            yield run.end(
                f"later-{stage}-wait-failed-{failure}",
                "the host does not wait: the flow ends, without a pause",
                LATER,
            )
        run = LaterRun(**members)
        reach(run)
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"later-{stage}-canceled",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        run = LaterRun(**members)
        reach(run)
        run.step(failed("timeout"), {"type": "wait", "wait_ms": 1000})
        run.step(
            {"type": "woke"},
            run.register_identity if stage == "identity" else run.register_task,
        )
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(
            f"later-{stage}-canceled-in-second-try",
            "broken off by the caller: not tried again, and no pause",
            LATER,
        )
        for failure in ["tls", "too-large"]:
            run = LaterRun(**members)
            reach(run)
            run.backs_off(failed(failure), "request_failed", pause=LONGEST_PAUSE)
            yield run.end(
                f"later-{stage}-final-{failure}", "every other failure is final", LATER
            )
        for status, seconds in [(403, 7200), (404, 60)]:
            run = LaterRun(**members)
            reach(run)
            event = response(status, {}, {"retry-after": str(seconds)})
            run.backs_off(
                event, "http_status", pause=LONGEST_PAUSE, retry_after=seconds
            )
            yield run.end(
                f"later-{stage}-retry-after-{status}",
                "the longer of an hour and what the backend asks for",
                RETRY_AFTER,
            )
        run = LaterRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(failed("connect"), {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, again)
        run.step(response(503), {"type": "wait", "wait_ms": 2000})
        run.step({"type": "woke"}, again)
        run.backs_off(
            response(429, {}, {"retry-after": "7200"}),
            "http_status",
            pause=LONGEST_PAUSE,
            retry_after=7200,
        )
        yield run.end(
            f"later-{stage}-retry-after-429",
            "the third try is the last, and asks to be left alone",
            RETRY_AFTER,
        )
        run = LaterRun(**members)
        again = run.register_identity if stage == "identity" else run.register_task
        reach(run)
        run.step(response(500), {"type": "wait", "wait_ms": 1000})
        run.step({"type": "woke"}, again)
        run.backs_off(response(403), "http_status", pause=LONGEST_PAUSE)
        yield run.end(
            f"later-{stage}-final-in-second-try",
            "what is final is not tried a third time",
            LATER,
        )
    for name, body, code in [
        ("empty", None, "invalid_response"),
        ("garbage", "<html>", "invalid_response"),
        ("missing-member", {}, "invalid_response"),
        ("number", {"task_id": 4}, "invalid_response"),
        ("plain-empty", {"task_id": ""}, "invalid_task_id"),
        ("plain-control-character", {"taskId": "a\nb"}, "invalid_task_id"),
        ("other-key", {"encryptedTaskId": OTHER_KEY.seal(EPHEMERAL, "x")}, BAD_BOX),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.backs_off(response(200, body), code, pause=LONGEST_PAUSE)
        yield run.end(f"later-response-{name}-refused", "no task, and final", LATER)
    for name, body in [
        ("both-plain", {"taskId": "task-5", "task_id": "task-4"}),
        ("plain-null", {"task_id": None, "taskId": "task-4"}),
        ("sealed-and-null", {"task_id": None, "encrypted_task_id": sealed}),
    ]:
        run = LaterRun()
        run.to_register_task()
        run.step(response(200, body), save("identity", WITH_TASK))
        run.asserts(DONE)
        yield run.end(f"later-response-{name}", "which of several wins", LATER)
    run = LaterRun()
    record = back_off(captured.TIME - 4000, "http_status", 1)
    run.to_last_load(TASKLESS, record)
    run.step(loaded(record), run.register_task)
    run.backs_off(
        response(403), "http_status", failures=2, pause=LONGEST_PAUSE, record=record
    )
    yield run.end("later-second-failure", "an hour, however often", LATER)
    run = LaterRun()
    run.to_last_load()
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    for size in [16, 32, 63, 65]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    yield run.end("later-entropy-of-other-size", "64 bytes make a key", LATER)
    run = LaterRun(creds=credentials(token=None))
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "no_access_token")
    yield run.end("later-no-access-token", "an identity needs a token", LATER)

    # Where the auth API is.
    for name, configured, url in [
        ("slashes", "https://auth.example/api///", "https://auth.example/api"),
        ("no-path", "https://auth.example", "https://auth.example"),
        ("slash-alone", "https://auth.example/", "https://auth.example"),
        ("port", "http://127.0.0.1:8443/a", "http://127.0.0.1:8443/a"),
        ("ipv6", "http://[::1]:8080/", "http://[::1]:8080"),
        # What a base URL would lose stays.
        ("codex", "https://chatgpt.com/codex", "https://chatgpt.com/codex"),
        ("case", "https://Auth.Example/A", "https://Auth.Example/A"),
    ]:
        cfg = config() | {"profile": "auth-api", "auth_api_url": configured}
        run = LaterRun(key=LATER_KEY, cfg=cfg, url=url)
        run.to_register_identity()
        run.identity_registered()
        run.step(DONE, run.register_task)
        yield run.end(
            f"later-url-{name}",
            "slashes at the end go, everything else stays",
            "this project's rule: the auth API's URL",
        )
    run = Run(cfg=config() | {"auth_api_url": "https://auth.example"})
    run.to_identity_biscuit()
    yield run.end(
        "auth-api-url-without-profile", "the default profile does not use it", LATER
    )

    # Threads.
    for name, thread in [("new", None), ("damaged", "damaged")]:
        run = LaterThreadRun()
        run.to_register_task(WITH_TASK, thread)
        run.task_registered()
        run.asserts(DONE)
        yield run.end(f"later-thread-{name}", "a thread's task, no biscuit", LATER)
    run = LaterThreadRun(key=LATER_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.step(DONE, run.register_task)
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "later-thread-without-identity", "the identity is registered first", LATER
    )
    run = LaterThreadRun(cfg=config(UNSUPPORTED) | {"profile": "auth-api"})
    run.with_task()
    yield run.end("later-thread-stored", "a stored task", LATER)
    run = LaterThreadRun(creds=credentials(token=None))
    run.to_register_task(WITH_TASK)
    run.task_registered()
    run.asserts(DONE)
    yield run.end("later-thread-no-access-token", "the signature is the proof", LATER)
    run = LaterThreadRun()
    run.to_last_load(WITH_TASK)
    run.step(loaded(back_off(captured.TIME, "http_status")), run.register_task)
    run.step(
        response(200, {"task_id": "task-6"}),
        lambda: save("thread/thread-1", run.thread_record("task-6")),
    )
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(DONE)
    yield run.end("later-thread-in-a-pause", "a turn tries at once", LATER)
    run = LaterThreadRun()
    run.to_register_task(WITH_TASK)
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_task)
    run.step(failed("timeout"), {"type": "wait", "wait_ms": 2000})
    run.step({"type": "woke"}, run.register_task)
    run.backs_off(response(502), "http_status", pause=LONGEST_PAUSE)
    yield run.end(
        "later-thread-failed", "tried three times, then an error of the turn", LATER
    )
    run = LaterThreadRun()
    run.to_register_task(WITH_TASK)
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.falls_back(failed("canceled"), "registration-failed", "request_failed")
    yield run.end("later-thread-wait-canceled", "nothing is sent", LATER)
    run = LaterThreadRun(creds=FEDRAMP, key=LATER_KEY)
    run.to_register_identity()
    run.identity_registered()
    run.step(DONE, run.register_task)
    run.task_registered()
    run.asserts(DONE)
    yield run.end(
        "later-thread-fedramp", "the identity's registration and the call", LATER
    )

    # Rejected tasks.
    run = LaterRun(rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), save("identity", TASKLESS))
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), run.register_task)
    run.step(
        response(200, {"task_id": "task-9"}),
        lambda: save("identity", replaced(run.now)),
    )
    run.asserts(DONE, "task-9")
    yield run.end("later-rejected", "dropped, and another registered", REJECTED)
    run = LaterThreadRun(rejected=REJECTED_TASK | {"task_id": "task-6"})
    record = compact(THREAD_RECORD)
    run.to_lock(WITH_TASK, record)
    run.step(DONE, LOAD_IDENTITY)
    run.load(WITH_TASK, record, {"type": "delete", "slot": "thread/thread-1"})
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), run.register_task)
    run.task_registered("task-9")
    run.asserts(DONE, "task-9")
    yield run.end("later-rejected-thread", "a thread's task", REJECTED)


BAD_BOX = "invalid_sealed_task_id"


class LaterThreadRun(ThreadRun, LaterRun):
    """A flow of a thread's call in the later profile."""

    def to_register_task(self, identity=WITH_TASK, thread=None):
        """Go on, with an identity, until the thread's task is to be registered."""
        self.to_last_load(identity, thread)
        return self.step(loaded(), self.register_task)


def jwt_identities():
    """Yield flows with an identity that arrived as a JWT."""
    arrived = {
        "kind": "agent-identity",
        "account_id": "acct-1",
        "user_id": "user-1",
    }
    for surface in ["models", "bootstrap", "background"]:
        run = LaterRun(cfg=config(), creds=arrived, surface=surface)
        run.to_register_task()
        run.task_registered(WITH_TASK)
        run.asserts(DONE)
        yield run.end(
            f"jwt-identity-{surface}",
            "every surface uses the one task, registered without biscuits",
            LATER,
        )
    run = LaterRun(cfg=config(), creds=arrived)
    run.to_last_load()
    run.falls_back(loaded(), "registration-failed", "invalid_identity_jwt")
    yield run.end("jwt-identity-not-stored", "it cannot be registered again", LATER)
    for surface in THREAD:
        run = LaterRun(
            cfg=config(UNSUPPORTED), creds=arrived, surface=surface, thread="thread-1"
        )
        run.start()
        run.asserts(loaded(WITH_TASK))
        yield run.end(
            f"jwt-identity-{surface}",
            "a thread uses the one task, too, and has no slot",
            LATER,
        )
    run = LaterRun(cfg=config(), creds=arrived, surface="responses", thread="thread-1")
    run.to_register_task()
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-thread-registers", "which it may register", LATER)
    run = LaterRun(cfg=config(), creds=arrived, surface="responses", thread="thread-1")
    run.to_register_task()
    run.backs_off(response(403), "http_status", pause=LONGEST_PAUSE)
    yield run.end("jwt-identity-thread-failed", "there is no token either", LATER)
    run = LaterRun(cfg=config(), creds=arrived | {"fedramp": True})
    run.to_register_task()
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-fedramp", "the call is marked", LATER)
    run = LaterRun(
        cfg=config()
        | {"profile": "auth-api", "auth_api_url": "https://auth.example/api"},
        creds=arrived,
        url="https://auth.example/api",
    )
    run.to_register_task()
    yield run.end("jwt-identity-auth-api-url", "where tasks are registered", LATER)
    run = LaterRun(cfg=config(), creds=arrived, rejected=REJECTED_TASK)
    run.start()
    run.step(loaded(WITH_TASK), LOCK)
    run.step(DONE, LOAD_IDENTITY)
    run.step(loaded(WITH_TASK), save("identity", TASKLESS))
    run.step(DONE, LOAD_BACKOFF)
    run.step(loaded(), run.register_task)
    run.task_registered(replaced(run.now + 1), "task-9")
    run.asserts(DONE, "task-9")
    yield run.end("jwt-identity-rejected", "its task is replaced as usual", REJECTED)
    run = LaterRun(cfg=config(), creds=arrived)
    run.to_register_task()
    run.step(response(500), {"type": "wait", "wait_ms": 1000})
    run.step({"type": "woke"}, run.register_task)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    yield run.end("jwt-identity-second-try", "it is tried three times", LATER)
    run = LaterRun(cfg=config(), creds=arrived)
    run.start()
    run.step(loaded(TASKLESS), LOAD_BACKOFF)
    retry_at = run.now + 3600
    run.falls_back(
        loaded(back_off(run.now, "http_status", pause=3600)),
        "registration-failed",
        "backing_off",
        retry_at,
    )
    yield run.end("jwt-identity-in-a-pause", "there is no token either", LATER)
    for name, cfg in [
        ("gate-off", config(gate=False)),
        ("unsupported-host", config(UNSUPPORTED)),
    ]:
        run = LaterRun(cfg=cfg, creds=arrived)
        run.start(lambda run=run: run.bearer(""))
        yield run.end(f"jwt-identity-{name}", "there is no token either", FALL_BACK)
    run = LaterRun(cfg=config(forced="acct-2"), creds=arrived)
    run.to_last_load(TASKLESS)
    run.falls_back(loaded(), "registration-failed", "invalid_identity_jwt")
    yield run.end(
        "jwt-identity-forced-workspace",
        "another workspace is forced: the identity is not its own, and stays",
        STORED,
    )


def refused():
    """Yield flows and calls with what no host should say."""
    answers = [
        ("load", [], loaded(WITH_TASK), ["done", "entropy", "response", "start"]),
        ("lock", [Run.to_lock], DONE, ["loaded", "entropy", "response", "start"]),
        (
            "http",
            [Run.to_identity_biscuit],
            failed("canceled"),
            ["loaded", "done", "entropy", "start"],
        ),
    ]
    for name, reach, good, kinds in answers:
        run = Run()
        for part in reach or [Run.start]:
            part(run)
        for kind in kinds:
            run.refuse(event_of(kind), "unexpected_event")
        run.refuse({"type": "unheard-of"}, "unexpected_event")
        run.refuse({"type": "failed"}, "unexpected_event")
        run.refuse(failed("unheard-of"), "unexpected_event")
        if name == "load":
            run.asserts(good)
        elif name == "lock":
            run.step(good, LOAD_IDENTITY)
        else:
            run.falls_back(good, "registration-failed", "request_failed")
        yield run.end(
            f"unexpected-after-{name}",
            "events that do not answer the effect are refused; the right one then works",
            "this project's ABI",
        )
    kinds = ["start", "loaded", "done", "entropy", "response", "woke"]

    def unexpected(run, expected):
        for kind in kinds:
            if kind != expected:
                run.refuse(event_of(kind), "unexpected_event")
        run.refuse({"type": "unheard-of"}, "unexpected_event")
        run.refuse(failed("unheard-of"), "unexpected_event")

    def steps():
        run = LaterRun(key=LATER_KEY)
        run.to_register_identity()
        run.step(response(500), {"type": "wait", "wait_ms": 1000})
        unexpected(run, "woke")
        yield "wait", run.step({"type": "woke"}, run.register_identity)
        run = LaterRun()
        run.to_register_task()
        run.step(response(500), {"type": "wait", "wait_ms": 1000})
        unexpected(run, "woke")
        yield "task-wait", run.step({"type": "woke"}, run.register_task)
        run = Run(rejected=REJECTED_TASK)
        run.start()
        run.step(loaded(WITH_TASK), LOCK)
        run.step(DONE, LOAD_IDENTITY)
        run.step(loaded(WITH_TASK), save("identity", TASKLESS))
        unexpected(run, "done")
        yield "drop-task", run.step(DONE, LOAD_BACKOFF)
        run = ThreadRun()
        run.start()
        run.step(loaded(WITH_TASK), run.load_thread)
        unexpected(run, "loaded")
        yield "load-thread", run.asserts(loaded(compact(THREAD_RECORD)))
        run = ThreadRun()
        run.to_task_biscuit()
        run.task_biscuit_minted()
        run.task_registered()
        unexpected(run, "done")
        yield "save-task", run.asserts(DONE)
        run = Run()
        run.to_identity_biscuit()
        run.step(response(403), JITTER_ENTROPY)
        unexpected(run, "entropy")
        for size in [0, 3, 5, 16, 64]:
            event = {"type": "entropy"}
            if size:
                event["entropy"] = hexadecimal(bytes(size))
            run.refuse(event, "invalid_entropy")
        run.step(
            {"type": "entropy", "entropy": hexadecimal(bytes(4))},
            lambda: save("backoff", back_off(run.now, "http_status", pause=30)),
        )
        retry_at = run.now + 30
        unexpected(run, "done")
        yield (
            "jitter",
            run.falls_back(DONE, "registration-failed", "http_status", retry_at),
        )

    for name, run in steps():
        yield run.end(
            f"unexpected-after-{name}",
            "events that do not answer the effect are refused; the right one then works",
            "this project's ABI",
        )
    run = Run()
    run.to_last_load()
    run.step(loaded(), NEW_IDENTITY_ENTROPY)
    for size in [0, 16, 32, 63, 65]:
        event = {"type": "entropy"}
        if size:
            event["entropy"] = hexadecimal(bytes(size))
        run.refuse(event, "invalid_entropy")
    for kind in ["loaded", "done", "response", "start"]:
        run.refuse(event_of(kind), "unexpected_event")
    run.give_entropy()
    yield run.end(
        "entropy-of-other-size",
        "another amount of entropy than was asked for is refused",
        "this project's ABI",
    )
    run = Run()
    run.to_last_load(TASKLESS)
    run.step(loaded(), NEW_TASK_ENTROPY)
    for size in [15, 17, 64]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    event = {"type": "entropy", "entropy": hexadecimal(REQUEST_IDS[1])}
    run.step(event, run.task_biscuit)
    yield run.end(
        "task-entropy-of-other-size",
        "another amount of entropy than was asked for is refused",
        "this project's ABI",
    )
    run = Run()
    run.start()
    for now in [MIN_TIME - 1, MAX_TIME + 1]:
        run.refuse(loaded() | {"now": now}, "invalid_time")
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "time-out-of-range",
        "a time outside of the years 0 to 9999 is refused",
        protocol("Timestamps"),
    )

    def start(name, comment, code, **members):
        event = {
            "type": "start",
            "now": captured.TIME,
            "config": config(),
            "surface": "models",
            "credentials": credentials(),
        } | members
        event = {n: v for n, v in event.items() if v is not None}
        return flow(
            f"start-{name}-refused",
            comment,
            "this project's ABI",
            [{"event": event, "error": {"code": code}}],
        )

    for surface in THREAD:
        yield start(
            surface,
            "a thread's surface without a thread",
            "thread_surface",
            surface=surface,
        )
    for surface in ["models", "bootstrap"]:
        yield start(
            f"{surface}-with-thread",
            "a thread with a surface that is no thread's",
            "thread_surface",
            surface=surface,
            thread_id="thread-1",
        )
    for name, text in [("4097-bytes", "x" * 4097), ("control-character", "a\nb")]:
        yield start(
            f"thread-id-{name}",
            "no thread id",
            "invalid_thread_id",
            surface="responses",
            thread_id=text,
        )
    yield start(
        "profile",
        "no profile",
        "invalid_config",
        config=config() | {"profile": "x"},
    )
    yield start(
        "profile-other-case",
        "no profile",
        "invalid_config",
        config=config() | {"profile": "Auth-API"},
    )
    for name, url in [
        ("", "x"),
        ("-relative", "/api/accounts"),
        ("-other-scheme", "ftp://auth.example"),
        ("-no-host", "https://"),
        ("-slashes", "https:////"),
        ("-query", "https://auth.example/api?a=b"),
        ("-fragment", "https://auth.example/api#a"),
        ("-user", "https://user@auth.example/api"),
        ("-space", "https://auth.example/a b"),
        ("-line-feed", "https://auth.example/a\n"),
        ("-non-ascii", "https://auth.example/\u00e9"),
        ("-port-0", "https://auth.example:0/api"),
    ]:
        yield start(
            f"auth-api-url{name}",
            "no URL that requests could go to",
            "invalid_config",
            config=config() | {"profile": "auth-api", "auth_api_url": url},
        )
    yield start(
        "auth-api-url-without-profile",
        "it is checked even where it is not used",
        "invalid_config",
        config=config() | {"auth_api_url": "x"},
    )
    arrived = {"kind": "agent-identity", "account_id": "acct-1", "user_id": "user-1"}
    yield start(
        "jwt-identity-without-thread",
        "a thread's surface without a thread, whoever calls",
        "thread_surface",
        surface="responses",
        credentials=arrived,
    )
    yield start(
        "jwt-identity-with-thread",
        "a thread with a surface that is no thread's, whoever calls",
        "thread_surface",
        thread_id="thread-1",
        credentials=arrived,
    )
    yield start(
        "background-with-thread",
        "a thread with a surface that is no thread's",
        "thread_surface",
        surface="background",
        thread_id="thread-1",
    )
    yield start("unknown-surface", "no surface", "unknown_surface", surface="x")
    yield start("no-surface", "no surface", "unknown_surface", surface=None)
    yield start("no-config", "no configuration", "invalid_config", config=None)
    yield start("no-credentials", "no credentials", "invalid_config", credentials=None)
    yield start(
        "base-url",
        "no base URL",
        "invalid_base_url",
        config=config("chatgpt.com"),
    )
    yield start(
        "trusted-host",
        "no host",
        "invalid_trusted_host",
        config=config(trusted=["https://backend.example"]),
    )
    yield start(
        "access-token",
        "a token that is more than one header",
        "invalid_credentials",
        credentials=credentials(token="a\r\nx-injected: 1"),
    )
    yield start(
        "abom",
        "a bill of materials longer than 4096 bytes",
        "invalid_config",
        config=config() | {"abom": odd_abom() | {"running_location": "x" * 4097}},
    )
    yield start("time", "no time", "invalid_time", now=MAX_TIME + 1)

    for kind in [*kinds[1:], "failed", "unheard-of"]:
        event = event_of(kind) | {"now": captured.TIME}
        yield call(
            f"first-event-{kind}-refused",
            "a flow begins with start",
            "this project's ABI",
            "flow.step",
            {"event": event},
            error="unexpected_event",
        )
    for name, state in [
        ("zero", b"\0"),
        ("ff", b"\xff"),
        ("empty-map", b"\xa0"),
        ("text", b"state"),
        ("random", bytes(range(200))),
    ]:
        yield call(
            f"state-{name}-refused",
            "a state that no step returned",
            "this project's ABI",
            "flow.step",
            {
                "state": hexadecimal(state),
                "event": {"type": "loaded", "now": captured.TIME},
            },
            error="invalid_state",
        )


def event_of(kind):
    """Return an event of a type, complete but for its time."""
    return {
        "start": {
            "type": "start",
            "config": config(),
            "surface": "models",
            "credentials": credentials(),
        },
        "loaded": loaded(),
        "done": DONE,
        "entropy": {"type": "entropy", "entropy": hexadecimal(bytes(64))},
        "response": response(200),
        "woke": {"type": "woke"},
        "failed": failed("store"),
        "unheard-of": {"type": "unheard-of"},
    }[kind]


def vectors():
    """Return the vectors of flows.json."""
    parts = [
        captured_runs,
        without_registration,
        stored,
        fresh,
        failing_requests,
        backing_off,
        failing_hosts,
        races,
        threads,
        rejections,
        retry_after,
        later,
        jwt_identities,
        fedramp,
        pauses,
        refused,
    ]
    return [vector for part in parts for vector in part()]
