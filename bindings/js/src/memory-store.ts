import { checkRecord, checkStoreCall } from "./arguments.js";
import { codes, failure } from "./errors.js";
import { bytes, check, required } from "./options.js";
import { own } from "./own.js";
import { isSameRecord, type Store } from "./store.js";
import { NamedTurns } from "./turns.js";

/**
 * Returns a store that ends with the program: empty, or with what it shall hold, by slot.
 *
 * Errors: invalid_manager_config; in its methods invalid_request, invalid_record, record_changed.
 */
export function memoryStore(content: Record<string, Uint8Array> = {}): Store {
  const records = new Map<string, Uint8Array>();
  const turns = new NamedTurns();
  const put = (slot: string, record: Uint8Array | undefined): void => {
    if (record === undefined) {
      records.delete(slot);
      return;
    }
    checkRecord(record);
    records.set(slot, record.slice());
  };
  for (const [slot, record] of Object.entries(own(content))) {
    check(`the memory store's ${slot}`, record, required(bytes), codes.invalidManagerConfig);
    put(slot, record);
  }
  /* eslint-disable @typescript-eslint/require-await -- so that what is thrown is a rejection */
  return {
    load: async (slot, context) => {
      checkStoreCall(slot, context);
      return records.get(slot)?.slice();
    },
    save: async (slot, record, context) => {
      checkStoreCall(slot, context);
      checkRecord(record);
      put(slot, record);
    },
    delete: async (slot, context) => {
      checkStoreCall(slot, context);
      put(slot, undefined);
    },
    swap: async (slot, expected, record, context) => {
      checkStoreCall(slot, context);
      if (expected !== undefined) {
        checkRecord(expected);
      }
      if (!isSameRecord(records.get(slot), expected)) {
        throw recordChanged();
      }
      put(slot, record);
    },
    lock: async (slot, context) => {
      checkStoreCall(slot, context);
      return turns.take(slot, context.signal);
    },
  };
  /* eslint-enable @typescript-eslint/require-await */
}

/** The error of a swap that found another record than it expected. */
export function recordChanged() {
  return failure(codes.recordChanged, "another record has taken the place of the one to be replaced");
}
