// Identity JWTs: which are good, and what comes of others. They are signed by node:crypto, and verified by jose.
import assert from "node:assert/strict";
import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import { AgentAssertError, Manager, type Core } from "agentassert";
import { verifyIdentityJWT, type IdentityJWTOptions } from "agentassert/jwt";

import { core, start } from "./verification.js";
import { fromJSON, vectors } from "./vectors.js";

const baseUrl = "https://chatgpt.com/backend-api";
const keysUrl = `${baseUrl}/wham/agent-identities/jwks`;
const kid = "key-1";

const rsa = (bits: number) => generateKeyPairSync("rsa", { modulusLength: bits });
/** The backend's, nobody's, and one that is too short. */
const [signing, other, short] = [rsa(2048), rsa(2048), rsa(1024)];

const vector = vectors("identity-jwts").find(({ id }) => id === "identity-jwt-usual");
const payload = (vector?.params as { claims: { utf8: string } }).claims.utf8;
const claims = JSON.parse(payload) as Record<string, unknown>;

const encode = (text: string | Buffer) => Buffer.from(text).toString("base64url");

/** Makes a JWT by hand. */
function jwt(header: object, text: string, signature: (input: Buffer) => Buffer): string {
  const input = `${encode(JSON.stringify(header))}.${encode(text)}`;
  return `${input}.${encode(signature(Buffer.from(input)))}`;
}

const rs256 = (key: KeyObject) => (input: Buffer) => sign("sha256", input, key);
const signed = (text: string, header: object = {}, key = signing.privateKey) =>
  jwt({ alg: "RS256", kid, ...header }, text, rs256(key));
const signedWith = (name: string, value: unknown) => signed(JSON.stringify({ ...claims, [name]: value })); // undefined is left out

const token = signed(payload);
const [protectedPart = "", payloadPart = "", signaturePart = ""] = token.split(".");

const jwk = (key: KeyObject, more: object = { kid }) => ({
  ...createPublicKey(key).export({ format: "jwk" }),
  ...more,
});
const good = jwk(signing.privateKey);

/** The way to a backend: it takes note of what is asked for. */
function network(answer: (url: string, init?: RequestInit) => Response | Promise<Response>) {
  const requests: { url: string; init: RequestInit | undefined }[] = [];
  const send = async (input: string | Request, init?: RequestInit) => {
    requests.push({ url: input as string, init });
    return answer(input as string, init);
  };
  return { requests, fetch: send };
}

const backend = (body: string | Uint8Array<ArrayBuffer> = JSON.stringify({ keys: [good] })) =>
  network(() => new Response(body));

const optionsFor = (fetch: IdentityJWTOptions["fetch"]): IdentityJWTOptions => ({
  core,
  baseUrl,
  now: () => start * 1000,
  ...(fetch && { fetch }),
});

/** Wants an error of that code which shows nothing of the JWT. */
async function refused(attempt: Promise<unknown>, code: string, secret: string): Promise<AgentAssertError> {
  let error: unknown;
  try {
    await attempt;
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof AgentAssertError, inspect(error));
  assert.equal(error.code, code, error.message);
  const text = inspect(error, { depth: 10, showHidden: true });
  for (const part of secret.split(".")) {
    assert.ok(part.length <= 16 || !text.includes(part), "the error shows the JWT");
  }
  return error;
}

describe("an identity JWT", () => {
  test("becomes a manager's identity, by one request without a credential", async () => {
    const { fetch, requests } = backend();
    const identity = await verifyIdentityJWT(`${token}\n`, optionsFor(fetch));
    assert.deepEqual(
      { ...identity.credentials },
      {
        kind: "agent-identity",
        accountId: "acct-1",
        userId: "user-1",
        email: "u@example.com",
        planType: "pro",
      },
    );
    assert.equal(identity.expires, claims["exp"]);
    assert.deepEqual(
      requests.map(({ url }) => url),
      [keysUrl],
    );
    const { headers, redirect, credentials } = requests[0]?.init ?? {};
    assert.deepEqual([[...new Headers(headers)], redirect, credentials], [[], "manual", "omit"]);
    const manager = new Manager({ core, baseUrl, jwtIdentity: identity, agentIdentity: true });
    await manager.close();
  });

  for (const [name, given] of [
    ["with several audiences", { aud: ["another", "codex-app-server"] }],
    ["in the last second of the leeway", { exp: start - 59 }],
    ["without what may be missing", { email: undefined }],
    ["with more", { more: { unknown: 1 } }],
  ] as const) {
    test(`${name} is good`, async () => {
      const text = JSON.stringify({ ...claims, ...given });
      await verifyIdentityJWT(signed(text), optionsFor(backend().fetch));
    });
  }

  const keyAlong = { jwk: jwk(other.privateKey, {}) };
  const cases: [name: string, token: unknown, requests: number, message: RegExp][] = [
    ["empty", "", 0, /compact/],
    ["garbage", "garbage", 0, /compact/],
    ["no text", undefined, 0, /compact/],
    ["bytes", new Uint8Array(3), 0, /compact/],
    ["two parts", `${protectedPart}.${payloadPart}`, 0, /compact/],
    ["four parts", `${token}.${signaturePart}`, 0, /compact/],
    [
      "JSON in place of compact form",
      JSON.stringify({
        payload: payloadPart,
        signatures: [{ protected: protectedPart, signature: signaturePart }],
      }),
      0,
      /compact/,
    ],
    ["a header that is no JSON", `${encode("{")}.${payloadPart}.${signaturePart}`, 0, /compact/],
    ["a header that is no object", `${encode("[]")}.${payloadPart}.${signaturePart}`, 0, /compact|RS256/],
    ["too large", token + "A".repeat(64 << 10), 0, /larger/],
    ["alg none", `${encode(`{"alg":"none","kid":"${kid}"}`)}.${payloadPart}.`, 0, /RS256/],
    [
      "alg none with a signature",
      `${encode(`{"alg":"none","kid":"${kid}"}`)}.${payloadPart}.${signaturePart}`,
      0,
      /RS256/,
    ],
    [
      "HS256 with the public key",
      jwt({ alg: "HS256", kid }, payload, (input) =>
        createHmac("sha256", JSON.stringify(good)).update(input).digest(),
      ),
      0,
      /RS256/,
    ],
    [
      "PS256",
      jwt({ alg: "PS256", kid }, payload, (input) =>
        sign("sha256", input, {
          key: signing.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        }),
      ),
      0,
      /RS256/,
    ],
    [
      "RS512",
      jwt({ alg: "RS512", kid }, payload, (input) => sign("sha512", input, signing.privateKey)),
      0,
      /RS256/,
    ],
    ["no alg", jwt({ kid }, payload, rs256(signing.privateKey)), 0, /RS256/],
    ["no kid", jwt({ alg: "RS256" }, payload, rs256(signing.privateKey)), 0, /kid/],
    ["a kid that is no text", signed(payload, { kid: 5 }), 0, /kid/],
    ["unknown kid", signed(payload, { kid: "another" }), 1, /key/],
    ["another's key under the kid", signed(payload, {}, other.privateKey), 1, /signature/],
    ["the key comes along", signed(payload, keyAlong, other.privateKey), 1, /signature/],
    [
      "claims changed",
      `${protectedPart}.${encode(payload.replaceAll("acct-1", "acct-2"))}.${signaturePart}`,
      1,
      /signature/,
    ],
    ["no signature", `${protectedPart}.${payloadPart}.`, 1, /signature/],
    ["an extension that must be understood", signed(payload, { crit: ["x"], x: 1 }), 1, /signature/],
    ["expired", signedWith("exp", start - 60), 1, /expired/],
    ["no expiry", signedWith("exp", undefined), 1, /expires/],
    ["another issuer", signedWith("iss", "https://evil.example"), 1, /issuer/],
    ["no issuer", signedWith("iss", undefined), 1, /issuer/],
    ["another audience", signedWith("aud", "another-server"), 1, /audience/],
    ["other audiences", signedWith("aud", ["a", "b"]), 1, /audience/],
    ["no audience", signedWith("aud", undefined), 1, /audience/],
    ["no key", signedWith("agent_private_key", undefined), 1, /agent_private_key/],
    ["a key that is none", signedWith("agent_private_key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"), 1, /key/],
    ["no account", signedWith("account_id", undefined), 1, /account_id/],
    ["no user", signedWith("chatgpt_user_id", ""), 1, /chatgpt_user_id/],
    ["an id that must not be signed", signedWith("agent_runtime_id", "a:b"), 1, /id/],
    ["claims that are no object", signed("[1]"), 1, /object/],
    ["claims that are no JSON", signed("{"), 1, /./],
  ];
  for (const [name, given, requests, message] of cases) {
    test(`that is refused: ${name}`, async () => {
      const way = backend();
      const attempt = verifyIdentityJWT(given as string, optionsFor(way.fetch));
      const error = await refused(attempt, "invalid_identity_jwt", typeof given === "string" ? given : "");
      assert.match(error.message, message);
      assert.equal(way.requests.length, requests);
    });
  }

  test("is read as the vectors say", async () => {
    let checked = 0;
    for (const { id, method, params, ok, error } of vectors("identity-jwts")) {
      const { claims, now } = fromJSON(params ?? {}) as { claims?: Uint8Array; now?: number };
      if (
        method !== "identity_jwt.read" ||
        !claims ||
        claims.length > 40_000 ||
        now === undefined ||
        now < 0
      ) {
        continue;
      }
      const input = `${protectedPart}.${encode(Buffer.from(claims))}`;
      const made = `${input}.${encode(sign("sha256", Buffer.from(input), signing.privateKey))}`;
      const options = { ...optionsFor(backend().fetch), now: () => now * 1000 };
      const attempt = verifyIdentityJWT(made, options);
      if (ok) {
        await attempt.catch((problem: unknown) => assert.fail(`${id}: ${inspect(problem)}`));
      } else {
        await refused(attempt, String((error as { code?: string } | undefined)?.code), "");
      }
      checked++;
    }
    assert.ok(checked > 100, `${checked} vectors`);
  });
});

describe("the backend's keys", () => {
  for (const [base, wanted] of [
    [baseUrl, keysUrl],
    ["https://chatgpt.com/", keysUrl],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080/agent-identities/jwks"],
    ["http://127.0.0.1/backend-api/", "http://127.0.0.1/backend-api/wham/agent-identities/jwks"],
    ["https://backend.example/api/base", "https://backend.example/api/base/agent-identities/jwks"],
  ] as const) {
    test(`of ${base}`, async () => {
      const { fetch, requests } = network(() => new Response(null, { status: 404 }));
      await refused(
        verifyIdentityJWT(token, { ...optionsFor(fetch), baseUrl: base }),
        "jwks_unavailable",
        token,
      );
      assert.deepEqual(
        requests.map(({ url, init }) => [url, init?.method]),
        [[wanted, "GET"]],
      );
    });
  }

  test("come with TLS, or from this machine, or by leave", async () => {
    const { fetch, requests } = backend();
    const options = { ...optionsFor(fetch), baseUrl: "http://chatgpt.com/backend-api" };
    await refused(verifyIdentityJWT(token, options), "insecure_base_url", token);
    assert.equal(requests.length, 0);
    await verifyIdentityJWT(token, { ...options, allowHttp: true });
    assert.equal(requests.length, 1);
  });

  const set = (...keys: unknown[]) => JSON.stringify({ keys });
  const encoded = set(good);
  const cases: [name: string, body: string | Uint8Array<ArrayBuffer>, code: string][] = [
    ["the key alone", set(good), ""],
    ["beside kinds that are not known", set({ kty: "NEW", kid: "x", data: "y" }, 1, null, "x", [], good), ""],
    ["beside another with the same id", set(jwk(other.privateKey), good), ""],
    [
      "beside one that is damaged",
      set({ ...good, n: "!" }, { ...good, n: undefined }, { kid, kty: "RSA" }, good),
      "",
    ],
    ["for signatures", set({ ...good, use: "sig", alg: "RS256" }), ""],
    ["with the other half", set(jwk(signing.privateKey, { kid, d: "AQAB", key_ops: ["sign"] })), ""],
    ["for encryption", set({ ...good, use: "enc" }), "invalid_identity_jwt"],
    ["for another algorithm", set({ ...good, alg: "PS256" }), "invalid_identity_jwt"],
    [
      "a symmetric key",
      set({ kty: "oct", kid, k: encode("0123456789abcdef0123456789abcdef") }),
      "invalid_identity_jwt",
    ],
    ["without an id", set(jwk(signing.privateKey, {})), "invalid_identity_jwt"],
    ["no keys", set(), "invalid_identity_jwt"],
    ["no member", "{}", "invalid_identity_jwt"],
    ["null", '{"keys":null}', "invalid_identity_jwt"],
    ["keys that are no list", '{"keys":5}', "jwks_unavailable"],
    ["no object", `[${JSON.stringify(good)}]`, "jwks_unavailable"],
    ["garbage", "<html>", "jwks_unavailable"],
    ["nothing", "", "jwks_unavailable"],
    ["no UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "jwks_unavailable"],
    ["as large as it may be", " ".repeat((64 << 10) - encoded.length) + encoded, ""],
    ["larger", " ".repeat((64 << 10) - encoded.length + 1) + encoded, "jwks_unavailable"],
  ];
  for (const [name, body, code] of cases) {
    test(`as ${name}: ${code || "good"}`, async () => {
      const attempt = verifyIdentityJWT(token, optionsFor(backend(body).fetch));
      await (code ? refused(attempt, code, token) : attempt);
    });
  }

  test("are of 2048 bits at least", async () => {
    const weak = signed(payload, {}, short.privateKey);
    const { fetch } = backend(set(jwk(short.privateKey)));
    await refused(verifyIdentityJWT(weak, optionsFor(fetch)), "invalid_identity_jwt", weak);
  });

  const problem = new TypeError(`fetch failed, with ${token}`);
  const body = (pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void) =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) => {
          controller.enqueue(new Uint8Array(10_000));
          pull(controller);
        },
      }),
    );
  const answers: [name: string, answer: () => Response | Promise<Response>][] = [
    ["unreachable", () => Promise.reject(problem)],
    ["404", () => new Response(null, { status: 404 })],
    ["500", () => new Response(token, { status: 500 })],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { Location: "https://evil.example/jwks" } }),
    ],
    ["nothing", () => undefined as unknown as Response],
    [
      "cut off",
      () =>
        body((controller) => {
          controller.error(problem);
        }),
    ],
    ["endless", () => body(() => undefined)],
  ];
  for (const [name, answer] of answers) {
    test(`that cannot be had: ${name}`, async () => {
      const { fetch, requests } = network(answer);
      await refused(verifyIdentityJWT(token, optionsFor(fetch)), "jwks_unavailable", token);
      assert.equal(requests.length, 1);
    });
  }

  test("nobody waits for any more", async () => {
    const controller = new AbortController();
    const { fetch } = network(() => {
      controller.abort();
      return new Promise<Response>(() => undefined);
    });
    const options = { ...optionsFor(fetch), signal: controller.signal };
    const error = await refused(verifyIdentityJWT(token, options), "canceled", token);
    assert.equal(error.name, "AbortError");
    const before = backend();
    const aborted = { ...optionsFor(before.fetch), signal: AbortSignal.abort() };
    await refused(verifyIdentityJWT(token, aborted), "canceled", token);
    assert.equal(before.requests.length, 0);
  });

  test("come by the platform's fetch", async () => {
    const server = createServer((request, response) => {
      response.end(request.url === "/backend-api/wham/agent-identities/jwks" ? set(good) : "{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const options = { ...optionsFor(undefined), baseUrl: `http://127.0.0.1:${port}/backend-api` };
      await verifyIdentityJWT(token, options);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("options", () => {
  for (const [name, more, code] of [
    ["none", undefined, "invalid_options"],
    ["no core", { core: undefined }, "invalid_options"],
    ["a core that is null", { core: null }, "invalid_options"],
    ["a core that is still being loaded", { core: Promise.resolve(core) }, "invalid_options"],
    ["no base URL", { baseUrl: undefined }, "invalid_options"],
    ["a base URL that is none", { baseUrl: "chatgpt.com" }, "invalid_base_url"],
    ["a clock that is none", { now: 5 }, "invalid_options"],
    ["a fetch that is none", { fetch: "x" }, "invalid_options"],
    ["misspelt", { baseURL: baseUrl }, "invalid_options"],
  ] as const) {
    test(name, async () => {
      const { fetch, requests } = backend();
      const options = more && { ...optionsFor(fetch), ...more };
      await refused(verifyIdentityJWT(token, options as never), code, token);
      assert.equal(requests.length, 0);
    });
  }
});

test("no module says where the keys are, or whose identity it is", async () => {
  for (const [method, answer] of [
    ["jwks.locate", { url: "https://evil.example/jwks" }],
    ["jwks.locate", { url: "http://chatgpt.com/backend-api/wham/agent-identities/jwks" }],
    ["jwks.locate", {}],
    ["base_url.normalize", { baseUrl: "https://evil.example" }],
    ["identity_jwt.read", { credentials: { kind: "agent-identity", accountId: "acct-2", userId: "user-1" } }],
    ["identity_jwt.read", {}],
  ] as const) {
    const lying = {
      forget: () => undefined,
      call: (called: string, params: never) =>
        called === method ? answer : core.call(called as never, params),
    } as unknown as Core;
    const { fetch, requests } = backend();
    await refused(verifyIdentityJWT(token, { ...optionsFor(fetch), core: lying }), "policy_violation", token);
    assert.ok(requests.every(({ url }) => url === keysUrl));
  }
});
