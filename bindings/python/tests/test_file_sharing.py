"""The file is somebody else's: of every owner, and with every client beside us, it is no worse off.

The hosts in Go and JavaScript have the same tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from files import (
    ALICE,
    BOB,
    CAROL,
    DOCUMENT,
    LOCKS,
    LONG,
    RECORD,
    TEAM,
    WITH_RECORD,
    HookedStore,
    check_folder,
    check_owner,
    child,
    code_of,
    context,
    locked_by_flock,
    needs_root,
    new_file,
    raises,
    run_as,
    save,
    shared_folder,
    write_as,
)

from agentassert import AgentAssertError
from agentassert.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentassert import AgentAssert
    from agentassert.file_effect import FileEffect
    from agentassert.store import StoreContext


@pytest.fixture
def ctx(core: AgentAssert) -> StoreContext:
    return context(core)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def name_of(effect: FileEffect) -> str:
    return f"{effect.type} {effect.name}".strip()


def lock(path: Path, ctx: StoreContext, slot: str = "identity") -> str:
    """Takes a lock and gives it back, and returns the code of the error that it ends with."""

    def work() -> None:
        unlock = FileStore(path).lock(slot, ctx)
        unlock()

    return code_of(work)


def codes(path: Path, ctx: StoreContext) -> dict[str, str]:
    """Returns the codes of the errors of all methods."""
    store = FileStore(path)
    return {
        "credentials": code_of(store.credentials, ctx),
        "load": code_of(store.load, "identity", ctx),
        "probe": code_of(store.probe, "identity", ctx),
        "swap": code_of(save, store, "identity", b'{"agent_runtime_id":"agent-2"}', ctx),
        "save backoff": code_of(store.save, "backoff", RECORD, ctx),
        "lock": lock(path, ctx),
        "lock thread": lock(path, ctx, "thread/thread-1"),
    }


# Where the file cannot be replaced.


def mount(*args: object) -> None:
    if subprocess.run(["mount", *map(str, args)], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a file system")


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[list[Path]]:
    """Takes what is mounted, and unmounts it after the test."""
    mounted: list[Path] = []
    yield mounted
    for path in reversed(mounted):
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_file_that_is_mounted_by_itself_is_written_over(
    tmp_path: Path, ctx: StoreContext, unmounted: list[Path]
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside").mkdir()
    outside, inside = new_file(tmp_path / "outside"), new_file(tmp_path / "inside", b"")
    inode = outside.stat().st_ino
    mount("--bind", outside, inside)
    unmounted.append(inside)
    store = FileStore(inside)
    store.probe("identity", ctx)
    assert outside.read_bytes() == DOCUMENT
    save(store, "identity", RECORD, ctx)
    assert outside.read_bytes() == WITH_RECORD
    # What is shorter leaves nothing behind it.
    store.swap("identity", RECORD, None, ctx)
    assert outside.read_bytes() == DOCUMENT
    assert outside.stat().st_ino == inode
    check_folder(outside, "auth.json")
    check_folder(inside, "auth.json", *LOCKS)


def test_a_mount_that_is_read_only_is_read(tmp_path: Path, ctx: StoreContext, unmounted: list[Path]) -> None:
    path = new_file(tmp_path, WITH_RECORD)
    mount("--bind", tmp_path, tmp_path)
    unmounted.append(tmp_path)
    mount("-o", "remount,bind,ro", tmp_path)
    read_only = "store_read_only"
    assert codes(path, ctx) == {
        "credentials": "",
        "load": "",
        "probe": read_only,
        "swap": read_only,
        "save backoff": read_only,
        "lock": read_only,
        "lock thread": read_only,
    }
    assert path.read_bytes() == WITH_RECORD
    check_folder(path, "auth.json")


def test_a_file_that_is_mounted_read_only_is_read(
    tmp_path: Path, ctx: StoreContext, unmounted: list[Path]
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside").mkdir()
    outside, inside = new_file(tmp_path / "outside"), new_file(tmp_path / "inside", b"")
    mount("--bind", outside, inside)
    unmounted.append(inside)
    mount("-o", "remount,bind,ro", inside)
    assert codes(inside, ctx) == {
        "credentials": "",
        "load": "",
        "probe": "store_read_only",
        "swap": "store_read_only",
        "save backoff": "",  # what is beside it can be written
        "lock": "",
        "lock thread": "",
    }
    assert outside.read_bytes() == DOCUMENT


def test_a_file_with_more_names_keeps_them(tmp_path: Path, ctx: StoreContext) -> None:
    path, other = new_file(tmp_path), tmp_path / "other"
    os.link(path, other)
    store = FileStore(path)
    store.probe("identity", ctx)
    assert path.read_bytes() == DOCUMENT
    store.swap("identity", None, RECORD, ctx)
    assert other.read_bytes() == WITH_RECORD
    assert path.stat().st_ino == other.stat().st_ino
    store.swap("identity", RECORD, None, ctx)
    assert other.read_bytes() == DOCUMENT
    check_folder(path, "auth.json", *LOCKS, "other")


# A disk without room.


def test_a_limit_on_the_size_of_files(tmp_path: Path, ctx: StoreContext) -> None:
    """It ends a write half-way, and needs no rights."""
    import resource

    large = DOCUMENT.ljust(8192)
    path = new_file(tmp_path, large)

    def limited(_: object) -> object:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        return codes(path, ctx)

    with child(limited) as other:
        assert other.line() == {
            "credentials": "",
            "load": "",
            "probe": "auth_file_write_failed",
            "swap": "auth_file_write_failed",
            "save backoff": "",
            "lock": "",
            "lock thread": "",
        }
    assert path.read_bytes() == large
    check_folder(
        path, "auth.json", "auth.json.backoff", "auth.json.locks", *LOCKS, "auth.json.registration.lock"
    )


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_disk_that_is_full(
    tmp_path: Path, ctx: StoreContext, unmounted: list[Path], is_linked: bool
) -> None:
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path)
    unmounted.append(tmp_path)
    path, filler = new_file(tmp_path), tmp_path / "filler"
    if is_linked:
        os.link(path, tmp_path / "other")
    store = FileStore(path)
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * (64 << 10))
    for work in (
        partial(save, store, "identity", RECORD, ctx),
        partial(save, store, "backoff", RECORD, ctx),
        partial(store.probe, "identity", ctx),
        partial(store.probe, "thread/1", ctx),
    ):
        with pytest.raises(AgentAssertError) as caught:
            work()
        assert caught.value.code == "auth_file_write_failed"
        assert isinstance(caught.value.__cause__, OSError)
        assert "No space" in str(caught.value.__cause__)
    assert path.read_bytes() == DOCUMENT
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".tmp-")]
    filler.unlink()
    store.probe("identity", ctx)
    save(store, "identity", RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD


def test_a_disk_with_room_for_the_file_and_none_for_an_identity(
    tmp_path: Path, ctx: StoreContext, unmounted: list[Path]
) -> None:
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path)
    unmounted.append(tmp_path)
    path = new_file(tmp_path)
    # Of 16 pages one is the file's; two are left, and an identity's room is four.
    (tmp_path / "filler").write_bytes(b"x" * (13 * 4096))
    with raises("auth_file_write_failed"):
        FileStore(path).probe("identity", ctx)
    assert path.read_bytes() == DOCUMENT


# Owner, group and mode.


def test_modes_of_what_is_written(tmp_path: Path, ctx: StoreContext, no_umask: None) -> None:
    path = new_file(tmp_path, mode=0o644)
    store = FileStore(path)
    for slot in ("identity", "backoff", "thread/1"):
        save(store, slot, RECORD, ctx)
    store.lock("identity", ctx)()
    unlock = store.lock("thread/1", ctx)
    (month,) = (tmp_path / "auth.json.threads").iterdir()
    (thread,) = month.iterdir()
    (lock_file,) = (tmp_path / "auth.json.locks").iterdir()
    for file in (
        path,
        tmp_path / "auth.json.backoff",
        tmp_path / "auth.json.registration.lock",
        thread,
        lock_file,
    ):
        assert oct(stat.S_IMODE(file.stat().st_mode)) == oct(0o644), file
    for folder in (tmp_path / "auth.json.threads", month, tmp_path / "auth.json.locks"):
        assert oct(stat.S_IMODE(folder.stat().st_mode)) == oct(0o755), folder
    unlock()
    assert list((tmp_path / "auth.json.locks").iterdir()) == []
    assert (tmp_path / "auth.json.registration.lock").read_bytes() == b""


USED = ("identity", "backoff", "thread/thread-1")


def use_once(path: Path, ctx: StoreContext) -> str:
    """Uses a file as a run does that registers, and returns the code of the error that it ends with."""
    store = FileStore(path)

    def work() -> None:
        unlock, unlock_thread = store.lock("identity", ctx), store.lock("thread/thread-1", ctx)
        try:
            store.probe("identity", ctx)
            store.swap("identity", None, RECORD, ctx)
            store.save("backoff", RECORD, ctx)
            store.save("thread/thread-1", RECORD, ctx)
        finally:
            unlock_thread()
            unlock()

    return code_of(work)


def use(path: Path, ctx: StoreContext) -> str:
    """Does so, and removes the identity."""
    return use_once(path, ctx) or code_of(FileStore(path).swap, "identity", RECORD, None, ctx)


def swap(path: Path, ctx: StoreContext) -> str:
    store = FileStore(path)

    def work() -> None:
        unlock = store.lock("identity", ctx)
        try:
            store.probe("identity", ctx)
            store.swap("identity", None, RECORD, ctx)
        finally:
            unlock()

    return code_of(work)


def save_thread(path: Path, ctx: StoreContext) -> str:
    return code_of(FileStore(path).save, "thread/thread-1", RECORD, ctx)


def lock_thread(path: Path, ctx: StoreContext) -> str:
    return lock(path, ctx, "thread/thread-1")


def read_credentials(path: Path, ctx: StoreContext) -> str:
    return code_of(FileStore(path).credentials, ctx)


def load(path: Path, ctx: StoreContext) -> str:
    """Reads all that was used."""

    def work() -> None:
        for slot in USED:
            assert FileStore(path).load(slot, ctx) == RECORD

    return code_of(work)


def user(work: Callable[[Path, StoreContext], str], path: Path, ctx: StoreContext, uid: int, gid: int) -> Any:
    return run_as(uid, gid, partial(work, path, ctx))


def check_owners(folder: Path, uid: int, gid: int, mode: int) -> None:
    """Checks whose a file is, and all that is beside it."""
    seen = 0
    for path in folder.rglob("*"):
        check_owner(path, uid, gid, mode | (mode & 0o444) >> 2 if path.is_dir() else mode)
        seen += 1
    assert seen > 7


@needs_root
@pytest.mark.usefixtures("no_umask")
class TestOwners:
    def test_a_run_as_root_takes_nothing_from_the_files_owner(self, ctx: StoreContext) -> None:
        with shared_folder(ALICE, TEAM, 0o700) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, ALICE, TEAM, 0o600)
            assert use_once(path, ctx) == ""
            check_owners(folder, ALICE, TEAM, 0o600)
            assert user(load, path, ctx, ALICE, TEAM) == ""
            FileStore(path).swap("identity", RECORD, None, ctx)
            assert user(use, path, ctx, ALICE, TEAM) == ""
            check_owners(folder, ALICE, TEAM, 0o600)

    def test_a_file_that_root_makes_is_the_folders_owners(self, ctx: StoreContext) -> None:
        with shared_folder(ALICE, TEAM, 0o700) as folder:
            assert use_once(folder / "auth.json", ctx) == ""
            check_owners(folder, ALICE, TEAM, 0o600)
            assert user(load, folder / "auth.json", ctx, ALICE, TEAM) == ""

    def test_a_file_that_a_group_shares_is_one_for_all_of_it(self, ctx: StoreContext) -> None:
        with shared_folder(ALICE, TEAM, 0o2770) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, ALICE, TEAM, 0o660)
            for uid in (BOB, ALICE, BOB):
                assert user(use, path, ctx, uid, TEAM) == ""
                check_owner(path, ALICE, TEAM, 0o660)
                assert path.read_bytes() == DOCUMENT
            assert user(use_once, path, ctx, BOB, TEAM) == ""
            assert user(load, path, ctx, ALICE, TEAM) == ""

    def test_the_owner_of_a_file_that_is_in_a_group_of_others(self, ctx: StoreContext) -> None:
        with shared_folder(BOB, TEAM, 0o700) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, BOB, 0, 0o600)
            assert user(swap, path, ctx, BOB, TEAM) == ""
            assert path.read_bytes() == WITH_RECORD
            check_owner(path, BOB, 0, 0o600)
            for name in ("auth.json.lock", "auth.json.registration.lock"):
                check_owner(folder / name, BOB, TEAM, 0o600)

    def test_who_may_write_the_file_and_not_its_folder(self, ctx: StoreContext) -> None:
        """It is written over, and its own lock. Nothing can be kept beside it."""
        with shared_folder(0, 0, 0o755) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, BOB, TEAM, 0o600)
            assert user(swap, path, ctx, BOB, TEAM) == ""
            assert path.read_bytes() == WITH_RECORD
            check_owner(path, BOB, TEAM, 0o600)
            check_folder(path, "auth.json")
            assert user(save_thread, path, ctx, BOB, TEAM) == "store_read_only"
            assert user(lock_thread, path, ctx, BOB, TEAM) == "store_read_only"
            check_folder(path, "auth.json")

    @pytest.mark.parametrize(
        ("work", "mode", "want"),
        [
            (read_credentials, 0o600, "auth_file_unreadable"),
            (swap, 0o600, "store_read_only"),
            (read_credentials, 0o644, ""),
            (swap, 0o644, "store_read_only"),
            (save_thread, 0o644, "store_read_only"),
        ],
    )
    def test_rights_that_are_missing(
        self, ctx: StoreContext, work: Callable[[Path, StoreContext], str], mode: int, want: str
    ) -> None:
        with shared_folder(ALICE, TEAM, 0o755) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, ALICE, TEAM, mode)
            assert user(work, path, ctx, BOB, BOB) == want
            assert path.read_bytes() == DOCUMENT
            check_folder(path, "auth.json")

    def test_nothing_is_in_the_owners_way(self, ctx: StoreContext) -> None:
        """Bob may write the folder, and the file only because everybody may, or nobody but its owner."""
        with shared_folder(ALICE, ALICE, 0o777) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, ALICE, ALICE, 0o644)
            assert user(swap, path, ctx, BOB, BOB) == "store_read_only"
            assert user(save_thread, path, ctx, BOB, BOB) == "store_read_only"
            check_folder(path, "auth.json")
            path.chmod(0o666)
            assert user(use_once, path, ctx, BOB, BOB) == ""
            check_owner(path, ALICE, ALICE, 0o666)
            assert user(load, path, ctx, ALICE, ALICE) == ""

    def test_a_lock_file_that_cannot_be_opened_may_be_held(self, ctx: StoreContext) -> None:
        with shared_folder(BOB, TEAM, 0o700) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, BOB, TEAM, 0o600)
            write_as(folder / "auth.json.lock", b"", ALICE, ALICE, 0o000)
            assert user(swap, path, ctx, BOB, TEAM) == "auth_file_locked"
            assert path.read_bytes() == DOCUMENT

    def test_a_lock_file_that_can_only_be_read_is_locked(self, ctx: StoreContext) -> None:
        with shared_folder(BOB, TEAM, 0o700) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, BOB, TEAM, 0o600)
            for name in ("auth.lock", "auth.json.lock", "auth.json.registration.lock"):
                write_as(folder / name, b"", ALICE, ALICE, 0o444)
            assert user(swap, path, ctx, BOB, TEAM) == ""
            assert path.read_bytes() == WITH_RECORD


# Extended attributes, of which access control lists are one on Linux.

if sys.platform == "linux":
    ACCESS_LIST = "system.posix_acl_access"

    def list_of(uid: int, owner: int, named: int, group: int, mask: int, others: int) -> bytes:
        """Returns an access control list in the kernel's form."""
        nobody = 0xFFFFFFFF
        content = (2).to_bytes(4, "little")
        for tag, rights, who in (
            (0x01, owner, nobody),
            (0x02, named, uid),
            (0x04, group, nobody),
            (0x10, mask, nobody),
            (0x20, others, nobody),
        ):
            content += tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little")
        return content

    def give(path: Path, name: str, value: bytes) -> None:
        try:
            os.setxattr(path, name, value)
        except OSError:
            pytest.skip(f"needs a file system with {name}")

    def test_extended_attributes_stay(tmp_path: Path, ctx: StoreContext) -> None:
        path = new_file(tmp_path)
        give(path, "user.note", b"a note")
        inode = path.stat().st_ino
        save(FileStore(path), "identity", RECORD, ctx)
        assert path.stat().st_ino != inode, "the file was replaced"
        assert path.read_bytes() == WITH_RECORD
        assert os.getxattr(path, "user.note") == b"a note"

    def test_a_list_that_the_folder_gives_is_taken_away(tmp_path: Path, ctx: StoreContext) -> None:
        path = new_file(tmp_path)
        give(tmp_path, "system.posix_acl_default", list_of(BOB, 7, 7, 7, 7, 7))
        save(FileStore(path), "identity", RECORD, ctx)
        assert path.read_bytes() == WITH_RECORD
        assert ACCESS_LIST not in os.listxattr(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @needs_root
    def test_an_access_control_list_stays_and_lets_in_whom_it_lets_in(
        ctx: StoreContext, no_umask: None
    ) -> None:
        """And nobody else: the mode's group bits are then not the group's."""
        with shared_folder(ALICE, TEAM, 0o777) as folder:
            path = folder / "auth.json"
            write_as(path, DOCUMENT, ALICE, TEAM, 0o600)
            rights = list_of(BOB, 6, 6, 0, 6, 0)
            give(path, ACCESS_LIST, rights)
            unlock = FileStore(path).lock("thread/thread-1", ctx)
            assert lock(path, ctx) == ""
            FileStore(path).swap("identity", None, RECORD, ctx)
            for slot in ("backoff", "thread/thread-1"):
                FileStore(path).save(slot, RECORD, ctx)
            files = [file for file in folder.rglob("*") if file.is_file()]
            assert len(files) == 7
            for file in files:
                assert os.getxattr(file, ACCESS_LIST) == rights, file
                check_owner(file, ALICE, TEAM, 0o660)
            for file in (file for file in folder.rglob("*") if file.is_dir()):
                assert os.getxattr(file, ACCESS_LIST) == list_of(BOB, 7, 7, 0, 7, 0), file
                check_owner(file, ALICE, TEAM, 0o770)
            unlock()
            assert user(load, path, ctx, ALICE, ALICE) == ""
            assert user(load, path, ctx, BOB, BOB) == ""
            assert user(load, path, ctx, CAROL, TEAM) != "", "somebody else of the group can read it"
            # Bob could not give a new file to Alice, or make a lock that she can open.
            FileStore(path).swap("identity", RECORD, None, ctx)
            assert user(swap, path, ctx, BOB, BOB) == ""
            assert path.read_bytes() == WITH_RECORD
            assert os.getxattr(path, ACCESS_LIST) == rights
            check_owner(path, ALICE, TEAM, 0o660)


# Clients up to 0.168 write the file in place, and take no lock. Their refresh tokens are for one use: who
# loses one is signed out.

REFRESHED = DOCUMENT.replace(b"secret-token", b"secret-token-that-is-new")
WITH_BOTH = WITH_RECORD.replace(b"secret-token", b"secret-token-that-is-new")
LATE = ("list leftovers", "unlock target-lock", "unlock client-lock")


class Client:
    """Refreshes its tokens before one effect of a store's: over what it has open, or opens then."""

    def __init__(self, path: Path, at: int, is_open_before: bool, is_linked: bool) -> None:
        self._path, self._at = path, at
        self._file = os.open(path, os.O_RDWR) if is_open_before else None
        self._is_lost_later = is_open_before and not is_linked
        self.effects = 0
        #: Before which effect it has written, if it has.
        self.name = ""
        #: What it writes after our last look has no identity; and who has the old file open and writes to
        #: it later writes to nobody's file.
        self.is_late = self.is_lost = False
        self._has_looked_back = False

    def before(self, effect: FileEffect, _: str | None) -> None:
        self.effects += 1
        name = name_of(effect)
        if self.effects == self._at and name != "write target":  # nobody can compare and write at once
            self.name = name
            self.is_late = name in LATE or self._has_looked_back
            self.is_lost = self.is_late and self._is_lost_later
            file = os.open(self._path, os.O_RDWR) if self._file is None else self._file
            os.ftruncate(file, 0)
            os.pwrite(file, REFRESHED, 0)
            os.close(file)
            self._file = None
        self._has_looked_back |= self._is_lost_later and name == "read previous" and not self.name

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


@pytest.mark.parametrize("is_linked", [False, True], ids=["replaced", "written-over"])
@pytest.mark.parametrize("is_open_before", [False, True], ids=["opens-then", "open-before"])
def test_a_client_that_refreshes_its_tokens_meanwhile_keeps_them(
    tmp_path: Path, ctx: StoreContext, is_linked: bool, is_open_before: bool
) -> None:
    for at in range(1, 1000):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = new_file(folder)
        if is_linked:
            os.link(path, folder / "other")
        client = Client(path, at, is_open_before, is_linked)
        HookedStore(path, client.before).swap("identity", None, RECORD, ctx)
        client.close()
        if client.name and not client.is_lost:
            want = REFRESHED if client.is_late else WITH_BOTH
            assert path.read_bytes() == want, f"before {client.name}"
        if client.effects < at:
            assert at > 10
            return
    pytest.fail("it does not end")


# A process that is killed.

OTHER = b'{"agent_runtime_id":"agent-1"}'
WITH_OTHER = WITH_RECORD.replace(RECORD, OTHER)


def swap_other(path: Path, ctx: StoreContext, before: Callable[[FileEffect, str | None], None]) -> None:
    store = HookedStore(path, before)
    store.swap("identity", None, OTHER, ctx)


def swap_killed(
    path: Path, ctx: StoreContext, before: Callable[[FileEffect, str | None], None], _: object
) -> None:
    swap_other(path, ctx, before)


def check_whole(path: Path, ctx: StoreContext, where: str) -> None:
    """Checks that the next reader finds the old identity or the new one, and all else."""
    store = FileStore(path)
    identity = store.load("identity", ctx)
    assert identity in (None, OTHER), where
    assert path.read_bytes() == (DOCUMENT if identity is None else WITH_OTHER), where
    # And the next writer goes on from there.
    store.swap("identity", identity, RECORD, ctx)
    assert path.read_bytes() == WITH_RECORD
    assert not (path.parent / "auth.json.journal").exists(), where


@pytest.mark.parametrize("is_linked", [False, True], ids=["replaces", "writes-over"])
def test_a_process_that_is_killed_before_each_effect(
    tmp_path: Path, ctx: StoreContext, is_linked: bool
) -> None:
    def new_target(name: str) -> Path:
        (tmp_path / name).mkdir()
        path = new_file(tmp_path / name)
        if is_linked:
            os.link(path, tmp_path / name / "other")
        return path

    seen: list[str] = []
    swap_other(new_target("whole"), ctx, lambda effect, _: seen.append(name_of(effect)))
    assert len(seen) > 10
    assert ("install target" in seen, "write target" in seen) == (not is_linked, is_linked)
    for at, name in enumerate(seen):
        path = new_target(str(at))
        left = [at]

        def kill(_: FileEffect, __: str | None, left: list[int] = left) -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        with child(partial(swap_killed, path, ctx, kill)) as process:
            assert process.end() == -signal.SIGKILL
        check_whole(path, ctx, f"before {name}, the {at}th effect")


@pytest.mark.parametrize("torn", [1, len(DOCUMENT) - 3, len(DOCUMENT), len(WITH_OTHER) - 1])
def test_a_process_that_is_killed_in_the_middle_of_a_write(
    tmp_path: Path, ctx: StoreContext, torn: int
) -> None:
    path = new_file(tmp_path)
    os.link(path, tmp_path / "other")

    def kill(effect: FileEffect, where: str | None) -> None:
        if name_of(effect) == "write target" and where is not None:
            with Path(where).open("r+b") as file:
                file.write(effect.content[:torn])
            os.kill(os.getpid(), signal.SIGKILL)

    with child(partial(swap_killed, path, ctx, kill)) as process:
        assert process.end() == -signal.SIGKILL
    check_whole(path, ctx, f"after {torn} bytes")


def test_a_process_that_is_killed_while_it_saves(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)

    def write(other: Any) -> None:
        other.say("ready")
        while True:
            FileStore(path).swap("identity", None, OTHER, ctx)
            FileStore(path).swap("identity", OTHER, None, ctx)

    for i in range(10):
        with child(write) as writer:
            assert writer.line() == "ready"
            end = time.monotonic() + LONG
            before = path.stat().st_ino
            while path.stat().st_ino == before and time.monotonic() < end:
                pass
            writer.kill()
        check_whole(path, ctx, f"at {i}")
        FileStore(path).swap("identity", RECORD, None, ctx)
    for file in tmp_path.glob(".tmp-auth.json*"):
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    save(FileStore(path), "identity", RECORD, ctx)
    check_folder(path, "auth.json", *LOCKS)


# What is not a file.


def make_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path, _: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except OSError:
        pytest.skip("needs the right to make a device")


def make_socket(path: Path, _: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFSOCK)
    except OSError:
        pytest.skip("needs the right to make a socket")


def make_folder(path: Path, _: Path) -> None:
    (path / "full").mkdir(parents=True)


def make_file(path: Path, _: Path) -> None:
    path.write_text("something")


ODD: dict[str, Callable[[Path, Path], None]] = {
    "pipe": make_pipe,
    "device": make_device,
    "socket": make_socket,
    "folder": make_folder,
    "file": make_file,
    "link-to-a-file": lambda path, outside: path.symlink_to(outside / "file"),
    "link-to-a-folder": lambda path, outside: path.symlink_to(outside),
    "link-to-nothing": lambda path, outside: path.symlink_to(outside / "nothing"),
}
NAME = "4b0a5fefc328e6b9257bc535e3c5d26fec36b52f92e277618bf5b30fc3885e58"  # of the thread thread-1
THIS_MONTH = time.strftime("%Y-%m", time.gmtime())
PLACES = [
    *(
        "auth.lock",
        "auth.json.lock",
        "auth.json.registration.lock",
        "auth.json.journal",
        "auth.json.identity",
    ),
    *("auth.json.backoff", "auth.json.backend", "auth.json.set-aside"),
    *("auth.json.locks", f"auth.json.locks/{NAME}.lock"),
    *("auth.json.threads", f"auth.json.threads/{THIS_MONTH}", "auth.json.threads/2020-01"),
    *(f"auth.json.threads/{THIS_MONTH}/{NAME}.json", f"auth.json.threads/2020-01/{NAME}.json"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD)
def test_whatever_is_in_the_place_of_a_file(tmp_path: Path, ctx: StoreContext, place: str, odd: str) -> None:
    """Nothing waits for it, and what it leads to stays as it is, whatever becomes of the operation."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    for name in ("file", f"{NAME}.json"):
        (outside / name).write_bytes(b"outside")
        (outside / name).chmod(0o600)
    path = new_file(home)
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    ODD[odd](home / place, outside)
    unlocks: list[Callable[[], None]] = []
    kinds: tuple[Literal["auth.json", "beside"], ...] = ("auth.json", "beside")
    for identity in kinds:
        store = FileStore(path, identity=identity, lock_timeout=0.05)
        for slot in ("identity", "thread/thread-1"):
            with contextlib.suppress(AgentAssertError):
                unlocks.append(store.lock(slot, ctx))
        code_of(store.credentials, ctx)
        code_of(store.probe, "identity", ctx)
        code_of(store.swap, "identity", None, RECORD, ctx)
        code_of(store.load, "identity", ctx)
        code_of(store.swap, "identity", RECORD, None, ctx)
        for slot in ("backoff", "backend", "set-aside", "thread/thread-1", "thread/thread-2"):
            for work in (
                partial(store.load, slot, ctx),
                partial(store.probe, slot, ctx),
                partial(store.save, slot, RECORD, ctx),
                partial(store.load, slot, ctx),
                partial(store.delete, slot, ctx),
            ):
                code_of(work)
        while unlocks:
            unlocks.pop()()
    assert sorted(os.listdir(outside)) == sorted(["file", f"{NAME}.json"])
    for name in ("file", f"{NAME}.json"):
        assert (outside / name).read_bytes() == b"outside"
        assert stat.S_IMODE((outside / name).stat().st_mode) == 0o600
    assert path.read_bytes() == DOCUMENT


@pytest.mark.parametrize("odd", ["pipe", "link-to-a-file", "folder"])
def test_what_is_odd_is_named(tmp_path: Path, ctx: StoreContext, odd: str) -> None:
    (tmp_path / "file").write_text("outside")
    path = new_file(tmp_path)
    store = FileStore(path)
    for name in (".lock", ".registration.lock", ".locks", ".threads", ".backoff"):
        ODD[odd](tmp_path / f"auth.json{name}", tmp_path)
    with raises("auth_file_locked"):
        store.swap("identity", None, RECORD, ctx)
    with raises("auth_file_not_regular"):
        store.lock("identity", ctx)
    if odd == "folder":  # which is what threads have
        with raises("auth_file_folder"):
            store.load("backoff", ctx)
        return
    for work in (
        partial(store.load, "backoff", ctx),
        partial(store.lock, "thread/thread-1", ctx),
        partial(store.save, "thread/thread-1", RECORD, ctx),
        partial(store.load, "thread/thread-1", ctx),
    ):
        with raises("auth_file_not_regular"):
            work()
    store.save("backoff", b"{}", ctx)  # which takes its place
    assert (tmp_path / "auth.json.backoff").read_bytes() == b"{}"
    assert (tmp_path / "file").read_text() == "outside"


@pytest.mark.parametrize("odd", ["pipe", "device", "socket"])
def test_what_is_odd_in_the_place_of_auth_json(tmp_path: Path, ctx: StoreContext, odd: str) -> None:
    path = new_file(tmp_path, None)
    ODD[odd](path, tmp_path)
    mode = path.lstat().st_mode
    not_regular = "auth_file_not_regular"
    got = codes(path, ctx)
    assert [got[name] for name in ("credentials", "load", "probe", "swap")] == [not_regular] * 4
    assert path.lstat().st_mode == mode


def test_a_folder_of_a_month_that_leads_elsewhere_is_not_used(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    store = FileStore(path)
    store.save("thread/1", RECORD, ctx)
    (month,) = (tmp_path / "auth.json.threads").iterdir()
    (record,) = month.iterdir()
    elsewhere = tmp_path / "elsewhere"
    month.rename(elsewhere)
    month.symlink_to(elsewhere)
    for work in (
        partial(store.load, "thread/1", ctx),
        partial(store.save, "thread/1", RECORD, ctx),
        partial(store.delete, "thread/1", ctx),
    ):
        with raises("auth_file_not_regular"):
            work()
    assert os.listdir(elsewhere) == [record.name]


# Threads.


def test_threads_cost_the_same_however_many_there_are(tmp_path: Path, ctx: StoreContext) -> None:
    seen: list[str] = []
    store = HookedStore(new_file(tmp_path), lambda effect, _: seen.append(name_of(effect)))
    store.save("thread/1", RECORD, ctx)
    store.load("thread/1", ctx)
    store.delete("thread/1", ctx)
    # The one list is of the months.
    assert [name for name in seen if name.startswith("list")] == ["list threads"]
    assert len(seen) < 20


def test_threads_go_a_few_at_a_time_when_nobody_has_used_them_for_90_days(
    tmp_path: Path, ctx: StoreContext
) -> None:
    store = FileStore(new_file(tmp_path))
    store.save("thread/1", RECORD, ctx)
    threads = tmp_path / "auth.json.threads"
    ((name,),) = (os.listdir(month) for month in threads.iterdir())
    old = threads / "2020-01"
    old.mkdir()
    for i in range(20):
        (old / f"{i:02x}{name[2:]}").write_bytes(RECORD)
    (threads / "note").write_text("somebody's")
    (threads / "2020-02").mkdir()
    Path(os.fsdecode(os.fsencode(threads) + b"/\xff")).write_text("somebody's")
    store.save("thread/2", RECORD, ctx)
    store.save("thread/2", RECORD, ctx)
    left = len(list(old.iterdir())) if old.exists() else 0
    assert left in (0, 4, 20)
    for _ in range(4):
        store.save("thread/2", RECORD, ctx)
    assert not old.exists()
    assert not (threads / "2020-02").exists()
    assert (threads / "note").exists()
    assert len(list(threads.iterdir())) == 3


def test_threads_that_are_used_stay(tmp_path: Path, ctx: StoreContext) -> None:
    store = FileStore(new_file(tmp_path))
    store.save("thread/1", RECORD, ctx)
    threads = tmp_path / "auth.json.threads"
    (month,) = threads.iterdir()
    (record,) = month.iterdir()
    year, number = int(month.name[:4]), int(month.name[5:])
    before = threads / (f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02d}")
    before.mkdir()
    record.rename(before / record.name)
    assert store.load("thread/1", ctx) == RECORD
    assert [file.name for file in month.iterdir()] == [record.name]
    assert list(before.iterdir()) == []


# The client's locks.


def test_the_clients_locks_are_taken_in_its_order_and_not_while_anything_else_is_done(
    tmp_path: Path, ctx: StoreContext
) -> None:
    seen: list[str] = []
    store = HookedStore(new_file(tmp_path), lambda effect, _: seen.append(name_of(effect)))
    store.swap("identity", None, RECORD, ctx)
    assert seen[:2] == ["lock client-lock", "lock target-lock"]
    assert seen[-2:] == ["unlock target-lock", "unlock client-lock"]
    seen.clear()
    store.load("identity", ctx)
    store.save("backoff", RECORD, ctx)
    store.save("thread/1", RECORD, ctx)
    store.lock("identity", ctx)()
    assert not [name for name in seen if "lock" in name]


@pytest.mark.parametrize("name", LOCKS)
def test_the_clients_locks_are_waited_for(tmp_path: Path, ctx: StoreContext, name: str) -> None:
    path = new_file(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with locked_by_flock(tmp_path / name):
            swapping = pool.submit(FileStore(path).swap, "identity", None, RECORD, ctx)
            assert path.read_bytes() == DOCUMENT
        swapping.result(LONG)
    assert path.read_bytes() == WITH_RECORD


def test_the_clients_locks_are_not_waited_for_when_nobody_waits(tmp_path: Path, ctx: StoreContext) -> None:
    path = new_file(tmp_path)
    gone = context(ctx.core)
    with ThreadPoolExecutor(1) as pool, locked_by_flock(tmp_path / "auth.lock"):
        swapping = pool.submit(code_of, partial(FileStore(path).swap, "identity", None, RECORD, gone))
        gone.canceled.set()
        assert swapping.result(LONG) != ""
        assert path.read_bytes() == DOCUMENT


@pytest.mark.parametrize("name", ["codex-auth", "auth"])
def test_a_target_of_another_name(tmp_path: Path, ctx: StoreContext, name: str) -> None:
    target = tmp_path / name
    target.write_bytes(DOCUMENT)
    FileStore(target).swap("identity", None, RECORD, ctx)
    assert target.read_bytes() == WITH_RECORD
    check_folder(target, *sorted({"auth.lock", name, f"{name}.lock"}))
    FileStore(target).swap("identity", RECORD, None, ctx)
    assert target.read_bytes() == DOCUMENT


def test_flock_is_the_lock_of_other_programs(tmp_path: Path, ctx: StoreContext) -> None:
    if shutil.which("flock") is None:
        pytest.skip("needs the program flock")
    path = new_file(tmp_path)
    unlock = FileStore(path).lock("identity", ctx)
    try_lock = ["flock", "-n", f"{path}.registration.lock", "true"]
    assert subprocess.run(try_lock, check=False).returncode == 1
    unlock()
    assert subprocess.run(try_lock, check=False).returncode == 0
