import { Turns } from "./turns.js";

/** A slot that is in no store: the runtime agent instance ends with the manager, and so does what is known of the workspace. */
export type MemorySlot = "instance" | "workspace";

/** What a manager keeps in these slots. */
export class Memory {
  readonly #turns: Readonly<Record<MemorySlot, Turns>> = { instance: new Turns(), workspace: new Turns() };
  /** That of the instance holds its private key. */
  readonly #records = new Map<MemorySlot, Uint8Array>();

  /** Reports whether a slot is one of these. */
  has(slot: string): slot is MemorySlot {
    return Object.hasOwn(this.#turns, slot);
  }

  load(slot: MemorySlot): Uint8Array | undefined {
    return this.#records.get(slot);
  }

  save(slot: MemorySlot, record: Uint8Array): void {
    this.#records.set(slot, record);
  }

  /** Forgets all of it. */
  clear(): void {
    this.#records.clear();
  }

  /** Waits until nobody else has a slot's lock, and returns what unlocks it. Rejects with the signal's reason. */
  async lock(slot: MemorySlot, signal: AbortSignal): Promise<() => void> {
    return this.#turns[slot].take(signal);
  }
}
