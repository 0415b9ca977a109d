export { AgentAssert, type ModuleSource } from "./agentassert.js";
export { AgentAssertError, codes } from "./errors.js";
export { memoryStore } from "./memory-store.js";
export type * from "./messages.js";
export type { Store, StoreContext } from "./store.js";
