"""instance.build, instance.verify, and assertion.inspect of a runtime agent instance."""

import json
import uuid

import captured
from areas.assertions import BAD_IDS, IDS
from fixtures import BY_ARITHMETIC, KEY, LONGEST_HEADER, OTHER_KEY, SKEWS, TOO_FAR
from hostile import flip, unreduced
from primitives import MAX_TIME, b64url, compact, unb64url, verifies, with_trailing_bits
from vectors import call, capture, hexadecimal, protocol

BY = "Ed25519 by libsodium and OpenSSL; JSON by Python's json, the UUID by its uuid"
BY_HAND = "Ed25519 by libsodium and OpenSSL; the JWS written by hand"
WIRE = protocol("Later clients, instances: the assertion")
HEADER = '{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}'
SCHEME = "AgentAssertion "
ENTROPY = bytes(range(0x10, 0x20))
NOW = 1795725521
INSTANCE = "rai-1"


def payload(instance=INSTANCE, now=NOW, entropy=ENTROPY, **members):
    """Return the members of a payload, in their order."""
    return {
        "version": 1,
        "runtime_agent_instance": instance,
        "iat": now,
        "id": str(uuid.UUID(bytes=entropy, version=4)),
    } | members


def jws(text, header=HEADER, key=KEY):
    """Return the assertion with a payload, as text."""
    signed = f"{b64url(header.encode())}.{b64url(text.encode())}"
    return f"1.{signed}.{b64url(key.sign(signed))}"


def assertion(key=KEY, **members):
    """Return an assertion as it is built."""
    return jws(compact(payload(**members)), key=key)


def captured_assertions():
    """Yield (name, source, header, public key, claims) of the real client's."""
    for mode in ["dual", "only"]:
        file = f"codex-0.171-instances-{mode}.jsonl"
        lines = captured.exchanges(file)
        public = json.loads(lines[1]["body"])["public_key"]
        for n, line in lines.items():
            if n == 1:
                continue
            headers = line["headers"]
            field = "authorization" if mode == "only" else "x-openai-agent-assertion"
            yield (
                f"captured-{mode}-{n}",
                capture(file, n),
                headers[field],
                public,
                line["assertion"]["payload"],
            )


def inspection(text, canonical=True):
    """Return what an assertion says."""
    parts = text.split(".")
    claims = json.loads(unb64url(parts[2]))
    del claims["version"]
    instance = claims | {"signature": parts[3]}
    return {"form": "instance", "instance": instance, "canonical": canonical}


def build():
    """Yield the vectors of instance.build."""

    def vector(name, comment, source, *, key=KEY, **expected):
        members = {"instance": INSTANCE, "now": NOW, "entropy": ENTROPY}
        members |= {n: expected.pop(n) for n in list(members) if n in expected}
        params = {
            "private_key": key.stored,
            "runtime_agent_instance": members["instance"],
            "now": members["now"],
            "entropy": hexadecimal(members["entropy"]),
        }
        if not expected:
            expected = {"ok": {"value": assertion(key, **members)}}
        return call(
            f"instance-build-{name}",
            comment,
            source,
            "instance.build",
            params,
            **expected,
        )

    yield vector("usual", "a JWS behind its version", BY)
    yield vector("other-key", "another key", BY, key=OTHER_KEY)
    for name, entropy in [("zero", bytes(16)), ("ff", b"\xff" * 16)]:
        yield vector(f"id-{name}", "a UUID of version 4", BY, entropy=entropy)
    for now, name in [(0, "1970"), (2**31, "2038-after"), (MAX_TIME, "year-9999")]:
        yield vector(f"time-{name}", "whole seconds", BY, now=now)
    for name, text, comment in [*IDS, ("colons", "a:b", "colons stand for nothing")]:
        yield vector(f"instance-{name}", comment, BY, instance=text)
    for name, text, comment in BAD_IDS:
        yield vector(
            f"instance-{name}-refused",
            comment,
            WIRE,
            instance=text,
            error="invalid_agent_runtime_id",
        )
    damaged = vector("damaged-key-refused", "", "", error="invalid_private_key")
    damaged |= {
        "comment": "the key is read as key.parse reads it",
        "source": protocol("Key"),
    }
    damaged["params"]["private_key"] = "not a key"
    yield damaged
    for size in [0, 15, 17, 32]:
        yield vector(
            f"{size}-bytes-refused",
            "an id is made of 16 bytes",
            WIRE,
            entropy=bytes(size),
            error="invalid_entropy",
        )
    for name, now in [
        ("before-1970", -1),
        ("after-year-9999", MAX_TIME + 1),
        ("smallest", -(2**63)),
        ("largest", 2**63 - 1),
    ]:
        yield vector(
            f"time-{name}-refused",
            "no time that iat can name",
            "this project's rule: iat is from 0 to the end of the year 9999",
            now=now,
            error="invalid_time",
        )


def spaced(size):
    """Return an assertion behind the scheme and spaces, up to a size."""
    good = assertion()
    return SCHEME + " " * (size - len(SCHEME) - len(good)) + good


def not_canonical():
    """Yield (name, comment, text) of assertions that say the same otherwise."""
    usual = payload()
    yield "spaces", "spaces", jws(json.dumps(usual))
    yield (
        "members-reversed",
        "the members in another order",
        jws(compact(dict(reversed(usual.items())))),
    )
    yield (
        "escaped",
        "a character that needs no escape has one",
        jws(compact(usual).replace("rai-1", r"rai\u002d1")),
    )
    yield (
        "id-of-other-form",
        "an id that is no UUID: other clients may make others",
        jws(compact(usual | {"id": "a"})),
    )
    made = usual["id"]
    assert made[14] == "4"
    for name, comment, at, digit in [
        ("version-1", "another version of UUID", 14, "1"),
        ("version-5", "another version of UUID", 14, "5"),
        ("version-tilde", "no version", 14, "~"),
        ("variant-7", "another variant", 19, "7"),
        ("variant-c", "another variant", 19, "c"),
        ("variant-tilde", "no variant", 19, "~"),
        ("tilde", "no digit", 0, "~"),
        ("tilde-at-the-end", "no digit", 35, "~"),
        ("capital", "a digit in upper case", 0, "A"),
        ("no-hyphen", "a digit for a hyphen", 8, "4"),
    ]:
        other = made[:at] + digit + made[at + 1 :]
        yield (
            f"id-{name}",
            f"{comment}: other clients may make others",
            jws(compact(usual | {"id": other})),
        )
    for name, other in [("35-characters", made[:-1]), ("37-characters", made + "0")]:
        yield (
            f"id-{name}",
            "a UUID has 36 characters: other clients may make others",
            jws(compact(usual | {"id": other})),
        )
    yield (
        "longest",
        "spaces after the scheme, as many as the longest header has room for",
        spaced(LONGEST_HEADER),
    )
    yield "scheme-lower", "the scheme in lower case", "agentassertion " + assertion()
    yield "two-spaces", "two spaces behind the scheme", SCHEME + " " + assertion()
    yield (
        "iat-minus-zero",
        "zero, with a sign",
        jws(compact(usual | {"iat": 0}).replace(":0,", ":-0,")),
    )


def refused():
    """Yield (name, comment, text) of what is no assertion."""
    usual = payload()
    good = assertion()
    version, header, body, signature = good.split(".")
    yield "version-2", "another version", f"2.{header}.{body}.{signature}"
    yield "version-01", "another version", f"01.{header}.{body}.{signature}"
    yield "no-version", "a JWS alone", f"{header}.{body}.{signature}"
    yield "bearer", "another scheme", "Bearer " + good
    yield "two-parts", "no signature", f"{version}.{header}.{body}"
    yield "five-parts", "one part more", good + ".AA"
    yield "empty-signature", "an empty signature", f"{version}.{header}.{body}."
    yield "version-alone", "nothing behind it", "1."
    yield "tilde", "a character before the version", SCHEME + "~" + good
    yield "longer", "a space more than the longest header", spaced(LONGEST_HEADER + 1)
    for n, name in [(1, "header"), (2, "payload"), (3, "signature")]:
        parts = good.split(".")
        parts[n] += "~"
        yield f"{name}-tilde", "a character of no alphabet", ".".join(parts)
    yield "space-after", "a space at the end", good + " "
    yield "space-before", "a space at the beginning", " " + good
    for n, name in [(1, "header"), (2, "payload"), (3, "signature")]:
        parts = good.split(".")
        parts[n] += "="
        yield f"{name}-padded", "base64url has no padding here", ".".join(parts)
        parts[n] = parts[n][:4] + "\n" + parts[n][4:-1]
        yield f"{name}-line-feed", "no line feeds in base64url", ".".join(parts)
    for n, name in [(2, "payload"), (3, "signature")]:
        parts = good.split(".")
        parts[n] = with_trailing_bits(parts[n])
        yield f"{name}-trailing-bits", "bits that no byte has", ".".join(parts)
    for name, comment, text in [
        ("none", "no signature algorithm", '{"alg":"none"}'),
        (
            "other-algorithm",
            "another algorithm",
            HEADER.replace("EdDSA", "HS256"),
        ),
        ("other-type", "another type", HEADER.replace("agent-assertion+jws", "JWT")),
        ("spaces", "the header has one form", json.dumps(json.loads(HEADER))),
        (
            "reversed",
            "the header has one form",
            compact(dict(reversed(json.loads(HEADER).items()))),
        ),
        (
            "key-id",
            "a member more",
            compact(json.loads(HEADER) | {"kid": "a"}),
        ),
        ("critical", "a member more", compact(json.loads(HEADER) | {"crit": []})),
    ]:
        yield f"header-{name}", comment, jws(compact(usual), text)
    for name, comment, members in [
        ("version-2", "another version", {"version": 2}),
        ("version-text", "a version is a number", {"version": "1"}),
        ("version-fraction", "a version is whole", {"version": 1.5}),
        ("iat-text", "a time is a number", {"iat": str(NOW)}),
        ("iat-fraction", "a time is in whole seconds", {"iat": NOW + 0.5}),
        ("iat-negative", "no such time", {"iat": -1}),
        ("iat-after-year-9999", "no such time", {"iat": MAX_TIME + 1}),
        ("iat-over-64-bits", "no such time", {"iat": 2**64}),
        ("id-number", "an id is text", {"id": 1}),
        ("id-empty", "an id is not empty", {"id": ""}),
        ("id-control-character", "an id has no control characters", {"id": "a\nb"}),
        ("instance-number", "an id is text", {"runtime_agent_instance": 1}),
        ("another-member", "a member that none has", {"exp": NOW + 60}),
    ]:
        yield f"payload-{name}", comment, jws(compact(usual | members))
    for member in usual:
        rest = {n: v for n, v in usual.items() if n != member}
        yield f"payload-without-{member}", "a member is missing", jws(compact(rest))
    for name, text, comment in BAD_IDS:
        yield (
            f"instance-{name}",
            comment,
            jws(compact(usual | {"runtime_agent_instance": text})),
        )
    yield (
        "payload-member-twice",
        "a name twice",
        jws(compact(usual)[:-1] + ',"version":1}'),
    )
    for name, text in [
        ("array", "[1]"),
        ("empty", ""),
        ("no-json", "{"),
        ("two", compact(usual) * 2),
    ]:
        yield f"payload-{name}", "no JSON object", jws(text)
    for size in [0, 63, 65]:
        yield (
            f"signature-{size}-bytes",
            "a signature has 64 bytes",
            f"{version}.{header}.{body}.{b64url(bytes(size))}",
        )


def good():
    """Yield (name, comment, source, text, canonical) of what is an assertion."""
    yield "usual", "as it is built", BY, assertion(), True
    yield "with-scheme", "in the other header", BY, SCHEME + assertion(), True
    for name, text, comment in IDS:
        yield f"instance-{name}", comment, BY, assertion(instance=text), True
    for now, name in [(0, "1970"), (MAX_TIME, "year-9999")]:
        yield f"time-{name}", "whole seconds", BY, assertion(now=now), True
    for name, comment, text in not_canonical():
        yield name, f"{comment}: not canonical", BY_HAND, text, False


def inspect():
    """Yield the vectors of assertion.inspect."""

    def vector(name, comment, source, text, **expected):
        return call(
            f"instance-inspect-{name}",
            comment,
            source,
            "assertion.inspect",
            {"header": text},
            **expected,
        )

    for name, source, text, _, claims in captured_assertions():
        ok = inspection(text)
        assert ok["instance"].items() >= {n: claims[n] for n in ["iat", "id"]}.items()
        yield vector(name, "the real client's", source, text, ok=ok)
    for name, comment, source, text, canonical in good():
        yield vector(name, comment, source, text, ok=inspection(text, canonical))
    for name, comment, text in refused():
        yield vector(
            f"{name}-refused", comment, BY_HAND, text, error="invalid_assertion"
        )


def verify():
    """Yield the vectors of instance.verify."""

    def vector(name, comment, source, text, **members):
        params = {
            "header": text,
            "public_key": members.pop("public_key", KEY.openssh),
            "now": members.pop("now", NOW),
            "skew": members.pop("skew", 300),
        }
        return call(
            f"instance-verify-{name}",
            comment,
            source,
            "instance.verify",
            params,
            **members,
        )

    for name, source, text, public, claims in captured_assertions():
        yield vector(
            name,
            "the real client's",
            source,
            text,
            public_key=public,
            now=claims["iat"],
            ok=inspection(text),
        )
    for name, comment, source, text, canonical in good():
        ok = inspection(text, canonical)
        now = ok["instance"]["iat"]
        yield vector(name, comment, source, text, now=now, ok=ok)
    for name, comment, text in refused():
        yield vector(
            f"{name}-refused", comment, BY_HAND, text, error="invalid_assertion"
        )
    text = assertion()
    for name, comment, skew, offset, allowed in SKEWS:
        yield vector(
            name,
            comment,
            BY_ARITHMETIC,
            text,
            now=NOW + offset,
            skew=skew,
            **({"ok": inspection(text)} if allowed else {"error": TOO_FAR}),
        )
    signed, _, signature = text.removeprefix("1.").rpartition(".")
    for name, comment, raw in [
        ("flipped-bit-in-r", "one other bit", flip(unb64url(signature), 0)),
        ("flipped-bit-in-s", "one other bit", flip(unb64url(signature), 32)),
        (
            "unreduced-s",
            "S + L is the same number modulo L",
            unreduced(unb64url(signature)),
        ),
        ("of-the-payload", "of the JSON", KEY.sign(compact(payload()))),
        ("of-the-version", "with the version before it", KEY.sign("1." + signed)),
    ]:
        assert not verifies(KEY.public, signed.encode(), raw)
        yield vector(
            f"{name}-refused",
            comment,
            "refused by libsodium and OpenSSL",
            f"1.{signed}.{b64url(raw)}",
            error="bad_signature",
        )
    other = b64url(compact(payload(instance="rai-2")).encode())
    header = signed.split(".")[0]
    yield vector(
        "other-payload-refused",
        "the signature is of another payload",
        BY_HAND,
        f"1.{header}.{other}.{signature}",
        error="bad_signature",
    )
    yield vector(
        "other-key-refused",
        "the signature is another instance's",
        "refused by libsodium and OpenSSL",
        text,
        public_key=OTHER_KEY.openssh,
        error="bad_signature",
    )
    yield vector(
        "signature-before-skew",
        "who cannot sign is told nothing about the verifier's clock",
        BY_ARITHMETIC,
        text,
        public_key=OTHER_KEY.openssh,
        now=NOW + 3600,
        error="bad_signature",
    )
    yield vector(
        "damaged-key-refused",
        "the key is read as in the other methods",
        protocol("Key"),
        text,
        public_key="not a key",
        error="invalid_public_key",
    )
    # Neither form stands in for the other.
    yield vector(
        "task-refused",
        "a task's assertion is none of an instance's",
        capture("enabled.jsonl", 6),
        captured.HEADER,
        now=captured.TIME,
        error="invalid_assertion",
    )
    yield call(
        "verify-instance-refused",
        "an instance's assertion is none of a task's",
        BY,
        "assertion.verify",
        {
            "header": SCHEME + text,
            "public_key": KEY.openssh,
            "now": NOW,
            "skew": 300,
        },
        error="invalid_assertion",
    )


def vectors():
    """Return the vectors of instances.json."""
    return [*build(), *inspect(), *verify()]
