import { createHash, randomInt } from "node:crypto";
import { lstat, mkdir, open, readdir, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import { codes, failure, type AgentAssertError } from "./errors.js";
import { lockFile, LockUnavailableError } from "./file-lock.js";
import type { Credentials } from "./messages.js";
import type { Store, StoreContext } from "./store.js";
import { limited, NamedTurns } from "./turns.js";

/** The core's code for what is no auth.json, or is empty. */
const invalidAuthJSON = "invalid_auth_json";

/** The largest file that is read, in bytes. */
const maxSize = 512 << 10;
/** Longer than the four requests of a registration, 15 s each; in milliseconds. */
const defaultLockTimeout = 90_000;
/** The longest time that a timer can be set to, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;
/** How long a file may take from its opening to its last byte, in milliseconds. */
const settleTimeout = 1000;
/** How often it is looked at meanwhile, in milliseconds. */
const settlePoll = 5;
/** For files with secrets. */
const mode = 0o600;
/** For folders of them. */
const folderMode = 0o700;
/** How the names of files begin that are to take the place of another; the host in Go knows them by that. */
const temporary = ".tmp-";
/** How old such a file must be to be nobody's any more, in milliseconds: far older than any write takes. */
const leftoverAge = 3_600_000;
/** More than an identity adds to a file, in bytes. */
const identitySize = 16 << 10;

// By files, not by stores: two stores in one process can have the same one.
const locks = new NamedTurns();
/** Two read-modify-writes at once would undo each other. */
const writes = new NamedTurns();

/** How a file store behaves. */
export interface FileStoreOptions {
  /** How long to wait for the lock, in milliseconds: 1 to 2147483647. The default is 90000. */
  lockTimeout?: number;
  /**
   * Whom the lock excludes. "processes", which is the default, means every process
   * with that file, hosts in Go among them; on Linux it needs the program flock,
   * which nearly every system has. "process" means those that use the file in this
   * thread of this process: right where nobody else does.
   */
  lock?: "processes" | "process";
}

/**
 * Returns a store that keeps the agent identity where the reference client does:
 * in the auth.json at that path, under agent_identity, beside the user's tokens.
 * It knows who is signed in. For Node; the host in Go and the reference client can
 * use the same file at the same time.
 *
 * Whatever this package does not own stays as it is, byte for byte. The file need
 * not exist. It is replaced as a whole, and a symbolic link is followed: its
 * target is replaced, not the link. A file that is read-only stays as it is.
 *
 * Beside the file there will be more, and all their names begin with its own: the
 * one with ".lock" is locked during a registration and stays, empty; the one with
 * ".backoff" remembers failed registrations; the folder with ".threads" has a file
 * for each thread's task, named after the SHA-256 of the thread's id.
 *
 * Its methods can be called at the same time. A write that has begun is finished,
 * whatever the signal says.
 *
 * Errors: invalid_manager_config, at once; later, in its methods,
 * auth_file_unreadable, auth_file_read_only, auth_file_locked,
 * auth_file_lock_unavailable, auth_file_write_failed, invalid_auth_json,
 * invalid_record.
 */
export function fileStore(path: string, options: FileStoreOptions = {}): Store {
  const { lockTimeout = defaultLockTimeout, lock = "processes" } = options;
  if (typeof path !== "string" || path === "") {
    throw failure(codes.invalidManagerConfig, "a file store needs the path of an auth.json");
  }
  if (!(lockTimeout >= 1 && lockTimeout <= maxTimeout)) {
    throw failure(
      codes.invalidManagerConfig,
      `a file store's lockTimeout is a number of milliseconds, 1 to ${maxTimeout}`,
    );
  }
  // A word that is misspelt must not turn the lock off.
  if (!["processes", "process"].includes(lock)) {
    throw failure(codes.invalidManagerConfig, 'a file store\'s lock is "processes" or "process"');
  }
  return new FileStore(resolve(path), lockTimeout, lock);
}

class FileStore implements Store {
  readonly #path: string;
  readonly #lockTimeout: number;
  readonly #lock: "processes" | "process";

  constructor(path: string, lockTimeout: number, lock: "processes" | "process") {
    this.#path = path;
    this.#lockTimeout = lockTimeout;
    this.#lock = lock;
  }

  async credentials({ core, signal }: StoreContext): Promise<Credentials> {
    const document = await this.#document(signal);
    return document ? core.call("credentials.read", { document }) : { kind: "none" };
  }

  async load(slot: string, { core, signal }: StoreContext): Promise<Uint8Array | undefined> {
    if (slot !== "identity") {
      const record = await read(this.#sibling(slot));
      return record?.length ? record : undefined;
    }
    const document = await this.#document(signal);
    return document && core.call("auth_json.get", { document }).record;
  }

  async save(slot: string, record: Uint8Array, context: StoreContext): Promise<void> {
    await this.#write(async () => {
      if (slot === "identity") {
        await this.#setIdentity(record, context);
        return;
      }
      if (slot.startsWith(threadSlot)) {
        await makeFolder(this.#threads());
      }
      await replace(this.#sibling(slot), record);
    });
  }

  async delete(slot: string, context: StoreContext): Promise<void> {
    await this.#write(async () => {
      if (slot === "identity") {
        await this.#setIdentity(undefined, context);
        return;
      }
      try {
        await unlink(this.#sibling(slot));
      } catch (error) {
        if (!isMissing(error)) {
          throw failure(codes.authFileReadOnly, "the file cannot be removed", error);
        }
      }
    });
  }

  /** It fails early where nothing could be saved in the end. */
  async lock({ signal }: StoreContext): Promise<() => Promise<void>> {
    await this.#checkWritable();
    const unlock = await this.#locked(signal);
    try {
      await this.#checkRoom();
    } catch (error) {
      await unlock();
      throw error;
    }
    return unlock;
  }

  async #locked(signal: AbortSignal): Promise<() => Promise<void>> {
    const path = this.#path + ".lock";
    try {
      return await limited(signal, this.#lockTimeout, async (signal) => {
        // Those in this process come one after another, and not all with a wait of their own for the file.
        const endTurn = await locks.take(await this.#target(), signal);
        try {
          const unlock = this.#lock === "process" ? undefined : await lockFile(path, signal);
          return async () => {
            try {
              await unlock?.();
            } catch {
              // The file is closed all the same, and the lock gone.
            } finally {
              endTurn();
            }
          };
        } catch (error) {
          endTurn();
          throw error;
        }
      });
    } catch (error) {
      throw lockFailed(path, signal, error);
    }
  }

  /** Has the file's only writer in this process do something. */
  async #write(work: () => Promise<void>): Promise<void> {
    const end = await writes.take(await this.#target());
    try {
      await work();
    } finally {
      end();
    }
  }

  /** What others have changed in the file since it was loaded stays changed: it is read again. */
  async #setIdentity(record: Uint8Array | undefined, { core, signal }: StoreContext): Promise<void> {
    await this.#checkWritable();
    const document = await this.#document(signal);
    if (!document && !record) {
      return;
    }
    const changed = core.call("auth_json.set", {
      document: document ?? new TextEncoder().encode("{}\n"),
      ...(record && { record }),
    });
    await replace(await this.#target(), changed.document);
  }

  /**
   * Returns the content of auth.json, or undefined where there is no file.
   *
   * The reference client writes the file in place: for a moment it is empty, or
   * ends too early. What was written just now is read again until it is whole.
   */
  async #document(signal: AbortSignal): Promise<Uint8Array | undefined> {
    // Not for longer, even where the clock says that the file will be written tomorrow.
    for (let i = 0; ; i++) {
      const document = await read(this.#path);
      if (!document || isJSON(document)) {
        return document;
      }
      if (i < settleTimeout / settlePoll && !signal.aborted && (await this.#isYoung())) {
        await new Promise((resolve) => setTimeout(resolve, settlePoll));
        continue;
      }
      if (document.length === 0) {
        throw failure(invalidAuthJSON, `${this.#path} is empty; sign in again`);
      }
      return document; // what is wrong with it, the core says
    }
  }

  async #isYoung(): Promise<boolean> {
    try {
      return Date.now() - (await stat(this.#path)).mtimeMs < settleTimeout;
    } catch {
      return false;
    }
  }

  /** Respects a read-only file: replacing it would need no more than a folder that can be written. */
  async #checkWritable(): Promise<void> {
    let permissions: number;
    try {
      permissions = (await stat(this.#path)).mode;
    } catch (error) {
      if (isMissing(error)) {
        return;
      }
      throw failure(codes.authFileUnreadable, "the file cannot be looked at", error);
    }
    if ((permissions & 0o200) === 0) {
      throw failure(
        codes.authFileReadOnly,
        `${this.#path} is read-only; make it writable for its owner, so that the agent identity can be kept`,
      );
    }
  }

  /**
   * Fails if the disk has no room for another auth.json, by writing one: a
   * registration that cannot be saved would leave an identity with the backend that
   * nobody has.
   */
  async #checkRoom(): Promise<void> {
    const size = await stat(this.#path).then(
      (info) => Math.min(info.size, maxSize),
      () => 0,
    );
    try {
      const name = await writeBeside(await this.#target(), new Uint8Array(size + identitySize));
      await ignoreErrors(unlink(name)); // if that fails, removeLeftovers does it
    } catch (error) {
      throw writeFailed(error);
    }
  }

  /** The file itself, behind symbolic links. */
  async #target(): Promise<string> {
    try {
      return await realpath(this.#path);
    } catch {
      // It is missing, and its folder perhaps is not.
    }
    try {
      return join(await realpath(dirname(this.#path)), basename(this.#path));
    } catch {
      return this.#path;
    }
  }

  /** The file that keeps a slot which auth.json has no place for. */
  #sibling(slot: string): string {
    if (!slot.startsWith(threadSlot)) {
      return `${this.#path}.${slot}`;
    }
    // An id is whatever a harness chose: a path, too long for a name, or different
    // from another only in case.
    const name = createHash("sha256").update(slot.slice(threadSlot.length)).digest("hex");
    return join(this.#threads(), `${name}.json`);
  }

  #threads(): string {
    return this.#path + ".threads";
  }
}

/** How the slots of threads begin. */
const threadSlot = "thread/";

/** Returns the content of a file, or undefined where there is no file. */
async function read(path: string): Promise<Uint8Array | undefined> {
  let file;
  try {
    file = await open(path);
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw failure(codes.authFileUnreadable, "the file cannot be opened; check who may read it", error);
  }
  const data = new Uint8Array(maxSize + 1);
  let length = 0;
  try {
    for (let more = true; more && length < data.length;) {
      const { bytesRead } = await file.read(data, length, data.length - length);
      length += bytesRead;
      more = bytesRead > 0;
    }
  } catch (error) {
    throw failure(codes.authFileUnreadable, "the file cannot be read", error);
  } finally {
    await ignoreErrors(file.close());
  }
  if (length > maxSize) {
    throw failure(
      codes.authFileUnreadable,
      `${path} is larger than 512 KiB, and surely not what it should be`,
    );
  }
  return data.slice(0, length);
}

function isJSON(document: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(document));
    return true;
  } catch {
    return false; // and its message, which shows the document, goes nowhere
  }
}

/** Puts data in place of a file: whole or not at all, and on the disk when it returns. */
async function replace(path: string, data: Uint8Array): Promise<void> {
  let name: string | undefined;
  try {
    await checkReplaceable(path);
    name = await writeBeside(path, data);
    await rename(name, path);
  } catch (error) {
    if (name) {
      await ignoreErrors(unlink(name));
    }
    throw writeFailed(error);
  }
  await syncFolder(dirname(path));
  await ignoreErrors(removeLeftovers(path));
}

/** Fails where there is something else than a file: a link that leads nowhere, for one. */
async function checkReplaceable(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isFile()) {
      return;
    }
  } catch (error) {
    if (isMissing(error)) {
      return;
    }
    throw error;
  }
  throw new Error(`${path} is no regular file`);
}

/** Writes data into a new file beside another, and to the disk, and returns its name. */
async function writeBeside(path: string, data: Uint8Array): Promise<string> {
  const name = join(dirname(path), `${temporary}${basename(path)}${randomInt(2 ** 32)}`);
  const file = await open(name, "wx", mode);
  try {
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await ignoreErrors(unlink(name));
    throw error;
  }
  return name;
}

/**
 * Removes what processes that were killed in the middle of writing a file have
 * left beside it. Those files hold secrets. One that cannot be removed waits for
 * the next time.
 */
async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const beginning = temporary + basename(path);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const random = entry.name.startsWith(beginning) ? entry.name.slice(beginning.length) : "";
    if (!/^[0-9]+$/.test(random) || !entry.isFile()) {
      continue;
    }
    const name = join(folder, entry.name);
    const info = await ignoreErrors(stat(name));
    if (info && Date.now() - info.mtimeMs > leftoverAge) {
      await ignoreErrors(unlink(name));
    }
  }
}

/** Makes a folder for files with secrets, unless there is one. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, folderMode);
  } catch (error) {
    if (hasCode(error, "EEXIST")) {
      return;
    }
    throw writeFailed(error);
  }
  await syncFolder(dirname(path));
}

/**
 * Makes a rename last through a power cut. The file is in place already: where a
 * file system cannot do this there is nothing to undo.
 */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") {
    return; // folders cannot be opened for that
  }
  const folder = await ignoreErrors(open(path));
  if (folder) {
    await ignoreErrors(folder.sync());
    await ignoreErrors(folder.close());
  }
}

function writeFailed(error: unknown): AgentAssertError {
  return hasCode(error, "EACCES", "EPERM", "EROFS")
    ? failure(codes.authFileReadOnly, "the file cannot be written; check who may write its folder", error)
    : failure(codes.authFileWriteFailed, "the file was not written, and is as it was", error);
}

function lockFailed(path: string, signal: AbortSignal, error: unknown): AgentAssertError {
  if (signal.aborted) {
    return failure(codes.authFileLocked, `the wait for ${path} was canceled`, error);
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return failure(
      codes.authFileLocked,
      `${path} is held by another process, or elsewhere in this one; end that, or wait`,
      error,
    );
  }
  if (error instanceof LockUnavailableError) {
    return failure(
      codes.authFileLockUnavailable,
      `${path} cannot be locked: ${error.message}. If no other process uses the file, set the store's option lock to "process"`,
      error,
    );
  }
  return failure(
    codes.authFileReadOnly,
    "the lock file cannot be made; check who may write its folder",
    error,
  );
}

function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT");
}

function hasCode(error: unknown, ...wanted: string[]): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && wanted.includes(code);
}

/** Returns what a promise becomes, or undefined where it fails and that does not matter. */
async function ignoreErrors<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}
