"""Which engine runs the core, and where its module comes from."""

from __future__ import annotations

import os

from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine import Engine

_NEITHER = (
    "there is no engine for the core: this package was installed without its native one, "
    "and wasmtime is not installed; pip install wasmtime"
)


def open_engine(
    name: str | None, module: bytes | None, max_instances: int, cache_dir: str | os.PathLike[str] | None
) -> Engine:
    """Open an engine: the native one if there is one, or else wasmtime; or the one that is named.

    Raises:
        AgentAssertError: ``engine_missing``, ``invalid_module``, ``abi_version``,
            ``invalid_request`` for an argument that has no meaning.
    """
    if type(max_instances) is not int or max_instances < 1:
        raise AgentAssertError("invalid_request", "max_instances is not a number from 1")
    if not isinstance(module, (bytes, type(None))):
        raise AgentAssertError("invalid_request", "module is no bytes")
    if not isinstance(cache_dir, (str, os.PathLike, type(None))):
        raise AgentAssertError("invalid_request", "cache_dir is no path")
    if name not in (None, "native", "wasmtime"):
        raise AgentAssertError("invalid_request", "engine is neither native nor wasmtime")
    if module is not None:
        if name == "native":
            raise AgentAssertError(
                "invalid_request", "the native engine has its module built in; another one is for wasmtime"
            )
        name = "wasmtime"
    if name != "wasmtime":
        native = _native(max_instances)
        if native:
            return native
        if name == "native":
            raise AgentAssertError("engine_missing", "this package was installed without the native engine")
    return _wasmtime(module, max_instances, cache_dir)


def _native(max_instances: int) -> Engine | None:
    try:
        from ._native import MODULE_SHA256, NativeEngine
    except ImportError:
        return None
    if _sha256() != MODULE_SHA256:
        raise AgentAssertError(
            "invalid_module", "the package's native engine was made of another module; install it anew"
        )
    return NativeEngine(max_instances)


def _wasmtime(module: bytes | None, max_instances: int, cache_dir: str | os.PathLike[str] | None) -> Engine:
    try:
        from .wasmtime_engine import CompiledModule, WasmtimeEngine, compile_once
    except ImportError:
        raise AgentAssertError("engine_missing", _NEITHER) from None
    own = own_module()
    if module is None or module == own:
        return WasmtimeEngine(compile_once(own, _sha256(), cache_dir), max_instances)
    return WasmtimeEngine(CompiledModule(module, foreign=True), max_instances)


def own_module() -> bytes:
    """Return the module that is in this package.

    Raises:
        AgentAssertError: ``invalid_module``, where it is not, or is another than the package was
            made with.
    """
    import hashlib

    try:
        with open(os.path.join(os.path.dirname(__file__), "agentassert.wasm"), "rb") as file:
            module = file.read()
    except OSError as e:
        raise AgentAssertError(
            "invalid_module", f"the package's module cannot be read: {e.strerror}; install it anew"
        ) from None
    if hashlib.sha256(module).hexdigest() != _sha256():
        raise AgentAssertError("invalid_module", "the package's module is damaged; install it anew")
    return module


def _sha256() -> str:
    from ._module import SHA256

    return SHA256
