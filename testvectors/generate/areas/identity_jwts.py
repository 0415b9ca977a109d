"""jwks.locate, and identity_jwt.read: the claims of a JWT that brings an identity.

The host verifies the signature before; here are the claims alone.
"""

import captured
from areas.credentials import DAMAGED
from fixtures import KEY, OTHER_KEY
from primitives import MAX_TIME, MIN_TIME, b64, compact, timestamp
from vectors import call, hexadecimal, protocol, utf8

CLAIMS = protocol("Later clients, an identity that arrives as a JWT")
KEYS = protocol("Key")
IDS = protocol("Assertion, ids")
STRICT = "this project's rule: JSON without what parsers read differently"
AUDIENCE = "RFC 7519, section 4.1.3; " + CLAIMS
EXPIRY = "RFC 7519, section 4.1.4; " + CLAIMS
HEADERS = "this project's rule: nothing is sent that a header cannot hold"

NOW = captured.TIME
USUAL = {
    "iss": "https://chatgpt.com/codex-backend/agent-identity",
    "aud": "codex-app-server",
    "iat": NOW - 60,
    "exp": NOW + 3600,
    "agent_runtime_id": captured.RUNTIME_ID,
    "agent_private_key": KEY.stored,
    "account_id": "acct-1",
    "chatgpt_user_id": "user-1",
    "email": "u@example.com",
    "plan_type": "pro",
    "chatgpt_account_is_fedramp": False,
}
NEEDED = ["agent_runtime_id", "agent_private_key", "account_id", "chatgpt_user_id"]


def claims(**members):
    """Return the usual claims with others in their place; ... removes one."""
    members = USUAL | members
    return {name: value for name, value in members.items() if value is not ...}


def identity(now=NOW, *, fedramp=False, **members):
    """Return what the usual claims yield, with other members."""
    known = USUAL | members
    credentials = {
        "kind": "agent-identity",
        "account_id": known["account_id"],
        "user_id": known["chatgpt_user_id"],
    }
    for claim in ["email", "plan_type"]:
        if known[claim]:
            credentials[claim] = known[claim]
    if fedramp:
        credentials["fedramp"] = True
    record = {
        "agent_runtime_id": known["agent_runtime_id"],
        # Whatever arrives, version 2 is kept.
        "agent_private_key": KEY.stored,
    }
    if known["email"]:
        record["email"] = known["email"]
    record |= {
        "account_id": known["account_id"],
        "chatgpt_user_id": known["chatgpt_user_id"],
        "plan_type": known["plan_type"] or "unknown",
        "chatgpt_account_is_fedramp": fedramp,
        "workspace_id": known["account_id"],
        "registered_at": timestamp(now),
    }
    return {
        "credentials": credentials,
        "record": utf8(compact(record)),
        "expires": known["exp"],
    }


def vectors():
    """Return the vectors of identity-jwts.json."""
    return [*locate(), *read(), *refused()]


def locate():
    """Yield the vectors of jwks.locate."""
    for name, comment, base, url in [
        (
            "completed",
            "the base URL as it is configured, without its path",
            "https://chatgpt.com",
            "https://chatgpt.com/backend-api/wham/agent-identities/jwks",
        ),
        (
            "backend-api",
            "a base URL with the path that makes the difference",
            "https://chatgpt.com/backend-api/",
            "https://chatgpt.com/backend-api/wham/agent-identities/jwks",
        ),
        (
            "backend-api-inside",
            "the path contains it, with more in front and behind",
            "https://agent.example.com/a/backend-api/b",
            "https://agent.example.com/a/backend-api/b/wham/agent-identities/jwks",
        ),
        (
            "codex",
            "a base URL without that path",
            "https://agent.example.com/api/codex",
            "https://agent.example.com/api/codex/agent-identities/jwks",
        ),
        (
            "http",
            "with a port, on this machine",
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/agent-identities/jwks",
        ),
    ]:
        params = {"base_url": base}
        ok = {"url": url}
        yield call(f"jwks-{name}", comment, CLAIMS, "jwks.locate", params, ok=ok)
    for name, base in [
        ("empty", ""),
        ("relative", "/backend-api"),
        ("query", "https://chatgpt.com/backend-api?x=1"),
        ("ftp", "ftp://chatgpt.com"),
    ]:
        yield call(
            f"jwks-{name}-refused",
            "no base URL",
            "this project's rule: what is a base URL",
            "jwks.locate",
            {"base_url": base},
            error="invalid_base_url",
        )


def vector(name, comment, source, document, now=NOW, **expected):
    """Return a vector: the claims are a document, or what is to become one."""
    if isinstance(document, str):
        document = utf8(document)
    elif "hex" not in document:
        document = utf8(compact(document))
    return call(
        f"identity-jwt-{name}",
        comment,
        source,
        "identity_jwt.read",
        {"claims": document, "now": now},
        **expected,
    )


def read():
    """Yield the vectors of claims that are good."""
    yield vector("usual", "all claims", CLAIMS, claims(), ok=identity())
    yield vector(
        "reordered",
        "in another order",
        CLAIMS,
        dict(reversed(claims().items())),
        ok=identity(),
    )
    yield vector(
        "white-space",
        "with white space",
        CLAIMS,
        " " + compact(claims()).replace(",", " ,\n\t") + "\r\n",
        ok=identity(),
    )
    yield vector(
        "escaped",
        "a name and a value in escape sequences",
        CLAIMS,
        compact(claims())
        .replace('"iss"', '"\\u0069ss"')
        .replace("https://chatgpt", "https:\\/\\/chatgpt"),
        ok=identity(),
    )
    yield vector(
        "unknown-claims",
        "claims that nobody knows",
        CLAIMS,
        claims(jti="x", nbf=NOW + 9, x=[1.5, {"y": None}]),
        ok=identity(),
    )
    yield vector(
        "least",
        "without the claims that can do without",
        CLAIMS,
        claims(iat=..., email=..., plan_type=..., chatgpt_account_is_fedramp=...),
        ok=identity(email=None, plan_type=None),
    )
    for name, comment, value in [
        ("empty", "nothing is absence", ""),
        ("null", "null is absence", None),
        ("number", "a claim is text", 1),
        ("array", "a claim is text", ["pro"]),
    ]:
        yield vector(
            f"plan-and-email-{name}",
            f"{comment}: the plan is not known, and there is no e-mail address",
            CLAIMS,
            claims(email=value, plan_type=value),
            ok=identity(email=None, plan_type=None),
        )
    yield vector(
        "plan-and-email-odd",
        "any text",
        CLAIMS,
        claims(email='"ü"@example.com\n', plan_type="🦀"),
        ok=identity(email='"ü"@example.com\n', plan_type="🦀"),
    )
    for name, comment, value, marked in [
        ("true", "a FedRAMP account", True, True),
        ("null", "null is absence", None, False),
        ("string", "text is no boolean", "true", False),
        ("number", "a number is no boolean", 1, False),
    ]:
        yield vector(
            f"fedramp-{name}",
            comment,
            CLAIMS,
            claims(chatgpt_account_is_fedramp=value),
            ok=identity(fedramp=marked),
        )
    for name, comment, value in [
        ("array", "an array of one", ["codex-app-server"]),
        ("array-first", "the first of two", ["codex-app-server", "other"]),
        ("array-last", "the last of two", ["other", "codex-app-server"]),
        ("array-mixed", "others are of another type", [1, None, "codex-app-server"]),
    ]:
        yield vector(f"aud-{name}", comment, AUDIENCE, claims(aud=value), ok=identity())
    for name, comment, exp in [
        ("last-second", "the last second before it expires", NOW + 1),
        ("now", "it expires in this very second, and has a minute more", NOW),
        ("leeway", "the last second of the leeway", NOW - 59),
        ("end-of-time", "the last second that there is", MAX_TIME),
    ]:
        yield vector(
            f"exp-{name}", comment, EXPIRY, claims(exp=exp), ok=identity(exp=exp)
        )
    yield vector(
        "time-zero",
        "at the beginning of Unix time",
        EXPIRY,
        claims(exp=1),
        0,
        ok=identity(0, exp=1),
    )
    yield vector(
        "key-in-version-1",
        "a key in the older form becomes one in the newer",
        KEYS,
        claims(agent_private_key=b64(KEY.der_v1)),
        ok=identity(),
    )
    for name, comment, members in [
        ("runtime-id-non-ascii", "any text", {"agent_runtime_id": "agent-é-🦀"}),
        ("runtime-id-quotes", "escaped in JSON", {"agent_runtime_id": 'a"\\b'}),
        ("runtime-id-4096-bytes", "the longest", {"agent_runtime_id": "x" * 4096}),
        ("other-account", "whoever's it is", {"account_id": "acct-2"}),
        ("user-non-ascii", "a user id is not sent", {"chatgpt_user_id": "ü 1"}),
    ]:
        yield vector(name, comment, IDS, claims(**members), ok=identity(**members))


def refused():
    """Yield the vectors of claims that are refused."""

    def no(name, comment, source, document, now=NOW):
        return vector(
            f"{name}-refused",
            comment,
            source,
            document,
            now,
            error="invalid_identity_jwt",
        )

    good = compact(claims())
    mark = ("byte-order-mark", "U+FEFF before the document", "\ufeff{}")
    for name, comment, document in [*DAMAGED, mark]:
        if name == "truncated":
            document = good[:-1]
        elif name == "garbage-after":
            document = good + "x"
        yield no(name, comment, STRICT, document)
    for name in ["iss", "exp", "agent_runtime_id", "x"]:
        member = compact({name: USUAL.get(name)})
        document = f"{good[:-1]},{member[1:]}"
        if name == "x":
            document = f"{document[:-1]},{member[1:]}"
        yield no(f"{name}-twice", "a claim twice", STRICT, document)
    yield no("over-64-kib", "claims longer than 64 KiB", STRICT, good.ljust(65537))

    for name, comment, value in [
        ("missing", "no issuer", ...),
        ("empty", "no issuer", ""),
        ("null", "no issuer", None),
        ("number", "an issuer is text", 1),
        ("array", "an issuer is one", [USUAL["iss"]]),
        ("other", "another issuer", "https://auth.openai.com"),
        ("slash", "issuers are compared as they are", USUAL["iss"] + "/"),
        ("http", "issuers are compared as they are", USUAL["iss"].replace("s:", ":")),
        ("case", "issuers are compared as they are", USUAL["iss"].upper()),
        ("space", "issuers are compared as they are", USUAL["iss"] + " "),
        ("prefix", "issuers are compared whole", "https://chatgpt.com"),
    ]:
        yield no(f"iss-{name}", comment, CLAIMS, claims(iss=value))
    for name, comment, value in [
        ("missing", "no audience", ...),
        ("empty", "no audience", ""),
        ("null", "no audience", None),
        ("number", "an audience is text", 1),
        ("object", "an audience is text", {"codex-app-server": True}),
        ("other", "another audience", "codex"),
        ("case", "audiences are compared as they are", "Codex-App-Server"),
        ("suffix", "audiences are compared whole", "codex-app-server-2"),
        ("list", "a list in one text", "codex-app-server other"),
        ("array-empty", "no audience", []),
        ("array-other", "two others", ["codex", "other"]),
        ("array-number", "an audience is text", [1]),
        ("array-nested", "an audience is text", [["codex-app-server"]]),
    ]:
        yield no(f"aud-{name}", comment, AUDIENCE, claims(aud=value))
    for name, comment, value in [
        ("a-minute-ago", "expired, and the leeway is over", NOW - 60),
        ("an-hour-ago", "expired", NOW - 3600),
        ("zero", "expired", 0),
        ("negative", "expired", -1),
        ("missing", "it does not say when it expires", ...),
        ("null", "it does not say when it expires", None),
        ("string", "a time is a number", str(NOW + 3600)),
        ("boolean", "a time is a number", True),
        ("array", "a time is one", [NOW + 3600]),
        ("after-9999", "later than any time", MAX_TIME + 1),
        ("over-64-bits", "later than any time", 2**64),
    ]:
        yield no(f"exp-{name}", comment, EXPIRY, claims(exp=value))
    for name, number in [("fraction", "%d.5"), ("exponent", "%de0")]:
        text = good.replace(f'"exp":{NOW + 3600}', f'"exp":{number % (NOW + 3600)}')
        assert text != good
        yield no(
            f"exp-{name}",
            "another form than whole seconds",
            "this project's rule: whole seconds",
            text,
        )
    for name, now, exp in [
        ("first-second", MIN_TIME, 0),
        ("last-second", MAX_TIME, MAX_TIME),
    ]:
        yield vector(
            f"clock-{name}",
            "the first and the last second that RFC 3339 can write",
            protocol("Timestamps"),
            claims(exp=exp),
            now,
            ok=identity(now, exp=exp),
        )
    for name, now in [("year-minus-1", MIN_TIME - 1), ("year-10000", MAX_TIME + 1)]:
        yield vector(
            f"clock-{name}-refused",
            "a second further, which no record can name",
            protocol("Timestamps"),
            claims(exp=MAX_TIME),
            now,
            error="invalid_time",
        )
    yield vector(
        "clock-at-the-end-of-time",
        "within the leeway",
        EXPIRY,
        claims(exp=MAX_TIME),
        MAX_TIME,
        ok=identity(MAX_TIME, exp=MAX_TIME),
    )

    for claim in NEEDED:
        name = claim.replace("_", "-")
        for kind, comment, value in [
            ("missing", "a claim is missing", ...),
            ("empty", "a claim is empty", ""),
            ("null", "null is absence", None),
            ("number", "a claim is text", 1),
            ("boolean", "a claim is text", True),
            ("array", "a claim is text", [USUAL[claim]]),
            ("object", "a claim is text", {"value": USUAL[claim]}),
        ]:
            yield no(f"{name}-{kind}", comment, CLAIMS, claims(**{claim: value}))

    for name, text in [
        ("colon", "a:b"),
        ("control-character", "a\nb"),
        ("c1", "a\x85b"),
        ("4097-bytes", "x" * 4097),
    ]:
        yield no(
            f"agent-runtime-id-{name}",
            "an id that must not be signed",
            IDS,
            claims(agent_runtime_id=text),
        )
    mismatched = KEY.der_v2[:-32] + OTHER_KEY.public
    for name, comment, text in [
        ("garbage", "no base64", "damaged!"),
        ("raw", "a seed, and no PKCS#8 around it", b64(KEY.seed)),
        ("truncated", "a byte is missing", b64(KEY.der_v2[:-1])),
        ("trailing-byte", "a byte too many", b64(KEY.der_v2 + b"\0")),
        ("mismatched", "its public half belongs to another", b64(mismatched)),
        ("public", "a public key", KEY.openssh),
        ("no-padding", "no padding", KEY.stored.rstrip("=")),
        ("space", "a space at its end", KEY.stored + " "),
    ]:
        yield no(
            f"agent-private-key-{name}",
            comment,
            KEYS,
            claims(agent_private_key=text),
        )
    for name, text in [
        ("space", "a b"),
        ("line-feed", "a\nx-injected: 1"),
        ("non-ascii", "ä"),
        ("4097-bytes", "x" * 4097),
    ]:
        yield no(
            f"account-id-{name}",
            "it would not arrive as it was sent",
            HEADERS,
            claims(account_id=text),
        )
    for name, text in [("control-character", "a\nb"), ("4097-bytes", "x" * 4097)]:
        yield no(
            f"user-id-{name}", "no user's id", HEADERS, claims(chatgpt_user_id=text)
        )
    yield no(
        "whole-jwt",
        "a JWT in place of its claims",
        CLAIMS,
        hexadecimal(b"eyJhbGciOiJub25lIn0.e30.c2ln"),
    )
