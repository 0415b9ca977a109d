/** Tells whoever runs the program what would otherwise stay unseen, each thing once. */
export class Warnings {
  readonly #told = new Set<string>();
  readonly #warn: ((message: string) => void) | false;

  /** Without a function of the caller's it is console.warn; false has nothing told. */
  constructor(warn: ((message: string) => void) | false | undefined) {
    this.#warn =
      warn ??
      ((message) => {
        console.warn(message);
      });
  }

  /** Tells something, unless the same has been told. */
  tell(key: string, message: () => string): void {
    if (this.#warn === false || this.#told.has(key)) {
      return;
    }
    this.#told.add(key);
    try {
      this.#warn(`agentassert: ${message()}`);
    } catch {
      // That a log fails is no reason for a call to.
    }
  }
}
