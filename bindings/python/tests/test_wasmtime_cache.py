"""The folder of compiled code: what is in it runs, so nobody else may be able to write there."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest
from test_engines import in_place

pytest.importorskip("wasmtime")

import wasmtime

from agentassert.wasmtime_cache import CompiledCache

ENGINE = wasmtime.Engine()
MODULE = wasmtime.Module(ENGINE, '(module (func (export "f") (result i32) i32.const 7))')


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cache" / "of" / "code"


@pytest.fixture
def kept(folder: pathlib.Path) -> pathlib.Path:
    """The file of a module that is kept."""
    CompiledCache(folder, "0" * 64).save(MODULE)
    (path,) = folder.iterdir()
    return path


def load(folder: pathlib.Path, module: str = "0" * 64) -> bool:
    return CompiledCache(folder, module).load(ENGINE) is not None


def test_is_kept(folder: pathlib.Path, kept: pathlib.Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_mode & 0o777 == 0o600
    assert version("wasmtime") in kept.name
    assert load(folder)
    assert not load(folder, "1" * 64)


def test_there_is_nothing(folder: pathlib.Path) -> None:
    assert not load(folder)


def damaged(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another_engine(path: pathlib.Path) -> None:
    code = b"no code of this wasmtime's"
    path.write_bytes(code)
    path.rename(path.with_name(path.name[:-64] + hashlib.sha256(code).hexdigest()))


def linked(path: pathlib.Path) -> None:
    elsewhere = path.with_suffix(".elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def a_pipe(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


WRONG: list[tuple[str, Callable[[pathlib.Path], None], bool]] = [
    ("it is damaged", damaged, True),
    ("it is cut", lambda path: os.truncate(path, 1000), True),
    ("it is empty", lambda path: os.truncate(path, 0), True),
    ("it is of another engine", of_another_engine, False),
    ("others can write to it", lambda path: path.chmod(0o622), True),
    ("others can write to the folder", lambda path: path.parent.chmod(0o777), True),
    ("others can read the folder", lambda path: path.parent.chmod(0o755), True),
    ("others can write to the folder above", lambda path: path.parent.parent.chmod(0o777), True),
    ("it is a link", linked, True),
    ("it is a pipe", a_pipe, True),
    ("it is a folder", a_folder, True),
    ("the folder is a link", lambda path: linked(path.parent), True),
]


@pytest.mark.parametrize(("name", "spoil", "warns"), WRONG, ids=[name for name, _, _ in WRONG])
def test_what_cannot_be_trusted_is_not_run(
    folder: pathlib.Path, kept: pathlib.Path, name: str, spoil: Callable[[pathlib.Path], None], warns: bool
) -> None:
    spoil(kept)
    if warns:
        with pytest.warns(RuntimeWarning, match="cache"):
            assert not load(folder), name
    else:
        assert not load(folder), name


def test_a_damaged_one_is_replaced(folder: pathlib.Path, kept: pathlib.Path) -> None:
    damaged(kept)
    CompiledCache(folder, "0" * 64).save(MODULE)
    assert load(folder)
    assert list(folder.iterdir()) == [kept]


def test_one_takes_the_place_of_another(folder: pathlib.Path, kept: pathlib.Path) -> None:
    """Of wasmtime's, for one, where it makes other code than it made on another machine."""
    of_another_engine(kept)
    CompiledCache(folder, "1" * 64).save(MODULE)
    CompiledCache(folder, "0" * 64).save(MODULE)
    assert load(folder)
    assert load(folder, "1" * 64)
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="cache"):
        CompiledCache(tmp_path / "file" / "cache", "0" * 64).save(MODULE)


def test_processes_share_it(folder: pathlib.Path) -> None:
    program = (
        "import sys\n"
        "from agentassert import AgentAssert\n"
        "core = AgentAssert.load(engine='wasmtime', cache_dir=sys.argv[1])\n"
        "print(core.generate_key(entropy=bytes(32)).public_key)\n"
    )
    keys: set[str] = set()
    for _ in range(2):
        keys.add(
            subprocess.run(
                [sys.executable, "-W", "error", "-c", program, folder],
                stdout=subprocess.PIPE,
                text=True,
                timeout=120,
                check=True,
                env=in_place(),
            ).stdout
        )
        assert len(list(folder.iterdir())) == 1
    assert len(keys) == 1
