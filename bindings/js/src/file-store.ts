import { constants } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";

import { canceled, orAborted } from "./abort.js";
import { codes, failure, type AgentAssertError } from "./errors.js";
import { FileOperation, makeFolder, takeLock, type FileSettings } from "./file-operation.js";
import { FilePolicy } from "./file-policy.js";
import { registrationLock, resolveTarget, threadLocks, threadSlot } from "./file-paths.js";
import type { FileStoreSettings } from "./file-store-settings.js";
import { failureOf, FileError, isMissing, openRegular, readBeginning, using } from "./file-system.js";
import { missingFlag } from "./leave.js";
import type { Credentials, FileEffect, FileEvent, FileResult, FileStart, Problem } from "./messages.js";
import { own } from "./own.js";
import type { Store, StoreContext } from "./store.js";
import { Batches } from "./turns.js";
import { bytesIn, membersOf } from "./untrusted.js";

/** How much of the client's configuration is looked at, in bytes. */
const maxConfig = 1 << 20;
/** How that says that there is no auth.json. */
const keyringSetting = /^[ \t]*cli_auth_credentials_store[ \t]*=[ \t]*["'](keyring|auto)["']/m;

/** The store that fileStore says, to which tests can add what is called before each effect. */
export class FileStore implements Store {
  readonly #given: string;
  readonly #path: string;
  readonly #lockTimeout: number;
  readonly #beside: boolean;
  readonly #settings: FileSettings;
  /** The readings that are under way, by what is read. */
  readonly #readings = new Map<string, Batches<FileResult>>();

  constructor(settings: FileStoreSettings, before?: (effect: FileEffect, path: string | undefined) => void) {
    const { given, resolved, lockTimeout, lock, identity } = settings;
    this.#given = given;
    this.#path = resolved;
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
    const [flag, explains] = [missingFlag(cause), ofSystem.has(code)];
    const leave = flag === undefined || !explains ? "" : `; this process needs ${flag}`;
    return failure(code, `${message} (${this.#path})${leave}`, explains ? cause : undefined);
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
    return canceled(signal, `the wait for ${path} was given up`);
  }
  const flag = missingFlag(error);
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
        flag === undefined
          ? `${path} cannot be made; check who may write its folder, and whether that is mounted read-only`
          : `${path} may not be made or opened: this process needs ${flag}`,
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
