"""The Go side, for tests: the tool, and the backend that it serves."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[3]

missing = (
    "" if shutil.which("go") else "Go is not installed, so that there is no agentassert tool to test against"
)
"""Why the tool cannot be had; empty if it can."""


@functools.cache
def tool() -> str:
    """Build the tool, or take the one in AGENTASSERT_TOOL, and return its path."""
    given = os.environ.get("AGENTASSERT_TOOL")
    if given:
        return given
    path = ROOT / "bindings" / "python" / "build" / "agentassert"
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["go", "build", "-o", path, "./cmd/agentassert"], cwd=ROOT, check=True)
    return str(path)


@dataclass
class Authority:
    """A running authority."""

    address: str
    log_file: pathlib.Path

    @property
    def base_url(self) -> str:
        return f"http://{self.address}/backend-api"

    def log(self) -> list[dict[str, Any]]:
        """What it has answered so far."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]


@contextlib.contextmanager
def authority(folder: pathlib.Path) -> Generator[Authority]:
    """Start an authority on a free port of this machine."""
    address_file, log_file = folder / "address", folder / "log"
    flags = [
        "--listen",
        "127.0.0.1:0",
        "--accept-any-bearer",
        "--log",
        str(log_file),
        "--addr-file",
        str(address_file),
    ]
    process = subprocess.Popen([tool(), "authority", *flags], stdout=subprocess.DEVNULL)
    try:
        for _ in range(6000):
            if address_file.exists() or process.poll() is not None:
                break
            time.sleep(0.01)
        yield Authority(address_file.read_text().strip(), log_file)
    finally:
        process.terminate()
        process.wait(60)
