import type { Core } from "./core.js";
import type { Credentials } from "./messages.js";

/** What a store may use while it works. */
export interface StoreContext {
  /** The core, which reads and changes an auth.json. */
  core: Core;
  /** Aborted when nobody waits for the result any more. */
  signal: AbortSignal;
}

/**
 * Keeps records between runs, in slots: "identity" holds the agent identity,
 * "backoff" what is remembered of failed registrations, "backend" which backend an
 * identity belongs to, "set-aside" identities that others have taken the place of,
 * "thread/" and a thread's id that thread's task. Records are JSON in UTF-8, and
 * secret. What a method throws is best an AgentAssertError; anything else is reported
 * as store_failed. The code store_read_only says that the store can be read all the
 * same: what it holds is then used, and what a call needs beside that is kept in
 * memory.
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
   * Replaces the record in a slot if that is still the expected one, and otherwise
   * throws record_changed and changes nothing; undefined, as either, stands for none.
   * The identity is never changed in another way: others may write it, too.
   */
  swap(
    slot: string,
    expected: Uint8Array | undefined,
    record: Uint8Array | undefined,
    context: StoreContext,
  ): Promise<void>;
  /**
   * Waits until nobody else holds the lock of that slot, the identity's or a thread's,
   * in this program or another, and returns what unlocks it. It is held while what the
   * slot is for is registered: for a minute, at the worst. Loading and saving are
   * possible without it. The locks of different slots do not wait for each other.
   */
  lock(slot: string, context: StoreContext): Promise<() => void | Promise<void>>;
  /**
   * Throws what saving a record in the slot would end with, where the store can tell
   * by trying. It is asked before anything is registered: what cannot be kept would
   * stay with the backend, and nobody would have it.
   */
  probe?(slot: string, context: StoreContext): Promise<void>;
  /** Returns the credentials of who is signed in, where the store knows. */
  credentials?(context: StoreContext): Promise<Credentials>;
}

/** Reports whether two records are the same, byte for byte. */
export function isSameRecord(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (!a || !b) {
    return a === b;
  }
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
