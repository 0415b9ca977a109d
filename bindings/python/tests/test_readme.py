"""The README's calls do what it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from snippets import snippets
from test_engines import in_place


@pytest.mark.parametrize(("heading", "prints"), [("Assertions", r"agent-1 task-1\n[A-Za-z0-9_-]+\n")])
def test_snippet(heading: str, prints: str) -> None:
    for snippet in snippets(heading):
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", snippet],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
            env=in_place(),
        )
        assert re.fullmatch(prints, ran.stdout)
