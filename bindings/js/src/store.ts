import type { AgentAssert } from "./agentassert.js";
import type { Credentials } from "./messages.js";

/** What a store may use while it works. */
export interface StoreContext {
  /** The core, which reads and changes an auth.json. */
  core: AgentAssert;
  /** Aborted when nobody waits for the result any more. */
  signal: AbortSignal;
}

/**
 * Keeps records between runs, in slots: "identity" holds the agent identity,
 * "backoff" what is remembered of failed registrations, "thread/" and a thread's
 * id that thread's task. Records are JSON in UTF-8, and secret. What a method
 * throws is best an AgentAssertError; anything else is reported as store_failed.
 *
 * A manager calls a store's methods at the same time, for different slots.
 */
export interface Store {
  /** Returns the record in a slot, or undefined where there is none. */
  load(slot: string, context: StoreContext): Promise<Uint8Array | undefined>;
  /** Replaces the record in a slot: whoever loads it meanwhile gets the old one or the new one, whole. */
  save(slot: string, record: Uint8Array, context: StoreContext): Promise<void>;
  /** Empties a slot. */
  delete(slot: string, context: StoreContext): Promise<void>;
  /**
   * Waits until nobody else holds the lock, in this program or another, and returns
   * what unlocks it. It is held during a registration: for a minute, at the worst.
   * Loading and saving are possible without it.
   */
  lock(context: StoreContext): Promise<() => void | Promise<void>>;
  /** Returns the credentials of who is signed in, where the store knows. */
  credentials?(context: StoreContext): Promise<Credentials>;
}
