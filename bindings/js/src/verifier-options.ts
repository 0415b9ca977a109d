import { coreKind, type Core } from "./core.js";
import { codes } from "./errors.js";
import { callback, kind, optionsOf, required, type Shape } from "./options.js";
import { memberOf } from "./own.js";
import type { Found, GrantedTask, RegisteredAgent, RegisteredInstance } from "./registered.js";
import type { Replays } from "./replays.js";
import type { Decision } from "./verified-agent.js";

/** How far a timestamp may be from the verifier's clock unless something else is asked for, in seconds. */
const defaultSkew = 300;
/**
 * The most that can be asked for: whoever reads an assertion can use it for up to twice the
 * skew, and a clock that is further off is not imprecise but wrong.
 */
const maxSkew = 900;

export interface VerifierOptions {
  /** The core, from AgentAssert.load. Several verifiers can share one. */
  core: Core;
  /**
   * Returns the key that an agent registered, in OpenSSH form, or what else is known of it;
   * undefined for one that is not known or no longer trusted. Throwing means that it could
   * not tell (directory_failed).
   *
   * The verifier's own time does not tell whether there is an agent. The time of a look-up
   * that finds nothing is the caller's to keep alike.
   */
  publicKeyOf: (agentRuntimeId: string) => Found<string | RegisteredAgent>;
  /**
   * The same for runtime agent instances. Without it none is let in: an instance is not an
   * agent with tasks, whatever their ids.
   */
  publicKeyOfInstance?: (runtimeAgentInstance: string) => Found<string | RegisteredInstance>;
  /**
   * Returns a task of an agent, or undefined. It is asked only about agents that have proven
   * their key. Without it a task's id is what the agent says: any that it has signed.
   */
  taskOf?: (agentRuntimeId: string, taskId: string) => Found<GrantedTask>;
  /** How far a timestamp may be from the clock, in either direction: whole seconds from 0 to 900. The default is 300. */
  skew?: number;
  /**
   * Is asked about each assertion that is good in every other respect. Without it an
   * assertion of a task can be used until its timestamp is too old, and that is how clients
   * of this protocol expect it: time counts in seconds for them, so the calls that they make
   * on a task within one second carry the same assertion. One of a runtime agent instance is
   * for one request: without it, these are remembered in this process, as memoryReplays does.
   */
  replays?: Replays;
  /** The clock, in Unix milliseconds. The default is Date.now. */
  now?: () => number;
  /**
   * Is told of each decision, before the request goes on or is answered, and learns the
   * reason, unlike the client. It should not take long: the request waits for it. Where it
   * throws, nobody is let in (internal).
   */
  decided?: (decision: Decision) => void | Promise<void>;
}

/** A verifier's options with nothing left open but what has no default. */
export type CheckedOptions = VerifierOptions & Required<Pick<VerifierOptions, "skew" | "now">>;

const shape: Shape<VerifierOptions> = {
  core: required(coreKind),
  publicKeyOf: required(callback),
  publicKeyOfInstance: callback,
  taskOf: callback,
  skew: kind(
    `in whole seconds from 0 to ${maxSkew}`,
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxSkew,
  ),
  replays: kind(
    "an object with the method replayed",
    (value) =>
      typeof value === "object" &&
      value !== null &&
      typeof memberOf(value as Replays, "replayed") === "function",
  ),
  now: callback,
  decided: callback,
};

/** Errors: invalid_options. */
export function verifierOptionsOf(given: VerifierOptions): CheckedOptions {
  const options = optionsOf(given, { what: "the verifier's options", code: codes.invalidOptions, shape });
  const { skew = defaultSkew, now = Date.now } = options;
  return Object.assign(options, { skew, now });
}
