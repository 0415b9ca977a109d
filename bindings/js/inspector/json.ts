// JSON as the core reads it, and where it could have been written otherwise.

import { maxJSON, type Findings, type Span } from "./findings.js";
import { codePoint, count, nameOf } from "./text.js";

const maxDepth = 64;

/** What a member has to be. */
export interface Rule {
  kind: "a string" | "a number";
  /** What is wrong with its text: a string's content, or a number as it is written. */
  problems: (text: string) => string[];
  /** What is good, and written otherwise than the core writes it. */
  oddities?: (text: string) => string[];
}

/**
 * Reads an object with the members that the rules have, in the order in which the core
 * writes them, and returns the texts of those that can be read.
 */
export function readObject<Name extends string>(
  bytes: Uint8Array,
  what: "envelope" | "payload",
  rules: Record<Name, Rule>,
  findings: Findings,
): Partial<Record<Name, string>> {
  if (bytes.length > maxJSON) {
    findings.fatal(
      `The ${what} is ${count(bytes.length, "byte")} long, and may be ${count(maxJSON, "byte")}.`,
    );
  }
  let start = 0;
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    findings.fatal("A byte order mark stands before the JSON.", [0, 3]);
    start = 3;
  } else if ((bytes[0] === 0 || bytes[1] === 0) && bytes.includes(0x7b)) {
    findings.fatal("The JSON is in UTF-16, and should be in UTF-8.", [0, 2]);
    return {};
  }
  const json = new Scanner(bytes, start);
  const root = json.scan();
  if (json.error) {
    const { at, text } = json.error;
    findings.fatal(`The ${what} is not JSON: ${text}, at byte ${at}.`, [at, Math.min(at + 1, bytes.length)]);
  }
  if (!root?.members) {
    if (!json.error) {
      findings.fatal(`The ${what} is ${root?.kind ?? "nothing"}, and should be an object.`);
    }
    return {};
  }
  const texts = readMembers(json, bytes, root.members, rules, findings);
  findForm(json, root.members, Object.keys(rules), findings);
  return texts;
}

/** Where the members of an object are, as far as it can be read: from a name's quotation mark to the value's end. */
export function memberSpans(bytes: Uint8Array): { name: string; span: Span }[] {
  const members = new Scanner(bytes, bytes[0] === 0xef ? 3 : 0).scan()?.members ?? [];
  return members.map(({ name, start, nameEnd, value }) => ({
    name,
    span: [start, value && value.end > 0 ? value.end : nameEnd],
  }));
}

function readMembers<Name extends string>(
  json: Scanner,
  bytes: Uint8Array,
  members: Member[],
  rules: Record<Name, Rule>,
  findings: Findings,
): Partial<Record<Name, string>> {
  const texts: Partial<Record<Name, string>> = {};
  for (const [name, rule] of Object.entries(rules) as [Name, Rule][]) {
    const all = members.filter((member) => member.name === name);
    const [first] = all;
    if (!first) {
      // In a text that breaks off, what is missing is not the problem.
      if (!json.error) {
        findings.fatal(`The member ${name} is missing.`);
      }
      continue;
    }
    const { value } = first;
    if (value && value.kind !== rule.kind) {
      findings.fatal(`${name} is ${value.kind}, and should be ${rule.kind}.`, [value.start, value.end]);
    } else if (value && all.length === 1) {
      const text = value.text ?? new TextDecoder().decode(bytes.subarray(value.start, value.end));
      texts[name] = text;
      for (const problem of rule.problems(text)) {
        findings.fatal(problem, [value.start, value.end]);
      }
      for (const oddity of rule.oddities?.(text) ?? []) {
        findings.lax(oddity, [value.start, value.end]);
      }
    }
  }
  return texts;
}

/** Finds what is not in the form in which the core writes an object with members of these names. */
function findForm(json: Scanner, members: Member[], names: string[], findings: Findings): void {
  for (const { name, at } of json.repeated) {
    findings.fatal(
      `The member “${name.slice(0, 60)}” is there twice, and parsers differ in which one they take.`,
      at,
    );
  }
  const plain = (name: string) => name.toLowerCase().replace(/_/g, "");
  for (const { name, start, nameEnd } of members) {
    if (names.includes(name)) {
      continue;
    }
    const known = names.find((other) => plain(other) === plain(name));
    const hint = known === undefined ? "" : ` Names are compared as they are: it should be ${known}.`;
    findings.fatal(`No assertion has a member “${name.slice(0, 60)}”, and nothing signs it.${hint}`, [
      start,
      nameEnd,
    ]);
  }
  const order = members.map((member) => member.name);
  const sorted = names.filter((name) => order.includes(name));
  const misplaced = members.find(({ name }, i) => name !== sorted[i]);
  if (misplaced && order.length === sorted.length) {
    findings.lax(
      `The members are in another order: ${order.join(", ")}. The core writes ${sorted.join(", ")}.`,
      [misplaced.start, misplaced.nameEnd],
    );
  }
  if (json.spaces.length > 0) {
    const size = json.spaces.reduce((sum, [start, end]) => sum + end - start, 0);
    findings.lax(
      `${count(size, "byte")} of white space between the tokens, the first at byte ${json.spaces[0]?.[0] ?? 0}. The core writes none.`,
      ...json.spaces,
    );
  }
  if (json.escapes.length > 0) {
    const [first] = json.escapes;
    findings.lax(
      `${count(json.escapes.length, "escape sequence")} that the core writes otherwise, the first ${first?.raw ?? ""} at byte ${first?.at[0] ?? 0}: it writes ${first?.canonical ?? ""}.`,
      ...json.escapes.map(({ at }) => at),
    );
  }
}

/** A JSON value, and where it is. */
interface Value {
  /** With an article: "a number". */
  kind: string;
  start: number;
  end: number;
  /** The content of a string. */
  text?: string;
  /** Those of an object. */
  members?: Member[];
}

interface Member {
  name: string;
  start: number;
  nameEnd: number;
  /** Undefined where the text breaks off before it. */
  value?: Value;
}

class ScanError extends Error {
  readonly at: number;
  constructor(text: string, at: number) {
    super(text);
    this.at = at;
  }
}

/** Reads JSON as the core does, and remembers what could have been written otherwise. */
class Scanner {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly spaces: Span[] = [];
  readonly escapes: { raw: string; canonical: string; at: Span }[] = [];
  readonly repeated: { name: string; at: Span }[] = [];
  error: { text: string; at: number } | undefined;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
  }

  /** Returns the value, or as much of an object as there is before an error. */
  scan(): Value | undefined {
    const root: Value = { kind: "", start: 0, end: 0 };
    try {
      this.#space();
      this.#value(root, 0);
      this.#space();
      if (this.#at < this.#bytes.length) {
        this.#fail("text follows the object");
      }
    } catch (error) {
      if (!(error instanceof ScanError)) {
        throw error;
      }
      this.error = { text: error.message, at: error.at };
    }
    return root.kind === "" ? undefined : root;
  }

  #fail(text: string, at = this.#at): never {
    throw new ScanError(at >= this.#bytes.length ? "it breaks off" : text, at);
  }

  #peek(): string {
    return String.fromCharCode(this.#bytes[this.#at] ?? 0);
  }

  #space(): void {
    const start = this.#at;
    while (this.#at < this.#bytes.length && " \t\r\n".includes(this.#peek())) {
      this.#at++;
    }
    if (this.#at > start) {
      this.spaces.push([start, this.#at]);
    }
  }

  /** Fills in a value, bit by bit, so that what is there before an error stays. */
  #value(value: Value, depth: number): void {
    if (depth > maxDepth) {
      this.#fail("it is nested too deeply");
    }
    value.start = this.#at;
    const next = this.#peek();
    if (next === "{") {
      value.kind = "an object";
      this.#object((value.members = []), depth);
    } else if (next === "[") {
      value.kind = "an array";
      this.#array(depth);
    } else if (next === '"') {
      value.kind = "a string";
      value.text = this.#string();
    } else if (/[-\d]/.test(next)) {
      value.kind = "a number";
      this.#match(/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/, "no number has this form");
    } else if (next === "n") {
      value.kind = "null";
      this.#match(/^null/, "here is no value");
    } else if (next === "t" || next === "f") {
      value.kind = "a boolean";
      this.#match(/^(?:true|false)/, "here is no value");
    } else {
      this.#fail(
        next === "'"
          ? "JSON has no single quotes"
          : next === "/"
            ? "JSON has no comments"
            : "here is no value",
      );
    }
    value.end = this.#at;
  }

  /** Reads a number or a word. */
  #match(form: RegExp, problem: string): void {
    let end = this.#at;
    while (/[-+.\w]/.test(String.fromCharCode(this.#bytes[end] ?? 0))) {
      end++;
    }
    const match = form.exec(new TextDecoder().decode(this.#bytes.subarray(this.#at, end)));
    if (!match) {
      this.#fail(problem);
    }
    this.#at += match[0].length;
  }

  #array(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#peek() === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      this.#value({ kind: "", start: 0, end: 0 }, depth + 1);
      this.#space();
      const next = this.#peek();
      if (next !== "," && next !== "]") {
        this.#fail("a comma or ] should stand here");
      }
      this.#at++;
      if (next === "]") {
        return;
      }
    }
  }

  #object(members: Member[], depth: number): void {
    const seen = new Set<string>();
    this.#at++;
    this.#space();
    if (this.#peek() === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') {
        this.#fail("a member's name should stand here");
      }
      const start = this.#at;
      const name = this.#string();
      const member: Member = { name, start, nameEnd: this.#at };
      if (seen.has(name)) {
        this.repeated.push({ name, at: [start, this.#at] });
      }
      seen.add(name);
      members.push(member);
      this.#space();
      if (this.#peek() !== ":") {
        this.#fail("a colon should stand here");
      }
      this.#at++;
      this.#space();
      const value: Value = { kind: "", start: 0, end: 0 };
      this.#value(value, depth + 1);
      member.value = value;
      this.#space();
      const next = this.#peek();
      if (next !== "," && next !== "}") {
        this.#fail("a comma or } should stand here");
      }
      this.#at++;
      if (next === "}") {
        return;
      }
    }
  }

  #string(): string {
    this.#at++;
    let text = "";
    let start = this.#at;
    for (;;) {
      if (this.#at >= this.#bytes.length) {
        this.#fail("it breaks off");
      }
      const next = this.#peek();
      if (next === '"') {
        text += this.#utf8(start, this.#at);
        this.#at++;
        return text;
      }
      if (next < " ") {
        this.#fail(`a control character, ${nameOf(next)}, stands in a string as it is`);
      }
      if (next === "\\") {
        text += this.#utf8(start, this.#at);
        text += this.#escape();
        start = this.#at;
      } else {
        this.#at++;
      }
    }
  }

  #utf8(start: number, end: number): string {
    const bytes = this.#bytes.subarray(start, end);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    try {
      return decoder.decode(bytes);
    } catch {
      // The longest prefix that is UTF-8 ends where the trouble begins.
      let good = 0;
      for (let i = 1; i <= bytes.length && i - good <= 4; i++) {
        try {
          decoder.decode(bytes.subarray(good, i));
          good = i;
        } catch {
          continue;
        }
      }
      return this.#fail("a string is not UTF-8", start + good);
    }
  }

  #escape(): string {
    const start = this.#at;
    let character = this.#oneEscape();
    const surrogate = character.charCodeAt(0);
    if (surrogate >= 0xd800 && surrogate < 0xdc00 && this.#peek() === "\\") {
      character += this.#oneEscape();
    }
    if (!character.isWellFormed()) {
      this.#fail("half a surrogate pair is escaped", start);
    }
    const raw = String.fromCharCode(...this.#bytes.subarray(start, this.#at));
    const canonical = JSON.stringify(character).slice(1, -1);
    if (raw !== canonical) {
      const shown =
        canonical === character ? `${character.trim()} ${codePoint(character)}, as it is` : canonical;
      this.escapes.push({ raw, canonical: shown.trim(), at: [start, this.#at] });
    }
    return character;
  }

  #oneEscape(): string {
    const text = String.fromCharCode(...this.#bytes.subarray(this.#at, this.#at + 6));
    const match = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text);
    if (!match) {
      this.#fail("JSON has no such escape sequence");
    }
    this.#at += match[0].length;
    return JSON.parse(`"${match[0]}"`) as string;
  }
}
