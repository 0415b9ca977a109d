import { Worker, type WorkerOptions } from "node:worker_threads";

import { LibraryMissingError, type Keyring } from "./keyring-access.js";
import { own } from "./own.js";

/** What is asked of the thread that has the keyring's library. */
export interface KeyringQuestion {
  id: number;
  operation: "get" | "get-password" | "set" | "delete";
  /** An item's name where a keyring has but one, which is Windows. */
  target: string | undefined;
  service: string;
  item: string;
  value?: Uint8Array;
}

/** What it answers: a value if there is one, or why not. */
export interface KeyringAnswer {
  id: number;
  value?: Uint8Array;
  error?: string;
  /** Why the library cannot be loaded. */
  missing?: string;
}

/** What go-keyring, which the host in Go uses, puts before values in the keychain of macOS. */
const macOSPrefix = "go-keyring-base64:";

/** The operating system's keyring, by @napi-rs/keyring. Its items are where the host in Go has them. */
export class SystemKeyring implements Keyring {
  readonly #platform: NodeJS.Platform;

  constructor(platform = process.platform) {
    this.#platform = platform;
  }

  async get(service: string, item: string): Promise<string | undefined> {
    const value = await ask({ ...this.#named(service, item), operation: "get" });
    return value && this.#unwrapped(decode(value));
  }

  async set(service: string, item: string, value: string): Promise<void> {
    const wrapped = this.#platform === "darwin" ? macOSPrefix + btoa(value) : value;
    const bytes = new TextEncoder().encode(wrapped);
    await ask({ ...this.#named(service, item), operation: "set", value: bytes });
  }

  async delete(service: string, item: string): Promise<void> {
    await ask({ ...this.#named(service, item), operation: "delete" });
  }

  #named(service: string, item: string): Pick<KeyringQuestion, "target" | "service" | "item"> {
    const target = this.#platform === "win32" ? `${service}:${item}` : undefined;
    return { target, service, item };
  }

  /** Values are JSON or base64: ASCII. */
  #unwrapped(value: string): string {
    if (this.#platform !== "darwin" || !value.startsWith(macOSPrefix)) {
      return value;
    }
    return Buffer.from(value.slice(macOSPrefix.length), "base64").toString();
  }
}

/** The same as its users have it who know of no host in Go: the reference client. */
export async function foreignEntry(service: string, item: string): Promise<string | undefined> {
  const value = await ask({ operation: "get-password", target: undefined, service, item });
  return value && decode(value);
}

function decode(value: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(value);
}

interface Waiting {
  resolve: (value: Uint8Array | undefined) => void;
  reject: (error: Error) => void;
}

/** One for the process: stores that are opened again and again cost no more than one. */
let thread: { worker: Worker; waiting: Map<number, Waiting> } | undefined;
let questions = 0;

function ask(question: Omit<KeyringQuestion, "id">): Promise<Uint8Array | undefined> {
  const { worker, waiting } = (thread ??= start());
  const id = ++questions;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ ...question, id } satisfies KeyringQuestion);
  });
}

function start(): NonNullable<typeof thread> {
  const waiting = new Map<number, Waiting>();
  const worker = new Worker(
    new URL("./keyring-worker.js", import.meta.url),
    own<WorkerOptions>({ execArgv: [] }),
  );
  worker.on("message", ({ id, value, error, missing }: KeyringAnswer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (missing !== undefined) {
      asked?.reject(new LibraryMissingError(missing));
    } else if (error !== undefined) {
      asked?.reject(new Error(error));
    } else {
      asked?.resolve(value);
    }
  });
  const fail = (error: Error) => {
    thread = undefined; // the next question starts another
    for (const { reject } of waiting.values()) {
      reject(error);
    }
    waiting.clear();
  };
  worker.on("error", fail);
  worker.on("exit", () => {
    fail(new Error("the thread of the keyring's library has ended"));
  });
  // Whoever waits for an answer does so with a time-out, which keeps the program going.
  worker.unref();
  return { worker, waiting };
}
