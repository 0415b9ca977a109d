import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { lstat, open, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

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
}

/** Waits for the lock of a file, and returns what unlocks it. */
export type LockFile = (path: string, signal: AbortSignal) => Promise<() => Promise<void>>;

/** That there is no means to lock the file for other processes. The message says what would be one. */
export class LockUnavailableError extends Error {}

/** How often a file that cannot be waited for is tried again, in milliseconds. */
const poll = 20;

/** O_EXLOCK of the BSDs and macOS, which fs.constants lacks. */
const openLocked = 0x20;

/** UV_FS_O_EXLOCK on Windows, which fs.constants lacks: no sharing. */
const openUnshared = 0x10000000;

/**
 * Waits for the lock of a file, which is made if there is none, and is empty. Returns
 * what unlocks it. It excludes everybody who opens the file for themselves, in this
 * process too. Who holds the lock may remove the file: whoever gets it next sees that,
 * and locks the one that has its name.
 *
 * Rejects with the signal's reason, with LockUnavailableError, or with what kept
 * the file from being opened.
 */
export async function lockFile(
  path: string,
  signal: AbortSignal,
  system: System = { platform: process.platform, open },
): Promise<() => Promise<void>> {
  for (;;) {
    const file = await openFile(path, signal, system);
    try {
      if (modeOf(system.platform) === "program") {
        await lockOpenFile(file, signal);
      }
      signal.throwIfAborted();
      if (modeOf(system.platform) === "unshared" || (await isStill(file, path))) {
        return () => file.close();
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
}

/** Reports whether an open file is still the one of that name, and a file at all. */
async function isStill(file: FileHandle, path: string): Promise<boolean> {
  const have = await file.stat({ bigint: true });
  if (!have.isFile()) {
    throw Object.assign(new Error(`${path} is no regular file`), { code: "ENXIO" });
  }
  try {
    const is = await lstat(path, { bigint: true });
    return is.dev === have.dev && is.ino === have.ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
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

/** Opens the file, and has it locked with that where the system can do both at once. */
async function openFile(path: string, signal: AbortSignal, system: System): Promise<FileHandle> {
  const mode = modeOf(system.platform);
  // NFS locks only what is open for writing.
  let flags = constants.O_RDWR | constants.O_CREAT;
  if (mode !== "unshared") {
    flags |= constants.O_NOFOLLOW | constants.O_NONBLOCK; // no link, and no wait for a pipe's other end
  }
  if (mode === "locked") {
    flags |= openLocked;
  } else if (mode === "unshared") {
    flags |= openUnshared;
  }
  for (;;) {
    signal.throwIfAborted();
    try {
      return await system.open(path, flags, 0o600);
    } catch (error) {
      switch (mode === "program" ? undefined : (error as NodeJS.ErrnoException).code) {
        case "EAGAIN": // locked, on the BSDs and macOS
        case "EBUSY": // open elsewhere, on Windows
          break;
        case "ENOTSUP":
        case "EOPNOTSUPP":
          throw new LockUnavailableError("its file system has no locks; keep it on another", {
            cause: error,
          });
        default:
          throw error;
      }
    }
    await sleep(poll, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * Has the program flock take the lock of a file that is open here.
 *
 * If this process is killed meanwhile, the program waits on, and has the only
 * copy of the open file. The lock that it then gets ends with it, at once.
 */
async function lockOpenFile(file: FileHandle, signal: AbortSignal): Promise<void> {
  let status: number | NodeJS.Signals | null;
  try {
    status = await new Promise((resolve, reject) => {
      const child = spawn("flock", ["-x", "3"], {
        stdio: ["ignore", "ignore", "ignore", file.fd], // the fourth of them is 3
        env: { PATH: process.env["PATH"] }, // the rest may hold secrets
        detached: true, // or a Ctrl-C for this process, which may ignore it, ends the wait
        signal,
        killSignal: "SIGKILL",
      });
      child.on("exit", (code, name) => {
        resolve(code ?? name);
      });
      child.on("error", reject);
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new LockUnavailableError(
      "the program flock cannot be run; install it, with the package util-linux",
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
