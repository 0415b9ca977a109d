"""AgentAssertion for Python: ``Authorization: AgentAssertion …``, from both sides.

``AgentAssert`` makes and checks assertions; ``Manager`` and ``AsyncManager`` register an agent, store
what it got, and say what each call carries.
"""

from __future__ import annotations

from .errors import AgentAssertError as AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._module import SHA256 as MODULE_SHA256
    from .async_manager import AsyncManager as AsyncManager
    from .authorization import Authorization as Authorization
    from .core import AgentAssert as AgentAssert
    from .directory import Agent as Agent
    from .directory import Directory as Directory
    from .directory import Instance as Instance
    from .directory import InstanceDirectory as InstanceDirectory
    from .directory import Task as Task
    from .directory import TaskStatus as TaskStatus
    from .exchange import HTTPRequest as HTTPRequest
    from .exchange import HTTPResponse as HTTPResponse
    from .file_store import FileStore as FileStore
    from .manager import Manager as Manager
    from .manager_base import MCPServer as MCPServer
    from .memory_store import MemoryStore as MemoryStore
    from .messages import ABOM as ABOM
    from .messages import Credentials as Credentials
    from .messages import InstanceConfig as InstanceConfig
    from .messages import JWTIdentity as JWTIdentity
    from .messages import Pauses as Pauses
    from .messages import Problem as Problem
    from .refusal_error import RefusalError as RefusalError
    from .replays import MemoryReplays as MemoryReplays
    from .replays import Replays as Replays
    from .replays import Use as Use
    from .results import BaseURL as BaseURL
    from .results import Envelope as Envelope
    from .results import Inspection as Inspection
    from .results import InstanceClaims as InstanceClaims
    from .results import InstanceInspection as InstanceInspection
    from .results import KeyPair as KeyPair
    from .results import Location as Location
    from .results import RegistrationProof as RegistrationProof
    from .results import Surface as Surface
    from .results import TaskInspection as TaskInspection
    from .store import AsyncStore as AsyncStore
    from .store import Store as Store
    from .store import StoreContext as StoreContext
    from .thread import AsyncThread as AsyncThread
    from .thread import Thread as Thread
    from .verifier import Decision as Decision
    from .verifier import Principal as Principal
    from .verifier import Verifier as Verifier

__version__ = "0.1.0"

# Where the names of this package are. They are imported when they are asked for: who signs one header
# in a short-lived process waits for nothing else.
_HOMES = {
    "ABOM": "messages",
    "Agent": "directory",
    "AgentAssert": "core",
    "AsyncManager": "async_manager",
    "AsyncStore": "store",
    "AsyncThread": "thread",
    "Authorization": "authorization",
    "BaseURL": "results",
    "Credentials": "messages",
    "Decision": "verifier",
    "Directory": "directory",
    "Envelope": "results",
    "FileStore": "file_store",
    "HTTPRequest": "exchange",
    "HTTPResponse": "exchange",
    "Inspection": "results",
    "Instance": "directory",
    "InstanceClaims": "results",
    "InstanceConfig": "messages",
    "InstanceDirectory": "directory",
    "InstanceInspection": "results",
    "JWTIdentity": "messages",
    "KeyPair": "results",
    "Location": "results",
    "MCPServer": "manager_base",
    "Manager": "manager",
    "MemoryReplays": "replays",
    "MemoryStore": "memory_store",
    "Pauses": "messages",
    "Principal": "verifier",
    "Problem": "messages",
    "RefusalError": "refusal_error",
    "RegistrationProof": "results",
    "Replays": "replays",
    "Store": "store",
    "StoreContext": "store",
    "Surface": "results",
    "Task": "directory",
    "TaskInspection": "results",
    "TaskStatus": "directory",
    "Thread": "thread",
    "Use": "replays",
    "Verifier": "verifier",
}

__all__ = [
    "ABOM",
    "MODULE_SHA256",
    "Agent",
    "AgentAssert",
    "AgentAssertError",
    "AsyncManager",
    "AsyncStore",
    "AsyncThread",
    "Authorization",
    "BaseURL",
    "Credentials",
    "Decision",
    "Directory",
    "Envelope",
    "FileStore",
    "HTTPRequest",
    "HTTPResponse",
    "Inspection",
    "Instance",
    "InstanceClaims",
    "InstanceConfig",
    "InstanceDirectory",
    "InstanceInspection",
    "JWTIdentity",
    "KeyPair",
    "Location",
    "MCPServer",
    "Manager",
    "MemoryReplays",
    "MemoryStore",
    "Pauses",
    "Principal",
    "Problem",
    "RefusalError",
    "RegistrationProof",
    "Replays",
    "Store",
    "StoreContext",
    "Surface",
    "Task",
    "TaskInspection",
    "TaskStatus",
    "Thread",
    "Use",
    "Verifier",
    "__version__",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "MODULE_SHA256":
        value = import_module("._module", __name__).SHA256
    elif name in _HOMES:
        value = getattr(import_module("." + _HOMES[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
