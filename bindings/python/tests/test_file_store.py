"""The file store: what it reads, and how it writes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from files import (
    DOCUMENT,
    LOCKS,
    LONG,
    RECORD,
    WITH_RECORD,
    HookedStore,
    check_folder,
    child,
    code_of,
    context,
    new_file,
    raises,
    save,
)
from vectors import VECTORS

from agentassert.file_store import FileStore

if TYPE_CHECKING:
    from agentassert import AgentAssert
    from agentassert.file_effect import FileEffect
    from agentassert.messages import Credentials, Problem
    from agentassert.store import StoreContext

OLD = time.time() - 7200


@pytest.fixture
def ctx(core: AgentAssert) -> StoreContext:
    return context(core)


def remove(store: FileStore, ctx: StoreContext) -> None:
    """Removes the identity."""
    store.swap("identity", store.load("identity", ctx), None, ctx)


def problem_of(credentials: Credentials) -> Problem:
    problem = credentials.get("problem")
    assert problem is not None
    return problem


def check_all(
    store: FileStore,
    ctx: StoreContext,
    *,
    read: str,
    write: str,
    probe: str | None = None,
    lock: str | None = None,
) -> None:
    """Checks what each method fails with."""
    with raises(read):
        store.credentials(ctx)
    with raises(read):
        store.load("identity", ctx)
    with raises(write):
        store.swap("identity", None, RECORD, ctx)
    if probe is not None:
        with raises(probe):
            store.probe("identity", ctx)
    if lock is not None:
        with raises(lock):
            store.lock("identity", ctx)()


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("", {}),
        (None, {}),
        (b"auth.json", {}),
        (7, {}),
        ("auth\0.json", {}),
        ("auth\ud800.json", {}),
        ("auth.json", {"lock_timeout": 0}),
        ("auth.json", {"lock_timeout": -1}),
        ("auth.json", {"lock_timeout": float("nan")}),
        ("auth.json", {"lock_timeout": float("inf")}),
        ("auth.json", {"lock_timeout": "soon"}),
        ("auth.json", {"lock_timeout": True}),
        ("auth.json", {"lock": "none"}),
        ("auth.json", {"lock": False}),
        ("auth.json", {"identity": "besides"}),
        ("auth.json", {"identity": ["beside"]}),
    ],
)
def test_options_that_make_no_sense(path: Any, options: dict[str, Any]) -> None:
    with raises("invalid_manager_config"):
        FileStore(path, **options)


def test_arguments_that_make_no_sense(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store: Any = FileStore(path)
    for slot in (None, 7, "", b"identity", "thread/\ud800", ["identity"]):
        for work in (
            partial(store.load, slot, ctx),
            partial(store.save, slot, b"{}", ctx),
            partial(store.lock, slot, ctx),
        ):
            assert code_of(work) == "invalid_request"
    for slot in ("nothing", "thread/", "backoff", "thread"):
        assert code_of(store.lock, slot, ctx) == "invalid_request"
    for slot in ("nothing", "thread/", "thread", "record/backoff", "../x", "identity/x"):
        assert code_of(store.load, slot, ctx) == "invalid_request"
    for record in ("{}", 7, ["{}"], object()):
        assert code_of(store.save, "backoff", record, ctx) == "invalid_request"
        assert code_of(store.swap, "identity", record, b"{}", ctx) == "invalid_request"
    assert path.read_bytes() == DOCUMENT
    check_folder(path, "auth.json")
    for record in (b"{}", bytearray(b"{}"), memoryview(b"{}")):
        store.save("backoff", record, ctx)
        assert store.load("backoff", ctx) == b"{}"


def test_no_file(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path, None)
    store = FileStore(path)
    credentials = store.credentials(ctx)
    assert (credentials["kind"], problem_of(credentials)["code"]) == ("none", "auth_file_missing")
    for slot in ("identity", "backoff", "thread/1"):
        assert store.load(slot, ctx) is None
        if slot != "identity":
            store.delete(slot, ctx)
    check_folder(path)
    save(store, "identity", RECORD, ctx)
    assert path.read_bytes() == b'{"agent_identity":' + RECORD + b"}\n"
    assert store.load("identity", ctx) == RECORD


def test_no_folder(tmp_path: Path, ctx: StoreContext) -> None:
    store = FileStore(tmp_path / "missing" / "auth.json")
    assert store.load("identity", ctx) is None
    for work in (
        partial(save, store, "identity", RECORD, ctx),
        partial(save, store, "thread/1", RECORD, ctx),
        partial(store.lock, "identity", ctx),
        partial(store.lock, "thread/1", ctx),
    ):
        assert code_of(work) == "auth_file_write_failed"


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (b"", "invalid_auth_json"),
        (b" \n", "invalid_auth_json"),
        (DOCUMENT[:60], "invalid_auth_json"),
        (b"secret-garbage", "invalid_auth_json"),
        (bytes(4096), "invalid_auth_json"),
        (b"[]", "invalid_auth_json"),
        (b"\xef\xbb\xbf" + DOCUMENT, "auth_json_byte_order_mark"),
        (b'{"tokens":{},"tokens":{}}', "invalid_auth_json"),
        (DOCUMENT + DOCUMENT, "invalid_auth_json"),
        (b'{"a":' * 100_000, "invalid_auth_json"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "invalid_auth_json"),
        (DOCUMENT + b" " * (512 << 10), "auth_file_unreadable"),
        (("\ufeff" + DOCUMENT.decode()).encode("utf-16-le"), "auth_json_utf16"),
    ],
    ids=str,
)
def test_files_of_no_use(tmp_path: Path, ctx: StoreContext, content: bytes, want: str) -> None:
    path = new_file(tmp_path, content)
    os.utime(path, (OLD, OLD))  # nobody is writing it
    check_all(FileStore(path), ctx, read=want, write=want)
    assert path.read_bytes() == content
    check_folder(path, "auth.json", *LOCKS)


def test_the_largest_file_that_is_read(tmp_path: Path, ctx: StoreContext) -> None:
    store = FileStore(new_file(tmp_path, DOCUMENT.ljust(512 << 10)))
    assert store.load("identity", ctx) is None
    assert store.credentials(ctx).get("access_token") == "secret-token"
    # It is too large to be changed, and that is found out before anything is registered.
    with raises("auth_file_write_failed"):
        store.probe("identity", ctx)


def test_the_deepest_document_that_is_read(tmp_path: Path, ctx: StoreContext) -> None:
    deep = DOCUMENT.replace(b"[ ]", b"[" * 60 + b"]" * 60)
    path = new_file(tmp_path, deep)
    save(FileStore(path), "identity", RECORD, ctx)
    remove(FileStore(path), ctx)
    assert path.read_bytes() == deep


def test_paths_that_lead_to_no_file(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    for wrong, want in ((folder, "auth_file_folder"), (path / "auth.json", "auth_file_unreadable")):
        check_all(FileStore(wrong), ctx, read=want, write=want, probe=want)
    assert path.read_bytes() == DOCUMENT


def test_a_read_only_file(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path, mode=0o444)
    read_only = "store_read_only"
    check_all(FileStore(path, lock="process"), ctx, read="", write=read_only, probe=read_only, lock="")
    check_folder(path, "auth.json")
    check_all(FileStore(path), ctx, read="", write=read_only, probe=read_only)
    assert path.read_bytes() == DOCUMENT


def test_records_that_are_no_json(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store = FileStore(path)
    for invalid in (b"secret-garbage", b'{"a":1', b'{"a":1}{}', b'{"a":1,"a":2}', b"\xff"):
        with raises("invalid_record"):
            store.swap("identity", None, invalid, ctx)
    assert path.read_bytes() == DOCUMENT
    check_folder(path, "auth.json", *LOCKS)


def test_a_save_keeps_all_else(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store = FileStore(path)
    save(store, "identity", RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD
    assert store.load("identity", ctx) == RECORD
    longer = b'{"agent_runtime_id":"agent-2","more":"members"}'
    save(store, "identity", longer, ctx)
    assert path.read_bytes() == WITH_RECORD.replace(RECORD, longer)
    for _ in range(2):
        remove(store, ctx)
        assert path.read_bytes() == DOCUMENT
        assert store.load("identity", ctx) is None
    check_folder(path, "auth.json", *LOCKS)


@pytest.mark.parametrize("identity", ["auth.json", "beside"])
def test_a_swap_replaces_what_it_is_expected_to_and_nothing_else(
    tmp_path: Path, ctx: StoreContext, identity: Any
) -> None:
    path = new_file(tmp_path)
    store = FileStore(path, identity=identity)
    a, b = b'{"agent_runtime_id":"a"}', b'{"agent_runtime_id":"b"}'
    store.swap("identity", None, a, ctx)
    for expected, record in ((None, b), (b, None)):
        with raises("record_changed"):
            store.swap("identity", expected, record, ctx)
    assert store.load("identity", ctx) == a
    store.swap("identity", a, b, ctx)
    assert store.load("identity", ctx) == b
    store.swap("identity", b, b"", ctx)
    assert store.load("identity", ctx) is None
    assert path.read_bytes() == DOCUMENT


def test_an_identity_beside_auth_json_leaves_that_unwritten(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path, mode=0o444)
    store = FileStore(path, identity="beside")
    store.probe("identity", ctx)
    save(store, "identity", RECORD, ctx)
    assert store.load("identity", ctx) == RECORD
    assert store.credentials(ctx).get("access_token") == "secret-token"
    assert path.read_bytes() == DOCUMENT
    assert (tmp_path / "auth.json.identity").read_bytes() == RECORD
    check_folder(path, "auth.json", "auth.json.identity", "auth.json.lock")


def test_bytes_that_are_no_utf8_stay(tmp_path: Path, ctx: StoreContext) -> None:
    content = b'{"note":"\xe4\xff","tokens":{"access_token":"t"}}'
    path = new_file(tmp_path, content)
    os.utime(path, (OLD, OLD))
    with raises("invalid_auth_json"):
        save(FileStore(path), "identity", RECORD, ctx)
    assert path.read_bytes() == content


CAPTURES = sorted((VECTORS / "captures").glob("*auth.json"))


@pytest.mark.parametrize("capture", CAPTURES, ids=[path.name for path in CAPTURES])
def test_the_reference_clients_own_file(tmp_path: Path, ctx: StoreContext, capture: Path) -> None:
    """What the client has written can be taken out and put in again, whether its form was kept or not."""
    captured = capture.read_bytes()
    path = new_file(tmp_path, captured)
    store = FileStore(path)
    credentials: dict[str, Any] = {**store.credentials(ctx)}
    assert ("email" in credentials) <= ("plan_type" in credentials), "an id token that says one says both"
    credentials.pop("email", None)
    credentials.pop("plan_type", None)
    assert credentials == {
        "kind": "chatgpt",
        "access_token": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjQwMDAwMDAwMDB9.c2ln",
        "account_id": "acct-1",
        "user_id": "user-1",
    }
    identity = store.load("identity", ctx)
    assert identity is not None
    for record in (identity, re.sub(rb"\s+", b"", identity)):
        remove(store, ctx)
        assert store.load("identity", ctx) is None
        assert b"agent" not in path.read_bytes()
        save(store, "identity", record, ctx)
        assert path.read_bytes() == captured


def test_there_are_captures() -> None:
    assert len(CAPTURES) > 0


def test_symbolic_links_are_followed(tmp_path: Path, ctx: StoreContext) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    target = new_file(tmp_path / "real")
    inner, link = tmp_path / "links" / "inner", tmp_path / "links" / "auth.json"
    inner.symlink_to(target)
    link.symlink_to("inner")
    store = FileStore(link)
    save(store, "identity", RECORD, ctx)
    assert (os.readlink(link), os.readlink(inner)) == ("inner", str(target))
    assert target.read_bytes() == WITH_RECORD
    assert store.load("identity", ctx) == RECORD
    check_folder(target, "auth.json", *LOCKS)
    check_folder(link, "auth.json", "inner")


def test_links_lead_to_a_file_that_is_not_there_yet(tmp_path: Path, ctx: StoreContext) -> None:
    """As seen from where the link is."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "short").symlink_to("real/deep")
    (tmp_path / "real" / "deep" / "auth.json").symlink_to("../auth.json")
    store = FileStore(tmp_path / "short" / "auth.json")
    assert store.load("identity", ctx) is None
    save(store, "identity", RECORD, ctx)
    assert (tmp_path / "real" / "auth.json").read_bytes() == b'{"agent_identity":' + RECORD + b"}\n"
    assert (tmp_path / "real" / "deep" / "auth.json").is_symlink()
    check_folder(tmp_path / "real" / "auth.json", "auth.json", *LOCKS, "deep")


def test_links_in_a_circle_are_no_file(tmp_path: Path, ctx: StoreContext) -> None:
    link = tmp_path / "auth.json"
    link.symlink_to("auth.json")
    check_all(FileStore(link), ctx, read="auth_file_not_regular", write="auth_file_not_regular")


def test_a_relative_path_is_where_the_process_was(
    tmp_path: Path, ctx: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = FileStore("auth.json")
    monkeypatch.chdir(tmp_path / "elsewhere")
    save(store, "identity", RECORD, ctx)
    assert (tmp_path / "auth.json").read_bytes() == b'{"agent_identity":' + RECORD + b"}\n"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    if sys.platform == "linux":
        with raises("invalid_manager_config"):
            FileStore("auth.json")
    assert FileStore(tmp_path / "auth.json").load("identity", ctx) == RECORD


def test_a_path_that_is_no_utf8(tmp_path: Path, ctx: StoreContext) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("needs a file system with names that are no UTF-8")
    store = FileStore(os.fsdecode(folder) + "/auth.json")
    problem = problem_of(store.credentials(ctx))
    assert "\\udcff" in problem["message"]
    problem["message"].encode()
    save(store, "identity", RECORD, ctx)
    assert store.load("identity", ctx) == RECORD
    Path(os.fsdecode(folder), "auth.json").write_bytes(b"{")
    with raises("invalid_auth_json"):
        store.swap("identity", None, RECORD, ctx)


def test_the_slot_backoff(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store = FileStore(path)
    beside = tmp_path / "auth.json.backoff"
    save(store, "backoff", b'{"failures":1}', ctx)
    assert beside.read_bytes() == b'{"failures":1}'
    assert FileStore(path).load("backoff", ctx) == b'{"failures":1}'
    assert path.read_bytes() == DOCUMENT
    check_folder(path, "auth.json", "auth.json.backoff")
    store.delete("backoff", ctx)
    assert store.load("backoff", ctx) is None
    check_folder(path, "auth.json")
    beside.write_bytes(b"")
    assert store.load("backoff", ctx) is None


def test_threads_slots(tmp_path: Path, ctx: StoreContext) -> None:
    """A thread's id is whatever a harness chose: no two share a file, and none leads out of the folder."""
    path = new_file(tmp_path)
    store = FileStore(path)
    ids = ["thread-1", "Thread-1", "a/b", "a", "../auth.json", "..", ".", "C:\\x", "con", "a:b", "ä ", " ä"]
    ids += ["x" * 4096, "x" * 4095]

    def use(name: str) -> None:
        assert store.load(f"thread/{name}", ctx) is None
        save(store, f"thread/{name}", f'{{"task_id":"of {name}"}}'.encode(), ctx)

    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(use, ids))
    for name in ids:
        assert FileStore(path).load(f"thread/{name}", ctx) == f'{{"task_id":"of {name}"}}'.encode()
    assert path.read_bytes() == DOCUMENT
    check_folder(path, "auth.json", "auth.json.threads")
    month = tmp_path / "auth.json.threads" / time.strftime("%Y-%m", time.gmtime())
    assert len(list(month.iterdir())) == len(ids)
    # As the hosts in Go and JavaScript name it.
    first = month / "4b0a5fefc328e6b9257bc535e3c5d26fec36b52f92e277618bf5b30fc3885e58.json"
    assert first.read_bytes() == b'{"task_id":"of thread-1"}'
    for name in ids:
        for _ in range(2):
            store.delete(f"thread/{name}", ctx)
        assert store.load(f"thread/{name}", ctx) is None


def test_a_folder_of_threads_that_cannot_be_made(tmp_path: Path, ctx: StoreContext) -> None:
    store = FileStore(new_file(tmp_path))
    (tmp_path / "auth.json.threads").write_text("not a folder")
    with raises("auth_file_not_regular"):
        save(store, "thread/1", RECORD, ctx)
    with raises("auth_file_not_regular"):
        store.load("thread/1", ctx)
    assert (tmp_path / "auth.json.threads").read_text() == "not a folder"


def test_a_slot_that_cannot_be_emptied(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    (tmp_path / "auth.json.backoff").mkdir()
    (tmp_path / "auth.json.backoff" / "file").write_text("")
    with raises("auth_file_write_failed"):
        FileStore(path).delete("backoff", ctx)
    with raises("auth_file_folder"):
        FileStore(path).save("backoff", RECORD, ctx)
    with raises("auth_file_folder"):
        FileStore(path).load("backoff", ctx)
    check_folder(path, "auth.json", "auth.json.backoff")


def test_a_save_reads_the_file_again(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store = FileStore(path)
    assert store.load("identity", ctx) is None
    path.write_bytes(DOCUMENT.replace(b"secret-token", b"secret-token-2"))
    save(store, "identity", RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD.replace(b"secret-token", b"secret-token-2")


def test_saves_at_once_do_not_undo_each_other(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)

    def use(i: int) -> None:
        store = FileStore(path)
        assert code_of(store.swap, "identity", None, RECORD, ctx) in ("", "record_changed")
        store.save("backoff", b'{"i":%d}' % i, ctx)
        store.save("thread/1", RECORD, ctx)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(use, range(10)))
    assert path.read_bytes() == WITH_RECORD
    assert re.fullmatch(rb'\{"i":[0-9]\}', (tmp_path / "auth.json.backoff").read_bytes())
    check_folder(path, "auth.json", "auth.json.backoff", *LOCKS, "auth.json.threads")


def count(path: Path, ctx: StoreContext, identity: Any, by: int, times: int = 1) -> None:
    """Adds one to the number in the identity: what somebody has stored meanwhile is not lost."""
    store = FileStore(path, identity=identity)
    done = 0
    while done < times:
        before = store.load("identity", ctx)
        assert before is not None
        match = re.search(rb'"i":([0-9]+)', before)
        assert match is not None
        after = b'{"i":%d,"by":%d}' % (int(match[1]) + 1, by)
        got = code_of(store.swap, "identity", before, after, ctx)
        assert got in ("", "record_changed")
        done += got == ""


def count_five(path: Path, ctx: StoreContext, identity: Any, by: int, _: object) -> None:
    count(path, ctx, identity, by, 5)


@pytest.mark.parametrize("identity", ["auth.json", "beside"])
def test_swaps_at_once_come_one_after_another(tmp_path: Path, ctx: StoreContext, identity: Any) -> None:
    """Each of them replaces what the one before has stored, or fails: of threads, and of processes."""
    path = new_file(tmp_path)
    store = FileStore(path, identity=identity)
    save(store, "identity", b'{"i":0}', ctx)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(count, path, ctx, identity), range(8)))
    loaded = store.load("identity", ctx)
    assert loaded is not None
    assert loaded.startswith(b'{"i":8,')


@pytest.mark.parametrize("identity", ["auth.json", "beside"])
def test_swaps_of_many_processes_come_one_after_another(
    tmp_path: Path, ctx: StoreContext, identity: Any
) -> None:
    path = new_file(tmp_path)
    store = FileStore(path, identity=identity)
    save(store, "identity", b'{"i":0}', ctx)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(child(partial(count_five, path, ctx, identity, by))) for by in range(6)]
        assert [other.end() for other in others] == [0] * 6
    loaded = store.load("identity", ctx)
    assert loaded is not None
    assert loaded.startswith(b'{"i":30,')
    if identity == "auth.json":
        assert path.read_bytes() == WITH_RECORD.replace(RECORD, loaded)


def test_who_reads_meanwhile_gets_the_old_file_or_the_new_one(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)

    def write(other: Any) -> None:
        store = FileStore(path)
        other.say("ready")
        for _ in range(200):
            store.swap("identity", None, RECORD, ctx)
            store.swap("identity", RECORD, None, ctx)

    with child(write) as writer:
        assert writer.line() == "ready"
        seen = set[bytes]()
        end = time.monotonic() + LONG
        while len(seen) < 2 and time.monotonic() < end:
            seen.add(path.read_bytes())
        assert seen == {DOCUMENT, WITH_RECORD}
        assert writer.end() == 0
    assert path.read_bytes() == DOCUMENT


def being_written(path: Path, *pieces: bytes) -> HookedStore:
    """Returns a store of a file that somebody goes on writing in its place, each time before it is read."""
    rest = list(pieces)

    def write(effect: FileEffect, _: str | None) -> None:
        if (effect.type, effect.name) == ("read", "target") and rest:
            path.write_bytes(rest.pop(0))

    return HookedStore(path, write)


PIECES = (b"", WITH_RECORD[:30], WITH_RECORD[:60], WITH_RECORD[:90], WITH_RECORD)


def test_a_file_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    assert being_written(path, *PIECES).credentials(ctx).get("access_token") == "secret-token"
    assert being_written(path, *PIECES).load("identity", ctx) == RECORD


def test_a_file_that_is_being_written_is_kept_by_a_save_too(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    being_written(path, DOCUMENT[:20], DOCUMENT).swap("identity", None, RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD


def test_a_file_that_is_being_written_is_not_waited_for_for_ever_nor_for_nobody(
    tmp_path: Path, ctx: StoreContext
) -> None:
    path = new_file(tmp_path, DOCUMENT[:20])
    with raises("invalid_auth_json"):
        FileStore(path).credentials(ctx)
    path.write_bytes(DOCUMENT[:20])
    gone = context(ctx.core)
    gone.canceled.set()
    assert code_of(FileStore(path).load, "identity", gone) != ""
    assert path.read_bytes() == DOCUMENT[:20]


def test_leftovers(tmp_path: Path, ctx: StoreContext) -> None:
    """What killed processes left is removed once it is old, and nothing else is."""
    path = new_file(tmp_path)

    def leave(name: str, when: float = OLD) -> None:
        (tmp_path / name).write_bytes(RECORD)
        os.utime(tmp_path / name, (when, when))

    rest = [".tmp-auth.json", ".tmp-auth.jsonx2", ".tmp-other4", "auth.json5"]
    for name in (*rest, ".tmp-auth.json1", ".tmp-auth.json4294967295", ".tmp-auth.json.backoff3"):
        leave(name)
    leave(".tmp-auth.json6", time.time())  # may be in use
    (tmp_path / ".tmp-auth.json7").mkdir()
    os.utime(tmp_path / ".tmp-auth.json7", (OLD, OLD))
    save(FileStore(path), "identity", RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD
    check_folder(path, *rest, ".tmp-auth.json6", ".tmp-auth.json7", "auth.json", *LOCKS)


@pytest.mark.parametrize(
    ("path", "config", "want"),
    [
        ("auth.json", None, "auth_file_missing"),
        ("~/.codex/auth.json", None, "auth_file_tilde"),
        ("~user/auth.json", None, "auth_file_tilde"),
        ("~", None, "auth_file_tilde"),
        ("auth.json", 'a = 1\ncli_auth_credentials_store = "keyring"\n', "auth_file_keyring"),
        ("auth.json", "cli_auth_credentials_store='auto'", "auth_file_keyring"),
        ("auth.json", '# cli_auth_credentials_store = "keyring"\n', "auth_file_missing"),
        ("auth.json", 'cli_auth_credentials_store = "file"\n', "auth_file_missing"),
    ],
)
def test_no_auth_json_says_why(
    tmp_path: Path,
    ctx: StoreContext,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    config: str | None,
    want: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if config is not None:
        (tmp_path / "real").write_text(config)
        (tmp_path / "config.toml").symlink_to("real")
    credentials = FileStore(path).credentials(ctx)
    assert (credentials["kind"], problem_of(credentials)["code"]) == ("none", want)


def test_a_pipe_as_the_clients_configuration_is_not_waited_for(tmp_path: Path, ctx: StoreContext) -> None:
    os.mkfifo(tmp_path / "config.toml")
    credentials = FileStore(new_file(tmp_path, None)).credentials(ctx)
    assert problem_of(credentials)["code"] == "auth_file_missing"


def test_a_store_shows_nothing_of_the_file(tmp_path: Path, ctx: StoreContext) -> None:
    store = FileStore(new_file(tmp_path, WITH_RECORD))
    store.load("identity", ctx)
    assert "secret-" not in repr(store) + repr(vars(store))


def test_no_file_stays_open(tmp_path: Path, ctx: StoreContext) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    store = FileStore(new_file(tmp_path))

    def use() -> None:
        for slot in ("identity", "thread/1"):
            unlock = store.lock(slot, ctx)
            store.probe(slot, ctx)
            save(store, slot, RECORD, ctx)
            store.load(slot, ctx)
            unlock()
        store.delete("thread/1", ctx)
        remove(store, ctx)
        store.credentials(ctx)
        gone = context(ctx.core)
        gone.canceled.set()
        for work in (
            partial(store.lock, "identity", gone),
            partial(store.swap, "identity", None, b"{", ctx),
            partial(store.swap, "identity", b"{}", b"{}", ctx),
            partial(FileStore(tmp_path / "auth.json.threads").load, "identity", ctx),
        ):
            assert code_of(work) != ""

    use()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        use()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == 1


def test_on_windows_the_store_says_that_it_is_for_other_systems() -> None:
    """And importing it does nothing that Windows has not."""
    script = (
        "import sys, os\n"
        "sys.platform = 'win32'\n"
        "for name in ('fchown', 'fchmod', 'getxattr', 'register_at_fork',\n"
        "             'O_NOFOLLOW', 'O_NONBLOCK', 'O_CLOEXEC', 'O_DIRECTORY'):\n"
        "    delattr(os, name) if hasattr(os, name) else None\n"
        "sys.modules['fcntl'] = None\n"
        "from agentassert import AgentAssertError, FileStore\n"
        "try:\n"
        "    FileStore('auth.json')\n"
        "except AgentAssertError as error:\n"
        "    print(error.code)\n"
    )
    source = str(Path(__file__).parent.parent / "src")
    ran = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "invalid_manager_config\n"
