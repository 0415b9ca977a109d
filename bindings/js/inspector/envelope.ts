// Why a header is not a canonical assertion of a task, or none at all. The core says
// whether it is; it stops at the first problem, and does not say where. This says all of
// them, and goes on reading where the core does not, for a person who wants to know what
// it was meant to be. A test holds it against the core on every vector.

import { decodeBase64url, encodeBase64url } from "./base64url.js";
import { Findings, maxHeader, scheme, type Finding } from "./findings.js";
import { idProblems } from "./ids.js";
import { readObject, type Rule } from "./json.js";
import { count, nameOf } from "./text.js";

const names = ["agent_runtime_id", "signature", "task_id", "timestamp"] as const;

/** The members of an envelope. */
export type Claims = Record<(typeof names)[number], string>;

export interface TaskAnalysis {
  form: "task";
  findings: Finding[];
  /** The envelope, as far as base64url can be decoded. */
  content?: Uint8Array;
  /** The members that could be read. */
  claims: Partial<Claims>;
  /** What the core would build of the members, if all could be read, and its envelope. */
  canonical?: { header: string; content: Uint8Array };
}

const encoder = new TextEncoder();

/** Takes a header apart, and finds everything that is unusual about it. */
export function analyseTask(header: string): TaskAnalysis {
  const findings = new Findings();
  if (encoder.encode(header).length > maxHeader) {
    findings.fatal(`It is longer than ${count(maxHeader, "byte")}, which no assertion is.`);
  }
  const encoded = afterScheme(header, findings);
  const content = encoded === undefined ? undefined : decode(encoded, findings);
  const claims = content ? readObject(content, "envelope", rules, findings) : {};
  return {
    form: "task",
    findings: findings.all,
    claims,
    ...(content && { content }),
    ...(isComplete(claims) && { canonical: canonicalForm(claims) }),
  };
}

/** Returns the header and the envelope that the core builds of these members. */
export function canonicalForm(claims: Claims): { header: string; content: Uint8Array } {
  // JSON.stringify escapes what the core escapes, and nothing else.
  const { agent_runtime_id, signature, task_id, timestamp } = claims;
  const content = encoder.encode(JSON.stringify({ agent_runtime_id, signature, task_id, timestamp }));
  return { header: `${scheme} ${encodeBase64url(content)}`, content };
}

/** Returns what follows the scheme, or what may be meant to. */
function afterScheme(header: string, findings: Findings): string | undefined {
  if (header === "") {
    findings.fatal("There is nothing.");
    return undefined;
  }
  if (/^\s/.test(header)) {
    findings.fatal("White space stands before the scheme.");
    return afterScheme(header.trimStart(), findings);
  }
  const space = header.indexOf(" ");
  const name = space < 0 ? header : header.slice(0, space);
  const rest = space < 0 ? "" : header.slice(space + 1);
  if (name.toLowerCase() === scheme.toLowerCase() && isASCII(name)) {
    if (name !== scheme) {
      findings.lax(`The scheme is written ${name}. Its case does not matter; the core writes ${scheme}.`);
    }
    const encoded = rest.replace(/^ +/, "");
    if (encoded === "") {
      findings.fatal("Nothing follows the scheme.");
      return undefined;
    }
    if (encoded !== rest) {
      findings.lax(`${rest.length - encoded.length + 1} spaces follow the scheme, and the core writes one.`);
    }
    return encoded;
  }
  const start = /^agentassertion/i.exec(header)?.[0];
  if (start !== undefined) {
    const next = header.slice(start.length);
    findings.fatal(
      /^\s/.test(next)
        ? `The scheme is followed by ${nameOf(next.charAt(0))}, and should be by a space.`
        : `The scheme is followed by “${next.charAt(0)}”, and should be by a space.`,
    );
    return next.trimStart();
  }
  if (looksEncoded(header) || header.startsWith("{")) {
    findings.fatal(`The scheme is missing: the value is “${scheme}”, a space, and then this.`);
    return header;
  }
  findings.fatal(`The scheme is “${name.slice(0, 40)}”, and not ${scheme}.`);
  return looksEncoded(rest.trimStart()) ? rest.trimStart() : undefined;
}

/** Decodes what follows the scheme. */
function decode(encoded: string, findings: Findings): Uint8Array | undefined {
  if (encoded.startsWith("{")) {
    findings.fatal("The envelope is JSON in the clear. It has to be encoded in base64url.");
    return encoder.encode(encoded);
  }
  if (/^[\w-]*\.[\w-]*\.[\w-]*$/.test(encoded)) {
    findings.fatal(
      "Three parts with dots between them are a JWT, and no assertion. That of a runtime agent instance has “1.” before them.",
    );
    return undefined;
  }
  return decodeBase64url(encoded, findings);
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

/** The members, in the order in which the core writes them. */
const rules: Record<(typeof names)[number], Rule> = {
  agent_runtime_id: {
    kind: "a string",
    problems: (id) => [
      ...idProblems("The runtime id", id),
      ...(id.includes(":")
        ? ["The runtime id contains a colon, so the signed text could be split in two ways."]
        : []),
    ],
  },
  signature: { kind: "a string", problems: signatureProblems },
  task_id: { kind: "a string", problems: (id) => idProblems("The task id", id) },
  timestamp: { kind: "a string", problems: timestampProblems },
};

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
