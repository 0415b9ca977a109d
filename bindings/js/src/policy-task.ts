import type { FlowAuthorization, FlowConfig } from "./messages.js";
import { own } from "./own.js";
import { base64url, checkBody, isID, maxID, type Request, type Slots } from "./policy-profile.js";

// What the profiles have in common whose agents assert tasks.

/** The slots that the profiles with a stored identity use. It is swapped, and not saved, and nothing but the failures is ever removed. */
export const identitySlots: Slots = {
  load: ["identity", "backoff", "backend", "set-aside"],
  lock: ["identity"],
  probe: ["identity"],
  save: ["backoff", "backend", "set-aside"],
  delete: ["backoff"],
  swap: ["identity"],
};

/** Reports whether a URL registers the identity. */
export function isIdentityURL(url: string, registrar: string): boolean {
  return url === `${registrar}/v1/agent/register`;
}

/** Wants the registration of an identity to say what the configuration has it say, with some key that the module has made. */
export function checkIdentity(request: Request, { abom, profile, capabilities }: FlowConfig): void {
  const { agentVersion, agentHarnessId, runningLocation } = own(abom);
  const isAuthAPI = profile === "auth-api";
  checkBody(request, "agent_public_key", (publicKey) => ({
    abom: own({
      agent_version: agentVersion,
      agent_harness_id: agentHarnessId,
      running_location: runningLocation,
    }),
    agent_public_key: publicKey,
    // Without a prototype, as all of it: a list could get a method toJSON from there.
    capabilities: Object.setPrototypeOf(
      [...(capabilities ?? (isAuthAPI ? ["responsesapi"] : []))],
      null,
    ) as string[],
    ...(isAuthAPI && { ttl: null }),
  }));
}

/** Reports whether a URL registers a task for an agent of whatever id: one segment, of which no server can make several. */
export function isTaskURL(url: string, registrar: string): boolean {
  const [before, after] = [`${registrar}/v1/agent/`, "/task/register"];
  const id = url.slice(before.length, -after.length);
  return (
    url === before + id + after &&
    id.length <= 3 * maxID && // with every byte escaped
    /^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$/.test(id) &&
    ![".", ".."].includes(id)
  );
}

/** Reports whether an answer's header says what the answer does, in the canonical form of a task's assertion, and nothing else. */
export function isTaskAssertion({
  header = "",
  agentRuntimeId = "",
  taskId = "",
  runtimeAgentInstance,
  agentAssertion,
  validUntil,
}: FlowAuthorization): boolean {
  const [, encoded = ""] = /^AgentAssertion ([A-Za-z0-9_-]+)$/.exec(header) ?? [];
  const isNamed = [agentRuntimeId, taskId].every(isID) && !agentRuntimeId.includes(":");
  if (runtimeAgentInstance || agentAssertion || !isNamed || encoded.length % 4 === 1) {
    return false;
  }
  // The signature's 64 bytes in base64 are the one part that only the module knows.
  const text = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  const [, signature] = /"signature":"([A-Za-z0-9+/]{85}[AQgw]==)","task_id":/.exec(text) ?? [];
  const timestamp = new Date(validUntil * 1000).toISOString().replace(".000Z", "Z");
  const envelope = own({ agent_runtime_id: agentRuntimeId, signature, task_id: taskId, timestamp });
  return signature !== undefined && encoded === base64url(JSON.stringify(envelope));
}
