// One start: from a program that has begun to what a call can carry, once by this package and once
// by jose. Prints microseconds. In a process of its own, because an engine keeps what it has
// loaded and compiled. bench.mjs runs it.
const pkcs8 = "MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
const now = 1_764_000_000;

async function agentassert() {
  const { AgentAssert } = await import("agentassert");
  const core = await AgentAssert.load();
  core.assert({ privateKey: pkcs8, agentRuntimeId: "agent-1", taskId: "task-1", now });
}

async function jose() {
  const { SignJWT, importPKCS8 } = await import("jose");
  const key = await importPKCS8(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----`, "EdDSA");
  await new SignJWT({ agent_runtime_id: "agent-1", task_id: "task-1" })
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuedAt(now)
    .sign(key);
}

const start = performance.now();
await (process.argv[2] === "jose" ? jose() : agentassert());
console.log((performance.now() - start) * 1000);
process.exit(); // an engine that compiles on in the background would hold the next start up
