"""Measures what a process pays for this package, beside what signs in Python without it, and prints
JSON: medians in microseconds, memory in KiB.

`make bench` puts them into docs/benchmarks.md, into the table of all languages. The package is the one
that is installed; in the repository, PYTHONPATH=src.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOW = 1_764_000_000
GOALS = {"native": {"max_start": 30_000, "max_header": 180}}
STARTS = 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("native", "wasmtime"), help="measure this one, in this process")
    parser.add_argument("--cache", help="the folder for compiled code")
    parser.add_argument("--start", action="store_true", help="measure how long the first header takes, only")
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measured(arguments.engine, arguments.cache, arguments.start)))
        return
    engines: list[dict[str, Any]] = []
    peers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("native", "wasmtime"):
            if not is_installed(engine):
                continue
            cache = str(Path(folder, "cache"))
            figures = in_a_process(engine, cache)
            starts = [in_a_process(engine, cache, "--start") for _ in range(STARTS)]
            for part in ("load", "first"):
                figures[part] = statistics.median(start[part] for start in starts)
            peers = peers or figures["peers"]
            del figures["peers"]
            engines.append({**figures, **GOALS.get(engine, {})})
    print(json.dumps({"engines": engines, "peers": peers}))


def is_installed(engine: str) -> bool:
    return importlib.util.find_spec({"native": "agentassert._native"}.get(engine, engine)) is not None


def in_a_process(engine: str, cache: str, *arguments: str) -> Any:
    """The figures of a process of its own: what it has loaded and compiled it keeps."""
    command = [sys.executable, __file__, "--engine", engine, "--cache", cache, *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measured(engine: str, cache: str | None, only_start: bool) -> dict[str, Any]:
    before = resident()
    begun = time.perf_counter()
    from agentassert import AgentAssert

    core = AgentAssert.load(engine=engine, cache_dir=cache)
    loaded = time.perf_counter()
    key = core.generate_key(entropy=bytes([7]) * 32)
    now = NOW

    def header() -> str:
        nonlocal now
        now += 1
        return core.assert_(
            private_key=key.private_key, agent_runtime_id="agent-1", task_id="task-1", now=now
        )

    generated = time.perf_counter()
    signed = header()
    start = {"load": (loaded - begun) * 1e6, "first": (time.perf_counter() - generated) * 1e6}
    if only_start:
        return start

    def verify() -> None:
        core.verify(public_key=key.public_key, header=signed, now=NOW, skew=300)

    in_turns(header, verify)
    memory = resident() - before  # before the peers take theirs
    calls = [peer_calls() for peer_calls in (cryptography_calls, pynacl_calls)]
    times = in_turns(header, verify, *(call for _, *pair in calls for call in pair))
    peers = [
        {"name": name, "sign": times[2 + 2 * i], "verify": times[3 + 2 * i]}
        for i, (name, *_) in enumerate(calls)
    ]
    version = ".".join(map(str, sys.version_info[:2]))
    names = {"native": f"native, Python {version}", "wasmtime": f"wasmtime, with a cache, Python {version}"}
    return {
        "name": names[engine],
        **start,
        "header": times[0],
        "verify": times[1],
        "memory": memory,
        "peers": peers,
    }


SEED = bytes([7]) * 32
MESSAGE = b"agent-1:task-1:2026-11-24T15:16:08Z"
Calls = tuple[str, Callable[[], object], Callable[[], object]]


def cryptography_calls() -> Calls:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(SEED)
    public = private.public_key()
    signature = private.sign(MESSAGE)
    return "cryptography", lambda: private.sign(MESSAGE), lambda: public.verify(signature, MESSAGE)


def pynacl_calls() -> Calls:
    from nacl.signing import SigningKey

    private = SigningKey(SEED)
    public = private.verify_key
    signed = private.sign(MESSAGE)
    return "PyNaCl", lambda: private.sign(MESSAGE), lambda: public.verify(signed)


def in_turns(*calls: Callable[[], object]) -> list[float]:
    """The median of each, in microseconds. They take turns, so that a busy moment hits all alike."""
    rounds, each = 15, 200
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for i, call in enumerate(calls):
            begun = time.perf_counter()
            for _ in range(each):
                call()
            times[i].append((time.perf_counter() - begun) * 1e6 / each)
    return [statistics.median(of_one) for of_one in times]


def resident() -> float:
    """The memory of this process that is in use, in KiB; 0 where the system does not tell in this way."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next(float(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
