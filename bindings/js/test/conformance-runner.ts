// Answers the conformance kit (testvectors/README.md) with this package:
//
//     agentassert conformance --exec 'node bindings/js/dist-test/conformance-runner.js'
import { createInterface } from "node:readline";

import { AgentAssert } from "agentassert";

import { decodeMessage, encodeMessage } from "../dist/cbor.js";
import { fromJSON, parseJSON, toJSON } from "./runner.js";

const core = await AgentAssert.load();

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { id, request } = parseJSON(line) as { id: string; request: unknown };
  const response = decodeMessage(core.exchange(encodeMessage(fromJSON(request))));
  process.stdout.write(JSON.stringify({ id, response: toJSON(response) }) + "\n");
}
