"""Answers the conformance kit (testvectors/README.md) with this package.

agentassert conformance --complete --exec 'python bindings/python/tests/conformance_runner.py'
"""

from __future__ import annotations

import argparse
import json
import sys

from vectors import from_json, to_json

from agentassert import AgentAssert
from agentassert.cbor import decode, encode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("native", "wasmtime"))
    core = AgentAssert.load(engine=parser.parse_args().engine)
    for line in sys.stdin:
        if not line.strip():
            continue
        call = json.loads(line)
        # The whole of it through the codec, and the answer's message and names as they are.
        answer = core.exchange(encode(from_json(call["request"])))
        response = decode(answer)
        if encode(response) != answer:
            raise SystemExit(f"{call['id']}: the answer is not encoded as this package encodes it")
        print(json.dumps({"id": call["id"], "response": to_json(response)}), flush=True)


if __name__ == "__main__":
    main()
