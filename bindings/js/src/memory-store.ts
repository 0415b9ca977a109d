import { codes, failure } from "./errors.js";
import type { Store } from "./store.js";
import { NamedTurns } from "./turns.js";

/** Returns a store that ends with the program: empty, or with what it shall hold, by slot. */
export function memoryStore(content: Record<string, Uint8Array> = {}): Store {
  const records = new Map(Object.entries(content));
  const turns = new NamedTurns();
  return {
    load: (slot) => Promise.resolve(records.get(slot)?.slice()),
    save: (slot, record) => {
      records.set(slot, record.slice());
      return Promise.resolve();
    },
    delete: (slot) => {
      records.delete(slot);
      return Promise.resolve();
    },
    swap: (slot, old, record) => {
      if (!isSameRecord(records.get(slot), old)) {
        return Promise.reject(recordChanged());
      }
      if (record) {
        records.set(slot, record.slice());
      } else {
        records.delete(slot);
      }
      return Promise.resolve();
    },
    lock: (slot, { signal }) => turns.take(slot, signal),
  };
}

/** Reports whether two records are the same, or both are none. */
export function isSameRecord(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return (a?.length ?? 0) === (b?.length ?? 0) && (a?.every((byte, i) => byte === b?.[i]) ?? true);
}

/** The error of a swap that found another record than it expected. */
export function recordChanged(): Error {
  return failure(codes.recordChanged, "another record has taken the place of the one to be replaced");
}
