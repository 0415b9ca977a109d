import { AgentAssertError, codes } from "./errors.js";
import { abortSignal, optionsOf } from "./options.js";

/** How long a caller is willing to wait. */
export interface WaitOptions {
  /** Ends the wait, but not the registration: others may wait for the same one. */
  signal?: AbortSignal | undefined;
}

/** Of everybody who waits for as long as it takes. */
const patient: WaitOptions = Object.freeze(Object.create(null) as WaitOptions);

/**
 * Returns how long a caller is willing to wait.
 *
 * Errors: invalid_request; canceled, for a caller who no longer waits at all.
 */
export function waitOf(options: WaitOptions | undefined): WaitOptions {
  if (options === undefined) {
    return patient;
  }
  const wait = optionsOf(options, {
    what: "the options",
    code: codes.invalidRequest,
    shape: { signal: abortSignal },
  });
  checkWaiting(wait);
  return wait;
}

/** Throws canceled, if the caller no longer waits. */
export function checkWaiting({ signal }: WaitOptions): void {
  if (signal?.aborted) {
    throw canceled(signal, "the signal was aborted before the call");
  }
}

/**
 * Returns the error of whoever stopped waiting: canceled, under the name that the platform
 * gives such errors, AbortError or TimeoutError, by which programs and libraries know
 * them. Its cause is the signal's reason.
 */
export function canceled(signal: AbortSignal, message: string): AgentAssertError {
  const reason: unknown = reasonOf(signal);
  const error = new AgentAssertError(codes.canceled, message, { cause: reason });
  error.name = isTimeout(reason) ? "TimeoutError" : "AbortError";
  return error;
}

function isTimeout(reason: unknown): boolean {
  try {
    return (reason as { name?: unknown } | null | undefined)?.name === "TimeoutError";
  } catch {
    return false; // whoever aborts can give anything as the reason
  }
}

/** Returns why a signal was aborted. Polyfills' signals do not know. */
function reasonOf(signal: AbortSignal): Error {
  return "reason" in signal
    ? (signal.reason as Error)
    : new DOMException("the signal was aborted", "AbortError");
}

/** Throws a signal's reason, if it was aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw reasonOf(signal);
  }
}

/**
 * Starts work with a signal that comes with another, or by itself after a time in
 * milliseconds; its reason is then a DOMException with the name TimeoutError. What
 * follows from it is up to the work.
 */
export async function limited<T>(
  signal: AbortSignal,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const abort = () => {
    limit.abort(signal.reason);
  };
  const timer = setTimeout(() => {
    limit.abort(new DOMException(`it took longer than ${milliseconds} ms`, "TimeoutError"));
  }, milliseconds);
  signal.addEventListener("abort", abort);
  try {
    if (signal.aborted) {
      abort();
    }
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Waits for a promise, but no longer than the signal allows. Rejects with the signal's reason. */
export async function orAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) {
    return promise;
  }
  promise.catch(() => undefined); // nobody may be waiting for it any more
  throwIfAborted(signal);
  let stop!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(reasonOf(signal));
    };
  });
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Waits. Rejects with the signal's reason. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await orAborted(new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds))), signal);
  } finally {
    clearTimeout(timer);
  }
}
