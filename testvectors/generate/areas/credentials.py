"""credentials.read, auth_json.get and auth_json.set: the real client's auth.json.

Documents and what becomes of them are written by hand, so that every byte that
must stay stands on both sides.
"""

import json

import captured
from primitives import b64url, compact
from vectors import call, capture, hexadecimal, protocol, utf8

BY_HAND = "documents by hand"
KINDS = protocol("Who gets what, rule 1")
UNTOUCHED = protocol("What the real client gets wrong, unknown fields")
FEDRAMP = protocol("Later clients, FedRAMP accounts")
USERS = protocol("Later clients, the user's ids; what the record needs")
ARRIVED = protocol("Later clients, auth_mode agentIdentity")
FLAT_FILES = "this project's rule: files that proxies export"
ENCODING = "this project's rule: encodings are told apart"
STRICT = "this project's rule: JSON without what parsers read differently"

AUTH_JSON = captured.AUTH_JSON
TOKENS = captured.AUTH["tokens"]

# The captured file is indented by two spaces; its identity is its last member.
IDENTITY_AT = AUTH_JSON.index('  "agent_identity": ') + len('  "agent_identity": ')
IDENTITY_END = AUTH_JSON.rindex("\n}")
PRETTY_IDENTITY = AUTH_JSON[IDENTITY_AT:IDENTITY_END]
assert json.loads(PRETTY_IDENTITY) == captured.IDENTITY
COMPACT_IDENTITY = compact(captured.IDENTITY)
# The other captured file is written alike.
# The API key goes with the kind: a runtime agent instance is registered with it.
API_KEY = {
    "kind": "api-key",
    "access_token": "sk-test",
    "problem": {"code": "api_key_sign_in"},
}

LATER_PRETTY_IDENTITY = captured.LATER_AUTH_JSON[
    captured.LATER_AUTH_JSON.index('  "agent_identity": ')
    + len('  "agent_identity": ') : captured.LATER_AUTH_JSON.rindex("\n}")
]
assert json.loads(LATER_PRETTY_IDENTITY) == captured.LATER_IDENTITY
# The file as it was before there was an identity.
WITHOUT_IDENTITY = (
    AUTH_JSON[: AUTH_JSON.index(',\n  "agent_identity"')] + AUTH_JSON[IDENTITY_END:]
)
assert json.loads(WITHOUT_IDENTITY) == {
    name: value for name, value in captured.AUTH.items() if name != "agent_identity"
}

# A JWT, as later clients leave it; it is signed with nothing.
JWT = "eyJhbGciOiJub25lIn0.eyJhZ2VudF9ydW50aW1lX2lkIjoiYSJ9.c2ln"


def jwt(claims):
    """Return a JWT with these claims."""
    text = claims if isinstance(claims, str) else compact(claims)
    return f"{b64url(b'{}')}.{b64url(text.encode())}.{b64url(b'sig')}"


# What the captured file says of the user.
CAPTURED = {
    "kind": "chatgpt",
    "access_token": TOKENS["access_token"],
    "account_id": "acct-1",
    "user_id": "user-1",
    "email": "u@example.com",
    "plan_type": "pro",
}

# Proxies export files with everything side by side, members of their own among them.
FLAT = {
    "type": "codex",
    "email": "u@example.com",
    "id_token": TOKENS["id_token"],
    "access_token": TOKENS["access_token"],
    "refresh_token": TOKENS["refresh_token"],
    "account_id": "acct-1",
    "last_refresh": "2026-11-24T15:16:08Z",
    "expired": "2096-10-02T07:06:40Z",
}
FLAT_IDENTITY = {
    "agent_runtime_id": "agent-rt-2",
    "agent_private_key": captured.KEY.stored,
    "task_id": "task-4",
    "chatgpt_user_id": "user-1",
    "registered_at": "2026-11-24T15:16:08Z",
}
# The identity in such a file, its members in an order of this project's.
FLAT_RECORD = (
    f'{{"agent_runtime_id":"agent-rt-2","agent_private_key":"{captured.KEY.stored}",'
    '"account_id":"acct-1","chatgpt_user_id":"user-1","email":"u@example.com",'
    '"registered_at":"2026-11-24T15:16:08Z","task_id":"task-4"}'
)

# What an identity in such a file is made of.
FLAT_MEMBERS = [
    "agent_runtime_id",
    "agent_private_key",
    "workspace_id",
    "account_id",
    "chatgpt_user_id",
    "email",
    "plan_type",
    "chatgpt_account_is_fedramp",
    "registered_at",
    "background_task_id",
    "task_id",
]

ENCODED = '{"auth_mode":"chatgpt"}'
# Documents in encodings that the reference client does not read either.
ENCODINGS = [
    (
        "byte-order-mark",
        "U+FEFF before the document",
        "\ufeff{}",
        "auth_json_byte_order_mark",
    ),
    (
        "byte-order-mark-alone",
        "U+FEFF, and no document",
        "\ufeff",
        "auth_json_byte_order_mark",
    ),
    (
        "utf-16-le",
        "UTF-16 with its mark, as PowerShell writes",
        hexadecimal(b"\xff\xfe" + ENCODED.encode("utf-16-le")),
        "auth_json_utf16",
    ),
    (
        "utf-16-be",
        "UTF-16 with its mark, the other way round",
        hexadecimal(b"\xfe\xff" + ENCODED.encode("utf-16-be")),
        "auth_json_utf16",
    ),
    (
        "utf-16-without-mark",
        "nothing says that this is UTF-16",
        hexadecimal(ENCODED.encode("utf-16-le")),
        "invalid_auth_json",
    ),
]


def read():
    """Yield the vectors of credentials.read."""

    def vector(name, comment, source, document, **expected):
        if not isinstance(document, dict):
            document = utf8(document)
        params = {"document": document}
        return call(
            f"read-{name}", comment, source, "credentials.read", params, **expected
        )

    def result(kind, token=None, account=None, user=None, email=None, plan=None):
        members = {"access_token": token, "account_id": account, "user_id": user}
        members |= {"email": email, "plan_type": plan}
        return {"kind": kind} | {name: text for name, text in members.items() if text}

    def unusable(kind, code):
        return {"kind": kind, "problem": {"code": code}}

    def tokens(members, **others):
        return compact({**others, "tokens": members})

    assert (
        captured.AUTH["tokens"]["id_token"] == captured.LATER_AUTH["tokens"]["id_token"]
    )
    yield vector(
        "captured-0-171",
        "the file that 0.171 left",
        capture("codex-0.171-enabled.auth.json"),
        captured.LATER_AUTH_JSON,
        ok=CAPTURED | {"access_token": captured.LATER_AUTH["tokens"]["access_token"]},
    )
    yield vector(
        "captured",
        "the file that the real client left",
        capture("enabled.auth.json"),
        AUTH_JSON,
        ok=CAPTURED,
    )
    yield vector(
        "without-identity",
        "the same before there was an identity",
        capture("enabled.auth.json"),
        WITHOUT_IDENTITY,
        ok=CAPTURED,
    )
    yield vector(
        "compact",
        "the same on one line",
        capture("enabled.auth.json"),
        compact(captured.AUTH),
        ok=CAPTURED,
    )
    for name, comment, document in [
        ("empty-object", "nothing is in it", "{}"),
        ("white-space", "nothing is in it", " {\n} \n"),
        ("tokens-null", "signed out", '{"tokens":null}'),
        ("no-tokens", "a mode, and nothing for it", '{"auth_mode":"chatgpt"}'),
        (
            "api-key-null",
            "a mode, and nothing for it",
            '{"auth_mode":"apikey","OPENAI_API_KEY":null}',
        ),
        ("all-null", "null is absence", '{"auth_mode":null,"OPENAI_API_KEY":null}'),
    ]:
        yield vector(
            name, comment, KINDS, document, ok=unusable("none", "not_signed_in")
        )
    for name, comment, document in [
        (
            "api-key",
            "signed in with an API key",
            '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-test"}',
        ),
        (
            "api-key-without-mode",
            "as clients wrote it before there were modes",
            '{"OPENAI_API_KEY":"sk-test"}',
        ),
        (
            "api-key-and-tokens",
            "both, and no mode: the key wins",
            tokens(TOKENS, OPENAI_API_KEY="sk-test"),
        ),
        (
            "api-key-mode-and-tokens",
            "both, and the mode says which",
            tokens(TOKENS, auth_mode="apikey", OPENAI_API_KEY="sk-test"),
        ),
    ]:
        yield vector(name, comment, KINDS, document, ok=API_KEY)
    for mode in ["chatgptAuthTokens", "unheard-of", "ChatGPT", "agentidentity", ""]:
        yield vector(
            f"mode-{mode or 'empty'}",
            "a mode that nobody here knows",
            KINDS,
            tokens(TOKENS, auth_mode=mode),
            ok=unusable("other", "other_sign_in"),
        )
    yield vector(
        "chatgpt-mode-and-api-key",
        "both, and the mode says which",
        KINDS,
        tokens(TOKENS, auth_mode="chatgpt", OPENAI_API_KEY="sk-test"),
        ok=CAPTURED,
    )
    yield vector(
        "without-mode",
        "as clients wrote it before there were modes",
        KINDS,
        tokens(TOKENS),
        ok=CAPTURED,
    )

    claims = {
        "https://api.openai.com/auth": {
            "chatgpt_user_id": "user-2",
            "chatgpt_account_id": "acct-2",
        }
    }
    for name, comment, members, expected in [
        (
            "account-of-id-token",
            "without tokens.account_id the id token says which account",
            {"access_token": "t", "id_token": jwt(claims)},
            ("t", "acct-2", "user-2"),
        ),
        (
            "account-null",
            "null is absence",
            {"access_token": "t", "account_id": None, "id_token": jwt(claims)},
            ("t", "acct-2", "user-2"),
        ),
        (
            "account-before-id-token",
            "tokens.account_id wins over the id token",
            {"access_token": "t", "account_id": "acct-1", "id_token": jwt(claims)},
            ("t", "acct-1", "user-2"),
        ),
        (
            "no-id-token",
            "no id token: nobody knows the user",
            {"access_token": "t", "account_id": "acct-1"},
            ("t", "acct-1", None),
        ),
        (
            "id-token-without-claims",
            "an id token that says nothing of the kind",
            {"access_token": "t", "account_id": "acct-1", "id_token": jwt({})},
            ("t", "acct-1", None),
        ),
        (
            "id-token-damaged",
            "an id token that is none is no error, but says nothing",
            {"access_token": "t", "account_id": "acct-1", "id_token": "damaged"},
            ("t", "acct-1", None),
        ),
        (
            "id-token-of-two-parts",
            "a JWT has three parts",
            {"access_token": "t", "id_token": jwt(claims).rsplit(".", 1)[0]},
            ("t", None, None),
        ),
        (
            "id-token-not-json",
            "claims that are not JSON",
            {"access_token": "t", "id_token": jwt("claims")},
            ("t", None, None),
        ),
        (
            "id-token-duplicate-claim",
            "claims that parsers read differently",
            {
                "access_token": "t",
                "id_token": jwt(
                    '{"https://api.openai.com/auth":{"chatgpt_user_id":"a",'
                    '"chatgpt_user_id":"b"}}'
                ),
            },
            ("t", None, None),
        ),
        (
            "no-access-token",
            "an account without a token",
            {"account_id": "acct-1"},
            (None, "acct-1", None),
        ),
        ("tokens-empty", "tokens, and none is there", {}, (None, None, None)),
    ]:
        yield vector(
            name, comment, BY_HAND, tokens(members), ok=result("chatgpt", *expected)
        )

    def who():
        """Yield whose the id token says it is."""
        for name, comment, claims, expected in [
            (
                "user-of-older-claim",
                "the user's id under its other name",
                {"user_id": "user-3"},
                {"user_id": "user-3"},
            ),
            (
                "user-of-both-claims",
                "both names: the newer one counts",
                {"user_id": "user-3", "chatgpt_user_id": "user-2"},
                {"user_id": "user-2"},
            ),
            (
                "user-null",
                "null is absence",
                {"user_id": "user-3", "chatgpt_user_id": None},
                {"user_id": "user-3"},
            ),
            (
                "plan",
                "any text is a plan",
                {"chatgpt_plan_type": "unheard-of"},
                {"plan_type": "unheard-of"},
            ),
            ("plan-number", "a plan is text", {"chatgpt_plan_type": 1}, {}),
            (
                "email-among-the-others",
                "the e-mail address stands beside these claims",
                {"email": "u@example.com"},
                {},
            ),
        ]:
            members = {
                "access_token": "t",
                "account_id": "a",
                "id_token": jwt({"https://api.openai.com/auth": claims}),
            }
            ok = result("chatgpt", "t", "a") | expected
            yield vector(name, comment, USERS, tokens(members), ok=ok)
        for name, comment, email, expected in [
            ("email", "all that the id token says", "u@example.com", "u@example.com"),
            ("email-empty", "no e-mail address", "", None),
            ("email-null", "null is absence", None, None),
            ("email-number", "an address is text", 1, None),
        ]:
            members = {"access_token": "t", "id_token": jwt({"email": email})}
            yield vector(
                name,
                comment,
                USERS,
                tokens(members),
                ok=result("chatgpt", "t", email=expected),
            )

    def arrived():
        """Yield files with an identity in place of a sign-in."""
        mode = {"auth_mode": "agentIdentity"}
        later = captured.LATER_IDENTITY
        whole = {
            "kind": "agent-identity",
            "account_id": "acct-1",
            "user_id": "user-1",
            "email": "u@example.com",
            "plan_type": "pro",
        }
        least = {n: v for n, v in whole.items() if n not in ["email", "plan_type"]}
        for name, comment, record, expected in [
            ("", "a record of 0.171's", later, whole),
            ("-of-0-123", "a record of 0.123's", captured.IDENTITY, least),
            (
                "-fedramp",
                "a FedRAMP account's",
                later | {"chatgpt_account_is_fedramp": True},
                whole | {"fedramp": True},
            ),
            (
                "-unknown",
                "a record that does not say whose it is",
                {"agent_runtime_id": "a", "agent_private_key": "b"},
                {"kind": "agent-identity"},
            ),
        ]:
            document = compact(mode | {"agent_identity": record})
            yield vector(
                f"agent-identity{name}", comment, ARRIVED, document, ok=expected
            )
        yield vector(
            "agent-identity-and-tokens",
            "tokens beside it: the mode says which",
            ARRIVED,
            tokens(TOKENS, **mode, agent_identity=later),
            ok=whole,
        )
        for name, members in [
            ("flat", FLAT_IDENTITY | {"account_id": "acct-1"}),
            ("flat-beside-null", {"agent_identity": None, "account_id": "acct-1"}),
        ]:
            yield vector(
                f"agent-identity-{name}",
                "the identity's members stand in the file itself",
                ARRIVED,
                compact(mode | FLAT_IDENTITY | members),
                ok=least,
            )
        yield vector(
            "agent-identity-jwt",
            "a JWT, whose signature somebody has to verify first",
            ARRIVED,
            compact(mode | {"agent_identity": JWT}),
            ok=unusable("other", "identity_jwt_sign_in"),
        )
        for name, comment, members in [
            ("missing", "a mode, and nothing for it", {}),
            ("null", "null is absence", {"agent_identity": None}),
            ("number", "no record", {"agent_identity": 1}),
            ("array", "no record", {"agent_identity": [captured.IDENTITY]}),
            ("flat-without-key", "half of one", {"agent_runtime_id": "agent-rt-2"}),
            ("with-tokens-alone", "tokens are for another mode", {"tokens": TOKENS}),
        ]:
            yield vector(
                f"agent-identity-{name}",
                comment,
                ARRIVED,
                compact(mode | members),
                ok=unusable("none", "not_signed_in"),
            )

    def flat():
        """Yield files that proxies export."""
        for name, comment, document in [
            ("", "tokens side by side with the rest", FLAT),
            ("-with-identity", "the agent, too", FLAT | FLAT_IDENTITY),
            ("-tokens-null", "null is absence", FLAT | {"tokens": None}),
            ("-mode", "the mode says the same", {"auth_mode": "chatgpt"} | FLAT),
        ]:
            yield vector(
                f"flat{name}", comment, FLAT_FILES, compact(document), ok=CAPTURED
            )
        yield vector(
            "flat-and-tokens",
            "both: the reference client's own are used",
            FLAT_FILES,
            compact(FLAT | {"tokens": {"access_token": "t"}}),
            ok=result("chatgpt", "t"),
        )
        yield vector(
            "flat-and-api-key",
            "an API key wins over tokens, wherever these are",
            FLAT_FILES,
            compact(FLAT | {"OPENAI_API_KEY": "sk-test"}),
            ok=API_KEY,
        )
        for name, token in [("null", None), ("number", 1)]:
            yield vector(
                f"flat-token-{name}",
                "no token",
                FLAT_FILES,
                compact(FLAT | {"access_token": token}),
                ok=unusable("none", "not_signed_in"),
            )

    for name, comment, value, marked in [
        ("true", "a FedRAMP account", "true", True),
        ("false", "another account", "false", False),
        ("null", "null is absence", "null", False),
        ("string", "text is no boolean", '"true"', False),
        ("number", "a number is no boolean", "1", False),
        ("array", "an array is no boolean", "[true]", False),
    ]:
        claim = (
            '{"https://api.openai.com/auth":{"chatgpt_user_id":"user-2",'
            f'"chatgpt_account_is_fedramp":{value}}}}}'
        )
        members = {"access_token": "t", "account_id": "a", "id_token": jwt(claim)}
        yield vector(
            f"fedramp-{name}",
            comment,
            FEDRAMP,
            tokens(members),
            ok=result("chatgpt", "t", "a", "user-2")
            | ({"fedramp": True} if marked else {}),
        )
    for name, comment, members in [
        (
            "outside",
            "the claim stands beside the others",
            {"id_token": jwt({"chatgpt_account_is_fedramp": True})},
        ),
        (
            "in-tokens",
            "it is the id token's to say",
            {"chatgpt_account_is_fedramp": True},
        ),
    ]:
        yield vector(
            f"fedramp-{name}",
            comment,
            FEDRAMP,
            tokens(members | {"access_token": "t"}),
            ok=result("chatgpt", "t"),
        )
    yield vector(
        "unknown-members",
        "members that nobody knows make no difference",
        BY_HAND,
        '{"x":[1,{"y":null}],"tokens":{"z":1e9,"access_token":"t"},"":""}',
        ok=result("chatgpt", "t"),
    )
    yield vector(
        "escaped",
        "names and values in escape sequences",
        BY_HAND,
        r'{"\u0074okens":{"access\u005ftoken":"\u0074"}}',
        ok=result("chatgpt", "t"),
    )

    for name, comment, escape, text in ESCAPES:
        yield vector(
            f"escape-{name}",
            comment,
            JSON_TEXT,
            f'{{"tokens":{{"access_token":"{escape}"}}}}',
            ok=result("chatgpt", text),
        )
    for name, comment, value in LEGAL:
        yield vector(
            f"json-{name}",
            comment,
            JSON_TEXT,
            f'{{"x":{value},"tokens":{{"access_token":"t"}}}}',
            ok=result("chatgpt", "t"),
        )

    yield from who()
    yield from arrived()
    yield from flat()
    for name, comment, document, code in ENCODINGS:
        yield vector(f"{name}-refused", comment, ENCODING, document, error=code)
    for name, comment, document in ILLEGAL:
        yield vector(
            f"json-{name}-refused",
            comment,
            JSON_TEXT,
            document,
            error="invalid_auth_json",
        )
    for name, comment, document in [
        *DAMAGED,
        (
            "duplicate",
            "a member twice",
            '{"tokens":{"access_token":"a"},"tokens":{"access_token":"b"}}',
        ),
        (
            "duplicate-token",
            "a member twice, further in",
            '{"tokens":{"access_token":"a","access_token":"b"}}',
        ),
        (
            "duplicate-escaped",
            "a member twice, written in two ways",
            r'{"tokens":{},"\u0074okens":{}}',
        ),
        (
            "duplicate-unknown",
            "a member twice, that nobody knows",
            '{"x":{"y":1,"y":2}}',
        ),
    ]:
        yield vector(
            f"{name}-refused", comment, STRICT, document, error="invalid_auth_json"
        )


# Documents that are no auth.json, for every method.
DAMAGED = [
    ("empty", "an empty file", ""),
    ("only-white-space", "white space", "\n"),
    ("truncated", "the last character is missing", AUTH_JSON.rstrip()[:-1]),
    ("garbage-after", "text after the document", AUTH_JSON + "x"),
    ("two-documents", "a second document", "{}{}"),
    ("array", "no object", "[]"),
    ("string", "no object", '"{}"'),
    ("null", "no object", "null"),
    ("number", "no object", "1"),
    ("not-json", "TOML", "[tokens]\n"),
    ("trailing-comma", "a comma after the last member", '{"a":1,}'),
    ("comment", "JSON has no comments", '{"a":1} // x'),
    ("unquoted", "a name without quotation marks", "{tokens:null}"),
    ("control-character", "a line feed in a string", '{"a":"\n"}'),
    ("leading-zero", "no JSON number", '{"a":01}'),
    ("plus-sign", "no JSON number", '{"a":+1}'),
    ("lone-dot", "no JSON number", '{"a":1.}'),
    ("leading-dot", "no JSON number", '{"a":.5}'),
    ("empty-exponent", "no JSON number", '{"a":1e}'),
    ("minus-alone", "no JSON number", '{"a":-}'),
    ("nan", "no JSON number", '{"a":NaN}'),
    ("true-in-upper-case", "no JSON word", '{"a":TRUE}'),
    ("lone-surrogate", "no Unicode character is written so", r'{"a":"\ud83e"}'),
    ("not-utf-8", "not UTF-8", hexadecimal(b'{"a":"\xff"}')),
    ("nested-1000-deep", "arrays in arrays", '{"a":' + "[" * 1000 + "]" * 1000 + "}"),
]

DEEP = '{"a":' + "[" * 62 + "]" * 62 + "}"

JSON_TEXT = "RFC 8259; RFC 7493, section 2.1; documents by hand"

# (name, comment, escape sequences, the text that they stand for)
ESCAPES = [
    ("before-surrogates", "the last before the surrogates", r"\ud7ff", chr(0xD7FF)),
    ("after-surrogates", "the first after them", r"\ue000", chr(0xE000)),
    ("first-pair", "the first pair of surrogates", r"\ud800\udc00", chr(0x10000)),
    ("last-pair", "the last one", r"\udbff\udfff", chr(0x10FFFF)),
    ("mixed-pair", "a pair of two others", r"\udbff\udc00", chr(0x10FC00)),
    ("digits", "the first and the last digit", r"\u0909", chr(0x0909)),
    ("lower-case", "digits in lower case", r"\uafaf", chr(0xAFAF)),
    ("upper-case", "digits in upper case", r"\uAFAF", chr(0xAFAF)),
    ("two-cases", "digits in both", r"\ubBcE", chr(0xBBCE)),
]

# (name, comment, value)
LEGAL = [
    ("negative-exponent", "a number", "1e-5"),
    ("exponent", "a number", "1.5E+05"),
    ("minus-zero", "a number", "-0"),
    ("delete", "U+007F is no control character in JSON", '"\x7f"'),
    ("arrays-64-deep", "as deep as everybody reads", "[" * 63 + "1" + "]" * 63),
    (
        "objects-64-deep",
        "as deep as everybody reads",
        '{"a":' * 63 + "1" + "}" * 63,
    ),
    (
        "mixed-64-deep",
        "as deep as everybody reads",
        '[{"a":' * 31 + "1" + "}]" * 31,
    ),
    ("long-array", "an array of as many as there is room for", "[" + "1," * 999 + "1]"),
]

# (name, comment, document)
ILLEGAL = [
    ("tilde-before", "a character before the document", "~{}"),
    ("tilde-after", "a character after it", "{}~"),
    ("no-value", "a name, and no value", '{"a":}'),
    ("no-element", "a comma, and no element", '{"a":[1,]}'),
    ("no-comma", "two elements without a comma", '{"a":[1 2]}'),
    ("no-comma-in-object", "two members without a comma", '{"a":1 "b":2}'),
    ("semicolon", "a semicolon for a comma", '{"a":1;"b":2}'),
    ("colon-after-number", "a colon after a number", '{"a":1:}'),
    ("colon-for-number", "a colon is no number", '{"a"::}'),
    ("no-colon", "no colon", '{"a" 1}'),
    ("equals-sign", "an equals sign for a colon", '{"a"=1}'),
    ("null-cut", "a word with another end", '{"a":nulx}'),
    ("true-cut", "a word with another end", '{"a":trux}'),
    ("false-cut", "a word with another middle", '{"a":folse}'),
    ("word-at-the-end", "a word that the document ends in", '{"a":nul'),
    ("fraction-in-exponent", "no JSON number", '{"a":1e.5}'),
    ("fraction-empty", "a fraction without digits, in an array", '{"a":[1.]}'),
    ("two-minuses", "no JSON number", '{"a":--1}'),
    ("two-signs", "no JSON number", '{"a":1e+-1}'),
    ("duplicate-in-array", "a member twice, in an array", '{"a":[{"b":1,"b":2}]}'),
    ("apostrophe", "a name in other quotation marks", "{'a':1}"),
    ("letter-for-quote", "a letter for the first quotation mark", '{xa":1}'),
    ("escape-in-name", "a name with a bad escape sequence", r'{"\x":1}'),
    ("tab-in-name", "a name with a control character", '{"\t":1}'),
    ("control-1f", "the last of the control characters", '{"a":"\x1f"}'),
    ("control-open", "one in a string without its end", '{"a":"x\t}'),
    ("escape-open", "a bad escape sequence in a string without its end", r'{"a":"\x}'),
    ("backslash-at-the-end", "a document that ends in a backslash", '{"a":"\\'),
    ("escape-tilde", "no escape sequence of JSON's", r'{"a":"\~"}'),
    ("escape-zero", "no escape sequence of JSON's", r'{"a":"\0"}'),
    ("escape-line-feed", "no escape sequence of JSON's", '{"a":"\\\n"}'),
    ("u-cut-0", "no digits, and the document ends", '{"a":"\\u'),
    ("u-cut-3", "three digits, and the document ends", '{"a":"\\u004'),
    ("u-cut-4", "four digits, and the document ends", '{"a":"\\u0041'),
    *[
        (
            f"u-digit-{name}",
            "the neighbour of a hexadecimal digit is none",
            f'{{"a":"\\u004{digit}"}}',
        )
        for name, digit in [
            ("slash", "/"),
            ("colon", ":"),
            ("at-sign", "@"),
            ("capital-g", "G"),
            ("grave", "`"),
            ("g", "g"),
        ]
    ],
    *[
        (
            f"surrogate-{name}",
            "no Unicode character is written so",
            f'{{"a":"{escape}"}}',
        )
        for name, escape in [
            ("low-first", r"\udc00"),
            ("low-last", r"\udfff"),
            ("high-first", r"\ud800"),
            ("high-last", r"\udbff"),
            ("high-and-letter", r"\ud800x"),
            ("high-and-letters", r"\ud800xudc00"),
            ("high-and-line-feed", r"\ud800\ndc00"),
            ("high-twice", r"\ud800\ud800"),
            ("high-and-character", r"\ud800\ue000"),
            ("high-and-before-low", r"\ud800\udbff"),
            ("high-and-bad-digits", r"\ud800\udcgg"),
        ]
    ],
    ("surrogate-cut", "a high one, and the document ends", '{"a":"\\ud800'),
    (
        "surrogate-cut-backslash",
        "a high one and a backslash, and the document ends",
        '{"a":"\\ud800\\',
    ),
    (
        "surrogate-cut-u",
        "a high one and half of another, and the document ends",
        '{"a":"\\ud800\\udc0',
    ),
    (
        "objects-1000-deep",
        "objects in objects",
        '{"a":' * 1000 + "1" + "}" * 1000,
    ),
    (
        "mixed-1000-deep",
        "arrays in objects in arrays",
        '{"a":' + '[{"a":' * 500 + "1" + "}]" * 500 + "}",
    ),
    # What is refused further in stays refused, though what follows would fit.
    ("number-then-brace", "no JSON number, and then a brace", '{"a":[1.}'),
    ("array-open", "an array without its end", '{"a":[1}'),
    ("object-open", "an object without its end", '{"a":{"b":1}'),
    ("name-alone", "a name without a value, in an object", '{"a":{"b"}'),
    ("tab-for-name", "a tab in a name without its end", '{"a":{"\t}'),
    ("tab-then-colon", "a tab in a name without its end, and a colon", '{"\t:1}'),
    (
        "low-surrogate-open",
        "half a pair, in a string without its end",
        r'{"a":"\udc00}',
    ),
    (
        "high-surrogate-open",
        "half a pair, in a string without its end",
        r'{"a":"\ud800}',
    ),
    ("long-string-cut", "a string without its end", '{"a":"' + "x" * 300),
]


def get():
    """Yield the vectors of auth_json.get."""

    def vector(name, comment, source, document, record=None, error=None):
        if not isinstance(document, dict):
            document = utf8(document)
        params = {"document": document}
        expected = {"error": error} if error else {"ok": {}}
        if record:
            expected["ok"]["record"] = utf8(record)
        return call(f"get-{name}", comment, source, "auth_json.get", params, **expected)

    yield vector(
        "captured",
        "the identity's text as it stands, line feeds and all",
        capture("enabled.auth.json"),
        AUTH_JSON,
        PRETTY_IDENTITY,
    )
    yield vector(
        "compact",
        "the same on one line",
        capture("enabled.auth.json"),
        compact(captured.AUTH),
        COMPACT_IDENTITY,
    )
    yield vector(
        "absent",
        "no identity is no error",
        capture("enabled.auth.json"),
        WITHOUT_IDENTITY,
    )
    yield vector("empty-object", "no members", BY_HAND, "{}")
    yield vector("null", "null is absence", BY_HAND, '{"agent_identity":null}')
    yield vector(
        "jwt",
        "what later clients leave is returned as it is",
        protocol("Later clients"),
        compact({"agent_identity": JWT}),
        compact(JWT),
    )
    yield vector(
        "odd-white-space",
        "white space inside the value belongs to it, around it does not",
        BY_HAND,
        '\t{ "agent_identity" :\r\n {\t"x" : [ 1 ,2 ]\n} , "y" : 1 }\n',
        '{\t"x" : [ 1 ,2 ]\n}',
    )
    yield vector(
        "escaped-name",
        "the name in an escape sequence is the same name",
        BY_HAND,
        r'{"agent\u005fidentity":{"a":1}}',
        '{"a":1}',
    )
    yield vector(
        "only-at-the-root",
        "a member of that name further in is another",
        BY_HAND,
        '{"x":{"agent_identity":{"a":1}}}',
    )
    yield vector(
        "other-case", "names are compared as they are", BY_HAND, '{"Agent_Identity":1}'
    )
    for name, value in [
        ("number", "-1.50E+2"),
        ("false", "false"),
        ("array", "[ ]"),
        ("empty-string", '""'),
    ]:
        yield vector(
            f"of-{name}",
            "any value but null is returned: what it means is not asked here",
            BY_HAND,
            f'{{"agent_identity":{value}}}',
            value,
        )
    yield vector(
        "nested-63-deep",
        "as deep as anybody will ever nest it",
        BY_HAND,
        DEEP[:-1] + ',"agent_identity":1}',
        "1",
    )
    yield vector(
        "captured-0-171",
        "a later client's",
        capture("codex-0.171-enabled.auth.json"),
        captured.LATER_AUTH_JSON,
        LATER_PRETTY_IDENTITY,
    )
    for name, comment, document, record in [
        (
            "flat",
            "the identity's members stand in the file itself: a record is made of them",
            FLAT | FLAT_IDENTITY,
            FLAT_RECORD,
        ),
        (
            "flat-beside-null",
            "null is absence",
            {"agent_identity": None} | FLAT_IDENTITY | FLAT,
            FLAT_RECORD,
        ),
        (
            "flat-beside-another",
            "both: what stands where it belongs",
            FLAT | FLAT_IDENTITY | {"agent_identity": {"a": 1}},
            '{"a":1}',
        ),
        (
            "flat-without-key",
            "half of one is none",
            FLAT | {"agent_runtime_id": "a"},
            None,
        ),
        (
            "flat-without-id",
            "half of one is none",
            FLAT | {"agent_private_key": "a"},
            None,
        ),
        (
            "flat-key-null",
            "half of one is none",
            FLAT | FLAT_IDENTITY | {"agent_private_key": None},
            None,
        ),
        ("flat-without-identity", "tokens alone", FLAT, None),
    ]:
        yield vector(name, comment, FLAT_FILES, compact(document), record)
    whole = {name: f"{name}-1" for name in FLAT_MEMBERS}
    yield vector(
        "flat-all",
        "all members that a record can have, in the record's order",
        FLAT_FILES,
        compact(FLAT | dict(reversed(whole.items()))),
        compact(whole),
    )
    yield vector(
        "flat-odd",
        "values stay as they were written, null is absence",
        FLAT_FILES,
        '{ "agent_private_key" : "\\u0062" , "plan_type":null,"x":1,\n'
        '"agent_runtime_id":"a\\/", "email" : [ 1 ] }',
        '{"agent_runtime_id":"a\\/","agent_private_key":"\\u0062","email":[ 1 ]}',
    )
    for name, comment, document, code in ENCODINGS:
        yield vector(f"{name}-refused", comment, ENCODING, document, error=code)
    for name, comment, document in [
        *DAMAGED,
        ("duplicate", "two identities", '{"agent_identity":1,"agent_identity":2}'),
        (
            "duplicate-null",
            "an identity, and none",
            '{"agent_identity":1,"agent_identity":null}',
        ),
        (
            "duplicate-inside",
            "an identity with two keys",
            '{"agent_identity":{"agent_private_key":"a","agent_private_key":"b"}}',
        ),
    ]:
        yield vector(
            f"{name}-refused", comment, STRICT, document, error="invalid_auth_json"
        )


# A document in which nothing is as a serializer would write it.
ODD = (
    '\r\n{"z" :1.0,\t"OPENAI_API_KEY":null , "a":"\\u0041\\/ü",\n'
    '"tokens":{"access_token":"t" ,"b":[ 1e+2,-0 ,true]},"":{ }}\n\n'
)


def set_():
    """Yield the vectors of auth_json.set."""

    def vector(name, comment, source, document, record, result=None, error=None):
        if not isinstance(document, dict):
            document = utf8(document)
        params = {"document": document}
        if record:
            params["record"] = record if isinstance(record, dict) else utf8(record)
        expected = {"error": error} if error else {"ok": {"document": utf8(result)}}
        return call(f"set-{name}", comment, source, "auth_json.set", params, **expected)

    def removes(name, comment, source, document, result):
        return vector(f"remove-{name}", comment, source, document, None, result)

    # Added.
    yield vector(
        "captured",
        "the identity goes where the real client put it, and looks the same",
        capture("enabled.auth.json"),
        WITHOUT_IDENTITY,
        COMPACT_IDENTITY,
        AUTH_JSON,
    )
    yield vector(
        "compact",
        "the same on one line",
        capture("enabled.auth.json"),
        compact(json.loads(WITHOUT_IDENTITY)),
        COMPACT_IDENTITY,
        compact(captured.AUTH),
    )
    yield vector(
        "empty-object",
        "the first member",
        BY_HAND,
        "{}",
        '{"a":1}',
        '{"agent_identity":{"a":1}}',
    )
    yield vector(
        "empty-object-newline",
        "the line feed after the document stays",
        BY_HAND,
        "{}\n",
        '{"a":1}',
        '{"agent_identity":{"a":1}}\n',
    )
    yield vector(
        "indented-by-4",
        "a new member is indented as the one before it is",
        BY_HAND,
        '{\n    "tokens": null\n}\n',
        '{"a":"b","c":["d",{"e":1}],"f":{},"g":[]}',
        '{\n    "tokens": null,\n    "agent_identity": {\n        "a": "b",\n'
        '        "c": [\n            "d",\n            {\n                "e": 1\n'
        '            }\n        ],\n        "f": {},\n        "g": []\n    }\n}\n',
    )
    yield vector(
        "indented-by-tabs",
        "tabs, too",
        BY_HAND,
        '{\n\t"tokens": null\n}',
        '{"a":{"b":1}}',
        '{\n\t"tokens": null,\n\t"agent_identity": {\n\t\t"a": {\n'
        '\t\t\t"b": 1\n\t\t}\n\t}\n}',
    )
    yield vector(
        "one-line-with-spaces",
        "white space between members, and after colons, is repeated",
        BY_HAND,
        '{"x": 1, "tokens": null}',
        '{"a":1}',
        '{"x": 1, "tokens": null, "agent_identity": {"a":1}}',
    )
    yield vector(
        "punctuation-in-strings",
        "what looks like JSON in a string is none",
        BY_HAND,
        '{\n  "tokens": null\n}',
        r'{"a":"{\"b\": [1, 2]}\\","c":"\\\""}',
        '{\n  "tokens": null,\n  "agent_identity": {\n'
        r'    "a": "{\"b\": [1, 2]}\\",' + "\n" + r'    "c": "\\\""' + "\n  }\n}",
    )
    yield vector(
        "odd-document",
        "nothing else in the document changes",
        UNTOUCHED,
        ODD,
        '{"a":1}',
        ODD.replace(',"":{ }}', ',"":{ },"agent_identity":{"a":1}}'),
    )

    # Replaced.
    yield vector(
        "replaced-captured",
        "in place of an identity without a background task, one with it",
        capture("enabled.auth.json"),
        AUTH_JSON.replace(',\n    "background_task_id": "task-4"', ""),
        COMPACT_IDENTITY,
        AUTH_JSON,
    )
    yield vector(
        "replaced-in-the-middle",
        "the member stays where it is",
        UNTOUCHED,
        '{"a":1,"agent_identity":{"x":1},"b":[2, 3],"c":null}',
        '{"y":2}',
        '{"a":1,"agent_identity":{"y":2},"b":[2, 3],"c":null}',
    )
    yield vector(
        "replaced-at-the-start",
        "the member stays where it is, indented like its name",
        UNTOUCHED,
        '{\n  "agent_identity": 0,\n  "b": 1\n}',
        '{"y":2}',
        '{\n  "agent_identity": {\n    "y": 2\n  },\n  "b": 1\n}',
    )
    yield vector(
        "replaced-null",
        "null makes room",
        BY_HAND,
        '{"agent_identity":null,"b":1}',
        '{"y":2}',
        '{"agent_identity":{"y":2},"b":1}',
    )
    yield vector(
        "replaced-escaped-name",
        "the name stays as it was written",
        BY_HAND,
        r'{"agent\u005fidentity":1}',
        '{"y":2}',
        r'{"agent\u005fidentity":{"y":2}}',
    )
    yield vector(
        "replaced-by-jwt",
        "any JSON value can be put back",
        protocol("Later clients"),
        '{"agent_identity":{"x":1}}',
        compact(JWT),
        compact({"agent_identity": JWT}),
    )
    yield vector(
        "with-its-own-lines",
        "a record that has line feeds stays as it is",
        capture("enabled.auth.json"),
        WITHOUT_IDENTITY,
        PRETTY_IDENTITY,
        AUTH_JSON,
    )
    yield vector(
        "with-white-space-around",
        "white space around the record does not belong to it",
        BY_HAND,
        '{"a":1}',
        ' \n{"y":2}\n',
        '{"a":1,"agent_identity":{"y":2}}',
    )
    yield vector(
        "unknown-members-of-the-record",
        "the record's members are kept, their order and their escapes, too",
        UNTOUCHED,
        "{}",
        r'{"z":1.50,"a":"\u00e9\/","agent_runtime_id":"x","":[]}',
        r'{"agent_identity":{"z":1.50,"a":"\u00e9\/","agent_runtime_id":"x","":[]}}',
    )

    yield vector(
        "of-one-byte",
        "a record of one byte is a record",
        BY_HAND,
        '{"agent_identity":{"x":1},"b":2}',
        "1",
        '{"agent_identity":1,"b":2}',
    )
    yield vector(
        "empty-name-indented",
        "a member whose name is empty, and a space in a string",
        BY_HAND,
        '{\n  "tokens": null\n}',
        '{"":1,"a":"b c"}',
        '{\n  "tokens": null,\n  "agent_identity": {\n    "": 1,\n    "a": "b c"\n  }\n}',
    )
    yield vector(
        "white-space-indented",
        "white space between the record's tokens gives way to the document's",
        BY_HAND,
        '{\n  "tokens": null\n}',
        '{ "a"\t:\r1 , "b":\t[ 2,3\r] }',
        '{\n  "tokens": null,\n  "agent_identity": {\n    "a": 1,\n'
        '    "b": [\n      2,\n      3\n    ]\n  }\n}',
    )

    # Removed.
    yield removes(
        "captured",
        "the file is again what it was before",
        capture("enabled.auth.json"),
        AUTH_JSON,
        WITHOUT_IDENTITY,
    )
    yield removes(
        "at-the-start",
        "the first member, and the comma after it",
        BY_HAND,
        '{\n  "agent_identity": {"x": [1, 2]},\n  "b": 1\n}',
        '{\n  "b": 1\n}',
    )
    yield removes(
        "in-the-middle",
        "a member, and the comma before it",
        BY_HAND,
        '{"a":1, "agent_identity":"x", "b":2}',
        '{"a":1, "b":2}',
    )
    yield removes(
        "the-only-member", "nothing is left", BY_HAND, '{"agent_identity":{}}\n', "{}\n"
    )
    yield removes(
        "null", "null goes, too", BY_HAND, '{"agent_identity":null,"b":1}', '{"b":1}'
    )
    yield removes(
        "absent",
        "nothing to remove, and nothing changes",
        UNTOUCHED,
        ODD,
        ODD,
    )
    yield removes(
        "only-at-the-root",
        "a member of that name further in is another",
        BY_HAND,
        '{"x":{"agent_identity":1}}',
        '{"x":{"agent_identity":1}}',
    )

    # Files that proxies export.
    both = compact(FLAT | FLAT_IDENTITY)
    yield vector(
        "flat",
        "a new identity goes before the one in the file itself, which stays",
        FLAT_FILES,
        both,
        '{"a":1}',
        both[:-1] + ',"agent_identity":{"a":1}}',
    )
    yield vector(
        "flat-tokens",
        "an identity where there are tokens alone",
        FLAT_FILES,
        compact(FLAT),
        '{"a":1}',
        compact(FLAT | {"agent_identity": {"a": 1}}),
    )
    rest = {"chatgpt_user_id": "user-1", "registered_at": "2026-11-24T15:16:08Z"}
    for name, members in [
        ("flat", {}),
        ("flat-and-another", {"agent_identity": {"a": 1}}),
    ]:
        yield removes(
            name,
            "what makes an identity of the file goes, and nothing else",
            FLAT_FILES,
            compact(FLAT | FLAT_IDENTITY | members | {"background_task_id": "x"}),
            compact(FLAT | rest),
        )
    yield removes(
        "flat-without-identity",
        "nothing to remove, and nothing changes",
        FLAT_FILES,
        compact(FLAT | {"agent_runtime_id": "a", "task_id": "b"}),
        compact(FLAT | {"agent_runtime_id": "a", "task_id": "b"}),
    )
    for name, comment, document, code in ENCODINGS:
        yield vector(
            f"{name}-refused", comment, ENCODING, document, '{"a":1}', error=code
        )
    for name, comment, document in [
        *DAMAGED,
        ("duplicate", "two identities", '{"agent_identity":1,"agent_identity":2}'),
        ("duplicate-elsewhere", "a member twice", '{"a":1,"a":2}'),
    ]:
        yield vector(
            f"{name}-refused",
            comment,
            STRICT,
            document,
            '{"a":1}',
            error="invalid_auth_json",
        )
    for name, comment, record in [
        ("not-json", "no JSON", "x"),
        ("truncated", "the last character is missing", '{"a":1'),
        ("two-values", "a second value", '{"a":1}{"a":1}'),
        ("injection", "a second member", '{"a":1},"b":2'),
        ("only-white-space", "white space", " \n"),
        ("duplicate", "a member twice", '{"a":1,"a":2}'),
        ("not-utf-8", "not UTF-8", hexadecimal(b'"\xff"')),
        ("string-open", "a string without its end", '"abc'),
        ("byte-order-mark", "U+FEFF before it", '\ufeff{"a":1}'),
    ]:
        yield vector(
            f"record-{name}-refused",
            f"the record: {comment}",
            STRICT,
            WITHOUT_IDENTITY,
            record,
            error="invalid_record",
        )


def vectors():
    """Return the vectors of credentials.json."""
    return [*read(), *get(), *set_()]
