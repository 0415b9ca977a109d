import { codes, failure } from "./errors.js";
import { describe } from "./options.js";

/**
 * Returns what a clock that a caller gave says, in Unix seconds. The code is for one that returns
 * no number of milliseconds; that it throws is internal, as with every function of a caller's.
 */
export function secondsOf(clock: () => unknown, options: string, code: string): number {
  let milliseconds: unknown;
  try {
    milliseconds = clock();
  } catch (error) {
    throw failure(codes.internal, `the function now of ${options} threw`, error);
  }
  if (typeof milliseconds !== "number" || !Number.isFinite(milliseconds)) {
    throw failure(
      code,
      `the function now of ${options} returned ${describe(milliseconds)}, not a number of milliseconds, as Date.now does`,
    );
  }
  return Math.floor(milliseconds / 1000);
}
