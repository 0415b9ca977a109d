// An agent identity from the JWT in which later clients get one: the signature is verified
// here, by the package jose, and the core reads the claims.
import { base64url, compactVerify, decodeProtectedHeader, importJWK } from "jose";

import { canceled, checkWaiting } from "./abort.js";
import { checkedBaseURL, isBelow, isSecure } from "./base-url.js";
import { secondsOf } from "./clock.js";
import { coreKind, type Core } from "./core.js";
import { codes, failure, type AgentAssertError } from "./errors.js";
import { exchange, type Fetch } from "./http.js";
import type { JWTIdentity } from "./messages.js";
import { abortSignal, callback, flag, optionsOf, required, text, type Shape } from "./options.js";
import { own } from "./own.js";
import { isPlain } from "./plain.js";
import { violation } from "./untrusted.js";

/** Against what a JWT is verified. */
export interface IdentityJWTOptions {
  /** The core, from AgentAssert.load. */
  core: Core;
  /** The backend's base URL, as configured. */
  baseUrl: string;
  /** Sends the request for the backend's keys. The default is the platform's. */
  fetch?: Fetch;
  /** The clock, in Unix milliseconds. The default is Date.now. */
  now?: () => number;
  /** Lets baseUrl have http where it leads to another machine. Whoever is on the way then decides whose JWTs are good. */
  allowHttp?: boolean;
  /** Ends the wait for the keys. */
  signal?: AbortSignal;
}

const shape: Shape<IdentityJWTOptions> = {
  core: required(coreKind),
  baseUrl: required(text),
  fetch: callback,
  now: callback,
  allowHttp: flag,
  signal: abortSignal,
};

const algorithm = "RS256";
/** The largest JWT, and the largest set of keys, that are read, in bytes. */
const maxSize = 64 << 10;
/** How long the backend's keys may take, in milliseconds. */
const timeoutMs = 10_000;
/** The least that RS256 allows (RFC 7518, section 3.3). */
const minKeyBits = 2048;

/**
 * Verifies an identity JWT, and returns its identity for a manager's option jwtIdentity. It
 * makes one request, for the backend's keys, and none where the JWT cannot be good.
 *
 * Errors: invalid_identity_jwt, for a JWT that is refused; jwks_unavailable, canceled;
 * invalid_options, invalid_base_url, insecure_base_url. None shows the JWT, which is a secret.
 */
export async function verifyIdentityJWT(token: string, given: IdentityJWTOptions): Promise<JWTIdentity> {
  const what = "the options of verifyIdentityJWT";
  const options = optionsOf(given, { what, code: codes.invalidOptions, shape });
  checkWaiting(options);
  const { core, now = Date.now } = options;
  const normalized = core.call("base_url.normalize", { url: options.baseUrl });
  const baseUrl = checkedBaseURL(options.baseUrl, normalized.baseUrl);
  if (options.allowHttp !== true && !isSecure("baseUrl", baseUrl)) {
    throw failure(
      codes.insecureBaseURL,
      "the backend's keys, fetched with http from another machine, could be anybody's; use https, or set the option allowHttp to true where the network is trusted",
    );
  }
  const { signed, kid } = parse(token);
  const { url }: { url: unknown } = core.call("jwks.locate", { baseUrl });
  if (typeof url !== "string" || !isBelow(baseUrl, url)) {
    throw violation("a place of keys", "outside the base URL");
  }
  const payload = await verified(signed, kid, await fetchKeys(url, options));
  const seconds = secondsOf(now, "the JWT's options", codes.invalidOptions);
  return identityIn(payload, core.call("identity_jwt.read", { claims: payload, now: seconds }));
}

/** Reads a JWT as far as that can be done without a key. */
function parse(token: string): { signed: string; kid: string } {
  const signed = typeof token === "string" ? token.trim() : ""; // files and variables end with a new line
  if (signed.length > maxSize) {
    throw refused("is larger than 64 KiB");
  }
  let header: object;
  try {
    if (!/^[\w-]+\.[\w-]*\.[\w-]*$/.test(signed)) {
      throw new TypeError("not three parts");
    }
    header = decodeProtectedHeader(signed);
  } catch {
    throw refused("is not a signed JWT in compact form"); // what the library has to say could quote it
  }
  const { alg, kid } = own(header as { alg?: unknown; kid?: unknown });
  if (alg !== algorithm) {
    throw refused(`is not signed with ${algorithm}`);
  }
  if (typeof kid !== "string" || kid === "") {
    throw refused("does not name its key (kid)");
  }
  return { signed, kid };
}

/** A key, as a set of keys has it. */
interface JWK {
  kid?: unknown;
  kty?: unknown;
  use?: unknown;
  alg?: unknown;
  n?: unknown;
  e?: unknown;
}

/** Returns the claims, if one of the keys has signed them. */
async function verified(signed: string, kid: string, keys: JWK[]): Promise<Uint8Array> {
  let isKnown = false;
  for (const jwk of keys.filter((key) => key.kid === kid)) {
    const key = await publicKeyIn(jwk);
    if (!key) {
      continue;
    }
    isKnown = true;
    try {
      const { payload } = await compactVerify(signed, key, { algorithms: [algorithm] });
      return payload;
    } catch {
      continue; // two keys can have one id
    }
  }
  throw refused(
    isKnown
      ? "has a signature that does not verify"
      : "is signed with a key that the backend does not have (any more); get a new one",
  );
}

/** Returns a key for such signatures, or undefined where it is for something else. What it says beside is not looked at. */
async function publicKeyIn({
  kty,
  use,
  alg,
  n,
  e,
}: JWK): Promise<Awaited<ReturnType<typeof importJWK>> | undefined> {
  const isMeant =
    [undefined, "", "sig"].includes(use as string) && [undefined, "", algorithm].includes(alg as string);
  if (kty !== "RSA" || !isMeant || typeof n !== "string" || typeof e !== "string") {
    return undefined;
  }
  try {
    // What a key is in jose 4 and 5 does not say in one way how long it is.
    return bitsIn(base64url.decode(n)) >= minKeyBits
      ? await importJWK({ kty: "RSA", n, e }, algorithm)
      : undefined;
  } catch {
    return undefined; // it is none
  }
}

/** Returns how many bits an integer has, the most significant byte first. */
function bitsIn(integer: Uint8Array): number {
  const first = integer.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : 8 * (integer.length - first) - Math.clz32(integer[first] ?? 0) + 24;
}

/** Returns the backend's keys. */
async function fetchKeys(url: string, options: IdentityJWTOptions): Promise<JWK[]> {
  const { signal = new AbortController().signal } = options;
  const send = options.fetch ?? ((input, init) => fetch(input, init));
  const { event, error } = await exchange(
    send,
    { type: "http", method: "GET", url, headers: [], timeoutMs, sizeLimit: maxSize },
    signal,
  );
  if (event.type !== "response") {
    if (signal.aborted) {
      throw canceled(signal, "the caller stopped waiting for the backend's keys");
    }
    throw unavailable(url, "the request failed", error);
  }
  if (event.status !== 200) {
    throw unavailable(url, `the backend answered ${event.status}`);
  }
  try {
    const body = new TextDecoder("utf-8", { fatal: true }).decode(event.body);
    const set: unknown = JSON.parse(body);
    const keys = isPlain(set) ? (own(set as { keys?: unknown }).keys ?? []) : undefined;
    if (!Array.isArray(keys)) {
      throw new TypeError("no set of keys");
    }
    return keys.filter(isPlain).map((key) => own(key as JWK));
  } catch {
    throw unavailable(url, "the response is not a set of keys");
  }
}

/** Returns what the module has read in the claims, where that can be so. */
function identityIn(payload: Uint8Array, read: JWTIdentity): JWTIdentity {
  const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
  const { account_id, chatgpt_user_id } = own(claims as { account_id?: unknown; chatgpt_user_id?: unknown });
  const { credentials, record, expires } = read;
  const isRead =
    isPlain(credentials) &&
    credentials.kind === "agent-identity" &&
    credentials.accountId === account_id &&
    credentials.userId === chatgpt_user_id &&
    record instanceof Uint8Array &&
    Number.isSafeInteger(expires);
  if (!isRead) {
    throw violation("an identity", "that is not the JWT's");
  }
  return { credentials, record, expires };
}

function refused(problem: string): AgentAssertError {
  return failure(codes.invalidIdentityJWT, `the identity JWT ${problem}`);
}

function unavailable(url: string, problem: string, cause?: unknown): AgentAssertError {
  return failure(codes.keysUnavailable, `the backend's keys could not be had from ${url}: ${problem}`, cause);
}
