// What it is that somebody has pasted: an assertion, or one of the other things that end
// up in its place, most of which are secret.

import { stripAssertion, type Stripped } from "./paste.js";
import { readJWT, type JWT } from "./token.js";

/** An assertion, or what may be meant to be one. */
export interface PastedAssertion extends Stripped {
  kind: "assertion";
  /** How it was found, where it was not simply there. */
  found?: string;
  /** That the request carried a bearer token beside it. */
  besideBearer: boolean;
  /** The name of the header field that it stood in, in lower case, if that was pasted. */
  field?: string;
}

/** What the agent sent in place of an assertion, or would. */
export interface PastedToken {
  kind: "token";
  token: "access-token" | "personal-access-token" | "api-key" | "identity-jwt" | "opaque";
  /** Its claims, if it is a JWT. They are not verified. */
  jwt?: JWT;
}

export type Pasted =
  | PastedAssertion
  | PastedToken
  | { kind: "auth-json"; document: string }
  | { kind: "biscuit" }
  | { kind: "private-key" }
  | { kind: "public-key" }
  | { kind: "nothing" };

/** Reports whether what was pasted is to be masked. */
export function isSecret({ kind }: Pasted): boolean {
  return kind === "token" || kind === "auth-json" || kind === "biscuit" || kind === "private-key";
}

/** Says what somebody has pasted. */
export function recognise(text: string): Pasted {
  const trimmed = text.trim();
  if (trimmed === "") {
    return { kind: "nothing" };
  }
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) {
    const found = fromJSON(trimmed);
    if (found) {
      return found;
    }
  }
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----|^M(?:C4CAQAw|FECAQEw)BQYDK2Vw[\w+/=-]+$/.test(trimmed)) {
    return { kind: "private-key" };
  }
  const decoded = percentDecoded(trimmed);
  const isEncoded = /agentassertion(?:%20)+[\w%.-]+|%22(?:x-openai-agent-assertion|authorization)%22/i.test(
    trimmed,
  );
  if (isEncoded && decoded !== trimmed) {
    const found = recognise(decoded);
    return found.kind === "assertion" ? { ...found, found: "It was percent-encoded, as in a URL." } : found;
  }
  const stripped = stripAssertion(text);
  const rest = `${stripped.before}\n${stripped.after}`;
  if (isAssertion(stripped.value)) {
    return {
      kind: "assertion",
      ...stripped,
      besideBearer: tokenIn(rest) !== undefined,
      ...fieldOf(stripped.before),
    };
  }
  if (/x-openai-authorization\b/i.test(trimmed)) {
    return { kind: "biscuit" };
  }
  if (/^(?:#[^\n]*)?ssh-ed25519 +[A-Za-z0-9+/]{60,}|-----BEGIN PUBLIC KEY-----/.test(trimmed)) {
    return { kind: "public-key" };
  }
  const token = tokenIn(trimmed);
  return token === undefined
    ? { kind: "assertion", ...stripped, besideBearer: false }
    : { kind: "token", ...token };
}

/** Reports whether a value begins as an assertion does. */
function isAssertion(value: string): boolean {
  return /^(?:agentassertion(?:\s|$)|1\.[\w-])/i.test(value);
}

function fieldOf(before: string): { field?: string } {
  const names = before.match(/x-openai-agent-assertion|(?<!-)authorization/gi);
  const name = names?.at(-1)?.toLowerCase();
  return name === undefined ? {} : { field: name };
}

/** Returns the token that a text carries, or is. An envelope behind the wrong scheme is none. */
function tokenIn(text: string): Omit<PastedToken, "kind"> | undefined {
  const [, named] = /(?<![\w-])bearer(?:\s|%20|\\t)+["'<]?([\w\-.~+/]+=*)/i.exec(text) ?? [];
  const alone = /^["'`]?((?:eyJ[\w-]+\.[\w-]+\.[\w-]*)|(?:at|sk)-[\w-]{8,})["'`]?[,;]?$/.exec(
    text.trim(),
  )?.[1];
  const value = named ?? alone;
  if (value === undefined || /^(?:agentassertion$|1\.)/i.test(value)) {
    return undefined;
  }
  const jwt = readJWT(value);
  if (jwt) {
    if (jwt.header["typ"] === "openai-agent-assertion+jws") {
      return undefined;
    }
    return { token: "agent_private_key" in jwt.claims ? "identity-jwt" : "access-token", jwt };
  }
  if (/^eyJhZ2VudF9|^eyJ[\w-]{100,}$/.test(value)) {
    return undefined;
  }
  return {
    token: value.startsWith("at-") ? "personal-access-token" : value.startsWith("sk-") ? "api-key" : "opaque",
  };
}

/** Finds header fields in JSON: a HAR file, a log's line, an auth.json. */
function fromJSON(text: string): Pasted | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (
    isRecord(json) &&
    ["tokens", "auth_mode", "OPENAI_API_KEY", "agent_identity"].some((name) => name in json)
  ) {
    return { kind: "auth-json", document: text };
  }
  if (isRecord(json) && "kty" in json) {
    return { kind: "d" in json ? "private-key" : "public-key" };
  }
  const requests: HeaderField[][] = [];
  collect(json, requests, 0);
  const all = requests.flatMap((fields) => fields.map((field) => ({ ...field, beside: fields })));
  const assertions = all.filter(({ value }) => isAssertion(value));
  const [first] = assertions;
  if (first) {
    const at = text.indexOf(first.value);
    const start = at < 0 ? 0 : at;
    const others = new Set(assertions.map(({ value }) => value)).size - 1;
    return {
      kind: "assertion",
      value: first.value,
      before: text.slice(0, start),
      after: at < 0 ? "" : text.slice(at + first.value.length),
      found: `It was found in JSON, in the field ${first.name}${others > 0 ? `; ${others} more assertion${others > 1 ? "s are" : " is"} there` : ""}.`,
      besideBearer: first.beside.some(({ value }) => tokenIn(value) !== undefined),
      field: first.name.toLowerCase(),
    };
  }
  for (const { value } of all) {
    const token = tokenIn(value);
    if (token) {
      return { kind: "token", ...token };
    }
  }
  return undefined;
}

interface HeaderField {
  name: string;
  value: string;
}

const wanted = /^(?:authorization|x-openai-agent-assertion)$/i;

/** Collects the header fields that matter, by request: of {"name":…,"value":…}, and of members with their names. */
function collect(json: unknown, requests: HeaderField[][], depth: number): void {
  if (depth > 32) {
    return;
  }
  const inner: unknown[] = Array.isArray(json) ? json : isRecord(json) ? Object.values(json) : [];
  const fields: HeaderField[] = [];
  if (Array.isArray(json)) {
    for (const element of json as unknown[]) {
      if (isRecord(element) && typeof element["name"] === "string" && typeof element["value"] === "string") {
        fields.push({ name: element["name"], value: element["value"].trim() });
      }
    }
  } else if (isRecord(json)) {
    for (const [name, member] of Object.entries(json)) {
      for (const value of (Array.isArray(member) ? member : [member]) as unknown[]) {
        if (typeof value === "string") {
          fields.push({ name, value: value.trim() });
        }
      }
    }
  }
  const known = fields.filter(({ name }) => wanted.test(name));
  if (known.length > 0) {
    requests.push(known);
  }
  for (const value of inner) {
    collect(value, requests, depth + 1);
  }
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}
