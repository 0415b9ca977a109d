// What follows when the backend rejects the user's own token.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { inspect } from "node:util";

import {
  AgentAssert,
  codeOf,
  fileStore,
  Manager,
  memoryStore,
  type Credentials,
  type ManagerOptions,
} from "agentassert";

import { base } from "./backend.js";

const core = await AgentAssert.load();
const url = `${base}/codex/models`;
const credentialsWith = (accessToken: string): Credentials => ({
  ...{ kind: "chatgpt", accessToken, accountId: "acct-1" },
});

/** A backend that accepts one token, and a manager whose agent is off. */
function setUp(options: Partial<ManagerOptions> = {}) {
  const backend = { accepts: "token-2", seen: [] as string[] };
  const clock = { milliseconds: 1_764_000_000_000 };
  const manager = new Manager({
    ...{ core, baseUrl: base, store: memoryStore(), allowHttp: true, now: () => clock.milliseconds },
    credentials: credentialsWith("token-1"),
    fetch: (input, init) => {
      const token = new Request(input, init).headers.get("Authorization") ?? "";
      backend.seen.push(token.replace("Bearer ", ""));
      const isAccepted = token === `Bearer ${backend.accepts}`;
      return Promise.resolve(new Response("{}", { status: isAccepted ? 200 : 401 }));
    },
    ...options,
  });
  return { backend, clock, manager };
}

const hasCode = (code: string) => (error: unknown) => {
  assert.equal(codeOf(error), code, inspect(error));
  return true;
};

test("the call is sent once more with what the function returns, and later calls at once", async () => {
  const asked: Credentials[] = [];
  const { backend, clock, manager } = setUp({
    refreshCredentials: (rejected, { signal }) => {
      assert.ok(!signal.aborted);
      asked.push(rejected);
      return credentialsWith("token-2");
    },
  });
  const call = () => manager.fetch(url, { method: "POST", body: "{}" });
  assert.equal((await call()).status, 200);
  assert.equal((await call()).status, 200);
  clock.milliseconds += 1000;
  assert.equal((await call()).status, 200);
  assert.deepEqual(backend.seen, ["token-1", "token-2", "token-2", "token-2"]);
  assert.deepEqual(
    asked.map(({ accessToken }) => accessToken),
    ["token-1"],
  );
  assert.equal((await manager.bearer()).header, "Bearer token-2");

  // And again, when that one is rejected; the static credentials have the first all the time.
  backend.accepts = "token-3";
  assert.equal((await call()).status, 401, "the function has no other");
  assert.equal(asked.length, 2);
});

test("it is asked once for all calls", async () => {
  let asked = 0;
  const { backend, manager } = setUp({
    refreshCredentials: async () => {
      asked++;
      await new Promise((resolve) => setImmediate(resolve));
      return credentialsWith("token-2");
    },
  });
  const thread = manager.thread("thread-1");
  const responses = await Promise.all([
    ...Array.from({ length: 10 }, () => manager.fetch(url)),
    ...Array.from({ length: 10 }, () => thread.fetch(`${base}/codex/responses`)),
  ]);
  assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]));
  assert.equal(asked, 1);
  assert.equal(backend.seen.length, 40);
});

describe("the 401 goes to the caller", () => {
  const cases: [string, Partial<ManagerOptions>, { body?: BodyInit; warns?: boolean }?][] = [
    ["where there is no function", {}],
    ["where it returns the same token", { refreshCredentials: () => credentialsWith("token-1") }],
    ["where it returns another that is rejected", { refreshCredentials: () => credentialsWith("token-0") }],
    [
      "where it fails, which is told",
      { refreshCredentials: () => Promise.reject(new Error("token-1 has expired")) },
      { warns: true },
    ],
    [
      "where it returns none, which is told",
      { refreshCredentials: () => undefined as unknown as Credentials },
      { warns: true },
    ],
    [
      "where the body cannot be sent again",
      { refreshCredentials: () => credentialsWith("token-2") },
      {
        body: new ReadableStream({
          start: (controller) => {
            controller.close();
          },
        }),
      },
    ],
  ];
  for (const [name, options, { body = "{}", warns = false } = {}] of cases) {
    test(name, async (t: TestContext) => {
      const warn = t.mock.fn((_: string) => undefined);
      const { manager } = setUp({ ...options, warn });
      const call = async () => {
        const init: RequestInit = { method: "POST", body: typeof body === "string" ? body : null };
        if (typeof body !== "string") {
          Object.assign(init, { body, duplex: "half" });
        }
        return (await manager.fetch(url, init)).status;
      };
      assert.equal(await call(), 401);
      const told = warn.mock.calls.map(({ arguments: [message] }) => message);
      assert.equal(told.length, warns ? 1 : 0);
      assert.ok(!told.join().includes("token-1"), "and no secret is told");
    });
  }
});

test("a source that has other credentials by now is enough", async () => {
  let token = "token-1";
  let asked = 0;
  const { backend, manager } = setUp({
    credentials: () => credentialsWith(token),
    refreshCredentials: () => {
      asked++;
      return credentialsWith("token-3");
    },
  });
  await manager.authorization("models");
  token = "token-2";
  assert.equal((await manager.fetch(url)).status, 200);
  assert.deepEqual(backend.seen, ["token-1", "token-2"]);
  assert.equal(asked, 0);
});

test("a client that has refreshed its auth.json is noticed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  const file = join(folder, "auth.json");
  const write = (token: string) => {
    writeFileSync(file, JSON.stringify({ tokens: { access_token: token, account_id: "acct-1" } }));
  };
  try {
    write("token-1");
    const store = fileStore(file, { lock: "process" });
    const { backend, manager } = setUp({ store, credentials: undefined as never });
    await manager.authorization("models");
    write("token-2");
    assert.equal((await manager.fetch(url)).status, 200);
    write("token-3");
    assert.equal((await manager.fetch(url)).status, 200, "an answer that is kept for its second");
    assert.deepEqual(backend.seen, ["token-1", "token-2", "token-2"]);
    await manager.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("recover is the same for whoever sends by other means", async () => {
  const { manager } = setUp({ refreshCredentials: () => credentialsWith("token-2") });
  const rejected = await manager.bearer();
  const second = await manager.recover(rejected);
  assert.equal(second.header, "Bearer token-2");
  assert.equal((await manager.recover(rejected)).header, "Bearer token-2");
  const failing = setUp({ refreshCredentials: () => Promise.reject(new Error("offline")), warn: false });
  await assert.rejects(
    failing.manager.recover(await failing.manager.bearer()),
    hasCode("credentials_failed"),
  );
  const without = setUp().manager;
  const same = await without.bearer();
  assert.equal(await without.recover(same), same);
});

test("neither an abort nor a manager that is closed waits for the function", async () => {
  let began!: () => void;
  const asked = new Promise<void>((resolve) => (began = resolve));
  let signal: AbortSignal | undefined;
  const { manager } = setUp({
    refreshCredentials: (_, options) => {
      signal = options.signal;
      began();
      return new Promise<never>(() => undefined);
    },
  });
  const leaving = new AbortController();
  const left = manager.fetch(url, { signal: leaving.signal });
  const waiting = manager.fetch(url);
  await asked;
  leaving.abort();
  await assert.rejects(left, (error: Error) => hasCode("canceled")(error) && error.name === "AbortError");
  assert.ok(!signal?.aborted, "another call waits");
  await manager.close();
  assert.ok(signal?.aborted);
  assert.equal((await waiting).status, 401);
});
