import { spawn, type SpawnOptions } from "node:child_process";
import { constants, type BigIntStats } from "node:fs";
import { lstat, open, unlink, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { codeOfSystem } from "./errors.js";
import { missingFlag } from "./leave.js";
import { own } from "./own.js";
import { findProgram, programEnvironment } from "./program.js";

// Node has no flock(2), and a file that only exists while it is locked would
// outlive a process that is killed. But a lock of flock(2) belongs to an open
// file, and every process that has inherited the open file can take it. So this
// process opens the file, and
//
//   - on the BSDs and macOS, asks for the lock while it opens it;
//   - on other Unixes, hands the open file to the program flock, of util-linux,
//     busybox or toybox, which waits for the lock, takes it, and ends. The lock
//     stays with the file, which nobody but this process has open any more;
//   - on Windows, opens it so that nobody else can.
//
// In each case the lock ends when this process closes the file, or ends itself,
// in whatever way. Nothing has to run while it is held.

/** Where a file is locked. Tests bring their own. */
export interface System {
  platform: NodeJS.Platform;
  open: (path: string, flags: number, mode: number) => Promise<FileHandle>;
  lstat: (path: string) => Promise<BigIntStats>;
}

const thisSystem: System = {
  platform: process.platform,
  open,
  lstat: (path) => lstat(path, { bigint: true }),
};

/** That there is no means to lock the file for other processes. The message says what would be one. */
export class LockUnavailableError extends Error {}

/** That there is something else where a file belongs. */
export class NotRegularError extends Error {
  readonly isFolder: boolean;

  private constructor(path: string, isFolder: boolean) {
    super(`${path} is ${isFolder ? "a folder" : "a link, a pipe, a socket or a device"}, and no file`);
    this.isFolder = isFolder;
  }

  /** Throws one unless it is a regular file. */
  static check(path: string, info: { isFile: () => boolean; isDirectory: () => boolean }): void {
    if (!info.isFile()) {
      throw new NotRegularError(path, info.isDirectory());
    }
  }
}

// Windows has neither of the two, nor what they are for.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;

export const modes = {
  /** Follows no link, and does not wait for a pipe's other end. */
  careful: O_NOFOLLOW | O_NONBLOCK,
};

/** How often a file that cannot be waited for is tried again, in milliseconds. */
const poll = 5;

/** O_EXLOCK of the BSDs and macOS, which fs.constants lacks. */
const openLocked = 0x20;

/** UV_FS_O_EXLOCK on Windows, which fs.constants lacks: no sharing. */
const openUnshared = 0x10000000;

export interface LockOptions {
  /** Removes the file when the lock is given back. */
  remove?: boolean;
  /** Is given a lock file that had to be made. */
  made?: (file: FileHandle) => Promise<void>;
  system?: System;
}

/**
 * Waits for the lock of a file, which is made if there is none and stays, empty,
 * unless it is to be removed. Returns what unlocks it. It excludes everybody who
 * opens the file for themselves, in this process too.
 *
 * Rejects with the signal's reason, with LockUnavailableError, with NotRegularError,
 * or with what kept the file from being opened.
 */
export async function lockFile(
  path: string,
  signal: AbortSignal,
  options: LockOptions = {},
): Promise<() => Promise<void>> {
  const { remove = false, made, system = thisSystem } = own(options);
  const mode = modeOf(system.platform);
  for (;;) {
    const { file, isNew } = await openFile(path, signal, system);
    let isRight: boolean;
    try {
      if (isNew) {
        await (made?.(file) ?? Promise.resolve()).catch(async (error: unknown) => {
          await unlink(path).catch(() => undefined); // nobody else could open it
          throw error;
        });
      }
      if (mode === "program") {
        await lockOpenFile(file, signal);
      }
      signal.throwIfAborted();
      // What is locked may have been removed by who had it before.
      isRight = mode === "unshared" || (await isAt(path, file, system));
    } catch (error) {
      await file.close();
      throw error;
    }
    if (isRight) {
      return unlocking(path, file, remove, mode === "unshared");
    }
    await file.close();
  }
}

/** Returns what unlocks a file, and does so once. */
function unlocking(path: string, file: FileHandle, remove: boolean, closeFirst: boolean) {
  let unlocked = false;
  return async () => {
    if (unlocked) {
      return;
    }
    unlocked = true;
    if (closeFirst) {
      await file.close(); // a file that is open can only be removed by who shares it; nor can another's then
    }
    if (remove) {
      // Elsewhere while it is held: who gets it next sees that it is gone.
      await unlink(path).catch(() => undefined);
    }
    if (!closeFirst) {
      await file.close();
    }
  };
}

async function isAt(path: string, file: FileHandle, system: System): Promise<boolean> {
  const have = await file.stat({ bigint: true });
  try {
    const is = await system.lstat(path);
    return is.dev === have.dev && is.ino === have.ino;
  } catch (error) {
    if (codeOfSystem(error) === "ENOENT") {
      return false;
    }
    throw error;
  }
}

function modeOf(platform: NodeJS.Platform): "locked" | "unshared" | "program" {
  switch (platform) {
    case "darwin":
    case "freebsd":
    case "netbsd":
    case "openbsd":
      return "locked";
    case "win32":
      // The host in Go locks the first byte of the file with LockFileEx. It has the
      // file open only while it holds the lock or tries to take it, and until then
      // this process waits; while this one has it open, the other waits.
      return "unshared";
    default:
      return "program";
  }
}

/** Opens the file, makes it where it is missing, and has it locked with that where the system can do both at once. */
async function openFile(
  path: string,
  signal: AbortSignal,
  system: System,
): Promise<{ file: FileHandle; isNew: boolean }> {
  for (;;) {
    signal.throwIfAborted();
    const found = await tryOpenFile(path, system);
    if (found) {
      return found;
    }
    await sleep(poll, undefined, own({ signal })).catch(() => undefined);
  }
}

/** Returns undefined where the file is to be tried again. */
async function tryOpenFile(
  path: string,
  system: System,
): Promise<{ file: FileHandle; isNew: boolean } | undefined> {
  const mode = modeOf(system.platform);
  let isNew = false;
  try {
    NotRegularError.check(path, await system.lstat(path));
  } catch (error) {
    isNew = codeOfSystem(error) === "ENOENT";
    if (!isNew) {
      throw error;
    }
  }
  let flags = modes.careful | (isNew ? constants.O_CREAT | constants.O_EXCL : 0);
  if (mode === "locked") {
    flags |= openLocked;
  } else if (mode === "unshared") {
    flags |= openUnshared;
  }
  try {
    // NFS locks only what is open for writing.
    return { file: await system.open(path, flags | constants.O_RDWR, 0o600), isNew };
  } catch (error) {
    switch (codeOfSystem(error)) {
      case "EEXIST": // made meanwhile
        return undefined;
      case "ENOENT": // removed meanwhile
        if (!isNew) {
          return undefined;
        }
        break;
      case "EAGAIN": // locked, on the BSDs and macOS
      case "EBUSY": // open elsewhere, on Windows
        if (mode !== "program") {
          return undefined;
        }
        break;
      case "ENOTSUP":
      case "EOPNOTSUPP":
        throw new LockUnavailableError("its file system has no locks; keep it on another", { cause: error });
      case "EACCES":
      case "EPERM":
      case "EROFS":
        if (!isNew && mode !== "unshared") {
          return { file: await openForReading(path, flags, system), isNew };
        }
    }
    throw error;
  }
}

async function openForReading(path: string, flags: number, system: System): Promise<FileHandle> {
  try {
    return await system.open(path, flags | constants.O_RDONLY, 0o600);
  } catch (error) {
    // Unlike one that cannot be made, somebody may hold it.
    throw new Error(`${path} is there, and cannot be opened; see whom it belongs to`, { cause: error });
  }
}

/**
 * Has the program flock take the lock of a file that is open here.
 *
 * If this process is killed meanwhile, the program waits on, and has the only
 * copy of the open file. The lock that it then gets ends with it, at once.
 */
async function lockOpenFile(file: FileHandle, signal: AbortSignal): Promise<void> {
  const program = await findProgram("flock");
  if (program.path === undefined) {
    throw new LockUnavailableError(
      program.isRefused
        ? `the program flock may not be run: ${program.problem}`
        : `the program flock cannot be run (${program.problem}); install it where only root or you can write, with the package util-linux`,
    );
  }
  let status: number | NodeJS.Signals | null;
  try {
    status = await new Promise((resolve, reject) => {
      const options: SpawnOptions = {
        argv0: "flock", // by which busybox knows what it is wanted for
        stdio: ["ignore", "ignore", "ignore", file.fd], // the fourth of them is 3
        env: programEnvironment,
        detached: true, // or a Ctrl-C for this process, which may ignore it, ends the wait
        signal,
        killSignal: "SIGKILL",
      };
      const child = spawn(program.path, ["-x", "3"], own(options));
      child.on("exit", (code, name) => {
        resolve(code ?? name);
      });
      child.on("error", reject);
    });
  } catch (error) {
    signal.throwIfAborted();
    const flag = missingFlag(error);
    throw new LockUnavailableError(
      flag === undefined
        ? `the program flock, ${program.path}, cannot be run; install it anew, with the package util-linux`
        : `the program flock may not be run: this process needs ${flag === "--allow-run" ? "--allow-run=flock" : flag}`,
      { cause: error },
    );
  }
  if (status !== 0) {
    signal.throwIfAborted();
    throw new LockUnavailableError(
      `the program flock failed (${status ?? "no status"}); see whether it can lock the file in a shell`,
    );
  }
}
