// The vectors for hosts, which are no calls of a module.
import { readFileSync } from "node:fs";

import type { Credentials, FlowConfig, FlowEffect, Header } from "agentassert";

import { fromWire } from "../dist/messages.js";
import { FlowPolicy } from "../dist/policy.js";
import { fromJSON, parseVectors } from "./runner.js";

/** The parameters of host.effect. */
export interface HostEffect {
  config: FlowConfig;
  surface: string;
  threadId?: string;
  credentials: Credentials;
  entropy?: Uint8Array;
  before?: { effect: FlowEffect; responseHeaders?: Header[] }[];
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
export function policyOf({ config, surface, threadId, credentials, entropy }: HostEffect): FlowPolicy {
  return new FlowPolicy({ config, surface, threadId, entropy, credentials });
}

/** Asks the policy about an effect, after those before it. Throws what it throws. */
export function ask(question: HostEffect): void {
  const { before = [], now, effect } = question;
  const policy = policyOf(question);
  for (const { effect, responseHeaders: headers = [] } of before) {
    policy.answered(policy.effect(effect, now), { type: "response", status: 200, headers });
  }
  policy.effect(effect, now);
}
