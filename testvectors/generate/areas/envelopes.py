"""assertion.inspect and assertion.verify: what an assertion may look like."""

import json

import captured
import curve
from areas.assertions import BAD_IDS, IDS, TIMES
from fixtures import BY_ARITHMETIC, KEY, LONGEST_HEADER, OTHER_KEY, SKEWS, TOO_FAR
from hostile import (
    PUBLIC_KEYS,
    Forgery,
    flip,
    mixed_order,
    negated,
    signed_text,
    unreduced,
)
from primitives import (
    MAX_TIME,
    MIN_TIME,
    b64,
    b64url,
    compact,
    header,
    in_url_alphabet,
    openssh,
    timestamp,
    unb64,
    unb64url,
    verifies,
    with_trailing_bits,
)
from vectors import call, capture, protocol

BY = "Ed25519 by libsodium and OpenSSL; JSON by Python's json"
BY_HAND = "Ed25519 by libsodium and OpenSSL; the envelope written by hand"

SCHEME = "AgentAssertion "
ENCODED = captured.HEADER.removeprefix(SCHEME)
TEXT = unb64url(ENCODED).decode()
ENVELOPE = json.loads(TEXT)
assert compact(ENVELOPE) == TEXT

# The largest JSON text that is read.
LARGEST = 64 << 10


def envelope(**members):
    """Return the captured envelope with other members, signed anew if need be."""
    result = {**ENVELOPE, **members}
    if "signature" not in members:
        text = f"{result['agent_runtime_id']}:{result['task_id']}:{result['timestamp']}"
        result["signature"] = b64(KEY.sign(text))
    return result


def changed(old, new):
    """Return the header of the captured envelope with its text changed."""
    assert TEXT.count(old) == 1, old
    return header(TEXT.replace(old, new))


def padded(size):
    """Return the header of the captured envelope with white space up to a size."""
    return header(TEXT[:-1] + " " * (size - len(TEXT)) + "}")


def canonical():
    """Yield (name, comment, source, header) of assertions as they are built."""
    yield (
        "captured-background",
        "the real client's, on a background call",
        capture("enabled.jsonl", 6),
        captured.HEADER,
    )
    yield (
        "captured-thread",
        "the real client's, on a thread's call",
        capture("enabled.jsonl", 13),
        captured.THREAD_HEADER,
    )
    for name, text, comment in IDS:
        members = envelope(task_id=text)
        yield f"task-id-{name}", comment, BY, header(compact(members))
    for name, text in [("quote", 'a"b'), ("4096-bytes", "x" * 4096)]:
        members = envelope(agent_runtime_id=text)
        yield f"agent-runtime-id-{name}", "an agent's id", BY, header(compact(members))
    yield (
        "task-id-colons",
        "a task id may hold colons",
        BY,
        header(compact(envelope(task_id="a:b:c"))),
    )
    for now, name, comment in TIMES:
        members = envelope(timestamp=timestamp(now))
        yield f"time-{name}", comment, BY, header(compact(members))


def not_canonical():
    """Yield (name, comment, header) of assertions that say the same otherwise."""
    yield "space-after-colons", "spaces", header(json.dumps(ENVELOPE))
    yield "indented", "line feeds and spaces", header(json.dumps(ENVELOPE, indent=2))
    yield (
        "white-space-everywhere",
        "all four characters that JSON takes for white space",
        header("\t" + json.dumps(ENVELOPE, indent="\r\n ") + "\n"),
    )
    yield "space-before", "a space before the object", header(" " + TEXT)
    yield "newline-after", "a line feed after the object", header(TEXT + "\n")
    yield (
        "members-reversed",
        "the members in another order",
        header(compact(dict(reversed(ENVELOPE.items())))),
    )
    yield (
        "members-swapped",
        "two members in another order",
        header(
            compact(
                {
                    name: ENVELOPE[name]
                    for name in [
                        "agent_runtime_id",
                        "task_id",
                        "signature",
                        "timestamp",
                    ]
                }
            )
        ),
    )
    yield (
        "escaped-value",
        "a character that needs no escape has one",
        changed("agent-rt-2", r"agent\u002drt-2"),
    )
    yield "escaped-name", "so has one of a name", changed("task_id", r"task\u005fid")
    slash = compact(envelope(task_id="a/b"))
    yield "escaped-slash", "a slash is escaped", header(slash.replace("a/b", r"a\/b"))
    accented = compact(envelope(task_id="é"))
    for name, escape in [("upper", r"\u00E9"), ("lower", r"\u00e9")]:
        yield (
            f"escaped-non-ascii-{name}-case",
            "non-ASCII as an escape sequence",
            header(accented.replace("é", escape)),
        )
    yield (
        "escaped-surrogate-pair",
        "a character of four bytes as two escape sequences",
        header(compact(envelope(task_id="🦀")).replace("🦀", r"\ud83e\udd80")),
    )
    yield (
        "escaped-quote-as-hexadecimal",
        "a quotation mark in the longer of its two escape sequences",
        header(compact(envelope(task_id='a"b')).replace(r"\"", r"\u0022")),
    )
    for scheme in ["agentassertion", "AGENTASSERTION", "agentAssertion"]:
        yield (
            f"scheme-{scheme}" if scheme.islower() else f"scheme-{scheme}-other-case",
            "the scheme's name is the same in any case (RFC 9110, section 11.1)",
            f"{scheme} {ENCODED}",
        )
    for count, name in [(2, "two"), (3, "three")]:
        yield (
            f"{name}-spaces",
            f"{name} spaces between scheme and envelope",
            SCHEME.rstrip() + " " * count + ENCODED,
        )
    yield "64-kib", "JSON text of 65536 bytes, the largest", padded(LARGEST)


def refused_headers():
    """Yield (name, comment, header) of what is refused before JSON is read."""
    yield "empty", "no header", ""
    yield "scheme-alone", "a scheme, and nothing else", "AgentAssertion"
    yield "scheme-and-space", "an empty envelope", SCHEME
    yield "bearer", "another scheme", "Bearer " + ENCODED
    yield "no-scheme", "the envelope alone", ENCODED
    yield "no-space", "no space after the scheme", "AgentAssertion" + ENCODED
    yield "scheme-longer", "a scheme that starts alike", "AgentAssertions " + ENCODED
    yield "scheme-shorter", "a scheme that ends early", "AgentAssertio " + ENCODED
    yield (
        "scheme-long-s",
        "U+017F is an s in some case mappings, but not in HTTP",
        "AgentAs\u017fertion " + ENCODED,
    )
    yield "tab", "a tab in place of the space", "AgentAssertion\t" + ENCODED
    yield "space-before", "a space before the scheme", " " + captured.HEADER
    yield "space-after", "a space after the envelope", captured.HEADER + " "
    yield "newline-after", "a line feed after the envelope", captured.HEADER + "\n"
    yield (
        "newline-inside",
        "a line feed inside the envelope",
        captured.HEADER[:40] + "\n" + captured.HEADER[40:],
    )
    yield "comma", "a second value", captured.HEADER + ", " + captured.HEADER
    yield "parameter", "a name before the value", SCHEME + "token=" + ENCODED
    for spaces in range(3):
        text = TEXT[:-1] + " " * spaces + "}"
        padding = "=" * (-len(b64url(text.encode())) % 4)
        if padding:
            yield (
                f"padding-{len(padding)}",
                "the URL alphabet without padding, but padded",
                header(text) + padding,
            )
    yield "padding-alone", "padding that base64 has nowhere", captured.HEADER + "===="
    standard = b64(TEXT.replace("agent-rt-2", "~~~~~~???").encode()).rstrip("=")
    assert "+" in standard
    assert "/" in standard
    yield "standard-alphabet", "base64 in the standard alphabet", SCHEME + standard
    for spaces in range(3):
        text = TEXT[:-1] + " " * spaces + "}"
        encoded = b64url(text.encode())
        if len(encoded) % 4:
            yield (
                f"trailing-bits-{len(encoded) % 4}",
                "the last character holds bits that belong to no byte",
                SCHEME + with_trailing_bits(encoded),
            )
    yield "lone-character", "four times n and one characters", SCHEME + ENCODED + "A"
    yield "not-base64", "characters of no alphabet", SCHEME + "{" + ENCODED[1:]
    yield "json-in-the-clear", "JSON without base64", SCHEME + TEXT
    yield "tilde", "a character of no alphabet before it", SCHEME + "~" + ENCODED
    yield "tilde-after", "a character of no alphabet after it", captured.HEADER + "~"
    yield "jwt", "three parts", SCHEME + f"{ENCODED}.{ENCODED}.{ENCODED}"


def refused_json():
    """Yield (name, comment, header) of base64url of what is no envelope."""
    yield "json-array", "an array", header("[" + TEXT + "]")
    yield "json-string", "a string", header(json.dumps(TEXT))
    yield "json-null", "null", header("null")
    yield "json-empty-object", "no members", header("{}")
    yield "json-white-space", "nothing but white space", header(" \n")
    yield "truncated", "the last character is missing", header(TEXT[:-1])
    yield "trailing-garbage", "a character after the object", header(TEXT + "x")
    yield "trailing-brace", "a brace after the object", header(TEXT + "}")
    yield "two-objects", "a second object", header(TEXT + TEXT)
    yield "trailing-nul", "U+0000 after the object", header(TEXT + "\0")
    yield "trailing-comma", "a comma after the last member", header(TEXT[:-1] + ",}")
    yield "comment", "JSON has no comments", header(TEXT[:-1] + "/**/}")
    yield "single-quotes", "JSON has no such quotes", header(TEXT.replace('"', "'"))
    yield (
        "no-break-space",
        "U+00A0 is no white space in JSON",
        header(TEXT[:-1] + "\u00a0}"),
    )
    yield (
        "form-feed",
        "U+000C is no white space in JSON",
        header(TEXT[:-1] + "\f}"),
    )
    yield "byte-order-mark", "U+FEFF before the object", header("\ufeff" + TEXT)
    yield "utf-16", "JSON in UTF-16", header(TEXT.encode("utf-16-le"))

    for name, value in ENVELOPE.items():
        kebab = name.replace("_", "-")
        member = f"{compact(name)}:{compact(value)}"
        rest = {n: v for n, v in ENVELOPE.items() if n != name}
        yield f"missing-{kebab}", "a member is missing", header(compact(rest))
        yield (
            f"duplicate-{kebab}",
            "a member is there twice, with the same value",
            changed(member, f"{member},{member}"),
        )
        yield (
            f"duplicate-{kebab}-other-value",
            "a member is there twice: parsers differ in which they take",
            changed(member, f'{compact(name)}:"other",{member}'),
        )
        escaped = compact(name).replace("i", r"\u0069", 1)
        yield (
            f"duplicate-{kebab}-escaped",
            "the same name, written in two ways",
            changed(member, f"{member},{escaped}:{compact(value)}"),
        )
        for kind, other in [
            ("null", "null"),
            ("number", "1"),
            ("boolean", "true"),
            ("array", f"[{compact(value)}]"),
            ("object", "{}"),
        ]:
            yield (
                f"{kebab}-is-{kind}",
                f"{kind} in place of a string",
                changed(member, f"{compact(name)}:{other}"),
            )
    yield (
        "extra-member",
        "a member that no assertion has, and that nobody has signed",
        header(compact({**ENVELOPE, "alg": "none"})),
    )
    yield (
        "extra-null-member",
        "even null is a member",
        header(compact({**ENVELOPE, "alg": None})),
    )
    yield (
        "member-in-other-case",
        "names are compared as they are",
        changed("task_id", "Task_ID"),
    )
    yield (
        "member-in-camel-case",
        "the later profile's responses have such names, assertions do not",
        changed("task_id", "taskId"),
    )

    for name, old, new in [
        ("lone-high-surrogate", "task-4", r"task\ud83e"),
        ("lone-low-surrogate", "task-4", r"task\udd80"),
        ("surrogates-swapped", "task-4", r"\udd80\ud83e"),
        ("two-high-surrogates", "task-4", r"\ud83e\ud83e\udd80"),
        ("surrogate-and-character", "task-4", r"\ud83eA"),
    ]:
        yield name, "no Unicode character is written so", changed(old, new)
    for name, escape in [
        ("unknown-escape", r"\x41"),
        ("upper-case-u-escape", r"\U0041"),
        ("short-escape", r"\u41"),
        ("escape-not-hexadecimal", r"\u004g"),
        ("escape-with-sign", r"\u+041"),
    ]:
        yield name, "JSON has no such escape sequence", changed("task-4", escape)
    for name, raw in [
        ("lone-continuation-byte", b"\x80"),
        ("overlong-slash", b"\xc0\xaf"),
        ("overlong-nul", b"\xc0\x80"),
        ("encoded-surrogate", b"\xed\xa0\x80"),
        ("beyond-unicode", b"\xf4\x90\x80\x80"),
        ("truncated-character", b"\xe2\x82"),
        ("byte-ff", b"\xff"),
    ]:
        yield (
            f"utf-8-{name}",
            "not UTF-8",
            header(TEXT.encode().replace(b"task-4", raw)),
        )
    yield (
        "utf-8-in-a-name",
        "not UTF-8, in the name of a fifth member",
        header(TEXT[:-1].encode() + b',"\xff":1}'),
    )
    for depth in [1000, 20000]:
        yield (
            f"nested-{depth}-deep",
            "arrays in arrays: an error, not the end of the stack",
            changed('"task-4"', "[" * depth + "]" * depth),
        )
    yield "nested-without-end", "arrays that nothing closes", header("[" * 20000)
    yield "over-64-kib", "JSON text of 65537 bytes", padded(LARGEST + 1)
    yield (
        "far-over-64-kib",
        "a header of 100000 characters",
        SCHEME + "A" * (100000 - len(SCHEME)),
    )

    for name, text, comment in BAD_IDS:
        yield (
            f"task-id-{name}",
            comment,
            header(compact(envelope(task_id=text))),
        )
        yield (
            f"agent-runtime-id-{name}",
            comment,
            header(compact(envelope(agent_runtime_id=text))),
        )
    yield (
        "agent-runtime-id-colon",
        "the same signed text as agent a on task b:task-4",
        header(compact(envelope(agent_runtime_id="a:b"))),
    )
    for name, text, comment in [
        ("empty", "", "no time"),
        ("lower-case-t", "2026-11-24t15:16:08Z", "a lower-case t"),
        ("lower-case-z", "2026-11-24T15:16:08z", "a lower-case z"),
        ("space", "2026-11-24 15:16:08Z", "a space in place of T"),
        ("no-zone", "2026-11-24T15:16:08", "no Z"),
        ("zero-offset", "2026-11-24T15:16:08+00:00", "an offset"),
        ("negative-zero-offset", "2026-11-24T15:16:08-00:00", "an offset"),
        ("offset", "2026-11-24T16:16:08+01:00", "an offset"),
        ("fraction", "2026-11-24T15:16:08.0Z", "a fraction"),
        ("milliseconds", "2026-11-24T15:16:08.000Z", "a fraction"),
        ("comma-fraction", "2026-11-24T15:16:08,0Z", "a fraction"),
        ("leap-second", "2026-12-31T23:59:60Z", "a leap second"),
        ("minute-60", "2026-11-24T15:60:08Z", "no such minute"),
        ("hour-24", "2026-11-24T24:00:00Z", "no such hour"),
        ("30-february", "2026-02-30T15:16:08Z", "no such day"),
        ("29-february-2026", "2026-02-29T15:16:08Z", "2026 is no leap year"),
        ("29-february-1900", "1900-02-29T15:16:08Z", "1900 is no leap year"),
        ("29-february-2100", "2100-02-29T15:16:08Z", "2100 is no leap year"),
        ("31-april", "2026-04-31T15:16:08Z", "no such day"),
        ("31-november", "2026-11-31T15:16:08Z", "no such day"),
        ("day-0", "2026-11-00T15:16:08Z", "no such day"),
        ("day-32", "2026-12-32T15:16:08Z", "no such day"),
        ("month-0", "2026-00-24T15:16:08Z", "no such month"),
        ("month-13", "2026-13-24T15:16:08Z", "no such month"),
        ("year-of-5-digits", "12026-11-24T15:16:08Z", "a year of five digits"),
        ("year-of-2-digits", "26-11-24T15:16:08Z", "a year of two digits"),
        ("negative-year", "-026-11-24T15:16:08Z", "a sign"),
        ("plus-sign", "2026-11-+4T15:16:08Z", "a sign"),
        ("no-leading-zero", "2026-1-24T15:16:08Z", "a month of one digit"),
        ("basic-format", "20261124T151608Z", "no separators"),
        ("space-before", " 2026-11-24T15:16:08Z", "a space before the time"),
        ("space-after", "2026-11-24T15:16:08Z ", "a space after the time"),
        ("other-digits", "２026-11-24T15:16:08Z", "a digit that is not ASCII"),
        ("unix", "1795533368", "a Unix time"),
        ("word", "now", "a word"),
    ]:
        yield (
            f"timestamp-{name}",
            comment,
            header(compact(envelope(timestamp=text))),
        )

    signature = ENVELOPE["signature"]
    raw = unb64(signature)
    for name, text, comment in [
        ("empty", "", "no signature"),
        ("63-bytes", b64(raw[:63]), "a byte is missing"),
        ("65-bytes", b64(raw + b"\0"), "a byte too many"),
        ("128-bytes", b64(raw + raw), "two signatures"),
        ("unpadded", signature.rstrip("="), "base64 without its padding"),
        (
            "url-alphabet",
            in_url_alphabet(signature),
            "base64 in the URL alphabet",
        ),
        (
            "trailing-bits",
            with_trailing_bits(signature),
            "the last character holds bits that belong to no byte",
        ),
        ("newline-after", signature + "\n", "a line feed after the base64"),
        (
            "newline-inside",
            signature[:44] + "\r\n" + signature[44:],
            "base64 in two lines",
        ),
        ("hexadecimal", raw.hex(), "hexadecimal"),
    ]:
        yield (
            f"signature-{name}",
            comment,
            header(compact(envelope(signature=text))),
        )


LIMITS = "this project's rule: the longest header is what holds 64 KiB of JSON"


def spaced(size):
    """Return the captured header with spaces after the scheme, up to a size."""
    return SCHEME + " " * (size - len(captured.HEADER)) + ENCODED


def inspect():
    """Yield the vectors of assertion.inspect."""

    def vector(name, comment, source, text, **expected):
        params = {"header": text}
        return call(
            f"inspect-{name}", comment, source, "assertion.inspect", params, **expected
        )

    def read(text):
        return json.loads(unb64url(text.split(" ")[-1]))

    for name, comment, source, text in canonical():
        ok = {"form": "task", "envelope": read(text), "canonical": True}
        yield vector(name, comment, source, text, ok=ok)
    for name, comment, text in not_canonical():
        ok = {"form": "task", "envelope": read(text), "canonical": False}
        yield vector(name, f"{comment}: not canonical", BY_HAND, text, ok=ok)
    for name, signature, comment in [
        ("zero-signature", bytes(64), "inspecting is not verifying: no signature"),
        (
            "unreduced-signature",
            unreduced(unb64(ENVELOPE["signature"])),
            "inspecting is not verifying: an S that is not reduced",
        ),
    ]:
        members = envelope(signature=b64(signature))
        ok = {"form": "task", "envelope": members, "canonical": True}
        yield vector(name, comment, BY_HAND, header(compact(members)), ok=ok)
    yield vector(
        "longest",
        "spaces after the scheme, as many as the longest header has room for",
        LIMITS,
        spaced(LONGEST_HEADER),
        ok={"form": "task", "envelope": ENVELOPE, "canonical": False},
    )
    yield vector(
        "longer-refused",
        "a space more",
        LIMITS,
        spaced(LONGEST_HEADER + 1),
        error="invalid_assertion",
    )
    for name, comment, text in [*refused_headers(), *refused_json()]:
        yield vector(
            f"{name}-refused",
            comment,
            protocol("Assertion"),
            text,
            error="invalid_assertion",
        )


def verify():
    """Yield the vectors of assertion.verify."""

    def vector(name, comment, source, text, **rest):
        params = {
            "public_key": rest.pop("public_key", KEY.openssh),
            "header": text,
            "now": rest.pop("now", captured.TIME),
            "skew": rest.pop("skew", 300),
        }
        return call(
            f"verify-{name}", comment, source, "assertion.verify", params, **rest
        )

    def result(text, is_canonical=True):
        return {
            "form": "task",
            "envelope": json.loads(unb64url(text.split(" ")[-1])),
            "canonical": is_canonical,
        }

    yield vector(
        "captured-background",
        "the real client's, on a background call",
        capture("enabled.jsonl", 6),
        captured.HEADER,
        ok=result(captured.HEADER),
    )
    yield vector(
        "captured-thread",
        "the real client's, on a thread's call",
        capture("enabled.jsonl", 13),
        captured.THREAD_HEADER,
        now=captured.THREAD_TIME,
        ok=result(captured.THREAD_HEADER),
    )
    body = json.loads(captured.UNSUPPORTED_HOST[5]["body"])
    assert "agent_public_key" not in body
    body = json.loads(captured.UNSUPPORTED_HOST[6]["body"])
    text = captured.UNSUPPORTED_HOST[11]["headers"]["authorization"]
    yield vector(
        "captured-unsupported-host",
        "another key of the real client's, of which only the public half is known",
        capture("unsupported-host.jsonl", 11),
        text,
        public_key=body["agent_public_key"],
        now=captured.TIME + 23,
        ok=result(text),
    )
    for name, text, comment in IDS:
        header_text = KEY.assertion(text, text, captured.TIME)
        yield vector(
            f"ids-{name}",
            f"both ids: {comment}",
            BY,
            header_text,
            ok=result(header_text),
        )
    for name, comment, text in not_canonical():
        yield vector(
            name,
            f"{comment}: verifies, although it is not canonical",
            BY_HAND,
            text,
            ok=result(text, False),
        )

    for name, comment, skew, offset, allowed in SKEWS:
        yield vector(
            name,
            comment,
            BY_ARITHMETIC,
            captured.HEADER,
            now=captured.TIME + offset,
            skew=skew,
            **({"ok": result(captured.HEADER)} if allowed else {"error": TOO_FAR}),
        )
    for name, now in [("year-0", MIN_TIME), ("year-9999", MAX_TIME)]:
        text = KEY.assertion("agent-rt-2", "task-4", now)
        yield vector(
            f"clock-{name}",
            f"a clock at {timestamp(now)}, where the skew reaches beyond what is a time",
            BY,
            text,
            now=now,
            ok=result(text),
        )
    for name, now in [
        ("before-year-0", MIN_TIME - 1),
        ("after-year-9999", MAX_TIME + 1),
        ("smallest", -(2**63)),
        ("largest", 2**63 - 1),
    ]:
        yield vector(
            f"clock-{name}-refused",
            "the verifier's clock is outside of the years 0 to 9999",
            protocol("Timestamps"),
            captured.HEADER,
            now=now,
            error="invalid_time",
        )
    yield vector(
        "skew-longest",
        "all of the time from 1970 on",
        BY_ARITHMETIC,
        captured.HEADER,
        now=0,
        skew=MAX_TIME,
        ok=result(captured.HEADER),
    )
    for name, skew in [
        ("longer", MAX_TIME + 1),
        ("negative", -1),
        ("smallest", -(2**63)),
        ("largest", 2**63 - 1),
    ]:
        yield vector(
            f"skew-{name}-refused",
            "a skew that makes no sense: no overflow may make it allow anything",
            BY_ARITHMETIC,
            captured.HEADER,
            skew=skew,
            error="invalid_skew",
        )

    good = unb64(ENVELOPE["signature"])
    flips = [("r", 0), ("r-end", 31), ("s", 32), ("s-end", 62)]
    bad = [
        (f"flipped-bit-in-{name}", "one other bit", flip(good, at))
        for name, at in flips
    ]
    bad += [
        ("zero-signature", "64 bytes 0", bytes(64)),
        ("ff-signature", "64 bytes 255", b"\xff" * 64),
        ("halves-swapped", "S before R", good[32:] + good[:32]),
        (
            "unreduced-s",
            "S + L is the same number modulo L, and would be a second signature",
            unreduced(good),
        ),
        (
            "r-not-canonical",
            "R is the neutral point with y = p + 1: R is compared as bytes",
            Forgery(KEY, curve.encode_raw(curve.P + 1, 0)).sign(ENVELOPE),
        ),
        (
            "negated",
            "both R and S negated",
            negated(good),
        ),
        (
            "of-a-registration",
            "the signature that registers a task at the same second",
            KEY.sign(f"agent-rt-2:{ENVELOPE['timestamp']}"),
        ),
        (
            "of-the-json",
            "a signature of the JSON, not of what is in it",
            KEY.sign(TEXT),
        ),
    ]
    for name, comment, signature in bad:
        assert not verifies(KEY.public, signed_text(ENVELOPE), signature)
        yield vector(
            f"{name}-refused",
            comment,
            "refused by libsodium and OpenSSL",
            header(compact(envelope(signature=b64(signature)))),
            error="bad_signature",
        )
    for name, members in [
        ("agent-runtime-id", {"agent_runtime_id": "agent-rt-3"}),
        ("task-id", {"task_id": "task-5"}),
        ("timestamp", {"timestamp": "2026-11-24T15:16:09Z"}),
    ]:
        other = compact({**ENVELOPE, **members})
        yield vector(
            f"other-{name}-refused",
            "the signature is of another envelope",
            BY_HAND,
            header(other),
            error="bad_signature",
        )
    yield vector(
        "other-key-refused",
        "the signature is another agent's",
        "refused by libsodium and OpenSSL",
        captured.HEADER,
        public_key=OTHER_KEY.openssh,
        error="bad_signature",
    )
    yield vector(
        "signature-before-skew",
        "who cannot sign is told nothing about the verifier's clock",
        BY_ARITHMETIC,
        captured.HEADER,
        public_key=OTHER_KEY.openssh,
        now=captured.TIME + 3600,
        error="bad_signature",
    )
    yield vector(
        "damaged-header-refused",
        "what assertion.inspect refuses is refused here",
        protocol("Assertion"),
        captured.HEADER[:-1],
        error="invalid_assertion",
    )

    for divisible, expected in [
        (True, {"ok": True}),
        (False, {"error": "bad_signature"}),
    ]:
        public, members = mixed_order(divisible)
        text = header(compact(members))
        if divisible:
            yield vector(
                "mixed-order-key",
                "a key with a part of small order, which this signature's hash "
                "multiplies away",
                "curve arithmetic in Python; accepted by libsodium and OpenSSL",
                text,
                public_key=openssh(public),
                ok=result(text),
            )
        else:
            yield vector(
                "mixed-order-key-refused",
                "the same key, where only the equation with the cofactor would hold",
                "curve arithmetic in Python; refused by libsodium and OpenSSL",
                text,
                public_key=openssh(public),
                **expected,
            )

    forged = header(compact(envelope(signature=b64(Forgery.for_everything()))))
    for name, comment, public_key in PUBLIC_KEYS:
        yield vector(
            f"public-key-{name}-refused",
            comment,
            protocol("Key"),
            forged,
            public_key=public_key,
            error="invalid_public_key",
        )


def vectors():
    """Return the vectors of envelopes.json."""
    return [*inspect(), *verify()]
