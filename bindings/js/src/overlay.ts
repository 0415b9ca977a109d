import { AgentAssertError, codeOf, codes } from "./errors.js";
import { isSameRecord } from "./memory-store.js";
import type { Store, StoreContext } from "./store.js";
import { orAborted } from "./turns.js";

/** How many threads' records are kept in memory that the store does not take. Beyond that, the oldest go. */
const maxKept = 10_000;

type Stored = Uint8Array | undefined;

/**
 * Keeps in memory what a store has not taken: a Kubernetes secret is served from all
 * the same. What it keeps counts as long as the store holds what it held then: a record
 * that somebody has put there since is newer.
 */
export class Overlay {
  readonly #store: Store;
  /** By slot, those of threads in the order in which they were kept. */
  readonly #kept = new Map<string, { stored: Stored; record: Stored }>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Returns the record in a slot, and what the store has there. */
  async load(slot: string, context: StoreContext): Promise<{ record: Stored; stored: Stored }> {
    const kept = this.#kept.get(slot);
    let stored: Stored;
    try {
      stored = checkRecord(await orAborted(this.#store.load(slot, context), context.signal));
    } catch (error) {
      if (kept && slot === "backoff") {
        return kept; // what is stored, if anything, is older
      }
      throw error;
    }
    if (kept && isSameRecord(kept.stored, stored)) {
      return { record: kept.record, stored };
    }
    this.#kept.delete(slot);
    return { record: stored, stored };
  }

  /** Saves a record, or deletes it where there is none. The stored one is that which was last loaded. */
  async write(slot: string, stored: Stored, record: Stored, context: StoreContext): Promise<void> {
    await this.#written(
      slot,
      stored,
      record,
      orAborted(
        record ? this.#store.save(slot, record, context) : this.#store.delete(slot, context),
        context.signal,
      ),
    );
  }

  /** Is write for a record that others may have replaced. */
  async swap(
    slot: string,
    stored: Stored,
    old: Stored,
    record: Stored,
    context: StoreContext,
  ): Promise<void> {
    const kept = this.#kept.get(slot);
    const expected = kept && isSameRecord(kept.record, old) ? kept.stored : old;
    await this.#written(
      slot,
      stored,
      record,
      orAborted(this.#store.swap(slot, expected, record, context), context.signal),
    );
  }

  forget(slot: string): void {
    this.#kept.delete(slot);
  }

  async #written(slot: string, stored: Stored, record: Stored, writing: Promise<void>): Promise<void> {
    try {
      await writing;
      this.#kept.delete(slot);
    } catch (error) {
      if (codeOf(error) === codes.storeReadOnly || slot === "backoff") {
        this.#keep(slot, stored, record);
      }
      throw error;
    }
  }

  #keep(slot: string, stored: Stored, record: Stored): void {
    this.#kept.delete(slot);
    this.#kept.set(slot, { stored, record });
    if (this.#kept.size > maxKept) {
      for (const oldest of this.#kept.keys()) {
        if (oldest.startsWith("thread/")) {
          this.#kept.delete(oldest);
          break;
        }
      }
    }
  }
}

/** Refuses what no store may return. */
function checkRecord(record: unknown): Uint8Array | undefined {
  if (record === undefined) {
    return undefined;
  }
  if (!(record instanceof Uint8Array)) {
    throw new AgentAssertError(codes.storeFailed, "the store returned a record that is no Uint8Array");
  }
  if (record.length === 0) {
    throw new AgentAssertError(
      codes.storeFailed,
      "the store returned a record that is empty, or whose buffer was given away",
    );
  }
  return record;
}
