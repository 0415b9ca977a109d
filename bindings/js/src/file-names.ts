import { createHash } from "node:crypto";
import { readlink, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";

/** How many links lead to a file at the most. */
const maxLinks = 40;

/** Follows symbolic links, also where the last leads to a file that does not exist yet. */
export async function resolveLinks(path: string): Promise<string> {
  for (let i = 0; i < maxLinks; i++) {
    try {
      return await realpath(path);
    } catch {
      // It is missing, and its folder perhaps is not.
    }
    try {
      const link = await readlink(path);
      path = isAbsolute(link) ? link : join(dirname(path), link);
    } catch {
      break;
    }
  }
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

/** How the names of files begin that are to take the place of another. */
export const temporary = ".tmp-";

/** What follows the target's name in that of its journal. */
export const journalSuffix = ".journal";

export const registrationLock = (target: string): string => `${target}.registration.lock`;

/** The folder of the threads' locks. */
export const threadLocks = (target: string): string => `${target}.locks`;

export const threadLock = (target: string, thread: string): string =>
  join(threadLocks(target), `${threadName(thread)}.lock`);

/**
 * Stands for a thread in names of files. An id is whatever a harness chose: a path, too
 * long for a name, or different from another only in case.
 */
function threadName(thread: string): string {
  return createHash("sha256").update(thread).digest("hex");
}

const slots = ["identity", "backoff", "backend", "set-aside"];
const monthForm = /^[0-9]{4}-[0-9]{2}$/;
/** A name that this package has given to a thread's record, or to its temporary. */
const entryForm = /^(\.tmp-)?[0-9a-f]{64}\.json[0-9]*$/;

/** The paths of a file flow's files, beside the resolved auth.json. */
export class FileNames {
  readonly target: string;
  readonly #slot: string;

  /** The slot is the one that the flow is for: a thread's record is only that thread's. */
  constructor(target: string, slot: string) {
    this.target = target;
    this.#slot = slot;
  }

  /** Returns where a file is, or undefined for a name that is none of a flow's. */
  path(name: string): string | undefined {
    const { target } = this;
    switch (name) {
      case "target":
        return target;
      case "home":
        return dirname(target);
      case "journal":
        return target + journalSuffix;
      case "client-lock":
        return target.replace(/\.json$/, "") + ".lock";
      case "target-lock":
        return `${target}.lock`;
      case "threads":
        return this.#threads;
    }
    const [part, ...rest] = name.split("/");
    const [first = "", second] = rest;
    if (rest.length === 1 && part === "record" && slots.includes(first)) {
      return `${target}.${first}`;
    }
    if (rest.length === 1 && part === "leftovers" && this.isLeftover(first)) {
      return join(dirname(target), first);
    }
    if (rest.length === 1 && part === "thread" && monthForm.test(first) && this.#slot.startsWith("thread/")) {
      return join(this.#threads, first, `${threadName(this.#slot.slice("thread/".length))}.json`);
    }
    if (part === "threads" && monthForm.test(first)) {
      if (rest.length === 1) {
        return join(this.#threads, first);
      }
      if (rest.length === 2 && second !== undefined && entryForm.test(second)) {
        return join(this.#threads, first, second);
      }
    }
    return undefined;
  }

  /** Reports whether a name is one of a temporary of the target, its journal or a record beside it. */
  isLeftover(name: string): boolean {
    const beginning = temporary + basename(this.target);
    if (!name.startsWith(beginning)) {
      return false;
    }
    let rest = name.slice(beginning.length);
    for (const suffix of [journalSuffix, ...slots.map((slot) => `.${slot}`)]) {
      if (rest.startsWith(suffix)) {
        rest = rest.slice(suffix.length);
        break;
      }
    }
    return /^[0-9]+$/.test(rest);
  }

  get #threads(): string {
    return `${this.target}.threads`;
  }
}
