"""A file that has not changed is not read again; one that has, in whatever way, is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from files import DOCUMENT, RECORD, WITH_RECORD, HookedStore, context, new_file, save

from agentassert import file_recall
from agentassert.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from agentassert import AgentAssert
    from agentassert.file_effect import FileEffect


def test_a_file_is_read_again_after_a_change(
    tmp_path: Path, core: AgentAssert, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Far enough from now for files that were just written to have been so for long.
    later = time.time() + 3600
    monkeypatch.setattr(file_recall, "_now", lambda: later)
    ctx = context(core)
    for folder in ("real", "another", "link"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "real" / "auth.json"
    another = new_file(tmp_path / "another", WITH_RECORD.replace(b"secret-token", b"secret-of-another"))
    link = tmp_path / "link" / "auth.json"
    link.symlink_to(path)
    effects: list[str] = []

    def note(effect: FileEffect, _: str | None) -> None:
        effects.append(effect.type)

    store = HookedStore(link, note)

    def check(token: str | None, identity: bytes | None, *, is_read: bool) -> None:
        effects.clear()
        for _ in range(3):
            credentials = store.credentials(ctx)
            assert credentials.get("access_token") == token
            credentials["access_token"] = "another's"  # which is nobody else's
            assert store.load("identity", ctx) == identity
        assert (len(effects) > 0) == is_read

    check(None, None, is_read=True)
    path.write_bytes(DOCUMENT)
    check("secret-token", None, is_read=True)
    check("secret-token", None, is_read=False)
    save(store, "identity", RECORD, ctx)
    check("secret-token", RECORD, is_read=True)
    check("secret-token", RECORD, is_read=False)

    was = path.stat()
    path.write_bytes(WITH_RECORD.replace(b"secret-token", b"secret-longer"))
    os.utime(path, ns=(was.st_mtime_ns, was.st_mtime_ns))
    check("secret-longer", RECORD, is_read=True)
    path.chmod(0o640)
    check("secret-longer", RECORD, is_read=True)

    # What is in a journal may be newer. This one says nothing, and is removed.
    journal = path.with_name("auth.json.journal")
    journal.write_text("{}")
    check("secret-longer", RECORD, is_read=True)
    assert not journal.exists()
    check("secret-longer", RECORD, is_read=False)

    link.unlink()
    link.symlink_to(another)
    check("secret-of-another", RECORD, is_read=True)
    another.unlink()
    check(None, None, is_read=True)


def test_a_file_that_was_written_just_now_is_read_each_time(tmp_path: Path, core: AgentAssert) -> None:
    """Its times could be those of two states."""
    path = new_file(tmp_path)
    effects: list[str] = []

    def note(effect: FileEffect, _: str | None) -> None:
        effects.append(effect.type)

    store = HookedStore(path, note)
    for _ in range(2):
        effects.clear()
        assert store.load("identity", context(core)) is None
        assert effects


def test_what_is_wrong_with_credentials_is_the_callers_to_change(
    tmp_path: Path, core: AgentAssert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_recall, "_now", lambda: time.time() + 3600)
    store = FileStore(new_file(tmp_path, b'{"auth_mode":"other"}'))
    for _ in range(3):
        problem = store.credentials(context(core)).get("problem")
        assert problem is not None
        assert problem["code"] == "other_sign_in"
        problem["code"] = "another"
