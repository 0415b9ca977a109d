import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

import { limited, orAborted } from "./abort.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { LockUnavailableError, lockFile } from "./file-lock.js";
import {
  access,
  hasNotAnswered,
  LibraryMissingError,
  notAwaited,
  notRead,
  type Keyring,
} from "./keyring-access.js";
import {
  bytesOf,
  headItem,
  hex,
  holds,
  maxParts,
  maxRecord,
  other,
  parseHead,
  partItem,
  split,
  type Generation,
  type Head,
} from "./keyring-items.js";
import { abortSignal, kind, oneOf, optionsOf, required } from "./options.js";
import { own } from "./own.js";
import { isSameRecord, type Store, type StoreContext } from "./store.js";
import { NamedTurns } from "./turns.js";

/** Where in the keyring a store keeps its records. */
export interface KeyringStoreOptions {
  /**
   * Tells apart the identities that one user of the computer has: an account id, for
   * example. Letters, digits and -_.@+, 128 at most.
   */
  account: string;
  /**
   * The program that owns the items, in the same letters. The default is agentassert.
   * Programs that share an identity name the same.
   */
  service?: string;
  /**
   * Where the lock files are, which are empty. It is made where it does not exist. The
   * default is agentassert in the user's configuration folder.
   */
  lockFolder?: string;
  /**
   * Whom locks exclude. "processes", which is the default, means every process with that
   * folder, hosts in Go among them; on Linux it needs the program flock. "process" means
   * those in this thread of this process: right where nobody else has the identity.
   */
  lock?: "processes" | "process";
  /** How long to wait for a registration that is under way, in milliseconds. The default is 270000. */
  lockTimeout?: number;
  /**
   * Bounds each access to the keyring, which can wait for somebody to unlock it, or for
   * accesses before it, in milliseconds. A caller's signal can end it earlier. The default
   * is 30000.
   */
  timeout?: number;
  /** Ends the wait for the keyring's first answer. */
  signal?: AbortSignal;
}

/** The same when they were checked. */
type Settings = Required<Omit<KeyringStoreOptions, "signal">>;

/** Longer than any host holds a lock, which is 250 s; in milliseconds. */
const defaultLockTimeout = 270_000;
/** Time enough to type a password, in milliseconds. */
export const defaultTimeout = 30_000;
/** The longest time that a timer can be set to, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;
const defaultService = "agentassert";

/** Lets those in this process through one after another, by the lock file's path: two stores can have the same. */
const queue = new NamedTurns();

/** What every keyring takes. */
const name = kind(
  "1 to 128 letters, digits and -_.@+",
  (value) => typeof value === "string" && /^[A-Za-z0-9_.@+-]{1,128}$/.test(value),
);
export const milliseconds = kind(
  `a number of milliseconds from 1 to ${maxTimeout}`,
  (value) => typeof value === "number" && value >= 1 && value <= maxTimeout,
);

const shape = {
  account: required(name),
  service: name,
  lockFolder: kind("a path", (value) => typeof value === "string" && value !== ""),
  lock: oneOf("processes", "process"),
  lockTimeout: milliseconds,
  timeout: milliseconds,
  signal: abortSignal,
};

/** Returns the settings of a store, or throws invalid_manager_config. */
export function checkedKeyringSettings(options: KeyringStoreOptions): Settings {
  const {
    account,
    service = defaultService,
    lock = "processes",
    lockFolder = lock === "process" ? defaultService : join(configurationFolder(), defaultService),
    lockTimeout = defaultLockTimeout,
    timeout = defaultTimeout,
  } = optionsOf(options, { what: "the keyring store's options", code: codes.invalidManagerConfig, shape });
  return { account, service, lock, lockFolder, lockTimeout, timeout };
}

/** Returns where programs keep what a user has configured. The host in Go has the same. */
function configurationFolder(): string {
  const { APPDATA = "", XDG_CONFIG_HOME = "" } = own(process.env);
  let folder: string;
  switch (process.platform) {
    case "win32":
      folder = APPDATA;
      break;
    case "darwin":
      folder = join(homedir(), "Library", "Application Support");
      break;
    default:
      folder = XDG_CONFIG_HOME || join(homedir(), ".config");
  }
  if (!isAbsolute(folder)) {
    throw failure(
      codes.invalidManagerConfig,
      "this user has no configuration folder; name a lockFolder for the lock files of the keyring store",
    );
  }
  return folder;
}

/** The store. Its items, their values and the files of its locks are those of the host in Go. */
export class KeyringStore implements Store {
  readonly #keyring: Keyring;
  readonly #settings: Settings;
  /** How the paths of the lock files begin. */
  readonly #locks: string;

  constructor(keyring: Keyring, settings: Settings) {
    this.#keyring = keyring;
    this.#settings = settings;
    const { service, account, lockFolder } = settings;
    this.#locks = join(lockFolder, `keyring-${hex(`${service}\0${account}`).slice(0, 32)}`);
  }

  /** Throws what reading the keyring ends with. */
  async check(signal: AbortSignal): Promise<void> {
    // No item has this name; the question is whether the keyring can say so.
    await this.#get(this.#settings.account, signal);
  }

  async load(slot: string, { signal }: StoreContext): Promise<Uint8Array | undefined> {
    const head = await this.#head(slot, signal);
    if (!head || head.parts === 0) {
      return head && this.#assemble(slot, head, signal);
    }
    // One item is read whole or not at all. Several need the writers to wait.
    return this.#writing(signal, async () => {
      const head = await this.#head(slot, signal);
      return head && this.#assemble(slot, head, signal);
    });
  }

  async save(slot: string, record: Uint8Array, { signal }: StoreContext): Promise<void> {
    checkSize(record);
    await this.#writing(signal, (writer) => this.#save(writer, slot, record));
  }

  async delete(slot: string, { signal }: StoreContext): Promise<void> {
    await this.#writing(signal, (writer) => this.#delete(writer, slot));
  }

  async swap(
    slot: string,
    expected: Uint8Array | undefined,
    record: Uint8Array | undefined,
    { signal }: StoreContext,
  ): Promise<void> {
    checkSize(record);
    await this.#writing(signal, async (writer) => {
      const head = await this.#head(slot, signal);
      const stored = head && (await this.#assemble(slot, head, signal));
      if (!isSameRecord(stored, expected)) {
        throw failure(codes.recordChanged, "another record has taken the place of the one to be replaced");
      }
      await (record ? this.#save(writer, slot, record) : this.#delete(writer, slot));
    });
  }

  async lock(slot: string, { signal }: StoreContext): Promise<() => Promise<void>> {
    const isIdentity = slot === "identity";
    // A slot's name is whatever a harness chose.
    const path = isIdentity ? `${this.#locks}.lock` : `${this.#locks}-${hex(slot)}.lock`;
    return this.#lockFile(path, signal, !isIdentity);
  }

  /** Writes an item and removes it, because what could not be saved in the end is better not registered. */
  async probe(_slot: string, { signal }: StoreContext): Promise<void> {
    const writer = { signal, late: undefined }; // of an item that is nobody's, and the same for all
    const item = `${this.#settings.account}.probe`;
    await this.#set(writer, item, "can this keyring be written?");
    await this.#remove(writer, item);
  }

  /**
   * Saves under the items' lock. The parts are written under the other generation first,
   * then the head is replaced, then the old parts go. The head alone decides: a process that
   * dies on the way leaves the old record or the new one.
   */
  async #save(writer: Writer, slot: string, record: Uint8Array): Promise<void> {
    const old = await this.#head(slot, writer.signal);
    const generation = old ? other(old.generation) : "a";
    const { head, parts } = split(record, generation);
    const item = this.#item(slot);
    for (const [i, part] of parts.entries()) {
      await this.#set(writer, partItem(item, generation, i + 1), part);
    }
    await this.#set(writer, item, head);
    // The record is saved, whatever happens now: what a failure leaves here, or a signal,
    // the next change of this slot removes.
    try {
      await this.#sweep(writer, item, other(generation), 0);
      await this.#sweep(writer, item, generation, parts.length);
    } catch {
      return;
    }
  }

  async #delete(writer: Writer, slot: string): Promise<void> {
    const item = this.#item(slot);
    await this.#remove(writer, item);
    await this.#sweep(writer, item, "a", 0);
    await this.#sweep(writer, item, "b", 0);
  }

  /**
   * Removes the parts of a generation above the first that are kept. Parts are written from
   * the first to the last and removed from the last to the first, so that at any time the
   * first that is missing is behind the last that is there.
   */
  async #sweep(writer: Writer, item: string, generation: Generation, keep: number): Promise<void> {
    let last = keep;
    while (
      last < maxParts &&
      (await this.#get(partItem(item, generation, last + 1), writer.signal)) !== undefined
    ) {
      last++;
    }
    for (; last > keep; last--) {
      await this.#remove(writer, partItem(item, generation, last));
    }
  }

  async #head(slot: string, signal: AbortSignal): Promise<Head | undefined> {
    const value = await this.#get(this.#item(slot), signal);
    if (value === undefined) {
      return undefined;
    }
    const head = parseHead(value);
    if (!head) {
      throw this.#damaged(slot);
    }
    return head;
  }

  /** Returns the record that a head belongs to. */
  async #assemble(slot: string, head: Head, signal: AbortSignal): Promise<Uint8Array> {
    const item = this.#item(slot);
    const chunks = [head.data];
    for (let n = 1; n <= head.parts; n++) {
      const data = bytesOf(await this.#get(partItem(item, head.generation, n), signal));
      if (!data) {
        throw this.#damaged(slot);
      }
      chunks.push(data);
    }
    const record = Uint8Array.from(Buffer.concat(chunks));
    if (!holds(head, record)) {
      throw this.#damaged(slot);
    }
    return record;
  }

  #damaged(slot: string): AgentAssertError {
    return failure(
      codes.keyringRecordDamaged,
      `the record in slot ${JSON.stringify(slot.slice(0, 64))} is damaged, or a later version wrote it; ` +
        `update this program, or remove the item ${this.#item(slot)} of ${this.#settings.service} from the keyring`,
    );
  }

  #item(slot: string): string {
    return headItem(this.#settings.service, this.#settings.account, slot);
  }

  async #get(item: string, signal: AbortSignal): Promise<string | undefined> {
    const { service, timeout } = this.#settings;
    try {
      return await access({ signal, timeout }, () => this.#keyring.get(service, item));
    } catch (error) {
      const instead = "unlock it or start one, or keep the identity in a file (auth.json) instead";
      throw notRead(error, signal, "the system's keyring", instead);
    }
  }

  async #set(writer: Writer, item: string, value: string): Promise<void> {
    const refused = "the system's keyring cannot be written; unlock it, or allow this program to use it";
    const { service } = this.#settings;
    await this.#write(writer, refused, () => this.#keyring.set(service, item, value));
  }

  async #remove(writer: Writer, item: string): Promise<void> {
    const refused =
      "an item cannot be removed from the system's keyring; unlock it, or allow this program to use it";
    const { service } = this.#settings;
    await this.#write(writer, refused, () => this.#keyring.delete(service, item));
  }

  async #write(writer: Writer, refused: string, work: () => Promise<void>): Promise<void> {
    const { signal } = writer;
    const { timeout } = this.#settings;
    const late = (ended: Promise<void>) => {
      writer.late = ended;
    };
    try {
      await access({ signal, timeout, late }, work);
    } catch (error) {
      if (signal.aborted || error instanceof LibraryMissingError) {
        throw notRead(error, signal, "the system's keyring", "");
      }
      if (hasNotAnswered(error, signal)) {
        const message = "the system's keyring cannot be written; unlock it or start it anew";
        throw failure(codes.keyringUnavailable, message, error);
      }
      throw failure(codes.keyringWriteFailed, refused, error);
    }
  }

  /** Waits until nobody else writes items of this store. */
  async #writing<T>(signal: AbortSignal, work: (writer: Writer) => Promise<T>): Promise<T> {
    const unlock = await this.#lockFile(`${this.#locks}.write.lock`, signal, false);
    const writer: Writer = { signal, late: undefined };
    try {
      return await work(writer);
    } finally {
      if (writer.late) {
        // That write could still replace what others would have written meanwhile.
        void writer.late.then(unlock);
      } else {
        await unlock();
      }
    }
  }

  /** Locks a file, which it makes. One of many is removed when the lock is given back. */
  async #lockFile(path: string, signal: AbortSignal, remove: boolean): Promise<() => Promise<void>> {
    const { lock, lockTimeout } = this.#settings;
    let endTurn: (() => void) | undefined;
    try {
      return await limited(signal, lockTimeout, async (limit) => {
        limit.throwIfAborted();
        const end = await queue.take(path, limit);
        endTurn = end;
        if (lock === "process") {
          return () => {
            end();
            return Promise.resolve();
          };
        }
        await orAborted(mkdir(dirname(path), own({ recursive: true, mode: 0o700 })), limit);
        const unlock = await lockFile(path, limit, { remove });
        return async () => {
          await unlock();
          end();
        };
      });
    } catch (error) {
      endTurn?.();
      throw notLocked(error, signal, path);
    }
  }
}

/** Changes items, one after another. */
interface Writer {
  signal: AbortSignal;
  /** The end of a write for which its caller did not wait. */
  late: Promise<void> | undefined;
}

function checkSize(record: Uint8Array | undefined): void {
  if (record && record.length > maxRecord) {
    throw failure(
      codes.keyringRecordTooLarge,
      `a record of ${record.length} bytes is too large for the keyring: 512 KiB is the most`,
    );
  }
}

function notLocked(error: unknown, signal: AbortSignal, path: string): AgentAssertError {
  if (signal.aborted) {
    return notAwaited(signal);
  }
  if (hasNotAnswered(error, signal)) {
    const message = `${path} is held by others, in this process or another; wait, or end those`;
    return failure(codes.keyringStoreLocked, message, error);
  }
  const why =
    error instanceof LockUnavailableError
      ? `cannot be locked for other processes: ${error.message}; or set lock to "process"`
      : "cannot be made; check who may write its folder, or name another lockFolder";
  return failure(codes.keyringLockFileFailed, `the lock file ${path} ${why}`, error);
}
