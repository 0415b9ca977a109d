import { orAborted } from "./abort.js";
import { AgentAssertError, codes, failure, codeOf } from "./errors.js";
import { isSameRecord, type Store, type StoreContext } from "./store.js";

/** A record, or none. */
type Record = Uint8Array | undefined;

/** Beyond so many threads' records those go that were kept first. */
const maxThreads = 10_000;

/**
 * A store, and in memory what it has not taken: a Kubernetes secret is served from
 * all the same. What is kept counts as long as the store holds what it held then: a
 * record that somebody has put there since is newer.
 */
export class Overlay {
  readonly store: Store;
  /** By slot: what the store had, and what counts in its place. */
  readonly #kept = new Map<string, { stored: Record; record: Record }>();
  readonly #threads = new Set<string>();
  readonly #maxThreads: number;

  constructor(store: Store, limit = maxThreads) {
    this.store = store;
    this.#maxThreads = limit;
  }

  /** Returns the record in a slot, and what the store has there. */
  async load(slot: string, context: StoreContext): Promise<{ record: Record; stored: Record }> {
    const { signal } = context;
    let stored: Record;
    try {
      stored = checkRecord(await orAborted(this.store.load(slot, context), signal));
    } catch (error) {
      const kept = slot === "backoff" ? this.#kept.get(slot) : undefined;
      if (kept && !signal.aborted) {
        return kept; // what is stored, if anything, is older
      }
      throw error;
    }
    const kept = this.#kept.get(slot);
    if (kept && isSameRecord(kept.stored, stored)) {
      return { record: kept.record, stored };
    }
    this.forget(slot);
    return { record: stored, stored };
  }

  /**
   * Saves a record, or deletes it where there is none. What the store does not take
   * because it is read-only is kept, and so is what is remembered of failures in any
   * case; the store's error is thrown all the same. stored is what was last loaded.
   */
  async write(slot: string, stored: Record, record: Record, context: StoreContext): Promise<void> {
    await this.#written(slot, stored, record, context.signal, () =>
      record ? this.store.save(slot, record, context) : this.store.delete(slot, context),
    );
  }

  /**
   * Is write for the identity, which others may have replaced. What is kept of it takes
   * the place of what the store had then; one that the store does not let go stays.
   */
  async swap(slot: string, expected: Record, record: Record, context: StoreContext): Promise<void> {
    const kept = this.#kept.get(slot);
    const old = kept && isSameRecord(kept.record, expected) ? kept.stored : expected;
    const work = () => this.store.swap(slot, old, record, context);
    if (record) {
      await this.#written(slot, old, record, context.signal, work);
    } else {
      await orAborted(work(), context.signal);
      this.forget(slot);
    }
  }

  /** Drops what is kept for a slot. */
  forget(slot: string): void {
    this.#kept.delete(slot);
    this.#threads.delete(slot);
  }

  async #written(
    slot: string,
    stored: Record,
    record: Record,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await orAborted(work(), signal);
      this.forget(slot);
    } catch (error) {
      if (codeOf(error) === codes.storeReadOnly || slot === "backoff") {
        this.#keep(slot, stored, record);
      }
      throw error;
    }
  }

  #keep(slot: string, stored: Record, record: Record): void {
    this.forget(slot); // and come last again
    this.#kept.set(slot, { stored, record });
    if (!slot.startsWith("thread/")) {
      return;
    }
    this.#threads.add(slot);
    for (const oldest of this.#threads) {
      if (this.#threads.size <= this.#maxThreads) {
        return;
      }
      this.forget(oldest);
    }
  }
}

/** Refuses what no store may return. */
function checkRecord(record: unknown): Record {
  if (record === undefined) {
    return undefined;
  }
  if (!(record instanceof Uint8Array)) {
    throw new AgentAssertError(codes.storeFailed, "the store returned a record that is no Uint8Array");
  }
  if (record.length === 0) {
    throw failure(
      codes.storeFailed,
      "the store returned a record that is empty, or whose buffer was given away",
    );
  }
  return record;
}
