// A runner for assertion.build and assertion.verify, in Node alone. It was written from
// docs/protocol.md and the vectors, and shares no code with agentassert.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { createInterface } from "node:readline";

const check = (ok, code, message) => {
  if (!ok) throw { code, message };
};
// No bytes, where the text is not the one that they are encoded as.
const base64 = (text, alphabet = "base64") => {
  const data = Buffer.from(text, alphabet);
  return data.toString(alphabet) === text ? data : Buffer.alloc(0);
};
const isTime = (now) => now >= -62167219200 && now <= 253402300799;
const stamp = (now) => new Date(now * 1000).toISOString().slice(0, 19) + "Z";
const isID = (id) => id.isWellFormed() && /^\P{Cc}+$/u.test(id) && Buffer.byteLength(id) <= 4096;
const isAgentID = (id) => isID(id) && !id.includes(":");

// PKCS#8 of Ed25519 is one of these and the seed; after that, version 2 has the public key.
const [V1, V2] = ["302e020100", "3051020101"].map((s) => s + "300506032b657004220420");
function readPrivateKey(text) {
  const hex = base64(text).toString("hex");
  const [, prefix, seed, x] = /^(.{32})(.{64})(?:812100(.{64}))?$/.exec(hex) ?? [];
  check(prefix === (x ? V2 : V1), "invalid_private_key", "it is not PKCS#8 of an Ed25519 key");
  const der = Buffer.from(V1 + seed, "hex");
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const own = base64(createPublicKey(key).export({ format: "jwk" }).x, "base64url");
  check(!x || x === own.toString("hex"), "invalid_private_key", "its public half is another's");
  return key;
}

// OpenSSL takes any 32 bytes for a public key. Which are one is arithmetic modulo P.
const P = 2n ** 255n - 19n;
const power = (b, e) => (e ? (power((b * b) % P, e >> 1n) * (e & 1n ? b : 1n)) % P : 1n);
const D = -121665n * power(121666n, P - 2n);
function isPoint(hex) {
  const y = BigInt("0x" + Buffer.from(hex, "hex").reverse().toString("hex")) & (2n ** 255n - 1n);
  const yy = y * y;
  const isSquare = power((yy - 1n) * (D * yy + 1n), (P - 1n) / 2n);
  // Of order 1 and 2 are the points with y² = 1, of 4 y = 0, of 8 x² = -y²: anybody can sign.
  const isWeak = (y * (yy - 1n) * (D * yy * yy + 2n * yy - 1n)) % P === 0n;
  return y < P && (isSquare === 1n || isSquare === 1n - P) && !isWeak;
}
function readPublicKey(text) {
  const hex = text.startsWith("ssh-ed25519 ") ? base64(text.slice(12)).toString("hex") : "";
  const key = /^0000000b7373682d6564323535313900000020(.{64})$/.exec(hex)?.[1];
  check(key && isPoint(key), "invalid_public_key", "it is no Ed25519 key in OpenSSH form");
  const x = Buffer.from(key, "hex").toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

const signedText = (e) => Buffer.from(`${e.agent_runtime_id}:${e.task_id}:${e.timestamp}`);
function writeHeader({ agent_runtime_id, signature, task_id, timestamp }) {
  const envelope = JSON.stringify({ agent_runtime_id, signature, task_id, timestamp });
  return "AgentAssertion " + Buffer.from(envelope).toString("base64url");
}
function readHeader(header) {
  try {
    const data = base64(/^AgentAssertion +([\w-]+)$/i.exec(header)[1], "base64url");
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    const e = JSON.parse(text);
    const now = Date.parse(e.timestamp) / 1000;
    // Four members are eight strings; JSON.parse would let a name stand there twice.
    const four = text.match(/"(?:[^"\\]|\\.)*"/g).length === 8 && data.length <= 65536;
    const ids = isAgentID(e.agent_runtime_id) && isID(e.task_id);
    const rest = stamp(now) === e.timestamp && base64(e.signature).length === 64;
    if (four && ids && rest && isTime(now)) return e;
  } catch {}
  throw { code: "invalid_assertion", message: "the header is no assertion" };
}

const methods = {
  "assertion.build": ({ private_key, agent_runtime_id, task_id, now }) => {
    const key = readPrivateKey(private_key);
    check(isAgentID(agent_runtime_id), "invalid_agent_runtime_id", "it is no id, or has a colon");
    check(isID(task_id), "invalid_task_id", "it is no id");
    check(isTime(now), "invalid_time", "RFC 3339 cannot write it");
    const e = { agent_runtime_id, task_id, timestamp: stamp(now) };
    e.signature = sign(null, signedText(e), key).toString("base64");
    return { header: writeHeader(e), valid_until: now };
  },
  "assertion.verify": ({ public_key, header, now, skew }) => {
    const key = readPublicKey(public_key);
    const e = readHeader(header);
    check(verify(null, signedText(e), key, base64(e.signature)), "bad_signature", "it differs");
    check(skew >= 0 && isTime(skew), "invalid_skew", "it is negative or absurd");
    check(isTime(now), "invalid_time", "RFC 3339 cannot write it");
    const off = Math.abs(Date.parse(e.timestamp) / 1000 - now);
    check(off <= skew, "timestamp_skew", "the clocks are too far apart");
    return { form: "task", envelope: e, canonical: writeHeader(e) === header };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, request } = JSON.parse(line);
  const answer = { id };
  try {
    if (!Object.hasOwn(methods, request.method)) answer.unsupported = true;
    else answer.response = { ok: methods[request.method](request.params) };
  } catch (error) {
    if (error instanceof Error) throw error;
    answer.response = { error };
  }
  console.log(JSON.stringify(answer));
}
