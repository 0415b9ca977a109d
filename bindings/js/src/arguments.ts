import { codes, failure, isOurs } from "./errors.js";
import { abortSignal, bytes, callback, check, required, text } from "./options.js";
import type { StoreContext } from "./store.js";

// What callers in JavaScript pass may be of any type, and throw when it is looked at.

/**
 * Returns what a function returns that uses what the caller has passed.
 *
 * Errors: those of this package, as they are; invalid_request in place of all others.
 */
export function reading<T>(what: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw isOurs(error)
      ? error
      : failure(codes.invalidRequest, `${what} cannot be used: that throws an error`, error);
  }
}

/**
 * Checks what a store's method is given beside records.
 *
 * Errors: invalid_request.
 */
export function checkStoreCall(slot: unknown, context: unknown): asserts context is StoreContext {
  check("the slot", slot, required(text), codes.invalidRequest);
  const { call, signal } = reading("the store's context", () => {
    const { core, signal } = (context ?? {}) as Partial<StoreContext>;
    return { call: core?.call, signal };
  });
  check("the method call of core, in the store's context,", call, required(callback), codes.invalidRequest);
  reading("the signal in the store's context", () => {
    check("the signal in the store's context", signal, required(abortSignal), codes.invalidRequest);
  });
}

/** Errors: invalid_record. */
export function checkRecord(record: unknown): asserts record is Uint8Array {
  check("the record", record, required(bytes), "invalid_record");
  try {
    (record as Uint8Array).slice(0, 0);
  } catch (error) {
    throw failure("invalid_record", "the record is in a buffer that has been given away", error);
  }
}
