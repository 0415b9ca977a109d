/** Reports whether a value is an object that is of no class. */
export function isPlain(value: unknown): value is object {
  if (value === null || typeof value !== "object") {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
