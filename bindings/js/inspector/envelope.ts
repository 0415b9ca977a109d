// Why a header is not canonical, or no assertion at all. The core says whether it
// is; it stops at the first problem, and does not say where. This says all of them,
// and goes on reading where the core does not, for a person who wants to know what
// it was meant to be. A test holds it against the core on every vector.

import { codePoint, count, nameOf } from "./text.js";

/** A part of the envelope, in bytes. */
export type Span = [start: number, end: number];

/** Something about a header that is not as the core builds it. */
export interface Finding {
  text: string;
  /** Whether a verifier refuses the header for it. Else it is only not canonical. */
  fatal: boolean;
  /** Where it is in the envelope, if it is there. */
  spans: Span[];
}

const names = ["agent_runtime_id", "signature", "task_id", "timestamp"] as const;

/** The members of an envelope. */
export type Claims = Record<(typeof names)[number], string>;

export interface Analysis {
  findings: Finding[];
  /** The envelope, as far as base64url can be decoded. */
  envelope?: Uint8Array;
  /** The members that could be read. */
  claims: Partial<Claims>;
  /** What the core would build of the members, if all could be read, and its envelope. */
  canonical?: { header: string; envelope: Uint8Array };
}

const scheme = "AgentAssertion";
const maxJSON = 64 << 10;
const maxHeader = scheme.length + 1 + Math.floor((maxJSON * 4) / 3) + 2;
const maxDepth = 64;
const maxID = 4096;

const encoder = new TextEncoder();

/** Takes a header apart, and finds everything that is unusual about it. */
export function analyse(header: string): Analysis {
  return new Analyser().analyse(header);
}

/** Returns the header and the envelope that the core builds of these members. */
export function canonicalForm(claims: Claims): { header: string; envelope: Uint8Array } {
  // JSON.stringify escapes what the core escapes, and nothing else.
  const { agent_runtime_id, signature, task_id, timestamp } = claims;
  const envelope = encoder.encode(JSON.stringify({ agent_runtime_id, signature, task_id, timestamp }));
  const base64 = btoa(Array.from(envelope, (byte) => String.fromCharCode(byte)).join(""));
  const base64url = base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  return { header: `${scheme} ${base64url}`, envelope };
}

class Analyser {
  readonly #findings: Finding[] = [];

  analyse(header: string): Analysis {
    if (encoder.encode(header).length > maxHeader) {
      this.#fatal(`It is longer than ${count(maxHeader, "byte")}, which no assertion is.`);
    }
    const encoded = this.#afterScheme(header);
    const envelope = encoded === undefined ? undefined : this.#decode(encoded);
    const claims = envelope ? this.#members(envelope) : {};
    const analysis: Analysis = { findings: this.#findings, claims };
    if (envelope) {
      analysis.envelope = envelope;
    }
    if (isComplete(claims)) {
      analysis.canonical = canonicalForm(claims);
    }
    return analysis;
  }

  #fatal(text: string, ...spans: Span[]): void {
    this.#findings.push({ text, fatal: true, spans });
  }

  #lax(text: string, ...spans: Span[]): void {
    this.#findings.push({ text, fatal: false, spans });
  }

  /** Returns what follows the scheme, or what may be meant to. */
  #afterScheme(header: string): string | undefined {
    if (header === "") {
      this.#fatal("There is nothing.");
      return undefined;
    }
    if (/^\s/.test(header)) {
      this.#fatal("White space stands before the scheme.");
      return this.#afterScheme(header.trimStart());
    }
    const space = header.indexOf(" ");
    const name = space < 0 ? header : header.slice(0, space);
    const rest = space < 0 ? "" : header.slice(space + 1);
    if (name.toLowerCase() === scheme.toLowerCase() && isASCII(name)) {
      if (name !== scheme) {
        this.#lax(`The scheme is written ${name}. Its case does not matter; the core writes ${scheme}.`);
      }
      const encoded = rest.replace(/^ +/, "");
      if (encoded === "") {
        this.#fatal("Nothing follows the scheme.");
        return undefined;
      }
      if (encoded !== rest) {
        this.#lax(`${rest.length - encoded.length + 1} spaces follow the scheme, and the core writes one.`);
      }
      return encoded;
    }
    const start = /^agentassertion/i.exec(header)?.[0];
    if (start !== undefined) {
      const next = header.slice(start.length);
      this.#fatal(
        /^\s/.test(next)
          ? `The scheme is followed by ${nameOf(next.charAt(0))}, and should be by a space.`
          : `The scheme is followed by “${next.charAt(0)}”, and should be by a space.`,
      );
      return next.trimStart();
    }
    if (looksEncoded(header) || header.startsWith("{")) {
      this.#fatal(`The scheme is missing: the value is “${scheme}”, a space, and then this.`);
      return header;
    }
    this.#fatal(`The scheme is “${name.slice(0, 40)}”, and not ${scheme}.`);
    return looksEncoded(rest.trimStart()) ? rest.trimStart() : undefined;
  }

  /** Decodes base64url, and all that passes for it. */
  #decode(encoded: string): Uint8Array | undefined {
    if (encoded.startsWith("{")) {
      this.#fatal("The envelope is JSON in the clear. It has to be encoded in base64url.");
      return encoder.encode(encoded);
    }
    if (/^[\w-]*\.[\w-]*\.[\w-]*$/.test(encoded)) {
      this.#fatal("Three parts with dots between them are a JWT, and no assertion.");
      return undefined;
    }
    if (/%[0-9a-f]{2}/i.test(encoded)) {
      this.#fatal("It is percent-encoded, as in a URL. A header is not.");
      encoded = encoded.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
        String.fromCharCode(parseInt(digits, 16)),
      );
    }
    const spaces = encoded.match(/\s/g);
    if (spaces) {
      this.#fatal(
        `${count(spaces.length, "character")} of white space in the base64url, the first ${nameOf(spaces[0])} at character ${encoded.search(/\s/) + 1} of it. It may have been wrapped.`,
      );
    }
    let digits = encoded.replace(/\s/g, "");
    const padding = /=+$/.exec(digits)?.[0].length ?? 0;
    if (padding > 0) {
      this.#fatal(`It is padded: ${padding} × “=” at the end. Base64url is unpadded here.`);
      digits = digits.slice(0, -padding);
    }
    const standard = digits.match(/[+/]/g);
    if (standard) {
      this.#fatal(
        `It is in the standard alphabet: ${count(standard.length, "character")} of “+” and “/” where base64url has “-” and “_”.`,
      );
      digits = digits.replace(/\+/g, "-").replace(/\//g, "_");
    }
    const bad = /[^\w-]/u.exec(digits);
    if (bad) {
      this.#fatal(
        `${nameOf(bad[0])}${bad[0] > " " && bad[0] <= "~" ? ` “${bad[0]}”` : ""} is no character of base64url; it is the first of such, after ${count(bad.index, "other")}.`,
      );
      digits = digits.slice(0, bad.index);
    }
    if (digits.length % 4 === 1) {
      if (!bad) {
        this.#fatal(
          "It is one character too long or too short: no base64 has that length. It may have been cut off.",
        );
      }
      digits = digits.slice(0, -1);
    }
    const binary = atob(digits.replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const spare = btoa(binary).replace(/=/g, "").slice(-1);
    const last = digits.slice(-1).replace("-", "+").replace("_", "/");
    if (!bad && spare !== last) {
      this.#fatal(
        `Its last character, “${digits.slice(-1)}”, holds bits that belong to no byte. It may have been cut off or changed.`,
      );
    }
    return bytes.length > 0 ? bytes : undefined;
  }

  /** Reads the envelope, and returns what members it has. */
  #members(bytes: Uint8Array): Partial<Claims> {
    if (bytes.length > maxJSON) {
      this.#fatal(
        `The envelope is ${count(bytes.length, "byte")} long, and may be ${count(maxJSON, "byte")}.`,
      );
    }
    let start = 0;
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
      this.#fatal("A byte order mark stands before the JSON.", [0, 3]);
      start = 3;
    } else if ((bytes[0] === 0 || bytes[1] === 0) && bytes.includes(0x7b)) {
      this.#fatal("The JSON is in UTF-16, and should be in UTF-8.", [0, 2]);
      return {};
    }
    const json = new Scanner(bytes, start);
    const root = json.scan();
    if (json.error) {
      const { at, text } = json.error;
      this.#fatal(`The envelope is not JSON: ${text}, at byte ${at}.`, [at, Math.min(at + 1, bytes.length)]);
    }
    if (!root?.members) {
      if (!json.error) {
        this.#fatal(`The envelope is ${root?.kind ?? "nothing"}, and should be an object.`);
      }
      return {};
    }
    return this.#read(json, root.members);
  }

  #read(json: Scanner, members: Member[]): Partial<Claims> {
    const claims: Partial<Claims> = {};
    for (const name of names) {
      const all = members.filter((member) => member.name === name);
      const [first] = all;
      if (!first) {
        // In a text that breaks off, what is missing is not the problem.
        if (!json.error) {
          this.#fatal(`The member ${name} is missing.`);
        }
      } else if (first.value?.text === undefined) {
        if (first.value) {
          this.#fatal(`${name} is ${first.value.kind}, and should be a string.`, [
            first.value.start,
            first.value.end,
          ]);
        }
      } else if (all.length === 1) {
        claims[name] = first.value.text;
        for (const problem of problems[name](first.value.text)) {
          this.#fatal(problem, [first.value.start, first.value.end]);
        }
      }
    }
    for (const { name, at } of json.repeated) {
      this.#fatal(
        `The member “${name.slice(0, 60)}” is there twice, and parsers differ in which one they take.`,
        at,
      );
    }
    for (const { name, start, nameEnd } of members) {
      const known = names.find((other) => other.replace("_", "") === name.toLowerCase().replace(/_/g, ""));
      if (known === name || names.some((other) => other === name)) {
        continue;
      }
      const hint = known === undefined ? "" : ` Names are compared as they are: it should be ${known}.`;
      this.#fatal(`No assertion has a member “${name.slice(0, 60)}”, and nothing signs it.${hint}`, [
        start,
        nameEnd,
      ]);
    }
    const order = members.map((member) => member.name);
    const sorted = names.filter((name) => order.includes(name));
    const misplaced = members.find(({ name }, i) => name !== sorted[i]);
    if (misplaced && order.length === sorted.length) {
      this.#lax(
        `The members are in another order: ${order.join(", ")}. The core writes ${sorted.join(", ")}.`,
        [misplaced.start, misplaced.nameEnd],
      );
    }
    if (json.spaces.length > 0) {
      const size = json.spaces.reduce((sum, [start, end]) => sum + end - start, 0);
      this.#lax(
        `${count(size, "byte")} of white space between the tokens, the first at byte ${json.spaces[0]?.[0] ?? 0}. The core writes none.`,
        ...json.spaces,
      );
    }
    if (json.escapes.length > 0) {
      const [first] = json.escapes;
      this.#lax(
        `${count(json.escapes.length, "escape sequence")} that the core writes otherwise, the first ${first?.raw ?? ""} at byte ${first?.at[0] ?? 0}: it writes ${first?.canonical ?? ""}.`,
        ...json.escapes.map(({ at }) => at),
      );
    }
    return claims;
  }
}

function isComplete(claims: Partial<Claims>): claims is Claims {
  return names.every((name) => claims[name]?.isWellFormed());
}

function isASCII(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

function looksEncoded(text: string): boolean {
  return /^eyJ|^[\w\-+/=]{24,}$/.test(text);
}

/** What can be wrong with a member's text. */
const problems: Record<(typeof names)[number], (text: string) => string[]> = {
  agent_runtime_id: (id) => [
    ...idProblems("The runtime id", id),
    ...(id.includes(":")
      ? ["The runtime id contains a colon, so the signed text could be split in two ways."]
      : []),
  ],
  task_id: (id) => idProblems("The task id", id),
  timestamp: timestampProblems,
  signature: signatureProblems,
};

function idProblems(what: string, id: string): string[] {
  const found: string[] = [];
  if (id === "") {
    found.push(`${what} is empty.`);
  }
  const size = encoder.encode(id).length;
  if (size > maxID) {
    found.push(`${what} is ${count(size, "byte")} long, and may be ${count(maxID, "byte")}.`);
  }
  const control = /\p{Cc}/u.exec(id);
  if (control) {
    found.push(
      `${what} contains a control character: ${nameOf(control[0])}, its character ${control.index + 1}.`,
    );
  }
  return found;
}

function timestampProblems(text: string): string[] {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) {
    const unix = Date.parse(text);
    if (!Number.isNaN(unix) && new Date(unix).toISOString() === text.replace("Z", ".000Z")) {
      return [];
    }
    const why =
      text.slice(17, 19) === "60" ? "a leap second has no Unix time" : "there is no such date or time";
    return [`The timestamp is ${text}: ${why}.`];
  }
  const should = "It should be as in 2026-11-24T15:16:08Z.";
  const reasons: [RegExp, string][] = [
    [/^$/, "is empty"],
    [/^\s|\s$/, "has white space at an end"],
    [/^-?\d{9,}(\.\d+)?$/, "is a number"],
    [/^\d{8}T\d{6}Z$/, "lacks its hyphens and colons"],
    [/[.,]\d+/, "has a fraction of a second"],
    [/[+-]\d\d:?\d\d$/, "has an offset; only Z stands for UTC here"],
    [/^\d{4}-\d\d-\d\d \d\d/, "has a space in place of T"],
    [/^\d{4}-\d\d-\d\dt\d\d|z$/, "is written with a lower-case letter"],
    [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/, "lacks the Z"],
    [/^[+-]/, "has a sign"],
    [/^(\d{5,}|\d{1,3})-/, "has a year that is not of four digits"],
  ];
  const reason = reasons.find(([form]) => form.test(text))?.[1] ?? "is not RFC 3339";
  return [`The timestamp, “${text.slice(0, 60)}”, ${reason}. ${should}`];
}

function signatureProblems(text: string): string[] {
  const should = "It should be 64 bytes in base64: 88 characters, of which the last two are “==”.";
  const problem = (what: string) => [`The signature ${what}. ${should}`];
  if (text === "") {
    return problem("is empty");
  }
  if (/\s/.test(text)) {
    return problem("has white space in it");
  }
  if (/^[0-9a-f]{128}$/i.test(text)) {
    return problem("is hexadecimal");
  }
  if (/^[\w-]*[_-][\w-]*=*$/.test(text)) {
    return problem("is in the URL alphabet");
  }
  if (/[^A-Za-z0-9+/=]/.test(text)) {
    return problem("is not base64");
  }
  const digits = text.replace(/=+$/, "");
  const size = Math.floor((digits.length * 3) / 4);
  if (size !== 64) {
    return problem(`is ${count(size, "byte")} long`);
  }
  if (text.length !== 88) {
    return problem(text.length < 88 ? "lacks its padding" : "has too much padding");
  }
  if (!"AQgw".includes(digits.slice(-1))) {
    return problem("ends in bits that belong to no byte");
  }
  return [];
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
