"""The conformance kit, in full: every vector of the ABI in each engine, and every one for hosts."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
from authority import missing, tool
from test_engines import in_place

FOLDER = pathlib.Path(__file__).resolve().parent

pytestmark = pytest.mark.skipif(bool(missing), reason=missing)


def passed(runner: str, *flags: str) -> int:
    """How many vectors pass, which have to be all that there are."""
    # A minute for an answer: wasmtime compiles the module before the first, beside other tests.
    command = [tool(), "conformance", "--complete", "--timeout", "1m", *flags, "--exec", runner]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=in_place())
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^\S+ +(\d+) +0 +0 +0 +(\d+)$", done.stdout, flags=re.MULTILINE)
    assert counts, done.stdout
    assert all(count == total for count, total in counts)
    return sum(int(count) for count, _ in counts)


def test_every_vector(engine: str) -> None:
    assert passed(f"{sys.executable} {FOLDER / 'conformance_runner.py'} --engine {engine}") > 4000


def test_every_vector_for_hosts() -> None:
    assert passed(f"{sys.executable} {FOLDER / 'hosts_runner.py'}", "--hosts") > 800
