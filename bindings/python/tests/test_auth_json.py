"""What the core makes of an auth.json is what this package reads in it: of vectors, and of changed ones."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from vectors import from_json, vectors

from agentassert import AgentAssertError
from agentassert.answer import is_map
from agentassert.auth_json import (
    credentials_in,
    identity_in,
    is_exactly,
    is_identity,
    is_replacement,
    members_of,
    parse,
)

if TYPE_CHECKING:
    from agentassert import AgentAssert

VECTORS = [(vector["id"], from_json(vector["params"])) for vector in vectors("credentials")]
DOCUMENTS = [params["document"] for _, params in VECTORS if "document" in params]
RECORDS = [params["record"] for _, params in VECTORS if "record" in params]


def asked(core: AgentAssert, method: str, **params: bytes) -> dict[str, Any] | None:
    """Returns what the core makes of a document, or None where it refuses it."""
    try:
        return core.call(method, params)
    except AgentAssertError as error:
        code = error.code
    assert code in REFUSED
    return None


def check(core: AgentAssert, document: bytes, record: bytes) -> tuple[int, int]:
    """Compares what the core makes of a document with what is read here, and counts what it makes of it."""
    read = replaced = 0
    mine = members_of(document)
    given = asked(core, "credentials.read", document=document)
    if given is not None:
        found = credentials_in(document)
        assert found is not None
        # What an id token says may be left out.
        for name, value in given.items():
            assert name == "problem" or (type(value), value) == (type(found[name]), found[name])
        assert given.get("access_token") == found.get("access_token")
    identity = asked(core, "auth_json.get", document=document)
    if identity is not None:
        assert mine is not None
        assert is_exactly(identity.get("record", b""), mine)
        assert is_identity(identity.get("record", b""), mine)
        read = 1
    for new in (record, b""):
        swapped = asked(core, "auth_json.set", document=document, **({"record": new} if new else {}))
        if swapped is None:
            continue
        after = members_of(swapped["document"])
        assert mine is not None
        assert after is not None
        assert is_replacement(after, mine, new)
        assert not new or is_identity(new, after)
        replaced += 1
    return read, replaced


REFUSED = {
    *(
        "invalid_auth_json",
        "auth_json_byte_order_mark",
        "auth_json_utf16",
        "invalid_record",
        "invalid_request",
    ),
    "unreadable_identity",
}


def test_of_the_vectors(core: AgentAssert) -> None:
    counts = [check(core, document, b'{"agent_runtime_id": "a"}') for document in DOCUMENTS]
    assert sum(read for read, _ in counts) > 150
    assert sum(replaced for _, replaced in counts) > 300


def changed(document: bytes, draw: random.Random) -> bytes:
    """Returns a document with some of it changed, which most often is one still."""
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b",",
        b":",
        b" ",
        b"\n",
        b"null",
        b"1e5",
    ]
    pieces += [
        b"\xff",
        b"\xef\xbb\xbf",
        b"NaN",
        b"-0",
        b"01",
        b'"agent_identity":{},',
        b'"tokens":[],',
        b'"x":',
    ]
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(document) + 1)
        to = min(len(document), at + draw.choice([0, 0, 1, 2, 20]))
        document = document[:at] + draw.choice([*pieces, b""]) + document[to:]
    return document


def reshaped(document: bytes, draw: random.Random) -> bytes:
    """Returns a document with other members, or others' values, in another form."""
    try:
        root = json.loads(document)
    except (ValueError, RecursionError):
        return document
    if not is_map(root):
        return document
    values: tuple[Any, ...] = (
        None,
        True,
        1.5e300,
        "",
        "text",
        "\0",
        "ü😀",
        [],
        {},
        {"agent_runtime_id": "x"},
    )
    for name in draw.sample(NAMES, 4):
        tokens = root.get("tokens")
        where = tokens if is_map(tokens) and draw.random() < 0.4 else root
        where[name] = copy.deepcopy(draw.choice([*values, draw.choice(JWTS)]))
    return json.dumps(root, ensure_ascii=draw.random() < 0.5, indent=draw.choice([None, 1])).encode(
        errors="surrogatepass"
    )


NAMES = [
    *("auth_mode", "OPENAI_API_KEY", "tokens", "access_token", "id_token", "account_id", "agent_identity"),
    *("agent_runtime_id", "agent_private_key", "workspace_id", "chatgpt_user_id", "email", "plan_type"),
    *("chatgpt_account_is_fedramp", "registered_at", "background_task_id", "task_id", "later"),
]
JWTS = [
    "chatgpt",
    "apikey",
    "agentIdentity",
    "x.y.z",
    "a.e30.b",
    "a.e30=.b",
    "a.eyJlbWFpbCI6ImUifQ.b",
    "a..b",
    "a.e.b",
]


@pytest.mark.parametrize("change", [changed, reshaped])
def test_of_many_that_are_changed(core: AgentAssert, change: Any) -> None:
    draw = random.Random(3)
    read = replaced = 0
    for _ in range(1500):
        counts = check(core, change(draw.choice(DOCUMENTS), draw), draw.choice(RECORDS))
        read += counts[0]
        replaced += counts[1]
    assert read > 100
    assert replaced > 200


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"NaN",
        b"-Infinity",
        b'{"a":1,"a":1}',
        b'[{"a":1,"a":2}]',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"01",
        b"+1",
        b"1.",
        b"'a'",
        b"[1,]",
        b'"\t"',
        b'"\\x"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)
    assert members_of(text) is None
    assert credentials_in(text) is None


def test_members_keep_their_text() -> None:
    document = b' {"a" : [1.50e1, {"b":"}"} ] ,\r\n"\\u0063":"x\\"}," , "d":{} }\n'
    assert members_of(document) == {"a": '[1.50e1, {"b":"}"} ]', "c": '"x\\"},"', "d": "{}"}
    assert members_of(b"{}") == {}
    assert members_of(b"[]") is None


def test_an_identity_whose_members_stand_in_the_document() -> None:
    document = b'{"email":"e","agent_private_key":"k" , "task_id":null,"agent_runtime_id": "a","tokens":{}}'
    members = members_of(document)
    assert members is not None
    assert identity_in(members) == '{"agent_runtime_id":"a","agent_private_key":"k","email":"e"}'
    for document, is_same in (
        (b'{ "email":"e", "tokens":{} }', True),
        (b'{"tokens":{},"email":"e"}', False),
        (b'{"email":"e","tokens":{},"task_id":null}', False),
        (b'{"email":"e"}', False),
    ):
        after = members_of(document)
        assert after is not None
        assert is_replacement(after, members, b"") == is_same


def test_numbers_of_any_length_are_read() -> None:
    assert members_of(b'{"a":' + b"9" * 10_000 + b"}") == {"a": "9" * 10_000}
