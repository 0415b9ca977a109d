"""How a flow is written: a script of what the host says and what is asked for."""

import email.utils
import hashlib
import json
import math
import urllib.parse

import captured
from areas.decisions import config, credentials
from fixtures import KEY, OTHER_KEY
from primitives import MAX_TIME, Key, b64url, compact, timestamp, unb64url
from vectors import flow, hexadecimal, protocol, utf8

FLOW = "protocol page: Registration; this project's flow"
BACK_OFF = "this project's rule: back-off"
FALL_BACK = protocol("Who gets what, rules 7 and 8")
LOCKS = (
    "this project's rule: one registration of an identity at a time, one of a thread"
)
READ_ONLY = "this project's rule: what a store holds is used"
SET_ASIDE = "this project's rule: nothing of anybody's is destroyed"
SWAPS = "this project's rule: the loser takes what the winner has stored"
HEALING = "this project's rule: an identity that is not known heals"
CLOCKS = "this project's rule: clocks; RFC 9110, section 6.6.1"
BACKENDS = "this project's rule: an identity belongs to a backend"
STORED = protocol("A stored identity is used only if")
LATER = protocol("Later clients")

# 15 s, and 64 KiB.
LIMITS = {"timeout_ms": 15000, "size_limit": 65536}
LONGEST_PAUSE = 3600
LONGEST_RETRY_AFTER = 86400
JITTER = bytes([0xC0, 0, 0, 0])

# Why an identity is set aside.
UNFIT = "it is of another account or user, or damaged"
UNKNOWN = "unknown_agent"
REQUEST_IDS = [bytes(range(0xA0, 0xB0)), bytes(range(0xC0, 0xD0))]
EPHEMERAL = bytes(range(32))
LOAD_IDENTITY = {"type": "load", "slot": "identity"}
LOAD_BACKOFF = {"type": "load", "slot": "backoff"}
LOAD_BACKEND = {"type": "load", "slot": "backend"}
LOAD_SET_ASIDE = {"type": "load", "slot": "set-aside"}
LOCK_IDENTITY = {"type": "lock", "slot": "identity"}
UNLOCK_IDENTITY = {"type": "unlock", "slot": "identity"}
PROBE_IDENTITY = {"type": "probe", "slot": "identity"}
DELETE_BACKOFF = {"type": "delete", "slot": "backoff"}
NEW_IDENTITY_ENTROPY = {"type": "entropy", "size": 64}
NEW_TASK_ENTROPY = {"type": "entropy", "size": 16}
JITTER_ENTROPY = {"type": "entropy", "size": 4}
DONE = {"type": "done"}


def save(slot, record):
    """Return the effect that saves a record."""
    return {"type": "save", "slot": slot, "record": utf8(record)}


def swap(expected, record):
    """Return the effect that replaces the identity; None is no record."""
    effect = {"type": "swap", "slot": "identity"}
    if expected is not None:
        effect["expected"] = utf8(expected)
    if record is not None:
        effect["record"] = utf8(record)
    return effect


def belongs(base, runtime=captured.RUNTIME_ID):
    """Return the record that says which backend one identity belongs to."""
    return compact({runtime: base})


def completed(record, account=captured.ACCOUNT_ID, creds=None, now=captured.TIME):
    """Return a record with what one client or another needs, and all else as it was.

    The members that are missing, or of another type than clients read, are those of
    the credentials, and unknown where these do not say; the task has two names. There
    may be no e-mail address, but none of another type.
    """
    creds = creds or credentials()
    whole = json.loads(record)
    for name, kind, value in [
        ("account_id", str, account),
        ("chatgpt_user_id", str, creds.get("user_id", "")),
        ("plan_type", str, creds.get("plan_type", "unknown")),
        ("chatgpt_account_is_fedramp", bool, creds.get("fedramp", False)),
        ("workspace_id", str, account),
        ("registered_at", str, timestamp(now)),
    ]:
        if not isinstance(whole.get(name), kind):
            whole[name] = value
    if not isinstance(whole.get("email", ""), str):
        whole["email"] = creds.get("email")
        if not whole["email"]:
            del whole["email"]
    task = whole.get("background_task_id") or whole.get("task_id")
    return compact(with_task(whole, task))


def with_task(record, task):
    """Return a record's members with a background task, under both of its names."""
    names = {"task_id": task, "background_task_id": task}
    if task:
        return record | names
    return {name: value for name, value in record.items() if name not in names}


def set_aside(identity, now, reason=UNFIT):
    """Return the entry of an identity that another takes the place of."""
    # The identity is the text that it was.
    at = timestamp(now)
    return f'{{"set_aside_at":"{at}","reason":"{reason}","agent_identity":{identity}}}'


def http_date(unix):
    """Return a time in the form of the header field date."""
    return email.utils.formatdate(unix, usegmt=True)


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


def expiry(token):
    """Return when a token expires by its own account, or no time at all.

    Most are JWTs, whose claim exp is a number of seconds.
    """
    parts = token.split(".")
    if len(parts) == 3:
        try:
            claims = json.loads(unb64url(parts[1]))
            exp = claims.get("exp")
            if type(exp) is int and exp >= 0:
                return exp
        except (ValueError, AttributeError):
            pass
    return math.inf


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
        forced = self.config.get("forced_workspace_ids", [])
        self.account = (
            forced[0] if len(forced) == 1 else self.credentials.get("account_id")
        )
        self.steps = []
        # What the store holds, which notice there is, and which there will be once the
        # identity has been replaced.
        self.stored, self.backends = None, None
        self.notice, self.pending = None, None
        # Whether a failure is not one that passes, where that is remembered.
        self.final = False
        # Whether the backend has said that it does not know the stored agent.
        self.unknown = False
        self.task_slot = "identity"

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
        return self.noticed(result)

    def noticed(self, result):
        """Return the end of a flow, with what the user should know."""
        token = self.credentials.get("access_token")
        if self.notice:
            result["notice"] = {"code": self.notice}
        elif result["mode"] == "bearer" and self.now >= expiry(token):
            result["notice"] = {"code": "access_token_expired"}
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
        return self.noticed(result)

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
            "response_headers": ["x-openai-authorization", "date", "retry-after"],
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
            "response_headers": ["date", "retry-after"],
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
            "capabilities": self.config.get("capabilities", []),
        }
        return self.post(self.register_url, biscuit, compact(body))

    def task_biscuit(self, request_id=None):
        """Return the third request of a registration."""
        return self.biscuit(request_id or self.request_ids[1], self.task_url)

    def register_task(self, biscuit="biscuit-3"):
        """Return the fourth request of a registration."""
        proof = self.key.registration_proof(self.runtime, self.now)
        return self.post(self.task_url, biscuit, compact(proof))

    def record(self, registered_at=None, task=None, **members):
        """Return the record of a new identity: what every client needs."""
        record = {
            "agent_runtime_id": self.runtime,
            "agent_private_key": self.key.stored,
            "base_url": self.base,
        }
        if self.credentials.get("email"):
            record["email"] = self.credentials["email"]
        at = self.now if registered_at is None else registered_at
        record = completed(compact(record), self.account, self.credentials, at)
        return compact(with_task(json.loads(record), task) | members)

    @property
    def first_for_task(self):
        """Return the first request of a task's registration."""
        return self.task_biscuit

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
        self.finds(identity, LOAD_BACKOFF)
        return self.step(loaded(backoff), LOCK_IDENTITY)

    def looks_again(self):
        """Go on with an identity whose task will not do until it is locked, to be read again."""
        self.to_lock(WITH_TASK)
        return self.step(DONE, LOAD_IDENTITY)

    def keeps(self, record=None):
        """Load an identity under its lock, whose task, which was rejected, stays for now."""
        return self.finds(record or WITH_TASK, LOAD_BACKOFF)

    def finds(self, identity, effect):
        """Load an identity. One that does not say so has its backend looked up.

        It belongs to the first that it is used with, which is noted.
        """
        self.stored = identity
        if identity is None or json.loads(identity).get("base_url"):
            return self.step(loaded(identity), effect)
        self.step(loaded(identity), LOAD_BACKEND)
        if self.backends:
            return self.step(loaded(self.backends), effect)
        runtime = json.loads(identity)["agent_runtime_id"]
        self.backends = belongs(self.base, runtime)
        self.step(loaded(), save("backend", self.backends))
        return self.step(DONE, effect)

    def uses(self, record, task=captured.TASK_ID, whole=None):
        """End with the task of a stored identity.

        What the record lacks for one client or another is added first; whole is its
        text then, where it was not compact.
        """

        def after(now):
            return completed(record, self.account, self.credentials, now)

        if not whole and json.loads(after(0)) == json.loads(record):
            return self.finds(record, lambda: self.assertion(task))
        self.finds(record, lambda: swap(record, whole or after(self.now)))
        return self.asserts(DONE, task)

    def sets_aside(self, effect, held=None, reason=UNFIT, event=DONE, saved=None):
        """Go on, and keep an identity that is about to be replaced.

        It is added to what is held already; saved is what comes of a record to which
        it cannot be added.
        """
        self.step(event, LOAD_SET_ASIDE)
        entries = held[1:-1] + "," if held else ""

        def record():
            entry = set_aside(self.stored, self.now, reason)
            return save("set-aside", saved(entry) if saved else f"[{entries}{entry}]")

        self.step(loaded(held), record)
        self.pending = "identity_set_aside"
        return self.step(DONE, effect)

    def heals(self, event=DONE, runtime="agent-rt-9"):
        """Replace an identity that the backend does not know, as far as its key.

        It stays in the store until there is another.
        """
        self.sets_aside(NEW_IDENTITY_ENTROPY, reason=UNKNOWN, event=event)
        self.unknown = True
        self.key, self.runtime = OTHER_KEY, runtime
        return self.give_entropy()

    def probed(self, event, effect):
        """Go on once it is known that what is to be registered can be kept."""
        slot = "identity" if effect is NEW_IDENTITY_ENTROPY else self.task_slot
        self.step(event, {"type": "probe", "slot": slot})
        return self.step(DONE, effect)

    def to_last_load(self, identity=None, backoff=None):
        """Go on until all that is left to load is the back-off, once more."""
        self.to_lock(identity, backoff)
        self.step(DONE, LOAD_IDENTITY)
        return self.finds(identity, LOAD_BACKOFF)

    def to_identity_biscuit(self, backoff=None):
        """Go on, without an identity, until the first biscuit is wanted."""
        self.to_last_load(None, backoff)
        self.probed(loaded(backoff), NEW_IDENTITY_ENTROPY)
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
            lambda: swap(self.stored, self.record(**self.replaces())),
        )
        self.registered_at = self.now
        self.stored = self.record(**self.replaces())
        self.notice = self.pending
        return self

    def replaces(self):
        """Return what a new identity says of one that the backend does not know."""
        if not self.unknown:
            return {}
        return {"identity_replaced_at": timestamp(self.now)}

    def identity_saved(self):
        """Go on to the first request for a task."""
        return self.step(DONE, self.first_for_task)

    def to_task_biscuit(self, identity, backoff=None):
        """Go on, with an identity but no task, until its biscuit is wanted."""
        self.to_last_load(identity, backoff)
        self.probed(loaded(backoff), NEW_TASK_ENTROPY)
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
            response(200, {"encrypted_task_id": sealed}),
            lambda: swap(self.stored, record(self) if callable(record) else record),
        )

    def fresh_task_registered(self):
        """Answer the fourth request of a flow that made its own identity."""

        def record(run):
            members = with_task(json.loads(self.stored), captured.TASK_ID)
            if run.rejected:
                members["task_replaced_at"] = timestamp(run.now)
            return compact(members)

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

    def finds_a_pause(self, under_lock):
        """Look at what was rejected, and leave it at that: somebody has just failed to register.

        That is known at once, or from under the lock.
        """
        if under_lock:
            self.looks_again()
        else:
            self.start()
        self.keeps()
        at = self.now
        return self.falls_back(
            loaded(back_off(at, "http_status")),
            "registration-failed",
            "backing_off",
            at + 60,
        )

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
            if self.final:
                entry["final"] = True
            if saved:
                return save("backoff", saved(entry))
            return save("backoff", with_entry(record, self.account, entry))

        entropy = {"type": "entropy", "entropy": hexadecimal(jitter)}
        self.step(no_jitter or entropy, effect)
        retry_at = min(self.now + pause, MAX_TIME)
        return self.falls_back(last, reason, code, retry_at)


# A stored identity that lacks nothing but a task, and with one.
OURS = json.loads(
    Run(now=captured.TIME + 1).record(captured.TIME, task=captured.TASK_ID)
)
TASKLESS = compact(with_task(OURS, None))
WITH_TASK = compact(OURS)
# As 0.123 and 0.171 leave it.
FORM_0_123 = compact(captured.IDENTITY)
FORM_0_171 = compact(captured.LATER_IDENTITY)


def identity(**members):
    """Return the stored identity with other members; None removes one.

    Both of its names for the account change together, and both for the task.
    """
    for one, other in [
        ("workspace_id", "account_id"),
        ("task_id", "background_task_id"),
    ]:
        if one in members:
            members.setdefault(other, members[one])
    record = OURS | members
    return compact({n: v for n, v in record.items() if v is not None})


def odd_abom():
    """Return a bill of materials with what JSON must escape, and must not."""
    return {
        "agent_version": '"\\/\b\t\n\f\r\0\x01\x1f',
        "agent_harness_id": "<a>&\u2028\u2029\x7f\x80é🦀",
        "running_location": "",
    }


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
    return run.noticed(result | {"cause": {"code": code}})


def not_replaced(run):
    """Return the end of a flow whose assertion was rejected for another reason.

    The backend's own answer is the one to go by: nothing is to be sent in its place.
    """
    return turn_failed(run, "assertion_rejected", reason="assertion-rejected")


class ThreadRun(Run):
    """A flow of a thread's call."""

    def __init__(self, thread="thread-1", surface="responses", **members):
        super().__init__(thread=thread, surface=surface, **members)
        self.task_slot = self.slot = f"thread/{thread}"
        self.lock_thread = {"type": "lock", "slot": self.slot}
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
            return self.finds(None, then)
        self.finds(identity, self.load_thread)
        return self.step(loaded(thread), then)

    def looks_again(self):
        """Go on until the identity is locked, to be read again."""
        self.start()
        self.finds(WITH_TASK, LOCK_IDENTITY)
        return self.step(DONE, LOAD_IDENTITY)

    def to_lock(self, identity=None, thread=None):
        """Go on until a lock is wanted: a turn reads no back-off first."""
        self.start()
        lock = self.lock_thread if identity else LOCK_IDENTITY
        return self.load(identity, thread, lock)

    def to_last_load(self, identity=None, thread=None):
        """Go on until all that is left to load is the back-off."""
        self.to_lock(identity, thread)
        self.step(DONE, LOAD_IDENTITY)
        return self.load(identity, thread, LOAD_BACKOFF)

    def with_task(self, task="task-6"):
        """Begin, and end with the stored task."""
        self.start()
        self.finds(WITH_TASK, self.load_thread)
        record = compact(THREAD_RECORD | {"task_id": task})
        return self.asserts(loaded(record), task)

    def to_task_biscuit(self, identity=WITH_TASK, thread=None, backoff=None):
        """Go on, with an identity, until the biscuit of the thread's task."""
        self.to_last_load(identity, thread)
        self.probed(loaded(backoff), NEW_TASK_ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(self.request_ids[1])}
        return self.step(event, self.task_biscuit)

    def identity_saved(self, backoff=None):
        """Go on to the thread's task.

        The identity's lock is given back before the thread's is wanted, and what is
        stored read again under that.
        """
        self.step(DONE, self.load_thread)
        self.step(loaded(), UNLOCK_IDENTITY)
        self.step(DONE, self.lock_thread)
        self.step(DONE, LOAD_IDENTITY)
        self.load(self.stored, None, LOAD_BACKOFF)
        return self.probed(loaded(backoff), self.first_for_task)

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


FEDRAMP = credentials() | {"fedramp": True}


def replaced(now):
    """Return the captured identity with a task that replaced a rejected one."""
    return identity(task_id="task-9", task_replaced_at=timestamp(now))


ELSEWHERE = {"failures": 4, "retry_at": "2026-11-24T15:30:00Z", "code": "http_status"}


def passes(event):
    """Say whether a failure is one that passes."""
    if event["type"] == "failed":
        return event["failure"] in ("timeout", "connect")
    return event["type"] == "response" and (
        event["status"] == 429 or event["status"] >= 500
    )


class AuthAPIRun(Run):
    """A flow of the profile auth-api, of a call that asserts because all do.

    The auth API's URL is configured, unless that of the base URL's environment is
    to be found out, or that there is none.
    """

    reason = "all-surfaces"

    def __init__(
        self,
        url="https://auth.openai.com/api/accounts",
        *,
        configured=True,
        **members,
    ):
        cfg = members.pop("cfg", None) or config()
        creds = members.get("creds") or credentials()
        if creds["kind"] != "agent-identity":
            cfg = {"profile": "auth-api", "all_surfaces": True} | cfg
        if configured:
            cfg = {"auth_api_url": url} | cfg
        super().__init__(cfg=cfg, **members)
        self.api = url
        if self.credentials["kind"] == "agent-identity":
            self.reason = "identity-task"

    def assertion(self, task=captured.TASK_ID):
        """Return the end of a flow that has a task."""
        end = super().assertion(task)
        end["authorization"]["reason"] = self.reason
        return end

    @property
    def register_url(self):
        """Where an identity is registered."""
        return f"{self.api}/v1/agent/register"

    @property
    def task_url(self):
        """Where a task is registered."""
        return f"{self.api}/v1/agent/{self.runtime}/task/register"

    def send(self, url, body, headers, timeout):
        """Return a request of this profile."""
        return {
            "type": "http",
            "method": "POST",
            "url": url,
            "headers": fields(headers | {"content-type": "application/json"}),
            "body": utf8(compact(body)),
            "timeout_ms": timeout,
            "size_limit": 65536,
            "response_headers": ["date", "retry-after"],
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
            "capabilities": self.config.get("capabilities", ["responsesapi"]),
            "ttl": None,
        }
        return self.send(self.register_url, body, headers, 15000)

    def register_task(self):
        """Return the second request of a registration."""
        proof = self.key.registration_proof(self.runtime, self.now)
        return self.send(self.task_url, proof, {}, 30000)

    def to_register_identity(self):
        """Go on, without an identity, until one is to be registered."""
        self.to_last_load()
        self.probed(loaded(), NEW_IDENTITY_ENTROPY)
        return self.give_entropy()

    def give_entropy(self):
        """Hand over what the key is made of."""
        event = {"type": "entropy", "entropy": hexadecimal(AUTH_API_ENTROPY)}
        return self.step(event, self.register_identity)

    @property
    def first_for_task(self):
        """Return the first request of a task's registration."""
        return self.register_task

    def to_register_task(self, identity=TASKLESS):
        """Go on, with an identity but no task, until one is to be registered."""
        self.to_last_load(identity)
        return self.probed(loaded(), self.register_task)

    def waits(self, event, ms):
        """Fail in a way that passes, and wait."""
        return self.step(event, {"type": "wait", "wait_ms": ms})

    def backs_off(self, event, code, reason=None, **members):
        """End as after a failure; a turn goes by whether it is one that passes."""
        self.final = not passes(event)
        failed = "registration-failed" if self.final else "registration-unavailable"
        members = {"pause": LONGEST_PAUSE} | members
        return super().backs_off(event, code, reason or failed, **members)


AUTH_API_ENTROPY = bytes(range(64))
AUTH_API_KEY = Key(
    hashlib.sha512(b"codex-agent-identity-ed25519-v1" + AUTH_API_ENTROPY).digest()[:32]
)


class AuthAPITurn(AuthAPIRun):
    """A flow of a call to responses in the profile auth-api."""

    reason = "identity-task"

    def __init__(self, thread="thread-1", surface="responses", **members):
        super().__init__(thread=thread, surface=surface, **members)

    def bearer(self, reason, code=None, retry_at=None):
        """Return the end of a flow without a task."""
        if code and reason != "registration-unavailable":
            return turn_failed(self, code, retry_at, reason)
        return super().bearer(reason, code, retry_at)
