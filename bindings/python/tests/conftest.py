"""What most tests need."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from settings import Setting, settings

from agentassert import AgentAssert


@pytest.fixture(scope="session")
def core() -> Iterator[AgentAssert]:
    """The core. Loading it takes a while, and it remembers nothing that matters."""
    with AgentAssert.load() as loaded:
        yield loaded


def _engines() -> list[object]:
    """The engines, those that are missing among them, so that it is said what is skipped."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(not importlib.util.find_spec(module), reason=f"there is no {module}"),
        )
        for name, module in (("native", "agentassert._native"), ("wasmtime", "wasmtime"))
    ]


@pytest.fixture(params=_engines(), scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is installed."""
    return str(request.param)


@pytest.fixture(params=["threads", "asyncio"])
def setting(request: pytest.FixtureRequest, core: AgentAssert) -> Iterator[Setting]:
    """A backend, a store, a clock and managers: those for threads, then those for asyncio."""
    yield from settings(core, str(request.param))
