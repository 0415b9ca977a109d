import { accountOf, decide, scopes } from "./decision.js";
import type {
  Credentials,
  FlowAuthorization,
  FlowConfig,
  FlowEffect,
  FlowEvent,
  Header,
  HTTPEffect,
  Mode,
  Reason,
} from "./messages.js";
import { own } from "./own.js";
import {
  bytesIn,
  integerIn,
  listIn,
  membersOf,
  problemIn,
  sizeOf,
  textIn,
  textsIn,
  violation,
  type Members,
} from "./untrusted.js";

// What the manager lets a module do: which of the effects that a flow asks for it
// carries out, and which answers it believes. wasm/ABI.md has the rules, and
// testvectors/hosts the vectors. The module that runs may be anybody's, so nothing here
// asks it: what is right follows from the manager's own options, from the call, and
// from what the backend has answered in the same flow.

/** The bounds, in bytes and milliseconds. Each is above what the core ever asks for. */
const most = {
  /** A key and the ids of two requests. */
  entropy: 64,
  /** One pause between two tries. */
  wait: 10_000,
  /** The longest that a client of the protocol waits for an answer. */
  timeout: 30_000,
  /** The largest answer that the protocol has. */
  response: 64 << 10,
  /** A registration's body: three texts of 4096 bytes, with every byte escaped, and the rest. */
  request: 80 << 10,
  /** Two registrations, each tried three times, and the same again for an agent that the backend does not know. */
  requests: 16,
  record: 512 << 10,
  /** An id; and one in a URL, with every byte escaped. */
  id: 4096,
  segment: 3 * 4096,
  /** The end of the year 9999, in Unix seconds. */
  time: 253402300799,
};

const reasons: readonly Reason[] = [
  "no-chatgpt-credentials",
  "bearer-only-surface",
  "feature-off",
  "unsupported-host",
  "no-account-id",
  "background-task",
  "thread-task",
  "registration-failed",
  "store-failed",
  "no-access-token",
];

/** Where the profile auth-api registers if the configuration does not say it, by the base URL's origin. */
const authAPIs = new Map([
  ["https://chatgpt.com", "https://auth.openai.com/api/accounts"],
  ["https://chat.openai.com", "https://auth.openai.com/api/accounts"],
  ["https://chatgpt-staging.com", "https://auth.api.openai.org/api/accounts"],
]);

/** The port of a base URL does not matter, as long as its scheme is https. */
function authAPIOf({ authApiUrl, baseUrl }: FlowConfig): string | undefined {
  if (authApiUrl) {
    return authApiUrl.replace(/\/+$/, "");
  }
  const { protocol, hostname } = new URL(baseUrl);
  return authAPIs.get(`${protocol}//${hostname}`);
}

/** What the manager knows of a flow. None of it comes from the module. */
export interface PolicyCall {
  /** The manager's, with a base URL that was checked. */
  config: FlowConfig;
  surface: string;
  /** The conversation's id, where the call belongs to one. */
  threadId: string | undefined;
  /** Those that the flow begins with. */
  credentials: Credentials;
}

/** Checks the effects and the answer of one flow. What it throws is policy_violation, and ends the flow. */
export class FlowPolicy {
  readonly #credentials: Credentials;
  readonly #token: string;
  readonly #account: string;
  /** The slot of the call's thread, if it has one. */
  readonly #threadSlot: string | undefined;
  /** Whether the flow registers as later clients do. An identity that arrived as a JWT has no access token, and so no biscuits. */
  readonly #isLater: boolean;
  /** Below it are the registrations; undefined if nobody knows where they are. */
  readonly #base: string | undefined;
  /** What the call carries if the agent can be had, or undefined if nothing can be said of it. */
  readonly #decided: Mode | undefined;
  /** Whether that is an assertion of a thread's: such a call does not change from the agent to the user. */
  readonly #isTurn: boolean;
  /** The biscuits that the backend has minted in this flow and that are not used, by the URL that each is for. */
  readonly #biscuits = new Map<string, string>();
  #requests = 0;
  /** The slots whose locks the flow has asked for, and not given back. */
  readonly #locked = new Set<string>();
  #hasSetAside = false;

  constructor(call: PolicyCall) {
    const { threadId, surface } = call;
    const [config, credentials] = [own(call.config), own(call.credentials)];
    const isJWT = credentials.kind === "agent-identity";
    this.#credentials = credentials;
    this.#token = credentials.accessToken ?? "";
    this.#account = accountOf(config, credentials);
    this.#threadSlot = threadId && !isJWT ? `thread/${threadId}` : undefined;
    this.#isLater = isJWT || config.profile === "auth-api";
    this.#base = this.#isLater ? authAPIOf(config) : config.baseUrl;
    this.#decided = decide(config, surface, credentials);
    this.#isTurn = this.#decided === "agent-assertion" && scopes.get(surface) === "thread" && !isJWT;
  }

  /** Returns an effect as it can be carried out, or the answer as it can be believed. Now is the time of the event before it. */
  effect(message: unknown, now: number): FlowEffect {
    return own(this.#checked(membersOf(message), now));
  }

  #checked(e: Members, now: number): FlowEffect {
    const type = textIn(e, "type");
    if (type === "done") {
      return { type, authorization: own(this.#answer(membersOf(e["authorization"]), now)) };
    }
    if (this.#decided !== "agent-assertion") {
      throw violation("an effect", "for a call that no agent can make");
    }
    switch (type) {
      case "load":
        return { type, slot: this.#slot(e, "identity", "backoff", "backend", "set-aside") };
      case "probe":
        return { type, slot: this.#slot(e, "identity") };
      case "delete":
        return { type, slot: this.#slot(e, "backoff") };
      case "save":
        return this.#save(e);
      case "swap":
        return this.#swap(e);
      case "lock":
        return this.#lock(e);
      case "unlock": {
        const slot = textIn(e, "slot");
        if (!this.#locked.delete(slot)) {
          throw violation("to give back a lock", "that it does not have");
        }
        return { type, slot };
      }
      case "entropy":
        return { type, size: integerIn(e, "size", 1, most.entropy) };
      case "wait":
        if (!this.#isLater) {
          throw violation("a pause", "in a profile that has none");
        }
        return { type, waitMs: integerIn(e, "waitMs", 1, most.wait) };
      case "http":
        return this.#http(e);
    }
    throw violation("an effect", "that this package does not know");
  }

  /** Takes note of what an effect came to: a biscuit can be used once, for what it was minted for. */
  answered(effect: FlowEffect, event: FlowEvent): void {
    if (effect.type !== "http" || event.type !== "response" || !this.#isBiscuit(effect.url)) {
      return;
    }
    const url = effect.headers.find(({ name }) => name === "x-original-url")?.value;
    const biscuit = own(event).headers?.find(
      ({ name }) => name.toLowerCase() === "x-openai-authorization",
    )?.value;
    if (url && biscuit) {
      this.#biscuits.set(url, biscuit);
    }
  }

  /** Returns an effect's slot: one of those, or that of the call's thread. */
  #slot(e: Members, ...slots: string[]): string {
    const slot = textIn(e, "slot");
    if (!slots.includes(slot) && slot !== this.#threadSlot) {
      throw violation("a slot", "that is none of this call's for such an effect");
    }
    return slot;
  }

  /** Lets pass everything but the identity, which is swapped. */
  #save(e: Members): FlowEffect {
    const slot = this.#slot(e, "backoff", "backend", "set-aside");
    const record = recordIn(e, "record");
    if (!record) {
      throw violation("a record", "that is empty");
    }
    this.#hasSetAside ||= slot === "set-aside";
    return { type: "save", slot, record };
  }

  /** Lets an identity be replaced, and removed once it has been set aside. */
  #swap(e: Members): FlowEffect {
    const slot = textIn(e, "slot");
    const [expected, record] = [recordIn(e, "expected"), recordIn(e, "record")];
    if (slot !== "identity") {
      throw violation("a slot", "that is not swapped");
    }
    if (!record && !this.#hasSetAside) {
      throw violation("the removal of an identity", "that was not set aside");
    }
    return { type: "swap", slot, ...(expected && { expected }), ...(record && { record }) };
  }

  /** Lets pass a lock that the flow does not have, and none after the identity's: two flows could then wait for each other. */
  #lock(e: Members): FlowEffect {
    const slot = this.#slot(e, "identity");
    if (this.#locked.has(slot) || this.#locked.has("identity")) {
      throw violation("a lock", "that it could wait for for good");
    }
    this.#locked.add(slot);
    return { type: "lock", slot };
  }

  /** Lets pass the requests of a registration, as the profile has them. */
  #http(e: Members): HTTPEffect {
    const headers = headersIn(e);
    const body = bytesIn(e, "body");
    const effect = own<HTTPEffect>({
      type: "http",
      method: textIn(e, "method") === "GET" ? "GET" : "POST",
      url: textIn(e, "url"),
      headers: Array.from(headers, ([name, value]) => own<Header>({ name, value })),
      ...(body && { body }),
      timeoutMs: integerIn(e, "timeoutMs", 1, most.timeout),
      sizeLimit: integerIn(e, "sizeLimit", 1, most.response),
      responseHeaders: textsIn(e, "responseHeaders"),
    });
    const isBiscuit = this.#isBiscuit(effect.url);
    const known = ["date", "retry-after", ...(isBiscuit ? ["x-openai-authorization"] : [])];
    if (textIn(e, "method") !== effect.method || (body && body.length > most.request)) {
      throw violation("a request", "of another method, or that is too large");
    }
    if (++this.#requests > most.requests || this.#locked.size === 0) {
      throw violation("a request", "without a lock, or after more than any flow makes");
    }
    if (effect.responseHeaders?.some((name) => !known.includes(name))) {
      throw violation("a header field of the answer", "that is not the flow's");
    }
    if (isBiscuit) {
      this.#checkBiscuit(effect, headers);
    } else {
      this.#checkRegistration(effect, headers);
    }
    return effect;
  }

  #isBiscuit(url: string): boolean {
    return !this.#isLater && this.#below(url) === "/authenticate_app_v2";
  }

  /** Returns what follows in a URL on that below which the registrations are. */
  #below(url: string): string | undefined {
    const base = this.#base;
    return base !== undefined && url.startsWith(base) ? url.slice(base.length) : undefined;
  }

  /** Is for the request that mints a biscuit. It is the one that carries the access token in the first profile. */
  #checkBiscuit({ method, body }: HTTPEffect, headers: Map<string, string>): void {
    const original = headers.get("x-original-url") ?? "";
    if (method !== "GET" || body) {
      throw violation("a request for a biscuit", "that is more than that");
    }
    if (!/^codex-agent-identity-[A-Za-z0-9_-]{22}$/.test(headers.get("x-request-id") ?? "")) {
      throw violation("a request's id", "that is no such id"); // 16 bytes in base64url
    }
    if (headers.get("x-original-method") !== "POST" || !this.#isRegistration(original)) {
      throw violation("a biscuit", "for something else than a registration");
    }
    this.#checkHeaders(headers, "authorization", "x-request-id", "x-original-method", "x-original-url");
  }

  /** Is for the request that registers an identity or a task. */
  #checkRegistration({ method, url }: HTTPEffect, headers: Map<string, string>): void {
    const { fedramp, kind } = this.#credentials;
    if (!this.#isRegistration(url) || method !== "POST") {
      throw violation("a request", "that is none of a registration's");
    }
    if (headers.get("content-type") !== "application/json") {
      throw violation("a registration", "of another content type");
    }
    if (!this.#isLater) {
      const biscuit = this.#biscuits.get(url);
      if (biscuit === undefined || headers.get("x-openai-authorization") !== biscuit) {
        throw violation("a biscuit", "that was not minted for this");
      }
      this.#biscuits.delete(url); // it is good for one request
      this.#checkHeaders(headers, "content-type", "x-openai-authorization");
    } else if (!this.#isIdentity(url)) {
      this.#checkHeaders(headers, "content-type");
    } else if (kind !== "chatgpt" || (fedramp === true && headers.get("x-openai-fedramp") !== "true")) {
      throw violation("a registration", "that is not this account's, or not marked as FedRAMP's");
    } else {
      this.#checkHeaders(headers, "content-type", "authorization", ...(fedramp ? ["x-openai-fedramp"] : []));
    }
  }

  #isIdentity(url: string): boolean {
    return this.#below(url) === "/v1/agent/register";
  }

  /** Reports whether a URL registers the identity, or a task for an agent of whatever id: one segment, of which no server can make several. */
  #isRegistration(url: string): boolean {
    const [before, after] = ["/v1/agent/", "/task/register"];
    const path = this.#below(url);
    const id = path?.slice(before.length, -after.length) ?? "";
    return (
      this.#isIdentity(url) ||
      (path === before + id + after &&
        id.length <= most.segment &&
        /^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$/.test(id) &&
        ![".", ".."].includes(id))
    );
  }

  /** Wants these header fields and no others. The access token is sent where it is among them, and nothing else as an authorization. */
  #checkHeaders(headers: Map<string, string>, ...names: string[]): void {
    if (headers.size !== names.length || names.some((name) => !headers.has(name))) {
      throw violation("a request", "with other header fields than its own");
    }
    if (names.includes("authorization") && !this.#isBearer(headers.get("authorization"))) {
      throw violation("an authorization", "that is not the user's");
    }
  }

  #isBearer(header: string | undefined): boolean {
    return this.#token !== "" && header === `Bearer ${this.#token}`;
  }

  /**
   * Returns an answer that can be believed. Whether the assertion's signature is good is
   * not looked at: whoever makes a wrong one has only made a call that fails.
   */
  #answer(a: Members, now: number): FlowAuthorization {
    const [mode, reason] = [textIn(a, "mode"), reasons.find((reason) => reason === a["reason"])];
    const [header, accountId] = [textIn(a, "header"), textIn(a, "accountId")];
    const [agentRuntimeId, taskId] = [textIn(a, "agentRuntimeId"), textIn(a, "taskId")];
    const [cause, notice] = [problemIn(a, "cause"), problemIn(a, "notice")];
    const validUntil = integerIn(a, "validUntil", 0, most.time);
    const fedramp = this.#credentials.fedramp === true && mode !== "none";
    if (this.#decided === undefined || validUntil !== now || reason === undefined) {
      throw violation("an answer", "to a call that has none, for another second, or without a reason");
    }
    if (accountId !== this.#account && (accountId !== "" || mode !== "none")) {
      throw violation("an account", "that is not the call's");
    }
    if ((a["fedramp"] ?? false) !== fedramp) {
      throw violation("a mark for FedRAMP", "that is not the call's");
    }
    switch (mode) {
      case "none":
        if (header !== "" || agentRuntimeId !== "" || taskId !== "") {
          throw violation("an authorization", "where there is none");
        }
        break;
      case "bearer":
        if (
          this.#decided === "none" ||
          this.#isTurn ||
          !this.#isBearer(header) ||
          agentRuntimeId !== "" ||
          taskId !== ""
        ) {
          throw violation("a bearer token", "that is not the user's, or not for this call");
        }
        break;
      case "agent-assertion":
        if (this.#decided !== mode || !isAssertion(header, agentRuntimeId, taskId, now)) {
          throw violation("an assertion", "that is not the answer's, or for a call that no agent can make");
        }
        break;
      default:
        throw violation("a mode", "that is none");
    }
    return {
      ...{ mode, reason, header, accountId, agentRuntimeId, taskId, fedramp, validUntil },
      ...(a["retryAt"] !== undefined && { retryAt: integerIn(a, "retryAt", 0, most.time) }),
      ...(cause && { cause }),
      ...(notice && { notice }),
    };
  }
}

function recordIn(e: Members, name: string): Uint8Array | undefined {
  const record = bytesIn(e, name);
  if (record && record.length > most.record) {
    throw violation("a record", "that is too large");
  }
  return record;
}

/** Returns header fields by their names, each of which is there once. */
function headersIn(e: Members): Map<string, string> {
  const headers = new Map<string, string>();
  for (const header of listIn(e, "headers").map(membersOf)) {
    const name = textIn(header, "name");
    if (headers.has(name)) {
      throw violation("a header field", "that stands twice");
    }
    headers.set(name, textIn(header, "value"));
  }
  return headers;
}

/** Reports whether a header says what its answer does, in an assertion's canonical form, and nothing else. */
function isAssertion(header: string, agentRuntimeId: string, taskId: string, now: number): boolean {
  const isID = (id: string) => id !== "" && sizeOf(id) <= most.id && !/\p{Cc}/u.test(id);
  const [, encoded = ""] = /^AgentAssertion ([A-Za-z0-9_-]+)$/.exec(header) ?? [];
  if (![agentRuntimeId, taskId].every(isID) || agentRuntimeId.includes(":") || encoded.length % 4 === 1) {
    return false;
  }
  // The signature's 64 bytes in base64 are the one part that only the module knows.
  const text = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  const [, signature] = /"signature":"([A-Za-z0-9+/]{85}[AQgw]==)","task_id":/.exec(text) ?? [];
  const timestamp = new Date(now * 1000).toISOString().replace(".000Z", "Z");
  const envelope = { agent_runtime_id: agentRuntimeId, signature, task_id: taskId, timestamp };
  const bytes = new TextEncoder().encode(JSON.stringify(envelope));
  const canonical = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return (
    signature !== undefined &&
    encoded === canonical.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_")
  );
}
