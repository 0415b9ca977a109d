export { AgentAssert, type ModuleSource } from "./agentassert.js";
export type { Authorization } from "./authorization.js";
export type { FetchOptions } from "./authorized-fetch.js";
export { AgentAssertError, codeOf, codes } from "./errors.js";
export type { FileStoreOptions } from "./file-store.js";
export type { Fetch } from "./http.js";
export { indexedDBStore } from "./indexeddb-store.js";
export {
  Manager,
  type CredentialSource,
  type ManagerOptions,
  type RecoverOptions,
  type WaitOptions,
} from "./manager.js";
export { memoryStore } from "./memory-store.js";
export type * from "./messages.js";
export type { Store, StoreContext } from "./store.js";
export type { Thread } from "./thread.js";
export { fileStore } from "#platform";
