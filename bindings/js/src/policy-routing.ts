import { isSupportedOrigin } from "./base-url.js";
import type { Decided } from "./decision.js";
import type { FlowAuthorization } from "./messages.js";
import {
  checkResponseHeaders,
  type PolicyCall,
  type ProfilePolicy,
  type Request,
  type SlotEffect,
  type Slots,
} from "./policy-profile.js";
import { violation } from "./untrusted.js";

// The question where the calls to responses go: what a flow may do beside what its
// profile has, whatever the call carries, and where the answer may lead.

const slots: Slots = { load: ["workspace"], lock: ["workspace"], save: ["workspace"] };

/** What a call's flow may do to find out where the call goes. It is for one flow. */
export class RoutingPolicy {
  readonly #call: PolicyCall;
  readonly #account: string;
  readonly #profile: ProfilePolicy;
  /** Whether the flow may ask at all. */
  readonly #mayAsk: boolean;

  constructor(call: PolicyCall, account: string, profile: ProfilePolicy, decided: Decided | undefined) {
    const { config, surface, credentials } = call;
    this.#call = call;
    this.#account = account;
    this.#profile = profile;
    this.#mayAsk =
      config.workspaceRouting === true &&
      surface === "responses" &&
      credentials.kind === "chatgpt" &&
      !!credentials.accessToken &&
      decided !== undefined &&
      decided.mode !== "none";
  }

  /** Whether an effect on a slot belongs to the question. */
  hasSlot(type: SlotEffect | "unlock", slot: string): boolean {
    return this.#mayAsk && slots[type === "unlock" ? "lock" : type]?.includes(slot) === true;
  }

  /** Whether a request is the question. */
  isQuestion(url: string): boolean {
    return this.#mayAsk && url === `${this.#call.config.baseUrl}/wham/accounts/check`;
  }

  /**
   * Lets the question pass. It is a backend call: what it carries is the user's, or a
   * runtime agent instance's, with an assertion of that entropy.
   */
  checkQuestion(request: Request, locked: ReadonlySet<string>, entropy: Uint8Array | undefined): void {
    checkResponseHeaders(request);
    if (request.method !== "GET" || request.body || !locked.has("workspace")) {
      throw violation(
        "a question where a workspace's calls go",
        "that is more than that, or without its lock",
      );
    }
    const carried: [name: string, value: string][] = [];
    if (this.#account !== "") {
      carried.push(["chatgpt-account-id", this.#account]);
    }
    if (this.#call.credentials.fedramp) {
      carried.push(["x-openai-fedramp", "true"]);
    }
    if (carried.some(([name, value]) => request.fields.get(name) !== value)) {
      throw violation("a question where a workspace's calls go", "that is another account's");
    }
    this.#profile.checkCall(request, ["authorization", ...carried.map(([name]) => name)], entropy);
  }

  /** Wants an answer whose call goes where it may. */
  checkAnswer({ mode, responsesOrigin = "", accountRoutingOverride = "" }: FlowAuthorization): void {
    if (responsesOrigin === "" && accountRoutingOverride === "") {
      return;
    }
    if (!this.#mayAsk || mode === "none") {
      throw violation("an origin", "for a call that goes to the base URL");
    }
    if (!["", "us", "us_cr"].includes(accountRoutingOverride)) {
      throw violation("a routing override", "that is none");
    }
    if (responsesOrigin !== "" && !isSupportedOrigin(responsesOrigin, this.#call.config.trustedHosts)) {
      throw violation("an origin", "that is not supported");
    }
  }
}
