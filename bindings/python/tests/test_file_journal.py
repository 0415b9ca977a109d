"""A journal is what another process has left, or anybody: what the core makes of it, this package follows."""

from __future__ import annotations

import base64
import os
import random
import time
from typing import TYPE_CHECKING

import pytest
from files import DOCUMENT, RECORD, WITH_RECORD, code_of, context, new_file

from agentassert.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from agentassert import AgentAssert

OLD = time.time() - 7200
LONGER = DOCUMENT.replace(b"1.50e1", b'1.50e1, "agent_identity":{"agent_runtime_id":"' + b"x" * 200 + b'"}')


def journal(old: bytes, new: bytes) -> bytes:
    return b'{"old":"%b","new":"%b"}' % (base64.b64encode(old), base64.b64encode(new))


def some_target(draw: random.Random, old: bytes, new: bytes) -> bytes:
    """Returns what a write of a new document over an old one can have left, or something like it."""
    padded = new.ljust(len(old))
    at = draw.randrange(len(padded) + 1)
    content = draw.choice(
        [padded[:at] + old[at:], padded[:at], old[: at // 2] + padded[at // 2 : at] + old[at:]]
    )
    if draw.random() < 0.2:
        where = draw.randrange(len(content) + 1)
        content = content[:where] + draw.choice([b"x", b" ", b"{"]) + content[where + draw.randrange(2) :]
    return draw.choice([content, content, content, old, new, new + b"  "])


def some_journal(draw: random.Random, old: bytes, new: bytes) -> bytes:
    """Returns a journal, or something like one."""
    content = journal(old, new)
    if draw.random() < 0.3:
        at = draw.randrange(len(content) + 1)
        piece = draw.choice([b"", b" ", b"=", b"x", b'"', b"\n", b"}", b'"old":"",', b"\xff", b"\\u0041"])
        content = content[:at] + piece + content[at + draw.randrange(3) :]
    return content


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_in_a_journal_no_effect_of_the_core_is_refused(
    tmp_path: Path, core: AgentAssert, seed: int
) -> None:
    ctx, draw = context(core), random.Random(seed)
    path = new_file(tmp_path)
    beside = tmp_path / "auth.json.journal"
    store = FileStore(path)
    ended = 0
    for _ in range(60):
        old, new = draw.sample([DOCUMENT, WITH_RECORD, LONGER, b"{}", b"{}\n", b" ", b"[]", b"null"], 2)
        path.write_bytes(some_target(draw, old, new))
        os.utime(path, (OLD, OLD))  # nobody is writing it, which would be waited for
        beside.write_bytes(some_journal(draw, old, new))
        for work in (
            lambda: store.load("identity", ctx),
            lambda: store.credentials(ctx),
            lambda: store.swap("identity", store.load("identity", ctx), RECORD, ctx),
        ):
            code = code_of(work)
            assert code in ("", "invalid_auth_json", "record_changed"), code
        ended += not beside.exists()
    assert ended > 30


@pytest.mark.parametrize("cut", range(0, len(LONGER) + 1, 16))
def test_who_reads_next_ends_a_write_that_did_not_end(tmp_path: Path, core: AgentAssert, cut: int) -> None:
    path = new_file(tmp_path)
    for old, new in ((DOCUMENT, LONGER), (LONGER, DOCUMENT)):
        left = new.ljust(len(old))[:cut] + old[cut:]
        path.write_bytes(left)
        (tmp_path / "auth.json.journal").write_bytes(journal(old, new))
        identity = FileStore(path).load("identity", context(core))
        assert path.read_bytes().rstrip(b" ") == (old if left == old else new)
        assert (identity is None) == (b"agent_identity" not in path.read_bytes())
        assert (identity is None) == (path.read_bytes().rstrip(b" ") == DOCUMENT)


def test_what_is_somebody_elses_stays(tmp_path: Path, core: AgentAssert) -> None:
    newer = DOCUMENT.replace(b"secret-token", b"newer-token")
    path = new_file(tmp_path, newer)
    (tmp_path / "auth.json.journal").write_bytes(journal(DOCUMENT, LONGER))
    assert FileStore(path).load("identity", context(core)) is None
    assert path.read_bytes() == newer
    assert not (tmp_path / "auth.json.journal").exists()
