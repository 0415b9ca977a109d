"""What a process loads until its first header. Time is not measured here (bench.py does that), but what
takes it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from test_engines import in_place

FIRST_HEADER = """
import sys
before = set(sys.modules)
from agentassert import AgentAssert
core = AgentAssert.load(engine="native")
core.assert_(private_key=sys.argv[1], agent_runtime_id="agent-1", task_id="task-1")
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.skipif(not importlib.util.find_spec("agentassert._native"), reason="there is no native engine")
def test_the_first_header_takes_few_modules() -> None:
    from agentassert import AgentAssert

    with AgentAssert.load() as core:
        key = core.generate_key().private_key
    command = [sys.executable, "-S", "-c", FIRST_HEADER, key]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True, env=in_place())
    loaded = ran.stdout.split()
    assert "agentassert._native" in loaded
    # Each of these takes milliseconds, of the thirty that there are.
    slow = {"asyncio", "concurrent.futures", "dataclasses", "httpx", "inspect", "json", "re", "ssl", "typing"}
    assert not slow & set(loaded)
    assert len(loaded) < 40, loaded
