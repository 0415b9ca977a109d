"""What most tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentassert import AgentAssert


@pytest.fixture(scope="session")
def core() -> Iterator[AgentAssert]:
    """The core. Loading it takes a while, and it remembers nothing that matters."""
    with AgentAssert.load() as loaded:
        yield loaded
