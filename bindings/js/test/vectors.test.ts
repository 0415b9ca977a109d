// All test vectors, against the module in this engine.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentAssert } from "agentassert";

import { decodeMessage, encodeMessage } from "../dist/cbor.js";
import { areas, fromJSON, vectors, type Vector } from "./vectors.js";

interface Response {
  ok?: unknown;
  error?: { code: string; message?: string };
}

const core = await AgentAssert.load();

/** One call. The answer has to be the deterministic encoding of what it says. */
function exchange(method: string, params: unknown): Response {
  const bytes = core.exchange(encodeMessage({ method, params }));
  const response = decodeMessage(bytes) as Response;
  assert.deepEqual(encodeMessage(response), bytes);
  return response;
}

/** Takes the message, which is not pinned, out of an error. */
function forgetMessage(error: { message?: string } | undefined): void {
  if (error) {
    assert.ok(error.message, "an error has a message for people");
    delete error.message;
  }
}

function check(vector: Vector): void {
  if (!vector.steps) {
    const got = exchange(vector.method ?? "", fromJSON(vector.params));
    forgetMessage(got.error);
    assert.deepEqual(got, fromJSON(vector.error ? { error: vector.error } : { ok: vector.ok }));
    return;
  }
  let state: unknown;
  for (const [i, step] of vector.steps.entries()) {
    const { ok, error } = exchange("flow.step", { event: fromJSON(step.event), state });
    forgetMessage(error);
    assert.deepEqual(error, step.error, `step ${i}`);
    if (!ok) {
      continue;
    }
    const result = ok as {
      state?: unknown;
      effect: { type: string; authorization?: { cause?: { message?: string } } };
    };
    state = result.state;
    forgetMessage(result.effect.authorization?.cause);
    assert.deepEqual(result.effect, fromJSON(step.effect), `step ${i}`);
    assert.equal(state === undefined, result.effect.type === "done", `step ${i}: the state`);
  }
}

for (const area of areas) {
  describe(area, () => {
    for (const vector of vectors(area)) {
      test(vector.id, () => {
        check(vector);
      });
    }
  });
}
