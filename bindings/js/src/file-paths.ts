import { createHash } from "node:crypto";
import { readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

// Where the files of a store are: beside the target, which is auth.json behind all
// links. The host in Go uses the same names.

/** How many links lead to a file at the most. */
const maxLinks = 40;

/** How the slots of threads begin. */
export const threadSlot = "thread/";

/** How the names of files begin that are to take the place of another. */
export const temporary = ".tmp-";

/** The slots that have a file beside the target. */
const slots = ["identity", "backoff", "backend", "set-aside"];

const month = /^[0-9]{4}-[0-9]{2}$/;
/** A name that a thread's record has, or its temporary. */
const entry = /^(\.tmp-)?[0-9a-f]{64}\.json[0-9]*$/;

/** Follows symbolic links, also where the last leads to a file that does not exist yet. */
export async function resolveTarget(path: string): Promise<string> {
  for (let i = 0; i < maxLinks; i++) {
    try {
      return await realpath(path);
    } catch {
      // It is missing, and its folder perhaps is not.
    }
    // A relative link is seen from the folder in which it really is.
    const folder = await realpath(dirname(path)).catch(() => dirname(path));
    path = join(folder, basename(path));
    try {
      path = resolve(folder, await readlink(path));
    } catch {
      break;
    }
  }
  return path;
}

/** The lock that a registration holds: the identity's, or a thread's. */
export function registrationLock(target: string, slot: string): string {
  return slot.startsWith(threadSlot)
    ? join(threadLocks(target), `${threadName(slot)}.lock`)
    : `${target}.registration.lock`;
}

/** The folder of the threads' locks. */
export function threadLocks(target: string): string {
  return `${target}.locks`;
}

/**
 * Stands for a thread in names of files. An id is whatever a harness chose: a path,
 * too long for a name, or different from another only in case.
 */
function threadName(slot: string): string {
  return createHash("sha256").update(slot.slice(threadSlot.length)).digest("hex");
}

/** The first lock of the client's, whatever the file's name. */
function clientLock(target: string): string {
  return join(dirname(target), "auth.lock");
}

/** Returns where a file of a flow is, or undefined for a name that is none of a flow's. */
export function pathOf(target: string, slot: string, name: string): string | undefined {
  const threads = `${target}.threads`;
  const [first = "", ...rest] = name.split("/");
  const [second = "", third] = rest;
  switch (first) {
    case "target":
      return rest.length === 0 ? target : undefined;
    case "home":
      return rest.length === 0 ? dirname(target) : undefined;
    case "journal":
      return rest.length === 0 ? `${target}.journal` : undefined;
    case "client-lock":
      return rest.length === 0 ? clientLock(target) : undefined;
    case "target-lock":
      return rest.length === 0 ? `${target}.lock` : undefined;
    case "record":
      return rest.length === 1 && slots.includes(second) ? `${target}.${second}` : undefined;
    case "leftovers":
      return rest.length === 1 && isLeftover(target, second) ? join(dirname(target), second) : undefined;
    case "thread":
      return rest.length === 1 && month.test(second) && slot.startsWith(threadSlot)
        ? join(threads, second, `${threadName(slot)}.json`)
        : undefined;
    case "threads":
      if (rest.length === 0) {
        return threads;
      }
      if (!month.test(second) || rest.length > 2 || (third !== undefined && !entry.test(third))) {
        return undefined;
      }
      return join(threads, second, third ?? "");
  }
  return undefined;
}

/** Reports whether a name is that of a temporary of the target, its journal, or a record beside it. */
export function isLeftover(target: string, name: string): boolean {
  const beginning = temporary + basename(target);
  return (
    name.startsWith(beginning) &&
    /^(\.(journal|backoff|backend|set-aside|identity))?[0-9]+$/.test(name.slice(beginning.length))
  );
}
