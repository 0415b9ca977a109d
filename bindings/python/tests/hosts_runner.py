"""Answers what the conformance kit asks hosts (testvectors/README.md) with this package's policy.

agentassert conformance --hosts --complete --exec 'python bindings/python/tests/hosts_runner.py'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from hosts import ask
from vectors import from_json

from agentassert.errors import AgentAssertError


def main() -> None:
    for line in sys.stdin:
        call = json.loads(line)
        response: dict[str, Any] = {"ok": {}}
        try:
            ask(from_json(call["request"]["params"]))
        except AgentAssertError as error:
            response = {"error": {"code": error.code, "message": error.message}}
        print(json.dumps({"id": call["id"], "response": response}), flush=True)


if __name__ == "__main__":
    main()
