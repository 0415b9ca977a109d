// A store in memory that takes note of which slots it is asked for.
import { memoryStore, type Store } from "agentassert";

/** Returns an empty store, and the slots that it has been asked for so far. */
export function notingStore(): { store: Store; slots: Set<string> } {
  const slots = new Set<string>();
  const memory = memoryStore();
  const noted = (slot: string) => {
    slots.add(slot);
    return slot;
  };
  const store: Store = {
    load: (slot, context) => memory.load(noted(slot), context),
    save: (slot, record, context) => memory.save(noted(slot), record, context),
    delete: (slot, context) => memory.delete(noted(slot), context),
    swap: (slot, old, record, context) => memory.swap(noted(slot), old, record, context),
    lock: (slot, context) => memory.lock(noted(slot), context),
  };
  return { store, slots };
}
