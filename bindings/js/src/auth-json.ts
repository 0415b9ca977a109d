import type { Credentials } from "./messages.js";

// An auth.json as this package reads it itself, to see whether what the module makes of
// one can be true. The module reads and writes the document; nothing here changes it.

/** Where an auth.json keeps the identity. */
const identityMember = "agent_identity";
/** An identity's members, which in some files stand in the document itself. */
const flatMembers = [
  "agent_runtime_id",
  "agent_private_key",
  "workspace_id",
  "account_id",
  "chatgpt_user_id",
  "email",
  "plan_type",
  "chatgpt_account_is_fedramp",
  "registered_at",
  "background_task_id",
  "task_id",
];
/** Those that go with the identity. */
const removedMembers = ["agent_runtime_id", "agent_private_key", "background_task_id", "task_id"];

/** The members of a document by name, in their order: the text of each value, as it is written. */
export type Members = ReadonlyMap<string, string>;

/** Returns the text in bytes, or undefined where they are no UTF-8. A byte order mark is a character like any other. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Parses JSON, or returns undefined. */
function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

/** Returns a member of a JSON object's own, or undefined. */
function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the members of a document that is a JSON object, none of which is there twice, or undefined. */
export function membersOf(document: Uint8Array): Members | undefined {
  const text = textOf(document);
  if (text === undefined || !isObject(parsed(text))) {
    return undefined;
  }
  const members = new Map<string, string>();
  // It is JSON, so that only strings, and what opens and closes, need a look.
  const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]/g;
  let [depth, start, name] = [0, 0, ""];
  for (const { 0: token, index } of text.matchAll(tokens)) {
    if (depth === 1 && token === ":") {
      name = JSON.parse(text.slice(start, index)) as string;
      start = index + 1;
    } else if (depth === 1 && /[,}]/.test(token[0] ?? "")) {
      const value = text.slice(start, index).trim();
      if (members.has(name)) {
        return undefined;
      }
      if (value !== "") {
        members.set(name, value);
      }
      start = index + 1;
    }
    if (token === "{" || token === "[") {
      start = depth === 0 ? index + 1 : start;
      depth++;
    } else if (token === "}" || token === "]") {
      depth--;
    }
  }
  return members;
}

/** Returns the text of the identity in a document, or undefined where there is none. */
export function identityIn(members: Members): string | undefined {
  const identity = members.get(identityMember) ?? "null";
  if (identity !== "null") {
    return identity;
  }
  const flat = flatMembers
    .map((name) => ({ name, value: members.get(name) ?? "null" }))
    .filter(({ value }) => value !== "null")
    .map(({ name, value }) => `"${name}":${value}`);
  return isFlat(members) ? `{${flat.join(",")}}` : undefined;
}

function isFlat(members: Members): boolean {
  return ["agent_runtime_id", "agent_private_key"].every((name) => members.get(name)?.startsWith('"'));
}

/**
 * Reports whether a document is another one with the record for its identity, or
 * without one, and is the same but for that: the same members, in their order, with the
 * same text.
 */
export function isReplacement(after: Members, before: Members, record: Uint8Array | undefined): boolean {
  const gone = [identityMember, ...(record === undefined && isFlat(before) ? removedMembers : [])];
  const kept = [...before].filter(([name]) => !gone.includes(name));
  const found = [...after].filter(([name]) => name !== identityMember);
  return (
    isSameJSON(after.get(identityMember), record && textOf(record)) &&
    (record !== undefined || !after.has(identityMember)) &&
    found.length === kept.length &&
    found.every(([name, value], i) => name === kept[i]?.[0] && value === kept[i][1])
  );
}

/** Reports whether a record is the identity of a document, in whatever white space. */
export function isIdentity(record: Uint8Array | undefined, members: Members): boolean {
  return isSameJSON(record && (textOf(record) ?? ""), identityIn(members));
}

/** Reports whether a record is the identity of a document, byte for byte. */
export function isExactly(record: Uint8Array | undefined, members: Members): boolean {
  return (record && (textOf(record) ?? "")) === identityIn(members);
}

function isSameJSON(a: string | undefined, b: string | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && compact(a) === compact(b));
}

/** Returns a JSON text without the white space between its tokens. */
function compact(text: string): string {
  return text.replace(/("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+/g, "$1");
}

/** Returns who is signed in by a document, or undefined where that is none. Why credentials cannot be used it does not say. */
export function credentialsIn(document: Uint8Array): Credentials | undefined {
  const root = parsed(textOf(document));
  if (!isObject(root)) {
    return undefined;
  }
  const mode = text(root, "auth_mode");
  const key = text(root, "OPENAI_API_KEY") ?? "";
  const isKey = mode === undefined ? key !== "" : mode === "apikey";
  if (mode === "agentIdentity") {
    return ofIdentity(root);
  }
  if (isKey) {
    return key === "" ? { kind: "none" } : { kind: "api-key", accessToken: key };
  }
  if (mode !== undefined && mode !== "chatgpt") {
    return { kind: "other" };
  }
  const tokens = isObject(member(root, "tokens")) ? member(root, "tokens") : root;
  if (tokens === root && text(root, "access_token") === undefined) {
    return { kind: "none" };
  }
  const claims = claimsOf(text(tokens, "id_token") ?? "");
  const auth = member(claims, "https://api.openai.com/auth");
  return withoutEmpty({
    kind: "chatgpt",
    accessToken: text(tokens, "access_token"),
    accountId: notEmpty(text(tokens, "account_id")) ?? text(auth, "chatgpt_account_id"),
    userId: notEmpty(text(auth, "chatgpt_user_id")) ?? text(auth, "user_id"),
    email: text(claims, "email"),
    planType: text(auth, "chatgpt_plan_type"),
    fedramp: member(auth, "chatgpt_account_is_fedramp") === true,
  });
}

/** Returns the credentials of a document that has an identity and nobody's sign-in. */
function ofIdentity(root: object): Credentials {
  const isFlat = ["agent_runtime_id", "agent_private_key"].every((name) => text(root, name) !== undefined);
  const record = member(root, identityMember) ?? (isFlat ? root : undefined);
  if (!isObject(record)) {
    return { kind: typeof record === "string" ? "other" : "none" };
  }
  return withoutEmpty({
    kind: "agent-identity",
    accountId: text(record, "workspace_id") ?? text(record, "account_id"),
    userId: text(record, "chatgpt_user_id"),
    email: text(record, "email"),
    planType: text(record, "plan_type"),
    fedramp: member(record, "chatgpt_account_is_fedramp") === true,
  });
}

/** Returns a member that is text, or undefined. */
function text(value: unknown, name: string): string | undefined {
  const found = member(value, name);
  return typeof found === "string" ? found : undefined;
}

function notEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** Returns the claims of a JWT, without a look at its signature, or undefined. */
function claimsOf(jwt: string): unknown {
  const [, payload, signature, ...more] = jwt.split(".");
  if (payload === undefined || signature === undefined || more.length > 0 || !/^[\w-]*$/.test(payload)) {
    return undefined;
  }
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return parsed(textOf(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

function withoutEmpty(members: { [Name in keyof Credentials]: Credentials[Name] | undefined }): Credentials {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value)) as unknown as Credentials;
}
