import { own } from "./own.js";

/** Gives a class the method by which using or await using ends it, if the platform has its symbol. */
export function disposable<T extends object>(
  prototype: T,
  symbol: symbol | undefined,
  dispose: (this: T) => unknown,
): void {
  if (typeof symbol === "symbol") {
    Object.defineProperty(prototype, symbol, own({ value: dispose, writable: true, configurable: true }));
  }
}
