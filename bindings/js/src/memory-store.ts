import { codes, failure } from "./errors.js";
import { bytes, check, required } from "./options.js";
import { isSameRecord, type Store } from "./store.js";
import { NamedTurns } from "./turns.js";

/** Returns a store that ends with the program: empty, or with what it shall hold, by slot. */
export function memoryStore(content: Record<string, Uint8Array> = {}): Store {
  const records = new Map(Object.entries(content));
  for (const [slot, record] of records) {
    check(`the memory store's ${slot}`, record, required(bytes), codes.invalidManagerConfig);
  }
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
    swap: (slot, expected, record) => {
      if (!isSameRecord(records.get(slot), expected)) {
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

/** The error of a swap that found another record than it expected. */
export function recordChanged() {
  return failure(codes.recordChanged, "another record has taken the place of the one to be replaced");
}
