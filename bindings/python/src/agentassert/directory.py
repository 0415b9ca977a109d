"""Where a verifier looks up who has registered: what it has to know of agents, of their tasks, and of
runtime agent instances."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable


@dataclass(frozen=True)
class Agent:
    """What a verifier has to know of an agent."""

    runtime_id: str
    """The agent's id as the directory has it."""
    public_key: str
    """The key that the agent registered, in OpenSSH form, without a comment: ``ssh-ed25519 …``."""
    account_id: str = ""
    """The account that it registered for. Where it is empty, the account that a request names is not
    checked."""
    fedramp: bool = False
    """Whether this is a FedRAMP account: its requests must carry ``X-OpenAI-Fedramp: true``."""


class TaskStatus(Enum):
    """How a task stands."""

    ACTIVE = "active"
    """Granted."""
    EXPIRED = "expired"
    """Granted once, and taken back."""


@dataclass(frozen=True)
class Task:
    """What a verifier has to know of a task."""

    id: str
    """The task's id as the directory has it."""
    agent_runtime_id: str
    """The agent that it was granted to, likewise."""
    status: TaskStatus = TaskStatus.ACTIVE


@dataclass(frozen=True)
class Instance:
    """What a verifier has to know of a runtime agent instance."""

    id: str
    """The instance's id as the directory has it."""
    public_key: str
    """The key that the instance registered, in OpenSSH form, without a comment."""
    account_id: str = ""
    """The account that it registered for. Where it is empty, the account that a request names is not
    checked."""
    fedramp: bool = False
    """Whether this is a FedRAMP account."""
    revoked: bool = False
    """Whether the instance is no longer let in. Only who has its key is told."""


class Directory(Protocol):
    """Where a verifier looks agents and tasks up, with the ids of whoever sends a request: text of 1 to
    4096 bytes of UTF-8 without control characters. WSGI servers call it from several threads at once.

    Its methods are plain ones or coroutines; a ``verify`` that is not asynchronous takes plain ones
    only. Those are called where the request is served: in an event loop they must not block.

    They return ids as they are stored, and not as they were asked for. A database can take two
    spellings for the same text (another case, another form of Unicode, spaces at the end), and an
    application that keeps records by a principal's id cannot: a verifier lets nobody in by another
    spelling.

    Nor does the verifier's own time tell whether there is an agent. The time of a look-up that finds
    nothing is the directory's to keep alike.

    An exception means that the directory could not tell.
    """

    def agent(self, agent_runtime_id: str, /) -> Agent | Awaitable[Agent | None] | None:
        """Return an agent, or None for one that is not known or no longer trusted."""
        ...

    def task(self, agent_runtime_id: str, task_id: str, /) -> Task | Awaitable[Task | None] | None:
        """Return a task of that agent, or None. It is asked only about agents that have proven their
        key."""
        ...


class InstanceDirectory(Protocol):
    """Where a verifier looks runtime agent instances up. It is no Directory: an instance is not an agent
    with tasks, and neither can be taken for the other, whatever their ids. What is said there of
    methods, spellings, time and exceptions holds here."""

    def instance(self, runtime_agent_instance: str, /) -> Instance | Awaitable[Instance | None] | None:
        """Return an instance, or None for one that is not known."""
        ...
