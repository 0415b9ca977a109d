"""Flows of the profile instances: a runtime agent instance for each process."""

import hashlib
import json
import uuid

import captured
from areas.decisions import WITH_API_KEY, config, credentials, instances
from areas.flows.script import (
    DELETE_BACKOFF,
    DONE,
    FEDRAMP,
    LOAD_BACKOFF,
    TASKLESS,
    WITH_TASK,
    AuthAPIRun,
    AuthAPITurn,
    Run,
    ThreadRun,
    back_off,
    back_off_entry,
    failed,
    loaded,
    not_replaced,
    response,
    with_entry,
)
from areas.instances import assertion
from fixtures import KEY, OTHER_KEY
from primitives import compact, timestamp
from vectors import capture, hexadecimal, protocol, utf8

INSTANCES = protocol("Later clients, instances")
AGAIN = "this project's rule: another assertion of a flow that has ended with one"
REJECTED = protocol("Later clients, instances: 401; this project's rule: one new one")
LOAD = {"type": "load", "slot": "instance"}
LOCK = {"type": "lock", "slot": "instance"}
ENTROPY = {"type": "entropy", "size": 48}
IDEMPOTENCY = bytes(range(0xE0, 0xF0))
IDS = [bytes([n]) * 16 for n in range(1, 9)]
REGISTRAR = "https://auth.openai.com"
OTHER_INSTANCE = "rai-2"


class InstanceRun(Run):
    """A flow of a call that asserts a runtime agent instance."""

    def __init__(
        self,
        url=REGISTRAR,
        *,
        mode="dual_header",
        instance="rai-1",
        configured=True,
        **members,
    ):
        cfg = members.pop("cfg", None) or config()
        cfg = instances(mode) | cfg
        if configured:
            cfg = {"auth_api_url": url} | cfg
        super().__init__(cfg=cfg, **members)
        self.api, self.mode, self.instance = url, mode, instance
        self.entropy, self.used = IDS[0], 0

    # What comes out.

    def bearer(self, reason, code=None, retry_at=None):
        """Return the end of a flow without an instance."""
        has_own = self.credentials["kind"] == "api-key"
        if not has_own and not (code and self.thread):
            return super().bearer(reason, code, retry_at)
        end = {"mode": "none", "reason": reason, "valid_until": self.now}
        if self.account:
            end["account_id"] = self.account
        if retry_at is not None:
            end["retry_at"] = retry_at
        if code:
            end["cause"] = {"code": code}
        return {"type": "done", "authorization": end}

    def assertion(self, entropy=None):
        """Return the end of a flow that has an instance."""
        value = assertion(
            self.key,
            instance=self.instance,
            now=self.now,
            entropy=entropy or self.entropy,
        )
        result = {"reason": "runtime-instance", "valid_until": self.now}
        if self.account:
            result["account_id"] = self.account
        result["runtime_agent_instance"] = self.instance
        if self.mode == "assertion_only":
            result |= {"mode": "agent-assertion", "header": f"AgentAssertion {value}"}
        else:
            result |= {"mode": "dual-header", "agent_assertion": value}
            if self.credentials["kind"] != "api-key":
                result["header"] = f"Bearer {self.credentials['access_token']}"
        if self.credentials.get("fedramp"):
            result["fedramp"] = True
        return {"type": "done", "authorization": result}

    def actor(self):
        """Return the digest of whom an instance is registered for."""
        who = {
            "kind": self.credentials["kind"],
            "account": self.account or "",
            "user": self.credentials.get("user_id", ""),
            "base_url": self.base,
            "registrar": self.api,
        }
        if who["kind"] == "api-key":
            who["api_key"] = self.credentials["access_token"]
        return hashlib.sha512(compact(who).encode()).digest()[:32].hex()

    def record(self, **members):
        """Return the record of an instance."""
        return compact(
            {
                "runtime_agent_instance": self.instance,
                "agent_private_key": self.key.stored,
                "registered_for": self.actor(),
            }
            | members
        )

    def register(self):
        """Return the request that registers an instance."""
        kind = {"chatgpt": "oauth", "api-key": "platform_api_key"}
        instance = self.config["instance"]
        body = {
            "actor_auth": {
                "type": kind[self.credentials["kind"]],
                "credential": self.credentials["access_token"],
            },
            "agent_host_auth": {
                "type": "installation_id",
                "installation_id": instance["installation_id"],
            },
            "public_key": self.key.openssh,
            "metadata": {
                "harness": instance["harness"],
                "harness_version": self.config["abom"]["agent_version"],
                "role": instance["role"],
            },
        }
        headers = {
            "idempotency-key": str(uuid.UUID(bytes=IDEMPOTENCY, version=4)),
            "content-type": "application/json",
        }
        return {
            "type": "http",
            "method": "POST",
            "url": f"{self.api}/agent/register",
            "headers": [{"name": n, "value": v} for n, v in headers.items()],
            "body": utf8(compact(body)),
            "timeout_ms": 15000,
            "size_limit": 65536,
            "response_headers": ["date", "retry-after"],
        }

    # Parts of the way.

    def event(self, event):
        """Return the event; a start has the entropy for an assertion's id."""
        event = super().event(event)
        if event["type"] == "start" and self.entropy is not None:
            event["entropy"] = hexadecimal(self.entropy)
        return event

    def start(self, effect=LOAD):
        """Begin."""
        return super().start(effect)

    def to_last_load(self, record=None, backoff=None):
        """Go on until all that is left to load is the back-off."""
        self.start()
        if self.thread:
            self.step(loaded(record), LOCK)
        else:
            self.step(loaded(record), LOAD_BACKOFF)
            self.step(loaded(backoff), LOCK)
        self.step(DONE, LOAD)
        return self.step(loaded(record), LOAD_BACKOFF)

    def to_register(self, record=None, backoff=None):
        """Go on until an instance is to be registered."""
        self.to_last_load(record, backoff)
        self.step(loaded(backoff), ENTROPY)
        event = {"type": "entropy", "entropy": hexadecimal(self.key.seed + IDEMPOTENCY)}
        return self.step(event, self.register)

    def registered(self, body=None):
        """Answer the registration."""

        def saved():
            members = {}
            if self.rejected:
                members["instance_replaced_at"] = timestamp(self.now)
            record = self.record(**members)
            return {"type": "save", "slot": "instance", "record": utf8(record)}

        answer = {
            "runtime_agent_instance_id": self.instance,
            "agent_host_id": "host-1",
            "actor": {"kind": "chatgpt", "account_id": "acct-1", "user_id": "user-1"},
        }
        return self.step(response(200, body or answer), saved)

    def asserts(self, event):
        """End with an assertion."""
        return self.step(event, self.assertion)

    def again(self, entropy):
        """Go on with another assertion."""
        event = {"type": "again", "entropy": hexadecimal(entropy)}
        return self.step(event, lambda: self.assertion(entropy))

    def backs_off(self, event, code, reason="registration-failed", **members):
        """End as after a failure, which is remembered under a name of its own."""

        def saved(entry):
            name = f"instance:{self.account or ''}"
            return with_entry(members.get("record"), name, entry)

        return super().backs_off(event, code, reason, saved=saved, **members)


def runtime_instances():
    """Yield flows of runtime agent instances."""
    for mode in ["dual_header", "assertion_only"]:
        for name, members in [
            ("background", {}),
            ("turn", {"surface": "responses", "thread": "thread-1"}),
            ("upload", {"surface": "file-upload", "thread": "thread-1"}),
            ("fedramp", {"creds": FEDRAMP}),
            ("api-key", {"creds": WITH_API_KEY}),
        ]:
            run = InstanceRun(mode=mode, **members)
            run.to_register()
            run.registered()
            run.asserts(DONE)
            run.again(IDS[1])
            yield run.end(f"instance-{mode}-{name}", "registered, and used", INSTANCES)
            run = InstanceRun(mode=mode, **members)
            run.start()
            run.asserts(loaded(run.record()))
            for entropy in IDS[1:4]:
                run.again(entropy)
            yield run.end(
                f"instance-{mode}-{name}-known",
                "every assertion has an id of its own",
                INSTANCES,
            )
    yield from captured_registrations()
    yield from whose()
    yield from where()
    yield from failures()
    yield from rejections()
    yield from again()


def captured_registrations():
    """Yield the registrations of the captured runs, whose keys are not known."""
    for mode, header_mode in [("dual", "dual_header"), ("only", "assertion_only")]:
        file = f"codex-0.171-instances-{mode}.jsonl"
        first = captured.exchanges(file)[1]
        theirs = json.loads(first["body"])
        cfg = config("https://chatgpt.com/backend-api")
        cfg |= instances(header_mode, **theirs["agent_host_auth"] | {"type": None})
        del cfg["instance"]["type"]
        version = theirs["metadata"]["harness_version"]
        cfg["abom"] = cfg["abom"] | {"agent_version": version}
        token = theirs["actor_auth"]["credential"]
        run = InstanceRun(
            mode=header_mode, cfg=cfg, creds=credentials(token=token), configured=False
        )
        run.to_register()
        made = run.steps[-1]["effect"]
        body = first["body"].replace(theirs["public_key"], KEY.openssh)
        assert made["body"] == utf8(body)
        assert made["url"] == f"https://{first['host']}{first['path']}"
        run.registered()
        run.asserts(DONE)
        yield run.end(
            f"instance-captured-{mode}",
            "what the real client sends, but for its key and its idempotency key",
            capture(file, 1),
        )


def whose():
    """Yield flows of instances that are somebody else's, or damaged."""
    usual = InstanceRun()
    for name, comment, record in [
        ("damaged", "not JSON", "damaged"),
        ("empty", "an empty object", "{}"),
        ("no-key", "no key", usual.record(agent_private_key="")),
        ("no-id", "no id", usual.record(runtime_agent_instance="")),
        ("no-actor", "for nobody", usual.record(registered_for="")),
        (
            "other-account",
            "another account's",
            InstanceRun(creds=credentials(account="acct-2")).record(),
        ),
        (
            "other-user",
            "another user's",
            InstanceRun(creds=credentials(user="user-2")).record(),
        ),
        (
            "api-key",
            "an API key's",
            InstanceRun(creds=WITH_API_KEY).record(),
        ),
        (
            "other-backend",
            "for calls to another backend",
            InstanceRun(cfg=config("https://a.chatgpt.com/backend-api")).record(),
        ),
        (
            "other-registrar",
            "registered elsewhere",
            InstanceRun("https://auth.example").record(),
        ),
    ]:
        run = InstanceRun()
        run.to_register(record)
        run.registered()
        run.asserts(DONE)
        yield run.end(f"instance-unfit-{name}", f"{comment}: another", INSTANCES)
    record = InstanceRun(creds=credentials(token="another-token")).record()
    run = InstanceRun()
    run.start()
    run.asserts(loaded(record))
    yield run.end("instance-new-token", "a token that was refreshed", INSTANCES)
    other = WITH_API_KEY | {"access_token": "sk-another"}
    run = InstanceRun(creds=WITH_API_KEY)
    run.to_register(InstanceRun(creds=other).record())
    yield run.end("instance-other-api-key", "another API key's", INSTANCES)
    run = InstanceRun(cfg=config(forced="acct-2"))
    run.to_register()
    run.registered()
    run.asserts(DONE)
    yield run.end("instance-forced-workspace", "for the forced one", INSTANCES)
    # Another flow was first.
    run = InstanceRun()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD)
    run.asserts(loaded(run.record()))
    yield run.end("instance-race", "another flow has registered it", INSTANCES)


def where():
    """Yield flows that show where instances are registered."""
    for name, base, url in [
        ("production", "https://chatgpt.com/backend-api", REGISTRAR),
        ("older-name", "https://chat.openai.com/backend-api", REGISTRAR),
        (
            "staging",
            "https://chatgpt-staging.com/backend-api",
            "https://auth.api.openai.org",
        ),
    ]:
        run = InstanceRun(url, cfg=config(base), configured=False)
        run.to_register()
        yield run.end(f"instance-environment-{name}", "its environment's", INSTANCES)
    for name, url in [("slash", REGISTRAR + "/"), ("path", "https://auth.example/a")]:
        run = InstanceRun(cfg=config() | {"auth_api_url": url})
        run.api = url.rstrip("/")
        run.to_register()
        yield run.end(f"instance-url-{name}", "the configured one", INSTANCES)
    for name, members in [("", {}), ("-turn", {"surface": "responses", "thread": "t"})]:
        run = InstanceRun(configured=False, **members)
        run.to_last_load()
        run.falls_back(loaded(), "registration-failed", "no_auth_api")
        yield run.end(
            f"instance-no-auth-api{name}", "the token is not for guessing", INSTANCES
        )
        run = InstanceRun(creds=credentials(token=None), **members)
        run.to_last_load()
        run.falls_back(loaded(), "registration-failed", "no_access_token")
        yield run.end(
            f"instance-no-access-token{name}", "nothing to register with", INSTANCES
        )


def failures():
    """Yield flows whose registration fails."""
    kinds = [("", {}), ("-turn", {"surface": "responses", "thread": "thread-1"})]
    for kind, members in kinds:
        for name, event, code in [
            ("429", response(429), "http_status"),
            ("500", response(500), "http_status"),
            ("timeout", failed("timeout"), "request_failed"),
            ("connect", failed("connect"), "request_failed"),
        ]:
            run = InstanceRun(**members)
            run.to_register()
            run.step(event, {"type": "wait", "wait_ms": 100})
            run.step({"type": "woke"}, run.register)
            run.step(event, {"type": "wait", "wait_ms": 200})
            run.step({"type": "woke"}, run.register)
            run.backs_off(event, code)
            yield run.end(
                f"instance{kind}-retried-{name}",
                "three tries with one idempotency key",
                INSTANCES,
            )
        for name, event, code in [
            ("403", response(403), "http_status"),
            ("302", response(302), "http_status"),
            ("tls", failed("tls"), "request_failed"),
            ("no-json", response(200, "<html>"), "invalid_response"),
            ("no-id", response(200, {}), "invalid_response"),
            (
                "id-empty",
                response(200, {"runtime_agent_instance_id": ""}),
                "invalid_response",
            ),
            (
                "id-control-character",
                response(200, {"runtime_agent_instance_id": "a\nb"}),
                "invalid_response",
            ),
        ]:
            run = InstanceRun(**members)
            run.to_register()
            run.backs_off(event, code)
            yield run.end(f"instance{kind}-final-{name}", "tried once", INSTANCES)
        run = InstanceRun(**members)
        run.to_register()
        run.falls_back(failed("canceled"), "registration-failed", "request_failed")
        yield run.end(f"instance{kind}-canceled", "no pause", INSTANCES)
    run = InstanceRun(creds=WITH_API_KEY)
    run.to_register()
    run.backs_off(response(403), "http_status")
    yield run.end("instance-api-key-refused", "the program's own key stays", INSTANCES)
    run = InstanceRun()
    run.to_register()
    run.step(response(503), {"type": "wait", "wait_ms": 100})
    run.step({"type": "woke"}, run.register)
    run.registered()
    run.asserts(DONE)
    yield run.end("instance-second-try", "the same key and the same id", INSTANCES)
    # Pauses: under a name of their own, and not a turn's.
    entry = back_off(captured.TIME, "http_status", account="instance:acct-1")
    run = InstanceRun()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    run.falls_back(
        loaded(entry), "registration-failed", "backing_off", captured.TIME + 60
    )
    yield run.end("instance-pause", "bearer until it is over", INSTANCES)
    run = InstanceRun(surface="responses", thread="thread-1")
    run.to_last_load()
    run.step(loaded(entry), ENTROPY)
    event = {"type": "entropy", "entropy": hexadecimal(run.key.seed + IDEMPOTENCY)}
    run.step(event, run.register)
    run.registered()
    run.step(DONE, DELETE_BACKOFF)
    run.asserts(DONE)
    yield run.end("instance-pause-turn", "a turn tries at once", INSTANCES)
    run = InstanceRun()
    run.to_register(None, back_off(captured.TIME, "http_status"))
    yield run.end("instance-pause-other", "not that of an identity", INSTANCES)
    run = InstanceRun()
    run.to_last_load()
    run.step(loaded(), ENTROPY)
    for size in [32, 47, 49, 64]:
        event = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    yield run.end("instance-entropy-of-other-size", "48 bytes", INSTANCES)
    run = InstanceRun()
    run.to_last_load()
    run.step(loaded(), ENTROPY)
    run.falls_back(failed("store"), "registration-failed", "request_failed")
    yield run.end("instance-no-entropy", "the host has none", INSTANCES)
    run = InstanceRun()
    run.start()
    run.step(loaded(), LOAD_BACKOFF)
    run.step(loaded(), LOCK)
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("instance-not-locked", "the host has no lock", INSTANCES)


def rejections():
    """Yield flows after a rejection."""
    rejected = {"runtime_agent_instance": "rai-1"}
    for code in [None, "runtime_instance_revoked", "unknown_agent"]:
        more = {"code": code} if code else {}
        name = f"-{code}" if code else ""
        for mode in ["dual_header", "assertion_only"]:
            run = InstanceRun(mode=mode, rejected=rejected | more)
            old = run.record()
            run.key, run.instance = OTHER_KEY, OTHER_INSTANCE
            run.to_register(old)
            run.registered()
            run.asserts(DONE)
            yield run.end(f"instance-rejected-{mode}{name}", "another one", REJECTED)
    run = InstanceRun(rejected=rejected, instance=OTHER_INSTANCE)
    run.start()
    run.asserts(loaded(run.record()))
    yield run.end("instance-rejected-replaced", "there is another already", REJECTED)
    for name, age, young in [("young", 59, True), ("old", 60, False)]:
        for kind, members in [
            ("", {}),
            ("-turn", {"surface": "responses", "thread": "thread-1"}),
        ]:
            run = InstanceRun(rejected=rejected, **members)
            old = run.record(instance_replaced_at=timestamp(captured.TIME - age + 1))
            run.start()
            if young:
                run.falls_back(loaded(old), "registration-failed", "instance_rejected")
            else:
                run.step(loaded(old), LOCK if run.thread else LOAD_BACKOFF)
            yield run.end(
                f"instance-rejected-{name}{kind}",
                "one that has only just replaced another is not replaced",
                REJECTED,
            )
    for name, comment, more in [
        (
            "clock",
            "the clock is what is wrong",
            {"date": "Tue, 24 Nov 2026 16:16:08 GMT"},
        ),
        ("skew", "the backend says so", {"code": "timestamp_skew"}),
    ]:
        run = InstanceRun(rejected=rejected | more)
        run.start(lambda run=run: run.bearer("registration-failed", "clock_skew"))
        yield run.end(f"instance-rejected-{name}", comment, REJECTED)
    for code in ["account_mismatch", "invalid_task_id", "instance_unknown"]:
        for kind, members in [
            ("", {}),
            ("-turn", {"surface": "responses", "thread": "thread-1"}),
        ]:
            run = InstanceRun(rejected=rejected | {"code": code}, **members)
            run.start(lambda run=run: not_replaced(run))
            yield run.end(
                f"instance-rejected-{code}{kind}",
                "the instance is not what is wrong",
                REJECTED,
            )
    run = InstanceRun(rejected=rejected)
    old = run.record()
    run.start()
    run.step(loaded(old), LOAD_BACKOFF)
    at = run.now
    record = compact({"instance:acct-1": back_off_entry(at, "http_status")})
    run.falls_back(loaded(record), "registration-failed", "backing_off", at + 60)
    yield run.end("instance-rejected-in-a-pause", "it stays for now", REJECTED)
    run = InstanceRun(rejected={"agent_runtime_id": "rai-1", "task_id": "rai-1"})
    run.start()
    run.asserts(loaded(run.record()))
    yield run.end("instance-rejected-task", "a task that is none of this", REJECTED)


def again():
    """Yield flows that go on after their end."""
    for name, run in [
        ("task", Run()),
        ("task-fedramp", Run(creds=FEDRAMP)),
        ("task-no-token", Run(creds=credentials(token=None))),
        ("auth-api", AuthAPIRun()),
        ("auth-api-turn", AuthAPITurn()),
    ]:
        run.start()
        run.uses(WITH_TASK)
        for _ in range(2):
            run.asserts({"type": "again"})
        run.refuse({"type": "woke"}, "unexpected_event")
        yield run.end(f"again-{name}", "the same task in another second", AGAIN)
    run = ThreadRun()
    run.with_task("task-7")
    run.asserts({"type": "again"}, "task-7")
    yield run.end("again-thread", "a thread's task", AGAIN)
    run = Run()
    run.to_register_task(TASKLESS)
    run.task_registered(WITH_TASK)
    run.asserts(DONE)
    run.asserts({"type": "again"})
    yield run.end("again-registered", "a task that was just registered", AGAIN)
    run = InstanceRun()
    run.start()
    run.asserts(loaded(run.record()))
    for size in [15, 17]:
        event = {"type": "again", "entropy": hexadecimal(bytes(size))}
        run.refuse(event, "invalid_entropy")
    run.refuse({"type": "again"}, "invalid_entropy")
    run.refuse({"type": "done"}, "unexpected_event")
    run.refuse({"type": "failed", "failure": "store"}, "unexpected_event")
    run.again(IDS[1])
    yield run.end("instance-again-refused", "16 bytes, and no other event", AGAIN)
    for size in [None, 15, 17]:
        run = InstanceRun()
        run.entropy = None if size is None else bytes(size)
        run.start()
        run.refuse(loaded(run.record()), "invalid_entropy")
        yield run.end(f"instance-start-{size}-bytes", "an id has 16", AGAIN)
