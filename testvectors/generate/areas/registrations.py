"""Registrations: the proof that registers a task, the requests and their answers."""

import json

import captured
from areas import registration_requests
from areas.assertions import BAD_IDS, IDS, TIMES
from fixtures import (
    BY_ARITHMETIC,
    KEY,
    OTHER_KEY,
    RFC_8032_KEYS,
    SKEWS,
    TOO_FAR,
)
from hostile import PUBLIC_KEYS, Forgery, flip, unreduced
from primitives import (
    MAX_TIME,
    MIN_TIME,
    b64,
    in_url_alphabet,
    timestamp,
    unb64,
    unix_time,
)
from vectors import call, capture, protocol

BY = "Ed25519 by libsodium and OpenSSL"

PROOF = json.loads(captured.ENABLED[5]["body"])


def sign():
    """Yield the vectors of registration.sign."""

    def vector(name, comment, source, key=KEY, runtime="agent-rt-2", now=captured.TIME):
        params = {"private_key": key.stored, "agent_runtime_id": runtime, "now": now}
        ok = key.registration_proof(runtime, now)
        return call(f"sign-{name}", comment, source, "registration.sign", params, ok=ok)

    def refused(name, comment, source, error, **members):
        params = {
            "private_key": KEY.stored,
            "agent_runtime_id": "agent-rt-2",
            "now": captured.TIME,
            **members,
        }
        return call(
            f"sign-{name}-refused",
            comment,
            source,
            "registration.sign",
            params,
            error=error,
        )

    assert KEY.registration_proof("agent-rt-2", captured.TIME) == PROOF
    yield vector(
        "captured",
        "the proof that the real client sent, twice within a second",
        capture("enabled.jsonl", 5),
    )
    for name, key in RFC_8032_KEYS.items():
        yield vector(
            f"rfc-8032-{name}",
            f"the key of {name} in RFC 8032, section 7.1",
            BY,
            key,
        )
    for name, text, comment in IDS:
        yield vector(
            f"agent-runtime-id-{name}",
            f"the id's UTF-8 is signed, not its JSON: {comment}",
            BY,
            runtime=text,
        )
    for now, name, comment in TIMES:
        yield vector(f"time-{name}", f"{timestamp(now)}: {comment}", BY, now=now)
    for name, text, comment in [*BAD_IDS, ("colon", "a:b", "a colon")]:
        yield refused(
            f"agent-runtime-id-{name}",
            comment,
            protocol("Assertion"),
            "invalid_agent_runtime_id",
            agent_runtime_id=text,
        )
    for name, now in [("before-year-0", MIN_TIME - 1), ("after-9999", MAX_TIME + 1)]:
        yield refused(
            f"time-{name}",
            "RFC 3339 cannot write this time",
            protocol("Timestamps"),
            "invalid_time",
            now=now,
        )
    yield refused(
        "damaged-key",
        "the key is read as key.parse reads it",
        protocol("Key"),
        "invalid_private_key",
        private_key=KEY.stored[:-4],
    )


def verify():
    """Yield the vectors of registration.verify."""

    def vector(name, comment, source, expected=None, **members):
        params = {
            "public_key": KEY.openssh,
            "agent_runtime_id": "agent-rt-2",
            **PROOF,
            "now": captured.TIME,
            "skew": 300,
            **members,
        }
        expected = {"error": expected} if expected else {"ok": {}}
        return call(
            f"verify-registration-{name}",
            comment,
            source,
            "registration.verify",
            params,
            **expected,
        )

    yield vector("captured", "the real client's", capture("enabled.jsonl", 5))
    for name, run, registered, line in [
        ("unsupported-host", captured.UNSUPPORTED_HOST, 6, 9),
        ("task-registration-500", captured.TASK_REGISTRATION_500, 3, 5),
        ("task-registration-500-later", captured.TASK_REGISTRATION_500, 3, 19),
    ]:
        proof = json.loads(run[line]["body"])
        public_key = json.loads(run[registered]["body"])["agent_public_key"]
        file = name.removesuffix("-later") + ".jsonl"
        yield vector(
            f"captured-{name}",
            "the real client's, of whose key only the public half is known",
            capture(file, line),
            public_key=public_key,
            **proof,
            now=unix_time(proof["timestamp"]),
        )
    for name, text, comment in IDS:
        yield vector(
            f"agent-runtime-id-{name}",
            comment,
            BY,
            agent_runtime_id=text,
            **KEY.registration_proof(text, captured.TIME),
        )
    for name, comment, skew, offset, allowed in SKEWS:
        yield vector(
            name,
            comment,
            BY_ARITHMETIC,
            None if allowed else TOO_FAR,
            now=captured.TIME + offset,
            skew=skew,
        )

    for name, text, comment in [*BAD_IDS, ("colon", "a:b", "a colon")]:
        yield vector(
            f"agent-runtime-id-{name}-refused",
            comment,
            protocol("Assertion"),
            "invalid_agent_runtime_id",
            agent_runtime_id=text,
            **KEY.registration_proof(text, captured.TIME),
        )
    for name, text in [
        ("empty", ""),
        ("fraction", "2026-11-24T15:16:08.000Z"),
        ("offset", "2026-11-24T15:16:08+00:00"),
        ("lower-case", "2026-11-24t15:16:08z"),
        ("30-february", "2026-02-30T15:16:08Z"),
        ("leap-second", "2026-12-31T23:59:60Z"),
    ]:
        yield vector(
            f"timestamp-{name}-refused",
            "another form than the protocol's, or no time, but signed",
            protocol("Timestamps"),
            "invalid_time",
            timestamp=text,
            signature=b64(KEY.sign(f"agent-rt-2:{text}")),
        )
    good = unb64(PROOF["signature"])
    for name, comment, text in [
        ("empty-signature", "no signature", ""),
        ("63-bytes", "a byte is missing", b64(good[:63])),
        ("65-bytes", "a byte too many", b64(good + b"\0")),
        ("unpadded", "base64 without its padding", PROOF["signature"].rstrip("=")),
        (
            "url-alphabet",
            "base64 in the URL alphabet",
            in_url_alphabet(PROOF["signature"]),
        ),
        ("newline-after", "a line feed after the base64", PROOF["signature"] + "\n"),
        ("flipped-bit", "one other bit", b64(flip(good, 0))),
        ("unreduced-s", "S + L in place of S", b64(unreduced(good))),
        (
            "of-an-assertion",
            "the signature of an assertion at the same second",
            b64(KEY.sign(f"agent-rt-2:task-4:{PROOF['timestamp']}")),
        ),
    ]:
        yield vector(
            f"{name}-refused", comment, protocol("Key"), "bad_signature", signature=text
        )
    yield vector(
        "other-key-refused",
        "the signature is another agent's",
        BY,
        "bad_signature",
        public_key=OTHER_KEY.openssh,
    )
    yield vector(
        "other-agent-refused",
        "the signature is of another id",
        BY,
        "bad_signature",
        agent_runtime_id="agent-rt-3",
    )
    yield vector(
        "other-timestamp-refused",
        "the signature is of another time",
        BY,
        "bad_signature",
        timestamp=timestamp(captured.TIME + 1),
    )
    yield vector(
        "ambiguous-refused",
        "an assertion's signature, with what it says about the task in the id",
        protocol("Assertion"),
        "invalid_agent_runtime_id",
        agent_runtime_id="agent-rt-2:task-4",
        signature=b64(KEY.sign(f"agent-rt-2:task-4:{PROOF['timestamp']}")),
    )
    yield vector(
        "signature-before-skew",
        "who cannot sign is told nothing about the verifier's clock",
        BY_ARITHMETIC,
        "bad_signature",
        public_key=OTHER_KEY.openssh,
        now=captured.TIME + 3600,
    )
    yield vector(
        "skew-negative-refused", "no skew", BY_ARITHMETIC, "invalid_skew", skew=-1
    )
    yield vector(
        "clock-after-9999-refused",
        "the verifier's clock is outside of the years 0 to 9999",
        protocol("Timestamps"),
        "invalid_time",
        now=MAX_TIME + 1,
    )
    forged = b64(Forgery.for_everything())
    for name, comment, public_key in PUBLIC_KEYS:
        if name.startswith(("small-order", "empty", "comment", "y-3-")):
            yield vector(
                f"public-key-{name}-refused",
                comment,
                protocol("Key"),
                "invalid_public_key",
                public_key=public_key,
                signature=forged,
            )


def vectors():
    """Return the vectors of registrations.json."""
    requests = registration_requests.requests()
    return [*sign(), *verify(), *requests, *registration_requests.reads()]
