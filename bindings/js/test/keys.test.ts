// Keys in others' forms. The forms come from Node's crypto, which is OpenSSL, and from RFCs.
import assert from "node:assert/strict";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  webcrypto,
} from "node:crypto";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import { importJWK, importPKCS8, importSPKI } from "jose";

import { AgentAssert, AgentAssertError, type GivenKey } from "agentassert";

const core = await AgentAssert.load();

/** RFC 8037, appendix A.1; the same key as in RFC 8032, section 7.1, TEST 1. */
const rfc8037 = {
  kty: "OKP",
  crv: "Ed25519",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};

/** RFC 8410, sections 10.3 and 10.1: version 1, version 2 with an attribute, and the public key. */
const rfc8410 = {
  v1: "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n",
  v2: "-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n",
  publicKey:
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
};

const generated = generateKeyPairSync("ed25519");
const jwk = generated.privateKey.export({ format: "jwk" });
const pem = generated.privateKey.export({ format: "pem", type: "pkcs8" }) as string;
const der = generated.privateKey.export({ format: "der", type: "pkcs8" });
const publicJWK = generated.publicKey.export({ format: "jwk" });
const publicPEM = generated.publicKey.export({ format: "pem", type: "spki" }) as string;
const publicDER = generated.publicKey.export({ format: "der", type: "spki" });
const seed = Buffer.from(jwk.d ?? "", "base64url");
const publicBytes = Buffer.from(jwk.x ?? "", "base64url");
const both = Buffer.concat([seed, publicBytes]);
const { privateKey, publicKey } = core.importKey(pem);

const hasCode = (code: string, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
  assert.equal(error.code, code);
  assert.match(error.message, says);
  const shown = inspect(error);
  for (const secret of [seed.toString("base64"), seed.toString("hex"), jwk.d ?? "", rfc8037.d]) {
    assert.ok(!shown.includes(secret), "the key is quoted");
  }
  return true;
};

describe("a private key is read", () => {
  const forms: Record<string, GivenKey> = {
    "base64 of PKCS#8": der.toString("base64"),
    "PKCS#8": der,
    "PKCS#8 in an ArrayBuffer": new Uint8Array(der).buffer,
    "a file with PEM": Buffer.from(pem),
    "a JWK": jwk,
    "a JWK with members of Web Crypto": { ...jwk, key_ops: ["sign"], ext: true, alg: "EdDSA" },
    "a JWK as text": JSON.stringify(jwk, undefined, 2),
    "a seed": seed,
    "a seed in hexadecimal": seed.toString("hex"),
    "a seed in base64": seed.toString("base64"),
    "a seed in base64url": jwk.d ?? "",
    "a seed with its public key": both,
    "both in base64": both.toString("base64"),
    "what is kept": privateKey,
    "a key file": `# public key: ${publicKey}\n${privateKey}\n`,
  };
  for (const [name, form] of Object.entries(forms)) {
    test(name, () => {
      assert.deepEqual({ ...core.importKey(form) }, { privateKey, publicKey });
    });
  }

  test("those of the RFCs", () => {
    const ours = core.generateKey(Buffer.from(rfc8037.d, "base64url"));
    assert.deepEqual(core.importKey(rfc8037), ours);
    assert.deepEqual(core.importKey(rfc8410.v1), core.importKey(rfc8410.v2));
    assert.equal(core.importKey(rfc8410.v1).publicKey, core.importPublicKey(rfc8410.publicKey));
  });

  test("a CryptoKey's JWK", async () => {
    const pair = await webcrypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const { privateKey: key, publicKey: itsPublic } = pair as webcrypto.CryptoKeyPair;
    const imported = core.importKey(await webcrypto.subtle.exportKey("jwk", key));
    assert.equal(
      imported.publicKey,
      core.importPublicKey(await webcrypto.subtle.exportKey("jwk", itsPublic)),
    );
    assert.equal(
      imported.publicKey,
      core.importPublicKey(await webcrypto.subtle.exportKey("raw", itsPublic)),
    );
  });
});

describe("a public key is read", () => {
  const forms: Record<string, GivenKey> = {
    "OpenSSH's": publicKey,
    "with a comment": `${publicKey} me@here`,
    "its base64": publicKey.split(" ")[1] ?? "",
    PEM: publicPEM,
    SubjectPublicKeyInfo: publicDER,
    "base64 of it": publicDER.toString("base64"),
    "a JWK": publicJWK,
    "a JWK as text": JSON.stringify(publicJWK),
    "its bytes": publicBytes,
    hexadecimal: publicBytes.toString("hex"),
    base64url: publicBytes.toString("base64url"),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(name, () => {
      assert.equal(core.importPublicKey(form), publicKey);
    });
  }
});

describe("what is no key in its place is refused with a word on what it is", () => {
  const encrypted = generated.privateKey.export({
    format: "pem",
    type: "pkcs8",
    cipher: "aes-256-cbc",
    passphrase: "a passphrase",
  });
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const x25519 = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  const pkcs8 = { format: "pem", type: "pkcs8" } as const;
  const spki = { format: "pem", type: "spki" } as const;
  const text = (key: string | Buffer) => key.toString();
  for (const [name, form, says] of [
    ["nothing", "", /is empty/],
    ["no bytes", new Uint8Array(), /is empty/],
    ["a word", "key", /neither PEM nor a JWK/],
    ["a passphrase", text(encrypted), /is encrypted; decrypt it first, with openssl pkey/],
    ["RSA", text(rsa.privateKey.export(pkcs8)), /is an RSA key/],
    ["RSA, PKCS#1", text(rsa.privateKey.export({ ...pkcs8, type: "pkcs1" })), /an Ed25519 key/],
    ["ECDSA", text(ec.privateKey.export(pkcs8)), /is an ECDSA key/],
    ["ECDSA, a JWK", ec.privateKey.export({ format: "jwk" }), /whose kty is not OKP/],
    ["X25519", x25519, /whose crv is not Ed25519/],
    ["for encryption", { ...jwk, use: "enc" }, /whose use is not sig/],
    ["another algorithm", { ...jwk, alg: "ES256" }, /whose alg is not EdDSA/],
    ["a public JWK", publicJWK, /has a d/],
    ["a public key in PEM", publicPEM, /is a public key/],
    ["a public key", publicKey, /is a public key/],
    ["another's public half", { ...jwk, x: rfc8037.x }, /does not belong to its seed/],
    ["a set", { keys: [jwk] } as object, /a set of JWKs/],
    ["a member of another type", { ...jwk, d: 1 } as object, /whose d is not 32 bytes/],
    ["half a key", both.subarray(0, 48), /neither PKCS#8/],
    ["text of 32 characters", "0123456789abcdef0123456789abcdef", /neither PKCS#8/],
  ] as [string, GivenKey, RegExp][]) {
    test(`a private key: ${name}`, () => {
      assert.throws(() => core.importKey(form), hasCode("invalid_private_key", says));
    });
  }
  for (const [name, form, says] of [
    ["nothing", "", /is empty/],
    ["a private key in PEM", pem, /is a private key: give its public half instead/],
    ["a private JWK", jwk, /is a private key/],
    ["a private key as it is kept", privateKey, /is a private key/],
    ["a seed with its public key", both, /is a private key/],
    ["RSA", text(rsa.publicKey.export(spki)), /is an RSA key/],
    ["ECDSA", text(ec.publicKey.export(spki)), /is an ECDSA key/],
    ["another type of OpenSSH's", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB", /another type than ssh-ed25519/],
    ["several lines", `${publicKey}\n${publicKey}`, /several lines/],
    ["a point of small order", new Uint8Array(32), /small order/],
  ] as [string, GivenKey, RegExp][]) {
    test(`a public key: ${name}`, () => {
      assert.throws(() => core.importPublicKey(form), hasCode("invalid_public_key", says));
    });
  }
  for (const form of [undefined, null, 1, generated.privateKey, [1], () => pem]) {
    test(`no form: ${typeof form}`, () => {
      const isNoKey = hasCode("invalid_request", /no text, no Uint8Array and no JWK/);
      assert.throws(() => core.importKey(form as never), isNoKey);
      assert.throws(() => core.importPublicKey(form as never), isNoKey);
    });
  }
});

describe("an exported key", () => {
  const message = Buffer.from("a message");
  const signature = sign(null, message, generated.privateKey);

  test("is read by Node's crypto, Web Crypto and jose, and by ourselves", async () => {
    const exported = {
      pem: core.exportKey({ privateKey, format: "pem" }),
      jwk: core.exportKey({ privateKey, format: "jwk" }),
      raw: core.exportKey({ privateKey, format: "raw" }),
      v1: core.exportKey({ privateKey, format: "pkcs8-v1" }),
      openssh: core.exportKey({ privateKey, format: "openssh" }),
    };
    assert.equal(exported.pem, pem);
    assert.deepEqual(exported.jwk, jwk);
    assert.deepEqual(Buffer.from(exported.raw), seed);
    assert.equal(exported.v1, der.toString("base64"));
    for (const form of Object.values(exported)) {
      assert.deepEqual({ ...core.importKey(form) }, { privateKey, publicKey });
    }
    assert.deepEqual(sign(null, message, createPrivateKey({ key: jwk, format: "jwk" })), signature);
    const v1 = Buffer.from(exported.v1, "base64");
    const cryptoKey = await webcrypto.subtle.importKey("pkcs8", v1, "Ed25519", false, ["sign"]);
    assert.deepEqual(Buffer.from(await webcrypto.subtle.sign("Ed25519", cryptoKey, message)), signature);
    await importPKCS8(exported.pem, "EdDSA");
    await importJWK(exported.jwk, "EdDSA");
  });

  test("of a public half, too", async () => {
    const exported = {
      pem: core.exportKey({ publicKey, format: "pem" }),
      jwk: core.exportKey({ publicKey, format: "jwk" }),
      raw: core.exportKey({ publicKey, format: "raw" }),
      spki: core.exportKey({ publicKey, format: "spki" }),
    };
    assert.equal(exported.pem, publicPEM);
    assert.deepEqual(exported.jwk, publicJWK);
    assert.deepEqual(Buffer.from(exported.raw), publicBytes);
    assert.equal(exported.spki, publicDER.toString("base64"));
    for (const form of Object.values(exported)) {
      assert.equal(core.importPublicKey(form), publicKey);
    }
    assert.ok(verify(null, message, createPublicKey(exported.pem), signature));
    await importSPKI(exported.pem, "EdDSA");
    await importJWK(exported.jwk, "EdDSA");
  });

  test("is what a JWK's thumbprint is made of", () => {
    // RFC 8037, appendix A.3.
    const { key } = core.call("key.export", { publicKey: core.importKey(rfc8037).publicKey, format: "jwk" });
    assert.equal(
      createHash("sha256")
        .update(key ?? "")
        .digest("base64url"),
      "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    );
  });

  for (const [name, options, code] of [
    ["another format", { privateKey, format: "der" }, "invalid_config"],
    ["a format of the other half", { publicKey, format: "pkcs8-v1" }, "invalid_config"],
    ["no format", { privateKey }, "invalid_request"],
    ["both halves", { privateKey, publicKey, format: "raw" }, "invalid_request"],
    ["no key", { format: "raw" }, "invalid_private_key"],
    ["an empty private key", { privateKey: "", format: "raw" }, "invalid_private_key"],
    ["no base64", { privateKey: pem, format: "raw" }, "invalid_private_key"],
    ["no OpenSSH form", { publicKey: publicPEM, format: "raw" }, "invalid_public_key"],
    ["no object", undefined, "invalid_request"],
  ] as const) {
    test(`is none: ${name}`, () => {
      assert.throws(() => core.exportKey(options as never), hasCode(code, /./));
    });
  }
});
