"""A manager that does what the lines of its standard input say: ../../managers/doc.go has them.

python driver.py [--async]
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from agentassert.async_manager import AsyncManager
from agentassert.authorization import Authorization
from agentassert.errors import AgentAssertError
from agentassert.file_store import FileStore
from agentassert.manager import Manager
from agentassert.memory_store import MemoryStore
from agentassert.store import StoreContext


class ReadOnlyStore(MemoryStore):
    """A store that can be read, and not be changed."""

    def save(self, slot: str, record: bytes, context: StoreContext) -> NoReturn:
        self._refuse()

    def delete(self, slot: str, context: StoreContext) -> NoReturn:
        self._refuse()

    def swap(
        self, slot: str, expected: bytes | None, record: bytes | None, context: StoreContext
    ) -> NoReturn:
        self._refuse()

    def lock(self, slot: str, context: StoreContext) -> Callable[[], None]:
        self._refuse()

    def probe(self, slot: str, context: StoreContext) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AgentAssertError("store_read_only", "the store can be read, and not be changed")


class BrokenStore(MemoryStore):
    """A store that fails, whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("load", "save", "delete", "swap", "lock", "probe"):
            return self._fail
        return super().__getattribute__(name)

    def _fail(self, *_: object) -> NoReturn:
        raise OSError("the store is broken")


def manager_options(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a manager."""
    beside, path = options.pop("beside", False), options.pop("auth_json", None)
    read_only, broken = options.pop("read_only", False), options.pop("broken", False)
    if read_only:
        store: Any = ReadOnlyStore()
    elif broken:
        store = BrokenStore()
    else:
        identity: Literal["auth.json", "beside"] = "beside" if beside else "auth.json"
        store = MemoryStore() if path is None else FileStore(path, identity=identity)
    return {**options, "store": store}


def problem_of(error: BaseException | None) -> dict[str, str] | None:
    """Returns an error as it is told."""
    if error is None:
        return None
    if not isinstance(error, AgentAssertError):
        return {"code": "internal", "message": f"{type(error).__name__}: {error}"}
    return {"code": error.code, "message": error.message}


def told(authorization: Authorization) -> dict[str, Any]:
    """Returns an authorization as it is told."""
    names = (
        *("mode", "reason", "header", "agent_assertion", "account_id", "agent_runtime_id", "task_id"),
        *("runtime_agent_instance", "fedramp", "responses_origin", "account_routing_override", "retry_at"),
    )
    members = {name: getattr(authorization, name) for name in names}
    members["cause"] = problem_of(authorization.cause)
    members["notice"] = problem_of(authorization.notice)
    members["headers"] = authorization.headers()
    return {"authorization": {name: member for name, member in members.items() if member is not None}}


class Driver:
    """Has the manager, and the last authorization."""

    def __init__(self) -> None:
        self.last: Any = None

    def take(self, results: list[Any]) -> dict[str, Any]:
        """Takes note of what callers got, and returns it as it is told."""
        if not isinstance(results[0], BaseException):
            self.last = results[0]
        return {
            "ok": [
                {"error": problem_of(result)} if isinstance(result, BaseException) else told(result)
                for result in results
            ]
        }


def waiting(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments that say how long to wait."""
    return {"timeout": request["timeout_ms"] / 1000} if request.get("timeout_ms") else {}


class SyncDriver(Driver):
    """Drives a Manager, with a thread for each caller."""

    manager: Manager

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        if op == "open":
            self.manager = Manager(**manager_options(request["options"]))
        elif op == "authorization":
            asked = self.manager.thread(request["thread"]) if request.get("thread") else self.manager

            def ask(_: int) -> Any:
                try:
                    return asked.authorization(request["surface"], **waiting(request))
                except Exception as error:
                    return error

            with ThreadPoolExecutor(request.get("callers", 1)) as pool:
                return self.take(list(pool.map(ask, range(request.get("callers", 1)))))
        elif op == "recover":
            headers, body = request.get("headers", {}), request.get("body", "").encode()
            return self.take([self.manager.recover(self.last, headers=headers, body=body)])
        elif op == "forget":
            self.manager.forget(request["thread"])
        else:
            self.manager.close()
        return {"ok": {}}

    def run(self) -> None:
        for line in sys.stdin:
            try:
                answer = self.answer(json.loads(line))
            except Exception as error:
                answer = {"error": problem_of(error)}
            print(json.dumps(answer), flush=True)


class AsyncDriver(Driver):
    """Drives an AsyncManager, with a task for each caller."""

    manager: AsyncManager

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        if op == "open":
            self.manager = AsyncManager(**manager_options(request["options"]))
        elif op == "authorization":
            asked = self.manager.thread(request["thread"]) if request.get("thread") else self.manager
            calls = [
                asked.authorization(request["surface"], **waiting(request))
                for _ in range(request.get("callers", 1))
            ]
            return self.take(list(await asyncio.gather(*calls, return_exceptions=True)))
        elif op == "recover":
            headers, body = request.get("headers", {}), request.get("body", "").encode()
            return self.take([await self.manager.recover(self.last, headers=headers, body=body)])
        elif op == "forget":
            await self.manager.forget(request["thread"])
        else:
            await self.manager.aclose()
        return {"ok": {}}

    async def run(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                answer = await self.answer(json.loads(line))
            except Exception as error:
                answer = {"error": problem_of(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if "--async" in sys.argv:
        asyncio.run(AsyncDriver().run())
    else:
        SyncDriver().run()
