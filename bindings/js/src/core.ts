import type { Methods } from "./messages.js";
import { kind } from "./options.js";
import { memberOf } from "./own.js";

/** What managers, and their stores, use of an AgentAssert. */
export interface Core {
  /** Calls any method of the ABI. */
  readonly call: <M extends keyof Methods>(method: M, params: Methods[M][0]) => Methods[M][1];
  /** Overwrites the memory in which it works, and lets go of it. */
  readonly forget: () => void;
}

/** What the option core has to be. */
export const coreKind = kind("what AgentAssert.load returns, awaited", isCore);

/** By shape: a program can have this package twice, as modules and for CommonJS. */
function isCore(core: unknown): core is Core {
  return (
    typeof core === "object" &&
    core !== null &&
    typeof memberOf(core as Core, "call") === "function" &&
    typeof memberOf(core as Core, "forget") === "function"
  );
}
