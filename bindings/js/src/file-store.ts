import { constants } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { orAborted } from "./abort.js";
import { codes, failure, type AgentAssertError } from "./errors.js";
import { FileOperation, makeFolder, takeLock, type FileSettings } from "./file-operation.js";
import { FilePolicy } from "./file-policy.js";
import { registrationLock, resolveTarget, threadLocks, threadSlot } from "./file-paths.js";
import { failureOf, FileError, isMissing, openRegular, readBeginning, using } from "./file-system.js";
import type { Credentials, FileEffect, FileEvent, FileResult, FileStart, Problem } from "./messages.js";
import { own } from "./own.js";
import type { Store, StoreContext } from "./store.js";
import { Batches } from "./turns.js";
import { bytesIn, membersOf } from "./untrusted.js";

/** Longer than any host holds a lock, which is 250 s; in milliseconds. */
const defaultLockTimeout = 270_000;
/** The longest time that a timer can be set to, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;
/** How much of the client's configuration is looked at, in bytes. */
const maxConfig = 1 << 20;
/** How that says that there is no auth.json. */
const keyringSetting = /^[ \t]*cli_auth_credentials_store[ \t]*=[ \t]*["'](keyring|auto)["']/m;

/** How a file store behaves. */
export interface FileStoreOptions {
  /** How long to wait for a registration that is under way, in milliseconds: 1 to 2147483647. The default is 270000. */
  lockTimeout?: number;
  /**
   * Whom locks exclude. "processes", which is the default, means every process with
   * that file, the reference client and hosts in Go among them; on Linux it needs the
   * program flock, which nearly every system has. "process" means those that use the
   * file in this thread of this process: right where nobody else does, and for file
   * systems that have no locks.
   */
  lock?: "processes" | "process";
  /**
   * Where the identity is kept: in auth.json, which is the default, or in a file of its
   * own "beside" it. auth.json is then left unwritten: for those who share it with
   * clients from 0.132 to 0.140, which accept no identity in it, and for anyone who
   * wants that.
   */
  identity?: "auth.json" | "beside";
}

/**
 * Returns a store that keeps the agent identity where the reference client does:
 * in the auth.json at that path, under agent_identity, beside the user's tokens.
 * It knows who is signed in. For Node; the host in Go and the reference client can
 * use the same file at the same time.
 *
 * The file is the client's, in any of its versions, and it is no worse off for being
 * shared. Whatever this package does not own stays as it is, byte for byte: content,
 * owner, mode, access control list and other names. What others write at the same
 * time is not lost. The client's own locks are held for milliseconds, never during a
 * request. All of that the core decides (file.step). The file need not exist.
 *
 * Beside the file there will be more, and all their names begin with its own; where
 * it is a symbolic link, or several are, they are beside what that leads to:
 *
 * - ".lock", and beside it auth.lock, are the client's locks;
 * - ".registration.lock" is held while an identity or a background task is registered,
 *   a file in ".locks" while a thread's task is;
 * - ".backoff" remembers failed registrations, ".backend" which backend an identity
 *   belongs to, ".set-aside" identities that others have taken the place of;
 * - ".threads" has a folder for each month with the tasks of the threads that were last
 *   used in it, in files named after the SHA-256 of the thread's id; what was not used
 *   for 90 days goes;
 * - ".journal" is there while the file is written over, where it cannot be replaced;
 * - ".identity" is there instead of all writing to the file, if the identity is kept
 *   beside it.
 *
 * They belong to whom the file belongs to, and only who can read and write the file
 * can read and write them.
 *
 * Its methods can be called at the same time. A write that has begun is finished,
 * whatever the signal says.
 *
 * Errors: invalid_manager_config, at once; later, in its methods, store_read_only,
 * record_changed, auth_file_unreadable, auth_file_folder, auth_file_not_regular,
 * auth_file_locked, auth_file_lock_unavailable, auth_file_write_failed,
 * auth_file_busy, invalid_auth_json, auth_json_byte_order_mark, auth_json_utf16,
 * invalid_record. Credentials that are none say why in their problem:
 * auth_file_missing, auth_file_tilde, auth_file_keyring, and what the core finds in
 * the file.
 */
export function fileStore(path: string, options: FileStoreOptions = {}): Store {
  return new FileStore(path, options);
}

/** The store, to which tests can add what is called before each effect. */
export class FileStore implements Store {
  readonly #given: string;
  readonly #path: string;
  readonly #lockTimeout: number;
  readonly #beside: boolean;
  readonly #settings: FileSettings;
  /** The readings that are under way, by what is read. */
  readonly #readings = new Map<string, Batches<FileResult>>();

  constructor(
    path: string,
    options: FileStoreOptions,
    before?: (effect: FileEffect, path: string | undefined) => void,
  ) {
    const { lockTimeout = defaultLockTimeout, lock = "processes", identity = "auth.json" } = own(options);
    const problems: [boolean, string][] = [
      [typeof path !== "string" || path === "", "needs the path of an auth.json"],
      [
        !(lockTimeout >= 1 && lockTimeout <= maxTimeout),
        `has a lockTimeout in milliseconds, 1 to ${maxTimeout}`,
      ],
      // A word that is misspelt must not turn the lock off, nor have auth.json written.
      [!["processes", "process"].includes(lock), 'has a lock that is "processes" or "process"'],
      [!["auth.json", "beside"].includes(identity), 'has an identity that is in "auth.json" or "beside" it'],
    ];
    for (const [wrong, problem] of problems) {
      if (wrong) {
        throw failure(codes.invalidManagerConfig, `a file store ${problem}`);
      }
    }
    this.#given = path;
    this.#path = resolve(path);
    this.#lockTimeout = lockTimeout;
    this.#beside = identity === "beside";
    this.#settings = { locks: lock === "processes", before };
  }

  async credentials(context: StoreContext): Promise<Credentials> {
    const { credentials = own<Credentials>({ kind: "none" }) } = await this.#read(
      { operation: "credentials" },
      context,
    );
    return credentials.problem?.code === codes.authFileMissing
      ? { ...credentials, problem: await this.#missing() }
      : credentials;
  }

  async load(slot: string, context: StoreContext): Promise<Uint8Array | undefined> {
    const { record } = await this.#read({ operation: "load", slot }, context);
    return record?.slice(); // others have the same one
  }

  async save(slot: string, record: Uint8Array, context: StoreContext): Promise<void> {
    await this.#run({ operation: "save", slot, record }, context);
  }

  async delete(slot: string, context: StoreContext): Promise<void> {
    await this.#run({ operation: "delete", slot }, context);
  }

  async swap(
    slot: string,
    expected: Uint8Array | undefined,
    record: Uint8Array | undefined,
    context: StoreContext,
  ): Promise<void> {
    const start: FileStart = {
      operation: "swap",
      slot,
      ...(expected?.length && { expected }),
      ...(record?.length && { record }),
    };
    await this.#run(start, context);
  }

  /** Puts auth.json in its own place, for the identity; or writes a record's file and removes it. */
  async probe(slot: string, context: StoreContext): Promise<void> {
    await this.#run({ operation: "probe", slot }, context);
  }

  async lock(slot: string, { signal }: StoreContext): Promise<() => Promise<void>> {
    const target = await resolveTarget(this.#path);
    const path = registrationLock(target, slot);
    const isThread = slot.startsWith(threadSlot);
    const take = (path: string) =>
      takeLock(this.#settings, path, target, this.#lockTimeout, signal, isThread);
    try {
      if (isThread && this.#settings.locks) {
        await makeFolder(threadLocks(target), target);
      }
      try {
        return await take(path);
      } catch (error) {
        // Where nothing can be put beside the file, it is its own lock. No client locks
        // it. On Windows nobody could read it meanwhile.
        const isUnwritable = ["denied", "read-only"].includes(failureOf(error));
        if (isThread || !isUnwritable || process.platform === "win32" || !(await isWritable(target))) {
          throw error;
        }
        return await take(target);
      }
    } catch (error) {
      throw lockFailed(path, signal, error);
    }
  }

  /**
   * Reads something. Whoever asks for the same meanwhile waits for one reading that has
   * not begun yet: when many threads begin at once, the file is read a few times.
   */
  async #read(what: FileStart, { core, signal }: StoreContext): Promise<FileResult> {
    const start = own(what);
    const key = `${start.operation}\0${start.slot ?? ""}`;
    const readings = this.#readings.get(key) ?? new Batches<FileResult>();
    this.#readings.set(key, readings);
    try {
      // It goes on for the others when one stops waiting.
      const reading = readings.join(() => this.#run(start, { core, signal: never }));
      return await orAborted(reading, signal);
    } finally {
      if (readings.isIdle) {
        this.#readings.delete(key);
      }
    }
  }

  /** Carries out a file flow. */
  async #run(what: FileStart, { core, signal }: StoreContext): Promise<FileResult> {
    const start = own(what);
    const target = await resolveTarget(this.#path);
    const policy = new FilePolicy({ ...start, ...(this.#beside && { beside: true }) });
    const operation = new FileOperation(this.#settings, target, start.slot ?? "", signal);
    try {
      let state: Uint8Array | undefined;
      let event: FileEvent = { type: "start", ...start, ...(this.#beside && { beside: true }) };
      for (;;) {
        const now = Math.floor(Date.now() / 1000);
        const step = core.call("file.step", { ...(state && { state }), event: { ...event, now } });
        const effect = policy.effect(step.effect, now);
        if (effect.type === "done") {
          const { result } = effect;
          if (result.error) {
            throw this.#explained(result.error, operation.error);
          }
          return result;
        }
        state = bytesIn(membersOf(step), "state");
        event = await operation.carryOut(effect);
        policy.answered(effect, event);
      }
    } finally {
      await operation.close();
    }
  }

  /** Adds to an error of the flow's which file it is about, and what the system said. */
  #explained({ code, message }: Problem, cause: unknown): AgentAssertError {
    return failure(code, `${message} (${this.#path})`, ofSystem.has(code) ? cause : undefined);
  }

  /** Says why there may be no file. */
  async #missing(): Promise<Problem> {
    if (/^~[^/\\]*([/\\]|$)/.test(this.#given)) {
      return {
        code: codes.authFileTilde,
        message: `there is no ${this.#given}: a tilde is a shell's to replace, not Node's; write the folder out, or join os.homedir() and the rest`,
      };
    }
    if (await this.#isInKeyring()) {
      return {
        code: codes.authFileKeyring,
        message: `there is no ${this.#path}: the client's config.toml has it keep the sign-in in the system's keyring; set cli_auth_credentials_store to "file" and sign in again, or give the manager credentials`,
      };
    }
    return {
      code: codes.authFileMissing,
      message: `there is no ${this.#path}; check the path, or sign in`,
    };
  }

  async #isInKeyring(): Promise<boolean> {
    try {
      // The user's own, and often a link.
      const path = await realpath(join(dirname(this.#path), "config.toml"));
      const config = await using(await openRegular(path, constants.O_RDONLY), (file) =>
        readBeginning(file, maxConfig),
      );
      return keyringSetting.test(new TextDecoder().decode(config));
    } catch {
      return false;
    }
  }
}

/** Of readings, which end by themselves. */
const never = new AbortController().signal;

/** The codes of errors that the system's last word explains. */
const ofSystem = new Set<string>([
  codes.storeReadOnly,
  codes.authFileUnreadable,
  codes.authFileNotRegular,
  codes.authFileLocked,
  codes.authFileLockUnavailable,
  codes.authFileWriteFailed,
]);

async function isWritable(path: string): Promise<boolean> {
  try {
    await (await openRegular(path, constants.O_RDWR)).close();
    return true;
  } catch {
    return false;
  }
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
        error instanceof FileError ? error.cause : error,
      );
    case "unsupported":
      return failure(
        codes.authFileLockUnavailable,
        `${path} cannot be locked: ${(error as Error).message}. If no other process uses the file, set the store's option lock to "process"`,
        error,
      );
    case "denied":
    case "read-only":
      return failure(
        codes.storeReadOnly,
        `${path} cannot be made; check who may write its folder, and whether that is mounted read-only`,
        error,
      );
    case "not-regular":
    case "folder":
      return failure(
        codes.authFileNotRegular,
        `there is something else where the lock file ${path} belongs; remove it`,
        error,
      );
  }
  return failure(
    codes.authFileWriteFailed,
    isMissing(error) ? `${path} cannot be made: its folder does not exist` : `${path} cannot be made`,
    error,
  );
}
