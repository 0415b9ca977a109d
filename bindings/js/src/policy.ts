import { accountOf, decide, profileOf, type Decided } from "./decision.js";
import type {
  Credentials,
  FlowAuthorization,
  FlowEffect,
  FlowEvent,
  Header,
  HTTPEffect,
  Mode,
  Reason,
} from "./messages.js";
import { own } from "./own.js";
import { AuthAPIPolicy } from "./policy-auth-api.js";
import { BiscuitPolicy } from "./policy-biscuit.js";
import { InstancesPolicy } from "./policy-instances.js";
import type { PolicyCall, ProfilePolicy, SlotEffect } from "./policy-profile.js";
import { RoutingPolicy } from "./policy-routing.js";
import {
  bytesIn,
  integerIn,
  listIn,
  membersOf,
  problemIn,
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
  /** The end of the year 9999, in Unix seconds. */
  time: 253402300799,
};

/** The beginning of the year 0, in Unix seconds. */
const leastTime = -62167219200;

/** How much entropy the id of an instance's assertion takes, in bytes. */
export const idSize = 16;

const reasons: readonly Reason[] = [
  "no-chatgpt-credentials",
  "workspace-not-allowed",
  "bearer-only-surface",
  "feature-off",
  "bearer-surface",
  "unsupported-host",
  "no-account-id",
  "background-task",
  "thread-task",
  "identity-task",
  "all-surfaces",
  "runtime-instance",
  "registration-failed",
  "registration-unavailable",
  "store-failed",
  "workspace-routing-failed",
  "assertion-rejected",
  "no-access-token",
];

/** Checks the effects and the answer of one flow. What it throws is policy_violation, and ends the flow. */
export class FlowPolicy {
  readonly #call: PolicyCall;
  readonly #credentials: Credentials;
  readonly #account: string;
  /** What the call carries if the agent can be had, or undefined if nothing can be said of it. */
  readonly #decided: Decided | undefined;
  /** Says which requests and slots are the flow's. */
  readonly #profile: ProfilePolicy;
  /** Says what else is, where the call's origin is asked for. */
  readonly #routing: RoutingPolicy;
  /** What the id of the call's own assertion is made of, in the profile instances. */
  #entropy: Uint8Array | undefined;
  #requests = 0;
  /** The slots whose locks the flow has asked for, and not given back. */
  readonly #locked = new Set<string>();
  /** The last answer with an assertion. */
  #asserted: FlowAuthorization | undefined;

  constructor(call: PolicyCall) {
    const [config, credentials] = [own(call.config), own(call.credentials)];
    this.#call = own({ ...call, config, credentials });
    this.#credentials = credentials;
    this.#account = accountOf(config, credentials);
    this.#decided = decide(config, call.surface, credentials);
    this.#profile = profilePolicy(this.#call);
    this.#routing = new RoutingPolicy(this.#call, this.#account, this.#profile, this.#decided);
    this.#entropy = call.entropy;
  }

  /** Whether the call carries an assertion if the agent can be had. */
  get #asserts(): boolean {
    return this.#decided?.mode === "agent-assertion" || this.#decided?.mode === "dual-header";
  }

  /** Returns an effect as it can be carried out, or the answer as it can be believed. Now is the time of the event before it. */
  effect(message: unknown, now: number): FlowEffect {
    return own(this.#checked(membersOf(message), now));
  }

  /**
   * Returns the answer to the event again, with that entropy, as it can be believed: it is
   * the flow's last one, but for the assertion.
   */
  again(authorization: unknown, entropy: Uint8Array, now: number): FlowAuthorization {
    const answer = this.#answer(membersOf(authorization), now, entropy);
    const parts = [
      ...(["mode", "reason", "agentRuntimeId", "taskId", "runtimeAgentInstance"] as const),
      ...(["responsesOrigin", "accountRoutingOverride"] as const),
    ];
    if (parts.some((part) => answer[part] !== this.#asserted?.[part])) {
      throw violation("an answer", "that is not the last one's");
    }
    return own(answer);
  }

  #checked(e: Members, now: number): FlowEffect {
    const type = textIn(e, "type");
    if (type === "done") {
      const answer = own(this.#answer(membersOf(e["authorization"]), now, this.#entropy));
      if (this.#asserts && answer.mode === this.#decided?.mode) {
        this.#asserted = answer;
      }
      return { type, authorization: answer };
    }
    if (!this.#asserts && !this.#isRouting(e, type)) {
      throw violation("an effect", "for a call that no agent can make");
    }
    switch (type) {
      case "load":
      case "probe":
      case "delete":
        return { type, slot: this.#slot(e, type) };
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
        if (!this.#profile.waits) {
          throw violation("a pause", "in a profile that has none");
        }
        return { type, waitMs: integerIn(e, "waitMs", 1, most.wait) };
      case "http":
        return this.#http(e);
    }
    throw violation("an effect", "that this package does not know");
  }

  /** Whether an effect belongs to the question where the call goes. */
  #isRouting(e: Members, type: string): boolean {
    switch (type) {
      case "load":
      case "lock":
      case "unlock":
      case "save":
        return this.#routing.hasSlot(type, textIn(e, "slot"));
      case "http":
        return this.#routing.isQuestion(textIn(e, "url"));
    }
    return false;
  }

  /** Takes note of what an effect came to. */
  answered(effect: FlowEffect, event: FlowEvent): void {
    if (effect.type === "entropy" && event.type === "entropy" && event.entropy.length === idSize) {
      this.#entropy = event.entropy; // for the call's own assertion, where its id is made of some
    }
    if (effect.type === "http" && event.type === "response") {
      this.#profile.answered(effect, own(event));
    }
  }

  /** Returns an effect's slot: one that the profile, or the question where the call goes, has for effects of its type. */
  #slot(e: Members, type: SlotEffect): string {
    const slot = textIn(e, "slot");
    if (slot === "backoff" && this.#call.config.pauses?.most === 0) {
      throw violation("what is remembered of failures", "where there are no pauses");
    }
    if (!this.#profile.hasSlot(type, slot) && !this.#routing.hasSlot(type, slot)) {
      throw violation("a slot", "that is none of this call's for such an effect");
    }
    return slot;
  }

  #save(e: Members): FlowEffect {
    const slot = this.#slot(e, "save");
    const record = recordIn(e, "record");
    if (!record) {
      throw violation("a record", "that is empty");
    }
    return { type: "save", slot, record };
  }

  /** Lets an identity be replaced, and never removed. */
  #swap(e: Members): FlowEffect {
    const slot = this.#slot(e, "swap");
    const [expected, record] = [recordIn(e, "expected"), recordIn(e, "record")];
    if (!record) {
      throw violation("the removal of an identity", "that no other takes the place of");
    }
    return { type: "swap", slot, ...(expected && { expected }), record };
  }

  /** Lets pass a lock that the flow does not have, and none after the identity's: two flows could then wait for each other. */
  #lock(e: Members): FlowEffect {
    const slot = this.#slot(e, "lock");
    if (this.#locked.has(slot) || this.#locked.has("identity")) {
      throw violation("a lock", "that it could wait for for good");
    }
    this.#locked.add(slot);
    return { type: "lock", slot };
  }

  /** Lets pass the requests of a registration, as the profile has them, and the question where the call goes. */
  #http(e: Members): HTTPEffect {
    const fields = headersIn(e);
    const body = bytesIn(e, "body");
    const method = textIn(e, "method");
    if ((method !== "GET" && method !== "POST") || (body && body.length > most.request)) {
      throw violation("a request", "of another method, or that is too large");
    }
    const effect = own<HTTPEffect>({
      type: "http",
      method,
      url: textIn(e, "url"),
      headers: Array.from(fields, ([name, value]) => own<Header>({ name, value })),
      ...(body && { body }),
      timeoutMs: integerIn(e, "timeoutMs", 1, most.timeout),
      sizeLimit: integerIn(e, "sizeLimit", 1, most.response),
      responseHeaders: textsIn(e, "responseHeaders"),
    });
    if (++this.#requests > most.requests || this.#locked.size === 0) {
      throw violation("a request", "without a lock, or after more than any flow makes");
    }
    if (this.#routing.isQuestion(effect.url)) {
      this.#routing.checkQuestion(own({ ...effect, fields }), this.#locked, this.#entropy);
      return effect;
    }
    const { registrar } = this.#profile;
    if (registrar === undefined) {
      throw violation("a request", "to an auth API that nobody knows");
    }
    this.#profile.checkRequest(own({ ...effect, fields }), registrar);
    return effect;
  }

  /** Whether a call can carry the user's token: one in a conversation does not where the agent could have been had, except in the profile auth-api. */
  get #mayBear(): boolean {
    const { kind, accessToken } = this.#credentials;
    if (!accessToken || kind === "api-key" || this.#decided?.mode === "none") {
      return false;
    }
    const isTurn = !!this.#call.threadId && kind !== "agent-identity";
    return !this.#asserts || !isTurn || this.#call.config.profile === "auth-api";
  }

  /**
   * Returns an answer that can be believed. Whether the assertion's signature is good is
   * not looked at: whoever makes a wrong one has only made a call that fails.
   */
  #answer(a: Members, now: number, entropy: Uint8Array | undefined): FlowAuthorization {
    const [mode, reason] = [textIn(a, "mode"), reasons.find((reason) => reason === a["reason"])];
    const [header, agentAssertion] = [textIn(a, "header"), textIn(a, "agentAssertion")];
    const [agentRuntimeId, taskId] = [textIn(a, "agentRuntimeId"), textIn(a, "taskId")];
    const [runtimeAgentInstance, accountId] = [textIn(a, "runtimeAgentInstance"), textIn(a, "accountId")];
    const [cause, notice] = [problemIn(a, "cause"), problemIn(a, "notice")];
    const [responsesOrigin, accountRoutingOverride] = [
      textIn(a, "responsesOrigin"),
      textIn(a, "accountRoutingOverride"),
    ];
    const validUntil = integerIn(a, "validUntil", leastTime, most.time);
    const fedramp = this.#credentials.fedramp === true && mode !== "none";
    if (this.#decided === undefined || validUntil !== now || reason === undefined) {
      throw violation("an answer", "to a call that has none, for another second, or without a reason");
    }
    if (!isMode(mode)) {
      throw violation("a mode", "that is none");
    }
    if (accountId !== this.#account && (accountId !== "" || mode !== "none")) {
      throw violation("an account", "that is not the call's");
    }
    if ((a["fedramp"] ?? false) !== fedramp) {
      throw violation("a mark for FedRAMP", "that is not the call's");
    }
    const answer: FlowAuthorization = {
      ...{ mode, reason, header, agentAssertion, accountId, agentRuntimeId, taskId, runtimeAgentInstance },
      ...{ fedramp, responsesOrigin, accountRoutingOverride, validUntil },
      ...(a["retryAt"] !== undefined && { retryAt: integerIn(a, "retryAt", 0, most.time) }),
      ...(cause && { cause }),
      ...(notice && { notice }),
    };
    this.#routing.checkAnswer(answer);
    this.#checkCarried(answer, entropy);
    return answer;
  }

  /** Checks what an answer has the call carry. */
  #checkCarried(answer: FlowAuthorization, entropy: Uint8Array | undefined): void {
    const { mode, reason, header, agentRuntimeId, taskId, runtimeAgentInstance, agentAssertion } = answer;
    const hasAgent = [agentRuntimeId, taskId, runtimeAgentInstance, agentAssertion].some(Boolean);
    switch (mode) {
      case "none":
        if (header || hasAgent) {
          throw violation("an authorization", "where there is none");
        }
        return;
      case "bearer":
        if (!this.#mayBear || header !== `Bearer ${this.#credentials.accessToken ?? ""}` || hasAgent) {
          throw violation("a bearer token", "that is not the user's, or not for this call");
        }
        return;
      case "agent-assertion":
      case "dual-header":
        if (
          this.#decided?.mode !== mode ||
          this.#decided.reason !== reason ||
          !this.#profile.isAssertion(answer, entropy)
        ) {
          throw violation("an assertion", "that is not the answer's, or for a call that no agent can make");
        }
    }
  }
}

/** Returns what the call's profile adds. Of a profile that there is not, nothing is decided, and so nothing done. */
function profilePolicy(call: PolicyCall): ProfilePolicy {
  switch (profileOf(call.config, call.credentials)) {
    case "auth-api":
      return new AuthAPIPolicy(call);
    case "instances":
      return new InstancesPolicy(call);
    default:
      return new BiscuitPolicy(call);
  }
}

function isMode(mode: string): mode is Mode {
  return ["none", "bearer", "agent-assertion", "dual-header"].includes(mode);
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
