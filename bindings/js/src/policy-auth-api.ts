import type { FlowAuthorization } from "./messages.js";
import {
  checkHeaders,
  checkPost,
  checkResponseHeaders,
  registrarOf,
  type PolicyCall,
  type ProfilePolicy,
  type Request,
  type SlotEffect,
} from "./policy-profile.js";
import { checkIdentity, identitySlots, isIdentityURL, isTaskAssertion, isTaskURL } from "./policy-task.js";
import { violation } from "./untrusted.js";

/**
 * The profile auth-api. The access token authorizes the registration of an identity, and a
 * task's is authorized by what is signed.
 */
export class AuthAPIPolicy implements ProfilePolicy {
  readonly registrar: string | undefined;
  readonly waits = true;
  readonly #call: PolicyCall;

  constructor(call: PolicyCall) {
    this.#call = call;
    this.registrar = registrarOf(
      call.config,
      "https://auth.openai.com/api/accounts",
      "https://auth.api.openai.org/api/accounts",
    );
  }

  checkRequest(request: Request, registrar: string): void {
    const { config, credentials } = this.#call;
    checkResponseHeaders(request);
    if (isTaskURL(request.url, registrar)) {
      checkPost(request, credentials);
      return;
    }
    if (!isIdentityURL(request.url, registrar) || credentials.kind !== "chatgpt") {
      throw violation("a request to a URL", "that is none of a registration's");
    }
    checkIdentity(request, config);
    if (!credentials.fedramp) {
      checkPost(request, credentials, "authorization");
      return;
    }
    if (request.fields.get("x-openai-fedramp") !== "true") {
      throw violation("a registration", "that is not marked as FedRAMP's");
    }
    checkPost(request, credentials, "authorization", "x-openai-fedramp");
  }

  answered(): void {
    // Nothing of it is sent again.
  }

  hasSlot(type: SlotEffect, slot: string): boolean {
    return identitySlots[type]?.includes(slot) === true;
  }

  checkCall(request: Request, names: readonly string[]): void {
    checkHeaders(request, this.#call.credentials, ...names);
  }

  isAssertion(answer: FlowAuthorization): boolean {
    return isTaskAssertion(answer);
  }
}
