import { randomInt } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, rename, rmdir, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { limited, sleep } from "./abort.js";
import { codeOfSystem } from "./errors.js";
import { lockFile, modes } from "./file-lock.js";
import { isLeftover, pathOf, temporary } from "./file-paths.js";
import {
  checkFolder,
  failureOf,
  FileError,
  idOf,
  isMissing,
  keepAttributes,
  list,
  look,
  openFolder,
  openRegular,
  read,
  readOpen,
  secretFolderMode,
  secretMode,
  share,
  sync,
  using,
  write,
} from "./file-system.js";
import type { FileAnswer, FileEffect, FileEvent } from "./messages.js";
import { own } from "./own.js";
import { NamedTurns } from "./turns.js";

/** By files, not by stores: two stores in one process can have the same one. */
const turns = new NamedTurns();

/** What all operations on a store's files have in common. */
export interface FileSettings {
  /** Whether other processes are locked out, too. */
  locks: boolean;
  /** Is told of each effect before it is carried out: in tests, which end there as a killed process does. */
  before?: ((effect: FileEffect, path: string | undefined) => void) | undefined;
}

/** A file that is to take the place of another. */
interface Temporary {
  path: string;
  /** Of the file that was made: when it is opened again, somebody may have put another under its name. */
  id: string | undefined;
}

/** Carries out the effects of one file flow. */
export class FileOperation {
  readonly #settings: FileSettings;
  /** The path of auth.json, behind all links. */
  readonly #target: string;
  readonly #slot: string;
  readonly #signal: AbortSignal;
  /** Those that were made, by the names of the files that they are for. */
  readonly #temporaries = new Map<string, Temporary>();
  /** The locks that are held, by name. */
  readonly #locks = new Map<string, () => Promise<void>>();
  /** Folders that were looked at: they are folders, and no links. */
  readonly #checked = new Set<string>();
  /** The file that was the target, open since before it was replaced. */
  #previous: FileHandle | undefined;
  /** The last failure, in the system's words. */
  error: unknown;

  constructor(settings: FileSettings, target: string, slot: string, signal: AbortSignal) {
    this.#settings = settings;
    this.#target = target;
    this.#slot = slot;
    this.#signal = signal;
  }

  /** Does what an effect asks for. A failure becomes an event: what follows from it is the core's to say. */
  async carryOut(effect: FileEffect & { type: Exclude<FileEffect["type"], "done"> }): Promise<FileEvent> {
    try {
      return { type: "done", ...(await this.#try(effect)) };
    } catch (error) {
      if (isMissing(error) && ["read", "look"].includes(effect.type)) {
        return { type: "done" }; // which is an answer, too
      }
      this.error = error;
      if (this.#signal.aborted && error === this.#signal.reason) {
        return { type: "failed", failure: "canceled" };
      }
      return { type: "failed", failure: failureOf(error) };
    }
  }

  /** Gives back what is held, and removes what a flow that did not end has left. */
  async close(): Promise<void> {
    for (const { path } of this.#temporaries.values()) {
      await unlink(path).catch(() => undefined);
    }
    for (const unlock of [...this.#locks.values()].reverse()) {
      await unlock();
    }
    await this.#previous?.close();
  }

  async #try(effect: FileEffect & { type: Exclude<FileEffect["type"], "done"> }): Promise<FileAnswer> {
    const { before } = this.#settings;
    if (effect.type === "wait") {
      await sleep(effect.waitMs, this.#signal);
      return {};
    }
    const { name } = effect;
    if (effect.type === "read" && name === "previous") {
      before?.(effect, undefined);
      return this.#previous ? readOpen(this.#previous) : {};
    }
    if (effect.type === "list" && name === "leftovers") {
      before?.(effect, dirname(this.#target));
      const isWanted = (name: string) => isLeftover(this.#target, name);
      return named(await list(dirname(this.#target), effect.limit, effect.olderThan ?? 0, isWanted));
    }
    const path = await this.#path(name);
    before?.(effect, path);
    switch (effect.type) {
      case "read":
        return read(path);
      case "look":
        return look(path);
      case "lock":
        await this.#lock(name, path, effect.timeoutMs);
        return {};
      case "unlock":
        await this.#locks.get(name)?.();
        this.#locks.delete(name);
        return {};
      case "create":
        await this.#create(name, path, effect.content ?? new Uint8Array());
        return {};
      case "own":
        await this.#own(this.#temporary(name));
        return {};
      case "install":
        await this.#install(name, path);
        return {};
      case "discard":
        await unlink(this.#temporary(name).path);
        this.#temporaries.delete(name);
        return {};
      case "write":
        await change(path, (file) => write(file, effect.content ?? new Uint8Array()));
        return {};
      case "truncate":
        await change(path, (file) => file.truncate(effect.size ?? 0));
        return {};
      case "sync":
        await sync(path, name === "target");
        return {};
      case "make-folder":
        await makeFolder(path, this.#target);
        return {};
      case "move":
        await move(path, await this.#path(effect.to));
        return {};
      case "remove":
        await remove(path);
        return {};
      case "list":
        await checkFolder(path);
        return named(await list(path, effect.limit, effect.olderThan ?? 0, () => true));
      default:
        throw new FileError("failed", "the core asks for an effect that this package does not know");
    }
  }

  /** Returns the path of a file. The folders of threads that it is in are no links, which may lead anywhere. */
  async #path(name: string): Promise<string> {
    const path = pathOf(this.#target, this.#slot, name);
    if (path === undefined) {
      throw new FileError("failed", `the core names a file that this package does not know: ${name}`);
    }
    if (/^threads?\//.test(name)) {
      const threads = `${this.#target}.threads`;
      for (const folder of new Set([threads, dirname(path)])) {
        if (!this.#checked.has(folder)) {
          await checkFolder(folder);
          this.#checked.add(folder);
        }
      }
    }
    return path;
  }

  #temporary(name: string): Temporary {
    const made = this.#temporaries.get(name);
    if (!made) {
      throw new FileError("missing", "there is no such temporary file");
    }
    return made;
  }

  /** Gives a temporary of the target what the target has. */
  async #own({ path, id }: Temporary): Promise<void> {
    const source = await openRegular(this.#target, constants.O_RDONLY);
    await using(source, async (source) => {
      await using(await openRegular(path, constants.O_RDWR), async (copy) => {
        if ((await idOf(copy)) !== id) {
          throw new FileError("not-regular", "the temporary file is another than the one that was made");
        }
        await keepAttributes(source, copy);
      });
    });
  }

  /** Takes one of the client's locks. */
  async #lock(name: string, path: string, timeout: number): Promise<void> {
    if (this.#locks.size > 0 && basename(this.#target) === "auth") {
      // Its second lock is its first.
      this.#locks.set(name, () => Promise.resolve());
      return;
    }
    this.#locks.set(name, await takeLock(this.#settings, path, this.#target, timeout, this.#signal));
  }

  /** Writes a file's temporary, and to the disk. */
  async #create(name: string, path: string, content: Uint8Array): Promise<void> {
    const made = join(dirname(path), `${temporary}${basename(path)}${randomInt(2 ** 48 - 1)}`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | modes.careful;
    const file = await open(made, flags, secretMode);
    const temporaryFile: Temporary = { path: made, id: undefined };
    try {
      await using(file, async (file) => {
        // Before it has content: it is for nobody yet.
        await this.#share(name, file);
        await write(file, content);
        await file.sync();
        temporaryFile.id = await idOf(file);
      });
    } catch (error) {
      await unlink(made).catch(() => undefined);
      throw error;
    }
    this.#temporaries.set(name, temporaryFile);
  }

  /**
   * Gives a new file to those who have the target. The target's own temporary is given
   * what the target has, later; and the journal is for us where nobody else can have
   * it. Any other record that only we could read would be in the way of those whose
   * file this is.
   */
  async #share(name: string, file: FileHandle): Promise<void> {
    try {
      await share(file, this.#target);
    } catch (error) {
      if (name !== "target" && name !== "journal") {
        throw error;
      }
    }
  }

  /** Renames a temporary. Of the target it keeps the file that was there, where a file that is open can be replaced. */
  async #install(name: string, path: string): Promise<void> {
    const { path: made } = this.#temporary(name);
    if (name === "target" && process.platform !== "win32") {
      await this.#previous?.close();
      this.#previous = await openRegular(path, constants.O_RDONLY).catch(() => undefined);
    }
    await rename(made, path);
    this.#temporaries.delete(name);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await look(path);
    return true;
  } catch {
    return false;
  }
}

/** The ABI has no empty members. */
function named(names: string[]): FileAnswer {
  return names.length > 0 ? { names } : {};
}

/**
 * Waits for a lock: first until those in this process who came before have had it,
 * then, unless the settings say otherwise, for other processes. Returns what gives it
 * back. Rejects with the signal's reason; with a FileError, locked, after the time-out
 * in milliseconds; and as lockFile does.
 */
export async function takeLock(
  { locks }: FileSettings,
  path: string,
  target: string,
  timeout: number,
  signal: AbortSignal,
  remove = false,
): Promise<() => Promise<void>> {
  try {
    return await limited(signal, timeout, async (signal) => {
      const endTurn = await turns.take(path, signal);
      try {
        const unlock = locks
          ? await lockFile(path, signal, {
              remove,
              made: (file) => share(file, target),
            })
          : undefined;
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
    if (!signal.aborted && error instanceof DOMException && error.name === "TimeoutError") {
      const locked = new FileError("locked", `${path} was held for ${timeout} ms`);
      locked.cause = error;
      throw locked;
    }
    throw error;
  }
}

/** Makes a folder for files of this package's, unless there is one. */
export async function makeFolder(path: string, target: string): Promise<void> {
  try {
    await mkdir(path, own({ mode: secretFolderMode, recursive: false }));
  } catch (error) {
    if (codeOfSystem(error) !== "EEXIST") {
      throw error;
    }
    await checkFolder(path);
    return;
  }
  if (process.platform === "win32") {
    return;
  }
  try {
    await using(await openFolder(path), (folder) => share(folder, target));
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    throw error;
  }
}

/** Changes a file in its place. */
async function change(path: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  await using(await openRegular(path, constants.O_WRONLY), work);
}

/** Gives a file another name, unless there is a file of that name. */
async function move(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (["EEXIST", "ENOENT"].includes(codeOfSystem(error) ?? "")) {
      throw error;
    }
    // There are file systems without links.
    if (await isThere(to)) {
      throw error;
    }
    await rename(from, to);
    return;
  }
  await unlink(from);
}

/** Removes a file, or a folder that is empty. */
async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    // Linux says EISDIR, other systems EPERM.
    if (!["EISDIR", "EPERM"].includes(codeOfSystem(error) ?? "")) {
      throw error;
    }
    try {
      await rmdir(path);
    } catch (second) {
      throw codeOfSystem(second) === "ENOTDIR" ? error : second;
    }
  }
}
