import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { constants, type BigIntStats, type Stats } from "node:fs";
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  open,
  opendir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { LockUnavailableError, type LockFile } from "./file-lock.js";
import { temporary, type FileNames } from "./file-names.js";
import type { FileEffect, FileEvent, FileFailure, FileStat } from "./messages.js";
import { limited, orAborted } from "./turns.js";

/** The largest file that is read, in bytes. */
const maxSize = 512 << 10;
/** For files with secrets, and for folders of them, where there is no auth.json whose mode says more. */
const secretMode = 0o600;
const secretFolderMode = 0o700;
/** How many entries of a folder are looked at, at the most, for some that are old. */
const manyEntries = 1024;

const isWindows = process.platform === "win32";
/** They follow no link, and do not wait for a pipe's other end. Windows has neither. */
export const openFlags =
  ((constants.O_NOFOLLOW as number | undefined) ?? 0) | ((constants.O_NONBLOCK as number | undefined) ?? 0);

/** A failure that is named in the flow's words already. */
class FileProblem extends Error {
  constructor(
    readonly failure: FileFailure,
    message: string,
  ) {
    super(message);
  }
}

/** Carries out the effects of one file flow. */
export class FileSystem {
  readonly #names: FileNames;
  readonly #lockFile: LockFile;
  readonly #signal: AbortSignal;
  /** Called after each effect in tests, which end there as a killed process does. */
  readonly #after: ((effect: FileEffect) => void) | undefined;
  /** The paths of those that were made, by the names of the files that they are for. */
  readonly #temporaries = new Map<string, string>();
  readonly #unlock = new Map<string, () => Promise<void>>();
  /** The file that was the target, open since before it was replaced. */
  #previous: FileHandle | undefined;
  /** The last failure, in the system's words. */
  error: unknown;

  constructor(
    names: FileNames,
    lockFile: LockFile,
    signal: AbortSignal,
    after?: (effect: FileEffect) => void,
  ) {
    this.#names = names;
    this.#lockFile = lockFile;
    this.#signal = signal;
    this.#after = after;
  }

  /** Gives back what a flow that did not end has left. */
  async close(): Promise<void> {
    for (const unlock of this.#unlock.values()) {
      await ignoreErrors(unlock());
    }
    await ignoreErrors(this.#previous?.close());
  }

  /** Does what an effect asks for. */
  async carryOut(effect: FileEffect): Promise<FileEvent> {
    try {
      const answer = await this.#try(effect);
      return { type: "done", ...answer };
    } catch (error) {
      this.error = error;
      return { type: "failed", failure: failureOf(error) };
    } finally {
      this.#after?.(effect);
    }
  }

  async #try(effect: FileEffect): Promise<{ stat?: FileStat; content?: Uint8Array; names?: string[] }> {
    switch (effect.type) {
      case "wait":
        await orAborted(new Promise((resolve) => setTimeout(resolve, effect.waitMs)), this.#signal);
        return {};
      case "done":
        return {};
      case "read":
        if (effect.name === "previous") {
          return this.#previous ? readOpen(this.#previous) : {};
        }
        return read(this.#path(effect.name));
      case "look": {
        const found = await lstat(this.#path(effect.name), { bigint: true }).catch(missingIsUndefined);
        return found ? { stat: statOf(found) } : {};
      }
      case "lock": {
        const path = this.#path(effect.name);
        const unlock = await limited(this.#signal, effect.timeoutMs, (signal) =>
          this.#lockFile(path, signal),
        );
        this.#unlock.set(effect.name, unlock);
        return {};
      }
      case "unlock": {
        const unlock = this.#unlock.get(effect.name);
        this.#unlock.delete(effect.name);
        await unlock?.();
        return {};
      }
      case "create":
        await this.#create(effect.name, effect.content ?? new Uint8Array());
        return {};
      case "own":
        await keepAttributes(this.#names.target, this.#temporary(effect.name));
        return {};
      case "install":
        await this.#install(effect.name);
        return {};
      case "discard":
        await unlink(this.#temporary(effect.name));
        return {};
      case "write":
        await change(this.#path(effect.name), async (file) => {
          const content = effect.content ?? new Uint8Array();
          for (let at = 0; at < content.length;) {
            at += (await file.write(content, at, content.length - at, at)).bytesWritten;
          }
        });
        return {};
      case "truncate":
        await change(this.#path(effect.name), (file) => file.truncate(effect.size ?? 0));
        return {};
      case "sync":
        await syncPath(this.#path(effect.name), effect.name === "target");
        return {};
      case "make-folder":
        await makeFolder(this.#path(effect.name), this.#names.target);
        return {};
      case "move":
        await rename(this.#path(effect.name), this.#path(effect.to));
        return {};
      case "remove":
        await remove(this.#path(effect.name));
        return {};
      case "list": {
        const leftovers = effect.name === "leftovers";
        const folder = leftovers ? dirname(this.#names.target) : this.#path(effect.name);
        const names = await list(folder, effect.limit, effect.olderThan ?? 0, (name) =>
          leftovers ? this.#names.isLeftover(name) : true,
        );
        return names.length > 0 ? { names } : {};
      }
    }
  }

  #path(name: string): string {
    const path = this.#names.path(name);
    if (path === undefined) {
      throw new FileProblem("failed", `the core asks for a file that this host does not know: ${name}`);
    }
    return path;
  }

  #temporary(name: string): string {
    const path = this.#temporaries.get(name);
    if (path === undefined) {
      throw new FileProblem("failed", `there is no temporary of ${name}`);
    }
    return path;
  }

  async #create(name: string, content: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const made = join(
      dirname(path),
      `${temporary}${basename(path)}${randomInt(2 ** 32)}${randomInt(2 ** 32)}`,
    );
    const file = await open(
      made,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | openFlags,
      secretMode,
    );
    try {
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await ignoreErrors(unlink(made));
      throw error;
    }
    if (name !== "target") {
      await share(made, secretMode, this.#names.target);
    }
    this.#temporaries.set(name, made);
  }

  async #install(name: string): Promise<void> {
    const path = this.#path(name);
    if (name === "target" && !isWindows) {
      await ignoreErrors(this.#previous?.close());
      this.#previous = await ignoreErrors(openRegular(path, constants.O_RDONLY));
    }
    await rename(this.#temporary(name), path);
  }
}

/** Opens a regular file, and nothing else: it follows no link, and waits for nobody at a pipe's other end. */
export async function openRegular(path: string, flags: number): Promise<FileHandle> {
  checkRegular(path, await lstat(path)); // a device can do something when it is opened
  const file = await open(path, flags | openFlags);
  try {
    checkRegular(path, await file.stat());
    return file;
  } catch (error) {
    await ignoreErrors(file.close());
    throw error;
  }
}

function checkRegular(path: string, info: Stats): void {
  if (!info.isFile()) {
    throw new FileProblem(
      info.isDirectory() ? "folder" : "not-regular",
      `${path} is ${info.isDirectory() ? "a folder" : "no regular file"}`,
    );
  }
}

async function read(path: string): Promise<{ stat?: FileStat; content?: Uint8Array }> {
  const file = await openRegular(path, constants.O_RDONLY).catch(missingIsUndefined);
  if (!file) {
    return {};
  }
  try {
    return await readOpen(file);
  } finally {
    await ignoreErrors(file.close());
  }
}

async function readOpen(file: FileHandle): Promise<{ stat: FileStat; content?: Uint8Array }> {
  const content = await readAll(file, maxSize);
  if (!content) {
    throw new FileProblem("too-large", "the file is larger than 512 KiB");
  }
  // Of the content, and not of what came before it.
  const stat = statOf(await file.stat({ bigint: true }));
  return content.length > 0 ? { stat, content } : { stat };
}

/** Returns a file's content, or undefined where it is longer than limit. */
async function readAll(file: FileHandle, limit: number): Promise<Uint8Array | undefined> {
  const data = new Uint8Array(limit + 1);
  let length = 0;
  for (let more = true; more && length < data.length;) {
    const { bytesRead } = await file.read(data, length, data.length - length, length);
    length += bytesRead;
    more = bytesRead > 0;
  }
  return length > limit ? undefined : data.slice(0, length);
}

/** Returns the content of a file of another kind, or undefined where it cannot be had. */
export async function readSmall(path: string, limit: number): Promise<Uint8Array | undefined> {
  const file = await ignoreErrors(openRegular(path, constants.O_RDONLY));
  try {
    return file && (await ignoreErrors(readAll(file, limit)));
  } finally {
    await ignoreErrors(file?.close());
  }
}

function statOf(info: BigIntStats): FileStat {
  return {
    id: `${info.dev}:${info.ino}`,
    size: Number(info.size),
    modified: info.mtimeNs,
    mode: Number(info.mode & 0o777n),
    links: Number(info.nlink),
  };
}

async function change(path: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await openRegular(path, constants.O_WRONLY);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

/** Brings a file to the disk, or the names in a folder. */
async function syncPath(path: string, isFile: boolean): Promise<void> {
  if (isFile) {
    await change(path, (file) => file.sync());
    return;
  }
  if (isWindows) {
    return; // folders cannot be opened for that
  }
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, for those who have the target, unless there is one. */
export async function makeFolder(path: string, target: string): Promise<void> {
  try {
    await mkdir(path, secretFolderMode);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) {
      throw error;
    }
    if (!(await lstat(path)).isDirectory()) {
      throw new FileProblem("not-regular", `${path} is no folder`);
    }
    return;
  }
  await share(path, secretFolderMode, target);
}

/**
 * Gives a file of this package's to those who have the target: whom it belongs to, and
 * who may read and write it. Where it cannot be given to its group, it is for whoever
 * made it alone.
 */
export async function share(path: string, mode: number, target: string): Promise<void> {
  if (isWindows) {
    return; // the folder says who may use it
  }
  const info = await ignoreErrors(stat(target));
  if (!info) {
    const folder = await ignoreErrors(stat(dirname(target)));
    if (folder) {
      await giveTo(path, folder.uid, folder.gid);
    }
    return;
  }
  if (!(await giveTo(path, info.uid, info.gid)) && !(await giveTo(path, -1, info.gid))) {
    return;
  }
  let rights = info.mode & 0o666;
  if (mode & 0o100) {
    rights |= (rights & 0o444) >> 2; // a folder, where who may read may look, too
  }
  await ignoreErrors(chmod(path, mode | rights));
}

/** Gives a file to an owner and a group, where it is not theirs; -1 is right in any case. */
async function giveTo(path: string, uid: number, gid: number): Promise<boolean> {
  try {
    const info = await lstat(path);
    if ((uid >= 0 && info.uid !== uid) || info.gid !== gid) {
      await lchown(path, uid, gid);
    }
    return true;
  } catch {
    return false;
  }
}

/** Gives a file all that another has but its content, or throws. */
async function keepAttributes(from: string, to: string): Promise<void> {
  if (!isWindows) {
    // Node knows no access control lists. GNU's cp does; another one fails.
    await ignoreErrors(copyAttributes(from, to));
  }
  const want = await stat(from);
  let have = await lstat(to);
  if (!isWindows && (have.uid !== want.uid || have.gid !== want.gid)) {
    await lchown(to, want.uid, want.gid);
  }
  if ((have.mode & 0o777) !== (want.mode & 0o777)) {
    await chmod(to, want.mode & 0o777);
  }
  have = await lstat(to);
  if (have.uid !== want.uid || have.gid !== want.gid || have.mode !== want.mode) {
    throw new FileProblem("denied", "the owner, group or mode cannot be kept");
  }
}

function copyAttributes(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("cp", ["--attributes-only", "--preserve=mode,ownership,xattr", "--", from, to], {
      stdio: "ignore",
      env: { PATH: process.env["PATH"] }, // the rest may hold secrets
    });
    child.on("exit", (code) => {
      if (code === 0) {
        resolve();
      } else {
        reject(new Error("cp failed"));
      }
    });
    child.on("error", reject);
  });
}

/** Removes a file, or a folder that is empty. */
async function remove(path: string): Promise<void> {
  if ((await lstat(path)).isDirectory()) {
    await rmdir(path);
  } else {
    await rm(path);
  }
}

/** Returns the names of some entries that are old enough. */
async function list(
  folder: string,
  limit: number,
  olderThan: number,
  wanted: (name: string) => boolean,
): Promise<string[]> {
  const names: string[] = [];
  let looked = 0;
  for await (const entry of await opendir(folder)) {
    if (names.length >= limit || ++looked > manyEntries) {
      break;
    }
    if (!wanted(entry.name)) {
      continue;
    }
    const info = olderThan > 0 ? await ignoreErrors(lstat(join(folder, entry.name))) : undefined;
    if (olderThan === 0 || (info?.isFile() && Date.now() - info.mtimeMs > olderThan * 1000)) {
      names.push(entry.name);
    }
  }
  return names;
}

/** Names what went wrong in the flow's words. */
export function failureOf(error: unknown): FileFailure {
  if (error instanceof FileProblem) {
    return error.failure;
  }
  if (error instanceof LockUnavailableError) {
    return "unsupported";
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "locked";
  }
  for (const [failure, ...wanted] of failures) {
    if (hasCode(error, ...wanted)) {
      return failure;
    }
  }
  return error instanceof DOMException ? "canceled" : "failed";
}

const failures: [FileFailure, ...string[]][] = [
  ["missing", "ENOENT", "ENOTDIR"],
  ["denied", "EACCES", "EPERM"],
  ["read-only", "EROFS"],
  ["busy", "EBUSY", "EXDEV", "ETXTBSY"],
  ["no-room", "ENOSPC", "EDQUOT", "EFBIG"],
  ["unsupported", "ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EBADF"],
  ["not-regular", "ELOOP", "ENXIO"],
  ["folder", "EISDIR"],
];

export function hasCode(error: unknown, ...wanted: string[]): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code !== undefined && wanted.includes(code);
}

function missingIsUndefined(error: unknown): undefined {
  if (!hasCode(error, "ENOENT")) {
    throw error;
  }
  return undefined;
}

/** Returns what a promise becomes, or undefined where it fails and that does not matter. */
export async function ignoreErrors<T>(promise: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}
