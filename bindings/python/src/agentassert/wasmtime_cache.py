"""The machine code that wasmtime made of the module, kept in a folder for the next process.

It is code, and runs in whoever reads it: so the folder and what is in it have to be this user's, and
nobody else may be able to write there. A file's name has the hash of its content: wasmtime trusts what
it is given, so damage has to be found before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import wasmtime


class CompiledCache:
    """The code of one module, by one version of wasmtime. Nothing that is wrong with it keeps the
    module from being compiled: it is warned of (RuntimeWarning)."""

    def __init__(self, folder: str | os.PathLike[str], module_sha256: str) -> None:
        self._folder = Path(folder)
        self._prefix = f"agentassert-{module_sha256}-wasmtime-{_wasmtime_version()}-"

    def load(self, engine: wasmtime.Engine) -> wasmtime.Module | None:
        """Return the module, or None if there is none, or none that can be trusted."""
        try:
            self._check_folder()
            for path in self._kept():
                if self._is_good(path):
                    return wasmtime.Module.deserialize_file(engine, str(path))
        except FileNotFoundError:
            pass
        except OSError as e:
            _warn(e)
        except (wasmtime.WasmtimeError, UnicodeError):  # it is another machine's, for one
            pass
        return None

    def save(self, module: wasmtime.Module) -> None:
        """Keep a module, which takes the place of what is there."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folder()
            before = list(self._kept())
            code = module.serialize()
            path = self._folder / (self._prefix + hashlib.sha256(code).hexdigest())
            self._write(path, code)
            for other in before:
                if other != path:
                    _remove(other)
        except (OSError, wasmtime.WasmtimeError) as e:
            _warn(e)

    def _write(self, path: Path, code: bytearray) -> None:
        """Write a file that is there as a whole or not at all."""
        part = self._folder / f"part-{os.urandom(8).hex()}"
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(code)
            os.replace(part, path)
        except BaseException:
            _remove(part)
            raise

    def _kept(self) -> Iterator[Path]:
        for name in sorted(os.listdir(self._folder)):
            if name.startswith(self._prefix):
                yield self._folder / name

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

    def _is_good(self, path: Path) -> bool:
        with open(path, "rb", opener=_open) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
                raise PermissionError(f"{path} is not a file that only its owner can write")
            digest = hashlib.sha256(file.read()).hexdigest()
        if path.name != self._prefix + digest:
            _warn(f"{path} is damaged; it is replaced")
            return False
        return True


def _wasmtime_version() -> str:
    """Return wasmtime's version, as the folder beside it has it in its name. importlib.metadata would
    know it, too, and take as long to load as all the rest. wasmtime refuses code of another version."""
    packages = Path(wasmtime.__file__).parent.parent
    for name in sorted(os.listdir(packages)):
        if name.startswith("wasmtime-") and name.endswith(".dist-info"):
            return name.removeprefix("wasmtime-").removesuffix(".dist-info")
    return "unknown"


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _above(folder: Path) -> Iterator[Path]:
    """The folders that a folder is in, as it is named and as it is."""
    yield from Path(os.path.abspath(folder)).parents
    yield from Path(os.path.realpath(folder)).parents


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process was there before, or it is none of ours
        os.unlink(path)


def _warn(problem: object) -> None:
    warnings.warn(f"the cache of compiled code is not used: {problem}", RuntimeWarning, stacklevel=2)
