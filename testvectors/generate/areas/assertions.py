"""assertion.build: the header, byte for byte."""

import captured
from fixtures import KEY, RFC_8032_KEYS
from primitives import MAX_TIME, MIN_TIME, b64, timestamp, unix_time
from vectors import call, capture, protocol

BY = "Ed25519 by libsodium and OpenSSL; JSON by Python's json"
TIMES_BY = f"{BY}; the date by Python's datetime"

# Ids that a task may have, and an agent too unless they hold a colon.
IDS = [
    ("quote", 'a"b', "a quotation mark is escaped with a backslash"),
    ("backslash", "a\\b", "a backslash is escaped with another"),
    ("escaped-looking", "\\u0041\\n", "what looks like an escape sequence is none"),
    ("less-than", "a<b", "< stays as it is: this JSON is not made for HTML"),
    ("ampersand", "a&b", "& stays as it is"),
    ("greater-than", "a>b", "> stays as it is"),
    ("slash", "a/b", "a slash is not escaped"),
    ("space", " a b ", "spaces stay, at the ends too"),
    ("latin-1", "café", "non-ASCII stays as it is, in UTF-8"),
    ("decomposed", "cafe\u0301", "nothing is normalized: this is not the id before"),
    ("cjk", "任务-4", "characters of three bytes"),
    ("astral", "🦀-\U0001d518", "characters of four bytes, no surrogates"),
    (
        "line-separator",
        "a\u2028b\u2029c",
        "U+2028 and U+2029 are no control characters",
    ),
    ("format", "\ufeffa\u200bb\u200dc\u202ed", "U+FEFF and invisible characters stay"),
    ("no-break-space", "a\u00a0b", "U+00A0, the first after the control characters"),
    ("noncharacter", "a\ufffe\U0010ffff", "noncharacters are characters here"),
    ("replacement", "a\ufffdb", "U+FFFD is an ordinary character"),
    ("jwt-like", "a.b_c-d~e=", "punctuation of base64url and tokens"),
    ("single-character", "x", "the shortest id"),
    ("4096-bytes", "x" * 4096, "the longest id"),
    ("4096-bytes-of-quotes", '"' * 4096, "the longest id at its longest in JSON"),
    ("4096-bytes-of-umlauts", "ü" * 2048, "the limit counts bytes, not characters"),
]

# Ids that neither may have.
BAD_IDS = [
    ("empty", "", "an empty id"),
    ("4097-bytes", "x" * 4097, "a byte too long"),
    ("4097-bytes-of-2049", "ü" * 2048 + "x", "2049 characters, but 4097 bytes"),
    ("nul", "a\0b", "U+0000"),
    ("tab", "a\tb", "U+0009"),
    ("line-feed", "a\nb", "U+000A"),
    ("carriage-return", "a\r", "U+000D"),
    ("escape", "\x1b[31m", "U+001B"),
    ("unit-separator", "a\x1fb", "U+001F, the last of C0"),
    ("delete", "a\x7fb", "U+007F"),
    ("c1-first", "a\x80b", "U+0080, the first of C1"),
    ("next-line", "a\x85b", "U+0085"),
    ("c1-last", "a\x9fb", "U+009F, the last of C1"),
]

# Times, and why.
TIMES = [
    (MIN_TIME, "year-0", "the first second that RFC 3339 can write"),
    (unix_time("0001-01-01T00:00:00Z") - 1, "year-0-end", "the last second of year 0"),
    (unix_time("0001-01-01T00:00:00Z"), "year-1", "the first second of year 1"),
    (MIN_TIME + 59 * 86400, "year-0-leap-day", "29 February of year 0"),
    (unix_time("1582-10-10T00:00:00Z"), "1582", "the calendar has no gap in 1582"),
    (unix_time("1900-02-28T23:59:59Z"), "1900-february", "1900 is no leap year"),
    (unix_time("1900-03-01T00:00:00Z"), "1900-march", "the second after"),
    (-1, "before-1970", "the last second before 1970"),
    (0, "1970", "Unix time 0"),
    (unix_time("2000-02-29T12:34:56Z"), "2000-leap-day", "2000 is a leap year"),
    (unix_time("2000-12-31T23:59:59Z"), "2000-end", "day 366 of 2000"),
    (unix_time("2024-02-29T00:00:00Z"), "2024-leap-day", "2024 is a leap year"),
    (unix_time("2024-03-01T00:00:00Z"), "2024-march", "the day after a leap day"),
    (2**31 - 1, "2038", "the last second in 32 bits"),
    (2**31, "2038-after", "the first beyond 32 bits"),
    (unix_time("2100-02-28T23:59:59Z"), "2100-february", "2100 is no leap year"),
    (unix_time("2100-03-01T00:00:00Z"), "2100-march", "the second after"),
    (MAX_TIME, "year-9999", "the last second that RFC 3339 can write"),
]


def vectors():
    """Return the vectors of assertions.json."""
    return list(build())


def build():
    """Yield the vectors of assertion.build."""

    def params(key=KEY, runtime="agent-rt-2", task="task-4", now=captured.TIME):
        return {
            "private_key": key.stored,
            "agent_runtime_id": runtime,
            "task_id": task,
            "now": now,
        }

    def good(name, comment, source, key=KEY, **members):
        p = params(key, **members)
        header = key.assertion(p["agent_runtime_id"], p["task_id"], p["now"])
        ok = {"header": header, "valid_until": p["now"]}
        return call(f"build-{name}", comment, source, "assertion.build", p, ok=ok)

    def refused(name, comment, section, error, **members):
        p = params(**members)
        return call(
            f"build-{name}-refused",
            comment,
            protocol(section),
            "assertion.build",
            p,
            error=error,
        )

    yield call(
        "build-captured-background",
        "the header that the real client sent on background calls",
        capture("enabled.jsonl", 6),
        "assertion.build",
        params(),
        ok={"header": captured.HEADER, "valid_until": captured.TIME},
    )
    yield call(
        "build-captured-thread",
        "the header that the real client sent on a thread's call",
        capture("enabled.jsonl", 13),
        "assertion.build",
        params(task=captured.THREAD_TASK_ID, now=captured.THREAD_TIME),
        ok={
            "header": captured.THREAD_HEADER,
            "valid_until": captured.THREAD_TIME,
        },
    )
    version_1 = params()
    version_1["private_key"] = b64(KEY.der_v1)
    yield call(
        "build-key-in-version-1",
        "the form in which the key is stored makes no difference",
        capture("enabled.jsonl", 6),
        "assertion.build",
        version_1,
        ok={"header": captured.HEADER, "valid_until": captured.TIME},
    )
    for name, key in RFC_8032_KEYS.items():
        yield good(
            f"rfc-8032-{name}",
            f"the key of {name} in RFC 8032, section 7.1",
            BY,
            key,
        )
    for name, text, comment in IDS:
        yield good(f"task-id-{name}", comment, BY, task=text)
    for name, text, comment in IDS:
        yield good(f"agent-runtime-id-{name}", comment, BY, runtime=text)
    for name, text in [
        ("colon", "a:b"),
        ("colons-alone", "::"),
        ("timestamp-inside", "a:2026-11-24T15:16:08Z"),
    ]:
        yield good(
            f"task-id-{name}",
            "a task id may hold colons, because a timestamp of fixed length follows",
            BY,
            task=text,
        )
    for now, name, comment in TIMES:
        yield good(f"time-{name}", f"{timestamp(now)}: {comment}", TIMES_BY, now=now)

    for name, text, comment in BAD_IDS:
        yield refused(
            f"task-id-{name}", comment, "Assertion", "invalid_task_id", task=text
        )
    for name, text, comment in BAD_IDS:
        yield refused(
            f"agent-runtime-id-{name}",
            comment,
            "Assertion",
            "invalid_agent_runtime_id",
            runtime=text,
        )
    for name, text in [("colon", "a:b"), ("leading-colon", ":a"), ("colon-alone", ":")]:
        yield refused(
            f"agent-runtime-id-{name}",
            "a colon would make the signed text ambiguous",
            "Assertion",
            "invalid_agent_runtime_id",
            runtime=text,
        )
    for now, name in [
        (MIN_TIME - 1, "before-year-0"),
        (MAX_TIME + 1, "after-year-9999"),
        (-(2**63), "smallest-integer"),
        (2**63 - 1, "largest-integer"),
    ]:
        yield refused(
            f"time-{name}",
            "RFC 3339 cannot write this time",
            "Timestamps",
            "invalid_time",
            now=now,
        )
    damaged = params()
    damaged["private_key"] = "not a key"
    yield call(
        "build-damaged-key-refused",
        "the key is read as key.parse reads it",
        protocol("Key"),
        "assertion.build",
        damaged,
        error="invalid_private_key",
    )
