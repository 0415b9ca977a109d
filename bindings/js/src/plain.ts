/** Reports whether a value is an object that is of no class, of whatever realm: its prototype has none. */
export function isPlain(value: unknown): value is object {
  if (value === null || typeof value !== "object") {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Reports whether a value is a Uint8Array, of whatever realm. */
export function isBytes(value: unknown): value is Uint8Array {
  try {
    return (
      ArrayBuffer.isView(value) &&
      Object.prototype.toString.call(value) === "[object Uint8Array]" &&
      Number.isSafeInteger((value as Uint8Array).length)
    );
  } catch {
    return false; // of a class that throws when it is asked how long it is
  }
}
