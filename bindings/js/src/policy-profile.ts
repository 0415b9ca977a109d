import type {
  Credentials,
  FlowAuthorization,
  FlowConfig,
  FlowEffect,
  FlowEvent,
  HTTPEffect,
} from "./messages.js";
import { own } from "./own.js";
import { isSameRecord } from "./store.js";
import { sizeOf, violation } from "./untrusted.js";

// What the flows of one form of the protocol may do that others may not. Each has a file
// of its own, beside this one; what they share is here and in policy-task.ts.

/** What the manager knows of a flow. None of it comes from the module. */
export interface PolicyCall {
  /** The manager's, with a base URL that was checked. */
  config: FlowConfig;
  surface: string;
  /** The conversation's id, where the call belongs to one. */
  threadId: string | undefined;
  /** What the call gave for the id of an instance's assertion. */
  entropy?: Uint8Array | undefined;
  /** Those that the flow begins with. */
  credentials: Credentials;
}

/** An effect on a slot. */
export type SlotEffect = Exclude<Extract<FlowEffect, { slot: string }>["type"], "unlock">;

/** A request that a flow asks for, with its header fields by name. */
export interface Request extends HTTPEffect {
  fields: Map<string, string>;
}

/** The answer to one. */
export type Response = Extract<FlowEvent, { type: "response" }>;

/** What a profile adds to the policy of every flow. It is for one flow. */
export interface ProfilePolicy {
  /** Below it are the registrations; undefined if nobody knows where they are. */
  readonly registrar: string | undefined;
  /** Whether a request is sent again after a pause. */
  readonly waits: boolean;
  /** Lets pass the requests of a registration below that URL. */
  checkRequest(request: Request, registrar: string): void;
  /** Takes note of the answer to one that was let pass. */
  answered(request: HTTPEffect, response: Response): void;
  /** Whether the flow has effects of a type on a slot. */
  hasSlot(type: SlotEffect, slot: string): boolean;
  /** Lets pass a call of the flow's own, which carries what the call itself does, with these header fields and no others beside an assertion. */
  checkCall(request: Request, names: readonly string[], entropy: Uint8Array | undefined): void;
  /** Whether an answer says what its assertion does, in its canonical form, and nothing else. */
  isAssertion(answer: FlowAuthorization, entropy: Uint8Array | undefined): boolean;
}

/** Which slots effects of a type are on. */
export type Slots = Partial<Record<SlotEffect, readonly string[]>>;

/** The longest id, in bytes. */
export const maxID = 4096;

/** Reports whether an assertion can name an id. */
export function isID(id: string): boolean {
  return id !== "" && sizeOf(id) <= maxID && !/\p{Cc}/u.test(id);
}

/**
 * Returns the URL that is configured or, where there is none, the one of the base URL's
 * environment, whatever its port. For every other backend nobody knows: the user's access
 * token would go to a party that has nothing to do with it.
 */
export function registrarOf(
  { authApiUrl, baseUrl }: FlowConfig,
  production: string,
  staging: string,
): string | undefined {
  if (authApiUrl) {
    return authApiUrl.replace(/\/+$/, "");
  }
  const { protocol, hostname } = new URL(baseUrl);
  switch (`${protocol}//${hostname}`) {
    case "https://chatgpt.com":
    case "https://chat.openai.com":
      return production;
    case "https://chatgpt-staging.com":
      return staging;
  }
  return undefined;
}

/** Lets a request ask for what every answer can have, and for these header fields. */
export function checkResponseHeaders({ responseHeaders = [] }: HTTPEffect, ...others: string[]): void {
  if (responseHeaders.some((name) => !["date", "retry-after", ...others].includes(name))) {
    throw violation("a header field of the answer", "that is not the flow's");
  }
}

/** Is for a registration, authorized by what is among the header fields. */
export function checkPost(request: Request, credentials: Credentials, ...names: string[]): void {
  if (request.method !== "POST" || request.fields.get("content-type") !== "application/json") {
    throw violation("a registration", "that is none, or of another content type");
  }
  checkHeaders(request, credentials, ...names, "content-type");
}

/** Wants a registration whose body is the one for the key that it has under that name, to the byte. */
export function checkBody(
  { body }: Request,
  name: string,
  made: (publicKey: string) => object | undefined,
): void {
  const publicKey = textMember(body, name);
  // 32 bytes in OpenSSH form. What they are is the backend's to check.
  const isKey = /^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}$/.test(publicKey);
  const whole = isKey ? made(publicKey) : undefined;
  if (!whole || !isSameRecord(body, new TextEncoder().encode(JSON.stringify(own(whole))))) {
    throw violation("a registration", "that is not this call's");
  }
}

/** Returns a text that a JSON object in a body has, or "". */
function textMember(body: Uint8Array | undefined, name: string): string {
  try {
    const text = own(JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>)[name];
    return typeof text === "string" ? text : "";
  } catch {
    return "";
  }
}

/** Wants these header fields and no others. The access token is sent where it is among them, and nothing else as an authorization. */
export function checkHeaders({ fields }: Request, { accessToken }: Credentials, ...names: string[]): void {
  if (fields.size !== names.length || names.some((name) => !fields.has(name))) {
    throw violation("a request", "with other header fields than its own");
  }
  const isBearer = !!accessToken && fields.get("authorization") === `Bearer ${accessToken}`;
  if (names.includes("authorization") && !isBearer) {
    throw violation("an authorization", "that is not the user's");
  }
}

/** Returns bytes, or text in UTF-8, in base64url without padding. */
export function base64url(content: string | Uint8Array): string {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return base64.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
}
