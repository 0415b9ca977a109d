// Measures this package beside its peers, in one run, and prints JSON: medians in
// microseconds. `make bench` puts them into docs/benchmarks.md.
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { fileURLToPath } from "node:url";

import * as noble from "@noble/ed25519";
import { AgentAssert, Manager, memoryStore } from "agentassert";

if (process.argv[2] === "load") {
  // In a process of its own, because an engine keeps what it has compiled.
  const start = performance.now();
  const fresh = await AgentAssert.load();
  const loaded = performance.now();
  const { privateKey } = fresh.generateKey();
  const key = performance.now();
  fresh.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: 1_764_000_000 });
  console.log(JSON.stringify([loaded - start, performance.now() - key].map((ms) => ms * 1000)));
  process.exit();
}

const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];

const core = await AgentAssert.load();
const seed = new Uint8Array(32).fill(7);
const { privateKey } = core.generateKey(seed);
// PKCS#8 of version 1: OpenSSL does not read the version that carries the public key.
const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
const message = Buffer.from("agent-1:task-1:2026-11-24T15:16:08Z");
noble.hashes.sha512 = (data) => new Uint8Array(createHash("sha512").update(data).digest()); // the fastest there is

let now = 1_764_000_000;
const peers = {
  assertion: () => core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: now++ }),
  noble: () => noble.sign(message, seed),
  openssl: () => sign(null, message, key),
};

// They have to do the same work.
if (!Buffer.from(noble.sign(message, seed)).equals(sign(null, message, key))) {
  throw new Error("the peers' signatures differ");
}

const warmUp = 20; // rounds, until the engine's compilers are done with what is hot
const rounds = 15;
const calls = 200;
const times = { assertion: [], noble: [], openssl: [] };
for (let round = -warmUp; round < rounds; round++) {
  // In turns, so that a busy moment hits all alike.
  for (const [name, call] of Object.entries(peers)) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
      call();
    }
    const each = ((performance.now() - start) * 1000) / calls;
    if (round >= 0) {
      times[name].push(each);
    }
  }
}

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
for (let round = 0; round < rounds; round++) {
  const start = performance.now();
  for (let i = 0; i < 10_000; i++) {
    await manager.authorization("models");
  }
  warm.push(((performance.now() - start) * 1000) / 10_000);
}

const script = fileURLToPath(import.meta.url);
const starts = Array.from({ length: 11 }, () => JSON.parse(execFileSync(process.execPath, [script, "load"])));

console.log(
  JSON.stringify({
    node: process.version,
    assertion: middle(times.assertion),
    noble: middle(times.noble),
    openssl: middle(times.openssl),
    load: middle(starts.map(([load]) => load)),
    first: middle(starts.map(([, first]) => first)),
    warm: middle(warm),
  }),
);
