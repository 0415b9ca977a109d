import { constants } from "node:fs";
import { lstat, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { AgentAssertError, codes, failure } from "./errors.js";
import { lockFile, LockUnavailableError } from "./file-lock.js";
import {
  FileNames,
  journalSuffix,
  registrationLock,
  resolveLinks,
  threadLock,
  threadLocks,
} from "./file-names.js";
import {
  failureOf,
  FileSystem,
  hasCode,
  ignoreErrors,
  makeFolder,
  openRegular,
  readSmall,
  share,
} from "./file-system.js";
import type { Credentials, FileEffect, FileEvent, FileResult, Problem } from "./messages.js";
import type { Store, StoreContext } from "./store.js";
import { limited, NamedTurns } from "./turns.js";

/** Longer than the four requests of a registration, 15 s each; in milliseconds. */
const defaultLockTimeout = 90_000;
/** The longest time that a timer can be set to, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;
/** How much of the client's configuration is looked at, in bytes. */
const maxConfig = 1 << 20;
/** How long ago a file must have changed for its times to tell that it has not changed since, in nanoseconds. */
const settled = 3_000_000_000n;

// By files, not by stores: two stores in one process can have the same one.
const turns = new NamedTurns();

/** How a file store behaves. */
export interface FileStoreOptions {
  /** How long to wait for a registration that is under way, in milliseconds: 1 to 2147483647. The default is 90000. */
  lockTimeout?: number;
  /**
   * Whom the locks exclude. "processes", which is the default, means every process
   * with that file, hosts in Go and the reference client among them; on Linux it needs
   * the program flock, which nearly every system has. "process" means those that use
   * the file in this thread of this process: right where nobody else does.
   */
  lock?: "processes" | "process";
  /**
   * Where the identity is: in auth.json, which is the default, or "beside" it, in a
   * file of its own, and auth.json stays unwritten: for those who share it with clients
   * from 0.132 to 0.140, which accept no identity in it, and for anyone who wants that.
   */
  identity?: "auth.json" | "beside";
}

/**
 * Returns a store that keeps the agent identity where the reference client does:
 * in the auth.json at that path, under agent_identity, beside the user's tokens.
 * It knows who is signed in. For Node; the host in Go and the reference client, in any
 * of its versions, can use the same file at the same time.
 *
 * The file is the client's, and it is no worse off for being shared. Whatever this
 * package does not own stays as it is: content, owner, mode, and other names; on Linux
 * with GNU's cp, access control lists, too. What others write at the same time is not
 * lost. The client's own locks are held for milliseconds. The file need not exist.
 *
 * Beside the file there will be more, and all their names begin with its own; where it
 * is a symbolic link they are beside what that leads to. .lock, and beside it auth.lock,
 * are the client's locks; .registration.lock and the files in .locks are held during
 * registrations; .backoff, .backend and .set-aside are records of the core's; .threads
 * has a folder for each month with the tasks of the threads that were last used in it,
 * and what was not used for 90 days goes; .journal is there while the file is written
 * over, where it cannot be replaced; .identity is, with the option "beside".
 *
 * Its methods can be called at the same time. A write that has begun is finished,
 * whatever the signal says.
 *
 * Errors: invalid_manager_config, at once; later, in its methods, the codes of the
 * core's file flow: auth_file_unreadable, auth_file_folder, auth_file_not_regular,
 * auth_file_locked, auth_file_lock_unavailable, auth_file_write_failed, auth_file_busy,
 * store_read_only, record_changed, invalid_auth_json, auth_json_byte_order_mark,
 * auth_json_utf16, invalid_record. Credentials that are none say why in their problem.
 */
export function fileStore(path: string, options: FileStoreOptions = {}): Store {
  const { lockTimeout = defaultLockTimeout, lock = "processes", identity = "auth.json" } = options;
  if (typeof path !== "string" || path === "") {
    throw failure(codes.invalidManagerConfig, "a file store needs the path of an auth.json");
  }
  if (!(lockTimeout >= 1 && lockTimeout <= maxTimeout)) {
    throw failure(
      codes.invalidManagerConfig,
      `a file store's lockTimeout is a number of milliseconds, 1 to ${maxTimeout}`,
    );
  }
  // A word that is misspelt must not turn the lock off, nor have auth.json written.
  if (!["processes", "process"].includes(lock)) {
    throw failure(codes.invalidManagerConfig, 'a file store\'s lock is "processes" or "process"');
  }
  if (!["auth.json", "beside"].includes(identity)) {
    throw failure(codes.invalidManagerConfig, 'a file store\'s identity is "auth.json" or "beside"');
  }
  return new FileStore(path, { lockTimeout, lock, identity });
}

/** What was read from one state of auth.json. Each second begins with the same two questions, and mostly with the same answers. */
interface Reading {
  stamp: string;
  target: string;
  credentials?: Credentials | undefined;
  identity?: { record: Uint8Array | undefined };
}

/** @internal A file store with a hook for tests. */
export class FileStore implements Store {
  readonly #given: string;
  readonly #path: string;
  readonly #options: Required<FileStoreOptions>;
  readonly #after: ((effect: FileEffect) => void) | undefined;
  #last: Reading | undefined;

  constructor(path: string, options: Required<FileStoreOptions>, after?: (effect: FileEffect) => void) {
    this.#given = path;
    this.#path = resolve(path);
    this.#options = options;
    this.#after = after;
  }

  async credentials(context: StoreContext): Promise<Credentials> {
    const known = await this.#recall();
    if (known?.credentials) {
      return known.credentials;
    }
    const before = await stampOf(this.#path);
    const { result, target } = await this.#run({ type: "start", operation: "credentials" }, context);
    const credentials = result.credentials ?? { kind: "none" };
    if (credentials.problem?.code === codes.authFileMissing) {
      return { ...credentials, problem: await this.#missing() };
    }
    await this.#remember(before, target, { credentials });
    return credentials;
  }

  async load(slot: string, context: StoreContext): Promise<Uint8Array | undefined> {
    const inTarget = slot === "identity" && !this.#isBeside;
    if (!inTarget) {
      const { result } = await this.#run(
        { type: "start", operation: "load", slot, ...this.#beside },
        context,
      );
      return result.record;
    }
    const known = await this.#recall();
    if (known?.identity) {
      return known.identity.record?.slice();
    }
    const before = await stampOf(this.#path);
    const { result, target } = await this.#run({ type: "start", operation: "load", slot }, context);
    await this.#remember(before, target, { identity: { record: result.record?.slice() } });
    return result.record;
  }

  async save(slot: string, record: Uint8Array, context: StoreContext): Promise<void> {
    await this.#run({ type: "start", operation: "save", slot, record, ...this.#beside }, context);
  }

  async delete(slot: string, context: StoreContext): Promise<void> {
    await this.#run({ type: "start", operation: "delete", slot, ...this.#beside }, context);
  }

  async swap(
    slot: string,
    old: Uint8Array | undefined,
    record: Uint8Array | undefined,
    context: StoreContext,
  ): Promise<void> {
    await this.#run(
      {
        type: "start",
        operation: "swap",
        slot,
        ...(old?.length && { expected: old }),
        ...(record?.length && { record }),
        ...this.#beside,
      },
      context,
    );
  }

  async probe(slot: string, context: StoreContext): Promise<void> {
    await this.#run({ type: "start", operation: "probe", slot, ...this.#beside }, context);
  }

  async lock(slot: string, { signal }: StoreContext): Promise<() => Promise<void>> {
    const target = await resolveLinks(this.#path);
    const isThread = slot.startsWith("thread/");
    const path = isThread ? threadLock(target, slot.slice("thread/".length)) : registrationLock(target);
    try {
      return await limited(signal, this.#options.lockTimeout, async (signal) => {
        if (isThread && this.#options.lock === "processes") {
          await makeFolder(threadLocks(target), target);
        }
        try {
          return await this.#locked(target, path, signal, isThread);
        } catch (error) {
          // Where nothing can be put beside the file, it is its own lock. No client locks it.
          if (isThread || !["denied", "read-only"].includes(failureOf(error))) {
            throw error;
          }
          const file = await ignoreErrors(openRegular(target, constants.O_RDWR));
          if (!file) {
            throw error;
          }
          await file.close();
          return await this.#locked(target, target, signal, false);
        }
      });
    } catch (error) {
      throw lockFailed(path, signal, error);
    }
  }

  /** Locks a file, which is made for those who have the target; but a thread's, of which there are many, is removed when it is given back. */
  async #locked(
    target: string,
    path: string,
    signal: AbortSignal,
    ofMany: boolean,
  ): Promise<() => Promise<void>> {
    // Those in this process come one after another, and not all with a wait of their own for the file.
    const endTurn = await turns.take(path, signal);
    try {
      if (this.#options.lock === "process") {
        return () => {
          endTurn();
          return Promise.resolve();
        };
      }
      const isNew = !(await ignoreErrors(lstat(path)));
      const unlock = await lockFile(path, signal);
      if (isNew) {
        await share(path, 0o600, target);
      }
      return async () => {
        try {
          if (ofMany) {
            await ignoreErrors(unlink(path)); // while it is held: who gets it next sees that it is gone
          }
          await unlock();
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
  }

  /** Carries out a file flow. */
  async #run(
    start: FileEvent & { type: "start" },
    { core, signal }: StoreContext,
  ): Promise<{ result: FileResult; target: string }> {
    const target = await resolveLinks(this.#path);
    const system = new FileSystem(
      new FileNames(target, start.slot ?? ""),
      (path, signal) => this.#locked(target, path, signal, false),
      signal,
      this.#after,
    );
    try {
      let state: Uint8Array | undefined;
      let event: FileEvent = start;
      for (;;) {
        const step = core.call("file.step", {
          ...(state && { state }),
          event: { ...event, now: Math.floor(Date.now() / 1000) },
        });
        if (step.effect.type === "done") {
          const { result } = step.effect;
          if (result.error) {
            throw this.#explained(result.error, system.error);
          }
          return { result, target };
        }
        state = step.state;
        event = await system.carryOut(step.effect);
      }
    } finally {
      await system.close();
    }
  }

  /** Adds to an error of the flow's which file it is about. */
  #explained({ code, message }: Problem, cause: unknown): AgentAssertError {
    return failure(code, `${message} (${this.#path})`, hasCode(cause, "ENOENT") ? undefined : cause);
  }

  /** Says why there may be no file. */
  async #missing(): Promise<Problem> {
    if (this.#given.startsWith("~")) {
      return {
        code: codes.authFileTilde,
        message: `there is no ${this.#given}: a shell replaces the tilde only where it is not quoted and begins a word; write the folder out, or take it from os.homedir()`,
      };
    }
    const config = await readSmall(join(dirname(this.#path), "config.toml"), maxConfig);
    if (
      config &&
      /^[ \t]*cli_auth_credentials_store[ \t]*=[ \t]*["']keyring["']/m.test(new TextDecoder().decode(config))
    ) {
      return {
        code: codes.authFileKeyring,
        message: `there is no ${this.#path}: the client's config.toml says that the sign-in is in the system's keyring, which this package does not read; give the manager credentials`,
      };
    }
    return {
      code: codes.authFileMissing,
      message: `there is no ${this.#path}; check the path, or sign in`,
    };
  }

  /** Returns what was read from auth.json, if it is still in that state. */
  async #recall(): Promise<Reading | undefined> {
    const last = this.#last;
    if (!last || (await stampOf(this.#path)) !== last.stamp) {
      return undefined;
    }
    try {
      await lstat(last.target + journalSuffix); // what a write that did not end has left is to be looked at
      return undefined;
    } catch (error) {
      return hasCode(error, "ENOENT") ? last : undefined;
    }
  }

  /** Keeps what was read, if the file was in the same state all the while. */
  async #remember(
    before: string | undefined,
    target: string,
    read: Omit<Reading, "stamp" | "target">,
  ): Promise<void> {
    if (before === undefined || (await stampOf(this.#path)) !== before) {
      return;
    }
    const last = this.#last?.stamp === before && this.#last.target === target ? this.#last : undefined;
    this.#last = { ...last, ...read, stamp: before, target };
  }

  get #isBeside(): boolean {
    return this.#options.identity === "beside";
  }

  get #beside(): { beside?: true } {
    return this.#isBeside ? { beside: true } : {};
  }
}

/** Tells one state of a file from another, unless that could be of two. */
async function stampOf(path: string): Promise<string | undefined> {
  const info = await ignoreErrors(stat(path, { bigint: true }));
  if (!info?.isFile()) {
    return undefined;
  }
  const since = BigInt(Date.now()) * 1_000_000n - settled;
  if (info.mtimeNs > since || info.ctimeNs > since) {
    return undefined;
  }
  return [info.dev, info.ino, info.size, info.mode, info.mtimeNs, info.ctimeNs].join(":");
}

/** The error of a registration's lock. */
function lockFailed(path: string, signal: AbortSignal, error: unknown): AgentAssertError {
  if (signal.aborted) {
    return failure(codes.authFileLocked, `the wait for ${path} was canceled`, error);
  }
  switch (failureOf(error)) {
    case "locked":
      return failure(
        codes.authFileLocked,
        `${path} is held by another process, or by others in this one who came first; wait, or end that process`,
        error,
      );
    case "unsupported":
      return failure(
        codes.authFileLockUnavailable,
        `${path} cannot be locked: ${error instanceof LockUnavailableError ? error.message : "its file system has no locks"}. If no other process uses the file, set the store's option lock to "process"`,
        error,
      );
    case "denied":
    case "read-only":
      return failure(
        codes.storeReadOnly,
        "the lock file cannot be made; check who may write its folder, and whether that is mounted read-only",
        error,
      );
    case "not-regular":
    case "folder":
      return failure(
        codes.authFileNotRegular,
        "there is something else where the lock file belongs; remove it",
        error,
      );
  }
  return failure(codes.authFileWriteFailed, "the lock file cannot be made", error);
}
