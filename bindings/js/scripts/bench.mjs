// Measures this package beside its peers, in one run, and prints JSON: medians in
// microseconds. `make bench` puts them into docs/benchmarks.md.
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import * as noble from "@noble/ed25519";
import { AgentAssert, Manager, memoryStore } from "agentassert";
import { SignJWT, importPKCS8 } from "jose";

const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];

const core = await AgentAssert.load();
const seed = new Uint8Array(32).fill(7);
const { privateKey } = core.generateKey(seed);
// PKCS#8 of version 1: OpenSSL does not read the version that carries the public key.
const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
const joseKey = await importPKCS8(key.export({ format: "pem", type: "pkcs8" }), "EdDSA");
const message = Buffer.from("agent-1:task-1:2026-11-24T15:16:08Z");
noble.hashes.sha512 = (data) => new Uint8Array(createHash("sha512").update(data).digest()); // the fastest there is

const warmUp = 20; // rounds, until the engine's compilers are done with what is hot
const rounds = 15;

// First, for what has run before in the process, jose's promises for one, makes it look slower.
const record = JSON.stringify({
  workspace_id: "a",
  agent_runtime_id: "agent-1",
  agent_private_key: privateKey,
  background_task_id: "task-1",
});
const manager = new Manager({
  core,
  baseUrl: "https://chatgpt.com",
  agentIdentity: true,
  store: memoryStore({ identity: new TextEncoder().encode(record) }),
  credentials: { kind: "chatgpt", accessToken: "t", accountId: "a" },
  now: () => 1_764_000_000_000, // what is measured is the answer that is kept
});
const warm = [];
for (let round = -warmUp; round < rounds; round++) {
  const start = performance.now();
  for (let i = 0; i < 10_000; i++) {
    await manager.authorization("models");
  }
  if (round >= 0) {
    warm.push(((performance.now() - start) * 1000) / 10_000);
  }
}

let now = 1_764_000_000;
const peers = {
  assertion: () => core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: now++ }),
  noble: () => noble.sign(message, seed),
  openssl: () => sign(null, message, key),
  // The one that has no result at once, for it signs by WebCrypto, in another thread.
  jose: () =>
    new SignJWT({ agent_runtime_id: "agent-1", task_id: "task-1" })
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuedAt(now++)
      .sign(joseKey),
};

// They have to do the same work.
if (!Buffer.from(noble.sign(message, seed)).equals(sign(null, message, key))) {
  throw new Error("the peers' signatures differ");
}

const calls = 200;
const times = { assertion: [], noble: [], openssl: [], jose: [] };
for (let round = -warmUp; round < rounds; round++) {
  // In turns, so that a busy moment hits all alike.
  for (const [name, call] of Object.entries(peers)) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
      const result = call();
      if (result instanceof Promise) {
        await result;
      }
    }
    const each = ((performance.now() - start) * 1000) / calls;
    if (round >= 0) {
      times[name].push(each);
    }
  }
}

/** Returns how long starts take of what is measured and of its peer, in turns, by name. */
function starts(...names) {
  const script = fileURLToPath(new URL("start.mjs", import.meta.url));
  const taken = names.map(() => []);
  for (let i = 0; i < 15; i++) {
    names.forEach((name, n) =>
      taken[n].push(Number(execFileSync(process.execPath, [script, name], { encoding: "utf8" }))),
    );
  }
  return taken.map(middle);
}

const module = await WebAssembly.compile(
  await readFile(fileURLToPath(import.meta.resolve("agentassert/agentassert.wasm"))),
);

/** Returns by how much the process grows with each further instance that has made an assertion, in KiB. */
async function instanceMemory() {
  const cores = 16;
  const load = async () => {
    const one = await AgentAssert.load(module);
    one.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
    return one;
  };
  const kept = [await load()]; // what all share is there from then on
  const before = process.memoryUsage.rss();
  while (kept.length <= cores) {
    kept.push(await load());
  }
  const grown = (process.memoryUsage.rss() - before) / 1024 / cores;
  kept.forEach((one) => one.forget());
  return grown;
}

/** Returns how many assertions so many workers make in a second, and how long each takes to the first, in microseconds. */
async function inWorkers(count) {
  const each = 4000;
  const script = new URL("worker.mjs", import.meta.url);
  const workers = Array.from(
    { length: count },
    () => new Worker(script, { workerData: { module, privateKey, calls: each } }),
  );
  const ready = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
  const start = performance.now();
  const done = workers.map((worker) => once(worker, "message"));
  workers.forEach((worker) => worker.postMessage("go"));
  await Promise.all(done);
  const rate = (count * each) / ((performance.now() - start) / 1000);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { rate, first: middle(ready.map(({ first }) => first)) };
}

const memory = await instanceMemory();
const [alone, four] = [await inWorkers(1), await inWorkers(4)];
const [start, startJose] = starts("agentassert", "jose");

console.log(
  JSON.stringify({
    node: process.version,
    assertion: middle(times.assertion),
    noble: middle(times.noble),
    openssl: middle(times.openssl),
    jose: middle(times.jose),
    start,
    startJose,
    warm: middle(warm),
    memory,
    alone,
    four,
  }),
);
