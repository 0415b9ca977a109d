import type { FlowAuthorization, HTTPEffect } from "./messages.js";
import {
  checkHeaders,
  checkPost,
  checkResponseHeaders,
  type PolicyCall,
  type ProfilePolicy,
  type Request,
  type Response,
  type SlotEffect,
} from "./policy-profile.js";
import { checkIdentity, identitySlots, isIdentityURL, isTaskAssertion, isTaskURL } from "./policy-task.js";
import { violation } from "./untrusted.js";

const biscuitPath = "/authenticate_app_v2";
const biscuitHeader = "x-openai-authorization";

/**
 * The default profile. The one request that carries the access token is that for a
 * biscuit, and each registration carries a biscuit that was minted for it.
 */
export class BiscuitPolicy implements ProfilePolicy {
  readonly registrar: string;
  readonly waits = false;
  readonly #call: PolicyCall;
  /** The biscuits that the backend has minted in this flow and that are not used, by the URL that each is for. */
  readonly #minted = new Map<string, string>();

  constructor(call: PolicyCall) {
    this.#call = call;
    this.registrar = call.config.baseUrl;
  }

  checkRequest(request: Request, registrar: string): void {
    const { url, fields } = request;
    if (url === registrar + biscuitPath) {
      checkResponseHeaders(request, biscuitHeader);
      this.#checkMint(request, registrar);
      return;
    }
    checkResponseHeaders(request);
    if (!isIdentityURL(url, registrar) && !isTaskURL(url, registrar)) {
      throw violation("a request to a URL", "that is none of a registration's");
    }
    const biscuit = this.#minted.get(url);
    if (biscuit === undefined || fields.get(biscuitHeader) !== biscuit) {
      throw violation("a biscuit", "that was not minted for this");
    }
    this.#minted.delete(url); // it is good for one request
    if (isIdentityURL(url, registrar)) {
      checkIdentity(request, this.#call.config);
    }
    checkPost(request, this.#call.credentials, biscuitHeader);
  }

  /** Is for the request that mints a biscuit. */
  #checkMint(request: Request, registrar: string): void {
    const { method, body, fields } = request;
    const original = fields.get("x-original-url") ?? "";
    if (method !== "GET" || body) {
      throw violation("a request for a biscuit", "that is more than that");
    }
    if (!/^codex-agent-identity-[A-Za-z0-9_-]{22}$/.test(fields.get("x-request-id") ?? "")) {
      throw violation("a request's id", "that is no such id"); // 16 bytes in base64url
    }
    const isRegistration = isIdentityURL(original, registrar) || isTaskURL(original, registrar);
    if (fields.get("x-original-method") !== "POST" || !isRegistration) {
      throw violation("a biscuit", "for something else than a registration");
    }
    checkHeaders(
      request,
      this.#call.credentials,
      ...["authorization", "x-request-id", "x-original-method", "x-original-url"],
    );
  }

  /** Keeps a biscuit, which can be used once, for what it was minted for. */
  answered({ url, headers }: HTTPEffect, response: Response): void {
    if (url !== this.registrar + biscuitPath) {
      return;
    }
    const original = headers.find(({ name }) => name === "x-original-url")?.value;
    const biscuit = response.headers?.find(({ name }) => name.toLowerCase() === biscuitHeader)?.value;
    if (original && biscuit) {
      this.#minted.set(original, biscuit);
    }
  }

  /** Lets pass the slot of the call's thread, too. Its task is replaced, and never removed. */
  hasSlot(type: SlotEffect, slot: string): boolean {
    const { threadId } = this.#call;
    const isThread = !!threadId && slot === `thread/${threadId}` && type !== "swap" && type !== "delete";
    return isThread || identitySlots[type]?.includes(slot) === true;
  }

  checkCall(request: Request, names: readonly string[]): void {
    checkHeaders(request, this.#call.credentials, ...names);
  }

  isAssertion(answer: FlowAuthorization): boolean {
    return isTaskAssertion(answer);
  }
}
