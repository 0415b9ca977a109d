// All test vectors, against the module in this engine.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";

import { AgentAssert } from "agentassert";

import * as codec from "../dist/internals.js";
import { check, exchanger } from "./runner.js";
import { areas, vectors } from "./vectors.js";

const exchange = exchanger(await AgentAssert.load(), codec);

for (const area of areas) {
  test(`the vectors of ${area}`, () => {
    for (const vector of vectors(area)) {
      const difference = check(vector, exchange);
      assert.equal(difference, undefined, `${vector.id}: ${inspect(difference, { depth: 10 })}`);
    }
  });
}

test("no area is left out", () => {
  const files = readdirSync(new URL("../../../testvectors/", import.meta.url));
  assert.deepEqual(
    files.filter((name) => name.endsWith(".json")).sort(),
    areas.map((area) => `${area}.json`).sort(),
  );
});

test("the runner finds differences", () => {
  const [call] = vectors("keys");
  const flow = vectors("flows").find(({ steps }) => steps && steps.length > 3);
  assert.ok(call && flow?.steps);
  assert.equal(check({ ...call, ok: { private_key: "" } }, exchange)?.path, "ok.private_key");
  assert.equal(check({ ...call, error: { code: "other" } }, exchange)?.path, "response");
  const steps = flow.steps.map((step, i) =>
    i === 2 ? { ...step, effect: { type: "lock", more: 1 } } : step,
  );
  assert.match(check({ ...flow, steps }, exchange)?.path ?? "", /^steps\[2\]\.effect/);
});
