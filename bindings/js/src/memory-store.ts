import { Turns } from "./turns.js";
import type { Store } from "./store.js";

/** Returns a store that ends with the program: empty, or with what it shall hold, by slot. */
export function memoryStore(content: Record<string, Uint8Array> = {}): Store {
  const records = new Map(Object.entries(content));
  const turns = new Turns();
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
    lock: ({ signal }) => turns.take(signal),
  };
}
