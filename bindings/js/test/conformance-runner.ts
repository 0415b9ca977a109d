// Answers the conformance kit (testvectors/README.md) with this package:
//
//     agentassert conformance --exec 'node bindings/js/dist-test/conformance-runner.js'
//
// What the vectors for hosts ask (--hosts) is for the package's policy to say.
import { createInterface } from "node:readline";

import { AgentAssert, AgentAssertError } from "agentassert";

import { decodeMessage, encodeMessage } from "../dist/internals.js";
import { ask, messageOf } from "./hosts.js";
import { fromJSON, parseJSON, toJSON } from "./runner.js";

const core = await AgentAssert.load();

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { id, request } = parseJSON(line) as { id: string; request: { method: string; params: unknown } };
  const response =
    request.method === "host.effect"
      ? askHost(request.params)
      : decodeMessage(core.exchange(encodeMessage(fromJSON(request))));
  process.stdout.write(JSON.stringify({ id, response: toJSON(response) }) + "\n");
}

function askHost(params: unknown): object {
  try {
    ask(messageOf(params));
    return { ok: {} };
  } catch (error) {
    if (!(error instanceof AgentAssertError)) {
      throw error;
    }
    return { error: { code: error.code, message: error.message } };
  }
}
