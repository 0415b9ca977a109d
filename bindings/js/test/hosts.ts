// The vectors for hosts, which are no calls of a module.
import { readFileSync } from "node:fs";

import type { Credentials, FlowConfig, FlowEffect, FlowEvent, Header } from "agentassert";

import { FlowPolicy, fromWire } from "../dist/internals.js";
import { fromJSON, parseVectors } from "./runner.js";

/** An effect that was let pass, and what it came to. */
interface Before {
  effect: FlowEffect;
  responseHeaders?: Header[];
  entropy?: Uint8Array;
}

/** The parameters of host.effect. */
export interface HostEffect {
  config: FlowConfig;
  surface: string;
  threadId?: string;
  credentials: Credentials;
  entropy?: Uint8Array;
  before?: Before[];
  now: number;
  effect: FlowEffect;
}

/** Returns the message that a JSON form stands for, with this package's names. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the vectors have messages of all types
export function messageOf<T>(json: unknown): T {
  return fromWire(fromJSON(json) as never) as T;
}

export function hostVectors() {
  const path = new URL("../../../testvectors/hosts/effects.json", import.meta.url);
  return parseVectors(readFileSync(path, "utf8")).map(({ id, comment, params, error }) => ({
    id,
    comment,
    params: messageOf<HostEffect>(params),
    /** As it is in the file. */
    json: params as { before?: { effect: unknown }[]; effect: unknown },
    error,
  }));
}

/** Returns the policy of a call. */
function policyOf({ config, surface, threadId, credentials, entropy }: HostEffect): FlowPolicy {
  return new FlowPolicy({ config, surface, threadId, entropy, credentials });
}

/** Returns the policy of a call, after the effects before the one in question. Throws what it throws. */
export function policyAfter(question: HostEffect): FlowPolicy {
  const { before = [], now } = question;
  const policy = policyOf(question);
  for (const { effect, responseHeaders: headers = [], entropy } of before) {
    const event: FlowEvent = entropy
      ? { type: "entropy", entropy }
      : { type: "response", status: 200, headers };
    policy.answered(policy.effect(effect, now), event);
  }
  return policy;
}

/** Asks the policy about an effect, after those before it. Throws what it throws. */
export function ask(question: HostEffect): void {
  policyAfter(question).effect(question.effect, question.now);
}
