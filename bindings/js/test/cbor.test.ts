// What the codec makes of bytes that are nearly messages.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentAssert } from "agentassert";

import { decodeMessage, encodeMessage } from "../dist/internals.js";
import { fromJSON } from "./runner.js";
import { areas, vectors } from "./vectors.js";

/** A generator of numbers below a bound, the same in every run (xorshift, by Marsaglia). */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const messages = areas.flatMap((area) =>
  vectors(area)
    .slice(0, 40)
    .map(({ method = "flow.step", params, steps }) =>
      encodeMessage({ method, params: fromJSON(params ?? { event: steps?.[0]?.event ?? {} }) }),
    ),
);

test("whatever is taken for a message is one, in its only encoding but for the order of names", () => {
  const below = numbers(1);
  let taken = 0;
  for (const message of messages) {
    for (let i = 0; i < 50; i++) {
      const bytes = message.slice(0, below(8) === 0 ? below(message.length) : message.length);
      for (let changes = below(4); changes > 0 && bytes.length > 0; changes--) {
        bytes[below(bytes.length)] = below(256);
      }
      let value: unknown;
      try {
        value = decodeMessage(bytes);
      } catch (error) {
        assert.ok(error instanceof Error);
        continue;
      }
      taken++;
      assert.equal(isMessage(value) ? encodeMessage(value).length : bytes.length, bytes.length);
    }
  }
  assert.ok(taken > messages.length, "hardly anything was taken");
});

test("the core answers whatever it is sent", async () => {
  const core = await AgentAssert.load();
  const below = numbers(2);
  for (const message of messages) {
    for (let i = 0; i < 5; i++) {
      const bytes = message.slice();
      bytes[below(bytes.length)] = below(256);
      const response = decodeMessage(core.exchange(bytes)) as object;
      assert.ok("ok" in response || "error" in response);
    }
  }
});

/** Whether a value is made of what messages hold: not of null or fractions, which the core refuses. */
function isMessage(value: unknown): boolean {
  if (value === null || (typeof value === "number" && !Number.isSafeInteger(value))) {
    return false;
  }
  if (Array.isArray(value)) {
    return value.every(isMessage);
  }
  return typeof value !== "object" || value instanceof Uint8Array || Object.values(value).every(isMessage);
}
