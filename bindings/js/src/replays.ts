import { codes } from "./errors.js";
import { check, flag, kind, number, optionsOf, required, text, type Shape } from "./options.js";
import { own } from "./own.js";
import { RefusalError } from "./refusal-error.js";

/** One use of an assertion that is good in every other respect. Times are Unix seconds. */
export interface Use {
  /**
   * SHA-256, in hexadecimal, of the text that was signed or, of a runtime agent
   * instance's, of the instance and the assertion's id. It tells any two assertions apart,
   * and is the same however one is encoded or signed: the owner of a key can sign a text
   * in many ways.
   */
  digest: string;
  /** Those of a task's assertion; else empty. */
  agentRuntimeId: string;
  taskId: string;
  /** That of an instance's; else empty. */
  runtimeAgentInstance: string;
  /** The account of whoever has registered, or "". */
  accountId: string;
  /** Whether the assertion is a runtime agent instance's, and so for one request. */
  once: boolean;
  /** Now, by the verifier's clock. */
  time: number;
  /** From when on the assertion is refused for its timestamp, so that nothing need be remembered. */
  expires: number;
}

/** Remembers assertions. Several servers need one that they share. */
export interface Replays {
  /**
   * Reports whether an assertion was used before, and remembers it, in one step: of two
   * that ask at once, one is told false. Where it throws, or answers anything but true or
   * false, the request is refused.
   */
  replayed(use: Use): boolean | Promise<boolean>;
}

/** How much memoryReplays remembers. */
export interface MemoryReplaysOptions {
  /**
   * For how many seconds from its first use a task's assertion can be used again. The
   * default is 0, for one use alone, which clients of this protocol do not expect: one that
   * makes several calls on a task within a second sends the same assertion with each. Some
   * seconds let them, and leave a thief that much in place of minutes. An assertion of a
   * runtime agent instance is for one use in any case.
   */
  reuse?: number;
  /** How many assertions are held: by default 200,000, each for up to twice the verifier's skew, and a minute. */
  maxTotal?: number;
  /** How many of them of one account: by default 20,000. */
  maxPerAccount?: number;
}

const amount = kind("a number from 0 on", (value) => typeof value === "number" && value >= 0);
const shape: Shape<MemoryReplaysOptions> = { reuse: amount, maxTotal: amount, maxPerAccount: amount };

/** For a request whose look-up took long, in seconds: it was in time when it began. */
const grace = 60;

/**
 * Remembers assertions in memory, for one process. It never holds more than its limits, and
 * forgets what has expired. Where a limit is reached, calls are refused, those of one
 * account or all of them (quota_exceeded, capacity_exceeded): an assertion that was not
 * remembered could be sent again.
 *
 * Errors: invalid_options.
 */
export function memoryReplays(options: MemoryReplaysOptions = {}): Replays & {
  /** How many assertions are remembered, the expired ones included until the next use of any. */
  readonly size: number;
} {
  const {
    reuse = 0,
    maxTotal = 200_000,
    maxPerAccount = 20_000,
  } = optionsOf(options, { what: "the options of memoryReplays", code: codes.invalidOptions, shape });
  const first = new Map<string, number>(); // when each was first used
  const held = new Map<string, number>(); // how many there are, by account
  const expiring = new Map<number, { digest: string; account: string }[]>(); // by the second in which they are forgotten
  let swept = -Infinity;

  /** There are as many seconds as a verifier's skew allows, and it happens once in each. */
  function forget(now: number): void {
    if (now < swept + 1) {
      return;
    }
    swept = Math.floor(now);
    for (const [second, uses] of expiring) {
      if (second > now) {
        continue;
      }
      expiring.delete(second);
      for (const { digest, account } of uses) {
        first.delete(digest);
        const left = (held.get(account) ?? 0) - 1;
        if (left > 0) {
          held.set(account, left);
        } else {
          held.delete(account);
        }
      }
    }
  }

  return {
    get size() {
      return first.size;
    },
    replayed(use) {
      const { digest, agentRuntimeId, runtimeAgentInstance, accountId, once, time, expires } = own(use);
      check("digest", digest, required(text), codes.invalidRequest);
      check("accountId", accountId, required(text), codes.invalidRequest);
      check("agentRuntimeId", agentRuntimeId, required(text), codes.invalidRequest);
      check("runtimeAgentInstance", runtimeAgentInstance, required(text), codes.invalidRequest);
      check("once", once, required(flag), codes.invalidRequest);
      check("time", time, required(number), codes.invalidRequest);
      check("expires", expires, required(number), codes.invalidRequest);
      forget(time);
      const before = first.get(digest);
      if (before !== undefined) {
        return once || reuse === 0 || time - before > reuse; // a clock that was set back counts as no time
      }
      // One agent of nobody's is not to use up what another has.
      const account =
        accountId === "" ? `agent:${agentRuntimeId}${runtimeAgentInstance}` : `account:${accountId}`;
      const count = held.get(account) ?? 0;
      if (count >= maxPerAccount) {
        throw new RefusalError(
          "quota_exceeded",
          "the account holds as much as one account may; try again later",
        );
      }
      if (first.size >= maxTotal) {
        throw new RefusalError("capacity_exceeded", "as much is remembered as may be; try again later");
      }
      first.set(digest, time);
      held.set(account, count + 1);
      const second = Math.ceil(expires + grace);
      const uses = expiring.get(second) ?? [];
      expiring.set(second, uses);
      uses.push({ digest, account });
      return false;
    },
  };
}
