export {
  AgentAssert,
  type Check,
  type ExportedKey,
  type InstanceAssertionClaims,
  type KeyToExport,
  type TaskClaims,
} from "./agentassert.js";
export type { WaitOptions } from "./abort.js";
export type { Authorization } from "./authorization.js";
export type { RecoverOptions } from "./authorizer.js";
export type { Core } from "./core.js";
export { AgentAssertError, codeOf, codes } from "./errors.js";
export type { GivenKey } from "./encoded-key.js";
export type { FileStoreOptions } from "./file-store-settings.js";
export type { Fetch } from "./http.js";
export { indexedDBStore } from "./indexeddb-store.js";
export { Manager, type FetchOptions } from "./manager.js";
export type { CredentialSource, ManagerOptions } from "./manager-options.js";
export { memoryStore } from "./memory-store.js";
export type * from "./messages.js";
export type { ModuleSource } from "./module-source.js";
export type {
  ObservedExchange,
  ObservedRegistration,
  ObservedRequest,
  Observer,
  Registration,
  RequestFailure,
} from "./observer.js";
export type { Status, SurfaceStatus } from "./status.js";
export { RefusalError, type RefusalAnswer, type RefusalCode } from "./refusal-error.js";
export type { Found, GrantedTask, RegisteredAgent, RegisteredInstance } from "./registered.js";
export { memoryReplays, type MemoryReplaysOptions, type Replays, type Use } from "./replays.js";
export type { HeadersLike, RequestLike } from "./request-headers.js";
export type { Store, StoreContext } from "./store.js";
export type { Thread, ThreadFetchOptions } from "./thread.js";
export type { Decision, VerifiedAgent, VerifiedInstance, VerifiedTask } from "./verified-agent.js";
export { Verifier } from "./verifier.js";
export type { VerifierOptions } from "./verifier-options.js";
export { fileStore } from "#platform";
