/** How long a caller is willing to wait. */
export interface WaitOptions {
  /** Ends the wait, but not the registration: others may wait for the same one. */
  signal?: AbortSignal | undefined;
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
  signal.throwIfAborted();
  let stop!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason as Error);
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
