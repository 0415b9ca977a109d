import { constants, type Stats } from "node:fs";
import { access, lstat, readlink } from "node:fs/promises";
import { isAbsolute, join } from "node:path";

import { missingFlag } from "./leave.js";
import { own } from "./own.js";

// A program that is run can do all that this process can. So it is not looked for as a
// shell does: what somebody else has put into a folder of PATH is passed over.

/** How many links lead to a file at the most. */
const maxLinks = 40;

/** Where programs are looked for without PATH. */
const usualPath = "/usr/bin:/bin";

/** The environment in which programs run. Ours may hold secrets, and what says how a program is loaded. */
export const programEnvironment: NodeJS.ProcessEnv = own({ PATH: usualPath, LC_ALL: "C" });

/** What is asked of the system. Tests bring their own. */
export interface ProgramSystem {
  /** Who this process runs as. Throws where it may not know. */
  uid: () => number;
  lstat: (path: string) => Promise<Pick<Stats, "uid" | "mode" | "isFile" | "isDirectory" | "isSymbolicLink">>;
  readlink: (path: string) => Promise<string>;
  /** Rejects where a file cannot be run. */
  checkExecutable: (path: string) => Promise<void>;
}

const thisSystem: ProgramSystem = {
  uid: () => process.geteuid?.() ?? 0,
  lstat: (path) => lstat(path),
  readlink: (path) => readlink(path),
  checkExecutable: async (path) => {
    // Node 20 ends the whole process where its permission model refuses this.
    if (permission()?.has("fs.read", path) === false) {
      throw new Error(`this process may not look at ${path}`);
    }
    await access(path, constants.X_OK);
  },
};

/** Node's permission model, where it is on. */
function permission(): Pick<NodeJS.ProcessPermission, "has"> | undefined {
  return (process as Partial<NodeJS.Process>).permission;
}

/** Where a program is, or why there is none: where this process was given no leave to look or to run it, installing it would not help. */
export type Found = { path: string } | { path: undefined; problem: string; isRefused?: true };

/** The programs that were found, by PATH and name. Nobody who could not change this process can change them. */
const known = new Map<string, string>();

/**
 * Returns the first program of that name in the folders of PATH that nobody else could
 * have put there or changed: it, every link to it, and every folder on the way belong to
 * root or to who runs this process, and neither group nor others can write to them. A
 * folder above the program's may have the sticky bit instead, as /nix/store does: what
 * is root's or ours there stays where it is. Folders with relative names, and empty
 * ones, are passed over. For Unix.
 */
export async function findProgram(name: string, inPath?: string): Promise<Found> {
  let path;
  try {
    path = inPath ?? process.env["PATH"] ?? usualPath;
  } catch {
    return refused("this process may not read PATH; in Deno it needs --allow-env=PATH");
  }
  if (permission()?.has("child") === false) {
    return refused("this process may not run programs; it needs --allow-child-process");
  }
  const key = `${path}\0${name}`;
  const before = known.get(key);
  if (before !== undefined) {
    return { path: before };
  }
  const found = await searchProgram(name, path, thisSystem);
  if (found.path !== undefined) {
    known.set(key, found.path);
  }
  return found;
}

/** The same, on a system, and without remembering. */
export async function searchProgram(name: string, path: string, system: ProgramSystem): Promise<Found> {
  let uid;
  try {
    uid = system.uid();
  } catch {
    return refused("this process may not ask who it runs as; in Deno it needs --allow-sys=uid");
  }
  const problems: string[] = [];
  for (const folder of new Set(path.split(":").filter((folder) => isAbsolute(folder)))) {
    const program = join(folder, name);
    try {
      const problem = await problemWith(program, uid, system);
      if (problem === undefined) {
        return { path: program };
      }
      problems.push(`${program} is not taken, because ${problem}`);
    } catch (error) {
      const flag = missingFlag(error);
      if (flag !== undefined) {
        return refused(`this process may not look for ${program}; it needs ${flag}`);
      }
      // There is none, or none that can be seen.
    }
  }
  return {
    path: undefined,
    problem: problems.length > 0 ? problems.join("; ") : `there is no ${name} in PATH`,
  };
}

function refused(problem: string): Found {
  return { path: undefined, problem, isRefused: true };
}

/** Follows a path name by name, as the system does. Returns why the program there is not to be run. */
async function problemWith(program: string, uid: number, system: ProgramSystem): Promise<string | undefined> {
  let at = "/";
  const names = namesIn(program);
  for (let links = 0; ;) {
    const info = await system.lstat(at);
    if (info.uid !== 0 && info.uid !== uid) {
      return `${at} belongs to another user`;
    }
    if (info.isSymbolicLink()) {
      if (++links > maxLinks) {
        return "too many links lead to it";
      }
      const target = await system.readlink(at);
      names.unshift(...namesIn(target));
      at = isAbsolute(target) ? "/" : join(at, "..");
      continue;
    }
    // Of a link nobody asks the mode.
    const isAbove = info.isDirectory() && names.length > 1 && (info.mode & 0o1000) !== 0;
    if ((info.mode & 0o022) !== 0 && !isAbove) {
      return `${at} can be written by others`;
    }
    const next = names.shift();
    if (next === undefined) {
      await system.checkExecutable(at);
      return info.isFile() ? undefined : "it is no file";
    }
    at = join(at, next);
  }
}

function namesIn(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
