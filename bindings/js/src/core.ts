import type { Methods } from "./messages.js";

/** What managers, and their stores, use of an AgentAssert. */
export interface Core {
  /** Calls any method of the ABI. */
  readonly call: <M extends keyof Methods>(method: M, params: Methods[M][0]) => Methods[M][1];
  /** Overwrites the memory in which it works, and lets go of it. */
  readonly forget: () => void;
}
