// Measures what a process pays for this package, beside what signs in JavaScript without it, and
// prints JSON: medians in microseconds, memory in KiB. `make bench` puts them into
// docs/benchmarks.md, into the table of all languages.
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { fileURLToPath } from "node:url";

const begun = performance.now();
const resident = () => process.memoryUsage.rss() / 1024;
const before = resident();
const { AgentAssert } = await import("agentassert");
const core = await AgentAssert.load();
const loaded = performance.now();
const seed = new Uint8Array(32).fill(7);
const { privateKey, publicKey } = core.generateKey(seed);
let now = 1_764_000_000;
const assert = () => core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: now++ });
const generated = performance.now();
const header = assert();
const start = { load: (loaded - begun) * 1000, first: (performance.now() - generated) * 1000 };

if (process.argv[2] === "start") {
  console.log(JSON.stringify(start)); // in a process of its own, because an engine keeps what it has compiled
  process.exit();
}

const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** Returns each function's median, in microseconds. They take turns, so that a busy moment hits all alike. */
function inTurns(functions) {
  const warmUp = 20; // rounds, until the engine's compilers are done with what is hot
  const [rounds, calls] = [15, 200];
  const times = functions.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    functions.forEach((call, i) => {
      const start = performance.now();
      for (let n = 0; n < calls; n++) {
        call();
      }
      if (round >= 0) {
        times[i].push(((performance.now() - start) * 1000) / calls);
      }
    });
  }
  return times.map(middle);
}

const check = () => core.verify({ publicKey, header, now: 1_764_000_000, skew: 300 });
inTurns([assert, check]);
const memory = resident() - before; // before the peers take theirs

const noble = await import("@noble/ed25519");
noble.hashes.sha512 = (data) => new Uint8Array(createHash("sha512").update(data).digest()); // the fastest there is
// PKCS#8 of version 1: OpenSSL does not read the version that carries the public key.
const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
const [opensslPublicKey, noblePublicKey] = [createPublicKey(key), noble.getPublicKey(seed)];
const message = Buffer.from("agent-1:task-1:2026-11-24T15:16:08Z");
const signature = sign(null, message, key);
const [ours, verified, openssl, opensslVerified, nobleSigned, nobleVerified] = inTurns([
  assert,
  check,
  () => sign(null, message, key),
  () => verify(null, message, opensslPublicKey, signature),
  () => noble.sign(message, seed),
  () => noble.verify(signature, message, noblePublicKey),
]);

const script = fileURLToPath(import.meta.url);
const starts = Array.from({ length: 11 }, () =>
  JSON.parse(execFileSync(process.execPath, [script, "start"])),
);

console.log(
  JSON.stringify({
    engines: [
      {
        name: `Node ${process.version}`,
        load: middle(starts.map(({ load }) => load)),
        first: middle(starts.map(({ first }) => first)),
        header: ours,
        verify: verified,
        memory,
      },
    ],
    peers: [
      { name: "node:crypto", sign: openssl, verify: opensslVerified },
      { name: "@noble/ed25519", sign: nobleSigned, verify: nobleVerified },
    ],
  }),
);
