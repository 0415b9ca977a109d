import {
  credentialsIn,
  isExactly,
  isIdentity,
  isReplacement,
  membersOf as membersOfDocument,
} from "./auth-json.js";
import type { Credentials, FileEffect, FileEvent, FileResult, FileStart, FileStat } from "./messages.js";
import { own } from "./own.js";
import { isSameRecord } from "./store.js";
import { bytesIn, integerIn, membersOf, problemIn, textIn, violation, type Members } from "./untrusted.js";

// What the file store lets a module do to files: which effect may name which file, and
// what may be written. wasm/ABI.md has the rules. auth.json is another program's, with
// the user's tokens in it; so whatever module runs, it stays as it is but for the
// identity, and what is written over it is what was read a moment before.

/** The bounds. Each is as much as the core asks for, or a little above. */
const most = {
  effects: 1000,
  /** A lock is waited for as long as the client does, in milliseconds; a pause is 5. */
  lock: 5000,
  wait: 10,
  /** How many names of the threads' months are looked at, and how many of other files. */
  months: 64,
  files: 16,
  /** The largest file, and what a probe adds to one, in bytes. */
  file: 512 << 10,
  room: 16 << 10,
};
/** How old a temporary is at the least that is nobody's, in seconds. */
const leftoverAge = 3600;
/** In how many months before this one a thread's record is looked for. */
const monthsBefore = 3;

/** What there is in a file. */
interface Read {
  content: Uint8Array;
  stat: FileStat;
}

/** A temporary of this operation's. */
interface Made {
  content: Uint8Array;
  /** What the target was when it was made. */
  target: Uint8Array | undefined;
  hasAttributes: boolean;
}

interface Journal {
  old: Uint8Array;
  new: Uint8Array;
}

/** Checks the effects and the result of one operation. What it throws is policy_violation, and ends the operation. */
export class FilePolicy {
  readonly #start: FileStart;
  /** Whether the operation is about auth.json, about a thread's record, or about another record. */
  readonly #about: "target" | "thread" | "record";
  /** The months that it has been since the operation began. */
  readonly #now = new Set<string>();
  #effects = 0;
  /** The effect before. */
  #last = "";
  /** The target as it was last read: undefined before, and null without a file. */
  #target: Read | null | undefined;
  /** What this operation has put in the target's place, and what is in the file that was there. */
  #installed: Uint8Array | undefined;
  #previous: Uint8Array | undefined;
  /** What was last written over the target. */
  #written: Uint8Array | undefined;
  /** The journal that was there, once it was looked for, and this operation's own. One that is damaged says nothing. */
  #journal: Journal | "damaged" | null | undefined;
  #ownJournal: Journal | null = null;
  #isJournalTried = false;
  /** The journal of a write that did not end, and whether the target is still what that left. */
  #torn: Journal | undefined;
  #isBroken = false;
  /** The record's file, or the thread's in the month that was last read; null without one. */
  #record: { name: string; content: Uint8Array } | null | undefined;
  readonly #made = new Map<string, Made>();
  /** The locks that were asked for, and what became of each: whether nobody else can have it. */
  readonly #locks = new Map<string, boolean>();
  #isUnlocking = false;
  /** The names in each folder that was listed. */
  readonly #listed = new Map<string, Set<string> | undefined>();

  constructor(start: FileStart) {
    this.#start = own(start);
    const { operation, slot = "", beside } = this.#start;
    this.#about =
      operation === "credentials" || (slot === "identity" && !beside)
        ? "target"
        : slot.startsWith("thread/")
          ? "thread"
          : "record";
  }

  /** Returns an effect as it can be carried out. Now is the time of the event before it, in Unix seconds. */
  effect(message: unknown, now: number): FileEffect {
    const e = membersOf(message);
    this.#now.add(monthOf(now, 0));
    if (++this.#effects > most.effects) {
      throw violation("an effect", "after more than any operation takes");
    }
    const effect = this.#checked(e, now);
    this.#last = "name" in effect ? `${effect.type} ${effect.name}` : effect.type;
    return own(effect);
  }

  #checked(e: Members, now: number): FileEffect {
    const [type, name] = [textIn(e, "type"), textIn(e, "name")];
    if (this.#isUnlocking && type !== "unlock" && type !== "done") {
      throw violation("an effect", "after a lock was given back");
    }
    switch (type) {
      case "done":
        return { type, result: own(this.#result(membersOf(e["result"] ?? {}))) };
      case "read":
        return { type, name: this.#named(name, this.#mayRead(name, now)) };
      case "look":
        return { type, name: this.#named(name, name === "journal" && this.#about === "target") };
      case "lock":
        this.#named(name, this.#mayLock(name));
        return { type, name, timeoutMs: integerIn(e, "timeoutMs", 1, most.lock) };
      case "unlock":
        this.#isUnlocking = true;
        return { type, name: this.#named(name, this.#locks.delete(name)) };
      case "create": {
        const content = bytesIn(e, "content") ?? new Uint8Array();
        this.#named(name, !this.#made.has(name) && this.#mayCreate(name, content));
        this.#isJournalTried ||= name === "journal";
        return { type, name, content };
      }
      case "own":
        return { type, name: this.#named(name, name === "target" && this.#made.has(name)) };
      case "install":
        return { type, name: this.#named(name, this.#mayInstall(name)) };
      case "discard":
        return { type, name: this.#named(name, this.#made.has(name)) };
      case "write": {
        const content = bytesIn(e, "content") ?? new Uint8Array();
        this.#named(name, name === "target" && this.#mayWrite(content));
        this.#written = content;
        return { type, name, content };
      }
      case "truncate": {
        const size = integerIn(e, "size", 1, most.file);
        this.#named(name, name === "target" && this.#mayCut(size));
        return { type, name, size };
      }
      case "sync":
        return { type, name: this.#named(name, this.#maySync(name)) };
      case "make-folder":
        return { type, name: this.#named(name, this.#mayMakeFolder(name)) };
      case "move": {
        const to = textIn(e, "to");
        const isFound = this.#operation("load") && this.#about === "thread" && this.#record?.name === name;
        this.#named(name, isFound && this.#isThisMonths("thread", to));
        return { type, name, to };
      }
      case "remove":
        return { type, name: this.#named(name, this.#mayRemove(name, now)) };
      case "list": {
        const isLeftovers = name === "leftovers";
        this.#named(name, !this.#listed.has(name) && this.#mayList(name, now));
        const limit = integerIn(e, "limit", 1, name === "threads" ? most.months : most.files);
        const olderThan = integerIn(e, "olderThan", isLeftovers ? leftoverAge : 0, 2 ** 40);
        return { type, name, limit, ...(olderThan > 0 && { olderThan }) };
      }
      case "wait":
        this.#named("", this.#about === "target");
        return { type, waitMs: integerIn(e, "waitMs", 1, most.wait) };
    }
    throw violation("an effect on files", "that this package does not know");
  }

  /** Takes note of what an effect came to. */
  answered(effect: FileEffect, event: FileEvent): void {
    const done = event.type === "done" ? own(event) : undefined;
    const name = "name" in effect ? effect.name : "";
    switch (effect.type) {
      case "read":
        this.#hasRead(
          name,
          done && (done.stat ? { stat: done.stat, content: done.content ?? new Uint8Array() } : null),
        );
        return;
      case "lock":
        this.#locks.set(
          name,
          event.type === "done" ||
            (event.type === "failed" && ["missing", "denied", "read-only"].includes(event.failure)),
        );
        return;
      case "create":
        if (done) {
          const { content = new Uint8Array() } = effect;
          this.#made.set(name, { content, target: this.#target?.content, hasAttributes: false });
        }
        return;
      case "own": {
        const made = this.#made.get(name);
        if (made) {
          made.hasAttributes = done !== undefined;
        }
        return;
      }
      case "install":
        if (done) {
          this.#hasInstalled(name, this.#made.get(name)?.content ?? new Uint8Array());
          this.#made.delete(name);
        }
        return;
      case "discard":
        this.#made.delete(name);
        return;
      case "write":
        this.#isBroken = !done;
        return;
      case "list":
        this.#listed.set(name, done && new Set(done.names));
        return;
      case "remove":
        if (name === "journal") {
          this.#journal = null;
          this.#ownJournal = null;
        }
        return;
    }
  }

  #hasRead(name: string, read: Read | null | undefined): void {
    switch (name) {
      case "target":
        this.#target = read;
        this.#torn = isTorn(read?.content, this.#journal) ? this.#journal : undefined;
        this.#isBroken = !!this.#torn || (!!this.#written && isTorn(read?.content, this.#ownJournal));
        return;
      case "previous":
        this.#previous = read?.content;
        return;
      case "journal":
        this.#journal = read ? (journalIn(read.content) ?? "damaged") : null;
        this.#target = undefined; // it is read anew
        return;
    }
    this.#record = read && { name, content: read.content };
  }

  #hasInstalled(name: string, content: Uint8Array): void {
    if (name === "target") {
      this.#installed = content;
      this.#previous = undefined;
    } else if (name === "journal") {
      this.#ownJournal = journalIn(content);
    }
  }

  #operation(...operations: FileStart["operation"][]): boolean {
    return operations.includes(this.#start.operation);
  }

  /** Returns a file's name if it may be named. */
  #named(name: string, may: boolean): string {
    if (!may) {
      throw violation("a file", "that is not this operation's, or not for that");
    }
    return name;
  }

  #isRecord(name: string): boolean {
    return this.#about === "record" && name === `record/${this.#start.slot}`;
  }

  /** Reports whether a name is this month's of a folder, or of the thread's records. */
  #isThisMonths(folder: "thread" | "threads", name: string): boolean {
    return this.#about === "thread" && [...this.#now].some((month) => name === `${folder}/${month}`);
  }

  /** Reports whether a name is the thread's record in one of the months in which it is looked for. */
  #isThread(name: string, now: number): boolean {
    const months = [0, 1, 2, monthsBefore].map((before) => `thread/${monthOf(now, before)}`);
    return this.#isThisMonths("thread", name) || (this.#about === "thread" && months.includes(name));
  }

  #mayRead(name: string, now: number): boolean {
    if (this.#about === "target") {
      return (
        ["target", "journal"].includes(name) || (name === "previous" && this.#operation("swap", "probe"))
      );
    }
    return this.#operation("load", "swap") && (this.#isRecord(name) || this.#isThread(name, now));
  }

  /** Each lock is taken once, the client's first. */
  #mayLock(name: string): boolean {
    const isFirst = !this.#locks.has("target-lock") && !this.#locks.has(name);
    return (
      isFirst &&
      ((this.#about === "target" && name === "client-lock") ||
        (this.#about === "target" && name === "target-lock" && this.#locks.has("client-lock")) ||
        (this.#about === "record" && name === "target-lock" && this.#operation("swap")))
    );
  }

  /** Whether nobody else can have the locks that a change needs. */
  get #isLocked(): boolean {
    const needed = this.#about === "target" ? ["client-lock", "target-lock"] : ["target-lock"];
    return needed.every((name) => this.#locks.get(name) === true);
  }

  /** Whether auth.json can be replaced: under the locks, once it and its journal were read, and if it is whole. */
  get #isReplaceable(): boolean {
    return (
      this.#about === "target" &&
      this.#operation("swap", "probe") &&
      this.#isLocked &&
      this.#journal === null &&
      this.#target !== undefined &&
      !this.#isBroken
    );
  }

  #mayCreate(name: string, content: Uint8Array): boolean {
    const { record } = this.#start;
    switch (name) {
      case "target": {
        const { mode, links } = this.#target?.stat ?? { mode: 0o600, links: 1 };
        const canBeReplaced = (mode & 0o200) !== 0 && links <= 1; // a rename parts it from its other names
        return (
          this.#isReplaceable && canBeReplaced && content.length <= most.file && this.#isDocument(content)
        );
      }
      case "journal": {
        const journal = journalIn(content);
        const isTrue = !!journal && !!this.#target && isSameRecord(journal.old, this.#target.content);
        return this.#isReplaceable && isTrue && this.#isDocument(journal.new);
      }
    }
    if (
      !this.#operation("save", "swap", "probe") ||
      !(this.#isRecord(name) || this.#isThisMonths("thread", name))
    ) {
      return false;
    }
    return this.#operation("probe")
      ? content.length <= most.room && isBlank(content)
      : isSameRecord(content, record) && this.#isExpected();
  }

  /** Reports whether a swap has found the record that it is to replace. */
  #isExpected(): boolean {
    const isFound =
      this.#record !== undefined && isSameRecord(notEmpty(this.#record?.content), this.#start.expected);
    return !this.#operation("swap") || (this.#isLocked && isFound);
  }

  /**
   * Reports whether a document can take the place of auth.json: it is what was last
   * read, with spaces after it, or in a swap the same with the new identity, if it has
   * the expected one. Where this operation's own is in its place, what somebody has
   * written to the file before that counts, too.
   */
  #isDocument(content: Uint8Array): boolean {
    const target = this.#target?.content;
    const isOurs = target && this.#previous && isSameRecord(target, this.#installed);
    return [target, ...(isOurs ? [this.#previous] : [])].some(
      (document) =>
        isPadded(content, document ?? new TextEncoder().encode("{}\n")) ||
        (document === undefined && this.#operation("probe") && isBlank(content)) ||
        (this.#operation("swap") && this.#isSwapped(content, document)),
    );
  }

  #isSwapped(content: Uint8Array, document: Uint8Array | undefined): boolean {
    const { expected, record } = this.#start;
    const before = document ? membersOfDocument(document) : new Map<string, string>();
    const after = membersOfDocument(content);
    return (
      !!before &&
      !!after &&
      (isIdentity(expected, before) || isIdentity(record, before)) &&
      isReplacement(after, before, record)
    );
  }

  /** A temporary of auth.json is installed if that is the file it was made from, and it has what that has. */
  #mayInstall(name: string): boolean {
    const made = this.#made.get(name);
    if (!made || (this.#operation("probe") && this.#about !== "target")) {
      return false;
    }
    if (name !== "target") {
      return name !== "journal" || this.#isReplaceable;
    }
    const isUnchanged = this.#last === "read target" && isSameRecord(this.#target?.content, made.target);
    return this.#isReplaceable && isUnchanged && (!this.#target || made.hasAttributes);
  }

  /**
   * Auth.json is written over right after it was read, or to undo that: with a document
   * that can take its place once a journal was tried, or, where it is torn, with one of
   * its journal.
   */
  #mayWrite(content: Uint8Array): boolean {
    const isNext = ["read target", "write target", "truncate target", "sync target"].includes(this.#last);
    if (
      this.#about !== "target" ||
      !this.#isLocked ||
      !isNext ||
      !this.#target ||
      content.length > most.file
    ) {
      return false;
    }
    if (this.#torn) {
      return isPadded(content, this.#torn.new) || isPadded(content, this.#torn.old);
    }
    return this.#operation("swap", "probe") && this.#isJournalTried && this.#isDocument(content);
  }

  /** Only spaces are cut off, which cover what is left of a longer document. */
  #mayCut(size: number): boolean {
    const written = this.#written;
    return (
      this.#last === "write target" && !!written && size <= written.length && isBlank(written.subarray(size))
    );
  }

  #maySync(name: string): boolean {
    switch (name) {
      case "target":
        return this.#written !== undefined;
      case "home":
        return this.#about !== "thread" && this.#operation("save", "swap", "probe");
    }
    return this.#operation("save") && this.#isThisMonths("threads", name);
  }

  #mayMakeFolder(name: string): boolean {
    const isSaved = this.#about === "thread" && this.#operation("save", "probe");
    return (
      (isSaved && name === "threads") || ((isSaved || !!this.#record) && this.#isThisMonths("threads", name))
    );
  }

  #mayList(name: string, now: number): boolean {
    if (name === "leftovers") {
      return this.#about === "target" && this.#operation("swap", "probe");
    }
    const isSaved = this.#about === "thread" && this.#operation("save");
    return isSaved && (name === "threads" || this.#isOldMonth(name, now));
  }

  /** Reports whether a name is that of a folder of a month that is over for long, of which a list has told. */
  #isOldMonth(name: string, now: number): boolean {
    const [, month = ""] = /^threads\/([0-9]{4}-(?:0[1-9]|1[0-2]))$/.exec(name) ?? [];
    return month !== "" && month < monthOf(now, monthsBefore) && !!this.#listed.get("threads")?.has(month);
  }

  #mayRemove(name: string, now: number): boolean {
    if (name === "journal") {
      const journal = this.#journal ?? this.#ownJournal;
      const isKnown = journal === "damaged" || (journal !== null && this.#target !== undefined);
      return this.#about === "target" && this.#isLocked && isKnown && !this.#isBroken;
    }
    if (this.#isRecord(name)) {
      return (
        this.#operation("delete") || (this.#operation("swap") && !this.#start.record && this.#isExpected())
      );
    }
    if (this.#isThread(name, now)) {
      return this.#operation("delete");
    }
    if (this.#isOldMonth(name, now)) {
      return this.#listed.get(name)?.size === 0;
    }
    const slash = name.lastIndexOf("/");
    const folder = name.slice(0, slash);
    const isListed = folder === "leftovers" || this.#isOldMonth(folder, now);
    return isListed && this.#listed.get(folder)?.delete(name.slice(slash + 1)) === true;
  }

  /** Returns a result that can be believed: what it says was read is what was read. */
  #result(result: Members): FileResult {
    const error = problemIn(result, "error");
    if (error) {
      return { error };
    }
    const record = bytesIn(result, "record");
    if (this.#operation("credentials")) {
      return { credentials: this.#credentials(membersOf(result["credentials"])) };
    }
    if (this.#operation("load") ? !this.#isLoaded(record) : record !== undefined) {
      throw violation("a record", "that was not read");
    }
    return record ? { record } : {};
  }

  #isLoaded(record: Uint8Array | undefined): boolean {
    if (this.#about !== "target") {
      return this.#record !== undefined && isSameRecord(record, notEmpty(this.#record?.content));
    }
    if (this.#target === null) {
      return record === undefined;
    }
    return this.#readable.map(membersOfDocument).some((members) => members && isExactly(record, members));
  }

  /** The documents that auth.json stands for: what is in it, and if it is torn, what its journal has. */
  get #readable(): Uint8Array[] {
    const journal = this.#torn ? [this.#torn.new, this.#torn.old] : [];
    return this.#target ? [this.#target.content, ...journal] : [];
  }

  /**
   * Returns credentials that are those in a document that was read. What its id token
   * says may be left out: the core reads tokens that it cannot trust more strictly.
   */
  #credentials(given: Members): Credentials {
    const problem = problemIn(given, "problem");
    const read = this.#target === null ? [{ kind: "none" as const }] : this.#readable.map(credentialsIn);
    const { problem: _, ...rest } = given;
    const members = own(rest);
    for (const credentials of read) {
      const all: Members = own({ ...credentials });
      const isSame = ["kind", "accessToken", ...Object.keys(members)].every(
        (name) => members[name] === all[name],
      );
      if (credentials && isSame) {
        return own({ ...(members as unknown as Credentials), ...(problem && { problem }) });
      }
    }
    throw violation("credentials", "that were not read");
  }
}

/** Returns the month that lies so many before a time, as 2026-11. */
function monthOf(now: number, before: number): string {
  const date = new Date(now * 1000);
  const n = date.getUTCFullYear() * 12 + date.getUTCMonth() - before;
  return `${String(Math.floor(n / 12)).padStart(4, "0")}-${String((n % 12) + 1).padStart(2, "0")}`;
}

function notEmpty(content: Uint8Array | undefined): Uint8Array | undefined {
  return content && content.length > 0 ? content : undefined;
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20);
}

/** Reports whether content is a document, with spaces after it. */
function isPadded(content: Uint8Array, document: Uint8Array): boolean {
  return (
    isSameRecord(content.subarray(0, document.length), document) && isBlank(content.subarray(document.length))
  );
}

/** Returns what a journal says, {"old":…,"new":…} in base64, or null where that cannot be. */
function journalIn(content: Uint8Array): Journal | null {
  const text = new TextDecoder().decode(content);
  const [, old, next] = /^\{"old":"([A-Za-z0-9+/=]*)","new":"([A-Za-z0-9+/=]*)"\}$/.exec(text) ?? [];
  try {
    const journal = { old: decoded(old ?? "-"), new: decoded(next ?? "-") };
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(journal.new));
    return journal;
  } catch {
    return null;
  }
}

function decoded(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Reports whether content is what a write of a journal's new document over its old one
 * can have left: as much of the new as was written, and the rest of the old, unless
 * that was cut off; or, where the write was being undone, as much of the old again
 * before that.
 */
function isTorn(
  content: Uint8Array | undefined,
  journal: Journal | "damaged" | null | undefined,
): journal is Journal {
  if (!content || !journal || journal === "damaged") {
    return false;
  }
  const { old, new: next } = journal;
  if (isSameRecord(content, old) || isSameRecord(content, next)) {
    return false;
  }
  if (isPadded(content, next)) {
    return true;
  }
  const undone = commonPrefix(content, old);
  const padded = new Uint8Array(Math.max(next.length, old.length)).fill(0x20);
  padded.set(next);
  const written = undone + commonPrefix(content.subarray(undone), padded.subarray(undone));
  return (
    (written === content.length && written >= next.length) ||
    isSameRecord(content.subarray(written), old.subarray(written))
  );
}

/** Returns the length of what both begin with. */
function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const end = a.findIndex((byte, i) => byte !== b[i]);
  return end < 0 ? a.length : end;
}
