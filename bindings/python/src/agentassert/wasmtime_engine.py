"""The module in wasmtime, for where the native engine is not.

An instance is used by one thread at a time: wasmtime aborts the process of two that share one.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import wasmtime

from .cbor import MAX_MESSAGE
from .errors import AgentAssertError

if TYPE_CHECKING:
    from .wasmtime_cache import CompiledCache

_ABI_VERSION = 2
_MEMORY_LIMIT = 32 << 20
_MAX_IDLE_MEMORY = 16 << 20  # an instance that has grown beyond this is replaced; it settles at 9 MiB
_TABLE_LIMIT = 1 << 16
_STACK_LIMIT = 256 << 10  # half of what threads have on macOS
# What an instance of somebody else's module may carry out, in instructions: that may not count its
# own steps, as this package's does.
_FOREIGN_FUEL = 1 << 31


class WasmtimeEngine:
    """Instances of the module in wasmtime. Threads can share it, and so can forked processes."""

    name = "wasmtime"

    def __init__(self, module: CompiledModule, max_instances: int) -> None:
        """Start a first instance.

        Raises:
            AgentAssertError: ``invalid_module``, ``abi_version``.
        """
        self._module = module
        self._max_instances = max_instances
        self._closed = False
        self._generation = 0
        self._restart()
        self._idle.append(_Instance(module))
        _engines.add(self)

    def _restart(self) -> None:
        """Begin without instances. After a fork there is nobody who would give any back, or a lock."""
        self._lock = threading.Lock()
        self._free = threading.Semaphore(self._max_instances)
        self._idle: list[_Instance] = []

    def call(self, request: bytes | bytearray) -> bytearray:
        with self._free:
            with self._lock:
                if self._closed:
                    raise AgentAssertError("closed", "the core is closed")
                generation = self._generation
                instance = self._idle.pop() if self._idle else None
            try:
                instance = instance or _Instance(self._module)
                answer = instance.exchange(request)
                spent = instance.is_overweight()
            except BaseException as e:
                if instance:
                    instance.erase()
                if not isinstance(e, Exception):
                    raise
                raise AgentAssertError(
                    "sandbox_failed", "the sandboxed core failed, and its instance was thrown away"
                ) from None  # the engine's own has addresses, and nothing that helps
            with self._lock:
                if not spent and generation == self._generation:
                    self._idle.append(instance)
                    return answer
            instance.erase()
            return answer

    def forget(self) -> None:
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for instance in idle:
            instance.erase()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.forget()


_engines: weakref.WeakSet[WasmtimeEngine] = weakref.WeakSet()
_modules: weakref.WeakSet[CompiledModule] = weakref.WeakSet()


def _after_fork() -> None:
    for engine in list(_engines):
        engine._restart()  # pyright: ignore[reportPrivateUsage]


def _at_exit() -> None:
    """Overwrite what is there, and free it while wasmtime's module still can."""
    for engine in list(_engines):
        engine.close()
    for module in list(_modules):
        module.free()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class CompiledModule:
    """A compiled module, which instances share."""

    def __init__(self, wasm: bytes, *, foreign: bool, cache: CompiledCache | None = None) -> None:
        """Compile a module, which is this package's or a foreign one, or take its code from a cache.

        Raises:
            AgentAssertError: ``invalid_module``.
        """
        config = wasmtime.Config()
        config.consume_fuel = foreign
        config.max_wasm_stack = _STACK_LIMIT
        self.foreign = foreign
        self.engine = wasmtime.Engine(config)
        module = cache.load(self.engine) if cache else None
        if not module:
            module = _compile(self.engine, wasm)
            if cache:
                cache.save(module)
        self.module = module
        if self.module.imports:
            raise AgentAssertError(
                "invalid_module", "the module imports something, which agentassert's does not"
            )
        _modules.add(self)

    def free(self) -> None:
        """Let go of the machine code, when there are no more instances of it to be made. Those in a
        call keep it."""
        self.module.close()
        self.engine.close()


_compiling = threading.Lock()
_compiled: list[CompiledModule] = []


def compile_once(wasm: bytes, sha256: str, cache_dir: str | os.PathLike[str] | None) -> CompiledModule:
    """Return this package's module compiled, which takes seconds: once in a process is enough.

    Raises:
        AgentAssertError: ``invalid_module``.
    """
    with _compiling:
        if not _compiled:
            cache = None
            if cache_dir is not None:
                from .wasmtime_cache import CompiledCache

                cache = CompiledCache(cache_dir, sha256)
            _compiled.append(CompiledModule(wasm, foreign=False, cache=cache))
        return _compiled[0]


def _compile(engine: wasmtime.Engine, wasm: bytes) -> wasmtime.Module:
    try:
        return wasmtime.Module(engine, wasm)
    except Exception:
        raise AgentAssertError("invalid_module", "the module cannot be compiled, or is damaged") from None


class _Instance:
    """One instance of a module. It serves one call at a time, and after a failure none."""

    def __init__(self, module: CompiledModule) -> None:
        self._store = wasmtime.Store(module.engine)
        self._store.set_limits(
            memory_size=_MEMORY_LIMIT, table_elements=_TABLE_LIMIT, instances=1, tables=4, memories=1
        )
        self._foreign = module.foreign
        self._refuel()
        try:
            exports = wasmtime.Instance(self._store, module.module, []).exports(self._store)
        except Exception:
            raise AgentAssertError(
                "invalid_module", "the module cannot be instantiated; is there memory for it?"
            ) from None
        memory = exports.get("memory")
        functions = [exports.get(f"agentassert_{name}") for name in ("abi", "alloc", "free", "call")]
        if not isinstance(memory, wasmtime.Memory) or not all(
            isinstance(function, wasmtime.Func) for function in functions
        ):
            raise AgentAssertError(
                "invalid_module", "the module lacks what the ABI says; it is not agentassert's"
            )
        self._memory = memory
        self._alloc: Any
        self._free: Any
        self._call: Any
        abi, self._alloc, self._free, self._call = functions
        self._check_version(abi)

    def _check_version(self, abi: Any) -> None:
        try:
            version = abi(self._store)
        except Exception:
            raise AgentAssertError("invalid_module", "the module does not tell its ABI version") from None
        if version != _ABI_VERSION:
            raise AgentAssertError(
                "abi_version",
                f"the module speaks version {version} of the ABI, this package version {_ABI_VERSION}; "
                "install those that belong together",
            )

    def _refuel(self) -> None:
        if self._foreign:
            self._store.set_fuel(_FOREIGN_FUEL)

    def exchange(self, request: bytes | bytearray) -> bytearray:
        """Take a request into the guest and its answer out. Whatever this raises, the instance is of
        no more use."""
        self._refuel()
        store, memory = self._store, self._memory
        size = len(request)
        start: int = self._alloc(store, size) & 0xFFFF_FFFF
        if start == 0:
            raise MemoryError
        if memory.write(store, request, start) != size:
            raise IndexError
        packed: int = self._call(store, start, size) & 0xFFFF_FFFF_FFFF_FFFF
        answer_start, answer_size = packed >> 32, packed & 0xFFFF_FFFF
        # The memory may have grown meanwhile.
        if not 0 < answer_size <= MAX_MESSAGE or answer_start + answer_size > memory.data_len(store):
            raise IndexError
        answer = memory.read(store, answer_start, answer_start + answer_size)
        self._free(store, _signed(answer_start))
        self._free(store, _signed(start))
        return answer

    def is_overweight(self) -> bool:
        """Report whether the instance is of no more use, though it did not fail."""
        return self._memory.data_len(self._store) > _MAX_IDLE_MEMORY

    def erase(self) -> None:
        """Overwrite the guest's memory with zeroes, and let go of it. The instance is of no use then."""
        ctypes.memset(self._memory.data_ptr(self._store), 0, self._memory.data_len(self._store))
        self._store.close()


def _signed(address: int) -> int:
    """Return an address as the engine takes 32 bits: signed."""
    return address - (1 << 32) if address >= 1 << 31 else address
