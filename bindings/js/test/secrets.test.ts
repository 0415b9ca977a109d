// Nothing that this package exports shows a secret, however it is printed; and no error
// shows what a server sent, or what was sent to it.
import assert from "node:assert/strict";
import { Console } from "node:console";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { format, inspect } from "node:util";
import { serialize } from "node:v8";

import * as everything from "agentassert";
import { AgentAssert, AgentAssertError, Manager, memoryStore } from "agentassert";

import { Backend, base, Clock, credentials, token, registrar } from "./backend.js";

const core = await AgentAssert.load();

/** Everything that the platform can make of a value. */
function printed(value: unknown): string {
  const text: string[] = [];
  const add = (print: () => unknown) => {
    try {
      text.push(String(print()));
    } catch (error) {
      text.push(inspect(error)); // what cannot be printed may say why
    }
  };
  const all = { depth: Infinity, showHidden: true, maxArrayLength: null, maxStringLength: null } as const;
  add(() => inspect(value, all));
  add(() => inspect(value, { ...all, getters: true, showProxy: true }));
  add(() => inspect(value, { ...all, customInspect: false }));
  add(() => inspect(structuredClone(value), all));
  add(() => serialize(value).toString("latin1"));
  add(() => JSON.stringify(value));
  add(() => String(value));
  add(() => format("%s %o %O %j %d", value, value, value, value, value));
  add(() => new Error("wrapped", { cause: value }).stack);
  add(() => inspect(new AggregateError([value], "wrapped", { cause: value }), all));
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      text.push(String(chunk));
      done();
    },
  });
  const console = new Console(stream);
  console.log(value);
  console.dir(value, all);
  console.table(value);
  console.error(value);
  return text.join("\n");
}

/** Fails where a text has a secret, in letters or as bytes. */
function check(name: string, value: unknown, secrets: string[]): void {
  const text = printed(value);
  for (const secret of secrets) {
    const bytes = Buffer.from(secret);
    for (const form of [
      secret,
      bytes.join(", "),
      bytes.toString("hex"),
      bytes.toString("base64url"),
      bytes.join(","),
    ]) {
      assert.ok(!text.includes(form), `${name} shows a secret`);
    }
  }
}

test("nothing that is exported shows a secret", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const store = memoryStore();
  const context = { core, signal: new AbortController().signal };
  const manager = new Manager({
    core,
    baseUrl: base,
    store,
    credentials,
    agentIdentity: true,
    allowHttp: true,
    fetch: backend.fetch,
    now: clock.now,
  });
  const assertion = await manager.authorization("models");
  const bearer = await manager.bearer();
  const thread = manager.thread("thread-1");
  const turn = await thread.authorization();
  const instances = new Manager({
    core,
    baseUrl: base,
    store: memoryStore(),
    credentials,
    agentIdentity: true,
    profile: "instances",
    instance: { headerMode: "dual_header", installationId: "id-1", harness: "h", role: "r" },
    authApiUrl: registrar,
    allowHttp: true,
    fetch: backend.fetch,
    now: clock.now,
  });
  const beside = await instances.authorization("models");
  const record = await store.load("identity", context);
  const text = new TextDecoder().decode(record);
  const { agent_private_key: key } = JSON.parse(text) as { agent_private_key: string };
  const secrets = [
    token,
    key,
    assertion.header.slice(16),
    bearer.header,
    turn.header.slice(16),
    beside.agentAssertion.slice(-86),
    text.slice(0, 40),
    "biscuit-",
  ];
  assert.ok(secrets.every((secret) => secret.length > 7));

  const files = everything.fileStore(join(folder, "auth.json"), { lock: "process" });
  await files.swap("identity", undefined, record, context);
  assert.deepEqual(await files.load("identity", context), record);
  backend.intercept = () => Promise.reject(new Error(token));
  const failing = new Manager({
    core,
    baseUrl: base,
    store: memoryStore(),
    credentials,
    agentIdentity: true,
    allowHttp: true,
    fetch: backend.fetch,
  });
  const failed = await failing.authorization("models");
  const errors = await Promise.all(
    [
      () => failing.thread("a").authorization(),
      () => Promise.resolve(core.parseKey(`${key}x`)),
      () => Promise.resolve(core.importKey(`${key}x`)),
      () => Promise.resolve(core.importPublicKey(key)),
      () => Promise.resolve(core.exportKey({ privateKey: `${key}x`, format: "jwk" })),
      () => Promise.resolve(core.call("key.parse", { privateKey: key, x: 1 } as never)),
      () => Promise.resolve(core.inspect(`${assertion.header}x`)),
      () =>
        manager
          .authorization("models", { signal: AbortSignal.abort() })
          .then(() => manager.fetch(`${base}/codex/responses`)),
    ].map(async (fail) => {
      try {
        await fail();
      } catch (error) {
        return error;
      }
      return assert.fail("that is an error");
    }),
  );

  const { publicKey } = core.parseKey(key);
  const replays = everything.memoryReplays();
  const decided: unknown[] = [];
  const verifier = new everything.Verifier({
    core,
    publicKeyOf: () => publicKey,
    publicKeyOfInstance: () => publicKey,
    replays,
    now: clock.now,
    decided: (decision) => {
      decided.push(decision);
    },
  });
  const verified = await Promise.allSettled(
    [assertion.header, turn.header, `${assertion.header}x`, bearer.header, ""].map((authorization) =>
      verifier.verifyRequest({ headers: { authorization, "x-openai-agent-assertion": "" } }),
    ),
  );

  /** By the names of the exports: what there is to print. */
  const values: Record<string, unknown[]> = {
    AgentAssert: [core, AgentAssert],
    AgentAssertError: [AgentAssertError, ...errors],
    Manager: [
      manager,
      Manager,
      thread,
      assertion,
      bearer,
      turn,
      instances,
      beside,
      await instances.recover(beside),
      failed,
      failed.cause,
      await manager.recover(assertion),
    ],
    RefusalError: [everything.RefusalError, ...decided],
    Verifier: [everything.Verifier, verifier, ...verified],
    codeOf: [everything.codeOf],
    codes: [everything.codes],
    fileStore: [files],
    indexedDBStore: [everything.indexedDBStore], // its records are in the browser's hands
    memoryReplays: [replays],
    memoryStore: [store, memoryStore({ identity: record ?? new Uint8Array() })],
  };
  assert.deepEqual(Object.keys(values).sort(), Object.keys(everything).sort(), "an export is missing here");
  for (const [name, printable] of Object.entries(values)) {
    for (const [i, value] of printable.entries()) {
      check(`${name}[${i}]`, value, secrets);
    }
    check(name, printable, secrets);
  }
});

describe("of a request that fails", () => {
  /** What authorized the request, and what a server could have sent. */
  const secrets = [token, "biscuit-secret", "set-cookie-secret"];
  const answer = `HTTP/1.1 200 OK\r\nX-OpenAI-Authorization: biscuit-secret\r\nSet-Cookie: set-cookie-secret\r\n${token}`;

  const errors: [name: string, error: () => unknown, shown: RegExp][] = [
    ["a text", () => new Error(answer), /not shown/],
    ["a text of a cause", () => new TypeError("fetch failed", { cause: new Error(answer) }), /not shown/],
    ["a member", () => Object.assign(new Error("parse"), { data: answer }), /not shown/],
    ["bytes", () => Object.assign(new Error("parse"), { data: Buffer.from(answer) }), /not shown/],
    [
      "a member of a cause, with a code",
      () =>
        new TypeError("fetch failed", {
          cause: Object.assign(new Error("parse"), { code: "HPE_INVALID_CONSTANT", data: answer }),
        }),
      /: HPE_INVALID_CONSTANT$/,
    ],
    ["a name", () => Object.assign(new Error("parse"), { name: answer }), /not shown/],
    ["a stack", () => Object.assign(new Error("parse"), { stack: answer }), /not shown/],
    ["a code", () => Object.assign(new Error("parse"), { code: answer }), /not shown/],
    [
      "a code that begins well",
      () => Object.assign(new Error("parse"), { code: `ERR_TLS_${token}` }),
      /not shown/,
    ],
    ["errors in an error", () => new AggregateError([new Error(answer)], answer), /not shown/],
    ["a string", () => answer, /not shown/],
    ["an object", () => ({ answer }), /not shown/],
    ["this package's class", () => new AgentAssertError("closed", answer), /not shown/],
    [
      "a refused connection",
      () => new TypeError(answer, { cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }) }),
      /: ECONNREFUSED$/,
    ],
    [
      "a name that is not known",
      () => Object.assign(new Error(answer), { code: "ENOTFOUND" }),
      /: ENOTFOUND$/,
    ],
    [
      "a certificate with names",
      () =>
        new TypeError("x", {
          cause: Object.assign(new Error(answer), {
            code: "ERR_TLS_CERT_ALTNAME_INVALID",
            cert: { subject: answer },
          }),
        }),
      /: ERR_TLS_CERT_ALTNAME_INVALID$/,
    ],
    [
      "a time-out of the connection",
      () =>
        new TypeError("x", { cause: Object.assign(new Error(answer), { code: "UND_ERR_CONNECT_TIMEOUT" }) }),
      /: UND_ERR_CONNECT_TIMEOUT$/,
    ],
  ];
  for (const [name, error, shown] of errors) {
    test(`${name} is not shown`, async () => {
      const manager = new Manager({
        core,
        baseUrl: "https://chatgpt.com",
        store: memoryStore(),
        credentials,
        agentIdentity: true,
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- somebody else's fetch may
        fetch: () => Promise.reject(error()),
      });
      const { cause } = await manager.authorization("models");
      assert.equal(cause?.code, "request_failed");
      assert.match((cause.cause as Error).message, shown);
      check(name, cause, secrets);
    });
  }

  test("what a server sends that is no HTTP is not shown, by the platform's fetch", async (t) => {
    const seen: string[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        seen.push(String(data));
        socket.end(
          `HTTP/1.1 200 OK\r\nX-OpenAI-Authorization: biscuit-secret\r\nbad\x01 ${String(data)}\r\n\r\n`,
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const manager = new Manager({
      core,
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      store: memoryStore(),
      credentials,
      agentIdentity: true,
      trustedHosts: ["127.0.0.1"],
    });
    const { cause } = await manager.authorization("models");
    assert.ok(seen[0]?.includes(token), "the server saw no request");
    assert.equal(cause?.code, "request_failed");
    assert.match((cause.cause as Error).message, /: HPE_[A-Z_]+$/);
    check("its cause", cause, secrets);
  });
});
