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
FEDRAMP = protocol("Later profile, FedRAMP accounts")
STRICT = "this project's rule: JSON without what parsers read differently"

AUTH_JSON = captured.AUTH_JSON
TOKENS = captured.AUTH["tokens"]

# The captured file is indented by two spaces; its identity is its last member.
IDENTITY_AT = AUTH_JSON.index('  "agent_identity": ') + len('  "agent_identity": ')
IDENTITY_END = AUTH_JSON.rindex("\n}")
PRETTY_IDENTITY = AUTH_JSON[IDENTITY_AT:IDENTITY_END]
assert json.loads(PRETTY_IDENTITY) == captured.IDENTITY
COMPACT_IDENTITY = compact(captured.IDENTITY)
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


def read():
    """Yield the vectors of credentials.read."""

    def vector(name, comment, source, document, **expected):
        if not isinstance(document, dict):
            document = utf8(document)
        params = {"document": document}
        return call(
            f"read-{name}", comment, source, "credentials.read", params, **expected
        )

    def result(kind, token=None, account=None, user=None):
        members = {"access_token": token, "account_id": account, "user_id": user}
        return {"kind": kind} | {name: text for name, text in members.items() if text}

    def tokens(members, **others):
        return compact({**others, "tokens": members})

    token = TOKENS["access_token"]
    yield vector(
        "captured",
        "the file that the real client left",
        capture("enabled.auth.json"),
        AUTH_JSON,
        ok=result("chatgpt", token, "acct-1", "user-1"),
    )
    yield vector(
        "without-identity",
        "the same before there was an identity",
        capture("enabled.auth.json"),
        WITHOUT_IDENTITY,
        ok=result("chatgpt", token, "acct-1", "user-1"),
    )
    yield vector(
        "compact",
        "the same on one line",
        capture("enabled.auth.json"),
        compact(captured.AUTH),
        ok=result("chatgpt", token, "acct-1", "user-1"),
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
        yield vector(name, comment, KINDS, document, ok=result("none"))
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
        yield vector(name, comment, KINDS, document, ok=result("api-key"))
    for mode in ["agentIdentity", "chatgptAuthTokens", "unheard-of"]:
        yield vector(
            f"mode-{mode}".lower(),
            "a mode that is neither ChatGPT's nor that of API keys",
            KINDS,
            tokens(TOKENS, auth_mode=mode),
            ok=result("other"),
        )
    yield vector(
        "chatgpt-mode-and-api-key",
        "both, and the mode says which",
        KINDS,
        tokens(TOKENS, auth_mode="chatgpt", OPENAI_API_KEY="sk-test"),
        ok=result("chatgpt", token, "acct-1", "user-1"),
    )
    yield vector(
        "without-mode",
        "as clients wrote it before there were modes",
        KINDS,
        tokens(TOKENS),
        ok=result("chatgpt", token, "acct-1", "user-1"),
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
    ("byte-order-mark", "U+FEFF before the document", "\ufeff{}"),
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
        protocol("Later profile"),
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
        protocol("Later profile"),
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
