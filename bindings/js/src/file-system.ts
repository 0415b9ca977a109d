import { spawn, type SpawnOptions } from "node:child_process";
import { constants, type BigIntStats } from "node:fs";
import { lstat, open, opendir, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";

import { codeOfSystem } from "./errors.js";
import { LockUnavailableError, NotRegularError, modes } from "./file-lock.js";
import { missingFlag } from "./leave.js";
import type { FileAnswer, FileFailure, FileStat } from "./messages.js";
import { own } from "./own.js";
import { findProgram, programEnvironment } from "./program.js";

// System calls on files in folders that others may write to: nothing here follows a
// link or waits for a pipe's other end, and what is opened is looked at once more.

/** The largest file that is read, in bytes. */
export const maxSize = 512 << 10;
/** For files with secrets, and folders of them, where there is no auth.json whose mode says more. */
export const secretMode = 0o600;
export const secretFolderMode = 0o700;
/** How many entries of a folder are looked at, at the most, for some that are old. */
const manyEntries = 1024;

/** A failure that no system call reports. */
export class FileError extends Error {
  readonly failure: FileFailure;

  constructor(failure: FileFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

const failures: Record<string, FileFailure> = own({
  ENOENT: "missing",
  ENOTDIR: "missing",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "read-only",
  EBUSY: "busy",
  EXDEV: "busy",
  ETXTBSY: "busy",
  ENOSPC: "no-room",
  EDQUOT: "no-room",
  EFBIG: "no-room",
  ENOLCK: "unsupported",
  ENOSYS: "unsupported",
  EOPNOTSUPP: "unsupported",
  ENOTSUP: "unsupported",
  EBADF: "unsupported",
  EINVAL: "unsupported",
  ELOOP: "not-regular",
  ENXIO: "not-regular",
  EISDIR: "folder",
});

/** Names what went wrong in the flow's words. */
export function failureOf(error: unknown): FileFailure {
  if (error instanceof FileError) {
    return error.failure;
  }
  if (error instanceof NotRegularError) {
    return error.isFolder ? "folder" : "not-regular";
  }
  if (error instanceof LockUnavailableError) {
    return "unsupported";
  }
  return missingFlag(error) === undefined ? (failures[codeOfSystem(error) ?? ""] ?? "failed") : "denied";
}

export function isMissing(error: unknown): boolean {
  return codeOfSystem(error) === "ENOENT";
}

/** Opens a regular file, and nothing else. */
export async function openRegular(path: string, flags: number): Promise<FileHandle> {
  NotRegularError.check(path, await lstat(path)); // a device can do something when it is opened
  const file = await open(path, flags | modes.careful);
  try {
    NotRegularError.check(path, await file.stat());
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Has work done with an open file, which is closed afterwards. */
export async function using<T>(file: FileHandle, work: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Returns a file's content, and what else is known of it. */
export async function read(path: string): Promise<FileAnswer> {
  return using(await openRegular(path, constants.O_RDONLY), readOpen);
}

/** The same of a file that is open. */
export async function readOpen(file: FileHandle): Promise<FileAnswer> {
  const content = await readBeginning(file, maxSize + 1);
  if (content.length > maxSize) {
    throw new FileError("too-large", "it is larger than 512 KiB");
  }
  // Of the content, and not of what came before it.
  const stat = newStat(await file.stat({ bigint: true }));
  return content.length > 0 ? { stat, content } : { stat };
}

/** Returns the first bytes of a file, which is most often a small one. */
export async function readBeginning(file: FileHandle, limit: number): Promise<Uint8Array> {
  let data = new Uint8Array(Math.min(limit, 16 << 10));
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(data, length, data.length - length, length);
    length += bytesRead;
    if (bytesRead === 0 || length === limit) {
      return data.slice(0, length);
    }
    if (length === data.length) {
      const larger = new Uint8Array(Math.min(limit, 4 * length));
      larger.set(data);
      data = larger;
    }
  }
}

/** Returns what is known of a file beside its content. */
export async function look(path: string): Promise<FileAnswer> {
  return { stat: newStat(await lstat(path, { bigint: true })) };
}

/** Tells an open file apart from others. */
export async function idOf(file: FileHandle): Promise<string> {
  return newStat(await file.stat({ bigint: true })).id;
}

function newStat(info: BigIntStats): FileStat {
  return {
    id: `${info.dev}:${info.ino}`,
    size: Number(info.size),
    modified: info.mtimeNs,
    mode: Number(info.mode & 0o777n),
    links: Number(info.nlink),
  };
}

/** Writes data over the beginning of a file. */
export async function write(file: FileHandle, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await file.write(data, done, data.length - done, done);
    done += bytesWritten;
  }
}

/** Brings a file to the disk; of a folder, the names in it. */
export async function sync(path: string, isFile: boolean): Promise<void> {
  if (isFile) {
    await using(await openRegular(path, constants.O_WRONLY), (file) => file.sync());
  } else if (process.platform !== "win32") {
    // Windows opens no folders for that.
    await using(await openFolder(path), (folder) => folder.sync());
  }
}

export function openFolder(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | modes.careful);
}

/** Fails where there is no folder, or something else. */
export async function checkFolder(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) {
    throw new FileError("not-regular", `${path} is no folder`);
  }
}

/** Returns the names of some entries that are old enough, in seconds. */
export async function list(
  path: string,
  limit: number,
  olderThan: number,
  isWanted: (name: string) => boolean,
): Promise<string[]> {
  const names: string[] = [];
  const folder = await opendir(path, own({ encoding: "utf8", bufferSize: 32, recursive: false }));
  try {
    for (let i = 0; i < manyEntries && names.length < limit; i++) {
      const entry = await folder.read();
      if (!entry) {
        break;
      }
      if (isWanted(entry.name) && (olderThan === 0 || (await isOld(join(path, entry.name), olderThan)))) {
        names.push(entry.name);
      }
    }
  } finally {
    await folder.close();
  }
  return names;
}

async function isOld(path: string, seconds: number): Promise<boolean> {
  try {
    const info = await lstat(path);
    return info.isFile() && Date.now() - info.mtimeMs > seconds * 1000;
  } catch {
    return false; // it is gone
  }
}

/** Whose a file is, and who may do what with it. */
interface Rights {
  uid: number;
  gid: number;
  mode: number;
}

/**
 * Gives a file or folder that was just made, and is open, to those who have the
 * target: whom it belongs to, and who may read and write it. It fails where the
 * target's owner would not get at it, and it is then for whoever made it alone. Where
 * there is no target it is for whom the folder belongs to.
 */
export async function share(file: FileHandle, target: string): Promise<void> {
  if (process.platform === "win32") {
    return; // its folder says who may use it
  }
  const info = await file.stat();
  const rights = await rightsOf(target);
  if (!rights) {
    const folder = await rightsOf(dirname(target));
    if (folder) {
      await give(file, info, folder.uid, folder.gid);
    }
    return;
  }
  let bits = rights.mode & 0o666;
  if (!(await give(file, info, rights.uid, rights.gid))) {
    // The owner is then one of the group, or of all others.
    if (!(await give(file, info, info.uid, rights.gid))) {
      bits &= ~0o060;
    }
    if (info.uid !== rights.uid && (bits & 0o060) !== 0o060 && (bits & 0o006) !== 0o006) {
      throw new FileError("denied", "the owner of auth.json would not get at a file beside it");
    }
  }
  if (process.platform === "linux" && info.isFile() && (bits & 0o060) !== 0) {
    // With an access control list the group's bits say what others have at most, and
    // not what the group has.
    try {
      await using(await openRegular(target, constants.O_RDONLY), (source) => copyAttributes(source, file));
    } catch {
      return; // it stays its owner's alone
    }
  }
  if (info.isDirectory()) {
    bits |= (bits & 0o444) >> 2; // who may read may look, too
  }
  await file.chmod((info.mode & 0o777) | bits);
}

async function rightsOf(path: string): Promise<Rights | undefined> {
  try {
    return await lstat(path);
  } catch {
    return undefined;
  }
}

/** Changes owner and group, if they are others, and reports whether they are as they should be. */
async function give(file: FileHandle, have: Rights, uid: number, gid: number): Promise<boolean> {
  if (have.uid === uid && have.gid === gid) {
    return true;
  }
  try {
    await file.chown(uid, gid);
    return true;
  } catch {
    return false;
  }
}

/** Gives an open file all that another has but its content, or fails. */
export async function keepAttributes(from: FileHandle, to: FileHandle): Promise<void> {
  const want = await from.stat();
  if (process.platform === "win32") {
    await to.chmod(want.mode & 0o777); // its access control list is the folder's
    return;
  }
  if (process.platform !== "linux" || !(await copyAttributes(from, to))) {
    if (process.platform === "linux" && (want.mode & 0o070) !== 0) {
      // With a list, whatever it says, the group's bits are not empty.
      throw new FileError("unsupported", "there is no GNU cp, with which an access control list is kept");
    }
    await give(to, await to.stat(), want.uid, want.gid);
    await to.chmod(want.mode & 0o7777);
  }
  const have = await to.stat();
  if (have.uid !== want.uid || have.gid !== want.gid || have.mode !== want.mode) {
    throw new FileError("denied", "owner, group or mode of the file cannot be kept");
  }
}

/**
 * Has GNU cp copy what Node cannot, an access control list among it. Returns false
 * where there is no such program; fails where it does.
 */
async function copyAttributes(from: FileHandle, to: FileHandle): Promise<boolean> {
  // By the open files: another file may have either name by now.
  const flags = ["--attributes-only", "--preserve=all", "--no-preserve=timestamps,links"];
  const [status] = await run("cp", [...flags, "--", "/proc/self/fd/3", "/proc/self/fd/4"], from.fd, to.fd);
  if (status === 0) {
    return true;
  }
  const [, version] = await run("cp", ["--version"]);
  if (!version.includes("coreutils")) {
    return false;
  }
  throw new FileError("denied", "the program cp could not copy the attributes of the file");
}

/** Runs a program, and returns its exit code, if it has one, and what it prints. */
async function run(name: string, args: string[], ...fds: number[]): Promise<[number | null, string]> {
  const program = await findProgram(name);
  if (program.path === undefined) {
    return [null, ""];
  }
  const options: SpawnOptions = {
    stdio: ["ignore", "pipe", "ignore", ...fds],
    env: programEnvironment,
  };
  const child = spawn(program.path, args, own(options));
  return new Promise((resolve) => {
    let output = "";
    child.stdout?.on("data", (data: Buffer) => (output += data.toString("latin1")));
    child.on("error", () => {
      resolve([null, ""]);
    });
    child.on("close", (status) => {
      resolve([status, output]);
    });
  });
}
