// One of several workers: takes the compiled module from its parent, makes its first assertion, and
// then, when all have, as many as it is told. bench.mjs runs it.
import { parentPort, workerData } from "node:worker_threads";

import { AgentAssert } from "agentassert";

const { module, privateKey, calls } = workerData;
const begun = performance.now();
const core = await AgentAssert.load(module);
let now = 1_764_000_000;
const assert = () => core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: now++ });
assert();
const first = (performance.now() - begun) * 1000;
for (let i = 0; i < 4000; i++) {
  assert(); // until the engine's compilers are done with what is hot
}
parentPort.once("message", () => {
  for (let i = 0; i < calls; i++) {
    assert();
  }
  parentPort.postMessage("done");
  parentPort.close();
});
parentPort.postMessage({ first });
