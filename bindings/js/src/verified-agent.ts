import type { RefusalError } from "./refusal-error.js";

/**
 * Who has proven a key: an agent, on a task, or a runtime agent instance. Neither is ever
 * the other. It is an object without a prototype: what it does not have is not to be found
 * elsewhere.
 */
export type VerifiedAgent = VerifiedTask | VerifiedInstance;

/** An agent, on a task of its. */
export interface VerifiedTask extends Verified {
  form: "task";
  agentRuntimeId: string;
  taskId: string;
  runtimeAgentInstance?: undefined;
}

/** A runtime agent instance. */
export interface VerifiedInstance extends Verified {
  form: "instance";
  runtimeAgentInstance: string;
  agentRuntimeId?: undefined;
  taskId?: undefined;
  /**
   * Whether the assertion stands in X-OpenAI-Agent-Assertion. The verifier has not looked at
   * the bearer token that goes with it in Authorization.
   */
  beside: boolean;
}

interface Verified {
  /** When the assertion was made, by the agent's clock, in Unix seconds. */
  timestamp: number;
  /** The account that it registered for, or "" where that is not known. It is never what the request says. */
  accountId: string;
  /** Whether that is a FedRAMP account. */
  fedramp: boolean;
}

/** What a verifier decided about one request. It holds no secret. */
export interface Decision {
  /** When it was decided, by the verifier's clock, in Unix seconds. */
  time: number;
  /** What the request says, up to 4096 bytes of each: it proves nothing, and is empty where there was no assertion to read. */
  claimed: { agentRuntimeId: string; taskId: string; runtimeAgentInstance: string };
  /** Who was let in. */
  agent: VerifiedAgent | undefined;
  /** Why nobody was, as the client is told. Its reason says what that is not told. */
  error: RefusalError | undefined;
}
