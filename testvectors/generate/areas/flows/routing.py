"""Flows of calls to responses that go where the account's workspace is kept."""

import captured
from areas.decisions import THREAD, config, credentials
from areas.flows.instances import IDS, InstanceRun
from areas.flows.script import (
    DONE,
    FEDRAMP,
    LOAD_BACKOFF,
    TASKLESS,
    THREAD_RECORD,
    UNLOCK_IDENTITY,
    WITH_TASK,
    AuthAPITurn,
    Run,
    ThreadRun,
    back_off,
    failed,
    fields,
    loaded,
    response,
    save,
    swap,
)
from primitives import compact, timestamp
from vectors import hexadecimal, protocol

ROUTING = protocol("Later clients, workspace routing")
KEPT = "this project's rule: what is known of a workspace is kept for five minutes"
LOAD = {"type": "load", "slot": "workspace"}
LOCK = {"type": "lock", "slot": "workspace"}
NEW_ID = {"type": "entropy", "size": 16}
NONE = "NO_CONSTRAINT"
ELSEWHERE = "https://eu.chatgpt.com"


def answer(origin=NONE, override=NONE, account=captured.ACCOUNT_ID, *others):
    """Return what the backend answers."""
    entry = {
        "id": account,
        "plan_type": "pro",
        "workspace_backend_origin": origin,
        "account_routing_override": override,
    }
    return {
        "accounts": [*others, entry],
        "account_ordering": [account],
        "default_account_id": account,
    }


class Routed:
    """What a flow does at its end to find out where the call goes."""

    def routes(self):
        """Ask for it in the configuration."""
        self.config = self.config | {"workspace_routing": True}
        self.went = {}
        return self

    def ends(self, event):
        """Come to the end, and find that nothing is known of the workspace."""
        self.step(event, LOAD)
        self.step(loaded(), LOCK)
        self.step(DONE, LOAD)
        return self.step(loaded(), self.check)

    def check(self):
        """Return the question."""
        headers = {"authorization": f"Bearer {self.credentials['access_token']}"}
        headers |= self.asserted()
        headers["chatgpt-account-id"] = self.account
        if self.credentials.get("fedramp"):
            headers["x-openai-fedramp"] = "true"
        return {
            "type": "http",
            "method": "GET",
            "url": f"{self.base}/wham/accounts/check",
            "headers": fields(headers),
            "timeout_ms": 15000,
            "size_limit": 65536,
            "response_headers": ["date", "retry-after"],
        }

    def asserted(self):
        """Return the header fields of an assertion, of which there are none."""
        return {}

    def known(self, there="", by="", **members):
        """Return the record of what is known."""
        return compact(
            {
                "account_id": self.account,
                "base_url": self.base,
                "origin": there,
                "override": by,
                "checked_at": timestamp(self.now),
            }
            | members
        )

    def answered(self, origin=NONE, override=NONE, body=None):
        """Answer the question."""
        self.went = {
            name: value
            for name, value in [
                ("responses_origin", origin),
                ("account_routing_override", override),
            ]
            if value != NONE
        }
        there = [
            self.went.get(n, "")
            for n in ["responses_origin", "account_routing_override"]
        ]
        return self.step(
            response(200, body or answer(origin, override, self.account)),
            lambda: save("workspace", self.known(*there)),
        )

    def goes(self, effect):
        """Return an end whose call goes where the workspace is kept."""
        effect["authorization"] |= self.went
        return effect

    def fails(self, event, code):
        """End without a turn."""

        def effect():
            end = {
                "mode": "none",
                "reason": "workspace-routing-failed",
                "valid_until": self.now,
                "account_id": self.account,
                "cause": {"code": code},
            }
            return {"type": "done", "authorization": end}

        return self.step(event, effect)


class RoutedTurn(Routed, ThreadRun):
    """Of the default profile."""


class RoutedAuthAPITurn(Routed, AuthAPITurn):
    """Of the profile auth-api."""


class RoutedInstance(Routed, InstanceRun):
    """Of the profile instances."""

    def __init__(self, **members):
        super().__init__(surface="responses", thread="thread-1", **members)

    def asserted(self):
        """Return the header fields of the assertion."""
        made = self.assertion()["authorization"]
        if self.mode == "assertion_only":
            return {"authorization": made["header"]}
        return {"x-openai-agent-assertion": made["agent_assertion"]}


def stored(run):
    """Begin, as far as the thread's task, which is stored."""
    run.start()
    run.finds(WITH_TASK, run.load_thread)
    return run


RECORD = compact(THREAD_RECORD)


def routing():
    """Yield flows that ask where the workspace's calls go."""
    for name, origin, override in [
        ("nowhere", NONE, NONE),
        ("origin", ELSEWHERE, NONE),
        ("override", NONE, "us"),
        ("both", "https://chatgpt.com", "us_cr"),
        ("port", "https://eu.chatgpt.com:8443", NONE),
    ]:
        run = stored(RoutedTurn().routes())
        run.ends(loaded(RECORD))
        run.answered(origin, override)
        run.step(DONE, lambda run=run: run.goes(run.assertion()))
        run.step({"type": "again"}, lambda run=run: run.goes(run.assertion()))
        yield run.end(f"routing-{name}", "as the backend says", ROUTING)
    run = RoutedAuthAPITurn().routes()
    run.start()
    run.finds(WITH_TASK, LOAD)
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD)
    run.step(loaded(), run.check)
    run.answered(ELSEWHERE, "us")
    run.step(DONE, lambda: run.goes(run.assertion()))
    yield run.end("routing-auth-api", "with the user's token", ROUTING)
    run = stored(RoutedTurn(creds=FEDRAMP).routes())
    run.ends(loaded(RECORD))
    run.answered(ELSEWHERE)
    run.step(DONE, lambda: run.goes(run.assertion()))
    yield run.end("routing-fedramp", "the question is marked, too", ROUTING)
    run = stored(RoutedTurn(cfg=config(trusted=["backend.example"])).routes())
    run.ends(loaded(RECORD))
    run.answered("https://backend.example")
    run.step(DONE, lambda: run.goes(run.assertion()))
    yield run.end("routing-trusted", "an origin that the caller trusts", ROUTING)

    # With the user's token.
    run = RoutedTurn(cfg=config(gate=False)).routes()
    run.start(LOAD)
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD)
    run.step(loaded(), run.check)
    run.answered(ELSEWHERE, "us")
    run.step(DONE, lambda: run.goes(run.bearer("feature-off")))
    yield run.end("routing-gate-off", "whatever the call carries", ROUTING)
    forced = RoutedTurn(cfg=config(gate=False, forced="acct-2")).routes()
    forced.start(LOAD)
    forced.step(loaded(), LOCK)
    forced.step(DONE, LOAD)
    forced.step(loaded(), forced.check)
    forced.answered(ELSEWHERE)
    forced.step(DONE, lambda: forced.goes(forced.bearer("feature-off")))
    yield forced.end("routing-forced-workspace", "the forced one's", ROUTING)
    run = RoutedAuthAPITurn().routes()
    entry = back_off(captured.TIME, "http_status", pause=3600)
    run.start()
    run.finds(TASKLESS, LOAD_BACKOFF)
    run.ends(loaded(entry))
    run.answered(ELSEWHERE)

    def bearer():
        end = run.bearer(
            "registration-unavailable", "backing_off", captured.TIME + 3600
        )
        return run.goes(end)

    run.step(DONE, bearer)
    yield run.end("routing-in-a-pause", "with the cause of the fall-back", ROUTING)

    # After a registration: the identity's lock is given back first.
    run = RoutedAuthAPITurn().routes()
    run.to_register_task()
    run.step(response(200, {"task_id": "task-4"}), swap(TASKLESS, WITH_TASK))
    run.step(DONE, UNLOCK_IDENTITY)
    run.ends(DONE)
    run.answered(ELSEWHERE)
    run.step(DONE, lambda: run.goes(run.assertion()))
    yield run.end("routing-registered", "nobody waits for the question", ROUTING)
    run = RoutedAuthAPITurn().routes()
    run.to_register_task()
    run.step(response(200, {"task_id": "task-4"}), swap(TASKLESS, WITH_TASK))
    run.step(DONE, UNLOCK_IDENTITY)
    run.ends(failed("store"))
    yield run.end("routing-not-unlocked", "it goes on", ROUTING)

    # Runtime agent instances, which assert themselves there, too.
    for mode in ["dual_header", "assertion_only"]:
        run = RoutedInstance(mode=mode).routes()
        run.start()
        run.ends(loaded(run.record()))
        run.went = {}
        run.step(
            response(200, answer(ELSEWHERE, "us")),
            lambda run=run: save("workspace", run.known(ELSEWHERE, "us")),
        )
        run.step(DONE, NEW_ID)
        run.went = {
            "responses_origin": ELSEWHERE,
            "account_routing_override": "us",
        }
        event = {"type": "entropy", "entropy": hexadecimal(IDS[4])}
        run.step(event, lambda run=run: run.goes(run.assertion(IDS[4])))
        event = {"type": "again", "entropy": hexadecimal(IDS[5])}
        run.step(event, lambda run=run: run.goes(run.assertion(IDS[5])))
        yield run.end(
            f"routing-instance-{mode}", "each request has an id of its own", ROUTING
        )
        run = RoutedInstance(mode=mode).routes()
        run.start()
        run.step(loaded(run.record()), LOAD)
        run.went = {"responses_origin": ELSEWHERE}
        run.step(
            loaded(run.known(ELSEWHERE)), lambda run=run: run.goes(run.assertion())
        )
        yield run.end(f"routing-instance-{mode}-known", "the call's own id", KEPT)
    yield from kept()
    yield from not_asked()
    yield from refused()


def kept():
    """Yield flows that know where the workspace's calls go, or no longer do."""
    for name, comment, members, age, good in [
        ("now", "it was just asked", {}, 0, True),
        ("a-while", "the last second of five minutes", {}, 299, True),
        ("too-long", "five minutes are over", {}, 300, False),
        ("future", "a clock that was set back", {}, -1, False),
        ("other-account", "another account's", {"account_id": "acct-2"}, 0, False),
        (
            "other-backend",
            "another backend's",
            {"base_url": "https://chatgpt.com/backend-api"},
            0,
            False,
        ),
        ("no-time", "no time", {"checked_at": ""}, 0, False),
        ("bad-origin", "an origin that is none", {"origin": "http://a"}, 0, False),
    ]:
        run = stored(RoutedTurn().routes())
        run.step(loaded(RECORD), LOAD)
        # The event that has it is a second later.
        at = {"checked_at": timestamp(run.now + 1 - age)}
        record = run.known(ELSEWHERE, "us", **(at | members))
        run.went = {"responses_origin": ELSEWHERE, "account_routing_override": "us"}
        if good:
            run.step(loaded(record), lambda run=run: run.goes(run.assertion()))
        else:
            run.step(loaded(record), LOCK)
        yield run.end(f"routing-kept-{name}", comment, KEPT)
    run = stored(RoutedTurn().routes())
    run.ends(loaded(RECORD))
    run.answered(ELSEWHERE)
    run.step(DONE, lambda: run.goes(run.assertion()))
    checked = run.now - 1  # when the answer came
    for age in [299, 300, -1, 0]:
        run.now = checked + age - 1
        if age in [299, 0]:
            run.step({"type": "again"}, lambda: run.goes(run.assertion()))
        else:
            run.refuse({"type": "again"}, "state_expired")
    yield run.end("routing-again-too-long", "for as long as it is known", KEPT)
    run = stored(RoutedTurn().routes())
    run.step(loaded(RECORD), LOAD)
    record = run.known(ELSEWHERE, checked_at=timestamp(run.now + 1 - 200))
    run.went = {"responses_origin": ELSEWHERE}
    run.step(loaded(record), lambda: run.goes(run.assertion()))
    checked = run.now - 200
    run.now = checked + 298
    run.step({"type": "again"}, lambda: run.goes(run.assertion()))
    run.refuse({"type": "again"}, "state_expired")
    yield run.end("routing-again-kept", "for as long as it is known", KEPT)
    run = stored(RoutedTurn().routes())
    run.step(loaded(RECORD), LOAD)
    record = run.known("", "us_cr", checked_at=timestamp(run.now + 1))
    run.went = {"account_routing_override": "us_cr"}
    run.step(loaded(record), lambda: run.goes(run.assertion()))
    yield run.end("routing-kept-override-alone", "at the base URL's origin", KEPT)
    run = stored(RoutedTurn().routes())
    run.step(loaded(RECORD), LOAD)
    run.step(loaded("damaged"), LOCK)
    yield run.end("routing-kept-damaged", "not JSON", KEPT)
    run = stored(RoutedTurn().routes())
    run.step(loaded(RECORD), LOAD)
    run.step(loaded(), LOCK)
    run.step(DONE, LOAD)
    run.went = {"responses_origin": ELSEWHERE}
    run.step(loaded(run.known(ELSEWHERE)), lambda: run.goes(run.assertion()))
    yield run.end("routing-race", "another flow has asked", KEPT)
    run = stored(RoutedTurn().routes())
    run.ends(loaded(RECORD))
    run.answered(ELSEWHERE)
    run.step(failed("store"), lambda: run.goes(run.assertion()))
    yield run.end("routing-not-kept", "it is asked for again the next time", KEPT)


def not_asked():
    """Yield flows that ask nothing."""
    for surface in THREAD[1:]:
        run = RoutedTurn(surface=surface).routes()
        stored(run)
        run.asserts(loaded(RECORD))
        yield run.end(f"routing-not-{surface}", "only calls to responses", ROUTING)
    run = Run(cfg=config() | {"workspace_routing": True})
    run.start()
    run.uses(WITH_TASK)
    yield run.end("routing-not-background", "only calls to responses", ROUTING)
    run = stored(RoutedTurn(creds=credentials(token=None)).routes())
    run.asserts(loaded(RECORD))
    yield run.end("routing-not-without-token", "nobody to ask as", ROUTING)
    arrived = {"kind": "agent-identity", "account_id": "acct-1", "user_id": "user-1"}
    run = RoutedAuthAPITurn(cfg=config(), creds=arrived).routes()
    run.start()
    run.uses(WITH_TASK)
    yield run.end("routing-not-jwt-identity", "there is no token", ROUTING)
    run = RoutedTurn().routes()
    run.start()
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end("routing-not-failed", "there is no turn", ROUTING)


def refused():
    """Yield flows for which there is no turn."""
    entry = answer()["accounts"][0]
    for name, comment, event, code in [
        ("401", "the backend refuses", response(401), "http_status"),
        ("500", "the backend fails", response(500), "http_status"),
        ("302", "a redirect", response(302), "http_status"),
        ("timeout", "no answer", failed("timeout"), "request_failed"),
        ("connect", "no connection", failed("connect"), "request_failed"),
        ("canceled", "the caller gave up", failed("canceled"), "request_failed"),
        ("no-json", "no JSON", response(200, "<html>"), "invalid_response"),
        ("empty", "no accounts", response(200, {}), "invalid_response"),
        (
            "no-array",
            "accounts that are none",
            response(200, {"accounts": {}}),
            "invalid_response",
        ),
        (
            "nobody",
            "no account",
            response(200, {"accounts": []}),
            "unknown_workspace",
        ),
        (
            "other",
            "another's account",
            response(200, answer(account="acct-2")),
            "unknown_workspace",
        ),
        (
            "twice",
            "the account twice",
            response(200, {"accounts": [entry, entry]}),
            "unknown_workspace",
        ),
        (
            "id-number",
            "an id is text",
            response(200, {"accounts": [entry | {"id": 1}]}),
            "unknown_workspace",
        ),
        (
            "no-origin",
            "no origin",
            response(200, {"accounts": [{"id": "acct-1"}]}),
            "invalid_response",
        ),
        (
            "http",
            "no https",
            response(200, answer("http://chatgpt.com")),
            "invalid_response",
        ),
        (
            "path",
            "an origin has no path",
            response(200, answer("https://chatgpt.com/")),
            "invalid_response",
        ),
        (
            "user",
            "an origin has no user",
            response(200, answer("https://a@chatgpt.com")),
            "invalid_response",
        ),
        (
            "origin-empty",
            "an origin is not empty",
            response(200, answer("")),
            "invalid_response",
        ),
        (
            "unsupported",
            "the token is not for everybody",
            response(200, answer("https://elsewhere.example")),
            "unsupported_origin",
        ),
        (
            "looks-like",
            "a host that looks like a supported one",
            response(200, answer("https://chatgpt.com.evil.example")),
            "unsupported_origin",
        ),
        (
            "override",
            "an override that nobody knows",
            response(200, answer(NONE, "eu")),
            "invalid_response",
        ),
    ]:
        run = stored(RoutedTurn().routes())
        run.ends(loaded(RECORD))
        run.fails(event, code)
        yield run.end(f"routing-refused-{name}", f"{comment}: no turn", ROUTING)
    for status in [199, 300]:
        run = stored(RoutedTurn().routes())
        run.ends(loaded(RECORD))
        run.fails(response(status, answer()), "http_status")
        yield run.end(f"routing-refused-{status}", "no success: no turn", ROUTING)
    run = stored(RoutedTurn().routes())
    run.ends(loaded(RECORD))
    run.went = {}
    run.step(response(299, answer()), lambda: save("workspace", run.known()))
    run.step(DONE, lambda: run.goes(run.assertion()))
    yield run.end("routing-299", "any status of success", ROUTING)
    others = [entry | {"id": "acct-2"}, entry | {"id": "acct-3"}]
    run = stored(RoutedTurn().routes())
    run.ends(loaded(RECORD))
    run.answered(body=answer(NONE, NONE, captured.ACCOUNT_ID, *others))
    yield run.end("routing-among-others", "one of several accounts", ROUTING)
    for name, step in [("load", 0), ("lock", 1)]:
        run = stored(RoutedTurn().routes())
        run.step(loaded(RECORD), LOAD)
        if step:
            run.step(loaded(), LOCK)
        run.fails(failed("store"), "store_failed")
        yield run.end(f"routing-refused-{name}", "the host's memory fails", ROUTING)
    run = RoutedInstance().routes()
    run.start()
    run.ends(loaded(run.record()))
    run.step(
        response(200, answer(ELSEWHERE)),
        lambda: save("workspace", run.known(ELSEWHERE)),
    )
    run.step(DONE, NEW_ID)
    for size in [15, 17]:
        short = {"type": "entropy", "entropy": hexadecimal(bytes(size))}
        run.refuse(short, "invalid_entropy")
    run.fails(failed("store"), "request_failed")
    yield run.end("routing-refused-entropy", "no id for the call", ROUTING)
