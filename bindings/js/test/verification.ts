// Who has registered with a server under test, and what they send. All have one of two keys.
import { AgentAssert, type GrantedTask, type RegisteredAgent, type RegisteredInstance } from "agentassert";

/** 2026-11-24T15:16:08Z, in Unix seconds. */
export const start = 1_795_533_368;

export const core = await AgentAssert.load();

const keys = [1, 2].map((seed) => core.generateKey(new Uint8Array(32).fill(seed)));

function keyOf(seed: number) {
  const key = keys[seed - 1];
  if (!key) {
    throw new Error(`there is no key ${seed}`);
  }
  return key;
}

/** The public key that a seed stands for, 1 or 2. */
export const publicKey = (seed: number): string => keyOf(seed).publicKey;

/** The value of Authorization with the assertion of a task. */
export function taskHeader(seed: number, agentRuntimeId: string, taskId: string, now = start): string {
  return core.assert({ privateKey: keyOf(seed).privateKey, agentRuntimeId, taskId, now });
}

/** The n-th assertion of a runtime agent instance. */
export function instanceValue(seed: number, runtimeAgentInstance: string, now = start, n = 1): string {
  const entropy = new Uint8Array(16);
  entropy[15] = n;
  return core.assertInstance({ privateKey: keyOf(seed).privateKey, runtimeAgentInstance, now, entropy });
}

const agents: RegisteredAgent[] = [
  { agentRuntimeId: "a", publicKey: publicKey(1), accountId: "acct-1" },
  { agentRuntimeId: "a2", publicKey: publicKey(1), accountId: "acct-1" },
  { agentRuntimeId: "free", publicKey: publicKey(1), accountId: null },
  { agentRuntimeId: "bare", publicKey: "", accountId: "acct-1" },
  { agentRuntimeId: "damaged", publicKey: "ssh-ed25519 AAAA", accountId: "acct-1" },
  { agentRuntimeId: "odd", publicKey: publicKey(1), accountId: 5 as unknown as string },
  { agentRuntimeId: "fed", publicKey: publicKey(1), accountId: "acct-1", fedramp: true },
  { agentRuntimeId: "agent-alone", publicKey: publicKey(1) },
];

const tasks: GrantedTask[] = [
  { taskId: "t", agentRuntimeId: "a" },
  { taskId: "old", agentRuntimeId: "a", status: "expired" },
  { taskId: "odd", agentRuntimeId: "a", status: "?" as "active" },
  { taskId: "t", agentRuntimeId: "free" },
  { taskId: "t", agentRuntimeId: "fed" },
];

const instances: RegisteredInstance[] = [
  { runtimeAgentInstance: "a", publicKey: publicKey(1), accountId: "acct-1" },
  { runtimeAgentInstance: "i", publicKey: publicKey(1) },
  { runtimeAgentInstance: "b", publicKey: publicKey(1) },
  { runtimeAgentInstance: "fed", publicKey: publicKey(1), fedramp: true },
  { runtimeAgentInstance: "revoked", publicKey: publicKey(1), revoked: true },
  { runtimeAgentInstance: "alone", publicKey: publicKey(1) },
  { runtimeAgentInstance: "keyless", publicKey: "" },
];

/** A verifier's answers about them. Instances are found in whatever case, as some databases do. */
export const directory = {
  publicKeyOf: (id: string) => agents.find(({ agentRuntimeId }) => agentRuntimeId === id),
  publicKeyOfInstance: (id: string) => {
    if (id === "broken") {
      throw new Error("the database is away");
    }
    return instances.find(({ runtimeAgentInstance }) => runtimeAgentInstance === id.toLowerCase());
  },
  taskOf: (id: string, task: string) =>
    tasks.find(({ agentRuntimeId, taskId }) => agentRuntimeId === id && taskId === task),
};
