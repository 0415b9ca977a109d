import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { inspect } from "node:util";

import { AgentAssert, AgentAssertError, Manager, memoryStore, type ModuleSource } from "agentassert";

import { abiVersion, decodeMessage, encodeMessage, Instance } from "../dist/internals.js";
import { envelopeOf } from "./backend.js";

const core = await AgentAssert.load();
const moduleURL = new URL("../dist/agentassert.wasm", import.meta.url);
const now = 1_764_000_000;

const hasCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
  assert.equal(error.code, code);
  return true;
};

test("the README's calls", () => {
  const { privateKey, publicKey } = core.generateKey();
  const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
  const { ok, envelope, canonical } = core.verify({ publicKey, header, now: now + 300 });
  assert.deepEqual(
    [ok, canonical, envelope.agentRuntimeId, envelope.taskId],
    [true, true, "agent-1", "task-1"],
  );
  assert.deepEqual(envelopeOf(core, header), envelope);
  assert.equal(core.parseKey(privateKey).publicKey, publicKey);
  assert.throws(() => core.verify({ publicKey, header, now: now + 301 }), hasCode("timestamp_skew"));
  assert.throws(
    () => core.verify({ publicKey: core.generateKey().publicKey, header, now }),
    hasCode("bad_signature"),
  );
});

test("a registration's requests and answers, for those who send them themselves", () => {
  const { privateKey, publicKey } = core.generateKey();
  const abom = { agentVersion: "1", agentHarnessId: "h", runningLocation: "here" };
  const profile = "auth-api";
  const config = { baseUrl: "https://chatgpt.com", agentIdentity: true, abom, profile } as const;
  const credentials = { kind: "chatgpt", accessToken: "token", accountId: "acct-1" } as const;
  const request = core.call("registration.request", {
    config,
    credentials,
    step: "identity",
    privateKey,
    now,
  });
  assert.equal(request.url, "https://auth.openai.com/api/accounts/v1/agent/register");
  assert.ok(new TextDecoder().decode(request.body).includes(publicKey));
  const answer = (text: string) => new TextEncoder().encode(text);
  const body = answer('{"agent_runtime_id":"agent-1"}');
  const read = core.call("registration.read", { profile, step: "identity", status: 200, body });
  assert.deepEqual({ ...read }, { agentRuntimeId: "agent-1" });
  assert.throws(
    () => core.call("registration.read", { profile, step: "identity", status: 401 }),
    hasCode("http_status"),
  );
  assert.equal(
    core.call("jwks.locate", { baseUrl: config.baseUrl }).url,
    "https://chatgpt.com/backend-api/wham/agent-identities/jwks",
  );
});

test("OpenSSL verifies what the core signs", () => {
  const { privateKey, publicKey } = core.generateKey();
  const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task:1", now });
  const envelope = envelopeOf(core, header);
  const raw = Buffer.from(publicKey.split(" ")[1] ?? "", "base64").subarray(-32);
  const key = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
    format: "jwk",
  });
  const text = `agent-1:task:1:${envelope.timestamp}`;
  assert.ok(verify(null, Buffer.from(text), key, Buffer.from(envelope.signature, "base64")));
});

test("text comes back as it was", () => {
  const { privateKey } = core.generateKey();
  for (const id of ["\ufeffmark", "é", "e\u0301", "🙂", '"\\<&>', "x".repeat(4096), "__proto__"]) {
    const header = core.assert({ privateKey, agentRuntimeId: id, taskId: id, now });
    assert.equal(envelopeOf(core, header).taskId, id);
  }
});

describe("arguments of wrong types", () => {
  const detached = new Uint8Array(32);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const values: [string, unknown][] = [
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["a fraction", 1.5],
    ["NaN", NaN],
    ["a bigint", 5n],
    ["a bigint that is too large", 1n << 64n],
    ["a boolean", true],
    ["a symbol", Symbol("s")],
    ["a function", () => undefined],
    ["an array", []],
    ["an object", {}],
    ["an object of a class", new URL("http://a/")],
    ["a date", new Date()],
    ["bytes", new Uint8Array(32)],
    ["half a surrogate pair", "\ud800"],
    ["more than a message holds", "x".repeat(1 << 20)],
  ];
  for (const [name, value] of values) {
    test(`${name} as a key`, () => {
      const bad = { privateKey: value as string, agentRuntimeId: "a", taskId: "t", now };
      assert.throws(() => core.assert(bad), hasCode("invalid_request"));
    });
  }
  const calls: [string, () => unknown, string][] = [
    ["a time in milliseconds", () => core.assert({ ...key(), now: 1_764_000_000_000_000 }), "invalid_time"],
    ["a time that is a fraction", () => core.assert({ ...key(), now: 1.5 }), "invalid_request"],
    ["a date as time", () => core.assert({ ...key(), now: new Date() as never }), "invalid_request"],
    ["a negative skew", () => core.verify({ ...signed(), skew: -1 }), "invalid_skew"],
    ["too little entropy", () => core.generateKey(new Uint8Array(31)), "invalid_entropy"],
    ["entropy in a buffer that was given away", () => core.generateKey(detached), "invalid_request"],
    ["no arguments", () => core.call("assertion.inspect", {} as never), "invalid_request"],
    [
      "an argument too many",
      () => core.call("assertion.inspect", { header: "", x: 1 } as never),
      "invalid_request",
    ],
    ["a method that there is not", () => core.call("nothing" as never, {} as never), "unknown_method"],
    ["bytes that are no message", () => core.exchange(new Uint8Array()), "invalid_request"],
    ["a message that is too large", () => core.exchange(new Uint8Array((1 << 20) + 1)), "invalid_request"],
    ["a name that is not Unicode", () => core.call("key.parse", { "\ud800": 1 } as never), "invalid_request"],
    [
      "a member that objects have",
      () => core.call("key.parse", JSON.parse('{"__proto__":1}') as never),
      "invalid_request",
    ],
  ];
  function key() {
    return { privateKey: core.generateKey().privateKey, agentRuntimeId: "a", taskId: "t" };
  }
  function signed() {
    const { privateKey, publicKey } = core.generateKey();
    return { publicKey, header: core.assert({ privateKey, agentRuntimeId: "a", taskId: "t", now }), now };
  }
  for (const [name, call, code] of calls) {
    test(name, () => {
      assert.throws(call, hasCode(code));
    });
  }
});

test("an error shows no key", () => {
  const { privateKey } = core.generateKey();
  const bad = { privateKey, agentRuntimeId: "a:b", taskId: "\ud800" };
  assert.throws(
    () => core.assert({ ...bad, now }),
    (error) => !inspect(error, { depth: 10, showHidden: true }).includes(privateKey.slice(24)),
  );
});

describe("loading", () => {
  const bytes = readFileSync(moduleURL);
  const copy = () => new Uint8Array(bytes).buffer;
  const streamed = () => new Response(copy(), { headers: { "Content-Type": "application/wasm" } });
  const good: [string, () => ModuleSource | Promise<ModuleSource> | undefined][] = [
    ["this package's", () => undefined],
    ["a URL", () => moduleURL],
    ["bytes", () => new Uint8Array(copy())],
    ["a buffer", copy],
    ["a module", () => WebAssembly.compile(copy())],
    ["a response", streamed],
    ["a promise of one", () => Promise.resolve(streamed())],
  ];
  for (const [name, source] of good) {
    test(name, async () => {
      const loaded = await AgentAssert.load(await source());
      assert.ok(loaded.generateKey().publicKey);
    });
  }

  const given = copy();
  structuredClone(given, { transfer: [given] });
  const bad: [string, unknown, string][] = [
    ["no module", new Uint8Array([1, 2, 3]), "invalid_module"],
    ["half a module", copy().slice(0, 1 << 20), "invalid_module"],
    ["a buffer that was given away", given, "invalid_module"],
    ["a file that there is not", new URL("none.wasm", moduleURL), "invalid_module"],
    ["a response that is an error", new Response("no", { status: 404 }), "invalid_module"],
    ["a string", "agentassert.wasm", "invalid_module"],
    ["null", null, "invalid_module"],
    ["another module", assemble({}), "invalid_module"],
    ["a module that imports", assemble({ imports: true }), "invalid_module"],
    ["a module of another version", assemble({ abi: abiVersion + 1 }), "abi_version"],
  ];
  for (const [name, source, code] of bad) {
    test(name, async () => {
      await assert.rejects(AgentAssert.load(source as ModuleSource), hasCode(code));
    });
  }

  test("over HTTP", async (t) => {
    const server = createServer((request, response) => {
      void readFile(moduleURL).then((data) => {
        response.writeHead(200, {
          "Content-Type": request.url === "/known" ? "application/wasm" : "text/plain",
        });
        response.end(data);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.ok((await AgentAssert.load(new URL("/known", origin))).generateKey());
  });
});

describe("a module that misbehaves", () => {
  const cases: [string, Parts][] = [
    ["traps", { call: [0x00] }],
    ["returns nothing", { call: [0x42, 0x00] }],
    // (1 << 32) * 65536 + 5: an address behind the end of its one page.
    ["returns what is not its own", { call: [0x42, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0xc0, 0x00] }],
    // Address 8, length 5: five zeroes, which are no message.
    ["answers with what is no message", { call: [0x42, 0x85, 0x80, 0x80, 0x80, 0x80, 0x01] }],
    ["has no memory left", { alloc: [0x41, 0x00], call: [0x42, 0x00] }],
  ];
  for (const [name, parts] of cases) {
    test(name, async () => {
      const broken = await AgentAssert.load(assemble({ abi: abiVersion, ...parts }));
      for (let i = 0; i < 3; i++) {
        assert.throws(() => broken.generateKey(), hasCode("sandbox_failed"));
      }
    });
  }

  test("a fresh instance takes over from one that trapped", async (t) => {
    const module = await WebAssembly.compile(await readFile(moduleURL));
    const loaded = await AgentAssert.load(module);
    const { privateKey } = loaded.generateKey(new Uint8Array(32));
    t.mock.method(Instance.prototype, "exchange", () => {
      throw new WebAssembly.RuntimeError("unreachable");
    });
    assert.throws(() => loaded.generateKey(), hasCode("sandbox_failed"));
    t.mock.restoreAll();
    assert.equal(loaded.generateKey(new Uint8Array(32)).privateKey, privateKey);
  });
});

describe("what the guest has seen", () => {
  /** The memories of the instances that are made from now on. */
  function memories(t: TestContext): WebAssembly.Memory[] {
    const made: WebAssembly.Memory[] = [];
    const original = WebAssembly.Instance;
    WebAssembly.Instance = new Proxy(original, {
      construct: (target, [module]) => {
        const instance = new target(module as WebAssembly.Module);
        made.push(instance.exports["memory"] as WebAssembly.Memory);
        return instance;
      },
    });
    t.after(() => {
      WebAssembly.Instance = original;
    });
    return made;
  }
  const seed = new Uint8Array(32).map((_, i) => 101 + 3 * i);
  const has = (memory: WebAssembly.Memory | undefined, bytes: Uint8Array) =>
    memory !== undefined && Buffer.from(memory.buffer).includes(Buffer.from(bytes));
  const isZero = (memory: WebAssembly.Memory | undefined) =>
    memory !== undefined && new Uint8Array(memory.buffer).every((byte) => byte === 0);
  const module = readFile(moduleURL).then((bytes) => WebAssembly.compile(bytes));

  /** A core of its own that has signed, and the memory that it did that in. */
  async function used(t: TestContext) {
    const made = memories(t);
    const loaded = await AgentAssert.load(await module);
    const { privateKey } = loaded.generateKey(seed);
    loaded.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
    assert.ok(has(made[0], seed), "the guest keeps the last key; if not, nothing here can fail");
    return { loaded, made, privateKey };
  }

  test("is forgotten when it is asked to, and the next call has a fresh instance", async (t) => {
    const { loaded, made, privateKey } = await used(t);
    loaded.forget();
    assert.ok(isZero(made[0]));
    loaded.forget(); // there is nothing left
    assert.equal(made.length, 1);
    assert.equal(loaded.parseKey(privateKey).privateKey, privateKey);
    assert.equal(made.length, 2);
    assert.ok(has(made[1], seed));
  });

  test("is forgotten when a manager is closed, and another one goes on", async (t) => {
    const { loaded, made, privateKey } = await used(t);
    const identity = new TextEncoder().encode(
      JSON.stringify({
        workspace_id: "acct-1",
        agent_runtime_id: "agent-1",
        agent_private_key: privateKey,
        background_task_id: "task-1",
      }),
    );
    let seconds = now;
    const open = () =>
      new Manager({
        core: loaded,
        baseUrl: "https://chatgpt.com",
        agentIdentity: true,
        store: memoryStore({ identity }),
        credentials: { kind: "chatgpt", accessToken: "secret-token", accountId: "acct-1" },
        now: () => seconds * 1000,
      });
    const [closed, other] = [open(), open()];
    assert.equal((await closed.authorization("models")).taskId, "task-1");
    assert.equal((await other.authorization("models")).taskId, "task-1");
    assert.ok(has(made[0], Buffer.from("secret-token")));
    await closed.close();
    assert.ok(isZero(made[0]));
    seconds++;
    assert.equal((await other.authorization("models")).taskId, "task-1");
  });

  const retired: [why: string, (t: TestContext) => void, code: string][] = [
    [
      "has trapped",
      (t) => {
        t.mock.method(Instance.prototype, "exchange", () => {
          throw new WebAssembly.RuntimeError("unreachable");
        });
      },
      "sandbox_failed",
    ],
    [
      "answered with no message",
      (t) => {
        t.mock.method(Instance.prototype, "exchange", () => new Uint8Array([0xff]));
      },
      "sandbox_failed",
    ],
    [
      "has grown too large",
      (t) => {
        t.mock.getter(Instance.prototype, "isOverweight", () => true);
      },
      "",
    ],
  ];
  for (const [why, happen, code] of retired) {
    test(`is forgotten when an instance ${why}`, async (t) => {
      const { loaded, made } = await used(t);
      happen(t);
      if (code) {
        assert.throws(() => loaded.generateKey(seed), hasCode(code));
      } else {
        loaded.generateKey(seed);
      }
      assert.ok(isZero(made[0]));
    });
  }

  test("is in no answer that has been read", async (t) => {
    const { loaded, privateKey } = await used(t);
    const answers: Uint8Array[] = [];
    const { exchange } = loaded;
    t.mock.method(loaded, "exchange", (request: Uint8Array) => {
      const answer = exchange(request);
      answers.push(answer);
      return answer;
    });
    assert.equal(loaded.generateKey(seed).privateKey, privateKey);
    assert.ok(answers[0]?.length);
    assert.ok(answers[0].every((byte) => byte === 0));
  });
});

describe("the codec", () => {
  const refused: [string, number[]][] = [
    ["a long length", [0x78, 0x01, 0x61]],
    ["an indefinite length", [0x7f, 0x61, 0x61, 0xff]],
    ["a duplicate name", [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]],
    ["text behind the end", [0x01, 0x01]],
    ["a truncated text", [0x62, 0x61]],
    ["text that is not UTF-8", [0x61, 0xff]],
    ["undefined", [0xf7]],
    ["a tag", [0xc1, 0x01]],
    ["nothing", []],
  ];
  for (const [name, bytes] of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(() => decodeMessage(new Uint8Array(bytes)));
    });
  }

  test("writes the README of the vectors' example", () => {
    const entropy = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const encoded = encodeMessage({ params: { entropy }, method: "key.generate" });
    assert.equal(
      Buffer.from(encoded).toString("hex"),
      "a2666d6574686f646c6b65792e67656e657261746566706172616d73a167656e" +
        "74726f707958209d61b19deffd5a60ba844af492ec2cc44449c5697b32691970" +
        "3bac031cae7f60",
    );
  });

  test("keeps what it can", () => {
    for (const value of [0, -1, 2 ** 53 - 1, -(2 ** 53) + 1, "", "\ufeff", true, []]) {
      assert.deepEqual(decodeMessage(encodeMessage(value)), value);
    }
    const names = JSON.parse('{"a":{},"__proto__":[]}') as object;
    const members = decodeMessage(encodeMessage(names)) as Record<string, object>;
    assert.deepEqual(Object.entries(members), [
      ["a", Object.create(null)],
      ["__proto__", []],
    ]);
    assert.equal(Object.getPrototypeOf(members), null);
    assert.deepEqual(encodeMessage(-0), encodeMessage(0));
  });
});

interface Parts {
  imports?: boolean;
  /** The version that the module says it speaks; without one it exports nothing. */
  abi?: number;
  /** Instructions of agentassert_alloc and agentassert_call. */
  alloc?: number[];
  call?: number[];
}

/** Returns a small module, by hand: section by section, as the WebAssembly specification has them. */
function assemble({
  imports,
  abi,
  alloc = [0x41, 0x08],
  call = [0x42, 0x00],
}: Parts): Uint8Array<ArrayBuffer> {
  const text = (s: string) => [s.length, ...Buffer.from(s)];
  const section = (id: number, items: number[][]) => {
    const content = [items.length, ...items.flat()];
    return [id, ...leb(content.length), ...content];
  };
  const leb = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)]);
  const i32 = 0x7f;
  const i64 = 0x7e;
  const types = [
    [0x60, 0, 1, i32],
    [0x60, 1, i32, 1, i32],
    [0x60, 1, i32, 0],
    [0x60, 2, i32, i32, 1, i64],
  ];
  const body = (code: number[]) => [code.length + 2, 0, ...code, 0x0b];
  const sections = [section(1, types)];
  if (imports) {
    sections.push(section(2, [[...text("env"), ...text("f"), 0, 0]]));
  }
  if (abi !== undefined) {
    const names = ["agentassert_abi", "agentassert_alloc", "agentassert_free", "agentassert_call"];
    sections.push(
      section(3, [[0], [1], [2], [3]]),
      section(5, [[0, 1]]),
      section(7, [[...text("memory"), 2, 0], ...names.map((name, i) => [...text(name), 0, i])]),
      section(10, [body([0x41, abi]), body(alloc), body([]), body(call)]),
    );
  }
  return new Uint8Array([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}
