import { orAborted } from "./abort.js";

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

/** Turns by name. Those of a name that nobody uses take no memory. */
export class NamedTurns {
  readonly #turns = new Map<string, { turns: Turns; users: number }>();

  /** Waits for a turn of that name, and returns what ends it. Rejects with the signal's reason. */
  async take(name: string, signal?: AbortSignal): Promise<() => void> {
    const entry = this.#turns.get(name) ?? { turns: new Turns(), users: 0 };
    this.#turns.set(name, entry);
    entry.users++;
    let left = false;
    const leave = () => {
      if (!left && --entry.users === 0) {
        this.#turns.delete(name);
      }
      left = true;
    };
    try {
      const end = await entry.turns.take(signal);
      return () => {
        end();
        leave();
      };
    } catch (error) {
      leave();
      throw error;
    }
  }
}

/**
 * Does the same work once for all who ask for it before it begins. Who asks while it
 * is under way gets the next one: each gets what is not older than the question.
 */
export class Batches<T> {
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return !this.#running;
  }

  join(work: () => Promise<T>): Promise<T> {
    if (!this.#running) {
      return this.#start(work);
    }
    const again = () => {
      this.#next = undefined;
      return this.#start(work);
    };
    this.#next ??= this.#running.then(again, again);
    return this.#next;
  }

  #start(work: () => Promise<T>): Promise<T> {
    const running = work().finally(() => {
      if (!this.#next) {
        this.#running = undefined;
      }
    });
    this.#running = running;
    return running;
  }
}
