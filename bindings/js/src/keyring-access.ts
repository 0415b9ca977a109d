import { canceled, limited, orAborted } from "./abort.js";
import { codes, failure, type AgentAssertError } from "./errors.js";
import { Turns } from "./turns.js";

/** What a store needs of a keyring. */
export interface Keyring {
  /** Returns an item's value, or undefined where there is none. */
  get: (service: string, item: string) => Promise<string | undefined>;
  set: (service: string, item: string, value: string) => Promise<void>;
  /** Removes an item, which need not exist. */
  delete: (service: string, item: string) => Promise<void>;
}

/** That the keyring's library is not installed, or not for this system. */
export class LibraryMissingError extends Error {}

/**
 * Lets one access in at a time, in this process: a keyring may have to be unlocked first,
 * and nobody is asked twice at a time. One that hangs cannot be told to stop; its caller goes
 * on, and those behind it wait for it no longer than for the keyring.
 */
const turns = new Turns();

/** How an access is made. */
export interface AccessOptions {
  signal: AbortSignal;
  /** In milliseconds. */
  timeout: number;
  /** Is given the end of an access that its caller does not wait for. */
  late?: (ended: Promise<void>) => void;
}

/**
 * Makes one access. Rejects with what the keyring fails with, and with the error of a
 * signal or of a time that is over.
 */
export async function access<T>(options: AccessOptions, work: () => Promise<T>): Promise<T> {
  const { signal, timeout, late } = options;
  return limited(signal, timeout, async (limit) => {
    const end = await turns.take(limit);
    const state = { isOver: false };
    const working = work().finally(() => {
      state.isOver = true;
      end();
    });
    try {
      return await orAborted(working, limit);
    } catch (error) {
      if (!state.isOver) {
        late?.(
          working.then(
            () => undefined,
            () => undefined,
          ),
        );
      }
      throw error;
    }
  });
}

/** Whether an access has failed because its time was over. */
export function hasNotAnswered(error: unknown, signal: AbortSignal): boolean {
  return !signal.aborted && error instanceof DOMException && error.name === "TimeoutError";
}

/** Returns the error of a caller that has left. */
export function notAwaited(signal: AbortSignal): AgentAssertError {
  return canceled(signal, "the caller stopped waiting for the keyring");
}

/** Returns the error of a keyring that could not be read. What to do otherwise is in instead. */
export function notRead(
  error: unknown,
  signal: AbortSignal,
  what: string,
  instead: string,
): AgentAssertError {
  if (signal.aborted) {
    return notAwaited(signal);
  }
  if (error instanceof LibraryMissingError) {
    return failure(
      codes.keyringUnavailable,
      "the package @napi-rs/keyring, by which the system's keyring is reached, cannot be loaded; install it beside agentassert",
      error,
    );
  }
  const hint = hasNotAnswered(error, signal)
    ? "does not answer; is it waiting for somebody to unlock it?"
    : `cannot be read; ${instead}`;
  return failure(codes.keyringUnavailable, `${what} ${hint}`, error);
}
