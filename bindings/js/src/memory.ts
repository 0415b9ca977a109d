import { Turns } from "./turns.js";

/** The slot "instance", which is in no store: the runtime agent instance ends with the manager. */
export class Memory {
  readonly #turns = new Turns();
  /** The instance's, with its private key. */
  record: Uint8Array | undefined;

  /** Waits until nobody else has the lock, and returns what unlocks it. Rejects with the signal's reason. */
  async lock(signal: AbortSignal): Promise<() => void> {
    return this.#turns.take(signal);
  }
}
