import type { FlowAuthorization } from "./messages.js";
import { own } from "./own.js";
import {
  base64url,
  checkBody,
  checkHeaders,
  checkPost,
  checkResponseHeaders,
  isID,
  registrarOf,
  type PolicyCall,
  type ProfilePolicy,
  type Request,
  type SlotEffect,
  type Slots,
} from "./policy-profile.js";
import { violation } from "./untrusted.js";

/** Nothing of the store's but the failures. */
const slots: Slots = {
  load: ["instance", "backoff"],
  lock: ["instance"],
  save: ["instance", "backoff"],
  delete: ["backoff"],
};

const assertionHeader = "x-openai-agent-assertion";
const scheme = "AgentAssertion ";

/** The header of each assertion's JWS. */
const jwsHeader = base64url('{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}');

/**
 * The profile of runtime agent instances. The access token, or the API key, is in the body
 * of the one registration, and nowhere else.
 */
export class InstancesPolicy implements ProfilePolicy {
  readonly registrar: string | undefined;
  readonly waits = true;
  readonly #call: PolicyCall;

  constructor(call: PolicyCall) {
    this.#call = call;
    this.registrar = registrarOf(call.config, "https://auth.openai.com", "https://auth.api.openai.org");
  }

  checkRequest(request: Request, registrar: string): void {
    checkResponseHeaders(request);
    if (request.url !== `${registrar}/agent/register`) {
      throw violation("a request to a URL", "that is none of a registration's");
    }
    const key = request.fields.get("idempotency-key") ?? "";
    if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key)) {
      throw violation("an idempotency key", "that is no UUID");
    }
    checkBody(request, "public_key", (publicKey) => this.#body(publicKey));
    checkPost(request, this.#call.credentials, "idempotency-key");
  }

  /** Returns what is in the body of the registration with that key, or undefined for none. */
  #body(publicKey: string): object | undefined {
    const { config, credentials } = this.#call;
    if (!config.instance) {
      return undefined;
    }
    const { installationId, harness, role } = own(config.instance);
    const type = credentials.kind === "api-key" ? "platform_api_key" : "oauth";
    return {
      actor_auth: own({ type, credential: credentials.accessToken ?? "" }),
      agent_host_auth: own({ type: "installation_id", installation_id: installationId }),
      public_key: publicKey,
      metadata: own({ harness, harness_version: own(config.abom).agentVersion, role }),
    };
  }

  /** Whether assertions are in place of the token. */
  get #assertsAlone(): boolean {
    return this.#call.config.instance?.headerMode === "assertion_only";
  }

  answered(): void {
    // Nothing of it is sent again.
  }

  hasSlot(type: SlotEffect, slot: string): boolean {
    return slots[type]?.includes(slot) === true;
  }

  /**
   * Wants the user's token alone, where there is no instance; or an assertion of whichever
   * instance, of this very entropy, beside the token or in its place.
   */
  checkCall(request: Request, names: readonly string[], entropy: Uint8Array | undefined): void {
    const { fields } = request;
    const { credentials } = this.#call;
    const beside = fields.get(assertionHeader);
    const authorization = fields.get("authorization") ?? "";
    const isAlone = beside === undefined && authorization.startsWith(scheme);
    if ((beside !== undefined && this.#assertsAlone) || (isAlone && !this.#assertsAlone)) {
      throw violation("a call", "whose assertion is in the other mode's header field");
    }
    if (beside !== undefined || isAlone) {
      const value = beside ?? authorization.slice(scheme.length);
      const { instance, iat } = claimsIn(value);
      if (!isMade(value, signedText(instance, iat, entropy))) {
        throw violation("a call", "whose assertion is none, or of other entropy");
      }
    }
    if (!isAlone) {
      checkHeaders(request, credentials, ...names, ...(beside === undefined ? [] : [assertionHeader]));
    } else if (fields.size !== names.length) {
      throw violation("a request", "with other header fields than its own");
    }
  }

  /** Wants an assertion of this very entropy, in the header field that the mode has for it, and in the other the user's token or nothing. */
  isAssertion(answer: FlowAuthorization, entropy: Uint8Array | undefined): boolean {
    const { mode, header = "", agentAssertion = "", agentRuntimeId, taskId, validUntil } = answer;
    const { kind, accessToken = "" } = this.#call.credentials;
    const text = signedText(answer.runtimeAgentInstance ?? "", validUntil, entropy);
    if (agentRuntimeId || taskId || (mode === "agent-assertion") !== this.#assertsAlone) {
      return false;
    }
    if (mode === "agent-assertion") {
      return agentAssertion === "" && header.startsWith(scheme) && isMade(header.slice(scheme.length), text);
    }
    return isMade(agentAssertion, text) && header === (kind === "api-key" ? "" : `Bearer ${accessToken}`);
  }
}

/** Reports whether an assertion is one that signs that. Its signature's 64 bytes in base64url are the one part that only the module knows. */
function isMade(value: string, text: string | undefined): boolean {
  return (
    text !== undefined &&
    value.startsWith(`1.${text}.`) &&
    /^[A-Za-z0-9_-]{85}[AQgw]$/.test(value.slice(text.length + 3))
  );
}

/** Returns what an assertion says of its instance and time. Whether it is one is not looked at. */
function claimsIn(value: string): { instance: string; iat: number } {
  try {
    const [, , payload = ""] = value.split(".", 4);
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const text = new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
    const claims = own(JSON.parse(text) as { runtime_agent_instance?: unknown; iat?: unknown });
    const { runtime_agent_instance: instance, iat } = claims;
    return typeof instance === "string" && Number.isSafeInteger(iat)
      ? { instance, iat: iat as number }
      : { instance: "", iat: 0 };
  } catch {
    return { instance: "", iat: 0 };
  }
}

/** Returns what an instance's assertion signs, header and payload of its JWS, or undefined where there can be none. */
function signedText(instance: string, now: number, entropy: Uint8Array | undefined): string | undefined {
  if (!isID(instance) || entropy?.length !== 16) {
    return undefined;
  }
  const id = uuidOf(entropy);
  const payload = own({ version: 1, runtime_agent_instance: instance, iat: now, id });
  return `${jwsHeader}.${base64url(JSON.stringify(payload))}`;
}

/** Returns the UUID of version 4 that is made of 16 random bytes (RFC 9562, section 5.4). */
function uuidOf(entropy: Uint8Array): string {
  const bytes = entropy.slice();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
