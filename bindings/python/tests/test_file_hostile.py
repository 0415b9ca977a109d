"""A store whose module is anybody's: whatever it asks for, every file stays as it is."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from files import code_of, context

from agentassert.file_store import FileStore
from agentassert.store import StoreContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentassert import AgentAssert


def month(before: int) -> str:
    now = time.gmtime()
    months = now.tm_year * 12 + now.tm_mon - 1 - before
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def name_of(thread: str) -> str:
    return hashlib.sha256(thread.encode()).hexdigest() + ".json"


THIS_MONTH, LAST_MONTH, OLD_MONTH = month(0), month(1), month(9)
IDENTITY = b'{"agent_runtime_id":"agent-1","agent_private_key":"secret-key"}'
NEW_IDENTITY = b'{"agent_runtime_id":"agent-2","agent_private_key":"secret-other-key"}'
AUTH_JSON = (
    b'{"auth_mode":"chatgpt","tokens":{"access_token":"secret-token","account_id":"acct-1",'
    b'"refresh_token":"secret-refresh"},"later":[1.50e1],"agent_identity":' + IDENTITY + b"}\n"
)
REPLACED = AUTH_JSON.replace(IDENTITY, NEW_IDENTITY)

FILES = {
    "auth.json": AUTH_JSON,
    "auth.lock": b"",
    "auth.json.lock": b"",
    "auth.json.identity": IDENTITY,
    "auth.json.backoff": b'{"acct-1":{"failures":2}}',
    "auth.json.backend": b'{"agent-1":"https://chatgpt.com/backend-api"}',
    "auth.json.set-aside": b"[]",
    ".tmp-auth.json123": b"secret-leftover",
    "notes.txt": b"secret-notes",
    f"auth.json.threads/{LAST_MONTH}/{name_of('thread-1')}": b'{"task_id":"task-1"}',
    f"auth.json.threads/{THIS_MONTH}/{name_of('thread-2')}": b'{"task_id":"secret-task-2"}',
    f"auth.json.threads/{OLD_MONTH}/{name_of('thread-3')}": b'{"task_id":"task-3"}',
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An auth.json with all the files beside it that a store can have, and more."""
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)
    return tmp_path / "auth.json"


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): b"" if file.is_dir() else file.read_bytes()
        for file in folder.rglob("*")
    }


class HostileCore:
    """A core that asks for what it is told to, and leaves the rest to another, with a state that is none."""

    def __init__(self, core: AgentAssert, effects: list[Any]) -> None:
        self._core = core
        self._effects = effects

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "file.step"
        if not self._effects:
            return self._core.call(method, {**params, "state": b"\1"})
        return {"effect": self._effects.pop(0), "state": b"\1"}


LOCK = {"type": "lock", "timeout_ms": 5000}
UNDER_LOCKS: list[Any] = [
    {**LOCK, "name": "client-lock"},
    {**LOCK, "name": "target-lock"},
    {"type": "read", "name": "journal"},
    {"type": "read", "name": "target"},
]


def swap(store: FileStore, ctx: StoreContext) -> None:
    store.swap("identity", IDENTITY, NEW_IDENTITY, ctx)


#: Operations, each with the effects with which it begins.
OPERATIONS: dict[str, tuple[Callable[[FileStore, StoreContext], object], list[Any]]] = {
    "credentials": (lambda store, ctx: store.credentials(ctx), [{"type": "read", "name": "target"}]),
    "load": (lambda store, ctx: store.load("identity", ctx), [{"type": "read", "name": "target"}]),
    "swap": (swap, UNDER_LOCKS),
    "probe": (lambda store, ctx: store.probe("identity", ctx), UNDER_LOCKS),
    "load backoff": (
        lambda store, ctx: store.load("backoff", ctx),
        [{"type": "read", "name": "record/backoff"}],
    ),
    "save backoff": (lambda store, ctx: store.save("backoff", b"{}", ctx), []),
    "delete backoff": (lambda store, ctx: store.delete("backoff", ctx), []),
    "swap beside": (swap, [{**LOCK, "name": "target-lock"}]),
    "load thread": (
        lambda store, ctx: store.load("thread/thread-1", ctx),
        [{"type": "read", "name": f"thread/{THIS_MONTH}"}],
    ),
    "save thread": (
        lambda store, ctx: store.save("thread/thread-1", b"{}", ctx),
        [
            {"type": "make-folder", "name": "threads"},
            {"type": "make-folder", "name": f"threads/{THIS_MONTH}"},
        ],
    ),
    "delete thread": (lambda store, ctx: store.delete("thread/thread-1", ctx), []),
}

#: Names of files that no operation may name, or not with all effects.
NAMES = [
    *(
        "",
        "target",
        "previous",
        "home",
        "journal",
        "client-lock",
        "target-lock",
        "leftovers",
        "threads",
        "etc",
    ),
    *("record/identity", "record/backoff", "record/backend", "record/../auth.json", "record/"),
    *("leftovers/.tmp-auth.json123", f"thread/{THIS_MONTH}", f"thread/{LAST_MONTH}", f"thread/{OLD_MONTH}"),
    *("thread/../..", "thread/1-1", f"threads/{THIS_MONTH}", f"threads/{OLD_MONTH}"),
    *(f"threads/{OLD_MONTH}/{name_of('thread-3')}", f"threads/{THIS_MONTH}/{name_of('thread-2')}"),
    *("threads/..", "../auth.json", "/etc/passwd", "notes.txt", "target\0", "target\n"),
]

BOTH = {
    *("read target", "read journal", "read previous", "look journal", "sync home"),
    *("unlock client-lock", "unlock target-lock"),
}
READ = {"read target", "read journal", "look journal", "lock client-lock"}
#: What some operation does. All that is not here is refused.
ALLOWED: dict[str, set[str]] = {
    "credentials": READ,
    "load": READ,
    "swap": BOTH,
    "probe": BOTH,
    "load backoff": {"read record/backoff"},
    "save backoff": {"sync home", "create record/backoff"},
    "delete backoff": {"remove record/backoff"},
    "swap beside": {"read record/identity", "sync home", "unlock target-lock"},
    "load thread": {f"read thread/{THIS_MONTH}", f"read thread/{LAST_MONTH}"},
    "save thread": {
        *("make-folder threads", f"make-folder threads/{THIS_MONTH}", f"create thread/{THIS_MONTH}"),
        *(f"sync threads/{THIS_MONTH}", "list threads"),
    },
    "delete thread": {f"remove thread/{THIS_MONTH}", f"remove thread/{LAST_MONTH}"},
}

TYPES: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("read", "look", "unlock", "own", "install", "discard", "sync", "make-folder")},
    "remove": {},
    "lock": {"timeout_ms": 5000},
    "create": {"content": b"{}"},
    "write": {"content": AUTH_JSON},
    "truncate": {"size": 1},
    "list": {"limit": 1},
    "move": {"to": f"thread/{THIS_MONTH}"},
    "chmod": {},
}


def run(path: Path, core: AgentAssert, operation: str, effects: list[Any]) -> str:
    """Returns the code with which an operation ends whose module asks for these effects after the first."""
    work, before = OPERATIONS[operation]
    store = FileStore(path, lock="process", identity="beside" if operation == "swap beside" else "auth.json")
    hostile: Any = HostileCore(core, [*before, *effects])
    ctx = context(core)
    return code_of(lambda: work(store, StoreContext(hostile, ctx.canceled)))


def attack(path: Path, core: AgentAssert, operation: str, *effects: Any) -> None:
    """Has an operation's module ask for effects, of which the last is to be refused, and no other."""
    before = content_of(path.parent)
    if len(effects) > 1:
        assert run(path, core, operation, list(effects[:-1])) == "invalid_state", "so far it is let pass"
    assert run(path, core, operation, list(effects)) == "policy_violation", effects
    assert content_of(path.parent) == before, "every file is as it was"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_effect_names_a_file_that_is_not_its_operations(
    path: Path, core: AgentAssert, operation: str
) -> None:
    refused = 0
    for kind, members in TYPES.items():
        for name in NAMES:
            if f"{kind} {name}" not in ALLOWED[operation]:
                attack(path, core, operation, {"type": kind, "name": name, **members})
                refused += 1
    assert refused > 300


def create(document: bytes) -> dict[str, Any]:
    return {"type": "create", "name": "target", "content": document}


def write(document: bytes) -> dict[str, Any]:
    return {"type": "write", "name": "target", "content": document}


def journal(old: bytes, new: bytes, more: bytes = b"") -> dict[str, Any]:
    old, new = base64.b64encode(old), base64.b64encode(new)
    return {"type": "create", "name": "journal", "content": b'{"old":"%b","new":"%b"%b}' % (old, new, more)}


READ_TARGET = {"type": "read", "name": "target"}
OWN = {"type": "own", "name": "target"}
INSTALL = {"type": "install", "name": "target"}
TRIED = journal(AUTH_JSON, REPLACED)
LIST_THREADS = {"type": "list", "name": "threads", "limit": 64}

CASES: list[tuple[str, str, list[Any]]] = [
    ("another token", "swap", [create(REPLACED.replace(b"secret-token", b"evil"))]),
    ("a token less", "swap", [create(REPLACED.replace(b',"refresh_token":"secret-refresh"', b""))]),
    ("a member more", "swap", [create(REPLACED.replace(b"{", b'{"evil":1,', 1))]),
    ("a member less", "swap", [create(REPLACED.replace(b'"later":[1.50e1],', b""))]),
    ("a member twice", "swap", [create(REPLACED.replace(b"{", b'{"tokens":{},', 1))]),
    ("a number in another form", "swap", [create(REPLACED.replace(b"1.50e1", b"15"))]),
    (
        "another order",
        "swap",
        [create(b'{"later":[1.50e1],' + REPLACED[1:].replace(b'"later":[1.50e1],', b""))],
    ),
    ("another identity", "swap", [create(AUTH_JSON.replace(b"agent-1", b"agent-3"))]),
    ("no identity", "swap", [create(AUTH_JSON.replace(b',"agent_identity":' + IDENTITY, b""))]),
    ("two identities", "swap", [create(REPLACED.replace(b"{", b'{"agent_identity":' + IDENTITY + b",", 1))]),
    ("no document", "swap", [create(b"evil")]),
    ("a list", "swap", [create(b"[]")]),
    ("nothing", "swap", [{"type": "create", "name": "target"}]),
    ("half of it", "swap", [create(REPLACED[:50])]),
    ("an empty one", "swap", [create(b"{}\n")]),
    ("more after it", "swap", [create(REPLACED + b"{}")]),
    ("a byte order mark", "swap", [create(b"\xef\xbb\xbf" + REPLACED)]),
    ("what is no UTF-8", "swap", [create(b'{"\xff":1}')]),
    ("the identity of a probe", "probe", [create(REPLACED)]),
    ("without its owner", "swap", [create(REPLACED), READ_TARGET, INSTALL]),
    ("without another look", "swap", [create(REPLACED), OWN, INSTALL]),
    (
        "with something between",
        "swap",
        [create(REPLACED), OWN, READ_TARGET, {"type": "look", "name": "journal"}, INSTALL],
    ),
    ("twice", "swap", [create(REPLACED), create(REPLACED)]),
    ("after the lock", "swap", [{"type": "unlock", "name": "target-lock"}, create(REPLACED)]),
    ("over it, without a journal", "swap", [write(REPLACED)]),
    ("over it, without another look", "swap", [TRIED, write(REPLACED)]),
    (
        "over it, another token",
        "swap",
        [TRIED, READ_TARGET, write(REPLACED.replace(b"secret-token", b"evil"))],
    ),
    ("over it, nothing", "swap", [TRIED, READ_TARGET, {"type": "write", "name": "target"}]),
    ("over it, half", "swap", [TRIED, READ_TARGET, write(AUTH_JSON[:50])]),
    ("over it, while it is read", "load", [write(AUTH_JSON)]),
    ("a journal with another old document", "swap", [journal(b"{}", REPLACED)]),
    ("a journal with another new document", "swap", [journal(AUTH_JSON, b"{}")]),
    ("a journal with more in it", "swap", [journal(AUTH_JSON, REPLACED, b',"old":""')]),
    ("a journal that is none", "swap", [{"type": "create", "name": "journal", "content": b"{}"}]),
    ("a journal that is text", "swap", [{**TRIED, "content": TRIED["content"].decode()}]),
    ("cut without a write", "swap", [{"type": "truncate", "name": "target", "size": 10}]),
    ("cut to nothing", "swap", [{"type": "truncate", "name": "target"}]),
    ("a size that is a text", "swap", [{"type": "truncate", "name": "target", "size": "10"}]),
    ("a size that is true", "swap", [{"type": "truncate", "name": "target", "size": True}]),
    ("the target's lock first", "load", [{**LOCK, "name": "target-lock"}]),
    ("a lock twice", "swap", [{**LOCK, "name": "client-lock"}]),
    ("a lock for no time", "load", [{"type": "lock", "name": "client-lock"}]),
    ("a lock for long", "load", [{"type": "lock", "name": "client-lock", "timeout_ms": 5001}]),
    ("a lock for good", "load", [{"type": "lock", "name": "client-lock", "timeout_ms": 2**63 - 1}]),
    ("no pause", "load", [{"type": "wait"}]),
    ("a pause before", "load", [{"type": "wait", "wait_ms": -1}]),
    ("a long pause", "load", [{"type": "wait", "wait_ms": 60_000}]),
    ("a pause of a record's", "load backoff", [{"type": "wait", "wait_ms": 5}]),
    ("many leftovers", "swap", [{"type": "list", "name": "leftovers", "limit": 17, "older_than": 3600}]),
    ("young leftovers", "swap", [{"type": "list", "name": "leftovers", "limit": 16}]),
    ("many months", "save thread", [{"type": "list", "name": "threads", "limit": 65}]),
    (
        "a leftover of another name",
        "swap",
        [
            {"type": "list", "name": "leftovers", "limit": 16, "older_than": 3600},
            {"type": "remove", "name": "leftovers/auth.json"},
        ],
    ),
    (
        "a month that is there",
        "save thread",
        [LIST_THREADS, {"type": "list", "name": f"threads/{THIS_MONTH}", "limit": 16}],
    ),
    (
        "a month that was not listed",
        "save thread",
        [LIST_THREADS, {"type": "remove", "name": f"threads/{OLD_MONTH}"}],
    ),
    (
        "a record of this month",
        "save thread",
        [LIST_THREADS, {"type": "remove", "name": f"threads/{THIS_MONTH}/{name_of('thread-2')}"}],
    ),
    (
        "a record of another slot",
        "save backoff",
        [{"type": "create", "name": "record/backoff", "content": b"evil"}],
    ),
    (
        "a record of a thread",
        "save thread",
        [{"type": "create", "name": f"thread/{THIS_MONTH}", "content": b"evil"}],
    ),
    (
        "a record in another month",
        "save thread",
        [{"type": "create", "name": f"thread/{LAST_MONTH}", "content": b"{}"}],
    ),
    (
        "a record that was not looked at",
        "swap beside",
        [{"type": "create", "name": "record/identity", "content": NEW_IDENTITY}],
    ),
    (
        "what was not found",
        "load thread",
        [{"type": "move", "name": f"thread/{LAST_MONTH}", "to": f"thread/{THIS_MONTH}"}],
    ),
    (
        "over auth.json",
        "load thread",
        [
            {"type": "read", "name": f"thread/{LAST_MONTH}"},
            {"type": "move", "name": f"thread/{LAST_MONTH}", "to": "target"},
        ],
    ),
    (
        "auth.json",
        "load thread",
        [
            {"type": "read", "name": f"thread/{LAST_MONTH}"},
            {"type": "move", "name": "target", "to": f"thread/{THIS_MONTH}"},
        ],
    ),
    ("an effect that is none", "load", [{"type": "exec", "name": "target"}]),
    ("no effect", "load", [None]),
    ("an effect that is a list", "load", [[]]),
    ("a type that is two", "load", [{"type": ["read"], "name": "target"}]),
    ("a name that is bytes", "load", [{"type": "read", "name": b"target"}]),
]


@pytest.mark.parametrize(
    ("operation", "effects"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_no_effect_goes_beyond_its_bounds(
    path: Path, core: AgentAssert, operation: str, effects: list[Any]
) -> None:
    attack(path, core, operation, *effects)


WHO = {"kind": "chatgpt", "access_token": "secret-token", "account_id": "acct-1"}
RESULTS: list[tuple[str, str, Any]] = [
    ("another token", "credentials", {"credentials": {**WHO, "access_token": "evil"}}),
    ("the refresh token", "credentials", {"credentials": {**WHO, "access_token": "secret-refresh"}}),
    ("no token", "credentials", {"credentials": {"kind": "chatgpt", "account_id": "acct-1"}}),
    ("another account", "credentials", {"credentials": {**WHO, "account_id": "acct-2"}}),
    ("another user", "credentials", {"credentials": {**WHO, "user_id": "user-2"}}),
    ("another kind", "credentials", {"credentials": {**WHO, "kind": "agent-identity"}}),
    ("nobody", "credentials", {"credentials": {"kind": "none"}}),
    ("a mark", "credentials", {"credentials": {**WHO, "fedramp": True}}),
    (
        "an error that is none",
        "credentials",
        {"credentials": {**WHO, "problem": {"code": "A B", "message": "x"}}},
    ),
    ("an error that is a text", "credentials", {"credentials": {**WHO, "problem": "evil"}}),
    ("a member that nobody knows", "credentials", {"credentials": {**WHO, "evil": 1}}),
    ("credentials that are a text", "credentials", {"credentials": "evil"}),
    ("no credentials", "credentials", {}),
    ("another identity", "load", {"record": NEW_IDENTITY}),
    ("no identity", "load", {}),
    ("the tokens", "load", {"record": b'{"access_token":"secret-token"}'}),
    ("a record that is a text", "load", {"record": IDENTITY.decode()}),
    ("another record", "load backoff", {"record": b"evil"}),
    ("no record", "load backoff", {}),
    ("another thread's record", "load thread", {"record": b'{"task_id":"secret-task-2"}'}),
    ("a record of a save", "save backoff", {"record": b"{}"}),
    ("an error without a code", "load", {"error": {"code": "", "message": "x"}}),
    ("a result that is a text", "load", "evil"),
]


@pytest.mark.parametrize(
    ("operation", "result"), [case[1:] for case in RESULTS], ids=[case[0] for case in RESULTS]
)
def test_no_result_is_believed_that_was_not_read(
    path: Path, core: AgentAssert, operation: str, result: Any
) -> None:
    attack(path, core, operation, {"type": "done", "result": result})


def test_the_text_of_an_error_is_cleaned(path: Path, core: AgentAssert) -> None:
    error = {"code": "auth_file_busy", "message": "\x1b[2J\u202eevil" + "x" * 5000}
    hostile: Any = HostileCore(core, [{"type": "done", "result": {"error": error}}])
    store = FileStore(path)
    said = ""
    try:
        store.load("identity", StoreContext(hostile, context(core).canceled))
    except Exception as error:
        said = str(error)
    assert said.startswith("\ufffd[2J\ufffdevil")
    assert len(said) < 5000


def test_an_operation_has_an_end(path: Path, core: AgentAssert) -> None:
    effects = [{"type": "read", "name": "target"}] * 1001
    assert run(path, core, "load", effects) == "policy_violation"
