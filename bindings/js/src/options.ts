import { failure } from "./errors.js";
import { own } from "./own.js";
import { isBytes } from "./plain.js";

/** What a value has to be. */
export interface Kind {
  readonly isRequired: boolean;
  /** Returns what is wrong with a value, as the rest of a sentence that its name begins. It shows nothing of it that could be a secret. */
  readonly problem: (value: unknown) => string | undefined;
  /** The code of that, where the core has one of its own. */
  readonly codeOf?: (value: unknown) => string | undefined;
}

/** What an object's members have to be. */
export type Shape<T> = { readonly [K in keyof T]-?: Kind };

/** An object that a caller gives, and what is said of it. */
export interface Given<T> {
  /** What it is called, in the plural: "the manager's options". */
  what: string;
  /** The code of the errors. */
  code: string;
  shape: Shape<T>;
  /** Leaves members alone that are none of its own, unless they look like one that is misspelt: for objects that are spread from larger ones. */
  isOpen?: boolean;
}

/** Returns a kind that may be missing. */
export function kind(name: string, is: (value: unknown) => boolean): Kind {
  return {
    isRequired: false,
    problem: (value) => (is(value) ? undefined : `is ${describe(value)}, not ${name}`),
  };
}

/** Returns the same kind for what must not be missing. */
export function required({ problem }: Kind): Kind {
  return { isRequired: true, problem };
}

export const text = kind("a string", (value) => typeof value === "string");
export const flag = kind("true or false", (value) => typeof value === "boolean");
export const number = kind("a number", (value) => typeof value === "number");
export const callback = kind("a function", (value) => typeof value === "function");
export const object = kind("an object", (value) => typeof value === "object" && value !== null);
export const bytes = kind("a Uint8Array", isBytes);
export const texts = kind(
  "an array of strings",
  (value) => Array.isArray(value) && value.every((element) => typeof element === "string"),
);

/** By shape, for polyfills' and other realms' have other classes. */
export const abortSignal = kind(
  "an AbortSignal",
  (value) =>
    typeof value === "object" &&
    value !== null &&
    typeof (value as AbortSignal).aborted === "boolean" &&
    typeof (value as AbortSignal).addEventListener === "function",
);

/** Returns the kind of some words. */
export function oneOf(...words: string[]): Kind {
  const list = words.map((word) => `"${word}"`).join(", ");
  return {
    isRequired: false,
    problem: (value) => {
      if (words.includes(value as string)) {
        return undefined;
      }
      const near = typeof value === "string" ? nearest(value, words) : undefined;
      return near === undefined
        ? `is ${typeof value === "string" ? "another word" : describe(value)}, not one of ${list}`
        : `is none of ${list}; did you mean "${near}"?`;
    },
  };
}

/** The last second of the year 9999, which no timestamp is beyond. */
const lastSecond = 253_402_300_799;

/** A time in Unix seconds. */
export const seconds: Kind = {
  isRequired: false,
  problem: (value) => {
    if (typeof value !== "number") {
      const hint = isDate(value) ? "; in Unix seconds it is Math.floor(date.getTime() / 1000)" : "";
      return `is ${describe(value)}, not a number${hint}`;
    }
    if (value > lastSecond) {
      return `is ${value}, which looks like milliseconds; times are in Unix seconds: Math.floor(Date.now() / 1000)`;
    }
    return Number.isSafeInteger(value) ? undefined : `is ${value}, not a whole number of seconds`;
  },
  codeOf: (value) => (typeof value === "number" && value > lastSecond ? "invalid_time" : undefined),
};

/**
 * Returns an object's own members, once nothing is wrong with them: a name that is
 * misspelt comes first, for it explains what is missing.
 */
export function optionsOf<const T extends object>(given: T, { what, code, shape, isOpen }: Given<T>): T {
  const options = ownOf(given, what, code);
  const kinds = kindsIn(shape);
  for (const name of Object.keys(options)) {
    if (kinds.has(name)) {
      continue;
    }
    const names = [...kinds.keys()];
    const near = nearest(name, names);
    if (near !== undefined) {
      throw failure(code, `${shown(name)} is none of ${what}; did you mean ${near}?`);
    }
    if (isOpen !== true) {
      throw failure(code, `${shown(name)} is none of ${what}, which are ${names.join(", ")}`);
    }
  }
  for (const [name, { isRequired }] of kinds) {
    if (isRequired && options[name as keyof T] === undefined) {
      throw failure(code, `${name} is missing in ${what}`);
    }
  }
  for (const [name, kind] of kinds) {
    const value = options[name as keyof T];
    const problem = value === undefined ? undefined : problemOf(kind, value);
    if (problem !== undefined) {
      throw failure(kind.codeOf?.(value) ?? code, `${name} ${problem} (${what})`);
    }
  }
  return options;
}

const kindsOfShapes = new WeakMap<object, Map<string, Kind>>();

/** Returns the kinds of options, by name. A shape is read once, for a call of the core asks each time. */
function kindsIn(shape: object): Map<string, Kind> {
  let kinds = kindsOfShapes.get(shape);
  if (!kinds) {
    kinds = new Map<string, Kind>(Object.entries(shape));
    kindsOfShapes.set(shape, kinds);
  }
  return kinds;
}

/** Refuses an argument that is not of a kind. */
export function check(name: string, value: unknown, kind: Kind, code: string): void {
  const problem = value === undefined ? "is missing" : problemOf(kind, value);
  if (problem !== undefined && (value !== undefined || kind.isRequired)) {
    throw failure(code, `${name} ${problem}`);
  }
}

/** Of a proxy nothing may be asked: that is a problem, too. */
function problemOf({ problem }: Kind, value: unknown): string | undefined {
  try {
    return problem(value);
  } catch {
    return "throws when it is looked at";
  }
}

function ownOf<const T extends object>(given: T, what: string, code: string): T {
  if (typeof given !== "object" || (given as T | null) === null || isArray(given)) {
    const problem = (given as T | undefined) === undefined ? "missing" : `${describe(given)}, not an object`;
    throw failure(code, `${what} are ${problem}`);
  }
  try {
    return own(given);
  } catch (error) {
    throw failure(code, `${what} cannot be read: a getter throws`, error);
  }
}

/** Names what a value is. */
export function describe(value: unknown): string {
  try {
    return nameOf(value);
  } catch {
    return "an object that throws when it is looked at";
  }
}

function nameOf(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value === "" ? "an empty string" : "a string";
    case "object":
      if (value === null) {
        return "null";
      }
      if (Array.isArray(value)) {
        return "an array";
      }
      return isDate(value) ? "a Date" : value instanceof Promise ? "a promise, to be awaited," : "an object";
    case "undefined":
      return "undefined";
    default:
      return `a ${typeof value}`;
  }
}

/** Is Array.isArray, which throws for proxies that are revoked. */
function isArray(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

function isDate(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Date]";
}

/** Returns a member's name, if it looks like one: it may be something else that was given by mistake. */
function shown(name: string): string {
  return /^[A-Za-z_$][\w$-]{0,63}$/.test(name) ? name : "a name that is no word";
}

/** Returns the one of some names that another is a misspelling of, or undefined. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = (name: string) => name.replace(/[-_\s]/g, "").toLowerCase();
  const [wanted, most] = [plain(name.slice(0, 64)), name.length <= 4 ? 1 : 2];
  let best: string | undefined;
  let least = most + 1;
  for (const known of names) {
    const distance = distanceOf(wanted, plain(known));
    if (distance < least) {
      [best, least] = [known, distance];
    }
  }
  return best;
}

/** How many letters are to be added, left out, replaced, or swapped with the next, to make one word of another: Damerau and Levenshtein's distance. */
function distanceOf(a: string, b: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
