import { isCore, type Core } from "./core.js";
import { codes, failure } from "./errors.js";
import { memberOf, own } from "./own.js";
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
export type CheckedOptions = Required<Pick<VerifierOptions, "core" | "publicKeyOf" | "skew" | "now">> &
  Pick<VerifierOptions, "publicKeyOfInstance" | "taskOf" | "replays" | "decided">;

const functions = ["publicKeyOf", "publicKeyOfInstance", "taskOf", "now", "decided"] as const;
const names: ReadonlySet<string> = new Set([...functions, "core", "skew", "replays"]);

/** Errors: invalid_options. */
export function checkedVerifierOptions(from: VerifierOptions): CheckedOptions {
  const options = own<VerifierOptions>(isObject(from) ? from : ({} as VerifierOptions));
  const { core, skew = defaultSkew, now = Date.now, replays } = options;
  const unknown = Object.keys(options).find((name) => !names.has(name));
  if (unknown !== undefined) {
    throw invalidOptions(
      `there is none called ${JSON.stringify(unknown)}; there are ${[...names].join(", ")}`,
    );
  }
  if (!isCore(core)) {
    throw invalidOptions("core is missing; give what AgentAssert.load returns, awaited");
  }
  for (const name of functions) {
    const given: unknown = options[name];
    if (typeof given !== "function" && (given !== undefined || name === "publicKeyOf")) {
      throw invalidOptions(`${name} is no function`);
    }
  }
  if (!Number.isInteger(skew) || skew < 0 || skew > maxSkew) {
    throw invalidOptions(`skew is not in whole seconds from 0 to ${maxSkew}`);
  }
  if (replays !== undefined && !(isObject(replays) && typeof memberOf(replays, "replayed") === "function")) {
    throw invalidOptions("replays has no method replayed");
  }
  return Object.assign(options, { core, skew, now });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function invalidOptions(problem: string) {
  return failure(codes.invalidOptions, `the verifier's options: ${problem}`);
}
