"""What tests of verifiers share: a core, keys, directories that are fixed."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, TypeVar

from agentassert import AgentAssert
from agentassert.directory import Agent, Instance, Task, TaskStatus

if TYPE_CHECKING:
    from agentassert.cbor import Value

START = 1_795_533_368  # 2026-11-24T15:16:08Z

Headers = list[tuple[str, str]]
T = TypeVar("T")


@functools.cache
def core() -> AgentAssert:
    """The core, which takes a while to load in some engines."""
    return AgentAssert.load()


@functools.cache
def key(seed: int) -> dict[str, str]:
    """The private and the public key that a seed stands for."""
    return core().call("key.generate", {"entropy": bytes([seed]) * 32})


def task_header(seed: int, agent: str, task: str, at: int = START) -> str:
    """The value of Authorization with the assertion of a task."""
    params: dict[str, Value] = {
        "private_key": key(seed)["private_key"],
        "agent_runtime_id": agent,
        "task_id": task,
        "now": at,
    }
    return str(core().call("assertion.build", params)["header"])


def instance_value(seed: int, instance: str, at: int = START, n: int = 1) -> str:
    """The n-th assertion of a runtime agent instance."""
    params: dict[str, Value] = {
        "private_key": key(seed)["private_key"],
        "runtime_agent_instance": instance,
        "entropy": bytes(15) + bytes([n]),
        "now": at,
    }
    return str(core().call("instance.build", params)["value"])


def public(seed: int) -> str:
    return key(seed)["public_key"]


class FixedDirectory:
    """A directory whose agents have the ids that they are kept under."""

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        tasks: Iterable[Task] = (),
        failure: Exception | None = None,
        task_failure: Exception | None = None,
    ) -> None:
        self.agents = {agent.runtime_id: agent for agent in agents}
        self.tasks = {(task.agent_runtime_id, task.id): task for task in tasks}
        self.failure = failure
        self.task_failure = task_failure

    def agent(self, agent_runtime_id: str, /) -> Agent | None:
        if self.failure:
            raise self.failure
        return self.agents.get(agent_runtime_id)

    def task(self, agent_runtime_id: str, task_id: str, /) -> Task | None:
        if self.task_failure:
            raise self.task_failure
        return self.tasks.get((agent_runtime_id, task_id))


class AsyncDirectory:
    """The same with coroutines."""

    def __init__(self, directory: FixedDirectory) -> None:
        self._directory = directory

    async def agent(self, agent_runtime_id: str, /) -> Agent | None:
        return self._directory.agent(agent_runtime_id)

    async def task(self, agent_runtime_id: str, task_id: str, /) -> Task | None:
        return self._directory.task(agent_runtime_id, task_id)


class FixedInstances:
    """A directory of instances, which takes an id in whatever case."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._instances = {instance.id: instance for instance in instances}

    def instance(self, runtime_agent_instance: str, /) -> Instance | None:
        if runtime_agent_instance == "broken":
            raise OSError("the database is away")
        return self._instances.get(runtime_agent_instance.lower())


class AsyncInstances:
    """The same with coroutines."""

    def __init__(self, directory: FixedInstances) -> None:
        self._directory = directory

    async def instance(self, runtime_agent_instance: str, /) -> Instance | None:
        return self._directory.instance(runtime_agent_instance)


def good() -> FixedDirectory:
    """Agents of one key, and their tasks."""
    return FixedDirectory(
        [
            Agent("a", public(1), "acct-1"),
            Agent("a2", public(1), "acct-1"),
            Agent("free", public(1)),
            Agent("bare", "", "acct-1"),
            Agent("damaged", "ssh-ed25519 AAAA", "acct-1"),
            Agent("fed", public(1), "acct-1", fedramp=True),
        ],
        [
            Task("t", "a"),
            Task("old", "a", TaskStatus.EXPIRED),
            Task("odd", "a", 99),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            Task("t", "free"),
            Task("t", "fed"),
        ],
    )


def ended(awaitable: Awaitable[T]) -> T:
    """Run what never waits, in no event loop: what is asynchronous here is so in any."""
    waiting = awaitable.__await__()
    try:
        next(waiting)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something")
