/** Lets one caller in at a time, in the order in which they came. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for a turn, and returns what ends it. Rejects with the signal's reason. */
  async take(signal?: AbortSignal): Promise<() => void> {
    const before = this.#last;
    let end!: () => void;
    this.#last = new Promise((resolve) => (end = resolve));
    try {
      await orAborted(before, signal);
    } catch (error) {
      void before.then(end); // whoever comes next waits for those before
      throw error;
    }
    return end;
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
