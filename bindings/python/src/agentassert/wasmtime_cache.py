"""The machine code that wasmtime made of the module, kept in a folder for the next process.

It is code, and runs in whoever reads it: so the folder and what is in it have to be this user's, and
nobody else may be able to write there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import wasmtime

_MAX_SIZE = 64 << 20
_DIGEST = hashlib.sha256().digest_size


class CompiledCache:
    """The code of one module, by one version of wasmtime. Nothing that is wrong with it keeps the
    module from being compiled: it is warned of (RuntimeWarning)."""

    def __init__(self, folder: str | os.PathLike[str], module_sha256: str) -> None:
        self._folder = Path(folder)
        kind = f"wasmtime-{version('wasmtime')}-{platform.system()}-{platform.machine()}".lower()
        self._path = self._folder / f"agentassert-{module_sha256}-{kind}"

    def load(self, engine: wasmtime.Engine) -> wasmtime.Module | None:
        """Return the module, or None if there is none, or none that can be trusted."""
        try:
            self._check_folder()
            content = self._read()
        except FileNotFoundError:
            return None
        except OSError as e:
            _warn(e)
            return None
        # wasmtime trusts what it is given: so damage has to be found before.
        code = content[_DIGEST:]
        if hashlib.sha256(code).digest() != content[:_DIGEST]:
            _warn(f"{self._path} is damaged; it is replaced")
            return None
        try:
            return wasmtime.Module.deserialize(engine, code)
        except Exception:  # of another machine, for one
            return None

    def save(self, module: wasmtime.Module) -> None:
        """Keep a module, which takes the place of what is there."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folder()
            code = module.serialize()
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    file.write(hashlib.sha256(code).digest())
                    file.write(code)
                    file.close()
                    os.replace(file.name, self._path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except (OSError, wasmtime.WasmtimeError) as e:
            _warn(e)

    def _check_folder(self) -> None:
        """Raise OSError unless nobody else can write there, or exchange it."""
        if not hasattr(os, "geteuid"):
            raise PermissionError("this system does not say whose a folder is")
        own = os.geteuid()
        about = os.lstat(self._folder)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != own or about.st_mode & 0o077:
            raise PermissionError(f"{self._folder} is not a folder that only its owner can use; chmod 700")
        for folder in _above(self._folder):
            about = os.stat(folder)
            if about.st_uid not in (0, own) or (about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX):
                raise PermissionError(f"others can write to {folder}, which {self._folder} is in")

    def _read(self) -> bytes:
        with open(self._path, "rb", opener=_open) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
                raise PermissionError(f"{self._path} is not a file that only its owner can write")
            return file.read(_MAX_SIZE)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _above(folder: Path) -> Iterator[Path]:
    """The folders that a folder is in, as it is named and as it is."""
    yield from Path(os.path.abspath(folder)).parents
    yield from Path(os.path.realpath(folder)).parents


def _warn(problem: object) -> None:
    warnings.warn(f"the cache of compiled code is not used: {problem}", RuntimeWarning, stacklevel=2)
